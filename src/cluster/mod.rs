//! What one cluster says: the Services, EndpointSlices, Namespaces and Pods known
//! now, trimmed to the fields a record can come from.
//!
//! [`Cluster`] is told of objects as they are learned, and answers which
//! [`Subject`]s each of them touched. Objects vanish only by a deletion or by being
//! absent from a complete list; a list that lacks most of what is known is not
//! believed before a second one says the same, because an API server that
//! starts over an empty or restored store is more likely than a cluster that
//! has lost everything at once.
//!
//! Nothing here does I/O or has a clock, and nothing here has heard of the DNS
//! or of a Kubernetes client.

mod object;
mod store;
mod syntax;
mod texts;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::Arc;

pub use object::{
    Annotations, Collection, Endpoint, EndpointSlice, IpFamily, IpFamilyPolicy, Kind, Labels, Namespace, Object,
    ObjectKey, Pod, Port, Protocol, ReadyCount, Service, ServiceKey, ServiceType, Subject,
};
use store::{Applied, Store, is_most};
pub use syntax::{has_label_syntax, has_name_syntax, is_label, is_subdomain};
use texts::Texts;

/// The objects of one cluster.
#[derive(Debug, Default)]
pub struct Cluster {
    services: Store<ServiceKey, Service>,
    /// By namespace and name of the EndpointSlice.
    slices: Store<(Arc<str>, Arc<str>), EndpointSlice>,
    namespaces: Store<Arc<str>, Namespace>,
    /// By namespace and name.
    pods: Store<(Arc<str>, Arc<str>), Pod>,
    /// The names of each Service's EndpointSlices, in order; mostly one.
    slices_of: HashMap<ServiceKey, Vec<Arc<str>>>,
    /// The names of the Pods of a namespace that have an address, in order; mostly one.
    pods_at: BTreeMap<(Arc<str>, IpAddr), Vec<Arc<str>>>,
    /// What objects have in common.
    texts: Texts,
    /// Whether there is a Namespace for every Service and Pod.
    has_all_namespaces: bool,
    /// The only namespaces that are read, each by itself, and no Namespaces then; none: all.
    only: BTreeSet<Arc<str>>,
    /// Whether endpoints that no record can come from are only counted.
    is_counting: bool,
    /// The headless Services with EndpointSlices that were counted when they were not: records would come from them.
    lacking: BTreeSet<ServiceKey>,
}

/// What the end of a complete list did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// The subjects touched.
    pub touched: Vec<Subject>,
    /// How many objects of the kind the list lacked that are kept, until a list that confirms lacks them, too.
    pub held: usize,
}

impl Cluster {
    /// A cluster whose objects come from an API: it has a Namespace for every Service and Pod, and may tell of it later.
    /// Manifests need not have any; they make a [`Cluster::default`].
    #[must_use]
    pub fn from_api() -> Self {
        Self { has_all_namespaces: true, ..Self::default() }
    }

    /// The same, and of the endpoints of Services with addresses of their own it keeps how many are ready, and no more.
    ///
    /// Then a change of such endpoints touches nothing, and where such a Service becomes a headless one, its endpoints may have
    /// to be [told again](Cluster::lacks_endpoints).
    #[must_use]
    pub fn counting(self) -> Self {
        Self { is_counting: true, ..self }
    }

    /// The same, of which only these namespaces are read; all, if there are none.
    ///
    /// Nothing is known of Namespaces themselves then, nor waited for.
    #[must_use]
    pub fn only_in(self, namespaces: impl IntoIterator<Item = impl Into<Arc<str>>>) -> Self {
        Self { only: namespaces.into_iter().map(Into::into).collect(), ..self }
    }

    /// What is listed, one by one, to know all objects, those of Pods only with `pods`: Namespaces, which are not read
    /// where namespaces are read one by one, come first.
    #[must_use]
    pub fn collections(&self, pods: bool) -> Vec<Collection> {
        let namespaces = self.only.is_empty().then_some(Kind::Namespace);
        let pods = pods.then_some(Kind::Pod);
        let kinds = namespaces.into_iter().chain([Kind::Service, Kind::EndpointSlice]).chain(pods);
        let of = |kind| self.namespaces_read().map(move |namespace| Collection { kind, namespace: namespace.cloned() });
        kinds.flat_map(of).collect()
    }

    /// Whether it is known what there is in the namespace called `name`, if there is one.
    #[must_use]
    pub fn reads(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.contains(name)
    }

    /// The object exists and says this; returns the subjects touched, none when it said the same before.
    pub fn apply(&mut self, object: Object) -> Vec<Subject> {
        match object {
            Object::Service(service) => self.apply_service(service),
            Object::EndpointSlice(slice) => self.apply_slice(slice),
            Object::Namespace(namespace) => self.apply_namespace(namespace),
            Object::Pod(pod) => self.apply_pod(pod),
        }
    }

    /// The object exists; what it says now is not known, what it said before stays.
    pub fn mark(&mut self, key: &ObjectKey) {
        match key.kind {
            Kind::Service => self.services.mark(&service_key(key)),
            Kind::EndpointSlice => self.slices.mark(&namespaced(key)),
            Kind::Namespace => self.namespaces.mark(&*key.name),
            Kind::Pod => self.pods.mark(&namespaced(key)),
        }
    }

    /// The object is gone; returns the subjects touched.
    pub fn delete(&mut self, key: &ObjectKey) -> Vec<Subject> {
        match key.kind {
            Kind::Service => {
                let key = service_key(key);
                self.lacking.remove(&key);
                self.services.delete(&key).map(|_| key.into()).into_iter().collect()
            }
            Kind::EndpointSlice => {
                let slice = self.slices.delete(&namespaced(key));
                slice.and_then(|slice| self.part(slice)).into_iter().collect()
            }
            Kind::Namespace => match self.namespaces.delete(&*key.name) {
                Some(namespace) => self.subjects_in(&namespace.name),
                None => Vec::new(),
            },
            Kind::Pod => {
                let pod = self.pods.delete(&namespaced(key));
                pod.into_iter().flat_map(|pod| self.leave(&pod)).collect()
            }
        }
    }

    /// A complete list of a collection begins.
    ///
    /// `confirms`: it was asked for to learn whether what an earlier list
    /// lacked is really gone; other lists are too near to that one to tell.
    pub fn listing(&mut self, of: impl Into<Collection>, confirms: bool) {
        let Collection { kind, namespace } = of.into();
        let namespace = namespace.as_ref();
        match kind {
            Kind::Service => self.services.listing(namespace, confirms),
            Kind::EndpointSlice => self.slices.listing(namespace, confirms),
            Kind::Namespace => self.namespaces.listing(namespace, confirms),
            Kind::Pod => self.pods.listing(namespace, confirms),
        }
    }

    /// The list of a collection that began last is complete: what it lacked is gone.
    ///
    /// If it lacked more than half of the collection's objects, and more than 20, they are
    /// held: they stay until a list that confirms lacks them, too. Namespaces
    /// are also counted by the Services and Pods in them, which go with them: a
    /// cluster has few, and mostly one with most of its Services.
    pub fn listed(&mut self, of: impl Into<Collection>) -> Swept {
        self.texts.forget();
        let Collection { kind, namespace } = of.into();
        let namespace = namespace.as_ref();
        match kind {
            Kind::Service => {
                let gone = self.services.listed(namespace, |_| false);
                self.lacking.retain(|key| self.services.get(key).is_some());
                Swept {
                    touched: gone.into_iter().map(|(key, _)| key.into()).collect(),
                    held: self.services.held(namespace),
                }
            }
            Kind::EndpointSlice => {
                let gone = self.slices.listed(namespace, |_| false);
                let touched = gone.into_iter().filter_map(|(_, slice)| self.part(slice)).collect();
                Swept { touched, held: self.slices.held(namespace) }
            }
            Kind::Namespace => {
                let (services, pods_at) = (&self.services, &self.pods_at);
                let gone = self.namespaces.listed(namespace, |lacking| {
                    let services_in_them = lacking.iter().map(|name| services_in(services, name).count()).sum();
                    let pods_in_them = lacking.iter().map(|name| pods_in(pods_at, name).count()).sum();
                    is_most(services_in_them, services.len()) || is_most(pods_in_them, pods_at.len())
                });
                let touched = gone.iter().flat_map(|(name, _)| self.subjects_in(name)).collect();
                Swept { touched, held: self.namespaces.held(namespace) }
            }
            Kind::Pod => {
                let gone = self.pods.listed(namespace, |_| false);
                let touched: BTreeSet<Subject> = gone.into_iter().flat_map(|(_, pod)| self.leave(&pod)).collect();
                Swept { touched: touched.into_iter().collect(), held: self.pods.held(namespace) }
            }
        }
    }

    /// Whether every kind that is read, but Pods, which not everybody wants to know of, has been listed in full at least once:
    /// in each namespace, where these are read one by one.
    #[must_use]
    pub fn synced(&self) -> bool {
        let is_listed = |namespace| self.services.is_listed(namespace) && self.slices.is_listed(namespace);
        let knows_namespaces = !self.only.is_empty() || self.namespaces.is_listed(None);
        knows_namespaces && self.namespaces_read().all(is_listed)
    }

    /// Whether Pods have been listed in full at least once.
    #[must_use]
    pub fn knows_pods(&self) -> bool {
        self.namespaces_read().all(|namespace| self.pods.is_listed(namespace))
    }

    /// The namespaces that are read one by one, or none for the whole cluster.
    fn namespaces_read(&self) -> impl Iterator<Item = Option<&Arc<str>>> {
        let whole = self.only.is_empty().then_some(None);
        whole.into_iter().chain(self.only.iter().map(Some))
    }

    /// Whether there are headless Services with EndpointSlices that were only counted, as long as they were not headless.
    ///
    /// Whoever makes EndpointSlices changes them then; those that somebody made by hand stay as they are, and have to be listed.
    #[must_use]
    pub fn lacks_endpoints(&self) -> bool {
        !self.lacking.is_empty()
    }

    /// How many objects of a kind there are.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        match kind {
            Kind::Service => self.services.len(),
            Kind::EndpointSlice => self.slices.len(),
            Kind::Namespace => self.namespaces.len(),
            Kind::Pod => self.pods.len(),
        }
    }

    /// The Service at `key`.
    #[must_use]
    pub fn service(&self, key: &ServiceKey) -> Option<&Service> {
        self.services.get(key)
    }

    /// Every Service, in the order of keys.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.iter().map(|(_, service)| service)
    }

    /// The Services behind `key`, whether or not there is one, in the order of keys.
    pub fn services_after<'a>(&'a self, key: &ServiceKey) -> impl Iterator<Item = &'a Service> + use<'a> {
        let key = key.clone();
        self.services.from(&key).filter(move |(found, _)| **found != key).map(|(_, service)| service)
    }

    /// How many Services there are.
    #[must_use]
    pub fn service_count(&self) -> usize {
        self.services.len()
    }

    /// The EndpointSlices of the Service at `key`, in the order of their names.
    pub fn slices(&self, key: &ServiceKey) -> impl Iterator<Item = &EndpointSlice> {
        let names = self.slices_of.get(key).into_iter().flatten();
        names.filter_map(|name| self.slices.get(&(key.namespace.clone(), name.clone())))
    }

    /// The Pods of `namespace` that have `address`, in the order of their names.
    pub fn pods(&self, namespace: &Arc<str>, address: IpAddr) -> impl Iterator<Item = &Pod> {
        let names = self.pods_at.get(&(namespace.clone(), address)).into_iter().flatten();
        names.filter_map(|name| self.pods.get(&(namespace.clone(), name.clone())))
    }

    /// What there are Pods for, in order.
    pub fn pod_subjects(&self) -> impl Iterator<Item = Subject> {
        self.pods_at.keys().map(pods_subject)
    }

    /// Those of them behind `subject`; all of them behind a Service.
    pub fn pod_subjects_after<'a>(&'a self, subject: &Subject) -> impl Iterator<Item = Subject> + use<'a> {
        let after = match subject {
            Subject::Service(_) => Bound::Unbounded,
            Subject::Pods { namespace, address } => Bound::Excluded((namespace.clone(), *address)),
        };
        self.pods_at.range((after, Bound::Unbounded)).map(|(key, _)| pods_subject(key))
    }

    /// Whether there is a Service, or a Pod, that is meant.
    #[must_use]
    pub fn has(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Service(key) => self.service(key).is_some(),
            Subject::Pods { namespace, address } => self.pods_at.contains_key(&(namespace.clone(), *address)),
        }
    }

    /// The Namespace called `name`.
    #[must_use]
    pub fn namespace(&self, name: &str) -> Option<&Namespace> {
        self.namespaces.get(name)
    }

    /// Whether there is a Namespace called `name` of which nothing is known yet.
    #[must_use]
    pub fn awaits_namespace(&self, name: &str) -> bool {
        self.has_all_namespaces && self.only.is_empty() && self.namespace(name).is_none()
    }

    fn apply_service(&mut self, mut service: Service) -> Vec<Subject> {
        for text in key_texts_mut(&mut service.key).into_iter().chain(port_texts_mut(&mut service.ports)) {
            self.texts.share(text);
        }
        service.labels.texts_mut().for_each(|text| self.texts.share(text));
        let key = service.key.clone();
        if let Applied::Same = self.services.apply(key.clone(), service) {
            return Vec::new();
        }
        if self.counts(&key) {
            for name in self.slices_of.get(&key).into_iter().flatten() {
                if let Some(slice) = self.slices.get_mut(&(key.namespace.clone(), name.clone())) {
                    slice.count();
                }
            }
        }
        self.note_lacking(&key);
        vec![key.into()]
    }

    /// Whether of the endpoints of the Service at `key` no more is kept than how many are ready: nothing comes from them.
    fn counts(&self, key: &ServiceKey) -> bool {
        let has_addresses = |service: &Service| match service.service_type {
            ServiceType::ClusterIp | ServiceType::LoadBalancer => true,
            ServiceType::Headless | ServiceType::ExternalName => false,
        };
        self.is_counting && self.service(key).is_some_and(has_addresses)
    }

    /// Finds out whether the Service at `key` lacks endpoints that it had.
    fn note_lacking(&mut self, key: &ServiceKey) {
        let is_headless = self.service(key).is_some_and(|service| service.service_type == ServiceType::Headless);
        if is_headless && self.slices(key).any(|slice| slice.counted.is_some()) {
            self.lacking.insert(key.clone());
        } else {
            self.lacking.remove(key);
        }
    }

    /// The Service at `key`, if it matters to it which endpoints it has.
    fn touched(&mut self, key: ServiceKey) -> Option<Subject> {
        self.note_lacking(&key);
        (!self.counts(&key)).then(|| key.into())
    }

    fn apply_slice(&mut self, mut slice: EndpointSlice) -> Vec<Subject> {
        if self.counts(&slice.service) {
            slice.count();
        }
        for text in key_texts_mut(&mut slice.service).into_iter().chain(port_texts_mut(&mut slice.ports)) {
            self.texts.share(text);
        }
        let (service, name) = (slice.service.clone(), slice.name.clone());
        let left = match self.slices.apply((service.namespace.clone(), name.clone()), slice) {
            Applied::Same => return Vec::new(),
            Applied::Changed(before) if before.service == service => None,
            Applied::Changed(before) => {
                let left = self.part(before);
                self.join(&service, name);
                left
            }
            Applied::New => {
                self.join(&service, name);
                None
            }
        };
        left.into_iter().chain(self.touched(service)).collect()
    }

    fn apply_namespace(&mut self, mut namespace: Namespace) -> Vec<Subject> {
        self.texts.share(&mut namespace.name);
        namespace.labels.texts_mut().for_each(|text| self.texts.share(text));
        let name = namespace.name.clone();
        match self.namespaces.apply(name.clone(), namespace) {
            Applied::Same => Vec::new(),
            Applied::New | Applied::Changed(_) => self.subjects_in(&name),
        }
    }

    fn apply_pod(&mut self, mut pod: Pod) -> Vec<Subject> {
        self.texts.share(&mut pod.namespace);
        let (namespace, name, addresses) = (pod.namespace.clone(), pod.name.clone(), pod.addresses.clone());
        let mut touched = match self.pods.apply((namespace.clone(), name.clone()), pod) {
            Applied::Same => return Vec::new(),
            Applied::New => Vec::new(),
            Applied::Changed(before) => self.leave(&before),
        };
        for address in addresses {
            insert(self.pods_at.entry((namespace.clone(), address)).or_default(), name.clone());
            touched.push(Subject::Pods { namespace: namespace.clone(), address });
        }
        touched.sort_unstable();
        touched.dedup();
        touched
    }

    /// Forgets that there is `pod` at its addresses; returns what it was part of.
    fn leave(&mut self, pod: &Pod) -> Vec<Subject> {
        for address in &pod.addresses {
            let key = (pod.namespace.clone(), *address);
            let Some(names) = self.pods_at.get_mut(&key) else { continue };
            names.retain(|name| *name != pod.name);
            if names.is_empty() {
                self.pods_at.remove(&key);
            }
        }
        let subject = |address: &IpAddr| Subject::Pods { namespace: pod.namespace.clone(), address: *address };
        pod.addresses.iter().map(subject).collect()
    }

    fn join(&mut self, service: &ServiceKey, slice: Arc<str>) {
        insert(self.slices_of.entry(service.clone()).or_default(), slice);
    }

    /// Forgets that `slice` was its Service's; returns that Service, if that matters to it.
    fn part(&mut self, slice: EndpointSlice) -> Option<Subject> {
        if let Some(names) = self.slices_of.get_mut(&slice.service) {
            names.retain(|name| *name != slice.name);
            if names.is_empty() {
                self.slices_of.remove(&slice.service);
            }
        }
        self.touched(slice.service)
    }

    fn subjects_in(&self, namespace: &Arc<str>) -> Vec<Subject> {
        let services = services_in(&self.services, namespace).cloned().map(Subject::Service);
        services.chain(pods_in(&self.pods_at, namespace).map(pods_subject)).collect()
    }
}

fn key_texts_mut(key: &mut ServiceKey) -> [&mut Arc<str>; 2] {
    [&mut key.namespace, &mut key.name]
}

fn port_texts_mut(ports: &mut [Port]) -> impl Iterator<Item = &mut Arc<str>> {
    ports.iter_mut().flat_map(|port| [&mut port.name, &mut port.app_protocol])
}

fn services_in<'a>(
    services: &'a Store<ServiceKey, Service>,
    namespace: &'a str,
) -> impl Iterator<Item = &'a ServiceKey> {
    let keys = services.from(&ServiceKey::before_all_in(&namespace.into())).map(|(key, _)| key);
    keys.take_while(move |key| *key.namespace == *namespace)
}

fn pods_in<'a>(
    pods_at: &'a BTreeMap<(Arc<str>, IpAddr), Vec<Arc<str>>>,
    namespace: &'a Arc<str>,
) -> impl Iterator<Item = &'a (Arc<str>, IpAddr)> {
    // IPv4 goes before IPv6.
    let first = (namespace.clone(), IpAddr::from([0; 4]));
    pods_at.range(first..).map(|(key, _)| key).take_while(move |(of, _)| of == namespace)
}

fn pods_subject((namespace, address): &(Arc<str>, IpAddr)) -> Subject {
    Subject::Pods { namespace: namespace.clone(), address: *address }
}

/// Puts a name where it belongs among `names`, in the smallest room.
fn insert(names: &mut Vec<Arc<str>>, name: Arc<str>) {
    if let Err(place) = names.binary_search(&name) {
        names.reserve_exact(1);
        names.insert(place, name);
    }
}

fn service_key(key: &ObjectKey) -> ServiceKey {
    ServiceKey { namespace: key.namespace.clone(), name: key.name.clone() }
}

fn namespaced(key: &ObjectKey) -> (Arc<str>, Arc<str>) {
    (key.namespace.clone(), key.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> ServiceKey {
        let (namespace, name) = text.split_once('/').unwrap();
        ServiceKey { namespace: namespace.into(), name: name.into() }
    }

    fn service(text: &str) -> Object {
        Object::Service(Service { service_type: ServiceType::Headless, ..Service::bare(key(text)) })
    }

    /// A slice called `name` of the Service at `of`, with one endpoint.
    fn slice(of: &str, name: &str, address: &str) -> Object {
        Object::EndpointSlice(EndpointSlice {
            name: name.into(),
            service: key(of),
            endpoints: vec![Endpoint { addresses: [address.parse().unwrap()].into(), hostname: None, ready: true }],
            ports: Vec::new(),
            is_headless: false,
            counted: None,
        })
    }

    fn namespace(name: &str, label: &str) -> Object {
        let labels = [("label", label)].into_iter().collect();
        Object::Namespace(Namespace { name: name.into(), labels, annotations: Annotations::new() })
    }

    fn pod(text: &str, addresses: &[&str]) -> Object {
        let ServiceKey { namespace, name } = key(text);
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        Object::Pod(Pod { namespace, name, created: None, addresses, annotations: Annotations::new() })
    }

    fn object_key(kind: Kind, text: &str) -> ObjectKey {
        let key = key(text);
        ObjectKey { kind, namespace: key.namespace, name: key.name }
    }

    /// The Services touched, in their order, are these.
    fn check(touched: &[Subject], expected: &[&str]) {
        let touched: Vec<String> = touched.iter().map(ToString::to_string).collect();
        assert_eq!(touched, expected);
    }

    #[test]
    fn a_service_touches_itself_when_it_changes() {
        let mut cluster = Cluster::default();

        check(&cluster.apply(service("shop/web")), &["shop/web"]);
        check(&cluster.apply(service("shop/web")), &[]);
        check(&cluster.delete(&object_key(Kind::Service, "shop/web")), &["shop/web"]);
        check(&cluster.delete(&object_key(Kind::Service, "shop/web")), &[]);
    }

    #[test]
    fn a_slice_touches_its_service() {
        let mut cluster = Cluster::default();

        check(&cluster.apply(slice("shop/db", "db-1", "2a0a::1")), &["shop/db"]);
        check(&cluster.apply(slice("shop/db", "db-1", "2a0a::1")), &[]);
        check(&cluster.apply(slice("shop/db", "db-1", "2a0a::2")), &["shop/db"]);
        check(&cluster.delete(&object_key(Kind::EndpointSlice, "shop/db-1")), &["shop/db"]);
        assert_eq!(cluster.slices(&key("shop/db")).count(), 0);
    }

    #[test]
    fn a_slice_that_changes_its_service_touches_both() {
        let mut cluster = Cluster::default();

        check(&cluster.apply(slice("shop/db", "s", "2a0a::1")), &["shop/db"]);
        check(&cluster.apply(slice("shop/cache", "s", "2a0a::1")), &["shop/db", "shop/cache"]);
        assert_eq!(cluster.slices(&key("shop/db")).count(), 0);
        assert_eq!(cluster.slices(&key("shop/cache")).count(), 1);
    }

    #[test]
    fn slices_of_one_name_in_two_namespaces_are_two() {
        let mut cluster = Cluster::default();

        cluster.apply(slice("shop/db", "s", "2a0a::1"));
        cluster.apply(slice("depot/db", "s", "2a0a::2"));
        check(&cluster.delete(&object_key(Kind::EndpointSlice, "shop/s")), &["shop/db"]);
        assert_eq!(cluster.slices(&key("depot/db")).count(), 1);
    }

    #[test]
    fn a_namespace_touches_all_that_is_in_it() {
        let mut cluster = Cluster::default();
        for text in ["shop/web", "shop/db", "shopping/web", "sho/web"] {
            cluster.apply(service(text));
            cluster.apply(pod(text, &["2a0a::1", "0.0.0.0"]));
        }

        let all = ["shop/db", "shop/web", "shop/0.0.0.0", "shop/2a0a::1"];
        check(&cluster.apply(namespace("shop", "a")), &all);
        check(&cluster.apply(namespace("shop", "a")), &[]);
        check(&cluster.apply(namespace("shop", "b")), &all);
        check(&cluster.delete(&object_key(Kind::Namespace, "/shop")), &all);
    }

    /// The names of the Pods in `shop` that have `address`.
    fn pods_at<'c>(cluster: &'c Cluster, address: &str) -> Vec<&'c str> {
        cluster.pods(&"shop".into(), address.parse().unwrap()).map(|pod| &*pod.name).collect()
    }

    #[test]
    fn a_pod_touches_its_addresses() {
        let mut cluster = Cluster::default();

        check(&cluster.apply(pod("shop/a", &["2a0a::1", "10.0.0.1"])), &["shop/10.0.0.1", "shop/2a0a::1"]);
        check(&cluster.apply(pod("shop/a", &["2a0a::1", "10.0.0.1"])), &[]);
        check(&cluster.apply(pod("shop/a", &["2a0a::2"])), &["shop/10.0.0.1", "shop/2a0a::1", "shop/2a0a::2"]);
        assert_eq!(pods_at(&cluster, "2a0a::1"), [""; 0]);
        assert_eq!(pods_at(&cluster, "2a0a::2"), ["a"]);
        let subjects: Vec<_> = cluster.pod_subjects().collect();
        check(&subjects, &["shop/2a0a::2"]);
        assert!(cluster.has(&subjects[0]));
        check(&cluster.delete(&object_key(Kind::Pod, "shop/a")), &["shop/2a0a::2"]);
        check(&cluster.delete(&object_key(Kind::Pod, "shop/a")), &[]);
        assert!(!cluster.has(&subjects[0]) && cluster.pod_subjects().next().is_none());
    }

    #[test]
    fn pods_of_a_namespace_share_an_address_until_the_last_is_gone() {
        let mut cluster = Cluster::default();
        for text in ["shop/b", "shop/a", "depot/a"] {
            cluster.apply(pod(text, &["2a0a::1"]));
        }

        assert_eq!(pods_at(&cluster, "2a0a::1"), ["a", "b"]);
        check(&cluster.delete(&object_key(Kind::Pod, "shop/a")), &["shop/2a0a::1"]);
        assert_eq!(pods_at(&cluster, "2a0a::1"), ["b"]);
        cluster.delete(&object_key(Kind::Pod, "shop/b"));
        check(&cluster.pod_subjects().collect::<Vec<_>>(), &["depot/2a0a::1"]);
    }

    #[test]
    fn a_cluster_is_synced_when_every_kind_but_pods_was_listed_once() {
        let mut cluster = Cluster::default();

        for kind in [Kind::Service, Kind::EndpointSlice, Kind::Namespace] {
            assert!(!cluster.synced());
            cluster.listing(kind, false);
            cluster.listed(kind);
        }
        assert!(cluster.synced());
        cluster.listing(Kind::Service, false);
        cluster.listing(Kind::Pod, false);
        assert!(cluster.synced() && !cluster.knows_pods());
        cluster.listed(Kind::Pod);
        assert!(cluster.knows_pods());
    }

    #[test]
    fn a_cluster_read_by_namespaces_is_synced_when_each_was_listed() {
        let mut cluster = Cluster::from_api().only_in(["shop", "depot"]);
        let (all, with_pods) = (cluster.collections(false), cluster.collections(true));
        assert!(with_pods.iter().all(|collection| collection.kind != Kind::Namespace));
        let (pods, others): (Vec<_>, Vec<_>) = with_pods.into_iter().partition(|it| it.kind == Kind::Pod);
        assert_eq!(all, others);
        assert_eq!((all.len(), pods.len()), (4, 2));

        for collection in all {
            assert!(!cluster.synced(), "{collection:?}");
            cluster.listing(collection.clone(), false);
            cluster.listed(collection);
        }
        assert!(cluster.synced() && !cluster.knows_pods());
        for collection in pods {
            assert!(!cluster.knows_pods());
            cluster.listed(collection);
        }
        assert!(cluster.knows_pods());
        assert!(!cluster.awaits_namespace("shop"), "nothing will be heard of it");
        assert!(cluster.reads("shop") && !cluster.reads("bar") && Cluster::from_api().reads("bar"));
    }

    #[test]
    fn what_a_list_lacks_touches_what_it_was_part_of() {
        let mut cluster = Cluster::default();
        cluster.apply(service("shop/web"));
        cluster.apply(slice("shop/web", "web-1", "2a0a::1"));
        cluster.apply(namespace("shop", "a"));

        for kind in [Kind::EndpointSlice, Kind::Namespace, Kind::Service] {
            cluster.listing(kind, false);
            check(&cluster.listed(kind).touched, &["shop/web"]);
        }
        assert_eq!(cluster.service_count(), 0);

        cluster.apply(pod("shop/a", &["2a0a::1", "2a0a::2"]));
        cluster.apply(pod("shop/b", &["2a0a::1"]));
        cluster.listing(Kind::Pod, false);
        check(&cluster.listed(Kind::Pod).touched, &["shop/2a0a::1", "shop/2a0a::2"]);
        assert_eq!(cluster.pod_subjects().count(), 0);
    }

    #[test]
    fn an_object_that_cannot_be_read_keeps_what_it_said() {
        let mut cluster = Cluster::default();
        cluster.apply(service("shop/web"));
        cluster.apply(service("shop/db"));

        cluster.listing(Kind::Service, false);
        cluster.mark(&object_key(Kind::Service, "shop/web"));
        check(&cluster.listed(Kind::Service).touched, &["shop/db"]);
        assert!(cluster.service(&key("shop/web")).is_some());
    }

    #[test]
    fn a_namespace_is_held_by_the_number_of_its_services() {
        let mut cluster = Cluster::default();
        for number in 0..30 {
            cluster.apply(service(&format!("shop/web-{number}")));
        }
        cluster.apply(service("depot/web"));
        cluster.apply(namespace("shop", "a"));
        cluster.apply(namespace("depot", "a"));

        cluster.listing(Kind::Namespace, false);
        cluster.apply(namespace("shop", "a"));
        let swept = cluster.listed(Kind::Namespace);
        check(&swept.touched, &["depot/web"]);
        assert_eq!(swept.held, 0);
        cluster.listing(Kind::Namespace, false);
        assert_eq!(cluster.listed(Kind::Namespace), Swept { touched: Vec::new(), held: 1 });
        cluster.listing(Kind::Namespace, true);
        let swept = cluster.listed(Kind::Namespace);
        assert_eq!((swept.touched.len(), swept.held), (30, 0));
    }

    #[test]
    fn a_namespace_is_held_by_the_number_of_its_pods() {
        let mut cluster = Cluster::default();
        for number in 0..30 {
            cluster.apply(pod(&format!("shop/web-{number}"), &[&format!("2a0a::{number}")]));
        }
        cluster.apply(namespace("shop", "a"));

        cluster.listing(Kind::Namespace, false);
        assert_eq!(cluster.listed(Kind::Namespace), Swept { touched: Vec::new(), held: 1 });
        cluster.listing(Kind::Pod, false);
        assert_eq!(cluster.listed(Kind::Pod), Swept { touched: Vec::new(), held: 30 });
    }

    #[test]
    fn kinds_are_held_one_by_one() {
        let mut cluster = Cluster::default();
        for number in 0..30 {
            cluster.apply(service(&format!("shop/web-{number}")));
        }
        cluster.apply(slice("shop/web-0", "web-0", "2a0a::1"));

        cluster.listing(Kind::Service, false);
        assert_eq!(cluster.listed(Kind::Service), Swept { touched: Vec::new(), held: 30 });
        cluster.listing(Kind::EndpointSlice, false);
        check(&cluster.listed(Kind::EndpointSlice).touched, &["shop/web-0"]);
        cluster.listing(Kind::Service, true);
        let swept = cluster.listed(Kind::Service);
        assert_eq!((swept.touched.len(), swept.held), (30, 0));
    }

    #[test]
    fn only_an_api_has_a_namespace_for_every_service() {
        let (mut api, manifests) = (Cluster::from_api(), Cluster::default());

        assert!(api.awaits_namespace("shop"));
        assert!(!manifests.awaits_namespace("shop"));
        api.apply(namespace("shop", "a"));
        assert!(!api.awaits_namespace("shop"));
    }

    #[test]
    fn what_objects_have_in_common_is_kept_once() {
        let mut cluster = Cluster::default();
        cluster.apply(service("shop/web"));
        cluster.apply(slice("shop/web", "s", "2a0a::1"));

        let service = cluster.services().next().unwrap();
        let slice = cluster.slices(&key("shop/web")).next().unwrap();
        assert!(Arc::ptr_eq(&service.key.namespace, &slice.service.namespace));
        assert!(Arc::ptr_eq(&service.key.name, &slice.service.name));
    }

    /// A Service with an address of its own.
    fn with_address(text: &str) -> Object {
        Object::Service(Service { cluster_ips: vec!["2a0a::17".parse().unwrap()], ..Service::bare(key(text)) })
    }

    /// The endpoints that are known of `shop/web`, and how many of them are only counted.
    fn check_endpoints(cluster: &Cluster, addresses: &[&str], counted: ReadyCount) {
        let slices: Vec<_> = cluster.slices(&key("shop/web")).collect();
        let known = slices.iter().flat_map(|slice| slice.ready_addresses()).map(ToString::to_string);
        assert_eq!(known.collect::<Vec<_>>(), addresses);
        let of_all = slices
            .iter()
            .filter_map(|slice| slice.counted)
            .fold(ReadyCount::default(), |sum, count| ReadyCount { v6: sum.v6 + count.v6, v4: sum.v4 + count.v4 });
        assert_eq!(of_all, counted);
        assert!(
            slices.iter().all(|slice| slice.counted.is_none() || slice.endpoints.is_empty() && slice.ports.is_empty())
        );
    }

    #[test]
    fn of_the_endpoints_of_a_service_with_an_address_the_number_is_kept() {
        let mut cluster = Cluster::from_api().counting();
        let one = ReadyCount { v6: 1, v4: 0 };

        // Whichever is listed first.
        cluster.apply(slice("shop/web", "a", "2a0a::1"));
        check_endpoints(&cluster, &["2a0a::1"], ReadyCount::default());
        check(&cluster.apply(with_address("shop/web")), &["shop/web"]);
        check_endpoints(&cluster, &[], one);
        check(&cluster.apply(slice("shop/web", "b", "10.0.0.1")), &[]);
        check_endpoints(&cluster, &[], ReadyCount { v6: 1, v4: 1 });
        check(&cluster.apply(slice("shop/web", "b", "2a0a::2")), &[]);
        check_endpoints(&cluster, &[], ReadyCount { v6: 2, v4: 0 });
        check(&cluster.delete(&object_key(Kind::EndpointSlice, "shop/b")), &[]);
        check_endpoints(&cluster, &[], one);

        // The next Service of that name is known to be headless, but not here yet.
        let Object::EndpointSlice(ahead) = slice("shop/web", "b", "2a0a::2") else { unreachable!() };
        cluster.apply(Object::EndpointSlice(EndpointSlice { is_headless: true, ..ahead }));
        check_endpoints(&cluster, &["2a0a::2"], one);

        // Reports join Pods with them, so that not everybody counts.
        let mut whole = Cluster::from_api();
        whole.apply(with_address("shop/web"));
        check(&whole.apply(slice("shop/web", "a", "2a0a::1")), &["shop/web"]);
        check_endpoints(&whole, &["2a0a::1"], ReadyCount::default());
    }

    #[test]
    fn a_headless_service_lacks_endpoints_that_were_counted_until_they_are_told_again() {
        let mut cluster = Cluster::from_api().counting();
        cluster.apply(with_address("shop/web"));
        cluster.apply(slice("shop/web", "a", "2a0a::1"));
        cluster.apply(slice("shop/web", "b", "2a0a::2"));
        assert!(!cluster.lacks_endpoints());

        cluster.delete(&object_key(Kind::Service, "shop/web"));
        assert!(!cluster.lacks_endpoints());
        cluster.apply(service("shop/web"));
        assert!(cluster.lacks_endpoints());
        check(&cluster.apply(slice("shop/web", "a", "2a0a::1")), &["shop/web"]);
        assert!(cluster.lacks_endpoints());
        cluster.delete(&object_key(Kind::EndpointSlice, "shop/b"));
        assert!(!cluster.lacks_endpoints());
        check_endpoints(&cluster, &["2a0a::1"], ReadyCount::default());

        // A Service that goes lacks nothing.
        cluster.apply(with_address("shop/web"));
        cluster.apply(service("shop/web"));
        assert!(cluster.lacks_endpoints());
        cluster.listing(Kind::Service, false);
        cluster.listed(Kind::Service);
        assert!(!cluster.lacks_endpoints());
    }
}
