//! `kubezone config`: a configuration to begin with, and the one that is in force.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf, absolute};

use clap::{ArgGroup, Args, Subcommand};

use super::Failure;
use super::settings::Settings;
use super::zone::zone_name;
use crate::config::{self, Access, Admin, NameServerFlag};
use crate::schema::NameServer;
use crate::zone::name_to_text;

/// Writes a configuration to begin with, or prints the one that is in force
#[derive(Debug, Args)]
pub(super) struct Config {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(Init),
    Show(Show),
}

/// Prints the configuration that `serve` would go by: flags, environment, file and defaults, every setting said
///
/// It is itself a configuration file that means the same, wherever it lies: names and paths are absolute. Exit status: 0; 2
/// where the configuration is not understood.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubezone config show --config kubezone.yaml
  kubezone config show --zone c2.k8s.ooo --nameserver kube-dns.kube-system.svc --context c2 > kubezone.yaml")]
struct Show {
    #[command(flatten)]
    settings: Box<Settings>,
}

/// Writes a commented configuration for the case at hand
///
/// What stands in it holds; what is commented out is at its default. Exit status: 0; 2 where the zone or a name server is
/// none; 3 where the file cannot be written, or is there already.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("case").required(true).args(["in_cluster", "kubeconfig", "manifests", "parent"]),
    after_help = "\
Examples:
  kubezone config init --in-cluster --zone c2.k8s.ooo --nameserver kube-dns.kube-system.svc
  kubezone config init --kubeconfig c2.kubeconfig --zone c2.k8s.ooo --nameserver ns1.example.com. --output kubezone.yaml
  kubezone config init --manifests examples/c2
  kubezone config init --parent --zone k8s.ooo"
)]
struct Init {
    /// A zone made from the cluster that kubezone is a Pod of
    #[arg(long)]
    in_cluster: bool,
    /// A zone made from the cluster of a kubeconfig's current context
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// A zone made from a folder of manifests
    #[arg(long, value_name = "DIR")]
    manifests: Option<PathBuf>,
    /// A zone from a master file, such as the parent of those made from clusters
    #[arg(long)]
    parent: bool,
    /// The zone [default: an example, to be replaced]
    #[arg(long, value_name = "NAME")]
    zone: Option<String>,
    /// A name server of the zone: relative to it, or absolute with a final dot. Repeatable [default: an example, to be
    /// replaced]
    #[arg(long, value_name = "NAME[=ADDR,ADDR]", conflicts_with = "parent")]
    nameserver: Vec<NameServerFlag>,
    /// The file to write, which must not be there yet [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Config {
    pub(super) fn run(&self) -> Result<(), Failure> {
        match &self.command {
            Command::Init(init) => init.run(),
            Command::Show(show) => show.run(),
        }
    }
}

impl Show {
    fn run(&self) -> Result<(), Failure> {
        let config = self.settings.read()?;
        let mut out = io::stdout().lock();
        if config.admin == Admin::Unsaid {
            writeln!(out, "# listen.admin is not set: {} where that can be had", Admin::USUAL)?;
        }
        Ok(out.write_all(config.to_yaml().as_bytes())?)
    }
}

impl Init {
    fn run(&self) -> Result<(), Failure> {
        let text = self.text()?;
        match &self.output {
            None => Ok(io::stdout().write_all(text.as_bytes())?),
            Some(path) => {
                let written = File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
                written.map_err(|source| Failure::unwritten(path.clone(), source))
            }
        }
    }

    /// The configuration as a file.
    fn text(&self) -> Result<String, Failure> {
        if self.parent {
            return parent(self.zone.as_deref());
        }
        let (what, access) = match (&self.kubeconfig, &self.manifests) {
            (Some(path), _) => {
                let path = absolute_path(path)?;
                ("the API of the kubeconfig's current context", Access::Kubeconfig { path: Some(path), context: None })
            }
            (None, Some(folder)) => ("a folder of manifests", Access::Manifests(absolute_path(folder)?)),
            (None, None) => ("the API of the cluster that kubezone is a Pod of", Access::InCluster),
        };
        let zone = self.zone.as_deref().unwrap_or("c2.example.com");
        let example = [NameServerFlag::from_name("ns1.example.com.")];
        let servers = if self.nameserver.is_empty() { &example[..] } else { &self.nameserver };
        let checked = config::short_form(zone, servers, access.clone())?;
        let made = &checked.clusters[0].zones[0];
        let zone = name_to_text(&made.origin);

        let mut text = head(&format!("the zone {zone} made from {what}"));
        text += &listen(matches!(access, Access::InCluster));
        text += "\nclusters:\n  - name: default\n";
        text += &match &access {
            Access::InCluster => "    # Its ServiceAccount has to be allowed to list and watch services, namespaces and endpointslices.
    inCluster: true\n"
                .to_owned(),
            Access::Kubeconfig { path, .. } => format!(
                "    # A path is relative to the folder of this file, unless it is absolute. Whoever is in there has to be allowed to
    # list and watch services, namespaces and endpointslices.\n    kubeconfig: {}\n",
                quoted(&path.as_deref().unwrap_or(Path::new("")).display().to_string())
            ),
            Access::Manifests(folder) => format!(
                "    # A path is relative to the folder of this file, unless it is absolute.\n    manifests: {}\n",
                quoted(&folder.display().to_string())
            ),
        };
        if !matches!(access, Access::Manifests(_)) {
            text += "    # How long the API may be silent before the zone is answered with SERVFAIL; 0s: for ever.
    #maxStaleness: 0s\n";
        }
        text += "\nzones:\n";
        text += &replace("  ", self.zone.is_none());
        text += &format!("  - name: {}\n    cluster: default\n", quoted(&zone));
        text += "    # The NS records of the zone; the first is the SOA's MNAME. The parent zone delegates to the same set.\n";
        text += &replace("    ", self.nameserver.is_empty());
        text += "    nameservers:\n";
        text += &made.nameservers.iter().map(nameserver).collect::<String>();
        text += ZONE;
        Ok(text)
    }
}

/// A zone from a master file.
fn parent(zone: Option<&str>) -> Result<String, Failure> {
    let name = name_to_text(&zone_name(zone.unwrap_or("example.com"))?);
    let mut text = head(&format!("the zone {name} from a master file"));
    text += &listen(false);
    text += "\nzones:\n";
    text += &replace("  ", zone.is_none());
    text += &format!("  - name: {}\n", quoted(&name));
    text += "    # It says all of the zone: SOA, NS, and the NS and glue records of each zone that it delegates.
    # `kubezone zone lint` tells what is wrong with it. A path is relative to the folder of this file, unless it is absolute.\n";
    // The root's would have no name.
    let file = if name == "." { "root.".to_owned() } else { name };
    text += &format!("    file: {}\n", quoted(&format!("{file}zone")));
    Ok(text)
}

fn head(what: &str) -> String {
    format!(
        "# kubezone: {what}.
#
# A line with # and no space behind it is a setting at its default. docs/configuration.md has all of them;
# `kubezone config show --config FILE` prints them as they are in force. This file may change while kubezone runs: it
# takes over what is good, and logs what is not.
apiVersion: k8s.ooo/v1alpha1
kind: KubezoneConfig
"
    )
}

fn listen(in_cluster: bool) -> String {
    let dns = if in_cluster {
        "  # UDP and TCP on each; IPv6 sockets take no IPv4. A Service leads port 53 here, a port that takes no privileges.
  dns: [\"[::]:5353\", \"0.0.0.0:5353\"]"
    } else {
        "  # UDP and TCP on each; IPv6 sockets take no IPv4.
  #dns: [\"[::]:53\", \"0.0.0.0:53\"]"
    };
    format!(
        "
listen:
{dns}
  # /livez, /readyz and /metrics: nothing that a stranger must not know.
  metrics: \"[::]:9153\"
  # The JSON API, which names hidden Services, is at [::1]:9154 where that can be had. `admin` says another address, or \"\"
  # for none.
# How long /readyz waits for zones that do not load while others have.
#readyTimeout: 60s
# How long answers go on after SIGTERM.
#gracePeriod: 5s
"
    )
}

/// What most may want to set of a zone made from a cluster.
const ZONE: &str = "    # Seconds that records may be kept that do not say it themselves, and that their absence may.
    #ttl: 30
    #negativeTTL: 30
    # Of SOA, NS and the addresses of name servers.
    #nameserverTTL: 3600
    # All: what does not say `k8s.ooo/publish: \"false\"`; OptIn: what says \"true\". An empty list is all namespaces; only
    # addresses that the world can reach are published, unless `addresses.allow` has CIDRs to go by in the place of that.
    #publish: { mode: All, namespaces: [], namespaceSelector: \"\", serviceSelector: \"\", addresses: { allow: [] } }
";

/// A name server of a zone, as a list has it.
fn nameserver(NameServer { name, addresses }: &NameServer) -> String {
    let addresses: Vec<_> = addresses.iter().map(|address| quoted(&address.to_string())).collect();
    let note =
        if addresses.is_empty() { "        # None are needed for a Service's name, or out of the zone.\n" } else { "" };
    format!("      - name: {}\n{note}        addresses: [{}]\n", quoted(&name_to_text(name)), addresses.join(", "))
}

fn replace(indent: &str, is_example: bool) -> String {
    if is_example { format!("{indent}# An example, to be replaced:\n") } else { String::new() }
}

/// Text as YAML and JSON have it between quotes.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The output may go anywhere.
fn absolute_path(path: &Path) -> Result<PathBuf, Failure> {
    Ok(absolute(path)?)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        init: Init,
    }

    fn init(line: &str) -> String {
        let words = std::iter::once("init").chain(line.split_whitespace());
        let text = Cli::try_parse_from(words).unwrap().init.text();
        text.unwrap_or_else(|failure| panic!("{line}: {:?}", failure.cause()))
    }

    fn parse(text: &str) -> config::Config {
        config::parse(text, Path::new("/etc/kubezone.yaml")).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    const CASES: [&str; 6] = [
        "--in-cluster",
        "--in-cluster --zone c2.k8s.ooo --nameserver kube-dns.kube-system.svc --nameserver ns=2001:db8::53,192.0.2.53",
        "--kubeconfig /etc/c2.kubeconfig --zone c2.k8s.ooo. --nameserver ns1.example.com.",
        "--manifests /srv/c2",
        "--parent",
        "--parent --zone k8s.ooo",
    ];

    #[test]
    fn what_is_commented_out_is_the_default() {
        for case in CASES {
            let text = init(case);
            let is_setting = |line: &str| {
                line.trim_start()
                    .strip_prefix('#')
                    .is_some_and(|rest| !rest.starts_with([' ', '\n']) && !rest.is_empty())
            };
            let said = |line: &str| if is_setting(line) { line.replacen('#', "", 1) } else { line.to_owned() };
            let all_said: String = text.lines().map(|line| said(line) + "\n").collect();
            assert_ne!(all_said, text, "{case}");
            assert_eq!(parse(&all_said), parse(&text), "{case}");
        }
    }

    #[test]
    fn what_is_asked_for_is_what_is_configured() {
        for (case, access) in [
            (CASES[1], Access::InCluster),
            (CASES[2], Access::Kubeconfig { path: Some("/etc/c2.kubeconfig".into()), context: None }),
        ] {
            let servers: Vec<_> =
                case.split("--nameserver ").skip(1).map(|text| text.trim().parse().unwrap()).collect();
            let expected = config::short_form("c2.k8s.ooo", &servers, access).unwrap();
            let found = parse(&init(case));
            assert_eq!(found.clusters, expected.clusters, "{case}");
            assert_eq!(found.dns != expected.dns, case.starts_with("--in-cluster"), "{case}");
        }
        assert_eq!(parse(&init(CASES[3])).clusters[0].access, Access::Manifests("/srv/c2".into()));
        let parent = parse(&init(CASES[5])).files;
        assert_eq!(
            (name_to_text(&parent[0].apex), &*parent[0].path),
            ("k8s.ooo.".to_owned(), Path::new("/etc/k8s.ooo.zone"))
        );
        assert_eq!(parse(&init("--parent --zone .")).files[0].path, Path::new("/etc/root.zone"));
    }

    #[test]
    fn examples_are_marked_as_such() {
        let examples = |case: &str| init(case).matches("An example, to be replaced").count();
        assert_eq!(CASES.map(examples), [2, 0, 0, 2, 1, 0]);
    }
}
