//! The schema: which records a cluster's objects own, and for those that own
//! none, the reason.
//!
//! The mapping is that of the Kubernetes DNS specification 1.1.0, with names
//! that the world can resolve: `web.shop.svc.c2.k8s.ooo`. A [`ClusterZone`] is
//! what an operator has configured for one zone; all of its functions are pure.
//!
//! The unit is a Service: everything at or below `name.namespace.svc` in the
//! zone comes from one call of [`ClusterZone::service`]. The order that events
//! came in is not known here, nor what the zone held before.

mod address;

use std::net::IpAddr;

use hickory_proto::rr::Name;

pub use address::AddressFilter;

/// One zone that is filled from a cluster, as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterZone {
    /// The apex, fully qualified.
    pub origin: Name,
    /// The name servers, the first of them the SOA's MNAME.
    pub nameservers: Vec<NameServer>,
    /// The SOA's RNAME, fully qualified.
    pub hostmaster: Name,
    /// Seconds that records of objects may be kept.
    pub ttl: u32,
    /// Seconds that the absence of a record may be kept: the SOA's MINIMUM (RFC 2308 §4).
    pub negative_ttl: u32,
    /// The TTL of SOA, NS and the name servers' addresses (RFC 9199 §6: otherwise every resolver comes back for them).
    pub nameserver_ttl: u32,
    /// The most records of an RRset of objects: BIND, as resolver and as secondary, refuses sets that are larger than its
    /// `max-records-per-type`, 100 by default.
    pub max_records: usize,
    /// Which addresses of objects may be published.
    pub addresses: AddressFilter,
}

/// A name server of a zone: one NS record at the apex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameServer {
    /// Its name, fully qualified.
    pub name: Name,
    /// All of its addresses as far as this zone is concerned; none: it is outside of the zone, or a Service's name.
    pub addresses: Vec<IpAddr>,
}
