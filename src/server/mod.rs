//! The server: moves DNS messages between sockets and the nameserver.
//!
//! [`Listeners::bind`] opens every socket at once, before anything is said to be
//! ready; [`Listeners::serve`] answers on them until it is told to stop, and
//! then answers what has already come in. UDP has a thread for each core
//! (`udp`), TCP is asynchronous (`tcp`); both hand bytes to the one
//! [`respond`](crate::nameserver::respond) and know nothing of what they say,
//! nor where zones come from.

mod sys;
mod tcp;
mod udp;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::published::Published;

/// How often a port that TCP picked is given back because UDP could not have it, too.
const PORT_ATTEMPTS: usize = 16;

/// Connections that the kernel completes for us while we are busy; it caps this at `net.core.somaxconn`.
const BACKLOG: i32 = 1024;

/// What a burst may queue on one UDP socket before the kernel drops; it caps this at `net.core.rmem_max`.
const SOCKET_BUFFER: usize = 1 << 20;

/// A socket we were told to serve on could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("could not listen on {address}/{transport}{}", hint(.address, .source))]
pub struct ListenError {
    /// The address as it was asked for.
    pub address: SocketAddr,
    /// `tcp` or `udp`.
    pub transport: &'static str,
    /// What the system said.
    pub source: io::Error,
}

/// The sockets are open, but the threads that answer on them could not be started.
#[derive(Debug, thiserror::Error)]
#[error("could not start answering")]
pub struct ServeError(#[source] io::Error);

fn hint(address: &SocketAddr, source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied if (1..1024).contains(&address.port()) => {
            " (a port below 1024 needs CAP_NET_BIND_SERVICE)"
        }
        _ => "",
    }
}

/// Sockets that are open on every configured address, UDP and TCP on the same port each.
///
/// Messages queue in them from here on; [`Listeners::serve`] answers them.
#[derive(Debug)]
pub struct Listeners {
    addresses: Vec<SocketAddr>,
    tcp: Vec<TcpListener>,
    /// For each worker, one socket on every address.
    udp: Vec<Vec<UdpSocket>>,
}

impl Listeners {
    /// Opens UDP and TCP on each of `addresses`; port 0 picks one that both have.
    ///
    /// IPv6 sockets are V6ONLY: `[::]` and `0.0.0.0` stand side by side.
    ///
    /// # Errors
    ///
    /// The first address that cannot be had; nothing is left open then.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn bind(addresses: &[SocketAddr]) -> Result<Self, ListenError> {
        let workers = thread::available_parallelism().map_or(1, NonZero::get);
        let mut listeners = Self {
            addresses: Vec::with_capacity(addresses.len()),
            tcp: Vec::with_capacity(addresses.len()),
            udp: (0..workers).map(|_| Vec::with_capacity(addresses.len())).collect(),
        };
        for &address in addresses {
            let (bound, tcp, udp) = bind_pair(address, workers)?;
            listeners.addresses.push(bound);
            listeners.tcp.push(tcp);
            for (worker, socket) in listeners.udp.iter_mut().zip(udp) {
                worker.push(socket);
            }
        }
        Ok(listeners)
    }

    /// Where we listen, in the order asked for, with the ports that 0 became.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Starts answering; the future ends when, after `stop`, everything received by then is answered and closed.
    ///
    /// A future that is dropped before closes everything at once.
    ///
    /// # Errors
    ///
    /// When the system does not give us the threads; nothing is answered then.
    pub fn serve(
        self,
        published: Arc<Published>,
        metrics: &Metrics,
        stop: CancellationToken,
    ) -> Result<impl Future<Output = ()> + use<>, ServeError> {
        let workers = udp::Workers::start(self.udp, &published, metrics).map_err(ServeError)?;
        let tcp = tcp::serve(self.tcp, published, metrics.worker(), stop);
        Ok(async move {
            tcp.await;
            workers.stop().await;
        })
    }
}

/// Opens TCP and then UDP on `address`.
///
/// TCP comes first and without `SO_REUSEPORT`: it is the lock on the address. A
/// second server that shared our UDP port would take half of the queries, and
/// nobody would notice.
fn bind_pair(address: SocketAddr, workers: usize) -> Result<(SocketAddr, TcpListener, Vec<UdpSocket>), ListenError> {
    let failed = |transport| move |source| ListenError { address, transport, source };
    let mut attempts = PORT_ATTEMPTS;
    loop {
        let tcp = bind_tcp(address).map_err(failed("tcp"))?;
        let bound = tcp.local_addr().map_err(failed("tcp"))?;
        match bind_udp(bound, workers) {
            Ok(udp) => return Ok((bound, tcp, udp)),
            // The port that TCP picked is another's on UDP: let TCP pick again.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && address.port() == 0 && attempts > 1 => {
                attempts -= 1;
            }
            Err(source) => return Err(failed("udp")(source)),
        }
    }
}

/// Listens on `address`; an IPv6 socket is V6ONLY.
pub(crate) fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = open(address, Type::STREAM, Protocol::TCP)?;
    // Connections of the server before us, in TIME_WAIT, do not keep us from starting; a listener still does.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

/// Opens one UDP socket for each worker; the kernel spreads clients over them by their address and port.
fn bind_udp(address: SocketAddr, workers: usize) -> io::Result<Vec<UdpSocket>> {
    (0..workers)
        .map(|worker| {
            let socket = open(address, Type::DGRAM, Protocol::UDP)?;
            // The first binds alone, so that a port another program shares is an error, and opens the group then.
            if worker == 0 {
                socket.bind(&address.into())?;
                socket.set_reuse_port(true)?;
            } else {
                socket.set_reuse_port(true)?;
                socket.bind(&address.into())?;
            }
            if address.ip().is_unspecified() {
                sys::tell_destination(&socket, address)?;
            }
            sys::ignore_path_mtu(&socket, address)?;
            // The kernel's own size will do where it refuses.
            let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
            let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
            Ok(socket.into())
        })
        .collect()
}

fn open(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}
