//! Nodes: what one name of a zone owns.

use std::ops::Deref;
use std::ptr;

use hickory_proto::rr::RecordType;
use smallvec::SmallVec;
use triomphe::{Arc, HeaderSliceWithLengthProtected, ThinArc};

use super::block::{self, Block, Encoder, Extent, OwnedBlock};
use super::build::canonical_key;
use super::name::{self, HashedName, Suffix};
use super::{Answer, Record};

/// All records of one type that a name owns (RFC 2181 §5), ready to be copied into ANSWER.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RrSet<'z> {
    rtype: RecordType,
    ttl: u32,
    block: Block<'z>,
}

impl<'z> RrSet<'z> {
    /// The records' type.
    #[must_use]
    pub fn rtype(self) -> RecordType {
        self.rtype
    }

    /// The records' TTL in seconds: one for all of them (RFC 2181 §5.2).
    #[must_use]
    pub fn ttl(self) -> u32 {
        self.ttl
    }

    /// The RRset as an ancestor of the name in question owns it.
    pub(super) fn literal(self) -> Self {
        Self { block: self.block.literal(), ..self }
    }

    /// The records in wire form.
    #[must_use]
    pub fn block(self) -> Block<'z> {
        self.block
    }
}

/// A delegation: what a zone says about names at or below a cut (RFC 1034 §4.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referral {
    /// The cut's NS records for AUTHORITY, and right behind them the in-domain glue for ADDITIONAL:
    /// every address that this zone knows for name servers at or below the cut (RFC 9471 §3.1).
    pub(super) block: OwnedBlock,
    /// How many of the block's records are NS records.
    pub(super) nameservers: u16,
    /// Whether one of the name servers is neither at nor below the cut.
    pub(super) has_others: bool,
    /// What the zone's data holds at and below the cut beside NS and DS at the cut itself, ascending by wire form:
    /// glue, and data that is hidden by the cut.
    pub(super) below: Box<[Node]>,
}

impl Referral {
    /// The NS records, and behind them the glue.
    #[must_use]
    pub fn block(&self) -> Block<'_> {
        self.block.as_block()
    }

    /// How many of the block's records are NS records, for AUTHORITY.
    #[must_use]
    pub fn nameservers(&self) -> u16 {
        self.nameservers
    }

    /// Whether there are name servers neither at nor below the cut, whose addresses are not in the block.
    #[must_use]
    pub fn has_others(&self) -> bool {
        self.has_others
    }

    /// How many of the block's records are glue, for ADDITIONAL.
    #[must_use]
    pub fn glue(&self) -> u16 {
        self.block().records() - self.nameservers
    }

    /// What is known of the name at or below the cut whose lower-case wire form is `owner`.
    pub(super) fn hidden(&self, owner: &[u8]) -> Option<&Node> {
        self.below.binary_search_by(|node| node.owner().cmp(owner)).ok().map(|found| &self.below[found])
    }
}

/// Where an RRset lies in its node's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Set {
    rtype: RecordType,
    ttl: u32,
    extent: Extent,
}

/// An RRset on its way into a node: its type, its TTL and its records.
pub(super) type Encoded<'o> = (RecordType, u32, Encoder<'o>);

/// A name that exists; versions of a zone share it.
///
/// All of it lies in one piece of memory: what it is, then its owner and its
/// blocks; and what most nodes own, one RRset, is described in place. An answer
/// waits for memory once, not for one piece that leads to the next.
///
/// # Invariants
///
/// - `ascending`: `sets` is in ascending order of type, one of each.
/// - `cname-alone`: beside a CNAME there are only RRSIG and NSEC (RFC 2181 §10.1, RFC 4034 §3, §4).
/// - `cut`: with `referral`, `sets` holds no more than the parent's side of a cut owns: DS, NSEC, RRSIG.
/// - `data`: what follows the head is the owner in lower-case wire form, then the blocks of `sets`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node(ThinArc<Head, u8>);

/// What a node is, in front of its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// The hash of the owner.
    pub(super) hash: u64,
    /// How many nodes are directly below this one.
    pub(super) children: u32,
    owner_len: u8,
    sets: SmallVec<[Set; 1]>,
    /// The zone's cut here.
    pub(super) referral: Option<Box<Referral>>,
}

impl Deref for Node {
    type Target = Head;

    fn deref(&self) -> &Head {
        &self.0.header.header
    }
}

impl Node {
    /// The node of `owner`, so far without anything below it; `rrsets` ascend by type.
    #[expect(clippy::cast_possible_truncation, reason = "a name is at most 255 octets")]
    pub(super) fn new(owner: Suffix<'_>, rrsets: &[Encoded<'_>], referral: Option<Box<Referral>>) -> Self {
        let blocks: usize = rrsets.iter().map(|(.., block)| block.octets()).sum();
        // On the stack where it is short, as most are: it is copied behind the head.
        let mut data = SmallVec::<[u8; 256]>::with_capacity(owner.wire.len() + blocks);
        data.extend_from_slice(owner.wire);
        let set = |(rtype, ttl, block): &Encoded| Set { rtype: *rtype, ttl: *ttl, extent: block.append_to(&mut data) };
        let sets = rrsets.iter().map(set).collect();
        let owner_len = owner.wire.len() as u8;
        let head = Head { hash: owner.hash, children: 0, owner_len, sets, referral };
        Self(ThinArc::from_header_and_slice(head, &data))
    }

    /// Its head and its data, to be changed; whoever shares it keeps what it was.
    fn change(&mut self, change: impl FnOnce(&mut HeaderSliceWithLengthProtected<Head, u8>)) {
        self.0.with_arc_mut(|shared| {
            if !shared.is_unique() {
                let own = ThinArc::from_header_and_slice(shared.header().clone(), shared.slice());
                *shared = Arc::protected_from_thin(own);
            }
            change(Arc::get_mut(shared).expect("shared with nobody"));
        });
    }

    /// Has another number of nodes directly below it.
    pub(super) fn set_children(&mut self, children: u32) {
        self.change(|node| node.header_mut().children = children);
    }

    /// Replaces the serial of the SOA record, if it owns one.
    pub(super) fn set_serial(&mut self, serial: u32) {
        if let Some(&Set { extent, .. }) = self.sets.iter().find(|set| set.rtype == RecordType::SOA) {
            self.change(|node| block::set_serial(node.slice_mut(), extent, serial));
        }
    }

    fn data(&self) -> &[u8] {
        &self.0.slice
    }

    /// An empty non-terminal.
    pub(super) fn empty(owner: Suffix<'_>) -> Self {
        Self::new(owner, &[], None)
    }

    /// The owner in lower-case wire form.
    pub(super) fn owner(&self) -> &[u8] {
        &self.data()[..usize::from(self.owner_len)]
    }

    /// The owner as it is looked up.
    pub(super) fn suffix(&self) -> Suffix<'_> {
        Suffix { hash: self.hash, wire: self.owner() }
    }

    /// The owner, ready to be looked up.
    pub(super) fn name(&self) -> HashedName {
        HashedName::read(self.data()).expect("an owner is a name")
    }

    /// How many labels the owner has.
    pub(super) fn labels(&self) -> u8 {
        u8::try_from(name::labels(self.owner()).count()).expect("a name has at most 127 labels")
    }

    /// Whether it speaks for all that is below it, too, which is none of the zone's names then: a cut, or a DNAME's owner.
    pub(super) fn hides(&self) -> bool {
        self.referral.is_some() || self.rrset(RecordType::DNAME).is_some()
    }

    /// The RRsets, ascending by type.
    pub(super) fn rrsets(&self) -> impl Iterator<Item = RrSet<'_>> {
        self.sets.iter().map(|&set| self.view(set))
    }

    /// The RRset of type `rtype`.
    pub(super) fn rrset(&self, rtype: RecordType) -> Option<RrSet<'_>> {
        self.sets.iter().find(|set| set.rtype == rtype).map(|&set| self.view(set))
    }

    fn view(&self, Set { rtype, ttl, extent }: Set) -> RrSet<'_> {
        let block = Block::new(self.data(), extent, self.owner_len, name::is_wildcard(self.data()));
        RrSet { rtype, ttl, block }
    }

    /// How much memory it takes in a zone, in octets: itself, its place in a table, and what it points to.
    pub(super) fn octets(&self) -> usize {
        // A count of those who share it and the length of its data; the table has a pointer and a tag.
        const PLACE: usize = 2 * size_of::<usize>() + size_of::<Node>() + 1;
        let sets = if self.sets.spilled() { self.sets.capacity() * size_of::<Set>() } else { 0 };
        let of_referral = |referral: &Referral| {
            let below = referral.below.iter().map(|node| node.octets() - PLACE).sum::<usize>();
            size_of::<Referral>() + referral.block.octets() + below
        };
        PLACE + size_of::<Head>() + self.data().len() + sets + self.referral.as_deref().map_or(0, of_referral)
    }

    /// Whether nothing keeps it in the zone.
    pub(super) fn is_void(&self) -> bool {
        self.sets.is_empty() && self.referral.is_none() && self.children == 0
    }

    /// What the node says to a question for `qtype`: RFC 1034 §4.3.2, steps 3a and 3b.
    pub(super) fn answer(&self, qtype: RecordType) -> Answer<'_> {
        if let Some(referral) = &self.referral
            && qtype != RecordType::DS
        {
            return Answer::Referral(referral);
        }
        if let Some(rrset) = self.rrset(qtype) {
            return Answer::Records(rrset);
        }
        match self.rrset(RecordType::CNAME) {
            // RFC 8482 §4.1: one RRset is answer enough to ANY.
            Some(cname) if qtype == RecordType::ANY => Answer::Records(cname),
            Some(cname) => Answer::Alias(cname),
            None if qtype == RecordType::ANY => self.rrsets().next().map_or(Answer::NoData, Answer::Records),
            None => Answer::NoData,
        }
    }

    /// All of its records by type, then, at a cut, those below it in canonical order.
    pub(super) fn records(&self) -> Vec<Record> {
        let own = self.rrsets().flat_map(|rrset| rrset.block.decode(self.owner()));
        let Some(referral) = &self.referral else {
            return own.collect();
        };
        let nameservers = referral.block().decode(self.owner()).into_iter().take(referral.nameservers.into());
        let at_cut = referral.hidden(self.owner()).map(Self::records).into_iter().flatten();
        let mut records: Vec<_> = own.chain(nameservers).chain(at_cut).collect();
        records.sort_by_key(|record| record.rtype);

        let mut below: Vec<_> = referral.below.iter().filter(|node| node.owner() != self.owner()).collect();
        below.sort_by_cached_key(|node| canonical_key(node.owner()));
        records.extend(below.into_iter().flat_map(Self::records));
        records
    }

    /// Whether both are the same name and say the same; how many nodes are below them does not matter.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        self.data() == other.data() && self.sets == other.sets && self.referral == other.referral
    }

    /// Whether both are one in memory.
    pub(super) fn is(&self, other: &Self) -> bool {
        ptr::eq::<Head>(&**self, &**other)
    }

    /// Whether this is the node of `name`.
    pub(super) fn is_at(&self, name: Suffix<'_>) -> bool {
        self.hash == name.hash && self.owner() == name.wire
    }
}
