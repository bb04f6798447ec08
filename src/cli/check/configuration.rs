//! The configuration, and the files that it names.

use std::fs;
use std::path::Path;

use super::{Check, Code, many};
use crate::cli::progress::Progress;
use crate::config::{Config, ConfigError, FileZone};
use crate::error::chain;
use crate::source::load::{self, FileError, Placed};
use crate::zone::{Zone, master, name_to_text};

/// A configuration that cannot be used.
pub(super) fn unusable(name: &str, error: &ConfigError) -> Check {
    Check::bad(Code::Configuration, name, chain(error))
}

/// One that can, and every zone file that it names.
pub(super) fn check(name: &str, config: &Config) -> Vec<Check> {
    let Config { files, clusters, reverses, .. } = config;
    let zones = config.apexes().count();
    let (zones, of_clusters) = (many(zones, "zone"), many(clusters.len(), "cluster"));
    let of = format!("{zones}: {} from files, {} reverse; {of_clusters}", files.len(), reverses.len());
    let configuration = Check::good(Code::Configuration, name, of);
    [configuration].into_iter().chain(files.iter().map(zone_file)).collect()
}

fn zone_file(FileZone { apex, path }: &FileZone) -> Check {
    let loaded = fs::read(path).map_err(FileError::from).and_then(|octets| {
        let mut progress = Progress::new(path, octets.len());
        let read = load::read(&octets, apex, Some(master::folder(path)), 1, &mut |read| progress.tell(read));
        read.map_err(|mut errors| errors.swap_remove(0))
    });
    of_file(&name_to_text(apex), path, loaded)
}

fn of_file(apex: &str, path: &Path, loaded: Result<(Zone, Vec<Placed>), FileError>) -> Check {
    let file = path.display();
    let lint = format!("`kubezone zone lint {file} --zone {apex}` tells of everything that is wrong or odd.");
    match loaded {
        Ok((zone, odd)) => {
            let records: usize = zone.census().iter().map(|(_, count)| count).sum();
            match odd.first() {
                None => Check::good(Code::ZoneFile, apex, format_args!("{file}: {records} records")),
                Some(first) => {
                    let at = first.place.position;
                    let odd = many(odd.len(), "warning");
                    let message = format!("{file}: {odd}, the first: {at}: {}", first.warning);
                    Check::odd(Code::ZoneFile, apex, message).with_hint(lint)
                }
            }
        }
        Err(error) => Check::bad(Code::ZoneFile, apex, format_args!("{file}: {}", chain(&error))).with_hint(lint),
    }
}
