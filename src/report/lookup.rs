//! What there is to say about a Namespace, a name and an address.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hickory_proto::rr::{Name, RecordType};

use super::{AddressReport, Holder, NameReport, NamespaceReport, RecordText, Report, Said, View};
use crate::cluster::{Service, ServiceKey, Subject};
use crate::schema::{AddressClaims, Age, ClusterZone, PublishedAddress};
use crate::zone::{Record, name_to_text};

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

    /// What there is to say about `name`, which is at or below the zone's apex and owns what [`Zone::at`](crate::zone::Zone::at) tells; without the
    /// nearest one to a name that there is not.
    #[must_use]
    pub fn name(&self, name: &Name, (exists, mut records): (bool, Vec<Record>)) -> NameReport {
        let name = &name.to_lowercase();
        // An SOA record has a serial, which only a server has; name servers are not known everywhere.
        let is_whole = |record: &Record| match record.rtype {
            RecordType::SOA => false,
            RecordType::NS => record.owner != self.zone.origin || !self.zone.nameservers.is_empty(),
            _ => true,
        };
        records.retain(is_whole);
        let is_one = |key: &ServiceKey| self.cluster.service(key).is_some() || !self.cluster.reads(&key.namespace);
        let service = self.zone.service_of(name).filter(is_one);
        let owner = records.first().map_or(name, |record| &record.owner);
        let service = service.or_else(|| match self.register.holder(owner) {
            Some(Subject::Service(key)) => Some(key.clone()),
            _ => None,
        });
        let service = service.map(|key| self.service(&key));
        NameReport {
            zone: name_to_text(&self.zone.origin),
            name: name_to_text(name),
            records: records.iter().map(RecordText::from).collect(),
            exists,
            reasons: service.as_ref().map_or_else(|| self.reasons_of_pods(name), |service| service.reasons.clone()),
            nearest: None,
            service,
        }
    }

    /// Why the Pods that `name` would be the name of, or below the name of, have none.
    fn reasons_of_pods(&self, name: &Name) -> Vec<Said> {
        let Some(subject) = self.zone.pods_of(name) else { return Vec::new() };
        let Subject::Pods { namespace, address } = &subject else { return Vec::new() };
        let pod = self.cluster.pods(namespace, *address).next().map(|pod| &*pod.name).unwrap_or_default();
        let said = self.register.reasons(&subject).into_iter();
        said.map(|reason| Said::of_pod(reason, namespace, pod)).collect()
    }

    /// What there is to say about `address`.
    #[must_use]
    pub fn address(&self, address: IpAddr) -> AddressReport {
        let mut search = AddressSearch::new(address);
        search.look(self, usize::MAX);
        search.report(self.zone)
    }

    /// The Service whose place is the nearest to `key`: of its name in another namespace, else in its namespace, if that has
    /// any.
    pub(super) fn nearest_service(&self, key: &ServiceKey) -> Option<String> {
        let of_name = |name: &str| self.cluster.services().map(|service| &service.key).find(|it| *it.name == *name);
        let elsewhere = || {
            let names = self.cluster.services().map(|service| service.key.name.to_string());
            of_name(&nearest(&key.name, names)?).cloned()
        };
        let first = ServiceKey::before_all_in(&key.namespace);
        let is_in_it = |service: &&Service| service.key.namespace == key.namespace;
        let in_it = self.cluster.services_after(&first).take_while(is_in_it);
        let in_it = || {
            let name = nearest(&key.name, in_it.map(|service| service.key.name.to_string()))?;
            Some(ServiceKey { name: name.into(), ..key.clone() })
        };
        let nearest = of_name(&key.name).cloned().or_else(in_it).or_else(elsewhere);
        nearest.map(|nearest| Subject::from(nearest).to_string())
    }
}

/// Who has an address, looked for among some subjects at a time: there may be many.
#[derive(Debug)]
pub struct AddressSearch {
    address: IpAddr,
    /// Those of subjects come behind this one; none: none has been looked at.
    after: Option<Subject>,
    claims: AddressClaims,
    in_front: Vec<Holder>,
    withheld: Vec<Report>,
}

impl AddressSearch {
    /// One for `address` that has not looked anywhere.
    #[must_use]
    pub fn new(address: IpAddr) -> Self {
        Self { address, after: None, claims: AddressClaims::default(), in_front: Vec::new(), withheld: Vec::new() }
    }

    /// Looks at `many` more subjects; whether these were the last.
    pub fn look(&mut self, view: &View<'_>, many: usize) -> bool {
        if self.after.is_none() {
            self.take(None, Age::default(), view.zone.addresses_at_apex());
        }
        let first = || ServiceKey::before_all_in(&"".into()).into();
        let after = self.after.take().unwrap_or_else(first);
        let mut subjects = view.zone.subjects_after(view.cluster, &after);
        for subject in subjects.by_ref().take(many) {
            self.look_at(view, &subject);
            self.after = Some(subject);
        }
        subjects.next().is_none()
    }

    fn look_at(&mut self, view: &View<'_>, subject: &Subject) {
        let decision = view.register.decision(view.zone, view.cluster, subject);
        if self.take(Some(subject), decision.age, decision.addresses) {
            return;
        }
        let Subject::Service(key) = subject else { return };
        let Some(service) = view.cluster.service(key) else { return };
        let own = [&service.cluster_ips, &service.ingress_ips, &service.external_ips].into_iter().flatten();
        let of_endpoints = view.cluster.slices(key).flat_map(|slice| &slice.endpoints).flat_map(|it| &it.addresses);
        if own.chain(of_endpoints).any(|address| *address == self.address) {
            self.withheld.push(view.service(key));
        }
    }

    /// Notes what `subject`, or the configuration, publishes; whether it publishes the address.
    fn take(&mut self, subject: Option<&Subject>, age: Age, mut published: Vec<PublishedAddress>) -> bool {
        published.retain(|published| published.address == self.address);
        let in_front = published.iter().filter(|published| !published.origin.owns_ptr());
        self.in_front.extend(in_front.map(|published| holder(subject, published)));
        let is_published = !published.is_empty();
        self.claims.set(subject.cloned(), age, published);
        is_published
    }

    /// What has been found in `zone`.
    #[must_use]
    pub fn report(self, zone: &ClusterZone) -> AddressReport {
        let claimants = self.claims.claimants(self.address).map(|(subject, published)| holder(subject, &published));
        AddressReport {
            zone: name_to_text(&zone.origin),
            address: self.address,
            published: claimants.chain(self.in_front).collect(),
            withheld: self.withheld,
        }
    }
}

fn holder(subject: Option<&Subject>, published: &PublishedAddress) -> Holder {
    Holder { subject: subject.map(ToString::to_string), address: published.into() }
}

impl NameReport {
    /// Whether nothing is known of the name, so that the nearest one helps.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        !self.exists && self.records.is_empty() && self.service.is_none()
    }

    /// With the nearest of `owners`, if that helps.
    #[must_use]
    pub fn among(self, owners: impl Iterator<Item = Name>) -> Self {
        if !self.is_lost() {
            return self;
        }
        let apex = &self.zone.to_ascii_lowercase();
        let own = |text: &str| text.strip_suffix(apex).unwrap_or(text).to_owned();
        let owners = owners.map(|owner| own(&name_to_text(&owner.to_lowercase())));
        let nearest = nearest(&own(&self.name), owners).map(|near| near + apex);
        Self { nearest, ..self }
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

/// The one of `others` that is written most like `text`, the first of several in the order of lengths and then of letters.
fn nearest(text: &str, others: impl Iterator<Item = String>) -> Option<String> {
    // Nothing has so long a name, and to compare it would take long.
    if text.len() > 255 {
        return None;
    }
    let of_text = letters(text);
    let mut others: Vec<_> = others.map(|other| (at_least(&of_text, &letters(&other)), other)).collect();
    // Most are ruled out without having been compared: that takes the product of both lengths.
    others.sort_unstable_by_key(|(at_least, _)| *at_least);
    let mut best: Option<(usize, usize, &str)> = None;
    for (at_least, other) in &others {
        if best.is_some_and(|(distance, ..)| distance < *at_least) {
            break;
        }
        let candidate = (strsim::damerau_levenshtein(other, text), other.len(), other.as_str());
        best = Some(best.map_or(candidate, |best| best.min(candidate)));
    }
    best.map(|(.., other)| other.to_owned())
}

/// How often each octet is in `text`.
fn letters(text: &str) -> [u8; 128] {
    let mut letters = [0u8; 128];
    for octet in text.bytes() {
        let letter = &mut letters[usize::from(octet % 128)];
        *letter = letter.saturating_add(1);
    }
    letters
}

/// A distance that two texts are apart by their letters alone: what one has and the other lacks is to be put in or replaced.
fn at_least(one: &[u8; 128], other: &[u8; 128]) -> usize {
    let lacks = |one: &[u8; 128], other: &[u8; 128]| {
        one.iter().zip(other).map(|(one, other)| usize::from(one.saturating_sub(*other))).sum::<usize>()
    };
    lacks(one, other).max(lacks(other, one))
}
