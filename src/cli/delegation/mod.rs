//! `kubezone delegation`: what to put into a zone's parent, and into its file where that is ours.
//!
//! The zone is read where `explain` would read it, and says of itself what its parent should say ([`Delegation::of`]).
//! `compare` asks whether it does. `dialect` has a form of it for each kind of parent. `edit` puts it into the text of a master file, `file` into the file.

mod compare;
mod dialect;
mod edit;
mod file;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use clap_complete::ArgValueCandidates;
use hickory_proto::rr::Name;

use self::compare::CompareArgs;
use self::dialect::{Dialect, Proposal};
use self::file::ParentFile;
use super::paper::plain;
use super::remote::Remote;
use super::reports::{Known, Place};
use super::zone::{Configured, Text, default_zone, find, zone_name, zone_of};
use super::{Failure, complete};
use crate::admin::api::ZoneStatus;
use crate::cluster::ServiceKey;
use crate::config::{self, Access, FileZone, NameServerFlag};
use crate::delegation::Delegation;
use crate::report::{Report, Said};
use crate::schema::{ClusterZone, service_of};
use crate::source::Pods;
use crate::zone::{Serial, Zone, ZoneError, master, name_to_text};

/// Prints what to put into the parent of a zone, so that resolvers find it: NS, the addresses of name servers within it
/// (glue), and DS where the zone asks for it (CDS); with --compare, looks whether it is there
///
/// The zone is one of a configuration or of a running server, or is told by its name servers alone. A cluster is read only where
/// the address of a name server is not configured, but a Service's. Exit status: 0; 1 where a name server within the zone has no
/// address, and nobody could find the zone, or where --compare finds what is to be mended; 2 usage or configuration; 3 the cluster, a file or the server cannot be read.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubezone delegation c2.k8s.ooo --config kubezone.yaml
  kubezone delegation c2.k8s.ooo --nameserver kubezone.dns.svc=2a0a:e5c0:10:3::53 --format route53
  kubezone delegation c2.k8s.ooo --config kubezone.yaml --parent-file zones/k8s.ooo.zone --write
  kubezone delegation c2.k8s.ooo --server http://[::1]:9154 --format nsupdate | nsupdate -k parent.key
  kubezone delegation c2.k8s.ooo --config kubezone.yaml --compare
  kubezone delegation c2.k8s.ooo --config kubezone.yaml --wait=10m

docs/delegation.md says what to do with each format.")]
pub(super) struct DelegationArgs {
    /// The zone that is to be delegated
    #[arg(add = ArgValueCandidates::new(complete::zones))]
    zone: String,
    #[command(flatten)]
    place: Place,
    /// A name server of the zone, where no configuration names it: relative to the zone, or absolute with a final dot; repeatable
    #[arg(long, value_name = "NAME[=ADDR,ADDR]", conflicts_with_all = ["config", "server"])]
    nameserver: Vec<NameServerFlag>,
    /// The parent zone [default: the closest one above that the configuration or the server has, else the name without its
    /// first label]
    #[arg(long, value_name = "ZONE")]
    parent: Option<String>,
    /// The form that it is printed in [default: bind]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Dialect>,
    /// The master file of the parent, whose change is printed [default: that of the configuration, where it has the parent]
    #[arg(long, value_name = "FILE", conflicts_with = "format")]
    parent_file: Option<PathBuf>,
    /// Changes that file: only the delegation and the serial, in one step
    #[arg(long, conflicts_with = "format")]
    write: bool,
    #[command(flatten)]
    compare: CompareArgs,
}

/// Why a zone cannot be delegated.
#[derive(Debug, thiserror::Error)]
enum DelegationProblem {
    #[error(
        "say where the zone's name servers are told: --config FILE, --server URL of a kubezone that runs, or --nameserver NAME=ADDRESS"
    )]
    NoWord,
    #[error("the server has no zone {zone}{}", nearest.as_ref().map(|it| format!(": the nearest that it has is {it}")).unwrap_or_default())]
    NotServed { zone: String, nearest: Option<String> },
    #[error("{zone} has no parent: it is the root")]
    Root { zone: String },
    #[error("{zone} is not below {parent}, which cannot be its parent")]
    NotBelow { zone: String, parent: String },
    #[error("its records make no zone")]
    Contradiction(#[source] ZoneError),
    #[error(
        "there is no file of the parent {parent}: name it with --parent-file, or print what it needs with --format"
    )]
    NoFile { parent: String },
    #[error("{zone} has no name servers: name them in the configuration, or with --nameserver")]
    NoNameServers { zone: String },
}

fn usage(problem: DelegationProblem) -> Failure {
    Failure::Usage(problem.into())
}

/// A zone, and what is known around it.
struct Found {
    zone: Zone,
    /// The zones beside it.
    known: Vec<Name>,
    /// Those of them that come from master files.
    files: Vec<FileZone>,
    /// The Services that name servers without an address are called after.
    services: Vec<Report>,
}

impl DelegationArgs {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let name = zone_name(&self.zone)?;
        let found = self.find(&name)?;
        let delegation = Delegation::of(&found.zone);
        if delegation.servers.is_empty() {
            return Err(usage(DelegationProblem::NoNameServers { zone: name_to_text(&name) }));
        }
        if !tell_lost(&delegation, &found.services)? {
            return Err(Failure::Findings);
        }
        if self.compare.is_asked() {
            return self.compare.run(&delegation);
        }
        let named = self.parent_file.as_deref().map(ParentFile::open).transpose()?;
        let parent = self.parent(&name, &found)?;
        let mut of_parent = found.files.iter().filter(|file| file.apex == parent && self.format.is_none());
        let file = match (named, of_parent.next()) {
            (None, Some(configured)) => Some(ParentFile::open(&configured.path)?),
            (named, _) => named,
        };
        if let Some(file) = file {
            return self.change(&file, &parent, &delegation);
        }
        if self.write {
            return Err(usage(DelegationProblem::NoFile { parent: name_to_text(&parent) }));
        }
        let proposal = Proposal { delegation: &delegation, parent: &parent };
        let (text, aside) = proposal.print(self.format.unwrap_or(Dialect::Bind));
        for note in aside {
            writeln!(io::stderr(), "{note}")?;
        }
        Ok(io::stdout().write_all(text.as_bytes())?)
    }

    /// Shows what changes in the parent's file, and changes it where that is asked for.
    fn change(&self, file: &ParentFile, parent: &Name, delegation: &Delegation) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        let child = name_to_text(&delegation.zone);
        let Some(edited) = file.with(parent, delegation)? else {
            return Ok(writeln!(out, "; {child} is delegated there as it should be: nothing to do")?);
        };
        write!(out, "{}", file.diff(&edited))?;
        if self.write {
            file.replace(&edited)?;
            let [before, after] = edited.serials;
            writeln!(out, "; written, serial {before} to {after}")?;
        }
        Ok(())
    }

    /// The zone called `name`, from where it was said to be.
    fn find(&self, name: &Name) -> Result<Found, Failure> {
        if self.nameserver.is_empty()
            && let Some(remote) = self.place.remote()?
        {
            return served(&remote, name);
        }
        match &self.place.config {
            Some(path) => self.configured(path, name),
            None if self.nameserver.is_empty() => Err(usage(DelegationProblem::NoWord)),
            None => {
                let access = self.place.access();
                let zone = default_zone(&self.zone, &self.nameserver, access.clone())?;
                let (zone, services) = of_cluster(zone, &access, &BTreeSet::new())?;
                Ok(Found { zone, known: Vec::new(), files: Vec::new(), services })
            }
        }
    }

    fn configured(&self, path: &Path, name: &Name) -> Result<Found, Failure> {
        let config = config::load(path)?;
        let known = config.apexes().cloned().collect();
        let files = config.files.clone();
        let of_it = config.clusters.iter().find(|cluster| cluster.zones.iter().any(|zone| zone.origin == *name));
        let namespaces = of_it.map(|cluster| cluster.namespaces.clone()).unwrap_or_default();
        let mut services = Vec::new();
        let zone = match find(config, name, path)? {
            Configured::File(file) => Text::open(&file.path)?.zone(Some(&file.apex))?.0,
            // What other zones have in it does not matter.
            Configured::Reverse(zone, _) => build(name, zone.records(Serial(1), &[]))?,
            Configured::Cluster(zone, access) => {
                let access = if self.place.names_cluster() { self.place.access() } else { access };
                let (zone, called_after) = of_cluster(*zone, &access, &namespaces)?;
                services = called_after;
                zone
            }
        };
        Ok(Found { zone, known, files, services })
    }

    /// The zone that delegates `zone`: the one that was said, or that the parent's file says that it is; else the closest of those
    /// that are known, else the closest that there can be.
    fn parent(&self, zone: &Name, found: &Found) -> Result<Name, Failure> {
        if zone.is_root() {
            return Err(usage(DelegationProblem::Root { zone: name_to_text(zone) }));
        }
        let is_above = |parent: &Name| parent != zone && parent.zone_of(zone);
        let Some(text) = &self.parent else {
            if let Some(path) = &self.parent_file
                && let Ok((parent, _)) = Text::open(path)?.read(None)
                && is_above(parent.apex())
            {
                return Ok(parent.apex().clone());
            }
            let above = found.known.iter().filter(|known| is_above(known));
            let closest = above.max_by_key(|known| known.iter().count());
            return Ok(closest.cloned().unwrap_or_else(|| zone.base_name()));
        };
        let parent = zone_name(text)?;
        if is_above(&parent) {
            return Ok(parent);
        }
        let [zone, parent] = [zone, &parent].map(name_to_text);
        Err(usage(DelegationProblem::NotBelow { zone, parent }))
    }
}

fn build(apex: &Name, records: impl IntoIterator<Item = crate::zone::Record>) -> Result<Zone, Failure> {
    let built = Zone::build(apex, records);
    built.map(|(zone, _)| zone).map_err(|error| usage(DelegationProblem::Contradiction(error)))
}

/// The zone that a running server has.
fn served(server: &Remote, name: &Name) -> Result<Found, Failure> {
    let mut known = Vec::new();
    for ZoneStatus { zone, .. } in server.list(&["zones"], &[])? {
        known.push(zone_name(&zone)?);
    }
    let text = name_to_text(name);
    if !known.contains(name) {
        let likeness = |known: &Name| strsim::jaro_winkler(&name_to_text(known), &text);
        let nearest = known.iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other))).map(name_to_text);
        return Err(usage(DelegationProblem::NotServed { zone: text, nearest }));
    }
    let mut dumped = Vec::new();
    server.copy(&["zones", &text], &mut dumped)?;
    let zone = build(name, master::parse(&dumped, name, None).map_err(Failure::unable)?)?;
    let mut services = Vec::new();
    for key in called_after(&zone) {
        services.extend(server.services(&text, &[("namespace", &*key.namespace), ("name", &*key.name)])?);
    }
    Ok(Found { zone, known, files: Vec::new(), services })
}

/// The Services that name servers without an address are called after.
fn called_after(zone: &Zone) -> Vec<ServiceKey> {
    let lost = lost(&Delegation::of(zone)).into_iter();
    lost.filter_map(|nameserver| service_of(zone.apex(), &nameserver)).collect()
}

/// The name servers that nobody could find: within the zone, and without an address.
fn lost(delegation: &Delegation) -> Vec<Name> {
    let servers = delegation.servers.iter().filter(|server| server.addresses.is_empty());
    servers.map(|server| server.name.clone()).filter(|name| delegation.zone.zone_of(name)).collect()
}

/// The zone that the cluster at `access` makes, and the Services that its name servers without an address are called after. The
/// cluster is not read where it would make no difference to the delegation.
fn of_cluster(
    config: ClusterZone,
    access: &Access,
    namespaces: &BTreeSet<Box<str>>,
) -> Result<(Zone, Vec<Report>), Failure> {
    let needs_cluster = |nameserver: &crate::schema::NameServer| {
        nameserver.addresses.is_empty() && config.origin.zone_of(&nameserver.name)
    };
    if !config.nameservers.iter().any(needs_cluster) {
        let records = config.apex(Serial(1)).into_iter().chain(config.configured_glue());
        return Ok((build(&config.origin, records)?, Vec::new()));
    }
    let known = Known::read(access, namespaces, vec![config], Pods::No)?;
    let view = known.views().next().expect("of one zone");
    let zone = zone_of(view.zone, view.cluster)?;
    let services = called_after(&zone).iter().map(|key| view.service(key)).collect();
    Ok((zone, services))
}

/// Says of each name server within the zone that has no address, why; whether there is none.
fn tell_lost(delegation: &Delegation, services: &[Report]) -> io::Result<bool> {
    let lost = lost(delegation);
    let mut out = io::stderr();
    for nameserver in &lost {
        let name = name_to_text(nameserver);
        writeln!(out, "name server {name} is in the zone and has no address: without glue nobody finds it")?;
        let Some(ServiceKey { namespace, name }) = service_of(&delegation.zone, nameserver) else {
            writeln!(out, "  Give it its addresses, in the configuration or with --nameserver NAME=ADDRESS.")?;
            continue;
        };
        let Some(report) = services.iter().find(|of| *of.namespace == *namespace && *of.name == *name) else {
            continue;
        };
        match (&report.service_type, &report.nearest) {
            (Some(_), _) => writeln!(out, "  It is called after the Service {namespace}/{name}:")?,
            (None, None) => writeln!(out, "  It is called after the Service {namespace}/{name}, which there is not.")?,
            (None, Some(nearest)) => {
                let nearest = plain(nearest);
                writeln!(
                    out,
                    "  It is called after the Service {namespace}/{name}, which there is not; the nearest is {nearest}."
                )?;
            }
        }
        for Said { code, name, sentence, fix } in &report.reasons {
            writeln!(out, "{}", plain(format_args!("  {code} {name}: {sentence}")))?;
            writeln!(out, "{}", plain(format_args!("    {fix}")))?;
        }
    }
    Ok(lost.is_empty())
}
