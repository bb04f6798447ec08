//! The numbers and their names.
//!
//! [`Metrics`] holds every number of one server; there may be several servers
//! in a process. What happens for every query is counted in plain counters that
//! each worker has for itself ([`WorkerMetrics`]), added up when somebody asks.
//! Labels come from closed sets: the zones configured, the types and RCODEs
//! listed here, the clusters' names; never from what a stranger sends.

mod cluster;
#[cfg(test)]
mod reference;
mod scrape;
mod trouble;
mod worker;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_proto::rr::Name;
use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntGaugeVec, Opts, Registry, TextEncoder};

pub use self::cluster::{ClusterError, ClusterMetrics};
use self::scrape::AtScrape;
pub use self::trouble::{Trouble, Troubles};
pub use self::worker::WorkerMetrics;
use crate::delegation::Code;
use crate::published::Published;

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
    clusters: cluster::Families,
    traffic: AtScrape,
    troubles: Troubles,
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
        let traffic = register(&registry, AtScrape::new(Arc::clone(&workers), published));

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
            clusters: cluster::Families::new(&registry),
            traffic,
            troubles: Troubles::default(),
            workers,
            registry,
        })
    }

    /// Counters for one thread at a time: they share no cache line with another's, and are summed at scrape.
    #[must_use]
    pub fn worker(&self) -> Arc<WorkerMetrics> {
        self.counted(WorkerMetrics::default())
    }

    /// Counters for several threads.
    #[must_use]
    pub fn shared_worker(&self) -> Arc<WorkerMetrics> {
        self.counted(WorkerMetrics::shared())
    }

    fn counted(&self, worker: WorkerMetrics) -> Arc<WorkerMetrics> {
        let worker = Arc::new(worker);
        self.workers.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&worker));
        worker
    }

    /// The numbers of the cluster called `name` in the configuration.
    #[must_use]
    pub fn cluster(&self, name: &str) -> ClusterMetrics {
        self.clusters.cluster(name, self.publish_duration.clone(), self.troubles.clone())
    }

    /// The numbers of the cluster called `name` are of the past: it is not followed any more.
    pub fn forget_cluster(&self, name: &str) {
        self.clusters.forget(name);
        self.troubles.forget_cluster(name);
    }

    /// What was found to be wrong with the delegation of `zone` last, if anything was; whether that is news.
    pub fn set_delegation(&self, zone: &Name, wrong: Option<Code>) -> bool {
        self.traffic.set_delegation(zone, wrong) != Some(wrong)
    }

    /// Delegations are not verified any more.
    pub fn forget_delegations(&self) {
        self.traffic.delegations().clear();
    }

    /// A changed file was not taken over: something is wrong with it.
    pub fn reload_failed(&self) {
        self.reload_failed.inc();
    }

    /// What is wrong at the moment.
    #[must_use]
    pub fn troubles(&self) -> &Troubles {
        &self.troubles
    }

    /// How many responses were made so far, by their RCODEs.
    #[must_use]
    pub fn responses(&self) -> BTreeMap<&'static str, u64> {
        self.traffic.responses()
    }

    /// How many responses took how long to make so far: each count is of those that took longer than the bound before it, and
    /// no longer than its own; the last has none.
    #[must_use]
    pub fn durations(&self) -> Vec<(Option<Duration>, u64)> {
        self.traffic.durations()
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

/// The counters of all workers of a server.
#[derive(Debug, Default)]
struct Workers(Mutex<Vec<Arc<WorkerMetrics>>>);

/// Prometheus counts in floating point, exactly up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "it is the format's own")]
fn as_float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use hickory_proto::rr::RecordType;

    use super::*;
    use crate::nameserver::{Outcome, Reply, Served, Transport};
    use crate::zone::{State, Zone, ZoneSlot, Zones, master};

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
            worker.count(&reply(Some(1), Some(RecordType::AAAA), 0), Transport::Udp, ipv6);
            worker.took(1, Duration::from_micros(1));
        }
        let count = |outcome: &Outcome, transport, peer| workers[0].count(outcome, transport, peer);
        count(&reply(Some(0), Some(RecordType::DS), 3), Transport::Tcp, ipv4);
        count(&reply(Some(0), Some(RecordType::Unknown(65534)), 3), Transport::Udp, ipv4);
        count(&reply(None, Some(RecordType::A), 5), Transport::Udp, ipv6);
        count(&reply(None, None, 1), Transport::Udp, ipv6);
        count(&reply(None, None, 3841), Transport::Udp, ipv6);
        count(&Outcome::Drop, Transport::Udp, ipv6);
        // A batch: each of its replies took as long as all of them.
        workers[0].took(5, Duration::from_nanos(400));

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
            &["kubezone_dns_request_duration_seconds_sum 0.000004"],
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
                worker.count(&reply(Some(slot), None, 0), Transport::Udp, peer);
            }
        }
        // The last slot that there can be has its place, too.
        worker.count(&reply(Some(u16::MAX), None, 0), Transport::Udp, peer);
        let text = metrics.text();
        for slot in 0..100 {
            let line = format!("kubezone_dns_responses_total{{zone=\"z{slot}.\",rcode=\"NOERROR\"}} {}\n", slot + 1);
            assert!(text.contains(&line), "{line}{text}");
        }
    }

    #[test]
    fn records_of_types_without_a_name_are_counted_type_by_type() {
        let apex = Name::from_ascii("k8s.ooo.").expect("a name");
        let text = b"@ 60 SOA ns hostmaster 1 14400 3600 1209600 30\n@ 60 NS ns.example.\n\
                     a 60 TYPE65400 \\# 1 00\na 60 TYPE65401 \\# 1 00\nb 60 TYPE65401 \\# 1 00\n";
        let records = master::parse(text, &apex, None).expect("a master file");
        let (zone, _) = Zone::build(&apex, records).expect("a zone");
        let zones = Zones::pending([apex.clone()]);
        let published = Arc::new(Published::new(Served { zones, ..Served::default() }));
        published.replace([(apex, State::Loaded(Arc::new(zone)))]);
        let metrics = Metrics::new(published);
        check(
            &metrics,
            "kubezone_zone_records{",
            &[
                r#"kubezone_zone_records{zone="k8s.ooo.",type="NS"} 1"#,
                r#"kubezone_zone_records{zone="k8s.ooo.",type="SOA"} 1"#,
                r#"kubezone_zone_records{zone="k8s.ooo.",type="TYPE65400"} 1"#,
                r#"kubezone_zone_records{zone="k8s.ooo.",type="TYPE65401"} 2"#,
            ],
        );
    }

    #[test]
    fn a_delegation_is_right_or_wrong_for_one_reason() {
        let metrics = metrics(&["k8s.ooo.", "c2.k8s.ooo."]);
        let [zone, gone] = ["c2.k8s.ooo.", "c3.k8s.ooo."].map(|name| Name::from_ascii(name).expect("a name"));
        check(&metrics, "kubezone_delegation_ok", &[]);
        assert!(metrics.set_delegation(&zone, None));
        assert!(!metrics.set_delegation(&zone, None));
        metrics.set_delegation(&gone, None);
        check(&metrics, "kubezone_delegation_ok", &[r#"kubezone_delegation_ok{zone="c2.k8s.ooo.",reason=""} 1"#]);
        for (code, reason) in [(Code::GlueStale, "glue-stale"), (Code::NotDelegated, "not-delegated")] {
            assert!(metrics.set_delegation(&zone, Some(code)));
            let expected = format!(r#"kubezone_delegation_ok{{zone="c2.k8s.ooo.",reason="{reason}"}} 0"#);
            check(&metrics, "kubezone_delegation_ok", &[&expected]);
        }
        metrics.forget_delegations();
        check(&metrics, "kubezone_delegation_ok", &[]);
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
            &[
                r#"kubezone_cluster_errors_total{cluster="c2",reason="configuration"} 0"#,
                r#"kubezone_cluster_errors_total{cluster="c2",reason="connection"} 0"#,
                r#"kubezone_cluster_errors_total{cluster="c2",reason="expired"} 0"#,
                r#"kubezone_cluster_errors_total{cluster="c2",reason="forbidden"} 0"#,
                r#"kubezone_cluster_errors_total{cluster="c2",reason="held_list"} 1"#,
                r#"kubezone_cluster_errors_total{cluster="c2",reason="idle"} 0"#,
                r#"kubezone_cluster_errors_total{cluster="c2",reason="manifest"} 0"#,
                r#"kubezone_cluster_errors_total{cluster="c2",reason="status"} 0"#,
                r#"kubezone_cluster_errors_total{cluster="c2",reason="undecodable"} 0"#,
            ],
        );
        c2.programmed(Duration::from_millis(1));
        check(
            &metrics,
            "kubezone_dns_programming_duration_seconds_sum",
            &[r#"kubezone_dns_programming_duration_seconds_sum{cluster="c2"} 0.001"#],
        );
    }

    #[test]
    fn a_cluster_that_is_forgotten_is_not_told_of() {
        let metrics = metrics(&[]);
        let (c2, c3) = (metrics.cluster("c2"), metrics.cluster("c3"));
        for cluster in [&c2, &c3] {
            cluster.set_services(&[("", 3), ("AddressNotPublic", 2)]);
            cluster.set_service_reasons([("AddressNotPublic", 2), ("BadAnnotation", 1)]);
            cluster.programmed(Duration::from_millis(1));
        }
        metrics.forget_cluster("c2");
        // A task that has not ended yet.
        c2.error(ClusterError::Idle);
        c2.event();
        let text = metrics.text();
        assert!(!text.contains("c2"), "{text}");
        assert!(text.contains(r#"kubezone_services{cluster="c3",published="true",reason=""} 3"#), "{text}");
        assert!(text.contains(r#"kubezone_service_reasons{cluster="c3",reason="BadAnnotation"} 1"#), "{text}");
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
