//! `kubezone audit`: which Services stand in the way of clients and clusters that have IPv6 only.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, BufWriter, Write};
use std::time::Duration;

use clap::{Args, ValueEnum};
use clap_complete::ArgValueCandidates;
use futures::{StreamExt, stream};
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::paper::{Cell, Colors, Paper, Tone, plain};
use super::progress::Line;
use super::reports::Look;
use super::zone::print_json;
use super::{Failure, complete, runtime};
use crate::report::{Audited, Report, Target, Verdict};
use crate::source::Pods;

/// Names that are looked up at a time.
const LOOKUPS: usize = 16;
/// How long one may take.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// Tells of every Service how far it is from being reached over IPv6, and what to do
///
/// ready: it is published with an IPv6 address, and something is ready behind it. change: something is ready, and to edit
/// the Service or what selects it is enough. blocked: nothing is ready over IPv6. An IPv6 address that is published with
/// nothing behind it is a BlackHole. Whether the target of an ExternalName has an IPv6 address only --resolve tells. Exit
/// status: 0; 1 with --fail-on where there is such a Service; 2 usage or configuration; 3 the cluster, the manifests or the
/// server cannot be read.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubezone audit --context c2 --zone c2.k8s.ooo
  kubezone audit -n shop --config kubezone.yaml --resolve -o csv
  kubezone audit --server http://[::1]:9154
  kubectl get services,endpointslices -A -o yaml >all.yaml; kubezone audit -f all.yaml --zone c2.k8s.ooo --fail-on blocked

docs/reasons.md has all codes.")]
pub(super) struct Audit {
    /// What Services are to be fit for
    #[arg(long, value_name = "WHAT", default_value = "ipv6-only")]
    target: AuditTarget,
    /// Exit 1 where a Service has this verdict, or a worse one
    #[arg(long, value_name = "VERDICT")]
    fail_on: Option<FailOn>,
    /// The Services of one namespace
    #[arg(short, long, value_name = "NAME", add = ArgValueCandidates::new(complete::namespaces))]
    namespace: Option<String>,
    /// Those of all namespaces: the default
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,
    /// Look up what aliases lead to, with this machine's resolver
    #[arg(long)]
    resolve: bool,
    #[command(flatten)]
    look: Look,
    /// How to print it; as objects, Services have the fields namespace, name, type, families, primary, ready, pods, published,
    /// addresses, verdict, code, fix, command and reasons
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: AuditOutput,
    #[command(flatten)]
    colors: Colors,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AuditTarget {
    /// Clients and clusters without IPv4
    Ipv6Only,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// Nothing is ready over IPv6
    Blocked,
    /// The Service has to be edited, or worse
    Change,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AuditOutput {
    /// Lines for people, and totals
    Table,
    /// A list of objects
    Json,
    /// Comma-separated values (RFC 4180), with a header
    Csv,
}

impl Audit {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let AuditTarget::Ipv6Only = self.target;
        let mut reports = self.look.reports(Pods::IfAllowed)?.services()?;
        if let Some(namespace) = &self.namespace {
            reports.retain(|report| report.namespace == *namespace);
            if reports.is_empty() {
                writeln!(io::stderr(), "there is no Service in Namespace {}", plain(namespace))?;
            }
        }
        let targets = if self.resolve { resolve(&reports)? } else { HashMap::new() };
        let audited = |report| Audited::of(report, target(report).and_then(|target| targets.get(target)).copied());
        let audited: Vec<Audited> = reports.iter().map(audited).collect();

        let mut out = BufWriter::new(io::stdout().lock());
        match self.output {
            AuditOutput::Table => table(&audited, &mut Paper::new(&mut out, self.colors))?,
            AuditOutput::Json => print_json(&mut out, &audited)?,
            AuditOutput::Csv => csv(&audited, &mut out)?,
        }
        out.flush()?;
        let worst = audited.iter().map(|audited| audited.verdict).max();
        let bound = self.fail_on.map(|fail_on| match fail_on {
            FailOn::Blocked => Verdict::Blocked,
            FailOn::Change => Verdict::Change,
        });
        match (worst, bound) {
            (Some(worst), Some(bound)) if worst >= bound => Err(Failure::Findings),
            _ => Ok(()),
        }
    }
}

/// The name that a Service is an alias of.
fn target(report: &Report) -> Option<&str> {
    let external = || report.hostnames.first().filter(|_| report.service_type.as_deref() == Some("ExternalName"));
    report.alias().or_else(|| external().map(String::as_str))
}

/// What the targets of all aliases have.
fn resolve(reports: &[Report]) -> Result<HashMap<String, Target>, Failure> {
    let names: BTreeSet<String> = reports.iter().filter_map(target).map(str::to_owned).collect();
    let (runtime, all) = (runtime()?, names.len());
    let mut line = Line::new();
    let found = runtime.block_on(async {
        let mut found = HashMap::new();
        let mut lookups = stream::iter(names).map(look_up).buffer_unordered(LOOKUPS);
        while let Some((name, target)) = lookups.next().await {
            found.insert(name, target);
            line.show(format_args!("looked up: {} of {all}", found.len()));
        }
        found
    });
    // A lookup that was given up goes on in a thread that nobody can stop.
    runtime.shutdown_background();
    Ok(found)
}

async fn look_up(name: String) -> (String, Target) {
    // With a final dot: no search list makes another name of it.
    let absolute = if name.ends_with('.') { name.clone() } else { format!("{name}.") };
    let target = match timeout(LOOKUP_TIMEOUT, lookup_host((absolute.as_str(), 0))).await {
        Ok(Ok(mut addresses)) => {
            if addresses.any(|address| address.is_ipv6()) {
                Target::HasIpv6
            } else {
                Target::Ipv4Only
            }
        }
        Ok(Err(_)) | Err(_) => Target::Unresolved,
    };
    (name, target)
}

fn table<W: Write>(audited: &[Audited], paper: &mut Paper<W>) -> io::Result<()> {
    let several = audited.windows(2).any(|pair| pair[0].zone != pair[1].zone);
    let header = ["NAMESPACE", "NAME", "FAMILIES", "READY6/4", "PUBLISHED", "VERDICT", "WHY", "FIX"].map(Cell::from);
    let mut header = Vec::from(header);
    if several {
        header.insert(0, "ZONE".into());
    }
    let mut rows = vec![header];
    for it in audited {
        let tone = match it.verdict {
            Verdict::Ready => Tone::Good,
            Verdict::Change => Tone::Odd,
            Verdict::Blocked => Tone::Bad,
        };
        let why = it.reasons.first().map(|reason| format!("{} {}", reason.code, reason.name));
        let fix = it.command.as_ref().or(it.fix.as_ref()).cloned();
        let mut row = vec![
            Cell::from(&it.namespace),
            Cell::from(&it.name),
            or_dash(families(it)).into(),
            format!("{}/{}", it.ready.v6, it.ready.v4).into(),
            or_dash(published(it)).into(),
            Cell::toned(it.verdict.name(), tone),
            why.unwrap_or_default().into(),
            fix.unwrap_or_default().into(),
        ];
        if several {
            row.insert(0, Cell::from(&it.zone));
        }
        rows.push(row);
    }
    paper.table("", &rows)?;
    let counts = Verdict::ALL.map(|verdict| {
        let count = audited.iter().filter(|it| it.verdict == verdict).count();
        format!("{count} {}", verdict.name())
    });
    let holes = audited.iter().filter(|it| it.reasons.iter().any(|reason| reason.name == "BlackHole")).count();
    paper.line("")?;
    paper.line(format_args!("{} Services: {}; black holes: {holes}", audited.len(), counts.join(", ")))
}

/// The families, the primary first.
fn families(audited: &Audited) -> String {
    audited.families.iter().map(|family| family.name()).collect::<Vec<_>>().join(",")
}

/// What is published: addresses, or that there is something else.
fn published(audited: &Audited) -> String {
    match audited.addresses.as_slice() {
        [] if audited.published => "an alias".to_owned(),
        addresses => addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
    }
}

fn or_dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}

fn csv(audited: &[Audited], mut out: impl Write) -> io::Result<()> {
    let header = "zone,namespace,name,type,families,primary,ready_ipv6,ready_ipv4,pods_ipv6,pods_ipv4,published,addresses,verdict,code,fix,command";
    write!(out, "{header}\r\n")?;
    for it in audited {
        let addresses: Vec<_> = it.addresses.iter().map(ToString::to_string).collect();
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let values = [
            it.zone.clone(),
            it.namespace.clone(),
            it.name.clone(),
            text(&it.service_type),
            families(it).replace(',', " "),
            it.primary.map(|family| family.name().to_owned()).unwrap_or_default(),
            it.ready.v6.to_string(),
            it.ready.v4.to_string(),
            it.pods.v6.to_string(),
            it.pods.v4.to_string(),
            it.published.to_string(),
            addresses.join(" "),
            it.verdict.name().to_owned(),
            text(&it.code),
            text(&it.fix),
            text(&it.command),
        ];
        write!(out, "{}\r\n", values.map(|value| quoted(&value)).join(","))?;
    }
    Ok(())
}

/// A value as RFC 4180 §2 has it.
fn quoted(value: &str) -> String {
    if value.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", value.replace('"', "\"\""))
    } else {
        value.to_owned()
    }
}
