//! What is asked, and what a right answer to it looks like.

use std::ops::Range;

use clap::ValueEnum;

use crate::world::{self, ZONE};

/// How many questions are prepared. They are asked in turn: enough that a large zone does not shrink to what fits into a
/// cache.
const QUESTIONS: usize = 100_000;
/// The octets of a message's header (RFC 1035 §4.1.1).
pub(crate) const HEADER: usize = 12;
/// The largest answer over UDP that questions allow.
pub(crate) const UDP_SIZE: u16 = 1232;

const A: u16 = 1;
pub(crate) const SOA: u16 = 6;
const AAAA: u16 = 28;
const SRV: u16 = 33;

/// A kind of question, by its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
#[repr(u8)]
pub(crate) enum Kind {
    /// The AAAA record of a Service
    Hit,
    /// A Service's name, which has no A record
    Nodata,
    /// A name that there is not
    Nxdomain,
    /// The SRV record of a Service's port
    Srv,
    /// A name below a zone cut
    Referral,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [Self::Hit, Self::Nodata, Self::Nxdomain, Self::Srv, Self::Referral];

    /// A question of this kind in a zone with so many Services.
    fn question(self, services: usize, dice: &mut fastrand::Rng) -> Vec<u8> {
        let service = world::service(dice.usize(..services));
        let (qname, qtype) = match self {
            Self::Hit => (service, AAAA),
            Self::Nodata => (service, A),
            Self::Nxdomain => (format!("absent-{service}"), AAAA),
            Self::Srv => (format!("_https._tcp.{service}"), SRV),
            Self::Referral => (format!("www.{}", world::child(dice.usize(..world::children(services)))), AAAA),
        };
        question(&qname, qtype)
    }

    /// Whether `message` is a right answer to a question of this kind, by its header.
    ///
    /// Servers may add what is not required; all of them answer with an OPT record, and a referral with an address of
    /// a name server at least.
    pub(crate) fn is_answered_by(self, message: &[u8]) -> bool {
        let Some((header, _)) = message.split_first_chunk::<HEADER>() else { return false };
        let count = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        // AA, RCODE, ANCOUNT; NSCOUNT and ARCOUNT are at least so many.
        let (aa, rcode, answers, authority, additional) = match self {
            Self::Hit | Self::Srv => (true, 0, 1, 0, 1),
            Self::Nodata => (true, 0, 0, 1, 1),
            Self::Nxdomain => (true, 3, 0, 1, 1),
            Self::Referral => (false, 0, 0, 1, 2),
        };
        // QR, no opcode, AA as wanted, no TC.
        header[2] & 0b1111_1110 == 0b1000_0000 | u8::from(aa) << 2
            && header[3] & 0xf == rcode
            && count(4) == 1
            && count(6) == answers
            && count(8) >= authority
            && count(10) >= additional
    }
}

/// Kinds of questions and their parts of a hundred.
pub(crate) type Mix = [(Kind, usize)];

/// What a cluster's zone is asked: mostly for what there is, often for addresses of IPv4 that it has not.
pub(crate) const MIX: &Mix =
    &[(Kind::Hit, 63), (Kind::Nodata, 15), (Kind::Nxdomain, 12), (Kind::Srv, 5), (Kind::Referral, 5)];

/// Messages to send, in the order that they are sent in.
#[derive(Clone)]
pub(crate) struct Questions {
    /// One behind the other.
    octets: Vec<u8>,
    /// By number: where in `octets`, and what is expected.
    messages: Vec<(Range<usize>, Kind)>,
    next: usize,
}

impl Questions {
    /// Questions of these kinds, in random order, for names all over a zone of so many Services.
    pub(crate) fn new(mix: &Mix, services: usize, dice: &mut fastrand::Rng) -> Self {
        let mut kinds: Vec<Kind> = mix.iter().flat_map(|&(kind, parts)| vec![kind; QUESTIONS * parts / 100]).collect();
        dice.shuffle(&mut kinds);
        let mut octets = Vec::new();
        let mut messages = Vec::new();
        for kind in kinds {
            let from = octets.len();
            octets.extend(kind.question(services, dice));
            messages.push((from..octets.len(), kind));
        }
        Self { octets, messages, next: 0 }
    }

    /// Gives the next question the ID `id`: its number, for [`Questions::get`], and its kind.
    pub(crate) fn next(&mut self, id: u16) -> (usize, Kind) {
        let number = self.next;
        self.next = if number + 1 == self.messages.len() { 0 } else { number + 1 };
        let (range, kind) = &self.messages[number];
        self.octets[range.start..range.start + 2].copy_from_slice(&id.to_be_bytes());
        (number, *kind)
    }

    /// The octets of a question, on average.
    pub(crate) fn octets(&self) -> usize {
        self.octets.len() / self.messages.len()
    }

    /// The message of this number.
    pub(crate) fn get(&self, number: usize) -> &[u8] {
        &self.octets[self.messages[number].0.clone()]
    }
}

/// A question with EDNS, as resolvers ask; the ID is for the sender to fill in.
pub(crate) fn question(qname: &str, qtype: u16) -> Vec<u8> {
    let mut message = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    for label in qname.split('.') {
        message.push(u8::try_from(label.len()).expect("a label"));
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    for field in [qtype, 1] {
        message.extend_from_slice(&field.to_be_bytes());
    }
    // OPT (RFC 6891 §6.1.2): the root, the type, the size; the rest is zero.
    message.extend_from_slice(&[0, 0, 41]);
    message.extend_from_slice(&UDP_SIZE.to_be_bytes());
    message.extend_from_slice(&[0; 6]);
    message
}

/// The question that tells whether a zone is served.
pub(crate) fn soa() -> Vec<u8> {
    question(ZONE, SOA)
}
