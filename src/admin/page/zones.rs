//! Zones: all of them, and each by itself.

use std::sync::Arc;

use axum::extract::{Path, State as Shared};
use axum::http::{StatusCode, Uri};
use maud::{Markup, html};

use super::text::{Text, breakable, segment};
use super::{
    Asked, Kind, NoPage, Page, Place, Segments, address, copy, number, path_of_name, path_of_zone, plural, span, state,
    time,
};
use crate::admin::api::{Api, Refusal, ZoneChange, ZoneStatus, absolute, in_parent};
use crate::delegation::Delegation;
use crate::report::RecordText;
use crate::zone::{name_to_text, rtype_to_text};

/// So many stand on a page.
const MANY: usize = 100;

/// All zones, page by page in the configuration's order.
pub(super) async fn list(Shared(api): Shared<Arc<Api>>, uri: Uri) -> Page {
    let from = Asked::of(&uri).get("from").parse::<usize>().unwrap_or_default();
    let zones = api.zones();
    let body = html! {
        h1 { "Zones" }
        section #zones data-live aria-label="Zones" {
            (table(&api, zones.iter().skip(from).take(MANY)))
        }
        @if zones.len() > MANY {
            nav.pager aria-label="Pages of zones" {
                @if from > 0 { a href=(address("/zones", &[("from", &from.saturating_sub(MANY).to_string())])) rel="prev" { "Page before" } " " }
                span { (number(from.min(zones.len()) + 1)) " to " (number(from.saturating_add(MANY).min(zones.len()))) " of " (number(zones.len())) }
                @if from.saturating_add(MANY) < zones.len() { " " a href=(address("/zones", &[("from", &from.saturating_add(MANY).to_string())])) rel="next" { "Next page" } }
            }
        }
    };
    Page::new("Zones", Place::Zones, body)
}

/// Zones as a table.
pub(super) fn table<'z>(api: &Api, zones: impl Iterator<Item = &'z ZoneStatus>) -> Markup {
    let mut zones = zones.peekable();
    if zones.peek().is_none() {
        return html! { p.none { "No zone is configured." } };
    }
    html! {
        div.scroll tabindex="0" role="region" aria-label="Zones" {
            table {
                caption.aside { "The zones that are configured, and what changed in each of late" }
                thead { tr {
                    th scope="col" { "Zone" } th scope="col" { "State" } th.number scope="col" { "Serial" } th.number scope="col" { "Records" }
                    th scope="col" { "Made from" } th scope="col" { "Last change" }
                } }
                tbody { @for zone in zones { (row(api, zone)) } }
            }
        }
    }
}

fn row(api: &Api, zone: &ZoneStatus) -> Markup {
    let last = absolute(&zone.zone).ok().and_then(|apex| api.last_version(&apex));
    html! { tr {
        th scope="row" { a.name href=(path_of_zone(&zone.zone)) { (breakable(&zone.zone)) } }
        td { (loaded(zone)) }
        td.number { @if let Some(serial) = zone.serial { (serial) } }
        td.number { @if let Some(records) = zone.records { (number(records)) } }
        td.source { (made_from(zone)) }
        td.changes { @if let Some(last) = last { (time(&last.time)) " " (difference(&last)) } }
    } }
}

fn loaded(zone: &ZoneStatus) -> Markup {
    match &*zone.state {
        "loaded" if zone.error.is_some() => state(Kind::Bad, "loaded, not as its file is now"),
        "loaded" => state(Kind::Good, "loaded"),
        "expired" => state(Kind::Bad, "expired"),
        _ => state(Kind::Waiting, "not loaded yet"),
    }
}

fn made_from(zone: &ZoneStatus) -> Markup {
    match &*zone.kind {
        "cluster" => html! { "cluster " (Text(&zone.source)) },
        "reverse" => html! { "reverse of " (breakable(&zone.source)) },
        _ => html! { (breakable(&zone.source)) },
    }
}

/// What is different in a version.
fn difference(change: &ZoneChange) -> Markup {
    html! {
        span.difference { "+" (number(change.added)) " −" (number(change.removed)) }
        @if let Some(first) = change.names.first() {
            " " (breakable(first))
            @let others = change.names.len() - 1 + change.more;
            @if others > 0 { " and " (number(others)) " more" }
        }
    }
}

/// One zone.
pub(super) async fn zone(Shared(api): Shared<Arc<Api>>, name: Segments<String>) -> Result<Page, NoPage> {
    let apex = absolute(&name.map(|Path(name)| name).unwrap_or_default())?;
    let text = name_to_text(&apex.to_lowercase());
    let status = api
        .zones()
        .into_iter()
        .find(|zone| zone.zone.eq_ignore_ascii_case(&text))
        .ok_or_else(|| Refusal(StatusCode::NOT_FOUND, format!("there is no zone {text}")))?;
    let versions = api.versions(&apex)?;
    let version = api.version(&apex).ok().map(|(version, _)| version);
    let census = version.as_ref().map(|version| version.census()).unwrap_or_default();
    let body = html! {
        nav.crumbs aria-label="Where this is" { a href="/zones" { "Zones" } }
        h1 { (breakable(&status.zone)) }
        div #zone data-live {
            p.verdict { (loaded(&status)) }
            @if let Some(error) = &status.error { p.reason { (Text(error)) } }
            dl.facts {
                @if let Some(serial) = status.serial { dt { "Serial" } dd { (serial) } }
                @if let Some(records) = status.records { dt { "Records" } dd { (number(records)) } }
                dt { "Made from" } dd { (made_from(&status)) }
                @if let Some(age) = status.age { dt { "Last sign of life of its source" } dd { (span(age)) " ago" } }
            }
        }
        @if let Some(version) = &version {
            section #delegation data-live aria-labelledby="delegation-h" {
                h2 #delegation-h { "Delegation" }
                @let lines = parent(&Delegation::of(version));
                p { "What the parent should say of it " (copy(&lines, "what the parent should say")) }
                pre tabindex="0" { @for line in lines.lines() { (Text(line)) "\n" } }
            }
        }
        section #changes data-live aria-labelledby="changes-h" {
            h2 #changes-h { "Recent changes" }
            (changes(&versions))
        }
        @if !census.is_empty() {
            section #census data-live aria-labelledby="census-h" {
                h2 #census-h { "Records by type" }
                dl.figures { @for (rtype, count) in &census { div { dt { (rtype_to_text(*rtype)) } dd { (number(*count)) } } } }
            }
        }
        p.aside-links {
            a href={ "/api/v1/zones/" (segment(&status.zone)) } { "The zone as a master file" } " · "
            a href={ "/api/v1/zones/" (segment(&status.zone)) "/changes" } { "Its changes as JSON" }
        }
    };
    Ok(Page::new(status.zone.clone(), Place::Zones, body))
}

fn changes(versions: &[ZoneChange]) -> Markup {
    if versions.is_empty() {
        return html! { p.none { "It has not been published yet." } };
    }
    html! {
        div.scroll tabindex="0" role="region" aria-label="Recent changes" {
            table {
                caption { (plural(versions.len(), "version", "versions")) ", the newest first" }
                thead { tr {
                    th scope="col" { "Published" } th.number scope="col" { "Serial" } th.number scope="col" { "Records added" }
                    th.number scope="col" { "Removed" } th scope="col" { "Names" }
                } }
                tbody { @for version in versions { tr {
                    th scope="row" { (time(&version.time)) }
                    td.number { (version.serial) }
                    td.number { (number(version.added)) }
                    td.number { (number(version.removed)) }
                    td {
                        @for (place, name) in version.names.iter().enumerate() {
                            @if place > 0 { ", " }
                            a.name href=(path_of_name(name)) { (breakable(name)) }
                        }
                        @if version.more > 0 { " and " (number(version.more)) " more" }
                    }
                } } }
            }
        }
    }
}

/// What a parent says of a zone, as master files have it.
fn parent(delegation: &Delegation) -> String {
    let lines = in_parent(delegation).into_iter().map(|record| {
        let RecordText { owner, ttl, rtype, rdata } = record;
        format!("{owner} {ttl} IN {rtype} {rdata}\n")
    });
    lines.collect()
}
