//! Requests: what is read of a message before it is answered.
//!
//! Nothing is copied but the question's name, nothing is allocated, and no
//! count in the header is believed: every record is walked over, and takes
//! eleven octets of the message at least.

use hickory_proto::rr::RecordType;

use crate::zone::{HashedName, MAX_NAME, QNAME_AT};

/// The octets of a header (RFC 1035 §4.1.1).
const HEADER: usize = QNAME_AT as usize;

/// The type of OPT records (RFC 6891 §6.1.1).
const OPT: u16 = 41;

/// The type of TSIG records (RFC 8945 §4.2).
const TSIG: u16 = 250;

/// Option codes, as IANA's registry of DNS parameters lists them.
pub(super) const NSID: u16 = 3;
pub(super) const TCP_KEEPALIVE: u16 = 11;
pub(super) const EDE: u16 = 15;

/// What a question says, and what came with it.
#[derive(Debug)]
pub(super) struct Query<'a> {
    /// The header's ID.
    pub(super) id: u16,
    /// Recursion desired: copied, and otherwise ignored.
    pub(super) rd: bool,
    /// QNAME, QTYPE and QCLASS as they came, to be echoed.
    pub(super) question: &'a [u8],
    pub(super) qname: &'a HashedName,
    pub(super) qtype: RecordType,
    pub(super) qclass: u16,
    /// The OPT record, if there is one; the first of several.
    pub(super) edns: Option<Edns>,
    /// The TSIG record that ends the message, if there is one.
    pub(super) tsig: Option<Tsig<'a>>,
    /// What follows the question does not parse to the message's end.
    pub(super) malformed: bool,
}

/// What an OPT record says (RFC 6891 §6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edns {
    pub(super) version: u8,
    /// The requestor's UDP payload size in octets.
    pub(super) payload: u16,
    /// DNSSEC OK (RFC 3225): copied.
    pub(super) dnssec_ok: bool,
    /// NSID was asked for (RFC 5001).
    pub(super) nsid: bool,
    /// edns-tcp-keepalive was asked for (RFC 7828).
    pub(super) keepalive: bool,
}

/// What a response repeats of a TSIG record (RFC 8945 §5.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tsig<'a> {
    /// Where in the message the key's name stands.
    pub(super) key_at: usize,
    /// The algorithm's name, Time Signed and Fudge: what RDATA begins with.
    pub(super) begin: &'a [u8],
    /// The ID that was signed.
    pub(super) original_id: [u8; 2],
}

/// Why there is no question to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    /// No header, or a response: to answer would make a loop.
    NotAQuery,
    /// An opcode other than QUERY; with the OPT record, if there is one.
    Opcode(Option<Edns>),
    /// Not exactly one question, or one that cannot be read; with the OPT record, if there is one.
    Question(Option<Edns>),
}

/// Reads a request, its question's name into `qname`.
pub(super) fn parse<'a>(message: &'a [u8], qname: &'a mut HashedName) -> Result<Query<'a>, Problem> {
    let Some((header, body)) = message.split_at_checked(HEADER) else {
        return Err(Problem::NotAQuery);
    };
    if header[2] & 0x80 != 0 {
        return Err(Problem::NotAQuery);
    }
    if header[2] & 0x78 != 0 {
        return Err(Problem::Opcode(edns_of(message)));
    }
    let question = match field(header, 4) {
        1 if qname.set(body).is_ok() => body.get(..qname.wire().len() + 4),
        _ => None,
    };
    let Some(question @ &[.., t1, t0, c1, c0]) = question else {
        return Err(Problem::Question(edns_of(message)));
    };

    let mut rest = Records { message, at: HEADER + question.len(), edns: None, tsig: None };
    let well_formed = rest.read();
    Ok(Query {
        id: field(header, 0),
        rd: header[2] & 1 != 0,
        question,
        qname,
        qtype: RecordType::from(u16::from_be_bytes([t1, t0])),
        qclass: u16::from_be_bytes([c1, c0]),
        malformed: !well_formed || rest.at != message.len(),
        edns: rest.edns,
        tsig: rest.tsig,
    })
}

/// The OPT record of a message whose question nobody answers, if that can be found.
///
/// Whoever sends one has to get one back (RFC 6891 §6.1.1), with an error, too.
fn edns_of(message: &[u8]) -> Option<Edns> {
    let mut rest = Records { message, at: HEADER, edns: None, tsig: None };
    let _ = rest.skip_questions(field(message, 4)) && rest.read();
    rest.edns
}

/// The two octets at `at` of a header.
fn field(header: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([header[at], header[at + 1]])
}

/// A record's fixed part, and where it stands.
struct Fixed<'a> {
    root: bool,
    rtype: u16,
    class: u16,
    ttl: [u8; 4],
    rdata: &'a [u8],
}

/// The records behind the question.
struct Records<'a> {
    message: &'a [u8],
    at: usize,
    edns: Option<Edns>,
    tsig: Option<Tsig<'a>>,
}

impl<'a> Records<'a> {
    /// Walks over `count` questions; false where they are malformed.
    fn skip_questions(&mut self, count: u16) -> bool {
        (0..count).all(|_| {
            let end = skip_name(self.message, self.at).map(|name| name + 4).filter(|end| *end <= self.message.len());
            self.at = end.unwrap_or(self.at);
            end.is_some()
        })
    }

    /// Reads all records; false where they are malformed.
    fn read(&mut self) -> bool {
        let count = |at| field(self.message, at);
        let (unread, additional) = (u32::from(count(6)) + u32::from(count(8)), count(10));
        self.skip(unread) && self.additional(additional)
    }

    /// Walks over `count` records that say nothing to us; false where they are malformed.
    ///
    /// OPT and TSIG belong into ADDITIONAL only (RFC 6891 §6.1.1, RFC 8945 §5.1).
    fn skip(&mut self, count: u32) -> bool {
        (0..count).all(|_| self.next().is_some_and(|record| record.rtype != OPT && record.rtype != TSIG))
    }

    /// Reads ADDITIONAL; false where it is malformed, or its OPT or TSIG is.
    fn additional(&mut self, count: u16) -> bool {
        (1..=count).all(|nth| {
            let key_at = self.at;
            let Some(record) = self.next() else { return false };
            match record.rtype {
                OPT => {
                    let second = self.edns.is_some();
                    let (edns, well_formed) = read_edns(&record);
                    self.edns.get_or_insert(edns);
                    well_formed && !second
                }
                TSIG => {
                    self.tsig = read_tsig(key_at, &record);
                    // The last record of all: so there is one at most (RFC 8945 §5.1).
                    self.tsig.is_some() && nth == count
                }
                _ => true,
            }
        })
    }

    /// The record at `at`, which moves behind it.
    fn next(&mut self) -> Option<Fixed<'a>> {
        let start = self.at;
        let fixed = skip_name(self.message, start)?;
        let [t1, t0, c1, c0, ttl @ .., l1, l0] = *self.message.get(fixed..)?.first_chunk::<10>()?;
        let end = fixed + 10 + usize::from(u16::from_be_bytes([l1, l0]));
        let rdata = self.message.get(fixed + 10..end)?;
        self.at = end;
        Some(Fixed {
            root: self.message[start] == 0,
            rtype: u16::from_be_bytes([t1, t0]),
            class: u16::from_be_bytes([c1, c0]),
            ttl,
            rdata,
        })
    }
}

/// The offset behind the name at `at`, which may end in a pointer to an earlier place.
fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    let start = at;
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length @ 1..64 => at += 1 + usize::from(length),
            high @ 192.. => {
                let aim = usize::from(u16::from_be_bytes([high & 0x3f, *message.get(at + 1)?]));
                return (aim >= HEADER && aim < start).then_some(at + 2);
            }
            _ => return None,
        }
    }
}

/// Reads an OPT record, and says whether it is well-formed: the root's, its options filling its RDATA.
///
/// One that is not was sent by somebody who knows EDNS all the same. The FORMERR has to have an OPT record, too: a
/// response without one says that this server does not know EDNS (RFC 6891 §6.1.1).
fn read_edns(record: &Fixed<'_>) -> (Edns, bool) {
    let [_, version, flags, _] = record.ttl;
    let mut edns = Edns { version, payload: record.class, dnssec_ok: flags & 0x80 != 0, nsid: false, keepalive: false };
    let well_formed = record.root && read_options(record.rdata, &mut edns).is_some();
    (edns, well_formed)
}

/// Notes the options that mean something to us; none when they do not end where `options` ends.
fn read_options(mut options: &[u8], edns: &mut Edns) -> Option<()> {
    while !options.is_empty() {
        let [c1, c0, l1, l0] = *options.first_chunk::<4>()?;
        let length = usize::from(u16::from_be_bytes([l1, l0]));
        options = options.get(4 + length..)?;
        match u16::from_be_bytes([c1, c0]) {
            NSID => edns.nsid = true,
            TCP_KEEPALIVE => edns.keepalive = true,
            _ => {}
        }
    }
    Some(())
}

/// Reads a TSIG record (RFC 8945 §4.2); none when it is malformed.
fn read_tsig<'a>(key_at: usize, record: &Fixed<'a>) -> Option<Tsig<'a>> {
    /// TSIG is of class ANY.
    const ANY: u16 = 255;

    // Not compressed: in RDATA alone there is nothing to aim at.
    let algorithm = skip_name(record.rdata, 0).filter(|length| *length <= MAX_NAME)?;
    // Time Signed and Fudge.
    let (begin, rest) = record.rdata.split_at_checked(algorithm + 8)?;
    let (mac_size, rest) = rest.split_first_chunk()?;
    let (_, rest) = rest.split_at_checked(u16::from_be_bytes(*mac_size).into())?;
    let (&original_id, rest) = rest.split_first_chunk()?;
    // Error, then Other Len.
    let (&[_, _, o1, o0], other) = rest.split_first_chunk()?;
    let other_len = usize::from(u16::from_be_bytes([o1, o0]));
    let well_formed = record.class == ANY && record.ttl == [0; 4] && other.len() == other_len;
    well_formed.then_some(Tsig { key_at, begin, original_id })
}
