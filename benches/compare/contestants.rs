//! Who takes part: how each server is configured and started.
//!
//! Each listens on an address of its own on loopback, explicitly, answers UDP
//! with one thread, and adds nothing to answers that it can leave out. None
//! limits its rate, none asks anybody else.

use std::env;
use std::fmt;
use std::io;
use std::net::{Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::Result;
use crate::process::Process;
use crate::questions::{UDP_SIZE, soa};
use crate::world::{World, ZONE};

/// The longest that a server takes to begin.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long an answer is waited for before it is asked for again.
const AGAIN: Duration = Duration::from_millis(20);

/// A server and a way to run it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub(crate) enum Server {
    /// kubezone with the zone as a master file
    Kubezone,
    /// kubezone, bound to the wildcard address: each answer has to leave from the address that was asked
    KubezoneWildcard,
    /// kubezone with the manifests of a cluster
    KubezoneCluster,
    /// Knot DNS
    Knot,
    /// NSD
    Nsd,
    /// BIND
    Bind,
    /// PowerDNS with its BIND backend
    #[value(name = "powerdns")]
    PowerDns,
    /// CoreDNS with its file plugin
    #[value(name = "coredns")]
    CoreDns,
    /// What the kernel takes: each datagram goes back as it came
    Floor,
    /// What the kernel takes for answers: each datagram goes back with as many octets as the answers to the mix have
    FloorAnswer,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kubezone => "kubezone",
            Self::KubezoneWildcard => "kubezone, wildcard",
            Self::KubezoneCluster => "kubezone, cluster",
            Self::Knot => "Knot",
            Self::Nsd => "NSD",
            Self::Bind => "BIND",
            Self::PowerDns => "PowerDNS",
            Self::CoreDns => "CoreDNS file",
            Self::Floor => "echo floor",
            Self::FloorAnswer => "echo floor, answers' size",
        })
    }
}

/// Where the programs are.
pub(crate) struct Programs {
    kubezone: PathBuf,
    coredns: Option<PathBuf>,
}

impl Programs {
    /// Looks for what is not in the path.
    pub(crate) fn find(kubezone: &Path) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/coredns");
        let coredns =
            Command::new(script).stderr(Stdio::inherit()).output().ok().filter(|output| output.status.success());
        let coredns = coredns.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim_end()));
        Self { kubezone: kubezone.to_owned(), coredns }
    }

    /// The program of a server, if it is there.
    fn of(&self, server: Server) -> Option<PathBuf> {
        let name = match server {
            Server::Kubezone | Server::KubezoneWildcard | Server::KubezoneCluster => {
                return Some(self.kubezone.clone());
            }
            Server::Floor | Server::FloorAnswer => return env::current_exe().ok(),
            Server::CoreDns => return self.coredns.clone(),
            Server::Knot => "knotd",
            Server::Nsd => "nsd",
            Server::Bind => "named",
            Server::PowerDns => "pdns_server",
        };
        let mut folders = env::split_paths(&env::var_os("PATH")?).chain(["/usr/sbin".into()]).collect::<Vec<_>>();
        folders.retain(|folder| folder.join(name).is_file());
        folders.first().map(|folder| folder.join(name))
    }

    /// Whether a server can take part.
    pub(crate) fn has(&self, server: Server) -> bool {
        self.of(server).is_some()
    }
}

/// A server that runs until it is dropped.
pub(crate) struct Contestant {
    pub(crate) server: Server,
    /// How many Services its zone has.
    pub(crate) services: usize,
    pub(crate) process: Process,
    /// Where it is asked.
    pub(crate) address: SocketAddr,
    /// How long it took from its start to its first right answer.
    pub(crate) ready_in: Duration,
}

impl Contestant {
    /// Starts a server with the zone of `world`, and waits until it answers; it runs on the cores that we run on.
    ///
    /// `grown` is by how many octets a floor's answers are longer than what came.
    pub(crate) fn start(server: Server, world: &World, programs: &Programs, grown: usize) -> Result<Self> {
        let program = programs.of(server).ok_or_else(|| format!("there is no {server}"))?;
        let address = free_address()?;
        let log = world.path(&format!("{server:?}.log"));
        let args = server.configure(world, address, grown)?;
        let started = Instant::now();
        let process = Process::start(&program, &args, log)?;
        let mut contestant = Self { server, services: world.services, process, address, ready_in: Duration::ZERO };
        while !contestant.answers() {
            let said = contestant.process.said();
            if contestant.process.has_ended() || started.elapsed() > PATIENCE {
                return Err(format!("{server} does not answer; it said:\n{said}").into());
            }
            thread::sleep(Duration::from_millis(2));
        }
        contestant.ready_in = started.elapsed();
        Ok(contestant)
    }

    /// Whether it answers for the zone.
    fn answers(&mut self) -> bool {
        let ask = || -> io::Result<bool> {
            let socket = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0))?;
            socket.connect(self.address)?;
            socket.set_read_timeout(Some(AGAIN))?;
            socket.send(&soa())?;
            let mut answer = [0; 1500];
            let length = socket.recv(&mut answer)?;
            // One record and no error; a floor answers whatever comes.
            Ok(self.server.is_floor() || length > 12 && answer[3] & 0xf == 0 && answer[7] == 1)
        };
        ask().unwrap_or(false)
    }
}

impl Server {
    /// Whether it does not know what it is asked.
    pub(crate) fn is_floor(self) -> bool {
        matches!(self, Self::Floor | Self::FloorAnswer)
    }

    /// Whether it answers over TCP.
    pub(crate) fn has_tcp(self) -> bool {
        !self.is_floor()
    }

    /// Writes its configuration: the arguments that it starts with.
    fn configure(self, world: &World, address: SocketAddr, grown: usize) -> Result<Vec<String>> {
        let (ip, port, folder) = (address.ip(), address.port(), world.path(""));
        let (folder, file) = (folder.display(), world.master_file());
        let file = file.display();
        let write = |name: &str, text: &str| world.write(name, text).map(|path| path.display().to_string());
        let listen = |dns: &str| format!("listen: {{ dns: [\"{dns}:{port}\"], metrics: \"[::1]:0\", admin: \"\" }}\n");
        let serve = |config: String| ["serve", "--config", &config].map(str::to_owned).to_vec();
        Ok(match self {
            Self::Kubezone => serve(write("file.yaml", &world.file(&listen("[::1]")))?),
            Self::KubezoneWildcard => serve(write("wildcard.yaml", &world.file(&listen("[::]")))?),
            Self::KubezoneCluster => {
                serve(write("cluster.yaml", &world.cluster(&listen("[::1]"), "manifests: manifests"))?)
            }
            Self::Knot => {
                let config = format!(
                    "server:\n  rundir: {folder}\n  listen: {ip}@{port}\n  udp-workers: 1\n  tcp-workers: 1\n  \
                     background-workers: 1\n  udp-max-payload: {UDP_SIZE}\n\
                     log:\n  - target: stderr\n    any: error\n\
                     database:\n  storage: {folder}\n\
                     zone:\n  - domain: {ZONE}\n    file: {file}\n    journal-content: none\n    zonefile-sync: -1\n"
                );
                vec!["-c".to_owned(), write("knot.conf", &config)?]
            }
            // Not minimised, it would add what nobody asked for; Debian's has a rate limit.
            Self::Nsd => {
                let config = format!(
                    "server:\n  ip-address: {ip}@{port}\n  server-count: 1\n  username: \"\"\n  zonesdir: \"\"\n  \
                     database: \"\"\n  pidfile: \"\"\n  xfrdfile: \"{folder}nsd.xfrd\"\n  \
                     zonelistfile: \"{folder}nsd.zones\"\n  minimal-responses: yes\n  \
                     rrl-ratelimit: 0\n  rrl-whitelist-ratelimit: 0\n  ipv6-edns-size: {UDP_SIZE}\n  \
                     tcp-count: 100\n\
                     remote-control:\n  control-enable: no\n\
                     zone:\n  name: {ZONE}\n  zonefile: \"{file}\"\n"
                );
                ["-d", "-c", &write("nsd.conf", &config)?].map(str::to_owned).to_vec()
            }
            Self::Bind => {
                let config = format!(
                    "options {{\n  directory \"{folder}\";\n  listen-on-v6 port {port} {{ {ip}; }};\n  \
                     listen-on {{ none; }};\n  recursion no;\n  minimal-responses yes;\n  notify no;\n  \
                     pid-file none;\n  session-keyfile none;\n  dnssec-validation no;\n  \
                     max-udp-size {UDP_SIZE};\n}};\n\
                     controls {{ }};\n\
                     zone \"{ZONE}\" {{ type primary; file \"{file}\"; }};\n"
                );
                ["-f", "-n", "1", "-c", &write("named.conf", &config)?].map(str::to_owned).to_vec()
            }
            // It would ask the Internet whether it is secure.
            Self::PowerDns => {
                let zones = format!("zone \"{ZONE}\" {{ type master; file \"{file}\"; }};\n");
                let zones = write("powerdns-zones.conf", &zones)?;
                let config = format!(
                    "launch=bind\nbind-config={zones}\nlocal-address={ip}\nlocal-port={port}\nsocket-dir={folder}\n\
                     daemon=no\nguardian=no\nsetuid=\nsetgid=\nchroot=\nreceiver-threads=1\ndistributor-threads=1\n\
                     udp-truncation-threshold={UDP_SIZE}\nsecurity-poll-suffix=\nloglevel=3\n"
                );
                write("pdns.conf", &config)?;
                vec![format!("--config-dir={folder}")]
            }
            Self::CoreDns => {
                let config = format!("{ZONE}:{port} {{\n  bind {ip}\n  file {file} {{\n    reload 0\n  }}\n}}\n");
                ["-conf", &write("Corefile", &config)?].map(str::to_owned).to_vec()
            }
            Self::Floor => vec![format!("--echo={address}")],
            Self::FloorAnswer => vec![format!("--echo={address}"), format!("--grow={grown}")],
        })
    }
}

/// An address that nobody has: not all servers pick a port themselves.
fn free_address() -> Result<SocketAddr> {
    let tcp = TcpListener::bind((Ipv6Addr::LOCALHOST, 0))?;
    let address = tcp.local_addr()?;
    UdpSocket::bind(address)?;
    Ok(address)
}
