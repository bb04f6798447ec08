//! Why a Service owns no records, or not all that it might.

use std::fmt;

/// Why a Service owns no records, or not all that one might expect.
///
/// All that hold are listed, in this order; the first is *the* reason. Reasons
/// are for operators: no answer to a stranger tells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The Service's or the namespace's name is no label that Kubernetes would accept (RFC 1123 §2.1, in lower case),
    /// or the full name is longer than 255 bytes.
    InvalidName,
    /// The Service's Namespace is not known yet: it might say that the Service is not to be published.
    NamespaceUnknown,
    /// The namespace is none of those that are read of the cluster: whether there is such a Service is not known.
    NamespaceNotRead,
    /// The configuration does not select the Service: not its namespace, not its labels, or, in the mode OptIn, nobody
    /// says that it is to be published.
    NotSelected,
    /// The Service, or else its Namespace, says that it is not to be published.
    OptedOut,
    /// The Service is of the type ExternalName, and what it names is no host name: an address, or nothing that can be one.
    InvalidExternalName,
    /// A name that the Service claims is another's: the schema's, the configuration's, or an older object's.
    NameConflict,
    /// A headless Service has no endpoint that is ready.
    NoReadyEndpoints,
    /// The Service waits for an address: one of its own, or that of its load balancer.
    AddressPending,
    /// There is no IPv6 address, and no IPv4 address that may be published.
    Ipv4Only,
    /// There are addresses, but none that may be published.
    AddressNotPublic,
    /// Beside records, NotSelected or OptedOut: an annotation of the Service or its Namespace has a value that means nothing.
    BadAnnotation,
    /// Beside records: an RRset would be larger than allowed; some endpoints are left out.
    TooManyRecords,
    /// Beside records: a port has a name that makes no label (RFC 6335 §5.1 and `_`, 63 bytes at most); it owns no SRV.
    InvalidPortName,
    /// Beside records: an endpoint's hostname makes no label, and its address names it; or no name that fits into 255 bytes.
    InvalidHostname,
    /// Beside records: a load balancer has several host names and no address; the first one is the alias's target.
    SeveralHostnames,
    /// Beside records: the name of a name server would be an alias, which it must not be (RFC 2181 §10.3); it is none.
    NameServerIsAlias,
    /// Beside records: a name server that takes its Service's addresses finds none there; the last ones stay.
    NameServerWithoutAddress,
}

/// A reason's row in the catalogue (docs/reasons.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    /// `KZ0101` and so on: never given to another reason, also when this one is no more.
    pub code: &'static str,
    /// The name, the same wherever operators meet it.
    pub name: &'static str,
    /// What holds, in one sentence.
    pub sentence: &'static str,
    /// What changes it. `NAMESPACE` and `NAME` stand for the Service's.
    pub fix: &'static str,
    /// Whether it keeps a Service from having records; else it stands beside those that there are.
    pub withholds: bool,
}

impl Meaning {
    /// What changes it for the Service `name` in `namespace`.
    #[must_use]
    pub fn fix_for(&self, namespace: &str, name: &str) -> String {
        // The longer word has the shorter one in it.
        self.fix.replace("NAMESPACE", namespace).replace("NAME", name)
    }
}

impl Reason {
    /// All of them, in their order.
    pub const ALL: [Self; 18] = [
        Self::InvalidName,
        Self::NamespaceUnknown,
        Self::NamespaceNotRead,
        Self::NotSelected,
        Self::OptedOut,
        Self::InvalidExternalName,
        Self::NameConflict,
        Self::NoReadyEndpoints,
        Self::AddressPending,
        Self::Ipv4Only,
        Self::AddressNotPublic,
        Self::BadAnnotation,
        Self::TooManyRecords,
        Self::InvalidPortName,
        Self::InvalidHostname,
        Self::SeveralHostnames,
        Self::NameServerIsAlias,
        Self::NameServerWithoutAddress,
    ];

    /// The reason's name, the same wherever operators meet it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.meaning().name
    }

    /// The reason's row in the catalogue.
    #[must_use]
    pub fn meaning(self) -> Meaning {
        match self {
            Self::InvalidName => Meaning {
                code: "KZ0101",
                name: "InvalidName",
                sentence: "The Service's or its namespace's name makes no label of a host name (RFC 1123), or the full \
                           name is longer than 255 octets.",
                fix: "Create the Service under another name: lower-case letters, digits and `-`, at most 63 of them.",
                withholds: true,
            },
            Self::NamespaceUnknown => Meaning {
                code: "KZ0102",
                name: "NamespaceUnknown",
                sentence: "Nothing is known of the Service's Namespace yet, and it may say that the Service is not to be \
                           published.",
                fix: "Wait a moment; if it stays, look whether kubezone may list and watch Namespaces: `kubectl auth \
                      can-i watch namespaces`, as its ServiceAccount.",
                withholds: true,
            },
            Self::NamespaceNotRead => Meaning {
                code: "KZ0118",
                name: "NamespaceNotRead",
                sentence: "The configuration has kubezone read some namespaces of the cluster alone, and this is none of \
                           them: whether there is such a Service is not known.",
                fix: "Add `NAMESPACE` to the cluster's `namespaces`, and let kubezone's account list and watch services and \
                      endpointslices there: a Role and a RoleBinding in NAMESPACE.",
                withholds: true,
            },
            Self::NotSelected => Meaning {
                code: "KZ0103",
                name: "NotSelected",
                sentence: "The configuration does not select the Service: not its namespace, not its labels, or, in the \
                           mode OptIn, nobody asks for it to be published.",
                fix: "In the mode OptIn: `kubectl -n NAMESPACE annotate --overwrite service NAME k8s.ooo/publish=true`. \
                      Where `publish.namespaces`, `namespaceSelector` or `serviceSelector` leave it out: change these, or \
                      the labels that they look at.",
                withholds: true,
            },
            Self::OptedOut => Meaning {
                code: "KZ0104",
                name: "OptedOut",
                sentence: "The annotation `k8s.ooo/publish` of the Service, or else of its Namespace, says that it is not \
                           to be published.",
                fix: "`kubectl -n NAMESPACE annotate --overwrite service NAME k8s.ooo/publish=true`, which goes before \
                      what the Namespace says.",
                withholds: true,
            },
            Self::InvalidExternalName => Meaning {
                code: "KZ0105",
                name: "InvalidExternalName",
                sentence: "The Service is of the type ExternalName, and what it names is no host name: an address, or \
                           nothing that can be one.",
                fix: "Set `spec.externalName` to a host name. For an address, make it a headless Service without a \
                      selector, and an EndpointSlice with the address.",
                withholds: true,
            },
            Self::NameConflict => Meaning {
                code: "KZ0106",
                name: "NameConflict",
                sentence: "A name that would be the Service's, its own or one that it claims beside, is another's: the \
                           schema's, the configuration's, or an older object's.",
                fix: "Claim another name, or give the name up where it is held now (`kubezone explain` of the name says \
                      where).",
                withholds: true,
            },
            Self::NoReadyEndpoints => Meaning {
                code: "KZ0107",
                name: "NoReadyEndpoints",
                sentence: "The Service is headless, and none of its endpoints is ready.",
                fix: "See why none is: `kubectl -n NAMESPACE get endpointslices -l kubernetes.io/service-name=NAME`, and \
                      whether the selector finds Pods that pass their readiness probes.",
                withholds: true,
            },
            Self::AddressPending => Meaning {
                code: "KZ0108",
                name: "AddressPending",
                sentence: "The Service waits for an address: one of its own, or that of its load balancer.",
                fix: "See what gives addresses: `kubectl -n NAMESPACE describe service NAME` shows its events; a load \
                      balancer needs a controller that fills `status.loadBalancer`.",
                withholds: true,
            },
            Self::Ipv4Only => Meaning {
                code: "KZ0109",
                name: "IPv4Only",
                sentence: "The Service has no IPv6 address, and no IPv4 address that may be published.",
                fix: "In a cluster with IPv6, give it both families: `kubectl -n NAMESPACE patch service NAME --type=merge \
                      -p '{\"spec\":{\"ipFamilyPolicy\":\"RequireDualStack\"}}'`; `kubezone audit` says what stands in the way.",
                withholds: true,
            },
            Self::AddressNotPublic => Meaning {
                code: "KZ0110",
                name: "AddressNotPublic",
                sentence: "The Service has addresses, but none that may be published: the world does not reach them.",
                fix: "Give the cluster a public range for Services (`--service-cluster-ip-range`) and for Pods. Where those \
                      who ask do reach the addresses, name their range in `publish.addresses.allow`.",
                withholds: true,
            },
            Self::BadAnnotation => Meaning {
                code: "KZ0111",
                name: "BadAnnotation",
                sentence: "An annotation of the Service or its Namespace has a value that means nothing.",
                fix: "See them, `kubectl -n NAMESPACE get service NAME -o yaml`: `k8s.ooo/publish` and \
                      `k8s.ooo/ipv4-proxy` are \"true\" or \"false\", `k8s.ooo/ttl` seconds or a duration such as 1m, \
                      a host name has labels of letters, digits and `-`, and there are 100 of them at most.",
                withholds: false,
            },
            Self::TooManyRecords => Meaning {
                code: "KZ0112",
                name: "TooManyRecords",
                sentence: "A set of records would be larger than allowed, and some endpoints are left out.",
                fix: "Put a ClusterIP before the Pods, or spread them over several Services. `maxRecords` of the zone may \
                      be raised only where all secondaries and resolvers take larger sets.",
                withholds: false,
            },
            Self::InvalidPortName => Meaning {
                code: "KZ0113",
                name: "InvalidPortName",
                sentence: "A port has a name that makes no label of at most 62 octets, and owns no SRV record.",
                fix: "Give the port a shorter name of lower-case letters, digits and `-`: `kubectl -n NAMESPACE edit \
                      service NAME`.",
                withholds: false,
            },
            Self::InvalidHostname => Meaning {
                code: "KZ0114",
                name: "InvalidHostname",
                sentence: "An endpoint's hostname makes no label, and its address names it; or no name that fits, and it has none.",
                fix: "Set the Pod's `spec.hostname`, or that of the endpoint in a hand-made EndpointSlice, to lower-case \
                      letters, digits and `-`.",
                withholds: false,
            },
            Self::SeveralHostnames => Meaning {
                code: "KZ0115",
                name: "SeveralHostnames",
                sentence: "The load balancer has several host names and no address, and an alias has one target: the first.",
                fix: "Nothing has to be done; if the first is not the one meant, have the controller of the load balancer \
                      tell one, or addresses.",
                withholds: false,
            },
            Self::NameServerIsAlias => Meaning {
                code: "KZ0116",
                name: "NameServerIsAlias",
                sentence: "The name of a name server would be an alias, which it must not be (RFC 2181 §10.3): it is none.",
                fix: "Give the zone's name server `addresses` in the configuration, or name one that has some.",
                withholds: false,
            },
            Self::NameServerWithoutAddress => Meaning {
                code: "KZ0117",
                name: "NameServerWithoutAddress",
                sentence: "A name server takes its addresses from the Service, which has none: the last ones stay.",
                fix: "Give the Service an address that may be published, or the name server `addresses` in the \
                      configuration.",
                withholds: false,
            },
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_in_the_catalogue_once() {
        // Their order is that of the reasons, not of when they were thought of.
        let mut codes = Reason::ALL.map(|reason| reason.meaning().code);
        codes.sort_unstable();
        let numbered: Vec<_> = (101..).take(Reason::ALL.len()).map(|number| format!("KZ{number:04}")).collect();
        assert_eq!(codes.as_slice(), numbered);
        assert!(Reason::ALL.is_sorted());
        // One that is missing in ALL has a row all the same.
        assert_eq!(include_str!("reason.rs").matches("code: \"KZ01").count(), Reason::ALL.len());
    }

    #[test]
    fn a_fix_names_the_service() {
        let fix = Reason::OptedOut.meaning().fix_for("shop", "web");
        assert!(fix.starts_with("`kubectl -n shop annotate --overwrite service web k8s.ooo/publish=true`"), "{fix}");
    }
}
