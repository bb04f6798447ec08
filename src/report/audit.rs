//! What stands between a Service and clients that have IPv6 only.
//!
//! A verdict on what a [`Report`] says: it needs neither the cluster nor the
//! configuration, so that it can be passed on the report of a server that runs elsewhere.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Ready, Report, Said};
use crate::cluster::IpFamily;
use crate::schema::Meaning;

/// How far a Service is from being reached over IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is published with an IPv6 address, and something is ready behind it.
    Ready,
    /// Something is ready, and to edit the Service or what selects it is enough.
    Change,
    /// Nothing is ready over IPv6.
    Blocked,
}

impl Verdict {
    /// All of them, the best first.
    pub const ALL: [Self; 3] = [Self::Ready, Self::Change, Self::Blocked];

    /// In one word, as JSON has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Change => "change",
            Self::Blocked => "blocked",
        }
    }
}

/// What an audit finds beside the [reasons](crate::schema::Reason) of a Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// An IPv6 address is published and nothing is ready behind it.
    BlackHole,
    /// The Service has no IPv6 family, so that Kubernetes makes no IPv6 endpoints for it, and no Pod with IPv6 is seen there.
    NoIpv6Family,
    /// No IPv6 endpoint is ready.
    NoIpv6Endpoints,
    /// IPv6 endpoints are ready, or Pods that have IPv6 are, and the Service has no IPv6 family.
    Ipv6EndpointsUnused,
    /// IPv6 endpoints are ready, and what is published of the Service is IPv4.
    Ipv6NotPublished,
    /// The Service is an alias of a name that has no IPv6 address.
    TargetWithoutIpv6,
    /// The Service is an alias of a name that could not be looked up.
    TargetUnresolved,
    /// The Service is an alias of a name that was not looked up.
    TargetNotResolved,
    /// The Service is reached over IPv6, and its primary family is IPv4.
    Ipv4Primary,
}

impl Finding {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 9] = [
        Self::BlackHole,
        Self::NoIpv6Family,
        Self::NoIpv6Endpoints,
        Self::Ipv6EndpointsUnused,
        Self::Ipv6NotPublished,
        Self::TargetWithoutIpv6,
        Self::TargetUnresolved,
        Self::TargetNotResolved,
        Self::Ipv4Primary,
    ];

    /// What it makes of the Service.
    #[must_use]
    pub fn verdict(self) -> Verdict {
        match self {
            Self::BlackHole
            | Self::NoIpv6Family
            | Self::NoIpv6Endpoints
            | Self::TargetWithoutIpv6
            | Self::TargetUnresolved => Verdict::Blocked,
            Self::Ipv6EndpointsUnused | Self::Ipv6NotPublished => Verdict::Change,
            Self::TargetNotResolved | Self::Ipv4Primary => Verdict::Ready,
        }
    }

    /// The finding's row in the catalogue.
    #[must_use]
    pub fn meaning(self) -> Meaning {
        let (code, name, sentence, fix) = match self {
            Self::BlackHole => (
                "KZ0201",
                "BlackHole",
                "An IPv6 address is published, and no IPv6 endpoint is ready behind it: who connects to it gets nowhere.",
                "See why none is: `kubectl -n NAMESPACE get endpointslices -l kubernetes.io/service-name=NAME`, and \
                 whether its Pods have IPv6 addresses and listen on them. Until then \
                 `kubectl -n NAMESPACE annotate --overwrite service NAME k8s.ooo/publish=false` takes it out of the DNS.",
            ),
            Self::NoIpv6Family => (
                "KZ0202",
                "NoIPv6Family",
                "The Service has IPv4 only, so that Kubernetes makes no IPv6 endpoints for it, and no ready Pod with an IPv6 \
                 address is seen behind it.",
                "See whether its Pods have IPv6 addresses: `kubectl -n NAMESPACE get pods -o \
                 custom-columns=POD:.metadata.name,IPS:.status.podIPs[*].ip`. Once they do, give it both families with \
                 the patch that the audit tells.",
            ),
            Self::NoIpv6Endpoints => (
                "KZ0203",
                "NoIPv6Endpoints",
                "None of the Service's endpoints is ready over IPv6.",
                "See why: `kubectl -n NAMESPACE get endpointslices -l kubernetes.io/service-name=NAME`; its Pods need \
                 IPv6 addresses, and their readiness probes have to pass.",
            ),
            Self::Ipv6EndpointsUnused => (
                "KZ0204",
                "IPv6EndpointsUnused",
                "IPv6 endpoints are ready, or ready Pods behind the Service have IPv6 addresses, and it has no IPv6 family.",
                "Give it both families, with the patch that the audit tells. The primary one stays what it is: that cannot be \
                 changed in place, and a Service that is to have IPv6 alone is deleted and created again with \
                 `ipFamilies: [IPv6]`.",
            ),
            Self::Ipv6NotPublished => (
                "KZ0205",
                "IPv6NotPublished",
                "IPv6 endpoints are ready, and the Service has no IPv6 address that is published.",
                "See its reasons, and `kubezone explain svc/NAME -n NAMESPACE`. Where the addresses that it has are not \
                 public, `publish.addresses` of the configuration decides.",
            ),
            Self::TargetWithoutIpv6 => (
                "KZ0206",
                "TargetWithoutIPv6",
                "The Service is an alias of a name that has no IPv6 address.",
                "Ask those who run the target for one, or set `spec.externalName` to a name that has one.",
            ),
            Self::TargetUnresolved => (
                "KZ0207",
                "TargetUnresolved",
                "The Service is an alias of a name that could not be looked up from here.",
                "See whether the target exists, and whether this machine's resolver answers.",
            ),
            Self::TargetNotResolved => (
                "KZ0208",
                "TargetNotResolved",
                "The Service is an alias; whether its target has an IPv6 address was not looked up.",
                "Audit with `--resolve`.",
            ),
            Self::Ipv4Primary => (
                "KZ0209",
                "IPv4Primary",
                "The Service is reached over IPv6, and its primary family is IPv4: it does not outlive the cluster's IPv4.",
                "The primary family cannot be changed in place: before IPv4 goes, delete the Service and create it again \
                 with `ipFamilies: [IPv6]`, or `[IPv6, IPv4]`.",
            ),
        };
        Meaning { code, name, sentence, fix, withholds: false }
    }

    /// The command that does what the fix says, where there is one.
    fn command(self, report: &Report) -> Option<String> {
        if !matches!(self, Self::NoIpv6Family | Self::Ipv6EndpointsUnused) {
            return None;
        }
        let mut spec = serde_json::json!({ "ipFamilyPolicy": "RequireDualStack" });
        // The primary family has to stay the first.
        if report.families == [IpFamily::V4] {
            spec["ipFamilies"] = serde_json::json!([IpFamily::V4, IpFamily::V6]);
        }
        let patch = serde_json::json!({ "spec": spec });
        // Neither names nor this JSON have a quote that would end the shell's.
        Some(format!("kubectl patch svc {} -n {} --type=merge -p '{patch}'", report.name, report.namespace))
    }

    fn said(self, report: &Report) -> Said {
        Said::from_meaning(self.meaning(), &report.namespace, &report.name)
    }
}

/// What became of looking up the target of an alias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// It has an IPv6 address.
    HasIpv6,
    /// It has addresses, and none of IPv6.
    Ipv4Only,
    /// Nothing was learned.
    Unresolved,
}

/// A Service as it was audited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audited {
    /// The zone's apex.
    pub zone: String,
    /// The Service's namespace.
    pub namespace: String,
    /// The Service's name.
    pub name: String,
    /// What it is, as in a [`Report`].
    #[serde(rename = "type")]
    pub service_type: Option<String>,
    /// Its families, as in a [`Report`].
    pub families: Vec<IpFamily>,
    /// The primary one, if it is known.
    pub primary: Option<IpFamily>,
    /// How many endpoints are ready, as in a [`Report`].
    pub ready: Ready,
    /// How many Pods are behind them, as in a [`Report`].
    pub pods: Ready,
    /// Whether it is published.
    pub published: bool,
    /// The addresses that are published.
    pub addresses: Vec<IpAddr>,
    /// How far it is from being reached over IPv6.
    pub verdict: Verdict,
    /// The code of the first of the reasons.
    pub code: Option<String>,
    /// What changes the first of them.
    pub fix: Option<String>,
    /// The command that does so, for a shell; none where it takes more than one.
    pub command: Option<String>,
    /// What was found, and then the Service's reasons.
    pub reasons: Vec<Said>,
}

impl Audited {
    /// Audits the Service that `report` is about; `target` is what its alias leads to, if that was looked up.
    #[must_use]
    pub fn of(report: &Report, target: Option<Target>) -> Self {
        let (verdict, finding) = judge(report, target);
        let mut reasons: Vec<Said> = finding.iter().map(|finding| finding.said(report)).collect();
        reasons.extend(report.reasons.iter().cloned());
        let mut addresses: Vec<IpAddr> = report.addresses.iter().map(|published| published.address).collect();
        addresses.sort_unstable();
        addresses.dedup();
        Self {
            zone: report.zone.clone(),
            namespace: report.namespace.clone(),
            name: report.name.clone(),
            service_type: report.service_type.clone(),
            families: report.families.clone(),
            primary: report.primary,
            ready: report.ready,
            pods: report.pods,
            published: report.published,
            addresses,
            verdict,
            code: reasons.first().map(|reason| reason.code.clone()),
            fix: reasons.first().map(|reason| reason.fix.clone()),
            command: finding.and_then(|finding| finding.command(report)),
            reasons,
        }
    }
}

/// The verdict, and what was found; nothing where a reason of the Service says it.
fn judge(report: &Report, target: Option<Target>) -> (Verdict, Option<Finding>) {
    if report.alias().is_some() || report.service_type.as_deref() == Some("ExternalName") {
        let finding = match target {
            _ if !report.published && report.hostnames.is_empty() => return (Verdict::Blocked, None),
            Some(Target::Ipv4Only) => Finding::TargetWithoutIpv6,
            Some(Target::Unresolved) => Finding::TargetUnresolved,
            _ if report.reasons.iter().any(|reason| reason.name == "InvalidExternalName") => {
                return (Verdict::Blocked, None);
            }
            _ if !report.published => return (Verdict::Change, None),
            Some(Target::HasIpv6) => return (Verdict::Ready, None),
            None => Finding::TargetNotResolved,
        };
        return (finding.verdict(), Some(finding));
    }
    let is_published = report.addresses.iter().any(|published| published.address.is_ipv6());
    let has_family = report.families.contains(&IpFamily::V6);
    let finding = match (report.ready.v6 > 0, is_published) {
        (true, true) if report.primary == Some(IpFamily::V4) => Finding::Ipv4Primary,
        (true, true) => return (Verdict::Ready, None),
        (true, false) if !has_family => Finding::Ipv6EndpointsUnused,
        (true, false) if !report.published => return (Verdict::Change, None),
        (true, false) => Finding::Ipv6NotPublished,
        (false, true) => Finding::BlackHole,
        (false, false) if report.families == [IpFamily::V4] && report.pods.v6 > 0 => Finding::Ipv6EndpointsUnused,
        (false, false) if report.families == [IpFamily::V4] => Finding::NoIpv6Family,
        (false, false) => Finding::NoIpv6Endpoints,
    };
    (finding.verdict(), Some(finding))
}
