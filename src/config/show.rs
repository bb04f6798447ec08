//! A configuration as a file that says all of it: what was left out, too, and what went before the file.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, absolute};
use std::time::Duration;

use humantime_serde::re::humantime::format_duration;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::Serialize;
use serde_saphyr::FlowSeq;

use super::{Access, Admin, Config};
use crate::schema::{self, AddressSource, ClusterZone, Mode, ReverseZone};
use crate::zone::name_to_text;

impl Config {
    /// A file that [`parse`](super::parse) makes the same of, wherever it lies: paths are absolute.
    ///
    /// What nobody has said and the file has no words for is left out: the address of the JSON API, which is the usual one
    /// only where that can be had.
    ///
    /// # Panics
    ///
    /// Never: all keys are text, and memory takes all that is written.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        serde_saphyr::to_string(&File::from(self)).expect("keys are text")
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct File<'c> {
    api_version: &'static str,
    kind: &'static str,
    listen: Listen<'c>,
    identity: &'c str,
    ready_timeout: String,
    grace_period: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    verify: Option<Verify>,
    clusters: Vec<Cluster<'c>>,
    zones: Vec<Zone<'c>>,
}

#[derive(Serialize)]
struct Listen<'c> {
    dns: FlowSeq<&'c [SocketAddr]>,
    workers: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    admin: Option<String>,
}

#[derive(Serialize)]
struct Verify {
    interval: String,
    roots: FlowSeq<Vec<String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cluster<'c> {
    name: &'c str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kubeconfig: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_cluster: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifests: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespaces: Option<FlowSeq<Vec<&'c str>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_staleness: Option<String>,
}

/// Of any kind; what a kind has no word for is left out.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Zone<'c> {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reverse_of: Option<FlowSeq<Vec<String>>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    nameservers: Vec<NameServer<'c>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hostmaster: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<u32>,
    #[serde(rename = "negativeTTL", skip_serializing_if = "Option::is_none")]
    negative_ttl: Option<u32>,
    #[serde(rename = "nameserverTTL", skip_serializing_if = "Option::is_none")]
    nameserver_ttl: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_records: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    publish: Option<Publish<'c>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ipv4: Option<Ipv4>,
}

#[derive(Serialize)]
struct NameServer<'c> {
    name: String,
    addresses: FlowSeq<&'c [IpAddr]>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Publish<'c> {
    mode: &'static str,
    namespaces: FlowSeq<Vec<&'c str>>,
    namespace_selector: String,
    service_selector: String,
    addresses: Addresses<'c>,
    pods: bool,
    short_names: bool,
    hostnames: bool,
    wildcards: bool,
}

#[derive(Serialize)]
struct Addresses<'c> {
    allow: FlowSeq<&'c [IpNet]>,
    from: FlowSeq<Vec<&'static str>>,
}

#[derive(Serialize)]
struct Ipv4 {
    nat64: Vec<Mapping>,
    proxies: FlowSeq<Vec<Ipv4Addr>>,
}

#[derive(Serialize)]
struct Mapping {
    from: Ipv6Net,
    to: Ipv4Net,
}

impl<'c> From<&'c Config> for File<'c> {
    fn from(config: &'c Config) -> Self {
        let files = config.files.iter().map(|zone| Zone {
            name: name_to_text(&zone.apex),
            file: Some(path_to_text(&zone.path)),
            ..Zone::default()
        });
        let of_clusters = config.clusters.iter().flat_map(|cluster| {
            let zone = |zone| cluster_zone(zone, &cluster.name, config);
            cluster.zones.iter().map(zone)
        });
        Self {
            api_version: "k8s.ooo/v1alpha1",
            kind: "KubezoneConfig",
            listen: Listen {
                dns: FlowSeq(&config.dns),
                workers: config.workers.map_or(0, Into::into),
                metrics: config.metrics,
                admin: match config.admin {
                    Admin::Unsaid => None,
                    Admin::At(address) => Some(address.to_string()),
                    Admin::Off => Some(String::new()),
                },
            },
            identity: &config.identity,
            ready_timeout: duration_to_text(config.ready_timeout),
            grace_period: duration_to_text(config.grace_period),
            verify: config.verify.as_ref().map(|verify| Verify {
                interval: duration_to_text(verify.interval),
                roots: FlowSeq(verify.roots.iter().map(ToString::to_string).collect()),
            }),
            clusters: config.clusters.iter().map(Cluster::from).collect(),
            zones: files.chain(of_clusters).chain(config.reverses.iter().map(Zone::from)).collect(),
        }
    }
}

impl<'c> From<&'c super::Cluster> for Cluster<'c> {
    fn from(cluster: &'c super::Cluster) -> Self {
        let (mut kubeconfig, mut context, mut in_cluster, mut manifests) = (None, None, None, None);
        match &cluster.access {
            Access::InCluster => in_cluster = Some(true),
            Access::Manifests(folder) => manifests = Some(path_to_text(folder)),
            Access::Kubeconfig { path, context: of_file } => {
                kubeconfig = path.as_deref().map(path_to_text);
                // Without either, the file would name no API: an empty context is kubectl's current one.
                context = of_file.as_deref().or(path.is_none().then_some(""));
            }
        }
        let staleness = cluster.max_staleness.unwrap_or_default();
        let max_staleness = manifests.is_none().then(|| duration_to_text(staleness));
        let namespaces = || FlowSeq(cluster.namespaces.iter().map(|name| &**name).collect());
        let namespaces = manifests.is_none().then(namespaces);
        Self { name: &cluster.name, kubeconfig, context, in_cluster, manifests, namespaces, max_staleness }
    }
}

fn cluster_zone<'c>(zone: &'c ClusterZone, cluster: &'c str, config: &'c Config) -> Zone<'c> {
    let publish = &zone.publish;
    let from = zone.address_sources.iter().map(|source| match source {
        AddressSource::ClusterIp => "ClusterIP",
        AddressSource::LoadBalancer => "LoadBalancer",
        AddressSource::ExternalIp => "ExternalIP",
    });
    Zone {
        name: name_to_text(&zone.origin),
        cluster: Some(cluster),
        nameservers: nameservers(&zone.nameservers),
        hostmaster: Some(name_to_text(&zone.hostmaster)),
        extra: Some(config.extras.get(&zone.origin).map(|path| path_to_text(path)).unwrap_or_default()),
        ttl: Some(zone.ttl),
        negative_ttl: Some(zone.negative_ttl),
        nameserver_ttl: Some(zone.nameserver_ttl),
        max_records: Some(zone.max_records),
        publish: Some(Publish {
            mode: match publish.mode {
                Mode::All => "All",
                Mode::OptIn => "OptIn",
            },
            namespaces: FlowSeq(publish.namespaces.iter().map(|name| &**name).collect()),
            namespace_selector: publish.namespace_selector.to_string(),
            service_selector: publish.service_selector.to_string(),
            addresses: Addresses { allow: FlowSeq(zone.addresses.allowed()), from: FlowSeq(from.collect()) },
            pods: zone.pods,
            short_names: zone.short_names,
            hostnames: zone.hostnames,
            wildcards: zone.wildcards,
        }),
        ipv4: Some(Ipv4 {
            nat64: zone.ipv4.nat64.mappings().map(|(from, to)| Mapping { from, to }).collect(),
            proxies: FlowSeq(zone.ipv4.proxies.iter().copied().collect()),
        }),
        ..Zone::default()
    }
}

impl<'c> From<&'c ReverseZone> for Zone<'c> {
    fn from(zone: &'c ReverseZone) -> Self {
        Self {
            name: name_to_text(&zone.origin),
            reverse_of: Some(FlowSeq(zone.of.iter().map(name_to_text).collect())),
            nameservers: nameservers(&zone.nameservers),
            hostmaster: Some(name_to_text(&zone.hostmaster)),
            negative_ttl: Some(zone.negative_ttl),
            nameserver_ttl: Some(zone.nameserver_ttl),
            ..Self::default()
        }
    }
}

fn nameservers(nameservers: &[schema::NameServer]) -> Vec<NameServer<'_>> {
    let entries = nameservers
        .iter()
        .map(|server| NameServer { name: name_to_text(&server.name), addresses: FlowSeq(&server.addresses) });
    entries.collect()
}

fn duration_to_text(duration: Duration) -> String {
    format_duration(duration).to_string()
}

fn path_to_text(path: &Path) -> String {
    absolute(path).map_or(Cow::Borrowed(path), Cow::Owned).display().to_string()
}
