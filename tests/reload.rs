//! Reload: another configuration is taken over while questions are asked, and a bad one changes nothing.
//!
//! The binary, its files, signals and sockets are real; what is served is asked for, what operators are told is read in the
//! log and the metrics.

mod support;

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::ops::Add as _;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
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
use support::mounted::Mounted;
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
         spec: {{ type: ClusterIP, clusterIP: \"{address}\", clusterIPs: [\"{address}\"], ipFamilies: [IPv6], ports: [{{ port: 443 }}] }}\n"
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
        let root = folder.join("");
        let kubezone = Kubezone::configured("k8s.ooo", folder, configuration).await;
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

    /// Writes a configuration that is refused with an error that begins so, and is counted; nothing that is served changes.
    async fn refuse(&self, configuration: &str, expected: &str) {
        let (known, counted) = (self.facts(REFUSED).len(), self.failures().await);
        let serials = self.serials().await;
        self.write("kubezone.yaml", configuration);
        let fact = self.next_fact(REFUSED, known).await;
        let expected = expected.replace("FOLDER/", &self.folder.display().to_string());
        let error = fact["error"].as_str().expect("an error");
        assert!(error.starts_with(&expected), "{error}");
        eventually("it is counted", async || match self.failures().await {
            failures if failures > counted => Ok(()),
            failures => Err(format!("{failures}")),
        })
        .await;
        assert_eq!((self.failures().await - counted).round(), 1.0, "once");
        assert_eq!(self.serials().await, serials);
    }

    async fn failures(&self) -> f64 {
        self.kubezone.metric("kubezone_reload_failed_total", "").await
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
    let always = LISTEN.replace("\"[::1]:0\"]", &format!("\"[::1]:{port}\", \"[::1]:0\"]"));
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

/// The zones of most tests below: a parent from a file, and one from manifests.
fn zones() -> String {
    format!(
        "clusters: [{{ name: c2, manifests: c2 }}]\nzones:\n- {{ name: k8s.ooo, file: k8s.ooo.zone }}\n{}",
        made_from("c2.k8s.ooo", "c2", "")
    )
}

const WEB: &str = "2a0a:e5c0:10:3::17";

#[tokio::test]
async fn a_bad_configuration_changes_nothing_and_says_what_is_wrong_once() {
    let good = format!("{LISTEN}{}", zones());
    let server = Reloading::start(&good).await;
    let taken = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).expect("a socket");
    let taken = taken.local_addr().expect("its address");
    server.write("bad.zone", "@ SOA\n");

    let c3 = |access: &str| {
        let clusters = format!("clusters: [{{ name: c3, {access} }}, {{ name: c2,");
        format!("{}{}", good.replace("clusters: [{ name: c2,", &clusters), made_from("c3.k8s.ooo", "c3", ""))
    };
    let with_zone = |file: &str| format!("{good}- {{ name: new.example, file: {file} }}\n");
    let with_address = |listen: &str| good.replace("dns: [", &format!("dns: [\"{taken}\", ")).replace(LISTEN, listen);
    let not_here = "No such file or directory (os error 2)";
    for (bad, expected) in [
        (format!("{good}zones: {{"), "FOLDER/kubezone.yaml:7:1: key `zones` is configured twice".to_owned()),
        (
            format!("zone: []\n{good}"),
            "FOLDER/kubezone.yaml:1:1: unknown key `zone`; the nearest known key is `zones`".to_owned(),
        ),
        (String::new(), "FOLDER/kubezone.yaml:1:1: no zone is configured: there is nothing to answer".to_owned()),
        (with_zone("bad.zone"), "zone new.example.: FOLDER/bad.zone: line 1, column 6: ".to_owned()),
        (with_zone("no.zone"), format!("zone new.example.: FOLDER/no.zone: could not be read: {not_here}")),
        (
            c3("kubeconfig: c3.kubeconfig"),
            format!(
                "cluster c3: the kubeconfig cannot be used: failed to read kubeconfig from \
                 '\"FOLDER/c3.kubeconfig\"': {not_here}"
            ),
        ),
        (c3("manifests: c3"), format!("cluster c3: could not read manifests in FOLDER/c3: {not_here}")),
        (with_address(LISTEN), format!("could not listen on {taken}/tcp: Address already in use (os error 98)")),
        (
            good.replace("metrics: \"[::1]:0\"", &format!("metrics: \"{taken}\"")),
            format!("could not listen on {taken} for metrics: Address already in use (os error 98)"),
        ),
    ] {
        // With it, all that would be fine by itself.
        server
            .refuse(
                &bad.replace("k8s.ooo.zone }", "k8s.ooo.zone }\n- { name: x.example, file: k8s.ooo.zone }"),
                &expected,
            )
            .await;
        server.kubezone.answers("web.shop.svc.c2 AAAA", WEB).await;
    }
    assert_eq!(server.kubezone.log().iter().filter(|line| line["fields"]["message"] == TAKEN).count(), 0);
    // The same again is no news; whoever asks is told.
    let known = server.facts(REFUSED).len();
    let bad = fs::read_to_string(server.folder.join("kubezone.yaml")).expect("what was written last");
    server.write("kubezone.yaml", &format!("{bad}# the same\n"));
    server.kubezone.hang_up().await;
    server.next_fact(REFUSED, known).await;
    server.reload(&format!("{good}- {{ name: x.example, file: k8s.ooo.zone }}\n")).await;
}

#[tokio::test]
async fn what_was_missing_is_waited_for() {
    let good = format!("{LISTEN}{}", zones());
    let server = Reloading::start(&good).await;
    let file = server.folder.join("made/later/new.zone");
    let bad = format!("{good}- {{ name: new.k8s.ooo, file: made/later/new.zone }}\n");
    server
        .refuse(
            &bad,
            "zone new.k8s.ooo.: FOLDER/made/later/new.zone: could not be read: No such file or directory (os error 2)",
        )
        .await;
    let known = server.facts(TAKEN).len();
    fs::create_dir_all(file.parent().expect("a folder")).expect("made");
    fs::write(file, PARENT).expect("written");
    let fact = server.next_fact(TAKEN, known).await;
    assert_eq!(fact["changes"], "zones added: new.k8s.ooo.");
    server.kubezone.answers("ns.new AAAA", "2001:db8::53").await;
}

#[tokio::test]
async fn static_records_are_a_part_of_the_configuration() {
    let server = Reloading::start(&format!("{LISTEN}{}", zones())).await;
    let with_extra = format!("{LISTEN}{}", zones()).replace("cluster: c2,", "cluster: c2, extra: static.zone,");
    server.refuse(&with_extra, "FOLDER/kubezone.yaml:").await;
    let known = server.facts(TAKEN).len();
    server.write("static.zone", "$TTL 5\n@ MX 10 mail\nweb.shop.svc TXT one\n");
    server.next_fact(TAKEN, known).await;
    server.kubezone.answers("web.shop.svc.c2 TXT", "one").await;
    server.kubezone.answers("web.shop.svc.c2 AAAA", WEB).await;

    server.write("static.zone", "$TTL 5\nweb.shop.svc TXT two\nabsent.shop.svc TXT here\n");
    server.kubezone.answers("absent.shop.svc.c2 TXT", "here").await;
    server.kubezone.answers("web.shop.svc.c2 TXT", "two").await;
    server.kubezone.answers("c2 MX", "NODATA c2.k8s.ooo.").await;

    // Half of it is not taken over.
    let (known, before) = (server.facts(REFUSED).len(), server.serials().await);
    server.write("static.zone", "$TTL 5\nweb.shop.svc TXT three\nweb.shop.svc CNAME (\n");
    let fact = server.next_fact(REFUSED, known).await;
    let error = fact["error"].as_str().expect("an error");
    assert!(error.contains("static.zone: line 3, column 20: this parenthesis is never closed"), "{error}");
    assert_eq!(server.serials().await, before);
    server.kubezone.answers("web.shop.svc.c2 TXT", "two").await;

    // What objects do does not touch them.
    fs::remove_file(server.folder.join("c2/web.yaml")).expect("removed");
    server.kubezone.answers("web.shop.svc.c2 AAAA", "NODATA c2.k8s.ooo.").await;
    server.kubezone.answers("web.shop.svc.c2 TXT", "two").await;
}

#[tokio::test]
async fn a_config_map_is_swapped_by_its_link() {
    let folder = Folder::new().expect("a temporary folder");
    let mounted = Mounted::new(folder.join(""), 0o444, None);
    let write = |version: usize, identity: &str, zones: &str| {
        let text = format!("identity: \"{identity}\"\n{LISTEN}zones:\n{zones}");
        let zone = PARENT.replace(" 1 14400", &format!(" {version} 14400"));
        mounted.write(&[("kubezone.yaml".to_owned(), text), ("k8s.ooo.zone".to_owned(), zone)].into());
    };
    write(1, "a", "- { name: k8s.ooo, file: k8s.ooo.zone }\n");
    let path = folder.join("kubezone.yaml").display().to_string();
    let kubezone = Kubezone::start("ooo", &[KUBEZONE.as_str(), "serve", "--config", &path], folder).await.ready().await;
    kubezone.answers("k9s SOA", "REFUSED").await;
    write(2, "b", "- { name: k8s.ooo, file: k8s.ooo.zone }\n- { name: k9s.ooo, file: k8s.ooo.zone }\n");
    kubezone.answers("ns.k9s AAAA", "2001:db8::53").await;
    eventually("the zone file is read again, too", async || match kubezone.http("/metrics").await {
        text if text.contains("kubezone_zone_serial{zone=\"k8s.ooo.\"} 2\n") => Ok(()),
        text => Err(text),
    })
    .await;
}

#[tokio::test]
async fn a_hang_up_reads_everything_again() {
    let server = Reloading::start(&format!("{LISTEN}{}", zones())).await;
    // Written without a sign that the kernel would give: as on a network file system, by a link into a folder not watched.
    let elsewhere = Folder::new().expect("a temporary folder");
    fs::create_dir(elsewhere.join("c2")).expect("a folder");
    for name in ["kubezone.yaml", "k8s.ooo.zone", "c2/web.yaml"] {
        let path = server.folder.join(name);
        fs::copy(&path, elsewhere.join(name)).expect("copied");
        symlink(elsewhere.join(name), path.with_extension("new")).expect("linked");
        fs::rename(path.with_extension("new"), path).expect("renamed");
    }
    server.kubezone.hang_up().await;
    let known = server.facts(TAKEN).len();
    elsewhere.write("k8s.ooo.zone", &PARENT.replace("8::53", "8::54")).expect("written");
    elsewhere.write("c2/web.yaml", &service("web", "2a0a:e5c0:10:3::18")).expect("written");
    elsewhere.write("kubezone.yaml", &format!("identity: a\n{LISTEN}{}", zones())).expect("written");
    server.kubezone.hang_up().await;
    assert_eq!(server.next_fact(TAKEN, known).await["changes"], "settings: identity");
    server.kubezone.answers("ns AAAA", "2001:db8::54").await;
    server.kubezone.answers("web.shop.svc.c2 AAAA", "2a0a:e5c0:10:3::18").await;
}

#[tokio::test]
async fn zones_of_a_cluster_come_and_go_with_their_numbers() {
    let server = Reloading::start(&format!("{LISTEN}{}", zones())).await;
    let c3 = made_from("c3.k8s.ooo", "c2", "");
    assert_eq!(server.reload(&format!("{LISTEN}{}{c3}", zones())).await, "zones added: c3.k8s.ooo.");
    server.kubezone.answers("web.shop.svc.c3 AAAA", WEB).await;
    fs::write(server.folder.join("c2/db.yaml"), service("db", "2a0a:e5c0:10:3::18")).expect("a manifest");
    server.kubezone.answers("db.shop.svc.c3 AAAA", "2a0a:e5c0:10:3::18").await;
    server.kubezone.answers("db.shop.svc.c2 AAAA", "2a0a:e5c0:10:3::18").await;

    let renamed = format!("{LISTEN}{}{}", zones(), c3.replace("c3.", "c4."));
    assert_eq!(server.reload(&renamed).await, "zones added: c4.k8s.ooo.; zones removed: c3.k8s.ooo.");
    server.kubezone.answers("web.shop.svc.c4 AAAA", WEB).await;
    // The parent answers for it again.
    server.kubezone.answers("web.shop.svc.c3 AAAA", "NXDOMAIN k8s.ooo.").await;
    let metrics = server.kubezone.http("/metrics").await;
    assert!(
        !metrics.contains("\"c3.k8s.ooo.\"") && metrics.contains("zone_loaded{zone=\"c4.k8s.ooo.\"} 1"),
        "{metrics}"
    );
    assert!(server.kubezone.http("/readyz").await.ends_with("\r\n\r\nready\n"));

    // Another cluster's name over the same folder: served on while it is read anew, and only the new one is told of.
    let other = zones().replace("name: c2,", "name: other,").replace("cluster: c2", "cluster: other");
    assert_eq!(
        server.reload(&format!("{LISTEN}{other}")).await,
        "zones removed: c4.k8s.ooo.; zones changed: c2.k8s.ooo.; clusters added: other; clusters removed: c2"
    );
    let metrics = server.kubezone.http("/metrics").await;
    assert!(!metrics.contains("cluster=\"c2\"") && metrics.contains("cluster=\"other\""), "{metrics}");
    server.kubezone.answers("web.shop.svc.c2 AAAA", WEB).await;
}

#[tokio::test]
async fn pods_in_manifests_get_their_names_and_lose_them() {
    let server = Reloading::start(&format!("{LISTEN}{}", zones())).await;
    let c3 = |pods: bool| made_from("c3.k8s.ooo", "c2", &format!(", publish: {{ pods: {pods} }}"));
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: { name: web-0, namespace: shop }\nstatus: { podIP: 'POD' }\n";
    let (name, absent) = ("2a0a-e5c0-10-2--10.shop.pod.c3 AAAA", "NXDOMAIN c3.k8s.ooo.");
    server.write("c2/pod.yaml", &pod.replace("POD", "2a0a:e5c0:10:2::10"));
    server.reload(&format!("{LISTEN}{}{}", zones(), c3(false))).await;
    server.kubezone.answers(name, absent).await;

    assert_eq!(server.reload(&format!("{LISTEN}{}{}", zones(), c3(true))).await, "zones changed: c3.k8s.ooo.");
    server.kubezone.answers(name, "2a0a:e5c0:10:2::10").await;
    server.write("c2/pod.yaml", &pod.replace("POD", "2a0a:e5c0:10:2::11"));
    server.kubezone.answers("2a0a-e5c0-10-2--11.shop.pod.c3 AAAA", "2a0a:e5c0:10:2::11").await;
    assert_eq!(server.kubezone.ask(name).await, absent);
    server.write("c2/pod.yaml", &pod.replace("POD", "2a0a:e5c0:10:2::10"));
    server.kubezone.answers(name, "2a0a:e5c0:10:2::10").await;
    server.reload(&format!("{LISTEN}{}{}", zones(), c3(false))).await;
    server.kubezone.answers(name, absent).await;
    server.kubezone.answers("web.shop.svc.c3 AAAA", WEB).await;
}

#[tokio::test]
async fn a_cluster_that_is_reached_in_another_way_is_served_as_it_was_until_it_is_synced() {
    let server = Reloading::start(&format!("{LISTEN}{}", zones())).await;
    let serial = server.kubezone.metric("kubezone_zone_serial", "c2.k8s.ooo.").await;
    // An API that nobody answers for: the zone is never synced from it.
    let nowhere = "apiVersion: v1\nkind: Config\ncurrent-context: c2\n\
                   clusters: [{ name: c2, cluster: { server: \"http://[::1]:1\" } }]\n\
                   users: [{ name: c2, user: {} }]\n\
                   contexts: [{ name: c2, context: { cluster: c2, user: c2 } }]\n";
    server.write("c2.kubeconfig", nowhere);
    let by_api = zones().replace("manifests: c2", "kubeconfig: c2.kubeconfig");
    assert_eq!(server.reload(&format!("{LISTEN}{by_api}")).await, "clusters changed: c2");
    assert_eq!(server.kubezone.metric("kubezone_cluster_synced", "c2").await, 0.0);
    server.kubezone.answers("web.shop.svc.c2 AAAA", WEB).await;

    fs::create_dir(server.folder.join("moved")).expect("a folder");
    server.write("moved/web.yaml", &service("web", "2a0a:e5c0:10:3::19"));
    let moved = zones().replace("manifests: c2", "manifests: moved");
    assert_eq!(server.reload(&format!("{LISTEN}{moved}")).await, "clusters changed: c2");
    server.kubezone.answers("web.shop.svc.c2 AAAA", "2a0a:e5c0:10:3::19").await;
    assert!(server.kubezone.metric("kubezone_zone_serial", "c2.k8s.ooo.").await > serial);
    fs::write(server.folder.join("c2/web.yaml"), service("web", "2a0a:e5c0:10:3::20")).expect("a manifest");
    fs::write(server.folder.join("moved/db.yaml"), service("db", "2a0a:e5c0:10:3::21")).expect("a manifest");
    server.kubezone.answers("db.shop.svc.c2 AAAA", "2a0a:e5c0:10:3::21").await;
    server.kubezone.answers("web.shop.svc.c2 AAAA", "2a0a:e5c0:10:3::19").await;
}

#[tokio::test]
async fn a_zone_that_is_not_loaded_takes_no_readiness_away() {
    let server = Reloading::start(&format!("{LISTEN}{}", zones())).await;
    fs::write(
        server.folder.join("c3.kubeconfig"),
        "apiVersion: v1\nkind: Config\ncurrent-context: c3\n\
        clusters: [{ name: c3, cluster: { server: \"http://[::1]:1\" } }]\nusers: [{ name: c3, user: {} }]\n\
        contexts: [{ name: c3, context: { cluster: c3, user: c3 } }]\n",
    )
    .expect("a kubeconfig");
    let clusters = "clusters: [{ name: c3, kubeconfig: c3.kubeconfig }, { name: c2,";
    let zones = zones().replace("clusters: [{ name: c2,", clusters);
    server.reload(&format!("{LISTEN}{zones}{}", made_from("c3.k8s.ooo", "c3", ""))).await;
    server.kubezone.answers("web.shop.svc.c3 AAAA", "SERVFAIL").await;
    let readiness = server.kubezone.http("/readyz").await;
    assert!(readiness.starts_with("HTTP/1.1 200"), "{readiness}");
    assert!(readiness.ends_with("ready; zones not loaded: c3.k8s.ooo.\n"), "{readiness}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_question_is_lost_when_others_answer_at_an_address() {
    let server = Reloading::start(&format!("{LISTEN}{}", zones())).await;
    let own = server.kubezone.dns();
    let at_own = |workers: usize| {
        let listen = LISTEN.replace("\"[::1]:0\"]", &format!("\"{own}\"], workers: {workers}"));
        format!("{listen}{}", zones())
    };
    assert_ne!(at_own(1), at_own(2));
    server.reload(&at_own(1)).await;
    let one = server.kubezone.count("task");

    let mut clients = Clients::new();
    clients.ask(own, Over::Udp, &QUESTIONS[..3]);
    clients.ask(own, Over::Connections, &QUESTIONS[..3]);
    for workers in [5, 1, 3, 1, 5] {
        assert_eq!(server.reload(&at_own(workers)).await, "settings: workers");
        eventually("as many threads as are wanted", async || match server.kubezone.count("task") {
            now if now == one + workers - 1 => Ok(()),
            now => Err(format!("{one} with one worker, {now} with {workers}")),
        })
        .await;
    }
    let asked = clients.stop().await;
    assert!(asked > 100, "{asked} questions");
}

#[tokio::test]
async fn probes_move_to_another_address() {
    let server = Reloading::start(&format!("{LISTEN}{}", zones())).await;
    let reserved = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).expect("a socket").local_addr().expect("its address");
    let moved = LISTEN.replace("metrics: \"[::1]:0\"", &format!("metrics: \"{reserved}\""));
    assert_eq!(server.reload(&format!("{moved}{}", zones())).await, "settings: metrics");
    let answer = support::http::http(reserved, "GET", "/readyz", "").await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // The same port on every address, while it is in use.
    let wide = moved.replace("metrics: \"[::1]", "metrics: \"[::]");
    server.reload(&format!("{wide}{}", zones())).await;
    let answer = support::http::http(reserved, "GET", "/livez", "").await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn the_same_cluster_may_have_two_names_and_a_zone_may_go_from_one_to_the_other() {
    let server = Reloading::start(&format!("{LISTEN}{}", zones())).await;
    let both = zones().replace("[{ name: c2,", "[{ name: c3, manifests: c2 }, { name: c2,");
    let changes = server.reload(&format!("{LISTEN}{both}{}", made_from("c3.k8s.ooo", "c3", ""))).await;
    assert_eq!(changes, "zones added: c3.k8s.ooo.; clusters added: c3");
    for zone in ["c2", "c3"] {
        server.kubezone.answers(&format!("web.shop.svc.{zone} AAAA"), WEB).await;
        assert!(server.kubezone.metric("kubezone_cluster_synced", &format!("\"{zone}\"")).await > 0.5);
    }

    let serials = server.serials().await;
    let crossed = both.replace("cluster: c2", "cluster: c3");
    let changes = server.reload(&format!("{LISTEN}{crossed}{}", made_from("c3.k8s.ooo", "c2", ""))).await;
    assert_eq!(changes, "zones changed: c2.k8s.ooo. c3.k8s.ooo.");
    assert_eq!(server.serials().await, serials, "their records are the same");
    fs::write(server.folder.join("c2/db.yaml"), service("db", "2a0a:e5c0:10:3::18")).expect("a manifest");
    for zone in ["c2", "c3"] {
        server.kubezone.answers(&format!("db.shop.svc.{zone} AAAA"), "2a0a:e5c0:10:3::18").await;
    }

    // And to a file, of which it is told at once.
    let file = crossed
        .replace("- { name: k8s.ooo,", "- { name: c3.k8s.ooo, file: k8s.ooo.zone }\n- { name: k8s.ooo,")
        .replace(", { name: c2, manifests: c2 }", "");
    assert_eq!(server.reload(&format!("{LISTEN}{file}")).await, "zones changed: c3.k8s.ooo.; clusters removed: c2");
    server.kubezone.answers("ns.c3 AAAA", "2001:db8::53").await;
    server.kubezone.answers("web.shop.svc.c2 AAAA", WEB).await;
}

/// A reverse zone for the addresses of these zones.
fn reverse_of(zones: &str) -> String {
    format!(
        "- {{ name: 0.c.5.e.a.0.a.2.ip6.arpa, reverseOf: [{zones}], nameservers: [{{ name: ns.example.net. }}] }}\n"
    )
}

/// Asks over UDP and TCP in turn.
struct Client {
    udp: UdpSocket,
    tcp: TcpStream,
    asked: usize,
}

impl Client {
    async fn of(server: &Reloading) -> Self {
        let address = server.kubezone.dns();
        Self { udp: udp_to(address).await, tcp: TcpStream::connect(address).await.expect("a connection"), asked: 0 }
    }

    async fn ask(&mut self, qname: &str, qtype: RecordType) -> String {
        self.asked += 1;
        let question = question(qname, qtype);
        if self.asked.is_multiple_of(2) {
            over_tcp(&mut self.tcp, &question).await
        } else {
            over_udp(&self.udp, &question).await
        }
    }

    /// What the name of an address is.
    async fn name(&mut self, address: &str) -> String {
        self.ask(&arpa(address), RecordType::PTR).await
    }

    /// Sees to it that this is answered, over both.
    async fn is(&mut self, qname: &str, expected: &str) {
        for _ in 0..2 {
            assert_eq!(self.ask(qname, RecordType::PTR).await, expected, "{qname}");
        }
    }

    /// Waits until an address has this name.
    async fn becomes(&mut self, address: &str, expected: &str) {
        let this = tokio::sync::Mutex::new(&mut *self);
        eventually(&format!("{address} is {expected}"), async || match this.lock().await.name(address).await {
            said if said == expected => Ok(()),
            said => Err(said),
        })
        .await;
        self.is(&arpa(address), expected).await;
    }
}

fn arpa(address: &str) -> String {
    Name::from(address.parse::<IpAddr>().expect("an address")).to_string()
}

#[tokio::test]
async fn a_reverse_zone_comes_changes_and_goes_with_the_configuration() {
    let before = format!("{LISTEN}{}", zones());
    let server = Reloading::start(&before).await;
    let mut client = Client::of(&server).await;
    client.is(&arpa(WEB), "Refused").await;

    // It is made before it is served: the cluster is synced.
    let of_c2 = format!("{before}{}", reverse_of("c2.k8s.ooo"));
    assert_eq!(server.reload(&of_c2).await, "zones added: 0.c.5.e.a.0.a.2.ip6.arpa.");
    client.is(&arpa(WEB), "web.shop.svc.c2.k8s.ooo.").await;
    client.is(&arpa("2a0a:e5c0:10:3::18"), "NXDomain").await;
    // An empty non-terminal, and one that is none.
    client.is("3.0.0.0.0.1.0.0.0.c.5.e.a.0.a.2.ip6.arpa.", "NoError").await;
    client.is("4.0.0.0.0.1.0.0.0.c.5.e.a.0.a.2.ip6.arpa.", "NXDomain").await;
    assert_eq!(client.ask("0.c.5.e.a.0.a.2.ip6.arpa.", RecordType::SOA).await, "SOA");
    client.is(&arpa("2a0a:e5c1::1"), "Refused").await;
    client.is(&arpa("147.78.194.9"), "Refused").await;

    let hidden = service("web", WEB).replace("name: web,", "name: web, annotations: { k8s.ooo/publish: \"false\" },");
    server.write("c2/web.yaml", &hidden);
    client.becomes(WEB, "NXDomain").await;
    server.write("c2/web.yaml", &service("web", WEB));
    client.becomes(WEB, "web.shop.svc.c2.k8s.ooo.").await;

    // Another cluster joins: what it publishes is waited for, and what is known stays.
    fs::create_dir(server.folder.join("c3")).expect("a folder");
    server.write("c3/mail.yaml", &service("mail", "2a0a:e5c0:10:4::25"));
    let c3 =
        zones().replace("clusters: [", "clusters: [{ name: c3, manifests: c3 }, ") + &made_from("c3.k8s.ooo", "c3", "");
    let of_both = format!("{LISTEN}{c3}{}", reverse_of("c2.k8s.ooo, c3.k8s.ooo"));
    let changes = "zones added: c3.k8s.ooo.; zones changed: 0.c.5.e.a.0.a.2.ip6.arpa.; clusters added: c3";
    assert_eq!(server.reload(&of_both).await, changes);
    client.becomes("2a0a:e5c0:10:4::25", "mail.shop.svc.c3.k8s.ooo.").await;
    client.is(&arpa(WEB), "web.shop.svc.c2.k8s.ooo.").await;

    assert_eq!(
        server.reload(&format!("{LISTEN}{c3}{}", reverse_of("c3.k8s.ooo"))).await,
        "zones changed: 0.c.5.e.a.0.a.2.ip6.arpa."
    );
    client.is(&arpa(WEB), "NXDomain").await;
    client.is(&arpa("2a0a:e5c0:10:4::25"), "mail.shop.svc.c3.k8s.ooo.").await;
    assert_eq!(server.reload(&format!("{LISTEN}{c3}")).await, "zones removed: 0.c.5.e.a.0.a.2.ip6.arpa.");
    client.is(&arpa(WEB), "Refused").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_and_its_address_change_together() {
    let server = Reloading::start(&format!("{LISTEN}{}{}", zones(), reverse_of("c2.k8s.ooo"))).await;
    let mut client = Client::of(&server).await;
    let last = "web-99.shop.svc.c2.k8s.ooo.";
    let asking = tokio::spawn(async move {
        let (mut seen, mut sure) = (HashMap::new(), 0);
        loop {
            let pointer = client.name(WEB).await;
            assert!(pointer.ends_with(".shop.svc.c2.k8s.ooo."), "never without a name: {pointer}");
            let address = client.ask(&pointer, RecordType::AAAA).await;
            // No name comes back: what lies between two equal answers is of the same version.
            if client.name(WEB).await == pointer {
                assert_eq!(address, WEB, "{pointer}");
                sure += 1;
            }
            *seen.entry(pointer.clone()).or_insert(0) += 1;
            if pointer == last {
                return (seen.len(), sure);
            }
        }
    });
    for number in 0..100 {
        server.write("c2/web.yaml", &service(&format!("web-{number}"), WEB));
        tokio::task::yield_now().await;
        if number % 10 == 9 {
            let question = format!("web-{number}.shop.svc.c2 AAAA");
            server.kubezone.answers(&question, WEB).await;
        }
    }
    let (versions, sure) = timeout(PATIENCE * 6, asking).await.expect("the last name").expect("no contradiction");
    support::tell(&format!("{versions} names of one address, {sure} times looked at in one version"));
    assert!(versions >= 5 && sure >= versions, "{versions} {sure}");
}
