//! The kubezone that people run: the binary with a configuration file, asked over real sockets and decoded by
//! hickory-proto.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{Name, RData, RecordType};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::eventually;
use super::http::http;
use super::log::{address, addresses};
use super::process::{Folder, Process};

/// How long one answer may take. On loopback, one that is not there by then was never sent.
const PATIENCE: Duration = Duration::from_secs(5);

/// The binary that is tested: the one that `KUBEZONE_BIN` names, such as the released one, or else the tests' own build.
pub(crate) static KUBEZONE: LazyLock<String> =
    LazyLock::new(|| std::env::var("KUBEZONE_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_kubezone").to_owned()));

/// A running kubezone. It is killed when dropped.
pub(crate) struct Kubezone {
    process: Process,
    zone: Name,
    dns: SocketAddr,
    metrics: SocketAddr,
    _folder: Folder,
}

impl Kubezone {
    /// One that serves `zone` from the cluster that a kubeconfig leads to, on ports of its own choice.
    ///
    /// It answers when this returns; not necessarily for the zone yet.
    pub(crate) async fn serve(zone: &str, kubeconfig: &Path) -> Self {
        let configuration = format!(
            r#"apiVersion: k8s.ooo/v1alpha1
kind: KubezoneConfig
listen:
  dns: ["[::1]:0"]
  metrics: "[::1]:0"
clusters:
  - name: c2
    kubeconfig: {kubeconfig}
zones:
  - name: {zone}
    cluster: c2
    nameservers: [{{ name: ns, addresses: ["2a0a:e5c0:13:e2::a"] }}]
"#,
            kubeconfig = kubeconfig.display(),
        );
        Self::configured(zone, Folder::new().expect("a temporary folder"), &configuration).await
    }

    /// One with this configuration, written into `folder`; questions are relative to `zone`.
    ///
    /// It answers when this returns; not necessarily for the zone yet.
    pub(crate) async fn configured(zone: &str, folder: Folder, configuration: &str) -> Self {
        let path = folder.write("kubezone.yaml", configuration).expect("configuration written");
        Self::start(zone, &[KUBEZONE.as_str(), "serve", "--config", &path.display().to_string()], folder).await
    }

    /// One that is started by `command`, which may begin with `env`; questions are relative to `zone`.
    ///
    /// It answers when this returns; not necessarily for the zone yet.
    pub(crate) async fn start(zone: &str, command: &[&str], folder: Folder) -> Self {
        // Not where another one may be; a test that has its own idea of it takes this out again.
        let args: Vec<_> = ["KUBEZONE_LISTEN_ADMIN=[::1]:0"].iter().chain(command).map(|&arg| arg.to_owned()).collect();
        let mut process =
            Process::start(Path::new("env"), &args, folder.join("kubezone.log")).expect("kubezone started");
        let (dns, metrics) = eventually("kubezone says where it listens", async || {
            assert!(!process.has_ended(), "kubezone has ended: {}", process.said());
            addresses(&process.said()).ok_or_else(|| process.said())
        })
        .await;
        Self { process, zone: Name::from_ascii(format!("{zone}.")).expect("a name"), dns, metrics, _folder: folder }
    }

    /// Waits until its cluster has been read and the zone is served.
    pub(crate) async fn ready(self) -> Self {
        eventually("kubezone's /readyz", async || match self.http("/readyz").await {
            answer if answer.starts_with("HTTP/1.1 200") => Ok(()),
            answer => Err(answer),
        })
        .await;
        self
    }

    /// Where DNS is answered: the first of the addresses that it logged.
    pub(crate) fn dns(&self) -> SocketAddr {
        self.dns
    }

    /// Where probes and metrics are answered.
    pub(crate) fn metrics(&self) -> SocketAddr {
        self.metrics
    }

    /// Its process ID.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it logged until now, line by line.
    pub(crate) fn log(&self) -> Vec<Value> {
        self.process.said().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// How many entries a folder of its own in /proc has: `fd`, `task`.
    pub(crate) fn count(&self, of: &str) -> usize {
        let folder = format!("/proc/{}/{of}", self.process.id());
        std::fs::read_dir(folder).expect("it runs").count()
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        self.process.signal("TERM");
    }

    /// Sends it a signal that does not end it, and waits until it says so.
    pub(crate) async fn hang_up(&self) {
        self.process.signal("HUP");
        eventually("kubezone tells of SIGHUP", async || match self.process.said() {
            said if said.contains("SIGHUP") => Ok(()),
            said => Err(said),
        })
        .await;
    }

    /// Waits until it has ended, and gives its exit status.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        let process = &mut self.process;
        let status = eventually("kubezone ends", async || process.status().ok_or_else(|| process.said())).await;
        status.code()
    }

    /// Stops it as if the machine had no time for it, or lets it run again.
    pub(crate) fn freeze(&self, frozen: bool) {
        self.process.signal(if frozen { "STOP" } else { "CONT" });
    }

    /// Asks over UDP, and over TCP where the answer is truncated. See [`text`] for the answer's notation.
    pub(crate) async fn ask(&self, question: &str) -> String {
        let asked = self.question(question);
        let message = self.over_udp(&asked).await;
        let message = if message.metadata.truncation { self.over_tcp(&asked).await } else { message };
        text(&message)
    }

    /// Waits until a question has this answer, over UDP and over TCP.
    pub(crate) async fn answers(&self, question: &str, expected: &str) {
        eventually(&format!("{question} is answered with {expected}"), async || {
            let said = self.ask(question).await;
            if said == expected { Ok(()) } else { Err(said) }
        })
        .await;
        let said = text(&self.over_tcp(&self.question(question)).await);
        assert_eq!(said, expected, "{question} over TCP");
    }

    /// The Extended DNS Error of the answer, if it has one: the INFO-CODE (RFC 8914).
    pub(crate) async fn ede(&self, question: &str) -> Option<u16> {
        let mut asked = self.question(question);
        asked.set_edns(Edns::new());
        let message = self.over_udp(&asked).await;
        match message.edns.as_ref()?.option(EdnsCode::Unknown(15))? {
            EdnsOption::Unknown(_, data) => Some(u16::from_be_bytes([*data.first()?, *data.get(1)?])),
            _ => None,
        }
    }

    /// The zone's serial.
    pub(crate) async fn serial(&self) -> u32 {
        let message = self.over_udp(&self.question("@ SOA")).await;
        let soa = message.answers.iter().find_map(|record| match &record.data {
            RData::SOA(soa) => Some(soa.serial),
            _ => None,
        });
        soa.unwrap_or_else(|| panic!("no SOA: {}", text(&message)))
    }

    /// The sum of all samples of a metric whose labels contain `labels`; 0 where there are none.
    pub(crate) async fn metric(&self, name: &str, labels: &str) -> f64 {
        let metrics = self.http("/metrics").await;
        let samples = metrics.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (of, with) = series.split_once('{').unwrap_or((series, ""));
            (of == name && with.contains(labels)).then(|| value.parse::<f64>().expect("a number"))
        });
        samples.sum()
    }

    /// Waits until it has counted an error with these labels, such as `reason="forbidden"`.
    pub(crate) async fn counts_error(&self, labels: &str) {
        eventually(&format!("an error is counted: {labels}"), async || {
            match self.metric("kubezone_cluster_errors_total", labels).await {
                0.0 => Err(self.http("/metrics").await),
                _ => Ok(()),
            }
        })
        .await;
    }

    /// Asks its port for probes and metrics, and gives the whole answer.
    pub(crate) async fn http(&self, path: &str) -> String {
        http(self.metrics, "GET", path, "").await.expect("an answer")
    }

    /// Where its JSON API is: the first of the addresses that it logged.
    pub(crate) fn admin(&self) -> SocketAddr {
        address(&self.process.said(), "admin").expect("logged before the metrics' address")
    }

    /// Asks its JSON API, and gives the answer's head and body.
    pub(crate) async fn api(&self, path: &str) -> (String, String) {
        let answer = http(self.admin(), "GET", path, "").await.expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        (head.to_owned(), body.to_owned())
    }

    /// A question as `name TYPE`, the name relative to the zone, or absolute; `@` is the apex.
    fn question(&self, question: &str) -> Message {
        let (qname, qtype) = question.split_once(' ').expect("name and type");
        let qname = match qname {
            "@" => self.zone.clone(),
            absolute if absolute.ends_with('.') => Name::from_ascii(absolute).expect("a name"),
            relative => Name::from_ascii(relative).and_then(|name| name.append_domain(&self.zone)).expect("a name"),
        };
        let mut message = Message::query();
        message.add_query(Query::query(qname, qtype.parse::<RecordType>().expect("a type")));
        message
    }

    async fn over_udp(&self, question: &Message) -> Message {
        let socket = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).await.expect("a socket");
        socket.connect(self.dns).await.expect("connected");
        socket.send(&question.to_vec().expect("encoded")).await.expect("sent");
        let mut buffer = [0; 4096];
        let length = timeout(PATIENCE, socket.recv(&mut buffer)).await.expect("an answer over UDP").expect("received");
        answer(question, &buffer[..length])
    }

    async fn over_tcp(&self, question: &Message) -> Message {
        let exchange = async {
            let mut connection = TcpStream::connect(self.dns).await?;
            let bytes = question.to_vec().expect("encoded");
            connection.write_u16(u16::try_from(bytes.len()).expect("a short question")).await?;
            connection.write_all(&bytes).await?;
            let mut buffer = vec![0; usize::from(connection.read_u16().await?)];
            connection.read_exact(&mut buffer).await?;
            std::io::Result::Ok(buffer)
        };
        answer(question, &timeout(PATIENCE, exchange).await.expect("an answer over TCP").expect("received"))
    }
}

/// Decodes an answer, and sees to it that it is one to this question.
fn answer(question: &Message, bytes: &[u8]) -> Message {
    let message = Message::from_vec(bytes).expect("well-formed");
    assert_eq!(message.metadata.id, question.metadata.id);
    assert_eq!(message.queries, question.queries);
    message
}

/// What an answer says, in words that a test can compare.
///
/// The RDATA of the records in ANSWER, in order; `NODATA` or the RCODE with the owner of the SOA in AUTHORITY, as in
/// `NXDOMAIN c2.k8s.ooo.`; or the RCODE alone where there is no SOA. Authoritative, unless it says otherwise.
fn text(message: &Message) -> String {
    let mut records: Vec<_> = message.answers.iter().map(|record| record.data.to_string()).collect();
    records.sort_unstable();
    let soa = message.authorities.iter().find(|record| record.record_type() == RecordType::SOA);
    let said = match (message.metadata.response_code, soa) {
        (ResponseCode::NoError, None) => records.join(", "),
        (ResponseCode::NoError, Some(soa)) => format!("NODATA {}", soa.name),
        (ResponseCode::NXDomain, Some(soa)) => format!("NXDOMAIN {}", soa.name),
        (rcode, _) => return format!("{rcode:?}").to_uppercase(),
    };
    if message.metadata.authoritative { said } else { format!("{said} (not authoritative)") }
}
