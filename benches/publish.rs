//! What it costs to publish: `cargo bench --bench publish`.
//!
//! For clusters of 1,000, 10,000 and 100,000 Services (nine of ten with an
//! address of their own and two named ports, the tenth headless with four
//! endpoints), each with and without a reverse zone, the whole writer is run in
//! this process and told what its followers would tell it:
//!
//! - **first**: the first version, from the end of the last list to the swap, in
//!   seconds of the clock and of CPU;
//! - **lone**: one changed Service, from the event handed over to the swap, in
//!   microseconds of the writer's CPU, the freeing of the version before
//!   included; alone, and while another thread asks questions without a pause,
//!   together with what such a question costs meanwhile;
//! - **storm**: so many changed EndpointSlices of headless Services a second,
//!   for some seconds. Each is a change of the zone. How many versions become of them, how old what is served
//!   was at its oldest, how far behind the events' time table those who hand
//!   them over were, and how much CPU the writer took, in percent of one core.
//!
//! What is CPU time is little disturbed by what else the machine does. With a number, only
//! clusters of so many Services; with a second one, storms of so many seconds; with a third, so many changes a second:
//! `cargo bench --bench publish -- 100000 60`.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{env, thread};

use hickory_proto::rr::{Name, RecordType};
use kubezone::cluster::{Kind, Object};
use kubezone::config::{Access, Cluster};
use kubezone::metrics::Metrics;
use kubezone::nameserver::Served;
use kubezone::published::Published;
use kubezone::schema::{ClusterZone, NameServer, ReverseZone};
use kubezone::source::{self, AddressBook, Event, Requests, inspector, manifests};
use kubezone::zone::{HashedName, State};
use nix::time::ClockId;
use serde_json::{Value, json};
use tikv_jemallocator::Jemalloc;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;

/// As the binary has it.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What a busy namespace holds.
const SERVICES_PER_NAMESPACE: usize = 100;
/// Every so many-th Service is headless.
const HEADLESS: usize = 10;
/// Lone changes that a figure is the median of.
const CHANGES: usize = 300;
/// Longer than the writer waits for a further change before it calls one lone.
const QUIET: Duration = Duration::from_millis(8);
/// As the followers of a cluster have it.
const AHEAD: usize = 1024;
/// The newest version that the first lists name.
const FIRST: u64 = 1000;

fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name")
}

fn cpu(clock: ClockId) -> Duration {
    clock.now().expect("Linux has it").into()
}

fn service_name(index: usize) -> (String, String) {
    (format!("web-{index}"), format!("team-{}", index / SERVICES_PER_NAMESPACE))
}

/// The objects of a cluster of so many Services; each `turn` gives every Service others of its addresses.
fn manifest(services: usize, turn: u16) -> Value {
    let address = |network: u16, index: usize, host: u16| {
        let range = u128::from(Ipv6Addr::new(0x2a0a, 0xe5c0, 0x10, network, 0, 0, 0, 0));
        Ipv6Addr::from(range + (index as u128) * 32 + u128::from(turn * 16 + host))
    };
    let metadata = |index| {
        let (name, namespace) = service_name(index);
        json!({ "name": name, "namespace": namespace, "labels": { "app": name }, "creationTimestamp": "2026-01-05T10:11:12Z" })
    };
    let ports = json!([{ "name": "http", "port": 80 }, { "name": "https", "port": 443 }]);
    let service = |index: usize| {
        let address = if index.is_multiple_of(HEADLESS) { "None".into() } else { address(3, index, 0).to_string() };
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": metadata(index),
            "spec": { "clusterIP": address, "clusterIPs": [address], "ports": ports },
        })
    };
    let slice = |index: usize| {
        let mut metadata = metadata(index);
        metadata["labels"] = json!({ "kubernetes.io/service-name": metadata["name"] });
        let endpoint = |host| json!({ "addresses": [address(4, index, host)], "conditions": { "ready": true } });
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata, "addressType": "IPv6",
            "endpoints": (1..=4).map(endpoint).collect::<Vec<_>>(), "ports": ports,
        })
    };
    let namespace =
        |index| json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": service_name(index).1 } });
    let namespaces = (0..services).step_by(SERVICES_PER_NAMESPACE).map(namespace);
    let slices = (0..services).step_by(HEADLESS).map(slice);
    let items: Vec<_> = (0..services).map(service).chain(slices).chain(namespaces).collect();
    json!({ "apiVersion": "v1", "kind": "List", "items": items })
}

/// Objects of which each may say one thing or another: what it said last comes first.
struct Changing(Vec<[Object; 2]>);

impl Changing {
    /// One of them says the other thing.
    fn next(&mut self) -> Object {
        let chosen = fastrand::usize(..self.0.len());
        let pair = &mut self.0[chosen];
        pair.swap(0, 1);
        pair[0].clone()
    }
}

/// What a cluster says.
struct Objects {
    constant: Vec<Object>,
    /// Services with addresses of their own.
    services: Changing,
    slices: Changing,
}

impl Objects {
    fn of(services: usize) -> Result<Self> {
        let read = |turn| -> Result<Vec<Object>> {
            let file = tempfile::Builder::new().suffix(".json").tempfile()?;
            fs::write(file.path(), serde_json::to_vec(&manifest(services, turn))?)?;
            let (objects, errors) = manifests::read(file.path());
            errors.into_iter().next().map_or(Ok(objects), |error| Err(error.into()))
        };
        let pairs = read(0)?.into_iter().zip(read(1)?).map(<[Object; 2]>::from);
        let (changing, constant): (Vec<_>, Vec<_>) = pairs.partition(|[one, other]| one != other);
        let (services, slices) = changing.into_iter().partition(|[one, _]| matches!(one, Object::Service(_)));
        let constant = constant.into_iter().map(|[object, _]| object).collect();
        Ok(Self { constant, services: Changing(services), slices: Changing(slices) })
    }

    fn iter(&self) -> impl Iterator<Item = &Object> {
        let changing = self.services.0.iter().chain(&self.slices.0);
        self.constant.iter().chain(changing.map(|[object, _]| object))
    }
}

/// A writer, and both of its ends; it works while somebody waits for its runtime.
struct Writing {
    runtime: Arc<Runtime>,
    events: mpsc::Sender<Event>,
    published: Arc<Published>,
    apex: Name,
    /// The resourceVersion of the event before.
    version: u64,
}

impl Writing {
    fn start(is_reversed: bool) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let apex = name("c2.k8s.ooo.");
        let nameservers = vec![NameServer { name: name("ns.example."), addresses: Vec::new() }];
        let zone = ClusterZone { nameservers: nameservers.clone(), is_reversed, ..ClusterZone::at(apex.clone()) };
        let published = Arc::new(Published::new(Served::default()));
        let book = Arc::new(AddressBook::new(Arc::clone(&published)));
        if is_reversed {
            let reverse = ReverseZone::at(name("0.1.0.0.0.c.5.e.a.0.a.2.ip6.arpa.")).ok_or("a prefix")?;
            let reverse = ReverseZone { of: vec![apex.clone()], nameservers, ..reverse };
            book.change(&[reverse], Vec::new(), |versions| published.replace(versions));
        }
        let metrics = Metrics::new(Arc::clone(&published)).cluster("c2");
        let (events, receiver) = mpsc::channel(AHEAD);
        let mut cluster = Cluster {
            name: "c2".to_owned(),
            access: Access::InCluster,
            namespaces: BTreeSet::new(),
            max_staleness: None,
            zones: vec![zone],
        };
        runtime.spawn(async move {
            let (_proposing, proposals) = mpsc::channel(1);
            let (_asking, looks) = inspector();
            source::write(&mut cluster, &mut Requests { proposals, looks }, receiver, book, metrics).await;
        });
        Ok(Self { runtime: Arc::new(runtime), events, published, apex, version: FIRST })
    }

    /// The newest version of the cluster that is served.
    fn served(&self) -> u64 {
        served(&self.published, &self.apex)
    }

    /// One of `objects` changes.
    fn change(&mut self, objects: &mut Changing) -> Event {
        self.version += 1;
        Event::Apply { object: objects.next(), version: Some(self.version) }
    }

    /// Lists everything; the clock's and the CPU's time from the end of the last list to the swap.
    fn list(&self, objects: &Objects) -> [Duration; 2] {
        let kinds = [Kind::Namespace, Kind::Service, Kind::EndpointSlice];
        let Self { runtime, events, .. } = self;
        runtime.block_on(async {
            for kind in kinds {
                events.send(Event::Listing(kind.into())).await.expect("a writer");
            }
            for object in objects.iter() {
                events.send(Event::Apply { object: object.clone(), version: Some(FIRST) }).await.expect("a writer");
            }
            for kind in &kinds[1..] {
                events.send(Event::Listed { of: (*kind).into(), version: None }).await.expect("a writer");
            }
            while events.capacity() < AHEAD {
                yield_now().await;
            }
            let before = (Instant::now(), cpu(ClockId::CLOCK_PROCESS_CPUTIME_ID));
            events.send(Event::Listed { of: kinds[0].into(), version: Some(FIRST) }).await.expect("a writer");
            while self.served() < FIRST {
                // The version is made on another thread: what this one does meanwhile is not the writer's.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            [before.0.elapsed(), cpu(ClockId::CLOCK_PROCESS_CPUTIME_ID) - before.1]
        })
    }

    /// The median CPU time of the writer for a lone change.
    fn lone(&mut self, services: &mut Changing) -> Duration {
        let costs = (0..CHANGES).map(|_| {
            let (event, version) = (self.change(services), self.version);
            self.runtime.block_on(async {
                tokio::time::sleep(QUIET).await;
                let before = cpu(ClockId::CLOCK_THREAD_CPUTIME_ID);
                self.events.send(event).await.expect("a writer");
                while self.served() < version {
                    yield_now().await;
                }
                cpu(ClockId::CLOCK_THREAD_CPUTIME_ID) - before
            })
        });
        let mut costs: Vec<_> = costs.collect();
        costs.sort_unstable();
        costs[CHANGES / 2]
    }

    /// Has `rate` of `slices` change each second for so many seconds.
    fn storm(&mut self, slices: &mut Changing, seconds: u32, rate: u32) -> Storm {
        let (begin, all) = (self.version, u64::from(seconds) * u64::from(rate));
        let due = |version: u64| Duration::from_nanos((version - begin) * 1_000_000_000 / u64::from(rate));
        let (runtime, events) = (Arc::clone(&self.runtime), self.events.clone());
        let (stop, stopped) = oneshot::channel::<()>();
        let cpu_of_others = || cpu(ClockId::CLOCK_PROCESS_CPUTIME_ID) - cpu(ClockId::CLOCK_THREAD_CPUTIME_ID);
        let (before, started) = (cpu_of_others(), Instant::now());
        let writer = thread::spawn(move || runtime.block_on(stopped));
        let mut storm = Storm::default();
        let mut served = begin;
        while served < begin + all {
            let now = started.elapsed();
            while self.version < begin + all && due(self.version + 1) <= now {
                let Ok(permit) = events.try_reserve() else { break };
                permit.send(self.change(slices));
            }
            storm.behind = storm.behind.max(now.saturating_sub(due(self.version + 1)));
            storm.versions += u32::from(self.served() > served);
            served = self.served();
            storm.age = storm.age.max(now.saturating_sub(due(served + 1)));
            thread::sleep(Duration::from_micros(500));
        }
        storm.load = (cpu_of_others() - before).div_duration_f64(started.elapsed());
        drop(stop);
        let _ = writer.join().expect("a writer");
        storm
    }
}

/// What became of a storm.
#[derive(Default)]
struct Storm {
    versions: u32,
    /// The longest that a change was due and not served.
    age: Duration,
    /// The longest that one was due and not handed over.
    behind: Duration,
    /// How much of one core the writer took.
    load: f64,
}

fn served(published: &Published, apex: &Name) -> u64 {
    match published.load().zones.get(apex) {
        Some(State::Loaded(zone)) => u64::from(zone.serial().0),
        _ => 0,
    }
}

/// Runs `work` while another thread asks questions; what a question costs meanwhile.
fn while_asked<T>(published: &Published, services: usize, work: impl FnOnce() -> T) -> (T, Duration) {
    let questions: Vec<_> = (0..10_000)
        .map(|_| {
            let (service, namespace) = service_name(fastrand::usize(..services));
            HashedName::from(&name(&format!("{service}.{namespace}.svc.c2.k8s.ooo.")))
        })
        .collect();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let before = cpu(ClockId::CLOCK_THREAD_CPUTIME_ID);
            let mut count = 0;
            while !is_over.load(Ordering::Relaxed) {
                // As many as a batch has.
                for questions in questions.chunks(32) {
                    let served = published.load();
                    for question in questions {
                        let found = served.zones.find(question, RecordType::AAAA);
                        let Some(State::Loaded(zone)) = found.map(|found| found.state) else { continue };
                        black_box(zone.lookup(question, RecordType::AAAA));
                    }
                }
                count += u32::try_from(questions.len()).expect("few");
            }
            (cpu(ClockId::CLOCK_THREAD_CPUTIME_ID) - before) / count.max(1)
        });
        let done = work();
        is_over.store(true, Ordering::Relaxed);
        (done, reader.join().expect("a reader"))
    })
}

fn main() -> Result<()> {
    // cargo adds `--bench`.
    let args = env::args().skip(1).filter(|argument| !argument.starts_with('-'));
    let args = args.map(|argument| argument.parse()).collect::<std::result::Result<Vec<u32>, _>>()?;
    let sizes = args.first().map_or(vec![1_000, 10_000, 100_000], |services| vec![*services]);
    let (seconds, rate) = (args.get(1).copied().unwrap_or(5), args.get(2).copied().unwrap_or(10_000));
    for services in sizes {
        let services = usize::try_from(services)?;
        let mut objects = Objects::of(services)?;
        for is_reversed in [false, true] {
            let with = if is_reversed { " and a reverse zone" } else { "" };
            println!("{services} Services{with}");
            let mut writing = Writing::start(is_reversed)?;
            let [clock, cpu] = writing.list(&objects);
            println!("  first version  {:.3} s, {:.3} s of CPU", clock.as_secs_f64(), cpu.as_secs_f64());
            let published = Arc::clone(&writing.published);
            let alone = writing.lone(&mut objects.services);
            println!("  lone change    {} µs of CPU", alone.as_micros());
            let ((), quiet) = while_asked(&published, services, || thread::sleep(Duration::from_secs(1)));
            let (asked, busy) = while_asked(&published, services, || writing.lone(&mut objects.services));
            println!(
                "  while asked    {} µs of CPU; a question {busy:?}, without changes {quiet:?}",
                asked.as_micros()
            );
            let Storm { versions, age, behind, load } = writing.storm(&mut objects.slices, seconds, rate);
            println!(
                "  storm          {rate} changes a second for {seconds} s: {versions} versions, at most {} ms old, \
                 {} ms behind, {:.1} % of a core",
                age.as_millis(),
                behind.as_millis(),
                load * 100.0,
            );
        }
    }
    Ok(())
}
