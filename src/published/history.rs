//! What changed of late: of each zone, the versions that were published last, in short.
//!
//! It is told by those who publish, once what they publish is served. What it
//! keeps is bounded for each zone, however much changes; the versions
//! themselves are not kept.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use hickory_proto::rr::Name;

use crate::zone::{Difference, Serial, Zone};

/// How many versions of a zone are remembered.
const VERSIONS: usize = 50;

/// How many of the names at which a version differs from the one before it are remembered.
const NAMES: usize = 8;

/// A version of a zone that was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// When.
    pub at: SystemTime,
    /// Its serial.
    pub serial: Serial,
    /// What is different from the version before it; of the first one, everything.
    pub difference: Difference,
}

/// The last versions of all zones.
#[derive(Debug, Default)]
pub struct History {
    zones: Mutex<BTreeMap<Name, VecDeque<Version>>>,
    /// How often anything was published.
    changes: AtomicU64,
}

impl History {
    /// The last versions of the zone at `apex`, the newest first.
    #[must_use]
    pub fn of(&self, apex: &Name) -> Vec<Version> {
        self.zones().get(apex).into_iter().flatten().rev().cloned().collect()
    }

    /// How often anything was published; another number than before says that something was.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Something was published.
    pub(super) fn count(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// At `apex`, `new` has taken the place of `old`.
    pub(super) fn note(&self, apex: &Name, old: Option<&Arc<Zone>>, new: Option<&Arc<Zone>>) {
        let Some(new) = new else {
            self.zones().remove(apex);
            return;
        };
        let difference = match old {
            // It became too old, or is not any more.
            Some(old) if Arc::ptr_eq(old, new) => return,
            Some(old) => Difference::between(old, new, NAMES),
            None => Difference::all_of(new),
        };
        let version = Version { at: SystemTime::now(), serial: new.serial(), difference };
        let mut zones = self.zones();
        let versions = zones.entry(apex.clone()).or_default();
        if versions.len() == VERSIONS {
            versions.pop_front();
        }
        versions.push_back(version);
    }

    fn zones(&self) -> MutexGuard<'_, BTreeMap<Name, VecDeque<Version>>> {
        self.zones.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::master;

    fn zone(serial: u32, records: &str) -> Arc<Zone> {
        let apex = Name::from_ascii("k8s.ooo.").expect("a name");
        let text = format!("$TTL 5\n@ SOA ns.example. . {serial} 1 1 1 1\n@ NS ns.example.\n{records}\n");
        let records = master::parse(text.as_bytes(), &apex, None).expect("a master file");
        Arc::new(Zone::build(&apex, records).expect("a zone").0)
    }

    #[test]
    fn so_much_is_remembered_and_no_more() {
        let (history, apex) = (History::default(), Name::from_ascii("k8s.ooo.").expect("a name"));
        let mut before = None;
        for serial in 1..=60 {
            let records: String = (0..serial).map(|host| format!("h{host} A 192.0.2.1\n")).collect();
            let next = zone(serial, &records);
            history.note(&apex, before.as_ref(), Some(&next));
            before = Some(next);
        }
        let versions = history.of(&apex);
        assert_eq!((versions.len(), versions[0].serial), (VERSIONS, Serial(60)));
        assert_eq!((versions[0].difference.added, versions[0].difference.removed), (1, 0));
        assert_eq!(versions[0].difference.names, [Name::from_ascii("h59.k8s.ooo.").expect("a name")]);

        history.note(&apex, before.as_ref(), Some(&zone(61, "")));
        let newest = &history.of(&apex)[0].difference;
        assert_eq!((newest.names.len(), newest.more, newest.removed), (NAMES, 60 - NAMES, 60));
    }

    #[test]
    fn what_is_no_other_version_is_none() {
        let (history, apex) = (History::default(), Name::from_ascii("k8s.ooo.").expect("a name"));
        let first = zone(1, "");
        history.note(&apex, None, Some(&first));
        history.note(&apex, Some(&first), Some(&first));
        assert_eq!(history.of(&apex).len(), 1);
        history.note(&apex, Some(&first), None);
        assert_eq!(history.of(&apex), []);
    }
}
