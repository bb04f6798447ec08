//! Reads a cluster once, for those who look at it and do not follow it.

use std::time::Duration;

use tracing::warn;

use super::client::{Access, Connection, Found};
use super::{Decoded, FollowError, decode, first_page, page};
use crate::cluster::{Cluster, Kind};
use crate::source::translate::Item;
use crate::source::{Pods, aside};

/// How long one page may take, and to connect.
const PATIENCE: Duration = Duration::from_secs(30);

/// A kind of object that could not be listed.
#[derive(Debug, thiserror::Error)]
#[error("{} could not be listed{}", resource(*kind), hint(*kind, source))]
pub(in crate::source) struct ListError {
    kind: Kind,
    source: FollowError,
}

/// All objects of the cluster at `access`, kind by kind and page by page; `tell` hears how many of a kind there are so far.
///
/// One that cannot be decoded is left out, with a warning.
pub(in crate::source) async fn read(
    access: Access,
    pods: Pods,
    tell: &mut impl FnMut(&'static str, usize),
) -> Result<Cluster, ListError> {
    let mut connection = Connection::new(access);
    let mut cluster = Cluster::from_api();
    let kinds = [Kind::Namespace, Kind::Service, Kind::EndpointSlice];
    for kind in kinds.into_iter().chain((pods != Pods::No).then_some(Kind::Pod)) {
        match list(&mut connection, kind, &mut cluster, tell).await {
            Err(FollowError::Status(status)) if status.code == 403 && (kind, pods) == (Kind::Pod, Pods::IfAllowed) => {
                warn!(error = status.message, "pods could not be listed: what they could serve is not seen");
            }
            listed => listed.map_err(|source| ListError { kind, source })?,
        }
    }
    Ok(cluster)
}

async fn list(
    connection: &mut Connection,
    kind: Kind,
    cluster: &mut Cluster,
    tell: &mut impl FnMut(&'static str, usize),
) -> Result<(), FollowError> {
    let (Found::Same(client) | Found::New(client) | Found::Kept(client, _)) = connection.client(PATIENCE).await?;
    let mut params = first_page(kind);
    let mut count = 0;
    loop {
        let text = page(&client, kind, &params, PATIENCE).await?;
        // A page of EndpointSlices may be megabytes.
        let (metadata, items, limit) = aside(move || decode(kind, &text)).await?;
        count += items.len();
        for Decoded(item) in items {
            match item {
                Ok(Item { object, .. }) => drop(object.map(|object| cluster.apply(object))),
                Err((identity, error)) => {
                    let key = identity.map(|identity| identity.key);
                    warn!(?kind, ?key, %error, "object skipped");
                }
            }
        }
        tell(resource(kind), count);
        params.continue_token = metadata.r#continue.filter(|token| !token.is_empty());
        params.limit = Some(limit);
        if params.continue_token.is_none() {
            return Ok(());
        }
    }
}

/// What kubectl calls objects of a kind.
fn resource(kind: Kind) -> &'static str {
    match kind {
        Kind::Service => "services",
        Kind::EndpointSlice => "endpointslices",
        Kind::Namespace => "namespaces",
        Kind::Pod => "pods",
    }
}

/// What to do about an error that its own words do not tell.
fn hint(kind: Kind, error: &FollowError) -> String {
    match error {
        FollowError::Status(status) if status.code == 401 => " (the credentials are not good any more)".to_owned(),
        FollowError::Status(status) if status.code == 403 => {
            let resource = resource(kind);
            format!(" (see `kubectl auth can-i list {resource} -A`: kubezone needs list in all namespaces)")
        }
        FollowError::Status(status) if status.code == 410 => " (the list took too long: try again)".to_owned(),
        _ => String::new(),
    }
}
