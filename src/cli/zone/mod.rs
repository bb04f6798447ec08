//! `kubezone zone`: zones as text, mostly without a server.

mod diff;
mod dump;
mod lint;
mod list;
mod records;
mod text;

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use hickory_proto::rr::Name;
use serde::Serialize;

pub(super) use self::text::Text;
use super::remote::ServerArgs;
use super::{Failure, is_plugin};
use crate::cluster::{Cluster, Subject};
use crate::config::{self, Access, Config, FileZone, NameServerFlag};
use crate::error::chain;
use crate::schema::{AddressClaims, ClusterZone, NameServer, Reason, Register, ReverseZone};
use crate::source::load::FileError;
use crate::source::manifests;
use crate::zone::{self, Part, Record, Serial, ZoneError, name_to_text};

/// Prints, checks and compares zones: what manifests would make, what is configured, what master files say
#[derive(Debug, Args)]
pub(super) struct Zone {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::List),
    Records(records::Records),
    Dump(dump::Dump),
    Lint(lint::Lint),
    Diff(diff::Diff),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// Lines for people
    Table,
    /// Objects with fields, as JSON
    Json,
}

/// Where a command looks.
#[derive(Debug, Args)]
struct ServerOrConfig {
    /// The configuration file, where no running server is asked
    #[arg(long, value_name = "FILE", env = "KUBEZONE_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
}

/// One side of [`ServerOrConfig`].
enum Side<'f> {
    Config(&'f Path),
    Server(&'f ServerArgs),
}

impl ServerOrConfig {
    fn side(&self) -> Result<Side<'_>, Failure> {
        match &self.config {
            _ if self.server.is_told() => Ok(Side::Server(&self.server)),
            Some(path) => Ok(Side::Config(path)),
            None if is_plugin() => Ok(Side::Server(&self.server)),
            None => Err(usage(ZoneProblem::NoWord)),
        }
    }
}

impl Zone {
    pub(super) fn run(self) -> Result<(), Failure> {
        self.command.print(BufWriter::new(io::stdout().lock()))
    }
}

impl Command {
    fn print(self, mut out: impl Write) -> Result<(), Failure> {
        let done = match self {
            Self::List(list) => list.print(&mut out),
            Self::Records(records) => records.print(&mut out),
            Self::Dump(dump) => dump.print(&mut out),
            Self::Lint(lint) => lint.print(&mut out),
            Self::Diff(diff) => diff.print(&mut out),
        };
        // What was found is to be read, too.
        out.flush()?;
        done
    }
}

/// Why there is no zone to print.
#[derive(Debug, thiserror::Error)]
enum ZoneProblem {
    #[error(
        "say where to look: --config FILE, --server URL of a kubezone that runs, or --context NAME of a cluster where it is a Pod"
    )]
    NoWord,
    #[error("`{0}` is no zone's name: write one such as c2.k8s.ooo")]
    Name(String),
    #[error("{} has no zone {zone}: it has {known}", path.display())]
    Unknown { zone: String, path: PathBuf, known: String },
    #[error("{zone} is not made from a cluster itself: print it with `kubezone zone dump`")]
    NotFromCluster { zone: String },
    #[error("{zone} is made from a cluster's API: ask a server that has it, with --server URL")]
    FromApi { zone: String },
    #[error("{}", path.display())]
    File { path: PathBuf, source: FileError },
    #[error("standard input can be one of the two files, not both")]
    StdinTwice,
    #[error("{old} and {new} are different zones: only versions of one zone are compared")]
    OtherZone { old: String, new: String },
    #[error("the zone's name cannot be told from {}: give it with --zone", path.display())]
    Nameless { path: PathBuf },
    #[error(transparent)]
    Contradiction(ZoneError),
}

fn usage(problem: ZoneProblem) -> Failure {
    Failure::Usage(problem.into())
}

pub(super) fn zone_name(text: &str) -> Result<Name, Failure> {
    match Name::from_ascii(text) {
        // Nothing at all would be the root.
        Ok(mut name) if !text.is_empty() => {
            name.set_fqdn(true);
            Ok(name)
        }
        _ => Err(usage(ZoneProblem::Name(text.to_owned()))),
    }
}

/// A zone of a configuration, and where it comes from.
pub(super) enum Configured {
    File(FileZone),
    Cluster(Box<ClusterZone>, Access),
    Reverse(ReverseZone, Vec<(ClusterZone, Access)>),
}

/// The zone called `name` of `config`, which stands in the file at `path`.
pub(super) fn find(config: Config, name: &Name, path: &Path) -> Result<Configured, Failure> {
    let known = config.apexes().map(name_to_text).collect::<Vec<_>>().join(", ");
    if let Some(file) = config.files.iter().find(|file| file.apex == *name) {
        return Ok(Configured::File(file.clone()));
    }
    if let Some(reverse) = config.reverses.iter().find(|reverse| reverse.origin == *name) {
        return Ok(Configured::Reverse(reverse.clone(), forwards(&config, reverse)));
    }
    for cluster in config.clusters {
        if let Some(zone) = cluster.zones.into_iter().find(|zone| zone.origin == *name) {
            return Ok(Configured::Cluster(Box::new(zone), cluster.access));
        }
    }
    Err(usage(ZoneProblem::Unknown { zone: name_to_text(name), path: path.to_owned(), known }))
}

/// What `reverse` is made of, in its order.
fn forwards(config: &Config, reverse: &ReverseZone) -> Vec<(ClusterZone, Access)> {
    let zones =
        config.clusters.iter().flat_map(|cluster| cluster.zones.iter().map(move |zone| (zone, &cluster.access)));
    let zone = |origin: &Name| zones.clone().find(|(zone, _)| zone.origin == *origin).expect("`made-of-known`");
    reverse.of.iter().map(zone).map(|(zone, access)| (zone.clone(), access.clone())).collect()
}

/// The cluster that manifests describe, all of which have to be as they should; else everything that is wrong.
pub(super) fn read_manifests(folder: &Path) -> Result<Cluster, Failure> {
    let (objects, mut errors) = manifests::read(folder);
    // An error without a place in the text is the file system's.
    let unreadable = errors.iter().any(|error| error.position.is_none());
    if let Some(last) = errors.pop() {
        // A line for each; the last is why the command ends.
        for error in &errors {
            writeln!(io::stderr(), "{}", chain(error))?;
        }
        return Err(if unreadable { Failure::unable(last) } else { Failure::Usage(last.into()) });
    }
    let mut cluster = Cluster::default();
    for object in objects {
        cluster.apply(object);
    }
    Ok(cluster)
}

/// The zone called `name` with the defaults, and without name servers where none are given.
pub(super) fn default_zone(name: &str, nameservers: &[NameServerFlag], access: Access) -> Result<ClusterZone, Failure> {
    // The short form is that of a server, which needs one; what is printed does not.
    let stand_in = [".".parse().expect("any text will do")];
    let config = config::short_form(name, if nameservers.is_empty() { &stand_in } else { nameservers }, access)?;
    let mut zone = config.clusters.into_iter().flat_map(|cluster| cluster.zones).next().expect("the zone asked for");
    if nameservers.is_empty() {
        zone.nameservers.clear();
    }
    Ok(zone)
}

/// The records that `cluster` makes in `zone`: the apex first, then Service by Service, and why some own none.
fn made(zone: &ClusterZone, cluster: &Cluster) -> (Vec<Record>, Vec<(Subject, Reason)>) {
    let mut register = Register::default();
    let update = register.update(zone, cluster, zone.subjects(cluster));
    let records = zone.apex(Serial(1)).into_iter().chain(update.parts.into_iter().flat_map(Part::into_records));
    let said = |subject: Subject| register.reasons(&subject).into_iter().map(move |reason| (subject.clone(), reason));
    (records.collect(), zone.subjects(cluster).flat_map(said).collect())
}

/// The zone that `cluster` makes; where none are configured, with a name server called `.`.
pub(super) fn zone_of(zone: &ClusterZone, cluster: &Cluster) -> Result<zone::Zone, Failure> {
    let mut config = zone.clone();
    if config.nameservers.is_empty() {
        config.nameservers.push(NameServer { name: Name::root(), addresses: Vec::new() });
    }
    let built = zone::Zone::build(&config.origin, made(&config, cluster).0);
    built.map(|(zone, _)| zone).map_err(|error| usage(ZoneProblem::Contradiction(error)))
}

/// The records that `reverse` has, made of `forwards`; all of these have to come from manifests.
fn made_reverse(reverse: &ReverseZone, forwards: &[(ClusterZone, Access)]) -> Result<Vec<Record>, Failure> {
    let claims = forwards.iter().map(|(zone, access)| {
        let Access::Manifests(folder) = access else {
            return Err(Failure::unable(ZoneProblem::FromApi { zone: name_to_text(&zone.origin) }));
        };
        let cluster = read_manifests(folder)?;
        let update = Register::default().update(zone, &cluster, zone.subjects(&cluster));
        Ok(AddressClaims::all(zone, update.addresses))
    });
    let claims: Vec<_> = claims.collect::<Result<_, _>>()?;
    Ok(reverse.records(Serial(1), &claims.iter().collect::<Vec<_>>()))
}

pub(super) fn print_json(mut out: impl Write, objects: &impl Serialize) -> Result<(), Failure> {
    serde_json::to_writer_pretty(&mut out, objects).map_err(io::Error::from)?;
    Ok(writeln!(out)?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser;

    use super::*;
    use crate::zone::master;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        zone: Zone,
    }

    /// What `kubezone zone LINE` prints, or the exit status and the error.
    fn run(line: &str) -> Result<String, (bool, String)> {
        let cli = Cli::try_parse_from(std::iter::once("zone").chain(line.split_whitespace())).unwrap();
        let mut out = Vec::new();
        let done = cli.zone.command.print(&mut out);
        match done {
            Ok(()) => Ok(String::from_utf8(out).unwrap()),
            Err(Failure::Findings) => Err((false, String::from_utf8(out).unwrap())),
            Err(failure) => Err((matches!(failure, Failure::Usage(_)), chain(failure.cause().unwrap()))),
        }
    }

    fn sorted(mut records: Vec<Record>) -> Vec<String> {
        records.sort_by(|a, b| (&a.owner, &a.rdata).cmp(&(&b.owner, &b.rdata)));
        records.iter().map(ToString::to_string).collect()
    }

    fn read(text: &str) -> Vec<String> {
        let origin = Name::from_ascii("c2.k8s.ooo.").unwrap();
        sorted(master::parse(text.as_bytes(), &origin, None).unwrap_or_else(|error| panic!("{error}: {text}")))
    }

    #[test]
    fn records_are_those_that_a_server_would_answer_with() {
        let printed =
            run("records -f tests/data/schema/headless.yaml --zone c2.k8s.ooo --nameserver ns.example.").unwrap();
        let expected = fs::read_to_string("tests/data/schema/headless.zone").unwrap();
        assert_eq!(read(&printed), read(&expected));

        let json =
            run("records -f tests/data/schema/headless.yaml --zone c2.k8s.ooo. --nameserver ns.example. -o json");
        let json: Vec<serde_json::Value> = serde_json::from_str(&json.unwrap()).unwrap();
        let field = |record: &serde_json::Value, name: &str| match &record[name] {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let lines =
            json.iter().map(|record| ["owner", "ttl", "type", "rdata"].map(|name| field(record, name)).join(" "));
        assert_eq!(read(&lines.collect::<Vec<_>>().join("\n")), read(&expected));
    }

    #[test]
    fn without_name_servers_soa_and_ns_are_left_out() {
        let printed = run("records -f tests/data/schema/private.yaml --zone c2.k8s.ooo").unwrap();
        assert!(printed.starts_with("; no SOA and NS records: no name servers are given"), "{printed}");
        assert!(!printed.contains(" IN SOA ") && !printed.contains(" IN NS "), "{printed}");
        assert!(printed.contains(": AddressNotPublic\n"), "{printed}");
    }

    #[test]
    fn a_configured_zone_is_dumped_as_a_master_file() {
        let folder = tempfile::tempdir().unwrap();
        let here = std::env::current_dir().unwrap();
        let config = folder.path().join("kubezone.yaml");
        let text = format!(
            "zones:\n- {{ name: k8s.ooo, file: {here}/zones/k8s.ooo.zone }}\n- {{ name: bad, file: bad.zone }}\n\
             - {{ name: absent, file: absent.zone }}\n\
             - {{ name: c2.k8s.ooo, cluster: c2, nameservers: [{{ name: ns.example. }}] }}\n\
             - {{ name: c3.k8s.ooo, cluster: c3, nameservers: [{{ name: ns.example. }}] }}\n\
             - {{ name: 2.ip6.arpa, reverseOf: [c2.k8s.ooo], nameservers: [{{ name: ns.example. }}] }}\n\
             - {{ name: 3.ip6.arpa, reverseOf: [c2.k8s.ooo, c3.k8s.ooo], nameservers: [{{ name: ns.example. }}] }}\n\
             clusters:\n- {{ name: c2, manifests: {here}/tests/data/schema/headless.yaml }}\n\
             - {{ name: c3, context: c3 }}\n",
            here = here.display(),
        );
        fs::write(&config, text).unwrap();
        fs::write(folder.path().join("bad.zone"), "@ 1 A x\n").unwrap();
        let dump = |name: &str| run(&format!("dump {name} --config {}", config.display()));

        let parent = fs::read_to_string("zones/k8s.ooo.zone").unwrap();
        assert_eq!(read(&dump("k8s.ooo").unwrap()), read(&parent));
        let cluster = fs::read_to_string("tests/data/schema/headless.zone").unwrap();
        assert_eq!(read(&dump("c2.k8s.ooo.").unwrap()), read(&cluster));

        let place = folder.path().display();
        let bad = format!("{place}/bad.zone: line 1, column 7: expected an IPv4 address, found `x`");
        assert_eq!(dump("bad"), Err((true, bad)));
        let absent = format!("{place}/absent.zone: could not be read: No such file or directory (os error 2)");
        assert_eq!(dump("absent"), Err((false, absent)));
        let unknown = format!(
            "{place}/kubezone.yaml has no zone c4.k8s.ooo.: it has k8s.ooo., bad., absent., c2.k8s.ooo., c3.k8s.ooo., \
             2.ip6.arpa., 3.ip6.arpa."
        );
        assert_eq!(dump("c4.k8s.ooo"), Err((true, unknown)));
        for name in ["c3.k8s.ooo", "3.ip6.arpa"] {
            let (usage, error) = dump(name).unwrap_err();
            assert!(!usage && error.starts_with("c3.k8s.ooo. is made from a cluster's API"), "{error}");
        }
        let reverse = dump("2.ip6.arpa").unwrap();
        let owner = "1.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.0.0.0.0.1.0.0.0.c.5.e.a.0.a.2.ip6.arpa.";
        let line = reverse.lines().find(|line| line.starts_with(owner)).unwrap_or_else(|| panic!("{reverse}"));
        assert!(line.ends_with(".svc.c2.k8s.ooo."), "{line}");
    }
}
