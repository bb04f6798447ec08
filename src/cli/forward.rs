//! kubezone's Pod in a cluster: found by its label, and asked through the API server, as `kubectl port-forward` does.
//!
//! Nothing is listened on here, and each question has a connection of its own: the JSON API is good for one request each,
//! and so is what leads to it. The kubelet ends it in the Pod, on loopback, where the API is.

use std::error::Error;
use std::fmt;
use std::pin::pin;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{Request, StatusCode, Uri, header};
use futures::FutureExt;
use futures::future::FusedFuture;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::time::timeout;

use super::reports::access;
use super::{Failure, remote::ServerArgs};
use crate::config::{Access, Admin};

/// What the chart labels its Pods with.
const LABEL: &str = "app.kubernetes.io/name=kubezone";

/// How long the API server may take to be connected to, and what is wrong in the Pod to be told.
const PATIENCE: Duration = Duration::from_secs(10);

/// A Pod that is asked.
pub(super) struct Forward {
    pods: Api<Pod>,
    pod: PodName,
    port: u16,
}

/// What the Pod is called, and where it is.
#[derive(Debug, Clone)]
pub(super) struct PodName {
    namespace: String,
    name: String,
}

impl fmt::Display for PodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pod {}/{}", self.namespace, self.name)
    }
}

type Cause = Box<dyn Error + Send + Sync>;

/// Why no Pod could be asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum ForwardError {
    #[error("the cluster that kubezone is to be found in cannot be used")]
    Access(#[source] Cause),
    #[error(
        "could not look for kubezone's Pod: this takes the right to list pods in {}; --server URL asks a server without it",
        place(namespace.as_deref())
    )]
    List { namespace: Option<String>, source: Cause },
    #[error(
        "there is no Pod with the label {LABEL} in {}: install kubezone there, name its cluster (--context) or its namespace (-n), or ask a server elsewhere with --server URL",
        place(namespace.as_deref())
    )]
    NoPod { namespace: Option<String> },
    #[error(
        "{pod} is {phase}, and no other Pod with the label {LABEL} runs: `kubectl -n {} describe pod {}` says why",
        pod.namespace, pod.name
    )]
    NotRunning { pod: PodName, phase: String },
    #[error("could not forward a port of {pod}: this takes the rights to get and create pods/portforward")]
    Forbidden { pod: PodName, source: Cause },
    #[error("could not forward a port of {pod}: its node's kubelet has to be reached by the API server")]
    Portforward { pod: PodName, source: Cause },
    #[error("{pod} does not answer on port {port}: {sentence}; is that its listen.admin?")]
    Refused { pod: PodName, port: u16, sentence: String },
}

fn place(namespace: Option<&str>) -> String {
    namespace.map_or("any namespace".to_owned(), |namespace| format!("namespace {namespace}"))
}

impl Forward {
    /// Finds kubezone's Pod: one that runs, and if there is such one that is ready.
    pub(super) async fn find(args: &ServerArgs) -> Result<Self, ForwardError> {
        let client = client(access(None, args.kubeconfig.clone(), args.context.clone())).await?;
        let pods: Api<Pod> = match &args.namespace {
            Some(namespace) => Api::namespaced(client.clone(), namespace),
            None => Api::all(client.clone()),
        };
        let list = |error| ForwardError::List { namespace: args.namespace.clone(), source: cause(error) };
        let listed = pods.list(&ListParams::default().labels(LABEL)).await.map_err(list)?;
        let best = listed.items.into_iter().max_by_key(|pod| (phase(pod) == "Running", is_ready(pod)));
        let Some(pod) = best else { return Err(ForwardError::NoPod { namespace: args.namespace.clone() }) };
        let metadata = &pod.metadata;
        let name = PodName {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
        };
        if phase(&pod) != "Running" {
            return Err(ForwardError::NotRunning { pod: name, phase: phase(&pod).to_owned() });
        }
        let port = admin_port(&pod);
        Ok(Self { pods: Api::namespaced(client, &name.namespace), pod: name, port })
    }

    /// What the URLs of its API begin with.
    pub(super) fn base(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// Asks for `url`: the status, and the body as it comes.
    pub(super) async fn ask(&self, url: &Uri) -> Result<(StatusCode, BodyDataStream), ForwardError> {
        let forwarded = self.pods.portforward(&self.pod.name, &[self.port]).await;
        let mut forwarded = forwarded.map_err(|error| {
            let is_forbidden = matches!(&error, kube::Error::Api(status) if status.is_forbidden());
            let (pod, source) = (self.pod.clone(), cause(error));
            if is_forbidden {
                ForwardError::Forbidden { pod, source }
            } else {
                ForwardError::Portforward { pod, source }
            }
        })?;
        let stream = forwarded.take_stream(self.port).expect("the port asked for, and not taken yet");
        let mut trouble = pin!(forwarded.take_error(self.port).expect("the same").fuse());
        let answer = async {
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            // It ends with the answer's body.
            tokio::spawn(connection);
            let target = url.path_and_query().map_or("/", |target| target.as_str());
            let host = url.authority().map_or("localhost", |authority| authority.as_str());
            let request = Request::get(target).header(header::HOST, host).body(Body::empty());
            sender.send_request(request.expect("a part of a URL is one")).await
        };
        // The kubelet says why, if it is that there is no connection in the Pod; it may leave this one open all the same.
        let sentence = tokio::select! {
            Some(sentence) = &mut trouble => sentence,
            answer = answer => match answer {
                Ok(answer) => return Ok((answer.status(), Body::new(answer.into_body()).into_data_stream())),
                Err(error) if trouble.is_terminated() => error.to_string(),
                Err(error) => timeout(PATIENCE, trouble).await.ok().flatten().unwrap_or_else(|| error.to_string()),
            },
        };
        Err(ForwardError::Refused { pod: self.pod.clone(), port: self.port, sentence: sentence.trim().to_owned() })
    }
}

async fn client(access: Access) -> Result<Client, ForwardError> {
    let of_kubeconfig = |error: kube::config::KubeconfigError| ForwardError::Access(error.into());
    let mut config = match access {
        Access::Kubeconfig { path, context } => {
            let kubeconfig = path.map_or_else(Kubeconfig::read, Kubeconfig::read_from).map_err(of_kubeconfig)?;
            let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
            Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(of_kubeconfig)?
        }
        _ => Config::incluster().map_err(|error| ForwardError::Access(error.into()))?,
    };
    config.connect_timeout = Some(PATIENCE);
    // Somebody waits for an answer, be it that there is none.
    config.default_retry = false;
    Client::try_from(config).map_err(|error| ForwardError::Access(error.into()))
}

/// What the API says, in its own words, or what kept it from saying something.
fn cause(error: kube::Error) -> Cause {
    match error {
        kube::Error::Api(status) => {
            format!("the API answered {} {}: {}", status.code, status.reason, status.message).into()
        }
        error => error.into(),
    }
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending")
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// The port called `admin`, or else the usual one.
fn admin_port(pod: &Pod) -> u16 {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
    let named = ports.find(|port| port.name.as_deref() == Some("admin"));
    named.and_then(|port| u16::try_from(port.container_port).ok()).unwrap_or(Admin::USUAL.port())
}

impl From<ForwardError> for Failure {
    fn from(error: ForwardError) -> Self {
        Self::unable(error)
    }
}
