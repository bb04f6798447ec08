//! Records as text: the presentation format of RFC 1035 §5.1 and its successors, RFC 3597 for the rest.
//!
//! hickory-proto's own `Display` is no master file: it writes `\DDD` in octal
//! and turns IDNA labels into Unicode.

use std::fmt::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::{BASE32HEX_NOPAD, BASE64, HEXUPPER};
use hickory_proto::rr::Name;
use jiff::Timestamp;
use jiff::tz::Offset;

use super::types::{self, Field, SvcParams};
use super::{Record, Zone};

impl fmt::Display for Record {
    /// One line of a master file, absolute names: `owner TTL IN TYPE RDATA`, separated by single spaces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (owner, rtype, rdata) = (name_to_text(&self.owner), self.rtype_to_text(), self.rdata_to_text());
        write!(f, "{owner} {} IN {rtype} {rdata}", self.ttl)
    }
}

impl Record {
    /// The type as text: the mnemonic of one that has a text form, else `TYPEnnn` (RFC 3597 §5).
    #[must_use]
    pub fn rtype_to_text(&self) -> String {
        types::to_text(self.rtype).into_owned()
    }

    /// The RDATA as text, names absolute; `\# length hex` for a type without a text form or bytes that have none.
    #[must_use]
    pub fn rdata_to_text(&self) -> String {
        let wire = self.rdata.wire();
        rdata(types::fields(self.rtype), wire).unwrap_or_else(|| match wire {
            [] => r"\# 0".into(),
            _ => format!(r"\# {} {}", wire.len(), HEXUPPER.encode(wire)),
        })
    }
}

/// A name as master files have it: absolute, escaped (RFC 1035 §5.1, RFC 4343 §2.1), case kept.
#[must_use]
pub fn name_to_text(name: &Name) -> String {
    labels_to_text(name.iter())
}

/// The zone as a master file that BIND, Knot and NSD load: absolute names, one record a line.
pub fn dump(zone: &Zone) -> impl fmt::Display {
    let records = zone.records();
    let title = format!("; {} serial {}, {} records", name_to_text(zone.apex()), zone.serial(), records.len());
    Dump { title, records }
}

struct Dump {
    title: String,
    records: Vec<Record>,
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.title, Lines(&self.records))
    }
}

/// Records as lines of a master file, in columns for people.
///
/// A record's line depends on that record alone: what did not change between two dumps is no difference.
#[derive(Debug)]
pub struct Lines<'a>(pub &'a [Record]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for record in self.0 {
            let (owner, rtype, rdata) = (name_to_text(&record.owner), record.rtype_to_text(), record.rdata_to_text());
            writeln!(f, "{owner:<47} {:>7} IN {rtype:<5} {rdata}", record.ttl)?;
        }
        Ok(())
    }
}

/// RDATA as text; none when `wire` is not made of `fields`, or when there are none.
pub(super) fn rdata(fields: &[Field], wire: &[u8]) -> Option<String> {
    if fields.is_empty() {
        return None;
    }
    let mut wire = Wire(wire);
    let mut text = String::new();
    for &field in fields {
        let field = field_to_text(field, &mut wire)?;
        // The empty bitmap and no SvcParams have nothing to show.
        if !text.is_empty() && !field.is_empty() {
            text.push(' ');
        }
        text.push_str(&field);
    }
    wire.0.is_empty().then_some(text)
}

/// The octets of RDATA that nobody has read yet.
struct Wire<'a>(&'a [u8]);

impl<'a> Wire<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(|[octet]| octet)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// As many octets as the next one says.
    fn short(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(length.into())
    }

    /// All that is left, at least one octet.
    fn rest(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() { None } else { self.take(self.0.len()) }
    }

    /// The labels of a name, uncompressed and of at most 255 octets.
    fn name(&mut self) -> Option<Vec<&'a [u8]>> {
        let before = self.0.len();
        let mut labels = Vec::new();
        loop {
            let label = self.short()?;
            if label.len() > 63 || before - self.0.len() > Name::MAX_LENGTH {
                return None;
            }
            if label.is_empty() {
                return Some(labels);
            }
            labels.push(label);
        }
    }
}

fn field_to_text(field: Field, wire: &mut Wire) -> Option<String> {
    Some(match field {
        Field::Name => labels_to_text(wire.name()?.into_iter()),
        Field::U8 | Field::Algorithm => wire.u8()?.to_string(),
        Field::U16 => wire.u16()?.to_string(),
        Field::U32 | Field::Period => wire.u32()?.to_string(),
        Field::Timestamp => timestamp(wire.u32()?)?,
        Field::Type => types::to_text(wire.u16()?.into()).into_owned(),
        Field::Ipv4 => Ipv4Addr::from(wire.array::<4>()?).to_string(),
        Field::Ipv6 => Ipv6Addr::from(wire.array::<16>()?).to_string(),
        Field::String => quoted(wire.short()?),
        Field::Strings => {
            let mut strings = vec![quoted(wire.short()?)];
            while !wire.0.is_empty() {
                strings.push(quoted(wire.short()?));
            }
            strings.join(" ")
        }
        Field::Text => quoted(wire.take(wire.0.len())?),
        Field::Tag => {
            let tag = wire.short()?;
            let letters = !tag.is_empty() && tag.iter().all(u8::is_ascii_alphanumeric);
            String::from_utf8(tag.to_vec()).ok().filter(|_| letters)?
        }
        Field::Hex => HEXUPPER.encode(wire.rest()?),
        Field::Base64 => BASE64.encode(wire.rest()?),
        Field::Salt => match wire.short()? {
            [] => "-".into(),
            salt => HEXUPPER.encode(salt),
        },
        Field::Hash => match wire.short()? {
            [] => return None,
            hash => BASE32HEX_NOPAD.encode(hash),
        },
        Field::Types => bitmap(wire)?,
        Field::Params => params(wire)?,
        Field::Location => location(wire)?,
    })
}

/// Labels with dots, absolute.
fn labels_to_text<'a>(labels: impl Iterator<Item = &'a [u8]>) -> String {
    let mut text = String::new();
    for label in labels {
        for &octet in label {
            match octet {
                b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => text.extend(['\\', octet.into()]),
                _ => push_octet(&mut text, octet, b'!'),
            }
        }
        text.push('.');
    }
    if text.is_empty() { ".".into() } else { text }
}

/// A string in quotes.
fn quoted(octets: &[u8]) -> String {
    let mut text = String::from('"');
    for &octet in octets {
        match octet {
            b'"' | b'\\' => text.extend(['\\', octet.into()]),
            _ => push_octet(&mut text, octet, b' '),
        }
    }
    text.push('"');
    text
}

/// An octet as it is from `first` up to the end of ASCII, else as `\DDD`.
fn push_octet(text: &mut String, octet: u8, first: u8) {
    if (first..=b'~').contains(&octet) {
        text.push(octet.into());
    } else {
        write!(text, r"\{octet:03}").expect("a String takes everything");
    }
}

/// Seconds since 1970 as `YYYYMMDDHHmmSS`.
fn timestamp(seconds: u32) -> Option<String> {
    let at = Offset::UTC.to_datetime(Timestamp::from_second(seconds.into()).ok()?);
    let (year, month, day) = (at.year(), at.month(), at.day());
    Some(format!("{year:04}{month:02}{day:02}{:02}{:02}{:02}", at.hour(), at.minute(), at.second()))
}

/// A bitmap of types; only the one form that RFC 4034 §4.1.2 gives a set.
fn bitmap(wire: &mut Wire) -> Option<String> {
    let mut types = Vec::new();
    let mut last = None;
    while !wire.0.is_empty() {
        let block = wire.u8()?;
        let bits = wire.short()?;
        if last >= Some(block) || !(1..=32).contains(&bits.len()) || bits.last() == Some(&0) {
            return None;
        }
        last = Some(block);
        for (octet, bits) in (0_u8..).zip(bits) {
            let set = (0..8).filter(|bit| bits & (0x80 >> bit) != 0);
            types.extend(set.map(|bit| types::to_text(u16::from_be_bytes([block, 8 * octet + bit]).into())));
        }
    }
    Some(types.join(" "))
}

/// SvcParams, ascending (RFC 9460 §2.2).
fn params(wire: &mut Wire) -> Option<String> {
    let mut params = SvcParams::new();
    let mut text = Vec::new();
    while !wire.0.is_empty() {
        let key = wire.u16()?;
        let length = wire.u16()?;
        let value = wire.take(length.into())?;
        if params.last_key_value().is_some_and(|(last, _)| *last >= key) || key == u16::MAX {
            return None;
        }
        let name = types::param_key_to_text(key);
        text.push(match param_value(key, value)? {
            value if value.is_empty() => name.into_owned(),
            value => format!("{name}={value}"),
        });
        params.insert(key, value.to_vec());
    }
    types::missing_param(&params).is_none().then(|| text.join(" "))
}

/// The value of a SvcParam; none when it is not what its key takes (RFC 9460 §7, §8, RFC 9461 §5, RFC 9540 §4).
pub(super) fn param_value(key: u16, value: &[u8]) -> Option<String> {
    let mut wire = Wire(value);
    let mut items = Vec::new();
    match key {
        0 => {
            let mut last = 0;
            while !wire.0.is_empty() {
                let key = wire.u16()?;
                // Ascending, and never itself.
                if key <= last {
                    return None;
                }
                last = key;
                items.push(types::param_key_to_text(key).into_owned());
            }
        }
        1 => {
            let mut list = Vec::new();
            while !wire.0.is_empty() {
                let id = Some(wire.short()?).filter(|id| !id.is_empty())?;
                if !list.is_empty() {
                    list.push(b',');
                }
                // Escaped for the list, then for the string (RFC 9460 Appendix A.1).
                for &octet in id {
                    if b",\\".contains(&octet) {
                        list.push(b'\\');
                    }
                    list.push(octet);
                }
            }
            items.push(Some(list).filter(|list| !list.is_empty()).map(|list| quoted(&list))?);
        }
        2 | 8 => return value.is_empty().then(String::new),
        3 => items.push(wire.u16()?.to_string()),
        4 => {
            while !wire.0.is_empty() {
                items.push(Ipv4Addr::from(wire.array::<4>()?).to_string());
            }
        }
        5 => items.push(BASE64.encode(wire.rest()?)),
        6 => {
            while !wire.0.is_empty() {
                items.push(Ipv6Addr::from(wire.array::<16>()?).to_string());
            }
        }
        7 => items.push(quoted(std::str::from_utf8(wire.rest()?).ok()?.as_bytes())),
        _ if value.is_empty() => return Some(String::new()),
        _ => items.push(quoted(wire.rest()?)),
    }
    (wire.0.is_empty() && !items.is_empty()).then(|| items.join(","))
}

/// LOC (RFC 1876 §3).
fn location(wire: &mut Wire) -> Option<String> {
    let [version, size, horizontal, vertical] = wire.array()?;
    let (latitude, longitude, altitude) = (wire.u32()?, wire.u32()?, wire.u32()?);
    if version != 0 {
        return None;
    }
    let centimetres = i64::from(altitude) - 10_000_000;
    let (sign, altitude) = (if centimetres < 0 { "-" } else { "" }, centimetres.abs());
    Some(format!(
        "{} {} {sign}{}m {}m {}m {}m",
        angle(latitude, 90, ['N', 'S'])?,
        angle(longitude, 180, ['E', 'W'])?,
        hundredths(altitude),
        hundredths(centimetres_of(size)?),
        hundredths(centimetres_of(horizontal)?),
        hundredths(centimetres_of(vertical)?),
    ))
}

/// Degrees, minutes, seconds and hemisphere.
fn angle(value: u32, most: i64, hemispheres: [char; 2]) -> Option<String> {
    let from_zero = i64::from(value) - (1 << 31);
    let [positive, negative] = hemispheres;
    let hemisphere = if from_zero < 0 { negative } else { positive };
    let thousandths = Some(from_zero.abs()).filter(|value| *value <= most * 3_600_000)?;
    let (degrees, minutes) = (thousandths / 3_600_000, thousandths / 60_000 % 60);
    let (seconds, fraction) = (thousandths / 1000 % 60, thousandths % 1000);
    Some(format!("{degrees} {minutes} {seconds}.{fraction:03} {hemisphere}"))
}

fn hundredths(value: i64) -> String {
    format!("{}.{:02}", value / 100, value % 100)
}

/// A digit and a power of ten; zero has one form only.
fn centimetres_of(size: u8) -> Option<i64> {
    let (digit, exponent) = (size >> 4, size & 0xf);
    let normal = digit <= 9 && exponent <= 9 && (digit != 0 || exponent == 0);
    normal.then(|| i64::from(digit) * 10_i64.pow(exponent.into()))
}
