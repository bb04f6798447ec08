//! What a kubezone says in its log; for the benches, too.

use std::net::SocketAddr;

use serde_json::Value;

/// The addresses that a kubezone logs when it listens: for DNS, and for probes and metrics.
pub(crate) fn addresses(log: &str) -> Option<(SocketAddr, SocketAddr)> {
    Some((address(log, "udp")?, address(log, "metrics")?))
}

/// The first address that it logs for `transport`: `udp`, `tcp`, `admin`, `metrics`.
pub(crate) fn address(log: &str, transport: &str) -> Option<SocketAddr> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut facts = lines.map(|line| line["fields"].clone());
    let fact = facts.find(|fact| fact["message"] == "listening" && fact["transport"] == transport)?;
    fact["address"].as_str()?.parse().ok()
}
