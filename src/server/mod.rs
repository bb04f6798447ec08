//! The server: moves DNS messages between sockets and the nameserver.
//!
//! [`Listener::bind`] opens the sockets of one address, before anything is said
//! to be ready; [`Listener::serve`] answers on them until it is told to stop, and
//! then answers what has already come in. Addresses come and go without the
//! others noticing; what all of them share is the [`Answerer`]. UDP has threads of its own,
//! one for each core (`udp`), TCP is asynchronous (`tcp`); both hand bytes to the one
//! [`respond`](crate::nameserver::respond) and know nothing of what they say,
//! nor where zones come from.

mod cores;
mod sys;
mod tcp;
mod udp;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use self::cores::usable as usable_cores;
use self::tcp::Seats;
use crate::metrics::{Metrics, WorkerMetrics};
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

/// What the sockets of one server answer from, and the bounds that they keep together.
#[derive(Debug, Clone)]
pub struct Answerer {
    published: Arc<Published>,
    metrics: Arc<Metrics>,
    /// What no UDP thread counts in any more: for those that come.
    free: Arc<Mutex<Vec<Arc<WorkerMetrics>>>>,
    tcp: Arc<WorkerMetrics>,
    seats: Arc<Seats>,
}

impl Answerer {
    /// Answers from `published`, and counts in `metrics`.
    #[must_use]
    pub fn new(published: Arc<Published>, metrics: Arc<Metrics>) -> Self {
        let tcp = metrics.shared_worker();
        Self { published, metrics, free: Arc::default(), tcp, seats: Arc::new(Seats::of_server()) }
    }

    /// Counters that are one thread's alone, until it gives them back.
    fn take_counters(&self) -> Arc<WorkerMetrics> {
        self.free().pop().unwrap_or_else(|| self.metrics.worker())
    }

    /// The thread that had them has ended.
    fn give_back(&self, counters: Arc<WorkerMetrics>) {
        self.free().push(counters);
    }

    fn free(&self) -> MutexGuard<'_, Vec<Arc<WorkerMetrics>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sockets that are open on one address, UDP and TCP on the same port.
///
/// Messages queue in them from here on; [`Listener::serve`] answers them.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    tcp: TcpListener,
    /// One for each thread.
    udp: Vec<UdpSocket>,
}

impl Listener {
    /// Opens UDP, for as many threads as there are to be `workers`, and TCP on `address`; port 0 picks one that both have.
    ///
    /// IPv6 sockets are V6ONLY: `[::]` and `0.0.0.0` stand side by side. `leaving` are sockets of our own that will be
    /// closed: only they may be on an address that contains this one, or is contained in it.
    ///
    /// # Errors
    ///
    /// When the address cannot be had; nothing is left open then.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn bind(address: SocketAddr, workers: NonZero<usize>, leaving: &[&Claim]) -> Result<Self, ListenError> {
        match Self::open(address, workers, false) {
            Err(error) if is_ours(&error.source, address, leaving) => {
                shared(leaving, |shared| Self::open(address, workers, shared))
            }
            opened => opened,
        }
    }

    /// Opens TCP and then UDP; `shared`: where others are that let us.
    ///
    /// TCP comes first and without `SO_REUSEPORT`: it is the lock on the address. A
    /// second server that shared our UDP port would take half of the queries, and
    /// nobody would notice.
    fn open(asked: SocketAddr, workers: NonZero<usize>, shared: bool) -> Result<Self, ListenError> {
        let failed = |transport| move |source| ListenError { address: asked, transport, source };
        let mut attempts = PORT_ATTEMPTS;
        loop {
            let tcp = open_tcp(asked, shared).map_err(failed("tcp"))?;
            let address = tcp.local_addr().map_err(failed("tcp"))?;
            match open_udp(address, workers, shared) {
                Ok(udp) => return Ok(Self { address, tcp, udp }),
                // The port that TCP picked is another's on UDP: let TCP pick again.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && asked.port() == 0 && attempts > 1 => {
                    attempts -= 1;
                }
                Err(source) => return Err(failed("udp")(source)),
            }
        }
    }

    /// Where we listen, with the port that 0 became.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Our claim on the address.
    ///
    /// # Errors
    ///
    /// When the system gives us no descriptor for it.
    pub fn claim(&self) -> io::Result<Claim> {
        Claim::of(&self.tcp)
    }

    /// Starts answering; the future ends when, after a word to do so, everything is answered and closed.
    ///
    /// A future that is dropped before closes everything at once.
    ///
    /// # Errors
    ///
    /// When the system does not give us the threads; nothing is answered then.
    pub fn serve(self, answerer: &Answerer, words: Words) -> Result<impl Future<Output = ()> + use<>, ServeError> {
        let workers = udp::Workers::start(self.udp, answerer).map_err(ServeError)?;
        // Said also if this is dropped.
        let left = Arc::new(words.left.clone().drop_guard());
        let tcp = tcp::serve(self.tcp, answerer.clone(), words.clone(), Arc::clone(&left));
        Ok(async move {
            let udp = async {
                words.leave.cancelled().await;
                workers.stop().await;
                drop(left);
            };
            tokio::join!(tcp, udp);
        })
    }
}

/// What is said to an address that is served, and what it says.
#[derive(Debug, Clone)]
pub struct Words {
    /// The address is not ours any more: what has come to it is answered, and connections have a while to end.
    pub leave: CancellationToken,
    /// The server is to stop: what has been received is answered. Implies `leave`.
    pub stop: CancellationToken,
    /// Said by the address: its sockets are closed, only connections may be left.
    pub left: CancellationToken,
}

impl Words {
    /// For an address of a server that ends with `stop`.
    #[must_use]
    pub fn until(stop: &CancellationToken) -> Self {
        // Its own, for it may end before the server does.
        let stop = stop.child_token();
        Self { leave: stop.child_token(), stop, left: CancellationToken::new() }
    }
}

/// The claim that a listening socket has on its address. The address is not free before this is dropped, too.
#[derive(Debug)]
pub struct Claim(Socket);

impl Claim {
    /// The claim of `listener`.
    ///
    /// # Errors
    ///
    /// When the system gives us no descriptor for it.
    pub fn of(listener: &TcpListener) -> io::Result<Self> {
        SockRef::from(listener).try_clone().map(Self)
    }
}

/// Whether `address` may be in use by nobody but ourselves: something of ours is `leaving` that port.
fn is_ours(error: &io::Error, address: SocketAddr, leaving: &[&Claim]) -> bool {
    let at_port = |claim: &&Claim| {
        let own = claim.0.local_addr().ok().and_then(|own| own.as_socket());
        own.is_some_and(|own| own.port() == address.port())
    };
    error.kind() == io::ErrorKind::AddrInUse && leaving.iter().any(at_port)
}

/// Opens something where sockets of our own are `leaving`: meanwhile they have `SO_REUSEPORT`.
///
/// Only then can `[::]:53` be opened before `[::1]:53` is closed. It is taken back at once, as the lock that it is.
fn shared<T>(leaving: &[&Claim], open: impl FnOnce(bool) -> T) -> T {
    let share = |on| leaving.iter().for_each(|claim| drop(claim.0.set_reuse_port(on)));
    share(true);
    let opened = open(true);
    share(false);
    opened
}

/// Listens on `address`, and also where it overlaps with those that are `leaving`; an IPv6 socket is V6ONLY.
pub(crate) fn bind_tcp(address: SocketAddr, leaving: &[&Claim]) -> io::Result<TcpListener> {
    match open_tcp(address, false) {
        Err(error) if is_ours(&error, address, leaving) => shared(leaving, |shared| open_tcp(address, shared)),
        opened => opened,
    }
}

fn open_tcp(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = open(address, Type::STREAM, Protocol::TCP)?;
    // Connections of the server before us, in TIME_WAIT, do not keep us from starting; a listener still does.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    // Every connection has it from here: what we write is whole, and waiting for more gains nothing.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_reuse_port(false)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

/// Opens one UDP socket for each worker; the kernel spreads clients over them by their address and port.
fn open_udp(address: SocketAddr, workers: NonZero<usize>, shared: bool) -> io::Result<Vec<UdpSocket>> {
    (0..workers.get())
        .map(|worker| {
            let socket = open(address, Type::DGRAM, Protocol::UDP)?;
            // The first binds alone, so that a port another program shares is an error, and opens the group then.
            if worker == 0 && !shared {
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

/// What a server would have of the system, and what it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granted {
    /// As much as is of use.
    pub wanted: usize,
    /// As much as there is, which may be more.
    pub granted: usize,
}

/// Octets that the kernel queues for one UDP socket.
///
/// # Errors
///
/// When there is no socket to try.
pub fn receive_buffer() -> io::Result<Granted> {
    let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))
        .or_else(|_| Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)))?;
    // What it refuses is what we are to see.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    // Linux says twice as much: it counts what it needs for itself.
    Ok(Granted { wanted: SOCKET_BUFFER, granted: socket.recv_buffer_size()? / 2 })
}

/// Connections over TCP that there may be at a time, for the limit of open files.
#[must_use]
pub fn connections() -> Granted {
    Granted { wanted: tcp::MAX_CONNECTIONS, granted: Seats::most() }
}

fn open(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}
