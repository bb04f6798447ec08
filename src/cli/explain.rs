//! `kubezone explain`: why something resolves as it does, or does not.

use std::io::{self, BufWriter, Write};
use std::net::IpAddr;
use std::str::FromStr;

use clap::Args;
use clap_complete::ArgValueCandidates;
use hickory_proto::rr::Name;
use serde::Serialize;

use super::paper::{Cell, Colors, Paper, Tone, plain};
use super::reports::{Look, Reports};
use super::zone::{Output, print_json};
use super::{Failure, complete};
use crate::cluster::ServiceKey;
use crate::report::{AddressReport, Holder, NameReport, NamespaceReport, RecordText, Report, Said};
use crate::schema::AddressOrigin;
use crate::source::Pods;
use crate::zone::name_to_text;

/// Says what a Service, a name, an address or a Namespace has in the DNS, and why; or why not, and what would change it
///
/// A Service is told with its records, where each address comes from and how long it may be kept, or with all reasons why
/// it has none. A name that does not exist is told with the nearest one that does. Exit status: 0 it resolves (a
/// Namespace: it exists), 1 it does not, 2 usage or configuration, 3 the cluster, the manifests or the server cannot be read.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubezone explain svc/web -n shop --context c2 --zone c2.k8s.ooo
  kubezone explain web.shop.svc.c2.k8s.ooo -f examples/c2 --zone c2.k8s.ooo
  kubezone explain 2a0a:e5c0:10:3::17 --config kubezone.yaml
  kubezone explain ns/shop --config kubezone.yaml -o json
  kubezone explain svc/web -n shop --server http://[::1]:9154

docs/reasons.md has all reasons.")]
pub(super) struct Explain {
    /// svc/NAME, ns/NAME, a name in a zone, or an address, also by its name in ip6.arpa or in-addr.arpa
    #[arg(value_name = "svc/NAME|ns/NAME|NAME|ADDRESS", add = ArgValueCandidates::new(complete::subjects))]
    what: What,
    /// The namespace of the Service
    #[arg(
        short,
        long,
        value_name = "NAME",
        default_value = "default",
        add = ArgValueCandidates::new(complete::namespaces)
    )]
    namespace: String,
    #[command(flatten)]
    look: Look,
    /// How to print it; as objects, Services have namespace, name, published, records, reasons and more (docs/api.md)
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Output,
    #[command(flatten)]
    colors: Colors,
}

/// What is asked about.
#[derive(Debug, Clone, PartialEq)]
enum What {
    Service(String),
    Namespace(String),
    Address(IpAddr),
    Name(Name),
}

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
enum ExplainProblem {
    #[error("`{0}` is neither svc/NAME, ns/NAME, a name nor an address")]
    Unclear(String),
    #[error("`{0}` is no kind that can be explained: a Service is svc/NAME, a Namespace ns/NAME")]
    Kind(String),
    #[error("{name} is in none of the zones: {}", zones.join(", "))]
    OtherZone { name: String, zones: Vec<String> },
}

impl FromStr for What {
    type Err = ExplainProblem;

    fn from_str(text: &str) -> Result<Self, ExplainProblem> {
        if let Some((kind, name)) = text.split_once('/') {
            return match kind.to_ascii_lowercase().as_str() {
                _ if name.is_empty() => Err(ExplainProblem::Unclear(text.to_owned())),
                "svc" | "service" | "services" => Ok(Self::Service(name.to_owned())),
                "ns" | "namespace" | "namespaces" => Ok(Self::Namespace(name.to_owned())),
                other => Err(ExplainProblem::Kind(other.to_owned())),
            };
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        match Name::from_ascii(text) {
            Ok(name) if !text.is_empty() => Ok(reversed(&name).map_or(Self::Name(name), Self::Address)),
            _ => Err(ExplainProblem::Unclear(text.to_owned())),
        }
    }
}

/// The address that `name`, in ip6.arpa or in-addr.arpa, is the name of.
fn reversed(name: &Name) -> Option<IpAddr> {
    let mut absolute = name.clone();
    absolute.set_fqdn(true);
    let prefix = absolute.parse_arpa_name().ok()?;
    (prefix.prefix_len() == prefix.max_prefix_len()).then(|| prefix.addr())
}

impl Explain {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let reports = self.look.reports(Pods::No)?;
        let mut out = BufWriter::new(io::stdout().lock());
        let resolves = self.print(&reports, &mut out)?;
        out.flush()?;
        if resolves { Ok(()) } else { Err(Failure::Findings) }
    }

    /// Prints what there is to say; whether it resolves.
    fn print(&self, reports: &Reports, out: impl Write) -> Result<bool, Failure> {
        match &self.what {
            What::Service(name) => {
                let key = ServiceKey { namespace: self.namespace.as_str().into(), name: name.as_str().into() };
                let told = reports.service(&key)?;
                self.tell(&told, out, service)?;
                Ok(told.iter().any(|report| report.published))
            }
            What::Namespace(name) => {
                let told = reports.namespace(name)?;
                self.tell(&told, out, namespace)?;
                if told.is_empty() {
                    writeln!(io::stderr(), "nothing is known of a Namespace {}, nor of a Service in it", plain(name))?;
                }
                Ok(!told.is_empty())
            }
            What::Address(address) => {
                let told = reports.address(*address)?;
                self.tell(&told, out, self::address)?;
                Ok(told.iter().any(|report| !report.published.is_empty()))
            }
            What::Name(name) => {
                let Some(told) = find(reports, name)? else {
                    let zones = reports.zones().iter().map(name_to_text).collect();
                    let problem = ExplainProblem::OtherZone { name: name_to_text(name), zones };
                    return Err(Failure::Usage(problem.into()));
                };
                let resolves = !told.records.is_empty();
                self.tell(&[told], out, self::name)?;
                Ok(resolves)
            }
        }
    }

    fn tell<T: Serialize, W: Write>(
        &self,
        told: &[T],
        out: W,
        print: impl Fn(&T, &mut Paper<W>) -> io::Result<()>,
    ) -> Result<(), Failure> {
        if self.output == Output::Json {
            return print_json(out, &told);
        }
        let mut paper = Paper::new(out, self.colors);
        for (place, report) in told.iter().enumerate() {
            if place > 0 {
                paper.line("")?;
            }
            print(report, &mut paper)?;
        }
        Ok(())
    }
}

/// What there is to say about `name`: as it is, and without a final dot, relative to a zone.
fn find(reports: &Reports, name: &Name) -> Result<Option<NameReport>, Failure> {
    let mut absolute = name.clone();
    absolute.set_fqdn(true);
    let told = reports.name(&absolute)?;
    if told.is_some() || name.is_fqdn() {
        return Ok(told);
    }
    let mut first = None;
    for zone in reports.zones() {
        let Ok(relative) = name.clone().append_domain(&zone) else { continue };
        match reports.name(&relative)? {
            Some(told) if told.exists => return Ok(Some(told)),
            told => first = first.or(told),
        }
    }
    // Names of the schema are meant to be in a zone, whether or not they exist; another may be anybody's.
    Ok(first.filter(|_| is_of_schema(name)))
}

/// Whether `name` ends as those names in a zone made from a cluster do that are not claimed.
fn is_of_schema(name: &Name) -> bool {
    let last = name.iter().next_back().unwrap_or_default();
    [&b"svc"[..], b"pod", b"dns-version"].iter().any(|label| last.eq_ignore_ascii_case(label))
}

fn service<W: Write>(report: &Report, paper: &mut Paper<W>) -> io::Result<()> {
    let Report { zone, namespace, name, .. } = report;
    let title = plain(format_args!("Service {namespace}/{name} in {zone}"));
    let Some(service_type) = &report.service_type else {
        let state = if report.is_read() { "there is none" } else { "its namespace is not read" };
        let state = paper.tinted(Tone::Bad, state);
        paper.line(format_args!("{title}: {state}"))?;
        records(&report.records, report, paper)?;
        if let Some(nearest) = &report.nearest {
            paper.line(format_args!("The nearest is {}", plain(nearest)))?;
        }
        return said(&report.reasons, paper);
    };
    let state = match &report.global_name {
        Some(name) if report.published => paper.tinted(Tone::Good, format_args!("published as {}", plain(name))),
        _ => paper.tinted(Tone::Bad, "not published"),
    };
    let families: Vec<_> = report.families.iter().map(|family| family.name()).collect();
    let families = if families.is_empty() { "no addresses".to_owned() } else { families.join(", ") };
    paper.line(format_args!("{title}: {state}"))?;
    let (v6, v4) = (report.ready.v6, report.ready.v4);
    paper.line(format_args!("{service_type}, {families}; ready endpoints: {v6} IPv6, {v4} IPv4"))?;
    records(&report.records, report, paper)?;
    for claim in report.claims.iter().filter(|claim| !claim.held) {
        let holder = plain(&claim.holder);
        paper.line(format_args!("It claims {}, which {holder} has", plain(&claim.name)))?;
    }
    said(&report.reasons, paper)
}

/// Records, and beside addresses where these come from.
fn records<W: Write>(records: &[RecordText], of: &Report, paper: &mut Paper<W>) -> io::Result<()> {
    let row = |record: &RecordText| {
        let from = of.addresses.iter().find(|it| it.address.to_string() == record.rdata).map(|it| origin(it.origin));
        let RecordText { owner, ttl, rtype, rdata } = record;
        [owner.clone(), ttl.to_string(), rtype.clone(), rdata.clone(), from.unwrap_or_default().to_owned()]
    };
    let rows: Vec<Vec<Cell>> = records.iter().map(|record| row(record).map(Cell::from).into()).collect();
    paper.table("  ", &rows)
}

/// Where an address comes from.
fn origin(origin: AddressOrigin) -> &'static str {
    match origin {
        AddressOrigin::NameServer => "the configuration: a name server",
        AddressOrigin::ClusterIp => "spec.clusterIPs",
        AddressOrigin::LoadBalancer => "status.loadBalancer",
        AddressOrigin::Endpoint => "an endpoint",
        AddressOrigin::ExternalIp => "spec.externalIPs",
        AddressOrigin::Pod => "a Pod",
        AddressOrigin::Nat64 => "ipv4.nat64",
        AddressOrigin::Proxy => "ipv4.proxies",
    }
}

fn said<W: Write>(reasons: &[Said], paper: &mut Paper<W>) -> io::Result<()> {
    for Said { code, name, sentence, fix } in reasons {
        let title = paper.tinted(Tone::Odd, plain(format_args!("{code} {name}")));
        paper.line(format_args!("{title}: {}\n  {}", plain(sentence), plain(fix)))?;
    }
    Ok(())
}

fn namespace<W: Write>(report: &NamespaceReport, paper: &mut Paper<W>) -> io::Result<()> {
    let NamespaceReport { zone, namespace, published, withheld, services } = report;
    let title = plain(format_args!("Namespace {namespace} in {zone}"));
    paper.line(format_args!("{title}: {published} of {} Services published", services.len()))?;
    for (reason, count) in withheld {
        paper.line(format_args!("{count} not: {reason}"))?;
    }
    let row = |service: &Report| {
        let name = Cell::from(&service.name);
        let reason = service.reasons.first().map(|reason| format!("{} {}", reason.code, reason.name));
        match &service.global_name {
            Some(global) if service.published => {
                vec![name, Cell::toned(global, Tone::Good), reason.unwrap_or_default().into()]
            }
            _ => vec![name, Cell::toned("-", Tone::Bad), reason.unwrap_or_default().into()],
        }
    };
    paper.table("  ", &services.iter().map(row).collect::<Vec<_>>())
}

fn address<W: Write>(report: &AddressReport, paper: &mut Paper<W>) -> io::Result<()> {
    let AddressReport { zone, address, published, withheld } = report;
    let state = match published.as_slice() {
        [] => paper.tinted(Tone::Bad, "nobody publishes it"),
        [first, ..] if first.address.origin.owns_ptr() => {
            paper.tinted(Tone::Good, format_args!("it is {}", plain(&first.address.owner)))
        }
        _ => paper.tinted(Tone::Good, "it is in front of the cluster, and has no PTR record here"),
    };
    paper.line(format_args!("{address} in {zone}: {state}"))?;
    let row = |holder: &Holder| {
        let subject = holder.subject.as_deref().unwrap_or("a name server");
        let from = origin(holder.address.origin);
        [subject, &holder.address.owner, &holder.address.ttl.to_string(), from].map(Cell::from).into()
    };
    paper.table("  ", &published.iter().map(row).collect::<Vec<_>>())?;
    if published.iter().filter(|holder| holder.address.origin.owns_ptr()).count() > 1 {
        paper.line("In a reverse zone of this zone alone, the first of these has the PTR record")?;
    }
    if published.is_empty() && withheld.is_empty() {
        paper.line("No Service has it, and no endpoint of one")?;
    }
    for other in withheld {
        let name = plain(format_args!("{}/{}", other.namespace, other.name));
        let state = if other.published { "publishes others in its place" } else { "does not publish it" };
        paper.line(format_args!("{name} has it and {state}"))?;
        said(&other.reasons, paper)?;
    }
    Ok(())
}

fn name<W: Write>(report: &NameReport, paper: &mut Paper<W>) -> io::Result<()> {
    if let Some(of) = report.service.as_ref().filter(|of| of.global_name.as_ref() == Some(&report.name)) {
        return service(of, paper);
    }
    let is_apex = report.name.eq_ignore_ascii_case(&report.zone);
    let is_delegated = !is_apex && report.records.iter().any(|record| record.rtype == "NS");
    let state = match (report.exists, report.records.first()) {
        (true, Some(_)) if is_delegated => paper.tinted(Tone::Odd, "it is delegated"),
        (true, Some(_)) => paper.tinted(Tone::Good, "it resolves"),
        (true, None) => paper.tinted(Tone::Odd, "it owns no records: there are only names below it"),
        (false, Some(_)) if is_delegated => paper.tinted(Tone::Odd, "it is in a zone that is delegated"),
        (false, Some(record)) if record.rtype == "DNAME" => {
            paper.tinted(Tone::Odd, "it is renamed by a DNAME above it")
        }
        (false, Some(_)) => paper.tinted(Tone::Good, "it does not exist, and a wildcard stands in for it"),
        (false, None) => paper.tinted(Tone::Bad, "it does not exist"),
    };
    paper.line(format_args!("{} in {}: {state}", plain(&report.name), report.zone))?;
    match &report.service {
        Some(of) => records(&report.records, of, paper)?,
        _ => {
            let row = |it: &RecordText| [&it.owner, &it.ttl.to_string(), &it.rtype, &it.rdata].map(Cell::from).into();
            paper.table("  ", &report.records.iter().map(row).collect::<Vec<_>>())?;
        }
    }
    match &report.service {
        Some(of) => {
            paper.line("")?;
            service(of, paper)?;
        }
        None => said(&report.reasons, paper)?,
    }
    if let Some(nearest) = &report.nearest {
        paper.line(format_args!("The nearest name that does is {}", plain(nearest)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_about_is_told_by_its_form() {
        let name = |text: &str| What::Name(Name::from_ascii(text).unwrap());
        let address = |text: &str| What::Address(text.parse().unwrap());
        let check = |text: &str, expected: What| assert_eq!(text.parse::<What>().unwrap(), expected, "{text}");

        check("svc/web", What::Service("web".to_owned()));
        check("Namespace/shop", What::Namespace("shop".to_owned()));
        check("web.shop.svc", name("web.shop.svc"));
        check("2a0a::1", address("2a0a::1"));
        check("147.78.194.9", address("147.78.194.9"));
        check("9.194.78.147.in-addr.arpa", address("147.78.194.9"));
        check(&Name::from("2a0a::1".parse::<IpAddr>().unwrap()).to_string(), address("2a0a::1"));
        check("194.78.147.in-addr.arpa.", name("194.78.147.in-addr.arpa."));
        for text in ["", "svc/", "deploy/web", "a..b", "2a0a::/64"] {
            text.parse::<What>().expect_err(text);
        }
    }
}
