//! Findings about one cut. (Stands in for what comes from main.)

use hickory_proto::rr::Name;
use serde::Serialize;

use super::{Cut, Delegation};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// Placeholder.
    NoDelegation,
    /// Placeholder.
    DeadAddress,
    /// The servers of a zone do not answer alike.
    AnswersDiffer,
}

/// Whose it is to mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The parent's.
    Parent,
    /// The child's.
    Child,
    /// On the way.
    Path,
    /// Here.
    Here,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Broken.
    Broken,
    /// Degraded.
    Degraded,
    /// To know.
    Note,
}

/// A finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What.
    pub code: Code,
    /// Whose.
    pub side: Side,
    /// How bad.
    pub severity: Severity,
    /// Where.
    #[serde(serialize_with = "name")]
    pub zone: Name,
    /// Server or name.
    pub subject: String,
    /// In words.
    pub message: String,
    /// What to do.
    pub fix: String,
    /// Seconds.
    pub remembered: Option<u32>,
}

fn name<S: serde::Serializer>(name: &Name, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&crate::zone::name_to_text(name))
}

/// Placeholder.
#[must_use]
pub fn judge(_cut: &Cut, _expected: Option<&Delegation>) -> Vec<Finding> {
    Vec::new()
}
