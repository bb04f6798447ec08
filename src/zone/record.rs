//! A resource record as zones are made of: RDATA is kept in wire form.

use std::borrow::Cow;
use std::net::IpAddr;

use hickory_proto::rr::{Name, RData, RecordType};

use super::build::canonical_rdata;
use super::name;

/// RDATA in wire form (RFC 1035 §3.3, RFC 3597): at most 65,535 bytes, names inside uncompressed, case kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rdata(Box<[u8]>);

impl Rdata {
    /// RDATA from its wire form; `bytes` must be well-formed for the type it will be used with.
    #[must_use]
    pub fn from_wire(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The wire form.
    #[must_use]
    pub fn wire(&self) -> &[u8] {
        &self.0
    }
}

/// Which names RDATA of a type begins with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// Octets before the first name.
    pub(super) prefix: usize,
    /// How many names follow each other there.
    pub(super) names: usize,
    /// Whether senders may compress them: the types of RFC 1035 that are still in use (RFC 3597 §4).
    pub(super) compressible: bool,
}

/// Which names RDATA of type `rtype` begins with, as far as responses need to know.
pub(super) fn names_in(rtype: RecordType) -> Layout {
    let (prefix, names, compressible) = match rtype {
        RecordType::NS | RecordType::CNAME | RecordType::PTR => (0, 1, true),
        RecordType::SOA => (0, 2, true),
        RecordType::MX => (2, 1, true),
        RecordType::DNAME => (0, 1, false),
        RecordType::SRV => (6, 1, false),
        RecordType::SVCB | RecordType::HTTPS => (2, 1, false),
        _ => (0, 0, false),
    };
    Layout { prefix, names, compressible }
}

/// Where in RDATA of type `rtype` the name stands whose addresses belong into ADDITIONAL.
///
/// RFC 1035 §3.3.9 and §3.3.11 (MX, NS), RFC 2782 (SRV), RFC 9460 §4.1 (SVCB, HTTPS).
#[must_use]
pub fn target_in(rtype: RecordType) -> Option<usize> {
    use RecordType::{HTTPS, MX, NS, SRV, SVCB};
    matches!(rtype, NS | MX | SRV | SVCB | HTTPS).then(|| names_in(rtype).prefix)
}

/// One resource record of class IN.
///
/// The ends of a zone's life meet here: master files and the schema make
/// records, dumps and comparisons read them. Between, a zone holds blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The name that owns the record, fully qualified.
    pub owner: Name,
    /// Seconds that others may keep it, at most 2^31 − 1 (RFC 2181 §8).
    pub ttl: u32,
    /// The type of `rdata`.
    pub rtype: RecordType,
    /// What the record says.
    pub rdata: Rdata,
}

impl AsRef<Self> for Record {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl Record {
    /// The RDATA with the names in it in lower case: records of one owner and type that agree in it are one (RFC 4034
    /// §6.2).
    #[must_use]
    pub fn canonical_rdata(&self) -> Cow<'_, [u8]> {
        canonical_rdata(self.rtype, &self.rdata)
    }

    /// The address that an A or AAAA record holds; none: it is of another type.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        let wire = self.rdata.wire();
        match self.rtype {
            RecordType::A => <[u8; 4]>::try_from(wire).ok().map(IpAddr::from),
            RecordType::AAAA => <[u8; 16]>::try_from(wire).ok().map(IpAddr::from),
            _ => None,
        }
    }

    /// The name in the RDATA whose addresses belong into ADDITIONAL, as [`target_in`] says.
    #[must_use]
    pub fn target(&self) -> Option<Name> {
        let name = self.rdata.wire().get(target_in(self.rtype)?..)?;
        Some(name::name(&name[..name::len(name)?]))
    }

    /// A record from hickory-proto's RDATA.
    ///
    /// # Panics
    ///
    /// When `rdata` does not encode: longer than 65,535 bytes.
    #[must_use]
    pub fn new(owner: Name, ttl: u32, rdata: &RData) -> Self {
        use hickory_proto::serialize::binary::{BinEncodable, BinEncoder, NameEncoding};
        let mut wire = Vec::new();
        let mut encoder = BinEncoder::new(&mut wire);
        encoder.set_name_encoding(NameEncoding::Uncompressed);
        rdata.emit(&mut encoder).expect("RDATA of at most 65,535 bytes");
        Self { owner, ttl, rtype: rdata.record_type(), rdata: Rdata::from_wire(wire) }
    }
}
