//! DNS messages as text: questions to bytes, responses to lines.
//!
//! Nothing here uses kubezone. Requests are put together by hand, responses are
//! read twice: by a strict walker that knows nothing but RFC 1035 §4.1, and by
//! hickory-proto, which says what the records mean.

use std::fmt::Write as _;

use hickory_proto::op::{Message, MessageType};
use hickory_proto::rr::rdata::svcb::SVCB;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

/// The length of a DNS message's header.
pub(crate) const HEADER: usize = 12;

/// A name in wire form; `text` is absolute, with `\.` and `\DDD` as in master files (RFC 1035 §5.1).
pub(crate) fn name_to_wire(text: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut label = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                let first = bytes.next().expect("something after a backslash");
                if first.is_ascii_digit() {
                    let digits = [first, bytes.next().unwrap(), bytes.next().unwrap()];
                    label.push(std::str::from_utf8(&digits).unwrap().parse().expect("\\DDD"));
                } else {
                    label.push(first);
                }
            }
            b'.' => push_label(&mut wire, &mut label),
            other => label.push(other),
        }
    }
    assert!(label.is_empty(), "{text} is not absolute");
    wire.push(0);
    wire
}

fn push_label(wire: &mut Vec<u8>, label: &mut Vec<u8>) {
    if label.is_empty() {
        return; // the root's own dot
    }
    wire.push(u8::try_from(label.len()).unwrap());
    wire.append(label);
}

/// The opposite of [`name_to_wire`], with as few escapes as possible.
pub(crate) fn name_to_text(mut wire: &[u8]) -> String {
    let mut text = String::new();
    while let Some((&length, rest)) = wire.split_first().filter(|(length, _)| **length != 0) {
        let (label, rest) = rest.split_at(usize::from(length));
        for &byte in label {
            match byte {
                b'.' | b'\\' | b'"' | b';' => write!(text, "\\{}", char::from(byte)).unwrap(),
                0x21..=0x7e => text.push(char::from(byte)),
                other => write!(text, "\\{other:03}").unwrap(),
            }
        }
        text.push('.');
        wire = rest;
    }
    if text.is_empty() { ".".to_owned() } else { text }
}

fn text_of(name: &Name) -> String {
    let mut wire: Vec<u8> = name
        .iter()
        .flat_map(|label| std::iter::once(u8::try_from(label.len()).expect("at most 63")).chain(label.iter().copied()))
        .collect();
    wire.push(0);
    name_to_text(&wire)
}

/// A type by mnemonic or as `TYPEnnn`.
pub(crate) fn rtype(text: &str) -> RecordType {
    match text.strip_prefix("TYPE").map(str::parse::<u16>) {
        Some(Ok(number)) => RecordType::from(number),
        _ => text.parse().unwrap_or_else(|_| panic!("{text} is no type")),
    }
}

fn rtype_text(rtype: RecordType) -> String {
    match rtype {
        RecordType::Unknown(number) => format!("TYPE{number}"),
        known => known.to_string(),
    }
}

const CLASSES: [(&str, u16); 5] = [("IN", 1), ("CH", 3), ("HS", 4), ("NONE", 254), ("ANY", 255)];

const RCODES: [(u16, &str); 9] = [
    (0, "NOERROR"),
    (1, "FORMERR"),
    (2, "SERVFAIL"),
    (3, "NXDOMAIN"),
    (4, "NOTIMP"),
    (5, "REFUSED"),
    (6, "YXDOMAIN"),
    (9, "NOTAUTH"),
    (16, "BADVERS"),
];

/// A request to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// The message; its first two bytes are the sender's to fill.
    pub(crate) bytes: Vec<u8>,
    /// Whether it has an OPT record that a response answers with its own (RFC 6891 §6.1.1).
    pub(crate) edns: bool,
    /// The most bytes that a response over UDP may have.
    pub(crate) udp_limit: usize,
}

impl Question {
    /// A question as one would type it after `dig`: `NAME TYPE [CLASS] [+OPTION…]`, `name` absolute already.
    ///
    /// Options as dig has them: `+rd` `+ad` `+cd` `+z` `+do` `+noedns` `+bufsize=N` `+edns=VERSION` `+nsid`
    /// `+ednsopt=CODE[:HEX]` `+ednsflags=N` `+opcode=N` `+header-only`. As written: no flag, EDNS with 1232 bytes.
    pub(crate) fn dig(name: &str, rest: &[&str]) -> Self {
        let mut flags = 0u16;
        let (mut edns, mut bufsize, mut version, mut edns_flags, mut options) = (true, 1232u16, 0u8, 0u16, Vec::new());
        let (mut qtype, mut qclass, mut header_only) = (None, 1, false);
        for word in rest {
            let Some(option) = word.strip_prefix('+') else {
                match CLASSES.iter().find(|(class, _)| qtype.is_some() && class == word) {
                    Some((_, class)) => qclass = *class,
                    None => assert!(qtype.replace(u16::from(rtype(word))).is_none(), "two types: {rest:?}"),
                }
                continue;
            };
            let (option, value) = option.split_once('=').unwrap_or((option, ""));
            let number = || value.parse::<u16>().unwrap_or_else(|_| panic!("+{option} wants a number: {rest:?}"));
            match option {
                "rd" => flags |= 0x0100,
                "z" => flags |= 0x0040,
                "ad" => flags |= 0x0020,
                "cd" => flags |= 0x0010,
                "opcode" => flags |= number() << 11,
                "header-only" => header_only = true,
                "noedns" => edns = false,
                "bufsize" => bufsize = number(),
                "edns" => version = u8::try_from(number()).unwrap(),
                "do" => edns_flags |= 0x8000,
                "ednsflags" => edns_flags |= number(),
                "nsid" => push_option(&mut options, 3, &[]),
                "ednsopt" => {
                    let (code, data) = value.split_once(':').unwrap_or((value, ""));
                    push_option(&mut options, code.parse().unwrap(), &raw(data));
                }
                _ => panic!("+{option} is no option: {rest:?}"),
            }
        }
        let mut bytes = vec![0, 0];
        bytes.extend(flags.to_be_bytes());
        bytes.extend([0, u8::from(!header_only), 0, 0, 0, 0, 0, u8::from(edns)]);
        if !header_only {
            bytes.extend(name_to_wire(name));
            bytes.extend(qtype.expect("a type").to_be_bytes());
            bytes.extend(u16::to_be_bytes(qclass));
        }
        if edns {
            bytes.extend([0, 0, 41]);
            bytes.extend(bufsize.to_be_bytes());
            bytes.extend([0, version]);
            bytes.extend(edns_flags.to_be_bytes());
            bytes.extend(u16::try_from(options.len()).unwrap().to_be_bytes());
            bytes.extend(options);
        }
        let udp_limit = if edns { usize::from(bufsize.clamp(512, 1232)) } else { 512 };
        Self { bytes, edns, udp_limit }
    }

    /// A message byte by byte: hex digits, and names in quotes (`"www.k8s.ooo."`); `;` begins a comment.
    pub(crate) fn raw(text: &str) -> Self {
        Self { bytes: raw(text), edns: false, udp_limit: 1232 }
    }

    /// Gives the message its ID.
    pub(crate) fn set_id(&mut self, id: u16) {
        if let Some(place) = self.bytes.get_mut(..2) {
            place.copy_from_slice(&id.to_be_bytes());
        }
    }

    /// The bytes of the question section: name, type and class as they were sent.
    pub(crate) fn section(&self) -> &[u8] {
        let mut end = HEADER;
        while let Some(length) = self.bytes.get(end).filter(|length| **length != 0) {
            end += 1 + usize::from(*length);
        }
        self.bytes.get(HEADER..end + 5).unwrap_or(&[])
    }
}

fn push_option(options: &mut Vec<u8>, code: u16, data: &[u8]) {
    options.extend(code.to_be_bytes());
    options.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    options.extend(data);
}

fn raw(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in text.lines().flat_map(|line| line.split(';').next().unwrap_or("").split_whitespace()) {
        if let Some(name) = word.strip_prefix('"') {
            bytes.extend(name_to_wire(name.strip_suffix('"').expect("a closing quote")));
            continue;
        }
        assert!(word.len().is_multiple_of(2), "{word}: hex digits come in pairs");
        for pair in word.as_bytes().chunks(2) {
            let pair = std::str::from_utf8(pair).unwrap();
            bytes.push(u8::from_str_radix(pair, 16).unwrap_or_else(|_| panic!("{word} is not hex")));
        }
    }
    bytes
}

/// A response as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    /// The header's ID.
    pub(crate) id: u16,
    /// The header's opcode.
    pub(crate) opcode: u8,
    /// The RCODE's mnemonic, extended bits included.
    pub(crate) rcode: String,
    /// Those that are set of AA TC RD RA Z AD CD, then DO, in this order.
    pub(crate) flags: String,
    /// The bytes of the question section.
    pub(crate) question: Vec<u8>,
    /// ANSWER, AUTHORITY and ADDITIONAL without OPT: one line a record, sorted.
    pub(crate) sections: [Vec<String>; 3],
    /// The OPT record, if there is one.
    pub(crate) edns: Option<Edns>,
}

/// The OPT record of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edns {
    /// The EDNS version.
    pub(crate) version: u8,
    /// The size the server says it takes.
    pub(crate) bufsize: u16,
    /// Flags other than DO.
    pub(crate) other_flags: u16,
    /// The options: codes and data.
    pub(crate) options: Vec<(u16, Vec<u8>)>,
}

impl Response {
    /// Reads a response; what is wrong with it is the error.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        let question = walk(bytes)?;
        let message = Message::from_vec(bytes).map_err(|error| format!("hickory-proto cannot read it: {error}"))?;
        if message.metadata.message_type != MessageType::Response {
            return Err("QR is not set".to_owned());
        }
        // Taken from the bytes: hickory-proto does not keep Z.
        let header = u16::from_be_bytes([bytes[2], bytes[3]]);
        let bits =
            [(0x0400, "AA"), (0x0200, "TC"), (0x0100, "RD"), (0x80, "RA"), (0x40, "Z"), (0x20, "AD"), (0x10, "CD")];
        let mut flags: Vec<&str> = bits.iter().filter(|(bit, _)| header & bit != 0).map(|(_, flag)| *flag).collect();
        if message.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok) {
            flags.push("DO");
        }
        let rcode = u16::from(message.metadata.response_code);
        Ok(Self {
            id: message.metadata.id,
            opcode: bytes[2] >> 3 & 15,
            rcode: RCODES.iter().find(|(code, _)| *code == rcode).map_or(rcode.to_string(), |(_, text)| (*text).into()),
            flags: flags.join(" "),
            question: question.to_vec(),
            sections: [&message.answers, &message.authorities, &message.additionals].map(|records| lines(records)),
            edns: message.edns.as_ref().map(Edns::from_hickory),
        })
    }
}

impl Edns {
    fn from_hickory(edns: &hickory_proto::op::Edns) -> Self {
        let data = |option| Vec::try_from(option).expect("an option's bytes");
        Self {
            version: edns.version(),
            bufsize: edns.max_payload(),
            other_flags: edns.flags().z,
            options: (edns.options().options.iter()).map(|(code, option)| (u16::from(*code), data(option))).collect(),
        }
    }
}

fn lines(records: &[Record]) -> Vec<String> {
    let mut lines: Vec<String> = records.iter().map(line).collect();
    lines.sort();
    lines
}

fn line(record: &Record) -> String {
    let class = match record.dns_class {
        DNSClass::IN => String::new(),
        other => format!("{other} "),
    };
    let owner = text_of(&record.name).to_ascii_lowercase();
    format!("{owner} {} {class}{} {}", record.ttl, rtype_text(record.record_type()), rdata_text(&record.data))
}

/// RDATA as text. Names that may be compressed are in lower case: a pointer may lead to another spelling (RFC 4343 §4).
fn rdata_text(rdata: &RData) -> String {
    let lower = |name: &Name| text_of(name).to_ascii_lowercase();
    match rdata {
        RData::NS(name) => lower(&name.0),
        RData::CNAME(name) => lower(&name.0),
        RData::PTR(name) => lower(&name.0),
        RData::MX(mx) => format!("{} {}", mx.preference, lower(&mx.exchange)),
        RData::SOA(soa) => {
            let (mname, rname) = (lower(&soa.mname), lower(&soa.rname));
            format!("{mname} {rname} {} {} {} {} {}", soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum)
        }
        RData::SRV(srv) => format!("{} {} {} {}", srv.priority, srv.weight, srv.port, text_of(&srv.target)),
        RData::HTTPS(https) => svcb_text(&https.0),
        RData::SVCB(svcb) => svcb_text(svcb),
        RData::TXT(txt) => txt.txt_data.iter().map(|string| quoted(string)).collect::<Vec<_>>().join(" "),
        RData::CAA(caa) => format!("{} {} {}", caa.flags(), caa.tag, quoted(&caa.value)),
        RData::TSIG(tsig) => {
            let error = tsig.error.map_or(0, u16::from);
            let (mac, other) = (tsig.mac.len(), tsig.other.len());
            let algorithm = lower(&tsig.algorithm.to_name());
            format!("{algorithm} {} {} {mac} {} {error} {other}", tsig.time, tsig.fudge, tsig.oid)
        }
        RData::Unknown { code: RecordType::DNAME, rdata } => name_to_text(&rdata.anything),
        RData::Unknown { code: RecordType::DS, rdata } => {
            let ds = &rdata.anything;
            format!("{} {} {} {}", u16::from_be_bytes([ds[0], ds[1]]), ds[2], ds[3], hex(&ds[4..]))
        }
        RData::Unknown { rdata, .. } => format!("\\# {} {}", rdata.anything.len(), hex(&rdata.anything)),
        other => other.to_string(),
    }
}

fn svcb_text(svcb: &SVCB) -> String {
    let mut text = format!("{} {}", svcb.svc_priority, text_of(&svcb.target_name));
    for (key, value) in &svcb.svc_params {
        write!(text, " {key}={}", value.to_string().trim_end_matches(',')).unwrap();
    }
    text
}

fn quoted(string: &[u8]) -> String {
    let mut text = String::from("\"");
    for &byte in string {
        match byte {
            b'"' | b'\\' => write!(text, "\\{}", char::from(byte)).unwrap(),
            0x20..=0x7e => text.push(char::from(byte)),
            other => write!(text, "\\{other:03}").unwrap(),
        }
    }
    text + "\""
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// A record as a table expects it, as [`Response`] writes it: names absolute, one space between fields.
///
/// `text` is `OWNER TTL [CLASS] TYPE RDATA`; names may be relative to `origin`, `@` is the origin.
pub(crate) fn expected_line(text: &str, origin: &str) -> String {
    let mut words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    assert!(words.len() >= 3, "{text}: OWNER TTL TYPE RDATA");
    let ttl = &words[1];
    assert!(ttl.parse::<u32>().is_ok(), "{text}: the TTL comes after the owner");
    let at = if CLASSES.iter().any(|(class, _)| *class == words[2]) { 3 } else { 2 };
    // Which words of RDATA are names, and whether they may be compressed.
    let (names, lower): (&[usize], bool) = match words[at].as_str() {
        "NS" | "CNAME" | "PTR" => (&[1], true),
        "MX" => (&[2], true),
        "SOA" => (&[1, 2], true),
        "SRV" => (&[4], false),
        "HTTPS" | "SVCB" => (&[2], false),
        "DNAME" => (&[1], false),
        // As dig writes it: ALGORITHM TIME FUDGE, the MAC's length, ID ERROR, the other data's length.
        "TSIG" => (&[1], true),
        _ => (&[], false),
    };
    for name in names.iter().map(|name| at + name) {
        words[name] = absolute(&words[name], origin);
        if lower {
            words[name].make_ascii_lowercase();
        }
    }
    words[0] = absolute(&words[0], origin).to_ascii_lowercase();
    words.join(" ")
}

/// A name as master files write it, made absolute and spelled as [`name_to_text`] would.
pub(crate) fn absolute(name: &str, origin: &str) -> String {
    let whole = match name {
        "@" => origin.to_owned(),
        _ if name.ends_with('.') && !name.ends_with("\\.") => name.to_owned(),
        _ => format!("{name}.{}", origin.trim_start_matches('.')),
    };
    name_to_text(&name_to_wire(&whole))
}

/// Walks a response from its first byte to its last; returns the question section's bytes.
///
/// Stricter than a decoder has to be: counts are exact and nothing follows, pointers lead backwards only, names in
/// RDATA are compressed in the types of RFC 1035 only (RFC 3597 §4), OPT comes once, at the root, in ADDITIONAL, and
/// nothing comes behind TSIG.
pub(crate) fn walk(message: &[u8]) -> Result<&[u8], String> {
    let mut walker = Walker { message, at: 0 };
    let header: [u16; 6] = [walker.u16()?, walker.u16()?, walker.u16()?, walker.u16()?, walker.u16()?, walker.u16()?];
    for _ in 0..header[2] {
        walker.name(false)?;
        walker.skip(4)?;
    }
    let question = &message[HEADER..walker.at];
    let (mut opts, mut last) = (0, RecordType::ZERO);
    for (section, count) in header[3..].iter().enumerate() {
        for _ in 0..*count {
            if last == RecordType::TSIG {
                return Err("a record behind TSIG".to_owned());
            }
            last = walker.record()?;
            if last == RecordType::OPT && section != 2 {
                return Err("OPT outside of ADDITIONAL".to_owned());
            }
            opts += usize::from(last == RecordType::OPT);
        }
    }
    if opts > 1 {
        return Err(format!("{opts} OPT records"));
    }
    match message.len() - walker.at {
        0 => Ok(question),
        rest => Err(format!("{rest} bytes after the last record")),
    }
}

struct Walker<'a> {
    message: &'a [u8],
    at: usize,
}

impl Walker<'_> {
    fn skip(&mut self, bytes: usize) -> Result<(), String> {
        self.at += bytes;
        if self.at > self.message.len() {
            return Err(format!("ends {} bytes too early", self.at - self.message.len()));
        }
        Ok(())
    }

    fn u16(&mut self) -> Result<u16, String> {
        self.skip(2)?;
        Ok(u16::from_be_bytes([self.message[self.at - 2], self.message[self.at - 1]]))
    }

    /// Steps over a name; returns its length when uncompressed.
    fn name(&mut self, may_be_compressed: bool) -> Result<usize, String> {
        let (mut at, mut length, mut end) = (self.at, 0, None);
        // Every pointer must lead to before all that was read of this name.
        let mut before = self.at;
        loop {
            let first = usize::from(*self.message.get(at).ok_or("a name runs over the end")?);
            match first >> 6 {
                0 => {
                    length += 1 + first;
                    at += 1 + first;
                    if length > 255 {
                        return Err("a name of more than 255 bytes".to_owned());
                    }
                    if first == 0 {
                        break;
                    }
                }
                3 if may_be_compressed => {
                    let low = usize::from(*self.message.get(at + 1).ok_or("half a pointer")?);
                    let target = (first & 0x3f) << 8 | low;
                    if target >= before || target < HEADER {
                        return Err(format!("a pointer at {at} leads to {target}"));
                    }
                    end.get_or_insert(at + 2);
                    (at, before) = (target, target);
                }
                3 => return Err(format!("a compressed name at {at}")),
                _ => return Err(format!("a label of type {first:#04x} at {at}")),
            }
        }
        self.at = end.unwrap_or(at);
        self.skip(0)?;
        Ok(length)
    }

    /// Steps over a record; says of which type it is.
    fn record(&mut self) -> Result<RecordType, String> {
        let owner_length = self.name(true)?;
        let rtype = RecordType::from(self.u16()?);
        self.skip(6)?;
        let length = usize::from(self.u16()?);
        let end = self.at + length;
        let fixed =
            |expected: usize| if length == expected { Ok(()) } else { Err(format!("{rtype} of {length} bytes")) };
        match rtype {
            RecordType::A => fixed(4)?,
            RecordType::AAAA => fixed(16)?,
            RecordType::NS | RecordType::CNAME | RecordType::PTR => drop(self.name(true)?),
            RecordType::MX => {
                self.skip(2)?;
                self.name(true)?;
            }
            RecordType::SOA => {
                self.name(true)?;
                self.name(true)?;
                self.skip(20)?;
            }
            RecordType::DNAME => drop(self.name(false)?),
            RecordType::SRV => {
                self.skip(6)?;
                self.name(false)?;
            }
            RecordType::SVCB | RecordType::HTTPS => {
                self.skip(2)?;
                self.name(false)?;
                self.at = end;
            }
            RecordType::OPT if owner_length != 1 => return Err("an OPT record that is not the root's".to_owned()),
            _ => {}
        }
        if !matches!(rtype, RecordType::NS | RecordType::CNAME | RecordType::PTR | RecordType::MX)
            && !matches!(rtype, RecordType::SOA | RecordType::DNAME | RecordType::SRV)
        {
            self.at = end;
        }
        if self.at != end {
            return Err(format!("{rtype} says {length} bytes and has {}", self.at + length - end));
        }
        self.skip(0)?;
        Ok(rtype)
    }
}
