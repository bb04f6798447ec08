//! What one worker counts: plain numbers at fixed places, without a lock or an
//! allocation for a query.

use std::array;
use std::net::IpAddr;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use prometheus::proto::{Bucket, Histogram, Metric};

use super::as_float;
use crate::nameserver::{Outcome, Transport};
use crate::zone::ZoneSlot;

/// The types that are counted by name, the frequent ones first; all others are `other`.
const TYPES: [RecordType; 21] = [
    RecordType::AAAA,
    RecordType::A,
    RecordType::HTTPS,
    RecordType::NS,
    RecordType::SOA,
    RecordType::SRV,
    RecordType::PTR,
    RecordType::TXT,
    RecordType::MX,
    RecordType::CNAME,
    RecordType::DS,
    RecordType::DNSKEY,
    RecordType::CAA,
    RecordType::SVCB,
    RecordType::TLSA,
    RecordType::ANY,
    RecordType::NAPTR,
    RecordType::SSHFP,
    RecordType::AXFR,
    RecordType::IXFR,
    RecordType::NSEC,
];

/// The RCODEs that are counted by name; all others are `other`.
const RCODES: [(u16, &str); 9] = [
    (0, "NOERROR"),
    (3, "NXDOMAIN"),
    (5, "REFUSED"),
    (2, "SERVFAIL"),
    (1, "FORMERR"),
    (4, "NOTIMP"),
    (6, "YXDOMAIN"),
    (9, "NOTAUTH"),
    (16, "BADVERS"),
];

const PROTOS: [&str; 2] = ["udp", "tcp"];
const FAMILIES: [&str; 2] = ["ipv6", "ipv4"];
const OTHER: &str = "other";

/// The upper bounds of the durations' buckets in nanoseconds: what is longer has a bucket of its own.
const BOUNDS: [u64; 13] =
    [500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 10_000_000, 100_000_000];

/// What one worker counts; no lock, and no allocation but for the first request of a zone that came with a reload.
///
/// Another's counters are in cache lines of their own. Where only one thread
/// counts, it does not wait for a line that it has not looked at for a while,
/// as an atomic addition would.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct WorkerMetrics {
    /// Several threads count.
    is_shared: bool,
    /// The counters of a zone are at its index (0: no zone, else its slot + 1), in segments that double
    /// in length: none ever moves, so that readers need no lock.
    segments: [OnceLock<Box<[ZoneCounters]>>; 17],
    durations: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

/// What is counted for one zone.
#[derive(Debug, Default)]
#[repr(align(128))]
struct ZoneCounters {
    requests: [[[AtomicU64; TYPES.len() + 1]; FAMILIES.len()]; PROTOS.len()],
    responses: [AtomicU64; RCODES.len() + 1],
}

impl WorkerMetrics {
    /// For several threads; the default is for one at a time.
    pub(super) fn shared() -> Self {
        Self { is_shared: true, ..Self::default() }
    }

    /// Counts one request and what became of it.
    pub fn count(&self, outcome: &Outcome, transport: Transport, peer: IpAddr) {
        let reply = match outcome {
            Outcome::Reply(reply) => Some(reply),
            Outcome::Drop => None,
        };
        let zone = self.zone(reply.and_then(|reply| reply.zone));
        let proto = match transport {
            Transport::Udp => 0,
            Transport::Tcp => 1,
        };
        let family = usize::from(peer.to_canonical().is_ipv4());
        let rtype =
            reply.and_then(|reply| reply.qtype).and_then(|qtype| TYPES.iter().position(|rtype| *rtype == qtype));
        self.add(&zone.requests[proto][family][rtype.unwrap_or(TYPES.len())], 1);

        let Some(reply) = reply else { return };
        let rcode = RCODES.iter().position(|(rcode, _)| *rcode == reply.rcode);
        self.add(&zone.responses[rcode.unwrap_or(RCODES.len())], 1);
    }

    /// Counts the time that `replies` took which were made and sent together: for each it is that of all.
    pub fn took(&self, replies: u64, took: Duration) {
        if replies == 0 {
            return;
        }
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|bound| nanoseconds <= *bound);
        self.add(&self.durations[bucket.unwrap_or(BOUNDS.len())], replies);
        self.add(&self.nanoseconds, nanoseconds.saturating_mul(replies));
    }

    fn add(&self, counter: &AtomicU64, count: u64) {
        if self.is_shared {
            counter.fetch_add(count, Relaxed);
        } else {
            counter.store(counter.load(Relaxed).wrapping_add(count), Relaxed);
        }
    }

    fn zone(&self, slot: Option<ZoneSlot>) -> &ZoneCounters {
        let (segment, offset) = place(slot);
        let zones = self.segments[segment].get_or_init(|| (0..1 << segment).map(|_| ZoneCounters::default()).collect());
        &zones[offset]
    }

    fn known_zone(&self, slot: Option<ZoneSlot>) -> Option<&ZoneCounters> {
        let (segment, offset) = place(slot);
        self.segments[segment].get().map(|zones| &zones[offset])
    }
}

/// The segment of a zone's counters and their place in it: segment n has room for 2^n zones.
fn place(slot: Option<ZoneSlot>) -> (usize, usize) {
    let index = slot.map_or(0, |slot| usize::from(slot.0) + 1) + 1;
    let segment = index.ilog2();
    (segment as usize, index - (1 << segment))
}

/// What all workers counted for one zone.
pub(super) struct Sum {
    requests: [[[u64; TYPES.len() + 1]; FAMILIES.len()]; PROTOS.len()],
    responses: [u64; RCODES.len() + 1],
}

/// Adds up what `workers` counted for the zone at `slot`.
pub(super) fn sum(workers: &[Arc<WorkerMetrics>], slot: Option<ZoneSlot>) -> Sum {
    let zones: Vec<_> = workers.iter().filter_map(|worker| worker.known_zone(slot)).collect();
    let total = |of: &dyn Fn(&ZoneCounters) -> &AtomicU64| zones.iter().map(|zone| of(zone).load(Relaxed)).sum();
    Sum {
        requests: array::from_fn(|proto| {
            array::from_fn(|family| array::from_fn(|rtype| total(&|zone| &zone.requests[proto][family][rtype])))
        }),
        responses: array::from_fn(|rcode| total(&|zone| &zone.responses[rcode])),
    }
}

impl Sum {
    /// Protocol, address family and type of all requests that there were.
    pub(super) fn requests(&self) -> impl Iterator<Item = ([&'static str; 3], u64)> {
        let labels = |proto, family, rtype: usize| {
            [PROTOS[proto], FAMILIES[family], TYPES.get(rtype).copied().map_or(OTHER, Into::into)]
        };
        let counts = self.requests.iter().enumerate().flat_map(move |(proto, families)| {
            families.iter().enumerate().flat_map(move |(family, types)| {
                types.iter().enumerate().map(move |(rtype, count)| (labels(proto, family, rtype), *count))
            })
        });
        counts.filter(|(_, count)| *count > 0)
    }

    /// The RCODE of all responses that there were.
    pub(super) fn responses(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.responses.iter().enumerate();
        let counts = counts.map(|(rcode, count)| (RCODES.get(rcode).map_or(OTHER, |(_, name)| name), *count));
        counts.filter(|(_, count)| *count > 0)
    }
}

/// How many responses took how long, by all of `workers`: by the upper bounds of the durations' buckets, the last without.
pub(super) fn counts(workers: &[Arc<WorkerMetrics>]) -> Vec<(Option<Duration>, u64)> {
    let counts = (0..=BOUNDS.len()).map(|place| {
        let count = workers.iter().map(|worker| worker.durations[place].load(Relaxed)).sum();
        (BOUNDS.get(place).copied().map(Duration::from_nanos), count)
    });
    counts.collect()
}

/// How long responses took, by all of `workers`.
pub(super) fn durations(workers: &[Arc<WorkerMetrics>]) -> Metric {
    let mut count = 0;
    let mut buckets = Vec::with_capacity(BOUNDS.len());
    for (bound, in_bucket) in counts(workers) {
        count += in_bucket;
        let Some(bound) = bound else { continue };
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(bound.as_secs_f64());
        bucket.set_cumulative_count(count);
        buckets.push(bucket);
    }
    let nanoseconds = workers.iter().map(|worker| worker.nanoseconds.load(Relaxed)).sum();
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets);
    histogram.set_sample_count(count);
    histogram.set_sample_sum(seconds(nanoseconds));
    let mut metric = Metric::default();
    metric.set_histogram(histogram);
    metric
}

fn seconds(nanoseconds: u64) -> f64 {
    as_float(nanoseconds) / 1e9
}

/// The values that the labels of requests and responses may have: protocols, address families, types and RCODEs.
#[cfg(test)]
pub(super) fn labels() -> ([&'static str; 2], [&'static str; 2], Vec<&'static str>, Vec<&'static str>) {
    let types = TYPES.into_iter().map(Into::into).chain([OTHER]).collect();
    let rcodes = RCODES.into_iter().map(|(_, name)| name).chain([OTHER]).collect();
    (PROTOS, FAMILIES, types, rcodes)
}
