//! Zones from master files: read at the start, and again when they change.
//!
//! A file that is no zone changes nothing: what was served before is served
//! on, and a zone that never loaded stays pending while the others go ahead.
//! Files keep their own serials; secondaries go by them, so that whoever
//! changes a file without raising its serial is told.

use std::fs;
use std::hash::BuildHasher;
use std::io;
use std::path::Path;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hickory_proto::rr::{Name, RecordType};
use tracing::{error, info, warn};

use super::Watch;
use crate::config::FileZone;
use crate::metrics::Metrics;
use crate::published::Published;
use crate::zone::master::{self, Entry, MasterError, Position};
use crate::zone::{State, Warning, Zone, ZoneError};

/// Publishes `zones` from their files, and again whenever a file has changed; never ends.
pub async fn follow(zones: Vec<FileZone>, published: Arc<Published>, metrics: Arc<Metrics>) {
    let mut watch = Watch::new(zones.iter().map(|zone| &zone.path));
    let mut files: Vec<File> = zones.into_iter().map(File::new).collect();
    loop {
        // A large file takes a while to read: not on a thread that others wait for.
        let (published, metrics) = (Arc::clone(&published), Arc::clone(&metrics));
        let reading = tokio::task::spawn_blocking(move || {
            publish(&mut files, &published, &metrics);
            files
        });
        match reading.await {
            Ok(read) => files = read,
            // The process ends.
            Err(_) => return,
        }
        watch.changed().await;
    }
}

/// Reads every file and puts the zones that changed into their places, all in one swap.
fn publish(files: &mut [File], published: &Published, metrics: &Metrics) {
    let mut changed = Vec::new();
    for file in files {
        match file.read() {
            Ok(Some(zone)) => changed.push((zone.apex().clone(), State::Loaded(zone))),
            Ok(None) => {}
            Err(error) => {
                file.report(&error);
                metrics.reload_failed();
            }
        }
    }
    if !changed.is_empty() {
        published.replace(changed);
    }
}

/// A zone that a master file makes, read from scratch.
///
/// # Errors
///
/// Why it makes none.
pub fn load(zone: &FileZone) -> Result<(Zone, Vec<Warning>), FileError> {
    build(zone, &fs::read(&zone.path)?)
}

fn build(zone: &FileZone, text: &[u8]) -> Result<(Zone, Vec<Warning>), FileError> {
    let folder = zone.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = master::entries(text, &zone.apex, Some(folder))?;
    let records = entries.iter().map(|entry| entry.record.clone());
    Zone::build(&zone.apex, records).map_err(|error| place(error, &entries))
}

/// A master file that makes no zone.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file cannot be read.
    #[error("could not be read")]
    Unreadable(#[from] io::Error),
    /// It is no master file.
    #[error(transparent)]
    Master(#[from] MasterError),
    /// Its records make no zone.
    #[error("{}{position}: {error}", file.as_ref().map(|file| format!("{}: ", file.display())).unwrap_or_default())]
    Zone {
        /// The file that `$INCLUDE` named; none: the zone's own.
        file: Option<Arc<Path>>,
        /// The record that it is about, or the beginning of the file.
        position: Position,
        /// What is wrong with them.
        error: ZoneError,
    },
}

impl FileError {
    fn position(&self) -> Option<Position> {
        match self {
            Self::Unreadable(_) => None,
            Self::Master(error) => Some(error.position),
            Self::Zone { position, .. } => Some(*position),
        }
    }
}

/// Finds the record that `error` is about: of several, the last is one too many.
fn place(error: ZoneError, entries: &[Entry]) -> FileError {
    use ZoneError::{
        BelowDname, CnameNotAlone, DnameAtCut, MalformedRdata, NoNameservers, NoSoa, NotBelowApex, NotSingle,
        RrsetTooLarge, SeveralSoas, SoaBelowApex,
    };
    let (owner, rtype): (&Name, _) = match &error {
        NoSoa { apex: owner } | BelowDname { owner, .. } | NotBelowApex { owner, .. } => (owner, None),
        NoNameservers { apex: owner } | SeveralSoas { apex: owner } | SoaBelowApex { owner } => {
            (owner, Some(RecordType::SOA))
        }
        CnameNotAlone { owner, other: rtype }
        | NotSingle { owner, rtype }
        | RrsetTooLarge { owner, rtype }
        | MalformedRdata { owner, rtype } => (owner, Some(*rtype)),
        DnameAtCut { owner } => (owner, Some(RecordType::DNAME)),
    };
    let is_it = |entry: &&Entry| entry.record.owner == *owner && rtype.is_none_or(|rtype| entry.record.rtype == rtype);
    match entries.iter().rev().find(is_it) {
        Some(entry) => FileError::Zone { file: entry.file.clone(), position: entry.position, error },
        None => FileError::Zone { file: None, position: Position { line: 1, column: 1 }, error },
    }
}

/// A zone's file and what has become of it.
#[derive(Debug)]
struct File {
    zone: FileZone,
    served: Option<Arc<Zone>>,
    /// What was read last, as a hash; none where that does not tell whether anything changed.
    last: Option<u64>,
    /// Why it could not be taken over the last time: said once, not at every re-scan.
    failure: Option<String>,
}

impl File {
    fn new(zone: FileZone) -> Self {
        Self { zone, served: None, last: None, failure: None }
    }

    /// The zone, where it is another than the one before; an error that was there before is no news either.
    fn read(&mut self) -> Result<Option<Arc<Zone>>, FileError> {
        let result = self.read_anew();
        let failure = result.as_ref().err().map(|error| format!("{error:?}"));
        let news = failure != self.failure;
        self.failure = failure;
        if news { result } else { result.or(Ok(None)) }
    }

    fn read_anew(&mut self) -> Result<Option<Arc<Zone>>, FileError> {
        let text = fs::read(&self.zone.path).inspect_err(|_| self.last = None)?;
        let read = FixedState::default().hash_one(&text);
        if self.last == Some(read) {
            return Ok(None);
        }
        // The files it includes may change without it.
        let includes = text.windows(8).any(|word| word.eq_ignore_ascii_case(b"$INCLUDE"));
        self.last = (!includes).then_some(read);
        let (zone, warnings) = build(&self.zone, &text)?;
        Ok(self.take_over(zone, &warnings))
    }

    fn take_over(&mut self, zone: Zone, warnings: &[Warning]) -> Option<Arc<Zone>> {
        let (apex, file, serial) = (&self.zone.apex, self.zone.path.display(), zone.serial());
        let records = zone.records();
        if let Some(served) = &self.served {
            if served.records() == records {
                return None;
            }
            if served.serial() == serial {
                warn!(zone = %apex, %file, %serial, "zone changed under the same serial: raise it, secondaries go by it");
            } else if !serial.is_newer_than(served.serial()) {
                warn!(zone = %apex, %file, %serial, served = %served.serial(), "zone has a serial below the one served");
            }
        }
        for warning in warnings {
            warn!(zone = %apex, %file, %warning, "zone file is odd");
        }
        info!(zone = %apex, %file, %serial, records = records.len(), "zone published");
        let zone = Arc::new(zone);
        self.served = Some(Arc::clone(&zone));
        Some(zone)
    }

    fn report(&self, error: &FileError) {
        let (zone, file) = (&self.zone.apex, self.zone.path.display());
        let (line, column) = error.position().map(|at| (at.line, at.column)).unzip();
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
        match &self.served {
            Some(served) => {
                let serial = served.serial();
                error!(%zone, %file, line, column, error = %format_args!("{error}{cause}"), %serial, "zone file not taken over: the zone before is served on");
            }
            None => {
                error!(%zone, %file, line, column, error = %format_args!("{error}{cause}"), "zone file not taken over: the zone is answered with SERVFAIL");
            }
        }
    }
}
