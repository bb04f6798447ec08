//! `kubezone serve`: the main job.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;
use tracing::{error, info};

use super::settings::Settings;
use super::{Failure, runtime};
use crate::config::Changes;
use crate::error::chain;
use crate::run::Server;
use crate::source::Watch;

/// Answers DNS for zones that are made from clusters, and for zones from master files
///
/// What is served comes from a configuration file, or in the simplest case from the command line: one zone, made
/// from one cluster. Flags go before the environment, which goes before the file.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Serve {
    #[command(flatten)]
    settings: Settings,
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
        let mut reloads = Reloads::new(&self.settings)?;
        let mut server = Server::start(self.settings.read()?).await.map_err(Failure::unable)?;
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
}

/// Has a server do what its configuration says now, whenever that may be something else.
struct Reloads<'s> {
    settings: &'s Settings,
    watch: Watch,
    hangups: Signal,
    /// Why the configuration was not taken over the last time: said once, not at every re-scan.
    failure: Option<String>,
}

impl<'s> Reloads<'s> {
    fn new(settings: &'s Settings) -> io::Result<Self> {
        let hangups = signal(SignalKind::hangup())?;
        Ok(Self { settings, watch: Watch::new(settings.file()), hangups, failure: None })
    }

    /// Watches what the configuration is read from: its file, those with static records, and `other`.
    fn look_at(&mut self, server: &Server, other: &[PathBuf]) {
        self.watch.set(self.settings.file().into_iter().chain(server.config().extras.values()).chain(other));
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
        let read = self.settings.read();
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
        server.reload_succeeded();
        self.look_at(server, &[]);
        if !changes.is_empty() {
            info!(%changes, "configuration taken over");
        }
    }

    fn refused(&mut self, server: &Server, error: &(dyn Error + 'static)) {
        let error = chain(error);
        if self.failure.as_ref() != Some(&error) {
            error!(error, "configuration not taken over: everything is as before");
            server.reload_failed(error.clone());
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
