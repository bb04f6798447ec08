//! The echo floor: what the kernel takes for a question and an answer, whoever gives it.
//!
//! It sends each datagram back with QR set, and knows nothing of DNS otherwise.
//! A server cannot cost less than that on the same kernel. Octets cost time in
//! the kernel, too, and an answer has more of them than its question: a floor
//! can be told to send more back.

use std::net::{SocketAddr, UdpSocket};

use socket2::SockRef;

use crate::Result;
use crate::datagrams::Datagrams;

/// Datagrams at a time. What is prepared for more costs time where they come one by one.
const BATCH: usize = 32;
/// The socket's buffer: bursts are not to be lost.
const QUEUE: usize = 4 << 20;
/// The octet of a message's header that has QR (RFC 1035 §4.1.1), and QR.
const FLAGS: usize = 2;
const QR: u8 = 0x80;

/// Answers at `address` until the process ends, each datagram with `more` octets than came.
pub(crate) fn echo(address: SocketAddr, more: usize) -> Result<()> {
    let socket = UdpSocket::bind(address)?;
    SockRef::from(&socket).set_recv_buffer_size(QUEUE)?;
    let mut datagrams = Datagrams::<BATCH>::new();
    loop {
        let count = datagrams.receive(&socket)?;
        for index in 0..count {
            if let Some(flags) = datagrams.grow(index, more).get_mut(FLAGS) {
                *flags |= QR;
            }
        }
        // What cannot be sent is lost, as datagrams are.
        let _ = datagrams.send_back(&socket, count);
    }
}
