//! UDP: on every address a thread for each core, each with its own socket.
//!
//! A worker waits for one datagram, takes what else is queued with it, and
//! answers the batch: two system calls, two looks at the clock and one at what is
//! published, no lock, and no allocation. Nobody waits for a batch to become full.
//! No datagram, and no error that a datagram brings about, ends a worker or makes
//! it spin.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, UdpSocket};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tracing::{debug, error, trace};

use super::Answerer;
use super::cores;
use super::sys::Batch;
use crate::metrics::WorkerMetrics;
use crate::nameserver::{self, MAX_UDP_PAYLOAD, Outcome, Request, Transport};
use crate::published::Published;

/// How long a worker rests when the system is out of memory or the like.
const PAUSE: Duration = Duration::from_millis(5);

/// How long answering goes on after the word to stop, when clients keep the queue from becoming empty.
const DRAIN: Duration = Duration::from_secs(1);

/// How long a worker waits at the most before it looks whether it is to stop: for kernels that do not wake it.
const LOOK: Duration = Duration::from_secs(5);

/// The threads. Dropped, they end, after they have answered what is queued.
pub(super) struct Workers {
    threads: Vec<JoinHandle<()>>,
    sockets: Vec<Arc<UdpSocket>>,
    stopping: Arc<AtomicBool>,
}

impl Workers {
    /// Starts a thread for each of `sockets`.
    pub(super) fn start(sockets: Vec<UdpSocket>, answerer: &Answerer) -> io::Result<Self> {
        let count = sockets.len();
        let mut workers =
            Self { threads: Vec::with_capacity(count), sockets: Vec::with_capacity(count), stopping: Arc::default() };
        for (number, socket) in sockets.into_iter().enumerate() {
            socket.set_read_timeout(Some(LOOK))?;
            let socket = Arc::new(socket);
            let worker = Worker {
                socket: Arc::clone(&socket),
                published: Arc::clone(&answerer.published),
                metrics: answerer.take_counters(),
                stopping: Arc::clone(&workers.stopping),
            };
            workers.sockets.push(socket);
            let answerer = answerer.clone();
            let run = move || {
                cores::pin(number, count);
                worker.run();
                answerer.give_back(worker.metrics);
            };
            workers.threads.push(thread::Builder::new().name(format!("udp-{number}")).spawn(run)?);
        }
        Ok(workers)
    }

    /// Returns when every worker has answered what was queued and has closed its sockets.
    pub(super) async fn stop(mut self) {
        self.wake();
        for thread in self.threads.drain(..) {
            let _ = tokio::task::spawn_blocking(|| thread.join()).await;
        }
    }

    /// Tells the threads to end; to do it again changes nothing.
    fn wake(&mut self) {
        self.stopping.store(true, Ordering::Release);
        for socket in self.sockets.drain(..) {
            // It says ENOTCONN, as nobody is connected; whoever waits for a datagram is woken all the same.
            let _ = SockRef::from(&*socket).shutdown(Shutdown::Read);
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.wake();
    }
}

struct Worker {
    socket: Arc<UdpSocket>,
    published: Arc<Published>,
    metrics: Arc<WorkerMetrics>,
    stopping: Arc<AtomicBool>,
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
        let mut batch = Batch::new(MAX_UDP_PAYLOAD.into());
        while !self.stopping.load(Ordering::Acquire) {
            // No peer can bring an error about: what ICMP says is not reported to a socket that is not connected.
            match batch.receive(&self.socket, true) {
                Ok(_) => self.answer(&mut batch),
                Err(error) => {
                    debug!(%error, "receiving failed");
                    thread::sleep(PAUSE);
                }
            }
        }
        self.drain(&mut batch);
    }

    /// Answers what is queued, when nothing more will be.
    fn drain(&self, batch: &mut Batch) {
        // From here on the kernel gives what comes to a socket that overlaps with ours, if there is one: what came
        // between our last look and the end would be lost.
        let _ = self.socket.local_addr().and_then(|own| self.socket.connect(nobody(own)));
        let until = Instant::now() + DRAIN;
        while batch.receive(&self.socket, false).is_ok_and(|received| received > 0) && Instant::now() < until {
            self.answer(batch);
        }
    }

    /// Answers a batch from one version of what is published.
    fn answer(&self, batch: &mut Batch) {
        let served = self.published.load();
        let now = Instant::now();
        let mut replies = 0;
        for datagram in batch.datagrams() {
            // Nobody can be reached at port 0; whoever claims to send from it is up to something.
            let Some(peer) = datagram.peer.filter(|peer| peer.port() != 0) else { continue };
            let request = Request { bytes: datagram.bytes, peer, transport: Transport::Udp, now };
            let outcome = nameserver::respond(&served, request, datagram.response);
            replies += u64::from(matches!(outcome, Outcome::Reply(_)));
            self.metrics.count(&outcome, Transport::Udp, peer.ip());
        }
        // Lost like any datagram: no route, a full queue, a firewall's EPERM. The client asks again.
        if let (lost, Some(error)) = batch.send(&self.socket) {
            trace!(lost, %error, "sending failed");
        }
        self.metrics.took(replies, now.elapsed());
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
