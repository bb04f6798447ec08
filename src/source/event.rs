//! What the followers of a cluster tell its writer.

use crate::cluster::{Collection, Object, ObjectKey};

/// One thing that a follower learned about its cluster, in the order it learned it.
///
/// `version` is the newest resourceVersion the API named with it, as a number
/// (a hint for serials only; `None` where there is none or it is no number).
/// With manifests it is the Unix time, in seconds, at which they were read.
///
/// Each collection has one follower, so that its events are in order; nothing is
/// promised between collections.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A complete list of a collection begins: what is not seen before its `Listed` becomes a suspect.
    /// A list that breaks off has no `Listed`; the next `Listing` begins anew.
    Listing(Collection),
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
    /// without a Service, or of host names; a Pod that has ended). It need not have been there before.
    Delete {
        /// Which one.
        key: ObjectKey,
        /// The resourceVersion of the deletion.
        version: Option<u64>,
    },
    /// The list that began with `Listing` is complete.
    Listed {
        /// Of this collection.
        of: Collection,
        /// The list's resourceVersion.
        version: Option<u64>,
    },
    /// A bookmark: nothing changed up to `version`; a sign of life.
    Bookmark {
        /// Of this collection.
        of: Collection,
        /// The bookmark's resourceVersion.
        version: Option<u64>,
    },
}

#[cfg(test)]
impl Event {
    /// A line for the tests: what is told, of which object, and `@` its version.
    pub(super) fn text(&self) -> String {
        let at = |version: &Option<u64>| version.map_or(String::new(), |version| format!(" @{version}"));
        let of = |collection: &Collection| match collection {
            Collection { kind, namespace: None } => format!("{kind:?}"),
            Collection { kind, namespace: Some(namespace) } => format!("{kind:?} in {namespace}"),
        };
        match self {
            Self::Listing(collection) => format!("listing {}", of(collection)),
            Self::Listed { of: collection, version } => format!("listed {}{}", of(collection), at(version)),
            Self::Bookmark { of: collection, version } => format!("bookmark {}{}", of(collection), at(version)),
            Self::Skipped(key) => format!("skipped {}/{}", key.namespace, key.name),
            Self::Delete { key, version } => format!("delete {}/{}{}", key.namespace, key.name, at(version)),
            Self::Apply { object: Object::Service(service), version } => {
                let addresses: Vec<_> = service.cluster_ips.iter().map(ToString::to_string).collect();
                let key = &service.key;
                format!("apply {}/{} [{}]{}", key.namespace, key.name, addresses.join(" "), at(version))
            }
            Self::Apply { object: Object::EndpointSlice(slice), version } => {
                format!("apply slice {}{}", slice.name, at(version))
            }
            Self::Apply { object: Object::Namespace(namespace), version } => {
                format!("apply namespace {}{}", namespace.name, at(version))
            }
            Self::Apply { object: Object::Pod(pod), version } => {
                format!("apply pod {}/{} {:?}{}", pod.namespace, pod.name, pod.addresses, at(version))
            }
        }
    }
}
