//! A resource record as zones are made of: RDATA is kept in wire form.

use hickory_proto::rr::{Name, RData, RecordType};

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

impl Record {
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
