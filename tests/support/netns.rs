//! A private Internet: hosts in network namespaces on one link.
//!
//! The kernel is the real one and so are the ports: every host has its own addresses and its own port 53, and nothing in
//! here can reach the machine's network or be reached from it. What runs on the hosts is not known here.
//!
//! One bridge is the whole backbone. Every host holds its addresses as /128, or /32, and takes everything else to be on the
//! link, so that addresses can be those of the real Internet without a router and without routes. A host without an address
//! of a family has no way to that family.
//!
//! Making namespaces takes root (`CAP_SYS_ADMIN`). [`Internet::new`] tells why it cannot.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{fs, thread};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::process::Process;

/// Where iproute2 keeps the namespaces that have a name.
const NAMESPACES: &str = "/run/netns";
/// Begins the name of every namespace made here; the maker's pid follows.
const PREFIX: &str = "kubezone-";

/// The link that all hosts are on.
pub(crate) struct Internet {
    name: String,
    switch: Namespace,
}

impl Internet {
    /// An Internet without hosts.
    ///
    /// Removes what test processes that are gone have left behind.
    ///
    /// # Errors
    ///
    /// What `ip` says where namespaces are not permitted or iproute2 is missing.
    pub(crate) fn new() -> io::Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);

        remove_leftovers();
        let name = format!("{PREFIX}{}-{}", process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let switch = Namespace::new(format!("{name}-switch"))?;
        // Without snooping the bridge floods neighbour solicitations, and nobody has to wait for a multicast report first.
        ip(&["-n", &switch.0, "link", "add", "br0", "type", "bridge", "mcast_snooping", "0"])?;
        ip(&["-n", &switch.0, "link", "set", "br0", "up"])?;
        Ok(Self { name, switch })
    }

    /// Plugs in a new host.
    ///
    /// `name` is at most 15 bytes, as it names the switch's port, too.
    ///
    /// # Errors
    ///
    /// What `ip` says.
    pub(crate) fn host(&self, name: &str, addresses: &[&str]) -> io::Result<Host> {
        let namespace = Namespace::new(format!("{}-{name}", self.name))?;
        let (host, switch) = (namespace.0.as_str(), self.switch.0.as_str());
        ip(&["-n", host, "link", "set", "lo", "up"])?;
        ip(&["-n", host, "link", "add", "eth0", "type", "veth", "peer", "name", name, "netns", switch])?;
        ip(&["-n", switch, "link", "set", name, "master", "br0", "up"])?;
        ip(&["-n", host, "link", "set", "eth0", "up"])?;
        // Detecting duplicates, which only IPv6 does, would keep an address unusable for a second.
        let (v6, v4): (Vec<&str>, Vec<&str>) = addresses.iter().partition(|address| address.contains(':'));
        for (family, addresses, length, more) in [("-6", v6, 128, ["nodad"].as_slice()), ("-4", v4, 32, &[])] {
            for address in &addresses {
                let address = format!("{address}/{length}");
                ip(&[["-n", host, "address", "add", &address, "dev", "eth0"].as_slice(), more].concat())?;
            }
            if !addresses.is_empty() {
                ip(&[family, "-n", host, "route", "add", "default", "dev", "eth0"])?;
            }
        }
        Ok(Host(namespace))
    }
}

/// A host: what runs here sees its own loopback, its own addresses and the link.
pub(crate) struct Host(Namespace);

impl Host {
    /// A command that will run on this host. Its pid is the program's.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0.0, program]);
        command
    }

    /// Starts a server on this host in the folder `dir`, its output in a file there.
    ///
    /// # Errors
    ///
    /// The file cannot be made, or the program not be started.
    pub(crate) fn start(&self, program: &str, args: &[&str], dir: &Path) -> io::Result<Process> {
        let dir_arg = format!("--chdir={}", dir.display());
        let command = ["netns", "exec", &self.0.0, "env", &dir_arg, program];
        let args: Vec<_> = command.iter().chain(args).map(|&arg| arg.to_owned()).collect();
        Process::start(Path::new("ip"), &args, dir.join(format!("{}.log", self.0.0)))
    }

    /// Runs `work` on this host, within this process: on a thread that lives here.
    ///
    /// Sockets, child processes, threads and runtimes that `work` makes belong to this host, for as long as they live.
    pub(crate) fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let enter = || {
            let namespace = File::open(Path::new(NAMESPACES).join(&self.0.0)).expect("the namespace exists");
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("entered");
            work()
        };
        // A thread of its own, as a thread's namespace would stay changed for whatever else ran on it later.
        let thread = thread::Builder::new().name(self.0.0.clone());
        let done = thread::scope(|scope| thread.spawn_scoped(scope, enter).expect("a thread").join());
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// A namespace of this name, removed when dropped. The kernel frees it when the last process in it ends.
struct Namespace(String);

impl Namespace {
    fn new(name: String) -> io::Result<Self> {
        ip(&["netns", "add", &name])?;
        Ok(Self(name))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = ip(&["netns", "delete", &self.0]);
    }
}

/// Removes the namespaces of test processes that are gone: killed, so that nothing was dropped.
fn remove_leftovers() {
    let Ok(namespaces) = fs::read_dir(NAMESPACES) else { return };
    for name in namespaces.filter_map(|entry| entry.ok()?.file_name().into_string().ok()) {
        let maker = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        if maker.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            let _ = ip(&["netns", "delete", &name]);
        }
    }
}

/// Runs iproute2's `ip`, and gives what it prints.
fn ip(args: &[&str]) -> io::Result<String> {
    let output = Command::new("ip").args(args).output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("ip {}: {}", args.join(" "), said.trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
