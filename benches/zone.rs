//! What an answer, a change and a name cost: `cargo bench --bench zone`.
//!
//! For zones of 1,000, 10,000 and 100,000 Services (each an AAAA and one SRV,
//! so three names): a request's bytes to a response's bytes in nanoseconds,
//! one changed Service published in microseconds, and memory per name.
//!
//! Every figure is the median of several rounds; questions come in a random
//! order, so that the caches see what a server's would.
//!
//! With a kind of question (`aaaa`, `srv`, `nodata`, `nxdomain`) only that is
//! asked, of a zone of 10,000 Services: for instructions per question, which no
//! other load on the machine disturbs. Callgrind's total is for 300,000 of them:
//!
//! ```text
//! valgrind --tool=callgrind --toggle-collect='*answering*' target/release/deps/zone-… nxdomain
//! ```

use std::alloc::System;
use std::hint::black_box;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_proto::rr::rdata::{AAAA, NS, SOA, SRV};
use hickory_proto::rr::{Name, RData};
use kubezone::nameserver::{Outcome, Request, Served, Transport, respond};
use kubezone::published::Published;
use kubezone::zone::{Record, Serial, State, Subtree, Zone};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Questions per round.
const QUESTIONS: usize = 20_000;
const ROUNDS: usize = 15;
/// What a busy namespace holds.
const SERVICES_PER_NAMESPACE: usize = 100;

fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name")
}

fn service(index: usize) -> String {
    format!("web-{index}.team-{}.svc.c2.k8s.ooo.", index / SERVICES_PER_NAMESPACE)
}

fn subtree(index: usize, address: u128) -> Subtree {
    let root = name(&service(index));
    let range = u128::from_be_bytes([0x2a, 0x0a, 0xe5, 0xc0, 0, 0x10, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0]);
    let aaaa = RData::AAAA(AAAA(Ipv6Addr::from(range + address)));
    let srv = RData::SRV(SRV::new(0, 100, 443, root.clone()));
    let port = name(&format!("_https._tcp.{}", service(index)));
    Subtree { records: vec![Record::new(root.clone(), 30, &aaaa), Record::new(port, 30, &srv)], root }
}

fn zone(services: usize) -> Zone {
    let apex = name("c2.k8s.ooo.");
    let nameserver = name("kube-dns.kube-system.svc.c2.k8s.ooo.");
    let soa = SOA::new(nameserver.clone(), name("hostmaster.c2.k8s.ooo."), 1, 14_400, 3600, 1_209_600, 30);
    let glue = RData::AAAA(AAAA("2a0a:e5c0:13:e2::a".parse().expect("an address")));
    let own = [
        Record::new(apex.clone(), 3600, &RData::SOA(soa)),
        Record::new(apex.clone(), 3600, &RData::NS(NS(nameserver.clone()))),
        Record::new(nameserver, 3600, &glue),
    ];
    let records = (0..services).flat_map(|index| subtree(index, index as u128).records);
    Zone::build(&apex, own.into_iter().chain(records)).expect("a zone").0
}

/// A question with EDNS, as resolvers ask.
fn question(qname: &str, qtype: u16) -> Vec<u8> {
    let mut message = vec![0x4b, 0x5a, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    for label in &name(qname) {
        message.push(u8::try_from(label.len()).expect("a label"));
        message.extend_from_slice(label);
    }
    message.push(0);
    message.extend_from_slice(&qtype.to_be_bytes());
    message.extend_from_slice(&[0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    message
}

/// Numbers that look random, the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }
}

/// The median time of `ROUNDS` runs of `round`, divided by `each`.
fn median(each: usize, mut round: impl FnMut()) -> Duration {
    let mut times: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            round();
            started.elapsed()
        })
        .collect();
    times.sort();
    times[ROUNDS / 2] / u32::try_from(each).expect("a count")
}

/// A kind of question: its name, what stands before a Service's name, its QTYPE, and the RCODE of the answer.
struct Kind(&'static str, &'static str, u16, u16);

const KINDS: [Kind; 4] = [
    Kind("aaaa", "", 28, 0),
    Kind("srv", "_https._tcp.", 33, 0),
    Kind("nodata", "", 1, 0),
    Kind("nxdomain", "absent.", 28, 3),
];

/// Nanoseconds from a request's bytes to a response's, and the expected RCODE seen in each.
#[inline(never)] // Callgrind counts what is called from here.
fn answering(served: &Served, questions: &[Vec<u8>], rcode: u16) -> u128 {
    let mut out = Vec::with_capacity(65_535);
    let peer = SocketAddr::from((Ipv6Addr::LOCALHOST, 53));
    let now = Instant::now();
    median(questions.len(), || {
        for bytes in questions {
            let request = Request { bytes, peer, transport: Transport::Udp, now };
            let outcome = respond(served, request, &mut out);
            assert!(matches!(outcome, Outcome::Reply(reply) if reply.rcode == rcode));
            black_box(&out);
        }
    })
    .as_nanos()
}

/// What `answering` gives for questions of `kind` about random Services in a zone of `services`.
fn ask(served: &Served, services: usize, &Kind(_, prefix, qtype, rcode): &Kind, dice: &mut Dice) -> u128 {
    let questions = (0..QUESTIONS).map(|_| question(&format!("{prefix}{}", service(dice.below(services))), qtype));
    answering(served, &questions.collect::<Vec<_>>(), rcode)
}

fn publish(zone: &Arc<Zone>) -> Published {
    let published = Published::new(Served::default());
    published.replace([(zone.apex().clone(), State::Loaded(Arc::clone(zone)))]);
    published
}

fn main() {
    // cargo adds `--bench`.
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    if let Some(only) = only {
        let kind = KINDS.iter().find(|Kind(name, ..)| *name == only).expect("a kind of question");
        let published = publish(&Arc::new(zone(10_000)));
        println!("{only}: {} ns", ask(&published.load(), 10_000, kind, &mut Dice(42)));
        return;
    }
    println!(
        "{:>9} {:>9} {:>9} {:>9} {:>9} {:>12} {:>12} {:>10}",
        "Services", "AAAA ns", "SRV ns", "NODATA ns", "NXDOM. ns", "publish µs", "build ms", "bytes/name"
    );
    for services in [1_000, 10_000, 100_000] {
        let region = Region::new(ALLOCATOR);
        let started = Instant::now();
        let zone = Arc::new(zone(services));
        let build = started.elapsed();
        let change = region.change();
        let names = 3 * services + services.div_ceil(SERVICES_PER_NAMESPACE) + 4;
        let bytes = (change.bytes_allocated - change.bytes_deallocated) / names;

        let published = publish(&zone);
        let mut dice = Dice(42);
        let [aaaa, srv, nodata, nxdomain] = KINDS.map(|kind| ask(&published.load(), services, &kind, &mut dice));

        let mut current = zone;
        let mut serial = 1;
        let publish = median(100, || {
            for _ in 0..100 {
                serial += 1;
                let index = dice.below(services);
                let changed = subtree(index, u128::from(serial) + 1_000_000);
                let derived = current.derive([changed], Serial(serial)).zone.expect("a change");
                current = Arc::new(derived);
                published.replace([(current.apex().clone(), State::Loaded(Arc::clone(&current)))]);
            }
        });
        println!(
            "{services:>9} {aaaa:>9} {srv:>9} {nodata:>9} {nxdomain:>9} {:>12.1} {:>12.1} {bytes:>10}",
            publish.as_nanos() as f64 / 1e3,
            build.as_secs_f64() * 1e3
        );
    }
}
