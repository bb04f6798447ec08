//! `kubezone trace`: from the root to an answer, and where that breaks.

mod markdown;
mod text;

use std::io::{self, BufWriter, Write};
use std::str::FromStr;

use clap::{Args, ValueEnum};
use hickory_proto::rr::{Name, RecordType};

use super::paper::{Colors, Paper, plain};
use super::progress;
use super::world::WorldArgs;
use super::zone::print_json;
use super::{Failure, runtime};
use crate::delegation::{State, Trace, svg, walk};
use crate::zone::name_to_text;

/// Follows a name from the root to its answer, asks every name server on the way, and says in one sentence what is broken
///
/// Every name server of every zone on the way is asked at each of its addresses, over UDP and TCP, as a resolver would: with
/// the glue as given, aliases followed to the end, no cache and no resolver between. The last line says where it is broken,
/// whose side that is, what to do next and how long caches will remember. Exit status: 0 all is well, also where the answer is
/// that there is none; 1 something is to be mended; 2 usage; 3 nothing could be seen from
/// here, such as no root server.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubezone trace web.shop.svc.c2.k8s.ooo
  kubezone trace c2.k8s.ooo NS -6
  kubezone trace web.shop.svc.c2.k8s.ooo -o markdown > issue.md
  kubezone trace www.example.com A --root 2001:db8::53,192.0.2.53

docs/trace.md says what is shown, and what the objects of JSON hold.")]
pub(super) struct TraceArgs {
    /// The name, from the root: `web.shop.svc.c2.k8s.ooo`, with or without a dot at its end
    #[arg(value_name = "NAME")]
    name: Qname,
    /// The type of the records; AAAA: whoever has IPv6 asks for that first
    #[arg(value_name = "TYPE", default_value = "AAAA")]
    rtype: Qtype,
    #[command(flatten)]
    world: WorldArgs,
    #[command(flatten)]
    form: Form,
}

/// How a trace is printed.
#[derive(Debug, Args)]
pub(super) struct Form {
    /// How to print what was seen; docs/trace.md has the fields of JSON
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Output,
    #[command(flatten)]
    colors: Colors,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A tree, for people
    Text,
    /// An object with fields
    Json,
    /// To paste into an issue
    Markdown,
    /// A picture
    Svg,
}

/// A name to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Qname(Name);

/// A type to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Qtype(RecordType);

/// What cannot be asked for.
#[derive(Debug, PartialEq, thiserror::Error)]
enum QuestionProblem {
    #[error(
        "that is no name of the DNS: labels of at most 63 letters, digits and hyphens with dots between, without spaces"
    )]
    Name,
    #[error("that is no type of records, such as AAAA, A, NS, SOA, SRV or TXT")]
    Type,
    #[error("that is no type of records that a name server would be asked for by its name")]
    Meta,
}

impl FromStr for Qname {
    type Err = QuestionProblem;

    fn from_str(text: &str) -> Result<Self, QuestionProblem> {
        let is_possible = !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control());
        let mut name = Name::from_utf8(text).ok().filter(|_| is_possible).ok_or(QuestionProblem::Name)?;
        name.set_fqdn(true);
        Ok(Self(name))
    }
}

impl FromStr for Qtype {
    type Err = QuestionProblem;

    fn from_str(text: &str) -> Result<Self, QuestionProblem> {
        let upper = text.to_ascii_uppercase();
        let rtype = upper.parse().ok().or_else(|| {
            let number = upper.strip_prefix("TYPE")?.parse::<u16>().ok()?;
            Some(RecordType::from(number))
        });
        match rtype.ok_or(QuestionProblem::Type)? {
            RecordType::AXFR | RecordType::IXFR | RecordType::OPT | RecordType::TSIG | RecordType::ZERO => {
                Err(QuestionProblem::Meta)
            }
            rtype => Ok(Self(rtype)),
        }
    }
}

impl TraceArgs {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let world = self.world.world()?;
        let (Qname(name), Qtype(rtype)) = (&self.name, self.rtype);
        let what = format!("the servers of {}", plain(name_to_text(name)));
        let walk = runtime()?.block_on(progress::waiting(what, walk(world, name, rtype)));
        self.form.tell(&Trace::of(&walk))
    }
}

impl Form {
    /// Prints `trace`, and fails where something is to be mended.
    pub(super) fn tell(&self, trace: &Trace) -> Result<(), Failure> {
        let mut out = BufWriter::new(io::stdout().lock());
        match self.output {
            Output::Text => text::print(trace, &mut Paper::new(&mut out, self.colors))?,
            Output::Json => print_json(&mut out, trace)?,
            Output::Markdown => out.write_all(markdown::markdown(trace).as_bytes())?,
            Output::Svg => out.write_all(svg(trace).as_bytes())?,
        }
        out.flush()?;
        match trace.verdict.state {
            State::Well => Ok(()),
            State::Degraded | State::Broken => Err(Failure::Findings),
            State::Unseen => Err(Failure::Unasked),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_the_dns_can_hold() {
        let check = |text: &str, expected: Result<&str, QuestionProblem>| {
            let name = text.parse::<Qname>().map(|Qname(name)| name_to_text(&name));
            assert_eq!(name, expected.map(str::to_owned), "{text:?}");
        };
        check("web.shop.svc.c2.k8s.ooo", Ok("web.shop.svc.c2.k8s.ooo."));
        check("ooo.", Ok("ooo."));
        check("_https._tcp.web.shop.svc.c2.k8s.ooo.", Ok("_https._tcp.web.shop.svc.c2.k8s.ooo."));
        check("*.Apps.example", Ok("*.apps.example."));
        check(".", Ok("."));
        check("münchen.example", Ok("xn--mnchen-3ya.example."));
        for text in ["", "web shop", "a..b", " ", &"a".repeat(64), "a\u{7}b"] {
            check(text, Err(QuestionProblem::Name));
        }
    }

    #[test]
    fn types_are_those_of_records() {
        let check = |text: &str, expected| {
            assert_eq!(text.parse::<Qtype>().map(|Qtype(rtype)| u16::from(rtype)), expected, "{text}");
        };
        check("aaaa", Ok(28));
        check("TYPE65280", Ok(65280));
        check("type6", Ok(6));
        check("AAAAA", Err(QuestionProblem::Type));
        check("TYPE65536", Err(QuestionProblem::Type));
        check("AXFR", Err(QuestionProblem::Meta));
        check("TYPE252", Err(QuestionProblem::Meta));
    }
}
