//! What an answer, a change and a name cost: `cargo bench --bench zone`.
//!
//! For zones of 1,000, 10,000 and 100,000 Services (each an AAAA and one SRV,
//! so three names): a request's bytes to a response's bytes for each kind of
//! answer, the lookup alone, one changed Service derived and published, a zone
//! built, a master file read. First come the bytes that a zone keeps for a name.
//!
//! `cargo bench --bench zone -- respond` runs a part of them. How many
//! instructions it takes, which no other load on the machine disturbs, is
//! benches/instructions.rs.

use std::alloc::System;
use std::hint::black_box;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use divan::Bencher;
use divan::counter::BytesCount;
use kubezone::nameserver::{self, Request, Served, Transport};
use kubezone::published::Published;
use kubezone::zone::{HashedName, State, Zone, dump, master};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use crate::support::{APEX, Kind, SERVICES_PER_NAMESPACE, derive, name, records, served, some, wire};

#[path = "support/zone.rs"]
mod support;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Services in a zone.
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
const KINDS: [Kind; 7] =
    [Kind::Hit, Kind::Srv, Kind::NoData, Kind::NxDomain, Kind::Referral, Kind::Wildcard, Kind::Alias];
/// Different questions of one kind.
const QUESTIONS: usize = 20_000;
/// Questions that are timed together: one alone would be its way to the caches.
const SAMPLE: u32 = 1_000;

fn main() {
    for services in SIZES {
        let region = Region::new(ALLOCATOR);
        let zone = support::zone(services);
        let change = region.change();
        // Beside those of Services: the namespaces with what stands beside them, and four above.
        let names = 3 * services + 4 * services.div_ceil(SERVICES_PER_NAMESPACE) + 4;
        println!("{services} Services: {} bytes/name", (change.bytes_allocated - change.bytes_deallocated) / names);
        drop(zone);
    }
    divan::main();
}

/// A zone of that size, which all benches share.
fn shared(services: usize) -> &'static Served {
    static BUILT: [OnceLock<Served>; SIZES.len()] = [const { OnceLock::new() }; SIZES.len()];
    let place = SIZES.iter().position(|size| *size == services).expect("one of the sizes");
    BUILT[place].get_or_init(|| served(support::zone(services)))
}

fn zone(served: &Served) -> &Arc<Zone> {
    let Some(State::Loaded(zone)) = served.zones.get(&name(APEX)) else { panic!("not loaded") };
    zone
}

#[divan::bench(args = KINDS, consts = SIZES, sample_size = SAMPLE)]
fn respond<const SERVICES: usize>(bencher: Bencher, kind: Kind) {
    let served = shared(SERVICES);
    let questions: Vec<_> = some(QUESTIONS, SERVICES).map(|index| kind.question(index)).collect();
    let mut questions = questions.iter().cycle();
    let mut out = Vec::with_capacity(65_535);
    let peer = SocketAddr::from((Ipv6Addr::LOCALHOST, 53));
    let now = Instant::now();
    bencher.bench_local(|| {
        let bytes = questions.next().expect("a cycle");
        black_box(nameserver::respond(served, Request { bytes, peer, transport: Transport::Udp, now }, &mut out));
        assert!(kind.is_answered_by(&out));
    });
}

#[divan::bench(args = KINDS, consts = SIZES, sample_size = SAMPLE)]
fn lookup<const SERVICES: usize>(bencher: Bencher, kind: Kind) {
    let zone = zone(shared(SERVICES));
    let read = |index| HashedName::read(&wire(&kind.qname(index))).expect("a name");
    let qnames: Vec<_> = some(QUESTIONS, SERVICES).map(read).collect();
    let mut qnames = qnames.iter().cycle();
    bencher.bench_local(|| {
        black_box(zone.lookup(qnames.next().expect("a cycle"), kind.qtype()));
    });
}

/// One changed Service.
#[divan::bench(name = "derive", args = SIZES, sample_size = 10)]
fn derive_one(bencher: Bencher, services: usize) {
    let mut current = Arc::clone(zone(shared(services)));
    let mut changes = (2..).zip(some(usize::MAX, services));
    bencher.bench_local(|| {
        let (serial, index) = changes.next().expect("endless");
        // The version before ends here, as when it is published.
        current = Arc::new(derive(&current, index, serial));
    });
}

/// One changed Service, up to where readers see it.
#[divan::bench(args = SIZES, sample_size = 10)]
fn publish(bencher: Bencher, services: usize) {
    let mut current = Arc::clone(zone(shared(services)));
    let published = Published::new(shared(services).clone());
    let mut changes = (2..).zip(some(usize::MAX, services));
    bencher.bench_local(|| {
        let (serial, index) = changes.next().expect("endless");
        current = Arc::new(derive(&current, index, serial));
        published.replace([(current.apex().clone(), State::Loaded(Arc::clone(&current)))]);
    });
}

#[divan::bench(args = SIZES, sample_count = 10)]
fn build(bencher: Bencher, services: usize) {
    let apex = name(APEX);
    bencher.with_inputs(|| records(services)).bench_values(|records| Zone::build(&apex, records).expect("a zone"));
}

#[divan::bench(args = SIZES, sample_count = 10)]
fn parse_master_file(bencher: Bencher, services: usize) {
    let text = dump(zone(shared(services))).to_string();
    let apex = name(APEX);
    bencher
        .counter(BytesCount::of_str(&text))
        .bench(|| master::parse(text.as_bytes(), &apex, None).expect("a master file").len());
}
