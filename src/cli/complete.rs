//! What a shell proposes while a command is typed: also zones, contexts, namespaces and Services that there are.
//!
//! They are looked up where the command itself would look: in manifests, a configuration, a kubeconfig, a cluster, or a
//! running server, by the flags that have been typed already. Whoever types is not kept waiting, nor told of what went
//! wrong: there is a moment to find something, and otherwise nothing is proposed.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap_complete::CompletionCandidate;
use clap_complete::env::{CompleteEnv, Shells};
use kube::config::Kubeconfig;

use super::remote::{Remote, ServerArgs, ServerUrl};
use super::reports::access;
use super::zone::read_manifests;
use super::{Failure, command, is_plugin, runtime};
use crate::admin::api::ZoneStatus;
use crate::cluster::{Cluster, ServiceKey};
use crate::config::{self, Access, Admin};
use crate::source::{self, Pods};
use crate::zone::name_to_text;

/// How long somebody waits for proposals.
const PATIENCE: Duration = Duration::from_secs(2);

/// The variable by which the scripts of `kubezone completions` ask.
const VARIABLE: &str = "KUBEZONE_COMPLETE";

/// What kubectl asks for its plugin's proposals.
const OF_PLUGIN: &str = "kubectl_complete-kubezone";

/// Prints proposals, where a shell or kubectl has called for these and for nothing else.
pub(super) fn answer() -> Option<ExitCode> {
    let called_by_kubectl =
        env::args_os().next().is_some_and(|name| Path::new(&name).file_name() == Some(OF_PLUGIN.as_ref()));
    if !called_by_kubectl && env::var_os(VARIABLE).is_none() {
        return None;
    }
    // Nothing of what is said about a failure belongs between what is typed.
    if let Ok(nowhere) = File::options().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stderr(nowhere);
    }
    let answered = if called_by_kubectl {
        of_kubectl().map(|()| true)
    } else {
        CompleteEnv::with_factory(command)
            .var(VARIABLE)
            .try_complete(env::args_os(), here().as_deref())
            .map_err(io::Error::other)
    };
    match answered {
        Ok(true) => Some(ExitCode::SUCCESS),
        // The variable is empty: it is turned off.
        Ok(false) => None,
        Err(_) => Some(ExitCode::FAILURE),
    }
}

/// As kubectl reads it: a proposal a line, and how to go on from there in the last (4: file names are none).
fn of_kubectl() -> io::Result<()> {
    let args: Vec<OsString> = ["kubezone".into()].into_iter().chain(env::args_os().skip(1)).collect();
    let last = args.len() - 1;
    let proposals = clap_complete::engine::complete(&mut command(), args, last, here().as_deref())?;
    let mut out = io::stdout().lock();
    for proposal in proposals {
        writeln!(out, "{}", proposal.get_value().display())?;
    }
    writeln!(out, ":4")
}

fn here() -> Option<PathBuf> {
    env::current_dir().ok()
}

/// The script that has a shell ask for proposals.
pub(super) fn script(shell: clap_complete::Shell) -> Result<Vec<u8>, Failure> {
    // Into memory first: there is nothing to be said where it cannot be written.
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let shell = shells.completer(&shell.to_string()).expect("all of them are known");
    shell.write_registration(VARIABLE, "kubezone", "kubezone", "kubezone", &mut script)?;
    Ok(script)
}

/// The names of zones.
pub(super) fn zones() -> Vec<CompletionCandidate> {
    proposed(|| {
        let config = || {
            let path = typed(&["--config"]).or_else(|| env::var("KUBEZONE_CONFIG").ok())?;
            Some(config::load(Path::new(&path)).ok()?.apexes().map(name_to_text).collect())
        };
        let served =
            || Some(server()?.list(&["zones"], &[]).ok()?.into_iter().map(|status: ZoneStatus| status.zone).collect());
        let zones: Vec<String> =
            if typed(&["--server"]).is_some() { served() } else { config().or_else(served) }.unwrap_or_default();
        // As people write them.
        zones
            .into_iter()
            .map(|zone| zone.strip_suffix('.').filter(|zone| !zone.is_empty()).unwrap_or(&zone).to_owned())
            .collect()
    })
}

/// The contexts of the kubeconfig.
pub(super) fn contexts() -> Vec<CompletionCandidate> {
    proposed(|| {
        let kubeconfig = typed(&["--kubeconfig"]).map_or_else(Kubeconfig::read, Kubeconfig::read_from);
        kubeconfig
            .map(|kubeconfig| kubeconfig.contexts.into_iter().map(|context| context.name).collect())
            .unwrap_or_default()
    })
}

/// The namespaces that Services are in.
pub(super) fn namespaces() -> Vec<CompletionCandidate> {
    proposed(|| services().into_iter().map(|key| key.namespace.to_string()).collect())
}

/// What can be explained: Services of the namespace that has been typed, and Namespaces.
pub(super) fn subjects() -> Vec<CompletionCandidate> {
    proposed(|| {
        let namespace = typed(&["-n", "--namespace"]).unwrap_or("default".to_owned());
        let known = services();
        let of_it = known.iter().filter(|key| *key.namespace == *namespace).map(|key| format!("svc/{}", key.name));
        of_it.chain(known.iter().map(|key| format!("ns/{}", key.namespace))).collect()
    })
}

/// What `find` finds in a moment, each once.
fn proposed(find: impl FnOnce() -> Vec<String> + Send + 'static) -> Vec<CompletionCandidate> {
    let (sender, found) = mpsc::channel();
    // Left alone when it takes too long: the process ends anyway.
    thread::spawn(move || sender.send(find()));
    let mut found = found.recv_timeout(PATIENCE).unwrap_or_default();
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(CompletionCandidate::new).collect()
}

/// The Services that there are.
fn services() -> Vec<ServiceKey> {
    if let Some(path) = typed(&["-f", "--filename"]) {
        return known(Access::Manifests(path.into()), &BTreeSet::new());
    }
    if let Some(path) = typed(&["--config"]) {
        let clusters = config::load(Path::new(&path)).map(|config| config.clusters).unwrap_or_default();
        return clusters.into_iter().flat_map(|cluster| known(cluster.access, &cluster.namespaces)).collect();
    }
    let [kubeconfig, context] = [typed(&["--kubeconfig"]), typed(&["--context"])];
    if is_plugin() || kubeconfig.is_some() || context.is_some() {
        return known(access(None, kubeconfig.map(PathBuf::from), context), &BTreeSet::new());
    }
    let Some(server) = server() else { return Vec::new() };
    let zones: Vec<ZoneStatus> = server.list(&["zones"], &[]).unwrap_or_default();
    let of_clusters = zones.iter().filter(|status| status.kind == "cluster");
    let reports = of_clusters.flat_map(|status| server.services(&status.zone, &[]).unwrap_or_default());
    reports.map(|report| ServiceKey { namespace: report.namespace.into(), name: report.name.into() }).collect()
}

/// The Services of the cluster at `access`, in these namespaces or in all.
fn known(access: Access, namespaces: &BTreeSet<Box<str>>) -> Vec<ServiceKey> {
    let cluster = match access {
        Access::Manifests(folder) => read_manifests(&folder).ok(),
        api => runtime().ok().and_then(|runtime| {
            let read = runtime.block_on(source::read(&api, namespaces, Pods::No, &mut |_, _| {})).ok();
            runtime.shutdown_background();
            read
        }),
    };
    let keys = |cluster: Cluster| {
        cluster.services_after(&ServiceKey::before_all_in(&"".into())).map(|service| service.key.clone()).collect()
    };
    cluster.map(keys).unwrap_or_default()
}

/// The running server that has been typed, or the one that is usual.
fn server() -> Option<Remote> {
    let [kubeconfig, context, namespace] = [&["--kubeconfig"][..], &["--context"], &["-n", "--namespace"]].map(typed);
    match typed(&["--server"]) {
        Some(url) => Remote::new(&url.parse().ok()?).ok(),
        None if is_plugin() || context.is_some() || kubeconfig.is_some() => {
            let kubeconfig = kubeconfig.map(PathBuf::from);
            Remote::forwarded(&ServerArgs { server: None, kubeconfig, context, namespace }).ok()
        }
        None => Remote::new(&format!("http://{}", Admin::USUAL).parse::<ServerUrl>().ok()?).ok(),
    }
}

/// The value of the flag that has these names, if it has been typed.
fn typed(names: &[&str]) -> Option<String> {
    let words: Vec<String> = env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let value = |(place, word): (usize, &String)| {
        let name = names.iter().find_map(|name| word.strip_prefix(name))?;
        match name.strip_prefix('=') {
            Some(value) => Some(value.to_owned()),
            None if name.is_empty() => words.get(place + 1).cloned(),
            None => None,
        }
    };
    words.iter().enumerate().find_map(value)
}
