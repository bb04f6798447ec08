//! What another publication policy costs: `cargo bench --bench policy`.
//!
//! A server is started with a folder of manifests (100,000 Services with an
//! address and two named ports, each), and its configuration is replaced while
//! it runs: nothing is published any more, everything is, half of it is. What
//! counts is the CPU time that the kernel charges to the server, user and
//! system, from the file's rename to the log's line that the configuration is
//! taken over, which comes after the versions are served.
//! The goal is a second at most, whatever changes.
//!
//! With a number, so many Services; with a path behind it, another kubezone.

use std::error::Error;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;
use std::{env, thread};

use serde_json::{Value, json};

#[path = "support/proc.rs"]
mod proc;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const ROUNDS: usize = 3;
/// How long a line of the log may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// So many Services, every other one with the label `team: a`.
fn services(count: usize) -> Value {
    let service = |n: usize| {
        let address = format!("2a0a:e5c0:10:{:x}::{:x}", 3 + (n >> 16), n & 0xffff);
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {
                "name": format!("s{n}"), "namespace": format!("n{}", n % 100),
                "labels": { "team": if n.is_multiple_of(2) { "a" } else { "b" } },
            },
            "spec": {
                "clusterIP": address, "clusterIPs": [address],
                "ports": [{ "name": "http", "port": 80 }, { "name": "https", "port": 443 }],
            },
        })
    };
    json!({ "apiVersion": "v1", "kind": "List", "items": (0..count).map(service).collect::<Vec<_>>() })
}

/// Puts a configuration with this policy in the place of the one before, as editors do.
fn configure(folder: &Path, policy: &str) -> Result<()> {
    let text = format!(
        "listen: {{ dns: [\"[::1]:0\"], metrics: \"[::1]:0\", admin: \"[::1]:0\" }}\n\
         clusters: [{{ name: c2, manifests: c2 }}]\n\
         zones: [{{ name: c2.k8s.ooo, cluster: c2, nameservers: [{{ name: ns.example. }}], publish: {{ {policy} }} }}]\n"
    );
    let new = folder.join("kubezone.yaml.new");
    fs::write(&new, text)?;
    Ok(fs::rename(new, folder.join("kubezone.yaml"))?)
}

/// A server and the messages that it logs.
struct Server {
    process: Child,
    log: Receiver<String>,
}

impl Server {
    fn start(binary: &str, folder: &Path) -> Result<Self> {
        let mut command = Command::new(binary);
        command.arg("serve").arg("--config").arg(folder.join("kubezone.yaml"));
        let mut process = command.stderr(Stdio::piped()).spawn()?;
        let lines = BufReader::new(process.stderr.take().ok_or("a pipe")?).lines();
        let (sender, log) = mpsc::channel();
        thread::spawn(move || {
            for line in lines.map_while(std::result::Result::ok) {
                let fact: Value = serde_json::from_str(&line).unwrap_or_default();
                let _ = sender.send(fact["fields"]["message"].as_str().unwrap_or(&line).to_owned());
            }
        });
        Ok(Self { process, log })
    }

    /// Waits for a message.
    fn says(&self, message: &str) -> Result<()> {
        while self.log.recv_timeout(PATIENCE)? != message {}
        Ok(())
    }

    /// The CPU time that it has taken so far.
    fn cpu(&self) -> Result<Duration> {
        proc::cpu(self.process.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn main() -> Result<()> {
    // cargo adds `--bench`.
    let mut args = env::args().skip(1).filter(|argument| !argument.starts_with('-'));
    let count = args.next().map_or(Ok(100_000), |count| count.parse())?;
    let binary = args.next().unwrap_or_else(|| env!("CARGO_BIN_EXE_kubezone").to_owned());
    let folder = tempfile::tempdir()?;
    fs::create_dir(folder.path().join("c2"))?;
    fs::write(folder.path().join("c2/services.json"), serde_json::to_vec(&services(count))?)?;
    configure(folder.path(), "")?;
    let server = Server::start(&binary, folder.path())?;
    server.says("zone built")?;

    let policies = ["mode: OptIn", "mode: All", "serviceSelector: team=a", "mode: All, namespaces: [n1, n2]", ""];
    let mut best = [Duration::MAX; 5];
    for _ in 0..ROUNDS {
        for (policy, best) in policies.iter().zip(&mut best) {
            let before = server.cpu()?;
            configure(folder.path(), policy)?;
            server.says("configuration taken over")?;
            *best = (*best).min(server.cpu()? - before);
        }
    }
    for (policy, best) in policies.iter().zip(best) {
        println!("{count} Services, to `{policy}`: {:.2} s", best.as_secs_f64());
    }
    Ok(())
}
