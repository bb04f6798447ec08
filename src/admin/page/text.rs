//! Strangers' words, so that they are seen as they are.

use std::fmt::Write as _;

use maud::{Escaper, Markup, PreEscaped, Render, html};

/// A text of somebody else's. What cannot be seen in it, or changes how what stands around it is seen, is shown by its code
/// point: `\u{202e}`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'t>(pub(super) &'t str);

impl Text<'_> {
    /// The same for where there is no markup: attributes and titles.
    pub(super) fn plain(self) -> String {
        let mut text = String::with_capacity(self.0.len());
        for c in self.0.chars() {
            if is_hidden(c) {
                text.extend(c.escape_unicode());
            } else {
                text.push(c);
            }
        }
        text
    }
}

impl Render for Text<'_> {
    fn render_to(&self, out: &mut String) {
        if self.0.is_ascii() && !self.0.chars().any(char::is_control) {
            return self.0.render_to(out);
        }
        // What is written from right to left is so for itself, whatever stands beside it.
        out.push_str("<bdi>");
        for c in self.0.chars() {
            if is_hidden(c) {
                out.push_str("<span class=\"hidden\">");
                out.extend(c.escape_unicode());
                out.push_str("</span>");
            } else {
                // Strings take whatever is written into them.
                let _ = Escaper::new(out).write_char(c);
            }
        }
        out.push_str("</bdi>");
    }
}

/// Whether a character shows nothing of itself: controls, what joins and separates, what turns the direction of writing
/// (Unicode's Bidi_Control), tags and variation selectors.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// A sentence of ours in which what stands between backticks is code.
pub(super) fn sentence(text: &str) -> Markup {
    html! {
        @for (place, part) in text.split('`').enumerate() {
            @if place % 2 == 1 { code { (Text(part)) } } @else { (Text(part)) }
        }
    }
}

/// The command in a fix, if it has one, to be copied.
pub(super) fn command(fix: &str) -> Option<&str> {
    fix.split('`').skip(1).step_by(2).find(|part| part.starts_with("kubectl ") || part.starts_with("kubezone "))
}

/// A long word, which may be broken behind its dots and slashes.
pub(super) fn breakable(text: &str) -> Markup {
    html! {
        @for part in text.split_inclusive(['.', '/']) { (Text(part)) (PreEscaped("<wbr>")) }
    }
}

/// One segment of a path.
pub(super) fn segment(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(Text(text).render().into_string(), expected);
    }

    #[test]
    fn markup_stays_text() {
        check("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;");
        check("\" onload='x' &amp;", "&quot; onload='x' &amp;amp;");
        check("é<b>", "<bdi>é&lt;b&gt;</bdi>");
    }

    #[test]
    fn what_hides_is_shown() {
        let shown = |code: &str| format!("<span class=\"hidden\">\\u{{{code}}}</span>");
        check("a\u{202e}b", &format!("<bdi>a{}b</bdi>", shown("202e")));
        check("a\0\u{1b}[2J", &format!("<bdi>a{}{}[2J</bdi>", shown("0"), shown("1b")));
        check("\u{e0041}", &format!("<bdi>{}</bdi>", shown("e0041")));
        assert_eq!(Text("a\r\n\u{2066}\"").plain(), "a\\u{d}\\u{a}\\u{2066}\"");
    }

    #[test]
    fn fixes_show_their_commands() {
        let fix = "Say `publish: true`, or run `kubectl annotate service web -n shop a=b`.";
        assert_eq!(command(fix), Some("kubectl annotate service web -n shop a=b"));
        assert_eq!(command("Nothing to run."), None);
        assert_eq!(sentence("Say `<b>`.").into_string(), "Say <code>&lt;b&gt;</code>.");
    }
}
