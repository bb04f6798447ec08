//! `kubezone demo`: a small world on loopback, from files built into the binary. (stub)

use super::Failure;

/// Shows it all on this machine: root, ooo, k8s.ooo, c2 and c3 as five servers on loopback
#[derive(Debug, clap::Args)]
pub(super) struct Demo {}

impl Demo {
    pub(super) fn run(self) -> Result<(), Failure> {
        todo!()
    }
}
