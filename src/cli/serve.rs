//! `kubezone serve`: the main job.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgGroup, ArgMatches, Args, Command};
use humantime_serde::re::humantime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;
use tracing::{error, info};

use super::reports::access;
use super::{Failure, runtime};
use crate::config::{self, Access, Admin, Changes, Config, ConfigError, NameServerFlag};
use crate::error::chain;
use crate::run::Server;
use crate::source::Watch;

/// Answers DNS for zones that are made from clusters, and for zones from master files
///
/// What is served comes from a configuration file, or in the simplest case from the command line: one zone, made
/// from one cluster. Flags go before the environment, which goes before the file.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("what").required(true).args(["config", "zone"]),
    after_help = EXAMPLES
)]
pub(super) struct Serve {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "KUBEZONE_CONFIG")]
    config: Option<PathBuf>,

    /// The zone to make from a cluster
    #[arg(long, value_name = "NAME", env = "KUBEZONE_ZONE", requires = "nameserver")]
    zone: Option<String>,
    /// A name server of the zone: relative to it, or absolute with a final dot. Repeatable; several are separated by
    /// spaces in the environment
    #[arg(
        long,
        value_name = "NAME[=ADDR,ADDR]",
        env = "KUBEZONE_NAMESERVERS",
        value_delimiter = ' ',
        conflicts_with = "config"
    )]
    nameserver: Vec<NameServerFlag>,
    /// The kubeconfig of the cluster; in a Pod, its own cluster is the default, elsewhere kubectl's
    #[arg(long, value_name = "FILE", env = "KUBEZONE_KUBECONFIG", conflicts_with = "config")]
    kubeconfig: Option<PathBuf>,
    /// The context in the kubeconfig
    #[arg(long, value_name = "NAME", env = "KUBEZONE_CONTEXT", conflicts_with = "config")]
    context: Option<String>,
    /// A folder of manifests in the place of a cluster
    #[arg(
        long,
        value_name = "DIR",
        env = "KUBEZONE_MANIFESTS",
        conflicts_with_all = ["config", "kubeconfig", "context"]
    )]
    manifests: Option<PathBuf>,

    /// Where to answer DNS, UDP and TCP; port 0 picks one and logs it [default: [::]:53,0.0.0.0:53]
    #[arg(long, value_name = "ADDR:PORT", env = "KUBEZONE_LISTEN_DNS", value_delimiter = ',')]
    listen_dns: Vec<SocketAddr>,
    /// Where to answer /livez, /readyz and /metrics [default: [::]:9153]
    #[arg(long, value_name = "ADDR:PORT", env = "KUBEZONE_LISTEN_METRICS")]
    listen_metrics: Option<SocketAddr>,
    /// Where to answer the JSON API, which names hidden Services; empty: nowhere [default: [::1]:9154, where that is free]
    #[arg(long, value_name = "ADDR:PORT", env = "KUBEZONE_LISTEN_ADMIN")]
    listen_admin: Option<Admin>,
    /// How long to go on answering after SIGTERM, while clients learn to go elsewhere [default: 5s]
    #[arg(long, value_name = "DURATION", env = "KUBEZONE_GRACE_PERIOD", value_parser = humantime::parse_duration)]
    grace_period: Option<Duration>,
}

/// Which flags contradict which: where one of a row's sides is typed, the other's environment variables do not count.
const RANKS: [(&[&str], &[&str]); 2] = [
    (&["config"], &["zone", "nameserver", "kubeconfig", "context", "manifests"]),
    (&["manifests"], &["kubeconfig", "context"]),
];

/// `command`, `serve` itself, for a command line that has the flags of `typed`: flags go before the environment, also
/// where both together would be a contradiction.
pub(super) fn ranked(mut command: Command, typed: &ArgMatches) -> Command {
    for (one, other) in RANKS {
        for (flags, overruled) in [(one, other), (other, one)] {
            if flags.iter().any(|flag| typed.contains_id(flag)) {
                for id in overruled {
                    command = command.mut_arg(id, |arg| arg.env(None::<&str>));
                }
            }
        }
    }
    command
}

const EXAMPLES: &str = "\
Examples:
  kubezone serve --config kubezone.yaml
  kubezone serve --zone c2.k8s.ooo --nameserver kube-dns.kube-system.svc --context c2
  kubezone serve --zone c2.k8s.ooo --nameserver ns=2001:db8::53 --manifests examples/c2 --listen-dns [::1]:5353

SIGTERM or SIGINT ends it: /readyz fails at once, answers go on for the grace period; a second signal ends that, too.
The configuration and every file it names are watched; SIGHUP has them read again at once. What is wrong with any of
them changes nothing, and is logged.";

impl Serve {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let runtime = runtime()?;
        let served = runtime.block_on(self.serve());
        // What still runs has nothing to lose.
        runtime.shutdown_background();
        served
    }

    async fn serve(&self) -> Result<(), Failure> {
        // Before anything else: a signal that comes early is not lost, nor does it end us half-way.
        let mut signals = Signals::new()?;
        let mut reloads = Reloads::new(self)?;
        let mut server = Server::start(self.read()?).await.map_err(Failure::unable)?;
        reloads.look_at(&server, &[]);

        let signal = loop {
            tokio::select! {
                signal = signals.next() => break signal,
                () = reloads.next(&mut server) => {}
            }
        };
        let grace_period = server.config().grace_period;
        info!(signal, ?grace_period, "stopping");
        server.drain();
        tokio::select! {
            () = sleep(grace_period) => {}
            _ = signals.next() => return Ok(()),
        }
        tokio::select! {
            () = server.stop() => info!("stopped"),
            _ = signals.next() => {}
        }
        Ok(())
    }

    /// What all that was typed, the environment and the file ask for, in this order.
    fn read(&self) -> Result<Config, ConfigError> {
        let mut config = match (&self.config, &self.zone) {
            (Some(path), _) => config::load(path)?,
            (None, Some(zone)) => config::short_form(zone, &self.nameserver, self.access())?,
            (None, None) => unreachable!("the group `what` is required"),
        };
        if !self.listen_dns.is_empty() {
            config.dns.clone_from(&self.listen_dns);
        }
        if let Some(address) = self.listen_metrics {
            config.metrics = Some(address);
        }
        if let Some(admin) = self.listen_admin {
            config.admin = admin;
        }
        if let Some(period) = self.grace_period {
            config.grace_period = period;
        }
        Ok(config)
    }

    fn access(&self) -> Access {
        access(self.manifests.clone(), self.kubeconfig.clone(), self.context.clone())
    }
}

/// Has a server do what its configuration says now, whenever that may be something else.
struct Reloads<'s> {
    serve: &'s Serve,
    watch: Watch,
    hangups: Signal,
    /// Why the configuration was not taken over the last time: said once, not at every re-scan.
    failure: Option<String>,
}

impl<'s> Reloads<'s> {
    fn new(serve: &'s Serve) -> io::Result<Self> {
        let hangups = signal(SignalKind::hangup())?;
        Ok(Self { serve, watch: Watch::new(&serve.config), hangups, failure: None })
    }

    /// Watches what the configuration is read from: its file, those with static records, and `other`.
    fn look_at(&mut self, server: &Server, other: &[PathBuf]) {
        self.watch.set(self.serve.config.iter().chain(&server.config().extras).chain(other));
    }

    /// Waits for the next occasion, and takes over what there is. Nothing is lost when the future is dropped.
    async fn next(&mut self, server: &mut Server) {
        tokio::select! {
            () = self.watch.changed() => {}
            _ = self.hangups.recv() => {
                info!(signal = "SIGHUP", "reading the configuration and all files again");
                // Whoever asks wants to hear.
                self.failure = None;
                server.rescan();
            }
        }
        let read = self.serve.read();
        if self.watch.is_disturbed().await {
            // What was read may be half a file.
            return;
        }
        match read {
            Ok(config) => {
                let named: Vec<_> = config.paths().map(Path::to_path_buf).collect();
                match server.reload(config).await {
                    Ok(changes) => self.took_over(server, &changes),
                    Err(error) => {
                        // What it lacks may come.
                        self.look_at(server, &named);
                        self.refused(server, &error);
                    }
                }
            }
            Err(error) => {
                self.look_at(server, error.file().map(Path::to_path_buf).as_slice());
                self.refused(server, &error);
            }
        }
    }

    fn took_over(&mut self, server: &Server, changes: &Changes) {
        self.failure = None;
        self.look_at(server, &[]);
        if !changes.is_empty() {
            info!(%changes, "configuration taken over");
        }
    }

    fn refused(&mut self, server: &Server, error: &(dyn Error + 'static)) {
        let error = chain(error);
        if self.failure.as_ref() != Some(&error) {
            error!(error, "configuration not taken over: everything is as before");
            server.reload_failed();
            self.failure = Some(error);
        }
    }
}

/// The signals that ask us to end.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    pub(super) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
