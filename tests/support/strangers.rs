//! Bytes from strangers: what must hold whatever comes, for the property test and the fuzzer alike.

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::LazyLock;
use std::time::Instant;

use hickory_proto::op::{Message, MessageType};
use kubezone::nameserver::{Outcome, Request, Served, Transport, respond};

use super::answers::Story;
use super::dns;

/// Something of everything: what is served in one table after the other.
pub(crate) static SERVED: LazyLock<Vec<Served>> = LazyLock::new(|| {
    let tables = [
        include_str!("../data/answers/aliases.yaml"),
        include_str!("../data/answers/dname.yaml"),
        include_str!("../data/answers/edns.yaml"),
        include_str!("../data/answers/parent-and-child.yaml"),
        include_str!("../data/answers/pending.yaml"),
        include_str!("../data/answers/root.yaml"),
        include_str!("../data/answers/sizes.yaml"),
        include_str!("../data/answers/targets.yaml"),
        include_str!("../data/answers/wildcards.yaml"),
    ];
    tables.map(|table| Story::parse("a table", table).served()).into()
});

/// Gives `bytes` to [`respond`] over UDP and TCP, with each of [`SERVED`].
///
/// # Panics
///
/// When what is answered cannot be read back, is too long, has another ID or is no response.
pub(crate) fn check(bytes: &[u8]) {
    for served in &*SERVED {
        check_with(served, bytes, Transport::Udp);
        check_with(served, bytes, Transport::Tcp);
    }
}

fn check_with(served: &Served, bytes: &[u8], transport: Transport) {
    let peer = SocketAddr::from((Ipv6Addr::LOCALHOST, 53));
    let mut out = Vec::new();
    let request = Request { bytes, peer, transport, now: Instant::now() };
    let Outcome::Reply(reply) = respond(served, request, &mut out) else { return };
    assert!(bytes.len() >= dns::HEADER && bytes[2] & 0x80 == 0, "answered what is no request");
    let limit = if transport == Transport::Udp { 1232 } else { 65_535 };
    assert!(out.len() <= limit, "{} bytes over {transport:?}", out.len());
    assert_eq!(out[..2], bytes[..2], "the ID");
    dns::walk(&out).unwrap_or_else(|error| panic!("{error}\n{out:02x?}"));
    let message = Message::from_vec(&out).unwrap_or_else(|error| panic!("{error}\n{out:02x?}"));
    assert_eq!(message.metadata.message_type, MessageType::Response);
    assert_eq!(u16::from(message.metadata.response_code), reply.rcode, "the RCODE that is counted");
    if message.edns.is_none() && transport == Transport::Udp {
        assert!(out.len() <= 512, "{} bytes without EDNS", out.len());
    }
}
