//! What operators are told: about a Service in one zone, a Namespace, a name, an address.
//!
//! Everything here says what a [`Register`] and [`ClusterZone::decide`] have
//! decided, in words and numbers that stand on a terminal as well as in JSON,
//! and that can be read back from there. Nothing is decided here.

mod audit;
mod lookup;
mod search;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use audit::{Audited, Finding, Target, Verdict};
pub use lookup::AddressSearch;
pub use search::{ServiceFilter, ServiceSearch};

use crate::cluster::{Cluster, EndpointSlice, IpFamily, ReadyCount, ServiceKey, ServiceType, Subject};
use crate::schema::{AddressOrigin, ClusterZone, Decision, Meaning, PublishedAddress, Reason, Register};
use crate::zone::{Record, name_to_text};

/// One zone as it was decided: what reports are made from.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// What is configured.
    pub zone: &'a ClusterZone,
    /// What the cluster says.
    pub cluster: &'a Cluster,
    /// What became of it: the register has been told of everything in `cluster`.
    pub register: &'a Register,
}

/// A list of things, or a part of it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Page<T> {
    /// In their order.
    pub items: Vec<T>,
    /// What to ask for as `after` to get what follows; none: nothing does.
    pub next: Option<String>,
}

impl<T> From<Vec<T>> for Page<T> {
    fn from(items: Vec<T>) -> Self {
        Self { items, next: None }
    }
}

/// What there is to say about one Service in one zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// The zone's apex; names are absolute, with a final dot.
    pub zone: String,
    /// The Service's namespace.
    pub namespace: String,
    /// The Service's name.
    pub name: String,
    /// What it is: `ClusterIP` (NodePort, too), `LoadBalancer`, `Headless`, `ExternalName`; none: there is no such Service.
    #[serde(rename = "type")]
    pub service_type: Option<String>,
    /// `spec.ipFamilies`, or else those of its addresses or its endpoints'; the primary first.
    pub families: Vec<IpFamily>,
    /// The first of them, if that is known to be the primary.
    pub primary: Option<IpFamily>,
    /// How many endpoints are ready, by the family of their addresses.
    pub ready: Ready,
    /// How many Pods are behind the ready endpoints, by the families of all the addresses that the Pods have: Kubernetes makes
    /// endpoints for a Service's own families only. Nothing where Pods are not known.
    pub pods: Ready,
    /// Whether it owns records beside those of a name server that is called after it.
    pub published: bool,
    /// Its name in the zone; none if it makes none.
    pub global_name: Option<String>,
    /// The names that it is reached by: `spec.externalName`, or those of its load balancer.
    pub hostnames: Vec<String>,
    /// What is published of its addresses.
    pub addresses: Vec<Address>,
    /// All that it owns, at and below its own name and at names that it holds.
    pub records: Vec<RecordText>,
    /// The names elsewhere in the zone that it claims.
    pub claims: Vec<Claim>,
    /// All reasons that hold, the first of which is the one for a Service that is not published.
    pub reasons: Vec<Said>,
    /// Of one that is not there, the nearest that is: `NAMESPACE/NAME`.
    pub nearest: Option<String>,
}

/// Numbers of what is ready. An endpoint or a Pod with an address of each family counts for both; one that is in several
/// slices, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Ready {
    /// With an IPv6 address.
    #[serde(rename = "IPv6")]
    pub v6: usize,
    /// With an IPv4 address.
    #[serde(rename = "IPv4")]
    pub v4: usize,
}

/// An address that is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Address {
    /// The address.
    pub address: IpAddr,
    /// Where it comes from.
    pub origin: AddressOrigin,
    /// The name that a PTR record would lead to.
    pub owner: String,
    /// Seconds that it may be kept.
    pub ttl: u32,
}

/// A record in presentation form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordText {
    /// The name that owns it.
    pub owner: String,
    /// Seconds that it may be kept.
    pub ttl: u32,
    /// `AAAA`
    #[serde(rename = "type")]
    pub rtype: String,
    /// `2a0a:e5c0:10:3::17`
    pub rdata: String,
}

/// A name outside of a Service's own that it claims.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Claim {
    /// The name.
    pub name: String,
    /// Who has it: `NAMESPACE/NAME`.
    pub holder: String,
    /// Whether that is the Service itself.
    pub held: bool,
}

/// A reason, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Said {
    /// Its code in the catalogue.
    pub code: String,
    /// Its name.
    pub name: String,
    /// What holds.
    pub sentence: String,
    /// What changes it.
    pub fix: String,
}

/// What there is to say about a Namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceReport {
    /// The zone's apex.
    pub zone: String,
    /// The Namespace.
    pub namespace: String,
    /// How many of its Services are published.
    pub published: usize,
    /// How many are not, by the first of their reasons' names.
    pub withheld: BTreeMap<String, usize>,
    /// Its Services, in the order of their names.
    pub services: Vec<Report>,
}

/// What there is to say about a name in a zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NameReport {
    /// The zone's apex.
    pub zone: String,
    /// The name.
    pub name: String,
    /// The records that speak for it: its own, or, where it does not exist, those of the wildcard, the delegation or the DNAME
    /// that stands in for it. Their owner tells.
    pub records: Vec<RecordText>,
    /// Whether there is anything at or below the name.
    pub exists: bool,
    /// The Service that it is the name of, is below the name of, or that has it by a claim.
    pub service: Option<Report>,
    /// The reasons of that Service, or of the Pods that it would be the name of.
    pub reasons: Vec<Said>,
    /// The nearest name that does exist, for one that does not and that is no Service's.
    pub nearest: Option<String>,
}

/// What there is to say about an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AddressReport {
    /// The zone's apex.
    pub zone: String,
    /// The address.
    pub address: IpAddr,
    /// Who publishes it, in the order in which claims to its PTR record count: of this zone, the first has it. Behind them
    /// those whose IPv4 clients come through it, which makes no PTR record.
    pub published: Vec<Holder>,
    /// The Services that have the address and do not publish it.
    pub withheld: Vec<Report>,
}

/// Who publishes an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Holder {
    /// `NAMESPACE/NAME`, or `NAMESPACE/ADDRESS` for Pods; none: the configuration, for a name server.
    pub subject: Option<String>,
    /// Where it comes from, and the name that it leads to.
    #[serde(flatten)]
    pub address: Address,
}

impl View<'_> {
    /// What there is to say about the Service at `key`, whether or not it exists.
    #[must_use]
    pub fn service(&self, key: &ServiceKey) -> Report {
        let subject = Subject::Service(key.clone());
        let decision = self.register.decision(self.zone, self.cluster, &subject);
        let service = self.cluster.service(key);
        let (families, primary) = self.families(key);
        // The register says nothing of a Service that is not there.
        let mut reasons = if service.is_some() { self.register.reasons(&subject) } else { decision.reasons.clone() };
        if !self.cluster.reads(&key.namespace) {
            reasons.insert(0, Reason::NamespaceNotRead);
        }
        let claim = |owner| {
            let holder = self.register.holder(owner);
            Claim {
                name: name_to_text(owner),
                holder: holder.map(ToString::to_string).unwrap_or_default(),
                held: holder == Some(&subject),
            }
        };
        Report {
            zone: name_to_text(&self.zone.origin),
            namespace: key.namespace.to_string(),
            name: key.name.to_string(),
            service_type: service.map(|service| type_to_text(service.service_type).to_owned()),
            families,
            primary,
            ready: self.ready(key),
            pods: self.pods(key),
            published: decision.is_published,
            global_name: decision.subtree.as_ref().map(|subtree| name_to_text(&subtree.root)),
            hostnames: service.into_iter().flat_map(|service| &service.hostnames).map(ToString::to_string).collect(),
            addresses: decision.addresses.iter().map(Address::from).collect(),
            records: self.owned(&subject, &decision).map(RecordText::from).collect(),
            claims: decision.names.iter().map(|claim| &claim.owner).map(claim).collect(),
            reasons: reasons.into_iter().map(|reason| Said::of(reason, key)).collect(),
            nearest: if service.is_none() { self.nearest_service(key) } else { None },
        }
    }

    /// What there is to say about every Service that there is, in the order of namespaces and names.
    pub fn services(&self) -> impl Iterator<Item = Report> + '_ {
        self.cluster.services().map(|service| self.service(&service.key))
    }

    /// The records that `subject` owns: its own, and those at names that it has.
    fn owned<'d>(&'d self, subject: &'d Subject, decision: &'d Decision) -> impl Iterator<Item = &'d Record> {
        let own = decision.subtree.iter().flat_map(|subtree| &subtree.records);
        let held = decision.names.iter().filter(|claim| self.register.holder(&claim.owner) == Some(subject));
        own.chain(held.flat_map(|claim| &claim.records))
    }

    /// The families of a Service, and the primary one. Manifests mostly do not tell; what is there does.
    fn families(&self, key: &ServiceKey) -> (Vec<IpFamily>, Option<IpFamily>) {
        let Some(service) = self.cluster.service(key) else { return (Vec::new(), None) };
        let mut families: Vec<_> = service.families.iter().copied().flatten().collect();
        if families.is_empty() {
            families.extend(service.cluster_ips.iter().map(IpFamily::of));
        }
        if !families.is_empty() {
            let primary = families.first().copied();
            return (families, primary);
        }
        let endpoints = self.cluster.slices(key).flat_map(|slice| &slice.endpoints);
        let of_endpoints: BTreeSet<_> = endpoints.flat_map(|endpoint| &endpoint.addresses).map(IpFamily::of).collect();
        let families: Vec<_> = of_endpoints.into_iter().rev().collect();
        let primary = families.first().copied().filter(|_| families.len() == 1);
        (families, primary)
    }

    /// The addresses of its ready endpoints.
    fn ready_addresses(&self, key: &ServiceKey) -> BTreeSet<IpAddr> {
        self.cluster.slices(key).flat_map(EndpointSlice::ready_addresses).copied().collect()
    }

    fn pods(&self, key: &ServiceKey) -> Ready {
        let behind = |address| self.cluster.pods(&key.namespace, address).map(|pod| (&pod.name, &pod.addresses));
        let pods: BTreeMap<_, _> = self.ready_addresses(key).into_iter().flat_map(behind).collect();
        let count = |is_of_family: fn(&IpAddr) -> bool| pods.values().filter(|of| of.iter().any(is_of_family)).count();
        Ready { v6: count(IpAddr::is_ipv6), v4: count(IpAddr::is_ipv4) }
    }

    /// How many endpoints of it are ready. Of those that are only counted, one in two EndpointSlices, as it may be for a
    /// moment, is two.
    fn ready(&self, key: &ServiceKey) -> Ready {
        let counted = self.cluster.slices(key).filter_map(|slice| slice.counted);
        let known = ReadyCount::of(&self.ready_addresses(key));
        counted.chain([known]).fold(Ready::default(), |sum, count| Ready {
            v6: sum.v6 + count.v6 as usize,
            v4: sum.v4 + count.v4 as usize,
        })
    }
}

impl Report {
    /// Whether anybody would know of such a Service, if there was one.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.reasons.iter().all(|reason| reason.name != Reason::NamespaceNotRead.name())
    }

    /// Where its name leads, if it is an alias.
    #[must_use]
    pub fn alias(&self) -> Option<&str> {
        let is_alias =
            |record: &&RecordText| Some(&record.owner) == self.global_name.as_ref() && record.rtype == "CNAME";
        self.records.iter().find(is_alias).map(|record| record.rdata.as_str())
    }
}

impl Said {
    fn of(reason: Reason, key: &ServiceKey) -> Self {
        Self::from_meaning(reason.meaning(), &key.namespace, &key.name)
    }

    /// The fixes are written for Services, and Pods have the same annotations.
    fn of_pod(reason: Reason, namespace: &str, name: &str) -> Self {
        let said = Self::from_meaning(reason.meaning(), namespace, name);
        Self { fix: said.fix.replace(" service ", " pod "), ..said }
    }

    fn from_meaning(meaning: Meaning, namespace: &str, name: &str) -> Self {
        Self {
            code: meaning.code.to_owned(),
            name: meaning.name.to_owned(),
            sentence: meaning.sentence.to_owned(),
            fix: meaning.fix_for(namespace, name),
        }
    }
}

impl From<&PublishedAddress> for Address {
    fn from(published: &PublishedAddress) -> Self {
        let PublishedAddress { address, origin, ref owner, ttl } = *published;
        Self { address, origin, owner: name_to_text(owner), ttl }
    }
}

impl From<&Record> for RecordText {
    fn from(record: &Record) -> Self {
        Self {
            owner: name_to_text(&record.owner),
            ttl: record.ttl,
            rtype: record.rtype_to_text(),
            rdata: record.rdata_to_text(),
        }
    }
}

fn type_to_text(service_type: ServiceType) -> &'static str {
    match service_type {
        ServiceType::ClusterIp => "ClusterIP",
        ServiceType::LoadBalancer => "LoadBalancer",
        ServiceType::Headless => "Headless",
        ServiceType::ExternalName => "ExternalName",
    }
}
