//! What is wrong at the moment, in words: the counters say that something was, and the log has told it once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hickory_proto::rr::Name;

use super::ClusterError;

/// What is wrong with a server now. What has been mended, or is not configured any more, is not in it.
#[derive(Debug, Clone, Default)]
pub struct Troubles(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    configuration: Option<String>,
    /// By the zones.
    files: BTreeMap<Name, String>,
    /// By their names.
    clusters: BTreeMap<String, Vec<Trouble>>,
}

/// What is wrong with a part of following a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The part: the objects that it concerns, or where these are read. No two of a cluster are of the same.
    pub part: String,
    /// What it is counted as.
    pub error: ClusterError,
    /// What it is.
    pub sentence: String,
}

impl Troubles {
    /// The configuration was not taken over, and why; none: it was.
    pub fn set_configuration(&self, sentence: Option<String>) {
        self.known().configuration = sentence;
    }

    /// Why the configuration was not taken over.
    #[must_use]
    pub fn configuration(&self) -> Option<String> {
        self.known().configuration.clone()
    }

    /// The master file of the zone at `apex` was not taken over, and why; none: it was.
    pub fn set_file(&self, apex: &Name, sentence: Option<String>) {
        match sentence {
            Some(sentence) => self.known().files.insert(apex.clone(), sentence),
            None => self.known().files.remove(apex),
        };
    }

    /// Why the master file of the zone at `apex` was not taken over.
    #[must_use]
    pub fn file(&self, apex: &Name) -> Option<String> {
        self.known().files.get(apex).cloned()
    }

    pub(super) fn set_cluster(&self, name: &str, part: &str, trouble: Option<Trouble>) {
        let mut known = self.known();
        let of_it = known.clusters.entry(name.to_owned()).or_default();
        of_it.retain(|other| other.part != part);
        of_it.extend(trouble);
        of_it.sort_by(|one, other| one.part.cmp(&other.part));
    }

    pub(super) fn cluster(&self, name: &str) -> Vec<Trouble> {
        self.known().clusters.get(name).cloned().unwrap_or_default()
    }

    pub(super) fn forget_cluster(&self, name: &str) {
        self.known().clusters.remove(name);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
