//! What is being served: the one value that writers replace and readers load.

use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, Guard};
use hickory_proto::rr::Name;

use crate::nameserver::Served;
use crate::zone::State;

/// The value that all workers answer from.
#[derive(Debug)]
pub struct Published {
    current: ArcSwap<Served>,
    writers: Mutex<Vec<Arc<Served>>>,
}

impl Published {
    /// Starts with `served`.
    #[must_use]
    pub fn new(served: Served) -> Self {
        Self { current: ArcSwap::from_pointee(served), writers: Mutex::default() }
    }

    /// What is being served now: load for a batch, let go after it.
    #[must_use]
    pub fn load(&self) -> Guard<Arc<Served>> {
        self.current.load()
    }

    /// Puts all of `zones` in the place of those before in one swap.
    pub fn replace(&self, _zones: &[(Name, State)]) {
        let _ = &self.writers;
        todo!()
    }
}
