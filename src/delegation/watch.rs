//! The continuous watch: whether resolvers find their way to zones, looked at again and again.
//!
//! One zone at a time, each about an interval after the last look at it and none at a set hour, so that a fleet of servers does
//! not ask all at once. How much is asked for one look, the walk bounds.

use std::collections::BTreeMap;
use std::time::Duration;

use hickory_proto::rr::{Name, RecordType};
use tokio::time::{Instant, sleep_until};

use super::{Delegation, Finding, Severity, State, Trace, World, walk};

/// How long until a zone that is new is looked at, at most; and how soon it is seen that there is one.
const SOON: Duration = Duration::from_secs(5);

/// By how much of itself an interval is longer or shorter.
const JITTER: f64 = 0.1;

/// What came of looking at a zone's delegation from the root down, once.
#[derive(Debug, Clone)]
pub struct Look {
    /// The zone.
    pub zone: Name,
    /// What is to be mended, the worst first; nothing: resolvers find their way. What is wrong above the zone is here where it
    /// keeps them from it.
    pub findings: Vec<Finding>,
    /// The way there.
    pub trace: Trace,
}

impl Look {
    /// Looks whether the delegation is as `expected`, and leads there.
    pub async fn at(world: World, expected: &Delegation) -> Self {
        let Delegation { zone, .. } = expected;
        let trace = Trace::held_to(&walk(world, zone, RecordType::SOA).await, expected);
        // No others are in it than those of the zone itself.
        let stops = trace.legs.iter().flat_map(|leg| &leg.zones);
        let to_mend = stops.flat_map(|stop| &stop.findings).filter(|finding| finding.severity < Severity::Note);
        let mut findings: Vec<_> = to_mend.cloned().collect();
        if findings.first().is_none_or(|finding| finding.severity != Severity::Broken) {
            findings.splice(0..0, lost(zone, &trace));
        }
        Self { zone: zone.clone(), findings, trace }
    }
}

/// That the walk did not find its way.
fn lost(zone: &Name, trace: &Trace) -> Option<Finding> {
    let verdict = &trace.verdict;
    let (code, side) = (verdict.code?, verdict.side?);
    matches!(verdict.state, State::Broken | State::Unseen).then(|| Finding {
        code,
        side,
        severity: Severity::Broken,
        zone: zone.to_string(),
        subject: zone.to_string(),
        message: verdict.sentence.clone(),
        fix: format!("See `kubezone trace {zone} SOA`."),
        remembered: None,
    })
}

/// Looks at all that should be delegated, as `expected` says at the time, and tells what was seen; again and again, and for
/// ever. A look at a zone is `interval` after the one before, give or take a tenth; what is new has its turn within seconds.
pub async fn watch(world: World, interval: Duration, expected: impl Fn() -> Vec<Delegation>, tell: impl Fn(Look)) {
    let mut due: BTreeMap<Name, Instant> = BTreeMap::new();
    loop {
        let now = Instant::now();
        let zones = expected();
        let when = |zone: &Name| due.get(zone).copied().unwrap_or_else(|| now + SOON.mul_f64(fastrand::f64()));
        due = zones.iter().map(|delegation| (delegation.zone.clone(), when(&delegation.zone))).collect();
        let Some(next) = zones.iter().min_by_key(|delegation| due[&delegation.zone]) else {
            sleep_until(now + SOON).await;
            continue;
        };
        if now < due[&next.zone] {
            sleep_until(due[&next.zone].min(now + SOON)).await;
            continue;
        }
        tell(Look::at(world.clone(), next).await);
        let jitter = 1.0 - JITTER + 2.0 * JITTER * fastrand::f64();
        due.insert(next.zone.clone(), Instant::now() + interval.mul_f64(jitter));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::time::timeout;

    use super::*;
    use crate::delegation::{Code, Side};

    fn delegation(zone: &str) -> Delegation {
        let zone = Name::from_ascii(zone).expect("a name");
        Delegation { zone, servers: Vec::new(), ttl: 0, glue_ttl: 0, ds: Vec::new() }
    }

    /// One in which there is nobody to ask.
    fn nowhere() -> World {
        World::rooted(Vec::new())
    }

    #[tokio::test(start_paused = true)]
    async fn each_zone_is_looked_at_about_once_in_an_interval() {
        let (hour, minute) = (Duration::from_secs(3600), Duration::from_secs(60));
        let (start, looks) = (Instant::now(), RefCell::new(BTreeMap::<Name, Vec<Instant>>::new()));
        // The second zone is there in the second hour alone.
        let zones = || match start.elapsed() {
            late if late < hour || late >= 2 * hour => vec![delegation("a.")],
            _ => vec![delegation("a."), delegation("b.")],
        };
        let tell = |look: Look| looks.borrow_mut().entry(look.zone).or_default().push(Instant::now());
        timeout(3 * hour, watch(nowhere(), 10 * minute, zones, tell)).await.expect_err("it goes on for ever");

        let looks = looks.into_inner();
        let [a, b] = ["a.", "b."].map(|zone| &looks[&Name::from_ascii(zone).expect("a name")]);
        assert!(a[0] - start <= 2 * SOON, "{a:?}");
        assert!(b[0] - start >= hour && b[0] - start <= hour + 2 * SOON, "{b:?}");
        assert!(b.last().expect("one") <= &(start + 2 * hour), "{b:?}");
        for times in [a, b] {
            for pair in times.windows(2) {
                let between = pair[1] - pair[0];
                assert!(between >= 9 * minute && between <= 11 * minute + SOON, "{times:?}");
            }
        }
        assert!((16..=20).contains(&a.len()) && (5..=7).contains(&b.len()), "{a:?} {b:?}");
    }

    #[tokio::test]
    async fn what_cannot_be_seen_is_not_right() {
        let look = Look::at(nowhere(), &delegation("c2.k8s.ooo.")).await;
        let said: Vec<_> = look.findings.iter().map(|finding| (finding.code, finding.side)).collect();
        assert_eq!(said, [(Code::RootSilent, Side::Here)]);
    }
}
