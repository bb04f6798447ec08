//! UDP in batches: `recvmmsg` and `sendmmsg`, for the load and for the echo floor.

use std::array;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn6, recvmmsg, sendmmsg};

/// Room for a datagram.
const ROOM: usize = 1500;

/// Up to `N` datagrams.
pub(crate) struct Datagrams<const N: usize> {
    buffers: Box<[[u8; ROOM]; N]>,
    lengths: [usize; N],
    peers: [Option<SockaddrIn6>; N],
    incoming: MultiHeaders<SockaddrIn6>,
    outgoing: MultiHeaders<SockaddrIn6>,
}

impl<const N: usize> Datagrams<N> {
    pub(crate) fn new() -> Self {
        Self {
            buffers: Box::new([[0; ROOM]; N]),
            lengths: [0; N],
            peers: [None; N],
            incoming: MultiHeaders::preallocate(N, None),
            outgoing: MultiHeaders::preallocate(N, None),
        }
    }

    /// Receives what is queued, `N` at the most, in the place of what was received before: how many.
    ///
    /// Waits for the first, but not on a socket that does not block: there it is an error that there is none.
    pub(crate) fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        let mut parts = self.buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
        let received = recvmmsg(socket.as_raw_fd(), &mut self.incoming, &mut parts, MsgFlags::MSG_WAITFORONE, None)?;
        let mut count = 0;
        for ((message, length), peer) in received.zip(&mut self.lengths).zip(&mut self.peers) {
            (*length, *peer) = (message.bytes, message.address);
            count += 1;
        }
        Ok(count)
    }

    /// The datagram at `index` of those received last.
    pub(crate) fn get(&self, index: usize) -> &[u8] {
        &self.buffers[index][..self.lengths[index]]
    }

    /// The datagram at `index` of those received last, to be changed and to grow by `more` octets, as far as there is room.
    pub(crate) fn grow(&mut self, index: usize, more: usize) -> &mut [u8] {
        self.lengths[index] = (self.lengths[index] + more).min(ROOM);
        &mut self.buffers[index][..self.lengths[index]]
    }

    /// Sends the first `count` of those received last back to where they came from.
    pub(crate) fn send_back(&mut self, socket: &UdpSocket, count: usize) -> io::Result<usize> {
        let parts: [_; N] = array::from_fn(|index| [IoSlice::new(&self.buffers[index][..self.lengths[index]])]);
        let (parts, peers) = (&parts[..count], &self.peers[..count]);
        let sent = sendmmsg(socket.as_raw_fd(), &mut self.outgoing, parts, peers, [], MsgFlags::empty())?;
        Ok(sent.count())
    }

    /// Sends `messages`, `N` at the most, to the peer that the socket is connected to: how many.
    pub(crate) fn send<'m>(
        &mut self,
        socket: &UdpSocket,
        messages: impl Iterator<Item = &'m [u8]>,
    ) -> io::Result<usize> {
        let mut parts = [[IoSlice::new(&[])]; N];
        let mut count = 0;
        for (part, message) in parts.iter_mut().zip(messages) {
            part[0] = IoSlice::new(message);
            count += 1;
        }
        let sent = sendmmsg(socket.as_raw_fd(), &mut self.outgoing, &parts[..count], [None; N], [], MsgFlags::empty())?;
        Ok(sent.count())
    }
}
