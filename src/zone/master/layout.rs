//! How the entries of a master file stand in its text, for those who change it and leave the rest as it is.

use std::ops::Range;
use std::path::Path;

use hickory_proto::rr::Name;

use super::lexer::Line;
use super::{Entry, MasterError, Reader};

/// A master file, read for its text's sake.
#[derive(Debug)]
pub struct Sheet {
    /// The records in their order, those of included files among them, and how each stands in the text; none: it stands
    /// in an included file.
    pub entries: Vec<(Entry, Option<Layout>)>,
    /// `$ORIGIN` at the end of the text.
    pub origin: Name,
    /// `$TTL` there.
    pub default_ttl: Option<u32>,
}

/// How the entry of a record stands in the text. All ranges are of octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// From its first word or parenthesis to the end of the line that it ends on, without the line's LF.
    pub octets: Range<usize>,
    /// Its words, and the quotes around them: what is stated of owner, TTL, class and type, then RDATA.
    pub words: Vec<Range<usize>>,
    /// The comments in it and behind it, without the line's LF.
    pub comments: Vec<Range<usize>>,
    /// Whether the first word is its owner; else it is that of the entry before.
    pub states_owner: bool,
    /// `$ORIGIN` where it stands.
    pub origin: Name,
    /// `$TTL` there.
    pub default_ttl: Option<u32>,
}

/// Reads `text` as [`parse`](super::parse) does.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn lay_out(text: &[u8], origin: &Name, folder: Option<&Path>) -> Result<Sheet, MasterError> {
    let mut progress = |_| {};
    let mut reader = Reader { layouts: Some(Vec::new()), ..Reader::new(origin, folder, 1, &mut progress) };
    reader.read(text);
    let Reader { entries, errors, layouts, origin, default_ttl, .. } = reader;
    if let Some(error) = errors.into_iter().next() {
        return Err(error);
    }
    let entries = entries.into_iter().zip(layouts.expect("asked for")).collect();
    Ok(Sheet { entries, origin, default_ttl })
}

impl Layout {
    pub(super) fn of(line: &Line, origin: &Name, default_ttl: Option<u32>) -> Self {
        Self {
            octets: line.octets.clone(),
            words: line.words.iter().map(|word| word.octets.clone()).collect(),
            comments: line.comments.iter().filter(|comment| comment.start >= line.octets.start).cloned().collect(),
            states_owner: !line.blank,
            origin: origin.clone(),
            default_ttl,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the layouts of `text` lead to: the words of each entry between bars, its comments in braces.
    fn check(text: &str, expected: &[&str]) {
        let sheet = lay_out(text.as_bytes(), &Name::from_ascii("a.example.").unwrap(), None).unwrap();
        let shown = sheet.entries.iter().map(|(_, layout)| {
            let layout = layout.as_ref().unwrap();
            let part = |range: &Range<usize>| text[range.clone()].to_owned();
            let words: Vec<_> = layout.words.iter().map(part).collect();
            let comments: String = layout.comments.iter().map(|range| format!(" {{{}}}", part(range))).collect();
            let owner = if layout.states_owner { "" } else { "_ " };
            let origin = &layout.origin;
            format!("{owner}{}{comments} @{origin} {:?}", words.join("|"), text[layout.octets.clone()].lines().count())
        });
        assert_eq!(shown.collect::<Vec<_>>(), expected, "{text:?}");
    }

    #[test]
    fn words_comments_and_ends_are_where_they_stand() {
        check(
            "\u{feff}; before\nb 1 A 192.0.2.1 ; é\r\n\n ( ; one\n TXT \"; no\" ; two\n) ; three\n$ORIGIN c\nd A 192.0.2.2",
            &[
                "b|1|A|192.0.2.1 {; é\r} @a.example. 1",
                "_ TXT|\"; no\" {; one} {; two} {; three} @a.example. 3",
                "d|A|192.0.2.2 @c.a.example. 1",
            ],
        );
        check(
            "b 1 HTTPS 1 . alpn=\"h2\"\n( )\nb 2 TXT \"\"",
            &["b|1|HTTPS|1|.|alpn=\"h2\" @a.example. 1", "b|2|TXT|\"\" @a.example. 1"],
        );
    }
}
