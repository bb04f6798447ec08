//! `kubezone zone`: zones as text. (stub)

use super::Failure;

/// Prints zones: what manifests would make, what a master file says
#[derive(Debug, clap::Args)]
pub(super) struct Zone {}

impl Zone {
    #[expect(clippy::needless_pass_by_value, clippy::unnecessary_wraps, reason = "stub")]
    pub(super) fn run(self) -> Result<(), Failure> {
        todo!()
    }
}
