//! What is different between two versions of a zone.

use std::cmp::Ordering;

use hickory_proto::rr::RecordType;

use super::build::canonical_key;
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

/// What says which record it is: whether it is not the SOA, owner, type, RDATA.
type Key = (bool, Vec<u8>, RecordType, Vec<u8>);

/// The records of a zone by what says which they are, ascending.
fn keyed(zone: &Zone) -> Vec<(Key, Record)> {
    let keyed = zone.records().into_iter().map(|record| {
        let owner = canonical_key(&name::wire(&record.owner));
        let key = (record.rtype != RecordType::SOA, owner, record.rtype, record.canonical_rdata().into_owned());
        (key, record)
    });
    let mut keyed: Vec<_> = keyed.collect();
    keyed.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    keyed
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::Name;

    use super::*;
    use crate::zone::master;

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
