//! What the followers of a cluster tell its writer.

use crate::cluster::{Kind, Object, ObjectKey};

/// One thing that a follower learned about its cluster, in the order it learned it.
///
/// `version` is the newest resourceVersion the API named with it, as a number
/// (a hint for serials only; `None` where there is none or it is no number).
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A complete list of `kind` begins: what is not applied before its `Listed` becomes a suspect.
    Listing(Kind),
    /// The object exists and says this.
    Apply {
        /// What it says.
        object: Object,
        /// Its resourceVersion.
        version: Option<u64>,
    },
    /// The object exists, but is none that a record can come from (undecodable, or a slice without a Service):
    /// what an earlier version of it said stays (undecodable) — it counts as seen in a list.
    Skipped(ObjectKey),
    /// The object is gone.
    Delete {
        /// Which one.
        key: ObjectKey,
        /// The resourceVersion of the deletion.
        version: Option<u64>,
    },
    /// The list that began with `Listing` is complete.
    Listed {
        /// Of this kind.
        kind: Kind,
        /// The list's resourceVersion.
        version: Option<u64>,
    },
    /// A bookmark: nothing changed up to `version`; a sign of life.
    Bookmark {
        /// Of this kind.
        kind: Kind,
        /// The bookmark's resourceVersion.
        version: Option<u64>,
    },
}
