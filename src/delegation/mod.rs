//! Asks other name servers, from the root down, and says where a delegation is broken and whose it is to mend.
//!
//! An [`Asker`] asks within bounds and judges nothing. What it heard of a zone, from those who delegate it and those whom it is
//! delegated to, is a [`Cut`]; what is wrong there, [`judge`] says. A walk makes one for each zone from the root to an
//! answer, and a [`Trace`] tells all of it. What should be is a [`Delegation`], which a zone says of itself. Nothing here
//! knows where zones come from.

mod ask;
mod cut;
mod gist;
mod inquiry;
mod judge;
mod proposal;
mod svg;
mod trace;
mod verdict;
mod walk;
mod watch;
mod world;

pub use ask::{Asker, Exchange, PAYLOAD, Question, Reply, Silence, Transport};
pub use cut::{Cut, Origin, Witness};
pub use judge::{Code, Finding, Severity, Side, judge, parents};
pub use proposal::{Delegation, NameServer};
pub use svg::svg;
pub use trace::{End, ExtendedError, Gist, Leg, Lost, Said, Server, State, Stop, Trace, Verdict, Why};
pub use walk::{Arrival, Passed, Walk, Way, walk};
pub use watch::{Look, watch};
pub use world::{Families, NoRoot, Root, World};
