//! Where `explain` and `audit` look: manifests or a cluster's API, read once, and the zones made from that.

use std::env;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use hickory_proto::rr::Name;

use super::progress::Line;
use super::zone::{default_zone, read_manifests, zone_name};
use super::{Failure, runtime};
use crate::cluster::{Cluster, ServiceKey};
use crate::config::{self, Access};
use crate::report::{AddressReport, NameReport, NamespaceReport, Report, View};
use crate::schema::{ClusterZone, Register};
use crate::source;
use crate::zone::name_to_text;

/// What to look at, and by which configuration.
#[derive(Debug, Args)]
pub(super) struct Look {
    /// A manifest, or a folder of them, in the place of a cluster
    #[arg(short, long, value_name = "DIR", conflicts_with_all = ["kubeconfig", "context"])]
    filename: Option<PathBuf>,
    /// The kubeconfig of the cluster; in a Pod, its own cluster is the default, elsewhere kubectl's
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context in the kubeconfig
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// The configuration file that says how zones are made, and from which clusters unless another is named here
    #[arg(long, value_name = "FILE", required_unless_present = "zone")]
    config: Option<PathBuf>,
    /// The zone: made with the defaults, or one of those in the configuration [default: all of these]
    #[arg(long, value_name = "NAME")]
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
    #[error("{} has no zone that is made from a cluster{}", path.display(), named(name.as_deref(), known))]
    NoZone { path: PathBuf, name: Option<String>, known: Vec<String> },
}

fn named(name: Option<&str>, known: &[String]) -> String {
    match name {
        Some(name) if known.is_empty() => format!(" and is called {name}"),
        Some(name) => format!(" and is called {name}: it has {}", known.join(", ")),
        None => String::new(),
    }
}

impl Look {
    /// Reads what there is.
    pub(super) fn reports(&self) -> Result<Reports, Failure> {
        let told = [self.filename.is_some(), self.kubeconfig.is_some(), self.context.is_some()].contains(&true);
        let access = || access(self.filename.clone(), self.kubeconfig.clone(), self.context.clone());
        let clusters = match (&self.config, &self.zone) {
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
                if told {
                    let zones = clusters.into_iter().flat_map(|cluster| cluster.zones).collect();
                    vec![(access(), zones)]
                } else {
                    clusters.into_iter().map(|cluster| (cluster.access, cluster.zones)).collect()
                }
            }
            (None, Some(zone)) => vec![(access(), vec![default_zone(zone, &[], access())?])],
            (None, None) => unreachable!("one of the two is required"),
        };
        clusters
            .into_iter()
            .map(|(access, zones)| Known::read(&access, zones))
            .collect::<Result<_, _>>()
            .map(Reports::Read)
    }
}

/// A cluster that was read, and what was decided about it.
pub(super) struct Known {
    cluster: Cluster,
    zones: Vec<(ClusterZone, Register)>,
}

impl Known {
    fn read(access: &Access, zones: Vec<ClusterZone>) -> Result<Self, Failure> {
        let cluster = match access {
            Access::Manifests(folder) => read_manifests(folder)?,
            api => {
                let pods = zones.iter().any(|zone| zone.pods);
                let mut line = Line::new();
                let mut tell = |kind: &'static str, count: usize| line.show(format_args!("{kind}: {count}"));
                let runtime = runtime()?;
                let read = runtime.block_on(source::read(api, pods, &mut tell));
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

    fn views(&self) -> impl Iterator<Item = View<'_>> {
        self.zones.iter().map(|(zone, register)| View { zone, cluster: &self.cluster, register })
    }
}

/// Where reports come from.
pub(super) enum Reports {
    /// They are made here, from clusters that were read.
    Read(Vec<Known>),
}

impl Reports {
    fn views(&self) -> impl Iterator<Item = View<'_>> {
        let Self::Read(clusters) = self;
        clusters.iter().flat_map(Known::views)
    }

    /// Of every Service in every zone.
    pub(super) fn services(&self) -> Vec<Report> {
        self.views().flat_map(|view| view.services().collect::<Vec<_>>()).collect()
    }

    /// Of one Service, in each of the zones.
    pub(super) fn service(&self, key: &ServiceKey) -> Vec<Report> {
        self.views().map(|view| view.service(key)).collect()
    }

    /// Of a Namespace, in each of the zones whose cluster has it.
    pub(super) fn namespace(&self, namespace: &str) -> Vec<NamespaceReport> {
        self.views().filter_map(|view| view.namespace(namespace)).collect()
    }

    /// Of an address, in each of the zones.
    pub(super) fn address(&self, address: IpAddr) -> Vec<AddressReport> {
        self.views().map(|view| view.address(address)).collect()
    }

    /// Of a name, in the zone that it is in: the longest apex.
    pub(super) fn name(&self, name: &Name) -> Option<NameReport> {
        let views = self.views().filter(|view| view.zone.origin.zone_of(name));
        views.max_by_key(|view| view.zone.origin.num_labels()).map(|view| view.name(name))
    }

    /// The names of the zones.
    pub(super) fn zones(&self) -> Vec<Name> {
        self.views().map(|view| view.zone.origin.clone()).collect()
    }
}
