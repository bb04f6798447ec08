//! What is being served: the one value that writers replace and readers load.

mod history;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};
use hickory_proto::rr::Name;

pub use history::{History, Version};

use crate::nameserver::Served;
use crate::zone::{State, Zone};

/// The value that all workers answer from.
///
/// Readers never wait: they load the current version and answer from it even
/// while the next takes its place. Writers take turns, so that two clusters
/// cannot lose each other's zones.
#[derive(Debug)]
pub struct Published {
    current: ArcSwap<Served>,
    /// Held while writing: versions that were replaced and that a reader may still hold.
    replaced: Mutex<Vec<Arc<Served>>>,
    history: History,
}

impl Published {
    /// Starts with `served`.
    #[must_use]
    pub fn new(served: Served) -> Self {
        Self { current: ArcSwap::from_pointee(served), replaced: Mutex::default(), history: History::default() }
    }

    /// What is being served now: load it for a batch, and let go of it after the batch.
    #[must_use]
    pub fn load(&self) -> Guard<Arc<Served>> {
        self.current.load()
    }

    /// What changed of late.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Puts all of `zones` in the place of those before in one swap.
    pub fn replace(&self, zones: impl IntoIterator<Item = (Name, State)>) {
        let zones: Vec<_> = zones.into_iter().collect();
        let apexes: Vec<_> = zones.iter().map(|(apex, _)| apex.clone()).collect();
        let set = |served: &mut Served| zones.into_iter().for_each(|(apex, state)| served.zones.set(&apex, state));
        self.swap(set, |_, _| apexes);
    }

    /// Puts a changed copy in the place of what is served in one swap. Other writers wait meanwhile; readers never.
    pub fn change(&self, change: impl FnOnce(&mut Served)) {
        let all = |served: &Served| served.zones.iter().map(|(_, apex, _)| apex.clone()).collect::<BTreeSet<_>>();
        self.swap(change, |before, after| &all(before) | &all(after));
    }

    /// To take a large version apart costs milliseconds, and is done here,
    /// never on a query's thread: at once, or, while a reader still holds it,
    /// by the next replacement. So at most one version more than is being read
    /// stays in memory.
    fn swap<A: IntoIterator<Item = Name>>(
        &self,
        change: impl FnOnce(&mut Served),
        changed: impl FnOnce(&Served, &Served) -> A,
    ) {
        let mut replaced = self.replaced.lock().unwrap_or_else(PoisonError::into_inner);
        let mut served = Served::clone(&self.current.load());
        change(&mut served);
        let served = Arc::new(served);
        let before = self.current.swap(Arc::clone(&served));
        let versions = changed(&before, &served).into_iter().map(|apex| {
            let [old, new] = [&before, &served].map(|served| served.zones.get(&apex).and_then(version));
            (apex, old, new)
        });
        let versions: Vec<_> = versions.collect();
        drop(served);
        replaced.push(before);
        replaced.retain(|version| Arc::strong_count(version) > 1);
        drop(replaced);
        // What is told of it can wait until it is served, and nobody waits for that.
        for (apex, old, new) in versions {
            self.history.note(&apex, old.as_ref(), new.as_ref());
        }
        self.history.count();
    }
}

/// What a zone says, or would.
fn version(state: &State) -> Option<Arc<Zone>> {
    match state {
        State::Pending => None,
        State::Loaded(zone) | State::Expired(zone) => Some(Arc::clone(zone)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_version_is_kept_for_its_readers_and_freed_by_a_writer() {
        let published = Published::new(Served::default());
        let reader = published.load();
        let version = Arc::downgrade(&reader);
        published.replace([(Name::root(), State::Pending)]);
        assert_eq!(reader.zones.iter().count(), 0);
        assert_eq!(published.load().zones.iter().count(), 1);

        drop(reader);
        assert!(version.upgrade().is_some(), "the last reader frees nothing");
        published.replace([]);
        assert!(version.upgrade().is_none());
    }
}
