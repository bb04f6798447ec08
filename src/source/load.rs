//! One master file: from its text to a zone, and what is wrong or odd about it with its place.
//!
//! The parser knows where a record stands and not whether it makes sense; the
//! zone knows what makes no sense and nothing of files. Here the two meet: what
//! a zone says about an owner and a type is led back to the entry it is about.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_proto::rr::{Name, RecordType};
use tracing::info;

use crate::config::FileZone;
use crate::zone::master::{self, Entry, MasterError, Position, Progress};
use crate::zone::{Warning, Zone, ZoneError};

/// Where in a master file something stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file that `$INCLUDE` named; none: the zone's own.
    pub file: Option<Arc<Path>>,
    /// Where in it.
    pub position: Position,
}

impl Place {
    /// The beginning of the zone's own file: where what is about no record is told.
    pub const BEGINNING: Self = Self { file: None, position: Position { line: 1, column: 1 } };
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}: ", file.display())?;
        }
        self.position.fmt(f)
    }
}

/// Something odd about a zone, and the record that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Where the record begins.
    pub place: Place,
    /// What is odd.
    pub warning: Warning,
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
    #[error("{place}: {error}")]
    Zone {
        /// The record that it is about, or the beginning of the file.
        place: Place,
        /// What is wrong with them.
        error: ZoneError,
    },
}

impl FileError {
    /// Where the error is; none: the file itself is.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Unreadable(_) => None,
            Self::Master(error) => Some(Place { file: error.file.clone(), position: error.position }),
            Self::Zone { place, .. } => Some(place.clone()),
        }
    }
}

/// The zone at `apex` that a master file's `text` makes, and what is odd about it; arguments as of [`master::read`].
///
/// # Errors
///
/// Why it makes none: up to `most` things that are wrong with the text, else one with the records.
pub fn read(
    text: &[u8],
    apex: &Name,
    folder: Option<&Path>,
    most: usize,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Zone, Vec<Placed>), Vec<FileError>> {
    let (entries, errors) = master::read(text, apex, folder, most, progress);
    if !errors.is_empty() {
        return Err(errors.into_iter().map(FileError::Master).collect());
    }
    match Zone::build(apex, &entries) {
        Ok((zone, warnings)) => Ok((zone, place_warnings(apex, warnings, &entries))),
        Err(error) => Err(vec![FileError::Zone { place: place_error(&error, &entries), error }]),
    }
}

/// As [`read`], the first error only, for a server: a file that takes long is told about in the log.
pub(super) fn read_for_server(zone: &FileZone, text: &[u8]) -> Result<(Zone, Vec<Placed>), FileError> {
    /// How long a file may take without a word, and how often it is told how far it is.
    const LONG: Duration = Duration::from_secs(3);
    let (apex, file) = (&zone.apex, zone.path.display());
    let started = Instant::now();
    let mut told = started;
    let mut progress = |Progress { octets, records }| {
        if told.elapsed() >= LONG {
            told = Instant::now();
            let percent = octets * 100 / text.len().max(1);
            info!(zone = %apex, %file, percent, records, "zone file is being read");
        }
    };
    let read = read(text, apex, Some(master::folder(&zone.path)), 1, &mut progress);
    let took = started.elapsed();
    if took >= LONG {
        info!(zone = %apex, %file, ?took, "zone file has been read");
    }
    read.map_err(|mut errors| errors.swap_remove(0))
}

impl From<&Entry> for Place {
    fn from(entry: &Entry) -> Self {
        Self { file: entry.file.clone(), position: entry.position }
    }
}

/// Finds the record that `error` is about: of several, the last is one too many.
fn place_error(error: &ZoneError, entries: &[Entry]) -> Place {
    let rtype = match error {
        // One of another name: `$ORIGIN` is not the zone, or the zone is not the one that was meant.
        ZoneError::NoSoa { .. }
        | ZoneError::NoNameservers { .. }
        | ZoneError::SeveralSoas { .. }
        | ZoneError::SoaBelowApex { .. } => Some(RecordType::SOA),
        ZoneError::CnameNotAlone { other: rtype, .. }
        | ZoneError::NotSingle { rtype, .. }
        | ZoneError::TooManyRecords { rtype, .. }
        | ZoneError::MalformedRdata { rtype, .. } => Some(*rtype),
        ZoneError::DnameAtCut { .. } => Some(RecordType::DNAME),
        ZoneError::BelowDname { .. }
        | ZoneError::Hidden { .. }
        | ZoneError::NotAlone { .. }
        | ZoneError::NotBelowApex { .. } => None,
    };
    let Some(owner) = error.owner() else {
        let mut of_type = entries.iter().filter(|entry| Some(entry.record.rtype) == rtype);
        return of_type.next().map_or(Place::BEGINNING, Place::from);
    };
    let is_it = |entry: &&Entry| entry.record.owner == *owner && rtype.is_none_or(|rtype| entry.record.rtype == rtype);
    entries.iter().rev().find(is_it).map_or(Place::BEGINNING, Place::from)
}

/// Finds the records that `warnings` are about, and puts the warnings in their order.
///
/// A name may own any number of records and each may be warned about: none is
/// looked for among all of them.
fn place_warnings(apex: &Name, warnings: Vec<Warning>, entries: &[Entry]) -> Vec<Placed> {
    if warnings.is_empty() {
        return Vec::new();
    }
    let mut sets: HashMap<_, VecDeque<&Entry>> =
        warnings.iter().map(|warning| (set_of(warning, apex), VecDeque::new())).collect();
    // Of an owner's NS records, the first that names a server.
    let mut naming = HashMap::new();
    for entry in entries {
        let record = &entry.record;
        let Some(set) = sets.get_mut(&(&record.owner, record.rtype)) else { continue };
        set.push_back(entry);
        if let Some(target) = record.target().filter(|_| record.rtype == RecordType::NS) {
            naming.entry((&record.owner, target)).or_insert(entry);
        }
    }
    let places = warnings.iter().map(|warning| {
        let (owner, rtype) = set_of(warning, apex);
        let set = sets.get_mut(&(owner, rtype)).expect("put there for the warning");
        let found = match warning {
            // Each such record is warned about, in the order of the file.
            Warning::OutOfZone { .. } => set.pop_front(),
            Warning::Duplicate { .. } => {
                let mut seen = HashSet::new();
                set.iter().copied().find(|entry| !seen.insert(entry.record.canonical_rdata()))
            }
            Warning::DifferingTtls { .. } => set.iter().copied().find(|entry| entry.record.ttl != set[0].record.ttl),
            Warning::MissingGlue { nameserver, .. } | Warning::NameserverIsAlias { nameserver, .. } => {
                naming.get(&(owner, nameserver.clone())).copied()
            }
            Warning::NsBelowNs { .. } | Warning::AtWildcard { .. } => set.front().copied(),
            Warning::WithoutProofs { .. } => entries.iter().find(|entry| entry.record.rtype == rtype),
        };
        found.map_or(Place::BEGINNING, Place::from)
    });
    let places: Vec<_> = places.collect();
    let mut placed: Vec<_> =
        places.into_iter().zip(warnings).map(|(place, warning)| Placed { place, warning }).collect();
    placed.sort_by(|one, other| one.place.cmp(&other.place));
    placed
}

/// Owner and type of the records that a warning is about; of one about a type, the apex stands for all owners.
fn set_of<'w>(warning: &'w Warning, apex: &'w Name) -> (&'w Name, RecordType) {
    match warning {
        Warning::OutOfZone { owner, rtype }
        | Warning::Duplicate { owner, rtype }
        | Warning::DifferingTtls { owner, rtype, .. }
        | Warning::AtWildcard { owner, rtype } => (owner, *rtype),
        Warning::NsBelowNs { owner, .. }
        | Warning::MissingGlue { cut: owner, .. }
        | Warning::NameserverIsAlias { cut: owner, .. } => (owner, RecordType::NS),
        Warning::WithoutProofs { rtype } => (apex, *rtype),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn text(serial: u32, rest: &str) -> String {
        format!("$TTL 1h\n@ SOA ns.example.net. . {serial} 4h 1h 2w 5m\n  NS ns.example.net.\n{rest}\n")
    }

    /// Reads `text` as a.example: what is wrong or odd about it, a line each, with its place.
    fn check(text: &str, expected: &str) {
        let apex = Name::from_ascii("a.example.").unwrap();
        let lines: Vec<_> = match read(text.as_bytes(), &apex, None, 9, &mut |_| {}) {
            Ok((_, odd)) => odd.iter().map(|Placed { place, warning }| format!("{place}: {warning}")).collect(),
            Err(errors) => errors.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(lines.join("\n"), expected, "{text}");
    }

    #[test]
    fn errors_of_a_zone_have_a_place() {
        check("", "line 1, column 1: a.example. has no SOA record: a zone begins with one");
        check(
            "\n@ 1 NS .\n\nb.example. 1 SOA . . 1 2 3 4 5",
            "line 4, column 1: a.example. has no SOA record: a zone begins with one",
        );
        check(
            "\n@ 1 SOA . . 1 2 3 4 5\n",
            "line 2, column 1: a.example. has no NS records: name the zone's own name servers",
        );
        check(
            &text(1, "b CNAME c\n\nb A 192.0.2.1"),
            "line 6, column 1: b.a.example. owns a CNAME record and other data (A): keep one of them",
        );
        check(&text(1, "@ SOA . . 1 2 3 4 5"), "line 4, column 1: a.example. has several SOA records: keep one");
    }

    #[test]
    fn all_that_is_wrong_with_a_text_is_told() {
        check(
            &text(1, "b A x\nc A 192.0.2.1\nd \"\n  )\ne AAAA ::g\n$GENERATE 1-2 $ A 192.0.2.$\nf A ("),
            "line 4, column 5: expected an IPv4 address, found `x`\n\
             line 6, column 3: this quoted string is not closed on its line: add `\"`\n\
             line 7, column 3: this parenthesis closes none: remove it, or write `\\)`\n\
             line 8, column 8: expected an IPv6 address, found `::g`\n\
             line 9, column 1: $GENERATE is BIND's own and not read: write its records out, `named-compilezone` does\n\
             line 10, column 5: this parenthesis is never closed: add `)` where the entry ends",
        );
    }

    #[test]
    fn warnings_have_the_place_of_the_record_that_they_are_about() {
        let odd = "\
b NS ns.b
b 60 NS NS.C.B
b NS ns.b
d A 192.0.2.1
d 60 A 192.0.2.2
elsewhere. A 192.0.2.1
x.b NS y.b
ns.b AAAA 2001:db8::1
b DNSKEY 257 3 13 AA==
elsewhere. A 192.0.2.3
* NS ns.b
@ NS alias
alias CNAME d";
        check(
            &text(1, odd),
            "line 5, column 1: b.a.example. NS has records with different TTLs: 60 is served for all of them\n\
             line 5, column 1: b.a.example. NS ns.c.b.a.example. has no address: resolvers cannot reach it\n\
             line 6, column 1: b.a.example. NS has a record more than once\n\
             line 8, column 1: d.a.example. A has records with different TTLs: 60 is served for all of them\n\
             line 9, column 1: elsewhere. A is not in the zone: left out\n\
             line 10, column 1: x.b.a.example. NS is below the zone cut at b.a.example., which hides it\n\
             line 12, column 1: the zone has DNSKEY records, but answers carry no DNSSEC proofs\n\
             line 13, column 1: elsewhere. A is not in the zone: left out\n\
             line 14, column 1: *.a.example. NS: names that a wildcard stands in for are neither delegated nor redirected\n\
             line 15, column 1: name server alias.a.example. is an alias: resolvers do not follow it",
        );
    }

    /// As many as one name may own: among all of them for each of them, it would take hours.
    #[test]
    fn warnings_about_many_records_of_one_name_have_their_places() {
        let last = |line: fn(usize) -> String| {
            let apex = Name::from_ascii("a.example.").unwrap();
            let lines: String = (0..50_000).map(line).collect();
            let (_, odd) = read(text(1, &lines).as_bytes(), &apex, None, 1, &mut |_| {}).unwrap();
            let Placed { place, warning } = odd.last().unwrap();
            format!("{} warnings, {place}: {warning}", odd.len())
        };
        assert_eq!(
            last(|i| format!("b NS n{i}.b\n")),
            "50000 warnings, line 50003, column 1: b.a.example. NS n49999.b.a.example. has no address: resolvers cannot reach it",
        );
        assert_eq!(
            last(|i| format!("@ NS n{i}\nn{i} CNAME ns.example.\n")),
            "50000 warnings, line 100002, column 1: name server n49999.a.example. is an alias: resolvers do not follow it",
        );
        assert_eq!(
            last(|i| format!("b TYPE{} \\# 0\n", 1024 + i).repeat(2)),
            "50000 warnings, line 100003, column 1: b.a.example. TYPE51023 has a record more than once",
        );
        assert_eq!(
            last(|i| format!("elsewhere. TXT {i}\n")),
            "50000 warnings, line 50003, column 1: elsewhere. TXT is not in the zone: left out",
        );
    }

    #[test]
    fn the_parent_that_ships_delegates_c2_as_in_the_founding_talk() {
        let apex = Name::from_ascii("k8s.ooo.").unwrap();
        let text = fs::read("zones/k8s.ooo.zone").unwrap();
        let (zone, warnings) = read(&text, &apex, None, 1, &mut |_| {}).unwrap();
        assert_eq!(warnings, []);
        let records: Vec<_> = zone.records().iter().map(ToString::to_string).collect();
        for record in [
            "c2.k8s.ooo. 3600 IN NS kube-dns.kube-system.svc.c2.k8s.ooo.",
            "kube-dns.kube-system.svc.c2.k8s.ooo. 3600 IN AAAA 2a0a:e5c0:13:e2::a",
            "kube-dns.kube-system.svc.c2.k8s.ooo. 3600 IN A 147.78.194.9",
        ] {
            assert!(records.iter().any(|found| found == record), "{record}");
        }
    }
}
