//! What there is to say about a Namespace, a name and an address.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hickory_proto::rr::{Name, RecordType};

use super::{Address, AddressReport, Holder, NameReport, NamespaceReport, RecordText, Report, Said, View};
use crate::cluster::{ServiceKey, Subject};
use crate::schema::{AddressClaims, Age, PublishedAddress};
use crate::zone::{Record, Serial, name_to_text};

impl View<'_> {
    /// What there is to say about the Namespace called `namespace`; none: nothing is known of it, and no Service is in it.
    #[must_use]
    pub fn namespace(&self, namespace: &str) -> Option<NamespaceReport> {
        let in_it = self.cluster.services().filter(|service| *service.key.namespace == *namespace);
        let services: Vec<Report> = in_it.map(|service| self.service(&service.key)).collect();
        if services.is_empty() && self.cluster.namespace(namespace).is_none() {
            return None;
        }
        Some(NamespaceReport::of(&name_to_text(&self.zone.origin), namespace, services))
    }

    /// What there is to say about `name`, which is at or below the zone's apex.
    #[must_use]
    pub fn name(&self, name: &Name) -> NameReport {
        let name = &name.to_lowercase();
        let (mut records, mut others, mut exists) = (Vec::new(), Vec::new(), false);
        let mut tell = |record: &Record| {
            if record.owner == *name {
                records.push(RecordText::from(record));
            } else if !name.zone_of(&record.owner) {
                others.push(record.owner.clone());
            }
            exists |= name.zone_of(&record.owner);
        };
        // An SOA record has a serial, which only a server has.
        self.zone.apex(Serial(0)).iter().filter(|record| record.rtype != RecordType::SOA).for_each(&mut tell);
        let mut reasons = Vec::new();
        for subject in self.zone.subjects(self.cluster) {
            let decision = self.register.decision(self.zone, self.cluster, &subject);
            self.owned(&subject, &decision).for_each(&mut tell);
            if let Subject::Pods { namespace, address } = &subject
                && decision.subtree.is_some_and(|subtree| subtree.root.zone_of(name))
            {
                let pod = self.cluster.pods(namespace, *address).next().map(|pod| &*pod.name).unwrap_or_default();
                let said = self.register.reasons(&subject);
                reasons.extend(said.into_iter().map(|reason| Said::of_pod(reason, namespace, pod)));
            }
        }
        let holder = self.register.holder(name).and_then(|holder| match holder {
            Subject::Service(key) => Some(key.clone()),
            Subject::Pods { .. } => None,
        });
        let service = self.zone.service_of(name).filter(|key| self.cluster.service(key).is_some()).or(holder);
        let service = service.map(|key| self.service(&key));
        NameReport {
            zone: name_to_text(&self.zone.origin),
            name: name_to_text(name),
            records,
            exists,
            reasons: service.as_ref().map_or(reasons, |service| service.reasons.clone()),
            nearest: if exists || service.is_some() { None } else { nearest(name, &others) },
            service,
        }
    }

    /// What there is to say about `address`.
    #[must_use]
    pub fn address(&self, address: IpAddr) -> AddressReport {
        let is_it = |published: &PublishedAddress| published.address == address;
        let mut claims = AddressClaims::default();
        claims.set(None, Age::default(), self.zone.addresses_at_apex().into_iter().filter(is_it).collect());
        let mut in_front = Vec::new();
        for subject in self.zone.subjects(self.cluster) {
            let mut decision = self.register.decision(self.zone, self.cluster, &subject);
            decision.addresses.retain(is_it);
            for published in decision.addresses.iter().filter(|published| !published.origin.owns_ptr()) {
                in_front.push(Holder { subject: Some(subject.to_string()), address: published.into() });
            }
            claims.set(Some(subject), decision.age, decision.addresses);
        }
        let holder = |(subject, published): (Option<&Subject>, PublishedAddress)| Holder {
            subject: subject.map(ToString::to_string),
            address: Address::from(&published),
        };
        let published: Vec<Holder> = claims.claimants(address).map(holder).chain(in_front).collect();
        let publishes =
            |key: &ServiceKey| published.iter().any(|it| it.subject == Some(Subject::from(key.clone()).to_string()));
        let withheld = self.cluster.services().filter(|service| {
            let of_endpoints = || self.cluster.slices(&service.key).flat_map(|slice| &slice.endpoints);
            let own = [&service.cluster_ips, &service.ingress_ips, &service.external_ips];
            let has = own.into_iter().any(|addresses| addresses.contains(&address))
                || of_endpoints().any(|endpoint| endpoint.addresses.contains(&address));
            has && !publishes(&service.key)
        });
        AddressReport {
            zone: name_to_text(&self.zone.origin),
            address,
            withheld: withheld.map(|service| self.service(&service.key)).collect(),
            published,
        }
    }

    /// The Service whose place is the nearest to `key`, in its namespace if that has any.
    pub(super) fn nearest_service(&self, key: &ServiceKey) -> Option<String> {
        let distance = |other: &ServiceKey| {
            (other.namespace != key.namespace, strsim::damerau_levenshtein(&other.name, &key.name))
        };
        let keys = self.cluster.services().map(|service| &service.key);
        keys.min_by_key(|other| distance(other)).map(|key| Subject::from(key.clone()).to_string())
    }
}

impl NamespaceReport {
    /// What its `services`, all of them, make of a Namespace.
    #[must_use]
    pub fn of(zone: &str, namespace: &str, services: Vec<Report>) -> Self {
        let mut withheld = BTreeMap::new();
        for service in services.iter().filter(|service| !service.published) {
            let reason = service.reasons.first().map(|reason| reason.name.clone()).unwrap_or_default();
            *withheld.entry(reason).or_default() += 1;
        }
        Self {
            zone: zone.to_owned(),
            namespace: namespace.to_owned(),
            published: services.iter().filter(|service| service.published).count(),
            withheld,
            services,
        }
    }
}

/// The one of `others` that is written most like `name`, which is in lower case.
fn nearest(name: &Name, others: &[Name]) -> Option<String> {
    let name = name_to_text(name);
    let texts = others.iter().map(|other| name_to_text(&other.to_lowercase()));
    texts.min_by_key(|other| (strsim::damerau_levenshtein(other, &name), other.len()))
}
