//! UDP: a thread for each core, each with its own socket on every address.
//!
//! A worker waits until something is queued, and answers it in batches: one
//! look at what is published for a whole batch, no lock, and no allocation. No
//! datagram, and no error that a datagram brings about, ends a worker or makes
//! it spin.

use std::io::{self, PipeReader, PipeWriter};
use std::net::UdpSocket;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tracing::{debug, error, trace};

use super::sys::{self, Envelope};
use crate::metrics::{Metrics, WorkerMetrics};
use crate::nameserver::{self, Outcome, Request, Transport};
use crate::published::Published;

/// Datagrams taken from one socket before the others have their turn. They are received and sent one by
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
    /// Starts a thread for each of `groups`.
    pub(super) fn start(
        groups: Vec<Vec<UdpSocket>>,
        published: &Arc<Published>,
        metrics: &Metrics,
    ) -> io::Result<Self> {
        let (stopped, stop) = io::pipe()?;
        let mut workers = Self { threads: Vec::with_capacity(groups.len()), stop: Some(stop) };
        for (number, sockets) in groups.into_iter().enumerate() {
            let worker = Worker {
                sockets,
                published: Arc::clone(published),
                metrics: metrics.worker(),
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
    sockets: Vec<UdpSocket>,
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
        let mut sources: Vec<_> = self.sockets.iter().map(sys::readable).collect();
        sources.push(sys::readable(&self.stopped));

        loop {
            if let Err(error) = sys::wait(&mut sources) {
                debug!(%error, "poll failed");
                thread::sleep(PAUSE);
                continue;
            }
            let (stopped, sources) = sources.split_last().expect("pushed above");
            if stopped.revents != 0 {
                return self.drain(&mut buffers);
            }
            for (socket, source) in self.sockets.iter().zip(sources) {
                if source.revents != 0 && self.answer_batch(socket, &mut buffers) == Queue::Failed {
                    thread::sleep(PAUSE);
                }
            }
        }
    }

    /// Answers what is queued on every socket.
    fn drain(&self, buffers: &mut Buffers) {
        let until = Instant::now() + DRAIN;
        for socket in &self.sockets {
            while self.answer_batch(socket, buffers) == Queue::Filled && Instant::now() < until {}
        }
    }

    /// Answers what is queued on `socket`, a batch at the most.
    fn answer_batch(&self, socket: &UdpSocket, buffers: &mut Buffers) -> Queue {
        let Buffers { request, response, envelope } = buffers;
        let served = self.published.load();
        let mut now = Instant::now();
        for _ in 0..BATCH {
            let length = match sys::receive(socket, request, envelope) {
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
                if let Err(error) = sys::send(socket, response, envelope) {
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
