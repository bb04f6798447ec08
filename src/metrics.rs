//! The numbers and their names. (skeleton: bodies follow)

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::nameserver::{Outcome, Transport};
use crate::published::Published;

/// Every number of one server, and the registry they are scraped from.
#[derive(Debug)]
pub struct Metrics {
    _private: (),
}

impl Metrics {
    /// The numbers of a server that answers from `published`; zones' serials and records are read from it at scrape.
    #[must_use]
    pub fn new(_published: Arc<Published>) -> Arc<Self> {
        todo!()
    }

    /// Counters for one worker: written by it alone, summed at scrape.
    #[must_use]
    pub fn worker(&self) -> Arc<WorkerMetrics> {
        todo!()
    }

    /// The numbers of the cluster called `name` in the configuration.
    #[must_use]
    pub fn cluster(&self, _name: &str) -> ClusterMetrics {
        todo!()
    }

    /// The exposition text.
    #[must_use]
    pub fn text(&self) -> String {
        todo!()
    }
}

/// What one worker counts; no lock, no allocation.
#[derive(Debug)]
pub struct WorkerMetrics {
    _private: (),
}

impl WorkerMetrics {
    /// Counts one request and what became of it.
    pub fn count(&self, _outcome: &Outcome, _transport: Transport, _peer: IpAddr, _took: Duration) {}
}

/// What the follower of one cluster tells.
#[derive(Debug, Clone, Default)]
pub struct ClusterMetrics {
    _private: (),
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

impl ClusterMetrics {
    /// Whether every kind has been listed in full.
    pub fn set_synced(&self, _synced: bool) {}
    /// A sign of life: an event, a bookmark or a complete list.
    pub fn event(&self) {}
    /// Counts an error.
    pub fn error(&self, _error: ClusterError) {}
    /// A version of the cluster's zones was made and swapped in, in `took`.
    pub fn published(&self, _took: Duration) {}
    /// An event's way from its arrival to the swap that serves it.
    pub fn programmed(&self, _took: Duration) {}
    /// How many Services are published and how many are not, by the reason's name (a closed set; empty for published).
    pub fn set_services(&self, _counts: &[(&'static str, usize)]) {}
}
