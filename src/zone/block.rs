//! Blocks: pieces of responses, encoded once at publication.
//!
//! A [`Block`] is one RRset, referral or negative answer in wire form. It is
//! encoded against a *frame*: a name that stands whole, uncompressed, somewhere
//! in the message. The first frame is the question's name; an alias's target
//! is written whole and is the frame of what follows it.
//!
//! A block is kept as it looks at *home*: with its owner as the question, at
//! the head of the message, and itself right behind it. There it is copied as
//! it is. Anywhere else its compression pointers (RFC 1035 §4.1.4) move, and
//! where a pointer aims at home tells how:
//!
//! | aims at home at | means | moves with |
//! |---|---|---|
//! | the frame | a suffix of the frame's name | the frame's end |
//! | the frame's start, in a block of a wildcard | the name that the wildcard stands in for | the frame's start |
//! | the block | a name inside the block | the block's start |

use hickory_proto::rr::RecordType;
use smallvec::SmallVec;

use super::name::{self, HashedName};
use super::record::names_in;
use super::{Rdata, Record};

/// Where a message's first name stands: behind the header.
pub const QNAME_AT: u16 = 12;

/// QTYPE and QCLASS stand between the question's name and what follows.
const QUESTION_TAIL: u16 = 4;

/// Pointers have 14 bits (RFC 1035 §4.1.4).
const LAST_TARGET: usize = 0x3fff;

/// How far into a block a pointer may aim.
///
/// What stands before a block is at most a question and sixteen aliases, each a
/// DNAME and a CNAME whose targets are whole: under 9,000 bytes. Names further
/// inside are written out, so that a pointer never outgrows its 14 bits.
const LAST_INNER_TARGET: usize = 4096;

/// A name that stands whole in a message.
///
/// For blocks whose only pointers are their owners', such as those of
/// addresses, it may as well end in a pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Offset of its first octet in the message.
    pub start: u16,
    /// Its length in octets, the root label included.
    pub len: u16,
}

/// One RRset, referral or negative answer, ready to be copied into a message.
///
/// # Invariants
///
/// - `home`: `wire` is whole resource records as they stand behind the question for the block's owner.
/// - `pointers`: `pointers` holds, two octets each, big-endian and ascending, the offsets of all pointers in the first
///   65,535 octets (a larger block fits into no message, and is kept for dumps); each aims into the frame or, no further than `LAST_INNER_TARGET`, into the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block<'z> {
    wire: &'z [u8],
    pointers: &'z [u8],
    records: u16,
    owner_len: u8,
    wildcard: bool,
}

impl<'z> Block<'z> {
    /// The block that `extent` describes in `data`, encoded for a name of `owner_len` octets.
    pub(super) fn new(data: &'z [u8], extent: Extent, owner_len: u8, wildcard: bool) -> Self {
        let (wire, rest) = data[extent.at as usize..].split_at(extent.wire as usize);
        let pointers = &rest[..usize::from(extent.pointers) * 2];
        Self { wire, pointers, records: extent.records, owner_len, wildcard }
    }

    /// The wire form at home.
    #[must_use]
    pub fn wire(self) -> &'z [u8] {
        self.wire
    }

    /// How many resource records it holds.
    #[must_use]
    pub fn records(self) -> u16 {
        self.records
    }

    /// The length in octets of the name it was encoded for.
    #[must_use]
    pub fn owner_len(self) -> u16 {
        u16::from(self.owner_len)
    }

    /// The block as it is written where its owner stands in for nothing but itself: above the frame's name.
    pub(super) fn literal(self) -> Self {
        Self { wildcard: false, ..self }
    }

    /// Whether at `frame` of `message` it is written for a name that its owner, a wildcard, stands in for.
    #[must_use]
    pub fn stands_in(self, frame: Frame, message: &[u8]) -> bool {
        let is_itself = frame.len == self.owner_len() && name::is_wildcard(&message[usize::from(frame.start)..]);
        self.wildcard && !is_itself
    }

    /// Appends the block to `message`, encoded against `frame`.
    ///
    /// The frame's name is the block's owner or below it; for a block of a
    /// wildcard, the name that the wildcard stands in for.
    pub fn write(self, frame: Frame, message: &mut Vec<u8>) {
        let start = message.len();
        message.extend_from_slice(self.wire);
        let home = Frame { start: QNAME_AT, len: self.owner_len() };
        if frame != home || start != usize::from(self.home_start()) {
            self.relocate(frame, start, message);
        }
    }

    /// Lets the pointers of the block at `start` of `message` aim where its names are there.
    fn relocate(self, frame: Frame, start: usize, message: &mut [u8]) {
        let home_end = QNAME_AT + self.owner_len();
        for pointer in self.pointers.chunks_exact(2) {
            let at = start + usize::from(u16::from_be_bytes([pointer[0], pointer[1]]));
            let aim = u16::from_be_bytes([message[at], message[at + 1]]) & 0x3fff;
            let aim = if aim >= home_end {
                start + usize::from(aim - self.home_start())
            } else if self.wildcard && aim == QNAME_AT {
                usize::from(frame.start)
            } else {
                usize::from(frame.start + frame.len - (home_end - aim))
            };
            debug_assert!(aim <= LAST_TARGET, "{aim} is out of a pointer's reach");
            message[at..at + 2].copy_from_slice(&pointer_to(aim));
        }
    }

    /// Where the block begins at home.
    fn home_start(self) -> u16 {
        QNAME_AT + self.owner_len() + QUESTION_TAIL
    }

    /// The records it stands for, `owner` being the name it was encoded for.
    #[must_use]
    pub fn decode(self, owner: &[u8]) -> Vec<Record> {
        let mut message = vec![0; usize::from(QNAME_AT)];
        message.extend_from_slice(owner);
        message.extend_from_slice(&[0; QUESTION_TAIL as usize]);
        let mut at = message.len();
        message.extend_from_slice(self.wire);
        (0..self.records).map(|_| decode_record(&message, &mut at)).collect()
    }
}

/// Where a block lies in the data of what keeps it: its wire form, and right behind it its pointers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) at: u32,
    pub(super) wire: u32,
    /// How many pointers.
    pub(super) pointers: u16,
    pub(super) records: u16,
}

/// Replaces the serial of the SOA record that ends the wire form of the block at `extent` (RFC 1035 §3.3.13).
pub(super) fn set_serial(data: &mut [u8], extent: Extent, serial: u32) {
    // SERIAL, REFRESH, RETRY, EXPIRE, MINIMUM end the RDATA, four octets each.
    let at = (extent.at + extent.wire) as usize - 20;
    data[at..at + 4].copy_from_slice(&serial.to_be_bytes());
}

/// A block that stands alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OwnedBlock {
    data: Box<[u8]>,
    extent: Extent,
    owner_len: u8,
    wildcard: bool,
}

impl OwnedBlock {
    pub(super) fn as_block(&self) -> Block<'_> {
        Block::new(&self.data, self.extent, self.owner_len, self.wildcard)
    }

    /// How long its data is.
    pub(super) fn octets(&self) -> usize {
        self.data.len()
    }

    pub(super) fn set_serial(&mut self, serial: u32) {
        set_serial(&mut self.data, self.extent, serial);
    }
}

/// A pointer's two octets.
#[expect(clippy::cast_possible_truncation, reason = "callers see to it that it is at most LAST_TARGET")]
fn pointer_to(offset: usize) -> [u8; 2] {
    (0xc000 | offset as u16).to_be_bytes()
}

/// Reads the record at `at` of a message that this module wrote, and moves `at` behind it.
fn decode_record(message: &[u8], at: &mut usize) -> Record {
    let (owner, end) = expand(message, *at).expect("a block's owner is a name");
    let field = |from: usize, len: usize| &message[end + from..end + from + len];
    let number = |from| u16::from_be_bytes(field(from, 2).try_into().expect("two octets"));
    let rtype = RecordType::from(number(0));
    let ttl = u32::from_be_bytes(field(4, 4).try_into().expect("four octets"));
    let start = end + 10;
    *at = start + usize::from(number(8));

    let mut rdata = Vec::new();
    let mut from = start;
    let layout = names_in(rtype);
    if layout.compressible {
        rdata.extend_from_slice(&message[from..from + layout.prefix]);
        from += layout.prefix;
        for _ in 0..layout.names {
            let (target, behind) = expand(message, from).expect("a block's RDATA holds names");
            rdata.extend_from_slice(&target);
            from = behind;
        }
    }
    rdata.extend_from_slice(&message[from..*at]);
    Record { owner: name::name(&owner), ttl, rtype, rdata: Rdata::from_wire(rdata) }
}

/// The name at `at` of `message` with its pointers followed, and the offset behind it.
///
/// Pointers aim backwards, and labels fill up the room of the longest name: so this ends.
#[must_use]
pub(super) fn expand(message: &[u8], at: usize) -> Option<(Vec<u8>, usize)> {
    let mut buffer = [0; name::MAX_NAME];
    let (len, end) = expand_into(message, at, &mut buffer)?;
    Some((buffer[..len].to_vec(), end))
}

/// As [`expand`], into `buffer`: the name's length, and the offset behind it in `message`.
fn expand_into(message: &[u8], mut at: usize, buffer: &mut [u8; name::MAX_NAME]) -> Option<(usize, usize)> {
    let mut len = 0;
    let mut end = None;
    loop {
        let length = usize::from(*message.get(at)?);
        match length {
            0 => {
                *buffer.get_mut(len)? = 0;
                return Some((len + 1, end.unwrap_or(at + 1)));
            }
            1..64 => {
                let label = message.get(at..=at + length)?;
                buffer.get_mut(len..len + label.len())?.copy_from_slice(label);
                len += label.len();
                at += label.len();
            }
            192.. => {
                let aim = usize::from(u16::from_be_bytes([message[at], *message.get(at + 1)?]) & 0x3fff);
                if aim >= at {
                    return None;
                }
                end.get_or_insert(at + 2);
                at = aim;
            }
            _ => return None,
        }
    }
}

/// Makes `name` the name at `at` of `message`; false where there is none. Nothing is allocated.
#[must_use]
pub fn read_name_at(message: &[u8], at: usize, name: &mut HashedName) -> bool {
    let mut buffer = [0; name::MAX_NAME];
    expand_into(message, at, &mut buffer).is_some_and(|(len, _)| name.set(&buffer[..len]).is_ok())
}

/// Puts resource records together into a [`Block`].
#[derive(Debug)]
pub(super) struct Encoder<'o> {
    /// The name the block is for, lower-case wire form: the frame at home.
    owner: &'o [u8],
    wildcard: bool,
    wire: SmallVec<[u8; 128]>,
    pointers: SmallVec<[u16; 8]>,
    records: u16,
}

impl<'o> Encoder<'o> {
    /// An empty block for `owner`, in lower-case wire form.
    pub(super) fn new(owner: &'o [u8]) -> Self {
        Self { owner, wildcard: name::is_wildcard(owner), wire: SmallVec::new(), pointers: SmallVec::new(), records: 0 }
    }

    /// Appends a record that the block's own name owns.
    pub(super) fn record(&mut self, rtype: RecordType, ttl: u32, rdata: &Rdata) {
        // A pointer to the root would be longer than the root.
        match self.owner {
            [0] => self.wire.push(0),
            _ => self.pointer(usize::from(QNAME_AT)),
        }
        self.body(rtype, ttl, rdata);
    }

    /// Appends a record owned by the name that stands at `at` of the block, or by `owner` where that is out of reach.
    pub(super) fn record_of(&mut self, at: usize, owner: &[u8], rtype: RecordType, ttl: u32, rdata: &Rdata) {
        if owner == self.owner {
            self.pointer(usize::from(QNAME_AT));
        } else if at > LAST_INNER_TARGET {
            self.wire.extend_from_slice(owner);
        } else {
            self.pointer(usize::from(QNAME_AT + QUESTION_TAIL) + self.owner.len() + at);
        }
        self.body(rtype, ttl, rdata);
    }

    /// TYPE, CLASS, TTL, RDLENGTH and RDATA; gives where the RDATA begins in the block.
    #[expect(clippy::cast_possible_truncation, reason = "RDATA is at most 65,535 octets, and compression shortens it")]
    fn body(&mut self, rtype: RecordType, ttl: u32, rdata: &Rdata) {
        self.wire.extend_from_slice(&u16::from(rtype).to_be_bytes());
        self.wire.extend_from_slice(&1_u16.to_be_bytes());
        self.wire.extend_from_slice(&ttl.to_be_bytes());
        let length_at = self.wire.len();
        self.wire.extend_from_slice(&[0, 0]);
        self.rdata(rtype, rdata.wire());
        let length = (self.wire.len() - length_at - 2) as u16;
        self.wire[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
        self.records += 1;
    }

    /// RDATA, its names compressed where RFC 3597 §4 lets them be.
    ///
    /// Never an alias's target: it is to be the next frame, and so it stands whole.
    fn rdata(&mut self, rtype: RecordType, rdata: &[u8]) {
        let layout = names_in(rtype);
        if !layout.compressible || rtype == RecordType::CNAME {
            self.wire.extend_from_slice(rdata);
            return;
        }
        let (prefix, mut rest) = rdata.split_at(layout.prefix);
        self.wire.extend_from_slice(prefix);
        for _ in 0..layout.names {
            let len = name::len(rest).expect("well-formed RDATA");
            let (target, behind) = rest.split_at(len);
            self.name(target);
            rest = behind;
        }
        self.wire.extend_from_slice(rest);
    }

    /// A name, the longest suffix that it shares with the block's owner replaced by a pointer.
    fn name(&mut self, target: &[u8]) {
        let lower = target.to_ascii_lowercase();
        let mut suffix = &lower[..];
        while suffix.len() > 1 {
            // The name that a wildcard stands in for is not the wildcard.
            let shared = name::is_within(self.owner, suffix) && !(self.wildcard && suffix == self.owner);
            if shared {
                self.wire.extend_from_slice(&target[..target.len() - suffix.len()]);
                self.pointer(usize::from(QNAME_AT) + self.owner.len() - suffix.len());
                return;
            }
            suffix = name::parent(suffix).expect("not the root");
        }
        self.wire.extend_from_slice(target);
    }

    fn pointer(&mut self, aim: usize) {
        // What is further inside is larger than any message, and never relocated.
        self.pointers.extend(u16::try_from(self.wire.len()));
        self.wire.extend_from_slice(&pointer_to(aim));
    }

    /// Where the next record will begin in the block.
    pub(super) fn len(&self) -> usize {
        self.wire.len()
    }

    /// How many records it holds so far.
    pub(super) fn records(&self) -> u16 {
        self.records
    }

    /// How many octets it adds to what it is appended to.
    pub(super) fn octets(&self) -> usize {
        self.wire.len() + 2 * self.pointers.len()
    }

    /// Appends the block to `data`, and tells where.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "at most 65,535 records of as many octets, and a pointer takes two"
    )]
    pub(super) fn append_to<A: smallvec::Array<Item = u8>>(&self, data: &mut SmallVec<A>) -> Extent {
        let (at, wire, pointers) = (data.len() as u32, self.wire.len() as u32, self.pointers.len() as u16);
        data.extend_from_slice(&self.wire);
        for offset in &self.pointers {
            data.extend_from_slice(&offset.to_be_bytes());
        }
        Extent { at, wire, pointers, records: self.records }
    }

    /// The block alone.
    pub(super) fn finish(self) -> OwnedBlock {
        let owner_len = u8::try_from(self.owner.len()).expect("a name is at most 255 octets");
        let wildcard = self.wildcard;
        let mut data = SmallVec::<[u8; 128]>::with_capacity(self.octets());
        let extent = self.append_to(&mut data);
        OwnedBlock { data: data.into_boxed_slice(), extent, owner_len, wildcard }
    }
}
