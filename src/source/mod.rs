//! Sources: follow a Kubernetes API, a folder of manifests or master files, and
//! publish the zones that they imply.
//!
//! [`follow`] is one cluster: for each collection of objects a follower that lists
//! and watches (or one that reads manifests), and one writer, joined by a channel of
//! [`Event`]s. Followers know the API and no zone; the writer knows what the
//! cluster says, and not who said it. Objects are translated in between, at the
//! door: no Kubernetes type gets further. [`files`] needs none of this: zones
//! stand in master files as they are.

mod api;
mod event;
pub mod files;
mod inspect;
pub mod load;
#[cfg(test)]
mod log;
pub mod manifests;
mod proposal;
mod reverse;
#[cfg(test)]
mod tables;
mod translate;
mod watch;
mod writer;

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet, spawn_blocking};

pub use self::api::{Probe, ProbeError, Verb};
pub use self::event::Event;
pub use self::inspect::{InspectError, Inspector, Looks, View, inspector};
use self::proposal::Preparation;
pub use self::proposal::{PrepareError, Prepared, Proposal, Proposals, Versions, propose};
pub use self::reverse::{AddressBook, Told};
pub use self::watch::{RESCAN, Rescans, Watch};
use self::writer::Relist;
use crate::cluster;
use crate::config::{Access, Cluster};
use crate::metrics::ClusterMetrics;
use crate::schema::ClusterZone;

/// What a cluster's source is asked while it runs.
#[derive(Debug)]
pub struct Requests {
    /// To have other zones.
    pub proposals: Proposals<ClusterZone>,
    /// What it knows.
    pub looks: Looks,
}

/// How many events followers may be ahead of the writer.
const AHEAD: usize = 1024;

/// Follows `cluster` and keeps its zones up to date in what `book` publishes, until it is agreed that it has none, or the
/// future is dropped. What is published at its zones' names when it begins is served on until the cluster is synced.
///
/// Nothing that the cluster does ends it. While there is no configuration that
/// can be used, no connection or no permission, it tries again and again, and
/// what has been published stays.
///
/// # Panics
///
/// When a part of it does: a cluster that is no longer followed must not look like one that is quiet.
pub async fn follow(
    cluster: &mut Cluster,
    requests: &mut Requests,
    book: Arc<AddressBook>,
    metrics: ClusterMetrics,
    rescans: &Rescans,
) {
    let name: Arc<str> = cluster.name.as_str().into();
    let (sender, events) = mpsc::channel(AHEAD);
    let mut relist = Relist::default();
    let mut parts = JoinSet::new();
    let known = match &cluster.access {
        Access::Manifests(folder) => {
            let watch = Watch::new([folder]).asked_by(rescans);
            parts.spawn(manifests::follow(name, folder.clone(), watch, sender, metrics.clone()));
            cluster::Cluster::default()
        }
        api => {
            let access = api::Access::from(api);
            let known = cluster::Cluster::from_api().only_in(cluster.namespaces.iter().cloned());
            relist = known.collections(cluster.watches_pods()).into_iter().collect();
            for (collection, asked) in relist.iter() {
                let follower = api::Follower::new(
                    Arc::clone(&name),
                    collection.clone(),
                    access.clone(),
                    sender.clone(),
                    Arc::clone(asked),
                    metrics.clone(),
                    api::Pace::default(),
                );
                parts.spawn(follower.run());
            }
            let watch = Watch::new(access.files()).asked_by(rescans);
            parts.spawn(api::watch_configuration(access, watch, relist.clone()));
            // Reports join Pods with the endpoints that lead to them.
            if cluster.watches_pods() { known } else { known.counting() }
        }
    };
    let writing = writer::write(known, cluster, requests, events, relist, book, metrics);
    tokio::select! {
        () = writing => {}
        () = first_panic(&mut parts) => {}
    }
}

/// Writes the zones of `cluster` as [`follow`] does, from what somebody else tells of an API; nobody is asked to list again.
///
/// It is for those who measure it: it ends when the last sender of `events` is gone.
pub async fn write(
    cluster: &mut Cluster,
    requests: &mut Requests,
    events: mpsc::Receiver<Event>,
    book: Arc<AddressBook>,
    metrics: ClusterMetrics,
) {
    writer::write(cluster::Cluster::from_api(), cluster, requests, events, Relist::default(), book, metrics).await;
}

/// Waits for the first of `parts` to panic, and does so, too.
async fn first_panic(parts: &mut JoinSet<()>) {
    while let Some(ended) = parts.join_next().await {
        if let Err(Ok(panic)) = ended.map_err(JoinError::try_into_panic) {
            std::panic::resume_unwind(panic);
        }
    }
    std::future::pending::<()>().await;
}

/// Whether there is something at `access` that could be followed: a kubeconfig with the context, a folder.
///
/// # Errors
///
/// What is missing, or wrong with it.
pub async fn check(access: &Access) -> Result<(), AccessError> {
    match access {
        Access::Manifests(folder) => match folder.metadata() {
            Ok(_) => Ok(()),
            Err(source) => Err(AccessError::Manifests { path: folder.clone(), source }),
        },
        api => api::Access::from(api).check().await.map_err(|error| AccessError::Api(Box::new(error))),
    }
}

/// Whether Pods are read, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pods {
    /// They matter to nobody.
    No,
    /// If that is allowed; what they say is not missed otherwise.
    IfAllowed,
    /// Nothing can be said without them.
    Yes,
}

/// All that the API at `access` has now, in these namespaces alone if there are any, read once; `tell` hears how many objects of
/// a kind there are so far.
///
/// # Errors
///
/// What could not be listed, and why.
///
/// # Panics
///
/// For manifests: [`manifests::read`] reads those.
pub async fn read(
    access: &Access,
    namespaces: &BTreeSet<Box<str>>,
    pods: Pods,
    tell: &mut impl FnMut(&'static str, usize),
) -> Result<cluster::Cluster, AccessError> {
    let known = cluster::Cluster::from_api().only_in(namespaces.iter().cloned());
    api::read(access.into(), known, pods, tell).await.map_err(|error| AccessError::Api(Box::new(error)))
}

/// Why there is nothing that could be followed.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// No folder of manifests.
    #[error("could not read manifests in {}", path.display())]
    Manifests {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No API.
    #[error(transparent)]
    Api(Box<dyn std::error::Error + Send + Sync>),
}

/// Does `work` on a thread where it may take its time.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    joined(spawn_blocking(work)).await
}

/// What `task` gives; its panic is the caller's.
async fn joined<T>(task: impl Future<Output = Result<T, JoinError>>) -> T {
    match task.await.map_err(JoinError::try_into_panic) {
        Ok(done) => done,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        // The runtime is shutting down.
        Err(Err(_)) => std::future::pending().await,
    }
}
