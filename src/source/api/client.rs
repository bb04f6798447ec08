//! How a cluster's API is reached: kube's client, made from a kubeconfig or in a Pod.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::FollowError;
use crate::config;
use crate::source::writer::Relist;
use crate::source::{Watch, aside, joined};

/// Within it an API server is connected to, or is away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the configuration of a client comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::source) enum Access {
    /// A kubeconfig and a context in it; `None` means kubectl's defaults.
    Kubeconfig { path: Option<PathBuf>, context: Option<String> },
    /// The service account of the Pod that this process runs in.
    InCluster,
}

/// A client that is made anew when it failed, when its credentials expire, and
/// when the kubeconfig changes.
///
/// kube reads tokens in files again by itself, but neither the kubeconfig nor
/// the certificates it names: after a rotation only a new client gets in.
pub(super) struct Connection {
    access: Access,
    client: Option<Client>,
    /// The kubeconfig that the client was made from, to see it change (its type cannot be compared).
    configuration: Option<Value>,
    attempt: Option<Attempt>,
}

/// A client in the making, kept when it is not made in time: it may wait for
/// a program that hangs, and must not start another each time it is retried.
struct Attempt {
    /// What it is made from.
    configuration: Value,
    client: AbortOnDropHandle<Result<Client, FollowError>>,
}

/// What [`Connection::client`] found.
pub(super) enum Found {
    /// A client for the same API as before.
    Same(Client),
    /// A client for what may be another API: no resourceVersion of the one before means anything to it.
    New(Client),
    /// The configuration cannot be used now; the client is the one before it.
    Kept(Client, FollowError),
}

impl Found {
    /// The client, for those who ask once: whichever it is.
    pub(super) fn into_client(self) -> Client {
        match self {
            Self::Same(client) | Self::New(client) | Self::Kept(client, _) => client,
        }
    }
}

impl Connection {
    pub(super) fn new(access: Access) -> Self {
        Self { access, client: None, configuration: None, attempt: None }
    }

    /// The next request is to come from a new client.
    pub(super) fn drop_client(&mut self) {
        self.client = None;
    }

    /// A client to send the next request with, made within `patience`.
    pub(super) async fn client(&mut self, patience: Duration) -> Result<Found, FollowError> {
        let now = Timestamp::now();
        self.client.take_if(|client| client.valid_until().is_some_and(|until| until <= now));
        let access = self.access.clone();
        let (kubeconfig, configuration) = match (aside(move || access.read()).await, &self.client) {
            (Ok(read), _) => read,
            (Err(error), Some(client)) => return Ok(Found::Kept(client.clone(), error)),
            (Err(error), None) => return Err(error),
        };
        let same = self.configuration.as_ref() == Some(&configuration);
        if let Some(client) = self.client.as_ref().filter(|_| same) {
            return Ok(Found::Same(client.clone()));
        }
        let client = match (self.connect(kubeconfig, &configuration, patience).await, &self.client) {
            (Ok(client), _) => client,
            (Err(error), Some(client)) => return Ok(Found::Kept(client.clone(), error)),
            (Err(error), None) => return Err(error),
        };
        self.client = Some(client.clone());
        self.configuration = Some(configuration);
        Ok(if same { Found::Same(client) } else { Found::New(client) })
    }

    /// Makes a client, or goes on to make the one that was not ready in time.
    async fn connect(
        &mut self,
        kubeconfig: Option<Kubeconfig>,
        configuration: &Value,
        patience: Duration,
    ) -> Result<Client, FollowError> {
        self.attempt.take_if(|attempt| attempt.configuration != *configuration);
        let attempt = self.attempt.get_or_insert_with(|| {
            // It reads certificates, and may run a program: kube waits for both where it stands.
            let (access, runtime) = (self.access.clone(), Handle::current());
            let client = spawn_blocking(move || runtime.block_on(access.connect(kubeconfig)));
            Attempt { configuration: configuration.clone(), client: AbortOnDropHandle::new(client) }
        });
        let made = timeout(patience, joined(&mut attempt.client)).await.map_err(|_| FollowError::NoClient(patience))?;
        self.attempt = None;
        made
    }
}

/// Asks `relist` whenever the kubeconfig has become another that can be read: a list comes with a new client.
///
/// Followers see by themselves what has changed when a watch ends; this does not let them wait.
pub(in crate::source) async fn watch_configuration(access: Access, mut watch: Watch, relist: Relist) {
    let read = async || {
        let access = access.clone();
        aside(move || access.read()).await.ok().map(|(_, configuration)| configuration)
    };
    let mut known = read().await;
    loop {
        watch.changed().await;
        let configuration = read().await;
        if configuration.is_some() && configuration != known {
            known = configuration;
            relist.all();
        }
    }
}

impl From<&config::Access> for Access {
    fn from(access: &config::Access) -> Self {
        match access {
            config::Access::InCluster => Self::InCluster,
            config::Access::Kubeconfig { path, context } => {
                Self::Kubeconfig { path: path.clone(), context: context.clone() }
            }
            config::Access::Manifests(_) => unreachable!("manifests have no API"),
        }
    }
}

impl Access {
    /// The files that it is read from.
    pub(in crate::source) fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::InCluster => Vec::new(),
            Self::Kubeconfig { path: Some(path), .. } => vec![path.clone()],
            // As kube and kubectl look for it.
            Self::Kubeconfig { path: None, .. } => match env::var_os("KUBECONFIG") {
                Some(paths) => env::split_paths(&paths).filter(|path| !path.as_os_str().is_empty()).collect(),
                None => env::home_dir().map(|home| home.join(".kube/config")).into_iter().collect(),
            },
        }
    }

    /// Whether it leads to an API, as far as one can tell without asking it.
    pub(in crate::source) async fn check(self) -> Result<(), FollowError> {
        let access = self.clone();
        let (kubeconfig, _) = aside(move || access.read()).await?;
        self.config(kubeconfig).await.map(drop)
    }

    /// Reads the kubeconfig, where there is one.
    fn read(&self) -> Result<(Option<Kubeconfig>, Value), FollowError> {
        let kubeconfig = match self {
            Self::InCluster => return Ok((None, Value::Null)),
            Self::Kubeconfig { path: Some(path), .. } => Kubeconfig::read_from(path),
            Self::Kubeconfig { path: None, .. } => Kubeconfig::read(),
        }
        .map_err(FollowError::Kubeconfig)?;
        let configuration = serde_json::to_value(&kubeconfig).map_err(FollowError::Malformed)?;
        Ok((Some(kubeconfig), configuration))
    }

    async fn config(self, kubeconfig: Option<Kubeconfig>) -> Result<Config, FollowError> {
        match (self, kubeconfig) {
            (Self::Kubeconfig { context, .. }, Some(kubeconfig)) => {
                let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
                Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(FollowError::Kubeconfig)
            }
            _ => Config::incluster().map_err(FollowError::InCluster),
        }
    }

    async fn connect(self, kubeconfig: Option<Kubeconfig>) -> Result<Client, FollowError> {
        let mut config = self.config(kubeconfig).await?;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        // It would hide errors from the log and the metrics, and wait out of sight.
        config.default_retry = false;
        Client::try_from(config).map_err(|error| FollowError::Client(Box::new(error)))
    }
}
