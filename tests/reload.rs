//! Reload: another configuration is taken over while questions are asked, and a bad one changes nothing.
//!
//! The binary, its files, signals and sockets are real; what is served is asked for, what operators are told is read in the
//! log and the metrics.

mod support;

use std::collections::HashMap;
use std::fs;
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::ops::Add as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use support::eventually;
use support::kubezone::{KUBEZONE, Kubezone};
use support::process::Folder;

/// How long one answer may take. On loopback, one that is not there by then was never sent.
const PATIENCE: Duration = Duration::from_secs(5);

const LISTEN: &str = "listen: { dns: [\"[::1]:0\"], metrics: \"[::1]:0\" }\n";

/// The zone of a master file.
const PARENT: &str = "@ 60 IN SOA ns hostmaster 1 14400 3600 1209600 30\n@ NS ns\nns AAAA 2001:db8::53\n";

/// A Service called `name` with a global address.
fn service(name: &str, address: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{ name: {name}, namespace: shop }}\n\
         spec: {{ type: ClusterIP, clusterIP: \"{address}\", clusterIPs: [\"{address}\"], ipFamilies: [IPv6] }}\n"
    )
}

/// A zone made from `cluster`, with more settings.
fn made_from(zone: &str, cluster: &str, more: &str) -> String {
    format!("- {{ name: {zone}, cluster: {cluster}, nameservers: [{{ name: ns.example.net. }}]{more} }}\n")
}

/// A kubezone and the folder of its files.
struct Reloading {
    kubezone: Kubezone,
    folder: PathBuf,
}

impl Reloading {
    /// One with this configuration, a parent zone `k8s.ooo.zone` and manifests of one Service in `c2`; ready.
    async fn start(configuration: &str) -> Self {
        let folder = Folder::new().expect("a temporary folder");
        fs::create_dir(folder.join("c2")).expect("a folder");
        folder.write("c2/web.yaml", &service("web", "2a0a:e5c0:10:3::17")).expect("a manifest");
        folder.write("k8s.ooo.zone", PARENT).expect("a zone");
        let path = folder.write("kubezone.yaml", configuration).expect("a configuration").display().to_string();
        let root = folder.join("");
        let kubezone = Kubezone::start("k8s.ooo", &[KUBEZONE.as_str(), "serve", "--config", &path], folder).await;
        Self { kubezone: kubezone.ready().await, folder: root }
    }

    /// Writes a file as editors do: whole, in the place of the one before.
    fn write(&self, name: &str, text: &str) {
        let new = self.folder.join(format!("{name}.new"));
        fs::write(&new, text).expect("written");
        fs::rename(new, self.folder.join(name)).expect("renamed");
    }

    /// The facts with this message that were logged.
    fn facts(&self, message: &str) -> Vec<Value> {
        let facts = self.kubezone.log().into_iter().map(|line| line["fields"].clone());
        facts.filter(|fact| fact["message"] == message).collect()
    }

    async fn next_fact(&self, message: &str, known: usize) -> Value {
        eventually(&format!("\"{message}\" in the log"), async || match self.facts(message) {
            facts if facts.len() > known => Ok(facts[known].clone()),
            facts => Err(format!("{facts:?}")),
        })
        .await
    }

    /// Writes another configuration, and waits until it is taken over; what it says that changed.
    async fn reload(&self, configuration: &str) -> String {
        let known = self.facts(TAKEN).len();
        self.write("kubezone.yaml", configuration);
        let fact = self.next_fact(TAKEN, known).await;
        fact["changes"].as_str().expect("what changed").to_owned()
    }

    /// Writes a configuration that is refused with this error, and is counted; nothing that is served changes.
    async fn refuse(&self, configuration: &str, expected: &str) {
        let (known, counted) = (self.facts(REFUSED).len(), self.failures().await);
        let serials = self.serials().await;
        self.write("kubezone.yaml", configuration);
        let fact = self.next_fact(REFUSED, known).await;
        let expected = expected.replace("FOLDER/", &self.folder.display().to_string());
        assert_eq!(fact["error"], expected);
        eventually("it is counted", async || match self.failures().await {
            failures if failures == counted + 1 => Ok(()),
            failures => Err(format!("{failures}")),
        })
        .await;
        assert_eq!(self.serials().await, serials);
    }

    async fn failures(&self) -> u64 {
        self.kubezone.metric("kubezone_reload_failed_total", "").await as u64
    }

    /// The zones and their serials, as metrics have them.
    async fn serials(&self) -> Vec<String> {
        let metrics = self.kubezone.http("/metrics").await;
        metrics.lines().filter(|line| line.starts_with("kubezone_zone_serial{")).map(str::to_owned).collect()
    }
}

const TAKEN: &str = "configuration taken over";
const REFUSED: &str = "configuration not taken over: everything is as before";

fn question(qname: &str, qtype: RecordType) -> Message {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii(qname).expect("a name"), qtype));
    message
}

/// What an answer comes down to: its RCODE, and its first record.
fn gist(asked: &Message, bytes: &[u8]) -> String {
    let message = Message::from_vec(bytes).expect("well-formed");
    assert_eq!(message.metadata.id, asked.metadata.id);
    let first = message.answers.first().map(|record| match &record.data {
        RData::SOA(_) => "SOA".to_owned(),
        other => other.to_string(),
    });
    match (message.metadata.response_code, first) {
        (ResponseCode::NoError, Some(first)) => first,
        (rcode, _) => format!("{rcode:?}"),
    }
}

async fn over_udp(socket: &UdpSocket, asked: &Message) -> String {
    socket.send(&asked.to_vec().expect("encoded")).await.expect("sent");
    let mut buffer = [0; 4096];
    let length = timeout(PATIENCE, socket.recv(&mut buffer)).await.expect("an answer over UDP").expect("received");
    gist(asked, &buffer[..length])
}

async fn over_tcp(connection: &mut TcpStream, asked: &Message) -> String {
    let exchange = async {
        let bytes = asked.to_vec().expect("encoded");
        let length = u16::try_from(bytes.len()).expect("a short question");
        connection.write_all(&[&length.to_be_bytes()[..], &bytes].concat()).await?;
        let mut buffer = vec![0; usize::from(connection.read_u16().await?)];
        connection.read_exact(&mut buffer).await?;
        std::io::Result::Ok(buffer)
    };
    gist(asked, &timeout(PATIENCE, exchange).await.expect("an answer over TCP").expect("received"))
}

async fn udp_to(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).await.expect("a socket");
    socket.connect(server).await.expect("connected");
    socket
}

/// Clients that ask without a pause; each question must get one of its answers.
struct Clients {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<()>>,
}

/// Over what a client asks.
#[derive(Debug, Clone, Copy)]
enum Over {
    Udp,
    /// A connection for each question.
    Connections,
    /// One connection for all.
    Connection,
}

impl Clients {
    fn new() -> Self {
        Self { stop: Arc::default(), asked: Arc::default(), tasks: Vec::new() }
    }

    fn ask(
        &mut self,
        server: SocketAddr,
        over: Over,
        questions: &'static [(&'static str, RecordType, &'static [&'static str])],
    ) {
        let (stop, asked) = (Arc::clone(&self.stop), Arc::clone(&self.asked));
        self.tasks.push(tokio::spawn(async move {
            let udp = udp_to(server).await;
            let mut tcp = TcpStream::connect(server).await.expect("a connection");
            for (qname, qtype, expected) in questions.iter().cycle() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let question = question(qname, *qtype);
                let said = match over {
                    Over::Udp => over_udp(&udp, &question).await,
                    Over::Connection => over_tcp(&mut tcp, &question).await,
                    Over::Connections => {
                        let mut own = TcpStream::connect(server).await.expect("a connection");
                        over_tcp(&mut own, &question).await
                    }
                };
                assert!(expected.contains(&said.as_str()), "{over:?} {qname} {qtype}: {said}");
                asked.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        }));
    }

    /// Every client had an answer to each of its questions; how many there were.
    async fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("every question was answered");
        }
        self.asked.load(Ordering::Relaxed)
    }
}

/// What is asked during the reloads below. A zone that comes and goes is refused, or answers: never SERVFAIL.
const QUESTIONS: &[(&str, RecordType, &[&str])] = &[
    ("k8s.ooo.", RecordType::SOA, &["SOA"]),
    ("ns.k8s.ooo.", RecordType::AAAA, &["2001:db8::53"]),
    ("web.shop.svc.c2.k8s.ooo.", RecordType::AAAA, &["2a0a:e5c0:10:3::17"]),
    ("changes.k8s.ooo.", RecordType::AAAA, &["NXDomain", "2001:db8::1", "2001:db8::2"]),
    ("web.shop.svc.c4.example.", RecordType::AAAA, &["Refused", "2a0a:e5c0:10:3::17"]),
    ("ns.file.example.", RecordType::AAAA, &["Refused", "2001:db8::53"]),
    ("absent.shop.svc.c2.k8s.ooo.", RecordType::AAAA, &["NXDomain"]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_question_is_lost_across_a_hundred_reloads() {
    let zones = format!(
        "clusters: [{{ name: c2, manifests: c2 }}]\nzones:\n- {{ name: k8s.ooo, file: k8s.ooo.zone }}\n{}",
        made_from("c2.k8s.ooo", "c2", "")
    );
    let server = Reloading::start(&format!("{LISTEN}{zones}")).await;
    server.write("file.zone", PARENT);
    let own = server.kubezone.dns();
    let port = own.port();
    let always = format!("{LISTEN}").replace("\"[::1]:0\"]", &format!("\"[::1]:{port}\", \"[::1]:0\"]"));
    assert_eq!(server.reload(&format!("{always}{zones}")).await, format!("addresses added: [::1]:{port}"));
    // The address that stays the same throughout: the one that came last.
    let stays: SocketAddr =
        server.facts("listening").iter().rev().find(|fact| fact["transport"] == "udp").unwrap()["address"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
    assert_ne!(stays, own);

    let wide = always.replace(&format!("[::1]:{port}"), &format!("[::]:{port}"));
    let more = always.replace("\"[::1]:0\"]", "\"[::1]:0\", \"[::1]:0\"]");
    let c4 = made_from("c4.example", "c2", "");
    let variants = [
        format!("identity: a\n{always}{zones}"),
        format!("{always}{zones}{c4}"),
        format!("{always}{zones}- {{ name: file.example, file: file.zone }}\n"),
        format!("{wide}{zones}"),
        format!("{always}{zones}{}", c4.replace("c2, ", "c2, ttl: 5, ")),
        format!("{more}{zones}"),
        format!("{always}{}", zones.replace("cluster: c2, ", "cluster: c2, ttl: 7, ")),
        format!("{wide}identity: b\n{zones}{c4}- {{ name: file.example, file: file.zone }}\n"),
        format!("{always}{}", zones.replace("name: c2,", "name: other,").replace("cluster: c2", "cluster: other")),
        format!("{always}{zones}"),
    ];

    let mut clients = Clients::new();
    clients.ask(own, Over::Udp, QUESTIONS);
    clients.ask(own, Over::Connections, QUESTIONS);
    clients.ask(stays, Over::Udp, QUESTIONS);
    clients.ask(stays, Over::Connection, QUESTIONS);
    let mut used = HashMap::new();
    for round in 0..10 {
        for (number, variant) in variants.iter().enumerate() {
            // Zone files change by themselves, too.
            let serial = 2 + round * variants.len() + number;
            let changes = format!("changes AAAA 2001:db8::{}\n", 1 + number % 2);
            server.write("k8s.ooo.zone", &PARENT.replace(" 1 14400", &format!(" {serial} 14400")).add(&changes));
            server.reload(variant).await;
        }
        if round == 0 {
            used = HashMap::from(["fd", "task"].map(|of| (of, server.kubezone.count(of))));
        }
    }
    let asked = clients.stop().await;
    support::tell(&format!("{asked} questions asked across 100 reloads"));
    assert!(asked > 2_000, "{asked} questions are no full rate");
    assert_eq!(server.facts(REFUSED), [] as [Value; 0]);
    for (of, count) in used {
        eventually(&format!("{of} does not grow"), async || match server.kubezone.count(of) {
            now if now <= count + 2 => Ok(()),
            now => Err(format!("{count} after ten reloads, {now} after a hundred")),
        })
        .await;
    }
}
