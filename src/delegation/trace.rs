//! A walk from the root to an answer, as it is told: what each server of each zone said, what is wrong, and one sentence.
//!
//! A [`Trace`] is a value of texts and numbers, made from what was heard. Its JSON is what `kubezone trace -o json` prints
//! (docs/trace.md says it field by field); all other forms are made from it, too.

use std::net::IpAddr;

use serde::Serialize;

use super::{Finding, Origin};

/// A question, followed from the root to its answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// What was asked for: QNAME.
    pub name: String,
    /// QTYPE.
    #[serde(rename = "type")]
    pub rtype: String,
    /// The way of the name, then that of its alias's target, and so on; at least one.
    pub legs: Vec<Leg>,
    /// Questions that were asked.
    pub questions: usize,
    /// Milliseconds that it took.
    pub milliseconds: u64,
    /// What it comes to.
    pub verdict: Verdict,
}

/// The way of one name.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Leg {
    /// The name.
    pub name: String,
    /// The zone from which it goes on, which an earlier leg came through; none: it begins at the root.
    pub from: Option<String>,
    /// The zones on the way that no earlier leg came through, from the root down.
    pub zones: Vec<Stop>,
    /// How it ends.
    pub end: End,
}

/// A zone on the way: who serves it, and what is wrong with its delegation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stop {
    /// The zone.
    pub zone: String,
    /// The zone that delegates it; none: the root.
    pub parent: Option<String>,
    /// Its servers, as the referrals say, at each of their addresses.
    pub servers: Vec<Server>,
    /// Servers of the referrals whose addresses nobody says, and why.
    pub lost: Vec<Lost>,
    /// How many addresses were left out, as there are more than are followed.
    pub left_out: usize,
    /// What is wrong, the worst first.
    pub findings: Vec<Finding>,
}

/// A name server at one of its addresses.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Server {
    /// Its name; none: nobody said one.
    pub name: Option<String>,
    /// The address.
    pub address: IpAddr,
    /// How that came to be known.
    pub origin: Origin,
    /// What it said to the question over UDP.
    pub udp: Said,
    /// What it said over TCP.
    pub tcp: Said,
    /// Who it says that it is (RFC 5001).
    pub nsid: Option<String>,
    /// The serial of the zone there.
    pub serial: Option<u32>,
    /// How well it serves the zone, going by what is wrong with it.
    pub state: State,
}

/// What came of the question over one transport.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Said {
    /// What it comes to.
    pub gist: Gist,
    /// Milliseconds until it came, or was waited for.
    pub milliseconds: f64,
    /// The octets of the response; none: there is none.
    pub size: Option<usize>,
    /// What the server says went wrong (RFC 8914).
    pub extended_error: Option<ExtendedError>,
}

/// EDNS option 15 (RFC 8914).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExtendedError {
    /// INFO-CODE.
    pub code: u16,
    /// EXTRA-TEXT.
    pub text: String,
}

/// What a response, or none, comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "camelCase")]
pub enum Gist {
    /// The records.
    Answer,
    /// The name is another name for `to`.
    Alias {
        /// Its target.
        to: String,
    },
    /// The servers of `zone` know.
    Referral {
        /// Closer to the name than the zone of who says it.
        zone: String,
    },
    /// There are no records of that type.
    NoData,
    /// There is no such name.
    NxDomain,
    /// The servers of `zone` know, which is no closer to the name.
    Upward {
        /// The zone, or one above it.
        zone: String,
    },
    /// An answer without authority.
    NotAuthoritative,
    /// The rest did not fit into a datagram.
    Truncated,
    /// An RCODE that is no answer.
    Error {
        /// Its mnemonic.
        rcode: String,
    },
    /// Nothing came.
    Silence {
        /// Why.
        why: String,
    },
}

/// A name server without an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lost {
    /// Its name.
    pub name: String,
    /// Why.
    pub why: Why,
}

/// Why nobody says an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Why {
    /// It is in the zone that it serves, and the referral has no glue.
    NoGlue,
    /// To find it, it has to be known already: name servers that need each other.
    Circle,
    /// Its zone has no address for it.
    NoAddress,
    /// Nobody answered who should know.
    Unanswered,
}

/// How the way of a name ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum End {
    /// There are records.
    Answer {
        /// The zone that has them.
        zone: String,
        /// They, and the aliases that led to them, as a master file has them.
        records: Vec<String>,
    },
    /// The name is an alias: the next leg follows its target.
    Alias {
        /// The zone that says so.
        zone: String,
        /// The aliases.
        records: Vec<String>,
        /// Where they lead.
        to: String,
    },
    /// The name has no records of that type.
    NoData {
        /// The zone that says so.
        zone: String,
        /// The aliases that led to the name.
        records: Vec<String>,
        /// Seconds that caches remember it (RFC 2308 §5); none: they do not, for there is no SOA.
        remembered: Option<u32>,
    },
    /// There is no such name.
    NxDomain {
        /// The zone that says so.
        zone: String,
        /// The aliases that led to the name.
        records: Vec<String>,
        /// The topmost name that does not exist: the name itself or one above it.
        missing: String,
        /// Seconds that caches remember it (RFC 2308 §5); none: they do not, for there is no SOA.
        remembered: Option<u32>,
    },
    /// A name that should be a zone is none: where it should be delegated, nothing is known of it.
    Undelegated {
        /// The zone that should delegate it.
        zone: String,
        /// The zone that should be.
        missing: String,
        /// Seconds that caches remember it; none: they do not.
        remembered: Option<u32>,
    },
    /// No server of the zone says anything that leads on.
    Broken {
        /// The zone.
        zone: String,
    },
    /// The servers of the zone say that those of a zone know which is no closer to the name.
    Upward {
        /// The zone.
        zone: String,
        /// Where they refer to.
        to: String,
    },
    /// Aliases that lead back to one of them.
    Circle {
        /// The zone that closes it.
        zone: String,
        /// The alias that comes again.
        to: String,
    },
    /// More aliases or referrals than are followed, more questions than are asked, or it took too long.
    Endless {
        /// The zone where it was given up.
        zone: String,
    },
}

/// How well something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Nothing to mend.
    Well,
    /// It works, and something should be mended.
    Degraded,
    /// It does not work.
    Broken,
    /// Nothing could be seen from here.
    Unseen,
}

/// What a trace comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// How well it is.
    pub state: State,
    /// Where it is broken, whose side that is, what to do next, and how long caches remember.
    pub sentence: String,
}
