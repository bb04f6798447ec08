//! The walk from the root to an answer, asking everybody on the way. What it is told as is a [`Trace`](super::Trace): see
//! trace.rs.
