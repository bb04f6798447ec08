//! kubezone: an authoritative DNS server that gives the Services of
//! Kubernetes clusters global names.
//!
//! A **pure core that can only compute** (`cluster`, `schema`, `report`,
//! `zone`, `nameserver`) and **edges that can only do I/O** (`source`, `server`,
//! `admin`, `delegation`), meeting at one shared value ([`published::Published`]). The rooms
//! and who may name whom are described in docs/ARCHITECTURE.md.

pub mod admin;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod delegation;
#[cfg(test)]
mod documents;
mod error;
pub mod metrics;
pub mod nameserver;
pub mod published;
pub mod report;
#[cfg(test)]
mod rooms;
pub mod run;
pub mod schema;
pub mod server;
pub mod source;
pub mod zone;
