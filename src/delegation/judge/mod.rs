//! What is wrong at a zone cut, whose side it is on, and what to do about it.
//!
//! A [`Cut`] goes in, [`Finding`]s come out; nothing is asked here. Where it is known what should be in the
//! parent, that is what the parent is held to; otherwise it is what the zone's own servers say.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use ipnet::Ipv6Net;
use serde::Serialize;

use super::{Cut, Delegation, Exchange, Origin, PAYLOAD, Reply, Silence, Transport, Witness};
use crate::schema::AddressFilter;
use crate::zone;

/// Seconds that a resolver may remember that a server or a name did not work (RFC 2308 §7, RFC 9520 §3.2).
const FAILURE: u32 = 300;

/// Addresses of examples (RFC 3849, RFC 9637): there they stand for those of the world.
const EXAMPLES: [Ipv6Net; 2] = [
    Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    Ipv6Net::new_assert(Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// What can be wrong with a delegation.
///
/// A closed set, in the order of a resolver's way: what comes first hides what comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// No root server answers.
    RootSilent,
    /// This machine has no way to addresses of a family.
    NoRoute,
    /// The parent does not delegate the zone.
    NotDelegated,
    /// Some servers of the parent delegate it otherwise than others.
    ParentsDiffer,
    /// Name servers refer to each other, or back to where the question came from.
    ReferralLoop,
    /// There is no way to a name server: nobody says an address of it.
    NoWayIn,
    /// The parent lacks a name server.
    NameServerMissing,
    /// The parent has a name server that it should not have.
    NameServerExtra,
    /// The parent lacks an address of a name server that it has none of.
    GlueMissing,
    /// The parent lacks one of several addresses of a name server.
    GlueIncomplete,
    /// The parent has an address that a name server does not have any more.
    GlueStale,
    /// An address that the world cannot reach.
    AddressPrivate,
    /// DS records without the keys that they are of.
    DsWithoutKey,
    /// The parent lacks the DS records that it should have.
    DsMissing,
    /// The parent has other DS records than it should have.
    DsDiffers,
    /// A server does not answer.
    Silent,
    /// A server answers, but not for the zone.
    Lame,
    /// A server does not answer over UDP.
    NoUdp,
    /// A server does not answer over TCP.
    NoTcp,
    /// A server does not answer where EDNS is used.
    NoEdns,
    /// Large responses over UDP get lost.
    LargeLost,
    /// The zone's servers have different NS RRsets.
    ChildrenDiffer,
    /// The zone's servers have different versions of it.
    SerialsDiffer,
    /// The zone's servers do not say the same of a name.
    AnswersDiffer,
    /// No server has an IPv6 address.
    NoIpv6,
    /// No server has an IPv4 address.
    NoIpv4,
    /// All depends on one server.
    SingleServer,
    /// The parent's TTLs are others than they should be.
    TtlDiffers,
    /// An alias leads to itself.
    CnameLoop,
    /// An alias leads to a name that does not exist.
    CnameDangling,
    /// There was more to ask than is asked.
    TooMuch,
}

/// The serialized form, which is also a metric's label.
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// Who can mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Whoever operates the parent zone.
    Parent,
    /// Whoever operates the zone.
    Child,
    /// Whoever operates the network between.
    Path,
    /// This machine alone is concerned.
    Here,
}

/// The serialized form.
impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing leads to the zone, or answers are wrong.
    Broken,
    /// Some resolvers, or some of the time, get no answer.
    Degraded,
    /// It works; somebody may want to know.
    Note,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is.
    pub code: Code,
    /// Who can mend it.
    pub side: Side,
    /// How bad it is.
    pub severity: Severity,
    /// The zone that is cut off there, with its final dot.
    pub zone: String,
    /// What it is about: a name server with its address, or the zone.
    pub subject: String,
    /// What was seen: a sentence.
    pub message: String,
    /// What to do: a sentence.
    pub fix: String,
    /// Seconds that caches may remember it for, after it was mended; none: they do not.
    pub remembered: Option<u32>,
}

/// What is wrong at `cut`, the worst first; where it is known what should be, going by `expected`.
#[must_use]
pub fn judge(cut: &Cut, expected: Option<&Delegation>) -> Vec<Finding> {
    let health = cut.below.iter().map(|witness| (witness, Health::of(witness, &cut.zone))).collect();
    let judge = Judge { cut, expected, referrals: referrals(cut), own: Own::of(cut), health };
    let mut findings = judge.delegated();
    if judge.referrals.iter().any(|(_, said)| matches!(said, Said::Referral(_))) {
        findings.extend(judge.name_servers());
        findings.extend(judge.glue());
        findings.extend(judge.ds());
        findings.extend(judge.times());
    }
    findings.extend(judge.servers());
    findings.extend(judge.families());
    findings.extend(judge.versions());
    findings.sort_by(|one, other| {
        (one.severity, one.code, &one.subject).cmp(&(other.severity, other.code, &other.subject))
    });
    findings
}

/// Each server of the parent, and what is wrong with what it says of the zone, going by `expected`.
#[must_use]
pub fn parents(cut: &Cut, expected: &Delegation) -> Vec<(String, Result<(), String>)> {
    let alone = |witness: &Witness| {
        if matches!(said(witness, &cut.zone), Said::Nothing) {
            return Err("does not answer".to_owned());
        }
        let findings = judge(&Cut { above: vec![witness.clone()], ..cut.clone() }, Some(expected));
        let is_its_own = |finding: &Finding| finding.side == Side::Parent && finding.severity < Severity::Note;
        findings.into_iter().find(is_its_own).map_or(Ok(()), |finding| Err(finding.message))
    };
    cut.above.iter().map(|witness| (subject(witness), alone(witness))).collect()
}

/// What a server of the parent says of the zone.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    /// Others know.
    Referral(Referral),
    /// It has the zone itself, so that nobody can tell what the parent says.
    Itself,
    /// There is no such delegation; caches remember that for so many seconds.
    Denial { rcode: ResponseCode, remembered: Option<u32> },
    /// Nothing that can be used. That is the parent's own cut's trouble.
    Nothing,
}

/// A delegation as a server of the parent has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Referral {
    /// NS, and the glue that came with it.
    servers: BTreeMap<Name, BTreeSet<IpAddr>>,
    ttl: u32,
    glue_ttl: Option<u32>,
    /// The DS records' RDATA, as text.
    ds: BTreeSet<String>,
    ds_ttl: Option<u32>,
}

impl Referral {
    /// For people, and for telling two apart.
    fn gist(&self) -> impl Eq + '_ {
        (&self.servers, &self.ds)
    }

    fn names(&self) -> String {
        list(self.servers.keys())
    }
}

/// What each server of the parent says.
fn referrals(cut: &Cut) -> Vec<(&Witness, Said)> {
    cut.above.iter().map(|witness| (witness, said(witness, &cut.zone))).collect()
}

fn said(witness: &Witness, zone: &Name) -> Said {
    let Some(reply) = witness.reply(zone, RecordType::NS) else { return Said::Nothing };
    let message = &reply.message;
    let ns = |section: &[Record]| section.iter().any(|record| is(record, zone, RecordType::NS));
    match reply.rcode() {
        ResponseCode::NoError if ns(&message.answers) => Said::Itself,
        ResponseCode::NoError if ns(&message.authorities) => Said::Referral(referral(reply, zone)),
        rcode @ (ResponseCode::NXDomain | ResponseCode::NoError) if message.metadata.authoritative => {
            Said::Denial { rcode, remembered: negative_ttl(reply) }
        }
        _ => Said::Nothing,
    }
}

fn referral(reply: &Reply, zone: &Name) -> Referral {
    let mut said = Referral::default();
    for record in &reply.message.authorities {
        match &record.data {
            RData::NS(target) if record.name == *zone => {
                said.servers.entry(target.0.to_lowercase()).or_default();
                said.ttl = record.ttl;
            }
            data if is(record, zone, RecordType::DS) => {
                said.ds.insert(zone::Record::new(zone.clone(), record.ttl, data).rdata_to_text());
                said.ds_ttl = Some(record.ttl);
            }
            _ => {}
        }
    }
    for record in &reply.message.additionals {
        if let Some(address) = record.data.ip_addr()
            && let Some(addresses) = said.servers.get_mut(&record.name.to_lowercase())
        {
            addresses.insert(address);
            said.glue_ttl = said.glue_ttl.into_iter().chain([record.ttl]).min();
        }
    }
    said
}

fn is(record: &Record, owner: &Name, rtype: RecordType) -> bool {
    record.name == *owner && record.record_type() == rtype
}

/// Seconds that a denial is remembered for (RFC 2308 §5).
fn negative_ttl(reply: &Reply) -> Option<u32> {
    reply.message.authorities.iter().find_map(|record| match &record.data {
        RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
        _ => None,
    })
}

/// What the zone's own servers say.
#[derive(Debug, Default)]
struct Own {
    /// Its name servers, by each server that answers for the zone.
    sets: BTreeMap<BTreeSet<Name>, Vec<String>>,
    /// The addresses of name servers within the zone.
    addresses: BTreeMap<Name, BTreeSet<IpAddr>>,
    /// Whether one of them says that it has keys, or that it has none; none: nobody was asked, or answered.
    has_keys: Option<bool>,
    ttl: Option<u32>,
}

impl Own {
    fn of(cut: &Cut) -> Self {
        let mut own = Self::default();
        for witness in &cut.below {
            if let Some(reply) = authoritative(witness, &cut.zone, RecordType::NS) {
                let ns = reply.message.answers.iter().filter(|record| is(record, &cut.zone, RecordType::NS));
                own.ttl = own.ttl.or(ns.clone().map(|record| record.ttl).min());
                let names: BTreeSet<_> = ns.filter_map(target).collect();
                if !names.is_empty() {
                    own.sets.entry(names).or_default().push(subject(witness));
                }
            }
            if let Some(reply) = authoritative(witness, &cut.zone, RecordType::DNSKEY) {
                let keys = reply.message.answers.iter().any(|record| is(record, &cut.zone, RecordType::DNSKEY));
                own.has_keys = Some(own.has_keys == Some(true) || keys);
            }
            for exchange in &witness.said {
                let question = &exchange.question;
                if let Ok(reply) = &exchange.outcome
                    && matches!(question.rtype, RecordType::A | RecordType::AAAA)
                    && reply.message.metadata.authoritative
                    && cut.zone.zone_of(&question.name)
                {
                    let addresses = own.addresses.entry(question.name.to_lowercase()).or_default();
                    addresses.extend(reply.message.answers.iter().filter_map(|record| record.data.ip_addr()));
                }
            }
        }
        own
    }
}

/// The response to that question, of a server that answers for the zone.
fn authoritative<'w>(witness: &'w Witness, name: &Name, rtype: RecordType) -> Option<&'w Reply> {
    witness.reply(name, rtype).filter(|reply| {
        reply.message.metadata.authoritative && matches!(reply.rcode(), ResponseCode::NoError | ResponseCode::NXDomain)
    })
}

fn target(record: &Record) -> Option<Name> {
    match &record.data {
        RData::NS(name) => Some(name.0.to_lowercase()),
        _ => None,
    }
}

/// How a server of the zone does.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Health {
    Well,
    NoRoute,
    Unasked,
    Silent(Silence),
    NoUdp(Silence),
    NoTcp(Silence),
    NoEdns,
    LargeLost(usize),
    Lame(String),
}

impl Health {
    /// Whether a resolver, which asks over UDP first, gets answers there.
    fn answers(&self) -> bool {
        matches!(self, Self::Well | Self::NoTcp(_) | Self::NoEdns | Self::LargeLost(_))
    }

    fn of(witness: &Witness, zone: &Name) -> Self {
        let soa = |transport| witness.heard(zone, RecordType::SOA, transport);
        let (Some(udp), Some(tcp)) = (soa(Transport::Udp), soa(Transport::Tcp)) else { return Self::Unasked };
        match (&udp.outcome, &tcp.outcome) {
            (Err(Silence::NoRoute), Err(_)) => Self::NoRoute,
            (Err(Silence::Unasked), _) | (_, Err(Silence::Unasked)) => Self::Unasked,
            (Err(why), Err(other)) => match Self::without_edns(witness, zone) {
                Some(plain) => plain,
                // Over UDP, nobody may tell that nobody listens.
                None => Self::Silent(if *why == Silence::Timeout { other } else { why }.clone()),
            },
            (Ok(reply), tcp) => match (lameness(reply, zone), tcp) {
                (Some(_), _) if let Some(plain) = Self::without_edns(witness, zone) => plain,
                (Some(why), _) => Self::Lame(why),
                (None, Err(why)) => Self::NoTcp(why.clone()),
                (None, Ok(_)) => large_lost(witness).map_or(Self::Well, Self::LargeLost),
            },
            (Err(why), Ok(reply)) => match (lameness(reply, zone), Self::without_edns(witness, zone)) {
                (_, Some(plain)) => plain,
                (Some(why), None) => Self::Lame(why),
                (None, None) => Self::NoUdp(why.clone()),
            },
        }
    }

    /// How it does where it was asked without EDNS, and answers.
    fn without_edns(witness: &Witness, zone: &Name) -> Option<Self> {
        let is_plain = |exchange: &&Exchange| {
            let question = &exchange.question;
            question.payload.is_none() && question.rtype == RecordType::SOA && question.name == *zone
        };
        let reply = witness.said.iter().find(is_plain)?.outcome.as_ref().ok()?;
        lameness(reply, zone).is_none().then_some(Self::NoEdns)
    }
}

/// Why a response to a question for the zone's SOA says that the server does not serve the zone; none: it does.
fn lameness(reply: &Reply, zone: &Name) -> Option<String> {
    let explained = reply.extended_error().map(|(code, text)| match text.as_str() {
        "" => format!(" (EDE {code})"),
        text => format!(" (EDE {code}: {text})"),
    });
    let explained = explained.unwrap_or_default();
    let message = &reply.message;
    let refers = message.authorities.iter().find(|record| record.record_type() == RecordType::NS);
    match reply.rcode() {
        ResponseCode::NoError if message.metadata.truncation => None,
        ResponseCode::NoError if message.answers.iter().any(|record| is(record, zone, RecordType::SOA)) => {
            let authoritative = message.metadata.authoritative;
            (!authoritative).then(|| "answers without authority (not AA), as a resolver would".to_owned())
        }
        ResponseCode::NoError => Some(match refers {
            Some(record) if record.name == *zone => {
                "refers to the zone's servers, of which it should be one".to_owned()
            }
            Some(record) if record.name.is_root() => "refers to the servers of the root".to_owned(),
            Some(record) => format!("refers to the servers of {}", record.name),
            None => "has no SOA record of the zone".to_owned(),
        }),
        rcode => Some(format!("answers {}{explained}", rcode_text(rcode))),
    }
}

/// The size of a response that came over TCP and not over UDP, while others did.
fn large_lost(witness: &Witness) -> Option<usize> {
    let over_tcp = |question: &super::Question| {
        let same = |exchange: &&Exchange| {
            exchange.question.transport == Transport::Tcp
                && (&exchange.question.name, exchange.question.rtype) == (&question.name, question.rtype)
        };
        witness.said.iter().find(same).and_then(|exchange| exchange.outcome.as_ref().ok())
    };
    witness.said.iter().find_map(|exchange| {
        let lost = exchange.question.transport == Transport::Udp
            && exchange.outcome.as_ref().is_err_and(|why| matches!(why, Silence::Timeout | Silence::Garbled));
        over_tcp(&exchange.question).filter(|reply| lost && reply.size > 512).map(|reply| reply.size)
    })
}

struct Judge<'c> {
    cut: &'c Cut,
    expected: Option<&'c Delegation>,
    referrals: Vec<(&'c Witness, Said)>,
    own: Own,
    health: Vec<(&'c Witness, Health)>,
}

impl Judge<'_> {
    fn finding(&self, code: Code, side: Side, severity: Severity, message: String, fix: String) -> Finding {
        let zone = self.cut.zone.to_string();
        let [message, fix] = [message, fix].map(ended);
        Finding { code, side, severity, subject: zone.clone(), zone, message, fix, remembered: None }
    }

    /// Whether, and how alike, the parent delegates the zone.
    fn delegated(&self) -> Vec<Finding> {
        let Cut { zone, parent, .. } = self.cut;
        let denials = self.referrals.iter().filter_map(|(witness, said)| match said {
            Said::Denial { rcode, remembered } => Some((*witness, *rcode, *remembered)),
            _ => None,
        });
        let denials: Vec<_> = denials.collect();
        let given: Vec<_> = self.given().collect();
        let add = format!("Add the records that `kubezone delegation {zone}` prints to {parent}");
        let mut findings = Vec::new();
        if let Some((_, rcode, _)) = denials.first() {
            let remembered = denials.iter().filter_map(|(.., remembered)| *remembered).max();
            let refusing = list(denials.iter().map(|(witness, ..)| subject(witness)));
            let (code, severity, message) = if given.is_empty() && !self.has_itself() {
                let says = if *rcode == ResponseCode::NXDomain {
                    "that it does not exist (NXDOMAIN)"
                } else {
                    "that there is nothing at its name (NODATA)"
                };
                let message = format!("{zone} is not delegated: the servers of {parent} say {says}.");
                (Code::NotDelegated, Severity::Broken, message)
            } else {
                let message = format!("Some servers of {parent} delegate {zone}; these do not: {refusing}.");
                (Code::ParentsDiffer, Severity::Degraded, message)
            };
            let fix = match code {
                Code::NotDelegated => format!("{add}."),
                _ => format!("See why those have another version of {parent}: compare their serials."),
            };
            findings.push(Finding { remembered, ..self.finding(code, Side::Parent, severity, message, fix) });
        } else if let Some(((one, first), (other, second))) = given.first().and_then(|first| {
            given.iter().find(|second| second.1.gist() != first.1.gist()).map(|second| (first, second))
        }) {
            let message = format!(
                "The servers of {parent} delegate {zone} differently: {} to {}, {} to {}.",
                subject(one),
                first.names(),
                subject(other),
                second.names(),
            );
            let message = if first.servers.keys().eq(second.servers.keys()) {
                format!(
                    "The servers of {parent} delegate {zone} differently: {} and {} differ in glue or DS.",
                    subject(one),
                    subject(other),
                )
            } else {
                message
            };
            let fix = format!("See why they have different versions of {parent}: compare their serials.");
            let found = self.finding(Code::ParentsDiffer, Side::Parent, Severity::Degraded, message, fix);
            findings.push(Finding { remembered: Some(first.ttl.max(second.ttl)), ..found });
        }
        findings
    }

    /// The referrals, and who gave each.
    fn given(&self) -> impl Iterator<Item = (&Witness, &Referral)> {
        self.referrals.iter().filter_map(|(witness, said)| match said {
            Said::Referral(referral) => Some((*witness, referral)),
            _ => None,
        })
    }

    fn has_itself(&self) -> bool {
        self.referrals.iter().any(|(_, said)| *said == Said::Itself)
    }

    /// What the parent says, all its servers taken together.
    fn parents(&self) -> Referral {
        let mut all = Referral::default();
        for (_, one) in self.given() {
            for (name, addresses) in &one.servers {
                all.servers.entry(name.clone()).or_default().extend(addresses);
            }
            all.ds.extend(one.ds.iter().cloned());
            all.ttl = all.ttl.max(one.ttl);
            all.glue_ttl = all.glue_ttl.max(one.glue_ttl);
            all.ds_ttl = all.ds_ttl.max(one.ds_ttl);
        }
        all
    }

    /// The name servers that the parent should have, and who says so; none: nobody says.
    fn wanted(&self) -> Option<(BTreeSet<Name>, &'static str)> {
        if let Some(expected) = self.expected {
            return Some((expected.servers.iter().map(|server| server.name.clone()).collect(), "the configuration"));
        }
        let all: BTreeSet<_> = self.own.sets.keys().flatten().cloned().collect();
        (!all.is_empty()).then_some((all, "the zone itself"))
    }

    /// What is bad where something else leads to the zone, and worse where nothing does.
    fn unless_others_lead(&self) -> Severity {
        if self.health.iter().any(|(_, health)| health.answers()) { Severity::Degraded } else { Severity::Broken }
    }

    fn name_servers(&self) -> Vec<Finding> {
        let Cut { zone, parent, .. } = self.cut;
        let said = self.parents();
        let mut findings = Vec::new();
        if let Some((wanted, by)) = self.wanted() {
            let has: BTreeSet<_> = said.servers.keys().cloned().collect();
            let mut found = |code, names: &BTreeSet<Name>, message: String, fix: String| {
                let found = self.finding(code, Side::Parent, Severity::Degraded, message, fix);
                findings.push(Finding { subject: list(names), remembered: Some(said.ttl), ..found });
            };
            let (missing, extra) = (&wanted - &has, &has - &wanted);
            if !missing.is_empty() {
                let names = list(&missing);
                found(
                    Code::NameServerMissing,
                    &missing,
                    format!("The delegation of {zone} in {parent} lacks {names}, which {by} has as a name server."),
                    format!("Add {names} to the NS records of {zone} in {parent}."),
                );
            }
            if !extra.is_empty() {
                let names = list(&extra);
                found(
                    Code::NameServerExtra,
                    &extra,
                    format!(
                        "The delegation of {zone} in {parent} has {names}, which {by} does not have as a name server."
                    ),
                    format!("Remove {names} from the NS records of {zone} in {parent}."),
                );
            }
        }
        let mut sets = self.own.sets.iter();
        if let (Some((one, here)), Some((other, there))) = (sets.next(), sets.next()) {
            let message = format!(
                "The servers of {zone} have different NS records: {} at {}, {} at {}.",
                list(one),
                list(here),
                list(other),
                list(there),
            );
            let fix = "Give all of them the same zone: the same `nameservers` in each configuration.".to_owned();
            let found = self.finding(Code::ChildrenDiffer, Side::Child, Severity::Degraded, message, fix);
            findings.push(Finding { remembered: self.own.ttl, ..found });
        }
        findings
    }

    /// The addresses that a name server within the zone should have in the parent; none: nobody says.
    fn wanted_glue(&self, name: &Name) -> Option<BTreeSet<IpAddr>> {
        if let Some(expected) = self.expected {
            let server = expected.servers.iter().find(|server| server.name == *name)?;
            return Some(server.addresses.iter().copied().collect());
        }
        self.own.addresses.get(name).filter(|addresses| !addresses.is_empty()).cloned()
    }

    fn glue(&self) -> Vec<Finding> {
        let Cut { zone, parent, lost, .. } = self.cut;
        let said = self.parents();
        let mut findings = Vec::new();
        for (name, has) in said.servers.iter().filter(|(name, _)| zone.zone_of(name)) {
            let wanted = self.wanted_glue(name);
            let mut found = |code, severity, message: String, fix: String| {
                let found = self.finding(code, Side::Parent, severity, message, fix);
                findings.push(Finding {
                    subject: name.to_string(),
                    remembered: Some(said.glue_ttl.unwrap_or(said.ttl)),
                    ..found
                });
            };
            if has.is_empty() {
                let severity = self.unless_others_lead();
                let message = format!(
                    "The delegation of {zone} in {parent} has no address of {name}, which is within the zone: nobody can find it.",
                );
                let addresses = wanted.map(|wanted| format!(" ({})", list(&wanted))).unwrap_or_default();
                found(
                    Code::GlueMissing,
                    severity,
                    message,
                    format!("Add glue to {parent}: the addresses of {name}{addresses}."),
                );
                continue;
            }
            let Some(wanted) = wanted else { continue };
            let (lacks, stale) = (&wanted - has, has - &wanted);
            if !lacks.is_empty() {
                let lacks = list(&lacks);
                found(
                    Code::GlueIncomplete,
                    Severity::Degraded,
                    format!("The glue of {name} in {parent} lacks {lacks}."),
                    format!("Add {lacks} to the glue of {name} in {parent}."),
                );
            }
            if !stale.is_empty() {
                let stale = list(&stale);
                found(
                    Code::GlueStale,
                    self.unless_others_lead(),
                    format!("The glue of {name} in {parent} has {stale}, where that name server is not (any more)."),
                    format!("Remove {stale} from the glue of {name} in {parent}."),
                );
            }
        }
        for name in lost.iter().filter(|name| !zone.zone_of(name)) {
            let found = self.finding(
                Code::NoWayIn,
                Side::Child,
                self.unless_others_lead(),
                format!("{name}, a name server of {zone}, has no address that can be found."),
                format!("Give {name} an address, or name another name server; `kubezone trace {name}` says where its name is lost."),
            );
            findings.push(Finding { subject: name.to_string(), remembered: Some(said.ttl), ..found });
        }
        findings
    }

    fn ds(&self) -> Vec<Finding> {
        let Cut { zone, parent, .. } = self.cut;
        let said = self.parents();
        let mut findings = Vec::new();
        let mut found = |code, severity, message: String, fix: String| {
            let found = self.finding(code, Side::Parent, severity, message, fix);
            findings.push(Finding { remembered: said.ds_ttl.or(Some(said.ttl)), ..found });
        };
        if !said.ds.is_empty() && self.own.has_keys == Some(false) {
            found(
                Code::DsWithoutKey,
                Severity::Broken,
                format!(
                    "{parent} has DS records of {zone}, which is not signed: resolvers that validate answer SERVFAIL."
                ),
                format!("Remove the DS records of {zone} from {parent}."),
            );
        } else if let Some(expected) = self.expected {
            let wanted: BTreeSet<_> = expected.ds.iter().map(zone::Record::rdata_to_text).collect();
            let has = &said.ds;
            if !wanted.is_empty() && has.is_empty() {
                found(
                    Code::DsMissing,
                    Severity::Degraded,
                    format!("{parent} has no DS records of {zone}, which is signed: nobody validates it."),
                    format!("Add the DS records that `kubezone delegation {zone}` prints to {parent}."),
                );
            } else if !wanted.is_empty() && wanted != *has {
                found(
                    Code::DsDiffers,
                    Severity::Degraded,
                    format!("{parent} has other DS records of {zone} than the zone asks for."),
                    format!("Put the DS records that `kubezone delegation {zone}` prints into {parent} instead."),
                );
            }
        }
        findings
    }

    fn times(&self) -> Vec<Finding> {
        let Cut { zone, parent, .. } = self.cut;
        let said = self.parents();
        let Some(expected) = self.expected.filter(|expected| expected.ttl != said.ttl) else { return Vec::new() };
        let message = format!(
            "The NS records of {zone} in {parent} have a TTL of {}; the zone's own have {}.",
            seconds(said.ttl),
            seconds(expected.ttl),
        );
        let fix = format!("Where the provider lets you, give them {}.", seconds(expected.ttl));
        vec![self.finding(Code::TtlDiffers, Side::Parent, Severity::Note, message, fix)]
    }

    /// Whether the parent leads there, and the zone does not.
    fn is_stale(&self, witness: &Witness) -> bool {
        let wanted = (witness.origin == Origin::Glue).then(|| self.wanted_glue(&witness.name)).flatten();
        wanted.is_some_and(|wanted| !wanted.contains(&witness.address))
    }

    /// The servers of the zone, each by itself: its addresses together where they do alike.
    fn servers(&self) -> Vec<Finding> {
        let zone = &self.cut.zone;
        let mut findings = Vec::new();
        let mut alike: Vec<(&Name, &Health, Vec<IpAddr>)> = Vec::new();
        // What is stale is to be taken away, however it does.
        for (witness, health) in self.health.iter().filter(|(witness, _)| !self.is_stale(witness)) {
            match alike.iter_mut().find(|(name, other, _)| (*name, *other) == (&witness.name, health)) {
                Some((.., addresses)) => addresses.push(witness.address),
                None => alike.push((&witness.name, health, vec![witness.address])),
            }
        }
        for (name, health, addresses) in alike {
            let address = list(&addresses);
            let server = server(name, &address);
            let (code, side, severity, message, fix) = match health {
                Health::Well | Health::NoRoute | Health::Unasked => continue,
                Health::Silent(why) => (
                    Code::Silent,
                    Side::Child,
                    self.unless_others_lead(),
                    format!("{server}, a name server of {zone}, does not answer{}.", because(why)),
                    format!(
                        "See whether a server listens on {address}, and whether a firewall lets UDP and TCP port 53 through; \
                             or take the address out of {zone} and the delegation."
                    ),
                ),
                Health::Lame(why) => (
                    Code::Lame,
                    Side::Child,
                    self.unless_others_lead(),
                    format!("{server} is named as a server of {zone}, but does not serve it: it {why}."),
                    format!(
                        "Have the server at {address} serve {zone}, or take {name} out of the NS records of both sides."
                    ),
                ),
                Health::NoUdp(why) => (
                    Code::NoUdp,
                    Side::Child,
                    self.unless_others_lead(),
                    format!("{server} answers for {zone} over TCP, but not over UDP{}.", because(why)),
                    format!("Let UDP port 53 through to {address}."),
                ),
                Health::NoTcp(why) => (
                    Code::NoTcp,
                    Side::Child,
                    Severity::Degraded,
                    format!("{server} answers for {zone} over UDP, but not over TCP{}.", because(why)),
                    format!(
                        "Let TCP port 53 through to {address} (RFC 9210 §3): what does not fit into a datagram cannot be had there."
                    ),
                ),
                Health::NoEdns => (
                    Code::NoEdns,
                    Side::Child,
                    Severity::Degraded,
                    format!("{server} answers for {zone} only where the question has no EDNS."),
                    format!(
                        "Look for a firewall in front of {address} that drops EDNS, or upgrade the server (RFC 6891)."
                    ),
                ),
                Health::LargeLost(size) if *size > usize::from(PAYLOAD) => (
                    Code::LargeLost,
                    Side::Child,
                    Severity::Degraded,
                    format!(
                        "{server} answers over UDP with {size} octets where {PAYLOAD} were asked for at most, and they get lost; over TCP they do not."
                    ),
                    format!(
                        "Have the server at {address} send no more over UDP than it is asked for, and set TC instead (RFC 6891 §6.2.5)."
                    ),
                ),
                Health::LargeLost(size) => (
                    Code::LargeLost,
                    Side::Path,
                    Severity::Degraded,
                    format!("Responses of {size} octets from {server} get lost over UDP; over TCP they do not."),
                    format!(
                        "Let UDP datagrams of {PAYLOAD} octets through from {address}: some firewalls stop at 512 (RFC 9715 §3)."
                    ),
                ),
            };
            let remembered = matches!(code, Code::Silent | Code::Lame).then_some(FAILURE);
            findings.push(Finding { subject: server, remembered, ..self.finding(code, side, severity, message, fix) });
        }
        let private = self.cut.below.iter().filter(|witness| is_private(witness.address) && !self.is_stale(witness));
        for witness in private {
            let (server, address) = (subject(witness), witness.address);
            let own = self.own.addresses.get(&witness.name).is_none_or(|own| own.contains(&address));
            let side = if own { Side::Child } else { Side::Parent };
            let message = format!("{server}, a name server of {zone}, is at an address that the world cannot reach.");
            let fix =
                format!("Put an address of {} that the world can reach in its place, on both sides.", witness.name);
            let severity = if self.cut.below.iter().all(|witness| is_private(witness.address)) {
                Severity::Broken
            } else {
                Severity::Degraded
            };
            let found = self.finding(Code::AddressPrivate, side, severity, message, fix);
            findings.push(Finding { subject: server, remembered: Some(self.parents().ttl), ..found });
        }
        findings
    }

    /// Which resolvers can get there at all.
    fn families(&self) -> Vec<Finding> {
        let Cut { zone, below, .. } = self.cut;
        let mut findings = Vec::new();
        if below.is_empty() {
            return findings;
        }
        let is_meant = |of: fn(&IpAddr) -> bool| {
            self.expected.is_some_and(|expected| !expected.servers.iter().flat_map(|server| &server.addresses).any(of))
        };
        let rows = [
            (
                Code::NoIpv6,
                "IPv6",
                IpAddr::is_ipv6 as fn(&IpAddr) -> bool,
                "Give a name server an IPv6 address, in the zone and as glue",
            ),
            (
                Code::NoIpv4,
                "IPv4",
                IpAddr::is_ipv4,
                "Give a name server an IPv4 address, through NAT64 where the cluster has none, in the zone and as glue",
            ),
        ];
        for (code, family, of, fix) in rows {
            let (mut those, others): (Vec<_>, Vec<_>) =
                self.health.iter().partition(|(witness, _)| of(&witness.address));
            // Otherwise that is the parent's: its glue is incomplete.
            if those.is_empty() && !self.own.addresses.values().flatten().any(of) {
                let severity = if is_meant(of) { Severity::Note } else { Severity::Degraded };
                let message = format!(
                    "No name server of {zone} has an {family} address: resolvers that have only {family} cannot get there."
                );
                findings.push(self.finding(code, Side::Child, severity, message, format!("{fix}.")));
            }
            those.retain(|(_, health)| *health != Health::NoRoute);
            if those.is_empty() && others.len() < below.len() {
                let alone = others.is_empty();
                let severity = if alone { Severity::Broken } else { Severity::Note };
                let message = format!(
                    "This machine has no way to {family} addresses{}.",
                    if alone { format!(", and no name server of {zone} has another") } else { String::new() }
                );
                let fix = format!("Look from a machine that has {family}; this says nothing about {zone}.");
                findings.push(self.finding(Code::NoRoute, Side::Here, severity, message, fix));
            }
        }
        let names: BTreeSet<_> = below.iter().map(|witness| &witness.name).collect();
        if names.len() == 1 && self.cut.lost.is_empty() && !zone.is_root() {
            let message = format!("{zone} has a single name server, {}.", list(names));
            let fix = "Where the zone has to outlive it, add a second one elsewhere (RFC 2182 §5).".to_owned();
            findings.push(self.finding(Code::SingleServer, Side::Child, Severity::Note, message, fix));
        }
        findings
    }

    fn versions(&self) -> Vec<Finding> {
        let zone = &self.cut.zone;
        let mut serials: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        for witness in &self.cut.below {
            if let Some(serial) = authoritative(witness, zone, RecordType::SOA).and_then(serial) {
                serials.entry(serial).or_default().push(subject(witness));
            }
        }
        if serials.len() < 2 {
            return Vec::new();
        }
        let each = serials.iter().map(|(serial, servers)| format!("{serial} at {}", list(servers)));
        let message =
            format!("The servers of {zone} have different versions of it: {}.", each.collect::<Vec<_>>().join("; "));
        let fix = "Look again in a minute; where it stays so, see why the older ones follow no more.".to_owned();
        vec![self.finding(Code::SerialsDiffer, Side::Child, Severity::Degraded, message, fix)]
    }
}

/// The serial in an answer.
fn serial(reply: &Reply) -> Option<u32> {
    reply.message.answers.iter().find_map(|record| match &record.data {
        RData::SOA(soa) => Some(soa.serial),
        _ => None,
    })
}

/// Whether the world cannot reach `address`, and it is no example's.
fn is_private(address: IpAddr) -> bool {
    let is_example = match address {
        IpAddr::V4(address) => address.is_documentation(),
        IpAddr::V6(address) => EXAMPLES.iter().any(|net| net.contains(&address)),
    };
    !is_example && !AddressFilter::default().passes(address)
}

/// A sentence that ends with one dot, also where it ends with a name that has one of its own.
fn ended(sentence: String) -> String {
    match sentence.strip_suffix("..") {
        Some(rest) => format!("{rest}."),
        None => sentence,
    }
}

/// A name server, for people.
fn subject(witness: &Witness) -> String {
    server(&witness.name, &witness.address.to_string())
}

fn server(name: &Name, addresses: &str) -> String {
    if name.is_root() { addresses.to_owned() } else { format!("{name} ({addresses})") }
}

/// Why nothing came, where that is not all that can be said.
fn because(silence: &Silence) -> String {
    match silence {
        Silence::Timeout => String::new(),
        Silence::Refused => ": nobody listens there".to_owned(),
        other => format!(": {other}"),
    }
}

fn list<T: fmt::Display>(things: impl IntoIterator<Item = T>) -> String {
    things.into_iter().map(|thing| thing.to_string()).collect::<Vec<_>>().join(", ")
}

fn rcode_text(rcode: ResponseCode) -> String {
    match rcode {
        ResponseCode::Refused => "REFUSED".to_owned(),
        ResponseCode::ServFail => "SERVFAIL".to_owned(),
        ResponseCode::NXDomain => "NXDOMAIN".to_owned(),
        ResponseCode::FormErr => "FORMERR".to_owned(),
        ResponseCode::NotImp => "NOTIMP".to_owned(),
        other => format!("RCODE {}", u16::from(other)),
    }
}

/// A time to live, for people.
pub(in crate::delegation) fn seconds(ttl: u32) -> String {
    humantime_serde::re::humantime::format_duration(std::time::Duration::from_secs(ttl.into())).to_string()
}
