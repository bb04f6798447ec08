//! The set of zones that one server answers for.

use std::sync::Arc;

use hickory_proto::rr::Name;

use super::Zone;

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
    /// Loaded, but silent for longer than `maxStaleness`: SERVFAIL with EDE 24.
    Expired(Arc<Zone>),
}

/// The zones of one server: those configured, each loaded or not.
#[derive(Debug, Clone, Default)]
pub struct Zones {
    _private: (),
}

impl Zones {
    /// The zones at `apexes`, all pending; `ZoneSlot(i)` is the i-th.
    #[must_use]
    pub fn pending(_apexes: Vec<Name>) -> Self {
        todo!()
    }

    /// Puts `state` in the place of what was known at its apex; an apex not configured is added.
    pub fn set(&mut self, _apex: &Name, _state: State) {
        todo!()
    }

    /// Every zone in the order of slots.
    pub fn iter(&self) -> impl Iterator<Item = (ZoneSlot, &Name, &State)> {
        std::iter::empty()
    }
}
