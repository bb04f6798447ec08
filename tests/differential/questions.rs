//! Questions aimed at every node of a zone, and just beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use fastrand::Rng;

use super::compare::Case;
use super::coverage::node;
use super::model::Model;
use super::zones::{Family, Name, Zone};
use crate::support::dns;

/// The types that are asked for whether they are there or not.
const QTYPES: [&str; 15] =
    ["A", "AAAA", "NS", "SOA", "DS", "CNAME", "DNAME", "MX", "SRV", "TXT", "ANY", "HTTPS", "PTR", "CAA", "TYPE65534"];
/// What questions say of EDNS, as typed after dig.
const WORDS: [&[&str]; 6] =
    [&["+noedns"], &["+bufsize=512"], &[], &["+bufsize=4096"], &["+do"], &["+bufsize=512", "+do"]];

/// A question.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// Which family it is for.
    pub(crate) family: usize,
    pub(crate) qname: Name,
    pub(crate) qtype: &'static str,
    /// Options, as typed after dig.
    pub(crate) words: &'static [&'static str],
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.qname, self.qtype)?;
        self.words.iter().try_for_each(|word| write!(f, " {word}"))
    }
}

impl Question {
    /// The message, ready to be sent.
    pub(crate) fn encoded(&self) -> dns::Question {
        let words: Vec<&str> = [self.qtype].iter().chain(self.words).copied().collect();
        dns::Question::dig(&self.qname.to_string(), &words)
    }
}

/// `count` questions about these zones, evenly spread over the kinds of nodes and what these say.
pub(crate) fn questions(random: &mut Rng, families: &[Family], count: usize) -> Vec<Question> {
    let share = count.div_ceil(families.len());
    families.iter().enumerate().flat_map(|(number, family)| of_family(random, number, family, share)).collect()
}

/// Questions about one family: one of each kind in turn, until there are enough.
fn of_family(random: &mut Rng, number: usize, family: &Family, count: usize) -> Vec<Question> {
    let models: Vec<Model> = family.zones.iter().map(Model::new).collect();
    let mut kinds: BTreeMap<_, Vec<Question>> = BTreeMap::new();
    let mut names: BTreeSet<Name> = family.zones.iter().flat_map(|zone| names(random, zone)).collect();
    // Beside all zones.
    let above = family.base.parent().expect("not the root");
    names.extend(above.child(&[b"x", family.base.label()].concat()));
    names.insert(above);
    for qname in names {
        let records = family.zones.iter().flat_map(|zone| &zone.records);
        let own = records.filter(|record| record.owner.key() == qname).map(|record| record.rtype);
        let own: BTreeSet<&'static str> = own.collect();
        let mut qtypes = own.clone();
        qtypes.extend(random.choose_multiple(QTYPES, if own.is_empty() { 4 } else { 8 }));
        if own.contains("NS") {
            qtypes.insert("DS");
        }
        let any_type = Question { family: number, qname: qname.clone(), qtype: "A", words: &[] };
        let case = Case::new(&models, &any_type);
        let place = case.as_ref().map(|case| (node(case), case.zone.source(&qname)));
        for qtype in qtypes {
            // What the name says to it, of a kind.
            let kind = case.as_ref().zip(place.as_ref()).map(|(case, (node, source))| {
                let has = |rtype| case.zone.has(source, rtype);
                let special = match qtype {
                    "MX" | "SRV" | "NS" | "HTTPS" => "addresses",
                    "DS" => "parent",
                    _ => "",
                };
                (*node, has(qtype), has("CNAME"), special)
            });
            // There are few cuts, and of each but one DS.
            let times = match qtype {
                "DS" if own.contains("NS") => WORDS.len(),
                _ if own.contains("NS") => 4,
                _ => 1,
            };
            for words in random.choose_multiple(WORDS, times) {
                let shouted = random.f32() < 0.1;
                let qname = if shouted { qname.shouted(random) } else { qname.clone() };
                kinds.entry(kind).or_default().push(Question { family: number, qname, qtype, words });
            }
        }
    }
    for questions in kinds.values_mut() {
        random.shuffle(questions);
    }
    let turns = kinds.values().map(Vec::len).max().unwrap_or(0);
    let in_turn = (0..turns).flat_map(|turn| kinds.values().filter_map(move |questions| questions.get(turn)));
    in_turn.take(count).cloned().collect()
}

/// Each name that a zone's records have, its parent, children and neighbours, and what aliases make of them.
fn names(random: &mut Rng, zone: &Zone) -> BTreeSet<Name> {
    let mut nodes: BTreeSet<Name> = BTreeSet::new();
    for record in &zone.records {
        let of_zone = |name: &Name| name.is_within(&zone.apex);
        nodes.extend(record.owner.key().ancestry().take_while(of_zone));
        nodes.extend(record.target().map(Name::key).filter(of_zone));
    }
    let mut names = nodes.clone();
    let labels: BTreeSet<Vec<u8>> = nodes.iter().map(|name| name.label().to_vec()).collect();
    for node in &nodes {
        names.extend(node.child(b"q"));
        names.extend(node.child(b"*"));
        names.extend(node.child(b"q").and_then(|name| name.child(b"q")));
        let label = random.choice(&labels).expect("the apex has one");
        names.extend(node.child(label));
        let deep = random.usize(1..130);
        names.extend((0..deep).try_fold(node.clone(), |name, _| name.child(b"d")).filter(|_| random.f32() < 0.05));
        // To the last octet.
        if random.f32() < 0.1 {
            names.insert(longest(node));
        }
        let Some(parent) = node.parent().filter(|_| *node != zone.apex.key()) else { continue };
        names.insert(parent.clone());
        // One octet more, one less, another one; and the wildcard beside it.
        let label = node.label();
        if label.len() < 63 {
            names.extend(parent.child(&[label, b"x"].concat()));
        }
        if label.len() > 1 {
            names.extend(parent.child(&label[..label.len() - 1]));
        }
        let mut other = label.to_vec();
        let at = random.usize(..other.len());
        other[at] = other[at].wrapping_add(1);
        names.extend(parent.child(&other));
        if label == b"*" {
            names.extend(parent.child(b"w"));
            names.extend(parent.child(b"w").and_then(|name| name.child(b"*")));
        }
    }
    // What a DNAME makes of them: names below its target, as they look below its owner.
    for dname in zone.records.iter().filter(|record| record.rtype == "DNAME") {
        let target = dname.target().expect("a DNAME has one");
        let below: Vec<Name> = names.iter().filter_map(|name| name.rebased(target, &dname.owner)).collect();
        names.extend(below.into_iter().take(40));
        names.insert(longest(&dname.owner));
    }
    names
}

/// A name below `name` that is as long as a name can be.
fn longest(name: &Name) -> Name {
    let mut name = name.clone();
    while let Some(longer) = name.child(&vec![b'l'; 63.min(254_usize.saturating_sub(name.len())).max(1)]) {
        name = longer;
    }
    name
}
