//! Asks other name servers, from the root down, and says where a delegation is broken and whose it is to mend.
//!
//! An [`Asker`] asks within bounds and judges nothing. What it heard of a zone, from those who delegate it and those whom it is
//! delegated to, is a [`Cut`]. What should be is a [`Delegation`], which a zone says of itself. Nothing here knows where
//! zones come from.

mod ask;
mod cut;
mod proposal;
mod world;

pub use ask::{Asker, Exchange, PAYLOAD, Question, Reply, Silence, Transport};
pub use cut::{Cut, Origin, Witness};
pub use proposal::{Delegation, NameServer};
pub use world::{Families, World};
