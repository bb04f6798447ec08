//! What is being served: the one value that writers replace and readers load.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};
use hickory_proto::rr::Name;

use crate::nameserver::Served;
use crate::zone::State;

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
}

impl Published {
    /// Starts with `served`.
    #[must_use]
    pub fn new(served: Served) -> Self {
        Self { current: ArcSwap::from_pointee(served), replaced: Mutex::default() }
    }

    /// What is being served now: load it for a batch, and let go of it after the batch.
    #[must_use]
    pub fn load(&self) -> Guard<Arc<Served>> {
        self.current.load()
    }

    /// Puts all of `zones` in the place of those before in one swap.
    pub fn replace(&self, zones: impl IntoIterator<Item = (Name, State)>) {
        self.change(|served| {
            for (apex, state) in zones {
                served.zones.set(&apex, state);
            }
        });
    }

    /// Puts a changed copy in the place of what is served in one swap. Other writers wait meanwhile; readers never.
    ///
    /// To take a large version apart costs milliseconds, and is done here,
    /// never on a query's thread: at once, or, while a reader still holds it,
    /// by the next replacement. So at most one version more than is being read
    /// stays in memory.
    pub fn change(&self, change: impl FnOnce(&mut Served)) {
        let mut replaced = self.replaced.lock().unwrap_or_else(PoisonError::into_inner);
        let mut served = Served::clone(&self.current.load());
        change(&mut served);
        replaced.push(self.current.swap(Arc::new(served)));
        replaced.retain(|version| Arc::strong_count(version) > 1);
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
