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
    /// Beside records: an endpoint's hostname makes no label; its address names it.
    InvalidHostname,
    /// Beside records: a load balancer has several host names and no address; the first one is the alias's target.
    SeveralHostnames,
    /// Beside records: the name of a name server would be an alias, which it must not be (RFC 2181 §10.3); it is none.
    NameServerIsAlias,
    /// Beside records: a name server that takes its Service's addresses finds none there; the last ones stay.
    NameServerWithoutAddress,
}

impl Reason {
    /// The reason's name, the same wherever operators meet it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidName => "InvalidName",
            Self::NamespaceUnknown => "NamespaceUnknown",
            Self::NotSelected => "NotSelected",
            Self::OptedOut => "OptedOut",
            Self::InvalidExternalName => "InvalidExternalName",
            Self::NameConflict => "NameConflict",
            Self::NoReadyEndpoints => "NoReadyEndpoints",
            Self::AddressPending => "AddressPending",
            Self::Ipv4Only => "IPv4Only",
            Self::AddressNotPublic => "AddressNotPublic",
            Self::BadAnnotation => "BadAnnotation",
            Self::TooManyRecords => "TooManyRecords",
            Self::InvalidPortName => "InvalidPortName",
            Self::InvalidHostname => "InvalidHostname",
            Self::SeveralHostnames => "SeveralHostnames",
            Self::NameServerIsAlias => "NameServerIsAlias",
            Self::NameServerWithoutAddress => "NameServerWithoutAddress",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
