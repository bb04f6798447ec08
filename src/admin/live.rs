//! What changes from moment to moment, for those who look: rates, and that there is something new.
//!
//! Nothing is sampled while nobody listens. While somebody does, one task
//! samples for all, twice a second: however often zones change, a page hears of
//! it no more often than that.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::response::sse::Event;
use futures::{Stream, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::api::{Api, absolute};
use super::page;

/// How often it is looked whether there is something new.
const TICK: Duration = Duration::from_millis(500);

/// So many ticks are between two samples of the rates, and between two signs that a page has grown old: it tells ages.
const TICKS_OF_RATES: u64 = 2;
const TICKS_OF_AGES: u64 = 20;

/// How many samples are remembered: a minute.
const SAMPLES: usize = 60;

/// How many may listen at a time: they take up connections that others need.
const LISTENERS: usize = 8;

/// How long one may listen: the stream ends before its connection does, and a browser comes back.
const SPELL: Duration = Duration::from_secs(50);

/// What is answered at the moment: over the last second or so.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rates {
    /// Over how many seconds it was counted.
    pub seconds: f64,
    /// Responses a second, by their RCODEs; none there: none was made.
    pub responses: BTreeMap<String, f64>,
    /// How long responses took to make.
    pub latency: Latency,
}

/// How long responses took to make, in seconds, estimated from a histogram; none where there was none, or where they took
/// longer than the histogram tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// Half of them took no longer.
    pub p50: Option<f64>,
    /// Nine of ten took no longer.
    pub p90: Option<f64>,
    /// All but one of a hundred took no longer.
    pub p99: Option<f64>,
}

/// What listeners learn.
#[derive(Debug, Clone, Default)]
pub(super) struct Beat {
    /// Another number than before: there is something new.
    news: u64,
    /// The last rates, and how many responses a second there were in the samples before; none: not yet.
    pub(super) rates: Option<Arc<(Rates, VecDeque<f64>)>>,
}

/// Where one listens.
#[derive(Debug)]
pub(super) struct Live {
    beat: watch::Sender<Beat>,
    /// Whether somebody samples.
    sampling: Mutex<bool>,
    listeners: Arc<Semaphore>,
}

/// What the server has counted until a moment.
struct Counted {
    at: Instant,
    responses: BTreeMap<&'static str, u64>,
    durations: Vec<(Option<Duration>, u64)>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            beat: watch::Sender::default(),
            sampling: Mutex::default(),
            listeners: Arc::new(Semaphore::new(LISTENERS)),
        }
    }
}

impl Live {
    /// What was sampled last, if somebody listens.
    pub(super) fn now(&self) -> Beat {
        if self.beat.receiver_count() == 0 { Beat::default() } else { self.beat.borrow().clone() }
    }

    /// A place among the listeners; none: there are too many.
    pub(super) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.listeners).try_acquire_owned().ok()
    }
}

/// Has `api` sampled from now on, until the receiver is dropped.
pub(super) fn listen(api: &Arc<Api>) -> watch::Receiver<Beat> {
    let mut sampling = api.live.sampling.lock().unwrap_or_else(PoisonError::into_inner);
    let receiver = api.live.beat.subscribe();
    if !*sampling {
        *sampling = true;
        api.live.beat.send_replace(Beat::default());
        tokio::spawn(sample(Arc::clone(api)));
    }
    receiver
}

/// The rates of the next second.
pub(super) async fn rates(api: &Arc<Api>) -> Rates {
    let mut beats = listen(api);
    let beat = beats.wait_for(|beat| beat.rates.is_some()).await.expect("it is not dropped before the API");
    beat.rates.as_deref().map(|(rates, _)| rates.clone()).unwrap_or_default()
}

/// Samples until nobody listens.
async fn sample(api: Arc<Api>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first is at once.
    ticks.tick().await;
    let (mut counted, mut state, mut samples) = (count(&api), state(&api), VecDeque::with_capacity(SAMPLES));
    for tick in 1.. {
        ticks.tick().await;
        {
            let mut sampling = api.live.sampling.lock().unwrap_or_else(PoisonError::into_inner);
            if api.live.beat.receiver_count() == 0 {
                *sampling = false;
                return;
            }
        }
        let now = self::state(&api);
        let is_news = now != state || tick % TICKS_OF_AGES == 0;
        state = now;
        let rates = (tick % TICKS_OF_RATES == 0).then(|| {
            let before = std::mem::replace(&mut counted, count(&api));
            let rates = between(&before, &counted);
            if samples.len() == SAMPLES {
                samples.pop_front();
            }
            samples.push_back(rates.responses.values().sum::<f64>());
            Arc::new((rates, samples.clone()))
        });
        if is_news || rates.is_some() {
            api.live.beat.send_modify(|beat| {
                beat.news += u64::from(is_news);
                beat.rates = rates.or(beat.rates.take());
            });
        }
    }
}

/// What a page would show otherwise if this is another number, ages and rates aside.
fn state(api: &Api) -> u64 {
    let mut hasher = DefaultHasher::new();
    api.changes().hash(&mut hasher);
    let server = api.server();
    (server.ready, server.readiness, server.error).hash(&mut hasher);
    for cluster in api.clusters() {
        (cluster.synced, cluster.published, cluster.withheld).hash(&mut hasher);
        cluster.errors.iter().for_each(|problem| (&problem.parts, &problem.error).hash(&mut hasher));
    }
    for zone in api.zones() {
        let verified = absolute(&zone.zone).ok().and_then(|apex| api.verified(&apex));
        (zone.state, zone.error, verified.map(|verified| verified.time.clone())).hash(&mut hasher);
    }
    hasher.finish()
}

fn count(api: &Api) -> Counted {
    Counted { at: Instant::now(), responses: api.metrics().responses(), durations: api.metrics().durations() }
}

/// What came between two moments.
fn between(before: &Counted, after: &Counted) -> Rates {
    let seconds = (after.at - before.at).as_secs_f64();
    let responses = after.responses.iter().filter_map(|(rcode, count)| {
        let more = count.saturating_sub(before.responses.get(rcode).copied().unwrap_or_default());
        (more > 0).then(|| ((*rcode).to_owned(), as_float(more) / seconds))
    });
    let durations = after.durations.iter().zip(&before.durations);
    let durations: Vec<_> =
        durations.map(|((bound, after), (_, before))| (*bound, after.saturating_sub(*before))).collect();
    Rates { seconds, responses: responses.collect(), latency: latency(&durations) }
}

/// What counts of durations by their upper bounds tell.
pub(super) fn latency(durations: &[(Option<Duration>, u64)]) -> Latency {
    let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|part| quantile(durations, part));
    Latency { p50, p90, p99 }
}

/// Seconds that `part` of all took no longer than: as if durations were spread evenly in each bucket.
fn quantile(durations: &[(Option<Duration>, u64)], part: f64) -> Option<f64> {
    let all: u64 = durations.iter().map(|(_, count)| count).sum();
    if all == 0 {
        return None;
    }
    let (wanted, mut below, mut lower) = (as_float(all) * part, 0.0, 0.0);
    for (bound, count) in durations {
        let (upper, count) = ((*bound)?.as_secs_f64(), as_float(*count));
        if below + count >= wanted {
            return Some(lower + (upper - lower) * (wanted - below) / count);
        }
        (below, lower) = (below + count, upper);
    }
    None
}

#[expect(clippy::cast_precision_loss, reason = "nobody counts so far")]
fn as_float(count: u64) -> f64 {
    count as f64
}

/// What a browser is sent: `news` when a page that it shows may have changed, `rates` once a second, as a part of the page.
pub(super) fn events(
    api: &Arc<Api>,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Event, Infallible>> + use<> {
    let listening =
        Listening { beats: listen(api), heard: Beat::default(), until: Instant::now() + SPELL, _place: place };
    let hello = Event::default().event("hello").retry(Duration::from_secs(1)).data("listening");
    let hello = stream::once(std::future::ready(Ok(hello)));
    futures::StreamExt::chain(
        hello,
        stream::unfold(listening, |mut listening| async {
            let event = listening.next().await?;
            Some((Ok(event), listening))
        }),
    )
}

/// A browser that listens.
struct Listening {
    beats: watch::Receiver<Beat>,
    heard: Beat,
    until: Instant,
    _place: OwnedSemaphorePermit,
}

impl Listening {
    async fn next(&mut self) -> Option<Event> {
        loop {
            let beat = self.beats.borrow_and_update().clone();
            if beat.news != self.heard.news {
                self.heard.news = beat.news;
                return Some(Event::default().event("news").data(beat.news.to_string()));
            }
            let is_other = match (&beat.rates, &self.heard.rates) {
                (Some(new), Some(heard)) => !Arc::ptr_eq(new, heard),
                (new, _) => new.is_some(),
            };
            if is_other {
                self.heard.rates = beat.rates;
                let (rates, samples) = self.heard.rates.as_deref()?;
                return Some(Event::default().event("rates").data(page::rates(rates, samples).into_string()));
            }
            tokio::select! {
                changed = self.beats.changed() => changed.ok()?,
                () = sleep_until(self.until) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(counts: &[(u64, u64)], longer: u64) -> Vec<(Option<Duration>, u64)> {
        let bounded = counts.iter().map(|(bound, count)| (Some(Duration::from_micros(*bound)), *count));
        bounded.chain([(None, longer)]).collect()
    }

    #[test]
    fn quantiles_are_read_from_buckets() {
        assert_eq!(latency(&micros(&[(1, 0), (2, 0)], 0)), Latency::default());
        let near = |seconds: Option<f64>, expected: f64| {
            assert!(seconds.is_some_and(|seconds| (seconds - expected).abs() < 1e-12), "{seconds:?} {expected}");
        };
        let Latency { p50, p90, p99 } = latency(&micros(&[(1, 50), (2, 40), (10, 10)], 0));
        near(p50, 1e-6);
        near(p90, 2e-6);
        near(p99, 9.2e-6);
        let Latency { p50, p99, .. } = latency(&micros(&[(1, 90)], 10));
        near(p50, 0.5 / 0.9 * 1e-6);
        assert_eq!(p99, None, "longer than any bucket tells");
    }

    #[test]
    fn rates_are_what_came_between() {
        let at = Instant::now();
        let before =
            Counted { at, responses: [("NOERROR", 10), ("REFUSED", 3)].into(), durations: micros(&[(1, 13)], 0) };
        let after = Counted {
            at: at + Duration::from_secs(2),
            responses: [("NOERROR", 30), ("NXDOMAIN", 1), ("REFUSED", 3)].into(),
            durations: micros(&[(1, 34)], 0),
        };
        let rates = between(&before, &after);
        let expected = [("NOERROR", 10.0), ("NXDOMAIN", 0.5)].map(|(rcode, rate)| (rcode.to_owned(), rate));
        assert_eq!((rates.seconds, rates.responses), (2.0, expected.into()));
    }
}
