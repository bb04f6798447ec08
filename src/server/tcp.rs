//! TCP (RFC 7766, RFC 9210): a task for each connection, and bounds on everything that a client can make us keep.
//!
//! | what | bound |
//! |---|---|
//! | connections | [`MAX_CONNECTIONS`] and half of the descriptors, for ours are not the only ones; [`MAX_PER_SOURCE`] for one source |
//! | waiting for a whole query | [`IDLE`], however many bytes of it come |
//! | waiting for a client to take its responses | [`WRITE`] |
//! | memory of a connection | one message on the way in, [`MAX_OUTPUT`] and one response on the way out |
//!
//! Where there is no room for a newcomer, the connection that has been idle
//! for longest makes place (under load, RFC 7766 §6.2.3 lets a server close at once);
//! when all are at work, the newcomer is refused. Queries may be pipelined; responses keep their order.

use std::cell::RefCell;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::{Answerer, Words, sys};
use crate::metrics::WorkerMetrics;
use crate::nameserver::{self, Outcome, Request, Transport};
use crate::published::Published;

/// The most connections at a time.
pub(super) const MAX_CONNECTIONS: usize = 1000;

/// The most connections of one source at a time: an IPv4 address, or an IPv6 /64.
const MAX_PER_SOURCE: usize = 64;

/// How long a client may take to send its next whole query: what we promise to those who ask for keepalive.
const IDLE: Duration = nameserver::TCP_IDLE_TIMEOUT;

/// How long a client may take to receive what it asked for.
const WRITE: Duration = Duration::from_secs(10);

/// Responses to pipelined queries are gathered up to here before they are written.
const MAX_OUTPUT: usize = 1 << 16;

/// The most bytes of a response.
const MAX_MESSAGE: usize = 65_535;

/// What is read at a time, and what a connection may keep while it is idle.
const SMALL: usize = 4096;

/// A DNS message is at least its header (RFC 1035 §4.1.1).
const HEADER: usize = 12;

/// How long the listener rests when the system has no descriptor or no memory for a connection.
const PAUSE: Duration = Duration::from_millis(50);

/// How long clients that have begun to connect to an address that leaves have to end that.
const HANDSHAKE: Duration = Duration::from_millis(200);

/// How long connections have to take their last responses after the word to stop.
const DRAIN: Duration = Duration::from_secs(3);

thread_local! {
    /// Where a response is made: it never grows, and no connection keeps one of its own.
    static RESPONSE: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(MAX_MESSAGE));
}

/// Accepts from `listener` until it is to leave, and answers what was received until it is to stop.
///
/// `left` is dropped when the listener is closed.
pub(super) async fn serve(listener: TcpListener, answerer: Answerer, words: Words, left: Arc<DropGuard>) {
    let Words { leave, stop, .. } = words;
    let cut = CancellationToken::new();
    let server = Arc::new(Server {
        published: answerer.published,
        metrics: answerer.tcp,
        seats: answerer.seats,
        tasks: TaskTracker::new(),
        leave,
        stop,
        cut: cut.clone(),
    });
    // Also when this future is dropped.
    let _cut = cut.drop_guard();
    server.accept(listener).await;
    drop(left);
    server.tasks.close();
    tokio::select! {
        () = server.stop.cancelled() => {}
        // A client that has just connected asks in a moment; one that goes on asking has had its time.
        _ = time::timeout(IDLE, server.tasks.wait()) => server.stop.cancel(),
    }
    let _ = time::timeout(DRAIN, server.tasks.wait()).await;
}

struct Server {
    published: Arc<Published>,
    metrics: Arc<WorkerMetrics>,
    seats: Arc<Seats>,
    tasks: TaskTracker,
    /// From here on nobody is welcome.
    leave: CancellationToken,
    /// From here on only what was received is answered.
    stop: CancellationToken,
    /// Ends everything at once.
    cut: CancellationToken,
}

impl Server {
    /// Accepts connections until `leave`; no error ends or spins it.
    async fn accept(self: &Arc<Self>, listener: TcpListener) {
        let mut failing = false;
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.leave.cancelled() => return self.close(listener).await,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    failing = false;
                    self.welcome(stream, peer);
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    // Without a descriptor accept fails also when nobody waits.
                    if sys::is_readable(&listener) {
                        if !failing {
                            warn!(%error, "no connection can be accepted for now");
                        }
                        failing = true;
                        if is_lack_of_resources(&error) {
                            self.seats.free_oldest();
                        }
                    }
                    // What waits goes on waiting: without a rest we would spin.
                    time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Accepts who has begun to connect: closed at once, the listener would reset them.
    async fn close(self: &Arc<Self>, listener: TcpListener) {
        let until = time::sleep(HANDSHAKE);
        tokio::pin!(until);
        // Where the kernel does not know how, those who come meanwhile are accepted, too.
        let _ = sys::pass_over(&listener);
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                () = &mut until => break,
                Ok((stream, peer)) = listener.accept() => self.welcome(stream, peer),
            }
        }
        self.accept_waiting(listener);
    }

    /// Accepts the connections that the kernel has completed: closed with the listener, they would be reset.
    ///
    /// This asks the socket itself: what tokio knows about it may be older.
    fn accept_waiting(self: &Arc<Self>, listener: TcpListener) {
        let Ok(listener) = listener.into_std() else { return };
        for _ in 0..MAX_CONNECTIONS {
            let Ok((stream, peer)) = listener.accept() else { return };
            if let Ok(stream) = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream)) {
                self.welcome(stream, peer);
            }
        }
    }

    fn welcome(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let Some(seat) = self.seats.take(Source::of(peer.ip())) else { return };
        let server = Arc::clone(self);
        let connection = Connection { server, stream, peer, seat, input: Vec::new(), output: Vec::new() };
        let cut = self.cut.clone();
        // How it ends concerns nobody: clients come and go.
        self.tasks.spawn(async move { cut.run_until_cancelled_owned(connection.run()).await });
    }
}

/// Whether accept(2) failed for the connection that it would have given, which is gone with the error.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNABORTED
                | libc::ECONNRESET
                | libc::EINTR
                | libc::EPROTO
                | libc::ENOPROTOOPT
                | libc::EOPNOTSUPP
                | libc::ETIMEDOUT
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::ENONET
        )
    )
}

/// Whether accept(2) failed for want of what another connection, closed, gives back.
///
/// Not so where a security module refuses (EPERM): closing connections would not help the next.
fn is_lack_of_resources(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

struct Connection {
    server: Arc<Server>,
    stream: TcpStream,
    peer: SocketAddr,
    seat: Seated,
    /// Bytes received and not yet answered.
    input: Vec<u8>,
    /// Responses not yet written, each with its length.
    output: Vec<u8>,
}

impl Connection {
    /// Answers until the client closes, a bound is broken, or the server stops.
    async fn run(mut self) -> io::Result<()> {
        // Waited for once and not anew for each read, which costs more than the read's bookkeeping.
        let (stop, freed) = (self.server.stop.clone(), self.seat.seat.freed.clone());
        let (stopped, freed, idle) = (stop.cancelled(), freed.cancelled(), time::sleep(IDLE));
        tokio::pin!(stopped, freed, idle);
        loop {
            while self.answer_pipelined()? {
                self.seat.busy();
                time::timeout(WRITE, self.stream.write_all(&self.output)).await??;
                self.output.clear();
                self.seat.idle();
                idle.as_mut().reset(time::Instant::now() + IDLE);
            }
            self.output.shrink_to(SMALL);
            self.input.shrink_to(SMALL);
            self.input.reserve(SMALL);

            let received = tokio::select! {
                biased;
                () = &mut stopped => self.take_received()?,
                () = &mut freed => return Ok(()),
                received = self.stream.read_buf(&mut self.input) => received?,
                () = &mut idle => return Ok(()),
            };
            if received == 0 {
                return Ok(());
            }
        }
    }

    /// Reads what has arrived and no more: an error when there is nothing.
    ///
    /// This asks the socket itself: what tokio knows about it may be older than what has arrived.
    fn take_received(&mut self) -> io::Result<usize> {
        let mut bytes = [0; SMALL];
        let length = (&*SockRef::from(&self.stream)).read(&mut bytes)?;
        self.input.extend_from_slice(&bytes[..length]);
        Ok(length)
    }

    /// Answers whole queries from `input` into `output`, as far as [`MAX_OUTPUT`]; whether there is something to write.
    ///
    /// # Errors
    ///
    /// A message too short to be one comes first: where the next begins is anyone's guess then.
    fn answer_pipelined(&mut self) -> io::Result<bool> {
        if split_message(&self.input).is_none() {
            return Ok(false);
        }
        let Self { server, peer, input, output, .. } = self;
        let (peer, served, now) = (*peer, server.published.load(), Instant::now());
        let mut replies = 0;
        let mut rest = &input[..];
        RESPONSE.with_borrow_mut(|response| {
            while output.len() < MAX_OUTPUT
                && let Some((bytes, after)) = split_message(rest)
            {
                if bytes.len() < HEADER {
                    if output.is_empty() {
                        return Err(io::ErrorKind::InvalidData);
                    }
                    break;
                }
                let request = Request { bytes, peer, transport: Transport::Tcp, now };
                let outcome = nameserver::respond(&served, request, response);
                if let (Outcome::Reply(_), Ok(length)) = (&outcome, u16::try_from(response.len())) {
                    output.extend_from_slice(&length.to_be_bytes());
                    output.extend_from_slice(response);
                    replies += 1;
                }
                server.metrics.count(&outcome, Transport::Tcp, peer.ip());
                rest = after;
            }
            Ok(())
        })?;
        server.metrics.took(replies, now.elapsed());
        let answered = input.len() - rest.len();
        input.drain(..answered);
        Ok(!output.is_empty())
    }
}

/// The first whole message, without its length (RFC 1035 §4.2.2), and what follows it.
fn split_message(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = input.split_first_chunk()?;
    rest.split_at_checked(u16::from_be_bytes(*length).into())
}

/// Who shares a bound: one IPv4 address, or an IPv6 /64, which anybody with a network has 2^64 addresses of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Source(IpAddr);

impl Source {
    fn of(peer: IpAddr) -> Self {
        match peer {
            IpAddr::V4(_) => Self(peer),
            IpAddr::V6(address) => Self(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into()),
        }
    }
}

/// The connections there are, and which of them may go.
///
/// A thousand at the most, looked through when one is opened: there is no index to keep right.
#[derive(Debug)]
pub(super) struct Seats {
    total: usize,
    per_source: usize,
    taken: Mutex<Vec<(Source, Arc<Seat>)>>,
    /// Counts how often a connection became idle: the smaller a seat's number, the longer it has been.
    idle_turns: AtomicU64,
}

/// One connection's place.
#[derive(Debug)]
struct Seat {
    /// The turn in which it became idle; [`BUSY`] while it has responses to write.
    idle_since: AtomicU64,
    /// Another needs the place.
    freed: CancellationToken,
}

const BUSY: u64 = u64::MAX;

/// A connection's hold on its seat.
struct Seated {
    seats: Arc<Seats>,
    seat: Arc<Seat>,
}

impl Seats {
    /// Those that the addresses of a server share.
    pub(super) fn of_server() -> Self {
        Self::new(MAX_CONNECTIONS.min(Self::most()), MAX_PER_SOURCE)
    }

    /// How many the limit of open files leaves for connections.
    pub(super) fn most() -> usize {
        sys::descriptor_limit() / 2
    }

    fn new(total: usize, per_source: usize) -> Self {
        Self { total, per_source, taken: Mutex::default(), idle_turns: AtomicU64::new(0) }
    }

    /// A seat for a newcomer; none when every connection in its way is at work.
    fn take(self: &Arc<Self>, source: Source) -> Option<Seated> {
        let mut taken = self.lock();
        let of_source = taken.iter().filter(|(other, _)| *other == source).count();
        let room = if of_source >= self.per_source {
            free_oldest(&mut taken, |other| other == source)
        } else {
            taken.len() < self.total || free_oldest(&mut taken, |_| true)
        };
        if !room {
            return None;
        }
        let seat = Arc::new(Seat { idle_since: AtomicU64::new(self.turn()), freed: CancellationToken::new() });
        taken.push((source, Arc::clone(&seat)));
        Some(Seated { seats: Arc::clone(self), seat })
    }

    /// Closes the connection that has been idle for longest.
    fn free_oldest(&self) {
        free_oldest(&mut self.lock(), |_| true);
    }

    fn turn(&self) -> u64 {
        self.idle_turns.fetch_add(1, Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Source, Arc<Seat>)>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes its seat from the longest idle connection of those sources; whether there was one.
fn free_oldest(taken: &mut Vec<(Source, Arc<Seat>)>, of: impl Fn(Source) -> bool) -> bool {
    let idle = taken.iter().enumerate().filter(|(_, (source, _))| of(*source)).filter_map(|(index, (_, seat))| {
        let since = seat.idle_since.load(Ordering::Relaxed);
        (since != BUSY).then_some((since, index))
    });
    let Some((_, index)) = idle.min() else { return false };
    taken.swap_remove(index).1.freed.cancel();
    true
}

impl Seated {
    fn busy(&self) {
        self.seat.idle_since.store(BUSY, Ordering::Relaxed);
    }

    fn idle(&self) {
        self.seat.idle_since.store(self.seats.turn(), Ordering::Relaxed);
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        self.seats.lock().retain(|(_, seat)| !Arc::ptr_eq(seat, &self.seat));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(address: &str) -> Source {
        Source::of(address.parse().unwrap())
    }

    #[test]
    fn the_longest_idle_connection_makes_place() {
        let seats = Arc::new(Seats::new(3, 3));
        let [first, second, third] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|a| seats.take(source(a)).unwrap());
        first.idle();
        second.busy();

        let _fourth = seats.take(source("192.0.2.4")).unwrap();
        assert!(third.seat.freed.is_cancelled(), "idle since it came");
        assert!(!first.seat.freed.is_cancelled(), "idle since later");
        assert!(!second.seat.freed.is_cancelled(), "at work");
    }

    #[test]
    fn a_newcomer_is_refused_while_all_are_at_work() {
        let seats = Arc::new(Seats::new(1, 1));
        let only = seats.take(source("192.0.2.1")).unwrap();
        only.busy();
        assert!(seats.take(source("192.0.2.2")).is_none());

        drop(only);
        assert!(seats.take(source("192.0.2.2")).is_some());
    }

    #[test]
    fn a_source_at_its_bound_takes_no_place_from_others() {
        let seats = Arc::new(Seats::new(10, 2));
        let other = seats.take(source("2001:db8:0:2::1")).unwrap();
        let first = seats.take(source("2001:db8:0:1::1")).unwrap();
        let _second = seats.take(source("2001:db8:0:1::2")).unwrap();

        let _third = seats.take(source("2001:db8:0:1:ffff::")).unwrap();
        assert!(first.seat.freed.is_cancelled(), "of the same /64");
        assert!(!other.seat.freed.is_cancelled(), "of another /64");
    }

    #[test]
    fn connections_are_closed_only_where_that_helps() {
        let helps = |code| is_lack_of_resources(&io::Error::from_raw_os_error(code));
        assert!([libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM].into_iter().all(helps));
        assert!(![libc::EPERM, libc::EINVAL, libc::EBADF].into_iter().any(helps));
    }

    #[test]
    fn a_message_is_whole_or_waited_for() {
        assert_eq!(split_message(&[]), None);
        assert_eq!(split_message(&[0]), None);
        assert_eq!(split_message(&[0, 0]), Some((&[][..], &[][..])));
        assert_eq!(split_message(&[0, 2, 7]), None);
        assert_eq!(split_message(&[0, 2, 7, 8, 0]), Some((&[7, 8][..], &[0][..])));
    }
}
