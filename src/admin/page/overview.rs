//! The first page: what is wrong, what is served, what is answered.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::extract::State as Shared;
use maud::{Markup, html};

use super::text::{Text, sentence};
use super::{Kind, Page, Place, address, number, plural, span, state, zones};
use crate::admin::api::{Api, ClusterStatus, ServerStatus, ZoneStatus};
use crate::admin::live::{Latency, Rates, latency};

/// So many zones are told of here; of more there is a page.
const ZONES: usize = 20;

/// How long a cluster may have been silent before its age is worth a look: a quiet one gives a sign of life once a minute.
const QUIET: u64 = 180;

pub(super) async fn overview(Shared(api): Shared<Arc<Api>>) -> Page {
    let (server, zones, clusters) = (api.server(), api.zones(), api.clusters());
    let troubles = troubles(&api, &server, &zones, &clusters);
    let beat = api.live.now();
    let body = html! {
        h1 { "Overview" }
        div #summary.lead data-live role="status" { (summary(&server, &zones, &clusters, troubles.len())) }
        section #troubles data-live aria-label="What needs attention" {
            @if !troubles.is_empty() {
                h2 { "What needs attention" }
                ul.troubles { @for trouble in &troubles { li { (trouble) } } }
            }
        }
        section #clusters data-live aria-labelledby="clusters-h" {
            h2 #clusters-h { "Clusters" }
            (clusters_table(&api, &clusters))
        }
        section #zones data-live aria-labelledby="zones-h" {
            h2 #zones-h { "Zones" }
            (zones::table(&api, zones.iter().take(ZONES)))
            @if zones.len() > ZONES { p { a href="/zones" { "All " (plural(zones.len(), "zone", "zones")) } } }
        }
        section aria-labelledby="answers-h" {
            h2 #answers-h { "Answers" }
            div #rates {
                @match beat.rates.as_deref() {
                    Some((now, samples)) => (rates(now, samples)),
                    None => p.none { "Rates are measured while somebody looks: with JavaScript here, or at " a href="/api/v1/rates" { code { "/api/v1/rates" } } "." },
                }
            }
            div #totals data-live { (totals(&server, &latency(&api.metrics().durations()))) }
        }
    };
    Page::new("Overview", Place::Overview, body)
}

/// How it is, in a sentence.
fn summary(server: &ServerStatus, zones: &[ZoneStatus], clusters: &[ClusterStatus], troubles: usize) -> Markup {
    let loaded = zones.iter().filter(|zone| zone.state == "loaded").count();
    let followed = clusters.iter().filter(|cluster| cluster.synced && cluster.errors.is_empty()).count();
    let addresses: Vec<_> = server.dns.iter().map(ToString::to_string).collect();
    html! {
        @match troubles {
            0 => (state(Kind::Good, "All is well")),
            some => (state(Kind::Bad, &format!("{} attention", plural(some, "thing needs", "things need")))),
        }
        " · " (number(loaded)) " of " (plural(zones.len(), "zone", "zones")) " answered for"
        @if !clusters.is_empty() { ", " (number(followed)) " of " (plural(clusters.len(), "cluster", "clusters")) " followed" }
        " · up " (span(server.uptime))
        @if !addresses.is_empty() { " · DNS at " (addresses.join(", ")) }
    }
}

/// What is not right, one by one: what it is, and what to do about it.
fn troubles(api: &Api, server: &ServerStatus, zones: &[ZoneStatus], clusters: &[ClusterStatus]) -> Vec<Markup> {
    let mut troubles = Vec::new();
    if !server.ready {
        troubles.push(html! { strong { "The server" } " is not ready: " (Text(&server.readiness)) });
    }
    if let Some(error) = &server.error {
        troubles.push(html! { strong { "The configuration" } " was not taken over: " (Text(error)) });
    }
    for cluster in clusters {
        for problem in &cluster.errors {
            troubles.push(html! {
                strong { "Cluster " (Text(&cluster.cluster)) } " (" (Text(&problem.parts.join(", "))) "): " (Text(&problem.error))
                p.fix { (sentence(&problem.fix)) }
            });
        }
    }
    for zone in zones {
        let verified = zones::verified(api, &zone.zone).filter(|verified| !verified.ok);
        for finding in verified.iter().flat_map(|verified| &verified.findings) {
            troubles.push(html! {
                strong { "The delegation of " (Text(&zone.zone)) } " (" (Text(&finding.side)) "): " (sentence(&finding.message))
                p.fix { (sentence(&finding.fix)) }
            });
        }
        if let Some(error) = &zone.error {
            troubles.push(html! { strong { "Zone " (Text(&zone.zone)) } " is served as it was: " (Text(error)) });
        }
        if zone.state == "expired" {
            troubles.push(html! {
                strong { "Zone " (Text(&zone.zone)) } " is answered with SERVFAIL: its cluster has been silent for longer than " code { "maxStaleness" }
            });
        }
    }
    troubles
}

fn clusters_table(api: &Api, clusters: &[ClusterStatus]) -> Markup {
    if clusters.is_empty() {
        return html! { p.none { "No cluster is configured." } };
    }
    html! {
        div.scroll tabindex="0" role="region" aria-label="Clusters" {
            table {
                caption.aside { "The clusters that are followed, and how their Services fare" }
                thead { tr {
                    th scope="col" { "Cluster" } th scope="col" { "State" } th scope="col" { "Last sign of life" }
                    th.number scope="col" { "Published" } th scope="col" { "Not published" } th scope="col" { "Source" }
                } }
                tbody { @for cluster in clusters { (cluster_row(api, cluster)) } }
            }
        }
    }
}

fn cluster_row(api: &Api, cluster: &ClusterStatus) -> Markup {
    let zone = api.zone_of(&cluster.cluster).unwrap_or_default();
    let services = |published: &str, reason: &str| {
        address("/services", &[("zone", &zone), ("published", published), ("reason", reason)])
    };
    let is_old = cluster.age.is_some_and(|age| age > QUIET);
    html! { tr {
        th scope="row" { a href=(services("", "")) { (Text(&cluster.cluster)) } }
        td {
            @match (cluster.errors.is_empty(), cluster.synced) {
                (false, _) => (state(Kind::Bad, "trouble")),
                (true, true) => (state(Kind::Good, "followed")),
                (true, false) => (state(Kind::Waiting, "being read")),
            }
        }
        td {
            @match cluster.age {
                Some(age) => span.old[is_old] { (span(age)) " ago" },
                None => "none yet",
            }
        }
        td.number { @match cluster.published { Some(count) => a href=(services("true", "")) { (number(count)) }, None => "not known" } }
        td {
            @if cluster.published.is_none() { "not known" } @else if cluster.withheld.is_empty() { "none" }
            @for (place, (reason, count)) in cluster.withheld.iter().enumerate() {
                @if place > 0 { ", " }
                a href=(services("false", reason)) { (number(*count)) " " (reason) }
            }
        }
        td.source { (Text(&cluster.source)) }
    } }
}

/// What is answered now: a table of rates, and the last minute as a picture.
pub(in crate::admin) fn rates(rates: &Rates, samples: &VecDeque<f64>) -> Markup {
    // The sum of nothing is -0.0.
    let total = rates.responses.values().fold(0.0, |sum, rate| sum + rate);
    html! {
        div.rates {
            (sparkline(samples))
            dl.figures {
                div { dt { "Responses a second" } dd { (per_second(total)) } }
                @for (rcode, rate) in &rates.responses { div { dt { (rcode) } dd { (per_second(*rate)) } } }
                (latencies(&rates.latency))
            }
        }
    }
}

fn totals(server: &ServerStatus, latency: &Latency) -> Markup {
    let total: u64 = server.responses.values().sum();
    html! {
        div.scroll.narrow tabindex="0" role="region" aria-label="Answers since the start" {
            table {
                caption { "Since the start " (span(server.uptime)) " ago" }
                thead { tr { th scope="col" { "RCODE" } th.number scope="col" { "Responses" } th.number scope="col" { "Share" } } }
                tbody {
                    @if server.responses.is_empty() { tr { td colspan="3" { "Nothing has been answered yet." } } }
                    @for (rcode, count) in &server.responses {
                        tr { th scope="row" { (rcode) } td.number { (number(usize::try_from(*count).unwrap_or(usize::MAX))) } td.number { (share(*count, total)) } }
                    }
                }
            }
        }
        dl.figures { (latencies(latency)) }
    }
}

fn latencies(latency: &Latency) -> Markup {
    let parts = [("Half within", latency.p50), ("90 % within", latency.p90), ("99 % within", latency.p99)];
    html! { @for (name, seconds) in parts { div { dt { (name) } dd { (seconds.map_or("–".to_owned(), micros)) } } } }
}

fn micros(seconds: f64) -> String {
    match seconds * 1e6 {
        micros if micros < 1000.0 => format!("{micros:.1} µs"),
        micros => format!("{:.1} ms", micros / 1000.0),
    }
}

fn per_second(rate: f64) -> String {
    if rate < 10.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

#[expect(clippy::cast_precision_loss, reason = "a share, to a tenth of a per cent")]
fn share(count: u64, total: u64) -> String {
    format!("{:.1} %", 100.0 * count as f64 / (total.max(1)) as f64)
}

/// The last minute, a point a second.
fn sparkline(samples: &VecDeque<f64>) -> Markup {
    let most = samples.iter().copied().fold(0.0, f64::max);
    let missing = 60 - samples.len().min(60);
    let points = samples.iter().enumerate().map(|(place, rate)| {
        let y = if most > 0.0 { 38.0 - 36.0 * rate / most } else { 38.0 };
        format!("{},{y:.1}", 4 * (place + missing) + 2)
    });
    let points: Vec<_> = points.collect();
    let label = format!("Responses a second over the last minute, at most {}", per_second(most));
    html! {
        figure.spark {
            svg viewBox="0 0 240 40" role="img" aria-label=(label) preserveAspectRatio="none" {
                polyline points=(points.join(" ")) fill="none" vector-effect="non-scaling-stroke" {}
            }
            figcaption { "Last minute, at most " (per_second(most)) "/s" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_drawn_within_its_frame() {
        let samples: VecDeque<f64> = [0.0, 100.0, 50.0].into();
        let drawn = sparkline(&samples).into_string();
        assert!(drawn.contains("points=\"230,38.0 234,2.0 238,20.0\""), "{drawn}");
        assert!(sparkline(&VecDeque::new()).into_string().contains("at most 0.0"));
    }

    #[test]
    fn figures_have_units() {
        assert_eq!([micros(2.5e-6), micros(0.012)], ["2.5 µs", "12.0 ms"]);
        assert_eq!([share(1, 3), share(0, 0)], ["33.3 %", "0.0 %"]);
    }
}
