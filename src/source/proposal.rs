//! How a source that runs is given other zones, in one step with everything else that changes.
//!
//! A source *prepares*: it makes the versions that it would publish, and from
//! then on publishes nothing until there is a decision. Whoever asked publishes
//! what all sources have prepared in one swap and agrees; or drops it, and all
//! go on as if nothing had been.

use std::path::PathBuf;

use hickory_proto::rr::Name;
use tokio::sync::{mpsc, oneshot};

use super::Told;
use super::load::FileError;
use crate::zone::{State, ZoneError};

/// Versions of zones, each at its apex.
pub type Versions = Vec<(Name, State)>;

/// What a source has made of zones that are new to it, or otherwise configured.
#[derive(Debug, Default)]
pub(super) struct Preparation {
    pub(super) versions: Versions,
    pub(super) told: Vec<Told>,
}

/// Where a source is told of other zones.
pub type Proposals<Z> = mpsc::Receiver<Proposal<Z>>;

/// The zones that a source shall have from now on, if it can make them.
#[derive(Debug)]
pub struct Proposal<Z> {
    pub(super) zones: Vec<Z>,
    prepared: oneshot::Sender<Result<Preparation, PrepareError>>,
    agreed: oneshot::Receiver<()>,
}

/// A source that has prepared, and waits. Dropped, the source goes on with the zones it had.
#[derive(Debug)]
pub struct Prepared {
    /// To be published before it is agreed; none for zones whose source has not been read in full.
    pub versions: Versions,
    /// What reverse zones are made of, to be told when they are published.
    pub told: Vec<Told>,
    agree: oneshot::Sender<()>,
}

/// A zone that a source cannot make.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// A master file makes no zone.
    #[error("zone {zone}: {}", path.display())]
    File {
        /// The zone.
        zone: Name,
        /// Its file.
        path: PathBuf,
        /// Why it makes none.
        #[source]
        error: Box<FileError>,
    },
    /// What a cluster says makes no zone.
    #[error("zone {zone}")]
    Zone {
        /// The zone.
        zone: Name,
        /// Why it makes none.
        #[source]
        error: Box<ZoneError>,
    },
}

/// Has the source behind `proposals` prepare for `zones`; none when there is no such source any more.
///
/// # Errors
///
/// A zone that it cannot make; it goes on with those it had.
pub async fn propose<Z>(
    proposals: &mpsc::Sender<Proposal<Z>>,
    zones: Vec<Z>,
) -> Result<Option<Prepared>, PrepareError> {
    let (prepared, preparing) = oneshot::channel();
    let (agree, agreed) = oneshot::channel();
    if proposals.send(Proposal { zones, prepared, agreed }).await.is_err() {
        return Ok(None);
    }
    match preparing.await {
        Ok(prepared) => {
            let Preparation { versions, told } = prepared?;
            Ok(Some(Prepared { versions, told, agree }))
        }
        Err(_) => Ok(None),
    }
}

impl Prepared {
    /// The versions are published: the source's zones are those proposed.
    pub fn agree(self) {
        // A source that has ended meanwhile has no zones at all.
        let _ = self.agree.send(());
    }
}

impl<Z> Proposal<Z> {
    /// Tells what was prepared, and waits for the decision; if it is agreed, the zones that were proposed.
    pub(super) async fn decided(self, prepared: Result<Preparation, PrepareError>) -> Option<Vec<Z>> {
        let is_refused = prepared.is_err();
        if self.prepared.send(prepared).is_err() || is_refused {
            return None;
        }
        self.agreed.await.ok().map(|()| self.zones)
    }
}
