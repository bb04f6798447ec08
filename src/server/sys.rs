//! The system calls that neither std nor socket2 wraps; the only file with `unsafe` code.
//!
//! A datagram is received into an [`Envelope`], which remembers who sent it and
//! which of our addresses it came to. Sending with the same envelope is the way
//! back: to that peer, from that address.

#![allow(unsafe_code)]
#![allow(
    clippy::cast_possible_truncation,
    reason = "sizes of a few dozen bytes, in types that differ between C libraries"
)]

use std::io;
use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use libc::c_int;

/// Room for the one control message we ask for: `CMSG_SPACE(size_of::<in6_pktinfo>())` is 40.
const CONTROL: usize = 64;

/// Who sent a datagram, and on a wildcard socket which of our addresses it came to.
pub(super) struct Envelope {
    peer: libc::sockaddr_storage,
    peer_length: libc::socklen_t,
    control: Control,
    control_length: usize,
}

#[repr(C)]
struct Control {
    _aligned: [libc::cmsghdr; 0],
    bytes: [u8; CONTROL],
}

impl Envelope {
    /// An envelope that nothing came in yet: [`Envelope::peer`] is none.
    pub(super) fn new() -> Self {
        Self {
            // SAFETY: sockaddr_storage is plain integers, for which zero is a value (AF_UNSPEC).
            peer: unsafe { mem::zeroed() },
            peer_length: 0,
            control: Control { _aligned: [], bytes: [0; CONTROL] },
            control_length: 0,
        }
    }

    /// Who sent it; none for what is not IP.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        let storage = ptr::from_ref(&self.peer);
        match c_int::from(self.peer.ss_family) {
            libc::AF_INET6 => {
                // SAFETY: sockaddr_storage is large and aligned enough for every address, and the family says which.
                let peer = unsafe { &*storage.cast::<libc::sockaddr_in6>() };
                let address = Ipv6Addr::from(peer.sin6_addr.s6_addr);
                let port = u16::from_be(peer.sin6_port);
                Some(SocketAddrV6::new(address, port, peer.sin6_flowinfo, peer.sin6_scope_id).into())
            }
            libc::AF_INET => {
                // SAFETY: as above.
                let peer = unsafe { &*storage.cast::<libc::sockaddr_in>() };
                let address = Ipv4Addr::from(u32::from_be(peer.sin_addr.s_addr));
                Some(SocketAddrV4::new(address, u16::from_be(peer.sin_port)).into())
            }
            _ => None,
        }
    }
}

/// Receives a datagram without waiting: its length. `WouldBlock` when none is queued.
///
/// What does not fit into `buffer` is cut off.
pub(super) fn receive(socket: &impl AsFd, buffer: &mut [u8], envelope: &mut Envelope) -> io::Result<usize> {
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: msghdr is integers and pointers, for which zero is a value.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_name = ptr::from_mut(&mut envelope.peer).cast();
    header.msg_namelen = size_of::<libc::sockaddr_storage>() as _;
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = envelope.control.bytes.as_mut_ptr().cast();
    header.msg_controllen = CONTROL as _;
    // SAFETY: every pointer in the header is to memory of the length beside it, borrowed mutably until we return.
    let received = unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), &raw mut header, libc::MSG_DONTWAIT) };
    let length = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: recvmsg has filled the header in, and until the envelope is used again, its pointers are good.
    unsafe { release_interface(&header) };
    envelope.peer_length = header.msg_namelen;
    envelope.control_length = header.msg_controllen as _;
    Ok(length)
}

/// Turns "it came in by this interface" into "it leaves by whichever the routes say", keeping the address.
///
/// With an interface a reply would bypass the routing table: wrong wherever
/// requests and replies take different ways. Only a link-local address means
/// nothing without one.
///
/// # Safety
///
/// recvmsg has filled `header` in, and nothing else has borrowed the control buffer since its pointer was taken: such
/// a borrow ends the pointer's right to write there.
unsafe fn release_interface(header: &libc::msghdr) {
    // SAFETY: recvmsg filled in msg_control and msg_controllen, which describe the buffer that is ours to use.
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

/// Sends `bytes` back to where `envelope` came from, without waiting.
pub(super) fn send(socket: &impl AsFd, bytes: &[u8], envelope: &Envelope) -> io::Result<()> {
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: msghdr is integers and pointers, for which zero is a value.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_name = ptr::from_ref(&envelope.peer).cast_mut().cast();
    header.msg_namelen = envelope.peer_length;
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    if envelope.control_length > 0 {
        header.msg_control = envelope.control.bytes.as_ptr().cast_mut().cast();
        header.msg_controllen = envelope.control_length as _;
    }
    // SAFETY: sendmsg only reads what the header points to, all of it borrowed until we return.
    let sent = unsafe { libc::sendmsg(socket.as_fd().as_raw_fd(), &raw const header, libc::MSG_DONTWAIT) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// What [`wait`] looks at.
pub(super) fn readable(source: &impl AsFd) -> libc::pollfd {
    libc::pollfd { fd: source.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 }
}

/// Whether something can be read now, or a connection be accepted.
pub(super) fn is_readable(source: &impl AsFd) -> bool {
    let mut source = [readable(source)];
    poll(&mut source, 0).is_ok() && source[0].revents != 0
}

/// Waits until something can be read from one of `sources`, or one is closed at its other end.
pub(super) fn wait(sources: &mut [libc::pollfd]) -> io::Result<()> {
    poll(sources, -1)
}

fn poll(sources: &mut [libc::pollfd], milliseconds: c_int) -> io::Result<()> {
    // SAFETY: the pointer and the length are those of one slice, borrowed mutably until poll returns.
    match unsafe { libc::poll(sources.as_mut_ptr(), sources.len() as libc::nfds_t, milliseconds) } {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
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
