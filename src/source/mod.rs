//! Sources: follow a Kubernetes API, a folder of manifests or master files,
//! and publish the zones they imply. (skeleton)

mod event;
mod writer;

pub use event::Event;
pub use writer::{Relist, write};
