//! What a whole server costs, beside Knot: `cargo bench --bench server`.
//!
//! **CPU per query.** kubezone and Knot serve the same zone of 10,000 Services
//! (each an AAAA and one SRV) on the same core, one UDP worker each; questions
//! come from another core. Rounds alternate between the two, so that whatever
//! else the machine does meets both. What counts is the time that the kernel
//! charges to the server's process, over the queries that it answered rightly:
//! what the load costs does not matter. *Busy* is the part of a round that the
//! server was running for: the less, the more often it had to wait for a query,
//! and waking up for each makes them dearer.
//!
//! **Memory.** The resident set of kubezone with a cluster's manifests, right
//! after /readyz says so, and that of Knot with the same zone as a master file.
//!
//! `cargo bench` builds kubezone almost as it is released; to measure the
//! binary that ships, `cargo bench --bench server -- target/release/kubezone`
//! with one that was copied away, as cargo would overwrite it.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, iter};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tempfile::TempDir;

#[path = "../tests/support/log.rs"]
mod log;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const ZONE: &str = "c2.k8s.ooo";
/// Services in the zone that is asked.
const SERVICES: usize = 10_000;
/// What a busy namespace holds.
const SERVICES_PER_NAMESPACE: usize = 100;
const SERVICES_PER_FILE: usize = 1_000;

/// Queries of one kind that one server gets in a round.
const QUERIES: usize = 200_000;
const ROUNDS: usize = 7;
/// Queries that are under way at a time: few enough for every socket's buffer.
const WINDOW: usize = 128;
/// How long the load rests when no answer has come: the server needs longer for a window.
const REST: Duration = Duration::from_micros(200);
/// After this long without an answer, what is under way is lost.
const SILENCE: Duration = Duration::from_millis(100);
/// The longest that a round takes.
const ROUND: Duration = Duration::from_secs(30);
/// The longest that a server takes to begin.
const PATIENCE: Duration = Duration::from_secs(120);
/// The kernel's unit in /proc (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

const AAAA: u16 = 28;
const SOA: u16 = 6;

fn main() -> Result<()> {
    // cargo adds `--bench`.
    let other = env::args_os().skip(1).find(|argument| !argument.as_encoded_bytes().starts_with(b"-"));
    let binary = other.map_or_else(|| env!("CARGO_BIN_EXE_kubezone").into(), PathBuf::from);
    let knot = Command::new("knotd").arg("--version").output().is_ok_and(|output| output.status.success());
    if !knot {
        println!("NO COMPARISON: there is no knotd in the path (Debian: apt-get install knot)\n");
    }
    memory(&binary, knot)?;
    cpu(&binary, knot)
}

/// Prints what servers keep in memory.
fn memory(binary: &Path, knot: bool) -> Result<()> {
    println!(
        "{:>9} {:<9} {:>10} {:>9} {:>9} {:>9}",
        "Services", "server", "ready in", "RSS MiB", "own MiB", "peak MiB"
    );
    for services in [0, SERVICES, 10 * SERVICES] {
        let world = World::new(binary, services)?;
        let row = |server: Server| -> Result<()> {
            let [rss, own, peak] = ["VmRSS:", "RssAnon:", "VmHWM:"].map(|field| server.memory(field));
            let (name, took) = (server.name, format!("{:.2} s", server.ready_in.as_secs_f64()));
            println!("{services:>9} {name:<9} {took:>10} {:>9.1} {:>9.1} {:>9.1}", rss?, own?, peak?);
            Ok(())
        };
        row(world.kubezone(binary, "cluster.yaml")?)?;
        if knot {
            row(world.knot()?)?;
        }
    }
    println!();
    Ok(())
}

/// Prints what queries cost.
fn cpu(binary: &Path, knot: bool) -> Result<()> {
    let Some([theirs, ours]) = two_cores()? else {
        println!("NO CPU FIGURES: they take two cores, one for the load");
        return Ok(());
    };
    let world = World::new(binary, SERVICES)?;
    sched_setaffinity(None, &theirs)?;
    let mut servers = vec![world.kubezone(binary, "file.yaml")?];
    if knot {
        servers.push(world.knot()?);
    }
    sched_setaffinity(None, &ours)?;

    let mut dice = Dice(42);
    println!(
        "{:<9} {:<9} {:>9} {:>9} {:>9} {:>6} {:>10} {:>12}",
        "query", "server", "CPU µs", "user µs", "kernel µs", "busy", "answered", "ours/theirs"
    );
    for (kind, prefix, rcode) in [("AAAA hit", "", 0), ("NXDOMAIN", "absent-", 3)] {
        let questions: Vec<_> = iter::repeat_with(|| dice.below(SERVICES))
            .map(|index| question(&format!("{prefix}{}", service(index)), AAAA))
            .take(20_000)
            .collect();
        let mut costs = vec![Vec::new(); servers.len()];
        for _ in 0..ROUNDS {
            for (server, costs) in servers.iter().zip(&mut costs) {
                costs.push(server.round(&questions, rcode)?);
            }
        }
        for (server, of) in servers.iter().zip(&costs) {
            let [total, user, busy, answered]: [fn(&Cost) -> f64; 4] =
                [|cost| cost.user + cost.kernel, |cost| cost.user, |cost| cost.busy, |cost| cost.answered];
            // Pairs of one round: the machine is most alike within it.
            let ratio = costs[0].iter().zip(of).map(|(ours, theirs)| total(ours) / total(theirs));
            let ratio = median(ratio.collect());
            let of = |figure: fn(&Cost) -> f64| median(of.iter().map(figure).collect());
            println!(
                "{kind:<9} {:<9} {:>9.2} {:>9.2} {:>9.2} {:>5.0}% {:>9.2}% {:>12.2}",
                server.name,
                of(total),
                of(user),
                of(|cost| cost.kernel),
                of(busy) * 100.0,
                of(answered) * 100.0,
                ratio
            );
        }
    }
    Ok(())
}

/// The first two of the cores that we may use; none if there is but one.
fn two_cores() -> Result<Option<[CpuSet; 2]>> {
    let allowed = sched_getaffinity(None)?;
    let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core)).map(|core| {
        let mut only = CpuSet::new();
        only.set(core);
        only
    });
    let first = cores.next();
    Ok(first.zip(cores.next()).map(|(first, second)| [second, first]))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Numbers that look random, the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }
}

fn service(index: usize) -> String {
    format!("web-{index}.team-{}.svc.{ZONE}", index / SERVICES_PER_NAMESPACE)
}

/// A question with EDNS, as resolvers ask; the ID is for the sender to fill in.
fn question(qname: &str, qtype: u16) -> Vec<u8> {
    let mut message = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    for label in qname.split('.') {
        message.push(u8::try_from(label.len()).expect("a label"));
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend_from_slice(&qtype.to_be_bytes());
    message.extend_from_slice(&[0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    message
}

/// A folder with one zone as manifests and as a master file, and configurations of servers for both.
struct World {
    folder: TempDir,
}

impl World {
    fn new(binary: &Path, services: usize) -> Result<Self> {
        let world = Self { folder: tempfile::tempdir()? };
        let nameservers = r#"nameservers: [{ name: ns, addresses: ["2a0a:e5c0:13:e2::a"] }]"#;
        let head = "apiVersion: k8s.ooo/v1alpha1\nkind: KubezoneConfig\n\
            listen: { dns: [\"[::1]:0\"], metrics: \"[::1]:0\" }\n";
        let cluster = "clusters: [{ name: c2, manifests: manifests }]\n";
        world.write(
            "cluster.yaml",
            &format!("{head}{cluster}zones: [{{ name: {ZONE}, cluster: c2, {nameservers} }}]"),
        )?;
        world.write("file.yaml", &format!("{head}zones: [{{ name: {ZONE}, file: {ZONE}.zone }}]"))?;

        fs::create_dir(world.path("manifests"))?;
        for first in (0..services).step_by(SERVICES_PER_FILE) {
            let mut manifests = String::new();
            for index in first..services.min(first + SERVICES_PER_FILE) {
                write!(manifests, "{}", Manifest(index))?;
            }
            world.write(&format!("manifests/{first}.yaml"), &manifests)?;
        }
        let dump =
            Command::new(binary).args(["zone", "dump", ZONE, "--config"]).arg(world.path("cluster.yaml")).output()?;
        if !dump.status.success() {
            return Err(format!("kubezone zone dump: {}", String::from_utf8_lossy(&dump.stderr)).into());
        }
        fs::write(world.path(&format!("{ZONE}.zone")), dump.stdout)?;
        Ok(world)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        Ok(fs::write(self.path(name), text)?)
    }

    /// kubezone with the configuration `file`, ready.
    fn kubezone(&self, binary: &Path, file: &str) -> Result<Server> {
        let log = self.path("kubezone.log");
        let mut command = Command::new(binary);
        command.args(["serve", "--config"]).arg(self.path(file)).stderr(File::create(&log)?);
        let mut server = Server::start("kubezone", &mut command)?;
        let (dns, metrics) = server.wait(|_| log::addresses(&fs::read_to_string(&log).ok()?))?;
        server.dns = dns;
        server.wait(|_| is_ready(metrics).then_some(()))?;
        Ok(server)
    }

    /// Knot with the master file, ready.
    fn knot(&self) -> Result<Server> {
        let dns = free_port()?;
        let folder = self.folder.path().display();
        self.write(
            "knot.conf",
            &format!(
                "server:\n  rundir: {folder}\n  listen: {}@{}\n  udp-workers: 1\n  tcp-workers: 1\n  \
                 background-workers: 1\n\
                 log:\n  - target: stderr\n    any: error\n\
                 database:\n  storage: {folder}\n\
                 zone:\n  - domain: {ZONE}\n    storage: {folder}\n    file: {ZONE}.zone\n    \
                 journal-content: none\n    zonefile-sync: -1\n",
                dns.ip(),
                dns.port()
            ),
        )?;
        let mut command = Command::new("knotd");
        command.arg("-c").arg(self.path("knot.conf")).stderr(File::create(self.path("knot.log"))?);
        let mut server = Server::start("Knot", &mut command)?;
        server.dns = dns;
        server.wait(|server| server.answers().then_some(()))?;
        Ok(server)
    }
}

/// A Service with a name, an address and a named port.
struct Manifest(usize);

impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = u128::from(Ipv6Addr::new(0x2a0a, 0xe5c0, 0x10, 3, 0, 0, 0, 0));
        let address = Ipv6Addr::from(range + 0x10 + self.0 as u128);
        writeln!(f, "---\napiVersion: v1\nkind: Service")?;
        writeln!(f, "metadata:\n  name: web-{}\n  namespace: team-{}", self.0, self.0 / SERVICES_PER_NAMESPACE)?;
        writeln!(f, "spec:\n  type: ClusterIP\n  clusterIP: {address}\n  clusterIPs: [\"{address}\"]")?;
        writeln!(f, "  ipFamilies: [IPv6]\n  ipFamilyPolicy: SingleStack\n  selector: {{ app: web-{} }}", self.0)?;
        writeln!(f, "  ports:\n  - {{ name: https, port: 443, protocol: TCP, targetPort: 8443 }}")
    }
}

/// A port of loopback that nobody has: Knot does not pick one.
fn free_port() -> Result<SocketAddr> {
    let tcp = TcpListener::bind((Ipv6Addr::LOCALHOST, 0))?;
    let address = tcp.local_addr()?;
    UdpSocket::bind(address)?;
    Ok(address)
}

fn is_ready(metrics: SocketAddr) -> bool {
    let ask = || {
        let mut connection = TcpStream::connect(metrics)?;
        connection.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        std::io::Result::Ok(answer.starts_with("HTTP/1.1 200"))
    };
    ask().unwrap_or(false)
}

/// A server that runs until it is dropped.
struct Server {
    name: &'static str,
    child: Child,
    dns: SocketAddr,
    started: Instant,
    /// How long it took from the start to the last of what was waited for.
    ready_in: Duration,
}

/// What a round cost: times in microseconds for a query that was answered.
#[derive(Debug, Clone)]
struct Cost {
    user: f64,
    kernel: f64,
    /// The server's part of the time that the round took.
    busy: f64,
    /// The part of the queries that was answered.
    answered: f64,
}

impl Server {
    fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        let started = Instant::now();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        Ok(Self { name, child, dns: (Ipv6Addr::LOCALHOST, 0).into(), started, ready_in: Duration::ZERO })
    }

    /// Waits until `check` gives something.
    fn wait<T>(&mut self, check: impl Fn(&Self) -> Option<T>) -> Result<T> {
        loop {
            if let Some(found) = check(self) {
                self.ready_in = self.started.elapsed();
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("{} has ended: {status}", self.name).into());
            }
            if self.started.elapsed() > PATIENCE {
                return Err(format!("{} is not ready after {PATIENCE:?}", self.name).into());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether it answers for the zone.
    fn answers(&self) -> bool {
        let ask = || {
            let socket = self.socket()?;
            socket.send(&question(ZONE, SOA))?;
            let mut answer = [0; 512];
            let length = socket.recv(&mut answer)?;
            // One record, and no error.
            std::io::Result::Ok(length > 12 && answer[3] & 0xf == 0 && answer[7] == 1)
        };
        ask().unwrap_or(false)
    }

    fn socket(&self) -> std::io::Result<UdpSocket> {
        let socket = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0))?;
        socket.connect(self.dns)?;
        socket.set_read_timeout(Some(SILENCE))?;
        Ok(socket)
    }

    /// Asks `QUERIES` questions, a window of them at a time; `rcode` is the right answer's.
    fn round(&self, questions: &[Vec<u8>], rcode: u8) -> Result<Cost> {
        let socket = self.socket()?;
        socket.set_nonblocking(true)?;
        let mut questions = questions.iter().cycle();
        let mut message = Vec::new();
        let mut answer = [0; 1500];
        let (mut asked, mut answered, mut under_way) = (0, 0, 0);
        let before = self.time()?;
        let started = Instant::now();
        let mut heard = started;
        while (asked < QUERIES || under_way > 0) && started.elapsed() < ROUND {
            while under_way < WINDOW && asked < QUERIES {
                message.clone_from(questions.next().ok_or("no questions")?);
                message[..2].copy_from_slice(&u16::try_from(asked & 0xffff)?.to_be_bytes());
                socket.send(&message)?;
                (asked, under_way) = (asked + 1, under_way + 1);
            }
            // What has come by now; while there is nothing, the server has a queue to work on.
            match socket.recv(&mut answer) {
                Ok(length) => {
                    heard = Instant::now();
                    under_way = under_way.saturating_sub(1);
                    answered += usize::from(length > 12 && answer[2] & 0x80 != 0 && answer[3] & 0xf == rcode);
                }
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error.into()),
                Err(_) if heard.elapsed() > SILENCE => under_way = 0,
                Err(_) => thread::sleep(REST),
            }
        }
        let took = started.elapsed();
        let after = self.time()?;
        let [user, kernel] = [after[0] - before[0], after[1] - before[1]];
        let each = |time: Duration| time.as_secs_f64() * 1e6 / answered as f64;
        Ok(Cost {
            user: each(user),
            kernel: each(kernel),
            busy: (user + kernel).as_secs_f64() / took.as_secs_f64(),
            answered: answered as f64 / asked as f64,
        })
    }

    /// The time that the process has had, in user mode and in the kernel: `utime` and `stime` of proc(5).
    fn time(&self) -> Result<[Duration; 2]> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The program's name, in parentheses, may have spaces; `state` follows it, the third field.
        let (_, fields) = stat.rsplit_once(") ").ok_or("no name")?;
        let mut fields = fields.split(' ').skip(14 - 3);
        let mut next = || -> Result<Duration> { Ok(TICK * fields.next().ok_or("no time")?.parse()?) };
        Ok([next()?, next()?])
    }

    /// A field of /proc/PID/status, in MiB.
    fn memory(&self, field: &str) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)).ok_or("no such field")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
