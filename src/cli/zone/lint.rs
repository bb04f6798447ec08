//! `kubezone zone lint`: what is wrong and what is odd about a master file.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use tracing::warn;

use super::text::{MOST_ERRORS, NoZone};
use super::{Output, Text, ZoneProblem, print_json, usage, zone_name};
use crate::cli::Failure;
use crate::source::load::{FileError, Place, Placed};
use crate::zone::Warning;
use crate::zone::master::Position;

/// Says what is wrong and what is odd about a master file, one line a finding: FILE:LINE:COLUMN: what, and what to do
///
/// An error keeps the zone from being served; a warning does not. Up to 100 errors in the text are told; where there are
/// none, the first thing that keeps its records from making a zone; where nothing does, all warnings. Exit status: 0
/// without errors, 1 with errors (with --strict: with warnings, too), 2 where the zone's name cannot be told, 3 where the
/// file cannot be read.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubezone zone lint zones/k8s.ooo.zone --zone k8s.ooo
  git show HEAD:k8s.ooo.zone | kubezone zone lint - --zone k8s.ooo --strict")]
pub(super) struct Lint {
    /// The master file; - is standard input
    file: PathBuf,
    /// The zone, and the first $ORIGIN [default: the owner of the SOA record, where the file says it in full]
    #[arg(long, value_name = "NAME")]
    zone: Option<String>,
    /// Exit 1 for warnings, too
    #[arg(long)]
    strict: bool,
    /// How to print findings; as objects they have the fields file, line, column, severity, message and hint
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Severity {
    Error,
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One thing that is wrong or odd.
struct Finding {
    place: Place,
    severity: Severity,
    message: String,
    /// What to do about it, where the message does not say so.
    hint: Option<&'static str>,
}

impl Lint {
    pub(super) fn print(&self, mut out: impl Write) -> Result<(), Failure> {
        let apex = self.zone.as_deref().map(zone_name).transpose()?;
        let text = Text::open(&self.file)?;
        let findings: Vec<_> = match text.read(apex.as_ref()) {
            Ok((_, odd)) => odd.into_iter().map(Finding::from).collect(),
            Err(NoZone::Errors(errors)) => {
                if errors.len() == MOST_ERRORS {
                    warn!("the file is not read further than the first {MOST_ERRORS} errors: there may be more");
                }
                errors.into_iter().map(Finding::from).collect()
            }
            Err(NoZone::Nameless) => return Err(usage(ZoneProblem::Nameless { path: self.file.clone() })),
        };
        match self.output {
            Output::Json => {
                let findings: Vec<_> = findings.iter().map(|finding| finding.as_json(text.path())).collect();
                print_json(&mut out, &findings)?;
            }
            Output::Table => {
                for finding in &findings {
                    finding.print(text.path(), &mut out)?;
                }
            }
        }
        let counts = |finding: &Finding| self.strict || finding.severity == Severity::Error;
        if findings.iter().any(counts) { Err(Failure::Findings) } else { Ok(()) }
    }
}

impl Finding {
    fn print(&self, file: &Path, mut out: impl Write) -> Result<(), Failure> {
        let (file, Position { line, column }) = (self.file(file).display(), self.place.position);
        let hint = self.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
        let line = format!("{file}:{line}:{column}: {}: {}{hint}", self.severity, self.message);
        // What files say must not move a terminal's cursor.
        Ok(writeln!(out, "{}", line.replace(char::is_control, " "))?)
    }

    fn as_json(&self, file: &Path) -> serde_json::Value {
        json!({
            "file": self.file(file).display().to_string(),
            "line": self.place.position.line,
            "column": self.place.position.column,
            "severity": self.severity.to_string(),
            "message": self.message,
            "hint": self.hint,
        })
    }

    /// The file that it is in: one that was included, or `file` itself.
    fn file<'f>(&'f self, file: &'f Path) -> &'f Path {
        self.place.file.as_deref().unwrap_or(file)
    }
}

impl From<FileError> for Finding {
    fn from(error: FileError) -> Self {
        let place = error.place().unwrap_or(Place::BEGINNING);
        let message = match error {
            FileError::Unreadable(error) => error.to_string(),
            FileError::Master(error) => error.problem.to_string(),
            FileError::Zone { error, .. } => error.to_string(),
        };
        Self { place, severity: Severity::Error, message, hint: None }
    }
}

impl From<Placed> for Finding {
    fn from(Placed { place, warning }: Placed) -> Self {
        let hint = match &warning {
            Warning::OutOfZone { .. } => "end names inside of the zone without a dot, or remove the record",
            Warning::Duplicate { .. } => "remove it",
            Warning::DifferingTtls { .. } => "give all of them the same TTL",
            Warning::NsBelowNs { .. } => "move it to the zone that is delegated there",
            Warning::MissingGlue { .. } => "add its AAAA or A record, or end it with a dot if it is absolute",
            Warning::NameserverIsAlias { .. } => "name the server that the alias leads to",
            Warning::AtWildcard { .. } => "write out the names that are meant",
            Warning::WithoutProofs { .. } => "sign elsewhere and serve the signed zone there, or remove them",
        };
        Self { place, severity: Severity::Warning, message: warning.to_string(), hint: Some(hint) }
    }
}
