//! A master file's lines as words: comments, quotes and parentheses are dealt
//! with here (RFC 1035 §5.1); escapes stay as they are, because `\.` and `.`,
//! `\@` and `@` mean different things to those who read the words.

use std::ops::Range;

use super::{MasterError, Position, Problem};

/// A run of characters without blanks, or a quoted string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word<'a> {
    /// What stands there, escapes and all; without the quotes around a quoted string.
    pub(super) text: &'a [u8],
    pub(super) quotes: Quotes,
    pub(super) position: Position,
    /// Where it stands, quotes and all.
    pub(super) octets: Range<usize>,
}

/// Where a word has quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quotes {
    /// Nowhere.
    None,
    /// Around it: blanks and specials are text.
    Around,
    /// Around what follows a `=` in it, and part of `text`: `alpn="h2,h3"` (RFC 9460 §2.1).
    Value,
}

/// An entry: a line with something on it, or several that parentheses make one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// It begins with a blank: the owner is the last one stated.
    pub(super) blank: bool,
    /// At least one.
    pub(super) words: Vec<Word<'a>>,
    /// Where it ends.
    pub(super) end: Position,
    /// From its first word or parenthesis to there.
    pub(super) octets: Range<usize>,
    /// Comments, also those on lines of their own before it.
    pub(super) comments: Vec<Range<usize>>,
}

#[derive(Debug)]
pub(super) struct Lexer<'a> {
    text: &'a [u8],
    /// The next octet.
    at: usize,
    /// `position` is that of this octet, which is not after `at`.
    counted: usize,
    position: Position,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        // Some editors begin a file with a byte order mark.
        let at = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        Self { text, at, counted: at, position: Position { line: 1, column: 1 } }
    }

    /// Makes `line` the next line with something on it; false at the end of the file.
    pub(super) fn line(&mut self, line: &mut Line<'a>) -> Result<bool, MasterError> {
        let words = &mut line.words;
        words.clear();
        line.comments.clear();
        let mut start = None;
        let mut blank = self.at_blank();
        // How many parentheses are open, and where the first of them is: a file may hold millions.
        let mut depth = 0_usize;
        let mut opened = Position::default();
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\t') => self.at += 1,
                // For some it ends a line all the same, for others it is a blank.
                Some(b'\r') if !matches!(self.text.get(self.at + 1), None | Some(b'\n')) => {
                    return Err(Problem::CarriageReturn.at(self.position()));
                }
                Some(b'\r') => self.at += 1,
                Some(b';') => {
                    let start = self.at;
                    self.skip_until(|byte| byte == b'\n');
                    line.comments.push(start..self.at);
                }
                Some(b'\n') if depth > 0 => self.at += 1,
                Some(b'\n') if words.is_empty() => {
                    self.at += 1;
                    start = None;
                    blank = self.at_blank();
                }
                Some(b'(') => {
                    if depth == 0 {
                        opened = self.position();
                    }
                    start.get_or_insert(self.at);
                    depth += 1;
                    self.at += 1;
                }
                Some(b')') => {
                    depth = depth.checked_sub(1).ok_or_else(|| Problem::UnopenedParenthesis.at(self.position()))?;
                    self.at += 1;
                }
                Some(b'"') => {
                    start.get_or_insert(self.at);
                    words.push(self.quoted()?);
                }
                Some(b'\n') | None => break,
                // For others, a string or the file ends there.
                Some(0) => return Err(Problem::Nul.at(self.position())),
                Some(_) => {
                    start.get_or_insert(self.at);
                    words.push(self.word()?);
                }
            }
        }
        if depth > 0 {
            return Err(Problem::UnclosedParenthesis.at(opened));
        }
        line.blank = blank;
        line.end = self.position();
        line.octets = start.unwrap_or(self.at)..self.at;
        Ok(!line.words.is_empty())
    }

    /// Leaves the line in which an error was found.
    pub(super) fn skip_line(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        self.at = rest.iter().position(|&byte| byte == b'\n').map_or(self.text.len(), |end| self.at + end);
    }

    /// How many octets have been read.
    pub(super) fn read(&self) -> usize {
        self.at
    }

    fn at_blank(&self) -> bool {
        matches!(self.text.get(self.at), Some(b' ' | b'\t'))
    }

    fn quoted(&mut self) -> Result<Word<'a>, MasterError> {
        let position = self.position();
        let start = self.at + 1;
        self.skip_quotes(position)?;
        Ok(Word { text: &self.text[start..self.at - 1], quotes: Quotes::Around, position, octets: start - 1..self.at })
    }

    fn word(&mut self) -> Result<Word<'a>, MasterError> {
        let position = self.position();
        let start = self.at;
        self.skip_until(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' | b'"' | 0));
        let mut quotes = Quotes::None;
        if self.text.get(self.at) == Some(&b'"') {
            if self.text[self.at - 1] != b'=' {
                return Err(Problem::MisplacedQuote.at(self.position()));
            }
            quotes = Quotes::Value;
            self.skip_quotes(self.position)?;
        }
        Ok(Word { text: &self.text[start..self.at], quotes, position, octets: start..self.at })
    }

    /// Skips a quoted string and its quotes; `position` is that of the word, for the error.
    fn skip_quotes(&mut self, position: Position) -> Result<(), MasterError> {
        self.at += 1;
        self.skip_until(|byte| matches!(byte, b'"' | b'\n' | 0));
        match self.text.get(self.at) {
            Some(b'"') => self.at += 1,
            Some(0) => return Err(Problem::Nul.at(self.position())),
            _ => return Err(Problem::UnclosedQuote.at(position)),
        }
        Ok(())
    }

    /// Skips to the first octet that is one to stop at and not escaped, or to the end.
    fn skip_until(&mut self, stop: impl Fn(u8) -> bool) {
        while let Some(&byte) = self.text.get(self.at) {
            if stop(byte) {
                return;
            }
            // An escaped line end stays one: the word before it is then found to end in a lone `\`. A NUL stays, too.
            let escape = byte == b'\\' && !matches!(self.text.get(self.at + 1), None | Some(b'\r' | b'\n' | 0));
            self.at += if escape { 2 } else { 1 };
        }
    }

    /// The position of the next octet.
    fn position(&mut self) -> Position {
        for &byte in &self.text[self.counted..self.at] {
            if byte == b'\n' {
                self.position = Position { line: self.position.line + 1, column: 1 };
            } else if byte & 0xc0 != 0x80 {
                // Octets that continue a UTF-8 character are part of the one before.
                self.position.column += 1;
            }
        }
        self.counted = self.at;
        self.position
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One line a line: `_` for a blank before it, words between bars, quoted ones in quotes, each with its position.
    fn check(text: &str, expected: &str) {
        let mut lexer = Lexer::new(text.as_bytes());
        let mut lines = Vec::new();
        let mut line = Line::default();
        loop {
            match lexer.line(&mut line) {
                Ok(true) => {
                    let words = line.words.iter().map(|word| {
                        let quote = if word.quotes == Quotes::Around { "\"" } else { "" };
                        let text = String::from_utf8_lossy(word.text);
                        format!("{}:{} {quote}{text}{quote}", word.position.line, word.position.column)
                    });
                    let blank = if line.blank { "_ " } else { "" };
                    lines.push(format!("{blank}{}", words.collect::<Vec<_>>().join(" | ")));
                }
                Ok(false) => break,
                Err(error) => {
                    lines.push(error.to_string());
                    break;
                }
            }
        }
        assert_eq!(lines.join("\n"), expected, "{text:?}");
    }

    #[test]
    fn words_are_separated_by_blanks_and_lines_by_line_ends() {
        check("", "");
        check("a b\tc\nd", "1:1 a | 1:3 b | 1:5 c\n2:1 d");
        check("a\r\n b\r\n", "1:1 a\n_ 2:2 b");
        check("\n \n\t\n  ; nothing\r\n\r\na", "6:1 a");
        check("\u{feff}a", "1:1 a");
    }

    #[test]
    fn columns_count_characters() {
        check("\u{e9}\u{20ac} b", "1:1 \u{e9}\u{20ac} | 1:4 b");
    }

    #[test]
    fn comments_end_with_the_line() {
        check("a ; b ( \" \nc;d", "1:1 a\n2:1 c");
        check(r"a\;b ;c", r"1:1 a\;b");
    }

    #[test]
    fn parentheses_join_lines() {
        check("a ( b ; one\n  c\n) d\ne", "1:1 a | 1:5 b | 2:3 c | 3:3 d\n4:1 e");
        check("a(b)c", "1:1 a | 1:3 b | 1:5 c");
        check("a ((b\n)\n) c", "1:1 a | 1:5 b | 3:3 c");
        check(r"a\( b\)", r"1:1 a\( | 1:5 b\)");
        check("a ( b\n", "line 1, column 3: this parenthesis is never closed: add `)` where the entry ends");
        check("a ( b\n(( c )", "line 1, column 3: this parenthesis is never closed: add `)` where the entry ends");
        check("a\nb )", "1:1 a\nline 2, column 3: this parenthesis closes none: remove it, or write `\\)`");
    }

    #[test]
    fn quotes_keep_blanks_and_specials() {
        check(r#"a "b ; ( c" "" d"#, r#"1:1 a | 1:3 "b ; ( c" | 1:13 "" | 1:16 d"#);
        check(r#""a""b"c"#, r#"1:1 "a" | 1:4 "b" | 1:7 c"#);
        check(r#"a "b\"c\\""#, r#"1:1 a | 1:3 "b\"c\\""#);
        check(r#"a alpn="h2, h3" b"#, r#"1:1 a | 1:3 alpn="h2, h3" | 1:17 b"#);
        check("a \"b\nc\"", "line 1, column 3: this quoted string is not closed on its line: add `\"`");
        check(
            "a b\"c\"",
            "line 1, column 4: a quote in the middle of a word: put the whole string in quotes, or write `\\\"`",
        );
    }

    #[test]
    fn a_backslash_escapes_no_line_end() {
        check("a\\\r\nb", "1:1 a\\\n2:1 b");
        check("a\\", "1:1 a\\");
    }

    #[test]
    fn octets_that_others_read_in_several_ways_are_refused() {
        let refused = |problem: Problem, column: usize| problem.at(Position { line: 1, column }).to_string();
        for (text, column) in [("a\0b", 2), ("a \0", 3), ("a \"b\0\"", 5), ("a\\\0", 3)] {
            check(text, &refused(Problem::Nul, column));
        }
        check("a ; \0", "1:1 a");
        check("a\rb", &refused(Problem::CarriageReturn, 2));
        check("a \"b\rc\" ; \r\r\nd\r", "1:1 a | 1:3 \"b\rc\"\n2:1 d");
    }
}
