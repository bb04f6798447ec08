//! Master files as commands take them: by path, or from standard input.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use hickory_proto::rr::{Name, RecordType};

use super::{ZoneProblem, usage};
use crate::cli::Failure;
use crate::cli::progress::Progress;
use crate::source::load::{self, FileError, Placed};
use crate::zone::{Zone, master};

/// So many errors of one file are told.
pub(super) const MOST_ERRORS: usize = 100;

/// Whether `path` stands for standard input.
pub(super) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The text of a master file.
pub(in crate::cli) struct Text {
    path: PathBuf,
    octets: Vec<u8>,
}

/// Why a text makes no zone.
pub(in crate::cli) enum NoZone {
    /// Nothing in it says what the zone is called.
    Nameless,
    /// What is wrong with it, at least one.
    Errors(Vec<FileError>),
}

impl Text {
    /// Reads the file at `path`, `-` being standard input.
    pub(in crate::cli) fn open(path: &Path) -> Result<Self, Failure> {
        let mut octets = Vec::new();
        let read = if is_stdin(path) { io::stdin().read_to_end(&mut octets).map(|_| octets) } else { fs::read(path) };
        let path = path.to_owned();
        match read {
            Ok(octets) => Ok(Self { path, octets }),
            Err(error) => Err(Failure::unable(ZoneProblem::File { path, source: error.into() })),
        }
    }

    /// The zone that the text makes, and what is odd about it; without `apex` it is where the text has its SOA record.
    pub(in crate::cli) fn read(&self, apex: Option<&Name>) -> Result<(Zone, Vec<Placed>), NoZone> {
        let apex = apex.map_or_else(|| self.apex(), |apex| Ok(apex.clone()))?;
        let mut progress = Progress::new(&self.path, self.octets.len());
        let zone = load::read(&self.octets, &apex, self.folder(), MOST_ERRORS, &mut |read| progress.tell(read));
        zone.map_err(NoZone::Errors)
    }

    /// As [`Text::read`], for those who can do nothing without a zone.
    pub(in crate::cli) fn zone(&self, apex: Option<&Name>) -> Result<(Zone, Vec<Placed>), Failure> {
        let path = self.path.clone();
        self.read(apex).map_err(|no_zone| {
            usage(match no_zone {
                NoZone::Nameless => ZoneProblem::Nameless { path },
                NoZone::Errors(mut errors) => ZoneProblem::File { path, source: errors.swap_remove(0) },
            })
        })
    }

    /// What the text itself says that the zone is called.
    fn apex(&self) -> Result<Name, NoZone> {
        // Whatever is relative to the name that is looked for ends in this.
        let unknown = Name::from_ascii("origin.invalid.").expect("a name");
        let (entries, errors) = master::read(&self.octets, &unknown, self.folder(), MOST_ERRORS, &mut |_| {});
        let soa = entries.into_iter().map(|entry| entry.record).find(|record| record.rtype == RecordType::SOA);
        match soa.filter(|soa| !unknown.zone_of(&soa.owner)) {
            Some(soa) => Ok(soa.owner),
            None if errors.is_empty() => Err(NoZone::Nameless),
            None => Err(NoZone::Errors(errors.into_iter().map(FileError::Master).collect())),
        }
    }

    /// Where `$INCLUDE` may go; nowhere from standard input.
    fn folder(&self) -> Option<&Path> {
        (!is_stdin(&self.path)).then(|| master::folder(&self.path))
    }

    pub(in crate::cli) fn path(&self) -> &Path {
        &self.path
    }
}
