//! Nodes: what one name of a zone owns.

use hickory_proto::rr::RecordType;

use super::block::Block;
use super::name::{HashedName, Suffix};
use super::{Answer, Record};

/// All records of one type that a name owns (RFC 2181 §5), ready to be copied into ANSWER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RrSet {
    /// Their type.
    pub(super) rtype: RecordType,
    /// Their TTL in seconds: one for all of them (RFC 2181 §5.2).
    pub(super) ttl: u32,
    /// The records.
    pub(super) block: Block,
}

impl RrSet {
    /// The records' type.
    #[must_use]
    pub fn rtype(&self) -> RecordType {
        self.rtype
    }

    /// The records' TTL in seconds.
    #[must_use]
    pub fn ttl(&self) -> u32 {
        self.ttl
    }

    /// The records in wire form.
    #[must_use]
    pub fn block(&self) -> &Block {
        &self.block
    }
}

/// A delegation: what a zone says about names at or below a cut (RFC 1034 §4.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referral {
    /// The cut's NS records for AUTHORITY, and right behind them the in-domain glue for ADDITIONAL:
    /// every address that this zone knows for name servers at or below the cut (RFC 9471 §3.1).
    pub(super) block: Block,
    /// How many of the block's records are NS records.
    pub(super) nameservers: u16,
    /// What the zone's data holds at and below the cut beside NS and DS at the cut itself, by owner:
    /// glue, and data that is hidden by the cut.
    pub(super) below: Box<[Node]>,
}

impl Referral {
    /// The NS records, and behind them the glue.
    #[must_use]
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// How many of the block's records are NS records, for AUTHORITY.
    #[must_use]
    pub fn nameservers(&self) -> u16 {
        self.nameservers
    }

    /// How many of the block's records are glue, for ADDITIONAL.
    #[must_use]
    pub fn glue(&self) -> u16 {
        self.block.records() - self.nameservers
    }

    /// What is known of the name at or below the cut whose lower-case wire form is `owner`.
    pub(super) fn hidden(&self, owner: &[u8]) -> Option<&Node> {
        self.below.iter().find(|node| *node.owner == *owner)
    }
}

/// A name that exists.
///
/// # Invariants
///
/// - `ascending`: `rrsets` is in ascending order of type, one of each.
/// - `cname-alone`: beside a CNAME there are only RRSIG and NSEC (RFC 2181 §10.1, RFC 4034 §3, §4).
/// - `cut`: with `referral`, `rrsets` holds no more than the parent's side of a cut owns: DS, NSEC, RRSIG.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    /// The hash of `owner`.
    pub(super) hash: u64,
    /// The owner in lower-case wire form.
    pub(super) owner: Box<[u8]>,
    /// How many nodes are directly below this one.
    pub(super) children: u32,
    /// What it owns.
    pub(super) rrsets: Box<[RrSet]>,
    /// The zone's cut here.
    pub(super) referral: Option<Box<Referral>>,
}

impl Node {
    /// An empty non-terminal, so far without anything below it.
    pub(super) fn empty(owner: Suffix<'_>) -> Self {
        Self { hash: owner.hash, owner: owner.wire.into(), children: 0, rrsets: Box::default(), referral: None }
    }

    /// The RRset of type `rtype`.
    pub(super) fn rrset(&self, rtype: RecordType) -> Option<&RrSet> {
        self.rrsets.iter().find(|rrset| rrset.rtype == rtype)
    }

    /// Whether nothing keeps it in the zone.
    pub(super) fn is_void(&self) -> bool {
        self.rrsets.is_empty() && self.referral.is_none() && self.children == 0
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
            None if qtype == RecordType::ANY => self.rrsets.first().map_or(Answer::NoData, Answer::Records),
            None => Answer::NoData,
        }
    }

    /// All of its records and, at a cut, those below it.
    pub(super) fn records(&self) -> Vec<Record> {
        let own = self.rrsets.iter().flat_map(|rrset| rrset.block.decode(&self.owner));
        let Some(referral) = &self.referral else {
            return own.collect();
        };
        let nameservers = referral.block.decode(&self.owner).into_iter().take(referral.nameservers.into());
        own.chain(nameservers).chain(referral.below.iter().flat_map(Self::records)).collect()
    }

    /// Whether both say the same; how many nodes are below them does not matter.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        self.rrsets == other.rrsets && self.referral == other.referral
    }

    /// Whether this is the node of `name`.
    pub(super) fn is_at(&self, name: Suffix<'_>) -> bool {
        self.hash == name.hash && *self.owner == *name.wire
    }

    /// How many labels its owner has.
    pub(super) fn labels(&self) -> u8 {
        HashedName::read(&self.owner).expect("an owner is a name").labels()
    }
}
