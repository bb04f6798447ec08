//! What is compared of three answers, and which differences are meant.
//!
//! Compared are RCODE, AA, ANSWER, AUTHORITY of denials and referrals, and in-domain glue: as sets, exactly; of a truncated
//! answer what TCP says. Every difference has to have its [`Rule`]. What is not the same everywhere and has its own law is
//! held to that: TC, and what else is in ADDITIONAL.

use std::collections::BTreeSet;

use super::model::{Model, Place};
use super::questions::Question;
use super::servers::{Exchange, NAMES};
use super::zones::{Family, Name, base};
use crate::support::dns::Response;

/// What came of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All say the same, but for these rules.
    Agreed(Vec<&'static str>),
    /// What nothing explains.
    Disagreement(String),
}

/// A difference from another server that is meant.
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    /// Whose answer is another one.
    pub(crate) of: Of,
    explains: fn(&Case<'_>, &Said, &Said) -> bool,
}

/// Whose answers a rule explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    Knot,
    Nsd,
    Both,
}

/// A question, and what is known of where it leads.
pub(crate) struct Case<'a> {
    pub(crate) question: &'a Question,
    /// The zones of its family.
    pub(crate) models: &'a [Model],
    /// The one that answers.
    pub(crate) zone: &'a Model,
}

impl<'a> Case<'a> {
    /// The question in its zone: the one with the longest apex, for DS at a cut the one above; none: out of all zones.
    pub(crate) fn new(models: &'a [Model], question: &'a Question) -> Option<Self> {
        let qname = question.qname.key();
        let mut zones: Vec<&Model> = models.iter().filter(|zone| qname.is_within(&zone.apex)).collect();
        zones.sort_by_key(|zone| zone.apex.len());
        let mut zone = *zones.last()?;
        if question.qtype == "DS"
            && qname == zone.apex
            && let [.., above, _] = zones[..]
            && above.place(&qname) == Place::AtCut
        {
            zone = above;
        }
        Some(Self { question, models, zone })
    }
}

/// What of an answer has to be the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) rcode: String,
    pub(crate) aa: bool,
    pub(crate) answer: Vec<String>,
    /// None beside a positive answer.
    pub(crate) authority: Vec<String>,
    /// The addresses of name servers at or below the cut of a referral.
    pub(crate) glue: Vec<String>,
    /// Addresses that may be there.
    pub(crate) optional: Vec<String>,
}

/// Every difference that is meant. docs/testing.md has them with the RFC's words.
pub(crate) const RULES: [Rule; 13] = [
    Rule { name: "any", of: Of::Both, explains: any },
    Rule { name: "ds-undelegated", of: Of::Both, explains: ds_undelegated },
    Rule { name: "sixteen-links", of: Of::Both, explains: sixteen_links },
    Rule { name: "wildcard-below-cut", of: Of::Both, explains: wildcard_below_cut },
    Rule { name: "repeats", of: Of::Both, explains: repeats },
    Rule { name: "knot-five-links", of: Of::Knot, explains: knot_five_links },
    Rule { name: "knot-after-yxdomain", of: Of::Knot, explains: knot_after_yxdomain },
    Rule { name: "knot-drops-soa", of: Of::Knot, explains: knot_drops_soa },
    Rule { name: "nsd-dname-once", of: Of::Nsd, explains: nsd_dname_once },
    Rule { name: "nsd-later-yxdomain", of: Of::Nsd, explains: nsd_later_yxdomain },
    Rule { name: "nsd-goes-on", of: Of::Nsd, explains: nsd_goes_on },
    Rule { name: "nsd-drops-glue", of: Of::Nsd, explains: nsd_drops_glue },
    Rule { name: "nsd-one-tree", of: Of::Nsd, explains: nsd_one_tree },
];

/// ANY: one RRset, the CNAME or else the one of the lowest type number, where others choose otherwise or give all.
fn any(case: &Case<'_>, ours: &Said, theirs: &Said) -> bool {
    let end = end_of_chain(case.question, &ours.answer);
    case.question.qtype == "ANY"
        && (&ours.rcode, ours.aa, ours.answer.is_empty()) == (&theirs.rcode, theirs.aa, theirs.answer.is_empty())
        && end.is_within(&case.zone.apex)
        && case.zone.first_type(&end).is_some_and(|first| {
            // A DNAME that has led here stands there already.
            let last = ours.answer.iter().filter(|record| Name::new(owner(record)) == end);
            last.clone().any(|record| rtype(record) == first)
                && last.clone().all(|record| [first, "DNAME"].contains(&rtype(record)))
        })
}

/// DS at an apex whose zone above it does not delegate it: the child's NODATA, where others answer from above.
fn ds_undelegated(case: &Case<'_>, ours: &Said, _: &Said) -> bool {
    case.question.qtype == "DS"
        && case.question.qname.key() == case.zone.apex
        && ours.rcode == "NOERROR"
        && ours.answer.is_empty()
        && ours.authority.iter().all(|record| rtype(record) == "SOA" && Name::new(owner(record)) == case.zone.apex)
}

/// A chain of more than sixteen links: what was gathered.
fn sixteen_links(_: &Case<'_>, ours: &Said, theirs: &Said) -> bool {
    links_in(ours) == 16 && ours.rcode == "NOERROR" && ours.authority.is_empty() && is_part(ours, theirs)
}

/// A wildcard below a cut: no glue comes from it, where others take it for the child's name servers.
fn wildcard_below_cut(case: &Case<'_>, ours: &Said, theirs: &Said) -> bool {
    let owned = |record: &String| case.zone.exists(&Name::new(owner(record)));
    let glue = theirs.glue.iter().filter(|record| owned(record)).cloned().collect();
    Said { glue, ..theirs.clone() }.is_same(ours)
}

/// Knot ends a chain after five links, and goes round in a loop so long.
fn knot_five_links(_: &Case<'_>, ours: &Said, theirs: &Said) -> bool {
    let ends = theirs.rcode == "NOERROR" && theirs.authority.is_empty();
    ends && links_in(theirs) == 5 && is_part(theirs, ours)
}

/// Others write a record again where a chain comes back to it.
fn repeats(_: &Case<'_>, ours: &Said, theirs: &Said) -> bool {
    let mut answer = theirs.answer.clone();
    answer.dedup();
    answer.len() < theirs.answer.len() && Said { answer, ..theirs.clone() }.is_same(ours)
}

/// Knot goes on at the DNAME's target after YXDOMAIN.
fn knot_after_yxdomain(_: &Case<'_>, ours: &Said, theirs: &Said) -> bool {
    ours.rcode == "YXDOMAIN" && is_part(ours, theirs)
}

/// Knot leaves out an SOA record that does not fit behind a chain, and does not set TC.
fn knot_drops_soa(case: &Case<'_>, ours: &Said, theirs: &Said) -> bool {
    let denied =
        ours.authority.iter().all(|record| rtype(record) == "SOA" && Name::new(owner(record)) == case.zone.apex);
    let soa = ours.authority.clone();
    links_in(ours) > 0
        && denied
        && theirs.authority.is_empty()
        && Said { authority: soa, ..theirs.clone() }.is_same(ours)
}

/// NSD follows a DNAME once; a second time ends the chain.
fn nsd_dname_once(_: &Case<'_>, ours: &Said, theirs: &Said) -> bool {
    let below = |dname: &str| {
        let dname = Name::new(dname);
        let links = ours.answer.iter().filter(|record| rtype(record) == "CNAME");
        links.filter(|link| Name::new(owner(link)).is_within(&dname)).count()
    };
    let twice = ours.answer.iter().any(|record| rtype(record) == "DNAME" && below(owner(record)) > 1);
    let ends = theirs.rcode == "NOERROR" && theirs.authority.is_empty();
    twice && ends && links_in(theirs) < links_in(ours) && is_part(theirs, ours)
}

/// NSD: NOERROR where it is not the first name of a chain that gets too long.
fn nsd_later_yxdomain(_: &Case<'_>, ours: &Said, theirs: &Said) -> bool {
    ours.rcode == "YXDOMAIN" && theirs.rcode == "NOERROR" && links_in(ours) > 0 && is_part(theirs, ours)
}

/// NSD goes on in another zone that it serves.
fn nsd_goes_on(case: &Case<'_>, ours: &Said, theirs: &Said) -> bool {
    let end = end_of_chain(case.question, &ours.answer);
    let leaves = !end.is_within(&case.zone.apex) && is_served(case, &end);
    let into_child = case.models.iter().any(|zone| zone.apex != case.zone.apex && end.is_within(&zone.apex))
        && ours.authority.iter().any(|record| rtype(record) == "NS");
    let into_parent = case.question.qtype == "DS" && end == case.zone.apex;
    links_in(ours) > 0 && (leaves || into_child || into_parent) && is_part(ours, theirs)
}

/// NSD leaves out in-domain glue that does not fit, and does not set TC.
fn nsd_drops_glue(case: &Case<'_>, ours: &Said, theirs: &Said) -> bool {
    let owned = |record: &String| case.zone.exists(&Name::new(owner(record)));
    let mut glue = theirs.glue.iter().filter(|record| owned(record));
    glue.clone().count() < ours.glue.len()
        && glue.all(|record| ours.glue.contains(record))
        && Said { glue: ours.glue.clone(), ..theirs.clone() }.is_same(ours)
}

/// NSD has the names of all its zones in one tree: what a zone says of names in another one exists there, too.
fn nsd_one_tree(case: &Case<'_>, ours: &Said, theirs: &Said) -> bool {
    let links = ours.answer.iter().chain(&theirs.answer).filter(|record| rtype(record) == "CNAME");
    let targets = links.map(|link| Name::new(target(link)));
    let mut names = targets.chain([case.question.qname.clone()]).filter(|name| name.is_within(&case.zone.apex));
    names.any(|name| {
        let sees = |exists: &dyn Fn(&Name) -> bool| {
            let encloser = name.ancestry().find(exists).expect("the apex exists");
            let wildcard = encloser.child(b"*").filter(exists);
            (encloser, wildcard)
        };
        sees(&|name| case.zone.exists(name)) != sees(&|name| case.models.iter().any(|zone| zone.exists(name)))
    })
}

fn is_part(part: &Said, whole: &Said) -> bool {
    part.answer.iter().all(|record| whole.answer.contains(record))
}

fn links_in(said: &Said) -> usize {
    said.answer.iter().filter(|record| rtype(record) == "CNAME").count()
}

/// A record's type.
pub(crate) fn rtype(record: &str) -> &str {
    record.split(' ').nth(2).expect("a type")
}

/// The target of a CNAME, DNAME or NS record.
fn target(record: &str) -> &str {
    record.split(' ').nth(3).expect("a target")
}

fn owner(record: &str) -> &str {
    record.split(' ').next().expect("an owner")
}

fn is_served(case: &Case<'_>, name: &Name) -> bool {
    let family = name.ancestry().find(|name| name.parent().is_some_and(|parent| parent == Name::new("test.")));
    case.models.iter().any(|zone| name.is_within(&zone.apex))
        || family.is_some_and(|family| family.len() == base(0).len())
}

/// The last name that the aliases in ANSWER lead to.
pub(crate) fn end_of_chain(question: &Question, answer: &[String]) -> Name {
    let mut name = question.qname.key();
    let mut seen = BTreeSet::new();
    while seen.insert(name.clone()) {
        let link = answer.iter().find(|record| rtype(record) == "CNAME" && Name::new(owner(record)) == name);
        match link {
            Some(link) => name = Name::new(target(link)),
            None => break,
        }
    }
    name
}

/// A record with its names in lower case: all words but the type.
fn lower(record: &str) -> String {
    let words = record.split(' ').enumerate();
    let words = words.map(|(at, word)| if at == 2 { word.to_owned() } else { word.to_ascii_lowercase() });
    words.collect::<Vec<_>>().join(" ")
}

/// Compares what the servers said to each question, and shows `each` what kubezone said over UDP; outside of all zones
/// there is no case.
pub(crate) fn judge(
    families: &[Family],
    questions: &[Question],
    exchanges: &[Exchange],
    mut each: impl FnMut(&Question, Option<&Case<'_>>, &Response),
) -> Vec<Verdict> {
    let models: Vec<Vec<Model>> = families.iter().map(|family| family.zones.iter().map(Model::new).collect()).collect();
    let verdict = |(question, exchange): (&Question, &Exchange)| {
        let case = Case::new(&models[question.family], question);
        let difference = Response::read(&exchange.udp[0]).and_then(|ours| {
            each(question, case.as_ref(), &ours);
            match case {
                Some(case) => difference(&case, exchange, &ours),
                None => refused(exchange, &ours),
            }
        });
        match difference {
            Ok(rules) => Verdict::Agreed(rules),
            Err(what) => Verdict::Disagreement(what),
        }
    };
    questions.iter().zip(exchanges).map(verdict).collect()
}

/// Nobody says anything of a name that is in none of their zones.
fn refused(exchange: &Exchange, ours: &Response) -> Result<Vec<&'static str>, String> {
    for (name, theirs) in NAMES.iter().zip(&exchange.udp).skip(1) {
        let theirs = Response::read(theirs)?;
        let aa = |response: &Response| response.flags.contains("AA");
        if (&ours.rcode, aa(ours), &ours.sections) != (&theirs.rcode, aa(&theirs), &theirs.sections) {
            return Err(format!("{name}: {}, not {}", ours.rcode, theirs.rcode));
        }
    }
    Ok(Vec::new())
}

fn difference(case: &Case<'_>, exchange: &Exchange, response: &Response) -> Result<Vec<&'static str>, String> {
    let messages = exchange.tcp.as_ref().unwrap_or(&exchange.udp);
    let read = |server: usize| {
        Response::read(&messages[server]).map_err(|error| format!("{} cannot be read: {error}", NAMES[server]))
    };
    let udp = Said::new(case, response);
    if udp.authority.is_empty() && !response.sections[1].is_empty() {
        return Err("AUTHORITY beside a positive answer".to_owned());
    }
    let ours = if exchange.tcp.is_some() { Said::new(case, &read(0)?) } else { udp.clone() };
    let mut rules = Vec::new();
    let mut unexplained = Vec::new();
    for (server, of) in [(1, Of::Knot), (2, Of::Nsd)] {
        let theirs = Said::new(case, &read(server)?);
        let what = differs(&ours, &theirs);
        if what.is_empty() {
            continue;
        }
        let mut meant = RULES.iter().filter(|rule| rule.of == of || rule.of == Of::Both);
        match meant.find(|rule| (rule.explains)(case, &ours, &theirs)) {
            Some(rule) => rules.push(rule.name),
            None => unexplained.push(format!("{}: {what}", NAMES[server])),
        }
    }
    if !unexplained.is_empty() {
        return Err(unexplained.join("; "));
    }
    size(case, exchange, &udp, &ours)?;
    additional(case, exchange, &udp, &ours)?;
    Ok(rules)
}

impl Said {
    /// What a response says to a question.
    pub(crate) fn new(case: &Case<'_>, response: &Response) -> Self {
        // Names are the same in any case (RFC 4343); nothing else in these zones has capital letters.
        let lower = |records: &Vec<String>| {
            let mut records: Vec<String> = records.iter().map(|record| lower(record)).collect();
            records.sort();
            records
        };
        let [answer, mut authority, additional] = response.sections.each_ref().map(lower);
        // What stands beside a positive answer is nobody's question; ours has nothing there.
        let beside = |record: &String| {
            rtype(record) == "NS" && case.models.iter().any(|zone| Name::new(owner(record)) == zone.apex)
        };
        let end = end_of_chain(case.question, &answer);
        let last = |record: &String| rtype(record) != "CNAME" && Name::new(owner(record)) == end;
        if answer.iter().any(last) && authority.iter().all(beside) {
            authority.clear();
        }
        let cut = authority.iter().find(|record| rtype(record) == "NS").map(|record| Name::new(owner(record)));
        let in_domain = |record: &String| cut.as_ref().is_some_and(|cut| Name::new(owner(record)).is_within(cut));
        let (glue, optional) = additional.into_iter().partition(in_domain);
        Self {
            rcode: response.rcode.clone(),
            aa: response.flags.split(' ').any(|flag| flag == "AA"),
            answer,
            authority,
            glue,
            optional,
        }
    }

    /// Whether another server says the same, as far as that is compared.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        differs(self, other).is_empty()
    }
}

fn differs(ours: &Said, theirs: &Said) -> String {
    let mut parts = Vec::new();
    if ours.rcode != theirs.rcode {
        parts.push(format!("{}, not {}", ours.rcode, theirs.rcode));
    }
    if ours.aa != theirs.aa {
        parts.push("AA".to_owned());
    }
    for (section, ours, theirs) in [
        ("ANSWER", &ours.answer, &theirs.answer),
        ("AUTHORITY", &ours.authority, &theirs.authority),
        ("glue", &ours.glue, &theirs.glue),
    ] {
        if ours != theirs {
            parts.push(section.to_owned());
        }
    }
    parts.join(", ")
}

/// TC says that what is required does not fit, and nothing else does.
fn size(case: &Case<'_>, exchange: &Exchange, udp: &Said, whole: &Said) -> Result<(), String> {
    let limit = case.question.encoded().udp_limit;
    let bytes = &exchange.udp[0];
    if bytes.len() > limit {
        return Err(format!("{} octets, where {limit} were asked for", bytes.len()));
    }
    let Some(tcp) = &exchange.tcp else { return Ok(()) };
    if is_truncated(bytes) {
        let required = tcp[0].len() - octets(&whole.optional);
        let empty = [&udp.answer, &udp.authority, &udp.glue, &udp.optional].iter().all(|section| section.is_empty());
        return if required > limit && empty {
            Ok(())
        } else {
            Err(format!("TC, though {required} octets fit into {limit}"))
        };
    }
    match differs(udp, whole) {
        what if what.is_empty() => Ok(()),
        what => Err(format!("other than over TCP, without TC: {what}")),
    }
}

/// Whether TC is set.
pub(crate) fn is_truncated(message: &[u8]) -> bool {
    message[2] & 0x02 != 0
}

/// Octets of address records in one of our messages: the owner is a pointer.
fn octets(addresses: &[String]) -> usize {
    addresses.iter().map(|record| 12 + if rtype(record) == "A" { 4 } else { 16 }).sum()
}

/// ADDITIONAL has the addresses of the targets of what was asked for, all that fit, and nothing else.
fn additional(case: &Case<'_>, exchange: &Exchange, udp: &Said, whole: &Said) -> Result<(), String> {
    let referral = whole.authority.iter().any(|record| rtype(record) == "NS");
    let from = if referral { &whole.authority } else { &whole.answer };
    let mut expected = BTreeSet::new();
    for record in from {
        let fields: Vec<&str> = record.split(' ').collect();
        let target = match rtype(record) {
            "NS" => fields[3],
            "MX" => fields[4],
            "SRV" => fields[6],
            "HTTPS" => fields[4],
            _ => continue,
        };
        let target = if rtype(record) == "HTTPS" && target == "." { fields[0] } else { target };
        let target = Name::new(target);
        let addresses = case.zone.addresses(&target, rtype(record) == "NS");
        expected.extend(addresses.into_iter().filter(|address| !whole.glue.contains(address)));
    }
    let got: BTreeSet<String> = whole.optional.iter().cloned().collect();
    if got.len() != whole.optional.len() {
        return Err("ADDITIONAL has a record twice".to_owned());
    }
    if exchange.tcp.is_some() && got != expected {
        return Err(format!("ADDITIONAL over TCP: {got:?}, not {expected:?}"));
    }
    let bytes = &exchange.udp[0];
    if is_truncated(bytes) {
        return Ok(());
    }
    let got: BTreeSet<String> = udp.optional.iter().cloned().collect();
    if let Some(extra) = got.difference(&expected).next() {
        return Err(format!("ADDITIONAL has {extra}"));
    }
    let limit = case.question.encoded().udp_limit;
    let missing: BTreeSet<(&str, &str)> =
        expected.difference(&got).map(|record| (owner(record), rtype(record))).collect();
    for (name, rtype_) in missing {
        let rrset: Vec<String> =
            expected.iter().filter(|record| owner(record) == name && rtype(record) == rtype_).cloned().collect();
        if bytes.len() + octets(&rrset) <= limit {
            return Err(format!("ADDITIONAL lacks {name} {rtype_}"));
        }
    }
    Ok(())
}
