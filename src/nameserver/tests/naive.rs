//! What the RFCs say a response holds, read word by word.
//!
//! The frame is RFC 1034 §4.3.2, "the actual algorithm used by the name server", with what RFC 4592 §3.3.3 (wildcards),
//! RFC 6672 §3.2 (DNAME) and RFC 6604 §3 (the RCODE of a chain) have put in its place. It is slow, and takes none of the
//! ways that this server takes: every step looks through all records. RFC 1034's words are in quotes; where they leave a
//! choice, docs/ANSWERS.md makes it.

use hickory_proto::rr::rdata::CNAME;
use hickory_proto::rr::{Name, RData, RecordType};

use super::super::rcode::{NXDOMAIN, YXDOMAIN};
use crate::zone::Record;

/// So many aliases are followed.
const MAX_LINKS: usize = 16;

/// The records of one zone.
pub(super) struct Records {
    apex: Name,
    all: Vec<Record>,
}

/// What a response has to hold: records as text, each section in no order.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) rcode: u16,
    /// The answer comes from another zone's servers: AA is not set.
    pub(super) is_referral: bool,
    pub(super) answer: Vec<String>,
    pub(super) authority: Vec<String>,
    pub(super) additional: Vec<String>,
    /// The ways that the reading went.
    pub(super) steps: Vec<&'static str>,
}

/// How "matching down, label by label" ends: RFC 1034 §4.3.2, step 3.
enum Match {
    /// 3a, or 3c with a wildcard: the node whose records answer.
    Source(Name),
    /// 3b: the cut.
    Cut(Name),
    /// RFC 6672 §3.2, 3C: the last label matched has a DNAME record.
    Dname(Name),
    /// 3c without either.
    Nothing,
}

impl Records {
    pub(super) fn new(apex: Name, records: &[Record]) -> Self {
        let mut all: Vec<Record> = Vec::new();
        for record in records {
            // RFC 2181 §5: of two records that are equal but for the TTL, one is suppressed.
            if !all.iter().any(|other| Record { ttl: record.ttl, ..other.clone() } == *record) {
                all.push(record.clone());
            }
        }
        // RFC 2181 §5.2: an RRset has one TTL, the lowest of those given.
        let lowest = |one: &Record| {
            let set = records.iter().filter(|other| other.owner == one.owner && other.rtype == one.rtype);
            set.map(|record| record.ttl).min().unwrap()
        };
        let all = all.iter().map(|record| Record { ttl: lowest(record), ..record.clone() }).collect();
        Self { apex, all }
    }

    /// The records of `rtype` at `source`, as `owner` has them.
    fn rrset(&self, source: &Name, rtype: RecordType, owner: &Name) -> Vec<Record> {
        let set = self.all.iter().filter(|record| record.owner == *source && record.rtype == rtype);
        set.map(|record| Record { owner: owner.clone(), ..record.clone() }).collect()
    }

    fn has(&self, name: &Name, rtype: RecordType) -> bool {
        !self.rrset(name, rtype, name).is_empty()
    }

    /// RFC 4592 §2.2.2: a name that owns no records exists if one below it does.
    fn exists(&self, name: &Name) -> bool {
        self.all.iter().any(|record| is_within(&record.owner, name))
    }

    /// "Start matching down, label by label, in the zone."
    fn match_down(&self, qname: &Name, qtype: RecordType) -> Match {
        let labels: Vec<&[u8]> = qname.iter().collect();
        let mut matched = self.apex.clone();
        for count in self.apex.iter().count()..=labels.len() {
            let name = Name::from_labels(labels[labels.len() - count..].to_vec()).unwrap();
            if !self.exists(&name) {
                // "If at some label, a match is impossible"
                return self.mismatch(&matched);
            }
            // "a node with NS RRs marking cuts along the bottom of a zone"; RFC 4592 §4.2 leaves NS at a wildcard open,
            // and of the cut itself DS is the parent's (RFC 4035 §3.1.4.1).
            let is_cut = name != self.apex && self.has(&name, RecordType::NS) && !name.is_wildcard();
            if is_cut && !(name == *qname && qtype == RecordType::DS) {
                return Match::Cut(name);
            }
            matched = name;
        }
        // "If the whole of QNAME is matched, we have found the node."
        Match::Source(matched)
    }

    /// RFC 6672 §3.2, 3C: the last label matched may have a DNAME record; only without one, "look to see if a the "*" label
    /// exists".
    fn mismatch(&self, encloser: &Name) -> Match {
        let wildcard = encloser.prepend_label("*").expect("shorter than a name that was asked for");
        if self.has(encloser, RecordType::DNAME) {
            Match::Dname(encloser.clone())
        } else if self.exists(&wildcard) {
            Match::Source(wildcard)
        } else {
            Match::Nothing
        }
    }

    /// What a response to `qname` and `qtype` holds.
    pub(super) fn read(&self, qname: &Name, qtype: RecordType) -> Reading {
        let mut reading = Reading::default();
        let mut qname = qname.clone();
        let mut asked: Vec<Name> = Vec::new();
        // Step 2: "Search the available zones for the zone which is the nearest ancestor to QNAME": names of other zones
        // and names that were asked for already end a chain.
        while is_within(&qname, &self.apex) && !asked.contains(&qname) {
            asked.push(qname.clone());
            let is_first = asked.len() == 1;
            let written = reading.answer.len();
            let alias = match self.match_down(&qname, qtype) {
                Match::Source(source) => self.node(&source, &qname, qtype, &mut reading),
                Match::Cut(cut) => {
                    reading.step(if is_first { "3b" } else { "a chain to 3b" });
                    reading.is_referral = is_first;
                    self.refer(&cut, &mut reading);
                    None
                }
                Match::Dname(_) if asked.len() > MAX_LINKS => {
                    reading.step("too long a chain");
                    None
                }
                Match::Dname(owner) => self.redirect(&owner, &qname, qtype, &mut reading),
                Match::Nothing => {
                    reading.step(if is_first { "3c" } else { "a chain to 3c" });
                    // RFC 6604 §3: the RCODE of a chain is that of its last name.
                    reading.rcode = NXDOMAIN;
                    self.deny(&mut reading);
                    None
                }
            };
            let Some(target) = alias else { return reading };
            if asked.len() > MAX_LINKS {
                reading.step("too long a chain");
                reading.answer.truncate(written);
                return reading;
            }
            qname = target;
        }
        reading.step(if asked.contains(&qname) { "a loop" } else { "a chain out of the zone" });
        reading
    }

    /// 3a, and 3c with a wildcard (RFC 4592 §3.3.3): gives the name to go back to step 1 with.
    fn node(&self, source: &Name, qname: &Name, qtype: RecordType, reading: &mut Reading) -> Option<Name> {
        let is_wildcard = source != qname;
        // RFC 8482 §4.1: ANY gets one RRset.
        let own = self.all.iter().filter(|record| record.owner == *source).map(|record| record.rtype);
        let qtype = match qtype {
            RecordType::ANY if self.has(source, RecordType::CNAME) => RecordType::CNAME,
            RecordType::ANY => own.min().unwrap_or(qtype),
            _ => qtype,
        };
        let alias = self.rrset(source, RecordType::CNAME, qname).pop();
        if let Some(alias) = alias.filter(|_| qtype != RecordType::CNAME) {
            // "If the data at the node is a CNAME, and QTYPE doesn't match CNAME, copy the CNAME RR into the answer
            // section of the response, change QNAME to the canonical name in the CNAME RR, and go back to step 1."
            reading.step(if is_wildcard { "3c, a wildcard's CNAME" } else { "3a, a CNAME" });
            reading.answer.push(alias.to_string());
            return Some(target(&alias, 0));
        }
        // "Otherwise, copy all RRs which match QTYPE into the answer section and go to step 6."
        let matching = self.rrset(source, qtype, qname);
        if matching.is_empty() {
            // RFC 2308 §2.2
            reading.step(if is_wildcard { "3c, a wildcard without data" } else { "3a without data" });
            self.deny(reading);
            return None;
        }
        reading.step(if is_wildcard { "3c, a wildcard" } else { "3a" });
        for record in &matching {
            reading.answer(record);
        }
        self.step_6(&matching, None, reading);
        None
    }

    /// RFC 6672 §3.2, 3C: gives the name to go back to step 1 with.
    fn redirect(&self, owner: &Name, qname: &Name, qtype: RecordType, reading: &mut Reading) -> Option<Name> {
        // The record is copied into the answer section.
        let dname = self.rrset(owner, RecordType::DNAME, owner).pop().unwrap();
        reading.answer(&dname);
        // Its target is put in the place of its owner in QNAME; YXDOMAIN, and no more, where that makes too long a name.
        let above = owner.iter().count();
        let prefix = qname.iter().take(qname.iter().count() - above);
        let Ok(renamed) = Name::from_labels(prefix.chain(target(&dname, 0).iter()).collect::<Vec<_>>()) else {
            reading.rcode = YXDOMAIN;
            reading.step("3c, a DNAME that makes too long a name");
            return None;
        };
        // §3.1: and a CNAME record is made of it, with the DNAME record's TTL.
        reading.step("3c, a DNAME");
        let cname = RData::CNAME(CNAME(renamed.clone()));
        reading.answer.push(Record::new(qname.clone(), dname.ttl, &cname).to_string());
        // Which is what was asked for if QTYPE is CNAME: so say BIND, Knot and NSD, too.
        (qtype != RecordType::CNAME).then_some(renamed)
    }

    /// 3b: "Copy the NS RRs for the subzone into the authority section of the reply. Put whatever addresses are available
    /// into the additional section, using glue RRs if the addresses are not available from authoritative data."
    fn refer(&self, cut: &Name, reading: &mut Reading) {
        let nameservers = self.rrset(cut, RecordType::NS, cut);
        reading.authority.extend(nameservers.iter().map(ToString::to_string));
        self.step_6(&nameservers, Some(cut), reading);
    }

    /// RFC 2308 §3: the SOA record, its TTL the smaller of its own and MINIMUM.
    fn deny(&self, reading: &mut Reading) {
        let mut soa = self.rrset(&self.apex, RecordType::SOA, &self.apex).pop().unwrap();
        let minimum = *soa.rdata.wire().last_chunk().unwrap();
        soa.ttl = soa.ttl.min(u32::from_be_bytes(minimum));
        reading.authority.push(soa.to_string());
    }

    /// "Using local data only, attempt to add other RRs which may be useful to the additional section of the query."
    ///
    /// Those are the addresses of the targets of NS, MX (RFC 1035 §3.3), SRV (RFC 2782) and HTTPS (RFC 9460 §4.1).
    fn step_6(&self, records: &[Record], cut: Option<&Name>, reading: &mut Reading) {
        let mut targets: Vec<Name> = Vec::new();
        for record in records {
            let target = match record.rtype {
                RecordType::NS => target(record, 0),
                RecordType::MX | RecordType::HTTPS => target(record, 2),
                RecordType::SRV => target(record, 6),
                _ => continue,
            };
            // RFC 9460 §2.5.2: in ServiceMode "." is the owner; RFC 2782, RFC 7505, RFC 9460 §2.5.1: otherwise nothing.
            let is_service = record.rtype == RecordType::HTTPS && record.rdata.wire()[..2] != [0, 0];
            let target = if target.is_root() && is_service { record.owner.clone() } else { target };
            if !target.is_root() && is_within(&target, &self.apex) && !targets.contains(&target) {
                targets.push(target);
            }
        }
        let is_ns = records.iter().any(|record| record.rtype == RecordType::NS);
        for target in targets {
            let (source, step) = match self.match_down(&target, RecordType::A) {
                _ if cut.is_some_and(|cut| is_within(&target, cut)) => (target.clone(), "6, in-domain glue"),
                Match::Source(source) if source == target => (source, "6, an address"),
                Match::Source(wildcard) => (wildcard, "6, an address of a wildcard"),
                // RFC 9471 §2.2: to be had for name servers only.
                Match::Cut(_) if is_ns => (target.clone(), "6, sibling glue"),
                _ => continue,
            };
            let addresses = [RecordType::AAAA, RecordType::A].map(|rtype| self.rrset(&source, rtype, &target));
            for record in addresses.iter().flatten() {
                reading.step(step);
                reading.additional.push(record.to_string());
            }
        }
    }
}

impl Reading {
    fn step(&mut self, step: &'static str) {
        self.steps.push(step);
    }

    /// A DNAME record that is met twice is written once.
    fn answer(&mut self, record: &Record) {
        let record = record.to_string();
        if !self.answer.contains(&record) {
            self.answer.push(record);
        }
    }
}

fn is_within(name: &Name, ancestor: &Name) -> bool {
    let (name, ancestor): (Vec<_>, Vec<_>) = (name.iter().collect(), ancestor.iter().collect());
    name.ends_with(&ancestor)
}

/// The name that stands at `at` of a record's RDATA.
fn target(record: &Record, at: usize) -> Name {
    let mut rest = &record.rdata.wire()[at..];
    let mut labels = Vec::new();
    while rest[0] != 0 {
        let (label, behind) = rest[1..].split_at(rest[0].into());
        labels.push(label);
        rest = behind;
    }
    Name::from_labels(labels).unwrap()
}
