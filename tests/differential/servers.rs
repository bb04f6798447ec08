//! kubezone, Knot and NSD as processes on loopback, with the same zones.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

use super::compare::is_truncated;
use super::questions::Question;
use super::zones::Family;
use crate::support::dns::{HEADER, Response};
use crate::support::eventually;
use crate::support::kubezone::{KUBEZONE, Kubezone};
use crate::support::process::{Folder, Process};

/// How many questions are under way to a server at a time: few enough for its socket's buffer.
const WINDOW: usize = 64;
/// How long a datagram is waited for before it is taken to be lost, and the question sent again.
const LOST: Duration = Duration::from_millis(500);
/// How often.
const TRIES: usize = 20;
/// How many questions go over one TCP connection.
const BATCH: usize = 16;

/// The three servers, in this order everywhere.
pub(crate) const NAMES: [&str; 3] = ["kubezone", "Knot", "NSD"];

/// One server's answers to questions; why there are none.
type Answers = Result<Vec<Vec<u8>>, String>;

/// What the three servers said to one question.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exchange {
    pub(crate) udp: [Vec<u8>; 3],
    /// Asked only where somebody's answer over UDP was truncated.
    pub(crate) tcp: Option<[Vec<u8>; 3]>,
}

/// Servers that run until they are dropped.
pub(crate) struct Servers {
    addresses: [SocketAddr; 3],
    _kubezone: Kubezone,
    others: [Process; 2],
    _folder: Folder,
}

impl Servers {
    /// Whether those that are not ours are there.
    ///
    /// # Errors
    ///
    /// What is missing.
    pub(crate) fn installed() -> Result<(), String> {
        for (program, argument) in [("knotd", "--version"), ("nsd", "-v")] {
            Command::new(program).arg(argument).output().map_err(|error| format!("{program}: {error}"))?;
        }
        Ok(())
    }

    /// Starts all three with these zones, and waits until they answer for each of them.
    pub(crate) fn start(families: &[Family]) -> Self {
        let folder = Folder::new().expect("a temporary folder");
        let zones: Vec<(String, PathBuf)> = (families.iter().flat_map(|family| &family.zones).enumerate())
            .map(|(number, zone)| {
                let file = folder.write(&format!("{number}.zone"), &zone.master_file()).expect("a master file");
                (zone.apex.to_string(), file)
            })
            .collect();
        let [knot, nsd] = [free_address(), free_address()];
        let configured =
            |name: &str, text: &str| folder.write(name, text).expect("a configuration").display().to_string();
        let start = |program: &str, args: &[&str]| {
            let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
            Process::start(Path::new(program), &args, folder.join(&format!("{program}.log"))).expect("started")
        };
        let others = [
            start("knotd", &["-c", &configured("knot.conf", &knot_conf(&folder, knot, &zones))]),
            start("nsd", &["-d", "-c", &configured("nsd.conf", &nsd_conf(&folder, nsd, &zones))]),
        ];
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let ours = configured("kubezone.yaml", &kubezone_yaml(&zones));
        let command = [KUBEZONE.as_str(), "serve", "--config", &ours];
        let logs = Folder::new().expect("a temporary folder");
        let kubezone = runtime.block_on(async { Kubezone::start("test", &command, logs).await.ready().await });
        let servers = Self { addresses: [kubezone.dns(), knot, nsd], _kubezone: kubezone, others, _folder: folder };
        let questions: Vec<Question> = (families.iter().enumerate())
            .flat_map(|(number, family)| family.zones.iter().map(move |zone| (number, zone)))
            .map(|(family, zone)| Question { family, qname: zone.apex.clone(), qtype: "SOA", words: &[] })
            .collect();
        for (name, (address, process)) in NAMES[1..].iter().zip(servers.addresses[1..].iter().zip(&servers.others)) {
            let ready = eventually("all zones are served", async || {
                for (question, answer) in questions.iter().zip(ask_over_udp(*address, &questions)?) {
                    let answer = Response::read(&answer)?;
                    if !answer.flags.contains("AA") {
                        return Err(format!("{name} does not serve {}: {}", question.qname, process.said()));
                    }
                }
                Ok(())
            });
            runtime.block_on(ready);
        }
        servers
    }

    /// Asks all questions.
    pub(crate) fn ask(&self, questions: &[Question]) -> Vec<Exchange> {
        let mut exchanges = vec![Exchange::default(); questions.len()];
        for (server, answers) in self.ask_all(questions, ask_over_udp).into_iter().enumerate() {
            for (exchange, answer) in exchanges.iter_mut().zip(answers) {
                exchange.udp[server] = answer;
            }
        }
        let truncated: Vec<usize> = (0..questions.len())
            .filter(|&number| exchanges[number].udp.iter().any(|answer| is_truncated(answer)))
            .collect();
        let again: Vec<Question> = truncated.iter().map(|&number| questions[number].clone()).collect();
        for (server, answers) in self.ask_all(&again, ask_over_tcp).into_iter().enumerate() {
            for (&number, answer) in truncated.iter().zip(answers) {
                exchanges[number].tcp.get_or_insert_default()[server] = answer;
            }
        }
        exchanges
    }

    /// Asks all servers at once.
    fn ask_all(&self, questions: &[Question], ask: fn(SocketAddr, &[Question]) -> Answers) -> [Vec<Vec<u8>>; 3] {
        thread::scope(|scope| {
            let asked = self.addresses.map(|address| scope.spawn(move || ask(address, questions)));
            let mut names = NAMES.iter();
            asked.map(|thread| {
                let name = names.next().expect("three");
                thread.join().expect("no panic").unwrap_or_else(|error| panic!("{name}: {error}"))
            })
        })
    }
}

fn kubezone_yaml(zones: &[(String, PathBuf)]) -> String {
    let zones = zones.iter().map(|(apex, file)| format!("  - {{ name: \"{apex}\", file: \"{}\" }}\n", file.display()));
    "apiVersion: k8s.ooo/v1alpha1\nkind: KubezoneConfig\n\
     listen: { dns: [\"127.0.0.1:0\"], metrics: \"[::1]:0\" }\nzones:\n"
        .to_owned()
        + &zones.collect::<String>()
}

fn knot_conf(folder: &Folder, address: SocketAddr, zones: &[(String, PathBuf)]) -> String {
    let (ip, port, folder) = (address.ip(), address.port(), folder.join(""));
    let folder = folder.display();
    let zones = zones.iter().map(|(apex, file)| {
        format!("  - domain: {apex}\n    file: {}\n    journal-content: none\n    zonefile-sync: -1\n", file.display())
    });
    format!(
        "server:\n  rundir: {folder}\n  listen: {ip}@{port}\n  udp-workers: 1\n  tcp-workers: 1\n  \
         background-workers: 1\n  udp-max-payload: 1232\nlog:\n  - target: stderr\n    any: error\n\
         database:\n  storage: {folder}\nzone:\n"
    ) + &zones.collect::<String>()
}

/// Not minimised, NSD would add what nobody asked for; with Debian's rate limit, it would not answer most questions.
fn nsd_conf(folder: &Folder, address: SocketAddr, zones: &[(String, PathBuf)]) -> String {
    let (ip, port, folder) = (address.ip(), address.port(), folder.join(""));
    let folder = folder.display();
    let zones = zones.iter().map(|(apex, file)| format!("zone:\n  name: {apex}\n  zonefile: \"{}\"\n", file.display()));
    format!(
        "server:\n  ip-address: {ip}@{port}\n  server-count: 1\n  username: \"\"\n  zonesdir: \"\"\n  \
         database: \"\"\n  pidfile: \"\"\n  xfrdfile: \"{folder}nsd.xfrd\"\n  \
         zonelistfile: \"{folder}nsd.zones\"\n  minimal-responses: yes\n  rrl-ratelimit: 0\n  \
         refuse-any: no\n  round-robin: no\n  ipv4-edns-size: 1232\n  tcp-count: 100\n\
         remote-control:\n  control-enable: no\n"
    ) + &zones.collect::<String>()
}

/// An address that nobody has: these servers do not pick a port. Loopback has 2²⁴ addresses; on one of our own the port
/// stays free until the server takes it.
fn free_address() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let address = Ipv4Addr::new(127, high | 0x80, low, NEXT.fetch_add(1, Ordering::Relaxed));
    let tcp = TcpListener::bind((address, 0)).expect("a free port");
    tcp.local_addr().expect("bound")
}

/// Encodes the question of this number: its ID tells answers apart.
fn request(questions: &[Question], number: usize) -> Vec<u8> {
    let mut question = questions[number].encoded();
    question.set_id(id(number));
    question.bytes
}

/// What numbers the questions that are under way.
fn id(number: usize) -> u16 {
    u16::try_from(number & 0xffff).expect("16 bits")
}

fn ask_over_udp(server: SocketAddr, questions: &[Question]) -> Answers {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    socket.connect(server).map_err(|error| error.to_string())?;
    socket.set_read_timeout(Some(LOST)).expect("a bound");
    let mut answers = vec![Vec::new(); questions.len()];
    // By ID: the question's number and how often it was sent.
    let mut under_way: BTreeMap<u16, (usize, usize)> = BTreeMap::new();
    let mut next = 0;
    let mut buffer = vec![0; 65_535];
    while next < questions.len() || !under_way.is_empty() {
        while next < questions.len() && under_way.len() < WINDOW {
            // Refused while the server does not listen yet.
            let _ = socket.send(&request(questions, next));
            under_way.insert(id(next), (next, 1));
            next += 1;
        }
        match socket.recv(&mut buffer) {
            Ok(length) if length >= HEADER => {
                // One that comes twice was answered twice.
                if let Some((number, _)) = under_way.remove(&u16::from_be_bytes([buffer[0], buffer[1]])) {
                    answers[number] = buffer[..length].to_vec();
                }
            }
            Ok(length) => return Err(format!("{length} octets are no answer")),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused && next <= WINDOW => {
                return Err(error.to_string());
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                for (number, tries) in under_way.values_mut() {
                    if *tries == TRIES {
                        // One of these has ended it.
                        let unanswered = under_way.values().map(|(number, _)| questions[*number].to_string());
                        return Err(format!("no answers to\n{}", unanswered.collect::<Vec<_>>().join("\n")));
                    }
                    *tries += 1;
                    socket.send(&request(questions, *number)).map_err(|error| error.to_string())?;
                }
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(answers)
}

fn ask_over_tcp(server: SocketAddr, questions: &[Question]) -> Answers {
    let mut answers = vec![Vec::new(); questions.len()];
    let numbers: Vec<usize> = (0..questions.len()).collect();
    for batch in numbers.chunks(BATCH) {
        let mut exchange = || -> io::Result<()> {
            let mut connection = TcpStream::connect(server)?;
            connection.set_read_timeout(Some(LOST * u32::try_from(TRIES).expect("few")))?;
            for &number in batch {
                let request = request(questions, number);
                let length = u16::try_from(request.len()).expect("a short question");
                connection.write_all(&[&length.to_be_bytes(), &request[..]].concat())?;
            }
            for _ in batch {
                let mut length = [0; 2];
                connection.read_exact(&mut length)?;
                let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
                connection.read_exact(&mut answer)?;
                let number = batch.iter().find(|&&number| answer.starts_with(&id(number).to_be_bytes()));
                answers[*number.ok_or(ErrorKind::InvalidData)?] = answer;
            }
            Ok(())
        };
        exchange().map_err(|error| format!("TCP: {error}"))?;
    }
    Ok(answers)
}
