//! Asking for a whole walk: nothing twice, nobody who is dead, and within bounds altogether.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};

use super::{Asker, Exchange, Question, Silence, Transport, World};

/// Questions of one walk: from the root to a name below three zones with two servers each it takes about 250.
const QUESTIONS: usize = 2500;

/// How long a walk may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Octets that are listened to: strangers decide how long their answers are. What is made of them in memory is some
/// twenty times as large at worst.
const OCTETS: usize = 2 << 20;

/// One who asks for a walk.
pub(super) struct Inquiry {
    asker: Asker,
    deadline: Instant,
    /// What was asked, is being asked, and what came of it.
    heard: Mutex<HashMap<(IpAddr, Question), Pending>>,
    /// Whether somebody ever answered there who was asked that way.
    alive: Mutex<HashMap<Way, bool>>,
    asked: AtomicUsize,
    octets: AtomicUsize,
    refused: AtomicUsize,
}

/// What comes of a question: whoever asks it first, asks for all.
type Pending = Arc<OnceCell<Exchange>>;

/// A server, how it is asked, and whether that is with EDNS.
type Way = (IpAddr, Transport, bool);

impl Inquiry {
    pub(super) fn new(world: World) -> Self {
        Self {
            asker: Asker::new(world, QUESTIONS),
            deadline: Instant::now() + PATIENCE,
            heard: Mutex::default(),
            alive: Mutex::default(),
            asked: AtomicUsize::new(0),
            octets: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
        }
    }

    pub(super) fn world(&self) -> &World {
        self.asker.world()
    }

    /// Questions that were asked.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Whether something was not asked, as it was too much or too late.
    pub(super) fn is_exhausted(&self) -> bool {
        self.refused.load(Ordering::Relaxed) > 0
    }

    /// Asks `server`, once. One that was silent to all that it was asked before in that way is not waited for again: it is
    /// said to be so still.
    pub(super) async fn ask(&self, server: IpAddr, question: Question) -> Exchange {
        let cell = {
            let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(heard.entry((server, question.clone())).or_default())
        };
        cell.get_or_init(|| self.exchange(server, question)).await.clone()
    }

    async fn exchange(&self, server: IpAddr, question: Question) -> Exchange {
        let way = (server, question.transport, question.payload.is_some());
        let without =
            |silence| Exchange { server, question: question.clone(), took: Duration::ZERO, outcome: Err(silence) };
        if self.alive.lock().unwrap_or_else(PoisonError::into_inner).get(&way) == Some(&false) {
            return without(Silence::Timeout);
        }
        let exchange = if self.octets.load(Ordering::Relaxed) < OCTETS {
            timeout_at(self.deadline, self.asker.ask(server, question.clone())).await.ok()
        } else {
            None
        };
        let exchange = exchange.unwrap_or_else(|| without(Silence::Unasked));
        match &exchange.outcome {
            Ok(reply) => {
                self.octets.fetch_add(reply.size, Ordering::Relaxed);
                self.alive.lock().unwrap_or_else(PoisonError::into_inner).insert(way, true);
            }
            Err(Silence::Timeout) => {
                self.alive.lock().unwrap_or_else(PoisonError::into_inner).entry(way).or_insert(false);
            }
            Err(Silence::Unasked) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                return exchange;
            }
            Err(_) => {}
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        exchange
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use hickory_proto::op::{Message, MessageType};
    use hickory_proto::rr::{Name, RecordType};
    use tokio::net::UdpSocket;

    use super::*;

    const HERE: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

    fn question(rtype: RecordType) -> Question {
        Question { name: Name::root(), rtype, transport: Transport::Udp, payload: None, dnssec: false }
    }

    async fn inquiry() -> (UdpSocket, Inquiry) {
        let socket = UdpSocket::bind((HERE, 0)).await.expect("a socket");
        let mut world = World::rooted(vec![HERE]);
        world.places.insert(HERE, socket.local_addr().expect("its address"));
        (socket, Inquiry::new(world))
    }

    #[tokio::test]
    async fn what_is_asked_twice_at_once_is_asked_once() {
        let (socket, inquiry) = inquiry().await;
        let answering = async {
            let mut buffer = [0; 512];
            let (length, peer) = socket.recv_from(&mut buffer).await.expect("a question");
            let mut message = Message::from_vec(&buffer[..length]).expect("a message");
            message.metadata.message_type = MessageType::Response;
            socket.send_to(&message.to_vec().expect("octets"), peer).await.expect("sent");
        };
        let ask = || inquiry.ask(HERE, question(RecordType::SOA));
        let (one, other, ()) = tokio::join!(ask(), ask(), answering);
        assert!(one.outcome.is_ok() && other.outcome.is_ok());
        assert_eq!(inquiry.asked(), 1);
    }

    #[tokio::test]
    async fn who_was_silent_is_not_waited_for_again() {
        let (_silent, inquiry) = inquiry().await;
        let first = inquiry.ask(HERE, question(RecordType::SOA)).await;
        let second = inquiry.ask(HERE, question(RecordType::NS)).await;
        let silences = [first, second].map(|exchange| exchange.outcome.expect_err("nobody answers"));
        assert_eq!((silences, inquiry.asked()), ([Silence::Timeout, Silence::Timeout], 1));
    }
}
