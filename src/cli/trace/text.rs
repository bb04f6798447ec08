//! A trace as a tree, for people.

use std::io::{self, Write};

use crate::cli::paper::{Cell, Paper, Tone, plain};
use crate::delegation::{Finding, Gist, Leg, Said, Server, Severity, State, Stop, Trace};

/// Prints `trace`: each zone with its servers, what is wrong there, and at the end the sentence.
pub(super) fn print<W: Write>(trace: &Trace, paper: &mut Paper<W>) -> io::Result<()> {
    let Trace { rtype, legs, questions, milliseconds, verdict, .. } = trace;
    for (nth, leg) in legs.iter().enumerate() {
        if nth > 0 {
            paper.line("")?;
        }
        paper.line(format_args!("{} {}", plain(&leg.name), plain(rtype)))?;
        leg_below(leg, paper)?;
    }
    paper.line(format_args!("\n{questions} questions, {milliseconds} ms"))?;
    let sentence = format!("{} {}", mark(verdict.state), plain(&verdict.sentence));
    paper.line(paper.tinted(tone(verdict.state), sentence))
}

fn leg_below<W: Write>(leg: &Leg, paper: &mut Paper<W>) -> io::Result<()> {
    for (depth, stop) in leg.zones.iter().enumerate() {
        let indent = "  ".repeat(depth);
        zone(stop, &indent, paper)?;
    }
    let indent = "  ".repeat(leg.zones.len());
    for line in leg.end.lines() {
        paper.line(format_args!("{indent}{}", plain(line)))?;
    }
    Ok(())
}

fn zone<W: Write>(stop: &Stop, indent: &str, paper: &mut Paper<W>) -> io::Result<()> {
    paper.line(format_args!("{indent}{}", plain(&stop.zone)))?;
    let indent = format!("{indent}  ");
    let rows: Vec<_> = stop.servers.iter().map(server).collect();
    paper.table(&indent, &rows)?;
    for lost in &stop.lost {
        let line = format!("✘ {}  {}", lost.name, lost.why);
        paper.line(format_args!("{indent}{}", paper.tinted(Tone::Bad, plain(line))))?;
    }
    if stop.left_out > 0 {
        paper.line(format_args!("{indent}  {} more addresses were left out", stop.left_out))?;
    }
    stop.findings.iter().try_for_each(|finding| self::finding(finding, &indent, paper))
}

/// A server's line: how it is, who and where, what it says, and what it says of itself.
fn server(server: &Server) -> Vec<Cell> {
    let Server { name, address, udp, tcp, nsid, serial, state, .. } = server;
    let mut notes = Vec::new();
    notes.extend(serial.map(|serial| format!("serial {serial}")));
    notes.extend(nsid.as_ref().map(|nsid| format!("nsid {nsid}")));
    let errors = [udp, tcp].into_iter().find_map(|said| said.extended_error.as_ref());
    notes.extend(errors.map(ToString::to_string));
    vec![
        Cell::toned(mark(*state), tone(*state)),
        name.as_deref().unwrap_or("-").into(),
        address.into(),
        said(udp, tcp).into(),
        format!("UDP {}", time(udp)).into(),
        format!("TCP {}", time(tcp)).into(),
        notes.join(", ").into(),
    ]
}

/// What was said over both, or over each.
pub(super) fn said(udp: &Said, tcp: &Said) -> String {
    match (&udp.gist, &tcp.gist) {
        (one, other) if one == other => one.to_string(),
        // That is what a datagram is for: to say so.
        (Gist::Truncated, other) => format!("{other} (over TCP only)"),
        (one, other) => format!("{one}; TCP: {other}"),
    }
}

/// How long an answer took; nothing where there is none.
pub(super) fn time(said: &Said) -> String {
    match said.gist {
        Gist::Silence { .. } => "–".to_owned(),
        _ => format!("{} ms", said.milliseconds),
    }
}

fn finding<W: Write>(finding: &Finding, indent: &str, paper: &mut Paper<W>) -> io::Result<()> {
    let Finding { severity, message, fix, .. } = finding;
    let (mark, tone) = match severity {
        Severity::Broken => ("✘", Some(Tone::Bad)),
        Severity::Degraded => ("!", Some(Tone::Odd)),
        Severity::Note => ("·", None),
    };
    let line = format!("{mark} {}", plain(message));
    paper.line(format_args!("{indent}{}", tone.map_or_else(|| line.clone(), |tone| paper.tinted(tone, &line))))?;
    // What is only to be known needs no mending.
    if *severity == Severity::Note { Ok(()) } else { paper.line(format_args!("{indent}  {}", plain(fix))) }
}

/// A state in one sign.
pub(super) fn mark(state: State) -> &'static str {
    match state {
        State::Well => "✔",
        State::Degraded => "!",
        State::Broken => "✘",
        State::Unseen => "?",
    }
}

fn tone(state: State) -> Tone {
    match state {
        State::Well => Tone::Good,
        State::Degraded | State::Unseen => Tone::Odd,
        State::Broken => Tone::Bad,
    }
}
