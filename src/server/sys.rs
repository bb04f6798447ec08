//! The system calls that neither std nor socket2 wraps; the only file with `unsafe` code.
//!
//! Datagrams come and go in a [`Batch`], which remembers who sent each of them
//! and which of our addresses it came to. What answers it goes back: to that
//! peer, from that address.

#![allow(unsafe_code)]
#![allow(
    clippy::cast_possible_truncation,
    reason = "sizes of a few dozen bytes, in types that differ between C libraries"
)]

use std::alloc::{self, Layout};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::{self, NonNull};

use libc::c_int;

/// The most datagrams of a batch: from eight on, more gain next to nothing.
const BATCH: usize = 32;

/// The most octets of a datagram.
const MAX_DATAGRAM: usize = 65_535;

/// From one request's buffer to the next. Not a power of two: the first octets of all would share a few lines of the cache.
const STRIDE: usize = MAX_DATAGRAM + 1 + 128;

/// Room for the one control message we ask for: `CMSG_SPACE(size_of::<in6_pktinfo>())`.
const CONTROL: usize = 40;

#[repr(C)]
struct Control {
    _aligned: [libc::cmsghdr; 0],
    bytes: [u8; CONTROL],
}

/// What the kernel reads and writes of a batch.
///
/// All of it is integers, and pointers into itself: zero is a value of each. Close together, so that a batch of one
/// needs few pages.
struct Memory {
    incoming: [libc::mmsghdr; BATCH],
    outgoing: [libc::mmsghdr; BATCH],
    incoming_parts: [libc::iovec; BATCH],
    outgoing_parts: [libc::iovec; BATCH],
    /// An IPv4 address is shorter.
    peers: [libc::sockaddr_in6; BATCH],
    controls: [Control; BATCH],
    requests: [[u8; STRIDE]; BATCH],
}

/// Datagrams that are received with one system call and answered with another.
///
/// What it needs is allocated once; of the two megabytes for requests, only
/// what datagrams touch is ever in memory.
///
/// # Invariants
///
/// - `one-root`: `memory` owns what it points to, and every pointer within is derived from it: none is ever ended by a
///   reference, which would have to be derived from it, too, and be gone by the next use of the pointer.
/// - `incoming`: each header of `incoming` names its own peer, control message, part and request.
pub(super) struct Batch {
    memory: NonNull<Memory>,
    /// For each datagram what is to be sent back; empty: nothing.
    responses: Vec<Vec<u8>>,
    /// How many datagrams it holds.
    received: usize,
    /// Whether the system lets us use recvmmsg and sendmmsg; some sandboxes do not.
    is_permitted: bool,
}

// SAFETY: the memory is the batch's own, and nothing in it depends on a thread.
unsafe impl Send for Batch {}

impl Drop for Batch {
    fn drop(&mut self) {
        // SAFETY: `new` allocated it with this layout, and nobody else has it (`one-root`). It has nothing to drop.
        unsafe { alloc::dealloc(self.memory.as_ptr().cast(), Layout::new::<Memory>()) }
    }
}

/// A datagram that was received.
pub(super) struct Datagram<'b> {
    /// The DNS message.
    pub(super) bytes: &'b [u8],
    /// Who sent it; none for what is not IP.
    pub(super) peer: Option<SocketAddr>,
    /// What is to be sent back: nothing, so far.
    pub(super) response: &'b mut Vec<u8>,
}

impl Batch {
    /// An empty one, with room for responses of `response` octets.
    pub(super) fn new(response: usize) -> Self {
        // SAFETY: the layout is not of size zero.
        let memory = unsafe { alloc::alloc_zeroed(Layout::new::<Memory>()) };
        let Some(memory) = NonNull::new(memory.cast::<Memory>()) else {
            alloc::handle_alloc_error(Layout::new::<Memory>())
        };
        let start = memory.as_ptr();
        for n in 0..BATCH {
            // SAFETY: `start` points to a `Memory` (zero is a value of it) that only this function has; n < BATCH. No
            // reference is made, so that all pointers stay good (`one-root`).
            unsafe {
                let part = &raw mut (*start).incoming_parts[n];
                (*part).iov_base = (&raw mut (*start).requests[n]).cast();
                (*part).iov_len = MAX_DATAGRAM;
                let header = &raw mut (*start).incoming[n].msg_hdr;
                (*header).msg_name = (&raw mut (*start).peers[n]).cast();
                (*header).msg_iov = part;
                (*header).msg_iovlen = 1;
                (*header).msg_control = (&raw mut (*start).controls[n]).cast();
                // To be answered for the first time, as after every batch.
                (*header).msg_namelen = size_of::<libc::sockaddr_in6>() as _;
                (*header).msg_controllen = CONTROL as _;
            }
        }
        let responses = (0..BATCH).map(|_| Vec::with_capacity(response)).collect();
        Self { memory, responses, received: 0, is_permitted: true }
    }

    /// Receives what is queued, as much as it has room for, in the place of what it held; how much that is.
    ///
    /// Where nothing is queued it waits, if it is to `wait`: for one datagram, not for the batch to become full. None
    /// came where the socket was shut down, or a signal or its time-out ended the waiting.
    pub(super) fn receive(&mut self, socket: &impl AsFd, wait: bool) -> io::Result<usize> {
        self.reset();
        let received = if self.is_permitted {
            match self.receive_together(socket, wait) {
                Err(error) if is_forbidden(&error) => {
                    self.is_permitted = false;
                    self.receive_singly(socket, wait)
                }
                received => received,
            }
        } else {
            self.receive_singly(socket, wait)
        };
        match received {
            Ok(received) => {
                self.received = received;
                for n in 0..received {
                    // SAFETY: recvmmsg or recvmsg has filled this header in; n < BATCH.
                    unsafe { release_interface(&raw const (*self.memory.as_ptr()).incoming[n].msg_hdr) };
                }
                Ok(received)
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Makes the headers that were filled in fit to be filled in again.
    fn reset(&mut self) {
        for n in 0..self.received {
            // SAFETY: the memory is ours alone while we are borrowed mutably; n < BATCH.
            let header = unsafe { &mut (*self.memory.as_ptr()).incoming[n].msg_hdr };
            header.msg_namelen = size_of::<libc::sockaddr_in6>() as _;
            header.msg_controllen = CONTROL as _;
        }
        self.received = 0;
    }

    fn receive_together(&mut self, socket: &impl AsFd, wait: bool) -> io::Result<usize> {
        let flags = if wait { libc::MSG_WAITFORONE } else { libc::MSG_DONTWAIT };
        let fd = socket.as_fd().as_raw_fd();
        // SAFETY: there are BATCH headers, and what they point to is as long as they say (`incoming`, `reset`); it is
        // ours alone until the call returns.
        let received = unsafe {
            let headers = (&raw mut (*self.memory.as_ptr()).incoming).cast();
            libc::recvmmsg(fd, headers, BATCH as _, flags as _, ptr::null_mut())
        };
        usize::try_from(received).map_err(|_| io::Error::last_os_error())
    }

    fn receive_singly(&mut self, socket: &impl AsFd, wait: bool) -> io::Result<usize> {
        let fd = socket.as_fd().as_raw_fd();
        for n in 0..BATCH {
            let flags = if wait && n == 0 { 0 } else { libc::MSG_DONTWAIT };
            // SAFETY: as in `receive_together`, for one header; n < BATCH.
            let length = unsafe { libc::recvmsg(fd, &raw mut (*self.memory.as_ptr()).incoming[n].msg_hdr, flags) };
            match libc::c_uint::try_from(length) {
                // SAFETY: the memory is ours alone while we are borrowed mutably; n < BATCH.
                Ok(length) => unsafe { (*self.memory.as_ptr()).incoming[n].msg_len = length },
                Err(_) if n > 0 => return Ok(n),
                Err(_) => return Err(io::Error::last_os_error()),
            }
        }
        Ok(BATCH)
    }

    /// What was received, each with an empty response.
    pub(super) fn datagrams(&mut self) -> impl Iterator<Item = Datagram<'_>> {
        let memory = self.memory.as_ptr();
        self.responses[..self.received].iter_mut().enumerate().map(move |(n, response)| {
            // SAFETY: the memory lives, and is not written to, as long as the batch is borrowed; n < BATCH.
            let (header, peer, request) =
                unsafe { (&(*memory).incoming[n], &(*memory).peers[n], &(*memory).requests[n]) };
            let peer = peer_in(peer, header.msg_hdr.msg_namelen);
            response.clear();
            Datagram { bytes: &request[..header.msg_len as usize], peer, response }
        })
    }

    /// Sends the responses that there are, without waiting; how many of them the system did not take, and why the last.
    pub(super) fn send(&mut self, socket: &impl AsFd) -> (usize, Option<io::Error>) {
        let fd = socket.as_fd().as_raw_fd();
        let headers = self.address();
        let (mut sent, mut lost, mut reason) = (0, 0, None);
        while sent < headers {
            if self.is_permitted {
                // SAFETY: `address` has filled in the first `headers` of them, whose pointers are to memory of the length
                // beside each; sendmmsg only reads it, but for the headers' own msg_len.
                let taken = unsafe {
                    let first = (&raw mut (*self.memory.as_ptr()).outgoing[sent]).cast();
                    libc::sendmmsg(fd, first, (headers - sent) as _, libc::MSG_DONTWAIT as _)
                };
                if let Ok(taken @ 1..) = usize::try_from(taken) {
                    sent += taken;
                    continue;
                }
            }
            // By itself it tells whether the call is forbidden, or this response; in either case the next goes on.
            let forbidden = self.is_permitted.then(io::Error::last_os_error).filter(is_forbidden);
            // SAFETY: as above, for one header.
            let taken = unsafe {
                libc::sendmsg(fd, &raw const (*self.memory.as_ptr()).outgoing[sent].msg_hdr, libc::MSG_DONTWAIT)
            };
            if taken < 0 {
                (lost, reason) = (lost + 1, Some(io::Error::last_os_error()));
            } else if forbidden.is_some() {
                self.is_permitted = false;
            }
            sent += 1;
        }
        (lost, reason)
    }

    /// Writes a header for every response; how many.
    fn address(&mut self) -> usize {
        let memory = self.memory.as_ptr();
        let mut headers = 0;
        for (n, response) in self.responses[..self.received].iter().enumerate().filter(|(_, bytes)| !bytes.is_empty()) {
            // SAFETY: the memory is ours alone while we are borrowed mutably; headers ≤ n < BATCH. No reference to
            // what the new pointers aim at outlives its line (`one-root`).
            unsafe {
                let request = &raw const (*memory).incoming[n].msg_hdr;
                let part = &raw mut (*memory).outgoing_parts[headers];
                (*part).iov_base = response.as_ptr().cast_mut().cast();
                (*part).iov_len = response.len();
                let header = &raw mut (*memory).outgoing[headers].msg_hdr;
                (*header).msg_name = (*request).msg_name;
                (*header).msg_namelen = (*request).msg_namelen;
                (*header).msg_iov = part;
                (*header).msg_iovlen = 1;
                (*header).msg_control = (*request).msg_control;
                (*header).msg_controllen = (*request).msg_controllen;
            }
            headers += 1;
        }
        headers
    }
}

/// Whether the system refuses the call, not what was asked of it.
fn is_forbidden(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM))
}

/// The address in `peer`, of which `length` octets were filled in; none where it is not IP's.
fn peer_in(peer: &libc::sockaddr_in6, length: libc::socklen_t) -> Option<SocketAddr> {
    match c_int::from(peer.sin6_family) {
        libc::AF_INET6 if length as usize >= size_of::<libc::sockaddr_in6>() => {
            let address = Ipv6Addr::from(peer.sin6_addr.s6_addr);
            let port = u16::from_be(peer.sin6_port);
            Some(SocketAddrV6::new(address, port, peer.sin6_flowinfo, peer.sin6_scope_id).into())
        }
        libc::AF_INET if length as usize >= size_of::<libc::sockaddr_in>() => {
            // SAFETY: the family, which both begin with, says that it is one; it is shorter, and aligned alike.
            let peer = unsafe { &*ptr::from_ref(peer).cast::<libc::sockaddr_in>() };
            let address = Ipv4Addr::from(u32::from_be(peer.sin_addr.s_addr));
            Some(SocketAddrV4::new(address, u16::from_be(peer.sin_port)).into())
        }
        _ => None,
    }
}

/// Turns "it came in by this interface" into "it leaves by whichever the routes say", keeping the address.
///
/// With an interface a reply would bypass the routing table: wrong wherever
/// requests and replies take different ways. Only a link-local address means
/// nothing without one.
///
/// # Safety
///
/// The kernel has filled `header` in, whose pointers are to memory that is ours to write to.
unsafe fn release_interface(header: *const libc::msghdr) {
    // SAFETY: the kernel filled in msg_control and msg_controllen, which describe the buffer that is ours to use.
    let message = unsafe { libc::CMSG_FIRSTHDR(header) };
    if message.is_null() {
        return;
    }
    // SAFETY: CMSG_FIRSTHDR gives a whole cmsghdr inside of the control buffer, or null.
    let (level, kind) = unsafe { ((*message).cmsg_level, (*message).cmsg_type) };
    // SAFETY: the data lies behind the cmsghdr in the same buffer. The kernel writes control messages of
    // these types whole, and MSG_CTRUNC cannot be: CONTROL has room for the larger one.
    unsafe {
        let data = libc::CMSG_DATA(message);
        match (level, kind) {
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                let info = data.cast::<libc::in6_pktinfo>();
                let mut value = info.read_unaligned();
                if !Ipv6Addr::from(value.ipi6_addr.s6_addr).is_unicast_link_local() {
                    value.ipi6_ifindex = 0;
                    info.write_unaligned(value);
                }
            }
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                let info = data.cast::<libc::in_pktinfo>();
                let mut value = info.read_unaligned();
                value.ipi_ifindex = 0;
                info.write_unaligned(value);
            }
            _ => {}
        }
    }
}

/// Whether something can be read now, or a connection be accepted.
pub(super) fn is_readable(source: &impl AsFd) -> bool {
    let mut source = libc::pollfd { fd: source.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: the pointer is to one pollfd, borrowed mutably until poll returns.
    let ready = unsafe { libc::poll(&raw mut source, 1, 0) };
    ready > 0 && source.revents != 0
}

/// Has the kernel tell with each datagram which of our addresses it came to (RFC 3542 §6.2).
pub(super) fn tell_destination(socket: &impl AsFd, address: SocketAddr) -> io::Result<()> {
    match address {
        SocketAddr::V6(_) => set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1),
        SocketAddr::V4(_) => set(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1),
    }
}

/// Sends with the interface's MTU, whatever ICMP says about the path.
///
/// A forged "packet too big" would otherwise have our responses fragmented,
/// and the second fragment can be forged as well. Ours fit into IPv6's least
/// MTU: there is nothing to learn from a path.
pub(super) fn ignore_path_mtu(socket: &impl AsFd, address: SocketAddr) -> io::Result<()> {
    match address {
        SocketAddr::V6(_) => set(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_OMIT),
        SocketAddr::V4(_) => set(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_OMIT),
    }
}

/// Has the kernel look for another socket for who comes from now on; handshakes that have begun end here.
///
/// A socket that overlaps with this one takes over without a gap: bound to an
/// interface that there is not, this one fits nothing any more.
pub(super) fn pass_over(listener: &impl AsFd) -> io::Result<()> {
    set(listener, libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX, c_int::MAX)
}

fn set(socket: &impl AsFd, level: c_int, option: c_int, value: c_int) -> io::Result<()> {
    let length = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: the value is a c_int of the length given, and setsockopt only reads it.
    let done =
        unsafe { libc::setsockopt(socket.as_fd().as_raw_fd(), level, option, ptr::from_ref(&value).cast(), length) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// How many file descriptors this process may have open.
pub(super) fn descriptor_limit() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: getrlimit writes the one rlimit it is given.
    match unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } {
        0 => usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX),
        // It fails only for a bad argument; 1024 is what Linux starts with.
        _ => 1024,
    }
}
