//! The objects of a cluster, trimmed to the fields a record can come from.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// A Service's place in its cluster; ordered by namespace, then by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceKey {
    /// `metadata.namespace`
    pub namespace: Arc<str>,
    /// `metadata.name`
    pub name: Arc<str>,
}

impl ServiceKey {
    /// In front of every Service of `namespace`, as no name is empty; of an empty one: of all that there are.
    #[must_use]
    pub fn before_all_in(namespace: &Arc<str>) -> Self {
        Self { namespace: Arc::clone(namespace), name: "".into() }
    }
}

/// What may own records: the unit in which a cluster changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A Service, whether or not it exists.
    Service(ServiceKey),
    /// The Pods of a namespace that have an address in common: one, or several on one host's network.
    Pods {
        /// Their namespace.
        namespace: Arc<str>,
        /// The address.
        address: IpAddr,
    },
}

impl Subject {
    /// The namespace it is in.
    #[must_use]
    pub fn namespace(&self) -> &Arc<str> {
        match self {
            Self::Service(key) => &key.namespace,
            Self::Pods { namespace, .. } => namespace,
        }
    }
}

impl From<ServiceKey> for Subject {
    fn from(key: ServiceKey) -> Self {
        Self::Service(key)
    }
}

/// `NAMESPACE/NAME`, `NAMESPACE/ADDRESS`.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(ServiceKey { namespace, name }) => write!(f, "{namespace}/{name}"),
            Self::Pods { namespace, address } => write!(f, "{namespace}/{address}"),
        }
    }
}

/// The annotations that speak to this server, by their full keys: some of the domain `k8s.ooo`, and of external-dns.
pub type Annotations = BTreeMap<Box<str>, Box<str>>;

/// An object's labels: what selectors go by.
///
/// Of a hundred objects most have the same keys, and many the same values: a [`Cluster`](super::Cluster) keeps each once.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Labels(
    /// Ascending by their keys.
    Box<[(Arc<str>, Arc<str>)]>,
);

impl Labels {
    /// The value of the label `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let place = self.0.binary_search_by(|(known, _)| (**known).cmp(key)).ok()?;
        Some(&self.0[place].1)
    }

    /// Their keys and values.
    pub(super) fn texts_mut(&mut self) -> impl Iterator<Item = &mut Arc<str>> {
        self.0.iter_mut().flat_map(|(key, value)| [key, value])
    }
}

impl<K: AsRef<str>, V: AsRef<str>> FromIterator<(K, V)> for Labels {
    /// Of several labels with one key the last counts.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(labels: I) -> Self {
        let sorted: BTreeMap<Arc<str>, Arc<str>> =
            labels.into_iter().map(|(key, value)| (key.as_ref().into(), value.as_ref().into())).collect();
        Self(sorted.into_iter().collect())
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(key, value)| (key, value))).finish()
    }
}

/// A transport of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// `_tcp`
    Tcp,
    /// `_udp`
    Udp,
    /// `_sctp`
    Sctp,
}

/// A port of a Service or an EndpointSlice.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Port {
    /// Empty when it has none: no SRV then.
    pub name: Arc<str>,
    /// Its transport.
    pub protocol: Protocol,
    /// Its number.
    pub number: u16,
    /// `appProtocol`, what is spoken there; empty when nobody says so.
    pub app_protocol: Arc<str>,
}

/// A family of addresses, as `spec.ipFamilies` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum IpFamily {
    /// `IPv4`
    #[serde(rename = "IPv4")]
    V4,
    /// `IPv6`
    #[serde(rename = "IPv6")]
    V6,
}

impl IpFamily {
    /// The family of `address`.
    #[must_use]
    pub fn of(address: &IpAddr) -> Self {
        if address.is_ipv6() { Self::V6 } else { Self::V4 }
    }

    /// As the API writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }
}

/// `spec.ipFamilyPolicy`: how many families a Service is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IpFamilyPolicy {
    /// One.
    SingleStack,
    /// Both where the cluster has both.
    PreferDualStack,
    /// Both.
    RequireDualStack,
}

/// What `spec.type` and `spec.clusterIP` make of a Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceType {
    /// ClusterIP or NodePort, with cluster IPs.
    ClusterIp,
    /// LoadBalancer: as ClusterIp, and somebody outside of the cluster gives it an ingress.
    LoadBalancer,
    /// `clusterIP: None`.
    Headless,
    /// `type: ExternalName`
    ExternalName,
}

/// A Service, trimmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Where it is.
    pub key: ServiceKey,
    /// `metadata.creationTimestamp` in Unix seconds.
    pub created: Option<i64>,
    /// What it is.
    pub service_type: ServiceType,
    /// `spec.clusterIPs`, the primary first; empty while none is assigned.
    pub cluster_ips: Vec<IpAddr>,
    /// `spec.ipFamilies`, two at most, the primary first; an API fills it in, manifests mostly do not.
    pub families: [Option<IpFamily>; 2],
    /// `spec.ipFamilyPolicy`; the same is true of it.
    pub family_policy: Option<IpFamilyPolicy>,
    /// `ip` of each `status.loadBalancer.ingress`, in their order.
    pub ingress_ips: Vec<IpAddr>,
    /// `spec.externalIPs`.
    pub external_ips: Vec<IpAddr>,
    /// The names that it is reached by: `spec.externalName`, or `hostname` of each `status.loadBalancer.ingress`, in
    /// their order.
    pub hostnames: Vec<Box<str>>,
    /// `spec.ports`.
    pub ports: Vec<Port>,
    /// `metadata.labels`
    pub labels: Labels,
    /// `metadata.annotations`, trimmed.
    pub annotations: Annotations,
}

#[cfg(test)]
impl Service {
    /// One with cluster IPs, none of which is assigned yet, and nothing else.
    pub(crate) fn bare(key: ServiceKey) -> Self {
        Self {
            key,
            created: None,
            service_type: ServiceType::ClusterIp,
            cluster_ips: Vec::new(),
            families: [None; 2],
            family_policy: None,
            ingress_ips: Vec::new(),
            external_ips: Vec::new(),
            hostnames: Vec::new(),
            ports: Vec::new(),
            labels: Labels::default(),
            annotations: Annotations::new(),
        }
    }
}

/// One endpoint of an EndpointSlice, trimmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `addresses`, those that parse; mostly one.
    pub addresses: SmallVec<[IpAddr; 1]>,
    /// `hostname`.
    pub hostname: Option<Box<str>>,
    /// `conditions.ready`, nil meaning true.
    pub ready: bool,
}

/// How many addresses of endpoints are ready, by their families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReadyCount {
    /// IPv6 addresses.
    pub v6: u32,
    /// IPv4 addresses.
    pub v4: u32,
}

impl ReadyCount {
    /// Of these.
    #[must_use]
    pub fn of<'a>(ready: impl IntoIterator<Item = &'a IpAddr>) -> Self {
        let mut count = Self::default();
        for address in ready {
            *(if address.is_ipv6() { &mut count.v6 } else { &mut count.v4 }) += 1;
        }
        count
    }
}

/// An EndpointSlice, trimmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointSlice {
    /// `metadata.name`, within the namespace of `service`.
    pub name: Arc<str>,
    /// The Service it belongs to, from the label `kubernetes.io/service-name`.
    pub service: ServiceKey,
    /// `endpoints`.
    pub endpoints: Vec<Endpoint>,
    /// `ports` with a number.
    pub ports: Vec<Port>,
    /// Whether whoever made it says that its Service is headless: the label `service.kubernetes.io/headless`.
    pub is_headless: bool,
    /// What is kept in the place of `endpoints` and `ports`, which are empty then, where no record can come from them: see
    /// [`Cluster::counting`](super::Cluster::counting).
    pub counted: Option<ReadyCount>,
}

impl EndpointSlice {
    /// The addresses of its endpoints that are ready, as far as they are kept.
    pub fn ready_addresses(&self) -> impl Iterator<Item = &IpAddr> {
        self.endpoints.iter().filter(|endpoint| endpoint.ready).flat_map(|endpoint| &endpoint.addresses)
    }

    /// Keeps no more than how many are ready, unless it is for a headless Service, which may be told of later.
    pub(super) fn count(&mut self) {
        if self.counted.is_none() && !self.is_headless {
            self.counted = Some(ReadyCount::of(self.ready_addresses()));
            (self.endpoints, self.ports) = (Vec::new(), Vec::new());
        }
    }
}

/// A Pod that has addresses, trimmed. One without, or one that has ended, is none: nothing can come from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// `metadata.namespace`
    pub namespace: Arc<str>,
    /// `metadata.name`
    pub name: Arc<str>,
    /// `metadata.creationTimestamp` in Unix seconds.
    pub created: Option<i64>,
    /// `status.podIPs`; its node's, if it is on the host's network.
    pub addresses: Vec<IpAddr>,
    /// `metadata.annotations`, trimmed.
    pub annotations: Annotations,
}

/// A Namespace, trimmed to its metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// `metadata.name`
    pub name: Arc<str>,
    /// `metadata.labels`
    pub labels: Labels,
    /// `metadata.annotations`, trimmed.
    pub annotations: Annotations,
}

/// A kind of object that is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// v1 Service
    Service,
    /// discovery.k8s.io/v1 EndpointSlice
    EndpointSlice,
    /// v1 Namespace, metadata only
    Namespace,
    /// v1 Pod, where somebody wants to know of them
    Pod,
}

impl Kind {
    /// What each of its objects says that it is.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::Namespace => "Namespace",
            Self::Pod => "Pod",
        }
    }

    /// The API group that it is in; the core group has no name.
    #[must_use]
    pub fn group(self) -> &'static str {
        match self {
            Self::EndpointSlice => "discovery.k8s.io",
            Self::Service | Self::Namespace | Self::Pod => "",
        }
    }

    /// What the API, and kubectl, call its objects.
    #[must_use]
    pub fn resource(self) -> &'static str {
        match self {
            Self::Service => "services",
            Self::EndpointSlice => "endpointslices",
            Self::Namespace => "namespaces",
            Self::Pod => "pods",
        }
    }
}

/// What is listed and watched by itself: the objects of a kind, of the whole cluster or of one namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Collection {
    /// The kind.
    pub kind: Kind,
    /// The namespace; none: the whole cluster.
    pub namespace: Option<Arc<str>>,
}

impl From<Kind> for Collection {
    fn from(kind: Kind) -> Self {
        Self { kind, namespace: None }
    }
}

/// An object, trimmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// v1 Service
    Service(Service),
    /// discovery.k8s.io/v1 EndpointSlice
    EndpointSlice(EndpointSlice),
    /// v1 Namespace
    Namespace(Namespace),
    /// v1 Pod
    Pod(Pod),
}

/// An object's kind, namespace (empty for a Namespace) and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// The kind.
    pub kind: Kind,
    /// `metadata.namespace`
    pub namespace: Arc<str>,
    /// `metadata.name`
    pub name: Arc<str>,
}
