//! A name of the DNS, and where a search leads.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Path, State as Shared};
use axum::http::{StatusCode, Uri};
use axum::response::Redirect;
use hickory_proto::rr::Name;
use maud::{Markup, html};

use super::services::records;
use super::text::{Text, breakable, sentence};
use super::{
    Asked, Kind, NoPage, Page, Place, Segments, address, copy, path_of_name, path_of_service, path_of_zone, state,
};
use crate::admin::api::{Api, Refusal, absolute};
use crate::report::{NameReport, RecordText};
use crate::zone::{HashedName, name_to_text};

/// Why a name has the records that it has, or none.
pub(super) async fn name(Shared(api): Shared<Arc<Api>>, name: Segments<String>) -> Result<Page, NoPage> {
    let name = absolute(&name.map(|Path(name)| name).unwrap_or_default())?;
    let zone = api.zone_above(&name).ok_or_else(|| {
        let sentence = format!("no zone that is served here is at or above {}", name_to_text(&name));
        Refusal(StatusCode::NOT_FOUND, sentence)
    })?;
    let cluster = api.cluster_zones().into_iter().find(|(origin, _)| *origin == zone).map(|(_, cluster)| cluster);
    let told = match &cluster {
        Some(_) => api.name(name, zone).await?,
        None => of_file(&api, &name, &zone)?,
    };
    let title = told.name.clone();
    let body = html! {
        nav.crumbs aria-label="Where this is" { a href="/zones" { "Zones" } " › " a href=(path_of_zone(&told.zone)) { (Text(&told.zone)) } }
        h1 { (breakable(&title)) }
        div #name data-live { (whole(&told, cluster.as_deref())) }
    };
    let status = if told.exists || !told.records.is_empty() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    Ok(Page { status, ..Page::new(title, Place::Zones, body) })
}

/// A name in a zone that no cluster decides about.
fn of_file(api: &Api, name: &Name, zone: &Name) -> Result<NameReport, Refusal> {
    let (version, _) = api.version(zone)?;
    let (exists, records) = version.at(&HashedName::from(name));
    Ok(NameReport {
        zone: name_to_text(zone),
        name: name_to_text(&name.to_lowercase()),
        records: records.iter().map(RecordText::from).collect(),
        exists,
        service: None,
        reasons: Vec::new(),
        nearest: None,
    })
}

fn whole(told: &NameReport, cluster: Option<&str>) -> Markup {
    let is_synthesized = !told.exists && !told.records.is_empty();
    let plain = told.name.trim_end_matches('.');
    html! {
        p.verdict {
            @match (told.exists, told.records.is_empty()) {
                (_, false) if is_synthesized => (state(Kind::Good, "The records of another name stand in for it")),
                (true, false) => (state(Kind::Good, "It owns records")),
                (true, true) => (state(Kind::Off, "It owns no records, and names below it do")),
                (false, _) => (state(Kind::Bad, "There is no such name: NXDOMAIN")),
            }
            " " (copy(plain, "the name"))
        }
        @if let Some(nearest) = &told.nearest { p { "The nearest that there is: " a href=(path_of_name(nearest)) { (breakable(nearest)) } } }
        @if let (Some(service), Some(cluster)) = (&told.service, cluster) {
            p { "It is the Service’s " a href=(path_of_service(cluster, &service.namespace, &service.name)) { (Text(&service.namespace)) "/" (Text(&service.name)) }
                @if service.service_type.is_none() { ", which there is not" } }
        }
        @for said in &told.reasons {
            div.reason {
                p { strong { (said.name) } " " span.code { (said.code) } " " (sentence(&said.sentence)) }
                p.fix { (sentence(&said.fix)) }
            }
        }
        @if !told.records.is_empty() { (records("Records", &told.records)) }
    }
}

/// Where what somebody typed leads: to a name, or to the Services that are like it.
pub(super) async fn search(Shared(api): Shared<Arc<Api>>, uri: Uri) -> Redirect {
    let asked = Asked::of(&uri);
    let wanted = asked.get("q");
    let is_address = wanted.parse::<IpAddr>().is_ok();
    let name = Some(wanted)
        .filter(|text| text.contains('.') && !text.contains('/') && !is_address)
        .and_then(|text| absolute(text).ok());
    match name.filter(|name| api.zone_above(name).is_some()) {
        Some(name) => Redirect::to(&path_of_name(&name_to_text(&name))),
        None => Redirect::to(&address("/services", &[("search", wanted)])),
    }
}
