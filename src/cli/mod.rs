//! The command line: one file for each command.
//!
//! A command returns nothing, or a `Failure`: why it did not do what it was
//! asked, and with it the exit status. What people asked for goes to standard
//! output; logs and errors go to standard error.

mod audit;
mod check;
mod complete;
mod config;
mod delegation;
mod demo;
mod explain;
mod forward;
mod man;
mod paper;
mod progress;
mod remote;
mod reports;
mod serve;
mod settings;
mod status;
mod trace;
mod world;
mod zone;

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::config::ConfigError;
use crate::error::chain;

/// Gives the Services of Kubernetes clusters global names: an authoritative DNS server, IPv6 first.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, max_term_width = 100, after_help = EXIT_STATUS)]
struct Cli {
    /// What is logged to standard error: a level, or a filter such as `info,kubezone::source=debug`
    ///
    /// Lines are JSON where standard error is no terminal. [default: info; demo: warn]
    #[arg(long, global = true, value_name = "FILTER", env = "RUST_LOG")]
    log: Option<EnvFilter>,
    #[command(subcommand)]
    command: Command,
}

const EXIT_STATUS: &str = "\
Exit status: 0 well; 1 findings; 2 usage or configuration; 3 could not look, or could not start.";

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Serve>),
    Demo(demo::Demo),
    Config(config::Config),
    Zone(zone::Zone),
    Explain(explain::Explain),
    Delegation(Box<delegation::DelegationArgs>),
    Audit(audit::Audit),
    Check(Box<check::CheckArgs>),
    Trace(Box<trace::TraceArgs>),
    Status(status::Status),
    /// Prints a script that has a shell complete kubezone's commands and options, and the names of what there is
    ///
    /// The script asks kubezone: for zones, contexts, namespaces and Services it looks where the command that is being typed would.
    #[command(after_help = "\
Examples:
  kubezone completions bash > /etc/bash_completion.d/kubezone
  source <(kubezone completions zsh)")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    Man(man::Man),
}

impl Command {
    fn default_log(&self) -> &'static str {
        match self {
            // Five servers would talk over what is shown.
            Self::Demo(_) => "warn",
            // What a name server does wrong is what is shown, in words.
            Self::Trace(_) => "info,hickory_net=off,hickory_proto=off",
            // kube's client tells of each failed request without saying which; whoever made it knows more, and logs it.
            _ => "info,kube_client::client::builder=off",
        }
    }
}

/// Why a command did not do what it was asked: the cause, and the exit status.
#[derive(Debug)]
enum Failure {
    /// The command line or the configuration asks for something that cannot be.
    Usage(Box<dyn Error + Send + Sync>),
    /// The world did not let us: a file, a socket, a server.
    Unable(Box<dyn Error + Send + Sync>),
    /// We looked, and there is something that should not be; what it is has been said.
    Findings,
    /// What `Usage` is, where what it is has been said.
    Unusable,
    /// What `Unable` is, where what it is has been said.
    Unasked,
}

impl Failure {
    fn unable(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unable(cause.into())
    }

    /// A file or folder that could not be written.
    fn unwritten(path: PathBuf, source: io::Error) -> Self {
        Self::unable(WriteError { path, source })
    }

    fn cause(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        match self {
            Self::Usage(cause) | Self::Unable(cause) => Some(cause.as_ref()),
            Self::Findings | Self::Unusable | Self::Unasked => None,
        }
    }

    fn status(&self) -> ExitCode {
        match self {
            Self::Findings => ExitCode::from(1),
            Self::Usage(_) | Self::Unusable => ExitCode::from(2),
            Self::Unable(_) | Self::Unasked => ExitCode::from(3),
        }
    }

    /// Whether whoever read our output went away, as `head` does: nothing to complain about.
    fn is_broken_pipe(&self) -> bool {
        let io_error = self.cause().and_then(|cause| cause.downcast_ref::<io::Error>());
        io_error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// A file that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("could not write {}", path.display())]
struct WriteError {
    path: PathBuf,
    source: io::Error,
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.into())
    }
}

/// What a failed write to standard output becomes.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::unable(error)
    }
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    // A dependency that enables another provider would leave rustls without a choice. An error says that there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    if let Some(answered) = complete::answer() {
        return answered;
    }
    let cli = read_command_line(env::args_os().collect());
    log_to_stderr(cli.log.unwrap_or_else(|| EnvFilter::new(cli.command.default_log())));
    let result = match cli.command {
        Command::Serve(serve) => serve.run(),
        Command::Demo(demo) => demo.run(),
        Command::Config(config) => config.run(),
        Command::Zone(zone) => zone.run(),
        Command::Explain(explain) => explain.run(),
        Command::Delegation(delegation) => delegation.run(),
        Command::Audit(audit) => audit.run(),
        Command::Status(status) => status.run(),
        Command::Check(check) => check.run(),
        Command::Trace(trace) => trace.run(),
        Command::Completions { shell } => {
            complete::script(shell).and_then(|script| Ok(io::stdout().write_all(&script)?))
        }
        Command::Man(man) => man.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(cause) = failure.cause() {
                // When nobody listens on standard error either, the status has to do.
                let _ = writeln!(io::stderr(), "{}", chain(cause));
            }
            failure.status()
        }
    }
}

/// What `args` and the environment ask for; where they are not understood, that is said and the process ends.
fn read_command_line(args: Vec<OsString>) -> Cli {
    // First without the environment: what is typed decides which of its variables count.
    let without = |command: clap::Command| command.mut_args(|arg| arg.env(None::<&str>));
    let typed = with_settings(command().ignore_errors(true), without).try_get_matches_from(&args);
    let mut command = command();
    // An error is one of the whole line, or a question for help.
    if let Some(typed) = typed.ok().as_ref().and_then(settings_of) {
        command = with_settings(command, |command| settings::ranked(command, typed));
    }
    Cli::from_arg_matches(&command.get_matches_from(args)).unwrap_or_else(|error| error.exit())
}

/// Whether kubectl has called us, or somebody by the name that it would: `kubectl kubezone`.
fn is_plugin() -> bool {
    env::args_os().next().is_some_and(|called| Path::new(&called).file_name() == Some(PLUGIN.as_ref()))
}

/// As what kubectl finds us in its path.
const PLUGIN: &str = "kubectl-kubezone";

/// The command line as it is called: as kubectl's plugin, it says so wherever it says how.
fn command() -> clap::Command {
    if is_plugin() {
        as_plugin(Cli::command()).name("kubectl-kubezone").bin_name("kubectl kubezone")
    } else {
        Cli::command()
    }
}

/// `command` with the examples in its help, and in that of all below it, as they are typed with kubectl.
fn as_plugin(command: clap::Command) -> clap::Command {
    let examples = command.get_after_help().map(|help| help.to_string().replace(" kubezone ", " kubectl kubezone "));
    let names: Vec<_> = command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    let command = if let Some(examples) = examples { command.after_help(examples) } else { command };
    names.into_iter().fold(command, |command, name| command.mut_subcommand(name, as_plugin))
}

/// `cli` with the commands changed that have [`settings::Settings`].
fn with_settings(cli: clap::Command, change: impl Fn(clap::Command) -> clap::Command) -> clap::Command {
    let cli = cli.mut_subcommand("serve", &change).mut_subcommand("check", &change);
    cli.mut_subcommand("config", |config| config.mut_subcommand("show", &change))
}

/// What was typed behind a command that has [`settings::Settings`].
fn settings_of(typed: &ArgMatches) -> Option<&ArgMatches> {
    match typed.subcommand()? {
        ("serve" | "check", typed) => Some(typed),
        ("config", typed) => typed.subcommand_matches("show"),
        _ => None,
    }
}

fn log_to_stderr(filter: EnvFilter) {
    let terminal = io::stderr().is_terminal();
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(terminal);
    // A line that cannot be written would be told of on standard error, too, where that panics.
    let subscriber = subscriber.log_internal_errors(false);
    if terminal {
        subscriber.init();
    } else {
        subscriber.json().init();
    }
}

/// The runtime of whatever waits: TCP, timers, sources. UDP has threads of its own.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

#[cfg(test)]
mod tests;
