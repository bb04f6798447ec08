//! `kubezone zone diff`: what a new version of a zone changes.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use tracing::warn;

use super::text::is_stdin;
use super::{Output, Text, ZoneProblem, print_json, usage, zone_name};
use crate::cli::Failure;
use crate::report::RecordText;
use crate::zone::{Change, Zone, diff, name_to_text};

/// Prints the records that a new version of a zone removes (-) and adds (+)
///
/// Order, comments and the case of names make no difference; TTLs do. Where the records change and the serial does not
/// rise (RFC 1982), standard error says so. Exit status: 0 the same, 1 different, 2 one of the files is no zone or they
/// are different zones, 3 one cannot be read.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubezone zone diff zones/k8s.ooo.zone k8s.ooo.zone.new --zone k8s.ooo
  git show HEAD:k8s.ooo.zone | kubezone zone diff - k8s.ooo.zone --zone k8s.ooo")]
pub(super) struct Diff {
    /// The master file before; - is standard input
    old: PathBuf,
    /// The master file after; one of the two may be -
    new: PathBuf,
    /// The zone, and the first $ORIGIN [default: the owner of the SOA record, where the files say it in full]
    #[arg(long, value_name = "NAME")]
    zone: Option<String>,
    /// How to print changes; as objects they have the fields change, owner, ttl, type and rdata
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Output,
}

impl Diff {
    pub(super) fn print(&self, mut out: impl Write) -> Result<(), Failure> {
        if is_stdin(&self.old) && is_stdin(&self.new) {
            return Err(usage(ZoneProblem::StdinTwice));
        }
        let (old, new) = (self.read(&self.old)?, self.read(&self.new)?);
        if old.apex() != new.apex() {
            let [old, new] = [&old, &new].map(|zone| name_to_text(zone.apex()));
            return Err(usage(ZoneProblem::OtherZone { old, new }));
        }
        let changes = diff(&old, &new);
        let (before, after) = (old.serial(), new.serial());
        if !changes.is_empty() && !after.is_newer_than(before) {
            warn!(%before, %after, "the zone changes and its serial does not rise: raise it, secondaries go by it");
        }
        match self.output {
            Output::Json => print_json(&mut out, &changes.iter().map(Told::from).collect::<Vec<_>>())?,
            Output::Table => {
                if before != after {
                    writeln!(out, "; serial {before} to {after}")?;
                }
                for change in &changes {
                    match change {
                        Change::Removed(record) => writeln!(out, "-{record}")?,
                        Change::Added(record) => writeln!(out, "+{record}")?,
                    }
                }
            }
        }
        if changes.is_empty() { Ok(()) } else { Err(Failure::Findings) }
    }

    fn read(&self, path: &Path) -> Result<Zone, Failure> {
        let apex = self.zone.as_deref().map(zone_name).transpose()?;
        Ok(Text::open(path)?.zone(apex.as_ref())?.0)
    }
}

/// One change as an object.
#[derive(Debug, Serialize)]
struct Told {
    change: &'static str,
    #[serde(flatten)]
    record: RecordText,
}

impl From<&Change> for Told {
    fn from(change: &Change) -> Self {
        let (change, record) = match change {
            Change::Removed(record) => ("removed", record),
            Change::Added(record) => ("added", record),
        };
        Self { change, record: record.into() }
    }
}
