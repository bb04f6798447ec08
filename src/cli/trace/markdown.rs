//! A trace to paste into an issue: tables, with everything escaped that Markdown or HTML would take for its own.

use std::fmt::Write as _;

use super::text::{mark, said, time};
use crate::cli::paper::plain;
use crate::delegation::{Leg, Severity, Stop, Trace};

/// `trace` as Markdown of the kind that has tables (GitHub's).
pub(super) fn markdown(trace: &Trace) -> String {
    let Trace { name, rtype, legs, verdict, questions, milliseconds } = trace;
    let mut out =
        format!("**{} {}**\n\n{} {}\n", text(name), text(rtype), mark(verdict.state), text(&verdict.sentence));
    for leg in legs {
        self::leg(leg, rtype, &mut out);
    }
    let version = env!("CARGO_PKG_VERSION");
    let _ = writeln!(out, "\n{questions} questions in {milliseconds} ms, by kubezone {version}");
    out
}

fn leg(leg: &Leg, rtype: &str, out: &mut String) {
    let _ = writeln!(out, "\n### {} {}", text(&leg.name), text(rtype));
    for stop in &leg.zones {
        zone(stop, out);
    }
    let lines = leg.end.lines();
    if !lines.is_empty() {
        out.push('\n');
    }
    for line in lines {
        let _ = writeln!(out, "- {}", text(&line));
    }
}

fn zone(stop: &Stop, out: &mut String) {
    let _ = writeln!(out, "\n#### {}", text(&stop.zone));
    if !stop.servers.is_empty() {
        out.push_str("\n| | server | address | says | UDP | TCP | serial | NSID | EDE |\n|-|-|-|-|-|-|-|-|-|\n");
    }
    for server in &stop.servers {
        let error = [&server.udp, &server.tcp].into_iter().find_map(|said| said.extended_error.as_ref());
        let cells = [
            mark(server.state).to_owned(),
            server.name.clone().unwrap_or_default(),
            server.address.to_string(),
            said(&server.udp, &server.tcp),
            time(&server.udp),
            time(&server.tcp),
            server.serial.map(|serial| serial.to_string()).unwrap_or_default(),
            server.nsid.clone().unwrap_or_default(),
            error.map(ToString::to_string).unwrap_or_default(),
        ];
        let _ = writeln!(out, "| {} |", cells.map(|cell| text(&cell)).join(" | "));
    }
    let lost = stop.lost.iter().map(|lost| format!("**{}** {}", text(&lost.name), text(&lost.why.to_string())));
    let findings = stop.findings.iter().map(|finding| match finding.severity {
        Severity::Note => text(&finding.message),
        _ => format!("**{}** {}", text(&finding.message), text(&finding.fix)),
    });
    let left_out = (stop.left_out > 0).then(|| format!("{} more addresses were left out", stop.left_out));
    let points: Vec<_> = lost.chain(left_out).chain(findings).collect();
    if !points.is_empty() {
        out.push('\n');
    }
    for point in points {
        let _ = writeln!(out, "- {point}");
    }
}

/// `text` as nothing but text: what Markdown would take for a sign has a backslash before it (CommonMark §2.4), nobody is
/// mentioned, and no scheme makes a link.
fn text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in plain(text).chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // Mentions are looked for in what a backslash has gone from: a comment makes two texts of it.
            '@' => escaped.push_str("@<!-- -->"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '#' | '|' | '~' | '!' => {
                escaped.push('\\');
                escaped.push(letter);
            }
            _ => escaped.push(letter),
        }
    }
    escaped.replace("://", ":<!-- -->//")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strangers_say_is_text() {
        assert_eq!(text("a|b\n<script> [x](y) `c` *d*"), r"a\|b &lt;script&gt; \[x\](y) \`c\` \*d\*");
        assert_eq!(text("@all https://a.example"), "@<!-- -->all https:<!-- -->//a.example");
    }
}
