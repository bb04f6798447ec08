//! A real control plane: etcd, kube-apiserver and kube-controller-manager, on [::1], RBAC on; its Services have IPv6
//! addresses, or where a test asks for it both.
//!
//! There are no nodes. A Node object without a kubelet is as good as one for the controllers: Pods that are bound to it, and
//! whose status a test writes through the status subresource, make real EndpointSlices.
//!
//! `tests/controlplane/build` builds the three programs; those in `KUBEBUILDER_ASSETS` are used instead where it is set.

use std::env;
use std::fs;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use axum::http::Request;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::OnceCell;

use super::http::http;
use super::process::{Folder, Process};
use super::{eventually, skip};

/// Where Services get their addresses: public ones, so that kubezone publishes them.
pub(crate) const SERVICE_RANGE: &str = "2a0a:e5c0:10:3::/108";
/// The same, and private ones of IPv4, as almost every cluster with both has them.
const DUAL_STACK: &str = "2a0a:e5c0:10:3::/108,10.96.0.0/16";
/// The node that Pods are bound to.
pub(crate) const NODE: &str = "node";
/// The build script's default, below [`cache`].
const BUILT: &str = "controlplane-v1.36.3";
/// May do everything: the tests and the controller manager.
const ADMIN: &str = "admin";
/// May do what kubezone needs, and nothing else.
const READER: &str = "kubezone";
/// May do what kubezone needs in single namespaces, those of [`Scene::let_read`], and nothing else.
const TENANT: &str = "tenant";

/// A control plane. What it started ends with it.
#[derive(Debug)]
pub(crate) struct ControlPlane {
    programs: PathBuf,
    service_range: &'static str,
    etcd_port: Port,
    _peer_port: Port,
    api_port: Port,
    api_server: Option<Process>,
    /// None where nothing is to be done about objects but to keep them.
    _controller_manager: Option<Process>,
    etcd: Process,
    folder: Folder,
}

/// The one that tests share, each in namespaces of its own; `None` where there is nothing to run, which then has been said.
pub(crate) async fn shared(test: &str) -> Option<&'static ControlPlane> {
    static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
    let programs = programs(test)?;
    Some(SHARED.get_or_init(|| ControlPlane::start(programs, SERVICE_RANGE, true, None)).await)
}

/// One with both address families, IPv6 first; `None` as above.
pub(crate) async fn dual_stack(test: &str) -> Option<ControlPlane> {
    Some(ControlPlane::start(programs(test)?, DUAL_STACK, true, None).await)
}

/// One of the test's own, to be killed and compacted; `None` as above.
pub(crate) async fn own(test: &str) -> Option<ControlPlane> {
    Some(ControlPlane::start(programs(test)?, SERVICE_RANGE, true, None).await)
}

/// One without controllers, over a copy of what [`ControlPlane::keep`] has kept, if there is such; `None` as above.
pub(crate) async fn stored(test: &str, store: Option<&Path>) -> Option<ControlPlane> {
    Some(ControlPlane::start(programs(test)?, SERVICE_RANGE, false, store).await)
}

/// The version of Kubernetes, such as `v1.36.3`; `None` as above.
pub(crate) fn version(test: &str) -> Option<String> {
    let output = Command::new(programs(test)?.join("kube-apiserver")).arg("--version").output();
    let said = String::from_utf8(output.expect("kube-apiserver runs").stdout).expect("a version");
    Some(said.split_whitespace().last().expect("a version").to_owned())
}

/// Where what takes long to make is kept from one run to the next.
pub(crate) fn cache() -> Option<PathBuf> {
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    Some(env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home)?.join("kubezone"))
}

/// The folder with the three programs.
fn programs(test: &str) -> Option<PathBuf> {
    let programs = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from).or_else(|| Some(cache()?.join(BUILT)))?;
    for program in ["etcd", "kube-apiserver", "kube-controller-manager"] {
        let path = programs.join(program);
        if !path.exists() {
            skip(test, &format!("{} is missing; tests/controlplane/build builds it", path.display()));
            return None;
        }
    }
    Some(programs)
}

impl ControlPlane {
    /// Starts one; with a `store`, over a copy of it.
    async fn start(
        programs: PathBuf,
        service_range: &'static str,
        has_controllers: bool,
        store: Option<&Path>,
    ) -> Self {
        // kube's TLS wants to know whose cryptography it uses; a second test finds it chosen.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = Folder::new().expect("a temporary folder");
        let [etcd_port, peer_port, api_port] = [(); 3].map(|()| Port::reserve().expect("a port on [::1]"));
        credentials(&folder).expect("credentials written");
        if let Some(store) = store {
            copy(store, &folder.join("etcd"));
        }
        let etcd = start_etcd(&programs, &folder, etcd_port.address, peer_port.address).expect("etcd started");
        let api_server = start_api_server(&programs, &folder, etcd_port.address, api_port.address, service_range);
        // The API server writes its certificate and then the key: with the key there, the certificate is complete.
        let (certificate, key) = (folder.join("certificates/apiserver.crt"), folder.join("certificates/apiserver.key"));
        eventually("the API server's certificate", async || fs::metadata(&key).map_err(|error| error.to_string()))
            .await;
        for user in [ADMIN, READER, TENANT] {
            let text = kubeconfig(user, api_port.address, &certificate);
            folder.write(&format!("{user}.kubeconfig"), &text).expect("kubeconfig written");
        }
        let start = || start_controller_manager(&programs, &folder).expect("controller manager started");
        let controller_manager = has_controllers.then(start);
        let mut plane = Self {
            programs,
            service_range,
            etcd_port,
            _peer_port: peer_port,
            api_port,
            api_server: Some(api_server.expect("API server started")),
            _controller_manager: controller_manager,
            etcd,
            folder,
        };
        plane.ready().await;
        if store.is_none() {
            plane.furnish().await;
        }
        plane
    }

    /// Ends it, and keeps what its etcd has stored in a new folder, `store`: whole, or not at all.
    pub(crate) async fn keep(mut self, store: &Path) {
        self.stop_api_server();
        self.etcd.signal("TERM");
        let etcd = &mut self.etcd;
        eventually("etcd ends", async || if etcd.has_ended() { Ok(()) } else { Err(etcd.said()) }).await;
        let unfinished = store.with_extension(format!("unfinished.{}", std::process::id()));
        copy(&self.folder.join("etcd"), &unfinished);
        fs::rename(&unfinished, store).expect("a folder in the place of none, or of an empty one");
    }

    /// Waits until the API server says that it is ready.
    async fn ready(&mut self) {
        let client = self.client().await;
        let api_server = self.api_server.as_mut().expect("running");
        let etcd = &mut self.etcd;
        eventually("the API server's /readyz", async || {
            assert!(!etcd.has_ended(), "etcd has ended");
            assert!(!api_server.has_ended(), "the API server has ended");
            let request = Request::get("/readyz").body(Vec::new()).expect("a request");
            client.request_text(request).await.map_err(|error| error.to_string())
        })
        .await;
    }

    /// What every test takes for granted: a node, and the rights of a kubezone.
    async fn furnish(&self) {
        let client = self.client().await;
        create::<Node>(&Api::all(client), json!({ "metadata": { "name": NODE } })).await;
        let rules = json!([
            { "apiGroups": [""], "resources": ["services", "namespaces"], "verbs": ["list", "watch"] },
            { "apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"] },
        ]);
        self.grant(READER, rules).await;
    }

    /// Lets the user of [`ControlPlane::kubeconfig`] list and watch Pods, too.
    pub(crate) async fn let_watch_pods(&self) {
        let rules = json!([{ "apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"] }]);
        self.grant("pods", rules).await;
    }

    /// Gives the reader the rights in a role called `role`.
    async fn grant(&self, role: &str, rules: Value) {
        let client = self.client().await;
        let object = json!({ "metadata": { "name": role }, "rules": rules });
        create::<ClusterRole>(&Api::all(client.clone()), object).await;
        let binding = json!({
            "metadata": { "name": role },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
            "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": READER }],
        });
        create::<ClusterRoleBinding>(&Api::all(client), binding).await;
    }

    /// The kubeconfig of a user who may list and watch Services, EndpointSlices and Namespaces, and nothing else.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.join(&format!("{READER}.kubeconfig"))
    }

    /// The kubeconfig of a user who may list and watch Services and EndpointSlices, in single namespaces.
    pub(crate) fn kubeconfig_of_tenant(&self) -> PathBuf {
        self.folder.join(&format!("{TENANT}.kubeconfig"))
    }

    /// The kubeconfig of a user who may do everything.
    pub(crate) fn admin_kubeconfig(&self) -> PathBuf {
        self.folder.join(&format!("{ADMIN}.kubeconfig"))
    }

    /// The words before a command that run it as in a Pod of this cluster: with the variables and files that a kubelet
    /// gives to a container, in a mount namespace of its own. `None` and a word about `test` where that is not permitted.
    pub(crate) fn pod(&self, test: &str) -> Option<Vec<String>> {
        self.pod_of(test, &format!("{READER}-token"))
    }

    /// The same, of a ServiceAccount with this token.
    pub(crate) fn pod_of(&self, test: &str, token: &str) -> Option<Vec<String>> {
        const SCRIPT: &str = r#"
            secrets=/run/secrets/kubernetes.io/serviceaccount
            mount -t tmpfs tmpfs /run && mkdir -p $secrets &&
            printf %s "$1" >$secrets/token && cp "$2" $secrets/ca.crt && printf default >$secrets/namespace &&
            shift 2 && exec "$@"
        "#;
        let permitted = Command::new("unshare").args(["--mount", "true"]).output();
        if !permitted.is_ok_and(|output| output.status.success()) {
            skip(test, &"mount namespaces are not permitted here: run it as root");
            return None;
        }
        let port = format!("KUBERNETES_SERVICE_PORT={}", self.api_port.address.port());
        let certificate = self.folder.join("certificates/apiserver.crt");
        let unshare = ["unshare", "--mount", "env", "KUBERNETES_SERVICE_HOST=::1", &port, "sh", "-c", SCRIPT, "sh"];
        let arguments = [token.to_owned(), certificate.display().to_string()];
        Some(unshare.map(str::to_owned).into_iter().chain(arguments).collect())
    }

    /// A client that may do everything. Of the runtime that asks for it: each test has its own.
    pub(crate) async fn client(&self) -> Client {
        self.client_with(&format!("{ADMIN}-token")).await
    }

    /// A client that comes with this token.
    pub(crate) async fn client_with(&self, token: &str) -> Client {
        let text = kubeconfig_with(token, self.api_port.address, &self.folder.join("certificates/apiserver.crt"));
        let kubeconfig = Kubeconfig::from_yaml(&text).expect("a kubeconfig");
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        Client::try_from(config.expect("a configuration")).expect("a client")
    }

    /// A new namespace called `name`, and all that a test does in it.
    pub(crate) async fn namespace(&self, name: &str) -> Scene {
        let client = self.client().await;
        create::<Namespace>(&Api::all(client.clone()), json!({ "metadata": { "name": name } })).await;
        Scene { client, namespace: name.to_owned() }
    }

    /// Kills the API server.
    pub(crate) fn stop_api_server(&mut self) {
        self.api_server = None;
    }

    /// Starts it again, at the same address, and waits until it is ready.
    pub(crate) async fn start_api_server(&mut self) {
        let (etcd, own) = (self.etcd_port.address, self.api_port.address);
        let started = start_api_server(&self.programs, &self.folder, etcd, own, self.service_range);
        self.api_server = Some(started.expect("API server started"));
        self.ready().await;
    }

    /// Makes etcd forget all versions before the present one.
    pub(crate) async fn compact(&self) {
        // Of any list, the resourceVersion is etcd's revision.
        let namespaces = Api::<Namespace>::all(self.client().await).list(&ListParams::default()).await.expect("a list");
        let revision = namespaces.metadata.resource_version.expect("a resourceVersion");
        let body = json!({ "revision": revision, "physical": true }).to_string();
        let answer = http(self.etcd_port.address, "POST", "/v3/kv/compaction", &body).await.expect("etcd answers");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

/// A namespace, and what happens in it.
#[derive(Clone)]
pub(crate) struct Scene {
    pub(crate) client: Client,
    pub(crate) namespace: String,
}

impl Scene {
    /// The namespace's objects of one kind.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Lets the user of [`ControlPlane::kubeconfig_of_tenant`] read what kubezone needs here.
    pub(crate) async fn let_read(&self) {
        let role = json!({ "metadata": { "name": TENANT }, "rules": [
            { "apiGroups": [""], "resources": ["services"], "verbs": ["list", "watch"] },
            { "apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"] },
        ]});
        create::<Role>(&self.api(), role).await;
        let binding = json!({
            "metadata": { "name": TENANT },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": TENANT },
            "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": TENANT }],
        });
        create::<RoleBinding>(&self.api(), binding).await;
    }

    /// Creates a Service, and gives it as the API says it is.
    pub(crate) async fn create_service(&self, name: impl Into<String>, spec: Value) -> Service {
        let name = name.into();
        create(&self.api(), json!({ "metadata": { "name": name }, "spec": spec })).await
    }

    /// Changes a Service's spec by a merge patch.
    pub(crate) async fn change_service(&self, name: &str, spec: Value) -> Service {
        let patch = Patch::Merge(json!({ "spec": spec }));
        self.api::<Service>().patch(name, &PatchParams::default(), &patch).await.expect("patched")
    }

    /// Deletes a Service.
    pub(crate) async fn delete_service(&self, name: &str) {
        self.api::<Service>().delete(name, &DeleteParams::default()).await.expect("deleted");
    }

    /// Creates a Pod that runs on the node, with its own name as hostname below `subdomain`, not ready yet.
    pub(crate) async fn create_pod(&self, name: &str, subdomain: &str, labels: Value, ports: Value) {
        let pod = json!({
            "metadata": { "name": name, "labels": labels },
            "spec": {
                "nodeName": NODE,
                "hostname": name,
                "subdomain": subdomain,
                "containers": [{ "name": "main", "image": "none.invalid/none", "ports": ports }],
            },
        });
        create::<Pod>(&self.api(), pod).await;
    }

    /// Creates an EndpointSlice of a Service, as a controller of somebody's own would: none looks after it.
    pub(crate) async fn create_slice(
        &self,
        name: &str,
        service: &str,
        address_type: &str,
        endpoints: Value,
        ports: Value,
    ) {
        let slice = json!({
            "metadata": { "name": name, "labels": { "kubernetes.io/service-name": service } },
            "addressType": address_type,
            "endpoints": endpoints,
            "ports": ports,
        });
        create::<EndpointSlice>(&self.api(), slice).await;
    }

    /// Says what a kubelet would: the Pod has these addresses and is ready, or not.
    pub(crate) async fn set_pod(&self, name: &str, addresses: &[&str], ready: bool) {
        let all: Vec<_> = addresses.iter().map(|address| json!({ "ip": address })).collect();
        let status = json!({ "status": {
            "phase": "Running",
            "podIP": addresses[0],
            "podIPs": all,
            "conditions": [{ "type": "Ready", "status": if ready { "True" } else { "False" } }],
        }});
        let patched = self.api::<Pod>().patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await;
        patched.expect("status patched");
    }

    /// Deletes a Pod at once: there is no kubelet that would let it go.
    pub(crate) async fn delete_pod(&self, name: &str) {
        let force = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
        self.api::<Pod>().delete(name, &force).await.expect("deleted");
    }

    /// Changes the namespace's own metadata by a merge patch.
    pub(crate) async fn change_namespace(&self, metadata: Value) {
        let namespaces = Api::<Namespace>::all(self.client.clone());
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        namespaces.patch(&self.namespace, &PatchParams::default(), &patch).await.expect("patched");
    }

    /// Deletes the namespace; the controller manager then deletes what is in it.
    pub(crate) async fn delete(self) {
        let namespaces = Api::<Namespace>::all(self.client);
        namespaces.delete(&self.namespace, &DeleteParams::default()).await.expect("deleted");
    }
}

/// The spec of a Service that most are like.
pub(crate) fn https() -> Value {
    json!({ "ports": ports(&[("https", 443)]) })
}

/// A spec with the ports called so, each with the number.
pub(crate) fn ports(ports: &[(&str, u16)]) -> Value {
    let ports = ports.iter().map(|(name, port)| json!({ "name": name, "port": port, "protocol": "TCP" }));
    Value::Array(ports.collect())
}

/// The cluster IP that the API gave to a Service.
pub(crate) fn address(service: &Service) -> String {
    service.spec.as_ref().and_then(|spec| spec.cluster_ip.clone()).expect("a cluster IP")
}

/// All cluster IPs that the API gave to a Service, in its order.
pub(crate) fn addresses(service: &Service) -> Vec<String> {
    service.spec.as_ref().and_then(|spec| spec.cluster_ips.clone()).expect("cluster IPs")
}

/// Creates an object again that was there before.
pub(crate) async fn restore<K>(api: &Api<K>, mut object: K)
where
    K: kube::Resource + Clone + std::fmt::Debug + DeserializeOwned + serde::Serialize,
{
    object.meta_mut().resource_version = None;
    api.create(&PostParams::default(), &object).await.expect("created");
}

/// Creates an object that is written as one would for `kubectl`.
async fn create<K>(api: &Api<K>, object: Value) -> K
where
    K: Clone + std::fmt::Debug + DeserializeOwned + serde::Serialize,
{
    let object = serde_json::from_value(object).expect("an object of this kind");
    api.create(&PostParams::default(), &object).await.expect("created")
}

/// A port on loopback that only we, and servers that we let share it, can have.
///
/// A port that is merely free may be anybody's a moment later, as the source of a connection, too. This one is bound for
/// good, but nobody listens: whoever then does so with SO_REUSEPORT gets all connections.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) address: SocketAddr,
    _socket: Socket,
}

impl Port {
    /// Any that is free.
    ///
    /// # Errors
    ///
    /// There is none.
    pub(crate) fn reserve() -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP))?;
        // The first binds alone, or it would share a port that another one has reserved; others may join later.
        socket.bind(&SocketAddr::from((Ipv6Addr::LOCALHOST, 0)).into())?;
        socket.set_reuse_port(true)?;
        let address = socket.local_addr()?.as_socket().expect("an address of IPv6");
        Ok(Self { address, _socket: socket })
    }

    /// Listens there, until the listener is dropped.
    ///
    /// # Errors
    ///
    /// What the system says; outside of a tokio runtime, that.
    pub(crate) fn listen(&self) -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&self.address.into())?;
        socket.listen(64)?;
        TcpListener::from_std(socket.into())
    }
}

/// Copies a folder; where the file system can, without a byte being written.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").args(["-a", "--reflink=auto"]).args([from, to]).status();
    assert!(copied.is_ok_and(|status| status.success()), "{} copied to {}", from.display(), to.display());
}

/// Who may come in, and the key of the service accounts.
fn credentials(folder: &Folder) -> io::Result<()> {
    let admin = format!("{ADMIN}-token,{ADMIN},{ADMIN},system:masters\n");
    let tokens = [READER, TENANT].map(|user| format!("{user}-token,{user},{user}\n")).concat() + &admin;
    folder.write("tokens.csv", &tokens)?;
    // No service account is used here, but the API server does not start without.
    let made = Command::new("openssl")
        .args(["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out"])
        .arg(folder.join("service-accounts.key"))
        .output()?;
    assert!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

fn kubeconfig(user: &str, api_address: SocketAddr, certificate: &Path) -> String {
    kubeconfig_with(&format!("{user}-token"), api_address, certificate)
}

/// The kubeconfig of whoever has this token.
fn kubeconfig_with(token: &str, api_address: SocketAddr, certificate: &Path) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "test", "cluster": {
            "server": format!("https://{api_address}"),
            "certificate-authority": certificate,
        }}],
        "users": [{ "name": "test", "user": { "token": token } }],
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
        "current-context": "test",
    })
    .to_string()
}

fn start_etcd(programs: &Path, folder: &Folder, client: SocketAddr, peer: SocketAddr) -> io::Result<Process> {
    let args = [
        format!("--data-dir={}", folder.join("etcd").display()),
        format!("--listen-client-urls=http://{client}"),
        format!("--advertise-client-urls=http://{client}"),
        format!("--listen-peer-urls=http://{peer}"),
        format!("--initial-advertise-peer-urls=http://{peer}"),
        format!("--initial-cluster=default=http://{peer}"),
        "--socket-reuse-port".to_owned(),
        // What a test leaves behind need not survive a power cut.
        "--unsafe-no-fsync".to_owned(),
    ];
    Process::start(&programs.join("etcd"), &args, folder.join("etcd.log"))
}

fn start_api_server(
    programs: &Path,
    folder: &Folder,
    etcd: SocketAddr,
    own: SocketAddr,
    service_range: &str,
) -> io::Result<Process> {
    let key = folder.join("service-accounts.key").display().to_string();
    let args = [
        format!("--etcd-servers=http://{etcd}"),
        format!("--bind-address={}", own.ip()),
        format!("--secure-port={}", own.port()),
        "--permit-port-sharing".to_owned(),
        format!("--cert-dir={}", folder.join("certificates").display()),
        // An address of the Service's family; loopback is refused. Nobody connects to it.
        "--advertise-address=2a0a:e5c0:10:1::1".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--service-cluster-ip-range={service_range}"),
        "--authorization-mode=RBAC".to_owned(),
        format!("--token-auth-file={}", folder.join("tokens.csv").display()),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={key}"),
        format!("--service-account-signing-key-file={key}"),
        // By itself it deletes what is in a namespace one by one.
        "--delete-collection-workers=16".to_owned(),
        // Pods need no credentials here.
        "--disable-admission-plugins=ServiceAccount".to_owned(),
    ];
    Process::start(&programs.join("kube-apiserver"), &args, folder.join("kube-apiserver.log"))
}

fn start_controller_manager(programs: &Path, folder: &Folder) -> io::Result<Process> {
    let args = [
        format!("--kubeconfig={}", folder.join(&format!("{ADMIN}.kubeconfig")).display()),
        "--controllers=endpointslice-controller,namespace-controller,serviceaccount-controller".to_owned(),
        "--leader-elect=false".to_owned(),
        // Its own health port is of no use here, and a fixed one would collide.
        "--secure-port=0".to_owned(),
    ];
    Process::start(&programs.join("kube-controller-manager"), &args, folder.join("kube-controller-manager.log"))
}
