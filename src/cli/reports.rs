//! Where `explain` and `audit` look: manifests or a cluster's API, read once, and the zones made from that; or a running
//! server.

use std::collections::BTreeSet;
use std::env;
use std::net::IpAddr;
use std::path::PathBuf;

use axum::http::StatusCode;
use clap::Args;
use clap_complete::ArgValueCandidates;
use hickory_proto::rr::Name;

use super::progress::Line;
use super::remote::{Remote, RemoteError, ServerArgs, ServerUrl};
use super::zone::{default_zone, read_manifests, zone_name, zone_of};
use super::{Failure, complete, is_plugin, runtime};
use crate::admin::api::ZoneStatus;
use crate::cluster::{Cluster, ServiceKey};
use crate::config::{self, Access};
use crate::report::{AddressReport, NameReport, NamespaceReport, Report, View};
use crate::schema::{ClusterZone, Register};
use crate::source::{self, Pods};
use crate::zone::{HashedName, name_to_text};

/// Where to look, and by which configuration.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// A manifest, or a folder of them, in the place of a cluster
    #[arg(short, long, value_name = "DIR", conflicts_with_all = ["kubeconfig", "context"])]
    pub(super) filename: Option<PathBuf>,
    /// The kubeconfig of the cluster; in a Pod, its own cluster is the default, elsewhere kubectl's
    #[arg(long, value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,
    /// The context in the kubeconfig
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(complete::contexts))]
    pub(super) context: Option<String>,
    /// A running server that has read its clusters already: the URL of its listen.admin
    #[arg(long, value_name = "URL", conflicts_with_all = ["filename", "kubeconfig", "context", "config"])]
    pub(super) server: Option<ServerUrl>,
    /// The configuration file that says how zones are made, and from which clusters unless another is named here
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

impl Place {
    /// The running server, where one is to be asked.
    pub(super) fn remote(&self) -> Result<Option<Remote>, Failure> {
        if let Some(url) = &self.server {
            return Remote::new(url).map(Some);
        }
        if is_plugin() && self.filename.is_none() && self.config.is_none() {
            let (kubeconfig, context) = (self.kubeconfig.clone(), self.context.clone());
            return Remote::forwarded(&ServerArgs { server: None, kubeconfig, context, namespace: None }).map(Some);
        }
        Ok(None)
    }

    /// Whether a cluster is named, in the place of those of a configuration.
    pub(super) fn names_cluster(&self) -> bool {
        self.filename.is_some() || self.kubeconfig.is_some() || self.context.is_some()
    }

    /// Where that cluster's objects are read, or otherwise the usual one's.
    pub(super) fn access(&self) -> Access {
        access(self.filename.clone(), self.kubeconfig.clone(), self.context.clone())
    }
}

/// What to look at.
#[derive(Debug, Args)]
pub(super) struct Look {
    #[command(flatten)]
    place: Place,
    /// The zone: made with the defaults, or one of those of the configuration or the server [default: all of these]
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(complete::zones))]
    zone: Option<String>,
}

/// Where a cluster's objects are read: what is said, else the Pod's own cluster in a Pod, else kubectl's choice.
pub(super) fn access(manifests: Option<PathBuf>, kubeconfig: Option<PathBuf>, context: Option<String>) -> Access {
    if let Some(folder) = manifests {
        return Access::Manifests(folder);
    }
    let told = kubeconfig.is_some() || context.is_some();
    if !told && env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        return Access::InCluster;
    }
    Access::Kubeconfig { path: kubeconfig, context }
}

/// Why there is nothing to look at.
#[derive(Debug, thiserror::Error)]
enum LookProblem {
    #[error("say which zone: with --zone NAME, as in c2.k8s.ooo, --config FILE, or --server URL of one that runs")]
    NoWord,
    #[error("{} has no zone that is made from a cluster{}", path.display(), named(name.as_deref(), known))]
    NoZone { path: PathBuf, name: Option<String>, known: Vec<String> },
    #[error("the server has no zone that is made from a cluster{}", named(name.as_deref(), known))]
    NotServed { name: Option<String>, known: Vec<String> },
}

fn named(name: Option<&str>, known: &[String]) -> String {
    match name {
        Some(name) if known.is_empty() => format!(" and is called {name}"),
        Some(name) => format!(" and is called {name}: it has {}", known.join(", ")),
        None => String::new(),
    }
}

impl Look {
    /// Reads what there is, and Pods where a zone has them, or else as it is asked for.
    pub(super) fn reports(&self, pods: Pods) -> Result<Reports, Failure> {
        let place = &self.place;
        if let Some(remote) = place.remote()? {
            return self.served(remote);
        }
        let clusters = match (&place.config, &self.zone) {
            (Some(path), zone) => {
                let name = zone.as_deref().map(zone_name).transpose()?;
                let mut clusters = config::load(path)?.clusters;
                let known = clusters.iter().flat_map(|cluster| &cluster.zones);
                let known: Vec<_> = known.map(|zone| name_to_text(&zone.origin)).collect();
                for cluster in &mut clusters {
                    cluster.zones.retain(|zone| name.as_ref().is_none_or(|name| zone.origin == *name));
                }
                clusters.retain(|cluster| !cluster.zones.is_empty());
                if clusters.is_empty() {
                    let name = name.as_ref().map(name_to_text);
                    return Err(Failure::Usage(LookProblem::NoZone { path: path.clone(), name, known }.into()));
                }
                if place.names_cluster() {
                    // It stands for all of them: what any of them reads is read.
                    let reads_all = clusters.iter().any(|cluster| cluster.namespaces.is_empty());
                    let namespaces =
                        clusters.iter().filter(|_| !reads_all).flat_map(|cluster| cluster.namespaces.clone());
                    let namespaces = namespaces.collect();
                    let zones = clusters.into_iter().flat_map(|cluster| cluster.zones).collect();
                    vec![(place.access(), namespaces, zones)]
                } else {
                    clusters.into_iter().map(|cluster| (cluster.access, cluster.namespaces, cluster.zones)).collect()
                }
            }
            (None, Some(zone)) => {
                vec![(place.access(), BTreeSet::new(), vec![default_zone(zone, &[], place.access())?])]
            }
            (None, None) => return Err(Failure::Usage(LookProblem::NoWord.into())),
        };
        clusters
            .into_iter()
            .map(|(access, namespaces, zones)| Known::read(&access, &namespaces, zones, pods))
            .collect::<Result<_, _>>()
            .map(Reports::Read)
    }

    /// Of the zones that a server has, those asked for.
    fn served(&self, server: Remote) -> Result<Reports, Failure> {
        let name = self.zone.as_deref().map(zone_name).transpose()?;
        let mut zones = Vec::new();
        for ZoneStatus { zone, kind, .. } in server.list(&["zones"], &[])? {
            if kind == "cluster" {
                zones.push(zone_name(&zone)?);
            }
        }
        let known = zones.iter().map(name_to_text).collect();
        zones.retain(|zone| name.as_ref().is_none_or(|name| zone == name));
        if zones.is_empty() {
            let name = name.as_ref().map(name_to_text);
            return Err(Failure::Usage(LookProblem::NotServed { name, known }.into()));
        }
        Ok(Reports::Served(Box::new(server), zones))
    }
}

/// A cluster that was read, and what was decided about it.
pub(super) struct Known {
    cluster: Cluster,
    zones: Vec<(ClusterZone, Register)>,
}

impl Known {
    pub(super) fn read(
        access: &Access,
        namespaces: &BTreeSet<Box<str>>,
        zones: Vec<ClusterZone>,
        pods: Pods,
    ) -> Result<Self, Failure> {
        let cluster = match access {
            Access::Manifests(folder) => read_manifests(folder)?,
            api => {
                let pods = if zones.iter().any(|zone| zone.pods) { Pods::Yes } else { pods };
                let mut line = Line::new();
                line.show("asking the API");
                let mut tell = |kind: &'static str, count: usize| line.show(format_args!("{kind}: {count}"));
                let runtime = runtime()?;
                let read = runtime.block_on(source::read(api, namespaces, pods, &mut tell));
                runtime.shutdown_background();
                read.map_err(Failure::unable)?
            }
        };
        let decided = |zone: ClusterZone| {
            let mut register = Register::default();
            register.update(&zone, &cluster, zone.subjects(&cluster));
            (zone, register)
        };
        Ok(Self { zones: zones.into_iter().map(decided).collect(), cluster })
    }

    pub(super) fn views(&self) -> impl Iterator<Item = View<'_>> {
        self.zones.iter().map(|(zone, register)| View { zone, cluster: &self.cluster, register })
    }
}

/// Where reports come from.
pub(super) enum Reports {
    /// They are made here, from clusters that were read.
    Read(Vec<Known>),
    /// A server makes them, of these zones.
    Served(Box<Remote>, Vec<Name>),
}

impl Reports {
    /// Of every Service in every zone.
    pub(super) fn services(&self) -> Result<Vec<Report>, Failure> {
        Ok(self.of_each(|view| view.services().collect(), |server, zone| server.services(zone, &[]))?.concat())
    }

    /// Of one Service, in each of the zones.
    pub(super) fn service(&self, key: &ServiceKey) -> Result<Vec<Report>, Failure> {
        let query = [("namespace", &*key.namespace), ("name", &*key.name)];
        Ok(self.of_each(|view| vec![view.service(key)], |server, zone| server.services(zone, &query))?.concat())
    }

    /// Of a Namespace, in each of the zones whose cluster has it.
    pub(super) fn namespace(&self, namespace: &str) -> Result<Vec<NamespaceReport>, Failure> {
        let ask = |server: &Remote, zone: &str| {
            let services = found(server.services(zone, &[("namespace", namespace)]))?;
            Ok(services.map(|services| NamespaceReport::of(zone, namespace, services)))
        };
        Ok(self.of_each(|view| view.namespace(namespace), ask)?.into_iter().flatten().collect())
    }

    /// Of an address, in each of the zones.
    pub(super) fn address(&self, address: IpAddr) -> Result<Vec<AddressReport>, Failure> {
        let text = address.to_string();
        let ask = |server: &Remote, zone: &str| server.get(&["addresses", &text], &[("zone", zone)]);
        self.of_each(|view| view.address(address), ask)
    }

    /// Of a name, in the zone that it is in: the longest apex.
    pub(super) fn name(&self, name: &Name) -> Result<Option<NameReport>, Failure> {
        let zones = self.zones();
        let zone = zones.iter().filter(|zone| zone.zone_of(name)).max_by_key(|zone| zone.num_labels());
        let Some(zone) = zone else { return Ok(None) };
        match self {
            Self::Read(clusters) => {
                let view = clusters.iter().flat_map(Known::views).find(|view| view.zone.origin == *zone);
                let view = view.expect("it is one of them");
                let zone = zone_of(view.zone, view.cluster)?;
                Ok(Some(view.name(name, zone.at(&HashedName::from(name))).among(zone.owners())))
            }
            Self::Served(server, _) => {
                Ok(Some(server.get(&["names", &name_to_text(name)], &[("zone", &name_to_text(zone))])?))
            }
        }
    }

    /// The names of the zones.
    pub(super) fn zones(&self) -> Vec<Name> {
        match self {
            Self::Read(clusters) => {
                clusters.iter().flat_map(Known::views).map(|view| view.zone.origin.clone()).collect()
            }
            Self::Served(_, zones) => zones.clone(),
        }
    }

    /// What `read` makes of each zone here, or `ask` has a server make of it.
    fn of_each<T>(
        &self,
        read: impl Fn(View<'_>) -> T,
        ask: impl Fn(&Remote, &str) -> Result<T, RemoteError>,
    ) -> Result<Vec<T>, Failure> {
        match self {
            Self::Read(clusters) => Ok(clusters.iter().flat_map(Known::views).map(read).collect()),
            Self::Served(server, zones) => {
                let asked = zones.iter().map(|zone| ask(server, &name_to_text(zone)));
                Ok(asked.collect::<Result<_, _>>()?)
            }
        }
    }
}

/// What was told; none where there is nothing to be told of.
fn found<T>(told: Result<T, RemoteError>) -> Result<Option<T>, RemoteError> {
    match told {
        Ok(told) => Ok(Some(told)),
        Err(RemoteError::Refused { status: StatusCode::NOT_FOUND, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
