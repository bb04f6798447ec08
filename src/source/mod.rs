//! Sources: follow a Kubernetes API, a folder of manifests or master files, and
//! publish the zones that they imply.
//!
//! [`follow`] is one cluster: for each kind of object a follower that lists and
//! watches (or one that reads manifests), and one writer, joined by a channel of
//! [`Event`]s. Followers know the API and no zone; the writer knows what the
//! cluster says, and not who said it. Objects are translated in between, at the
//! door: no Kubernetes type gets further. [`files`] needs none of this: zones
//! stand in master files as they are.

mod api;
mod event;
pub mod files;
pub mod load;
pub mod manifests;
#[cfg(test)]
mod tables;
mod translate;
mod watch;
mod writer;

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet, spawn_blocking};

pub use self::event::Event;
pub use self::watch::{RESCAN, Watch};
use self::writer::Relist;
use crate::cluster::{self, Kind};
use crate::config::{Access, Cluster};
use crate::metrics::ClusterMetrics;
use crate::published::Published;

/// How many events followers may be ahead of the writer.
const AHEAD: usize = 1024;

/// Follows `cluster` and keeps its zones in `published` up to date, until the future is dropped.
///
/// Nothing that the cluster does ends it. While there is no configuration that
/// can be used, no connection or no permission, it tries again and again, and
/// what has been published stays.
///
/// # Panics
///
/// When a part of it does: a cluster that is no longer followed must not look like one that is quiet.
pub async fn follow(cluster: Cluster, published: Arc<Published>, metrics: ClusterMetrics) {
    let name: Arc<str> = cluster.name.into();
    let (sender, events) = mpsc::channel(AHEAD);
    let relist = Relist::default();
    let mut parts = JoinSet::new();
    let mut list_and_watch = |access: &api::Access| {
        for kind in [Kind::Namespace, Kind::Service, Kind::EndpointSlice] {
            let follower = api::Follower::new(
                Arc::clone(&name),
                kind,
                access.clone(),
                sender.clone(),
                Arc::clone(relist.of(kind)),
                metrics.clone(),
                api::Pace::default(),
            );
            parts.spawn(follower.run());
        }
    };
    let known = match cluster.access {
        Access::InCluster | Access::Kubeconfig { .. } => cluster::Cluster::from_api(),
        Access::Manifests(_) => cluster::Cluster::default(),
    };
    match cluster.access {
        Access::InCluster => list_and_watch(&api::Access::InCluster),
        Access::Kubeconfig { path, context } => list_and_watch(&api::Access::Kubeconfig { path, context }),
        Access::Manifests(folder) => drop(parts.spawn(manifests::follow(name, folder, sender, metrics.clone()))),
    }
    parts.spawn(writer::write(known, cluster.zones, events, relist, published, metrics));
    while let Some(ended) = parts.join_next().await {
        if let Err(Ok(panic)) = ended.map_err(JoinError::try_into_panic) {
            std::panic::resume_unwind(panic);
        }
    }
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
