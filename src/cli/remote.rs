//! A running server that a command asks, through its JSON API.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::uri::{InvalidUri, PathAndQuery, Scheme};
use axum::http::{StatusCode, Uri};
use clap::Args;
use clap_complete::ArgValueCandidates;
use futures::StreamExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::forward::{Forward, ForwardError};
use super::progress::{Line, waiting};
use super::{Failure, complete, is_plugin, runtime};
use crate::admin::api::Problem;
use crate::config::Admin;
use crate::report::{Page, Report};

/// How long a connection may take to come about, and every piece of an answer to follow the one before.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most octets of an answer that is read as a whole: a page of a thousand Services has a few million.
const MAX_ANSWER: usize = 256 << 20;

/// How many Services to ask for at a time.
const PAGE: &str = "500";

/// Where the API of a running server is: `http://[::1]:9154`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerUrl(String);

impl ServerUrl {
    /// That of a server that was told to have its API there; none: it has none.
    pub(super) fn of(admin: Admin) -> Option<Self> {
        let address = match admin {
            Admin::Off => return None,
            Admin::At(address) => address,
            Admin::Unsaid => Admin::USUAL,
        };
        let ip = match address.ip() {
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            ip => ip,
        };
        Some(Self(format!("http://{}", SocketAddr::new(ip, address.port()))))
    }

    /// The address in it; none where a name stands there, which can only be `localhost`.
    pub(super) fn ip(&self) -> Option<IpAddr> {
        let uri: Uri = self.0.parse().ok()?;
        uri.host()?.trim_matches(['[', ']']).parse().ok()
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is no such URL.
#[derive(Debug, thiserror::Error)]
#[error("write the URL of a kubezone's listen.admin, such as http://[::1]:9154; it speaks no TLS")]
pub(super) struct NoUrl;

impl FromStr for ServerUrl {
    type Err = NoUrl;

    fn from_str(text: &str) -> Result<Self, NoUrl> {
        let uri: Uri = text.parse().map_err(|_: InvalidUri| NoUrl)?;
        let has_query = uri.path_and_query().and_then(PathAndQuery::query).is_some();
        if uri.scheme() != Some(&Scheme::HTTP) || uri.host().is_none_or(str::is_empty) || has_query {
            return Err(NoUrl);
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

/// Which running server is asked.
#[derive(Debug, Args)]
pub(super) struct ServerArgs {
    /// The URL of the server's listen.admin
    #[arg(long, value_name = "URL", conflicts_with_all = ["kubeconfig", "context", "namespace"])]
    pub(super) server: Option<ServerUrl>,
    /// The kubeconfig of the cluster where the server runs as a Pod, which a port is forwarded from
    #[arg(long, value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,
    /// The context in the kubeconfig
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(complete::contexts))]
    pub(super) context: Option<String>,
    /// The namespace of the server's Pod [default: any]
    #[arg(short, long, value_name = "NAME", add = ArgValueCandidates::new(complete::namespaces))]
    pub(super) namespace: Option<String>,
}

impl ServerArgs {
    /// Whether a server was asked for.
    pub(super) fn is_told(&self) -> bool {
        self.server.is_some() || self.is_pod()
    }

    /// Whether a Pod was asked for.
    fn is_pod(&self) -> bool {
        self.kubeconfig.is_some() || self.context.is_some() || self.namespace.is_some()
    }

    /// The server: the one asked for; else, for kubectl's plugin, the Pod, or otherwise what is usual on this machine.
    pub(super) fn remote(&self) -> Result<Remote, Failure> {
        match &self.server {
            Some(url) => Remote::new(url),
            None if self.is_pod() || is_plugin() => Remote::forwarded(self),
            None => Remote::new(&ServerUrl(format!("http://{}", Admin::USUAL))),
        }
    }
}

/// Why a server did not tell.
#[derive(Debug, thiserror::Error)]
pub(super) enum RemoteError {
    #[error(
        "could not ask {url}: is that the server's listen.admin? For one in a Pod: kubectl port-forward POD 9154, and http://localhost:9154"
    )]
    Unreachable { url: Uri, source: hyper_util::client::legacy::Error },
    #[error(transparent)]
    Forward(#[from] ForwardError),
    #[error("{url} is silent for more than {PATIENCE:?}")]
    Silent { url: Uri },
    #[error("the answer of {url} broke off")]
    Broken { url: Uri, source: axum::Error },
    #[error("{url}: {sentence}")]
    Refused { url: Uri, status: StatusCode, sentence: String },
    #[error("{url} answers {status}: there is another program, or another version of kubezone")]
    Foreign { url: Uri, status: StatusCode },
}

impl From<RemoteError> for Failure {
    fn from(error: RemoteError) -> Self {
        Self::unable(error)
    }
}

/// A running server.
pub(super) struct Remote {
    base: String,
    road: Road,
    runtime: Runtime,
}

/// How it is reached.
enum Road {
    Network(Client<HttpConnector, Body>),
    Pod(Box<Forward>),
}

impl Remote {
    pub(super) fn new(url: &ServerUrl) -> Result<Self, Failure> {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(PATIENCE));
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { base: url.0.clone(), road: Road::Network(client), runtime: runtime()? })
    }

    /// kubezone's Pod in the cluster that `args` name.
    pub(super) fn forwarded(args: &ServerArgs) -> Result<Self, Failure> {
        let runtime = runtime()?;
        let pod = runtime.block_on(waiting("looking for kubezone's Pod", Forward::find(args)))?;
        Ok(Self { base: pod.base(), road: Road::Pod(Box::new(pod)), runtime })
    }

    /// What there is to say about the Services of `zone`, or about those that `query` asks for.
    pub(super) fn services(&self, zone: &str, query: &[(&str, &str)]) -> Result<Vec<Report>, RemoteError> {
        let query = [&[("zone", zone), ("limit", PAGE)], query].concat();
        self.list(&["services"], &query)
    }

    /// All of the items at `path`, below `/api/v1/`, page by page.
    pub(super) fn list<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Vec<T>, RemoteError> {
        let mut items = Vec::new();
        let mut after: Option<String> = None;
        let mut line = Line::new();
        loop {
            let after_it = after.as_deref().map(|after| ("after", after));
            let query: Vec<_> = query.iter().copied().chain(after_it).collect();
            let Page { items: more, next } = self.get(path, &query)?;
            items.extend::<Vec<T>>(more);
            line.show(format_args!("{}: {}", path.join("/"), items.len()));
            after = match next {
                Some(next) if after.as_ref() != Some(&next) => Some(next),
                _ => return Ok(items),
            };
        }
    }

    /// What there is at `path`, below `/api/v1/`.
    pub(super) fn get<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, &str)]) -> Result<T, RemoteError> {
        let url = self.url(path, query);
        self.runtime.block_on(async {
            let (status, body) = self.ask(&url).await?;
            let octets = whole(&url, body).await?;
            if status != StatusCode::OK {
                return Err(refused(url, status, &octets));
            }
            serde_json::from_slice(&octets).map_err(|_| RemoteError::Foreign { url, status })
        })
    }

    /// Copies what there is at `path`, below `/api/v1/`, as it comes.
    pub(super) fn copy(&self, path: &[&str], mut out: impl Write) -> Result<(), Failure> {
        let url = self.url(path, &[]);
        self.runtime.block_on(async {
            let (status, mut body) = self.ask(&url).await?;
            if status != StatusCode::OK {
                return Err(refused(url.clone(), status, &whole(&url, body).await?).into());
            }
            // On a terminal the text itself is seen to come.
            let mut line = (!io::stdout().is_terminal()).then(Line::new);
            let mut read = 0;
            while let Some(octets) = next(&url, &mut body).await? {
                out.write_all(&octets)?;
                read += octets.len();
                if let Some(line) = &mut line {
                    line.show(format_args!("{}: {} kB", path.join("/"), read / 1000));
                }
            }
            Ok(())
        })
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Uri {
        let mut url = format!("{}/api/v1", self.base);
        for segment in path {
            url.push('/');
            url.extend(form_urlencoded::byte_serialize(segment.as_bytes()));
        }
        if !query.is_empty() {
            url.push('?');
            let start = url.len();
            url = form_urlencoded::Serializer::for_suffix(url, start).extend_pairs(query).finish();
        }
        url.parse().expect("it is one, and what was added is encoded")
    }

    async fn ask(&self, url: &Uri) -> Result<(StatusCode, BodyDataStream), RemoteError> {
        let asked = async {
            match &self.road {
                Road::Pod(pod) => Ok(pod.ask(url).await?),
                Road::Network(client) => {
                    let answer = client.get(url.clone()).await;
                    let answer = answer.map_err(|source| RemoteError::Unreachable { url: url.clone(), source })?;
                    Ok((answer.status(), Body::new(answer.into_body()).into_data_stream()))
                }
            }
        };
        waiting(url, timeout(PATIENCE, asked)).await.map_err(|_| RemoteError::Silent { url: url.clone() })?
    }
}

/// The piece of an answer that follows.
async fn next(url: &Uri, body: &mut BodyDataStream) -> Result<Option<Bytes>, RemoteError> {
    match timeout(PATIENCE, body.next()).await {
        Ok(octets) => octets.transpose().map_err(|source| RemoteError::Broken { url: url.clone(), source }),
        Err(_) => Err(RemoteError::Silent { url: url.clone() }),
    }
}

/// An answer as a whole.
async fn whole(url: &Uri, mut body: BodyDataStream) -> Result<Vec<u8>, RemoteError> {
    let mut whole = Vec::new();
    while let Some(octets) = next(url, &mut body).await? {
        if whole.len() + octets.len() > MAX_ANSWER {
            return Err(RemoteError::Foreign { url: url.clone(), status: StatusCode::OK });
        }
        whole.extend_from_slice(&octets);
    }
    Ok(whole)
}

/// What a server that does not tell says about it.
fn refused(url: Uri, status: StatusCode, octets: &[u8]) -> RemoteError {
    match serde_json::from_slice(octets) {
        Ok(Problem { error }) => RemoteError::Refused { url, status, sentence: error },
        Err(_) => RemoteError::Foreign { url, status },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_url_without_tls() {
        for url in ["http://[::1]:9154", "http://localhost:9154/", "http://127.0.0.1:8001/api/v1/proxy/"] {
            let server: ServerUrl = url.parse().unwrap();
            assert_eq!(server.0, url.trim_end_matches('/'));
        }
        for text in
            ["", "[::1]:9154", "https://[::1]:9154", "http://", "http:///a", "localhost:9154", "http://a/?b", "a b"]
        {
            text.parse::<ServerUrl>().expect_err(text);
        }
    }

    #[test]
    fn a_server_is_where_its_configuration_has_its_admin() {
        let check = |admin: &str, url: Option<&str>| {
            let found = ServerUrl::of(admin.parse().unwrap());
            assert_eq!(found.as_ref().map(ToString::to_string).as_deref(), url);
            assert!(found.is_none_or(|url| url.ip().is_some_and(|ip| ip.is_loopback())));
        };
        check("[::1]:9154", Some("http://[::1]:9154"));
        check("[::]:9155", Some("http://[::1]:9155"));
        check("0.0.0.0:80", Some("http://127.0.0.1:80"));
        check("", None);
        assert_eq!(ServerUrl::of(Admin::Unsaid).unwrap().to_string(), "http://[::1]:9154");
        assert_eq!("http://localhost:9154".parse::<ServerUrl>().unwrap().ip(), None);
    }

    #[test]
    fn whatever_is_asked_for_is_encoded() {
        let remote = Remote::new(&"http://[::1]:9154/".parse().unwrap()).unwrap();
        let url = remote.url(&["zones", "a/b?c\\032."], &[("after", "a/b&c=d"), ("zone", "é")]);
        assert_eq!(url, "http://[::1]:9154/api/v1/zones/a%2Fb%3Fc%5C032.?after=a%2Fb%26c%3Dd&zone=%C3%A9");
    }
}
