//! The sentence that ends a trace: where it is broken, whose side that is, what is next, and how long caches will remember.
//!
//! What ends the way of a name is said before all else. Where an answer is reached, the worst finding decides, and among
//! equals the one nearest to the root: what is below it may follow from it.

use std::collections::BTreeSet;

use super::trace::{End, Gist, Leg, State, Stop, Verdict, Why};
use super::{Code, Finding, Severity, Side};

/// What the `legs` of a question for `name` and `rtype` come to.
pub(super) fn verdict(name: &str, rtype: &str, legs: &[Leg]) -> Verdict {
    let (Some(first), Some(last)) = (legs.first(), legs.last()) else {
        return trouble(Code::RootSilent, Side::Here, "Nothing was asked.".to_owned());
    };
    if let Some(sentence) = first.zones.first().and_then(unseen) {
        return trouble(Code::RootSilent, Side::Here, sentence);
    }
    let lead = if legs.len() > 1 { format!("{name} is an alias of {}, and ", last.name) } else { String::new() };
    let lead = if matches!(last.end, End::Circle { .. }) { String::new() } else { lead };
    if let Some((code, side, sentence)) = broken(last, legs.len() > 1) {
        return trouble(code, side, sentence_of(&lead, &sentence));
    }
    let stops = legs.iter().flat_map(|leg| &leg.zones);
    let findings = stops.flat_map(|stop| stop.findings.iter().map(|finding| (finding, parent_of(stop))));
    let to_mend: Vec<_> = findings.filter(|(finding, _)| finding.severity < Severity::Note).collect();
    let reached = reached(last, rtype);
    // `min_by_key` takes the first of equals, and the zones come from the root down.
    let Some((worst, parent)) = to_mend.iter().min_by_key(|(finding, _)| finding.severity) else {
        let sentence = sentence_of(&lead, &format!("{reached}; nothing to mend{}.", unless(&last.end)));
        return Verdict { state: State::Well, code: None, side: None, sentence };
    };
    let others = match to_mend.len() - 1 {
        0 => String::new(),
        1 => "; one more thing is to be mended".to_owned(),
        others => format!("; {others} more things are to be mended"),
    };
    let sentence = sentence_of(&lead, &format!("{reached}; but {}{others}.", told(worst, parent)));
    Verdict { state: worst.severity.into(), code: Some(worst.code), side: Some(worst.side), sentence }
}

/// That there is no answer. What only this machine cannot see is not said to be broken.
fn trouble(code: Code, side: Side, sentence: String) -> Verdict {
    let state = if side == Side::Here { State::Unseen } else { State::Broken };
    Verdict { state, code: Some(code), side: Some(side), sentence }
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

/// What ends the way of a name before there is an answer, and whose side that is on.
fn broken(leg: &Leg, is_alias: bool) -> Option<(Code, Side, String)> {
    let Leg { name, end, zones } = leg;
    Some(match end {
        End::Answer { .. } | End::Alias { .. } | End::NoData { .. } => return None,
        End::NxDomain { .. } if !is_alias => return None,
        End::NxDomain { zone, remembered, .. } => {
            let sentence = format!(
                "that does not exist: the servers of {zone} say NXDOMAIN. Whoever has the alias has to take it away, or \
                 the operator of {zone} has to add {name}; {}.",
                memory(*remembered)
            );
            (Code::CnameDangling, Side::Child, sentence)
        }
        End::Undelegated { zone, missing, remembered } => {
            let remembered = remembered
                .map(|seconds| format!("; caches remember that there is none for up to {}", duration(seconds)));
            let sentence = format!(
                "{missing} is not delegated: {} {} for it. The operator of {} has to add the NS records and glue that \
                 `kubezone delegation {}` prints{}.",
                servers_of(zone),
                denial(zones),
                called(zone),
                missing.trim_end_matches('.'),
                remembered.unwrap_or_default()
            );
            (Code::NotDelegated, Side::Parent, sentence)
        }
        End::Broken { zone } => dead_end(name, zone, zones.last()?),
        End::Upward { zone, to } => {
            let sentence = format!(
                "the servers of {zone} do not have it: they refer back to {}. The operator of {zone} has to have them \
                 load the zone, or its parent has to refer to those that do.",
                called(to)
            );
            (Code::ReferralLoop, Side::Child, sentence)
        }
        End::Circle { to, .. } => {
            let sentence = format!(
                "{to} is an alias that leads back to itself. Whoever has the aliases has to let one of them lead to a \
                 name with records."
            );
            (Code::CnameLoop, Side::Child, sentence)
        }
        End::Endless { zone } => {
            let sentence = format!(
                "the walk was given up at {zone}: it took too many questions, or too long. What its servers said is above."
            );
            (Code::TooMuch, Side::Child, sentence)
        }
    })
}

/// What the servers above an undelegated zone say.
fn denial(zones: &[Stop]) -> &'static str {
    // The zone itself is last, and those who do not delegate it stand before it.
    let above = zones.iter().rev().nth(1).into_iter().flat_map(|stop| &stop.servers);
    let mut gists = above.flat_map(|server| [&server.udp.gist, &server.tcp.gist]);
    if gists.any(|gist| *gist == Gist::NxDomain) { "say NXDOMAIN" } else { "say NODATA" }
}

/// Why nobody leads on to `name` at `zone`.
fn dead_end(name: &str, zone: &str, stop: &Stop) -> (Code, Side, String) {
    let above = parent_of(stop);
    if let (true, Some(lost)) = (stop.servers.is_empty(), stop.lost.iter().min_by_key(|lost| lost.why)) {
        return no_way_in(zone, stop, lost.why);
    }
    // All questions on the way have EDNS.
    let is_why = |finding: &&Finding| finding.severity == Severity::Broken || finding.code == Code::NoEdns;
    if let Some(finding) = stop.findings.first().filter(is_why) {
        let sentence = format!("no server of {zone} leads on: {}.", told(finding, above));
        return (finding.code, finding.side, sentence);
    }
    if stop.servers.is_empty() {
        let sentence =
            format!("there is no way into {zone}: {} name none that can be asked from here.", servers_of(above));
        return (Code::NoWayIn, Side::Parent, sentence);
    }
    let said: BTreeSet<_> = stop.servers.iter().map(|server| server.udp.gist.to_string()).collect();
    let said: Vec<_> = said.into_iter().collect();
    let sentence = format!(
        "no server of {zone} has an answer for {name}: {}. The operator of {zone} has to see to them.",
        list(&said, 3)
    );
    (Code::Lame, Side::Child, sentence)
}

/// Why none of the name servers of `zone` has an address.
fn no_way_in(zone: &str, stop: &Stop, why: Why) -> (Code, Side, String) {
    let above = parent_of(stop);
    let parent = called(above);
    let lasting = lasting(stop.findings.iter().find_map(|finding| finding.remembered));
    let names: Vec<_> = stop.lost.iter().filter(|lost| lost.why == why).map(|lost| lost.name.as_str()).collect();
    let (code, side, reason) = match why {
        Why::NoGlue => {
            let reason = format!(
                "{} in the zone itself, and {} have no glue for it. The operator of {parent} has to add its addresses as \
                 glue{lasting}.",
                is_or_are("its name server", &names),
                servers_of(above)
            );
            (Code::GlueMissing, Side::Parent, reason)
        }
        Why::Circle => {
            let reason = format!(
                "to find {} one has to ask it already, as the name servers of two zones are each in the other. The \
                 operator of {parent} has to add glue, or {zone} needs a name server elsewhere{lasting}.",
                list(&names, 3)
            );
            (Code::ReferralLoop, Side::Parent, reason)
        }
        Why::NoAddress => {
            let reason = format!(
                "{} without an address. Whoever has the zone of that name has to add one, or the operator of {parent} has \
                 to name another{lasting}.",
                is_or_are("its name server", &names)
            );
            (Code::NoWayIn, Side::Child, reason)
        }
        Why::Unanswered => {
            let reason = format!(
                "nobody answers who should know where {} is. That has to be mended first: `kubezone trace {}` says more.",
                list(&names, 3),
                names.first().map(|name| name.trim_end_matches('.')).unwrap_or_default()
            );
            (Code::NoWayIn, Side::Child, reason)
        }
    };
    (code, side, format!("there is no way into {zone}: {reason}"))
}

/// A finding, with whose it is to mend and what caches do.
fn told(finding: &Finding, parent: &str) -> String {
    let Finding { side, zone, message, fix, remembered, .. } = finding;
    let whose = match side {
        Side::Parent => format!("the operator of {}", called(parent)),
        Side::Child => format!("the operator of {}", called(zone)),
        Side::Path => "who operates the network between".to_owned(),
        Side::Here => "this machine".to_owned(),
    };
    format!("{}; for {whose}: {}{}", part(message), part(fix), lasting(*remembered))
}

/// A sentence as a part of another one.
fn part(sentence: &str) -> String {
    let sentence = sentence.strip_suffix('.').unwrap_or(sentence);
    let mut letters = sentence.chars();
    match letters.next() {
        // A name or an address begins as it does, and so does what is written in capitals.
        Some(first) if is_word(sentence) => first.to_lowercase().chain(letters).collect(),
        _ => sentence.to_owned(),
    }
}

/// Whether `sentence` begins with a word, and not with a name, an address or an abbreviation.
fn is_word(sentence: &str) -> bool {
    let first = sentence.split(' ').next().unwrap_or_default();
    first.chars().skip(1).all(|letter| letter.is_ascii_lowercase())
}

/// How long caches may know something as it was before it was mended.
fn lasting(remembered: Option<u32>) -> String {
    remembered.map_or_else(String::new, |seconds| format!("; caches may remember it for up to {}", duration(seconds)))
}

/// That there is an answer, and how unanimous.
fn reached(leg: &Leg, rtype: &str) -> String {
    let Leg { name, end, zones } = leg;
    let servers = zones.last().map(|stop| stop.servers.as_slice()).unwrap_or_default();
    let names: BTreeSet<_> =
        servers.iter().map(|server| server.name.clone().unwrap_or_else(|| server.address.to_string())).collect();
    let spoken = |gist: &Gist| matches!(gist, Gist::Answer | Gist::Alias { .. } | Gist::NoData | Gist::NxDomain);
    let spoken = servers.iter().filter(|server| spoken(&server.udp.gist) || spoken(&server.tcp.gist)).count();
    let findings = zones.last().map(|stop| stop.findings.as_slice()).unwrap_or_default();
    let differ = findings.iter().any(|finding| finding.code == Code::AnswersDiffer);
    let alike = if differ { ", though not alike" } else { " alike" };
    let by = |zone: &str| match names.len() {
        _ if spoken < servers.len() => {
            format!("at {spoken} of the {} addresses of the servers of {zone}", servers.len())
        }
        1 => format!("by the only server of {zone}"),
        all => format!("by all {all} servers of {zone}{alike}"),
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

/// What would be wrong with a name that does not exist: nothing says of it that it is to be a zone.
fn unless(end: &End) -> String {
    match end {
        End::NxDomain { zone, missing, .. } if !missing.contains(".svc.") => format!(
            ", unless {missing} is to be a zone: then the operator of {} has to delegate it, as \
             `kubezone delegation {}` prints",
            called(zone),
            missing.trim_end_matches('.')
        ),
        _ => String::new(),
    }
}

/// A sentence begins with a capital, unless it begins with a name.
fn sentence_of(lead: &str, rest: &str) -> String {
    let sentence = format!("{lead}{rest}");
    let mut letters = sentence.chars();
    match letters.next() {
        Some(first) if is_word(&sentence) => first.to_uppercase().chain(letters).collect(),
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

/// A time as people say it: in the largest unit that it is a whole number of, or a number of that is not too small.
pub(super) fn duration(seconds: u32) -> String {
    const UNITS: [(u32, &str); 3] = [(86_400, "day"), (3600, "hour"), (60, "minute")];
    let suits = |(length, _): &&(u32, &str)| seconds >= 2 * length || (*length > 60 && seconds == *length);
    let (length, unit) = *UNITS.iter().find(suits).unwrap_or(&(1, "second"));
    let count = seconds.div_ceil(length);
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// Who delegates a zone.
fn parent_of(stop: &Stop) -> &str {
    stop.parent.as_deref().unwrap_or(".")
}

/// A zone in a sentence.
fn called(zone: &str) -> &str {
    if zone == "." { "the root" } else { zone }
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

#[cfg(test)]
mod tests {
    use super::super::Origin;
    use super::super::trace::{Lost, Said, Server};
    use super::*;

    /// A zone whose servers say `gists`, each at an address of its own.
    fn stop(zone: &str, gists: &[Gist]) -> Stop {
        let said = |gist: &Gist| Said { gist: gist.clone(), milliseconds: 1.0, size: None, extended_error: None };
        let server = |(nth, gist)| Server {
            name: Some(format!("ns{nth}.{zone}")),
            address: format!("2001:db8::{nth}").parse().expect("an address"),
            origin: Origin::Glue,
            udp: said(gist),
            tcp: said(gist),
            nsid: None,
            serial: None,
            state: State::Well,
        };
        Stop {
            zone: zone.to_owned(),
            parent: Some("k8s.ooo.".to_owned()),
            servers: (1..).zip(gists).map(server).collect(),
            lost: Vec::new(),
            left_out: 0,
            findings: Vec::new(),
        }
    }

    fn finding(severity: Severity, message: &str) -> Finding {
        Finding {
            code: Code::AnswersDiffer,
            side: Side::Child,
            severity,
            zone: zone(),
            subject: String::new(),
            message: message.to_owned(),
            fix: "Mend it.".to_owned(),
            remembered: Some(300),
        }
    }

    fn root() -> Stop {
        let gist = Gist::Referral { zone: "ooo.".to_owned() };
        Stop { zone: ".".to_owned(), parent: None, ..stop(".", &[gist]) }
    }

    /// What is said of `legs`: names, what was passed below the root, and how it ends.
    fn check(legs: &[(&str, &[Stop], End)], state: State, sentence: &str) {
        let leg = |(name, zones, end): &(&str, &[Stop], End)| Leg {
            name: (*name).to_owned(),
            zones: std::iter::once(root()).chain(zones.iter().cloned()).collect(),
            end: end.clone(),
        };
        let legs: Vec<_> = legs.iter().map(leg).collect();
        let said = verdict(&legs[0].name, "AAAA", &legs);
        assert_eq!((said.state, said.sentence.as_str()), (state, sentence));
    }

    const NAME: &str = "web.shop.svc.c2.k8s.ooo.";
    const C2: &str = "c2.k8s.ooo.";

    fn zone() -> String {
        C2.to_owned()
    }

    fn answer() -> End {
        End::Answer { zone: zone(), records: Vec::new() }
    }

    #[test]
    fn what_is_well_is_said_to_be() {
        let two = [stop(C2, &[Gist::Answer, Gist::Answer])];
        let sentence =
            "web.shop.svc.c2.k8s.ooo. AAAA is answered by all 2 servers of c2.k8s.ooo. alike; nothing to mend.";
        check(&[(NAME, &two, answer())], State::Well, sentence);
        let one = [stop(C2, &[Gist::NoData])];
        check(
            &[(NAME, &one, End::NoData { zone: zone(), remembered: Some(30) })],
            State::Well,
            "web.shop.svc.c2.k8s.ooo. exists and has no AAAA records, as is said by the only server of c2.k8s.ooo.; \
             caches remember that for up to 30 seconds; nothing to mend.",
        );
    }

    #[test]
    fn a_name_that_does_not_exist_is_an_answer() {
        let denied = [stop(C2, &[Gist::NxDomain, Gist::NxDomain])];
        let end = |missing: &str| End::NxDomain { zone: zone(), missing: missing.to_owned(), remembered: Some(3600) };
        check(
            &[(NAME, &denied, end(NAME))],
            State::Well,
            "web.shop.svc.c2.k8s.ooo. does not exist, as is said by all 2 servers of c2.k8s.ooo. alike; caches remember \
             that for up to 1 hour; nothing to mend.",
        );
        check(
            &[(NAME, &denied, end("shop.svc.c2.k8s.ooo."))],
            State::Well,
            "web.shop.svc.c2.k8s.ooo. does not exist, nor does shop.svc.c2.k8s.ooo. above it, as is said by all 2 servers \
             of c2.k8s.ooo. alike; caches remember that for up to 1 hour; nothing to mend.",
        );
    }

    #[test]
    fn a_name_that_does_not_exist_may_have_been_meant_to_be_a_zone() {
        let denied = [stop("k8s.ooo.", &[Gist::NxDomain])];
        let end = End::NxDomain { zone: "k8s.ooo.".to_owned(), missing: zone(), remembered: Some(30) };
        check(
            &[(C2, &denied, end)],
            State::Well,
            "c2.k8s.ooo. does not exist, as is said by the only server of k8s.ooo.; caches remember that for up to 30 \
             seconds; nothing to mend, unless c2.k8s.ooo. is to be a zone: then the operator of k8s.ooo. has to delegate \
             it, as `kubezone delegation c2.k8s.ooo` prints.",
        );
    }

    #[test]
    fn an_alias_is_as_well_as_its_target() {
        let aliased = [stop("same.", &[Gist::Alias { to: NAME.to_owned() }])];
        let alias = End::Alias { zone: "same.".to_owned(), records: Vec::new(), to: NAME.to_owned() };
        let first = ("www.same.", aliased.as_slice(), alias);
        let well = [stop(C2, &[Gist::Answer])];
        check(
            &[first.clone(), (NAME, &well, answer())],
            State::Well,
            "www.same. is an alias of web.shop.svc.c2.k8s.ooo., and web.shop.svc.c2.k8s.ooo. AAAA is answered by the only \
             server of c2.k8s.ooo.; nothing to mend.",
        );
        let denied = [stop(C2, &[Gist::NxDomain])];
        check(
            &[
                first.clone(),
                (NAME, &denied, End::NxDomain { zone: zone(), missing: NAME.to_owned(), remembered: None }),
            ],
            State::Broken,
            "www.same. is an alias of web.shop.svc.c2.k8s.ooo., and that does not exist: the servers of c2.k8s.ooo. say \
             NXDOMAIN. Whoever has the alias has to take it away, or the operator of c2.k8s.ooo. has to add \
             web.shop.svc.c2.k8s.ooo.; caches do not remember it, as no SOA record says how long.",
        );
        check(
            &[first, (NAME, &well, End::Circle { zone: zone(), to: "www.same.".to_owned() })],
            State::Broken,
            "www.same. is an alias that leads back to itself. Whoever has the aliases has to let one of them lead to a \
             name with records.",
        );
    }

    #[test]
    fn a_zone_that_is_not_delegated_is_for_its_parent_to_add() {
        let zones = [stop("k8s.ooo.", &[Gist::NxDomain]), stop(C2, &[])];
        let end = End::Undelegated { zone: "k8s.ooo.".to_owned(), missing: zone(), remembered: Some(300) };
        check(
            &[(NAME, &zones, end)],
            State::Broken,
            "c2.k8s.ooo. is not delegated: the servers of k8s.ooo. say NXDOMAIN for it. The operator of k8s.ooo. has to \
             add the NS records and glue that `kubezone delegation c2.k8s.ooo` prints; caches remember that there is none \
             for up to 5 minutes.",
        );
    }

    #[test]
    fn where_there_is_no_way_in_it_is_said_why() {
        let lost = |why| {
            let lost = Lost { name: "ns.c2.k8s.ooo.".to_owned(), why };
            [Stop { lost: vec![lost], ..stop(C2, &[]) }]
        };
        let check = |why, sentence| {
            check(&[(NAME, &lost(why), End::Broken { zone: zone() })], State::Broken, sentence);
        };
        check(
            Why::NoGlue,
            "There is no way into c2.k8s.ooo.: its name server ns.c2.k8s.ooo. is in the zone itself, and the servers of \
             k8s.ooo. have no glue for it. The operator of k8s.ooo. has to add its addresses as glue.",
        );
        check(
            Why::Circle,
            "There is no way into c2.k8s.ooo.: to find ns.c2.k8s.ooo. one has to ask it already, as the name servers of \
             two zones are each in the other. The operator of k8s.ooo. has to add glue, or c2.k8s.ooo. needs a name server \
             elsewhere.",
        );
        check(
            Why::NoAddress,
            "There is no way into c2.k8s.ooo.: its name server ns.c2.k8s.ooo. is without an address. Whoever has the zone \
             of that name has to add one, or the operator of k8s.ooo. has to name another.",
        );
    }

    #[test]
    fn where_servers_lead_nowhere_the_worst_of_them_is_told() {
        let said = |findings: Vec<Finding>| {
            let refused = Gist::Error { rcode: "REFUSED".to_owned() };
            let stop = Stop { findings, ..stop(C2, &[refused]) };
            let leg = Leg { name: NAME.to_owned(), zones: vec![root(), stop], end: End::Broken { zone: zone() } };
            let Verdict { state, code, side, sentence } = verdict(NAME, "AAAA", &[leg]);
            (state, code, side, sentence)
        };
        let lame = Finding { code: Code::Lame, ..finding(Severity::Broken, "It is lame.") };
        let sentence = "No server of c2.k8s.ooo. leads on: it is lame; for the operator of c2.k8s.ooo.: mend it; caches may \
                        remember it for up to 5 minutes.";
        let expected = (State::Broken, Some(Code::Lame), Some(Side::Child), sentence.to_owned());
        assert_eq!(said(vec![lame.clone()]), expected);
        let here = Finding { code: Code::NoRoute, side: Side::Here, ..lame };
        assert_eq!(said(vec![here]).0, State::Unseen);
        let sentence = "No server of c2.k8s.ooo. has an answer for web.shop.svc.c2.k8s.ooo.: REFUSED. The operator of \
                        c2.k8s.ooo. has to see to them.";
        assert_eq!(said(vec![finding(Severity::Note, "It is alone.")]).3, sentence);
    }

    #[test]
    fn the_worst_nearest_to_the_root_decides() {
        let with = |zone, findings: &[(Severity, &str)]| Stop {
            findings: findings.iter().map(|(severity, message)| finding(*severity, message)).collect(),
            ..stop(zone, &[Gist::Answer])
        };
        let note = [with("k8s.ooo.", &[(Severity::Note, "one")]), stop(C2, &[Gist::Answer])];
        let well = "web.shop.svc.c2.k8s.ooo. AAAA is answered by the only server of c2.k8s.ooo.; nothing to mend.";
        check(&[(NAME, &note, answer())], State::Well, well);
        let degraded = [with("k8s.ooo.", &[(Severity::Degraded, "one")]), with(C2, &[(Severity::Degraded, "two")])];
        check(
            &[(NAME, &degraded, answer())],
            State::Degraded,
            "web.shop.svc.c2.k8s.ooo. AAAA is answered by the only server of c2.k8s.ooo.; but one; for the operator of \
             c2.k8s.ooo.: mend it; caches may remember it for up to 5 minutes; one more thing is to be mended.",
        );
        let broken = [with("k8s.ooo.", &[(Severity::Degraded, "one")]), with(C2, &[(Severity::Broken, "two")])];
        check(
            &[(NAME, &broken, answer())],
            State::Broken,
            "web.shop.svc.c2.k8s.ooo. AAAA is answered by the only server of c2.k8s.ooo.; but two; for the operator of \
             c2.k8s.ooo.: mend it; caches may remember it for up to 5 minutes; one more thing is to be mended.",
        );
    }

    #[test]
    fn who_could_not_be_asked_is_said() {
        let silence = |why: &str| Gist::Silence { why: why.to_owned() };
        let mut stop = Stop { parent: None, ..stop(".", &[silence("no route from here"), silence("no answer")]) };
        stop.servers[1].address = "192.0.2.1".parse().expect("an address");
        let legs = [Leg { name: NAME.to_owned(), zones: vec![stop], end: End::Broken { zone: ".".to_owned() } }];
        let said = verdict(NAME, "AAAA", &legs);
        let sentence = "No root server answers: asked were over IPv6 2001:db8::1 (no route from here), and over IPv4 \
                        192.0.2.1 (no answer).";
        assert_eq!((said.state, said.sentence.as_str()), (State::Unseen, sentence));
    }

    #[test]
    fn times_are_told_in_a_unit_that_suits() {
        let told = [0, 1, 90, 300, 301, 3600, 86_400, 172_800, 604_800].map(duration).join(", ");
        let expected = "0 seconds, 1 second, 90 seconds, 5 minutes, 6 minutes, 1 hour, 1 day, 2 days, 7 days";
        assert_eq!(told, expected);
    }
}
