//! UDP: on every address a thread for each core, each with its own socket.
//!
//! A worker waits until something is queued, and answers it in batches: one
//! look at what is published for a whole batch, no lock, and no allocation. No
//! datagram, and no error that a datagram brings about, ends a worker or makes
//! it spin.

use std::io::{self, PipeReader, PipeWriter};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tracing::{debug, error, trace};

use super::Answerer;
use super::sys::{self, Envelope};
use crate::metrics::WorkerMetrics;
use crate::nameserver::{self, Outcome, Request, Transport};
use crate::published::Published;

/// Datagrams answered from one version of what is published. They are received and sent one by
/// one; `recvmmsg` and `sendmmsg` belong here, too.
const BATCH: usize = 64;

/// The most bytes of a datagram, and of a response.
const MAX_MESSAGE: usize = 65_535;

/// How long a worker rests when the system is out of memory or the like.
const PAUSE: Duration = Duration::from_millis(5);

/// How long answering goes on after the word to stop, when clients keep the queue from becoming empty.
const DRAIN: Duration = Duration::from_secs(1);

/// The threads. Dropped, they end, after they have answered what is queued.
pub(super) struct Workers {
    threads: Vec<JoinHandle<()>>,
    /// Nothing is ever written: its end is what the threads wait for.
    stop: Option<PipeWriter>,
}

impl Workers {
    /// Starts a thread for each of `sockets`.
    pub(super) fn start(sockets: Vec<UdpSocket>, answerer: &Answerer) -> io::Result<Self> {
        let (stopped, stop) = io::pipe()?;
        let mut workers = Self { threads: Vec::with_capacity(sockets.len()), stop: Some(stop) };
        for (number, (socket, metrics)) in sockets.into_iter().zip(&answerer.udp).enumerate() {
            let worker = Worker {
                socket,
                published: Arc::clone(&answerer.published),
                metrics: Arc::clone(metrics),
                stopped: stopped.try_clone()?,
            };
            let thread = thread::Builder::new().name(format!("udp-{number}"));
            workers.threads.push(thread.spawn(move || worker.run())?);
        }
        Ok(workers)
    }

    /// Returns when every worker has answered what was queued and has closed its sockets.
    pub(super) async fn stop(mut self) {
        drop(self.stop.take());
        for thread in self.threads.drain(..) {
            let _ = tokio::task::spawn_blocking(|| thread.join()).await;
        }
    }
}

struct Worker {
    socket: UdpSocket,
    published: Arc<Published>,
    metrics: Arc<WorkerMetrics>,
    stopped: PipeReader,
}

/// What a worker writes into, again and again.
struct Buffers {
    request: Box<[u8]>,
    response: Vec<u8>,
    envelope: Envelope,
}

/// Why a batch ended.
#[derive(PartialEq, Eq)]
enum Queue {
    Empty,
    /// There may be more.
    Filled,
    /// The system could not give us what there is.
    Failed,
}

impl Worker {
    /// Answers until [`Workers`] is dropped.
    fn run(&self) {
        // A mistake of ours in one answer must not take a core's share of the clients away.
        while panic::catch_unwind(AssertUnwindSafe(|| self.serve())).is_err() {
            error!("an answer panicked; the worker goes on with the next request");
        }
    }

    fn serve(&self) {
        let mut buffers = Buffers {
            request: vec![0; MAX_MESSAGE].into_boxed_slice(),
            response: Vec::with_capacity(MAX_MESSAGE),
            envelope: Envelope::new(),
        };
        let mut sources = [sys::readable(&self.socket), sys::readable(&self.stopped)];
        loop {
            if let Err(error) = sys::wait(&mut sources) {
                debug!(%error, "poll failed");
                thread::sleep(PAUSE);
                continue;
            }
            let [socket, stopped] = sources;
            if stopped.revents != 0 {
                return self.drain(&mut buffers);
            }
            if socket.revents != 0 && self.answer_batch(&mut buffers) == Queue::Failed {
                thread::sleep(PAUSE);
            }
        }
    }

    /// Answers what is queued, when nothing more will be.
    fn drain(&self, buffers: &mut Buffers) {
        // From here on the kernel gives what comes to a socket that overlaps with ours, if there is one: what came
        // between our last look and the end would be lost.
        let _ = self.socket.local_addr().and_then(|own| self.socket.connect(nobody(own)));
        let until = Instant::now() + DRAIN;
        while self.answer_batch(buffers) == Queue::Filled && Instant::now() < until {}
    }

    /// Answers what is queued, a batch at the most.
    fn answer_batch(&self, buffers: &mut Buffers) -> Queue {
        let Buffers { request, response, envelope } = buffers;
        let served = self.published.load();
        let mut now = Instant::now();
        for _ in 0..BATCH {
            let length = match sys::receive(&self.socket, request, envelope) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Queue::Empty,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // No peer can bring this about: ICMP errors are not reported to a socket that is not connected.
                Err(error) => {
                    debug!(%error, "receiving failed");
                    return Queue::Failed;
                }
            };
            // Nobody can be reached at port 0; whoever claims to send from it is up to something.
            let Some(peer) = envelope.peer().filter(|peer| peer.port() != 0) else { continue };

            let outcome = nameserver::respond(
                &served,
                Request { bytes: &request[..length], peer, transport: Transport::Udp, now },
                response,
            );
            if matches!(outcome, Outcome::Reply(_)) {
                // Lost like any datagram: no route, a full queue, a firewall's EPERM. The client asks again.
                if let Err(error) = sys::send(&self.socket, response, envelope) {
                    trace!(%error, %peer, "sending failed");
                }
            }
            let done = Instant::now();
            self.metrics.count(&outcome, Transport::Udp, peer.ip(), done - now);
            now = done;
        }
        Queue::Filled
    }
}

/// A peer on this host that sends us nothing: port 1 is a service of the past.
fn nobody(own: SocketAddr) -> SocketAddr {
    let here = match own {
        _ if !own.ip().is_unspecified() => own.ip(),
        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    let mut nobody = own;
    nobody.set_ip(here);
    nobody.set_port(1);
    nobody
}
