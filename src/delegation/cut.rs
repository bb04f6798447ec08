//! A zone cut from both sides: what was asked, and what each server said.

use std::net::IpAddr;

use hickory_proto::rr::{Name, RecordType};
use serde::Serialize;

use super::{Exchange, Reply, Transport};

/// How an address of a name server came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Somebody said it beforehand: a root server.
    Hint,
    /// The referral has it.
    Glue,
    /// It was looked up, from the root down.
    Answer,
}

/// A name server at one of its addresses, and what it said.
#[derive(Debug, Clone)]
pub struct Witness {
    /// Its name, in lower case; the root where nobody said one.
    pub name: Name,
    /// The address.
    pub address: IpAddr,
    /// How that came to be known.
    pub origin: Origin,
    /// What it was asked, in that order, and what came of it.
    pub said: Vec<Exchange>,
}

impl Witness {
    /// What came of asking for `name` and `rtype`, as it is usually asked: with EDNS.
    #[must_use]
    pub fn heard(&self, name: &Name, rtype: RecordType, transport: Transport) -> Option<&Exchange> {
        self.said.iter().find(|exchange| {
            let question = &exchange.question;
            question.payload.is_some()
                && question.transport == transport
                && question.rtype == rtype
                && question.name == *name
        })
    }

    /// The response to that question: over UDP, or over TCP where that has it whole.
    #[must_use]
    pub fn reply(&self, name: &Name, rtype: RecordType) -> Option<&Reply> {
        let over = |transport| self.heard(name, rtype, transport).and_then(|exchange| exchange.outcome.as_ref().ok());
        let whole = |reply: &&Reply| !reply.message.metadata.truncation;
        over(Transport::Udp).filter(whole).or(over(Transport::Tcp)).or(over(Transport::Udp))
    }
}

/// A zone, by those who delegate it and those whom it is delegated to.
///
/// # Invariants
///
/// - `asked-above`: each witness of `above` was asked for the zone's NS, over UDP and TCP.
/// - `asked-below`: each witness of `below` was asked for the zone's SOA over UDP and TCP, for its NS, and for A and AAAA of each
///   name server of the referral that is within the zone; once more for the SOA without EDNS where it did not answer with
///   EDNS; for DNSKEY where the referral has DS.
#[derive(Debug, Clone)]
pub struct Cut {
    /// The zone.
    pub zone: Name,
    /// The one that it is delegated from; the zone itself where that is the root, or where nobody was asked.
    pub parent: Name,
    /// The servers of the parent.
    pub above: Vec<Witness>,
    /// The servers that those refer to, at all addresses that are known.
    pub below: Vec<Witness>,
    /// Name servers in the referrals whose addresses nobody says.
    pub lost: Vec<Name>,
}
