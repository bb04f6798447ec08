//! The set of zones that one server answers for.

use std::sync::Arc;

use hashbrown::HashTable;
use hickory_proto::rr::{Name, RecordType};

use super::Zone;
use super::name::HashedName;

/// A zone's place in [`Zones`]: small, stable while the process lives, so that counters can be arrays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ZoneSlot(pub u16);

/// How far a configured zone is.
#[derive(Debug, Clone)]
pub enum State {
    /// Configured, never loaded: SERVFAIL with EDE 14.
    Pending,
    /// Served.
    Loaded(Arc<Zone>),
    /// Loaded, but its source has been silent for longer than it may: SERVFAIL with EDE 24.
    Expired(Arc<Zone>),
}

/// The zone that a question belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Found<'z> {
    /// Its place.
    pub slot: ZoneSlot,
    /// How far it is.
    pub state: &'z State,
}

#[derive(Debug, Clone)]
struct Entry {
    apex: Arc<(Name, HashedName)>,
    state: State,
}

/// The zones of one server: those configured, each loaded or not.
///
/// At most 65,536, each apex once.
#[derive(Debug, Clone, Default)]
pub struct Zones {
    entries: Vec<Entry>,
    /// Indices into `entries` by the apex's hash.
    index: HashTable<u16>,
    /// Bit n: some apex has n labels. A question is probed for at these depths only.
    depths: u128,
}

impl Zones {
    /// The zones at `apexes`, all pending; `ZoneSlot(i)` is the i-th.
    #[must_use]
    pub fn pending(apexes: impl IntoIterator<Item = Name>) -> Self {
        let mut zones = Self::default();
        for apex in apexes {
            zones.set(&apex, State::Pending);
        }
        zones
    }

    /// Puts `state` in the place of what was known at its apex; an apex not configured is added.
    ///
    /// # Panics
    ///
    /// When it would be the 65,537th zone.
    pub fn set(&mut self, apex: &Name, state: State) {
        let name = HashedName::from(apex);
        if let Some(slot) = self.slot_at(&name, name.labels()) {
            self.entries[usize::from(slot)].state = state;
            return;
        }
        let slot = u16::try_from(self.entries.len()).expect("at most 65,536 zones");
        self.depths |= 1 << name.labels();
        let hash = name.whole().hash;
        self.entries.push(Entry { apex: Arc::new((apex.clone(), name)), state });
        let entries = &self.entries;
        self.index.insert_unique(hash, slot, |&slot| entries[usize::from(slot)].apex.1.whole().hash);
    }

    /// Every zone in the order of slots.
    pub fn iter(&self) -> impl Iterator<Item = (ZoneSlot, &Name, &State)> {
        (0..).zip(&self.entries).map(|(slot, entry)| (ZoneSlot(slot), &entry.apex.0, &entry.state))
    }

    /// How far the zone at `apex` is.
    #[must_use]
    pub fn get(&self, apex: &Name) -> Option<&State> {
        let name = HashedName::from(apex);
        self.slot_at(&name, name.labels()).map(|slot| &self.entries[usize::from(slot)].state)
    }

    /// The zone that answers for `qname` and `qtype`: the one with the longest matching apex (RFC 1034 §4.3.2, step 2).
    ///
    /// DS is the parent's to answer (RFC 4035 §3.1.4.1). Where this server has
    /// the parent, too, it does, if it has the cut; its NXDOMAIN for a cut that
    /// it lacks would deny the whole child (RFC 8020), so that the child says
    /// NODATA then. A parent that is not loaded leaves the question open.
    #[must_use]
    pub fn find(&self, qname: &HashedName, qtype: RecordType) -> Option<Found<'_>> {
        let (slot, labels) = self.longest(qname, qname.labels())?;
        let at_apex = labels == qname.labels();
        if qtype == RecordType::DS
            && at_apex
            && let Some(above) = labels.checked_sub(1)
            && let Some((parent, _)) = self.longest(qname, above)
        {
            let delegates = match &self.entries[usize::from(parent)].state {
                State::Loaded(zone) => zone.has_cut_at(qname),
                State::Pending | State::Expired(_) => true,
            };
            return Some(self.found(if delegates { parent } else { slot }));
        }
        Some(self.found(slot))
    }

    /// The zones here that the one at `parent`, loaded, is directly above and does not delegate.
    ///
    /// No resolver finds its way to them, and DS for them is answered by the child itself.
    #[must_use]
    pub fn undelegated(&self, parent: &Name) -> Vec<&Name> {
        let Some(State::Loaded(zone)) = self.get(parent) else { return Vec::new() };
        let children = self.entries.iter().map(|entry| &*entry.apex).filter(|(_, child)| {
            let above = child.labels().checked_sub(1).and_then(|labels| self.longest(child, labels));
            above.is_some_and(|(slot, _)| self.entries[usize::from(slot)].apex.0 == *parent) && !zone.delegates(child)
        });
        children.map(|(apex, _)| apex).collect()
    }

    fn found(&self, slot: u16) -> Found<'_> {
        Found { slot: ZoneSlot(slot), state: &self.entries[usize::from(slot)].state }
    }

    /// The zone with the longest apex of at most `labels` labels that `qname` is at or below.
    fn longest(&self, qname: &HashedName, labels: u8) -> Option<(u16, u8)> {
        // A name has at most 127 labels, so that the shift is at most 127, too.
        let mut depths = self.depths & (u128::MAX >> (127 - labels));
        while depths != 0 {
            let depth = 127 - u8::try_from(depths.leading_zeros()).expect("a bit is set");
            if let Some(slot) = self.slot_at(qname, depth) {
                return Some((slot, depth));
            }
            depths &= !(1 << depth);
        }
        None
    }

    fn slot_at(&self, name: &HashedName, labels: u8) -> Option<u16> {
        let apex = name.suffix(labels);
        let is_at = |&slot: &u16| self.entries[usize::from(slot)].apex.1.wire() == apex.wire;
        self.index.find(apex.hash, is_at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::master;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn zones(apexes: &[&str], parent: &str) -> Zones {
        let mut zones = Zones::pending(apexes.iter().copied().map(name));
        let text = format!("$TTL 5\n@ SOA ns.x. h.x. 1 1 1 1 1\n@ NS ns.x.\n{parent}");
        let records = master::parse(text.as_bytes(), &name("ooo."), None).unwrap();
        let (zone, _) = Zone::build(&name("ooo."), records).unwrap();
        zones.set(&name("ooo."), State::Loaded(Arc::new(zone)));
        zones
    }

    #[test]
    fn the_longest_apex_answers_and_the_parent_for_ds() {
        let zones = zones(&["ooo.", "k8s.ooo.", "c2.k8s.ooo.", "x.ooo."], "k8s NS ns.x.");
        let check = |question: &str, expected: Option<u16>| {
            let (qname, qtype) = question.split_once(' ').unwrap();
            let found = zones.find(&HashedName::from(&name(qname)), qtype.parse().unwrap());
            assert_eq!(found.map(|found| found.slot.0), expected, "{question}");
        };

        check("web.c2.k8s.ooo. A", Some(2));
        check("C2.K8S.ooo. A", Some(2));
        check("c3.k8s.ooo. A", Some(1));
        check("ooo. A", Some(0));
        check("org. A", None);
        check(". A", None);
        check("k8s.ooo. DS", Some(0));
        check("web.k8s.ooo. DS", Some(1));
        // A parent that lacks the cut must not deny the child; one that is not loaded leaves it open.
        check("x.ooo. DS", Some(3));
        check("c2.k8s.ooo. DS", Some(1));
        check("ooo. DS", Some(0));
    }

    #[test]
    fn a_child_without_a_cut_in_its_parent_is_named() {
        let zones =
            zones(&["ooo.", "k8s.ooo.", "c2.k8s.ooo.", "x.ooo.", "c2.away.ooo."], "k8s NS ns.x.\naway NS ns.x.");
        assert_eq!(zones.undelegated(&name("ooo.")), [&name("x.ooo.")]);
        assert!(zones.undelegated(&name("k8s.ooo.")).is_empty(), "not loaded yet");
    }
}
