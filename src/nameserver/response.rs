//! Responses: a message put together section by section.
//!
//! The order is that of the wire, and what comes last is known first: room for
//! OPT is set aside before a record is written. What must be there and does not
//! fit gives [`Truncated`]; what may be there is written RRset by RRset while
//! there is room, and never sets TC (RFC 2181 §9).

use hickory_proto::rr::{DNSClass, RecordType};
use smallvec::SmallVec;

use super::request::{EDE, Edns, NSID, Query, TCP_KEEPALIVE, Tsig};
use super::{MAX_LINKS, MAX_TARGETS, MAX_UDP_PAYLOAD, PLAIN_UDP_PAYLOAD, Reply, TCP_IDLE_TIMEOUT, Transport, rcode};
use crate::zone::{Block, Frame, HashedName, MAX_NAME, QNAME_AT, Referral, RrSet, Zone, read_name_at, target_in};

/// An OPT record without options (RFC 6891 §6.1.2): root, TYPE, CLASS, TTL, RDLENGTH.
const OPT_LEN: usize = 11;

/// An option's code and length.
const OPTION_HEADER: usize = 4;

/// A record's TYPE, CLASS, TTL and RDLENGTH.
const FIXED_LEN: usize = 10;

/// Header bits (RFC 1035 §4.1.1).
const QR: u8 = 0x80;
const AA: u8 = 0x04;
const TC: u8 = 0x02;
const RD: u8 = 0x01;

/// TSIG's error for a key that the server does not have (RFC 8945 §5.2.1).
const BADKEY: u16 = 17;

/// Something required does not fit into the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Truncated;

/// An extended error (RFC 8914): of zones, in fixed sentences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ede {
    /// The zone is configured and was never loaded.
    NotReady,
    /// Transfers are not for everybody.
    Prohibited,
    /// The zone's data is older than it may be.
    InvalidData,
}

impl Ede {
    /// INFO-CODE, as RFC 8914 §4 numbers them.
    fn code(self) -> u16 {
        match self {
            Self::NotReady => 14,
            Self::Prohibited => 18,
            Self::InvalidData => 24,
        }
    }

    /// EXTRA-TEXT.
    fn text(self) -> &'static str {
        match self {
            Self::NotReady => "the zone has not been loaded yet",
            Self::Prohibited => "zone transfers are not offered",
            Self::InvalidData => "the zone has not heard from its source for too long",
        }
    }
}

/// The sections behind the question, in the order they are written.
#[derive(Debug, Clone, Copy)]
enum Section {
    Answer,
    Authority,
    Additional,
}

/// A response while it is put together.
#[derive(Debug)]
pub(super) struct Response<'o> {
    out: &'o mut Vec<u8>,
    /// Octets of header and question.
    question_end: usize,
    /// Octets at which ANSWER, AUTHORITY and ADDITIONAL but for OPT end at the latest.
    limit: usize,
    rcode: u16,
    /// The second octet of flags is the RCODE alone: RA, Z, AD and CD are 0.
    flags: u8,
    counts: [u16; 3],
    /// The request's, until OPT has been written.
    edns: Option<Edns>,
    ede: Option<Ede>,
    identity: &'o [u8],
    keepalive: bool,
    /// The name that the records written next are for.
    frame: Frame,
    /// The DNAME records in ANSWER, each by its block, and where its target stands.
    dnames: SmallVec<[(*const u8, usize); MAX_LINKS]>,
}

impl<'o> Response<'o> {
    /// Writes the response to a request whose question nobody answers: a header, and OPT if the request has one.
    pub(super) fn bare(request: &[u8], rcode: u16, edns: Option<Edns>, out: &mut Vec<u8>) -> Reply {
        out.clear();
        out.extend_from_slice(&request[..2]);
        // The opcode and RD are the request's.
        out.push(QR | request[2] & (0x78 | RD));
        out.push(u8::try_from(rcode).expect("a basic RCODE"));
        out.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, edns.is_some().into()]);
        if let Some(edns) = edns {
            write_opt(edns, rcode, out);
        }
        Reply { zone: None, qtype: None, rcode, keepalive: false }
    }

    /// Begins the response to `query`: header, question, and room for OPT.
    pub(super) fn begin(query: &Query<'_>, transport: Transport, identity: &'o [u8], out: &'o mut Vec<u8>) -> Self {
        out.clear();
        out.extend_from_slice(&query.id.to_be_bytes());
        out.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        out.extend_from_slice(query.question);

        let edns = query.edns;
        let size = match (transport, edns) {
            (Transport::Tcp, _) => u16::MAX,
            (Transport::Udp, None) => PLAIN_UDP_PAYLOAD,
            // RFC 6891 §6.2.3: sizes below 512 count as 512.
            (Transport::Udp, Some(edns)) => edns.payload.clamp(PLAIN_UDP_PAYLOAD, MAX_UDP_PAYLOAD),
        };
        let nsid = edns.is_some_and(|edns| edns.nsid) && !identity.is_empty();
        let keepalive = edns.is_some_and(|edns| edns.keepalive) && transport == Transport::Tcp;
        let mut response = Self {
            question_end: out.len(),
            out,
            limit: usize::from(size),
            rcode: 0,
            flags: QR | if query.rd { RD } else { 0 },
            counts: [0; 3],
            edns,
            ede: None,
            identity: if nsid { identity } else { &[] },
            keepalive,
            frame: Frame { start: QNAME_AT, len: u16::try_from(query.qname.wire().len()).expect("at most 255") },
            dnames: SmallVec::new(),
        };
        response.limit -= response.opt_len();
        response
    }

    /// Octets of the OPT record.
    fn opt_len(&self) -> usize {
        if self.edns.is_none() {
            return 0;
        }
        let nsid = if self.identity.is_empty() { 0 } else { OPTION_HEADER + self.identity.len() };
        let keepalive = if self.keepalive { OPTION_HEADER + 2 } else { 0 };
        OPT_LEN + nsid + keepalive
    }

    /// Gives the response an RCODE.
    pub(super) fn set_rcode(&mut self, rcode: u16) {
        self.rcode = rcode;
    }

    /// Says more about a failure to those who know EDNS.
    pub(super) fn explain(&mut self, ede: Ede) {
        self.ede = Some(ede);
    }

    /// The answer is this zone's own.
    pub(super) fn authoritative(&mut self) {
        self.flags |= AA;
    }

    /// The answer is another zone's: a referral.
    pub(super) fn not_authoritative(&mut self) {
        self.flags &= !AA;
    }

    /// Copies a block; gives where it begins.
    fn block(&mut self, block: Block<'_>, section: Section, records: u16) -> Result<usize, Truncated> {
        let at = self.out.len();
        if at + block.wire().len() > self.limit {
            return Err(Truncated);
        }
        block.write(self.frame, self.out);
        self.counts[section as usize] += records;
        Ok(at)
    }

    /// Writes the RRset that was asked for, and gives where; it is there already if it is a DNAME that has led to it.
    pub(super) fn answer(&mut self, block: Block<'_>) -> Result<Option<usize>, Truncated> {
        // What a wildcard's DNAME has led on as is its own; what it answers may be that of a name it stands in for.
        if self.target_of(block).is_some() && !block.stands_in(self.frame, self.out) {
            return Ok(None);
        }
        self.block(block, Section::Answer, block.records()).map(Some)
    }

    /// Writes a CNAME record; its target is the name that what follows is for.
    pub(super) fn alias(&mut self, block: Block<'_>) -> Result<HashedName, Truncated> {
        self.block(block, Section::Answer, 1)?;
        // The target is whole and ends the record.
        Ok(self.reframe(self.out.len() - rdata_len(block)))
    }

    /// Writes a DNAME record and the CNAME that it makes of `qname` (RFC 6672 §3.1); none if that name is too long.
    pub(super) fn redirect(&mut self, dname: RrSet<'_>, qname: &HashedName) -> Result<Option<HashedName>, Truncated> {
        let block = dname.block();
        let target_len = rdata_len(block);
        let target = match self.target_of(block) {
            Some(target) => target,
            None => {
                let target = self.block(block, Section::Answer, 1)? + block.wire().len() - target_len;
                self.dnames.push((block.wire().as_ptr(), target));
                target
            }
        };
        // What is left of QNAME's labels once the DNAME's owner is taken off.
        let prefix = qname.wire().len() - usize::from(block.owner_len());
        let len = prefix + target_len;
        if len > MAX_NAME {
            return Ok(None);
        }
        if self.out.len() + 2 + FIXED_LEN + len > self.limit {
            return Err(Truncated);
        }
        self.head(RecordType::CNAME, DNSClass::IN, dname.ttl(), len);
        let start = self.out.len();
        let frame = usize::from(self.frame.start);
        self.out.extend_from_within(frame..frame + prefix);
        self.out.extend_from_within(target..target + target_len);
        Ok(Some(self.reframe(start)))
    }

    /// Where the target of a DNAME record stands that was written before: chains may pass one twice.
    fn target_of(&self, dname: Block<'_>) -> Option<usize> {
        let written = |&&(wire, _): &&(*const u8, usize)| wire == dname.wire().as_ptr();
        self.dnames.iter().find(written).map(|&(_, target)| target)
    }

    /// Makes the name that stands whole at `start`, to the end of what was written, the frame of what follows.
    fn reframe(&mut self, start: usize) -> HashedName {
        let name = HashedName::read(&self.out[start..]).expect("an alias's target is a whole name");
        let offset = |at: usize| u16::try_from(at).expect("aliases take less than 9,000 octets");
        self.frame = Frame { start: offset(start), len: offset(name.wire().len()) };
        name
    }

    /// Writes the SOA record of a negative answer (RFC 2308 §2).
    pub(super) fn deny(&mut self, zone: &Zone) -> Result<(), Truncated> {
        self.block(zone.denial(), Section::Authority, 1)?;
        Ok(())
    }

    /// Writes a referral and its in-domain glue, all of it (RFC 9471 §3.1); gives where the NS records begin.
    pub(super) fn refer(&mut self, referral: &Referral) -> Result<usize, Truncated> {
        let at = self.block(referral.block(), Section::Authority, referral.nameservers())?;
        self.counts[Section::Additional as usize] += referral.glue();
        Ok(at)
    }

    /// Adds the addresses of the targets of the `records` records of type `rtype` at `at`, while there is room.
    ///
    /// Those that stand there already as in-domain glue are not repeated.
    pub(super) fn additional(&mut self, zone: &Zone, rtype: RecordType, at: usize, records: u16) {
        let Some(offset) = target_in(rtype) else { return };
        let referral = self.counts[Section::Authority as usize] != 0;
        let mut cut = referral.then(HashedName::root);
        if cut.as_mut().is_some_and(|cut| !read_name_at(self.out, at, cut)) {
            return;
        }
        let mut target = HashedName::root();
        let mut seen = [0; MAX_TARGETS];
        let mut targets = 0;
        let mut record = at;
        for _ in 0..records {
            let Some((rdata, end)) = record_at(self.out, record) else { return };
            record = end;
            let mut target_at = first_label(self.out, rdata + offset);
            if self.out[target_at] == 0 {
                // "." is no target (RFC 2782, RFC 7505), except for the owner in ServiceMode (RFC 9460 §2.5.2).
                let has_priority = matches!(rtype, RecordType::SVCB | RecordType::HTTPS);
                if !has_priority || self.out[rdata..rdata + 2] == [0, 0] {
                    continue;
                }
                target_at = usize::from(self.frame.start);
            }
            if !read_name_at(self.out, target_at, &mut target) {
                return;
            }
            let hash = target.whole().hash;
            if seen[..targets].contains(&hash) {
                continue;
            }
            if targets == MAX_TARGETS {
                return;
            }
            seen[targets] = hash;
            targets += 1;
            if cut.as_ref().is_some_and(|cut| target.is_within(cut.wire())) {
                continue;
            }
            // Beyond a pointer's reach there is no room in a datagram anyway.
            let Ok(start @ ..0x4000) = u16::try_from(target_at) else { return };
            let frame = Frame { start, len: u16::try_from(target.wire().len()).expect("at most 255") };
            for rrset in zone.addresses(&target, rtype == RecordType::NS) {
                self.optional(rrset, frame);
            }
        }
    }

    /// Writes an RRset into ADDITIONAL if there is room for it.
    fn optional(&mut self, rrset: RrSet<'_>, frame: Frame) {
        debug_assert!(matches!(rrset.rtype(), RecordType::A | RecordType::AAAA), "the frame may end in a pointer");
        let block = rrset.block();
        let question = std::mem::replace(&mut self.frame, frame);
        // Not there: resolvers ask for it if they need it.
        let _: Result<usize, Truncated> = self.block(block, Section::Additional, block.records());
        self.frame = question;
    }

    /// Answers `id.server CH TXT` (RFC 4892 §3.1).
    pub(super) fn identify(&mut self, identity: &[u8]) {
        let length = u8::try_from(identity.len()).expect("at most `MAX_IDENTITY`");
        self.authoritative();
        self.head(RecordType::TXT, DNSClass::CH, 0, identity.len() + 1);
        self.out.push(length);
        self.out.extend_from_slice(identity);
    }

    /// Says that the key of a request is not known here (RFC 8945 §5.2.1): no keys are.
    ///
    /// Who signs takes no unsigned answer, and would ask again and again. This one is unsigned because there is no key
    /// to sign it with (§5.3.2). It ends in a TSIG record, or is truncated where that does not fit.
    pub(super) fn bad_key(&mut self, request: &[u8], tsig: Tsig<'_>) {
        let mut key = HashedName::root();
        if !read_name_at(request, tsig.key_at, &mut key) {
            self.rcode = rcode::FORMERR;
            return;
        }
        self.rcode = rcode::NOTAUTH;
        let rdata_len = tsig.begin.len() + 8;
        if self.out.len() + key.wire().len() + FIXED_LEN + rdata_len > self.limit {
            return self.truncate();
        }
        if let Some(edns) = self.edns.take() {
            self.opt(edns);
        }
        self.out.extend_from_slice(key.wire());
        self.out.extend_from_slice(&u16::from(RecordType::TSIG).to_be_bytes());
        self.out.extend_from_slice(&u16::from(DNSClass::ANY).to_be_bytes());
        self.out.extend_from_slice(&[0; 4]);
        self.out.extend_from_slice(&u16::try_from(rdata_len).expect("at most 271").to_be_bytes());
        self.out.extend_from_slice(tsig.begin);
        // No MAC, and no other data.
        let [id1, id0] = tsig.original_id;
        let [e1, e0] = BADKEY.to_be_bytes();
        self.out.extend_from_slice(&[0, 0, id1, id0, e1, e0, 0, 0]);
        self.counts[Section::Additional as usize] += 1;
    }

    /// Writes what stands before the RDATA of a record in ANSWER that no block holds; the frame's name owns it.
    fn head(&mut self, rtype: RecordType, class: DNSClass, ttl: u32, rdata_len: usize) {
        self.out.extend_from_slice(&(0xc000 | self.frame.start).to_be_bytes());
        self.out.extend_from_slice(&u16::from(rtype).to_be_bytes());
        self.out.extend_from_slice(&u16::from(class).to_be_bytes());
        self.out.extend_from_slice(&ttl.to_be_bytes());
        self.out.extend_from_slice(&u16::try_from(rdata_len).expect("at most 255").to_be_bytes());
        self.counts[Section::Answer as usize] += 1;
    }

    /// Takes all records out again and says so: ask over TCP.
    pub(super) fn truncate(&mut self) {
        self.out.truncate(self.question_end);
        self.counts = [0; 3];
        self.flags |= TC;
    }

    /// Writes OPT and the header.
    pub(super) fn finish(mut self) -> Reply {
        let [extended, basic] = [self.rcode >> 4, self.rcode & 0xf];
        debug_assert!(extended == 0 || self.edns.is_some(), "an extended RCODE needs an OPT record");
        if let Some(edns) = self.edns.take() {
            self.opt(edns);
        }
        self.out[2] = self.flags;
        self.out[3] = u8::try_from(basic).expect("four bits");
        for (count, field) in self.counts.iter().zip(self.out[6..12].chunks_exact_mut(2)) {
            field.copy_from_slice(&count.to_be_bytes());
        }
        Reply { zone: None, qtype: None, rcode: self.rcode, keepalive: self.keepalive }
    }

    /// Writes the OPT record (RFC 6891 §6.1).
    fn opt(&mut self, edns: Edns) {
        write_opt(edns, self.rcode, self.out);
        let options = self.out.len();
        if !self.identity.is_empty() {
            self.option(NSID, &[self.identity]);
        }
        if self.keepalive {
            let tenths = u16::try_from(TCP_IDLE_TIMEOUT.as_millis() / 100).expect("less than two hours");
            self.option(TCP_KEEPALIVE, &[&tenths.to_be_bytes()]);
        }
        if let Some(ede) = self.ede {
            self.option(EDE, &[&ede.code().to_be_bytes(), ede.text().as_bytes()]);
        }
        let length = u16::try_from(self.out.len() - options).expect("less than 200 octets");
        self.out[options - 2..options].copy_from_slice(&length.to_be_bytes());
        self.counts[Section::Additional as usize] += 1;
    }

    fn option(&mut self, code: u16, parts: &[&[u8]]) {
        let length = parts.iter().map(|part| part.len()).sum::<usize>();
        self.out.extend_from_slice(&code.to_be_bytes());
        self.out.extend_from_slice(&u16::try_from(length).expect("an option of ours is short").to_be_bytes());
        for part in parts {
            self.out.extend_from_slice(part);
        }
    }
}

/// Writes an OPT record without options (RFC 6891 §6.1.2), version 0.
fn write_opt(edns: Edns, rcode: u16, out: &mut Vec<u8>) {
    let extended = u8::try_from(rcode >> 4).expect("an RCODE has twelve bits");
    let dnssec_ok = if edns.dnssec_ok { 0x80 } else { 0 };
    out.push(0);
    out.extend_from_slice(&u16::from(RecordType::OPT).to_be_bytes());
    out.extend_from_slice(&MAX_UDP_PAYLOAD.to_be_bytes());
    out.extend_from_slice(&[extended, 0, dnssec_ok, 0, 0, 0]);
}

/// The octets of RDATA of a block that is one record.
fn rdata_len(block: Block<'_>) -> usize {
    let owner = if block.owner_len() == 1 { 1 } else { 2 };
    block.wire().len() - owner - FIXED_LEN
}

/// Of the record at `at`, which this module wrote: where its RDATA begins, and where it ends.
fn record_at(message: &[u8], at: usize) -> Option<(usize, usize)> {
    // Owners are a pointer, or the root's single octet.
    let owner = if *message.get(at)? == 0 { 1 } else { 2 };
    let rdata = at + owner + FIXED_LEN;
    let length = u16::from_be_bytes([*message.get(rdata - 2)?, *message.get(rdata - 1)?]);
    Some((rdata, rdata + usize::from(length)))
}

/// Where the first label of the name at `at` stands, which may be a pointer and nothing else.
fn first_label(message: &[u8], at: usize) -> usize {
    match message.get(at..at + 2) {
        Some(&[high, low]) if high >= 0xc0 => usize::from(u16::from_be_bytes([high & 0x3f, low])),
        _ => at,
    }
}
