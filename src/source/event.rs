//! What the followers of a cluster tell its writer.

use crate::cluster::{Kind, Object, ObjectKey};

/// One thing that a follower learned about its cluster, in the order it learned it.
///
/// `version` is the newest resourceVersion the API named with it, as a number
/// (a hint for serials only; `None` where there is none or it is no number).
/// With manifests it is the Unix time, in seconds, at which they were read.
///
/// Each kind has one follower, so that the events of one kind are in order;
/// nothing is promised between kinds.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A complete list of `kind` begins: what is not seen before its `Listed` becomes a suspect.
    /// A list that breaks off has no `Listed`; the next `Listing` begins anew.
    Listing(Kind),
    /// The object exists and says this.
    Apply {
        /// What it says.
        object: Object,
        /// Its resourceVersion.
        version: Option<u64>,
    },
    /// The object exists, but cannot be decoded: what an earlier version of it said stays,
    /// and it counts as seen in a list.
    Skipped(ObjectKey),
    /// The object is gone, or has become one that no record can come from (a slice
    /// without a Service, or of host names). It need not have been there before.
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
