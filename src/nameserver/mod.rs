//! The nameserver: a request's bytes in, a response's bytes out.
//!
//! [`respond`] is a pure function and the only way to an answer, whatever the
//! transport. It reads the request where it lies, finds the zone, follows
//! aliases within it, and copies blocks that were encoded when the zone was
//! published. It does not allocate, and nothing that a stranger sends makes it
//! panic or recurse: there is no code here that could ask anybody anything.
//!
//! Nothing here has heard of sockets or of Kubernetes.

mod request;
mod response;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hickory_proto::rr::{DNSClass, RecordType};

use crate::zone::{Answer, Found, HashedName, State, Zone, ZoneSlot, Zones};
use request::{Problem, Query};
use response::{Ede, Response, Truncated};

/// What one swap changes: the zones, and what [`respond`] needs beside them.
#[derive(Debug, Clone, Default)]
pub struct Served {
    /// The zones answered for.
    pub zones: Zones,
    /// NSID (RFC 5001) and CH `id.server` (RFC 4892); empty: none given. At most [`MAX_IDENTITY`] octets are.
    pub identity: Box<[u8]>,
}

impl Served {
    fn identity(&self) -> &[u8] {
        &self.identity[..self.identity.len().min(MAX_IDENTITY)]
    }
}

/// How a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// One datagram: the response keeps to the smaller of the sizes both sides name.
    Udp,
    /// A stream: up to 65,535 octets.
    Tcp,
}

/// One request as it came.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The DNS message, without a TCP length.
    pub bytes: &'a [u8],
    /// Who asks.
    pub peer: SocketAddr,
    /// How it came.
    pub transport: Transport,
    /// When it came; read once a batch.
    pub now: Instant,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The response is in `out`.
    Reply(Reply),
    /// Nothing is to be sent.
    Drop,
}

/// What was answered, for those who count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// The zone that answered; none for what was refused before one was found.
    pub zone: Option<ZoneSlot>,
    /// The question's type; none when there was no question to read.
    pub qtype: Option<RecordType>,
    /// The RCODE, extended bits included (RFC 6891 §6.1.3).
    pub rcode: u16,
    /// Whether edns-tcp-keepalive was asked for and granted (RFC 7828): over TCP only.
    pub keepalive: bool,
}

/// The most octets of a response over UDP: with its headers it fits into IPv6's least MTU, 1280 (RFC 8200 §5), and
/// passes every path without fragments (RFC 9715 asks for no more than 1400).
pub const MAX_UDP_PAYLOAD: u16 = 1232;

/// What a client without EDNS takes over UDP (RFC 1035 §2.3.4).
const PLAIN_UDP_PAYLOAD: u16 = 512;

/// How long a TCP connection may be idle before it is closed; told to those who ask by edns-tcp-keepalive.
pub const TCP_IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// The most octets of an identity: with the longest question and error, they fit into 512.
pub const MAX_IDENTITY: usize = 64;

/// How many aliases are followed for one question.
const MAX_LINKS: usize = 16;

/// How many targets' addresses are looked up for ADDITIONAL, a bound on the work: as many as an RRset has records by
/// default. A datagram has room for a quarter of them.
const MAX_TARGETS: usize = 100;

/// RCODEs, as IANA's registry of DNS parameters lists them.
mod rcode {
    pub(super) const FORMERR: u16 = 1;
    pub(super) const SERVFAIL: u16 = 2;
    pub(super) const NXDOMAIN: u16 = 3;
    pub(super) const NOTIMP: u16 = 4;
    pub(super) const REFUSED: u16 = 5;
    pub(super) const YXDOMAIN: u16 = 6;
    pub(super) const NOTAUTH: u16 = 9;
    pub(super) const BADVERS: u16 = 16;
}

/// Answers a request: the response's octets replace what is in `out`.
///
/// Does not allocate when `out` has a capacity of 65,535 octets.
pub fn respond(served: &Served, request: Request<'_>, out: &mut Vec<u8>) -> Outcome {
    let mut qname = HashedName::root();
    let query = match request::parse(request.bytes, &mut qname) {
        Ok(query) => query,
        Err(Problem::NotAQuery) => return Outcome::Drop,
        Err(Problem::Opcode(edns)) => return Outcome::Reply(Response::bare(request.bytes, rcode::NOTIMP, edns, out)),
        Err(Problem::Question(edns)) => {
            return Outcome::Reply(Response::bare(request.bytes, rcode::FORMERR, edns, out));
        }
    };
    let mut response = Response::begin(&query, request.transport, served.identity(), out);
    let zone = decide(served, request.bytes, &query, &mut response);
    Outcome::Reply(Reply { zone, qtype: Some(query.qtype), ..response.finish() })
}

/// The checks that come before a zone's answer, in the order of what is wrong first; gives the zone that answers.
fn decide(served: &Served, message: &[u8], query: &Query<'_>, response: &mut Response<'_>) -> Option<ZoneSlot> {
    if query.malformed {
        response.set_rcode(rcode::FORMERR);
        return None;
    }
    if query.edns.as_ref().is_some_and(|edns| edns.version != 0) {
        response.set_rcode(rcode::BADVERS);
        return None;
    }
    if let Some(tsig) = query.tsig {
        response.bad_key(message, tsig);
        return None;
    }
    if query.qclass == u16::from(DNSClass::CH) && is_id_server(query) && !served.identity.is_empty() {
        response.identify(served.identity());
        return None;
    }
    if query.qclass != u16::from(DNSClass::IN) {
        response.set_rcode(rcode::REFUSED);
        return None;
    }
    if matches!(query.qtype, RecordType::AXFR | RecordType::IXFR) {
        response.set_rcode(rcode::REFUSED);
        response.explain(Ede::Prohibited);
        return None;
    }
    let Some(Found { slot, state }) = served.zones.find(query.qname, query.qtype) else {
        response.set_rcode(rcode::REFUSED);
        return None;
    };
    match state {
        State::Loaded(zone) => {
            if answer(zone, query, response).is_err() {
                response.truncate();
            }
        }
        State::Pending => {
            response.set_rcode(rcode::SERVFAIL);
            response.explain(Ede::NotReady);
        }
        State::Expired(_) => {
            response.set_rcode(rcode::SERVFAIL);
            response.explain(Ede::InvalidData);
        }
    }
    Some(slot)
}

/// Whether the question is the one for a server's identity (RFC 4892 §3.1).
fn is_id_server(query: &Query<'_>) -> bool {
    query.qtype == RecordType::TXT && query.qname.wire() == b"\x02id\x06server\0"
}

/// Answers from one zone: RFC 1034 §4.3.2, step 3, following aliases as long as they stay within the zone.
fn answer(zone: &Zone, query: &Query<'_>, response: &mut Response<'_>) -> Result<(), Truncated> {
    response.authoritative();
    let mut renamed;
    let mut qname = query.qname;
    let mut seen = [0; MAX_LINKS];
    for link in 0..=MAX_LINKS {
        let target = match zone.lookup(qname, query.qtype) {
            Answer::Records(rrset) => {
                if let Some(at) = response.answer(rrset.block())? {
                    response.additional(zone, rrset.rtype(), at, rrset.block().records());
                }
                return Ok(());
            }
            Answer::NoData => return response.deny(zone),
            Answer::NxDomain => {
                response.set_rcode(rcode::NXDOMAIN);
                return response.deny(zone);
            }
            Answer::Referral(referral) => {
                if link == 0 {
                    response.not_authoritative();
                }
                let at = response.refer(referral)?;
                if referral.has_others() {
                    response.additional(zone, RecordType::NS, at, referral.nameservers());
                }
                return Ok(());
            }
            // A chain that is too long ends with what was gathered.
            Answer::Alias(_) | Answer::Redirect(_) if link == MAX_LINKS => return Ok(()),
            Answer::Alias(rrset) => response.alias(rrset.block())?,
            Answer::Redirect(rrset) => match response.redirect(rrset, qname)? {
                // The CNAME that the DNAME makes is what was asked for.
                Some(_) if query.qtype == RecordType::CNAME => return Ok(()),
                Some(target) => target,
                None => {
                    response.set_rcode(rcode::YXDOMAIN);
                    return Ok(());
                }
            },
        };
        // So does a loop: this name has been answered for before.
        seen[link] = qname.whole().hash;
        if !zone.contains(&target) || seen[..=link].contains(&target.whole().hash) {
            return Ok(());
        }
        renamed = target;
        qname = &renamed;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
