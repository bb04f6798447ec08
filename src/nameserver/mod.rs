//! The nameserver: a request's bytes in, a response's bytes out.
//! (skeleton; the real text follows)

use std::net::SocketAddr;
use std::time::Instant;

use hickory_proto::rr::RecordType;

use crate::zone::{ZoneSlot, Zones};

/// What one swap changes: the zones, and what [`respond`] needs beside them.
#[derive(Debug, Clone, Default)]
pub struct Served {
    /// The zones answered for.
    pub zones: Zones,
    /// NSID (RFC 5001) and CH `id.server`; empty: none given.
    pub identity: Box<[u8]>,
}

/// How a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// One datagram: the response keeps to the smaller of the sizes both sides name.
    Udp,
    /// A stream: up to 65,535 bytes.
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
    /// The RCODE, extended bits included.
    pub rcode: u16,
    /// edns-tcp-keepalive was asked for (RFC 7828), TCP only.
    pub keepalive: bool,
}

/// The most bytes of a response over UDP.
pub const MAX_UDP_PAYLOAD: u16 = 1232;

/// Answers a request: the response's bytes replace what is in `out`.
///
/// Never allocates when `out` has 65,535 bytes of capacity.
pub fn respond(_served: &Served, _request: Request<'_>, _out: &mut Vec<u8>) -> Outcome {
    todo!()
}
