//! How much memory a server needs that follows a cluster: `cargo bench --bench memory`.
//!
//! A scripted API server gives out Namespaces, Services and EndpointSlices, page by page as it is asked, and holds
//! watches open. The binary follows it as a process of its own; read are its resident memory (`VmRSS`) and the CPU
//! time that the kernel charges to it: when it has published everything, after ten lists of everything (each watch
//! is ended with 410), and after a long churn of objects that change, come and go.
//!
//! - `headless`: 10,000 Services, of which 1,000 are headless with 100 endpoints each, with hostnames and a named
//!   port; the others have an address and an EndpointSlice of three.
//! - `reversed`: the same, with a reverse zone over all addresses.
//! - `cluster-ip`: 13,000 Services with an address and an EndpointSlice of three.
//!
//! With names of populations only these; with a number, so many changes in place of 200,000; with paths, other
//! binaries, side by side. The environment goes to the server: `MALLOC_ARENA_MAX=1 cargo bench --bench memory`.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

#[path = "support/proc.rs"]
mod proc;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const RELISTS: usize = 10;
const SERVICES_PER_NAMESPACE: usize = 100;
const ENDPOINTS: usize = 100;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// A server that has taken no CPU time for so long has nothing left to do.
const IDLE: Duration = Duration::from_millis(600);

#[derive(Clone, Copy)]
struct Population {
    name: &'static str,
    headless: usize,
    cluster_ip: usize,
    is_reversed: bool,
}

const POPULATIONS: [Population; 3] = [
    Population { name: "headless", headless: 1_000, cluster_ip: 9_000, is_reversed: false },
    Population { name: "reversed", headless: 1_000, cluster_ip: 9_000, is_reversed: true },
    Population { name: "cluster-ip", headless: 0, cluster_ip: 13_000, is_reversed: false },
];

const KINDS: [(&str, &str); 3] = [
    ("/api/v1/namespaces", "PartialObjectMetadataList"),
    ("/api/v1/services", "ServiceList"),
    ("/apis/discovery.k8s.io/v1/endpointslices", "EndpointSliceList"),
];

impl Population {
    fn services(self) -> usize {
        self.headless + self.cluster_ip
    }

    /// How many objects of a kind there are.
    fn count(self, kind: usize) -> usize {
        if kind == 0 { self.services().div_ceil(SERVICES_PER_NAMESPACE) } else { self.services() }
    }

    /// The object of a kind with this number, in its `generation`.
    fn object(self, kind: usize, number: usize, generation: usize) -> String {
        match kind {
            0 => namespace(number),
            1 => service(number, number < self.headless, &format!("web-{number}"), generation),
            _ if number < self.headless => slice(number, ENDPOINTS, &format!("web-{number}"), generation),
            _ => slice(number, 3, &format!("web-{number}"), generation),
        }
    }
}

fn namespace(number: usize) -> String {
    format!(
        r#"{{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{{"name":"team-{number}","uid":"5b0f3c1e-8b1d-4b9c-9d43-{number:012}","resourceVersion":"1","creationTimestamp":"2026-01-05T10:11:12Z","labels":{{"kubernetes.io/metadata.name":"team-{number}"}}}}}}"#
    )
}

/// As `kubectl get service -o json`, on one line.
fn service(number: usize, is_headless: bool, name: &str, generation: usize) -> String {
    let address = if is_headless { "None".to_owned() } else { format!("2a0a:e5c0:10:3::{number:x}") };
    format!(
        r#"{{"metadata":{{"name":"{name}","namespace":"team-{namespace}","uid":"5b0f3c1e-8b1d-4b9c-9d43-{number:012}","resourceVersion":"{version}","creationTimestamp":"2026-01-05T10:11:12Z","labels":{{"app.kubernetes.io/instance":"{name}","app.kubernetes.io/managed-by":"Helm","app.kubernetes.io/name":"web","helm.sh/chart":"web-1.2.{chart}"}},"annotations":{{"meta.helm.sh/release-name":"{name}","meta.helm.sh/release-namespace":"team-{namespace}"}},"managedFields":[{{"manager":"helm","operation":"Update","apiVersion":"v1","time":"2026-01-05T10:11:12Z","fieldsType":"FieldsV1","fieldsV1":{{"f:metadata":{{"f:annotations":{{".":{{}},"f:meta.helm.sh/release-name":{{}},"f:meta.helm.sh/release-namespace":{{}}}},"f:labels":{{".":{{}},"f:app.kubernetes.io/instance":{{}},"f:app.kubernetes.io/managed-by":{{}},"f:app.kubernetes.io/name":{{}},"f:helm.sh/chart":{{}}}}}},"f:spec":{{"f:internalTrafficPolicy":{{}},"f:ports":{{".":{{}},"k:{{\"port\":443,\"protocol\":\"TCP\"}}":{{".":{{}},"f:name":{{}},"f:port":{{}},"f:protocol":{{}},"f:targetPort":{{}}}}}},"f:selector":{{}},"f:sessionAffinity":{{}},"f:type":{{}}}}}}}}]}},"spec":{{"ports":[{{"name":"https","protocol":"TCP","port":443,"targetPort":8443}}],"selector":{{"app.kubernetes.io/instance":"{name}"}},"clusterIP":"{address}","clusterIPs":["{address}"],"type":"ClusterIP","sessionAffinity":"None","ipFamilies":["IPv6"],"ipFamilyPolicy":"SingleStack","internalTrafficPolicy":"Cluster"}},"status":{{"loadBalancer":{{}}}}}}"#,
        namespace = number / SERVICES_PER_NAMESPACE,
        version = generation + 1,
        chart = number % 10,
    )
}

/// The EndpointSlice of a Service whose Pods are a StatefulSet's.
fn slice(number: usize, endpoints: usize, name: &str, generation: usize) -> String {
    let namespace = number / SERVICES_PER_NAMESPACE;
    let mut text = format!(
        r#"{{"metadata":{{"name":"{name}-x7k2p","generateName":"{name}-","namespace":"team-{namespace}","uid":"6b0f3c1e-8b1d-4b9c-9d43-{number:012}","resourceVersion":"{version}","generation":{version},"creationTimestamp":"2026-01-05T10:11:12Z","labels":{{"app.kubernetes.io/instance":"{name}","endpointslice.kubernetes.io/managed-by":"endpointslice-controller.k8s.io","kubernetes.io/service-name":"{name}"}},"ownerReferences":[{{"apiVersion":"v1","kind":"Service","name":"{name}","uid":"5b0f3c1e-8b1d-4b9c-9d43-{number:012}","controller":true,"blockOwnerDeletion":true}}]}},"addressType":"IPv6","endpoints":["#,
        version = generation + 1,
    );
    for endpoint in 0..endpoints {
        let comma = if endpoint == 0 { "" } else { "," };
        let last = (number * ENDPOINTS + endpoint + generation) & 0xffff;
        let hostname =
            if endpoints == ENDPOINTS { format!(r#""hostname":"{name}-{endpoint}","#) } else { String::new() };
        write!(
            text,
            r#"{comma}{{"addresses":["2a0a:e5c0:10:{range:x}::{last:x}"],"conditions":{{"ready":true,"serving":true,"terminating":false}},{hostname}"targetRef":{{"kind":"Pod","namespace":"team-{namespace}","name":"{name}-{endpoint}","uid":"7b0f3c1e-8b1d-4b9c-9d43-{number:012}"}},"nodeName":"node-{node}.example.net","zone":"zone-a"}}"#,
            range = 0x10 + (number * ENDPOINTS + endpoint + generation) / 0x10000,
            node = endpoint % 30,
        )
        .expect("a String takes everything");
    }
    text + r#"],"ports":[{"name":"https","port":8443,"protocol":"TCP"}]}"#
}

/// The API server: what it has, and who watches.
struct Api {
    population: Population,
    state: Mutex<Watches>,
    changed: Condvar,
}

#[derive(Default)]
struct Watches {
    /// By kind, those that are open.
    open: [Option<TcpStream>; KINDS.len()],
    /// By kind, how many there ever were.
    count: [usize; KINDS.len()],
}

impl Api {
    fn start(population: Population) -> Result<(Arc<Self>, u16)> {
        let listener = TcpListener::bind("[::1]:0")?;
        let port = listener.local_addr()?.port();
        let api = Arc::new(Self { population, state: Mutex::default(), changed: Condvar::new() });
        let serving = Arc::clone(&api);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(io::Result::ok) {
                let api = Arc::clone(&serving);
                thread::spawn(move || api.serve(&stream));
            }
        });
        Ok((api, port))
    }

    fn state(&self) -> MutexGuard<'_, Watches> {
        self.state.lock().expect("nobody panics with it")
    }

    /// Answers the requests of one connection, until one of them is a watch.
    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        let mut lines = BufReader::new(stream).lines();
        while let Some(request) = lines.next().transpose()? {
            while lines.next().transpose()?.is_some_and(|header| !header.is_empty()) {}
            let uri = request.split(' ').nth(1).unwrap_or_default();
            let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
            let parameter = |name| query.split('&').filter_map(|it| it.split_once('=')).find(|it| it.0 == name);
            let Some(kind) = KINDS.iter().position(|kind| kind.0 == path) else { return Ok(()) };
            if parameter("watch").is_some() {
                let mut watch = stream.try_clone()?;
                write!(
                    watch,
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                )?;
                let mut state = self.state();
                state.open[kind] = Some(watch);
                state.count[kind] += 1;
                self.changed.notify_all();
                return Ok(());
            }
            let number = |name, or| parameter(name).and_then(|it| it.1.parse().ok()).unwrap_or(or);
            self.list(stream, kind, number("continue", 0), number("limit", usize::MAX))?;
        }
        Ok(())
    }

    fn list(&self, mut stream: &TcpStream, kind: usize, from: usize, limit: usize) -> io::Result<()> {
        let count = self.population.count(kind);
        let to = count.min(from.saturating_add(limit));
        let next = if to < count { to.to_string() } else { String::new() };
        let items: Vec<_> = (from..to).map(|number| self.population.object(kind, number, 0)).collect();
        let body = format!(
            r#"{{"kind":"{}","metadata":{{"resourceVersion":"1000000","continue":"{next}"}},"items":[{}]}}"#,
            KINDS[kind].1,
            items.join(",")
        );
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len())?;
        stream.write_all(body.as_bytes())
    }

    /// Tells the watch of a kind that these objects were so changed.
    fn tell(&self, kind: usize, events: &[(&str, String)]) -> io::Result<()> {
        let mut text = String::new();
        for (r#type, object) in events {
            let line = format!("{{\"type\":\"{type}\",\"object\":{object}}}\n");
            write!(text, "{:x}\r\n{line}\r\n", line.len()).expect("a String takes everything");
        }
        self.waiting(|state| state.open[kind].is_some())?;
        let watch = self.state().open[kind].as_ref().map(TcpStream::try_clone).transpose()?;
        watch.map_or(Ok(()), |mut watch| watch.write_all(text.as_bytes()))
    }

    /// Ends all watches so that everything is listed again, and waits until that is done.
    fn relist(&self) -> Result<()> {
        let before = self.state().count;
        let gone = r#"{"kind":"Status","status":"Failure","code":410,"reason":"Expired","message":"too old"}"#;
        // A watch that says something is no failure: the next list does not wait longer than the one before.
        let bookmark = r#"{"metadata":{"resourceVersion":"1000000"}}"#;
        for kind in 0..KINDS.len() {
            self.tell(kind, &[("BOOKMARK", bookmark.to_owned()), ("ERROR", gone.to_owned())])?;
            self.state().open[kind] = None;
        }
        Ok(self.waiting(|state| state.count.iter().zip(before).all(|(count, before)| *count > before))?)
    }

    fn waiting(&self, until: impl Fn(&Watches) -> bool) -> io::Result<()> {
        let waited = self.changed.wait_timeout_while(self.state(), PATIENCE, |state| !until(state));
        let (state, timeout) = waited.expect("nobody panics with it");
        drop(state);
        if timeout.timed_out() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }
}

/// The binary, following an [`Api`].
struct Server(Child);

impl Server {
    fn start(binary: &str, folder: &Path, population: Population, port: u16) -> Result<Self> {
        let kubeconfig = format!(
            "{{apiVersion: v1, kind: Config, current-context: c2, users: [{{name: kubezone, user: {{token: x}}}}],\n\
             clusters: [{{name: c2, cluster: {{server: 'http://[::1]:{port}'}}}}],\n\
             contexts: [{{name: c2, context: {{cluster: c2, user: kubezone}}}}]}}\n"
        );
        fs::write(folder.join("kubeconfig"), kubeconfig)?;
        let reverse = "- { name: 0.1.0.0.0.c.5.e.a.0.a.2.ip6.arpa, reverseOf: [c2.k8s.ooo], nameservers: [{ name: ns.example. }] }\n";
        let configuration = format!(
            "listen: {{ dns: ['[::1]:0'], metrics: '[::1]:0', admin: '[::1]:0' }}\n\
             clusters: [{{ name: c2, kubeconfig: kubeconfig }}]\n\
             zones:\n- {{ name: c2.k8s.ooo, cluster: c2, nameservers: [{{ name: ns.example. }}] }}\n{}",
            if population.is_reversed { reverse } else { "" }
        );
        fs::write(folder.join("kubezone.yaml"), configuration)?;
        let mut command = Command::new(binary);
        command.arg("serve").arg("--config").arg(folder.join("kubezone.yaml"));
        Ok(Self(command.stderr(fs::File::create(folder.join("log"))?).stdout(Stdio::null()).spawn()?))
    }

    /// The CPU time that it has taken so far.
    fn cpu(&self) -> Result<Duration> {
        proc::cpu(self.0.id())
    }

    /// A line of its status, in MiB.
    fn memory(&self, line: &str) -> Result<f64> {
        proc::memory(self.0.id(), "status", line)
    }

    /// Waits until there is nothing left to do; its memory then, in MiB.
    fn settled(&self) -> Result<f64> {
        let began = Instant::now();
        let mut last = (self.cpu()?, Instant::now());
        while last.1.elapsed() < IDLE {
            thread::sleep(IDLE / 10);
            let cpu = self.cpu()?;
            if cpu != last.0 {
                last = (cpu, Instant::now());
            }
            if began.elapsed() > PATIENCE {
                return Err("it does not come to rest".into());
            }
        }
        self.memory("VmRSS")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// So many changes, half of them of EndpointSlices that are there, half of Services that come and go with theirs.
fn churn(api: &Api, changes: usize) -> Result<()> {
    let Population { headless, cluster_ip, .. } = api.population;
    let batch = 500;
    for round in 0..changes / (batch * 6) {
        let numbers = (0..batch).map(|n| headless + (round * batch + n) % cluster_ip);
        let names: Vec<_> = numbers.clone().map(|number| format!("ci-{round}-{number}")).collect();
        let both = || numbers.clone().zip(&names);
        for again in 1..3 {
            let modified = numbers.clone().map(|n| ("MODIFIED", slice(n, 3, &format!("web-{n}"), round * 2 + again)));
            api.tell(2, &modified.collect::<Vec<_>>())?;
        }
        let services =
            |r#type| both().map(|(n, name)| (r#type, service(n, n % 2 == 0, name, round))).collect::<Vec<_>>();
        let slices = |r#type| both().map(|(n, name)| (r#type, slice(n, 3, name, round))).collect::<Vec<_>>();
        api.tell(1, &services("ADDED"))?;
        api.tell(2, &slices("ADDED"))?;
        api.tell(1, &services("DELETED"))?;
        api.tell(2, &slices("DELETED"))?;
    }
    Ok(())
}

fn run(binary: &str, population: Population, changes: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (api, port) = Api::start(population)?;
    let server = Server::start(binary, folder.path(), population, port)?;
    api.waiting(|state| state.count.iter().all(|count| *count > 0))?;
    let log = folder.path().join("log");
    let zones = if population.is_reversed { 2 } else { 1 };
    while fs::read_to_string(&log)?.matches("zone built").count() < zones {
        thread::sleep(IDLE / 10);
    }
    let synced = server.settled()?;
    let (peak, cpu) = (server.memory("VmHWM")?, server.cpu()?);
    for _ in 0..RELISTS {
        api.relist()?;
    }
    let relisted = server.settled()?;
    let relist = (server.cpu()? - cpu) / u32::try_from(RELISTS)?;
    let before = server.cpu()?;
    churn(&api, changes)?;
    let churned = server.settled()?;
    let change = (server.cpu()? - before).as_secs_f64() * 1e6 / changes as f64;
    println!(
        "{:<10} {synced:>7.1} {peak:>7.1} {:>6.2} {relisted:>9.1} {:>6.2} {churned:>8.1} {change:>6.1}  {binary}",
        population.name,
        cpu.as_secs_f64(),
        relist.as_secs_f64(),
    );
    Ok(())
}

fn main() -> Result<()> {
    // cargo adds `--bench`.
    let args: Vec<String> = env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let changes = args.iter().find_map(|argument| argument.parse().ok()).unwrap_or(200_000);
    let named: Vec<_> = POPULATIONS.into_iter().filter(|it| args.iter().any(|argument| argument == it.name)).collect();
    let populations = if named.is_empty() { POPULATIONS.to_vec() } else { named };
    let mut binaries: Vec<_> = args.iter().map(String::as_str).filter(|argument| argument.contains('/')).collect();
    if binaries.is_empty() {
        binaries.push(env!("CARGO_BIN_EXE_kubezone"));
    }
    println!("MiB resident, seconds of CPU time; per change in microseconds, of {changes}");
    println!(
        "{:<10} {:>7} {:>7} {:>6} {:>9} {:>6} {:>8} {:>6}",
        "", "synced", "peak", "CPU", "10 lists", "CPU", "churned", "CPU"
    );
    for population in populations {
        for binary in &binaries {
            run(binary, population, changes)?;
        }
    }
    Ok(())
}
