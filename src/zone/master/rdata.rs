//! The fields of RDATA, from text to wire form.
//!
//! [`text`](super::super::text) is the way back.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use data_encoding::{BASE32HEX_NOPAD, BASE64, Encoding, HEXLOWER_PERMISSIVE};
use hickory_proto::rr::{Name, RecordType};
use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::super::types::{self, Field, SvcParams};
use super::super::{name, text};
use super::lexer::{Quotes, Word};
use super::{MasterError, Problem, Words, shown};

/// Appends the RDATA that the rest of an entry says to `wire`, in wire form; `wire` is empty.
pub(super) fn read(rtype: RecordType, words: &mut Words, origin: &Name, wire: &mut Vec<u8>) -> Result<(), MasterError> {
    let position = words.position();
    let fields = types::fields(rtype);
    if words.peek().is_some_and(|word| word.quotes == Quotes::None && word.text == br"\#") {
        wire.extend(unknown(words)?);
        // RFC 3597 §5: a known type may come in this form, too, and must be right then.
        if !fields.is_empty() && text::rdata(fields, wire).is_none() {
            return Err(Problem::MalformedRdata { rtype: types::to_text(rtype).into() }.at(position));
        }
        return Ok(());
    }
    if fields.is_empty() {
        return Err(Problem::NoTextForm { code: rtype.into() }.at(position));
    }
    for &field in fields {
        read_field(field, words, origin, wire)?;
    }
    if wire.len() > usize::from(u16::MAX) {
        return Err(Problem::RdataTooLong { length: wire.len() }.at(position));
    }
    Ok(())
}

/// `\# length hex` (RFC 3597 §5).
fn unknown(words: &mut Words) -> Result<Vec<u8>, MasterError> {
    words.next(r"\#")?;
    let position = words.position();
    let stated: u16 = words.value("the number of octets", number)?;
    let wire = match words.peek() {
        Some(_) => encoded(words, HEX, &HEXLOWER_PERMISSIVE)?,
        None => Vec::new(),
    };
    if wire.len() != usize::from(stated) {
        return Err(Problem::RdataLength { stated, found: wire.len() }.at(position));
    }
    Ok(wire)
}

const HEX: &str = "pairs of hexadecimal digits";

fn read_field(field: Field, words: &mut Words, origin: &Name, wire: &mut Vec<u8>) -> Result<(), MasterError> {
    match field {
        Field::Name => name::push_wire(&words.name(origin)?, wire),
        Field::U8 => wire.push(words.value("a number up to 255", number)?),
        Field::U16 => push_u16(wire, words.value("a number up to 65535", number)?),
        Field::U32 => push_u32(wire, words.value("a number up to 4294967295", number)?),
        Field::Period => push_u32(wire, words.period()?),
        Field::Timestamp => push_u32(wire, words.value("a time as YYYYMMDDHHmmSS", timestamp)?),
        Field::Type => push_u16(wire, words.value("a record type", types::from_text)?.into()),
        Field::Algorithm => wire.push(words.value("a DNSSEC algorithm", algorithm)?),
        Field::Ipv4 => wire.extend(words.value("an IPv4 address", |text| Ipv4Addr::from_str(text).ok())?.octets()),
        Field::Ipv6 => wire.extend(words.value("an IPv6 address", |text| Ipv6Addr::from_str(text).ok())?.octets()),
        Field::String => string(words, wire)?,
        Field::Strings => {
            string(words, wire)?;
            while words.peek().is_some() {
                string(words, wire)?;
            }
        }
        Field::Text => wire.extend(unescape(words.next("a string")?)?),
        Field::Tag => {
            let tag = words.value("a tag of up to 255 letters and digits", |text| {
                text.bytes().all(|byte| byte.is_ascii_alphanumeric()).then_some(text.as_bytes()).and_then(short)
            })?;
            wire.extend(tag);
        }
        Field::Hex => wire.extend(encoded(words, HEX, &HEXLOWER_PERMISSIVE)?),
        Field::Base64 => wire.extend(encoded(words, "base 64", &BASE64)?),
        Field::Salt => {
            let salt = words.value("a salt in hexadecimal, or - for none", |text| match text {
                "-" => short(&[]),
                _ => short(&HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?),
            })?;
            wire.extend(salt);
        }
        Field::Hash => {
            let hash = words.value("a hash in base 32hex", |text| {
                short(&BASE32HEX_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).ok()?)
            })?;
            wire.extend(hash);
        }
        Field::Types => {
            let mut types = BTreeSet::new();
            while words.peek().is_some() {
                types.insert(words.value("a record type", types::from_text)?.into());
            }
            push_bitmap(wire, &types);
        }
        Field::Params => params(words, wire)?,
        Field::Location => location(words, wire)?,
    }
    Ok(())
}

fn push_u16(wire: &mut Vec<u8>, value: u16) {
    wire.extend(value.to_be_bytes());
}

fn push_u32(wire: &mut Vec<u8>, value: u32) {
    wire.extend(value.to_be_bytes());
}

/// `octets` behind their length; none when there are more than 255.
fn short(octets: &[u8]) -> Option<Vec<u8>> {
    let length = u8::try_from(octets.len()).ok()?;
    Some([&[length], octets].concat())
}

/// The error for a word that is not what it should be.
pub(super) fn unexpected(expected: &'static str, word: &Word) -> MasterError {
    Problem::Expected { expected, found: shown(word.text) }.at(word.position)
}

/// A number in decimal digits and nothing else.
fn number<T: FromStr>(text: &str) -> Option<T> {
    // `parse` alone would take "+1".
    if text.starts_with('+') { None } else { text.parse().ok() }
}

/// Seconds, or numbers with units as BIND introduced them: `1w2d3h4m5s`, in any case.
pub(super) fn period(text: &str) -> Option<u32> {
    if let Some(seconds) = number(text) {
        return Some(seconds);
    }
    let mut seconds = 0_u32;
    for part in text.split_inclusive(|c: char| c.is_ascii_alphabetic()) {
        // Behind the last letter there may be anything, also what is longer than an octet.
        let (count, unit) = part.split_at_checked(part.len() - 1)?;
        let unit = match unit.to_ascii_lowercase().as_str() {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86400,
            "w" => 604_800,
            _ => return None,
        };
        seconds = seconds.checked_add(number::<u32>(count)?.checked_mul(unit)?)?;
    }
    // Nothing at all is no period.
    (!text.is_empty()).then_some(seconds)
}

/// `YYYYMMDDHHmmSS` or seconds since 1970 (RFC 4034 §3.2).
fn timestamp(text: &str) -> Option<u32> {
    if text.len() != 14 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return number(text);
    }
    let part = |from: usize, to: usize| text[from..to].parse().ok();
    let small = |from: usize| text[from..from + 2].parse().ok();
    let date = DateTime::new(part(0, 4)?, small(4)?, small(6)?, small(8)?, small(10)?, small(12)?, 0).ok()?;
    u32::try_from(Offset::UTC.to_timestamp(date).ok()?.as_second()).ok()
}

fn algorithm(text: &str) -> Option<u8> {
    let known = types::ALGORITHMS.iter().find(|(mnemonic, _)| mnemonic.eq_ignore_ascii_case(text));
    known.map(|(_, algorithm)| *algorithm).or_else(|| number(text))
}

/// The rest of the entry, decoded; blanks may stand anywhere in it.
fn encoded(words: &mut Words, expected: &'static str, encoding: &Encoding) -> Result<Vec<u8>, MasterError> {
    let first = words.plain(expected)?;
    let mut text = first.text.to_vec();
    while words.peek().is_some() {
        text.extend(words.plain(expected)?.text);
    }
    encoding.decode(&text).map_err(|_| Problem::Expected { expected, found: shown(&text) }.at(first.position))
}

/// The first octet of `text`, an escape resolved (RFC 1035 §5.1), and what follows.
fn octet(text: &[u8]) -> Option<(u8, &[u8])> {
    match text {
        [b'\\', a, b, c, rest @ ..] if [a, b, c].iter().all(|digit| digit.is_ascii_digit()) => {
            let digit = |digit: &u8| u16::from(digit - b'0');
            Some((u8::try_from(100 * digit(a) + 10 * digit(b) + digit(c)).ok()?, rest))
        }
        [b'\\', digit, ..] if digit.is_ascii_digit() => None,
        [b'\\', escaped, rest @ ..] => Some((*escaped, rest)),
        [b'\\'] | [] => None,
        [octet, rest @ ..] => Some((*octet, rest)),
    }
}

/// The octets that a string says.
pub(super) fn unescape(word: &Word) -> Result<Vec<u8>, MasterError> {
    if word.quotes == Quotes::Value {
        return Err(Problem::MisplacedQuote.at(word.position));
    }
    unescape_text(word.text, word)
}

fn unescape_text(mut text: &[u8], word: &Word) -> Result<Vec<u8>, MasterError> {
    let mut octets = Vec::with_capacity(text.len());
    while !text.is_empty() {
        let (octet, rest) = octet(text).ok_or_else(|| Problem::BadEscape { found: shown(text) }.at(word.position))?;
        octets.push(octet);
        text = rest;
    }
    Ok(octets)
}

/// A `<character-string>`.
fn string(words: &mut Words, wire: &mut Vec<u8>) -> Result<(), MasterError> {
    let word = words.next("a string")?;
    let octets = unescape(word)?;
    wire.extend(short(&octets).ok_or_else(|| Problem::StringTooLong { length: octets.len() }.at(word.position))?);
    Ok(())
}

/// A domain name: `@` is the origin, one without a final dot is relative to it.
pub(super) fn name(word: &Word, origin: &Name) -> Result<Name, MasterError> {
    match word.text {
        b"@" => return Ok(origin.clone()),
        b"." => return Ok(Name::root()),
        _ => {}
    }
    let shown = || shown(word.text);
    let too_long = |_| Problem::NameTooLong { name: shown() }.at(word.position);
    let (mut name, mut label, mut text) = (Name::new(), Vec::new(), word.text);
    loop {
        let dot = text.first() == Some(&b'.');
        if !dot && !text.is_empty() {
            let (octet, rest) = octet(text).ok_or_else(|| Problem::BadEscape { found: shown() }.at(word.position))?;
            label.push(octet);
            text = rest;
            continue;
        }
        match label.len() {
            0 => return Err(Problem::EmptyLabel { name: shown() }.at(word.position)),
            1..=63 => name = name.append_label(label.as_slice()).map_err(too_long)?,
            length => return Err(Problem::LabelTooLong { name: shown(), length }.at(word.position)),
        }
        label.clear();
        match text {
            [] => return name.append_domain(origin).map_err(too_long),
            [_] => return name.append_domain(&Name::root()).map_err(too_long),
            [_, rest @ ..] => text = rest,
        }
    }
}

/// A bitmap of types (RFC 4034 §4.1.2): for each block of 256 that has any, its number, length and bits.
pub(super) fn push_bitmap(wire: &mut Vec<u8>, types: &BTreeSet<u16>) {
    let mut rest = types.iter().copied().peekable();
    while let Some(&first) = rest.peek() {
        let [block, _] = first.to_be_bytes();
        let mut bits = [0_u8; 32];
        let mut length = 0_u8;
        while let Some(rtype) = rest.next_if(|rtype| rtype.to_be_bytes()[0] == block) {
            let [_, bit] = rtype.to_be_bytes();
            bits[usize::from(bit / 8)] |= 0x80 >> (bit % 8);
            length = bit / 8 + 1;
        }
        wire.extend([block, length]);
        wire.extend(&bits[..usize::from(length)]);
    }
}

/// SvcParams (RFC 9460 §2.1), in any order; on the wire they ascend.
fn params(words: &mut Words, wire: &mut Vec<u8>) -> Result<(), MasterError> {
    let position = words.position();
    let mut params = SvcParams::new();
    while words.peek().is_some() {
        let word = words.next("a SvcParam")?;
        let (key, value) = param(word)?;
        if params.insert(key, value).is_some() {
            return Err(Problem::ParamTwice { key: types::param_key_to_text(key).into() }.at(word.position));
        }
    }
    if let Some((missing, by)) = types::missing_param(&params) {
        return Err(Problem::ParamMissing { missing: types::param_key_to_text(missing).into(), by }.at(position));
    }
    for (key, value) in params {
        push_u16(wire, key);
        let length =
            u16::try_from(value.len()).map_err(|_| Problem::RdataTooLong { length: value.len() }.at(position))?;
        push_u16(wire, length);
        wire.extend(value);
    }
    Ok(())
}

/// One SvcParam: `key`, `key=value` or `key="value"`.
fn param(word: &Word) -> Result<(u16, Vec<u8>), MasterError> {
    const EXPECTED: &str = "a SvcParam such as alpn=h2, or key123=value";
    if word.quotes == Quotes::Around {
        return Err(unexpected(EXPECTED, word));
    }
    let equals = word.text.iter().position(|&byte| byte == b'=').unwrap_or(word.text.len());
    let (key, value) = word.text.split_at(equals);
    let value = value.strip_prefix(b"=").unwrap_or(value);
    let value = match word.quotes {
        // The lexer saw to both.
        Quotes::Value => value.get(1..value.len().saturating_sub(1)).unwrap_or_default(),
        Quotes::None | Quotes::Around => value,
    };
    let name = std::str::from_utf8(key).map_err(|_| unexpected(EXPECTED, word))?;
    let key = types::param_key(name).ok_or_else(|| unexpected(EXPECTED, word))?;
    let octets = unescape_text(value, word)?;
    // `keyNNN` has the wire form as its value, also for a key with a name.
    let by_name = !name.get(..3).is_some_and(|prefix| prefix.eq_ignore_ascii_case("key"));
    let value = if by_name { param_value(key, &octets) } else { Some(octets) };
    match value.filter(|value| text::param_value(key, value).is_some()) {
        Some(value) => Ok((key, value)),
        None => Err(unexpected("a SvcParam with a value that its key takes", word)),
    }
}

/// The wire form of the value of a key with a name (RFC 9460 §7, §8).
fn param_value(key: u16, octets: &[u8]) -> Option<Vec<u8>> {
    let text = || std::str::from_utf8(octets).ok();
    match key {
        0 => {
            let mut keys: Vec<_> = text()?.split(',').map(types::param_key).collect::<Option<_>>()?;
            // A key twice is found by what reads the wire form: it ascends.
            keys.sort_unstable();
            Some(keys.into_iter().flat_map(u16::to_be_bytes).collect())
        }
        1 => Some(value_list(octets)?.iter().map(|id| short(id)).collect::<Option<Vec<_>>>()?.concat()),
        3 => number::<u16>(text()?).map(|port| port.to_be_bytes().to_vec()),
        4 => {
            let addresses: Option<Vec<_>> = text()?.split(',').map(|text| Ipv4Addr::from_str(text).ok()).collect();
            Some(addresses?.iter().flat_map(Ipv4Addr::octets).collect())
        }
        5 => BASE64.decode(octets).ok(),
        6 => {
            let addresses: Option<Vec<_>> = text()?.split(',').map(|text| Ipv6Addr::from_str(text).ok()).collect();
            Some(addresses?.iter().flat_map(Ipv6Addr::octets).collect())
        }
        _ => Some(octets.to_vec()),
    }
}

/// A comma-separated list, in which `\,` and `\\` are text (RFC 9460 Appendix A.1).
fn value_list(octets: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut list = vec![Vec::new()];
    let mut rest = octets.iter();
    while let Some(&octet) = rest.next() {
        match octet {
            b',' => list.push(Vec::new()),
            b'\\' => list.last_mut()?.push(*rest.next().filter(|escaped| b",\\".contains(escaped))?),
            _ => list.last_mut()?.push(octet),
        }
    }
    Some(list)
}

/// LOC (RFC 1876 §3): `d [m [s]] N|S d [m [s]] E|W altitude[m] [size[m] [hp[m] [vp[m]]]]`.
fn location(words: &mut Words, wire: &mut Vec<u8>) -> Result<(), MasterError> {
    let latitude = angle(words, 90, ["N", "S"])?;
    let longitude = angle(words, 180, ["E", "W"])?;
    // Centimetres from 100 km below the reference spheroid.
    let altitude =
        words.value("an altitude in metres", |text| u32::try_from(fixed(metres(text), 2)? + 10_000_000).ok())?;
    wire.push(0);
    for default in [0x12, 0x16, 0x13] {
        wire.push(match words.peek() {
            Some(_) => words.value("a size in metres, up to 90000000", |text| size(metres(text)))?,
            None => default,
        });
    }
    for value in [latitude, longitude, altitude] {
        push_u32(wire, value);
    }
    Ok(())
}

/// Degrees, minutes, seconds and a hemisphere as thousandths of a second of arc from 2^31.
fn angle(words: &mut Words, most: i64, hemispheres: [&str; 2]) -> Result<u32, MasterError> {
    const EXPECTED: &str = "degrees, minutes and seconds before N or S, then before E or W";
    let sign = |words: &Words| {
        let text = words.peek()?.text;
        let [positive, negative] = hemispheres.map(|hemisphere| hemisphere.as_bytes().eq_ignore_ascii_case(text));
        (positive || negative).then_some(if positive { 1 } else { -1 })
    };
    let position = words.position();
    let part = |words: &mut Words, unit: i64, decimals, most| {
        let value = words.value(EXPECTED, |text| fixed(text, decimals).filter(|value| (0..=most).contains(value)))?;
        Ok(unit * value)
    };
    let mut angle = part(words, 3_600_000, 0, most)?;
    if sign(words).is_none() {
        angle += part(words, 60_000, 0, 59)?;
    }
    if sign(words).is_none() {
        angle += part(words, 1, 3, 59_999)?;
    }
    let sign = sign(words);
    let hemisphere = words.next(EXPECTED)?;
    let sign = sign.ok_or_else(|| unexpected(EXPECTED, hemisphere))?;
    let value = u32::try_from((1 << 31) + sign * angle).ok().filter(|_| angle <= most * 3_600_000);
    value.ok_or_else(|| Problem::AngleTooLarge { most }.at(position))
}

fn metres(text: &str) -> &str {
    text.strip_suffix(['m', 'M']).unwrap_or(text)
}

/// A decimal fraction times ten to the `decimals`, which are the most that may be given.
fn fixed(text: &str, decimals: u32) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let missing = decimals.checked_sub(u32::try_from(fraction.len()).ok()?)?;
    let digits = [whole, fraction].concat();
    // Ten digits hold the largest altitude in centimetres.
    if digits.len() > 10 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(sign * digits.parse::<i64>().ok()? * 10_i64.pow(missing))
}

/// Metres as a digit and a power of ten, of centimetres; further digits are lost (RFC 1876 §2).
fn size(text: &str) -> Option<u8> {
    const MOST: i64 = 9_000_000_000;
    let mut mantissa = fixed(text, 2).filter(|centimetres| (0..=MOST).contains(centimetres))?;
    let mut exponent = 0;
    while mantissa > 9 {
        mantissa /= 10;
        exponent += 1;
    }
    u8::try_from(mantissa << 4 | exponent).ok()
}
