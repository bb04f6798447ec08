//! The record types and what their RDATA is made of.
//!
//! One table serves both directions: [`master`](super::master) reads the
//! fields of a type from text, [`text`](super::text) writes them from wire
//! form. To give a type a text form is to add its fields here.

use std::borrow::Cow;
use std::collections::BTreeMap;

use hickory_proto::rr::RecordType;

use super::name;

/// A record type as IANA's registry has it.
#[derive(Debug)]
pub(super) struct Type {
    pub(super) mnemonic: &'static str,
    pub(super) code: u16,
    /// The fields of the RDATA, in order; none: its only text form is RFC 3597's.
    pub(super) fields: &'static [Field],
}

/// One field of RDATA: its form on the wire, and its form as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// A domain name, uncompressed.
    Name,
    /// One octet, in decimal.
    U8,
    /// Two octets, in decimal.
    U16,
    /// Four octets, in decimal.
    U32,
    /// Four octets: seconds, or a number with units (`1h30m`).
    Period,
    /// Four octets: `YYYYMMDDHHmmSS` (RFC 4034 §3.2).
    Timestamp,
    /// Two octets: a record type's mnemonic.
    Type,
    /// One octet: a DNSSEC algorithm's number or mnemonic (RFC 4034 Appendix A.1).
    Algorithm,
    /// Four octets, dotted.
    Ipv4,
    /// Sixteen octets, RFC 5952.
    Ipv6,
    /// A `<character-string>`: an octet of length, then so many.
    String,
    /// One or more of them, up to the end.
    Strings,
    /// Octets up to the end, as one string of any length.
    Text,
    /// A `<character-string>` of ASCII letters and digits, never quoted: the tag of CAA (RFC 8659 §4.1).
    Tag,
    /// Octets up to the end, hexadecimal, blanks allowed.
    Hex,
    /// Octets up to the end, base 64, blanks allowed.
    Base64,
    /// An octet of length, then so many: hexadecimal, `-` for none (RFC 5155 §3.3).
    Salt,
    /// An octet of length, then so many: base 32 with extended hex alphabet, no padding (RFC 5155 §3.3).
    Hash,
    /// A bitmap of types up to the end, as mnemonics (RFC 4034 §4.1.2).
    Types,
    /// SvcParams up to the end (RFC 9460 §2.1).
    Params,
    /// The whole of LOC (RFC 1876).
    Location,
}

impl Field {
    /// How many octets of `wire` the field takes, which begins there; none: `wire` is too short for a name.
    pub(super) fn len(self, wire: &[u8]) -> Option<usize> {
        Some(match self {
            Name => name::len(wire)?,
            U8 | Algorithm => 1,
            U16 | Self::Type => 2,
            U32 | Period | Timestamp | Ipv4 => 4,
            Ipv6 | Location => 16,
            String | Tag | Salt | Hash => 1 + usize::from(*wire.first()?),
            Strings | Text | Hex | Base64 | Types | Params => wire.len(),
        })
    }
}

use Field::{
    Algorithm, Base64, Hash, Hex, Ipv4, Ipv6, Location, Name, Params, Period, Salt, String, Strings, Tag, Text,
    Timestamp, Types, U8, U16, U32,
};

/// IANA's registry, the types with a text form first.
pub(super) const TYPES: &[Type] = &[
    of("A", 1, &[Ipv4]),
    of("NS", 2, &[Name]),
    of("CNAME", 5, &[Name]),
    of("SOA", 6, &[Name, Name, U32, Period, Period, Period, Period]),
    of("PTR", 12, &[Name]),
    of("MX", 15, &[U16, Name]),
    of("TXT", 16, &[Strings]),
    of("RP", 17, &[Name, Name]),
    of("AAAA", 28, &[Ipv6]),
    of("LOC", 29, &[Location]),
    of("SRV", 33, &[U16, U16, U16, Name]),
    of("NAPTR", 35, &[U16, U16, String, String, String, Name]),
    of("DNAME", 39, &[Name]),
    of("DS", 43, &[U16, Algorithm, U8, Hex]),
    of("SSHFP", 44, &[U8, U8, Hex]),
    of("RRSIG", 46, &[Field::Type, Algorithm, U8, Period, Timestamp, Timestamp, U16, Name, Base64]),
    of("NSEC", 47, &[Name, Types]),
    of("DNSKEY", 48, &[U16, U8, Algorithm, Base64]),
    of("NSEC3", 50, &[U8, U8, U16, Salt, Hash, Types]),
    of("NSEC3PARAM", 51, &[U8, U8, U16, Salt]),
    of("TLSA", 52, &[U8, U8, U8, Hex]),
    of("SMIMEA", 53, &[U8, U8, U8, Hex]),
    of("CDS", 59, &[U16, Algorithm, U8, Hex]),
    of("CDNSKEY", 60, &[U16, U8, Algorithm, Base64]),
    of("SVCB", 64, &[U16, Name, Params]),
    of("HTTPS", 65, &[U16, Name, Params]),
    of("SPF", 99, &[Strings]),
    of("URI", 256, &[U16, U16, Text]),
    of("CAA", 257, &[U8, Tag, Text]),
    // Known by name (in NSEC's bitmap, in the error that shows TYPEnnn), written as RFC 3597.
    of("MD", 3, &[]),
    of("MF", 4, &[]),
    of("MB", 7, &[]),
    of("MG", 8, &[]),
    of("MR", 9, &[]),
    of("NULL", 10, &[]),
    of("WKS", 11, &[]),
    of("HINFO", 13, &[]),
    of("MINFO", 14, &[]),
    of("AFSDB", 18, &[]),
    of("X25", 19, &[]),
    of("ISDN", 20, &[]),
    of("RT", 21, &[]),
    of("NSAP", 22, &[]),
    of("NSAP-PTR", 23, &[]),
    of("SIG", 24, &[]),
    of("KEY", 25, &[]),
    of("PX", 26, &[]),
    of("GPOS", 27, &[]),
    of("NXT", 30, &[]),
    of("EID", 31, &[]),
    of("NIMLOC", 32, &[]),
    of("ATMA", 34, &[]),
    of("KX", 36, &[]),
    of("CERT", 37, &[]),
    of("A6", 38, &[]),
    of("SINK", 40, &[]),
    of("APL", 42, &[]),
    of("IPSECKEY", 45, &[]),
    of("DHCID", 49, &[]),
    of("HIP", 55, &[]),
    of("NINFO", 56, &[]),
    of("RKEY", 57, &[]),
    of("TALINK", 58, &[]),
    of("OPENPGPKEY", 61, &[]),
    of("CSYNC", 62, &[]),
    of("ZONEMD", 63, &[]),
    of("DSYNC", 66, &[]),
    of("NID", 104, &[]),
    of("L32", 105, &[]),
    of("L64", 106, &[]),
    of("LP", 107, &[]),
    of("EUI48", 108, &[]),
    of("EUI64", 109, &[]),
    of("AVC", 258, &[]),
    of("DOA", 259, &[]),
    of("AMTRELAY", 260, &[]),
    of("RESINFO", 261, &[]),
    of("WALLET", 262, &[]),
    of("TA", 32768, &[]),
    of("DLV", 32769, &[]),
    // No data: known to be refused by name.
    of("OPT", 41, &[]),
    of("TKEY", 249, &[]),
    of("TSIG", 250, &[]),
    of("IXFR", 251, &[]),
    of("AXFR", 252, &[]),
    of("MAILB", 253, &[]),
    of("MAILA", 254, &[]),
    of("ANY", 255, &[]),
];

const fn of(mnemonic: &'static str, code: u16, fields: &'static [Field]) -> Type {
    Type { mnemonic, code, fields }
}

/// The type called `text`: a mnemonic of the table or `TYPEnnn` (RFC 3597 §5), in any case.
pub(super) fn from_text(text: &str) -> Option<RecordType> {
    if let Some(known) = TYPES.iter().find(|known| known.mnemonic.eq_ignore_ascii_case(text)) {
        return Some(known.code.into());
    }
    let (prefix, digits) = text.split_at_checked(4)?;
    // `parse` alone would take "+1".
    if !prefix.eq_ignore_ascii_case("TYPE") || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u16>().ok().map(RecordType::from)
}

/// The fields of `rtype`; none: its only text form is RFC 3597's.
pub(super) fn fields(rtype: RecordType) -> &'static [Field] {
    let code = u16::from(rtype);
    TYPES.iter().find(|known| known.code == code).map_or(&[], |known| known.fields)
}

/// The mnemonic of a type that has a text form, else `TYPEnnn` (RFC 3597 §5): what every server reads.
#[must_use]
pub fn to_text(rtype: RecordType) -> Cow<'static, str> {
    let code = u16::from(rtype);
    match TYPES.iter().find(|known| known.code == code && !known.fields.is_empty()) {
        Some(known) => known.mnemonic.into(),
        None => format!("TYPE{code}").into(),
    }
}

/// Whether zones hold records of this type: not 0, OPT, or a QTYPE or Meta-TYPE (RFC 6895 §3.1).
pub(super) fn is_data(rtype: RecordType) -> bool {
    !matches!(u16::from(rtype), 0 | 41 | 128..=255)
}

/// DNSSEC algorithms' mnemonics, from IANA's registry.
pub(super) const ALGORITHMS: &[(&str, u8)] = &[
    ("RSAMD5", 1),
    ("DH", 2),
    ("DSA", 3),
    ("RSASHA1", 5),
    ("DSA-NSEC3-SHA1", 6),
    ("RSASHA1-NSEC3-SHA1", 7),
    ("RSASHA256", 8),
    ("RSASHA512", 10),
    ("ECC-GOST", 12),
    ("ECDSAP256SHA256", 13),
    ("ECDSAP384SHA384", 14),
    ("ED25519", 15),
    ("ED448", 16),
    ("INDIRECT", 252),
    ("PRIVATEDNS", 253),
    ("PRIVATEOID", 254),
];

/// SvcParamKeys, from IANA's registry; a key's number is its place.
pub(super) const PARAM_KEYS: &[&str] =
    &["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath", "ohttp"];

/// SvcParams by key, as the wire has them.
pub(super) type SvcParams = BTreeMap<u16, Vec<u8>>;

/// The SvcParamKey called `text`: a name or `keyNNN` (RFC 9460 §2.1).
pub(super) fn param_key(text: &str) -> Option<u16> {
    if let Some(key) = PARAM_KEYS.iter().position(|name| name.eq_ignore_ascii_case(text)) {
        return u16::try_from(key).ok();
    }
    let (prefix, digits) = text.split_at_checked(3)?;
    let leading = digits.len() > 1 && digits.starts_with('0');
    if !prefix.eq_ignore_ascii_case("key") || leading || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // 65535 is reserved as no key at all.
    digits.parse().ok().filter(|key| *key != u16::MAX)
}

/// How many of [`PARAM_KEYS`] are RFC 9460's own: Knot 3.2 and BIND 9.18 do not read all of the later ones by name.
const PARAM_KEYS_READ_BY_ALL: usize = 7;

/// The name of a SvcParamKey that every server reads, else `keyNNN` (RFC 9460 §2.1).
pub(super) fn param_key_to_text(key: u16) -> Cow<'static, str> {
    PARAM_KEYS[..PARAM_KEYS_READ_BY_ALL]
        .get(usize::from(key))
        .map_or_else(|| format!("key{key}").into(), |name| (*name).into())
}

/// A key that others ask for and that is not there, and which: `mandatory` (RFC 9460 §8) or `no-default-alpn` (§7.1.1).
pub(super) fn missing_param(params: &SvcParams) -> Option<(u16, &'static str)> {
    let mandatory = params.get(&0).map(Vec::as_slice).unwrap_or_default();
    let missing = |key: &u16| !params.contains_key(key);
    if let Some(key) = mandatory.chunks_exact(2).map(|key| u16::from_be_bytes([key[0], key[1]])).find(missing) {
        return Some((key, "mandatory"));
    }
    (params.contains_key(&2) && missing(&1)).then_some((1, "no-default-alpn"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_everything_once_and_agrees_with_hickory() {
        for (i, known) in TYPES.iter().enumerate() {
            let again = TYPES[..i].iter().find(|other| other.code == known.code || other.mnemonic == known.mnemonic);
            assert!(again.is_none(), "{known:?} and {again:?}");
            assert!(known.fields.is_empty() || is_data(known.code.into()), "{known:?}");
            if let Ok(theirs) = known.mnemonic.parse::<RecordType>() {
                assert_eq!(u16::from(theirs), known.code, "{known:?}");
            }
        }
    }

    #[test]
    fn types_are_known_by_mnemonic_and_by_number() {
        for (text, code) in [("AAAA", 28), ("aaaa", 28), ("TYPE28", 28), ("type65534", 65534), ("HINFO", 13)] {
            assert_eq!(from_text(text).map(u16::from), Some(code), "{text}");
        }
        for text in ["", "TYPE", "TYPE+1", "TYPE65536", "TYP\u{e9}1", "ANAME"] {
            assert_eq!(from_text(text), None, "{text}");
        }
        assert_eq!(to_text(28.into()), "AAAA");
        assert_eq!(to_text(13.into()), "TYPE13");
    }
}
