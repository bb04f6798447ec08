//! What kinds of answers the questions have met: outcome × kind of node × shape of sections.
//!
//! Names made at random find NXDOMAIN and little else. A cell that is meant to be there and is not well filled fails the
//! test, so that coverage cannot go away without a word.

use std::collections::BTreeMap;
use std::fmt;

use super::compare::{Case, end_of_chain, rtype};
use super::model::{Model, Place};
use crate::support::dns::Response;

/// How many questions have to meet each cell of [`EXPECTED`].
const ENOUGH: usize = 50;

/// The cells that are meant to be there: an outcome at a kind of node, and the shapes of its answers. ANSWER by how many
/// records it has, AUTHORITY by their type, ADDITIONAL by whether there are any.
const EXPECTED: [(&str, &str, &[&str]); 35] = [
    ("Records", "apex", &["AN1 - -", "AN1 - AD", "AN2+ - -", "AN2+ - AD"]),
    ("Records", "node", &["AN1 - -", "AN2+ - -", "AN2+ - AD"]),
    ("Records", "below wildcard", &["AN1 - -", "AN2+ - -", "AN2+ - AD"]),
    ("Records", "wildcard itself", &["AN1 - -", "AN2+ - -"]),
    ("Records", "cut", &["AN1 - -"]),
    ("Alias", "node", &["AN1 - -", "AN1 SOA -", "AN1 NS AD", "AN2+ - -", "AN2+ SOA -", "AN2+ NS AD"]),
    ("Alias", "below wildcard", &["AN1 - -", "AN1 SOA -", "AN1 NS AD", "AN2+ - -"]),
    ("Alias", "wildcard itself", &["AN1 SOA -"]),
    ("Alias, NXDOMAIN", "node", &["AN1 SOA -", "AN2+ SOA -"]),
    ("Alias, NXDOMAIN", "below wildcard", &["AN1 SOA -"]),
    ("Redirect", "below DNAME", &["AN2+ - -", "AN2+ SOA -", "AN2+ NS AD"]),
    ("Redirect, NXDOMAIN", "below DNAME", &["AN2+ SOA -"]),
    ("YXDOMAIN", "below DNAME", &["AN1 - -"]),
    ("NoData", "apex", &["AN0 SOA -"]),
    ("NoData", "node", &["AN0 SOA -"]),
    ("NoData", "empty non-terminal", &["AN0 SOA -"]),
    ("NoData", "wildcard itself", &["AN0 SOA -"]),
    ("NoData", "empty wildcard itself", &["AN0 SOA -"]),
    ("NoData", "below wildcard", &["AN0 SOA -"]),
    ("NoData", "below empty wildcard", &["AN0 SOA -"]),
    ("NoData", "cut", &["AN0 SOA -"]),
    ("NoData", "cut of a served child", &["AN0 SOA -"]),
    ("NXDOMAIN", "nowhere", &["AN0 SOA -"]),
    ("NXDOMAIN", "nowhere, below a name beside a wildcard", &["AN0 SOA -"]),
    ("Referral", "cut", &["AN0 NS -", "AN0 NS AD"]),
    ("Referral", "below cut", &["AN0 NS -", "AN0 NS AD"]),
    ("Referral", "hidden by cut", &["AN0 NS -", "AN0 NS AD"]),
    ("Records", "cut of a served child", &["AN1 - -"]),
    ("Refused", "outside", &["AN0 - -"]),
    ("Truncated", "node", &["AN0 - -"]),
    ("Truncated", "below wildcard", &["AN0 - -"]),
    ("Truncated", "cut", &["AN0 - -"]),
    ("Truncated", "below cut", &["AN0 - -"]),
    ("Truncated", "hidden by cut", &["AN0 - -"]),
    ("Truncated", "below DNAME", &["AN0 - -"]),
];

/// How many answers of each kind there were.
#[derive(Debug, Default)]
pub(crate) struct Coverage(BTreeMap<(&'static str, &'static str), BTreeMap<String, usize>>);

impl Coverage {
    /// Counts what kubezone answered over UDP; `case` is none where no zone is asked for.
    pub(crate) fn count(&mut self, case: Option<&Case<'_>>, answer: &Response) {
        let (outcome, node) = (outcome(case, answer), case.map_or("outside", node));
        *self.0.entry((outcome, node)).or_default().entry(shape(answer)).or_default() += 1;
    }

    /// The cells that too few questions have met.
    pub(crate) fn lacking(&self) -> Vec<String> {
        let cells =
            EXPECTED.iter().flat_map(|(outcome, node, shapes)| shapes.iter().map(move |shape| (outcome, node, shape)));
        let counted = cells.map(|(&outcome, &node, &shape)| {
            let count = self.0.get(&(outcome, node)).and_then(|shapes| shapes.get(shape)).copied().unwrap_or(0);
            (count, format!("{outcome} × {node} × {shape}: {count}"))
        });
        counted.filter(|(count, _)| *count < ENOUGH).map(|(_, cell)| cell).collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|((outcome, node), shapes)| {
            let shapes: Vec<String> = shapes.iter().map(|(shape, count)| format!("{shape}: {count}")).collect();
            writeln!(f, "{outcome:16} {node:28} {}", shapes.join(" | "))
        })
    }
}

/// How a lookup has ended, as the answer tells.
pub(crate) fn outcome(case: Option<&Case<'_>>, answer: &Response) -> &'static str {
    let [records, authority, _] = &answer.sections;
    let denied = answer.rcode == "NXDOMAIN";
    if answer.flags.contains("TC") {
        return "Truncated";
    }
    match (answer.rcode.as_str(), case) {
        ("REFUSED", _) => return "Refused",
        ("YXDOMAIN", _) => return "YXDOMAIN",
        ("NOERROR" | "NXDOMAIN", Some(case)) if !records.is_empty() => {
            let qname = case.question.qname.key();
            let redirected = matches!(case.zone.place(&qname), Place::BelowDname(_));
            let followed = end_of_chain(case.question, records) != qname;
            return match (redirected, followed && !matches!(case.question.qtype, "CNAME" | "ANY"), denied) {
                (true, _, false) => "Redirect",
                (true, _, true) => "Redirect, NXDOMAIN",
                (false, true, false) => "Alias",
                (false, true, true) => "Alias, NXDOMAIN",
                _ => "Records",
            };
        }
        _ => {}
    }
    match authority.first().map(|record| rtype(record)) {
        _ if denied => "NXDOMAIN",
        Some("NS") => "Referral",
        Some("SOA") => "NoData",
        _ => "nothing",
    }
}

/// What kind of node the QNAME is.
pub(crate) fn node(case: &Case<'_>) -> &'static str {
    let Case { question, models, zone } = case;
    let served = |cut| models.iter().any(|zone: &Model| zone.apex == cut);
    match zone.place(&question.qname) {
        _ if question.qname.key() == zone.apex => "apex",
        Place::Node if question.qname.label() == b"*" => "wildcard itself",
        Place::Node => "node",
        Place::EmptyNonTerminal if question.qname.label() == b"*" => "empty wildcard itself",
        Place::EmptyNonTerminal => "empty non-terminal",
        Place::Wildcard(wildcard) if zone.place(&wildcard) == Place::EmptyNonTerminal => "below empty wildcard",
        Place::Wildcard(_) => "below wildcard",
        Place::AtCut if served(question.qname.key()) => "cut of a served child",
        Place::AtCut => "cut",
        Place::BelowCut(_) if zone.exists(&question.qname) => "hidden by cut",
        Place::BelowCut(_) => "below cut",
        Place::BelowDname(_) => "below DNAME",
        Place::Nowhere if zone.is_beside_wildcard(&question.qname) => "nowhere, below a name beside a wildcard",
        Place::Nowhere => "nowhere",
    }
}

/// Which sections have how much.
fn shape(answer: &Response) -> String {
    let [records, authority, additional] = &answer.sections;
    let records = match records.len() {
        0 => "AN0",
        1 => "AN1",
        _ => "AN2+",
    };
    let authority = authority.first().map_or("-", |record| rtype(record));
    let additional = if additional.is_empty() { "-" } else { "AD" };
    format!("{records} {authority} {additional}")
}
