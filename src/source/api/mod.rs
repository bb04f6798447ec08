//! Follows one collection, the objects of a kind in a cluster or in one namespace, through a Kubernetes API: list, then
//! watch.
//!
//! A [`Follower`] lists all objects, page by page, and watches from the list's
//! resourceVersion on. Each event moves that position, and so do bookmarks;
//! when a watch ends, the next goes on from there. It lists again when the
//! position is lost: when the API says so (410 Gone, as a status or within the
//! watch), when the kubeconfig changes, when the API is behind the position
//! (its store was restored or made anew: it says nothing then, and for ever),
//! and when the writer asks for it.
//!
//! The loop is our own, over kube's client: `kube::runtime::watcher` 5.0 keeps
//! the list's resourceVersion and the bookmarks to itself, where a serial and
//! a sign of life come from, and never gets over an HTTP-level 410, a 422, or
//! an object that it cannot decode.
//!
//! Nothing that goes wrong here takes an object away: an error is counted,
//! logged when it is another than before, and waited out; the follower tells
//! of a deletion only when the API does. It does not know what is served.

mod client;
mod once;
mod probe;
#[cfg(test)]
mod tests;

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures::{AsyncBufReadExt, AsyncReadExt, StreamExt};
use kube::Client;
use kube::config::{InClusterError, KubeconfigError};
use kube::core::params::{ListParams, WatchParams};
use kube::core::{Request, Status};
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use serde_json::value::RawValue;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{debug, info, warn};

pub(super) use self::client::{Access, watch_configuration};
use self::client::{Connection, Found};
pub(super) use self::once::read;
pub use self::probe::{Probe, ProbeError, Verb};
use super::aside;
use super::event::Event;
use super::translate::{self, Identity, Item};
use crate::cluster::{Collection, Kind};
use crate::error::chain;
use crate::metrics::{ClusterError, ClusterMetrics};

/// Objects in a page of a list, at most: client-go's choice.
const PAGE: u32 = 500;

/// EndpointSlices in the first page of a list: nobody knows how large they are, and one of a thousand endpoints has a third of
/// a megabyte.
const SLICES: u32 = 100;

/// Octets that a page is to have, about: it is held whole while it is decoded, and several kinds are listed at once.
const PAGE_OCTETS: usize = 2 << 20;

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// What we ask the API to end a watch after, at least; a bookmark comes just before.
    watch: Duration,
    /// How much longer than a watch nothing may come before the connection counts as dead.
    slack: Duration,
    /// The wait after the first of several failures; also from one watch to the next, at least.
    shortest: Duration,
    /// The wait between failures, at most; jitter adds as much again, or less.
    longest: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            watch: Duration::from_secs(45),
            slack: Duration::from_secs(5),
            shortest: Duration::from_millis(500),
            longest: Duration::from_secs(15),
        }
    }
}

impl Pace {
    fn delays(self) -> ExponentialBackoff {
        ExponentialBuilder::new()
            .with_min_delay(self.shortest)
            .with_max_delay(self.longest)
            .without_max_times()
            .with_jitter()
            .build()
    }

    /// The length of a watch: up to a fifth more, so that several do not end together for ever.
    fn watch(self) -> Duration {
        let tenths = RandomState::new().hash_one(()) % 11;
        self.watch + self.watch / 50 * u32::try_from(tenths).expect("it is at most ten")
    }
}

/// Follows one collection of one cluster.
pub(super) struct Follower {
    cluster: Arc<str>,
    collection: Collection,
    connection: Connection,
    pace: Pace,
    events: mpsc::Sender<Event>,
    relist: Arc<Notify>,
    metrics: ClusterMetrics,
    /// The resourceVersion to watch from; `None`: list.
    position: Option<String>,
    /// The waits after the failures to come.
    delays: ExponentialBackoff,
    /// What was reported last and has not passed.
    trouble: Option<ClusterError>,
    /// Whether the client is older than the configuration, which cannot be used: that was reported.
    is_outdated: bool,
}

impl Follower {
    /// Tells `events` what it learns; lists again whenever `relist` is notified.
    pub(super) fn new(
        cluster: Arc<str>,
        collection: Collection,
        access: Access,
        events: mpsc::Sender<Event>,
        relist: Arc<Notify>,
        metrics: ClusterMetrics,
        pace: Pace,
    ) -> Self {
        Self {
            cluster,
            collection,
            connection: Connection::new(access),
            pace,
            events,
            relist,
            metrics,
            position: None,
            delays: pace.delays(),
            trouble: None,
            is_outdated: false,
        }
    }

    /// Follows until nobody listens any more.
    pub(super) async fn run(mut self) {
        while !self.events.is_closed() {
            let Err(error) = self.step().await else { continue };
            if error.loses_position() {
                self.position = None;
            }
            if !matches!(error, FollowError::Watch(_)) {
                // Its connections may be dead, its credentials or certificates outdated.
                self.connection.drop_client();
            }
            self.report(&error);
            tokio::select! {
                () = sleep(self.delays.next().unwrap_or(self.pace.longest)) => {}
                () = self.relist.notified() => self.position = None,
            }
        }
    }

    /// A list, or a watch until it ends.
    async fn step(&mut self) -> Result<(), FollowError> {
        let found = self.connection.client(self.pace.watch + self.pace.slack).await?;
        self.report_outdated(if let Found::Kept(_, error) = &found { Some(error) } else { None });
        let client = match found {
            Found::Same(client) | Found::Kept(client, _) => client,
            Found::New(client) => {
                self.position = None;
                client
            }
        };
        match self.position.clone() {
            None => self.list(&client).await,
            Some(position) => self.watch(&client, &position).await,
        }
    }

    /// Lists all objects, and begins to watch where the list ends.
    async fn list(&mut self, client: &Client) -> Result<(), FollowError> {
        let mut params = first_page(self.kind());
        loop {
            let text = self.page(client, &params).await?;
            let kind = self.kind();
            // Hundreds of EndpointSlices are megabytes.
            let (metadata, items, limit) = aside(move || decode(kind, &text)).await?;
            if params.continue_token.is_none() {
                // Not before there is an answer: what is told is a sign of life.
                self.tell(Event::Listing(self.collection.clone())).await;
            }
            for item in items {
                self.tell_of(item).await;
            }
            params.continue_token = metadata.r#continue.filter(|token| !token.is_empty());
            params.limit = Some(limit);
            if params.continue_token.is_none() {
                let position = metadata.resource_version;
                let of = self.collection.clone();
                self.tell(Event::Listed { of, version: translate::number(&position) }).await;
                self.position = Some(position);
                self.metrics.set_trouble(&self.part(), None);
                return Ok(());
            }
        }
    }

    /// The text of a page of a list.
    async fn page(&self, client: &Client, params: &ListParams) -> Result<Vec<u8>, FollowError> {
        page(client, &self.collection, params, self.pace.watch + self.pace.slack).await
    }

    /// Whether the API's store is older than `position`, as far as these can be compared.
    async fn is_behind(&self, client: &Client, position: &str) -> Result<bool, FollowError> {
        let page = self.page(client, &ListParams::default().limit(1)).await?;
        let page = Page::read(&page)?;
        let numbers = translate::number(&page.metadata.resource_version).zip(translate::number(position));
        Ok(numbers.is_some_and(|(newest, position)| newest < position))
    }

    /// Watches from `position` on until the watch ends.
    async fn watch(&mut self, client: &Client, position: &str) -> Result<(), FollowError> {
        let begun = Instant::now();
        let length = self.pace.watch();
        let patience = length + self.pace.slack;
        let params = WatchParams {
            timeout: u32::try_from(length.as_secs()).ok(),
            field_selector: field_selector(self.kind()),
            ..WatchParams::default()
        };
        let request = request(&self.collection);
        let request = match self.kind() {
            Kind::Namespace => request.watch_metadata(&params, position),
            Kind::Service | Kind::EndpointSlice | Kind::Pod => request.watch(&params, position),
        };
        let request = request.expect("the parameters are valid");
        let mut lines = pin!(within(patience, client.request_stream(request)).await??.lines());
        let relist = Arc::clone(&self.relist);
        let mut is_mute = true;
        loop {
            let line = tokio::select! {
                line = within(patience, lines.next()) => line?,
                () = relist.notified() => {
                    self.position = None;
                    return Ok(());
                }
            };
            let Some(line) = line else { break };
            match serde_json::from_str(&line.map_err(FollowError::Broken)?) {
                Ok(event) => self.take(event).await?,
                // The end of the connection in the middle of a line.
                Err(error) if error.is_eof() => break,
                Err(error) => return Err(FollowError::Malformed(error)),
            }
            is_mute = false;
            self.recovered();
        }
        // Not even a bookmark: an API drops what is older than what it was asked for, without a word.
        if is_mute && self.is_behind(client, position).await? {
            warn!(
                cluster = %self.cluster, kind = ?self.kind(), namespace = self.namespace(), position,
                "the API is older than what it said before: listing again"
            );
            self.position = None;
        }
        self.recovered();
        // A server that ends every watch at once must not be asked without end.
        sleep_until(begun + self.pace.shortest).await;
        Ok(())
    }

    /// Takes in what a watch says.
    async fn take(&mut self, event: WatchEvent<'_>) -> Result<(), FollowError> {
        let identity = match &*event.r#type {
            "ADDED" | "MODIFIED" => self.tell_of(Decoded::read(self.kind(), event.object)).await,
            "DELETED" => {
                let identity = translate::identity(self.kind(), event.object).map_err(FollowError::Malformed)?;
                self.tell(Event::Delete { key: identity.key.clone(), version: identity.version() }).await;
                Some(identity)
            }
            "BOOKMARK" => {
                let bookmark: Bookmark = serde_json::from_str(event.object.get()).map_err(FollowError::Malformed)?;
                let position = bookmark.metadata.resource_version;
                let of = self.collection.clone();
                self.tell(Event::Bookmark { of, version: translate::number(&position) }).await;
                self.position = Some(position);
                None
            }
            "ERROR" => {
                let status = serde_json::from_str(event.object.get()).map_err(FollowError::Malformed)?;
                return Err(FollowError::Watch(Box::new(status)));
            }
            other => {
                debug!(cluster = %self.cluster, kind = ?self.kind(), r#type = other, "an event of an unknown type");
                None
            }
        };
        if let Some(position) = identity.and_then(|identity| identity.resource_version) {
            self.position = Some(position);
        }
        Ok(())
    }

    /// Tells what an object says that was listed, added or modified; which one it was, if that can be read.
    async fn tell_of(&self, decoded: Decoded) -> Option<Identity> {
        let (identity, event) = match decoded.0 {
            Ok(Item { identity, object: Some(object) }) => {
                let version = identity.version();
                (Some(identity), Some(Event::Apply { object, version }))
            }
            Ok(Item { identity, object: None }) => {
                let (key, version) = (identity.key.clone(), identity.version());
                (Some(identity), Some(Event::Delete { key, version }))
            }
            Err((identity, error)) => {
                self.metrics.error(ClusterError::Undecodable);
                let key = identity.as_ref().map(|identity| identity.key.clone());
                warn!(cluster = %self.cluster, kind = ?self.kind(), ?key, %error, "object skipped");
                (identity, key.map(Event::Skipped))
            }
        };
        if let Some(event) = event {
            self.tell(event).await;
        }
        identity
    }

    /// Waits while the writer is behind. When there is none any more, [`Follower::run`] ends.
    async fn tell(&self, event: Event) {
        let _ = self.events.send(event).await;
    }

    /// Counts an error, and logs it if it is another than the last.
    fn report(&mut self, error: &FollowError) {
        let class = error.class();
        self.metrics.error(class);
        let is_new = self.trouble.replace(class) != Some(class);
        let (cluster, kind, namespace) = (&*self.cluster, self.kind(), self.namespace());
        let error = chain(error);
        // To list again is what is done about it.
        if class != ClusterError::Expired {
            self.metrics.set_trouble(&self.part(), Some((class, error.clone())));
        }
        if !is_new {
            debug!(cluster, ?kind, namespace, error, "still not followed");
        } else if class == ClusterError::Expired {
            info!(cluster, ?kind, namespace, error, "listing again");
        } else {
            warn!(cluster, ?kind, namespace, error, "not followed for now");
        }
    }

    /// Counts an error of a configuration that a client stands in for: the cluster is followed all the same.
    fn report_outdated(&mut self, error: Option<&FollowError>) {
        let was_outdated = std::mem::replace(&mut self.is_outdated, error.is_some());
        let (cluster, kind, namespace) = (&*self.cluster, self.kind(), self.namespace());
        self.metrics.set_trouble(CONFIGURATION, error.map(|error| (error.class(), chain(error))));
        if let Some(error) = error {
            self.metrics.error(error.class());
            if !was_outdated {
                let error = chain(error);
                warn!(
                    cluster,
                    ?kind,
                    namespace,
                    error,
                    "the configuration cannot be used: followed with the one before it"
                );
            }
        } else if was_outdated {
            info!(cluster, ?kind, namespace, "the configuration can be used again");
        }
    }

    fn kind(&self) -> Kind {
        self.collection.kind
    }

    fn namespace(&self) -> Option<&str> {
        self.collection.namespace.as_deref()
    }

    /// What is followed, where something is wrong with it.
    fn part(&self) -> String {
        let kind = self.kind().name();
        self.namespace().map_or(kind.to_owned(), |namespace| format!("{kind} in {namespace}"))
    }

    /// The watch works: it said something, or lasted to its end.
    fn recovered(&mut self) {
        if self.trouble.take().is_some() {
            self.metrics.set_trouble(&self.part(), None);
            self.delays = self.pace.delays();
            info!(cluster = %self.cluster, kind = ?self.kind(), namespace = self.namespace(), "followed again");
        }
    }
}

/// What may be wrong with the configuration, where a client made before stands in.
const CONFIGURATION: &str = "configuration";

/// Where the objects of a collection are.
fn request(Collection { kind, namespace }: &Collection) -> Request {
    let version = match kind.group() {
        "" => "/api/v1".to_owned(),
        group => format!("/apis/{group}/v1"),
    };
    let resource = kind.resource();
    Request::new(match namespace {
        Some(namespace) => format!("{version}/namespaces/{namespace}/{resource}"),
        None => format!("{version}/{resource}"),
    })
}

/// Which objects of a kind are asked for. Pods that have ended may be most of them; one that ends is told as deleted.
fn field_selector(kind: Kind) -> Option<String> {
    (kind == Kind::Pod).then(|| "status.phase!=Succeeded,status.phase!=Failed".to_owned())
}

/// The text of a page of a list of `collection`.
async fn page(
    client: &Client,
    collection: &Collection,
    params: &ListParams,
    patience: Duration,
) -> Result<Vec<u8>, FollowError> {
    let params = ListParams { field_selector: field_selector(collection.kind), ..params.clone() };
    let request = request(collection);
    let request = match collection.kind {
        Kind::Namespace => request.list_metadata(&params),
        Kind::Service | Kind::EndpointSlice | Kind::Pod => request.list(&params),
    };
    let request = request.expect("the parameters are valid");
    let read = async {
        let mut text = Vec::new();
        // Not as one String: kube would have it twice.
        let mut body = pin!(client.request_stream(request).await?);
        body.read_to_end(&mut text).await.map_err(FollowError::Broken)?;
        Ok(text)
    };
    within(patience, read).await?
}

/// What a list begins with.
fn first_page(kind: Kind) -> ListParams {
    ListParams::default().limit(if kind == Kind::EndpointSlice { SLICES } else { PAGE })
}

/// How many objects the page behind one with so many is to have.
fn next_page(objects: usize, octets: usize) -> u32 {
    let each = octets / objects.max(1);
    u32::try_from(PAGE_OCTETS / each.max(1)).unwrap_or(PAGE).clamp(1, PAGE)
}

/// What a page says of itself, its objects, and how many the next one is to have.
fn decode(kind: Kind, text: &[u8]) -> Result<(ListMetadata, Vec<Decoded>, u32), FollowError> {
    let page = Page::read(text)?;
    let items: Vec<_> = page.items.into_iter().flatten().map(|object| Decoded::read(kind, object)).collect();
    let limit = next_page(items.len(), text.len());
    Ok((page.metadata, items, limit))
}

/// What `future` gives, if it does so within `patience`.
async fn within<F: Future>(patience: Duration, future: F) -> Result<F::Output, FollowError> {
    timeout(patience, future).await.map_err(|_| FollowError::Silent(patience))
}

/// A page of a list. Its items are decoded one by one: a bad one must not hurt the others.
///
/// Whatever else answers must not be taken for an empty list: the kind, the
/// resourceVersion and the items are required.
#[derive(Deserialize)]
struct Page<'a> {
    kind: String,
    metadata: ListMetadata,
    // An empty list is null with some servers. A field with a function of its own must be there.
    #[serde(borrow, deserialize_with = "Option::deserialize")]
    items: Option<Vec<&'a RawValue>>,
}

impl<'a> Page<'a> {
    fn read(text: &'a [u8]) -> Result<Self, FollowError> {
        let page: Self = serde_json::from_slice(text).map_err(FollowError::Malformed)?;
        if !page.kind.ends_with("List") {
            let error = serde_json::Error::custom(format!("{} is no kind of a list", page.kind));
            return Err(FollowError::Malformed(error));
        }
        Ok(page)
    }
}

/// An object, or why it cannot be decoded, and which one it is, if that can be read.
struct Decoded(Result<Item, (Option<Identity>, serde_json::Error)>);

impl Decoded {
    fn read(kind: Kind, object: &RawValue) -> Self {
        let item = translate::item(kind, "", object);
        Self(item.map_err(|error| (translate::identity(kind, object).ok(), error)))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMetadata {
    #[serde(deserialize_with = "not_empty")]
    resource_version: String,
    r#continue: Option<String>,
}

/// A watch from an empty resourceVersion would begin anywhere.
fn not_empty<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    if text.is_empty() { Err(D::Error::custom("an empty resourceVersion")) } else { Ok(text) }
}

#[derive(Deserialize)]
struct WatchEvent<'a> {
    r#type: String,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize)]
struct Bookmark {
    metadata: ListMetadata,
}

/// Why a cluster cannot be followed for now.
#[derive(Debug, thiserror::Error)]
pub(super) enum FollowError {
    #[error("the kubeconfig cannot be used")]
    Kubeconfig(#[source] KubeconfigError),
    #[error("the Pod's service account cannot be used")]
    InCluster(#[source] InClusterError),
    #[error("the configuration makes no client")]
    Client(#[source] Box<kube::Error>),
    #[error("no client was made within {0:?}: a program that the kubeconfig gets credentials from may hang")]
    NoClient(Duration),
    #[error("the request failed")]
    Request(#[source] Box<kube::Error>),
    #[error("the API answered {} {}: {}", .0.code, .0.reason, .0.message)]
    Status(Box<Status>),
    #[error("the watch ended with {} {}: {}", .0.code, .0.reason, .0.message)]
    Watch(Box<Status>),
    #[error("the connection broke")]
    Broken(#[source] io::Error),
    #[error("nothing was heard for {0:?}")]
    Silent(Duration),
    #[error("the answer is not the Kubernetes API's")]
    Malformed(#[source] serde_json::Error),
}

impl From<kube::Error> for FollowError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Status(status),
            error => Self::Request(Box::new(error)),
        }
    }
}

impl FollowError {
    /// As what it is counted.
    fn class(&self) -> ClusterError {
        match self {
            Self::Kubeconfig(_) | Self::InCluster(_) | Self::Client(_) | Self::NoClient(_) => {
                ClusterError::Configuration
            }
            Self::Request(error) if matches!(**error, kube::Error::Auth(_)) => ClusterError::Configuration,
            Self::Request(_) | Self::Broken(_) => ClusterError::Connection,
            Self::Status(status) | Self::Watch(status) => match status.code {
                401 | 403 => ClusterError::Forbidden,
                410 => ClusterError::Expired,
                _ => ClusterError::Status,
            },
            Self::Silent(_) => ClusterError::Idle,
            Self::Malformed(_) => ClusterError::Status,
        }
    }

    /// Whether the position in the watch means nothing any more.
    ///
    /// What ends a watch at an event would end the next one there, too: only a
    /// list gets past it (as in client-go). 400 and 422 refuse what was asked
    /// for: a list asks for less.
    fn loses_position(&self) -> bool {
        match self {
            Self::Watch(_) | Self::Malformed(_) => true,
            Self::Status(status) => matches!(status.code, 400 | 410 | 422),
            _ => false,
        }
    }
}
