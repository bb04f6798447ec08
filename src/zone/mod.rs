//! The zone: what this server says about one apex, frozen at one moment.
//! (skeleton; the real text follows)

pub mod master;
mod record;
mod serial;
mod text;
mod types;
mod zones;

use hickory_proto::rr::{Name, RecordType};

pub use record::{Rdata, Record};
pub use serial::Serial;
pub use text::{dump, name_to_text};
pub use zones::{State, ZoneSlot, Zones};

/// The contents of one zone.
#[derive(Debug)]
pub struct Zone {
    _private: (),
}

/// A name and everything at or below it: the unit of change of a zone.
#[derive(Debug, Clone)]
pub struct Subtree {
    /// The name that everything in `records` is at or below.
    pub root: Name,
    /// All records at or below `root`; none: the subtree goes.
    pub records: Vec<Record>,
}

/// Something odd that did not keep a zone from being built.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("placeholder")]
pub struct Warning;

/// Records that do not make a zone.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ZoneError {
    /// The apex owns no SOA record.
    #[error("{apex} has no SOA record")]
    NoSoa {
        /// The zone's apex.
        apex: Name,
    },
}

impl Zone {
    /// Builds the zone at `apex` from all of its records.
    pub fn build(_apex: &Name, _records: Vec<Record>) -> Result<(Self, Vec<Warning>), ZoneError> {
        todo!()
    }

    /// The zone with `subtrees` replaced and `serial` in its SOA, sharing the rest; `None` when nothing would change.
    #[must_use]
    pub fn derive(&self, _subtrees: Vec<Subtree>, _serial: Serial) -> Option<Self> {
        todo!()
    }

    /// The zone's name.
    #[must_use]
    pub fn apex(&self) -> &Name {
        todo!()
    }

    /// The serial of the SOA record.
    #[must_use]
    pub fn serial(&self) -> Serial {
        todo!()
    }

    /// How many records there are of each type, ascending by type.
    #[must_use]
    pub fn census(&self) -> Vec<(RecordType, usize)> {
        todo!()
    }

    /// Every record, glue included: the SOA first, then by owner in canonical order (RFC 4034 §6.1), then by type.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        todo!()
    }
}
