//! The schema: which records a cluster's objects own, and for those that own
//! none, the reason.
//!
//! The mapping is that of the Kubernetes DNS specification 1.1.0, with names
//! that the world can resolve: `web.shop.svc.c2.k8s.ooo`. A [`ClusterZone`] is
//! what an operator has configured for one zone; all of its functions are pure.
//!
//! The unit is a [`Subject`], mostly a Service, or the Pods at an address: everything
//! at or below `name.namespace.svc` or `address.namespace.pod` in the zone, and every claim to names and addresses that
//! others may claim, too, comes from one [`Decision`]. Queries, reverse zones, dumps
//! and what operators are told follow from it. The order that events came in is
//! not known here. What became of the claims, a [`Register`] remembers.

mod address;
mod alias;
mod annotation;
mod apex;
mod decision;
mod extra;
mod host;
mod ipv4;
mod names;
mod pod;
mod publish;
mod reason;
mod register;
mod reverse;
mod selector;
mod ttl;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::{iter, str};

use hickory_proto::rr::rdata::{CNAME, TXT};
use hickory_proto::rr::{Name, RData, RecordType};

pub use address::{AddressFilter, AddressSource};
pub use annotation::reads_annotation;
pub use decision::{AddressOrigin, Age, Decision, NameClaim, NameRank, PublishedAddress};
pub use extra::{Extra, ExtraError};
pub use ipv4::{Ipv4Paths, MappingError, Nat64};
pub use publish::{Mode, Policy};
pub use reason::{Meaning, Reason};
pub use register::{Register, Update};
pub use reverse::{AddressClaims, ReverseZone};
pub use selector::{Selector, SelectorError};

use crate::cluster::{Cluster, Protocol, ServiceKey, ServiceType, Subject, is_label};
use crate::zone::{Rdata, Record, Serial, Subtree, name_to_wire};
use apex::Apex;
use host::{Host, SrvPrefix};

/// The version of the Kubernetes DNS specification that the names follow.
const DNS_VERSION: &str = "1.1.0";
/// One zone that is filled from a cluster, as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterZone {
    /// The apex, fully qualified.
    pub origin: Name,
    /// The name servers, the first of them the SOA's MNAME.
    pub nameservers: Vec<NameServer>,
    /// The SOA's RNAME, fully qualified.
    pub hostmaster: Name,
    /// Seconds that records of objects may be kept that do not say it themselves.
    pub ttl: u32,
    /// Seconds that the absence of a record may be kept: the SOA's MINIMUM (RFC 2308 §4).
    pub negative_ttl: u32,
    /// The TTL of SOA, NS and the name servers' addresses (RFC 9199 §6: otherwise every resolver comes back for them).
    pub nameserver_ttl: u32,
    /// The most records of an RRset of objects: BIND, as resolver and as secondary, refuses sets that are larger than its
    /// `max-records-per-type`, 100 by default.
    pub max_records: usize,
    /// Which Services are published.
    pub publish: Policy,
    /// Which of their addresses may be.
    pub addresses: AddressFilter,
    /// Where a Service's addresses come from, headless ones aside: for each family from the first that has one to publish.
    pub address_sources: Vec<AddressSource>,
    /// How IPv4 clients reach what has IPv6 addresses only.
    pub ipv4: Ipv4Paths,
    /// Static records, which no object overrides.
    pub extra: Extra,
    /// Whether the Pods that there are have names.
    pub pods: bool,
    /// Whether Services also have names without `svc`.
    pub short_names: bool,
    /// Whether annotations may claim names.
    pub hostnames: bool,
    /// Whether those may be wildcards.
    pub wildcards: bool,
    /// Whether a reverse zone is made of it: who publishes which address is remembered then.
    pub is_reversed: bool,
}

/// A name server of a zone: one NS record at the apex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameServer {
    /// Its name, fully qualified.
    pub name: Name,
    /// All of its addresses as far as this zone is concerned; none: it is outside of the zone, or a Service's name.
    pub addresses: Vec<IpAddr>,
}

impl ClusterZone {
    /// The zone at `origin` with what is usual for everything else; name servers are not.
    #[must_use]
    pub fn at(origin: Name) -> Self {
        Self {
            nameservers: Vec::new(),
            hostmaster: below(&origin, "hostmaster").unwrap_or_else(|| origin.clone()),
            origin,
            ttl: 30,
            negative_ttl: 30,
            nameserver_ttl: 3600,
            max_records: 100,
            publish: Policy::default(),
            addresses: AddressFilter::default(),
            address_sources: AddressSource::ALL.to_vec(),
            ipv4: Ipv4Paths::default(),
            extra: Extra::default(),
            pods: false,
            short_names: false,
            hostnames: false,
            wildcards: false,
            is_reversed: false,
        }
    }

    /// The records that are no Service's: SOA, NS, `dns-version`, and static ones and the configured addresses of
    /// name servers that are neither at a Service's name nor below one.
    ///
    /// Without name servers there is neither an SOA nor an NS record: a list of records, but no zone.
    #[must_use]
    pub fn apex(&self, serial: Serial) -> Vec<Record> {
        let mut records = Apex {
            origin: &self.origin,
            nameservers: &self.nameservers,
            hostmaster: &self.hostmaster,
            negative_ttl: self.negative_ttl,
            nameserver_ttl: self.nameserver_ttl,
        }
        .records(serial);
        records.append(&mut self.own().records);
        if let Some(owner) = below(&self.origin, "dns-version") {
            let txt = RData::TXT(TXT::new(vec![DNS_VERSION.to_owned()]));
            records.push(Record::new(owner, self.ttl, &txt));
        }
        let is_nobodys = |record: &&Record| match self.service_of(&record.owner).and_then(|key| self.root(&key)) {
            // What a delegation above a Service hides is the delegation's.
            Some(root) => self.extra.hides(&root),
            None => true,
        };
        records.extend(self.extra.records().filter(is_nobodys).cloned());
        records
    }

    /// What is published in the zone that no subject owns: the configured addresses that [`ClusterZone::apex`] has.
    #[must_use]
    pub fn addresses_at_apex(&self) -> Vec<PublishedAddress> {
        self.own().addresses
    }

    /// The configured addresses of all name servers in the zone, also of those that are called after a Service: what is
    /// served at these names, whatever the cluster says.
    #[must_use]
    pub fn configured_glue(&self) -> Vec<Record> {
        let mut owned = Owned::default();
        for nameserver in self.nameservers.iter().filter(|nameserver| self.origin.zone_of(&nameserver.name)) {
            self.own_nameserver(&nameserver.name, &nameserver.addresses, &mut owned);
        }
        owned.records
    }

    /// What name servers own that are neither called after a Service nor below the name of one.
    fn own(&self) -> Owned {
        let mut owned = Owned::default();
        for nameserver in &self.nameservers {
            if self.origin.zone_of(&nameserver.name) && self.service_of(&nameserver.name).is_none() {
                self.own_nameserver(&nameserver.name, &nameserver.addresses, &mut owned);
            }
        }
        owned
    }

    /// All that may own something in this zone, in order: the Services of the cluster,
    /// those that a name server is called after or static records are for, whether they exist or not, and Pods where they
    /// have names.
    pub fn subjects<'a>(&'a self, cluster: &'a Cluster) -> impl Iterator<Item = Subject> + 'a {
        self.subjects_after(cluster, &ServiceKey::before_all_in(&"".into()).into())
    }

    /// Those of them behind `subject`, whether or not that is one.
    pub fn subjects_after<'a>(
        &'a self,
        cluster: &'a Cluster,
        subject: &Subject,
    ) -> impl Iterator<Item = Subject> + use<'a> {
        let after = match subject {
            Subject::Service(key) => Some(key),
            Subject::Pods { .. } => None,
        };
        let configured = self.nameservers.iter().map(|nameserver| &nameserver.name);
        let configured = configured.chain(self.extra.records().map(|record| &record.owner));
        let configured = configured.filter_map(|name| self.service_of(name));
        let is_next = |key: &ServiceKey| cluster.service(key).is_none() && after.is_some_and(|after| key > after);
        let absent: BTreeSet<ServiceKey> = configured.filter(is_next).collect();
        let services = after.map(|after| cluster.services_after(after).map(|service| service.key.clone()));
        let (mut absent, mut services) = (absent.into_iter().peekable(), services.into_iter().flatten().peekable());
        let both = iter::from_fn(move || match (absent.peek(), services.peek()) {
            (Some(absent_key), Some(key)) if key < absent_key => services.next(),
            (None, _) => services.next(),
            _ => absent.next(),
        });
        let pods = self.pods.then(|| cluster.pod_subjects_after(subject)).into_iter().flatten();
        both.map(Subject::Service).chain(pods)
    }

    /// What one subject owns, and what there is to say about it.
    ///
    /// A Service that is absent, not published or has nothing to publish owns no
    /// records, save the addresses of a name server that is called after it
    /// (configured ones, or else the Service's own, published or not).
    /// `last` are the addresses that such a name server had before, for as long
    /// as the Service has none itself; of no meaning for all others.
    #[must_use]
    pub fn decide(&self, cluster: &Cluster, subject: &Subject, last: &[IpAddr]) -> Decision {
        match subject {
            Subject::Service(key) => self.service(cluster, key, last),
            Subject::Pods { namespace, address } if self.pods => pod::decide(self, cluster, namespace, *address),
            Subject::Pods { .. } => Decision::default(),
        }
    }

    fn service(&self, cluster: &Cluster, key: &ServiceKey, last: &[IpAddr]) -> Decision {
        let service = cluster.service(key);
        let Some(root) = self.root(key) else {
            let reasons = service.map(|_| Reason::InvalidName).into_iter().collect();
            return Decision { reasons, ..Decision::default() };
        };
        let is_nameserver = |name: &Name| self.nameservers.iter().any(|nameserver| nameserver.name == *name);
        let mut reasons = Vec::new();
        let is_selected = service.is_some_and(|service| self.publish.publishes_service(cluster, service, &mut reasons));
        let mut alias = None;
        let mut hosts = match service.map(|service| (service, service.service_type)) {
            Some((service, ServiceType::ClusterIp | ServiceType::LoadBalancer)) => {
                let mut why_none = Vec::new();
                let hosts = host::of_service(service, &self.address_sources, &self.addresses, &mut why_none);
                if hosts.is_empty() && self.address_sources.contains(&AddressSource::LoadBalancer) {
                    alias = alias::of_ingress(service, &mut reasons);
                }
                if alias.is_none() {
                    reasons.extend(why_none);
                }
                hosts
            }
            Some((_, ServiceType::Headless)) => {
                let slices: Vec<_> = cluster.slices(key).collect();
                host::of_endpoints(slices.iter().copied(), &self.addresses, &mut reasons)
            }
            Some((service, ServiceType::ExternalName)) => {
                alias = alias::of_external_name(service, &mut reasons);
                Vec::new()
            }
            None => Vec::new(),
        };
        let is_proxied = service.is_some_and(|service| ipv4::is_proxied(service, &mut reasons));
        // What is left out is not translated.
        host::shorten(&mut hosts, self.max_records, &mut reasons);
        // An HTTP proxy answers no question.
        self.ipv4.complete(&mut hosts, is_proxied && !is_nameserver(&root));
        let hosts = host::limit(hosts, self.max_records, &mut reasons);
        let ttl = service.map_or(self.ttl, |service| ttl::of(service, self.ttl, &mut reasons));
        let mut owned = Owned::by_hosts(&root, &hosts, ttl, &mut reasons);
        // No SRV: their targets must not be aliases (RFC 2782).
        owned.records.extend(alias.map(|target| Record::new(root.clone(), ttl, &RData::CNAME(CNAME(target)))));
        let is_overridden = self.give_way(&mut owned);
        if is_overridden {
            reasons.push(Reason::NameConflict);
        }
        let is_published = is_selected && !owned.records.is_empty();
        for nameserver in self.nameservers.iter().filter(|it| self.service_of(&it.name).as_ref() == Some(key)) {
            self.serve_nameserver(nameserver, &root, last, &mut owned, &mut reasons);
        }
        if !is_selected {
            owned.records.retain(|record| is_address(record) && is_nameserver(&record.owner));
            owned.addresses.retain(|published| is_nameserver(&published.owner));
        }
        let mut names = Vec::new();
        if is_published {
            names::claim(self, service.expect("it is published"), &root, &owned.records, &mut names, &mut reasons);
        }
        let subtree = (!self.extra.hides(&root)).then(|| {
            let mut records = owned.records;
            records.extend(self.extra.within(&root).cloned());
            Subtree { root, records }
        });
        reasons.sort_unstable();
        reasons.dedup();
        Decision {
            is_published,
            age: service.map_or_else(Age::default, |service| Age(service.created)),
            subtree,
            names,
            addresses: owned.addresses,
            reasons,
        }
    }

    /// Whether `name` is the schema's or the configuration's, whoever asks for it.
    ///
    /// A wildcard directly below the apex would stand in for `svc` as long as there is no Service.
    fn reserves(&self, name: &Name) -> bool {
        let schemas = ["svc", "pod", "dns-version"].iter().filter_map(|label| below(&self.origin, label));
        // Where the apex itself is a name server's, what is below it is not.
        let nameservers = self.nameservers.iter().map(|it| it.name.clone()).filter(|it| *it != self.origin);
        let wildcard = below(&self.origin, "*");
        *name == self.origin
            || wildcard.is_some_and(|wildcard| *name == wildcard)
            || self.extra.has(name)
            || schemas.chain(nameservers).any(|taken| taken.zone_of(name))
    }

    /// The Service that `name` is the name of, or is below the name of.
    #[must_use]
    pub fn service_of(&self, name: &Name) -> Option<ServiceKey> {
        service_of(&self.origin, name)
    }

    /// The Pods that `name` is the name of, or is below the name of, whether or not there are any.
    #[must_use]
    pub fn pods_of(&self, name: &Name) -> Option<Subject> {
        pod::subject_of(self, name).filter(|_| self.pods)
    }

    /// The name of the Service at `key`.
    fn root(&self, key: &ServiceKey) -> Option<Name> {
        if !is_label(&key.name) || !is_label(&key.namespace) {
            return None;
        }
        named([&key.name, &key.namespace, "svc"], &self.origin)
    }

    /// Takes out what static records override; whether there was anything.
    fn give_way(&self, owned: &mut Owned) -> bool {
        let before = owned.records.len();
        owned.records.retain(|record| !self.extra.overrides(record));
        if owned.records.len() == before {
            return false;
        }
        let records = &owned.records;
        owned
            .addresses
            .retain(|published| records.contains(&address(&published.owner, published.ttl, published.address)));
        true
    }

    /// Gives `nameserver`, at or below `root`, its addresses: they are the whole set at its name.
    fn serve_nameserver(
        &self,
        nameserver: &NameServer,
        root: &Name,
        last: &[IpAddr],
        owned: &mut Owned,
        reasons: &mut Vec<Reason>,
    ) {
        let name = &nameserver.name;
        let is_alias = |record: &Record| record.owner == *name && record.rtype == RecordType::CNAME;
        if owned.records.iter().any(is_alias) {
            // RFC 2181 §10.3
            owned.records.retain(|record| !is_alias(record));
            reasons.push(Reason::NameServerIsAlias);
        }
        let is_address = |record: &Record| record.owner == *name && is_address(record);
        if !nameserver.addresses.is_empty() {
            owned.records.retain(|record| !is_address(record));
            owned.addresses.retain(|published| published.owner != *name);
            self.own_nameserver(name, &nameserver.addresses, owned);
            return;
        }
        if !owned.records.iter().any(is_address) {
            reasons.push(Reason::NameServerWithoutAddress);
            if name == root {
                // They are of another configuration, maybe, and this one's word counts.
                let last: Vec<IpAddr> = last.iter().copied().filter(|ip| self.addresses.passes(*ip)).collect();
                self.own_nameserver(root, &last, owned);
            }
        }
        for record in owned.records.iter_mut().filter(|record| is_address(record)) {
            record.ttl = self.nameserver_ttl;
        }
    }

    /// Adds the addresses of the name server called `name`.
    fn own_nameserver(&self, name: &Name, addresses: &[IpAddr], owned: &mut Owned) {
        let mut addresses: BTreeMap<_, _> = addresses.iter().map(|ip| (*ip, AddressOrigin::NameServer)).collect();
        self.ipv4.nat64.complete(&mut addresses);
        for (ip, origin) in addresses {
            owned.records.push(address(name, self.nameserver_ttl, ip));
            let (owner, ttl) = (name.clone(), self.nameserver_ttl);
            owned.addresses.push(PublishedAddress { address: ip, origin, owner, ttl });
        }
    }
}

/// What a subject owns, as it is put together.
#[derive(Debug, Default)]
struct Owned {
    records: Vec<Record>,
    addresses: Vec<PublishedAddress>,
}

impl Owned {
    /// What the Service called `root` owns that consists of `hosts`.
    fn by_hosts(root: &Name, hosts: &[Host], ttl: u32, reasons: &mut Vec<Reason>) -> Self {
        let together: BTreeSet<IpAddr> = hosts.iter().flat_map(|host| host.addresses.keys().copied()).collect();
        let records = together.into_iter().map(|ip| address(root, ttl, ip)).collect();
        let mut owned = Self { records, addresses: Vec::new() };
        // Those of a headless Service mostly have the same ports.
        let prefixes: BTreeSet<_> = hosts.iter().flat_map(|host| host.ports.iter().map(|(prefix, _)| prefix)).collect();
        let owners = prefixes.into_iter().map(|prefix| (prefix, srv_owner(prefix, root))).collect();
        for host in hosts {
            owned.add(root, host, &owners, ttl, reasons);
        }
        owned
    }

    /// Adds what `host` gives the Service called `root`; `owners` are those of SRV records.
    fn add(
        &mut self,
        root: &Name,
        host: &Host,
        owners: &BTreeMap<&SrvPrefix, Option<Name>>,
        ttl: u32,
        reasons: &mut Vec<Reason>,
    ) {
        let target = host.label.as_ref().map_or_else(|| Some(root.clone()), |label| below(root, label));
        let published = |(&address, &origin): (&IpAddr, &AddressOrigin)| {
            let owner = target.as_ref().unwrap_or(root).clone();
            PublishedAddress { address, origin, owner, ttl }
        };
        self.addresses.extend(host.addresses.iter().map(published));
        let Some(target) = &target else {
            // The address stays reachable through the Service's name.
            reasons.push(Reason::InvalidHostname);
            return;
        };
        if target != root {
            self.records.extend(host.addresses.keys().map(|ip| address(target, ttl, *ip)));
        }
        let target_wire = name_to_wire(target);
        for (prefix, number) in &host.ports {
            let Some(Some(owner)) = owners.get(prefix) else {
                reasons.push(Reason::InvalidPortName);
                continue;
            };
            // RFC 2782: priority, weight, port and target.
            let rdata = [&[0, 0, 0, 100], &number.to_be_bytes()[..], &target_wire].concat();
            self.records.push(Record {
                owner: owner.clone(),
                ttl,
                rtype: RecordType::SRV,
                rdata: Rdata::from_wire(rdata),
            });
        }
    }
}

/// The owner of the SRV records of the Service called `root` for a port; none where it is too long to be a name.
fn srv_owner((port, protocol): &SrvPrefix, root: &Name) -> Option<Name> {
    let transport = match protocol {
        Protocol::Tcp => "_tcp",
        Protocol::Udp => "_udp",
        Protocol::Sctp => "_sctp",
    };
    named([&format!("_{port}"), transport], root)
}

/// The Service that `name` is the name of, or is below the name of, in a zone at `origin`.
pub(crate) fn service_of(origin: &Name, name: &Name) -> Option<ServiceKey> {
    let (service, namespace) = pair_below(origin, "svc", name)?;
    Some(ServiceKey { namespace: namespace.into(), name: service.into() })
}

/// `one` and `other`, in lower case, of a name at or below `one.other.kind` in a zone at `origin`.
fn pair_below(origin: &Name, kind: &str, name: &Name) -> Option<(String, String)> {
    if !origin.zone_of(name) {
        return None;
    }
    let depth = name.iter().count() - origin.iter().count();
    let labels: Vec<&[u8]> = name.iter().skip(depth.checked_sub(3)?).take(3).collect();
    let &[one, other, last] = labels.as_slice() else { return None };
    if !last.eq_ignore_ascii_case(kind.as_bytes()) {
        return None;
    }
    let label = |bytes: &[u8]| str::from_utf8(bytes).ok().map(str::to_ascii_lowercase).filter(|text| is_label(text));
    Some((label(one)?, label(other)?))
}

/// `label` and then `parent`; none when that is too long to be a name.
fn below(parent: &Name, label: &str) -> Option<Name> {
    named([label], parent)
}

/// `labels` and then `parent`; none when that is too long to be a name.
fn named<const N: usize>(labels: [&str; N], parent: &Name) -> Option<Name> {
    let own = labels.into_iter().try_fold(Name::new(), |name, label| name.append_label(label.as_bytes()));
    own.and_then(|name| name.append_name(parent)).ok()
}

fn is_address(record: &Record) -> bool {
    matches!(record.rtype, RecordType::A | RecordType::AAAA)
}

fn address(owner: &Name, ttl: u32, address: IpAddr) -> Record {
    // RFC 1035 §3.4.1, RFC 3596 §2.2: the address and nothing else.
    let (rtype, rdata) = match address {
        IpAddr::V6(address) => (RecordType::AAAA, Rdata::from_wire(address.octets())),
        IpAddr::V4(address) => (RecordType::A, Rdata::from_wire(address.octets())),
    };
    Record { owner: owner.clone(), ttl, rtype, rdata }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_at_or_below_that_of_a_service() {
        let zone = ClusterZone::at(Name::from_ascii("c2.k8s.ooo.").unwrap());
        let check = |name: &str, expected: Option<&str>| {
            let key = zone.service_of(&Name::from_ascii(name).unwrap());
            let text = key.map(|key| format!("{}/{}", key.namespace, key.name));
            assert_eq!(text.as_deref(), expected, "{name}");
        };

        check("web.shop.svc.c2.k8s.ooo.", Some("shop/web"));
        check("WEB.Shop.SVC.C2.k8s.ooo.", Some("shop/web"));
        check("_http._tcp.web.shop.svc.c2.k8s.ooo.", Some("shop/web"));
        check("svc.svc.svc.c2.k8s.ooo.", Some("svc/svc"));
        check("shop.svc.c2.k8s.ooo.", None);
        check("svc.c2.k8s.ooo.", None);
        check("c2.k8s.ooo.", None);
        check("ooo.", None);
        check("web.shop.pod.c2.k8s.ooo.", None);
        check("web.shop.svc.c3.k8s.ooo.", None);
        check("*.shop.svc.c2.k8s.ooo.", None);
        check("a_b.shop.svc.c2.k8s.ooo.", None);
    }
}
