//! The numbers and their names.
//!
//! [`Metrics`] holds every number of one server; there may be several servers
//! in a process. What happens for every query is counted in plain counters that
//! each worker has for itself ([`WorkerMetrics`]), added up when somebody asks.
//! Labels come from closed sets: the zones configured, the types and RCODEs
//! listed here, the clusters' names; never from what a stranger sends.

mod worker;

use std::collections::{BTreeSet, HashMap};
use std::iter;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

pub use self::worker::WorkerMetrics;
use crate::nameserver::Served;
use crate::published::Published;
use crate::zone::State;

/// Upper bounds of the time from an event to the version that serves it, in seconds.
const PUBLICATION_BUCKETS: [f64; 12] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 1.0, 10.0];

/// Every number of one server, and the registry they are scraped from.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    workers: Arc<Workers>,
    reload_failed: IntCounter,
    publish_duration: Histogram,
    clusters: ClusterFamilies,
}

impl Metrics {
    /// The numbers of a server that answers from `published`; zones' serials and records are read from it at scrape.
    ///
    /// # Panics
    ///
    /// Never: the names below are valid and different.
    #[must_use]
    pub fn new(published: Arc<Published>) -> Arc<Self> {
        let registry = Registry::new();
        let workers = Arc::new(Workers::default());
        register(&registry, AtScrape::new(Arc::clone(&workers), published));

        let build =
            IntGaugeVec::new(Opts::new("kubezone_build_info", "The version that runs; always 1."), &["version"]);
        let build = register(&registry, build.expect("a valid name"));
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let reload_failed = IntCounter::new(
            "kubezone_reload_failed_total",
            "Changed files that were not taken over because something is wrong with them.",
        );
        let publish_duration = HistogramOpts::new(
            "kubezone_publish_duration_seconds",
            "Time to make a version of a cluster's zones and put it in the place of the one before.",
        );
        let publish_duration = Histogram::with_opts(publish_duration.buckets(PUBLICATION_BUCKETS.to_vec()));
        Arc::new(Self {
            reload_failed: register(&registry, reload_failed.expect("a valid name")),
            publish_duration: register(&registry, publish_duration.expect("a valid name")),
            clusters: ClusterFamilies::new(&registry),
            workers,
            registry,
        })
    }

    /// Counters for one worker: they share no cache line with another's, and are summed at scrape.
    #[must_use]
    pub fn worker(&self) -> Arc<WorkerMetrics> {
        let worker = Arc::new(WorkerMetrics::default());
        self.workers.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&worker));
        worker
    }

    /// The numbers of the cluster called `name` in the configuration.
    #[must_use]
    pub fn cluster(&self, name: &str) -> ClusterMetrics {
        let families = &self.clusters;
        // A cluster that nothing was heard of is not synced: say so from the start.
        let synced = families.synced.with_label_values(&[name]);
        synced.set(0);
        ClusterMetrics(Arc::new(ClusterNumbers {
            name: name.to_owned(),
            synced,
            last_event: families.last_event.with_label_values(&[name]),
            errors: families.errors.clone(),
            services: families.services.clone(),
            reasons: Mutex::default(),
            publish_duration: self.publish_duration.clone(),
            programming_duration: families.programming_duration.with_label_values(&[name]),
        }))
    }

    /// A changed file was not taken over: something is wrong with it.
    pub fn reload_failed(&self) {
        self.reload_failed.inc();
    }

    /// The exposition text, version 0.0.4.
    #[must_use]
    pub fn text(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).expect("every family has a name and its own type")
    }
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> C {
    registry.register(Box::new(collector.clone())).expect("no two have the same name");
    collector
}

#[derive(Debug)]
struct ClusterFamilies {
    synced: IntGaugeVec,
    last_event: GaugeVec,
    errors: IntCounterVec,
    services: IntGaugeVec,
    programming_duration: HistogramVec,
}

impl ClusterFamilies {
    fn new(registry: &Registry) -> Self {
        let synced = Opts::new("kubezone_cluster_synced", "Whether all of the cluster has been listed in full once.");
        let last_event = Opts::new(
            "kubezone_cluster_last_event_timestamp_seconds",
            "When the cluster gave its last sign of life: an event, a bookmark or a complete list.",
        );
        let errors = Opts::new("kubezone_cluster_errors_total", "What went wrong while following the cluster.");
        let services =
            Opts::new("kubezone_services", "Services that are published, and those that are not, by reason.");
        let programming_duration = HistogramOpts::new(
            "kubezone_dns_programming_duration_seconds",
            "Time from an event's arrival to the version that serves it.",
        );
        let programming_duration = programming_duration.buckets(PUBLICATION_BUCKETS.to_vec());
        let cluster = &["cluster"];
        let valid = "a valid name";
        Self {
            synced: register(registry, IntGaugeVec::new(synced, cluster).expect(valid)),
            last_event: register(registry, GaugeVec::new(last_event, cluster).expect(valid)),
            errors: register(registry, IntCounterVec::new(errors, &["cluster", "reason"]).expect(valid)),
            services: register(registry, IntGaugeVec::new(services, &["cluster", "published", "reason"]).expect(valid)),
            programming_duration: register(registry, HistogramVec::new(programming_duration, cluster).expect(valid)),
        }
    }
}

/// What the followers and the writer of one cluster tell.
#[derive(Debug, Clone)]
pub struct ClusterMetrics(Arc<ClusterNumbers>);

#[derive(Debug)]
struct ClusterNumbers {
    name: String,
    synced: IntGauge,
    last_event: prometheus::Gauge,
    errors: IntCounterVec,
    services: IntGaugeVec,
    /// The reasons that Services have been counted under: they fall back to 0.
    reasons: Mutex<BTreeSet<&'static str>>,
    publish_duration: Histogram,
    programming_duration: Histogram,
}

/// Why something about a cluster went wrong: a closed set, for labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClusterError {
    /// The kubeconfig or manifest folder cannot be used.
    Configuration,
    /// No connection, or one that broke.
    Connection,
    /// 401 or 403.
    Forbidden,
    /// Any other answer that is no success.
    Status,
    /// The watch was silent for longer than its time-out.
    Idle,
    /// 410: the resourceVersion is too old; listed again.
    Expired,
    /// An object that cannot be read; skipped.
    Undecodable,
    /// A list that lacked more than half of what is served; held until a second says so, too.
    HeldList,
    /// A manifest that does not parse; its last good objects stay.
    Manifest,
}

impl ClusterError {
    fn label(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Connection => "connection",
            Self::Forbidden => "forbidden",
            Self::Status => "status",
            Self::Idle => "idle",
            Self::Expired => "expired",
            Self::Undecodable => "undecodable",
            Self::HeldList => "held_list",
            Self::Manifest => "manifest",
        }
    }
}

impl Default for ClusterMetrics {
    /// Numbers of a cluster without a name, which nobody scrapes.
    fn default() -> Self {
        Metrics::new(Arc::new(Published::new(Served::default()))).cluster("")
    }
}

impl ClusterMetrics {
    /// Whether every kind has been listed in full.
    pub fn set_synced(&self, synced: bool) {
        self.0.synced.set(i64::from(synced));
    }

    /// A sign of life: an event, a bookmark or a complete list.
    pub fn event(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.0.last_event.set(now.as_secs_f64());
    }

    /// Counts an error.
    pub fn error(&self, error: ClusterError) {
        self.0.errors.with_label_values(&[self.0.name.as_str(), error.label()]).inc();
    }

    /// A version of the cluster's zones was made and swapped in, in `took`.
    pub fn published(&self, took: Duration) {
        self.0.publish_duration.observe(took.as_secs_f64());
    }

    /// An event's way from its arrival to the swap that serves it.
    pub fn programmed(&self, took: Duration) {
        self.0.programming_duration.observe(took.as_secs_f64());
    }

    /// How many Services are published and how many are not, by the reason's name (a closed set; empty for published).
    pub fn set_services(&self, counts: &[(&'static str, usize)]) {
        let mut reasons = self.0.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        reasons.extend(counts.iter().map(|(reason, _)| reason));
        for reason in reasons.iter() {
            let count = counts.iter().filter(|(of, _)| of == reason).map(|(_, count)| count).sum::<usize>();
            let published = if reason.is_empty() { "true" } else { "false" };
            let services = self.0.services.with_label_values(&[self.0.name.as_str(), published, reason]);
            services.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}

/// The counters of all workers of a server.
#[derive(Debug, Default)]
struct Workers(Mutex<Vec<Arc<WorkerMetrics>>>);

/// What is not kept as a sample but read when somebody asks: the workers' counters, and the zones served.
#[derive(Debug, Clone)]
struct AtScrape {
    workers: Arc<Workers>,
    published: Arc<Published>,
    descriptions: Vec<Desc>,
}

struct Family {
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    kind: MetricType,
}

const REQUESTS: Family = Family {
    name: "kubezone_dns_requests_total",
    help: "DNS requests that came.",
    labels: &["zone", "proto", "family", "type"],
    kind: MetricType::COUNTER,
};
const RESPONSES: Family = Family {
    name: "kubezone_dns_responses_total",
    help: "DNS responses that were made.",
    labels: &["zone", "rcode"],
    kind: MetricType::COUNTER,
};
const DURATION: Family = Family {
    name: "kubezone_dns_request_duration_seconds",
    help: "Time to make a response.",
    labels: &[],
    kind: MetricType::HISTOGRAM,
};
const LOADED: Family = Family {
    name: "kubezone_zone_loaded",
    help: "Whether the zone is answered for.",
    labels: &["zone"],
    kind: MetricType::GAUGE,
};
const SERIAL: Family = Family {
    name: "kubezone_zone_serial",
    help: "The serial of the zone's SOA record.",
    labels: &["zone"],
    kind: MetricType::GAUGE,
};
const RECORDS: Family = Family {
    name: "kubezone_zone_records",
    help: "Records in the zone.",
    labels: &["zone", "type"],
    kind: MetricType::GAUGE,
};

impl Family {
    fn description(&self) -> Desc {
        let labels = self.labels.iter().map(|&label| label.to_owned()).collect();
        Desc::new(self.name.to_owned(), self.help.to_owned(), labels, HashMap::new()).expect("a valid name")
    }

    fn of(&self, metrics: Vec<Metric>) -> MetricFamily {
        let mut family = MetricFamily::default();
        family.set_name(self.name.to_owned());
        family.set_help(self.help.to_owned());
        family.set_field_type(self.kind);
        family.set_metric(metrics);
        family
    }

    fn counter(&self, labels: &[&str], count: u64) -> Metric {
        let mut sample = Counter::default();
        sample.set_value(as_float(count));
        let mut metric = self.metric(labels);
        metric.set_counter(sample);
        metric
    }

    fn gauge(&self, labels: &[&str], value: f64) -> Metric {
        let mut sample = Gauge::default();
        sample.set_value(value);
        let mut metric = self.metric(labels);
        metric.set_gauge(sample);
        metric
    }

    fn metric(&self, values: &[&str]) -> Metric {
        let pairs = self.labels.iter().zip(values).map(|(&name, &value)| {
            let mut pair = LabelPair::default();
            pair.set_name(name.to_owned());
            pair.set_value(value.to_owned());
            pair
        });
        Metric::from_label(pairs.collect())
    }
}

impl AtScrape {
    fn new(workers: Arc<Workers>, published: Arc<Published>) -> Self {
        let families = [REQUESTS, RESPONSES, DURATION, LOADED, SERIAL, RECORDS];
        Self { workers, published, descriptions: families.iter().map(Family::description).collect() }
    }

    /// What became of requests.
    fn traffic(&self) -> [MetricFamily; 3] {
        let workers = self.workers.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let served = self.published.load();
        let zones = served.zones.iter().map(|(slot, apex, _)| (Some(slot), apex.to_string()));
        let (mut requests, mut responses) = (Vec::new(), Vec::new());
        for (slot, zone) in iter::once((None, String::new())).chain(zones) {
            let sum = worker::sum(&workers, slot);
            let by_kind = sum
                .requests()
                .map(|([proto, family, rtype], count)| REQUESTS.counter(&[&zone, proto, family, rtype], count));
            requests.extend(by_kind);
            responses.extend(sum.responses().map(|(rcode, count)| RESPONSES.counter(&[&zone, rcode], count)));
        }
        let durations = vec![worker::durations(&workers)];
        [REQUESTS.of(requests), RESPONSES.of(responses), DURATION.of(durations)]
    }

    /// What is being served.
    fn zones(&self) -> [MetricFamily; 3] {
        let served = self.published.load();
        let (mut loaded, mut serials, mut records) = (Vec::new(), Vec::new(), Vec::new());
        for (_, apex, state) in served.zones.iter() {
            let apex = apex.to_string();
            let (is_loaded, zone) = match state {
                State::Pending => (false, None),
                State::Loaded(zone) => (true, Some(zone)),
                State::Expired(zone) => (false, Some(zone)),
            };
            loaded.push(LOADED.gauge(&[&apex], f64::from(u8::from(is_loaded))));
            let Some(zone) = zone else { continue };
            serials.push(SERIAL.gauge(&[&apex], f64::from(zone.serial().0)));
            // Whatever types a zone has: its operator chose them.
            let by_type = zone
                .census()
                .into_iter()
                .map(|(rtype, count)| RECORDS.gauge(&[&apex, &rtype.to_string()], as_float(count as u64)));
            records.extend(by_type);
        }
        [LOADED.of(loaded), SERIAL.of(serials), RECORDS.of(records)]
    }
}

impl Collector for AtScrape {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // A family without a sample has no text.
        self.traffic().into_iter().chain(self.zones()).filter(|family| !family.get_metric().is_empty()).collect()
    }
}

/// Prometheus counts in floating point, exactly up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "it is the format's own")]
fn as_float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use hickory_proto::rr::{Name, RecordType};

    use super::*;
    use crate::nameserver::{Outcome, Reply, Transport};
    use crate::zone::{ZoneSlot, Zones};

    fn metrics(apexes: &[&str]) -> Arc<Metrics> {
        let apexes = apexes.iter().map(|apex| Name::from_ascii(apex).expect("a name"));
        Metrics::new(Arc::new(Published::new(Served { zones: Zones::pending(apexes), ..Served::default() })))
    }

    /// The samples of `family` are `expected`, line by line.
    fn check(metrics: &Metrics, family: &str, expected: &[&str]) {
        let text = metrics.text();
        let samples: Vec<_> = text.lines().filter(|line| line.starts_with(family)).collect();
        assert_eq!(samples, expected);
    }

    fn reply(zone: Option<u16>, qtype: Option<RecordType>, rcode: u16) -> Outcome {
        Outcome::Reply(Reply { zone: zone.map(ZoneSlot), qtype, rcode, keepalive: false })
    }

    #[test]
    fn requests_are_counted_by_zone_transport_family_and_type() {
        let metrics = metrics(&["k8s.ooo.", "c2.k8s.ooo."]);
        let (ipv6, ipv4): (IpAddr, IpAddr) = ([0, 0, 0, 0, 0, 0, 0, 1].into(), [127, 0, 0, 1].into());
        let workers = [metrics.worker(), metrics.worker()];
        for worker in &workers {
            worker.count(&reply(Some(1), Some(RecordType::AAAA), 0), Transport::Udp, ipv6, Duration::from_micros(1));
        }
        let count = |outcome: &Outcome, transport, peer| workers[0].count(outcome, transport, peer, Duration::ZERO);
        count(&reply(Some(0), Some(RecordType::DS), 3), Transport::Tcp, ipv4);
        count(&reply(Some(0), Some(RecordType::Unknown(65534)), 3), Transport::Udp, ipv4);
        count(&reply(None, Some(RecordType::A), 5), Transport::Udp, ipv6);
        count(&reply(None, None, 1), Transport::Udp, ipv6);
        count(&reply(None, None, 3841), Transport::Udp, ipv6);
        count(&Outcome::Drop, Transport::Udp, ipv6);

        check(
            &metrics,
            "kubezone_dns_requests_total{",
            &[
                r#"kubezone_dns_requests_total{zone="",proto="udp",family="ipv6",type="A"} 1"#,
                r#"kubezone_dns_requests_total{zone="",proto="udp",family="ipv6",type="other"} 3"#,
                r#"kubezone_dns_requests_total{zone="c2.k8s.ooo.",proto="udp",family="ipv6",type="AAAA"} 2"#,
                r#"kubezone_dns_requests_total{zone="k8s.ooo.",proto="tcp",family="ipv4",type="DS"} 1"#,
                r#"kubezone_dns_requests_total{zone="k8s.ooo.",proto="udp",family="ipv4",type="other"} 1"#,
            ],
        );
        check(
            &metrics,
            "kubezone_dns_responses_total{",
            &[
                r#"kubezone_dns_responses_total{zone="",rcode="FORMERR"} 1"#,
                r#"kubezone_dns_responses_total{zone="",rcode="REFUSED"} 1"#,
                r#"kubezone_dns_responses_total{zone="",rcode="other"} 1"#,
                r#"kubezone_dns_responses_total{zone="c2.k8s.ooo.",rcode="NOERROR"} 2"#,
                r#"kubezone_dns_responses_total{zone="k8s.ooo.",rcode="NXDOMAIN"} 2"#,
            ],
        );
        check(
            &metrics,
            "kubezone_dns_request_duration_seconds_count",
            &["kubezone_dns_request_duration_seconds_count 7"],
        );
        check(
            &metrics,
            r#"kubezone_dns_request_duration_seconds_bucket{le="0.0000005"}"#,
            &[r#"kubezone_dns_request_duration_seconds_bucket{le="0.0000005"} 5"#],
        );
        check(
            &metrics,
            r#"kubezone_dns_request_duration_seconds_bucket{le="0.000001"}"#,
            &[r#"kubezone_dns_request_duration_seconds_bucket{le="0.000001"} 7"#],
        );
        check(
            &metrics,
            "kubezone_dns_request_duration_seconds_sum",
            &["kubezone_dns_request_duration_seconds_sum 0.000002"],
        );
    }

    #[test]
    fn every_zone_has_counters_of_its_own() {
        let apexes: Vec<_> = (0..100).map(|zone| format!("z{zone}.")).collect();
        let metrics = metrics(&apexes.iter().map(String::as_str).collect::<Vec<_>>());
        let worker = metrics.worker();
        let peer = [127, 0, 0, 1].into();
        for slot in 0..100 {
            for _ in 0..=slot {
                worker.count(&reply(Some(slot), None, 0), Transport::Udp, peer, Duration::ZERO);
            }
        }
        // The last slot that there can be has its place, too.
        worker.count(&reply(Some(u16::MAX), None, 0), Transport::Udp, peer, Duration::ZERO);
        let text = metrics.text();
        for slot in 0..100 {
            let line = format!("kubezone_dns_responses_total{{zone=\"z{slot}.\",rcode=\"NOERROR\"}} {}\n", slot + 1);
            assert!(text.contains(&line), "{line}{text}");
        }
    }

    #[test]
    fn a_cluster_is_told_of_from_its_start() {
        let metrics = metrics(&[]);
        let c2 = metrics.cluster("c2");
        check(&metrics, "kubezone_cluster_synced", &[r#"kubezone_cluster_synced{cluster="c2"} 0"#]);
        c2.set_synced(true);
        check(&metrics, "kubezone_cluster_synced", &[r#"kubezone_cluster_synced{cluster="c2"} 1"#]);
        c2.error(ClusterError::HeldList);
        check(
            &metrics,
            "kubezone_cluster_errors_total",
            &[r#"kubezone_cluster_errors_total{cluster="c2",reason="held_list"} 1"#],
        );
        c2.programmed(Duration::from_millis(1));
        check(
            &metrics,
            "kubezone_dns_programming_duration_seconds_sum",
            &[r#"kubezone_dns_programming_duration_seconds_sum{cluster="c2"} 0.001"#],
        );
    }

    #[test]
    fn a_reason_that_no_service_has_any_more_falls_to_zero() {
        let metrics = metrics(&[]);
        let c2 = metrics.cluster("c2");
        c2.set_services(&[("", 3), ("AddressNotPublic", 2)]);
        c2.set_services(&[("", 4), ("NoReadyEndpoints", 1)]);
        check(
            &metrics,
            "kubezone_services{",
            &[
                r#"kubezone_services{cluster="c2",published="false",reason="AddressNotPublic"} 0"#,
                r#"kubezone_services{cluster="c2",published="false",reason="NoReadyEndpoints"} 1"#,
                r#"kubezone_services{cluster="c2",published="true",reason=""} 4"#,
            ],
        );
    }
}
