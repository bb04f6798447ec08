//! What is not kept as a sample but read when somebody asks: the workers'
//! counters, and the zones served.

use std::collections::{BTreeMap, HashMap};
use std::iter;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_proto::rr::Name;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use super::{WorkerMetrics, Workers, as_float, worker};
use crate::delegation::Code;
use crate::published::Published;
use crate::zone::{State, rtype_to_text};

/// Puts them together.
#[derive(Debug, Clone)]
pub(super) struct AtScrape {
    workers: Arc<Workers>,
    published: Arc<Published>,
    /// What is wrong with the delegations that were verified, if anything is: by the zones, of which some may be gone.
    delegations: Arc<Mutex<BTreeMap<Name, Option<Code>>>>,
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

const BYTES: Family = Family {
    name: "kubezone_zone_bytes",
    help: "Memory that the zone takes.",
    labels: &["zone"],
    kind: MetricType::GAUGE,
};

const DELEGATION: Family = Family {
    name: "kubezone_delegation_ok",
    help: "Whether resolvers find the zone, or for which reason they do not; of zones that were verified.",
    labels: &["zone", "reason"],
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
    pub(super) fn new(workers: Arc<Workers>, published: Arc<Published>) -> Self {
        let families = [REQUESTS, RESPONSES, DURATION, LOADED, SERIAL, RECORDS, BYTES, DELEGATION];
        let descriptions = families.iter().map(Family::description).collect();
        Self { workers, published, delegations: Arc::default(), descriptions }
    }

    /// How many responses were made, by their RCODEs, whatever the zone.
    pub(super) fn responses(&self) -> BTreeMap<&'static str, u64> {
        let workers = self.workers();
        let served = self.published.load();
        let slots = iter::once(None).chain(served.zones.iter().map(|(slot, _, _)| Some(slot)));
        let mut responses = BTreeMap::new();
        for slot in slots {
            for (rcode, count) in worker::sum(&workers, slot).responses() {
                *responses.entry(rcode).or_default() += count;
            }
        }
        responses
    }

    /// How many responses took how long, by upper bounds.
    pub(super) fn durations(&self) -> Vec<(Option<Duration>, u64)> {
        worker::counts(&self.workers())
    }

    /// What is wrong with a delegation, if anything is; what was known of it before.
    pub(super) fn set_delegation(&self, zone: &Name, wrong: Option<Code>) -> Option<Option<Code>> {
        let served = self.published.load();
        let mut known = self.delegations();
        known.retain(|zone, _| served.zones.get(zone).is_some());
        known.insert(zone.clone(), wrong)
    }

    /// What is wrong with delegations, as far as it is known.
    pub(super) fn delegations(&self) -> MutexGuard<'_, BTreeMap<Name, Option<Code>>> {
        self.delegations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn workers(&self) -> Vec<Arc<WorkerMetrics>> {
        self.workers.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What became of requests.
    fn traffic(&self) -> [MetricFamily; 3] {
        let workers = self.workers();
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
    fn zones(&self) -> [MetricFamily; 5] {
        let served = self.published.load();
        let (mut loaded, mut serials, mut records, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut delegations = Vec::new();
        for (_, apex, state) in served.zones.iter() {
            let wrong = self.delegations().get(apex).copied();
            let apex = apex.to_string();
            delegations.extend(wrong.map(|code| {
                let reason = code.map(|code| code.to_string()).unwrap_or_default();
                DELEGATION.gauge(&[&apex, &reason], f64::from(u8::from(code.is_none())))
            }));
            let (is_loaded, zone) = match state {
                State::Pending => (false, None),
                State::Loaded(zone) => (true, Some(zone)),
                State::Expired(zone) => (false, Some(zone)),
            };
            loaded.push(LOADED.gauge(&[&apex], f64::from(u8::from(is_loaded))));
            let Some(zone) = zone else { continue };
            serials.push(SERIAL.gauge(&[&apex], f64::from(zone.serial().0)));
            bytes.push(BYTES.gauge(&[&apex], as_float(zone.octets() as u64)));
            // Whatever types a zone has: its operator chose them.
            let by_type = zone
                .census()
                .into_iter()
                .map(|(rtype, count)| RECORDS.gauge(&[&apex, &rtype_to_text(rtype)], as_float(count as u64)));
            records.extend(by_type);
        }
        [LOADED.of(loaded), SERIAL.of(serials), RECORDS.of(records), BYTES.of(bytes), DELEGATION.of(delegations)]
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
