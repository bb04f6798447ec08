//! Translates the Kubernetes API's objects to [`cluster`]'s.
//!
//! The types here name only the fields that a record can come from, and all of
//! them are optional: what another version of Kubernetes adds or leaves out
//! does not matter, and what is not needed is not kept. An object fails to
//! decode only when it has no name, or a field that is needed has another type
//! than the API says.
//!
//! Nothing here knows whether the object came from an API or from a manifest.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, Error};
use tracing::{debug, warn};

use crate::cluster::{self, Kind, Object, ObjectKey, Protocol, ServiceKey, ServiceType};

/// The label that joins an EndpointSlice to its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// An object of the API: which one, and what it says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub(super) identity: Identity,
    /// `None` when no record can come from it: a slice without a Service, or one of host names.
    pub(super) object: Option<Object>,
}

/// Which object it is, in which of its versions.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Identity {
    pub(super) key: ObjectKey,
    /// As the API says it: opaque, and where a watch may go on from.
    pub(super) resource_version: Option<String>,
}

/// Decodes an object of `kind`.
///
/// `namespace` is that of an object that names none: empty for an API, whose
/// objects always say, and `default` for manifests.
pub(super) fn item<'de, D: Deserializer<'de>>(kind: Kind, namespace: &str, from: D) -> Result<Item, D::Error> {
    let (identity, object) = match kind {
        Kind::Service => {
            let service = Service::deserialize(from)?;
            let identity = service.metadata.identity(kind, namespace)?;
            let object = service.spec.unwrap_or_default().translate(&identity.key);
            (identity, Some(Object::Service(object)))
        }
        Kind::EndpointSlice => {
            let slice = EndpointSlice::deserialize(from)?;
            let identity = slice.metadata.identity(kind, namespace)?;
            (identity.clone(), slice.translate(&identity.key).map(Object::EndpointSlice))
        }
        Kind::Namespace => {
            let Named { metadata } = Named::deserialize(from)?;
            let identity = metadata.identity(kind, namespace)?;
            let labels = metadata.labels.unwrap_or_default();
            let object = cluster::Namespace { name: Arc::clone(&identity.key.name), labels };
            (identity, Some(Object::Namespace(object)))
        }
    };
    Ok(Item { identity, object })
}

/// Decodes which object it is, and nothing else: of one that is gone, or that cannot be decoded.
pub(super) fn identity<'de, D: Deserializer<'de>>(kind: Kind, from: D) -> Result<Identity, D::Error> {
    Named::deserialize(from)?.metadata.identity(kind, "")
}

/// The number in a resourceVersion; `None` where there is none: the API does not promise one.
pub(super) fn number(resource_version: &str) -> Option<u64> {
    resource_version.parse().ok()
}

impl Identity {
    /// The number in its resourceVersion.
    pub(super) fn version(&self) -> Option<u64> {
        number(self.resource_version.as_deref()?)
    }
}

/// Any object, but for its name.
#[derive(Deserialize)]
struct Named {
    metadata: Metadata,
}

// Annotations and creationTimestamp join these when a record depends on them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    resource_version: Option<String>,
    labels: Option<BTreeMap<Box<str>, Box<str>>>,
}

impl Metadata {
    fn identity<E: Error>(&self, kind: Kind, namespace: &str) -> Result<Identity, E> {
        let name = self.name.as_deref().filter(|name| !name.is_empty());
        let namespace = match kind {
            Kind::Namespace => "",
            Kind::Service | Kind::EndpointSlice => self.namespace.as_deref().unwrap_or(namespace),
        };
        Ok(Identity {
            key: ObjectKey {
                kind,
                namespace: namespace.into(),
                name: name.ok_or_else(|| E::custom("metadata.name is missing"))?.into(),
            },
            resource_version: self.resource_version.clone(),
        })
    }
}

/// v1 Service
#[derive(Deserialize)]
struct Service {
    metadata: Metadata,
    spec: Option<ServiceSpec>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServiceSpec {
    r#type: Option<String>,
    // "clusterIp" is what camelCase would make of these two.
    #[serde(rename = "clusterIP")]
    cluster_ip: Option<String>,
    #[serde(rename = "clusterIPs")]
    cluster_ips: Option<Vec<String>>,
    ports: Option<Vec<Port>>,
}

impl ServiceSpec {
    fn translate(self, key: &ObjectKey) -> cluster::Service {
        // API servers before 1.20 know only the singular.
        let cluster_ips =
            self.cluster_ips.filter(|ips| !ips.is_empty()).unwrap_or_else(|| self.cluster_ip.into_iter().collect());
        let service_type = match self.r#type.as_deref() {
            Some("ExternalName") => ServiceType::ExternalName,
            _ if cluster_ips.iter().any(|ip| ip == "None") => ServiceType::Headless,
            _ => ServiceType::ClusterIp,
        };
        cluster::Service {
            key: ServiceKey { namespace: Arc::clone(&key.namespace), name: Arc::clone(&key.name) },
            service_type,
            cluster_ips: match service_type {
                ServiceType::ClusterIp => addresses(key, &cluster_ips),
                ServiceType::Headless | ServiceType::ExternalName => Vec::new(),
            },
            ports: ports(key, self.ports),
        }
    }
}

/// discovery.k8s.io/v1 EndpointSlice
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EndpointSlice {
    metadata: Metadata,
    address_type: Option<String>,
    endpoints: Option<Vec<Endpoint>>,
    ports: Option<Vec<Port>>,
}

#[derive(Deserialize)]
struct Endpoint {
    addresses: Option<Vec<String>>,
    hostname: Option<Box<str>>,
    conditions: Option<Conditions>,
}

#[derive(Deserialize)]
struct Conditions {
    ready: Option<bool>,
}

impl EndpointSlice {
    fn translate(self, key: &ObjectKey) -> Option<cluster::EndpointSlice> {
        let service = self.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_NAME));
        let Some(service) = service.filter(|service| !service.is_empty()) else {
            debug!(namespace = %key.namespace, slice = %key.name, "an EndpointSlice without a Service");
            return None;
        };
        if self.address_type.as_deref() == Some("FQDN") {
            debug!(namespace = %key.namespace, slice = %key.name, "an EndpointSlice of host names");
            return None;
        }
        let endpoint = |endpoint: Endpoint| cluster::Endpoint {
            addresses: addresses(key, &endpoint.addresses.unwrap_or_default()),
            hostname: endpoint.hostname.filter(|hostname| !hostname.is_empty()),
            // "nil should be interpreted as true" (discovery.k8s.io/v1 EndpointConditions).
            ready: endpoint.conditions.and_then(|conditions| conditions.ready).unwrap_or(true),
        };
        Some(cluster::EndpointSlice {
            name: (*key.name).into(),
            service: ServiceKey { namespace: Arc::clone(&key.namespace), name: (**service).into() },
            endpoints: self.endpoints.unwrap_or_default().into_iter().map(endpoint).collect(),
            ports: ports(key, self.ports),
        })
    }
}

/// A port of a Service or an EndpointSlice.
#[derive(Deserialize)]
struct Port {
    name: Option<Box<str>>,
    protocol: Option<String>,
    port: Option<i64>,
}

/// Those that can stand in an SRV record. A slice's port without a number means all ports.
fn ports(key: &ObjectKey, ports: Option<Vec<Port>>) -> Vec<cluster::Port> {
    let port = |port: Port| {
        let number = port.port?;
        let protocol = match port.protocol.as_deref() {
            None | Some("TCP") => Some(Protocol::Tcp),
            Some("UDP") => Some(Protocol::Udp),
            Some("SCTP") => Some(Protocol::Sctp),
            Some(_) => None,
        };
        let (Some(protocol), Ok(number)) = (protocol, u16::try_from(number)) else {
            let protocol = port.protocol.as_deref();
            warn!(kind = ?key.kind, namespace = %key.namespace, name = %key.name, number, protocol, "port skipped");
            return None;
        };
        Some(cluster::Port { name: port.name.unwrap_or_default(), protocol, number })
    };
    ports.unwrap_or_default().into_iter().filter_map(port).collect()
}

/// Those that are addresses; "" stands for one not yet assigned.
fn addresses(key: &ObjectKey, addresses: &[String]) -> Vec<IpAddr> {
    let address = |address: &String| {
        address
            .parse()
            .inspect_err(|_| {
                warn!(kind = ?key.kind, namespace = %key.namespace, name = %key.name, address, "address skipped");
            })
            .ok()
    };
    addresses.iter().filter(|address| !address.is_empty()).filter_map(address).collect()
}
