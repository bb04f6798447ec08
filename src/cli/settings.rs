//! What a server is told to do: flags, which go before the environment, which goes before the file.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, ArgMatches, Args, Command};
use humantime_serde::re::humantime;

use super::remote::ServerArgs;
use super::reports::access;
use crate::config::{self, Access, Admin, Config, ConfigError, NameServerFlag};

/// The flags and the environment of `serve`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["config", "zone"]))]
pub(super) struct Settings {
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

/// `command`, which has [`Settings`], for a command line that has the flags of `typed`: flags go before the environment, also
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

impl Settings {
    /// Whether there are any: a file, or a zone.
    pub(super) fn is_given(&self) -> bool {
        self.config.is_some() || self.zone.is_some()
    }

    /// The Pod of a cluster that they name, which a server is asked in.
    pub(super) fn pod(&self) -> ServerArgs {
        ServerArgs { server: None, kubeconfig: self.kubeconfig.clone(), context: self.context.clone(), namespace: None }
    }

    /// Where they are said.
    pub(super) fn name(&self) -> String {
        self.config.as_ref().map_or("the command line".to_owned(), |path| path.display().to_string())
    }

    /// The configuration file, if there is one.
    pub(super) fn file(&self) -> Option<&PathBuf> {
        self.config.as_ref()
    }

    /// What all that was typed, the environment and the file ask for, in this order.
    pub(super) fn read(&self) -> Result<Config, ConfigError> {
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
