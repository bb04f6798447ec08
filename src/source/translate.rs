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

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use smallvec::SmallVec;
use tracing::{debug, warn};

use crate::cluster::{
    self, Annotations, IpFamily, IpFamilyPolicy, Kind, Labels, Object, ObjectKey, Protocol, ServiceKey, ServiceType,
};
use crate::schema;

/// The label that joins an EndpointSlice to its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// The label that an EndpointSlice of a headless Service has.
const HEADLESS: &str = "service.kubernetes.io/headless";

/// An object of the API: which one, and what it says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub(super) identity: Identity,
    /// `None` when no record can come from it: a slice without a Service, or one of host names; a Pod without addresses,
    /// or one that has ended.
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
            let Service { metadata, spec, status } = Service::deserialize(from)?;
            let identity = metadata.identity(kind, namespace)?;
            let ingress = status.and_then(|status| status.load_balancer?.ingress).unwrap_or_default();
            let object = spec.unwrap_or_default().translate(&identity.key, ingress, &metadata);
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
            let (name, annotations) = (Arc::clone(&identity.key.name), metadata.annotations());
            let object = cluster::Namespace { name, labels: metadata.labels(), annotations };
            (identity, Some(Object::Namespace(object)))
        }
        Kind::Pod => {
            let Pod { metadata, status } = Pod::deserialize(from)?;
            let identity = metadata.identity(kind, namespace)?;
            let object = status.unwrap_or_default().translate(&identity.key, &metadata);
            (identity, object.map(Object::Pod))
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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    resource_version: Option<String>,
    creation_timestamp: Option<Time>,
    labels: Option<BTreeMap<Box<str>, Box<str>>>,
    annotations: Option<BTreeMap<Box<str>, Box<str>>>,
}

impl Metadata {
    fn labels(&self) -> Labels {
        self.labels.iter().flatten().collect()
    }

    /// Those that are kept.
    fn annotations(&self) -> Annotations {
        let all = self.annotations.iter().flatten();
        all.filter(|(key, _)| schema::reads_annotation(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// In Unix seconds.
    fn created(&self) -> Option<i64> {
        self.creation_timestamp.as_ref().map(|Time(created)| created.as_second())
    }

    fn identity<E: Error>(&self, kind: Kind, namespace: &str) -> Result<Identity, E> {
        let name = self.name.as_deref().filter(|name| !name.is_empty());
        let namespace = match kind {
            Kind::Namespace => "",
            Kind::Service | Kind::EndpointSlice | Kind::Pod => {
                self.namespace.as_deref().filter(|namespace| !namespace.is_empty()).unwrap_or(namespace)
            }
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
    status: Option<ServiceStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServiceStatus {
    load_balancer: Option<LoadBalancerStatus>,
}

#[derive(Deserialize)]
struct LoadBalancerStatus {
    ingress: Option<Vec<Ingress>>,
}

#[derive(Deserialize)]
struct Ingress {
    ip: Option<String>,
    hostname: Option<Box<str>>,
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
    #[serde(rename = "externalIPs")]
    external_ips: Option<Vec<String>>,
    ip_families: Option<Vec<String>>,
    ip_family_policy: Option<String>,
    external_name: Option<Box<str>>,
    ports: Option<Vec<Port>>,
}

impl ServiceSpec {
    fn translate(self, key: &ObjectKey, ingress: Vec<Ingress>, metadata: &Metadata) -> cluster::Service {
        // API servers before 1.20 know only the singular.
        let cluster_ips =
            self.cluster_ips.filter(|ips| !ips.is_empty()).unwrap_or_else(|| self.cluster_ip.into_iter().collect());
        let service_type = match self.r#type.as_deref() {
            Some("ExternalName") => ServiceType::ExternalName,
            _ if cluster_ips.iter().any(|ip| ip == "None") => ServiceType::Headless,
            Some("LoadBalancer") => ServiceType::LoadBalancer,
            _ => ServiceType::ClusterIp,
        };
        let (mut ingress_ips, mut hostnames) = (Vec::new(), Vec::new());
        for Ingress { ip, hostname } in ingress {
            ingress_ips.extend(ip);
            hostnames.extend(hostname.filter(|hostname| !hostname.is_empty()));
        }
        if service_type == ServiceType::ExternalName {
            hostnames = self.external_name.into_iter().collect();
        }
        let mut families = self.ip_families.iter().flatten().filter_map(|text| family(text));
        cluster::Service {
            key: ServiceKey { namespace: Arc::clone(&key.namespace), name: Arc::clone(&key.name) },
            created: metadata.created(),
            service_type,
            cluster_ips: match service_type {
                ServiceType::ClusterIp | ServiceType::LoadBalancer => addresses(key, &cluster_ips).to_vec(),
                ServiceType::Headless | ServiceType::ExternalName => Vec::new(),
            },
            families: [families.next(), families.next()],
            family_policy: self.ip_family_policy.as_deref().and_then(family_policy),
            ingress_ips: addresses(key, &ingress_ips).to_vec(),
            external_ips: addresses(key, &self.external_ips.unwrap_or_default()).to_vec(),
            hostnames,
            ports: ports(key, self.ports),
            annotations: metadata.annotations(),
            labels: metadata.labels(),
        }
    }
}

fn family(text: &str) -> Option<IpFamily> {
    match text {
        "IPv4" => Some(IpFamily::V4),
        "IPv6" => Some(IpFamily::V6),
        _ => None,
    }
}

fn family_policy(text: &str) -> Option<IpFamilyPolicy> {
    match text {
        "SingleStack" => Some(IpFamilyPolicy::SingleStack),
        "PreferDualStack" => Some(IpFamilyPolicy::PreferDualStack),
        "RequireDualStack" => Some(IpFamilyPolicy::RequireDualStack),
        _ => None,
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
            name: Arc::clone(&key.name),
            service: ServiceKey { namespace: Arc::clone(&key.namespace), name: (**service).into() },
            endpoints: self.endpoints.unwrap_or_default().into_iter().map(endpoint).collect(),
            ports: ports(key, self.ports),
            is_headless: self.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(HEADLESS)),
            counted: None,
        })
    }
}

/// v1 Pod
#[derive(Deserialize)]
struct Pod {
    metadata: Metadata,
    status: Option<PodStatus>,
}

#[derive(Default, Deserialize)]
struct PodStatus {
    phase: Option<String>,
    // "podIp" is what camelCase would make of these two.
    #[serde(rename = "podIP")]
    pod_ip: Option<String>,
    #[serde(rename = "podIPs")]
    pod_ips: Option<Vec<PodIp>>,
}

#[derive(Deserialize)]
struct PodIp {
    ip: Option<String>,
}

impl PodStatus {
    fn translate(self, key: &ObjectKey, metadata: &Metadata) -> Option<cluster::Pod> {
        // Its address may be another one's already.
        if matches!(self.phase.as_deref(), Some("Succeeded" | "Failed")) {
            return None;
        }
        let several: Vec<String> = self.pod_ips.into_iter().flatten().filter_map(|pod_ip| pod_ip.ip).collect();
        let all = if several.is_empty() { self.pod_ip.into_iter().collect() } else { several };
        Some(cluster::Pod {
            namespace: Arc::clone(&key.namespace),
            name: Arc::clone(&key.name),
            created: metadata.created(),
            addresses: addresses(key, &all).to_vec(),
            annotations: metadata.annotations(),
        })
        .filter(|pod| !pod.addresses.is_empty())
    }
}

/// A port of a Service or an EndpointSlice.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Port {
    name: Option<String>,
    protocol: Option<String>,
    port: Option<i64>,
    app_protocol: Option<String>,
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
        let (name, app_protocol) = (port.name.unwrap_or_default(), port.app_protocol.unwrap_or_default());
        Some(cluster::Port { name: name.into(), protocol, number, app_protocol: app_protocol.into() })
    };
    let mut ports: Vec<_> = ports.unwrap_or_default().into_iter().filter_map(port).collect();
    ports.shrink_to_fit();
    ports
}

/// Those that are addresses; "" stands for one not yet assigned.
fn addresses(key: &ObjectKey, addresses: &[String]) -> SmallVec<[IpAddr; 1]> {
    let read = |text: &String| {
        let read = address(text);
        if read.is_none() {
            warn!(kind = ?key.kind, namespace = %key.namespace, name = %key.name, address = text, "address skipped");
        }
        read
    };
    addresses.iter().filter(|address| !address.is_empty()).filter_map(read).collect()
}

/// The address that Kubernetes takes `text` for.
///
/// Objects from before 1.36 may have IPv4 addresses with zeros in front, decimal all the same, and IPv4-mapped ones,
/// which are IPv4 (KEP-4858).
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let with_zeros = || {
        let octet = |text: &str| text.parse::<u8>().ok().filter(|_| !text.starts_with('+'));
        let octets: Vec<_> = text.split('.').map(octet).collect::<Option<_>>()?;
        <[u8; 4]>::try_from(octets).ok().map(IpAddr::from)
    };
    let address: Option<IpAddr> = text.parse().ok().or_else(with_zeros);
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the object in `yaml` is translated to, as text.
    fn check(kind: Kind, yaml: &str, expected: &str) {
        let object: serde_json::Value = serde_saphyr::from_str(yaml).unwrap();
        let said = match item(kind, "default", object) {
            Ok(Item { object: Some(object), .. }) => text(&object),
            Ok(Item { identity, object: None }) => format!("{}/{}: nothing", identity.key.namespace, identity.key.name),
            Err(error) => error.to_string(),
        };
        let lines = |text: &str| text.trim().lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>();
        assert_eq!(lines(&said), lines(expected), "{yaml}");
    }

    fn text(object: &Object) -> String {
        let annotations = |annotations: &Annotations| {
            annotations.iter().map(|(key, value)| format!(" {key}={value}")).collect::<String>()
        };
        let ports = |ports: &[cluster::Port]| {
            let line = |port: &cluster::Port| {
                let words = [&format!("{:?}", port.protocol), &*port.app_protocol].join(" ");
                format!("\n:{} {} {}", port.number, port.name, words.trim_end())
            };
            ports.iter().map(line).collect::<String>()
        };
        fn some<T: std::fmt::Debug>(what: &str, list: &[T]) -> String {
            if list.is_empty() { String::new() } else { format!(" {what} {list:?}") }
        }
        match object {
            Object::Service(service) => format!(
                "{}/{} {:?} {:?}{}{}{}{}{}{}{}",
                service.key.namespace,
                service.key.name,
                service.service_type,
                service.cluster_ips,
                some("families", &service.families.iter().flatten().collect::<Vec<_>>()),
                service.family_policy.map_or(String::new(), |policy| format!(" {policy:?}")),
                some("ingress", &service.ingress_ips),
                some("external", &service.external_ips),
                some("names", &service.hostnames),
                annotations(&service.annotations),
                ports(&service.ports)
            ),
            Object::EndpointSlice(slice) => {
                let endpoint = |endpoint: &cluster::Endpoint| {
                    let ready = if endpoint.ready { "ready" } else { "not ready" };
                    format!("\n{:?} {} {ready}", endpoint.addresses, endpoint.hostname.as_deref().unwrap_or("-"))
                };
                format!(
                    "{} of {}/{}{}{}",
                    slice.name,
                    slice.service.namespace,
                    slice.service.name,
                    slice.endpoints.iter().map(endpoint).collect::<String>(),
                    ports(&slice.ports)
                )
            }
            Object::Namespace(namespace) => {
                format!("{} {:?}{}", namespace.name, namespace.labels, annotations(&namespace.annotations))
            }
            Object::Pod(pod) => {
                format!("{}/{} {:?}{}", pod.namespace, pod.name, pod.addresses, annotations(&pod.annotations))
            }
        }
    }

    #[test]
    fn a_service_has_its_cluster_ips_in_order() {
        check(
            Kind::Service,
            "
            metadata: { name: web, namespace: shop, managedFields: [{ manager: kubectl }] }
            spec:
              type: LoadBalancer
              clusterIP: 2a0a:e5c0:10:3::1
              clusterIPs: ['2a0a:e5c0:10:3::1', 192.0.2.1]
              ipFamilies: [IPv6, IPv4]
              ipFamilyPolicy: PreferDualStack
              selector: { app: web }
            ",
            "shop/web LoadBalancer [2a0a:e5c0:10:3::1, 192.0.2.1] families [V6, V4] PreferDualStack",
        );
    }

    #[test]
    fn an_old_api_server_knows_only_the_singular() {
        let service = "{ metadata: { name: web, namespace: shop }, spec: { clusterIP: '2a0a::1', clusterIPs: [] } }";
        check(Kind::Service, service, "shop/web ClusterIp [2a0a::1]");
        let service = "{ metadata: { name: web, namespace: shop }, spec: { clusterIP: '2a0a::1', clusterIPs: null } }";
        check(Kind::Service, service, "shop/web ClusterIp [2a0a::1]");
    }

    #[test]
    fn none_is_headless_with_and_without_a_selector() {
        let service = "{ metadata: { name: db, namespace: shop }, spec: { clusterIP: None, selector: { app: db } } }";
        check(Kind::Service, service, "shop/db Headless []");
        let service = "{ metadata: { name: db, namespace: shop }, spec: { clusterIP: None, clusterIPs: [None] } }";
        check(Kind::Service, service, "shop/db Headless []");
    }

    #[test]
    fn a_service_without_an_address_yet_has_none() {
        check(Kind::Service, "{ metadata: { name: web } }", "default/web ClusterIp []");
        check(Kind::Service, "{ metadata: { name: web }, spec: { clusterIP: '' } }", "default/web ClusterIp []");
        let external = "{ metadata: { name: web }, spec: { type: ExternalName, externalName: www.example.net } }";
        check(Kind::Service, external, r#"default/web ExternalName [] names ["www.example.net"]"#);
    }

    #[test]
    fn what_is_no_address_or_port_is_skipped() {
        check(
            Kind::Service,
            "
            metadata: { name: web }
            spec:
              clusterIPs: [elsewhere, '2a0a::1']
              ports:
                - { name: dns, protocol: UDP, port: 53, targetPort: dns }
                - { name: diameter, protocol: SCTP, port: 3868 }
                - { port: 80, appProtocol: http }
                - { name: h2, port: 8080, appProtocol: kubernetes.io/h2c }
                - { name: odd, protocol: DCCP, port: 5 }
                - { name: large, port: 65536 }
            ",
            "
            default/web ClusterIp [2a0a::1]
            :53 dns Udp
            :3868 diameter Sctp
            :80  Tcp http
            :8080 h2 Tcp kubernetes.io/h2c
            ",
        );
    }

    #[test]
    fn addresses_are_read_as_every_kubernetes_reads_them() {
        for (text, expected) in [
            ("2A0A:0::1", Some("2a0a::1")),
            ("192.000.02.010", Some("192.0.2.10")),
            ("::ffff:192.0.2.1", Some("192.0.2.1")),
            ("192.0.2", None),
            ("192.0..2", None),
            ("192.0.2.+1", None),
            ("192.0.2.0256", None),
            ("192.0.2.1.0", None),
            ("0x10.0.0.1", None),
            ("fe80::1%eth0", None),
        ] {
            assert_eq!(address(text).map(|address| address.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_slice_belongs_to_the_service_in_its_label() {
        check(
            Kind::EndpointSlice,
            "
            metadata: { name: db-x7z, namespace: shop, labels: { kubernetes.io/service-name: db, other: label } }
            addressType: IPv6
            endpoints:
              - { addresses: ['2a0a::1'], hostname: db-0, conditions: { ready: true, serving: true } }
              - { addresses: ['2a0a::2'], conditions: { ready: false } }
              - { addresses: ['2a0a::3'], conditions: { ready: null } }
              - { addresses: ['2a0a::4', here], hostname: '', nodeName: n1 }
            ports:
              - { name: psql, port: 5432, protocol: TCP, appProtocol: x }
              - { name: '', port: 80 }
              - { name: all, port: null }
            ",
            "
            db-x7z of shop/db
            [2a0a::1] db-0 ready
            [2a0a::2] - not ready
            [2a0a::3] - ready
            [2a0a::4] - ready
            :5432 psql Tcp x
            :80  Tcp
            ",
        );
    }

    #[test]
    fn a_slice_without_addresses_for_a_service_says_nothing() {
        let slice = "{ metadata: { name: a, namespace: shop }, addressType: IPv6, endpoints: [] }";
        check(Kind::EndpointSlice, slice, "shop/a: nothing");
        let slice = "{ metadata: { name: a, labels: { kubernetes.io/service-name: web } }, addressType: FQDN }";
        check(Kind::EndpointSlice, slice, "default/a: nothing");
        let slice =
            "{ metadata: { name: a, labels: { kubernetes.io/service-name: web } }, endpoints: null, ports: null }";
        check(Kind::EndpointSlice, slice, "a of default/web");
    }

    #[test]
    fn a_namespace_is_its_metadata() {
        let namespace = "{ metadata: { name: shop, labels: { team: a } }, spec: { finalizers: [kubernetes] } }";
        check(Kind::Namespace, namespace, r#"shop {"team": "a"}"#);
    }

    #[test]
    fn a_pod_has_addresses_until_it_ends() {
        let status = |status: &str| {
            format!(
                "{{ metadata: {{ name: web-0, namespace: shop, annotations: {{ k8s.ooo/publish: 'true', a: b }} }},
                    spec: {{ containers: [] }}, status: {status} }}"
            )
        };
        let both = "podIP: '2a0a::1', podIPs: [{ ip: '2a0a::1' }, { ip: 192.0.2.1 }], hostIP: '2a0a::f'";
        let published = "shop/web-0 [2a0a::1, 192.0.2.1] k8s.ooo/publish=true";
        for phase in ["Pending", "Running", "Unknown"] {
            check(Kind::Pod, &status(&format!("{{ phase: {phase}, {both} }}")), published);
        }
        check(Kind::Pod, &status(&format!("{{ {both} }}")), published);
        for phase in ["Succeeded", "Failed"] {
            check(Kind::Pod, &status(&format!("{{ phase: {phase}, {both} }}")), "shop/web-0: nothing");
        }
        let single = "shop/web-0 [2a0a::1] k8s.ooo/publish=true";
        check(Kind::Pod, &status("{ podIP: '2a0a::1' }"), single);
        check(Kind::Pod, &status("{ podIP: '2a0a::1', podIPs: [] }"), single);
        check(Kind::Pod, &status("{ podIPs: [{ ip: '2a0a::1' }, { ip: here }, { ip: '' }, {}] }"), single);
        for none in ["null", "{}", "{ phase: Pending }", "{ podIP: '', podIPs: null }"] {
            check(Kind::Pod, &status(none), "shop/web-0: nothing");
        }
    }

    #[test]
    fn of_the_annotations_those_to_this_server_are_kept() {
        let annotations = "annotations: { k8s.ooo/publish: 'false', k8s.ooo.example/a: b, kubectl.kubernetes.io/c: d }";
        let metadata = format!("{{ metadata: {{ name: shop, {annotations} }} }}");
        check(Kind::Service, &metadata, "default/shop ClusterIp [] k8s.ooo/publish=false");
        check(Kind::Namespace, &metadata, "shop {} k8s.ooo/publish=false");
        check(Kind::Namespace, "{ metadata: { name: shop, annotations: null } }", "shop {}");
    }

    #[test]
    fn a_service_has_what_others_give_it() {
        check(
            Kind::Service,
            "
            metadata: { name: web, namespace: shop }
            spec: { type: LoadBalancer, clusterIP: 10.0.0.1, externalIPs: [192.0.2.1, nonsense, '2001:db8::1'] }
            status:
              loadBalancer:
                ingress:
                - { ip: '2001:db8::2', ipMode: VIP, ports: [] }
                - { hostname: lb.example.net, ip: '' }
                - { ip: 192.0.2.2, hostname: '' }
            ",
            r#"shop/web LoadBalancer [10.0.0.1] ingress [2001:db8::2, 192.0.2.2] external [192.0.2.1, 2001:db8::1] names ["lb.example.net"]"#,
        );
        for status in
            ["null", "{}", "{ loadBalancer: null }", "{ loadBalancer: {} }", "{ loadBalancer: { ingress: null } }"]
        {
            let service = format!("{{ metadata: {{ name: web }}, spec: {{ clusterIP: 10.0.0.1 }}, status: {status} }}");
            check(Kind::Service, &service, "default/web ClusterIp [10.0.0.1]");
        }
    }

    #[test]
    fn only_what_is_needed_can_fail_to_decode() {
        check(Kind::Service, "{ metadata: { name: web }, spec: { type: {} } }", "invalid type: map, expected a string");
        check(
            Kind::Service,
            "{ metadata: { name: web }, spec: { healthCheckNodePort: {} }, status: { conditions: 5 } }",
            "default/web ClusterIp []",
        );
        check(Kind::Service, "{ metadata: { namespace: shop } }", "metadata.name is missing");
        check(Kind::Service, "{ spec: {} }", "missing field `metadata`");
    }

    #[test]
    fn a_version_is_a_hint_where_it_is_a_number() {
        let version = |resource_version: &str| {
            let object =
                format!("{{ metadata: {{ name: web, namespace: shop, resourceVersion: '{resource_version}' }} }}");
            let object: serde_json::Value = serde_saphyr::from_str(&object).unwrap();
            identity(Kind::Service, object).unwrap().version()
        };
        assert_eq!(version("184467440737095516"), Some(184_467_440_737_095_516));
        assert_eq!(version("opaque"), None);
    }
}
