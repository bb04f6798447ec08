//! One question to one server over one transport, and what came of it.
//!
//! No answer is an error here: a server that is silent has said something, too. What is asked is bounded,
//! whatever the answers lead to: so many questions at a time, so many altogether, and so long for each.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hickory_net::NetError;
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_net::tcp::TcpClientStream;
use hickory_net::udp::UdpClientStream;
use hickory_net::xfer::{DnsHandle, FirstAnswer as _};
use hickory_proto::op::{DnsRequest, DnsRequestOptions, Edns, Message, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption, NSIDPayload};
use hickory_proto::rr::{Name, RecordType};
use serde::Serialize;
use tokio::sync::Semaphore;

use super::World;

/// Questions that are under way at a time.
const AT_A_TIME: usize = 64;

/// How long a server may take: over UDP with all repetitions, over TCP for connecting, and again for answering.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often a question is sent over UDP, and after how many milliseconds again.
const ATTEMPTS: u8 = 3;
const REPETITION: u64 = 900;

/// The largest UDP response that resolvers ask for today: it needs no fragments anywhere (RFC 9715 §3).
pub const PAYLOAD: u16 = 1232;

/// EDNS option 15: RFC 8914.
const EXTENDED_ERROR: EdnsCode = EdnsCode::Unknown(15);

/// How a question travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// In a datagram.
    Udp,
    /// On a connection of its own.
    Tcp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        })
    }
}

/// A question, and how it is put.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    /// QNAME.
    pub name: Name,
    /// QTYPE.
    pub rtype: RecordType,
    /// How it travels.
    pub transport: Transport,
    /// The largest UDP response that is asked for, in octets, by an OPT record with NSID; none: without EDNS (RFC 6891).
    pub payload: Option<u16>,
    /// Whether DNSSEC's records are asked for (DO, RFC 3225).
    pub dnssec: bool,
}

/// What a question to a server led to.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Who was asked.
    pub server: IpAddr,
    /// What.
    pub question: Question,
    /// From asking, to what came of it.
    pub took: Duration,
    /// What came of it.
    pub outcome: Result<Reply, Silence>,
}

/// A response.
#[derive(Debug, Clone)]
pub struct Reply {
    /// What it says.
    pub message: Message,
    /// Octets.
    pub size: usize,
}

impl Reply {
    /// Its RCODE, the upper bits from the OPT record.
    #[must_use]
    pub fn rcode(&self) -> ResponseCode {
        self.message.metadata.response_code
    }

    /// Who the server says that it is (RFC 5001): as text where it is printable, in hexadecimal digits otherwise.
    #[must_use]
    pub fn nsid(&self) -> Option<String> {
        let Some(EdnsOption::NSID(payload)) = self.option(EdnsCode::NSID) else { return None };
        let octets: &[u8] = payload.as_ref();
        let printable = octets.iter().all(|octet| octet.is_ascii_graphic() || *octet == b' ');
        Some(if printable {
            octets.iter().copied().map(char::from).collect()
        } else {
            data_encoding::HEXLOWER.encode(octets)
        })
    }

    /// What it says went wrong (RFC 8914): INFO-CODE and EXTRA-TEXT.
    #[must_use]
    pub fn extended_error(&self) -> Option<(u16, String)> {
        let Some(EdnsOption::Unknown(_, octets)) = self.option(EXTENDED_ERROR) else { return None };
        let (code, text) = octets.split_first_chunk()?;
        Some((u16::from_be_bytes(*code), String::from_utf8_lossy(text).into_owned()))
    }

    fn option(&self, code: EdnsCode) -> Option<&EdnsOption> {
        self.message.edns.as_ref()?.option(code)
    }
}

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Silence {
    /// Nothing came in time.
    Timeout,
    /// Nobody listens on that port.
    Refused,
    /// This machine has no way there: no address of that family, or no route.
    NoRoute,
    /// The network says that nobody is there.
    Unreachable,
    /// The connection was closed before there was an answer.
    Closed,
    /// What came is no DNS message.
    Garbled,
    /// It was not asked: too many questions were, already.
    Unasked,
    /// This machine could not ask.
    Failed(String),
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "no answer",
            Self::Refused => "refuses the connection",
            Self::NoRoute => "no route from here",
            Self::Unreachable => "the network says that nobody is there",
            Self::Closed => "closes the connection without an answer",
            Self::Garbled => "answers what is no DNS message",
            Self::Unasked => "not asked: too many questions",
            Self::Failed(why) => why,
        })
    }
}

/// Who asks, within bounds.
pub struct Asker {
    world: World,
    provider: TokioRuntimeProvider,
    permits: Semaphore,
    /// How many more questions there may be.
    left: AtomicUsize,
}

impl Asker {
    /// One who asks in `world`, at most so many `questions` altogether.
    #[must_use]
    pub fn new(world: World, questions: usize) -> Self {
        Self {
            world,
            provider: TokioRuntimeProvider::new(),
            permits: Semaphore::new(AT_A_TIME),
            left: AtomicUsize::new(questions),
        }
    }

    /// Where it asks.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Asks `server`, and says what came of it.
    pub async fn ask(&self, server: IpAddr, question: Question) -> Exchange {
        let _permit = self.permits.acquire().await.expect("never closed");
        let less = |left: usize| left.checked_sub(1);
        let started = Instant::now();
        let outcome = match self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less) {
            Ok(_) => self.exchange(self.world.place(server), &question).await,
            Err(_) => Err(Silence::Unasked),
        };
        Exchange { server, question, took: started.elapsed(), outcome }
    }

    async fn exchange(&self, server: SocketAddr, question: &Question) -> Result<Reply, Silence> {
        let request = request(question);
        let exchange = match question.transport {
            Transport::Udp => UdpClientStream::builder(server, self.provider.clone())
                .with_timeout(Some(PATIENCE))
                .with_max_retries(ATTEMPTS)
                .with_retry_interval_floor(REPETITION)
                .exchange(),
            Transport::Tcp => TcpClientStream::exchange(server, None, PATIENCE, None, self.provider.clone()).await?,
        };
        let response = exchange.send(request).first_answer().await?;
        let size = response.as_buffer().len();
        Ok(Reply { message: response.into_message(), size })
    }
}

/// The message that puts `question`: nobody is asked to recurse.
fn request(question: &Question) -> DnsRequest {
    let mut message = Message::query();
    message.metadata.recursion_desired = false;
    message.add_query(Query::query(question.name.clone(), question.rtype));
    if let Some(payload) = question.payload {
        let mut edns = Edns::new();
        edns.set_max_payload(payload).set_dnssec_ok(question.dnssec);
        edns.options_mut().insert(EdnsOption::NSID(NSIDPayload::new([]).expect("nothing is not too long")));
        message.set_edns(edns);
    }
    DnsRequest::new(message, DnsRequestOptions::default())
}

impl From<NetError> for Silence {
    fn from(error: NetError) -> Self {
        match error {
            NetError::Timeout => Self::Timeout,
            NetError::Proto(_) => Self::Garbled,
            NetError::Io(error) => match error.kind() {
                io::ErrorKind::TimedOut => Self::Timeout,
                io::ErrorKind::ConnectionRefused => Self::Refused,
                io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable => Self::NoRoute,
                io::ErrorKind::HostUnreachable => Self::Unreachable,
                // A socket of a family that the kernel was built, or told, not to have.
                _ if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => Self::NoRoute,
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                    Self::Closed
                }
                _ => Self::Failed(error.to_string()),
            },
            other => Self::Failed(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use hickory_proto::rr::rdata::OPT;
    use tokio::net::{TcpListener, UdpSocket};

    use super::*;

    const HERE: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

    /// What comes of asking `server` as often as is allowed, and once more.
    async fn outcomes(server: SocketAddr, transport: Transport) -> [Result<Reply, Silence>; 2] {
        let mut world = World::rooted(vec![HERE]);
        world.places.insert(HERE, server);
        let asker = Asker::new(world, 1);
        let question =
            Question { name: Name::root(), rtype: RecordType::SOA, transport, payload: Some(PAYLOAD), dnssec: false };
        [asker.ask(HERE, question.clone()).await.outcome, asker.ask(HERE, question).await.outcome]
    }

    #[tokio::test]
    async fn no_more_is_asked_than_is_allowed() {
        let free = TcpListener::bind((HERE, 0)).await.and_then(|listener| listener.local_addr()).expect("a port");
        let silences = outcomes(free, Transport::Tcp).await.map(|outcome| outcome.expect_err("nobody listens"));
        assert_eq!(silences, [Silence::Refused, Silence::Unasked]);
    }

    #[tokio::test]
    async fn who_answers_is_told_with_what_went_wrong() {
        let socket = UdpSocket::bind((HERE, 0)).await.expect("a socket");
        let server = socket.local_addr().expect("its address");
        let answering = async {
            let mut buffer = [0; 512];
            let (length, peer) = socket.recv_from(&mut buffer).await.expect("a question");
            let mut message = Message::from_vec(&buffer[..length]).expect("a message");
            assert!(!message.metadata.recursion_desired);
            message.metadata.message_type = hickory_proto::op::MessageType::Response;
            message.metadata.response_code = ResponseCode::ServFail;
            let options = message.edns.as_mut().expect("an OPT record").options_mut();
            *options = OPT::new(Vec::new());
            options.insert(EdnsOption::NSID(NSIDPayload::new(*b"pod-7").expect("short")));
            options.insert(EdnsOption::Unknown(15, b"\0\x0eNot ready".to_vec()));
            socket.send_to(&message.to_vec().expect("octets"), peer).await.expect("sent");
        };
        let ([outcome, _], ()) = tokio::join!(outcomes(server, Transport::Udp), answering);
        let reply = outcome.expect("an answer");
        let said = (reply.rcode(), reply.nsid(), reply.extended_error());
        assert_eq!(said, (ResponseCode::ServFail, Some("pod-7".to_owned()), Some((14, "Not ready".to_owned()))));
    }
}
