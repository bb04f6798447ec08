//! What there is to say about each cluster, kept as samples.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

use prometheus::core::Collector;
use prometheus::proto::{LabelPair, MetricFamily};

use super::{Metrics, PUBLICATION_BUCKETS, Trouble, Troubles, register};
use crate::cluster::Kind;
use crate::nameserver::Served;
use crate::published::Published;

/// The kinds of objects that are counted.
pub(super) const OBJECTS: [Kind; 4] = [Kind::Service, Kind::EndpointSlice, Kind::Namespace, Kind::Pod];

/// The numbers of all clusters of a server.
#[derive(Debug)]
pub(super) struct Families {
    synced: IntGaugeVec,
    last_event: GaugeVec,
    errors: IntCounterVec,
    objects: IntGaugeVec,
    services: IntGaugeVec,
    service_reasons: IntGaugeVec,
    programming_duration: HistogramVec,
}

impl Families {
    pub(super) fn new(registry: &Registry) -> Self {
        let synced = Opts::new("kubezone_cluster_synced", "Whether all of the cluster has been listed in full once.");
        let last_event = Opts::new(
            "kubezone_cluster_last_event_timestamp_seconds",
            "When the cluster gave its last sign of life: an event, a bookmark or a complete list.",
        );
        let errors = Opts::new("kubezone_cluster_errors_total", "What went wrong while following the cluster.");
        let objects = Opts::new("kubezone_cluster_objects", "Objects of the cluster that are known, by kind.");
        let services =
            Opts::new("kubezone_services", "Services that are published, and those that are not, by reason.");
        let service_reasons = Opts::new(
            "kubezone_service_reasons",
            "Services for which a reason holds, be they published or not: several may hold for one.",
        );
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
            objects: register(registry, IntGaugeVec::new(objects, &["cluster", "kind"]).expect(valid)),
            services: register(registry, IntGaugeVec::new(services, &["cluster", "published", "reason"]).expect(valid)),
            service_reasons: register(
                registry,
                IntGaugeVec::new(service_reasons, &["cluster", "reason"]).expect(valid),
            ),
            programming_duration: register(registry, HistogramVec::new(programming_duration, cluster).expect(valid)),
        }
    }

    /// There is no cluster called `name` any more, and nothing writes its zones.
    pub(super) fn forget(&self, name: &str) {
        // An error says that there was nothing to forget.
        let _ = self.synced.remove_label_values(&[name]);
        let _ = self.last_event.remove_label_values(&[name]);
        let _ = self.programming_duration.remove_label_values(&[name]);
        for error in ClusterError::ALL {
            let _ = self.errors.remove_label_values(&[name, error.label()]);
        }
        for kind in OBJECTS {
            let _ = self.objects.remove_label_values(&[name, kind.name()]);
        }
        forget(&self.services, name, ["cluster", "published", "reason"]);
        forget(&self.service_reasons, name, ["cluster", "reason"]);
    }

    /// Those of the cluster called `name`, and the one histogram that clusters share.
    pub(super) fn cluster(&self, name: &str, publish_duration: Histogram, troubles: Troubles) -> ClusterMetrics {
        // A cluster that nothing was heard of is not synced: say so from the start.
        let synced = self.synced.with_label_values(&[name]);
        synced.set(0);
        ClusterMetrics(Arc::new(ClusterNumbers {
            name: name.to_owned(),
            synced,
            last_event: self.last_event.with_label_values(&[name]),
            // A rate needs a value before the first error.
            errors: ClusterError::ALL.map(|error| self.errors.with_label_values(&[name, error.label()])),
            objects: OBJECTS.map(|kind| (kind, self.objects.with_label_values(&[name, kind.name()]))),
            services: self.services.clone(),
            service_reasons: self.service_reasons.clone(),
            counts: Mutex::default(),
            troubles,
            publish_duration,
            programming_duration: self.programming_duration.with_label_values(&[name]),
        }))
    }
}

/// Takes all samples of `gauges` away that are of `cluster`, the value of the first of `labels`.
fn forget<const N: usize>(gauges: &IntGaugeVec, cluster: &str, labels: [&str; N]) {
    for metric in gauges.collect().iter().flat_map(MetricFamily::get_metric) {
        let value = |label| metric.get_label().iter().find(|pair| pair.name() == label).map(LabelPair::value);
        let values = labels.map(|label| value(label).unwrap_or_default());
        if values[0] == cluster {
            let _ = gauges.remove_label_values(&values);
        }
    }
}

/// What the followers and the writer of one cluster tell; of one that was forgotten, nobody reads it.
#[derive(Debug, Clone)]
pub struct ClusterMetrics(Arc<ClusterNumbers>);

#[derive(Debug)]
struct ClusterNumbers {
    name: String,
    synced: IntGauge,
    last_event: Gauge,
    /// In the order of [`ClusterError::ALL`].
    errors: [IntCounter; ClusterError::ALL.len()],
    objects: [(Kind, IntGauge); OBJECTS.len()],
    services: IntGaugeVec,
    service_reasons: IntGaugeVec,
    /// Services by the reasons that they have been counted under, which fall back to 0.
    counts: Mutex<BTreeMap<&'static str, usize>>,
    troubles: Troubles,
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
    pub(super) const ALL: [Self; 9] = [
        Self::Configuration,
        Self::Connection,
        Self::Forbidden,
        Self::Status,
        Self::Idle,
        Self::Expired,
        Self::Undecodable,
        Self::HeldList,
        Self::Manifest,
    ];

    pub(super) fn label(self) -> &'static str {
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
    /// The name of the cluster that these are the numbers of.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.0.name
    }

    /// Whether every kind has been listed in full.
    pub fn set_synced(&self, synced: bool) {
        self.0.synced.set(i64::from(synced));
    }

    /// Whether every kind has been listed in full.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.0.synced.get() != 0
    }

    /// A sign of life: an event, a bookmark or a complete list.
    pub fn event(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.0.last_event.set(now.as_secs_f64());
    }

    /// When the last sign of life was, if there was one: Unix seconds.
    #[must_use]
    pub fn last_event(&self) -> Option<f64> {
        Some(self.0.last_event.get()).filter(|seconds| *seconds > 0.0)
    }

    /// Counts an error.
    pub fn error(&self, error: ClusterError) {
        let counters = ClusterError::ALL.iter().zip(&self.0.errors);
        counters.filter(|(of, _)| **of == error).for_each(|(_, counter)| counter.inc());
    }

    /// A version of the cluster's zones was made and swapped in, in `took`.
    pub fn published(&self, took: Duration) {
        self.0.publish_duration.observe(took.as_secs_f64());
    }

    /// An event's way from its arrival to the swap that serves it.
    pub fn programmed(&self, took: Duration) {
        self.0.programming_duration.observe(took.as_secs_f64());
    }

    /// How many objects of each kind are known.
    pub fn set_objects(&self, count: impl Fn(Kind) -> usize) {
        for (kind, gauge) in &self.0.objects {
            gauge.set(i64::try_from(count(*kind)).unwrap_or(i64::MAX));
        }
    }

    /// How many Services are published and how many are not, by the reason's name (a closed set; empty for published).
    pub fn set_services(&self, counts: &[(&'static str, usize)]) {
        let mut known = self.0.counts.lock().unwrap_or_else(PoisonError::into_inner);
        known.values_mut().for_each(|count| *count = 0);
        for (reason, count) in counts {
            *known.entry(reason).or_default() += count;
        }
        for (reason, count) in known.iter() {
            let published = if reason.is_empty() { "true" } else { "false" };
            let services = self.0.services.with_label_values(&[self.0.name.as_str(), published, *reason]);
            services.set(i64::try_from(*count).unwrap_or(i64::MAX));
        }
    }

    /// What [`ClusterMetrics::set_services`] was told last; nothing: not yet.
    #[must_use]
    pub fn services(&self) -> BTreeMap<&'static str, usize> {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Something is wrong with this part of following the cluster, and in words what; none: not any more.
    pub fn set_trouble(&self, part: &str, trouble: Option<(ClusterError, String)>) {
        let trouble = trouble.map(|(error, sentence)| Trouble { part: part.to_owned(), error, sentence });
        self.0.troubles.set_cluster(&self.0.name, part, trouble);
    }

    /// What is wrong now.
    #[must_use]
    pub fn troubles(&self) -> Vec<Trouble> {
        self.0.troubles.cluster(&self.0.name)
    }

    /// For how many Services each reason holds, by the reason's name: all that there are, also those that hold for none.
    pub fn set_service_reasons(&self, counts: impl IntoIterator<Item = (&'static str, usize)>) {
        for (reason, count) in counts {
            let services = self.0.service_reasons.with_label_values(&[self.0.name.as_str(), reason]);
            services.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}
