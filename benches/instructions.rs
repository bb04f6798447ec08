//! How many instructions the pure functions take, each with a bound: `cargo bench --bench instructions`.
//!
//! Callgrind counts them (through gungraun), one run each, and nothing else that
//! the machine does moves the figures; what comes before a function is not
//! counted. Above its bound a bench fails. The bounds are a tenth above what was
//! measured; the seed of the hashes, another one in each run, moves a count by
//! less than a thousandth, that of a changed zone by a fiftieth.
//!
//! ```text
//! apt-get install valgrind
//! cargo install --locked gungraun-runner --version 0.20.0     # exactly that of gungraun in Cargo.toml
//! ```

#![allow(missing_docs, unused_qualifications, reason = "in what gungraun's macros write")]

use std::hint::black_box;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Instant;

use gungraun::prelude::*;
use gungraun::{Callgrind, EventKind};
use hickory_proto::rr::RecordType;
use kubezone::nameserver::{self, Request, Served, Transport};
use kubezone::zone::{HashedName, Zone};
use tikv_jemallocator::Jemalloc;

use crate::support::{Kind, served, some, wire};

#[path = "support/zone.rs"]
mod support;

/// As the binary has it.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Services in the zone that is asked.
const SERVICES: usize = 10_000;
/// Services in the zone that is changed.
const MANY: usize = 100_000;
/// Names and questions that one bench goes through.
const COUNT: usize = 1_000;

/// Fails above so many instructions for each of `count` calls.
fn at_most(instructions: usize, count: usize) -> LibraryBenchmarkConfig {
    let limit = u64::try_from(instructions * count).expect("a number");
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(Callgrind::default().hard_limits([(EventKind::Ir, limit)]));
    config
}

struct Questions {
    kind: Kind,
    served: Served,
    messages: Vec<Vec<u8>>,
    peer: SocketAddr,
    now: Instant,
    out: Vec<u8>,
}

fn questions(kind: Kind) -> Questions {
    let peer = SocketAddr::from((Ipv6Addr::LOCALHOST, 53));
    let messages = some(COUNT, SERVICES).map(|index| kind.question(index)).collect();
    let served = served(support::zone(SERVICES));
    Questions { kind, served, messages, peer, now: Instant::now(), out: Vec::with_capacity(65_535) }
}

// A request's bytes to a response's.
#[library_benchmark(setup = questions)]
#[bench::hit(args = (Kind::Hit), config = at_most(2_220, COUNT))]
#[bench::srv(args = (Kind::Srv), config = at_most(4_270, COUNT))]
#[bench::nodata(args = (Kind::NoData), config = at_most(2_300, COUNT))]
#[bench::nxdomain(args = (Kind::NxDomain), config = at_most(2_910, COUNT))]
#[bench::referral(args = (Kind::Referral), config = at_most(2_620, COUNT))]
#[bench::wildcard(args = (Kind::Wildcard), config = at_most(2_740, COUNT))]
#[bench::alias(args = (Kind::Alias), config = at_most(4_270, COUNT))]
fn respond(mut questions: Questions) -> Questions {
    let Questions { kind, served, messages, peer, now, out } = &mut questions;
    for bytes in messages {
        let request = Request { bytes, peer: *peer, transport: Transport::Udp, now: *now };
        black_box(nameserver::respond(served, request, out));
        assert!(kind.is_answered_by(out));
    }
    questions
}

struct Names {
    zone: Zone,
    wires: Vec<Vec<u8>>,
    names: Vec<HashedName>,
    qtype: RecordType,
}

fn names(kind: Kind) -> Names {
    let wires: Vec<_> = some(COUNT, SERVICES).map(|index| wire(&kind.qname(index))).collect();
    let names = wires.iter().map(|wire| HashedName::read(wire).expect("a name")).collect();
    Names { zone: support::zone(SERVICES), wires, names, qtype: kind.qtype() }
}

#[library_benchmark(setup = names)]
#[bench::hit(args = (Kind::Hit), config = at_most(320, COUNT))]
#[bench::nxdomain(args = (Kind::NxDomain), config = at_most(860, COUNT))]
fn lookup(names: Names) -> Names {
    for name in &names.names {
        black_box(names.zone.lookup(name, names.qtype));
    }
    names
}

// A name is read and each of its suffixes hashed.
#[library_benchmark(setup = names)]
#[bench::hit(args = (Kind::Hit), config = at_most(545, COUNT))]
#[bench::srv(args = (Kind::Srv), config = at_most(725, COUNT))]
fn hash(mut names: Names) -> Names {
    for (wire, name) in names.wires.iter().zip(&mut names.names) {
        name.set(wire).expect("a name");
    }
    names
}

// One changed Service among many.
#[library_benchmark(setup = support::zone)]
#[bench::one(args = (MANY), config = at_most(78_000, 1))]
fn derive(zone: Zone) -> (Zone, Zone) {
    let changed = support::derive(&zone, MANY / 2, 2);
    (zone, changed)
}

library_benchmark_group!(name = functions, benchmarks = [respond, lookup, hash, derive]);
main!(library_benchmark_groups = functions);
