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
    /// None: no zone any more, but its place stays its own.
    state: Option<State>,
}

/// The zones of one server: those configured, each loaded or not.
///
/// Each apex has a place, a [`ZoneSlot`], that no other is ever given: also when
/// its zone is removed, and if that comes back. There are [`Zones::PLACES`].
#[derive(Debug, Clone, Default)]
pub struct Zones {
    entries: Vec<Entry>,
    /// Indices into `entries` by the apex's hash.
    index: HashTable<u16>,
    /// Bit n: some apex has n labels. A question is probed for at these depths only.
    depths: u128,
}

impl Zones {
    /// How many places there are: for all the apexes that were ever set.
    pub const PLACES: usize = 1 << 16;

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
    /// Where there is no place left: see [`Zones::has_room_for`].
    pub fn set(&mut self, apex: &Name, state: State) {
        let name = HashedName::from(apex);
        self.depths |= 1 << name.labels();
        if let Some(place) = self.place_of(&name, name.labels()) {
            self.entries[usize::from(place)].state = Some(state);
            return;
        }
        let place = u16::try_from(self.entries.len()).expect("at most 65,536 places");
        let hash = name.whole().hash;
        self.entries.push(Entry { apex: Arc::new((apex.clone(), name)), state: Some(state) });
        let entries = &self.entries;
        self.index.insert_unique(hash, place, |&place| entries[usize::from(place)].apex.1.whole().hash);
    }

    /// There is no zone at `apex` any more: its names are its parent's to answer for, or nobody's.
    pub fn remove(&mut self, apex: &Name) {
        let name = HashedName::from(apex);
        if let Some(place) = self.place_of(&name, name.labels()) {
            self.entries[usize::from(place)].state = None;
        }
        let depths = self.entries.iter().filter(|entry| entry.state.is_some()).map(|entry| 1 << entry.apex.1.labels());
        self.depths = depths.fold(0, |depths, depth: u128| depths | depth);
    }

    /// Whether all of `apexes`, each named once, have places or could be given some.
    pub fn has_room_for<'n>(&self, apexes: impl IntoIterator<Item = &'n Name>) -> bool {
        let is_new = |apex: &&Name| {
            let name = HashedName::from(*apex);
            self.place_of(&name, name.labels()).is_none()
        };
        self.entries.len() + apexes.into_iter().filter(is_new).count() <= Self::PLACES
    }

    /// Every zone in the order of slots.
    pub fn iter(&self) -> impl Iterator<Item = (ZoneSlot, &Name, &State)> {
        let places = (0..).zip(&self.entries);
        places.filter_map(|(place, entry)| Some((ZoneSlot(place), &entry.apex.0, entry.state.as_ref()?)))
    }

    /// How far the zone at `apex` is.
    #[must_use]
    pub fn get(&self, apex: &Name) -> Option<&State> {
        let name = HashedName::from(apex);
        self.found_at(&name, name.labels()).map(|found| found.state)
    }

    /// The zone that answers for `qname` and `qtype`: the one with the longest matching apex (RFC 1034 §4.3.2, step 2).
    ///
    /// DS is the parent's to answer (RFC 4035 §3.1.4.1). Where this server has
    /// the parent, too, it does, if it has the cut; its NXDOMAIN for a cut that
    /// it lacks would deny the whole child (RFC 8020), so that the child says
    /// NODATA then. A parent that is not loaded leaves the question open.
    #[must_use]
    pub fn find(&self, qname: &HashedName, qtype: RecordType) -> Option<Found<'_>> {
        let (found, labels) = self.longest(qname, qname.labels())?;
        let at_apex = labels == qname.labels();
        if qtype == RecordType::DS
            && at_apex
            && let Some(above) = labels.checked_sub(1)
            && let Some((parent, _)) = self.longest(qname, above)
        {
            let delegates = match parent.state {
                State::Loaded(zone) => zone.has_cut_at(qname),
                State::Pending | State::Expired(_) => true,
            };
            return Some(if delegates { parent } else { found });
        }
        Some(found)
    }

    /// The zones here that the one at `parent`, loaded, is directly above and does not delegate.
    ///
    /// No resolver finds its way to them, and DS for them is answered by the child itself.
    #[must_use]
    pub fn undelegated(&self, parent: &Name) -> Vec<&Name> {
        let Some(State::Loaded(zone)) = self.get(parent) else { return Vec::new() };
        let configured = self.entries.iter().filter(|entry| entry.state.is_some()).map(|entry| &*entry.apex);
        let children = configured.filter(|(_, child)| {
            let above = child.labels().checked_sub(1).and_then(|labels| self.longest(child, labels));
            let is_below = above.is_some_and(|(found, _)| self.entries[usize::from(found.slot.0)].apex.0 == *parent);
            is_below && !zone.delegates(child)
        });
        children.map(|(apex, _)| apex).collect()
    }

    /// The zone with the longest apex of at most `labels` labels that `qname` is at or below, and how many it has.
    fn longest(&self, qname: &HashedName, labels: u8) -> Option<(Found<'_>, u8)> {
        // A name has at most 127 labels, so that the shift is at most 127, too.
        let mut depths = self.depths & (u128::MAX >> (127 - labels));
        while depths != 0 {
            let depth = 127 - u8::try_from(depths.leading_zeros()).expect("a bit is set");
            if let Some(found) = self.found_at(qname, depth) {
                return Some((found, depth));
            }
            depths &= !(1 << depth);
        }
        None
    }

    /// The zone whose apex is the last `labels` labels of `name`.
    fn found_at(&self, name: &HashedName, labels: u8) -> Option<Found<'_>> {
        let place = self.place_of(name, labels)?;
        let state = self.entries[usize::from(place)].state.as_ref()?;
        Some(Found { slot: ZoneSlot(place), state })
    }

    fn place_of(&self, name: &HashedName, labels: u8) -> Option<u16> {
        let apex = name.suffix(labels);
        let is_at = |&place: &u16| self.entries[usize::from(place)].apex.1.wire() == apex.wire;
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
    fn a_zone_that_is_removed_leaves_its_names_to_its_parent_and_its_place_to_nobody() {
        let mut zones = Zones::pending(["ooo.", "c2.k8s.ooo.", "org."].map(name));
        let check = |zones: &Zones, qname: &str, expected: Option<u16>| {
            let found = zones.find(&HashedName::from(&name(qname)), RecordType::A);
            assert_eq!(found.map(|found| found.slot.0), expected, "{qname}");
        };

        for apex in ["c2.k8s.ooo.", "org.", "never.there."] {
            zones.remove(&name(apex));
        }
        check(&zones, "web.c2.k8s.ooo.", Some(0));
        check(&zones, "web.org.", None);
        assert!(zones.get(&name("org.")).is_none());
        assert_eq!(
            zones.iter().map(|(slot, apex, _)| (slot.0, apex.to_string())).collect::<Vec<_>>(),
            [(0, "ooo.".into())]
        );

        zones.set(&name("net."), State::Pending);
        zones.set(&name("C2.k8s.ooo."), State::Pending);
        check(&zones, "web.net.", Some(3));
        check(&zones, "web.c2.k8s.ooo.", Some(1));
        check(&zones, "web.k8s.ooo.", Some(0));
    }

    #[test]
    fn places_are_bounded_over_a_lifetime() {
        let apex = |number: usize| name(&format!("z{number}."));
        let mut zones = Zones::pending((0..Zones::PLACES - 1).map(apex));
        assert!(zones.has_room_for([&apex(0), &apex(1), &name("one.")]));
        assert!(!zones.has_room_for([&name("one."), &name("two.")]));
        // A zone that was removed has its place still.
        zones.remove(&apex(0));
        zones.set(&name("one."), State::Pending);
        assert!(!zones.has_room_for([&name("two.")]));
        assert!(zones.has_room_for([&apex(0)]));
    }

    #[test]
    fn a_child_without_a_cut_in_its_parent_is_named() {
        let zones =
            zones(&["ooo.", "k8s.ooo.", "c2.k8s.ooo.", "x.ooo.", "c2.away.ooo."], "k8s NS ns.x.\naway NS ns.x.");
        assert_eq!(zones.undelegated(&name("ooo.")), [&name("x.ooo.")]);
        assert!(zones.undelegated(&name("k8s.ooo.")).is_empty(), "not loaded yet");
    }
}
