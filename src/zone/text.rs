//! Records as text: the presentation format of RFC 1035 §5.1 and its successors, RFC 3597 for the rest.

use std::fmt;

use super::Record;

impl fmt::Display for Record {
    /// One line of a master file, absolute names: `owner TTL IN TYPE RDATA`, separated by single spaces.
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}
