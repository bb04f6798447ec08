//! Master files (RFC 1035 §5): text in, records out.

use std::path::Path;

use hickory_proto::rr::Name;

use super::Record;

/// Where something stands in a master file; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// A master file that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("placeholder")]
pub struct MasterError;

/// Reads `text` as a master file with `origin` as its first `$ORIGIN`.
///
/// `folder` confines `$INCLUDE`; `None` refuses it.
pub fn parse(_text: &[u8], _origin: &Name, _folder: Option<&Path>) -> Result<Vec<Record>, MasterError> {
    todo!()
}
