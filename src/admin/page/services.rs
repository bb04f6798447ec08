//! Services: looked for, page by page, and each by itself.

use std::sync::Arc;

use axum::extract::{Path, State as Shared};
use axum::http::{StatusCode, Uri};
use maud::{Markup, html};

use super::text::{Text, breakable, command, sentence};
use super::{
    Asked, Kind, NoPage, Page, Place, Segments, address, copy, number, path_of_name, path_of_service, path_of_zone,
    state, word,
};
use crate::admin::api::{Api, Parameters, Refusal, absolute, bad};
use crate::cluster::ServiceKey;
use crate::report::{Page as Part, Ready, RecordText, Report, Said};
use crate::zone::name_to_text;

/// What a filter may say.
const KNOWN: [&str; 7] = ["zone", "namespace", "search", "published", "reason", "after", "limit"];

/// Those of one cluster, as the form asks for them.
pub(super) async fn list(Shared(api): Shared<Arc<Api>>, uri: Uri) -> Result<Page, NoPage> {
    let asked = Asked::of(&uri);
    let origins = api.cluster_zones();
    let Some((first, _)) = origins.first() else {
        let body = html! { h1 { "Services" } p.none { "No zone is made from a cluster." } };
        return Ok(Page::new("Services", Place::Services, body));
    };
    let apex = if asked.get("zone").is_empty() { first.clone() } else { absolute(asked.get("zone"))? };
    let zone = name_to_text(&apex);
    let mut wanted = Parameters::of_pairs(asked.with("zone", &zone), &KNOWN)?;
    let (filter, after, limit) = (wanted.filter()?, wanted.after()?, wanted.limit()?);
    let cluster =
        origins.iter().find(|(origin, _)| *origin == apex).map(|(_, cluster)| cluster.clone()).unwrap_or_default();
    let (found, nothing) = match api.services(apex, filter, after, limit).await {
        Ok(found) => (found, None),
        // A Namespace that there is not is what somebody has typed, not a page that there is not.
        Err(Refusal(StatusCode::NOT_FOUND, sentence)) if !asked.get("namespace").is_empty() => {
            (Part::from(Vec::new()), Some(sentence))
        }
        Err(refusal) => return Err(refusal.into()),
    };
    let zones: Vec<_> = origins.iter().map(|(origin, _)| name_to_text(origin)).collect();
    let body = html! {
        h1 { "Services" }
        (form(&api, &zones, &zone, &cluster, &asked))
        section #services data-live aria-label="Services found" {
            @if found.items.is_empty() {
                p.none { @match &nothing { Some(sentence) => (Text(sentence)), None => "No Service is like that." } }
            } @else {
                (table(&cluster, &found.items))
            }
        }
        (pager(&asked, asked.get("after"), found.next.as_deref()))
    };
    Ok(Page::new("Services", Place::Services, body))
}

fn form(api: &Api, zones: &[String], zone: &str, cluster: &str, asked: &Asked) -> Markup {
    let reasons = api.clusters().into_iter().find(|status| status.cluster == cluster);
    let mut reasons = reasons.map(|status| status.withheld).unwrap_or_default();
    if !asked.get("reason").is_empty() {
        reasons.entry(asked.get("reason").to_owned()).or_default();
    }
    let published = [("", "all"), ("true", "published"), ("false", "not published")];
    html! {
        form.filter action="/services" role="search" aria-label="Filter Services" {
            @if zones.len() > 1 {
                label { span { "Zone" } select name="zone" {
                    @for known in zones { option value=(known) selected[known == zone] { (known) } }
                } }
            }
            label { span { "Search" } input type="search" name="search" value=(Text(asked.get("search")).plain()) placeholder="name, hostname, address"; }
            label { span { "Namespace" } input name="namespace" value=(Text(asked.get("namespace")).plain()) autocomplete="off" spellcheck="false"; }
            label { span { "State" } select name="published" {
                @for (value, name) in published { option value=(value) selected[value == asked.get("published")] { (name) } }
            } }
            label { span { "Reason" } select name="reason" {
                option value="" { "any" }
                @for (reason, count) in &reasons {
                    option value=(Text(reason).plain()) selected[reason == asked.get("reason")] {
                        (Text(reason).plain()) @if *count > 0 { " (" (number(*count)) ")" }
                    }
                }
            } }
            button { "Show" }
            a.reset href=(address("/services", &[("zone", if zones.len() > 1 { zone } else { "" })])) { "Clear" }
        }
    }
}

fn table(cluster: &str, services: &[Report]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Services" {
            table.services {
                caption.aside { "Services in the order of namespaces and names, published or not, and why" }
                thead { tr {
                    th scope="col" { "Service" } th scope="col" { "State" } th scope="col" { "Global name" } th scope="col" { "Addresses" }
                    th scope="col" { "Reason, and what changes it" }
                } }
                tbody { @for service in services { (row(cluster, service)) } }
            }
        }
    }
}

fn row(cluster: &str, service: &Report) -> Markup {
    html! { tr {
        th scope="row" {
            a href=(path_of_service(cluster, &service.namespace, &service.name)) {
                span.namespace { (Text(&service.namespace)) "/" } (breakable(&service.name))
            }
        }
        td { (published(service)) }
        td {
            @if let Some(name) = service.global_name.as_ref().filter(|_| service.published) {
                a.name href=(path_of_name(name)) { (breakable(name)) } " " (copy(name.trim_end_matches('.'), "the global name"))
            }
        }
        td {
            // Lists would break a table apart where there are no styles.
            @for (place, address) in service.addresses.iter().take(4).enumerate() {
                @if place > 0 { br; }
                code { (address.address) }
            }
            @if service.addresses.len() > 4 { br; "and " (service.addresses.len() - 4) " more" }
            @if let Some(target) = service.alias() { "→ " (breakable(target)) }
        }
        td.reasons { @if let Some(first) = service.reasons.first() { (reason(service, first)) } }
    } }
}

fn published(service: &Report) -> Markup {
    let is_meant = service.reasons.first().is_some_and(|reason| matches!(&*reason.name, "OptedOut" | "NotSelected"));
    match (service.published, is_meant) {
        (true, _) => state(Kind::Good, "published"),
        (false, true) => state(Kind::Off, "not published"),
        (false, false) => state(Kind::Bad, "not published"),
    }
}

fn reason(service: &Report, said: &Said) -> Markup {
    html! {
        p { strong { (said.name) } " " span.code { (said.code) } " " (sentence(&said.sentence)) }
        p.fix { (sentence(&said.fix)) @if let Some(copy) = copy_command(service, said) { " " (copy) } }
    }
}

/// The command of a fix, to be pasted into a shell: not where a Service that has no name as Kubernetes has them could say
/// something there.
fn copy_command(service: &Report, said: &Said) -> Option<Markup> {
    let is_plain = |name: &str| name.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.'));
    let command = command(&said.fix).filter(|_| is_plain(&service.namespace) && is_plain(&service.name))?;
    Some(copy(command, "the command"))
}

fn pager(asked: &Asked, after: &str, next: Option<&str>) -> Markup {
    let link = |after: &str| address("/services", &asked.with("after", after));
    html! {
        @if !after.is_empty() || next.is_some() {
            nav.pager aria-label="Pages of Services" {
                @if !after.is_empty() { a href=(link("")) rel="first" { "First page" } " " span { "behind " code { (Text(after)) } } }
                @if let Some(next) = next { " " a href=(link(next)) rel="next" { "Next page" } }
            }
        }
    }
}

/// One Service, in each zone that is made from its cluster.
pub(super) async fn service(
    Shared(api): Shared<Arc<Api>>,
    path: Segments<(String, String, String)>,
) -> Result<Page, NoPage> {
    let Path((cluster, namespace, name)) =
        path.map_err(|_| bad("that is no Service: write /services/CLUSTER/NAMESPACE/NAME"))?;
    let origins = api.cluster_zones();
    let of_cluster: Vec<_> = origins.into_iter().filter(|(_, of)| *of == cluster).map(|(origin, _)| origin).collect();
    if of_cluster.is_empty() {
        let sentence = format!("there is no cluster {cluster} that a zone is made from");
        return Err(Refusal(StatusCode::NOT_FOUND, sentence).into());
    }
    let key = ServiceKey { namespace: namespace.as_str().into(), name: name.as_str().into() };
    let mut reports = Vec::new();
    for origin in of_cluster {
        let key = key.clone();
        reports.push(api.ask(origin, move |view| view.service(&key)).await?);
    }
    let is_there = reports.iter().any(|report| report.service_type.is_some());
    let title = format!("{namespace}/{name}");
    let body = html! {
        nav.crumbs aria-label="Where this is" {
            a href="/services" { "Services" } " › " a href=(address("/services", &[("zone", &reports[0].zone), ("namespace", &namespace)])) { (Text(&namespace)) }
        }
        h1 { (Text(&title)) }
        p.lead { "A Service of the cluster " (Text(&cluster)) }
        div #service data-live { @for report in &reports { (whole(report)) } }
    };
    let status = if is_there { StatusCode::OK } else { StatusCode::NOT_FOUND };
    Ok(Page { status, ..Page::new(title, Place::Services, body) })
}

/// All that there is to say about a Service in a zone.
fn whole(service: &Report) -> Markup {
    html! {
        section aria-label={ "In zone " (service.zone) } {
            h2 { "In " a href=(path_of_zone(&service.zone)) { (Text(&service.zone)) } }
            p.verdict { @if service.service_type.is_some() { (published(service)) } @else { (state(Kind::Bad, "There is no such Service")) } }
            @if let Some(nearest) = &service.nearest { p { "The nearest that there is: " code { (Text(nearest)) } } }
            @for said in &service.reasons { div.reason { (reason(service, said)) } }
            dl.facts {
                @if let Some(name) = &service.global_name {
                    dt { "Global name" } dd { a.name href=(path_of_name(name)) { (breakable(name)) } " " (copy(name.trim_end_matches('.'), "the global name")) }
                }
                @if let Some(kind) = &service.service_type { dt { "Type" } dd { (kind) } }
                @if !service.families.is_empty() {
                    dt { "Families" } dd { @for (place, family) in service.families.iter().enumerate() { @if place > 0 { ", " } (word(family)) } }
                }
                @if service.service_type.is_some() {
                    dt { "Ready endpoints" } dd { (ready(service.ready)) }
                    @if service.pods != Ready::default() { dt { "Pods behind them" } dd { (ready(service.pods)) } }
                }
                @if !service.hostnames.is_empty() {
                    dt { "Reached by" } dd { ul.plain { @for name in &service.hostnames { li { (breakable(name)) } } } }
                }
            }
            @if !service.addresses.is_empty() {
                div.scroll tabindex="0" role="region" aria-label="Addresses" {
                    table {
                        caption { "Addresses that are published" }
                        thead { tr { th scope="col" { "Address" } th scope="col" { "Where it comes from" } th scope="col" { "Name of its PTR record" } th.number scope="col" { "TTL" } } }
                        tbody { @for address in &service.addresses {
                            tr { th scope="row" { code { (address.address) } } td { (word(address.origin)) } td { (breakable(&address.owner)) } td.number { (address.ttl) } }
                        } }
                    }
                }
            }
            @if !service.records.is_empty() { (records("Records that it owns", &service.records)) }
            @if !service.claims.is_empty() {
                div.scroll tabindex="0" role="region" aria-label="Claims" {
                    table {
                        caption { "Names elsewhere that it claims" }
                        thead { tr { th scope="col" { "Name" } th scope="col" { "Who has it" } } }
                        tbody { @for claim in &service.claims {
                            tr { th scope="row" { a href=(path_of_name(&claim.name)) { (breakable(&claim.name)) } }
                                td { @if claim.held { (state(Kind::Good, "this Service")) } @else { (state(Kind::Bad, "another: ")) (Text(&claim.holder)) } } }
                        } }
                    }
                }
            }
        }
    }
}

fn ready(ready: Ready) -> String {
    format!("{} with IPv6, {} with IPv4", ready.v6, ready.v4)
}

/// Records as a table.
pub(super) fn records(caption: &str, records: &[RecordText]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table.records {
                caption { (caption) }
                thead { tr { th scope="col" { "Owner" } th.number scope="col" { "TTL" } th scope="col" { "Type" } th scope="col" { "Data" } } }
                tbody { @for record in records {
                    tr { th scope="row" { (breakable(&record.owner)) } td.number { (record.ttl) } td { (record.rtype) } td.rdata { (Text(&record.rdata)) } }
                } }
            }
        }
    }
}
