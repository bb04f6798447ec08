//! `kubezone check`: whether a server can start here, or is well where it runs.
//!
//! A [`Check`] is a value: what was looked at, how it is, and what to do about it.
//! Each group of them has a file. What a group finds out is made into checks by
//! functions that do nothing else; nothing is mended here.

mod cluster;
mod code;
mod configuration;
mod holders;
mod host;
mod server;
#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::io::{self, BufWriter, Write};

use clap::Args;
use serde::{Serialize, Serializer};

use self::code::Code;
use self::server::Place;
use super::paper::{Colors, Paper, Tone, plain};
use super::progress::waiting;
use super::remote::{Remote, ServerUrl};
use super::settings::Settings;
use super::zone::{Output, print_json};
use super::{Failure, is_plugin, runtime};
use crate::config::{Admin, Config};
use crate::error::chain;

/// Looks whether all is well with a running server, or with --pre, whether one could start here
///
/// With --pre: the configuration and its zone files; of each cluster, whether its API answers, its version, what kubezone may
/// do there, and whether Services and Pods have addresses that are published; whether the addresses to listen on are free, and
/// the system's limits. Nothing is changed. Otherwise a running server is asked: the one at --server, or else where the
/// configuration has its listen.admin, or where that usually is. One line is told of each: ✔ it is well; ! look at it; ✘ it has to
/// be mended; then a code (docs/check.md), and below what to do. Exit status: 0; 1 where there is a ✘; 2 usage, or the
/// configuration cannot be used; 3 the server cannot be asked.
#[derive(Debug, Args)]
#[command(
    mut_group("what", |what| what.required(false)),
    after_help = "\
Examples:
  kubezone check --pre --config kubezone.yaml
  kubezone check --pre --zone c2.k8s.ooo --nameserver kube-dns.kube-system.svc --context c2
  kubezone check --config kubezone.yaml
  kubezone check --server http://[::1]:9154 -o json"
)]
pub(super) struct CheckArgs {
    /// Look before there is a server, whether it could start
    #[arg(long, requires = "what", conflicts_with = "server")]
    pre: bool,
    /// The running server: the URL of its listen.admin
    #[arg(long, value_name = "URL")]
    server: Option<ServerUrl>,
    #[command(flatten)]
    settings: Settings,
    /// How to print it; as objects, checks have the fields check, code, level, subject, message and hint
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Output,
    #[command(flatten)]
    colors: Colors,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Check {
    /// What it is a part of.
    check: &'static str,
    #[serde(serialize_with = "as_text")]
    code: Code,
    level: Level,
    /// What it is about: a cluster, a zone, an address, a file.
    subject: String,
    /// What was seen.
    message: String,
    /// What to do; none where it is as it should be.
    hint: Option<String>,
}

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    /// As it should be.
    Good,
    /// Somebody should look at it: it may be meant, or cannot be told from here.
    Odd,
    /// It has to be mended.
    Bad,
}

fn as_text<S: Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(code)
}

impl Check {
    fn new(code: Code, level: Level, subject: impl Display, message: impl Display) -> Self {
        let meaning = code.meaning();
        Self {
            check: meaning.check,
            code,
            level,
            subject: subject.to_string(),
            message: message.to_string(),
            hint: (level != Level::Good).then(|| meaning.fix.to_owned()),
        }
    }

    fn good(code: Code, subject: impl Display, message: impl Display) -> Self {
        Self::new(code, Level::Good, subject, message)
    }

    fn odd(code: Code, subject: impl Display, message: impl Display) -> Self {
        Self::new(code, Level::Odd, subject, message)
    }

    fn bad(code: Code, subject: impl Display, message: impl Display) -> Self {
        Self::new(code, Level::Bad, subject, message)
    }

    /// The same, where something more to the point can be said than what the catalogue has.
    fn with_hint(self, hint: impl Display) -> Self {
        Self { hint: Some(hint.to_string()), ..self }
    }

    fn print<W: Write>(&self, paper: &mut Paper<W>) -> io::Result<()> {
        let (mark, tone) = match self.level {
            Level::Good => ("✔", Tone::Good),
            Level::Odd => ("!", Tone::Odd),
            Level::Bad => ("✘", Tone::Bad),
        };
        let mark = paper.tinted(tone, mark);
        let Self { code, subject, message, .. } = self;
        paper.line(format_args!("{mark} {code} {}", plain(format_args!("{subject}: {message}"))))?;
        match &self.hint {
            Some(hint) => paper.line(format_args!("    {}", plain(hint))),
            None => Ok(()),
        }
    }
}

/// What there was to say until now, told at once or in the end.
struct Report {
    checks: Vec<Check>,
    output: Output,
    colors: Colors,
}

impl Report {
    fn tell(&mut self, checks: Vec<Check>) -> Result<(), Failure> {
        if self.output == Output::Table {
            let mut paper = Paper::new(io::stdout().lock(), self.colors);
            for check in &checks {
                check.print(&mut paper)?;
            }
        }
        self.checks.extend(checks);
        Ok(())
    }

    /// All has been looked at.
    fn end(self) -> Result<(), Failure> {
        if self.output == Output::Json {
            let mut out = BufWriter::new(io::stdout().lock());
            print_json(&mut out, &self.checks)?;
            out.flush()?;
        }
        if self.checks.iter().any(|check| check.level == Level::Bad) { Err(Failure::Findings) } else { Ok(()) }
    }
}

impl CheckArgs {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let mut report = Report { checks: Vec::new(), output: self.output, colors: self.colors };
        let config = self.settings.is_given().then(|| self.settings.read()).transpose();
        let config = match config {
            Ok(config) => config,
            Err(error) => {
                report.tell(vec![configuration::unusable(&self.settings.name(), &error)])?;
                return report.end().map_err(|_| Failure::Unusable);
            }
        };
        if let Some(config) = &config {
            report.tell(configuration::check(&self.settings.name(), config))?;
        }
        if self.pre {
            self.look_ahead(&config.expect("`requires`"), &mut report)?;
            return report.end();
        }
        let (remote, name, place) = self.server(config.as_ref())?;
        match server::check(&remote, &name, place, config.as_ref()) {
            Ok(checks) => {
                report.tell(checks)?;
                report.end()
            }
            Err(error) => {
                report.tell(vec![Check::bad(Code::ServerReachable, name, chain(&error))])?;
                report.end().map_err(|_| Failure::Unasked)
            }
        }
    }

    /// The running server, what it is called, and where it is.
    fn server(&self, config: Option<&Config>) -> Result<(Remote, String, Place), Failure> {
        if is_plugin() && self.server.is_none() && config.is_none() {
            return Ok((Remote::forwarded(&self.settings.pod())?, "the Pod".to_owned(), Place::Elsewhere));
        }
        let configured = || ServerUrl::of(config.map_or(Admin::Unsaid, |config| config.admin));
        let Some(url) = self.server.clone().or_else(configured) else {
            return Err(Failure::Usage(
                "listen.admin is empty: there is nothing to ask; say --server, or --pre".into(),
            ));
        };
        Ok((Remote::new(&url)?, url.to_string(), Place::of(&url)))
    }

    /// Looks before there is a server.
    fn look_ahead(&self, config: &Config, report: &mut Report) -> Result<(), Failure> {
        let runtime = runtime()?;
        for cluster in &config.clusters {
            let what = format!("asking cluster {}", cluster.name);
            report.tell(runtime.block_on(waiting(&what, cluster::check(cluster))))?;
        }
        // Sockets are opened, which are the runtime's to look after.
        report.tell(runtime.block_on(async { host::check(config) }))?;
        runtime.shutdown_background();
        Ok(())
    }
}

/// So many of `what`.
fn many(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
