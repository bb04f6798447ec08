//! The server's sockets: real ones, on loopback.

mod support;

use std::env;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::ops::Range;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use futures::future::join_all;
use hickory_proto::op::{Edns, Message, MessageType, Query};
use hickory_proto::rr::{Name, RecordType};
use kubezone::metrics::Metrics;
use kubezone::nameserver::Served;
use kubezone::published::Published;
use kubezone::server::{Answerer, Claim, ListenError, Listener, Words, usable_cores};
use kubezone::zone::{State, Zone, Zones, master};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longer than anything here may take; a test that gets there has failed.
const BOUND: Duration = Duration::from_secs(20);

const LOOPBACK: &str = "[::1]:0";

/// Where no port is taken by another test's clients.
const OWN: &str = "127.0.0.53:0";

const ZONE: &str = "
$ORIGIN c1.k8s.ooo.
@       3600  SOA   ns.c1.k8s.ooo. hostmaster.c1.k8s.ooo. 1 14400 3600 1209600 30
        3600  NS    ns
ns      3600  AAAA  2001:db8::53
web     30    AAAA  2001:db8::1
";

/// A server on its own runtime, stopped when dropped.
struct Server {
    addresses: Vec<SocketAddr>,
    stop: CancellationToken,
    serving: JoinHandle<()>,
    runtime: Runtime,
}

impl Server {
    fn start(addresses: &[&str]) -> Self {
        Self::try_start(addresses).expect("loopback")
    }

    fn try_start(addresses: &[&str]) -> Result<Self, ListenError> {
        Self::start_with(addresses, Served::default())
    }

    fn start_with(addresses: &[&str], served: Served) -> Result<Self, ListenError> {
        let runtime = Runtime::new().expect("a runtime");
        let inside = runtime.enter();
        let addresses = parse(addresses).into_iter();
        let listeners =
            addresses.map(|address| Listener::bind(address, usable_cores(), &[])).collect::<Result<Vec<_>, _>>()?;
        let addresses = listeners.iter().map(Listener::address).collect();
        let stop = CancellationToken::new();
        let serving = runtime.spawn(serve(listeners, served, &stop));
        drop(inside);
        Ok(Self { addresses, stop, serving, runtime })
    }

    fn udp(&self) -> UdpSocket {
        udp_client(self.addresses[0])
    }

    fn tcp(&self) -> TcpStream {
        tcp_client(self.addresses[0])
    }

    /// Says stop, and waits until everything is answered.
    fn stop(self) {
        self.stop.cancel();
        let stopped = async { tokio::time::timeout(BOUND, self.serving).await };
        self.runtime.block_on(stopped).expect("in time").expect("no panic");
    }
}

fn serve(listeners: Vec<Listener>, served: Served, stop: &CancellationToken) -> impl Future<Output = ()> + use<> {
    let published = Arc::new(Published::new(served));
    let answerer = Answerer::new(Arc::clone(&published), Metrics::new(published));
    let serving = listeners.into_iter().map(|listener| listener.serve(&answerer, Words::until(stop)).expect("threads"));
    let serving: Vec<_> = serving.collect();
    async { drop(join_all(serving).await) }
}

fn parse(addresses: &[&str]) -> Vec<SocketAddr> {
    addresses.iter().map(|address| address.parse().expect("an address")).collect()
}

fn served(zone: &str) -> Served {
    let apex = Name::from_ascii("c1.k8s.ooo.").unwrap();
    let records = master::parse(zone.as_bytes(), &apex, None).expect("a master file");
    let (zone, _) = Zone::build(&apex, records).expect("a zone");
    let mut zones = Zones::pending(vec![apex.clone()]);
    zones.set(&apex, State::Loaded(Arc::new(zone)));
    Served { zones, ..Served::default() }
}

fn query(id: u16, qname: &str, qtype: RecordType) -> Vec<u8> {
    let mut query = Message::query();
    query.metadata.id = id;
    query.add_query(Query::query(Name::from_ascii(qname).unwrap(), qtype));
    query.set_edns(Edns::new());
    query.to_vec().unwrap()
}

/// A query that any server answers, with this ID.
fn any_query(id: u16) -> Vec<u8> {
    query(id, "web.c1.k8s.ooo.", RecordType::AAAA)
}

fn id_of(response: &[u8]) -> u16 {
    u16::from_be_bytes([response[0], response[1]])
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap();
    [&length.to_be_bytes(), message].concat()
}

fn pipelined(ids: Range<u16>) -> Vec<u8> {
    ids.flat_map(|id| framed(&any_query(id))).collect()
}

fn udp_client(server: SocketAddr) -> UdpSocket {
    let own = if server.is_ipv6() { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() };
    let socket = UdpSocket::bind(SocketAddr::new(own, 0)).expect("a socket");
    socket.set_read_timeout(Some(BOUND)).unwrap();
    // Connected: only what comes from the address asked is received.
    socket.connect(server).expect("a route");
    socket
}

fn tcp_client(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).expect("a connection");
    stream.set_read_timeout(Some(BOUND)).unwrap();
    stream.set_write_timeout(Some(BOUND)).unwrap();
    stream
}

fn ask_udp(socket: &UdpSocket, query: &[u8]) -> Vec<u8> {
    socket.send(query).expect("sent");
    receive(socket)
}

fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut response = vec![0; 65_535];
    let length = socket.recv(&mut response).expect("a response");
    response.truncate(length);
    response
}

fn ask_tcp(mut stream: &TcpStream, query: &[u8]) -> Vec<u8> {
    stream.write_all(&framed(query)).expect("sent");
    read_message(stream).expect("a response")
}

fn read_message(mut stream: impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut response = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut response)?;
    Ok(response)
}

/// Waits until the server closes, and asserts that it has nothing more to say.
fn assert_closed(mut stream: &TcpStream) {
    match stream.read(&mut [0; 1]) {
        Ok(0) => {}
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
        other => panic!("the connection is open: {other:?}"),
    }
}

#[test]
fn udp_and_tcp_give_the_same_answers() {
    let server = Server::start_with(&[LOOPBACK], served(ZONE)).expect("loopback");
    let (udp, tcp) = (server.udp(), server.tcp());
    for (qname, qtype) in [
        ("web.c1.k8s.ooo.", RecordType::AAAA),
        ("WEB.c1.k8s.ooo.", RecordType::A),
        ("absent.c1.k8s.ooo.", RecordType::AAAA),
        ("c1.k8s.ooo.", RecordType::NS),
        ("example.org.", RecordType::A),
    ] {
        let query = query(7, qname, qtype);
        let over_udp = ask_udp(&udp, &query);
        assert_eq!(over_udp, ask_tcp(&tcp, &query), "{qname} {qtype}");
        let response = Message::from_vec(&over_udp).expect("readable");
        assert_eq!((response.metadata.id, response.metadata.message_type), (7, MessageType::Response));
    }
}

#[test]
fn port_0_becomes_one_port_for_udp_and_tcp() {
    let server = Server::start(&["[::1]:0", "127.0.0.1:0"]);
    for &address in &server.addresses {
        assert_ne!(address.port(), 0);
        assert_eq!(id_of(&ask_udp(&udp_client(address), &any_query(1))), 1);
        assert_eq!(id_of(&ask_tcp(&tcp_client(address), &any_query(2))), 2);
    }
}

#[test]
fn ipv6_and_ipv4_wildcards_share_a_port() {
    // A port that IPv6 gives may be taken on IPv4: it is somebody's client.
    let (port, server) = (0..16)
        .find_map(|_| {
            let port = Server::start(&["[::]:0"]).addresses[0].port();
            Some((port, Server::try_start(&[&format!("[::]:{port}"), &format!("0.0.0.0:{port}")]).ok()?))
        })
        .expect("a port that both have");
    assert_eq!(server.addresses, parse(&[&format!("[::]:{port}"), &format!("0.0.0.0:{port}")]));
    assert_eq!(id_of(&ask_tcp(&tcp_client((Ipv4Addr::LOCALHOST, port).into()), &any_query(1))), 1);
    assert_eq!(id_of(&ask_tcp(&tcp_client((Ipv6Addr::LOCALHOST, port).into()), &any_query(2))), 2);
}

#[test]
fn ipv6_sockets_take_no_ipv4() {
    let server = Server::start(&["[::]:0"]);
    TcpStream::connect((Ipv4Addr::LOCALHOST, server.addresses[0].port())).expect_err("V6ONLY");
}

#[test]
fn every_worker_answers() {
    let server = Server::start(&[LOOPBACK]);
    // The kernel picks the worker by the client's port: of 64 clients each gets some.
    for id in 0..64 {
        assert_eq!(id_of(&ask_udp(&server.udp(), &any_query(id))), id);
    }
}

#[test]
fn a_second_server_on_an_address_is_an_error() {
    let server = Server::start(&[LOOPBACK]);
    let address = server.addresses[0];
    let error = Server::try_start(&[&address.to_string()]).err().expect("taken");
    assert_eq!((error.address, error.transport), (address, "tcp"));
    assert_eq!(error.to_string(), format!("could not listen on {address}/tcp"));
    assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn a_udp_port_that_another_program_shares_is_an_error() {
    let other = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
    other.set_reuse_port(true).unwrap();
    other.bind(&OWN.parse::<SocketAddr>().unwrap().into()).unwrap();
    let address = other.local_addr().unwrap().as_socket().unwrap();
    let error = Server::try_start(&[&address.to_string()]).err().expect("taken");
    assert_eq!((error.address, error.transport), (address, "udp"));
    TcpListener::bind(address).expect("nothing is left open");
}

#[test]
fn an_address_opens_before_one_of_ours_that_it_overlaps_with_closes_and_is_locked_again() {
    let runtime = Runtime::new().expect("a runtime");
    let _inside = runtime.enter();
    let bind = |address: &str, leaving: &[&Claim]| {
        Listener::bind(address.parse().expect("an address"), usable_cores(), leaving)
    };
    let before = bind("[::1]:0", &[]).expect("loopback");
    let address = format!("[::]:{}", before.address().port());
    let other = bind("[::1]:0", &[]).expect("loopback");
    assert_eq!(bind(&address, &[]).expect_err("taken").transport, "tcp");
    assert_eq!(bind(&address, &[&other.claim().unwrap()]).expect_err("by another").transport, "tcp");

    let after = bind(&address, &[&before.claim().unwrap()]).expect("beside the one that leaves");
    bind(&address, &[]).expect_err("locked");
    drop(before);
    // Neither is shared any more: not by UDP, where everybody could have half of the queries.
    bind(&format!("[::1]:{}", after.address().port()), &[]).expect_err("locked");
}

#[test]
fn a_reply_leaves_from_the_address_asked() {
    let server = Server::start(&["0.0.0.0:0"]);
    // All of 127.0.0.0/8 is on lo; without PKTINFO replies would leave from 127.0.0.1.
    for address in ["127.0.0.1", "127.0.0.2", "127.1.2.3"] {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_read_timeout(Some(BOUND)).unwrap();
        let address: Ipv4Addr = address.parse().unwrap();
        client.send_to(&any_query(1), (address, server.addresses[0].port())).unwrap();
        let (_, from) = client.recv_from(&mut [0; 512]).expect("a response");
        assert_eq!(from, SocketAddr::from((address, server.addresses[0].port())));
    }
}

#[test]
fn a_reply_leaves_from_the_ipv6_address_asked() {
    if !Command::new("unshare").args(["-rn", "true"]).status().is_ok_and(|status| status.success()) {
        support::skip("a_reply_leaves_from_the_ipv6_address_asked", &"network namespaces are not permitted here");
        return;
    }
    let mut command = Command::new("unshare");
    command.args(["-rn", "sh", "-ec"]).arg(
        "ip link set lo up; ip -6 address add 2001:db8::1/64 dev lo nodad; ip -6 address add 2001:db8::2/64 dev lo nodad
         exec \"$0\" \"$@\"",
    );
    let status = this_test(command, "child_with_several_addresses").status().unwrap();
    assert!(status.success());
}

#[test]
#[ignore = "run by the test above in a network namespace"]
fn child_with_several_addresses() {
    // A new address is tentative for a moment, also without DAD: nobody can send from it then (RFC 4862 §5.4).
    let usable = |address: &str| UdpSocket::bind((address, 0)).is_ok();
    let deadline = Instant::now() + BOUND;
    while !(usable("2001:db8::1") && usable("2001:db8::2")) {
        assert!(Instant::now() < deadline, "the addresses stay tentative");
        thread::sleep(Duration::from_millis(1));
    }

    let server = Server::start(&["[::]:0"]);
    for address in ["2001:db8::1", "2001:db8::2"] {
        // Without PKTINFO the reply to one's own address would leave from that very address.
        let client = UdpSocket::bind("[2001:db8::1]:0").unwrap();
        client.set_read_timeout(Some(BOUND)).unwrap();
        let address: Ipv6Addr = address.parse().unwrap();
        client.send_to(&any_query(1), (address, server.addresses[0].port())).unwrap();
        let (_, from) = client.recv_from(&mut [0; 512]).expect("a response");
        assert_eq!(from, SocketAddr::from((address, server.addresses[0].port())));
    }
}

/// Requests to `address` before anybody answers there, from two clients by turns; among them what is not answered.
///
/// All of it lies in the sockets' queues when the server begins.
fn a_queue_is_answered(address: &str) {
    const REQUESTS: u16 = 100;

    let runtime = Runtime::new().expect("a runtime");
    let inside = runtime.enter();
    let listener = Listener::bind(address.parse().unwrap(), usable_cores(), &[]).expect("loopback");
    let port = listener.address().port();
    let clients =
        [udp_client((Ipv4Addr::LOCALHOST, port).into()), udp_client((Ipv4Addr::new(127, 0, 0, 2), port).into())];
    for id in 0..REQUESTS {
        let client = &clients[usize::from(id % 2)];
        client
            .send(&query(
                id,
                ["web.c1.k8s.ooo.", "much.longer.and.absent.c1.k8s.ooo."][usize::from(id / 2 % 2)],
                RecordType::AAAA,
            ))
            .unwrap();
        if id % 7 == 0 {
            client.send(&[0; 11]).unwrap();
        }
    }
    let stop = CancellationToken::new();
    let serving = runtime.spawn(serve(vec![listener], served(ZONE), &stop));
    drop(inside);
    for id in 0..REQUESTS {
        let response = receive(&clients[usize::from(id % 2)]);
        let message = Message::from_vec(&response).expect("readable");
        assert_eq!(message.metadata.id, id, "in the order of the requests");
        let (answers, authorities) = [(1, 0), (0, 1)][usize::from(id / 2 % 2)];
        assert_eq!((message.answers.len(), message.authorities.len()), (answers, authorities), "{message}");
    }
    stop.cancel();
    runtime.block_on(serving).expect("no panic");
}

#[test]
fn everybody_in_a_queue_gets_their_own_answer() {
    a_queue_is_answered("0.0.0.0:0");
}

/// What the system calls of the test `name` of this binary were, traced with these options of strace's.
fn traced(test: &str, name: &str, options: &[&str]) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    if !Command::new("strace").args(["-o", "/dev/null", "true"]).status().is_ok_and(|status| status.success()) {
        support::skip(test, &"strace is missing, or may not trace");
        return None;
    }
    let mut command = Command::new("strace");
    command.args(["--seccomp-bpf", "-f", "-qq", "-e", "trace=recvmmsg,sendmmsg"]).args(options).arg("-o").arg(&trace);
    assert!(this_test(command, name).status().unwrap().success());
    Some(fs::read_to_string(trace).unwrap())
}

#[test]
#[ignore = "run by the tests below under strace"]
fn child_with_a_queue() {
    a_queue_is_answered("0.0.0.0:0");
}

#[test]
fn a_queue_is_received_and_answered_together() {
    let test = "a_queue_is_received_and_answered_together";
    let Some(trace) = traced(test, "child_with_a_queue", &[]) else { return };
    let together = |call: &str| trace.lines().filter(|line| line.contains(call) && !line.contains("EAGAIN")).count();
    // A hundred requests and more: not one by one.
    assert!(together(" recvmmsg(") < 30, "{trace}");
    assert!(together(" sendmmsg(") < 30 && together(" sendmmsg(") > 0, "{trace}");
}

#[test]
fn where_batches_are_not_permitted_datagrams_go_one_by_one() {
    for error in ["EPERM", "ENOSYS"] {
        let inject = format!("inject=recvmmsg,sendmmsg:error={error}");
        let test = "where_batches_are_not_permitted_datagrams_go_one_by_one";
        let Some(trace) = traced(test, "child_with_a_queue", &["-e", &inject]) else { return };
        assert!(trace.contains("(INJECTED)"), "{trace}");
    }
}

#[test]
fn what_is_no_query_is_not_answered() {
    let server = Server::start(&[LOOPBACK]);
    let (udp, tcp) = (server.udp(), server.tcp());
    let mut response = any_query(1);
    response[2] |= 0x80;
    for junk in [&[][..], &[0; 11], &response] {
        udp.send(junk).unwrap();
    }
    assert_eq!(id_of(&ask_udp(&udp, &any_query(2))), 2, "the first that is answered");

    (&tcp).write_all(&framed(&response)).unwrap();
    assert_eq!(id_of(&ask_tcp(&tcp, &any_query(3))), 3, "the first that is answered");
}

#[test]
fn a_message_shorter_than_a_header_ends_the_connection_after_what_came_before() {
    let server = Server::start(&[LOOPBACK]);
    for short in [&[][..], &[0; 11]] {
        let mut tcp = server.tcp();
        tcp.write_all(&[framed(&any_query(1)), framed(short), framed(&any_query(2))].concat()).unwrap();
        assert_eq!(id_of(&read_message(&tcp).unwrap()), 1);
        assert_closed(&tcp);
    }
}

#[test]
fn pipelined_queries_are_all_answered() {
    let server = Server::start(&[LOOPBACK]);
    let mut tcp = server.tcp();
    let queries = pipelined(0..500);
    tcp.write_all(&queries).unwrap();
    for id in 0..500 {
        assert_eq!(id_of(&read_message(&tcp).unwrap()), id);
    }
}

#[test]
fn a_query_may_come_byte_by_byte() {
    let server = Server::start(&[LOOPBACK]);
    let mut tcp = server.tcp();
    tcp.set_nodelay(true).unwrap();
    for byte in framed(&any_query(1)) {
        tcp.write_all(&[byte]).unwrap();
    }
    assert_eq!(id_of(&read_message(&tcp).unwrap()), 1);
}

#[test]
fn a_half_closed_client_gets_its_answers() {
    let server = Server::start(&[LOOPBACK]);
    let mut tcp = server.tcp();
    let queries = pipelined(0..50);
    tcp.write_all(&queries).unwrap();
    tcp.shutdown(Shutdown::Write).unwrap();
    for id in 0..50 {
        assert_eq!(id_of(&read_message(&tcp).unwrap()), id);
    }
    assert_closed(&tcp);
}

#[test]
fn a_source_at_its_bound_loses_its_longest_idle_connection() {
    let server = Server::start(&[LOOPBACK]);
    let ask = |id| {
        let tcp = server.tcp();
        assert_eq!(id_of(&ask_tcp(&tcp, &any_query(id))), id);
        tcp
    };
    let first = ask(0);
    let mut others: Vec<_> = (1..64).map(ask).collect();
    assert_eq!(id_of(&ask_tcp(&first, &any_query(99))), 99, "64 are welcome");

    // The first has just been at work: the second is the longest idle one.
    let _newcomer = ask(64);
    assert_closed(&others.remove(0));
    for tcp in others.iter().chain([&first]) {
        assert_eq!(id_of(&ask_tcp(tcp, &any_query(1))), 1, "the others stay");
    }
}

/// A server in the test's own runtime, whose clock moves only when nothing else can.
struct Paused {
    address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Paused {
    fn start() -> Self {
        let listener = Listener::bind(LOOPBACK.parse().expect("an address"), usable_cores(), &[]).unwrap();
        let address = listener.address();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(vec![listener], Served::default(), &stop));
        Self { address, stop, serving }
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed() {
    let Paused { address, .. } = Paused::start();
    let mut tcp = tokio::net::TcpStream::connect(address).await.unwrap();
    tcp.write_all(&framed(&any_query(1))).await.unwrap();
    let started = tokio::time::Instant::now();
    let mut received = Vec::new();
    tcp.read_to_end(&mut received).await.unwrap();
    assert_eq!(id_of(&received[2..]), 1);
    assert_eq!(started.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_query_that_never_becomes_whole_is_not_waited_for() {
    let Paused { address, .. } = Paused::start();
    let mut tcp = tokio::net::TcpStream::connect(address).await.unwrap();
    let started = tokio::time::Instant::now();
    let query = framed(&any_query(1));
    for byte in query {
        let closed = tokio::time::timeout(Duration::from_secs(1), tcp.read_u8());
        if closed.await.is_ok() || tcp.write_all(&[byte]).await.is_err() {
            assert_eq!(started.elapsed().as_secs(), 10);
            return;
        }
    }
    panic!("a byte a second kept the connection");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_no_responses_is_cut() {
    let Paused { address, .. } = Paused::start();
    let mut tcp = tokio::net::TcpStream::connect(address).await.unwrap();
    let queries = pipelined(0..500);
    // Ends only when the server has filled what the kernel holds for us, and has then lost patience.
    while tcp.write_all(&queries).await.is_ok() {}
}

#[test]
fn what_was_received_before_the_word_to_stop_is_answered() {
    let server = Server::start(&[OWN]);
    let (udp, mut tcp, idle) = (server.udp(), server.tcp(), server.tcp());
    assert_eq!(id_of(&ask_tcp(&tcp, &any_query(1000))), 1000);
    assert_eq!(id_of(&ask_tcp(&idle, &any_query(1001))), 1001);
    for id in 0..100 {
        udp.send(&any_query(id)).unwrap();
        tcp.write_all(&framed(&any_query(id))).unwrap();
    }
    let address = server.addresses[0];
    server.stop();

    let mut over_udp: Vec<_> = (0..100).map(|_| id_of(&receive(&udp))).collect();
    over_udp.sort_unstable();
    assert!(over_udp.into_iter().eq(0..100));
    for id in 0..100 {
        assert_eq!(id_of(&read_message(&tcp).unwrap()), id);
    }
    assert_closed(&tcp);
    assert_closed(&idle);
    UdpSocket::bind(address).expect("the UDP port is free again");
    TcpStream::connect(address).expect_err("nobody listens");
}

#[tokio::test(start_paused = true)]
async fn connections_that_wait_at_the_word_to_stop_are_answered() {
    let Paused { address, stop, serving } = Paused::start();
    // The server's turn comes only when we wait, and by then it is to stop.
    let clients: Vec<_> = (0..10)
        .map(|id| {
            let mut tcp = tcp_client(address);
            tcp.write_all(&framed(&any_query(id))).unwrap();
            (id, tcp)
        })
        .collect();
    stop.cancel();
    serving.await.unwrap();
    for (id, tcp) in clients {
        assert_eq!(id_of(&read_message(&tcp).unwrap()), id);
        assert_closed(&tcp);
    }
}

#[tokio::test(start_paused = true)]
async fn stopping_does_not_wait_for_clients_that_say_nothing() {
    let Paused { address, stop, serving } = Paused::start();
    let mut half = tokio::net::TcpStream::connect(address).await.unwrap();
    half.write_all(&framed(&any_query(1))).await.unwrap();
    assert_eq!(usize::from(half.read_u16().await.unwrap()), any_query(1).len());
    half.write_all(&framed(&any_query(2))[..10]).await.unwrap();

    let started = tokio::time::Instant::now();
    stop.cancel();
    serving.await.unwrap();
    assert_eq!(started.elapsed().as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn stopping_waits_a_bounded_time_for_clients_that_take_no_responses() {
    let Paused { address, stop, serving } = Paused::start();
    let mut tcp = tokio::net::TcpStream::connect(address).await.unwrap();
    let queries = pipelined(0..500);
    // Until the server, busy writing, reads no more.
    while tokio::time::timeout(Duration::from_secs(1), tcp.write_all(&queries)).await.is_ok() {}

    let started = tokio::time::Instant::now();
    stop.cancel();
    serving.await.unwrap();
    assert_eq!(started.elapsed().as_secs(), 3);
}

/// This test binary again, with only the test `name`, started by `command`.
fn this_test(mut command: Command, name: &str) -> Command {
    command.arg(env::current_exe().unwrap()).args(["--exact", name, "--ignored", "--nocapture"]);
    command
}

/// A child process that ends with us.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn running_out_of_descriptors_ends_and_spins_nothing() {
    let mut command = Command::new("sh");
    command.args(["-ec", "ulimit -n 100; exec \"$0\" \"$@\""]);
    let mut command = this_test(command, "child_without_descriptors");
    let mut child = Guard(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
    let mut orders = child.0.stdin.take().unwrap();
    let mut reports = BufReader::new(child.0.stdout.take().unwrap()).lines().map(|line| line.expect("a line"));
    let address = reports.find_map(|line| line.strip_prefix("serving on ")?.parse().ok()).expect("an address");
    let mut order = |order: &str| {
        writeln!(orders, "{order}").unwrap();
        reports.find(|line| line == order).expect("done");
    };

    // No descriptor and no idle connection to close: the newcomer waits, and the server rests.
    order("hoard");
    let mut first = tcp_client(address);
    first.write_all(&framed(&any_query(1))).unwrap();
    first.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let before = cpu_ticks(child.0.id());
    first.read(&mut [0; 1]).expect_err("no descriptor for an answer");
    let ticks = cpu_ticks(child.0.id()) - before;
    assert!(ticks < 25, "{ticks} of 100 ticks in a second of having nothing to do");
    assert_eq!(id_of(&ask_udp(&udp_client(address), &any_query(2))), 2);

    order("release");
    first.set_read_timeout(Some(BOUND)).unwrap();
    assert_eq!(id_of(&read_message(&first).unwrap()), 1);

    // One descriptor in all: it goes from the idle connection to the newcomer.
    let second = tcp_client(address);
    assert_eq!(id_of(&ask_tcp(&second, &any_query(3))), 3);
    assert_closed(&first);
}

/// User and system time of a process, in hundredths of a second (proc(5), fields 14 and 15).
fn cpu_ticks(process: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

#[test]
#[ignore = "run by the test above with few descriptors"]
fn child_without_descriptors() {
    let server = Server::start(&[LOOPBACK]);
    println!("\nserving on {}", server.addresses[0]);
    let mut hoard = Vec::new();
    for order in io::stdin().lines() {
        let order = order.unwrap();
        match order.as_str() {
            "hoard" => hoard.extend(std::iter::from_fn(|| File::open("/dev/null").ok())),
            "release" => drop(hoard.pop()),
            _ => unreachable!("{order}"),
        }
        println!("\n{order}");
    }
}
