//! From a disagreement to the few records that it takes, as a case for tests/data/answers.

use std::fmt::Write as _;

use super::compare::{Verdict, judge};
use super::questions::Question;
use super::servers::{Exchange, Servers};
use super::zones::{Family, Zone, base};
use crate::support::dns::Response;

/// How often the servers are started for one disagreement, with all that might still disagree at once.
const ROUNDS: usize = 16;

/// A disagreement.
pub(crate) struct Found {
    pub(crate) family: Family,
    pub(crate) question: Question,
    pub(crate) exchange: Exchange,
    pub(crate) what: String,
}

/// Takes away records and what is special about the question while there is a disagreement.
pub(crate) fn shrink(found: Found) -> Found {
    let mut found = found;
    for _ in 0..ROUNDS {
        let smaller = smaller(&found.family, &found.question);
        if smaller.is_empty() {
            break;
        }
        // Each under a name of its own, as long as the one before.
        let families: Vec<Family> =
            smaller.iter().enumerate().map(|(number, (family, _))| family.renamed(&base(number))).collect();
        let questions: Vec<Question> = (smaller.iter().zip(&families).enumerate())
            .map(|(number, ((before, question), family))| {
                let qname = question.qname.rebased(&before.base, &family.base).unwrap_or(question.qname.clone());
                Question { family: number, qname, ..question.clone() }
            })
            .collect();
        let exchanges = Servers::start(&families).ask(&questions);
        let verdicts = judge(&families, &questions, &exchanges, |_, _, _| {});
        let mut disagreeing = verdicts.into_iter().enumerate().filter_map(|(number, verdict)| match verdict {
            Verdict::Disagreement(what) => Some((number, what)),
            Verdict::Agreed(_) => None,
        });
        // The smallest come first.
        let Some((number, what)) = disagreeing.next() else { break };
        found = Found {
            family: families[number].clone(),
            question: questions[number].clone(),
            exchange: exchanges[number].clone(),
            what,
        };
    }
    found
}

/// The same with less, least first.
fn smaller(family: &Family, question: &Question) -> Vec<(Family, Question)> {
    let mut smaller = Vec::new();
    // The child is not needed, or the parent is not.
    for without in 0..family.zones.len() {
        let mut zones = family.zones.clone();
        zones.remove(without);
        if zones.iter().any(|zone| question.qname.is_within(&zone.apex)) {
            smaller.push((Family { zones, ..family.clone() }, question.clone()));
        }
    }
    let records: usize = family.zones.iter().map(|zone| zone.records.len()).sum();
    let mut chunk = records / 2;
    while chunk > 0 {
        for from in (0..records).step_by(chunk) {
            let mut number = 0;
            let mut zones = family.zones.clone();
            for zone in &mut zones {
                let nameserver = zone.records.iter().position(|record| zone.is_at_apex(record) && record.rtype == "NS");
                let mut at = 0;
                zone.records.retain(|record| {
                    let needed = record.rtype == "SOA" || Some(at) == nameserver;
                    let drop = (from..from + chunk).contains(&number);
                    (at, number) = (at + 1, number + 1);
                    needed || !drop
                });
            }
            let family = Family { zones, ..family.clone() };
            if family.zones.iter().map(|zone| zone.records.len()).sum::<usize>() < records {
                smaller.push((family, question.clone()));
            }
        }
        chunk /= 2;
    }
    if !question.words.is_empty() {
        smaller.push((family.clone(), Question { words: &[], ..question.clone() }));
    }
    let qname = question.qname.key();
    if qname != question.qname {
        smaller.push((family.clone(), Question { qname, ..question.clone() }));
    }
    smaller
}

/// A story for tests/data/answers that expects what Knot says.
pub(crate) fn story(found: &Found) -> String {
    let Found { family, question, exchange, what } = found;
    let mut story = format!("# {what}\norigin: {}\nzones:\n", family.base);
    for Zone { apex, records } in &family.zones {
        writeln!(story, "  {apex}: |").expect("a string");
        records.iter().for_each(|record| writeln!(story, "    {record}").expect("a string"));
    }
    let words: Vec<&str> = [question.qtype].iter().chain(question.words).copied().collect();
    let ask = format!("{} {}", question.qname, words.join(" "));
    writeln!(story, "cases:\n  - name: \n    ask: '{}'", ask.replace('\'', "''")).expect("a string");
    for (server, comment) in [(1, ""), (0, "# kubezone: "), (2, "# NSD: ")] {
        let messages = exchange.tcp.as_ref().unwrap_or(&exchange.udp);
        let mut reply = String::new();
        match Response::read(&messages[server]) {
            Ok(response) => {
                writeln!(reply, "    reply:\n      code: {}\n      flags: {}", response.rcode, response.flags)
                    .expect("a string");
                for (section, records) in ["answer", "authority", "additional"].iter().zip(&response.sections) {
                    if !records.is_empty() {
                        let records = records.iter().map(|record| format!("\n        {record}"));
                        writeln!(reply, "      {section}: |{}", records.collect::<String>()).expect("a string");
                    }
                }
            }
            Err(error) => writeln!(reply, "{error}").expect("a string"),
        }
        reply.lines().for_each(|line| writeln!(story, "{comment}{line}").expect("a string"));
    }
    story
}
