//! What becomes of one subject: its records, its claims, and the reasons.

use std::cmp::Ordering;
use std::net::IpAddr;

use hickory_proto::rr::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AddressSource, Reason};
use crate::zone::{Record, Subtree};

/// What one subject owns in a zone, what it claims, and what there is to say about it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision {
    /// Whether it is published: it owns records beside those of a name server that is called after it.
    pub is_published: bool,
    /// When the object was created.
    pub age: Age,
    /// Everything at or below its own name; none for one whose name makes no owner.
    pub subtree: Option<Subtree>,
    /// Names elsewhere in the zone that it wants.
    pub names: Vec<NameClaim>,
    /// Every address that it publishes, once for each owner that a PTR record could lead to.
    pub addresses: Vec<PublishedAddress>,
    /// In their order, each once; whether another has a name that it claims is not known here.
    pub reasons: Vec<Reason>,
}

/// An age by which claims are ordered: the oldest first, and last what does not tell it (manifests mostly do not).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Age(
    /// `metadata.creationTimestamp` in Unix seconds.
    pub Option<i64>,
);

impl Ord for Age {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.is_none().cmp(&other.0.is_none()).then(self.0.cmp(&other.0))
    }
}

impl PartialOrd for Age {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A name outside of its subtree that a subject wants, and what it would own there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameClaim {
    /// The name, in lower case.
    pub owner: Name,
    /// How much the claim counts.
    pub rank: NameRank,
    /// What the name owns if the claim wins.
    pub records: Vec<Record>,
}

/// How much a claim to a name counts, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NameRank {
    /// The schema gives it: the short form of a Service's name.
    Schema,
    /// An annotation asks for it.
    Annotation,
}

/// An address that is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedAddress {
    /// The address.
    pub address: IpAddr,
    /// Where it comes from.
    pub origin: AddressOrigin,
    /// The name that a PTR record would lead to; it owns the address.
    pub owner: Name,
    /// Seconds that it may be kept.
    pub ttl: u32,
}

/// Where a published address comes from; claims to one PTR record count in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum AddressOrigin {
    /// The configured address of a name server.
    NameServer,
    /// `spec.clusterIPs`
    #[serde(rename = "ClusterIP")]
    ClusterIp,
    /// `status.loadBalancer.ingress`
    LoadBalancer,
    /// An EndpointSlice's endpoint.
    Endpoint,
    /// `status.podIPs` of a Pod.
    Pod,
    /// `spec.externalIPs`, the last: anybody may write them.
    #[serde(rename = "ExternalIP")]
    ExternalIp,
    /// What an IPv6 address is translated to, by `ipv4.nat64`.
    #[serde(rename = "NAT64")]
    Nat64,
    /// `ipv4.proxies`
    Proxy,
}

impl AddressOrigin {
    /// Whether a PTR record may lead from the address to its owner: not from one that belongs to what stands in front of
    /// the cluster.
    #[must_use]
    pub fn owns_ptr(self) -> bool {
        !matches!(self, Self::Nat64 | Self::Proxy)
    }
}

impl From<AddressSource> for AddressOrigin {
    fn from(source: AddressSource) -> Self {
        match source {
            AddressSource::ClusterIp => Self::ClusterIp,
            AddressSource::LoadBalancer => Self::LoadBalancer,
            AddressSource::ExternalIp => Self::ExternalIp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first_and_last_what_has_no_age() {
        let mut ages = [Age(None), Age(Some(7)), Age(Some(-1)), Age(None), Age(Some(3))];
        ages.sort();
        assert_eq!(ages, [Age(Some(-1)), Age(Some(3)), Age(Some(7)), Age(None), Age(None)]);
    }
}
