//! Reads a cluster once, for those who look at it and do not follow it.

use std::time::Duration;

use tracing::warn;

use super::client::{Access, Connection};
use super::{Decoded, FollowError, decode, first_page, page};
use crate::cluster::{Cluster, Collection, Kind};
use crate::source::translate::Item;
use crate::source::{Pods, aside};

/// How long one page may take, and to connect.
const PATIENCE: Duration = Duration::from_secs(30);

/// Objects that could not be listed.
#[derive(Debug, thiserror::Error)]
#[error("{} could not be listed{}", what(collection), hint(collection, source))]
pub(in crate::source) struct ListError {
    collection: Collection,
    source: FollowError,
}

/// All objects at `access` of `cluster`, which is empty and knows what is read of it, kind by kind and page by page; `tell`
/// hears how many of a kind there are so far.
///
/// One that cannot be decoded is left out, with a warning.
pub(in crate::source) async fn read(
    access: Access,
    mut cluster: Cluster,
    pods: Pods,
    tell: &mut impl FnMut(&'static str, usize),
) -> Result<Cluster, ListError> {
    let mut connection = Connection::new(access);
    for collection in cluster.collections(pods != Pods::No) {
        let may_be_forbidden = (collection.kind, pods) == (Kind::Pod, Pods::IfAllowed);
        match list(&mut connection, &collection, &mut cluster, tell).await {
            Err(FollowError::Status(status)) if status.code == 403 && may_be_forbidden => {
                warn!(error = status.message, "pods could not be listed: what they could serve is not seen");
            }
            listed => listed.map_err(|source| ListError { collection, source })?,
        }
    }
    Ok(cluster)
}

async fn list(
    connection: &mut Connection,
    collection: &Collection,
    cluster: &mut Cluster,
    tell: &mut impl FnMut(&'static str, usize),
) -> Result<(), FollowError> {
    let client = connection.client(PATIENCE).await?.into_client();
    let kind = collection.kind;
    let mut params = first_page(kind);
    loop {
        let text = page(&client, collection, &params, PATIENCE).await?;
        // A page of EndpointSlices may be megabytes.
        let (metadata, items, limit) = aside(move || decode(kind, &text)).await?;
        for Decoded(item) in items {
            match item {
                Ok(Item { object, .. }) => drop(object.map(|object| cluster.apply(object))),
                Err((identity, error)) => {
                    let key = identity.map(|identity| identity.key);
                    warn!(?kind, ?key, %error, "object skipped");
                }
            }
        }
        tell(kind.resource(), cluster.count(kind));
        params.continue_token = metadata.r#continue.filter(|token| !token.is_empty());
        params.limit = Some(limit);
        if params.continue_token.is_none() {
            return Ok(());
        }
    }
}

fn what(Collection { kind, namespace }: &Collection) -> String {
    let resource = kind.resource();
    namespace.as_ref().map_or(resource.to_owned(), |namespace| format!("{resource} in {namespace}"))
}

/// What to do about an error that its own words do not tell.
fn hint(Collection { kind, namespace }: &Collection, error: &FollowError) -> String {
    match error {
        FollowError::Status(status) if status.code == 401 => " (the credentials are not good any more)".to_owned(),
        FollowError::Status(status) if status.code == 403 => {
            let (resource, flag, place) = match namespace {
                Some(namespace) => (kind.resource(), format!("-n {namespace}"), format!("namespace {namespace}")),
                None => (kind.resource(), "-A".to_owned(), "all namespaces".to_owned()),
            };
            format!(" (see `kubectl auth can-i list {resource} {flag}`: kubezone needs list in {place})")
        }
        FollowError::Status(status) if status.code == 410 => " (the list took too long: try again)".to_owned(),
        _ => String::new(),
    }
}
