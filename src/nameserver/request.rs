//! Requests: what is read of a message before it is answered.
//!
//! Nothing is copied but the question's name, nothing is allocated, and no
//! count in the header is believed: every record is walked over, and takes
//! eleven octets of the message at least.

use hickory_proto::rr::RecordType;

use crate::zone::{HashedName, QNAME_AT};

/// The octets of a header (RFC 1035 §4.1.1).
const HEADER: usize = QNAME_AT as usize;

/// The type of OPT records (RFC 6891 §6.1.1).
const OPT: u16 = 41;

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

/// Why there is no question to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    /// No header, or a response: to answer would make a loop.
    NotAQuery,
    /// An opcode other than QUERY.
    Opcode,
    /// Not exactly one question, or one that cannot be read.
    Question,
}

/// Reads a request, its question's name into `qname`.
pub(super) fn parse<'a>(message: &'a [u8], qname: &'a mut HashedName) -> Result<Query<'a>, Problem> {
    let Some((header, body)) = message.split_at_checked(HEADER) else {
        return Err(Problem::NotAQuery);
    };
    let field = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    if header[2] & 0x80 != 0 {
        return Err(Problem::NotAQuery);
    }
    if header[2] & 0x78 != 0 {
        return Err(Problem::Opcode);
    }
    if field(4) != 1 {
        return Err(Problem::Question);
    }
    qname.set(body).map_err(|_| Problem::Question)?;
    let question = body.get(..qname.wire().len() + 4).ok_or(Problem::Question)?;
    let [.., t1, t0, c1, c0] = *question else {
        return Err(Problem::Question);
    };

    let mut rest = Records { message, at: HEADER + question.len(), edns: None };
    let well_formed = rest.skip(u32::from(field(6)) + u32::from(field(8))) && rest.additional(field(10));
    Ok(Query {
        id: field(0),
        rd: header[2] & 1 != 0,
        question,
        qname,
        qtype: RecordType::from(u16::from_be_bytes([t1, t0])),
        qclass: u16::from_be_bytes([c1, c0]),
        malformed: !well_formed || rest.at != message.len(),
        edns: rest.edns,
    })
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
}

impl<'a> Records<'a> {
    /// Walks over `count` records that say nothing to us; false where they are malformed.
    ///
    /// OPT belongs into ADDITIONAL only (RFC 6891 §6.1.1).
    fn skip(&mut self, count: u32) -> bool {
        (0..count).all(|_| self.next().is_some_and(|record| record.rtype != OPT))
    }

    /// Reads ADDITIONAL; false where it is malformed, or its OPT is.
    fn additional(&mut self, count: u16) -> bool {
        (0..count).all(|_| {
            let Some(record) = self.next() else { return false };
            if record.rtype != OPT {
                return true;
            }
            let second = self.edns.is_some();
            let (edns, well_formed) = read_edns(&record);
            self.edns.get_or_insert(edns);
            well_formed && !second
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
