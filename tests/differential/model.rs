//! A naive reading of a zone: where a name is in it (RFC 1034 §4.3.2, RFC 4592, RFC 6672).
//!
//! It says what kind of node a question has met, and which addresses ADDITIONAL may hold. What the answer is, the other
//! servers say.

use std::collections::{BTreeMap, BTreeSet};

use super::zones::{Name, Record, Zone};
use crate::support::dns;

/// Where a name is in a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// It owns records.
    Node,
    /// It owns none and exists.
    EmptyNonTerminal,
    /// It does not exist; this wildcard stands in for it.
    Wildcard(Name),
    /// It is this cut.
    AtCut,
    /// It is below this cut.
    BelowCut(Name),
    /// It is below this DNAME.
    BelowDname(Name),
    /// It does not exist.
    Nowhere,
}

/// A zone's names.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) apex: Name,
    owners: BTreeMap<Name, Vec<Record>>,
    exists: BTreeSet<Name>,
}

impl Model {
    pub(crate) fn new(zone: &Zone) -> Self {
        let mut owners: BTreeMap<Name, Vec<Record>> = BTreeMap::new();
        let mut exists = BTreeSet::new();
        for record in &zone.records {
            let owner = record.owner.key();
            exists.extend(owner.ancestry().take_while(|name| name.is_within(&zone.apex)));
            owners.entry(owner).or_default().push(record.clone());
        }
        Self { apex: zone.apex.key(), owners, exists }
    }

    /// Whether `name`, in lower case, has records of a type.
    pub(crate) fn has(&self, name: &Name, rtype: &str) -> bool {
        self.owners.get(name).is_some_and(|records| records.iter().any(|record| record.rtype == rtype))
    }

    /// Whether there is a record at or below `name`.
    pub(crate) fn exists(&self, name: &Name) -> bool {
        self.exists.contains(&name.key())
    }

    /// Where `name`, at or below the apex, is.
    pub(crate) fn place(&self, name: &Name) -> Place {
        let name = name.key();
        let mut way: Vec<Name> = name.ancestry().take_while(|name| *name != self.apex).collect();
        way.push(self.apex.clone());
        way.reverse();
        for (depth, step) in way.iter().enumerate() {
            if !self.exists.contains(step) {
                let wildcard = way[depth - 1].child(b"*").filter(|wildcard| self.exists.contains(wildcard));
                return wildcard.map_or(Place::Nowhere, Place::Wildcard);
            }
            if depth > 0 && self.has(step, "NS") {
                return if *step == name { Place::AtCut } else { Place::BelowCut(step.clone()) };
            }
            if *step != name && self.has(step, "DNAME") {
                return Place::BelowDname(step.clone());
            }
        }
        if self.owners.contains_key(&name) { Place::Node } else { Place::EmptyNonTerminal }
    }

    /// The owner of what `name`, at or below the apex, says: itself, or the wildcard that stands in for it.
    pub(crate) fn source(&self, name: &Name) -> Name {
        match self.place(name) {
            Place::Wildcard(wildcard) => wildcard,
            _ => name.key(),
        }
    }

    /// Whether a wildcard above the closest encloser of `name` would match it, were that not there (RFC 4592 §3.3.1).
    pub(crate) fn is_beside_wildcard(&self, name: &Name) -> bool {
        let encloser = name.ancestry().find(|name| self.exists(name)).expect("the apex exists");
        let above = encloser.ancestry().skip(1).take_while(|name| name.is_within(&self.apex));
        above.filter_map(|name| name.child(b"*")).any(|wildcard| self.exists(&wildcard))
    }

    /// The type that ANY is answered with at `name`: CNAME, or else the lowest.
    pub(crate) fn first_type(&self, name: &Name) -> Option<&'static str> {
        let types = self.owners.get(&self.source(name))?.iter().map(|record| record.rtype);
        types.min_by_key(|&rtype| (rtype != "CNAME", u16::from(dns::rtype(rtype))))
    }

    /// The address records that ADDITIONAL may hold for `target`; with `glue`, those too that cuts hide.
    pub(crate) fn addresses(&self, target: &Name, glue: bool) -> Vec<String> {
        let target = target.key();
        if !target.is_within(&self.apex) {
            return Vec::new();
        }
        let owner = match self.place(&target) {
            Place::Wildcard(wildcard) => wildcard,
            Place::Node => target.clone(),
            Place::AtCut | Place::BelowCut(_) if glue => target.clone(),
            _ => return Vec::new(),
        };
        let records = self.owners.get(&owner).into_iter().flatten();
        let addresses = records.filter(|record| matches!(record.rtype, "A" | "AAAA"));
        let line = |record: &Record| format!("{target} {} {} {}", record.ttl, record.rtype, record.rdata_text());
        addresses.map(line).collect()
    }
}
