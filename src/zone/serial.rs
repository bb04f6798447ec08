//! Serial numbers of zones: RFC 1982 arithmetic.

use std::fmt;

/// A zone's serial number (RFC 1982): ordered around a circle of 2^32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Serial(pub u32);

impl Serial {
    /// Whether `self` is newer than `other` (RFC 1982 §3.2).
    ///
    /// Of two serials exactly 2^31 apart neither is newer.
    #[must_use]
    pub fn is_newer_than(self, other: Self) -> bool {
        let ahead = self.0.wrapping_sub(other.0);
        ahead != 0 && ahead < 1 << 31
    }

    /// The serial after this one, or `hint` where that is newer still.
    #[must_use]
    pub fn next(self, hint: Option<Self>) -> Self {
        match hint {
            Some(hint) if hint.is_newer_than(self) => hint,
            _ => Self(self.0.wrapping_add(1)),
        }
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(serial: u32, hint: u32, next: u32) {
        assert_eq!(Serial(serial).next(Some(Serial(hint))), Serial(next), "{serial} with hint {hint}");
    }

    #[test]
    fn the_next_serial_is_never_older_than_the_one_before() {
        check(7, 0, 8);
        check(7, 8, 8);
        check(7, 9, 9);
        check(u32::MAX, 0, 0);
        check(u32::MAX, 5, 5);
        // 2^31 ahead is undefined (RFC 1982 §3.2): not taken.
        check(0, (1 << 31) - 1, (1 << 31) - 1);
        check(0, 1 << 31, 1);
        check(0, (1 << 31) + 1, 1);
    }
}
