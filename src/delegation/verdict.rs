//! The sentence that ends a trace: where it is broken, whose side that is, what is next, and how long caches will remember.
//!
//! What ends the way of a name is said before all else. Where an answer is reached, the worst finding decides, and among
//! equals the one nearest to the root: what is below it may follow from it.

use std::collections::BTreeSet;

use super::trace::{End, Gist, Leg, State, Stop, Verdict, Why};
use super::{Finding, Severity};

/// What the `legs` of a question for `name` and `rtype` come to.
pub(super) fn verdict(name: &str, rtype: &str, legs: &[Leg]) -> Verdict {
    let (Some(first), Some(last)) = (legs.first(), legs.last()) else {
        return Verdict { state: State::Unseen, sentence: "Nothing was asked.".to_owned() };
    };
    if let Some(sentence) = first.zones.first().and_then(unseen) {
        return Verdict { state: State::Unseen, sentence };
    }
    let lead = if legs.len() > 1 { format!("{name} is an alias of {}, and ", last.name) } else { String::new() };
    if let Some(sentence) = broken(last, legs.len() > 1) {
        return Verdict { state: State::Broken, sentence: sentence_of(&lead, &sentence) };
    }
    let findings = legs.iter().flat_map(|leg| &leg.zones).flat_map(|stop| &stop.findings);
    let to_mend: Vec<_> = findings.filter(|finding| finding.severity < Severity::Note).collect();
    let reached = reached(last, rtype);
    // `min_by_key` takes the first of equals, and the zones come from the root down.
    let Some(worst) = to_mend.iter().min_by_key(|finding| finding.severity) else {
        return Verdict { state: State::Well, sentence: sentence_of(&lead, &format!("{reached}; nothing to mend.")) };
    };
    let others = match to_mend.len() - 1 {
        0 => String::new(),
        1 => " One more thing is to be mended.".to_owned(),
        others => format!(" {others} more things are to be mended."),
    };
    let sentence = sentence_of(&lead, &format!("{reached}. But {}{others}", told(worst)));
    Verdict { state: worst.severity.into(), sentence }
}

/// Why nothing could be seen: no root server said anything.
fn unseen(root: &Stop) -> Option<String> {
    let silence = |gist: &Gist| match gist {
        Gist::Silence { why } => Some(why.clone()),
        _ => None,
    };
    let mut asked = Vec::new();
    for server in &root.servers {
        let (udp, tcp) = (silence(&server.udp.gist)?, silence(&server.tcp.gist)?);
        let why = if udp == tcp { udp } else { format!("UDP: {udp}, TCP: {tcp}") };
        asked.push((server.address, why));
    }
    let over = |family: &str, is_of: fn(&std::net::IpAddr) -> bool| {
        let of_family: Vec<_> = asked.iter().filter(|(address, _)| is_of(address)).collect();
        let addresses: Vec<_> = of_family.iter().map(|(address, _)| address.to_string()).collect();
        let whys: BTreeSet<_> = of_family.iter().map(|(_, why)| why.as_str()).collect();
        let whys: Vec<_> = whys.into_iter().collect();
        (!addresses.is_empty()).then(|| format!("over {family} {} ({})", list(&addresses, 3), whys.join("; ")))
    };
    let families =
        [over("IPv6", std::net::IpAddr::is_ipv6), over("IPv4", std::net::IpAddr::is_ipv4)].into_iter().flatten();
    let families: Vec<_> = families.collect();
    Some(match families.is_empty() {
        true => "No root server has an address of the family that is to be asked over.".to_owned(),
        false => format!("No root server answers: asked were {}.", families.join(", and ")),
    })
}

/// What ends the way of a name before there is an answer.
fn broken(leg: &Leg, is_alias: bool) -> Option<String> {
    let Leg { name, end, zones } = leg;
    Some(match end {
        End::Answer { .. } | End::Alias { .. } | End::NoData { .. } => return None,
        End::NxDomain { .. } if !is_alias => return None,
        End::NxDomain { zone, remembered, .. } => format!(
            "that does not exist: the servers of {zone} say NXDOMAIN. Whoever has the alias has to take it away, or the \
             operator of {zone} has to add {name}; {}.",
            memory(*remembered)
        ),
        End::Undelegated { zone, missing, remembered } => format!(
            "{missing} is not delegated: {} {} for it. The operator of {zone} has to add the NS records and glue that \
             `kubezone delegation {}` prints{}.",
            servers_of(zone),
            denial(zones, *remembered),
            missing.trim_end_matches('.'),
            remembered
                .map(|seconds| format!("; caches remember that there is none for up to {}", duration(seconds)))
                .unwrap_or_default()
        ),
        End::Broken { zone } => dead_end(zone, zones.last()?),
        End::Upward { zone, to } => format!(
            "the servers of {zone} do not have it: they refer back to {to}. The operator of {zone} has to have them load the \
             zone, or its parent has to refer to those that do."
        ),
        End::Circle { to, .. } => format!(
            "{to} is an alias that leads back to itself. Whoever has these aliases has to let one of them lead to a name \
             with records."
        ),
        End::Endless { zone } => format!(
            "the walk was given up at {zone}: it took too many questions, or too long. What its servers said is above."
        ),
    })
}

/// What the servers above an undelegated zone say.
fn denial(zones: &[Stop], remembered: Option<u32>) -> &'static str {
    // The zone itself is last, and those who do not delegate it stand before it.
    let above = zones.iter().rev().nth(1).into_iter().flat_map(|stop| &stop.servers);
    let mut gists = above.flat_map(|server| [&server.udp.gist, &server.tcp.gist]);
    if gists.any(|gist| *gist == Gist::NxDomain) {
        "say NXDOMAIN"
    } else if remembered.is_some() {
        "say NODATA"
    } else {
        "say nothing"
    }
}

/// Why nobody leads on at `zone`.
fn dead_end(zone: &str, stop: &Stop) -> String {
    let names =
        |why| -> Vec<&str> { stop.lost.iter().filter(|lost| lost.why == why).map(|lost| lost.name.as_str()).collect() };
    let parent = stop.parent.as_deref().unwrap_or(".");
    if stop.servers.is_empty() {
        let (within, circle) = (names(Why::NoGlue), names(Why::Circle));
        let (addressless, unanswered) = (names(Why::NoAddress), names(Why::Unanswered));
        return if !within.is_empty() {
            format!(
                "there is no way into {zone}: {} in the zone itself, and {} have no glue for it. The operator of {parent} \
                 has to add its addresses as glue.",
                is_or_are("its name server", &within),
                servers_of(parent)
            )
        } else if !circle.is_empty() {
            format!(
                "there is no way into {zone}: to find {} one has to ask it already, as the name servers of two zones are \
                 each in the other. The operator of {parent} has to add glue, or {zone} needs a name server elsewhere.",
                list(&circle, 3)
            )
        } else if !addressless.is_empty() {
            format!(
                "there is no way into {zone}: {} without an address. Whoever has the zone of that name has to add one, or \
                 the operator of {parent} has to name another.",
                is_or_are("its name server", &addressless)
            )
        } else if !unanswered.is_empty() {
            format!(
                "there is no way into {zone}: nobody answers who should know where {} is. That has to be mended first: \
                 `kubezone trace {}`.",
                list(&unanswered, 3),
                unanswered[0].trim_end_matches('.')
            )
        } else {
            format!("there is no way into {zone}: no server of {parent} names one that can be asked from here.")
        };
    }
    stop.findings.first().map_or_else(
        || format!("no server of {zone} answers. The operator of {zone} has to see to them."),
        |finding| format!("no server of {zone} leads on: {}", told(finding)),
    )
}

/// A finding, with whose it is and what caches do.
fn told(finding: &Finding) -> String {
    let Finding { message, fix, remembered, .. } = finding;
    let remembered = remembered.map(|seconds| format!("; {}", memory(Some(seconds)))).unwrap_or_default();
    format!("{message}: {fix}{remembered}.")
}

/// That there is an answer, and how unanimous.
fn reached(leg: &Leg, rtype: &str) -> String {
    let Leg { name, end, zones } = leg;
    let servers = zones.last().map(|stop| stop.servers.as_slice()).unwrap_or_default();
    let names: BTreeSet<_> =
        servers.iter().map(|server| server.name.clone().unwrap_or_else(|| server.address.to_string())).collect();
    let spoken = |gist: &Gist| matches!(gist, Gist::Answer | Gist::Alias { .. } | Gist::NoData | Gist::NxDomain);
    let spoken = servers.iter().filter(|server| spoken(&server.udp.gist) || spoken(&server.tcp.gist)).count();
    let by = |zone: &str| match names.len() {
        _ if spoken < servers.len() => {
            format!("at {spoken} of the {} addresses of the servers of {zone}", servers.len())
        }
        1 => format!("by the only server of {zone}"),
        all => format!("by all {all} servers of {zone} alike"),
    };
    match end {
        End::NoData { zone, remembered } => {
            format!("{name} exists and has no {rtype} records, as is said {}; {}", by(zone), memory(*remembered))
        }
        End::NxDomain { zone, missing, remembered } => {
            let above = if missing == name { String::new() } else { format!(", nor does {missing} above it") };
            format!("{name} does not exist{above}, as is said {}; {}", by(zone), memory(*remembered))
        }
        End::Answer { zone, .. } | End::Alias { zone, .. } => format!("{name} {rtype} is answered {}", by(zone)),
        // What is broken has been told by `broken`.
        _ => String::new(),
    }
}

/// A sentence begins with a capital, unless it begins with a name.
fn sentence_of(lead: &str, rest: &str) -> String {
    let sentence = format!("{lead}{rest}");
    let is_word = sentence.split(' ').next().is_some_and(|word| !word.contains('.'));
    let mut letters = sentence.chars();
    match letters.next() {
        Some(first) if is_word => first.to_uppercase().chain(letters).collect(),
        _ => sentence,
    }
}

/// How long caches remember that there is nothing.
fn memory(remembered: Option<u32>) -> String {
    match remembered {
        Some(0) => "caches do not remember it".to_owned(),
        Some(seconds) => format!("caches remember that for up to {}", duration(seconds)),
        None => "caches do not remember it, as no SOA record says how long".to_owned(),
    }
}

/// A time as people say it: in the largest unit that it is a whole number of, or nearly one.
pub(super) fn duration(seconds: u32) -> String {
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7200 => (seconds.div_ceil(60), "minute"),
        7200..172_800 => (seconds.div_ceil(3600), "hour"),
        _ => (seconds.div_ceil(86_400), "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

fn servers_of(zone: &str) -> String {
    if zone == "." { "the root servers".to_owned() } else { format!("the servers of {zone}") }
}

/// At most so many of `items`, and how many more there are.
fn list<T: AsRef<str>>(items: &[T], most: usize) -> String {
    let shown: Vec<_> = items.iter().take(most).map(AsRef::as_ref).collect();
    let shown = shown.join(", ");
    if items.len() > most { format!("{shown} and {} more", items.len() - most) } else { shown }
}

fn is_or_are(what: &str, names: &[&str]) -> String {
    match names {
        [name] => format!("{what} {name} is"),
        names => format!("{what}s {} are", list(names, 3)),
    }
}
