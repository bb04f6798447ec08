//! A trace as a picture: the chain from the root down, each server a dot with what it says beside it.
//!
//! It stands alone as a file, and within a page under a strict Content-Security-Policy: there are presentation attributes
//! only, no style sheet and no script. Text and lines have the colour of the text around the picture, so that it is
//! readable on light and on dark; what a dot means, its sign says as well as its colour.

use std::fmt::Write as _;

use super::trace::{End, Gist, Leg, Said, Server, State, Stop, Trace};
use super::{Finding, Severity};

/// The picture's width, in user units. All else follows from the lines.
const WIDTH: usize = 960;

/// A line's height, and how much of it is a letter's width: the fonts are monospaced.
const LINE: usize = 18;
const LETTER: f64 = 7.85;

/// How far each zone is to the right of the one above, at most so many times.
const STEP: usize = 22;
const STEPS: usize = 12;

/// `trace` as SVG.
#[must_use]
pub fn svg(trace: &Trace) -> String {
    let mut drawing = Drawing { y: 0, body: String::new() };
    let (name, rtype) = (&trace.name, &trace.rtype);
    for leg in &trace.legs {
        drawing.leg(leg, rtype);
    }
    drawing.y += LINE / 2;
    drawing.dot(14, trace.verdict.state);
    drawing.paragraph(34, &trace.verdict.sentence, "font-weight=\"bold\"");
    let height = drawing.y + LINE;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"group\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" font-family=\"ui-monospace, 'DejaVu Sans Mono', monospace\" font-size=\"13\" \
         fill=\"currentColor\">\n<title>{}</title>\n{}</svg>\n",
        xml(&format!("{name} {rtype}: {}", trace.verdict.sentence)),
        drawing.body
    )
}

/// Lines from the top down.
struct Drawing {
    /// The base of the last line.
    y: usize,
    body: String,
}

impl Drawing {
    fn leg(&mut self, leg: &Leg, rtype: &str) {
        self.y += LINE / 2;
        self.line(6, &format!("{} {rtype}", leg.name), "font-weight=\"bold\"");
        // Where the line to the next zone begins.
        let mut above = None;
        for (depth, stop) in leg.zones.iter().enumerate() {
            let x = 14 + depth.min(STEPS) * STEP;
            self.y += LINE / 2;
            if let Some((left, top)) = above {
                self.connect(left, top, x, self.y + LINE - 4);
            }
            above = Some((x, self.y + LINE + 4));
            self.zone(x, stop);
        }
        let x = 14 + leg.zones.len().min(STEPS) * STEP;
        if let Some((left, top)) = above {
            self.connect(left, top, x, self.y + LINE - 4);
        }
        for line in ending(&leg.end) {
            self.line(x + 6, &line, "font-style=\"italic\"");
        }
    }

    fn zone(&mut self, x: usize, stop: &Stop) {
        let worst = stop.findings.iter().map(|finding| State::from(finding.severity)).max().unwrap_or(State::Well);
        let zone = if stop.zone == "." { ". (the root)" } else { &stop.zone };
        self.line(x - 5, zone, "font-weight=\"bold\" font-size=\"15\"");
        for server in &stop.servers {
            self.server(x + 16, server);
        }
        for lost in &stop.lost {
            self.y += LINE;
            self.mark(x + 16, State::Broken);
            self.y -= LINE;
            self.line(x + 32, &format!("{} {}", lost.name, lost.why), "");
        }
        if stop.left_out > 0 {
            self.line(x + 32, &format!("{} more addresses were left out", stop.left_out), "");
        }
        if worst != State::Well {
            stop.findings.iter().for_each(|finding| self.finding(x + 32, finding));
        }
    }

    /// A server: a dot, and beside it who it is and what it says.
    fn server(&mut self, x: usize, server: &Server) {
        let Server { name, address, udp, tcp, nsid, serial, state, .. } = server;
        let who = name.as_ref().map_or_else(|| address.to_string(), |name| format!("{name} {address}"));
        let mut evidence = match (&udp.gist, &tcp.gist) {
            (one, other) if one == other => one.to_string(),
            (one, other) => format!("UDP: {one}, TCP: {other}"),
        };
        for (transport, Said { gist, milliseconds, .. }) in [("UDP", udp), ("TCP", tcp)] {
            if !matches!(gist, Gist::Silence { .. }) {
                let _ = write!(evidence, " · {transport} {milliseconds} ms");
            }
        }
        if let Some(serial) = serial {
            let _ = write!(evidence, " · serial {serial}");
        }
        if let Some(nsid) = nsid {
            let _ = write!(evidence, " · NSID {nsid}");
        }
        if let Some(error) = [udp, tcp].into_iter().find_map(|said| said.extended_error.as_ref()) {
            let _ = write!(evidence, " · {error}");
        }
        let _ = writeln!(self.body, "<g><title>{}</title>", xml(&format!("{who}: {evidence}")));
        self.y += LINE;
        self.mark(x, *state);
        self.y -= LINE;
        self.line(x + 16, &who, "");
        self.line(x + 16, &evidence, "opacity=\"0.75\" font-size=\"12\"");
        self.body.push_str("</g>\n");
    }

    fn finding(&mut self, x: usize, finding: &Finding) {
        if finding.severity < Severity::Note {
            self.paragraph(
                x,
                &format!("{} {}", finding.message, finding.fix),
                "font-style=\"italic\" font-size=\"12\"",
            );
        }
    }

    /// A dot before the next line.
    fn dot(&mut self, x: usize, state: State) {
        self.y += LINE;
        self.mark(x, state);
        self.y -= LINE;
    }

    /// A dot on this line: a colour that is seen on white and on black, and a sign in it.
    fn mark(&mut self, x: usize, state: State) {
        let (color, sign) = match state {
            State::Well => ("#23863f", "✓"),
            State::Degraded => ("#b26a00", "!"),
            State::Broken => ("#d1363b", "×"),
            State::Unseen => ("#767676", "?"),
        };
        let (center, base) = (self.y - 4, self.y);
        let _ = writeln!(
            self.body,
            "<circle cx=\"{x}\" cy=\"{center}\" r=\"7\" fill=\"{color}\"/><text x=\"{x}\" y=\"{base}\" fill=\"#ffffff\" \
             font-size=\"11\" text-anchor=\"middle\" aria-hidden=\"true\">{sign}</text>"
        );
    }

    /// A line from a zone down and to the next one.
    fn connect(&mut self, left: usize, top: usize, right: usize, bottom: usize) {
        let end = right.saturating_sub(8).max(left);
        let _ = writeln!(
            self.body,
            "<path d=\"M{left} {top}V{bottom}H{end}\" fill=\"none\" stroke=\"currentColor\" stroke-opacity=\"0.5\"/>"
        );
    }

    /// The next line, cut off where the picture ends.
    fn line(&mut self, x: usize, text: &str, attributes: &str) {
        self.y += LINE;
        let room = letters(x);
        let shown = match text.char_indices().nth(room) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text.to_owned(),
        };
        let y = self.y;
        let _ = writeln!(self.body, "<text x=\"{x}\" y=\"{y}\" {attributes}>{}</text>", xml(&shown));
    }

    /// As many lines as it takes.
    fn paragraph(&mut self, x: usize, text: &str, attributes: &str) {
        let mut line = String::new();
        for word in text.split_whitespace() {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > letters(x) {
                self.line(x, &std::mem::take(&mut line), attributes);
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.line(x, &line, attributes);
    }
}

/// How many letters there is room for, from `x` to the right edge.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "small")]
fn letters(x: usize) -> usize {
    (WIDTH.saturating_sub(x + 12) as f64 / LETTER) as usize
}

/// How the way of a name ends: at most so many records that it stays a picture.
fn ending(end: &End) -> Vec<String> {
    let mut lines = end.lines();
    if lines.len() > 8 {
        let more = lines.len() - 8;
        lines.truncate(8);
        lines.push(format!("… and {more} more"));
    }
    lines
}

/// `text` as character data or the value of an attribute: escaped, and without what XML 1.0 has no character for.
fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            letter if letter.is_control() => escaped.push(' '),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::trace::tests::sample;
    use super::*;

    #[test]
    fn what_strangers_say_is_text() {
        assert_eq!(xml("<script>\"&'\u{0}\u{1b}[2J\u{ffff}"), "&lt;script&gt;&quot;&amp;&#39;  [2J\u{fffd}");
    }

    #[test]
    fn the_picture_is_made_of_its_own_elements_and_attributes() {
        let picture = svg(&sample());
        let mut open = Vec::new();
        for piece in picture.split('<').skip(1) {
            let (tag, _) = piece.split_once('>').unwrap_or_else(|| panic!("{piece}"));
            let element = tag.trim_start_matches('/').split([' ', '/']).next().expect("a first part");
            assert!(["svg", "title", "g", "text", "circle", "path"].contains(&element), "{tag}");
            match tag {
                tag if tag.starts_with('/') => assert_eq!(open.pop(), Some(element), "{picture}"),
                tag if tag.ends_with('/') => {}
                _ => open.push(element),
            }
        }
        assert_eq!(open, Vec::<&str>::new(), "{picture}");
        // A strict Content-Security-Policy forbids these within a page.
        assert!(!picture.contains(" style=") && !picture.contains("href") && !picture.contains("\u{1b}"), "{picture}");
    }
}
