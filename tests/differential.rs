//! The same questions to kubezone, Knot and NSD, with the same zones: what they answer is compared.
//!
//! Zones and questions are made from a seed. `KUBEZONE_SEED=N` makes others, `KUBEZONE_CASES=N` asks more or fewer
//! questions. docs/testing.md says what is compared, and lists the differences that are meant.

mod support;

mod differential {
    pub(crate) mod catalog;
    pub(crate) mod compare;
    pub(crate) mod coverage;
    pub(crate) mod model;
    pub(crate) mod questions;
    pub(crate) mod servers;
    pub(crate) mod shrink;
    pub(crate) mod zones;
}

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::str::FromStr;

use differential::catalog::{Share, Stock};
use differential::compare::{RULES, Verdict, judge};
use differential::coverage::Coverage;
use differential::questions::questions;
use differential::servers::Servers;
use differential::shrink::{Found, shrink, story};
use differential::zones::families;
use support::{skip, tell};

/// How many questions are asked when nobody says otherwise.
const CASES: usize = 60_000;
/// How many of them are for the same zones: the servers are started again for others.
const CASES_AT_ONCE: usize = 30_000;

#[test]
fn answers_are_those_of_knot_and_nsd() {
    if let Err(missing) = Servers::installed() {
        return skip("answers_are_those_of_knot_and_nsd", &missing);
    }
    let (seed, cases) = (setting("KUBEZONE_SEED", 1), setting("KUBEZONE_CASES", CASES));
    tell(&format!("\nKUBEZONE_SEED={seed} KUBEZONE_CASES={cases}"));

    let mut random = fastrand::Rng::with_seed(seed);
    let mut coverage = Coverage::default();
    let mut share = Share::default();
    let mut used: BTreeMap<&str, usize> = RULES.iter().map(|rule| (rule.name, 0)).collect();
    let mut disagreements = 0;
    let mut first = None;
    let mut asked = 0;
    while asked < cases && first.is_none() {
        let families = families(&mut random);
        let questions = questions(&mut random, &families, (cases - asked).min(CASES_AT_ONCE));
        let exchanges = Servers::start(&families).ask(&questions);
        asked += questions.len();
        let stock = Stock::new(&families);
        let verdicts = judge(&families, &questions, &exchanges, |question, case, ours| {
            coverage.count(case, ours);
            if let Some(case) = case {
                share.count(case, ours, &stock.ask(question));
            }
        });
        for (number, verdict) in verdicts.into_iter().enumerate() {
            match verdict {
                Verdict::Agreed(rules) => rules.into_iter().for_each(|rule| *used.get_mut(rule).expect("a rule") += 1),
                Verdict::Disagreement(what) => {
                    disagreements += 1;
                    first.get_or_insert_with(|| {
                        let (question, exchange) = (questions[number].clone(), exchanges[number].clone());
                        Found { family: families[question.family].clone(), question, exchange, what }
                    });
                }
            }
        }
    }

    tell(&format!("\noutcome × kind of node × shape of sections, of {asked} answers:\n\n{coverage}"));
    tell(&format!("answers that hickory-server's stock nameserver has, too:\n\n{share}"));
    tell("differences that are meant, and how often one was met:\n");
    used.iter().for_each(|(rule, count)| tell(&format!("{rule:24} {count:6}")));
    if let Some(found) = first {
        let case = story(&shrink(found));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("differential-{seed}.yaml"));
        fs::write(&path, &case).expect("the case written");
        panic!(
            "DISAGREEMENT: {disagreements} of {asked} questions; in {}, the first of them:\n\n{case}",
            path.display()
        );
    }
    let lacking = coverage.lacking();
    assert!(asked < CASES || lacking.is_empty(), "too few questions met these:\n{}", lacking.join("\n"));
}

/// What the environment says, or else `default`.
fn setting<T: FromStr>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")),
        Err(_) => default,
    }
}
