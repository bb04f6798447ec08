//! Every rule about what a configuration says, and the problem that each makes.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZero;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use hickory_proto::rr::Name;
use humantime_serde::re::humantime;
use ipnet::IpNet;
use serde_saphyr::{DefaultMessageFormatter, Error, Location, MessageFormatter, Spanned};

use super::file::{self, File, Text};
use super::{Access, Cluster, Config, ExtraProblem, FileZone, NameServerFlag, Problem, Verify};
use crate::cluster::{ServiceKey, is_label};
use crate::delegation::Root;
use crate::nameserver::MAX_IDENTITY;
use crate::schema::{
    self, AddressFilter, AddressSource, ClusterZone, Ipv4Paths, MappingError, Mode, NameServer, Policy, ReverseZone,
    Selector,
};
use crate::zone::master::{self, Entry};

/// A problem and where it stands.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: Location,
    pub(super) problem: Problem,
}

type Checked<T> = Result<T, Fault>;

impl Problem {
    fn at(self, at: Location) -> Fault {
        Fault { at, problem: self }
    }
}

/// What the reader of YAML says about the shape of the file.
pub(super) fn shape(error: &Error) -> Fault {
    let at = error.location().unwrap_or(Location::UNKNOWN);
    let error = error.without_snippet();
    let problem = match error {
        Error::SerdeUnknownField { field, expected, .. } => {
            Problem::UnknownKey { key: field.clone(), nearest: nearest(field, expected) }
        }
        Error::SerdeMissingField { field, .. } => Problem::Missing { key: field },
        Error::DuplicateMappingKey { key: Some(key), .. } => Problem::Duplicate { what: "key", name: key.clone() },
        Error::Unexpected { expected: "sequence start", .. } => Problem::Shape("a list is expected here".to_owned()),
        Error::Unexpected { expected: "mapping start", .. } => Problem::Shape("keys are expected here".to_owned()),
        other => Problem::Shape(DefaultMessageFormatter.format_message(other).into_owned()),
    };
    problem.at(at)
}

/// The one of `known` that is most like `key`.
fn nearest(key: &str, known: &[&'static str]) -> &'static str {
    let likeness = |known: &str| strsim::jaro_winkler(&key.to_lowercase(), &known.to_lowercase());
    known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b))).copied().unwrap_or_default()
}

/// The configuration that `file` in `folder` asks for.
pub(super) fn file(file: File, folder: &Path) -> Checked<Config> {
    version(&file)?;
    not_yet(file.listen.tls, "listen.tls", "none", Vec::is_empty)?;
    not_yet(file.tls, "tls", "none", |_| false)?;

    let mut config = Config::default();
    if let Some(dns) = file.listen.dns {
        config.dns = dns.value.iter().map(socket_address).collect::<Checked<_>>()?;
        if config.dns.is_empty() {
            return Err(Problem::NoListeners.at(dns.referenced));
        }
    }
    if let Some(text) = &file.listen.workers {
        config.workers = workers(text)?;
    }
    if let Some(metrics) = &file.listen.metrics {
        config.metrics = Some(socket_address(metrics)?);
    }
    if let Some(admin) = &file.listen.admin {
        config.admin = value(admin, "address and port such as `[::1]:9154`, nor empty for none")?;
    }
    if let Some(text) = file.identity {
        config.identity = identity(text)?;
    }
    if let Some(timeout) = &file.ready_timeout {
        config.ready_timeout = duration(timeout)?;
    }
    if let Some(grace) = &file.grace_period {
        config.grace_period = duration(grace)?;
    }
    config.verify = file.verify.as_ref().map(verify).transpose()?;
    let mut places = Vec::with_capacity(file.clusters.len());
    for entry in file.clusters {
        places.push(entry.name.referenced);
        let cluster = cluster(entry, folder, &config)?;
        config.clusters.push(cluster);
    }
    // What they are made of may stand behind them.
    let (reverses, others): (Vec<_>, Vec<_>) = file.zones.into_iter().partition(|entry| entry.reverse_of.is_some());
    for entry in others.into_iter().chain(reverses) {
        add_zone(&entry, folder, &mut config)?;
    }
    relate(&mut config);
    if config.apexes().next().is_none() {
        return Err(Problem::NoZones.at(Location::UNKNOWN));
    }
    if let Some((cluster, at)) = config.clusters.iter().zip(places).find(|(cluster, _)| cluster.zones.is_empty()) {
        return Err(Problem::UnusedCluster { name: cluster.name.clone() }.at(at));
    }
    Ok(config)
}

/// The configuration that the command line asks for.
pub(super) fn short_form(zone: &str, nameservers: &[NameServerFlag], access: Access) -> Checked<Config> {
    let name = "default";
    let nameservers = nameservers.iter().map(|flag| file::NameServer {
        name: file::unplaced(&flag.name),
        addresses: flag.addresses.iter().map(|address| file::unplaced(address)).collect(),
    });
    let nameservers = Spanned::new(nameservers.collect(), Location::UNKNOWN, Location::UNKNOWN);
    let zone = file::Zone::made_from(zone, name, nameservers);
    let cluster =
        Cluster { name: name.to_owned(), access, namespaces: BTreeSet::new(), max_staleness: None, zones: Vec::new() };
    let mut config = Config { clusters: vec![cluster], ..Config::default() };
    add_zone(&zone, Path::new(""), &mut config)?;
    Ok(config)
}

/// `apiVersion` and `kind`: optional, but nothing else than ours.
fn version(file: &File) -> Checked<()> {
    for (text, expected) in [(&file.api_version, "k8s.ooo/v1alpha1"), (&file.kind, "KubezoneConfig")] {
        match text {
            Some(text) if text.value != expected => {
                let problem = Problem::Value { value: text.value.clone(), expected };
                return Err(problem.at(text.referenced));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Refuses what this version does not act on, unless it asks for what is done anyway.
fn not_yet<T>(
    value: Option<Spanned<T>>,
    key: &'static str,
    default: &'static str,
    is_default: impl FnOnce(&T) -> bool,
) -> Checked<()> {
    match value {
        Some(value) if !is_default(&value.value) => Err(Problem::NotYet { key, default }.at(value.referenced)),
        _ => Ok(()),
    }
}

fn identity(text: Text) -> Checked<String> {
    // It is a TXT record's one string, too.
    if text.value.len() > MAX_IDENTITY {
        return Err(unlike(&text, "identity of at most 64 bytes"));
    }
    Ok(text.value)
}

fn verify(entry: &file::Verify) -> Checked<Verify> {
    let mut verify = Verify::default();
    if let Some(text) = &entry.interval {
        verify.interval = duration(text)?;
        if verify.interval < MIN_INTERVAL {
            return Err(unlike(text, "duration of at least a minute, such as `15m`: others' servers are asked"));
        }
    }
    for text in &entry.roots {
        let root: Root = value(text, "root server's address such as `2001:db8::53`, nor one with a port")?;
        if verify.roots.iter().any(|other| other.address == root.address) {
            let problem = Problem::Duplicate { what: "root server", name: root.address.to_string() };
            return Err(problem.at(text.referenced));
        }
        verify.roots.push(root);
    }
    Ok(verify)
}

/// A walk from the root is some hundred questions to servers of others.
const MIN_INTERVAL: Duration = Duration::from_secs(60);

fn cluster(entry: file::Cluster, folder: &Path, config: &Config) -> Checked<Cluster> {
    let at = entry.name.referenced;
    let name = entry.name.value;
    if config.clusters.iter().any(|other| other.name == name) {
        return Err(Problem::Duplicate { what: "cluster", name }.at(at));
    }
    let max_staleness =
        entry.max_staleness.as_ref().map(duration).transpose()?.filter(|staleness| !staleness.is_zero());
    let namespaces = entry.namespaces.as_ref().map(|namespaces| names_of_namespaces(&namespaces.value));
    let namespaces = namespaces.transpose()?.unwrap_or_default();
    if entry.manifests.is_some() {
        not_yet(entry.max_staleness, "maxStaleness", "0s: a folder is never silent", |_| max_staleness.is_none())?;
        not_yet(entry.namespaces, "namespaces", "[]: a folder is read whole", Vec::is_empty)?;
    }
    let by_kubeconfig = entry.kubeconfig.is_some() || entry.context.is_some();
    let access = match (by_kubeconfig, entry.in_cluster, entry.manifests) {
        (true, false, None) => Access::Kubeconfig {
            path: entry.kubeconfig.map(|path| folder.join(path.value)),
            // As in a kubeconfig: the empty one is none, so that the current one counts.
            context: entry.context.map(|context| context.value).filter(|context| !context.is_empty()),
        },
        (false, true, None) => Access::InCluster,
        (false, false, Some(manifests)) => Access::Manifests(folder.join(manifests.value)),
        _ => return Err(Problem::ClusterAccess { cluster: name }.at(at)),
    };
    Ok(Cluster { name, access, namespaces, max_staleness, zones: Vec::new() })
}

/// Adds the zone of `entry` to `config`, whose clusters are complete.
fn add_zone(entry: &file::Zone, folder: &Path, config: &mut Config) -> Checked<()> {
    let at = entry.name.referenced;
    let mut apex = name(&entry.name)?;
    apex.set_fqdn(true);
    if config.apexes().any(|other| *other == apex) {
        return Err(Problem::Duplicate { what: "zone", name: apex.to_string() }.at(at));
    }
    match (&entry.file, &entry.cluster, &entry.reverse_of) {
        (Some(path), None, None) => {
            config.files.push(file_zone(apex, path, folder, entry)?);
        }
        (None, Some(_), None) => cluster_zone(apex, entry, folder, config)?,
        (None, None, Some(of)) => {
            let zone = reverse_zone(apex, of, entry, config)?;
            config.reverses.push(zone);
        }
        _ => return Err(Problem::ZoneSource { zone: apex }.at(at)),
    }
    Ok(())
}

fn file_zone(apex: Name, path: &Text, folder: &Path, entry: &file::Zone) -> Checked<FileZone> {
    let keys = [
        ("hostmaster", place(entry.hostmaster.as_ref())),
        ("negativeTTL", place(entry.negative_ttl.as_ref())),
        ("nameserverTTL", place(entry.nameserver_ttl.as_ref())),
        ("nameservers", place(entry.nameservers.as_ref())),
    ];
    match keys.into_iter().chain(keys_of_clusters(entry)).find_map(|(key, at)| Some((key, at?))) {
        Some((key, at)) => Err(Problem::FileSaysItAll { zone: apex, key }.at(at)),
        None => Ok(FileZone { apex, path: folder.join(&path.value) }),
    }
}

/// The keys that mean something only to a zone made from a cluster, and where they stand.
fn keys_of_clusters(entry: &file::Zone) -> [(&'static str, Option<Location>); 5] {
    [
        ("extra", place(entry.extra.as_ref())),
        ("ttl", place(entry.ttl.as_ref())),
        ("maxRecords", place(entry.max_records.as_ref())),
        ("publish", place(entry.publish.as_ref())),
        ("ipv4", place(entry.ipv4.as_ref())),
    ]
}

fn place<T>(value: Option<&Spanned<T>>) -> Option<Location> {
    value.map(|value| value.referenced)
}

/// The reverse zone at `origin`; the zones of the clusters in `config` are complete.
fn reverse_zone(origin: Name, of: &Spanned<Vec<Text>>, entry: &file::Zone, config: &Config) -> Checked<ReverseZone> {
    if let Some((key, at)) = keys_of_clusters(entry).into_iter().find_map(|(key, at)| Some((key, at?))) {
        return Err(Problem::NotReversed { zone: origin, key }.at(at));
    }
    let Some(zone) = ReverseZone::at(origin.clone()) else {
        return Err(Problem::NoPrefix { zone: origin }.at(entry.name.referenced));
    };
    if of.value.is_empty() {
        return Err(Problem::ReverseOfNothing { zone: origin }.at(of.referenced));
    }
    let mut forwards = Vec::with_capacity(of.value.len());
    for text in &of.value {
        let mut forward = name(text)?;
        forward.set_fqdn(true);
        if forwards.contains(&forward) {
            let problem = Problem::Duplicate { what: "in `reverseOf`, zone", name: forward.to_string() };
            return Err(problem.at(text.referenced));
        }
        let mut known = config.clusters.iter().flat_map(|cluster| &cluster.zones).map(|zone| &zone.origin);
        if !known.clone().any(|known| *known == forward) {
            let zones = known.by_ref().map(Name::to_string).collect();
            return Err(Problem::UnknownForward { name: forward, zones }.at(text.referenced));
        }
        forwards.push(forward);
    }
    let entries = entry.nameservers.as_ref().map(|nameservers| nameservers.value.as_slice()).unwrap_or_default();
    if entries.is_empty() {
        return Err(Problem::NoNameServers { zone: origin }.at(entry.name.referenced));
    }
    let nameservers = nameservers(entries, |entry| nameserver_elsewhere(entry, &origin))?;
    Ok(ReverseZone {
        of: forwards,
        nameservers,
        hostmaster: match &entry.hostmaster {
            Some(text) => mailbox(text, &origin)?,
            None => zone.hostmaster.clone(),
        },
        negative_ttl: ttl(entry.negative_ttl.as_ref(), 30)?,
        nameserver_ttl: ttl(entry.nameserver_ttl.as_ref(), 3600)?,
        ..zone
    })
}

/// Tells zones what others make of them.
fn relate(config: &mut Config) {
    for zone in config.clusters.iter_mut().flat_map(|cluster| &mut cluster.zones) {
        zone.is_reversed = config.reverses.iter().any(|reverse| reverse.of.contains(&zone.origin));
    }
    let prefixes: Vec<_> = config.reverses.iter().map(|zone| zone.prefix).collect();
    for zone in &mut config.reverses {
        let inner = prefixes.iter().filter(|prefix| **prefix != zone.prefix && zone.prefix.contains(*prefix));
        zone.except = inner.copied().collect();
    }
}

fn cluster_zone(origin: Name, entry: &file::Zone, folder: &Path, config: &mut Config) -> Checked<()> {
    let nameservers = match &entry.nameservers {
        Some(entries) if !entries.value.is_empty() => nameservers(&entries.value, |entry| nameserver(entry, &origin))?,
        _ => return Err(Problem::NoNameServers { zone: origin }.at(entry.name.referenced)),
    };
    let usual = ClusterZone::at(origin.clone());
    let hostmaster = match &entry.hostmaster {
        Some(text) => mailbox(text, &origin)?,
        None => usual.hostmaster.clone(),
    };
    let mut zone = ClusterZone {
        ttl: ttl(entry.ttl.as_ref(), usual.ttl)?,
        negative_ttl: ttl(entry.negative_ttl.as_ref(), usual.negative_ttl)?,
        nameserver_ttl: ttl(entry.nameserver_ttl.as_ref(), usual.nameserver_ttl)?,
        max_records: max_records(entry.max_records.as_ref(), usual.max_records)?,
        nameservers,
        hostmaster,
        ..usual
    };
    if let Some(entry) = &entry.publish {
        publish(&entry.value, &mut zone)?;
    }
    if let Some(entry) = &entry.ipv4 {
        zone.ipv4 = ipv4(&entry.value)?;
    }
    if let Some(text) = entry.extra.as_ref().filter(|text| !text.value.is_empty()) {
        let path = folder.join(&text.value);
        zone = extra(zone, &path)
            .map_err(|error| Problem::Extra { path: path.clone(), error: Box::new(error) }.at(text.referenced))?;
        config.extras.insert(zone.origin.clone(), path);
    }
    let clusters: Vec<_> = config.clusters.iter().map(|cluster| cluster.name.clone()).collect();
    let name = entry.cluster.as_ref().expect("add_zone chose by it");
    let Some(cluster) = config.clusters.iter_mut().find(|known| known.name == name.value) else {
        return Err(Problem::UnknownCluster { name: name.value.clone(), clusters }.at(name.referenced));
    };
    if !cluster.namespaces.is_empty() {
        can_be_made(&zone, entry, cluster)?;
    }
    cluster.zones.push(zone);
    Ok(())
}

/// Whether all that `zone` is made of is read of `cluster`, which is read in some namespaces alone.
fn can_be_made(zone: &ClusterZone, entry: &file::Zone, cluster: &Cluster) -> Checked<()> {
    let (reads, cluster) = (|namespace: &str| cluster.namespaces.contains(namespace), cluster.name.clone());
    let nameservers = entry.nameservers.iter().flat_map(|entries| &entries.value);
    for (NameServer { name, addresses }, entry) in zone.nameservers.iter().zip(nameservers) {
        let service = zone.service_of(name).filter(|_| addresses.is_empty());
        if let Some(ServiceKey { namespace, .. }) = service.filter(|service| !reads(&service.namespace)) {
            let (name, namespace) = (name.clone(), namespace.to_string());
            return Err(Problem::NameServerNotRead { name, namespace, cluster }.at(entry.name.referenced));
        }
    }
    let Some(file::Publish { namespaces, namespace_selector, .. }) = entry.publish.as_ref().map(|entry| &entry.value)
    else {
        return Ok(());
    };
    if let Some(text) = namespaces.iter().find(|text| !reads(&text.value)) {
        return Err(Problem::NamespaceNotRead { namespace: text.value.clone(), cluster }.at(text.referenced));
    }
    match namespace_selector {
        Some(text) if zone.publish.namespace_selector != Selector::default() => {
            Err(Problem::NamespacesNotRead { cluster }.at(text.referenced))
        }
        _ => Ok(()),
    }
}

/// `zone` with the static records in the file at `path`.
fn extra(zone: ClusterZone, path: &Path) -> Result<ClusterZone, ExtraProblem> {
    let text = std::fs::read(path).map_err(|error| ExtraProblem::Unreadable(error.to_string()))?;
    let (entries, errors) = master::read(&text, &zone.origin, Some(master::folder(path)), 1, &mut |_| {});
    if let Some(error) = errors.into_iter().next() {
        return Err(ExtraProblem::Master(error));
    }
    let records = entries.iter().map(|entry| entry.record.clone()).collect();
    zone.with_extra(records).map_err(|error| {
        let is_it = |entry: &&Entry| Some(&entry.record.owner) == error.owner();
        match entries.iter().rev().find(is_it) {
            Some(entry) => ExtraProblem::Record { file: entry.file.clone(), position: entry.position, error },
            None => ExtraProblem::Zone(error),
        }
    })
}

/// What may be published in `zone`.
fn publish(entry: &file::Publish, zone: &mut ClusterZone) -> Checked<()> {
    let allow = entry.addresses.allow.iter().map(|cidr| value(cidr, "CIDR such as `fd00::/8`"));
    zone.addresses = AddressFilter::allowing(allow.collect::<Checked<_>>()?);
    if let Some(from) = &entry.addresses.from {
        zone.address_sources = address_sources(from)?;
    }
    zone.publish = Policy {
        mode: entry.mode.as_ref().map(mode).transpose()?.unwrap_or_default(),
        namespaces: names_of_namespaces(&entry.namespaces)?,
        namespace_selector: entry.namespace_selector.as_ref().map(selector).transpose()?.unwrap_or_default(),
        service_selector: entry.service_selector.as_ref().map(selector).transpose()?.unwrap_or_default(),
    };
    zone.pods = entry.pods;
    zone.short_names = entry.short_names;
    zone.hostnames = entry.hostnames;
    match &entry.wildcards {
        Some(wildcards) if wildcards.value && !entry.hostnames => {
            Err(Problem::WildcardsOfNothing.at(wildcards.referenced))
        }
        wildcards => {
            zone.wildcards = wildcards.as_ref().is_some_and(|wildcards| wildcards.value);
            Ok(())
        }
    }
}

fn ipv4(entry: &file::Ipv4) -> Checked<Ipv4Paths> {
    let mut paths = Ipv4Paths::default();
    for file::Mapping { from, to } in &entry.nat64 {
        let IpNet::V6(from_net) = prefix(from, MAPPED_FROM)? else { return Err(unlike(from, MAPPED_FROM)) };
        let IpNet::V4(to_net) = prefix(to, MAPPED_TO)? else { return Err(unlike(to, MAPPED_TO)) };
        paths.nat64.map(from_net, to_net).map_err(|error| {
            let at = if matches!(error, MappingError::FromTwice(_)) { from } else { to };
            Problem::Nat64(error).at(at.referenced)
        })?;
    }
    for text in &entry.proxies {
        if !paths.proxies.insert(value(text, "IPv4 address such as `192.0.2.80`")?) {
            let problem = Problem::Duplicate { what: "proxy", name: text.value.clone() };
            return Err(problem.at(text.referenced));
        }
    }
    Ok(paths)
}

const MAPPED_FROM: &str = "IPv6 address or prefix such as `2001:db8::80` or `2001:db8::/120`";
const MAPPED_TO: &str = "IPv4 address or prefix such as `192.0.2.80` or `192.0.2.0/24`";

/// A prefix, or an address as one of its own.
fn prefix(text: &Text, expected: &'static str) -> Checked<IpNet> {
    let net = text.value.parse().or_else(|_| value::<IpAddr>(text, expected).map(IpNet::from))?;
    if net != net.trunc() {
        let problem = Problem::HostBits { written: text.value.clone(), prefix: net.trunc() };
        return Err(problem.at(text.referenced));
    }
    Ok(net)
}

fn address_sources(from: &Spanned<Vec<Text>>) -> Checked<Vec<AddressSource>> {
    let mut sources = Vec::new();
    for text in &from.value {
        let source = match text.value.as_str() {
            "ClusterIP" => AddressSource::ClusterIp,
            "LoadBalancer" => AddressSource::LoadBalancer,
            "ExternalIP" => AddressSource::ExternalIp,
            _ => return Err(unlike(text, "source of addresses: `ClusterIP`, `LoadBalancer` or `ExternalIP`")),
        };
        if sources.contains(&source) {
            let problem = Problem::Duplicate { what: "source of addresses", name: text.value.clone() };
            return Err(problem.at(text.referenced));
        }
        sources.push(source);
    }
    if sources.is_empty() {
        return Err(Problem::NoAddressSources.at(from.referenced));
    }
    Ok(sources)
}

fn mode(text: &Text) -> Checked<Mode> {
    match text.value.as_str() {
        "All" => Ok(Mode::All),
        "OptIn" => Ok(Mode::OptIn),
        _ => Err(unlike(text, "mode: `All` or `OptIn`")),
    }
}

fn names_of_namespaces(texts: &[Text]) -> Checked<BTreeSet<Box<str>>> {
    texts.iter().map(namespace).collect()
}

/// The name of a Namespace: one that there cannot be would be a fence around nothing.
fn namespace(text: &Text) -> Checked<Box<str>> {
    if !is_label(&text.value) {
        return Err(unlike(text, "name of a namespace, such as `kube-system`"));
    }
    Ok(text.value.as_str().into())
}

fn selector(text: &Text) -> Checked<Selector> {
    text.value.parse().map_err(|error| {
        let problem = Problem::Selector { selector: text.value.clone(), error };
        problem.at(text.referenced)
    })
}

fn nameservers(
    entries: &[file::NameServer],
    check: impl Fn(&file::NameServer) -> Checked<NameServer>,
) -> Checked<Vec<NameServer>> {
    let mut nameservers: Vec<NameServer> = Vec::with_capacity(entries.len());
    for entry in entries {
        let nameserver = check(entry)?;
        if nameservers.iter().any(|other| other.name == nameserver.name) {
            let problem = Problem::Duplicate { what: "name server", name: nameserver.name.to_string() };
            return Err(problem.at(entry.name.referenced));
        }
        nameservers.push(nameserver);
    }
    Ok(nameservers)
}

fn nameserver(entry: &file::NameServer, origin: &Name) -> Checked<NameServer> {
    let name = relative(&entry.name, origin)?;
    let addresses = entry.addresses.iter().map(|address| value(address, "IP address such as `2001:db8::53`"));
    let addresses: Vec<_> = addresses.collect::<Checked<_>>()?;
    let problem = match (origin.zone_of(&name), addresses.is_empty()) {
        (true, true) if !is_service(&name, origin) => {
            Problem::NameServerWithoutAddress { name, written: entry.name.value.clone() }
        }
        (false, false) => Problem::ForeignAddresses { name, zone: origin.clone() },
        _ => return Ok(NameServer { name, addresses }),
    };
    Err(problem.at(entry.name.referenced))
}

/// A name server of the reverse zone at `origin`.
fn nameserver_elsewhere(entry: &file::NameServer, origin: &Name) -> Checked<NameServer> {
    let name = relative(&entry.name, origin)?;
    let at = entry.name.referenced;
    if origin.zone_of(&name) {
        let written = entry.name.value.clone();
        return Err(Problem::NameServerInReverse { name, zone: origin.clone(), written }.at(at));
    }
    if !entry.addresses.is_empty() {
        return Err(Problem::ForeignAddresses { name, zone: origin.clone() }.at(at));
    }
    Ok(NameServer { name, addresses: Vec::new() })
}

/// Whether `name` has the form `service.namespace.svc` in the zone, for a Service that there can be.
fn is_service(name: &Name, origin: &Name) -> bool {
    name.iter().count() == origin.iter().count() + 3 && schema::service_of(origin, name).is_some()
}

/// A mailbox as SOA records have it (RFC 1035 §3.3.13).
fn mailbox(text: &Text, origin: &Name) -> Checked<Name> {
    if text.value.contains('@') {
        return Err(unlike(text, "mailbox in the form of a name, such as `hostmaster.example.com.`"));
    }
    relative(text, origin)
}

/// A name that is relative to `origin` unless it ends in a dot.
fn relative(text: &Text, origin: &Name) -> Checked<Name> {
    let name = name(text)?;
    if name.is_fqdn() {
        return Ok(name);
    }
    let absolute =
        name.append_domain(origin).map_err(|_| unlike(text, "name that fits into 255 bytes with its zone's"))?;
    Ok(absolute)
}

fn name(text: &Text) -> Checked<Name> {
    match Name::from_ascii(&text.value) {
        Ok(name) if !text.value.is_empty() => Ok(name),
        _ => Err(unlike(text, "domain name such as `c2.k8s.ooo`")),
    }
}

fn socket_address(text: &Text) -> Checked<SocketAddr> {
    value(text, "address and port such as `[::]:53` or `0.0.0.0:53`")
}

fn duration(text: &Text) -> Checked<Duration> {
    match humantime::parse_duration(&text.value) {
        Ok(duration) if duration > MAX_DURATION => Err(unlike(text, "duration of at most a year")),
        Ok(duration) => Ok(duration),
        Err(_) => Err(unlike(text, "duration such as `60s` or `5m`")),
    }
}

/// Nobody means to wait longer, and the clock's own limit, where sums panic, is far away.
const MAX_DURATION: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Seconds; the upper half of their range counts as 0 (RFC 2181 §8) and is nobody's intention.
fn ttl(text: Option<&Text>, default: u32) -> Checked<u32> {
    let Some(text) = text else { return Ok(default) };
    match value(text, TTL)? {
        ttl if ttl < 1 << 31 => Ok(ttl),
        _ => Err(unlike(text, TTL)),
    }
}

const TTL: &str = "number of seconds from 0 to 2147483647";

/// Threads for UDP: more than cores there may be are nobody's intention.
fn workers(text: &Text) -> Checked<Option<NonZero<usize>>> {
    match value(text, WORKERS)? {
        threads @ 0..=1024 => Ok(NonZero::new(threads)),
        _ => Err(unlike(text, WORKERS)),
    }
}

const WORKERS: &str = "number of threads from 1 to 1024, nor 0 for one on each core";

fn max_records(text: Option<&Text>, default: usize) -> Checked<usize> {
    let Some(text) = text else { return Ok(default) };
    match value::<u16>(text, MAX_RECORDS)? {
        0 => Err(unlike(text, MAX_RECORDS)),
        records => Ok(records.into()),
    }
}

/// No section of a message counts further, and no zone has larger RRsets.
const MAX_RECORDS: &str = "number of records from 1 to 65535";

fn value<T: FromStr>(text: &Text, expected: &'static str) -> Checked<T> {
    text.value.parse().map_err(|_| unlike(text, expected))
}

fn unlike(text: &Text, expected: &'static str) -> Fault {
    Problem::Value { value: text.value.clone(), expected }.at(text.referenced)
}
