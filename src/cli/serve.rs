//! `kubezone serve`: the main job. (stub)

use super::Failure;

/// Answers for the zones of a configuration, or of one cluster
#[derive(Debug, clap::Args)]
pub(super) struct Serve {}

impl Serve {
    pub(super) fn run(self) -> Result<(), Failure> {
        todo!()
    }
}
