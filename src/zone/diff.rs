//! What is different between two versions of a zone.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use hickory_proto::rr::{Name, RecordType};

use super::build::canonical_key;
use super::node::Node;
use super::{Record, Zone, name};

/// A record that only one of two versions has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The old one has it.
    Removed(Record),
    /// The new one has it.
    Added(Record),
}

/// What makes `new` of `old`: the SOA first, then by owner in canonical order (RFC 4034 §6.1), type and RDATA.
///
/// The case of names and the order of records make no difference, TTLs do. Of
/// one record with another TTL the old one comes first.
#[must_use]
pub fn diff(old: &Zone, new: &Zone) -> Vec<Change> {
    let (mut old, mut new) = (keyed(old).into_iter().peekable(), keyed(new).into_iter().peekable());
    let mut changes = Vec::new();
    loop {
        let order = match (old.peek(), new.peek()) {
            (Some((one, _)), Some((other, _))) => one.cmp(other),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return changes,
        };
        let (removed, added) = (old.next_if(|_| order.is_le()), new.next_if(|_| order.is_ge()));
        match (removed, added) {
            (Some((_, one)), Some((_, other))) if one.ttl == other.ttl => {}
            (removed, added) => {
                changes.extend(removed.map(|(_, record)| Change::Removed(record)));
                changes.extend(added.map(|(_, record)| Change::Added(record)));
            }
        }
    }
}

/// What is different between two versions of a zone, in short.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Difference {
    /// How many records only the new one has; a record with another TTL is another record.
    pub added: usize,
    /// How many only the old one has.
    pub removed: usize,
    /// Names at which they are different, in canonical order (RFC 4034 §6.1): some of them, where there are many.
    pub names: Vec<Name>,
    /// At how many further names they are.
    pub more: usize,
}

impl Difference {
    /// What makes `new` of `old`, versions of one zone, the SOA record aside; at most `most` names are told.
    ///
    /// Where `new` was derived from `old`, this takes as long as what changed is large, not as the zone is.
    #[must_use]
    pub fn between(old: &Zone, new: &Zone, most: usize) -> Self {
        let mut difference = Self::default();
        for (old, new) in new.nodes.changes(&old.nodes) {
            let Some(owner) = new.or(old).map(Node::owner) else { continue };
            let [old, new] = [old, new].map(|node| {
                let records = node.map(Node::records).unwrap_or_default().into_iter();
                records
                    .filter(|record| record.rtype != RecordType::SOA)
                    .map(|record| (key(&record), record.ttl))
                    .collect()
            });
            let (old, new): (BTreeSet<_>, BTreeSet<_>) = (old, new);
            let [removed, added] = [old.difference(&new).count(), new.difference(&old).count()];
            if removed + added == 0 {
                continue;
            }
            difference.removed += removed;
            difference.added += added;
            if difference.names.len() < most {
                difference.names.push(name::name(owner));
            } else {
                difference.more += 1;
            }
        }
        difference.names.sort_by_cached_key(|name| canonical_key(&name::wire(name)));
        difference
    }

    /// What makes `zone` of nothing.
    #[must_use]
    pub fn all_of(zone: &Zone) -> Self {
        let added = zone.census().iter().filter(|(rtype, _)| *rtype != RecordType::SOA).map(|(_, count)| count).sum();
        Self { added, ..Self::default() }
    }
}

/// What says which record it is: whether it is not the SOA, owner, type, RDATA.
type Key = (bool, Vec<u8>, RecordType, Vec<u8>);

fn key(record: &Record) -> Key {
    let owner = canonical_key(&name::wire(&record.owner));
    (record.rtype != RecordType::SOA, owner, record.rtype, record.canonical_rdata().into_owned())
}

/// The records of a zone by what says which they are, ascending.
fn keyed(zone: &Zone) -> Vec<(Key, Record)> {
    let mut keyed: Vec<_> = zone.records().into_iter().map(|record| (key(&record), record)).collect();
    keyed.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    keyed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::{Serial, Subtree, master};

    fn zone(records: &str) -> Zone {
        let apex = Name::from_ascii("c1.k8s.ooo.").unwrap();
        let text = format!("$TTL 5\n@ SOA ns.example. . 7 1 1 1 1\n@ NS ns.example.\n{records}\n");
        Zone::build(&apex, master::parse(text.as_bytes(), &apex, None).unwrap()).unwrap().0
    }

    fn check(old: &str, new: &str, expected: &[&str]) {
        let lines = diff(&zone(old), &zone(new)).into_iter().map(|change| match change {
            Change::Removed(record) => format!("-{record}"),
            Change::Added(record) => format!("+{record}"),
        });
        assert_eq!(lines.collect::<Vec<_>>(), expected, "{old:?} {new:?}");
        let [removed, added] = ["-", "+"].map(|sign| expected.iter().filter(|line| line.starts_with(sign)).count());
        let difference = Difference::between(&zone(old), &zone(new), usize::MAX);
        assert_eq!((difference.removed, difference.added), (removed, added), "{old:?} {new:?}");
    }

    #[test]
    fn what_changed_is_counted_and_some_of_it_named() {
        let old = zone("a A 192.0.2.1\nb.a A 192.0.2.1\nc A 192.0.2.1");
        let derived = |records: &str, serial: u32| {
            let parts = ["a", "c", "d"].map(|label| {
                let root = Name::from_ascii(format!("{label}.c1.k8s.ooo.")).unwrap();
                let records = zone(records).records().into_iter();
                Subtree { records: records.filter(|record| root.zone_of(&record.owner)).collect(), root }
            });
            old.derive(parts, Serial(serial)).zone.unwrap()
        };
        let new = derived("a A 192.0.2.2\na A 192.0.2.3\nc 6 A 192.0.2.1\nd A 192.0.2.1", 8);

        let difference = Difference::between(&old, &new, usize::MAX);
        let names = ["a", "b.a", "c", "d"].map(|name| Name::from_ascii(format!("{name}.c1.k8s.ooo.")).unwrap());
        assert_eq!(difference, Difference { added: 4, removed: 3, names: names.to_vec(), more: 0 });
        let in_short = Difference::between(&old, &new, 1);
        assert_eq!((in_short.names.len(), in_short.more), (1, 3));
        assert_eq!(Difference::between(&old, &old.clone().with_serial(Serial(9)), 1), Difference::default());
        assert_eq!(Difference::all_of(&old).added, 4);
    }

    #[test]
    fn order_and_case_make_no_difference() {
        check("", "", &[]);
        check(
            "a A 192.0.2.1\na A 192.0.2.2\nb MX 1 Mail.example.",
            "B mx 1 mail.EXAMPLE.\nA A 192.0.2.2\na A 192.0.2.1",
            &[],
        );
        check(
            "a RP A.example. B.example.\na NAPTR 1 2 S SIP+D2U \"\" C.example.",
            "a RP a.example. b.example.\na NAPTR 1 2 S SIP+D2U \"\" c.example.",
            &[],
        );
        check("a TXT x", "a TXT X", &["+a.c1.k8s.ooo. 5 IN TXT \"X\"", "-a.c1.k8s.ooo. 5 IN TXT \"x\""]);
    }

    #[test]
    fn changes_stand_in_canonical_order() {
        check(
            "z A 192.0.2.1\na.b A 192.0.2.1\nb A 192.0.2.1",
            "z 6 A 192.0.2.1\nb A 192.0.2.1\nb A 192.0.2.0\nc AAAA ::1\n@ TXT new",
            &[
                "+c1.k8s.ooo. 5 IN TXT \"new\"",
                "+b.c1.k8s.ooo. 5 IN A 192.0.2.0",
                "-a.b.c1.k8s.ooo. 5 IN A 192.0.2.1",
                "+c.c1.k8s.ooo. 5 IN AAAA ::1",
                "-z.c1.k8s.ooo. 5 IN A 192.0.2.1",
                "+z.c1.k8s.ooo. 6 IN A 192.0.2.1",
            ],
        );
    }

    #[test]
    fn glue_is_part_of_a_zone() {
        check("b NS ns.b\nns.b A 192.0.2.1", "b NS ns.b", &["-ns.b.c1.k8s.ooo. 5 IN A 192.0.2.1"]);
    }
}
