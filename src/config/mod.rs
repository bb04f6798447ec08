//! What can be set: the configuration file and its short form on the command line.
//!
//! [`Config`] is what a server is started with: plain values, checked, so that
//! nothing past this module meets a word of the file's. `file` is the shape
//! of the YAML, `check` is every rule about its values. Files that the
//! configuration names are not looked at here: what stands in them, or that
//! they are missing, keeps one zone from being served, not the server.

mod changes;
mod check;
mod file;
mod show;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::net::{AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::Name;
use ipnet::IpNet;

pub use self::changes::Changes;
use crate::delegation::Root;
use crate::schema::{ClusterZone, ExtraError, MappingError, ReverseZone, SelectorError};
use crate::zone::master::{MasterError, Position};

/// What one server is told to do.
///
/// # Invariants
///
/// [`load`] and [`short_form`] establish these.
///
/// - `one-owner`: no two zones have the same apex.
/// - `told-apart`: no two clusters have the same name.
/// - `made-of-known`: what a reverse zone is made of are zones of the clusters.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where DNS is answered: UDP and TCP on each; port 0 picks one.
    pub dns: Vec<SocketAddr>,
    /// How many threads answer UDP on each address; none: one for each core.
    pub workers: Option<NonZero<usize>>,
    /// Where probes and metrics are answered; none: nowhere.
    pub metrics: Option<SocketAddr>,
    /// Where the JSON API is answered.
    pub admin: Admin,
    /// NSID (RFC 5001) and CH `id.server`; empty: none given.
    pub identity: String,
    /// How long readiness waits for zones that do not load while others have.
    pub ready_timeout: Duration,
    /// How long questions are still answered after the server was told to stop and is no longer ready.
    pub grace_period: Duration,
    /// How it is verified that resolvers find the zones; none: it is not.
    pub verify: Option<Verify>,
    /// Zones that come from master files.
    pub files: Vec<FileZone>,
    /// Clusters that zones come from.
    pub clusters: Vec<Cluster>,
    /// Zones that are made of those of the clusters.
    pub reverses: Vec<ReverseZone>,
    /// Files with static records, by the clusters' zones that have them: read with the configuration, as a part of it.
    pub extras: BTreeMap<Name, PathBuf>,
}

/// Where the JSON API is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Admin {
    /// Nobody has said it: at [`Admin::USUAL`] if that can be had. A convenience that nobody asked for keeps no second server
    /// on a machine, and none without IPv6, from its job.
    #[default]
    Unsaid,
    /// There, or the server does not start.
    At(SocketAddr),
    /// Nowhere.
    Off,
}

impl Admin {
    /// The usual address: the API names what is hidden from the world, so it is for this machine alone.
    pub const USUAL: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 9154);
}

impl FromStr for Admin {
    type Err = AddrParseError;

    /// An address with a port; empty: nowhere.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() { Ok(Self::Off) } else { text.parse().map(Self::At) }
    }
}

/// How the delegations of the zones are verified, from the root down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verify {
    /// How long after a look at a zone the next one is, about.
    pub interval: Duration,
    /// Where that begins, each address once; none: at the Internet's root servers.
    pub roots: Vec<Root>,
}

impl Default for Verify {
    fn default() -> Self {
        Self { interval: Duration::from_secs(15 * 60), roots: Vec::new() }
    }
}

/// A zone that comes from a master file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileZone {
    /// The zone's name, fully qualified.
    pub apex: Name,
    /// The master file.
    pub path: PathBuf,
}

/// A cluster, and the zones that are made from what it says.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// What people call it: in metrics and logs.
    pub name: String,
    /// Where its objects are read.
    pub access: Access,
    /// The only namespaces that its API is asked for, each by itself, and nothing of Namespaces themselves; none: all.
    pub namespaces: BTreeSet<Box<str>>,
    /// How long it may be silent before its zones are not answered for any more; none: for ever.
    pub max_staleness: Option<Duration>,
    /// The zones made from it.
    pub zones: Vec<ClusterZone>,
}

impl Cluster {
    /// Whether its API is asked for Pods, of which there may be many: a zone of it wants their names. A folder is read whole.
    #[must_use]
    pub fn watches_pods(&self) -> bool {
        !matches!(self.access, Access::Manifests(_)) && self.zones.iter().any(|zone| zone.pods)
    }
}

/// Where a cluster's objects are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// The API of the cluster that this process is a Pod of.
    InCluster,
    /// An API, as kubectl would find it.
    Kubeconfig {
        /// The file; none: where kubectl would look.
        path: Option<PathBuf>,
        /// The context in it; none: its current one.
        context: Option<String>,
    },
    /// A folder of manifests.
    Manifests(PathBuf),
}

/// For people: a path, or what stands for one.
impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InCluster => f.write_str("the cluster that this runs in"),
            Self::Manifests(folder) => write!(f, "{}", folder.display()),
            Self::Kubeconfig { path, context } => {
                match path {
                    Some(path) => write!(f, "{}", path.display())?,
                    None => f.write_str("kubectl's configuration")?,
                }
                context.iter().try_for_each(|context| write!(f, ", context {context}"))
            }
        }
    }
}

impl Default for Config {
    /// Nothing to serve, on the standard ports.
    fn default() -> Self {
        Self {
            dns: vec![(Ipv6Addr::UNSPECIFIED, 53).into(), (Ipv4Addr::UNSPECIFIED, 53).into()],
            workers: None,
            metrics: Some((Ipv6Addr::UNSPECIFIED, 9153).into()),
            admin: Admin::default(),
            identity: String::new(),
            ready_timeout: Duration::from_secs(60),
            grace_period: Duration::from_secs(5),
            verify: None,
            files: Vec::new(),
            clusters: Vec::new(),
            reverses: Vec::new(),
            extras: BTreeMap::new(),
        }
    }
}

impl Config {
    /// The names of all zones: those from files, then those of each cluster, then the reverse zones.
    pub fn apexes(&self) -> impl Iterator<Item = &Name> {
        let of_clusters = self.clusters.iter().flat_map(|cluster| &cluster.zones);
        let reverses = self.reverses.iter().map(|zone| &zone.origin);
        self.files.iter().map(|zone| &zone.apex).chain(of_clusters.map(|zone| &zone.origin)).chain(reverses)
    }

    /// The files and folders that it names.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let of_clusters = self.clusters.iter().filter_map(|cluster| match &cluster.access {
            Access::Kubeconfig { path, .. } => path.as_deref(),
            Access::Manifests(folder) => Some(folder.as_path()),
            Access::InCluster => None,
        });
        let files = self.files.iter().map(|zone| &zone.path).chain(self.extras.values());
        files.map(PathBuf::as_path).chain(of_clusters)
    }
}

/// Reads the configuration file at `path`; paths in it are relative to its folder.
///
/// # Errors
///
/// The first thing wrong with it, and where.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    parse(&text, path)
}

/// Reads `text` as the configuration file at `path`.
///
/// # Errors
///
/// The first thing wrong with it, and where.
pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let checked = file::parse(text).map_err(|error| check::shape(&error)).and_then(|file| check::file(file, folder));
    checked.map_err(|fault| ConfigError::Invalid {
        path: path.to_owned(),
        line: fault.at.line().max(1),
        column: fault.at.column().max(1),
        problem: fault.problem,
    })
}

/// The simplest case: one zone made from one cluster, with the defaults for everything else.
///
/// # Errors
///
/// The first thing wrong with it.
pub fn short_form(zone: &str, nameservers: &[NameServerFlag], access: Access) -> Result<Config, ConfigError> {
    check::short_form(zone, nameservers, access).map_err(|fault| ConfigError::CommandLine { problem: fault.problem })
}

/// A name server as the command line has it: `NAME` or `NAME=ADDR,ADDR`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameServerFlag {
    name: String,
    addresses: Vec<String>,
}

impl NameServerFlag {
    /// One without addresses.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        Self { name: name.to_owned(), addresses: Vec::new() }
    }
}

impl FromStr for NameServerFlag {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, addresses) = match text.split_once('=') {
            Some((name, addresses)) => (name, addresses.split(',').map(str::to_owned).collect()),
            None => (text, Vec::new()),
        };
        Ok(Self { name: name.to_owned(), addresses })
    }
}

/// A configuration that cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("could not read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something in the file is not understood.
    #[error("{}:{line}:{column}: {problem}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, from 1; where it is the file as a whole, its first.
        line: u64,
        /// The column in characters, from 1.
        column: u64,
        /// What it is.
        problem: Problem,
    },
    /// Something on the command line or in the environment is not understood.
    #[error("{problem}")]
    CommandLine {
        /// What it is.
        problem: Problem,
    },
}

impl ConfigError {
    /// The file that would have to become another one, beside the configuration itself.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Invalid { problem: Problem::Extra { path, .. }, .. } => Some(path),
            _ => None,
        }
    }
}

/// What is wrong with a configuration, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// No YAML, or of another shape than a configuration has.
    #[error("{0}")]
    Shape(String),
    /// A key that does not exist.
    #[error("unknown key `{key}`; the nearest known key is `{nearest}`")]
    UnknownKey {
        /// The key.
        key: String,
        /// One that exists at its place.
        nearest: &'static str,
    },
    /// A key that needs to be there.
    #[error("`{key}` is missing")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// A value that is not of the kind it should be.
    #[error("`{value}` is no {expected}")]
    Value {
        /// The value.
        value: String,
        /// The kind, with an example.
        expected: &'static str,
    },
    /// A label selector that is none.
    #[error("`{selector}` is no label selector such as `team=shop,tier in (web, api)`: {error}")]
    Selector {
        /// As it is written.
        selector: String,
        /// Where it ends to be one.
        error: SelectorError,
    },
    /// A key that a later version acts on: to ignore it could publish what it is meant to hide.
    #[error("`{key}` is not supported by this version; leave it out (it would be {default})")]
    NotYet {
        /// The key, with those it is in.
        key: &'static str,
        /// What this version does.
        default: &'static str,
    },
    /// The same name twice.
    #[error("{what} `{name}` is configured twice")]
    Duplicate {
        /// What has the name.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Nothing to do.
    #[error("no zone is configured: there is nothing to answer")]
    NoZones,
    /// Addresses are to come from nowhere.
    #[error("`publish.addresses.from` is empty: no Service would have an address; leave it out for the usual order")]
    NoAddressSources,
    /// A prefix that is an address, or longer than it says.
    #[error("`{written}` has bits set behind its prefix, which is `{prefix}`")]
    HostBits {
        /// As it is written.
        written: String,
        /// Without these bits.
        prefix: IpNet,
    },
    /// Addresses that cannot be translated so.
    #[error("{0}")]
    Nat64(MappingError),
    /// Static records that the zone cannot have.
    #[error("{}: {error}", path.display())]
    Extra {
        /// Their file.
        path: PathBuf,
        /// What is wrong with it.
        error: Box<ExtraProblem>,
    },
    /// Wildcards come from annotations that nobody reads.
    #[error("`publish.wildcards` needs `publish.hostnames: true`: it is about the names that annotations ask for")]
    WildcardsOfNothing,
    /// DNS is to be answered nowhere.
    #[error("`listen.dns` is empty: there is nowhere to answer")]
    NoListeners,
    /// A zone with no source, or more than one.
    #[error("zone `{zone}` needs exactly one of `file`, `cluster` and `reverseOf`")]
    ZoneSource {
        /// The zone.
        zone: Name,
    },
    /// A key that means nothing to a zone from a file.
    #[error("`{key}` is for zones made from clusters: the file of zone `{zone}` says it all")]
    FileSaysItAll {
        /// The zone.
        zone: Name,
        /// The key.
        key: &'static str,
    },
    /// A key that means nothing to a reverse zone.
    #[error(
        "`{key}` is for zones made from clusters: reverse zone `{zone}` says what those in its `reverseOf` publish"
    )]
    NotReversed {
        /// The zone.
        zone: Name,
        /// The key.
        key: &'static str,
    },
    /// A reverse zone whose name is not that of addresses.
    #[error(
        "`{zone}` is no reverse zone's name: write one such as `8.b.d.0.1.0.0.2.ip6.arpa`, of whole nibbles, or `2.0.192.in-addr.arpa`, of whole octets"
    )]
    NoPrefix {
        /// The zone.
        zone: Name,
    },
    /// A reverse zone of nothing.
    #[error("`reverseOf` is empty: name the cluster zones whose addresses have names in zone `{zone}`")]
    ReverseOfNothing {
        /// The zone.
        zone: Name,
    },
    /// A reverse zone of a zone that is not made from a cluster.
    #[error("there is no zone `{name}` made from a cluster{}", known(zones))]
    UnknownForward {
        /// The name.
        name: Name,
        /// The zones that there are.
        zones: Vec<String>,
    },
    /// A reverse zone's name server in the zone itself, where only addresses have names.
    #[error("name server `{name}` is inside of reverse zone `{zone}`: name one outside{}", forgotten_dot(written))]
    NameServerInReverse {
        /// The name server.
        name: Name,
        /// The zone.
        zone: Name,
        /// As it is written.
        written: String,
    },
    /// A zone is made from a cluster that is not configured.
    #[error("there is no cluster `{name}`{}", known(clusters))]
    UnknownCluster {
        /// The name.
        name: String,
        /// The clusters that there are.
        clusters: Vec<String>,
    },
    /// No zone is made from a cluster: it would be followed for nothing.
    #[error("no zone is made from cluster `{name}`: name it as `cluster` of a zone, or leave it out")]
    UnusedCluster {
        /// The name.
        name: String,
    },
    /// A namespace that is to be published, of which nobody will know anything.
    #[error("namespace `{namespace}` is not read: add it to `namespaces` of cluster `{cluster}`, or leave it out")]
    NamespaceNotRead {
        /// The namespace.
        namespace: String,
        /// The cluster.
        cluster: String,
    },
    /// Labels that nobody will know anything of.
    #[error(
        "`publish.namespaceSelector` needs the labels of Namespaces, which are not read where cluster `{cluster}` has \
         `namespaces`: name those meant in `publish.namespaces`"
    )]
    NamespacesNotRead {
        /// The cluster.
        cluster: String,
    },
    /// A name server whose Service nobody will know anything of.
    #[error(
        "name server `{name}` is the Service of a namespace that is not read: add `{namespace}` to `namespaces` of cluster \
         `{cluster}`, or give `addresses`"
    )]
    NameServerNotRead {
        /// The name server.
        name: Name,
        /// The namespace.
        namespace: String,
        /// The cluster.
        cluster: String,
    },
    /// A cluster that cannot be reached in one way exactly.
    #[error(
        "cluster `{cluster}` needs exactly one of `kubeconfig` (or a `context`), `inCluster: true` and `manifests`"
    )]
    ClusterAccess {
        /// The cluster.
        cluster: String,
    },
    /// A zone without name servers.
    #[error("zone `{zone}` needs `nameservers`: the names that its parent delegates it to")]
    NoNameServers {
        /// The zone.
        zone: Name,
    },
    /// A name server inside of the zone that nobody could find.
    #[error(
        "name server `{name}` is inside of the zone and has no addresses: give `addresses`, or the name of a Service as `name.namespace.svc`{}",
        forgotten_dot(written)
    )]
    NameServerWithoutAddress {
        /// The name server.
        name: Name,
        /// As it is written.
        written: String,
    },
    /// A name server outside of the zone whose addresses the zone cannot hold.
    #[error("name server `{name}` is outside of zone `{zone}`, which cannot hold its addresses: leave `addresses` out")]
    ForeignAddresses {
        /// The name server.
        name: Name,
        /// The zone.
        zone: Name,
    },
}

/// What is wrong with a file of static records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtraProblem {
    /// It cannot be read, and what the system said.
    #[error("could not be read: {0}")]
    Unreadable(String),
    /// It is no master file.
    #[error(transparent)]
    Master(MasterError),
    /// A record that the zone cannot have.
    #[error("{}{position}: {error}", included(file.as_deref()))]
    Record {
        /// The file that `$INCLUDE` named; none: the file itself.
        file: Option<Arc<Path>>,
        /// Where the record begins.
        position: Position,
        /// Why.
        error: ExtraError,
    },
    /// They make no zone.
    #[error(transparent)]
    Zone(ExtraError),
}

fn included(file: Option<&Path>) -> String {
    file.map(|file| format!("{}: ", file.display())).unwrap_or_default()
}

fn known(clusters: &[String]) -> impl fmt::Display {
    if clusters.is_empty() {
        return "; none is configured under `clusters`".to_owned();
    }
    format!("; configured are: {}", clusters.join(", "))
}

/// A relative name with several labels that is meant to be absolute is the classic of master files.
fn forgotten_dot(written: &str) -> impl fmt::Display {
    if written.contains('.') && !written.ends_with('.') {
        return format!("; if `{written}.` is meant, its final dot is missing");
    }
    String::new()
}

#[cfg(test)]
mod tests;
