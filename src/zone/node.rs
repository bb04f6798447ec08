//! Nodes: what one name of a zone owns.

use hickory_proto::rr::RecordType;

use smallvec::SmallVec;

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

/// A name that exists.
///
/// Its owner and its blocks lie in one piece of memory, and what most nodes
/// own, one RRset, is described in place: an answer costs few cache misses.
///
/// # Invariants
///
/// - `ascending`: `sets` is in ascending order of type, one of each.
/// - `cname-alone`: beside a CNAME there are only RRSIG and NSEC (RFC 2181 §10.1, RFC 4034 §3, §4).
/// - `cut`: with `referral`, `sets` holds no more than the parent's side of a cut owns: DS, NSEC, RRSIG.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    /// The hash of the owner.
    pub(super) hash: u64,
    /// How many nodes are directly below this one.
    pub(super) children: u32,
    owner_len: u8,
    /// The owner in lower-case wire form, then the blocks of `sets`.
    data: Box<[u8]>,
    sets: SmallVec<[Set; 1]>,
    /// The zone's cut here.
    pub(super) referral: Option<Box<Referral>>,
}

impl Node {
    /// The node of `owner`, so far without anything below it; `rrsets` ascend by type.
    #[expect(clippy::cast_possible_truncation, reason = "a name is at most 255 octets")]
    pub(super) fn new(owner: Suffix<'_>, rrsets: &[Encoded<'_>], referral: Option<Box<Referral>>) -> Self {
        let blocks: usize = rrsets.iter().map(|(.., block)| block.octets()).sum();
        let mut data = Vec::with_capacity(owner.wire.len() + blocks);
        data.extend_from_slice(owner.wire);
        let set = |(rtype, ttl, block): &Encoded| Set { rtype: *rtype, ttl: *ttl, extent: block.append_to(&mut data) };
        let sets = rrsets.iter().map(set).collect();
        let owner_len = owner.wire.len() as u8;
        Self { hash: owner.hash, children: 0, owner_len, data: data.into(), sets, referral }
    }

    /// An empty non-terminal.
    pub(super) fn empty(owner: Suffix<'_>) -> Self {
        Self::new(owner, &[], None)
    }

    /// The owner in lower-case wire form.
    pub(super) fn owner(&self) -> &[u8] {
        &self.data[..usize::from(self.owner_len)]
    }

    /// The owner as it is looked up.
    pub(super) fn suffix(&self) -> Suffix<'_> {
        Suffix { hash: self.hash, wire: self.owner() }
    }

    /// The owner, ready to be looked up.
    pub(super) fn name(&self) -> HashedName {
        HashedName::read(&self.data).expect("an owner is a name")
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
        let block = Block::new(&self.data, extent, self.owner_len, name::is_wildcard(&self.data));
        RrSet { rtype, ttl, block }
    }

    /// How much memory it takes in a zone, in octets: itself, its place in a table, and what it points to.
    pub(super) fn octets(&self) -> usize {
        // Behind an `Arc`, with its two counts; the table has a pointer and a tag.
        const PLACE: usize = 2 * size_of::<usize>() + size_of::<usize>() + 1;
        let sets = if self.sets.spilled() { self.sets.capacity() * size_of::<Set>() } else { 0 };
        let of_referral = |referral: &Referral| {
            let below = referral.below.iter().map(|node| node.octets() - PLACE).sum::<usize>();
            size_of::<Referral>() + referral.block.octets() + below
        };
        PLACE + size_of::<Self>() + self.data.len() + sets + self.referral.as_deref().map_or(0, of_referral)
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

    /// Replaces the serial of the SOA record, if it owns one.
    pub(super) fn set_serial(&mut self, serial: u32) {
        for set in self.sets.iter().filter(|set| set.rtype == RecordType::SOA) {
            block::set_serial(&mut self.data, set.extent, serial);
        }
    }

    /// Whether both are the same name and say the same; how many nodes are below them does not matter.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        self.data == other.data && self.sets == other.sets && self.referral == other.referral
    }

    /// Whether this is the node of `name`.
    pub(super) fn is_at(&self, name: Suffix<'_>) -> bool {
        self.hash == name.hash && self.owner() == name.wire
    }
}
