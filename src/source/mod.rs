//! Sources: follow a Kubernetes API, a folder of manifests or master files,
//! and publish the zones they imply. (skeleton)

mod api;
mod event;
#[cfg(test)]
mod tables;
mod translate;
mod watch;
mod writer;

pub use event::Event;
pub use watch::{RESCAN, Watch};
pub use writer::{Relist, write};
