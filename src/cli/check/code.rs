//! What is looked at, by codes that stay as they are (docs/check.md).

use std::fmt;

use crate::cluster::Kind;
use crate::source::Verb;

/// One thing that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    Configuration,
    ZoneFile,
    Manifests,
    ApiReachable,
    ApiVersion,
    Permission(Verb, Kind),
    ServiceRange,
    PodRange,
    AddressAtHand,
    ListenDns,
    ListenMetrics,
    ListenAdmin,
    ReceiveBuffer,
    OpenFiles,
    ServerReachable,
    ServerConfiguration,
    ZoneServed,
    ClusterSynced,
    AnswersUdp,
    AnswersTcp,
    Delegated,
}

/// A code's row in the catalogue.
pub(super) struct Meaning {
    /// What it is a part of: `configuration`, `cluster`, `host`, `server`.
    pub(super) check: &'static str,
    /// What is looked at, and how it should be.
    #[cfg_attr(not(test), expect(dead_code, reason = "docs/check.md is made of it"))]
    pub(super) sentence: &'static str,
    /// What to do where it is otherwise.
    pub(super) fix: &'static str,
}

impl Code {
    /// All of them, in the order in which they are looked at.
    #[cfg(test)]
    pub(super) const ALL: [Self; 28] = [
        Self::Configuration,
        Self::ZoneFile,
        Self::Manifests,
        Self::ApiReachable,
        Self::ApiVersion,
        Self::Permission(Verb::List, Kind::Service),
        Self::Permission(Verb::Watch, Kind::Service),
        Self::Permission(Verb::List, Kind::EndpointSlice),
        Self::Permission(Verb::Watch, Kind::EndpointSlice),
        Self::Permission(Verb::List, Kind::Namespace),
        Self::Permission(Verb::Watch, Kind::Namespace),
        Self::Permission(Verb::List, Kind::Pod),
        Self::Permission(Verb::Watch, Kind::Pod),
        Self::ServiceRange,
        Self::PodRange,
        Self::AddressAtHand,
        Self::ListenDns,
        Self::ListenMetrics,
        Self::ListenAdmin,
        Self::ReceiveBuffer,
        Self::OpenFiles,
        Self::ServerReachable,
        Self::ServerConfiguration,
        Self::ZoneServed,
        Self::ClusterSynced,
        Self::AnswersUdp,
        Self::AnswersTcp,
        Self::Delegated,
    ];

    /// Its row in the catalogue.
    pub(super) fn meaning(self) -> Meaning {
        let row = |check, sentence, fix| Meaning { check, sentence, fix };
        match self {
            Self::Configuration => row(
                "configuration",
                "The configuration can be read, and says nothing that cannot be.",
                "Change the file as the message says; docs/configuration.md has every key.",
            ),
            Self::ZoneFile => row(
                "configuration",
                "A zone's master file makes a zone, and nothing is odd about it.",
                "`kubezone zone lint FILE --zone ZONE` tells of everything, with lines and columns.",
            ),
            Self::Manifests => row(
                "cluster",
                "The manifests that stand for a cluster can be read, and an API server would take them.",
                "`kubezone zone records -f DIR --zone ZONE` tells of everything, with lines and columns.",
            ),
            Self::ApiReachable => row(
                "cluster",
                "The cluster's API answers whoever the kubeconfig, or the Pod's ServiceAccount, says that kubezone is.",
                "See whether `kubectl version` gets there from this machine, with the same kubeconfig and context.",
            ),
            Self::ApiVersion => row(
                "cluster",
                "The API is that of Kubernetes 1.21 or newer, which has EndpointSlices as kubezone reads them.",
                "Upgrade the cluster.",
            ),
            Self::Permission(_, Kind::Pod) => row(
                "cluster",
                "kubezone may read Pods, as a zone of the cluster has `publish.pods`.",
                "Allow it, by a Role or ClusterRole with `list` and `watch`, or turn `publish.pods` off; \
                 `kubectl auth whoami` says who kubezone is.",
            ),
            Self::Permission(_, Kind::Namespace) => row(
                "cluster",
                "kubezone may read Namespaces, which say what is to be published; not asked where the cluster has `namespaces`.",
                "Allow it, by a ClusterRole with `list` and `watch`; or name the cluster's `namespaces` that it may read.",
            ),
            Self::Permission(..) => row(
                "cluster",
                "kubezone may read what zones are made of: in all of the cluster, or in each of its `namespaces`.",
                "Allow it, by a ClusterRole with `list` and `watch`, or a Role in each of the cluster's `namespaces`; \
                 `kubectl auth whoami` says who kubezone is.",
            ),
            Self::ServiceRange => row(
                "cluster",
                "Services get addresses that are published: such that the world can reach, or of `publish.addresses.allow`. Read \
                 from ServiceCIDR objects, which kubezone needs no right to.",
                "See what `--service-cluster-ip-range` of kube-apiserver is: `kubectl get servicecidrs`, or `kubectl -n kube-system \
                 get pods -l component=kube-apiserver -o yaml`. Services of other ranges are published with addresses of load \
                 balancers alone.",
            ),
            Self::PodRange => row(
                "cluster",
                "Pods get addresses that are published, for headless Services. Read from Nodes, which kubezone needs no right to.",
                "See what Pods get: `kubectl get pods -A -o wide`. It matters to headless Services and `publish.pods` alone.",
            ),
            Self::AddressAtHand => row(
                "cluster",
                "There is a way for a Service to get an address that is published.",
                "Give the cluster a public range for Services that is routed to it (BGP), or a controller for load balancers; \
                 where those who ask are inside, name their range in `publish.addresses.allow`.",
            ),
            Self::ListenDns => row(
                "host",
                "DNS can be answered on the address, over UDP and TCP.",
                "Choose another address in `listen.dns`, or free this one.",
            ),
            Self::ListenMetrics => row(
                "host",
                "Probes and metrics can be answered on the address.",
                "Choose another address as `listen.metrics`, or free this one.",
            ),
            Self::ListenAdmin => row(
                "host",
                "The JSON API can be answered on the address.",
                "Choose another address as `listen.admin`, or free this one.",
            ),
            Self::ReceiveBuffer => row(
                "host",
                "A burst of questions finds room in the kernel's buffer.",
                "Raise what a socket may have: `sysctl -w net.core.rmem_max=1048576`, and in /etc/sysctl.d to keep it; in a Pod, \
                 on its node.",
            ),
            Self::OpenFiles => row(
                "host",
                "There may be as many connections as kubezone allows.",
                "Raise the limit of open files: `ulimit -n 4096`, or `LimitNOFILE=4096` of a systemd unit.",
            ),
            Self::ServerReachable => row(
                "server",
                "The running server's JSON API answers.",
                "Name its `listen.admin` with --server; for one in a Pod: `kubectl port-forward POD 9154`, and \
                 http://localhost:9154. Before there is one: --pre.",
            ),
            Self::ServerConfiguration => row(
                "server",
                "The server has taken over its configuration as it is now.",
                "Change the file as the message says; until then the server does what it was told before.",
            ),
            Self::ZoneServed => row(
                "server",
                "The server answers for every zone that is configured, and for no other.",
                "The server's log says what a zone waits for; `kubezone status` has what is wrong with its source.",
            ),
            Self::ClusterSynced => row(
                "server",
                "All of the cluster has been read since the server began to follow it.",
                "`kubezone status` says what is wrong with it now; `kubezone check --pre` looks at permissions.",
            ),
            Self::AnswersUdp => row(
                "server",
                "The server answers for the zone on its own address, over UDP.",
                "See whether a firewall on the machine drops UDP to the port; a server in a Pod, whose address is not this \
                 machine's, is asked at its Service's.",
            ),
            Self::AnswersTcp => row(
                "server",
                "The server answers for the zone on its own address, over TCP.",
                "See whether a firewall on the machine drops TCP to the port; a server in a Pod, whose address is not this \
                 machine's, is asked at its Service's.",
            ),
            Self::Delegated => row(
                "server",
                "The parent of the zone leads there, as the server saw when it looked last; not asked where `verify` is not configured.",
                "`kubezone delegation ZONE --compare` looks again, and shows each server of the parent and of the zone.",
            ),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configuration => "configuration",
            Self::ZoneFile => "zone-file",
            Self::Manifests => "manifests",
            Self::ApiReachable => "api-reachable",
            Self::ApiVersion => "api-version",
            Self::Permission(verb, kind) => return write!(f, "permission-{}-{}", verb.name(), kind.resource()),
            Self::ServiceRange => "service-range",
            Self::PodRange => "pod-range",
            Self::AddressAtHand => "address-at-hand",
            Self::ListenDns => "listen-dns",
            Self::ListenMetrics => "listen-metrics",
            Self::ListenAdmin => "listen-admin",
            Self::ReceiveBuffer => "receive-buffer",
            Self::OpenFiles => "open-files",
            Self::ServerReachable => "server-reachable",
            Self::ServerConfiguration => "server-configuration",
            Self::ZoneServed => "zone-served",
            Self::ClusterSynced => "cluster-synced",
            Self::AnswersUdp => "answers-udp",
            Self::AnswersTcp => "answers-tcp",
            Self::Delegated => "delegated",
        })
    }
}
