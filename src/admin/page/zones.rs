//! Zones: all of them, and each by itself.

use std::sync::Arc;

use axum::extract::{Path, State as Shared};
use axum::http::{StatusCode, Uri};
use maud::{Markup, PreEscaped, html};

use super::text::{Text, breakable, segment, sentence};
use super::{
    Asked, Kind, NoPage, Page, Place, Segments, address, copy, number, path_of_name, path_of_zone, plural, span, state,
    time,
};
use crate::admin::api::{Api, Refusal, Verified, ZoneChange, ZoneStatus, absolute, in_parent};
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
                    th scope="col" { "Delegation" } th scope="col" { "Made from" } th scope="col" { "Last change" }
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
        td { (delegated(zone, verified(api, &zone.zone).as_deref())) }
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

/// What came of looking at a zone's delegation last.
pub(super) fn verified(api: &Api, zone: &str) -> Option<Arc<Verified>> {
    api.verified(&absolute(zone).ok()?)
}

fn delegated(zone: &ZoneStatus, verified: Option<&Verified>) -> Markup {
    let (kind, word) = match verified {
        Some(Verified { ok: true, .. }) => (Kind::Good, "right"),
        Some(_) => (Kind::Bad, "broken"),
        None => (Kind::Off, "not verified"),
    };
    html! { a.plain href={ (path_of_zone(&zone.zone)) "#delegation" } { (state(kind, word)) } }
}

/// What is known of a zone's delegation, with the chain that leads to it as a picture.
fn chain(verified: Option<&Verified>) -> Markup {
    let Some(verified) = verified else {
        return html! { p.none { "Whether it does is not verified: set " code { "verify" } " in the configuration." } };
    };
    html! {
        p.verdict {
            @if verified.ok { (state(Kind::Good, "Resolvers find their way")) } @else { (state(Kind::Bad, "It is broken")) }
            " " span.none { "as of " (time(&verified.time)) }
        }
        @for finding in &verified.findings {
            div.reason {
                p { strong { (Text(&finding.side)) ": " } (sentence(&finding.message)) " " span.code { (Text(&finding.code)) } }
                p.fix { (sentence(&finding.fix)) }
            }
        }
        // What it says of others is escaped where it is drawn; no script and no style would be let through.
        @if let Some(picture) = &verified.picture {
            div.scroll.picture tabindex="0" role="region" aria-label="The chain from the root" { (PreEscaped(picture)) }
        }
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
                (chain(api.verified(&apex).as_deref()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::api::VerifiedFinding;

    fn verified(ok: bool, findings: Vec<VerifiedFinding>) -> Verified {
        let picture = Some("<svg role=\"group\"></svg>".to_owned());
        Verified { time: "2026-11-22T05:00:00.5Z".to_owned(), ok, findings, picture }
    }

    #[test]
    fn a_broken_delegation_says_whose_it_is_to_mend() {
        let finding = VerifiedFinding {
            code: "glue-stale".to_owned(),
            side: "parent".to_owned(),
            message: "`ns.c2.k8s.ooo` has <another> address".to_owned(),
            fix: "Run `kubezone delegation`.".to_owned(),
        };
        let shown = chain(Some(&verified(false, vec![finding]))).into_string();
        for part in [
            "It is broken",
            "2026-11-22 05:00:00 UTC",
            "<strong>parent: </strong>",
            "<code>ns.c2.k8s.ooo</code> has &lt;another&gt; address",
            "<svg role=\"group\"></svg>",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }

    #[test]
    fn what_nobody_has_looked_at_is_not_right() {
        assert!(chain(None).into_string().contains("not verified"));
        assert!(chain(Some(&verified(true, Vec::new()))).into_string().contains("Resolvers find their way"));
    }
}
