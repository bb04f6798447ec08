//! A delegation in a parent's master file: only its records change, and the serial.
//!
//! Whoever wrote the file has it back with its comments, its order and its layout. What comes out is read again before
//! anybody sees it, and says what the file said, with the delegation in it; or else nothing comes out.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use hickory_proto::rr::{Name, RecordType};

use super::dialect::{columns, line};
use crate::delegation::Delegation;
use crate::source::load::{self, FileError};
use crate::zone::master::{self, Entry, Layout, Sheet};
use crate::zone::{HashedName, Rdata, Record, Serial, Zone, name_to_text};

/// Why a text is left as it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum EditError {
    #[error(
        "it is no master file of {apex}, and nothing else is changed here (--format prints what other parents take)"
    )]
    NotMaster { apex: String, source: FileError },
    #[error("the {what} is in {}, which it includes: change that file, or move the records into this one", file.display())]
    Included { what: &'static str, file: PathBuf },
    #[error("it is signed: change the file that it is signed from")]
    Signed,
    #[error("with the delegation it would make no zone: {why}")]
    NoZone { why: String },
    #[error("{child} would be hidden there, by what stands above it: the parent is another zone")]
    Hidden { child: String },
    #[error(
        "records behind the delegation would become others: state the owner and the TTL of each, or begin the file with $TTL"
    )]
    Entangled,
}

/// A text with the delegation in it.
#[derive(Debug)]
pub(super) struct Edited {
    pub(super) text: Vec<u8>,
    /// The serial before and after.
    pub(super) serials: [Serial; 2],
}

/// A master file that is to be changed.
pub(super) struct Parent<'a> {
    /// The zone's name.
    pub(super) apex: &'a Name,
    /// The file's text.
    pub(super) text: &'a [u8],
    /// Where `$INCLUDE` may go.
    pub(super) folder: Option<&'a Path>,
    /// Today as `YYYYMMDD`.
    pub(super) today: u32,
}

/// What is done with the octets of a range.
type Edit = (Range<usize>, Vec<u8>);

impl Parent<'_> {
    /// The text with `delegation` in it; none: it is as it should be.
    pub(super) fn with(&self, delegation: &Delegation) -> Result<Option<Edited>, EditError> {
        self.read(self.text).map_err(|source| EditError::NotMaster { apex: name_to_text(self.apex), source })?;
        let sheet = master::lay_out(self.text, self.apex, self.folder).expect("it has just been read");
        let wanted = delegation.records();
        let is_of_it = |record: &Record| is_of(&delegation.zone, record);
        let missing: Vec<_> = wanted
            .iter()
            .filter(|record| !sheet.entries.iter().any(|(entry, _)| is_same(&entry.record, record)))
            .cloned()
            .collect();
        // Name servers of other zones may be below the child, too: their addresses are those zones' glue.
        let others = sheet.entries.iter().map(|(entry, _)| &entry.record).filter(|record| !is_of_it(record));
        let others = others.filter(|record| record.rtype == RecordType::NS).filter_map(Record::target);
        let others = others.filter(|target| !delegation.servers.iter().any(|server| server.name == *target));
        let others: HashSet<_> = others.collect();
        let is_stale = |record: &Record| {
            is_of_it(record)
                && !wanted.iter().any(|wanted| is_same(wanted, record))
                && !(record.address().is_some() && others.contains(&record.owner))
        };
        if missing.is_empty() && !sheet.entries.iter().any(|(entry, _)| is_stale(&entry.record)) {
            return Ok(None);
        }
        self.refuse(&sheet, &is_of_it)?;
        let (soa, old_serial) = soa(&sheet).expect("a zone has one, and it is not in an included file");
        let new_serial = next_serial(old_serial, self.today);

        let mut expected: Vec<_> = sheet
            .entries
            .iter()
            .map(|(entry, _)| entry.record.clone())
            .filter(|record| !is_stale(record))
            .chain(missing.iter().cloned())
            .collect();
        for record in expected.iter_mut().filter(|record| record.rtype == RecordType::SOA) {
            *record = with_serial(record, new_serial);
        }
        let last = sheet.entries.iter().rposition(|(entry, _)| is_of_it(&entry.record));
        let addition = Addition::like(self.text, &sheet, &is_of_it, missing);
        // Beneath what is there; at the end, where that would change what stands behind it.
        for place in [last.map(|last| behind_run(&sheet, last)), None] {
            let mut edits = vec![(soa.clone(), new_serial.to_string().into_bytes())];
            self.edit(&sheet, &is_stale, &addition, place, &mut edits);
            let text = apply(self.text, edits);
            if self.says(&text, &expected) {
                self.check(&text, &delegation.zone)?;
                return Ok(Some(Edited { text, serials: [old_serial, new_serial] }));
            }
        }
        Err(EditError::Entangled)
    }

    /// What cannot be changed here.
    fn refuse(&self, sheet: &Sheet, is_of_it: &dyn Fn(&Record) -> bool) -> Result<(), EditError> {
        for (entry, layout) in &sheet.entries {
            let what = match entry.record.rtype {
                RecordType::RRSIG | RecordType::NSEC | RecordType::NSEC3 => return Err(EditError::Signed),
                RecordType::SOA => "SOA record",
                _ if is_of_it(&entry.record) => "delegation",
                _ => continue,
            };
            if let (Some(file), None) = (&entry.file, layout) {
                return Err(EditError::Included { what, file: file.to_path_buf() });
            }
        }
        Ok(())
    }

    /// Removes what is stale, and puts the `addition` behind the entry at `place`, or at the end.
    fn edit(
        &self,
        sheet: &Sheet,
        is_stale: &dyn Fn(&Record) -> bool,
        addition: &Addition,
        place: Option<usize>,
        edits: &mut Vec<Edit>,
    ) {
        let own: Vec<_> = sheet
            .entries
            .iter()
            .enumerate()
            .filter_map(|(at, (entry, layout))| Some((at, entry, layout.as_ref()?)))
            .collect();
        // Whose records those are that state no owner, as the text will be.
        let mut owner: Option<&Name> = None;
        for (at, entry, layout) in own {
            let Record { owner: stated, .. } = &entry.record;
            if is_stale(&entry.record) {
                let (lines, comments) = self.without(layout);
                edits.push((lines, comments));
            } else if layout.states_owner {
                owner = Some(stated);
            } else if owner != Some(stated) {
                edits.push(self.owned(entry, layout));
                owner = Some(stated);
            }
            if place == Some(at) {
                let end = self.line_end(layout.octets.end);
                edits.push((end..end, self.lines(addition, &layout.origin, layout.default_ttl, end)));
                owner = addition.records.last().map(|record| &record.owner).or(owner);
            }
        }
        if place.is_none() {
            let end = self.text.len();
            edits.push((end..end, self.lines(addition, &sheet.origin, sheet.default_ttl, end)));
        }
    }

    /// The lines of an entry, and what is left of them without it: their comments.
    fn without(&self, layout: &Layout) -> Edit {
        let mut left = Vec::new();
        for comment in &layout.comments {
            left.extend(self.text[comment.clone()].trim_ascii_end());
            left.extend(self.line_ending());
        }
        (self.line_start(layout.octets.start)..self.line_end(layout.octets.end), left)
    }

    /// What stands before an entry that is to state its owner, and what is to stand there.
    fn owned(&self, entry: &Entry, layout: &Layout) -> Edit {
        let before = self.line_start(layout.octets.start)..layout.octets.start;
        let [owner, ..] = line(&entry.record, &layout.origin, None);
        let width = before.len().saturating_sub(1);
        (before, format!("{owner:<width$} ").into_bytes())
    }

    /// New lines, to be put at `at`.
    fn lines(&self, addition: &Addition, origin: &Name, default_ttl: Option<u32>, at: usize) -> Vec<u8> {
        let lines: Vec<_> = addition.records.iter().map(|record| line(record, origin, default_ttl)).collect();
        if lines.is_empty() {
            return Vec::new();
        }
        let begins_line = at == 0 || self.text[at - 1] == b'\n';
        let mut text = if begins_line { Vec::new() } else { self.line_ending().to_vec() };
        for line in columns(&lines, addition.owners, addition.has_class).lines() {
            text.extend(line.as_bytes());
            text.extend(self.line_ending());
        }
        text
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].iter().rposition(|&octet| octet == b'\n').map_or(0, |end| end + 1).max(self.byte_order_mark())
    }

    /// Behind the LF at `at`, or the end.
    fn line_end(&self, at: usize) -> usize {
        self.text.len().min(at + 1)
    }

    fn byte_order_mark(&self) -> usize {
        if self.text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 }
    }

    /// As the first line ends.
    fn line_ending(&self) -> &'static [u8] {
        let first = self.text.split(|&octet| octet == b'\n').next().unwrap_or_default();
        if first.ends_with(b"\r") && first.len() < self.text.len() { b"\r\n" } else { b"\n" }
    }

    fn read(&self, text: &[u8]) -> Result<Zone, FileError> {
        let read = load::read(text, self.apex, self.folder, 1, &mut |_| {});
        read.map(|(zone, _)| zone).map_err(|mut errors| errors.swap_remove(0))
    }

    /// Whether `text` has these records and no others.
    fn says(&self, text: &[u8], expected: &[Record]) -> bool {
        master::parse(text, self.apex, self.folder).is_ok_and(|records| census(&records) == census(expected))
    }

    /// Whether `text` makes a zone that delegates `child`.
    fn check(&self, text: &[u8], child: &Name) -> Result<(), EditError> {
        let zone = self.read(text).map_err(|error| EditError::NoZone {
            why: match error {
                // The place is one in a text that nobody has.
                FileError::Zone { error, .. } => error.to_string(),
                other => other.to_string(),
            },
        })?;
        if zone.has_cut_at(&HashedName::from(child)) {
            return Ok(());
        }
        Err(EditError::Hidden { child: name_to_text(child) })
    }
}

/// Records that are to be put in, written like their neighbours.
struct Addition {
    records: Vec<Record>,
    /// The width of the column of owners.
    owners: usize,
    /// Whether they state their class.
    has_class: bool,
}

impl Addition {
    /// `records` in the manner of what is there of the delegation, else of the last record.
    fn like(text: &[u8], sheet: &Sheet, is_of_it: &dyn Fn(&Record) -> bool, records: Vec<Record>) -> Self {
        let stated = sheet.entries.iter().filter_map(|(entry, layout)| Some((entry, layout.as_ref()?)));
        let mut stated = stated.filter(|(_, layout)| layout.states_owner);
        let model = stated.clone().rfind(|(entry, _)| is_of_it(&entry.record)).or_else(|| stated.next_back());
        let Some((_, layout)) = model else { return Self { records, owners: 0, has_class: false } };
        let between = layout.words[0].end..layout.words[1].start;
        let word = |at: usize| &text[layout.words[at].clone()];
        let has_class = (1..layout.words.len().min(4)).any(|at| word(at).eq_ignore_ascii_case(b"IN"));
        // A tab is of any width, and what is on another line in no column.
        let is_column = text[between].iter().all(|&octet| octet == b' ');
        let owners = if is_column { layout.words[1].start - layout.words[0].start } else { 0 };
        Self { records, owners: owners.saturating_sub(2), has_class }
    }
}

/// Whether the delegation of `child` is what `record` is a part of: its NS and DS records, and the addresses at and below it, all
/// of which can only be glue.
pub(super) fn is_of(child: &Name, record: &Record) -> bool {
    match record.rtype {
        RecordType::NS | RecordType::DS => record.owner == *child,
        RecordType::A | RecordType::AAAA => child.zone_of(&record.owner),
        _ => false,
    }
}

fn is_same(one: &Record, other: &Record) -> bool {
    one.owner == other.owner
        && (one.rtype, one.ttl) == (other.rtype, other.ttl)
        && one.canonical_rdata() == other.canonical_rdata()
}

/// How often each record is there.
fn census(records: &[Record]) -> HashMap<(Name, RecordType, u32, &Rdata), usize> {
    let mut census = HashMap::new();
    for Record { owner, rtype, ttl, rdata } in records {
        *census.entry((owner.to_lowercase(), *rtype, *ttl, rdata)).or_default() += 1;
    }
    census
}

/// The last of the entries behind `at` that have their owner from the one before.
fn behind_run(sheet: &Sheet, at: usize) -> usize {
    let is_of_run = |(_, layout): &&(Entry, Option<Layout>)| layout.as_ref().is_some_and(|layout| !layout.states_owner);
    at + sheet.entries[at + 1..].iter().take_while(is_of_run).count()
}

/// Where the SOA record has its serial, and what that is.
fn soa(sheet: &Sheet) -> Option<(Range<usize>, Serial)> {
    let is_soa = |(entry, _): &&(Entry, Option<Layout>)| entry.record.rtype == RecordType::SOA;
    let (entry, layout) = sheet.entries.iter().find(is_soa)?;
    let (_, serial) = split_soa(entry.record.rdata.wire())?;
    // RDATA ends with five numbers, the serial first.
    let words = &layout.as_ref()?.words;
    Some((words[words.len().checked_sub(5)?].clone(), serial))
}

/// The names in an SOA record's RDATA, and the serial behind them; 16 octets follow.
fn split_soa(rdata: &[u8]) -> Option<(&[u8], Serial)> {
    let (names, numbers) = rdata.split_at_checked(rdata.len().checked_sub(20)?)?;
    Some((names, Serial(u32::from_be_bytes(*numbers.first_chunk()?))))
}

fn with_serial(soa: &Record, serial: Serial) -> Record {
    let mut rdata = soa.rdata.wire().to_vec();
    let at = rdata.len() - 20;
    rdata[at..at + 4].copy_from_slice(&serial.0.to_be_bytes());
    Record { rdata: Rdata::from_wire(rdata), ..soa.clone() }
}

/// The serial after `old`, as people count: where that is `YYYYMMDDnn`, the first of `today`, a `YYYYMMDD`, if that is newer.
fn next_serial(old: Serial, today: u32) -> Serial {
    let date = old.0 / 100;
    let (year, month, day) = (date / 10_000, date / 100 % 100, date % 100);
    let is_date = (1980..2100).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    old.next(is_date.then_some(Serial(today * 100)))
}

/// `text` with what is between the edits left alone.
fn apply(text: &[u8], mut edits: Vec<Edit>) -> Vec<u8> {
    // What is put in where something else is taken away stands behind it.
    edits.sort_by_key(|(range, _)| (range.start, range.end));
    let mut edited = Vec::with_capacity(text.len());
    let mut at = 0;
    for (range, replacement) in edits {
        edited.extend(&text[at..range.start]);
        edited.extend(replacement);
        at = range.end;
    }
    edited.extend(&text[at..]);
    edited
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::delegation::NameServer;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn delegation(servers: &[(&str, &[&str])]) -> Delegation {
        let servers = servers.iter().map(|(server, addresses)| NameServer {
            name: name(server),
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        });
        Delegation {
            zone: name("c2.a.example."),
            servers: servers.collect(),
            ttl: 3600,
            glue_ttl: 3600,
            ds: Vec::new(),
        }
    }

    /// The one that most texts here are to have.
    fn usual() -> Delegation {
        delegation(&[("ns.c2.a.example.", &["2001:db8::1", "192.0.2.1"])])
    }

    fn edit(text: &str, delegation: &Delegation) -> Result<Option<String>, EditError> {
        let apex = name("a.example.");
        let parent = |text| Parent { apex: &apex, text, folder: None, today: 20_261_122 };
        let Some(edited) = parent(text.as_bytes()).with(delegation)? else { return Ok(None) };
        assert!(matches!(parent(&edited.text).with(delegation), Ok(None)), "again: {text}");
        Ok(Some(String::from_utf8(edited.text).unwrap()))
    }

    const HEAD: &str = "$TTL 1h\n@ SOA ns . 7 1 2 3 4\n@ NS ns.example.\n";
    const NEW_HEAD: &str = "$TTL 1h\n@ SOA ns . 8 1 2 3 4\n@ NS ns.example.\n";

    /// The lines behind the head, before and after.
    fn check(before: &str, after: &str) {
        let edited = edit(&format!("{HEAD}{before}"), &usual()).unwrap().unwrap();
        assert_eq!(edited, format!("{NEW_HEAD}{after}"), "{before}");
    }

    #[test]
    fn what_is_missing_is_added_beneath_what_is_there_else_at_the_end() {
        let all = "c2     NS   ns.c2\nns.c2  AAAA 2001:db8::1\nns.c2  A    192.0.2.1\n";
        check("", all);
        check("b TXT x", &format!("b TXT x\n{all}"));
        check("$ORIGIN c2\n", "$ORIGIN c2\n@   NS   ns\nns  AAAA 2001:db8::1\nns  A    192.0.2.1\n");
        check(
            "c2 NS ns.c2 ; ours\n\n; next\nd TXT x\n",
            "c2 NS ns.c2 ; ours\nns.c2  AAAA 2001:db8::1\nns.c2  A    192.0.2.1\n\n; next\nd TXT x\n",
        );
        check(
            "c2           IN NS ns.c2\n  TXT hidden\nd TXT x",
            "c2           IN NS ns.c2\n  TXT hidden\nns.c2        IN AAAA 2001:db8::1\nns.c2        IN A    192.0.2.1\nd TXT x",
        );
    }

    #[test]
    fn what_is_stale_leaves_its_comments() {
        check(
            "c2 NS ns.c2\nns.c2 ( ; one\n  AAAA ; two\n 2001:db8::1 ) ; three\n A 192.0.2.9 ; nine\n A 192.0.2.1\nold.c2 A 192.0.2.8\n",
            "c2 NS ns.c2\nns.c2 ( ; one\n  AAAA ; two\n 2001:db8::1 ) ; three\n; nine\n A 192.0.2.1\n",
        );
        check(
            "c2 NS ns.c2\nns.c2 60 AAAA 2001:db8::1 ; short\n      A 192.0.2.1\n  DS 1 13 2 00\n",
            "c2 NS ns.c2\n; short\nns.c2 A 192.0.2.1\n  DS 1 13 2 00\nns.c2  AAAA 2001:db8::1\n",
        );
        check(
            "c2 DS 1 13 2 00 ; key\n   NS ns.c2\n   TXT \"; (\"\nns.c2 A 192.0.2.1\n AAAA 2001:db8::1",
            "; key\nc2 NS ns.c2\n   TXT \"; (\"\nns.c2 A 192.0.2.1\n AAAA 2001:db8::1",
        );
    }

    #[test]
    fn glue_of_others_stays() {
        check(
            "d NS NS2.c2\nns2.c2 A 192.0.2.2\nns3.c2 A 192.0.2.3\nc2 NS ns.c2\nns.c2 A 192.0.2.1\n",
            "d NS NS2.c2\nns2.c2 A 192.0.2.2\nc2 NS ns.c2\nns.c2 A 192.0.2.1\nns.c2  AAAA 2001:db8::1\n",
        );
    }

    #[test]
    fn lines_end_as_they_do_and_a_mark_stays() {
        let text = format!("\u{feff}{HEAD}c2 NS ns.c2 ; x").replace('\n', "\r\n");
        let after = format!("\u{feff}{NEW_HEAD}c2 NS ns.c2 ; x\nns.c2  AAAA 2001:db8::1\nns.c2  A    192.0.2.1\n")
            .replace('\n', "\r\n");
        assert_eq!(edit(&text, &usual()).unwrap().unwrap(), after);
    }

    #[test]
    fn where_ttls_are_inherited_nothing_behind_changes() {
        let head = "@ 60 SOA ns . 7 1 2 3 4\n@ NS ns.example.\n";
        let new_head = head.replace('7', "8");
        // Beneath, `d` would have the hour.
        let edited = edit(&format!("{head}c2 3600 NS ns.c2\nd 60 TXT x\ne TXT y\n"), &usual()).unwrap().unwrap();
        let added = "ns.c2  3600 AAAA 2001:db8::1\nns.c2  3600 A    192.0.2.1\n";
        assert_eq!(edited, format!("{new_head}c2 3600 NS ns.c2\n{added}d 60 TXT x\ne TXT y\n"));
        let edited = edit(&format!("{head}d TXT x\nc2 60 NS ns.c2\ne TXT y\n"), &usual()).unwrap().unwrap();
        let added = "c2     3600 NS   ns.c2\nns.c2  3600 AAAA 2001:db8::1\nns.c2  3600 A    192.0.2.1\n";
        assert_eq!(edited, format!("{new_head}d TXT x\ne TXT y\n{added}"));
        let entangled = edit(&format!("{head}d TXT x\nc2 70 NS ns.c2\ne TXT y\n"), &usual());
        assert!(matches!(entangled, Err(EditError::Entangled)), "{entangled:?}");
    }

    #[test]
    fn what_cannot_be_changed_here_is_refused() {
        let refused = |rest: &str, delegation: &Delegation| {
            let error = edit(&format!("{HEAD}{rest}"), delegation).unwrap_err();
            crate::error::chain(&error)
        };
        assert_eq!(
            refused("b RRSIG A 13 2 60 20260101000000 20260101000000 1 @ AAAA", &usual()),
            "it is signed: change the file that it is signed from"
        );
        assert_eq!(
            refused("c2 CNAME b", &usual()),
            "with the delegation it would make no zone: c2.a.example. owns a CNAME record and other data (NS): keep one of them",
        );
        assert_eq!(
            refused("x {", &usual()),
            "it is no master file of a.example., and nothing else is changed here (--format prints what other parents take): \
             line 4, column 3: unknown record type `{`: check its spelling, or write it by number as `TYPEnnn \\# length hex` (RFC 3597)",
        );
        let below = Delegation { zone: name("c2.b.a.example."), ..delegation(&[("ns.example.", &[])]) };
        assert_eq!(
            refused("b NS ns.example.", &below),
            "c2.b.a.example. would be hidden there, by what stands above it: the parent is another zone",
        );
    }

    #[test]
    fn an_included_delegation_is_changed_where_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("clusters"), "c2 NS ns.c2\n").unwrap();
        let apex = name("a.example.");
        let text = format!("{HEAD}$INCLUDE clusters\n");
        let parent = Parent { apex: &apex, text: text.as_bytes(), folder: Some(folder.path()), today: 20_261_122 };
        let file = folder.path().join("clusters");
        assert!(
            matches!(parent.with(&usual()), Err(EditError::Included { what: "delegation", file: found }) if found == file)
        );
    }

    #[test]
    fn serials_rise_by_one_or_to_today() {
        for (old, new) in [
            (0, 1),
            (7, 8),
            (u32::MAX, 0),
            (2_026_110_100, 2_026_112_200),
            (2_026_112_200, 2_026_112_201),
            (2_026_112_299, 2_026_112_300),
            (2_027_010_100, 2_027_010_101),
            (2_026_130_100, 2_026_130_101),
            (1_700_000_000, 1_700_000_001),
        ] {
            assert_eq!(next_serial(Serial(old), 20_261_122), Serial(new), "{old}");
        }
    }

    /// Lines of a master file: of other names, and of the delegation, stale and not, in all manners.
    fn lines() -> impl Strategy<Value = String> {
        let owner = prop_oneof![Just("c2"), Just("ns.c2"), Just("b"), Just("old.c2.a.example."), Just(""), Just("ns")];
        let ttl = prop_oneof![Just(""), Just("60 "), Just("3600 IN "), Just("IN ")];
        let data = prop_oneof![
            Just("NS ns.c2.a.example."),
            Just("NS ns.example."),
            Just("AAAA 2001:db8::1"),
            Just("A 192.0.2.1"),
            Just("A 192.0.2.7"),
            Just("TXT \"; (\" \\;"),
            Just("( ; open\n A ; type\n\n 192.0.2.1 ; address\n )"),
            Just("DS 1 13 2 ( 00\n 00 )"),
        ];
        let comment = prop_oneof![Just(""), Just(" ; why"), Just(" ;\"(")];
        let entry =
            (owner, ttl, data, comment).prop_map(|(owner, ttl, data, comment)| format!("{owner} {ttl}{data}{comment}"));
        let other = prop_oneof![
            Just("".to_owned()),
            Just("; a line".to_owned()),
            Just("$TTL 3600".to_owned()),
            Just("$ORIGIN a.example.".to_owned()),
            Just("$ORIGIN c2.a.example. ; here".to_owned()),
            Just("  ; indented".to_owned()),
        ];
        let line = prop_oneof![4 => entry, 1 => other];
        (prop::collection::vec(line, 0..12), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
            |(lines, has_ttl, has_crlf, is_open)| {
                let ttl = if has_ttl { "$TTL 3600 ; all\n" } else { "" };
                let text = format!(
                    "{ttl}@ 60 SOA ns . (\n 2026112205 ; serial\n 1 2 3 4 )\n NS ns.example.\n{}",
                    lines.join("\n")
                );
                let text = if is_open { text } else { text + "\n" };
                if has_crlf { text.replace('\n', "\r\n") } else { text }
            },
        )
    }

    fn comments(text: &str) -> Vec<String> {
        let comments =
            ["; why", ";\"(", "; open", "; type", "; address", "; a line", "; here", "; indented", "; all", "; serial"];
        let mut found: Vec<_> =
            comments.iter().map(|comment| format!("{} {comment}", text.matches(comment).count())).collect();
        found.sort();
        found
    }

    proptest! {
        #[test]
        fn the_delegation_changes_and_nothing_else(text in lines()) {
            let apex = name("a.example.");
            let wanted = usual();
            let parse = |text: &str| {
                let records = master::parse(text.as_bytes(), &apex, None).unwrap();
                let records = records.into_iter().filter(|record| record.rtype != RecordType::SOA);
                let mut lines: Vec<_> = records.map(|record| Record { owner: record.owner.to_lowercase(), ..record }.to_string()).collect();
                lines.sort();
                lines.dedup();
                lines
            };
            match edit(&text, &wanted) {
                Ok(edited) => {
                    let edited = edited.unwrap_or_else(|| text.clone());
                    prop_assert_eq!(comments(&edited), comments(&text), "{}", edited);
                    let records = master::parse(text.as_bytes(), &apex, None).unwrap();
                    let others = records.into_iter().filter(|record| !is_of(&wanted.zone, record));
                    let kept = others.chain(wanted.records()).map(|record| format!("{record}\n"));
                    prop_assert_eq!(parse(&edited), parse(&kept.collect::<String>()), "{}\n{}", text, edited);
                }
                // What no zone is, is not changed; nor what would be another one.
                Err(EditError::NotMaster { .. } | EditError::Entangled) => return Err(TestCaseError::reject("not changed")),
                Err(error) => prop_assert!(false, "{error}: {text}"),
            }
        }
    }
}
