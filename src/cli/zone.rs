//! `kubezone zone`: zones as text. (stub)

use super::Failure;

/// Prints zones: what manifests would make, what a master file says
#[derive(Debug, clap::Args)]
pub(super) struct Zone {}

impl Zone {
    pub(super) fn run(self) -> Result<(), Failure> {
        todo!()
    }
}
