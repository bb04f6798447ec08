//! A walk from the root to an answer, as it is told: what each server of each zone said, what is wrong, and one sentence.
//!
//! A [`Trace`] is a value of texts and numbers, made from what was heard. Its JSON is what `kubezone trace -o json` prints
//! (docs/trace.md says it field by field); all other forms are made from it, too.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use hickory_proto::rr::{self, Name, RecordType};
use hickory_proto::serialize::binary::{BinEncodable as _, BinEncoder, NameEncoding};
use serde::Serialize;

use super::gist::{self, Heard};
use super::verdict::verdict;
use super::walk::heard;
use super::{
    Arrival, Code, Cut, Delegation, Exchange, Families, Finding, Origin, Passed, Reply, Severity, Side, Silence,
    Transport, Walk, Way, Witness, judge,
};
use crate::zone::{Rdata, Record, name_to_text};

/// Records of an answer that are told: more than one looks through.
const MOST: usize = 64;

/// Letters of a text that a server says of itself.
const LONGEST: usize = 200;

/// A question, followed from the root to its answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// What was asked for: QNAME.
    pub name: String,
    /// QTYPE.
    #[serde(rename = "type")]
    pub rtype: String,
    /// The way of the name, then that of its alias's target, and so on; at least one.
    pub legs: Vec<Leg>,
    /// Questions that were asked.
    pub questions: usize,
    /// Milliseconds that it took.
    pub milliseconds: u64,
    /// What it comes to.
    pub verdict: Verdict,
}

/// The way of one name.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Leg {
    /// The name.
    pub name: String,
    /// The zones on the way, from the root down; behind an alias from the closest one that an earlier leg came through, which
    /// comes again with what its servers say to this name. At least one.
    pub zones: Vec<Stop>,
    /// How it ends.
    pub end: End,
}

/// A zone on the way: who serves it, and what is wrong with its delegation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stop {
    /// The zone.
    pub zone: String,
    /// The zone that delegates it; none: the root.
    pub parent: Option<String>,
    /// Its servers, as the referrals say, at each of their addresses.
    pub servers: Vec<Server>,
    /// Servers of the referrals whose addresses nobody says, and why.
    pub lost: Vec<Lost>,
    /// How many addresses were left out, as there are more than are followed.
    pub left_out: usize,
    /// What is wrong, the worst first.
    pub findings: Vec<Finding>,
}

/// A name server at one of its addresses.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Server {
    /// Its name; none: nobody said one.
    pub name: Option<String>,
    /// The address.
    pub address: IpAddr,
    /// How that came to be known.
    pub origin: Origin,
    /// What it said to the question over UDP.
    pub udp: Said,
    /// What it said over TCP.
    pub tcp: Said,
    /// Who it says that it is (RFC 5001).
    pub nsid: Option<String>,
    /// The serial of the zone there.
    pub serial: Option<u32>,
    /// How well it serves the zone, going by what is wrong with it.
    pub state: State,
}

/// What came of the question over one transport.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Said {
    /// What it comes to.
    pub gist: Gist,
    /// Milliseconds until it came, or was waited for.
    pub milliseconds: f64,
    /// The octets of the response; none: there is none.
    pub size: Option<usize>,
    /// What the server says went wrong (RFC 8914).
    pub extended_error: Option<ExtendedError>,
}

/// EDNS option 15 (RFC 8914).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExtendedError {
    /// INFO-CODE.
    pub code: u16,
    /// EXTRA-TEXT.
    pub text: String,
}

/// What INFO-CODEs are called, from 0 on (RFC 8914 §4).
const EXTENDED_ERRORS: [&str; 25] = [
    "Other",
    "Unsupported DNSKEY Algorithm",
    "Unsupported DS Digest Type",
    "Stale Answer",
    "Forged Answer",
    "DNSSEC Indeterminate",
    "DNSSEC Bogus",
    "Signature Expired",
    "Signature Not Yet Valid",
    "DNSKEY Missing",
    "RRSIGs Missing",
    "No Zone Key Bit Set",
    "NSEC Missing",
    "Cached Error",
    "Not Ready",
    "Blocked",
    "Censored",
    "Filtered",
    "Prohibited",
    "Stale NXDOMAIN Answer",
    "Not Authoritative",
    "Not Supported",
    "No Reachable Authority",
    "Network Error",
    "Invalid Data",
];

impl fmt::Display for ExtendedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EDE {}", self.code)?;
        if let Some(name) = EXTENDED_ERRORS.get(usize::from(self.code)) {
            write!(f, " ({name})")?;
        }
        if self.text.is_empty() { Ok(()) } else { write!(f, ": {}", self.text) }
    }
}

/// What a response, or none, comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "camelCase")]
pub enum Gist {
    /// The records.
    Answer,
    /// The name is another name for `to`.
    Alias {
        /// Its target.
        to: String,
    },
    /// The servers of `zone` know.
    Referral {
        /// Closer to the name than the zone of who says it.
        zone: String,
    },
    /// There are no records of that type.
    NoData,
    /// There is no such name.
    NxDomain,
    /// The servers of `zone` know, which is no closer to the name.
    Upward {
        /// The zone, or one above it.
        zone: String,
    },
    /// An answer without authority.
    NotAuthoritative,
    /// The rest did not fit into a datagram.
    Truncated,
    /// An RCODE that is no answer.
    Error {
        /// Its mnemonic.
        rcode: String,
    },
    /// Nothing came.
    Silence {
        /// Why.
        why: String,
    },
}

/// A name server without an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lost {
    /// Its name.
    pub name: String,
    /// Why.
    pub why: Why,
}

/// Why nobody says an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Why {
    /// It is in the zone that it serves, and the referral has no glue.
    NoGlue,
    /// To find it, it has to be known already: name servers that need each other.
    Circle,
    /// Its zone has no address for it.
    NoAddress,
    /// Nobody answered who should know.
    Unanswered,
}

/// How the way of a name ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum End {
    /// There are records.
    Answer {
        /// The zone that has them.
        zone: String,
        /// They, as a master file has them: at most 64.
        records: Vec<String>,
    },
    /// The name is an alias: the next leg follows its target.
    Alias {
        /// The zone that says so.
        zone: String,
        /// The CNAME record, behind the DNAME that it comes of, if there is one.
        records: Vec<String>,
        /// Where it leads.
        to: String,
    },
    /// The name has no records of that type.
    NoData {
        /// The zone that says so.
        zone: String,
        /// Seconds that caches remember it (RFC 2308 §5); none: they do not, for there is no SOA.
        remembered: Option<u32>,
    },
    /// There is no such name.
    NxDomain {
        /// The zone that says so.
        zone: String,
        /// The topmost name that does not exist: the name itself or one above it.
        missing: String,
        /// Seconds that caches remember it (RFC 2308 §5); none: they do not, for there is no SOA.
        remembered: Option<u32>,
    },
    /// A name that should be a zone is none: where it should be delegated, nothing is known of it.
    Undelegated {
        /// The zone that should delegate it.
        zone: String,
        /// The zone that should be.
        missing: String,
        /// Seconds that caches remember it; none: they do not.
        remembered: Option<u32>,
    },
    /// No server of the zone says anything that leads on.
    Broken {
        /// The zone.
        zone: String,
    },
    /// The servers of the zone say that those of a zone know which is no closer to the name.
    Upward {
        /// The zone.
        zone: String,
        /// Where they refer to.
        to: String,
    },
    /// Aliases that lead back to one of them.
    Circle {
        /// The zone that closes it.
        zone: String,
        /// The name that comes again.
        to: String,
    },
    /// More aliases or referrals than are followed, more questions than are asked, or it took too long.
    Endless {
        /// The zone where it was given up.
        zone: String,
    },
}

/// How well something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Nothing to mend.
    Well,
    /// It works, and something should be mended.
    Degraded,
    /// It does not work.
    Broken,
    /// Nothing could be seen from here.
    Unseen,
}

/// What a trace comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// How well it is.
    pub state: State,
    /// What decides; none: nothing is wrong.
    pub code: Option<Code>,
    /// Whose side that is on.
    pub side: Option<Side>,
    /// Where it is broken, whose side that is, what to do next, and how long caches remember.
    pub sentence: String,
}

impl Trace {
    /// What `walk` is told as.
    #[must_use]
    pub fn of(walk: &Walk) -> Self {
        Self::judged(walk, None)
    }

    /// What a `walk` to a zone's SOA record is told as, where its delegation is held to what it should be. What is wrong
    /// above the zone and does not end the walk is left out: that is not the zone's.
    #[must_use]
    pub fn held_to(walk: &Walk, delegation: &Delegation) -> Self {
        Self::judged(walk, Some(delegation))
    }

    fn judged(walk: &Walk, expected: Option<&Delegation>) -> Self {
        let legs: Vec<_> = walk.legs.iter().map(|way| Leg::of(way, walk, expected)).collect();
        let (name, rtype) = (name_to_text(&walk.name), walk.rtype.to_string());
        let verdict = verdict(&name, &rtype, &legs);
        let milliseconds = walk.took.as_millis().try_into().unwrap_or(u64::MAX);
        Self { name, rtype, legs, questions: walk.questions, milliseconds, verdict }
    }
}

impl Leg {
    fn of(way: &Way, walk: &Walk, expected: Option<&Delegation>) -> Self {
        let rtype = walk.rtype;
        let stop = |passed| Stop::of(passed, &way.name, rtype, walk.families, expected);
        let mut zones: Vec<_> = way.zones.iter().map(stop).collect();
        if let (Some(passed), Some(stop)) = (way.zones.last(), zones.last_mut()) {
            stop.findings.extend(differences(&passed.cut, &way.name, rtype));
            stop.findings.sort_by_key(|finding| finding.severity);
            stop.mark();
        }
        Self { name: name_to_text(&way.name), zones, end: End::of(way, rtype) }
    }
}

impl Stop {
    fn of(passed: &Passed, name: &Name, rtype: RecordType, families: Families, expected: Option<&Delegation>) -> Self {
        let Passed { cut, why, left_out, again } = passed;
        let is_left_out = *again || expected.is_some_and(|expected| expected.zone != cut.zone);
        let mut findings = if is_left_out { Vec::new() } else { judge(cut, expected) };
        // Who was told to look at one family has not seen that there is no other.
        let of_families = |code| matches!(code, Code::NoIpv6 | Code::NoIpv4);
        // Nor does where one is told to begin say where the root is.
        let of_hints = |code| of_families(code) || code == Code::AddressPrivate;
        findings.retain(|finding| {
            !(families != Families::Both && of_families(finding.code) || cut.zone.is_root() && of_hints(finding.code))
        });
        let lost = why.iter().map(|(name, why)| Lost { name: name_to_text(name), why: *why });
        let servers = cut.below.iter().map(|witness| Server::of(witness, name, rtype, &cut.zone));
        let mut stop = Self {
            zone: name_to_text(&cut.zone),
            parent: (cut.parent != cut.zone).then(|| name_to_text(&cut.parent)),
            servers: servers.collect(),
            lost: lost.collect(),
            left_out: *left_out,
            findings,
        };
        stop.mark();
        stop
    }

    /// Has each server's state be that of the worst that is said of it.
    fn mark(&mut self) {
        for server in &mut self.servers {
            let address = server.address.to_string();
            let is_of = |finding: &&Finding| {
                let mut words = finding.subject.split([' ', ',', '(', ')']);
                words.any(|word| word == address || Some(word) == server.name.as_deref())
            };
            let states = self.findings.iter().filter(is_of).map(|finding| State::from(finding.severity));
            server.state = states.fold(server.state, State::max);
        }
    }
}

impl From<Severity> for State {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Broken => Self::Broken,
            Severity::Degraded => Self::Degraded,
            Severity::Note => Self::Well,
        }
    }
}

impl Server {
    fn of(witness: &Witness, name: &Name, rtype: RecordType, zone: &Name) -> Self {
        let replies = || witness.said.iter().filter_map(|exchange| exchange.outcome.as_ref().ok());
        let soa = witness.reply(zone, RecordType::SOA);
        let soa = soa.and_then(|reply| reply.message.answers.iter().find_map(gist::soa_of));
        let said = |transport| Said::of(witness.heard(name, rtype, transport), zone);
        let state = match heard(witness, name, rtype, zone) {
            heard if heard.leads_on() => State::Well,
            Heard::Silence(Silence::NoRoute | Silence::Unasked) => State::Unseen,
            _ => State::Broken,
        };
        Self {
            name: (!witness.name.is_root()).then(|| name_to_text(&witness.name)),
            address: witness.address,
            origin: witness.origin,
            udp: said(Transport::Udp),
            tcp: said(Transport::Tcp),
            nsid: replies().find_map(Reply::nsid).map(|nsid| start(&nsid)),
            serial: soa.map(|(_, _, soa)| soa.serial),
            state,
        }
    }
}

impl Said {
    fn of(exchange: Option<&Exchange>, zone: &Name) -> Self {
        let Some(exchange) = exchange else {
            let gist = Gist::from(Heard::Silence(Silence::Unasked));
            return Self { gist, milliseconds: 0.0, size: None, extended_error: None };
        };
        let reply = exchange.outcome.as_ref().ok();
        Self {
            gist: Heard::of(exchange, zone).into(),
            // Tenths are as fine as it can be told.
            milliseconds: (exchange.took.as_secs_f64() * 10_000.0).round() / 10.0,
            size: reply.map(|reply| reply.size),
            extended_error: reply
                .and_then(Reply::extended_error)
                .map(|(code, text)| ExtendedError { code, text: start(&text) }),
        }
    }
}

impl From<Heard> for Gist {
    fn from(heard: Heard) -> Self {
        match heard {
            Heard::Answer => Self::Answer,
            Heard::Alias(to) => Self::Alias { to: name_to_text(&to) },
            Heard::Referral(zone) => Self::Referral { zone: name_to_text(&zone) },
            Heard::NoData => Self::NoData,
            Heard::NxDomain => Self::NxDomain,
            Heard::Upward(zone) => Self::Upward { zone: name_to_text(&zone) },
            Heard::NotAuthoritative => Self::NotAuthoritative,
            Heard::Truncated => Self::Truncated,
            Heard::Error(rcode) => Self::Error { rcode: mnemonic(rcode) },
            Heard::Silence(silence) => Self::Silence { why: silence.to_string() },
        }
    }
}

/// As much of what a stranger says of itself as one cares to read.
fn start(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

/// An RCODE as IANA's registry has it.
fn mnemonic(rcode: hickory_proto::op::ResponseCode) -> String {
    match rcode {
        hickory_proto::op::ResponseCode::Unknown(number) => format!("RCODE{number}"),
        known => format!("{known:?}").to_uppercase(),
    }
}

impl fmt::Display for Gist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer => f.write_str("answer"),
            Self::Alias { to } => write!(f, "alias of {to}"),
            Self::Referral { zone } => write!(f, "refers to {zone}"),
            Self::NoData => f.write_str("NODATA"),
            Self::NxDomain => f.write_str("NXDOMAIN"),
            Self::Upward { zone } => write!(f, "refers back to {zone}"),
            Self::NotAuthoritative => f.write_str("no authority"),
            Self::Truncated => f.write_str("truncated"),
            Self::Error { rcode } => f.write_str(rcode),
            Self::Silence { why } => f.write_str(why),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoGlue => "is in the zone itself, and there is no glue: no way in",
            Self::Circle => "is to be found only by asking it",
            Self::NoAddress => "has no address",
            Self::Unanswered => "is nowhere: nobody answers who should know its address",
        })
    }
}

impl End {
    /// It in words: the records, or what there is instead.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Answer { records, .. } | Self::Alias { records, .. } => records.clone(),
            Self::NoData { .. } => vec!["NODATA".to_owned()],
            Self::NxDomain { missing, .. } => vec![format!("NXDOMAIN: there is no {missing}")],
            Self::Undelegated { missing, .. } => vec![format!("{missing} is not delegated")],
            Self::Broken { zone } => vec![format!("the way ends at {zone}")],
            Self::Upward { zone, to } => vec![format!("the servers of {zone} refer back to {to}")],
            Self::Circle { to, .. } => vec![format!("{to} comes again")],
            Self::Endless { zone } => vec![format!("given up at {zone}")],
        }
    }

    fn of(way: &Way, rtype: RecordType) -> Self {
        let cut = &way.zones.last().expect("one at least").cut;
        let zone = name_to_text(&cut.zone);
        let remembered = |servers: &[Witness], zone| {
            let reply =
                said_by_most(servers, &way.name, rtype, zone).and_then(|(_, witness)| witness.reply(&way.name, rtype));
            reply.and_then(|reply| gist::remembered(&reply.message))
        };
        match &way.end {
            Arrival::Answer => Self::Answer { records: records(cut, &way.name, rtype), zone },
            Arrival::Alias(to) => Self::Alias { records: records(cut, &way.name, rtype), zone, to: name_to_text(to) },
            Arrival::NoData => Self::NoData { zone, remembered: remembered(&cut.below, &cut.zone) },
            Arrival::NxDomain(missing) => {
                Self::NxDomain { zone, missing: name_to_text(missing), remembered: remembered(&cut.below, &cut.zone) }
            }
            Arrival::Undelegated => Self::Undelegated {
                zone: name_to_text(&cut.parent),
                missing: zone,
                remembered: remembered(&cut.above, &cut.parent),
            },
            Arrival::Broken => Self::Broken { zone },
            Arrival::Upward(to) => Self::Upward { zone, to: name_to_text(to) },
            Arrival::Circle(to) => Self::Circle { zone, to: name_to_text(to) },
            Arrival::Endless => Self::Endless { zone },
        }
    }
}

/// What most of `servers` say where the zone itself has spoken, and the first one that does.
fn said_by_most<'w>(
    servers: &'w [Witness],
    name: &Name,
    rtype: RecordType,
    zone: &Name,
) -> Option<(Heard, &'w Witness)> {
    let said: Vec<_> = servers.iter().map(|witness| (heard(witness, name, rtype, zone), witness)).collect();
    let count = |heard: &Heard| said.iter().filter(|(other, _)| other == heard).count();
    let spoken = said.iter().filter(|(heard, _)| heard.is_final());
    // Among equals the first: `max_by_key` would take the last.
    spoken.rev().max_by_key(|(heard, _)| count(heard)).map(|(heard, witness)| (heard.clone(), *witness))
}

/// The records that answer, as most of the servers say.
fn records(cut: &Cut, name: &Name, rtype: RecordType) -> Vec<String> {
    let reply = said_by_most(&cut.below, name, rtype, &cut.zone).and_then(|(_, witness)| witness.reply(name, rtype));
    let Some(Reply { message, .. }) = reply else { return Vec::new() };
    let is_dname = |record: &&rr::Record| record.record_type() == RecordType::DNAME && record.name.zone_of(name);
    let own = message.answers.iter().filter(|record| is_dname(record) || record.name == *name);
    own.filter(|record| record.record_type() != RecordType::RRSIG)
        .take(MOST)
        .filter_map(record)
        .map(|record| record.to_string())
        .collect()
}

/// A record of a message; none: hickory-proto has read what it cannot write.
fn record(record: &rr::Record) -> Option<Record> {
    let mut wire = Vec::new();
    let mut encoder = BinEncoder::new(&mut wire);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    record.data.emit(&mut encoder).ok()?;
    let (owner, rtype) = (record.name.clone(), record.record_type());
    Some(Record { owner, ttl: record.ttl, rtype, rdata: Rdata::from_wire(wire) })
}

/// A name server, for people.
fn subject(witness: &Witness) -> String {
    let Witness { name, address, .. } = witness;
    if name.is_root() { address.to_string() } else { format!("{} ({address})", name_to_text(name)) }
}

/// Where servers that have the zone do not say the same of the name as most of them do.
fn differences(cut: &Cut, name: &Name, rtype: RecordType) -> Vec<Finding> {
    let Some((most, first)) = said_by_most(&cut.below, name, rtype, &cut.zone) else { return Vec::new() };
    let set = |witness: &Witness| -> BTreeSet<String> {
        let answers = witness.reply(name, rtype).map(|reply| &reply.message.answers);
        let own = answers.into_iter().flatten().filter(|record| record.name == *name && record.record_type() == rtype);
        own.filter_map(record).map(|record| record.rdata_to_text()).collect()
    };
    let has_zone = |witness: &&Witness| {
        let reply = witness.reply(&cut.zone, RecordType::SOA);
        reply.is_some_and(|reply| reply.message.metadata.authoritative && !reply.message.answers.is_empty())
    };
    let mut findings = Vec::new();
    for witness in cut.below.iter().filter(has_zone) {
        let said = heard(witness, name, rtype, &cut.zone);
        let severity = match &said {
            said if *said != most => Severity::Degraded,
            // Servers may have their reasons, such as where who asks is.
            _ if set(witness) != set(first) => Severity::Note,
            _ => continue,
        };
        let subject = subject(witness);
        let (said, most) = (Gist::from(said), Gist::from(most.clone()));
        let message = match severity {
            Severity::Note => format!("{subject} has other {rtype} records of {} than others.", name_to_text(name)),
            _ => format!("{subject} says of {} {rtype}: {said}; others: {most}.", name_to_text(name)),
        };
        findings.push(Finding {
            code: Code::AnswersDiffer,
            side: Side::Child,
            severity,
            zone: name_to_text(&cut.zone),
            subject,
            message,
            fix: "Have all of the zone's servers serve the same version of it.".to_owned(),
            remembered: None,
        });
    }
    findings
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A trace with one of everything, and with strangers that say what nobody wants to be taken at its word.
    pub(in crate::delegation) fn sample() -> Trace {
        let said = |gist| Said {
            gist,
            milliseconds: 1.5,
            size: Some(100),
            extended_error: Some(ExtendedError { code: 14, text: "<script>&\"\u{1b}[2J".to_owned() }),
        };
        let server = Server {
            name: Some("ns.c2.k8s.ooo.".to_owned()),
            address: "2001:db8::53".parse().expect("an address"),
            origin: Origin::Glue,
            udp: said(Gist::Alias { to: "<b>.example.".to_owned() }),
            tcp: said(Gist::Error { rcode: "SERVFAIL".to_owned() }),
            nsid: Some("|*</text>".to_owned()),
            serial: Some(7),
            state: State::Degraded,
        };
        let finding = Finding {
            code: Code::AnswersDiffer,
            side: Side::Child,
            severity: Severity::Degraded,
            zone: "c2.k8s.ooo.".to_owned(),
            subject: "ns.c2.k8s.ooo. (2001:db8::53)".to_owned(),
            message: "<It> & that.".to_owned(),
            fix: "Mend it.".to_owned(),
            remembered: None,
        };
        let stop = Stop {
            zone: "c2.k8s.ooo.".to_owned(),
            parent: Some("k8s.ooo.".to_owned()),
            servers: vec![server],
            lost: vec![Lost { name: "ns2.c2.k8s.ooo.".to_owned(), why: Why::NoGlue }],
            left_out: 1,
            findings: vec![finding],
        };
        let zone = || "c2.k8s.ooo.".to_owned();
        let leg = |end| Leg { name: "web.c2.k8s.ooo.".to_owned(), zones: vec![stop.clone()], end };
        let records = vec!["web.c2.k8s.ooo. 30 IN TXT \"<script>\"".to_owned()];
        let legs = vec![
            leg(End::Alias { zone: zone(), records, to: "<b>.example.".to_owned() }),
            leg(End::NxDomain { zone: zone(), missing: zone(), remembered: Some(30) }),
        ];
        let verdict = Verdict { state: State::Broken, code: None, side: None, sentence: "It is <broken>.".to_owned() };
        Trace { name: zone(), rtype: "TXT".to_owned(), legs, questions: 1, milliseconds: 1, verdict }
    }

    /// The names of all fields of `value`, and of all below it.
    fn fields(value: &serde_json::Value, into: &mut BTreeSet<String>) {
        match value {
            serde_json::Value::Object(object) => {
                into.extend(object.keys().cloned());
                object.values().for_each(|value| fields(value, into));
            }
            serde_json::Value::Array(values) => values.iter().for_each(|value| fields(value, into)),
            _ => {}
        }
    }

    #[test]
    fn every_field_is_documented() {
        let document = include_str!("../../docs/trace.md");
        let mut names = BTreeSet::new();
        fields(&serde_json::to_value(sample()).expect("JSON"), &mut names);
        assert!(names.len() > 25, "{names:?}");
        let undocumented: Vec<_> = names.iter().filter(|name| !document.contains(&format!("`{name}`"))).collect();
        assert!(undocumented.is_empty(), "{undocumented:?}");
    }
}
