//! Errors in words, as the edges log them and the command line prints them.
//!
//! An error tells only its own part; the causes underneath are its sources.
//! Log lines in JSON would leave those out.

use std::error::Error;

/// An error and the causes underneath, outermost first: `a: b: c`, on one line whatever text they quote.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some libraries repeat their cause in their own words.
        if !text.ends_with(&cause_text) {
            text += ": ";
            text += &cause_text;
        }
        source = cause.source();
    }
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Outer(&'static str, #[source] io::Error);

    fn check(outer: &'static str, cause: &str, expected: &str) {
        assert_eq!(chain(&Outer(outer, io::Error::other(cause.to_owned()))), expected);
    }

    #[test]
    fn causes_follow_what_they_caused() {
        check(
            "could not listen on [::]:53/udp",
            "permission denied",
            "could not listen on [::]:53/udp: permission denied",
        );
    }

    #[test]
    fn a_cause_that_is_in_the_text_is_not_repeated() {
        check("client error: refused", "refused", "client error: refused");
    }

    #[test]
    fn quoted_text_stays_on_one_line() {
        check("unknown key", "a\nb\u{1b}[31m", "unknown key: a b [31m");
    }
}
