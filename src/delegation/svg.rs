//! A trace as a picture.

use super::Trace;

/// `trace` as SVG.
#[must_use]
pub fn svg(_trace: &Trace) -> String {
    String::new()
}
