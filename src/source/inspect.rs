//! A look at what the writer of a cluster knows.
//!
//! The writer alone has what its cluster says and what became of that: there is
//! no lock on it and no copy. So a question goes to the writer, which answers it
//! between two versions; what it tells then is what is published. Questions are to be
//! short: events wait for their answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use hickory_proto::rr::Name;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::cluster::Cluster;
use crate::schema::{ClusterZone, Register};

/// How long the writer may be busy with other things: with the first version of a large cluster, or with a reload.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the writer of a cluster knows.
#[derive(Debug)]
pub struct View<'w> {
    /// What the cluster says.
    pub cluster: &'w Cluster,
    /// The zones made from it, each with what was decided about the cluster's objects.
    pub zones: Vec<(&'w ClusterZone, &'w Register)>,
}

impl View<'_> {
    /// The zone at `apex`, and what was decided for it.
    #[must_use]
    pub fn zone(&self, apex: &Name) -> Option<(&ClusterZone, &Register)> {
        self.zones.iter().find(|(zone, _)| zone.origin == *apex).copied()
    }
}

/// A question to a writer, told what it knows as soon as it has published that.
pub(super) type Look = Box<dyn FnOnce(Option<&View<'_>>) + Send>;

/// Where a writer is asked.
pub type Looks = mpsc::Receiver<Look>;

/// Asks the writer of one cluster.
#[derive(Debug, Clone)]
pub struct Inspector(mpsc::Sender<Look>);

/// Why a writer did not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InspectError {
    /// Not everything has been listed yet, so that nothing is published.
    #[error("it has not been read in full yet")]
    NotSynced,
    /// It does something else, for longer than one likes to wait.
    #[error("it is busy: try again in a moment")]
    Busy,
    /// It has ended, or the question made it stumble.
    #[error("it does not tell: the server's log says why")]
    Gone,
}

/// The two ends of the way that questions go.
#[must_use]
pub fn inspector() -> (Inspector, Looks) {
    let (asking, looks) = mpsc::channel(1);
    (Inspector(asking), looks)
}

impl Inspector {
    /// What `question` makes of what the writer knows.
    ///
    /// # Errors
    ///
    /// When the writer cannot tell, or not soon.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&View<'_>) -> T + Send + 'static,
    ) -> Result<T, InspectError> {
        let (answer, answered) = oneshot::channel();
        let look: Look = Box::new(move |view| {
            // Who has given up wants no answer.
            if answer.is_closed() {
                return;
            }
            // A mistake in a question is not the writer's: its zones are not to wait for a new one.
            let told = view.map(|view| catch_unwind(AssertUnwindSafe(|| question(view)))).transpose();
            if let Ok(told) = told {
                let _ = answer.send(told.ok_or(InspectError::NotSynced));
            }
        });
        let asking = async {
            self.0.send(look).await.map_err(|_| InspectError::Gone)?;
            answered.await.map_err(|_| InspectError::Gone)?
        };
        timeout(PATIENCE, asking).await.unwrap_or(Err(InspectError::Busy))
    }
}
