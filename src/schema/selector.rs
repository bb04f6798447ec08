//! Label selectors, in the syntax of kubectl.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::cluster::{Labels, has_name_syntax, is_subdomain};

/// Which objects are meant, by their labels: `team=shop,tier in (web, api),!internal`.
///
/// Every requirement has to hold; without any, all objects are meant. Syntax
/// and meaning are the Kubernetes API's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector(Vec<Requirement>);

/// What one label of an object has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: Box<str>,
    operator: Operator,
}

/// An absent label satisfies those that deny something, and no others.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Operator {
    /// `key`
    Exists,
    /// `!key`
    DoesNotExist,
    /// `key=value`, `key==value`, `key in (value, …)`
    In(BTreeSet<Box<str>>),
    /// `key!=value`, `key notin (value, …)`
    NotIn(BTreeSet<Box<str>>),
    /// `key>number`; a label that is no number is not greater.
    GreaterThan(i64),
    /// `key<number`; a label that is no number is not less.
    LessThan(i64),
}

impl Selector {
    /// Whether an object with these labels is meant.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|requirement| requirement.holds(labels))
    }
}

/// As the selector is written, in one of the ways in which it can be.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requirements: Vec<_> = self.0.iter().map(Requirement::to_string).collect();
        f.write_str(&requirements.join(","))
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, operator } = self;
        let listed = |values: &BTreeSet<Box<str>>| values.iter().map(|value| &**value).collect::<Vec<_>>().join(",");
        match operator {
            Operator::Exists => write!(f, "{key}"),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::In(values) => write!(f, "{key} in ({})", listed(values)),
            Operator::NotIn(values) => write!(f, "{key} notin ({})", listed(values)),
            Operator::GreaterThan(number) => write!(f, "{key}>{number}"),
            Operator::LessThan(number) => write!(f, "{key}<{number}"),
        }
    }
}

impl Requirement {
    fn holds(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        let compares = |compare: fn(&i64, &i64) -> bool, number: &i64| {
            value.and_then(|value| value.parse().ok()).is_some_and(|value| compare(&value, number))
        };
        match &self.operator {
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::In(values) => value.is_some_and(|value| values.contains(value)),
            Operator::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
            Operator::GreaterThan(number) => compares(i64::gt, number),
            Operator::LessThan(number) => compares(i64::lt, number),
        }
    }
}

/// A text that is no label selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found}")]
pub struct SelectorError {
    expected: &'static str,
    found: Found,
}

/// A piece of text, or where there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found(Option<String>);

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(text) => write!(f, "`{text}`"),
            None => f.write_str("the end"),
        }
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let mut words = Words { rest: text };
        let mut requirements = Vec::new();
        if words.peek().is_none() {
            return Ok(Self::default());
        }
        loop {
            requirements.push(words.requirement()?);
            match words.next() {
                None => return Ok(Self(requirements)),
                Some(",") => {}
                found => return Err(error("`,` or an operator", found)),
            }
        }
    }
}

/// The words and signs of a selector that have not been read yet.
struct Words<'t> {
    rest: &'t str,
}

impl<'t> Words<'t> {
    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        if self.take("!") {
            return Ok(Requirement { key: self.key()?, operator: Operator::DoesNotExist });
        }
        let key = self.key()?;
        let operator = match self.peek() {
            None | Some(",") => Operator::Exists,
            Some("=" | "==") => Operator::In(BTreeSet::from([self.behind(Self::value)?])),
            Some("!=") => Operator::NotIn(BTreeSet::from([self.behind(Self::value)?])),
            Some("in") => Operator::In(self.behind(Self::values)?),
            Some("notin") => Operator::NotIn(self.behind(Self::values)?),
            Some(">") => Operator::GreaterThan(self.behind(Self::number)?),
            Some("<") => Operator::LessThan(self.behind(Self::number)?),
            found => return Err(error("`,` or an operator", found)),
        };
        Ok(Requirement { key, operator })
    }

    /// What `read` finds behind the next word.
    fn behind<T>(&mut self, read: fn(&mut Self) -> Result<T, SelectorError>) -> Result<T, SelectorError> {
        self.next();
        read(self)
    }

    fn key(&mut self) -> Result<Box<str>, SelectorError> {
        match self.next() {
            Some(word) if is_key(word) => Ok(word.into()),
            found => Err(error("the key of a label", found)),
        }
    }

    /// A value, which may be empty.
    fn value(&mut self) -> Result<Box<str>, SelectorError> {
        match self.peek() {
            None | Some("," | ")") => Ok("".into()),
            Some(word) if is_value(word) => {
                self.next();
                Ok(word.into())
            }
            found => Err(error("the value of a label", found)),
        }
    }

    /// Values in parentheses, one at least, though it may be empty.
    fn values(&mut self) -> Result<BTreeSet<Box<str>>, SelectorError> {
        if !self.take("(") {
            return Err(error("`(`", self.peek()));
        }
        let mut values = BTreeSet::new();
        loop {
            values.insert(self.value()?);
            match self.next() {
                Some(",") => {}
                Some(")") => return Ok(values),
                found => return Err(error("`,` or `)`", found)),
            }
        }
    }

    /// A number, without a sign: labels have none either.
    fn number(&mut self) -> Result<i64, SelectorError> {
        let found = self.next();
        let number = found.filter(|word| is_value(word)).and_then(|word| word.parse().ok());
        number.ok_or_else(|| error("a whole number without a sign", found))
    }

    /// Takes the next word if it is `sign`.
    fn take(&mut self, sign: &str) -> bool {
        let is_it = self.peek() == Some(sign);
        if is_it {
            self.next();
        }
        is_it
    }

    fn peek(&self) -> Option<&'t str> {
        Words { rest: self.rest }.next()
    }

    /// A sign, or what stands between signs and blanks.
    fn next(&mut self) -> Option<&'t str> {
        const SIGNS: [&str; 9] = ["==", "!=", "=", "!", "(", ")", ",", "<", ">"];
        self.rest = self.rest.trim_start();
        let sign = SIGNS.iter().find(|sign| self.rest.starts_with(**sign)).map(|sign| sign.len());
        let is_end = |c: char| c.is_whitespace() || "=!(),<>".contains(c);
        let length = sign.unwrap_or_else(|| self.rest.find(is_end).unwrap_or(self.rest.len()));
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }
}

fn error(expected: &'static str, found: Option<&str>) -> SelectorError {
    SelectorError { expected, found: Found(found.map(str::to_owned)) }
}

/// `name`, or a domain in lower case and then `/name`.
fn is_key(text: &str) -> bool {
    let (domain, name) = text.rsplit_once('/').map_or((None, text), |(domain, name)| (Some(domain), name));
    domain.is_none_or(is_subdomain) && !name.is_empty() && is_value(name)
}

/// Up to 63 octets, or nothing.
fn is_value(text: &str) -> bool {
    text.len() <= 63 && (text.is_empty() || has_name_syntax(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The objects that a selector means, of four that are called by their labels.
    #[test]
    fn selectors_mean_what_they_mean_to_kubectl() {
        let objects = ["", "team=shop", "team=mail,tier=web,rank=3", "team=,in=out,example.org/Odd_Key=x"];
        let labels = objects.map(|object| {
            let pairs = object.split(',').filter_map(|pair| pair.split_once('='));
            pairs.collect::<Labels>()
        });
        let check = |selector: &str, expected: &[usize]| {
            let parsed: Selector = selector.parse().unwrap_or_else(|error| panic!("{selector}: {error}"));
            let found: Vec<_> = (0..labels.len()).filter(|place| parsed.matches(&labels[*place])).collect();
            assert_eq!(found, expected, "{selector}");
            assert_eq!(parsed.to_string().parse().as_ref(), Ok(&parsed), "{selector}");
        };

        check("", &[0, 1, 2, 3]);
        check("  ", &[0, 1, 2, 3]);
        check("team", &[1, 2, 3]);
        check("!team", &[0]);
        check("! team", &[0]);
        check("team=shop", &[1]);
        check("team == shop", &[1]);
        check("team=", &[3]);
        check("team!=shop", &[0, 2, 3]);
        check("team in (shop)", &[1]);
        check("team in(shop,mail)", &[1, 2]);
        check("team in (,shop)", &[1, 3]);
        check("team in ()", &[3]);
        check("team notin ( shop , mail )", &[0, 3]);
        check("team,tier=web", &[2]);
        check("team,!tier,team!=shop", &[3]);
        check("rank>2", &[2]);
        check("rank > 3", &[]);
        check("rank<4", &[2]);
        check("team>1", &[]);
        check("in in (out)", &[3]);
        check("example.org/Odd_Key=x", &[3]);
        check("Example.org=x", &[]);
    }

    #[test]
    fn what_is_no_selector_is_refused_where_it_ends_to_be_one() {
        let check = |selector: &str, expected: &str| {
            let error = selector.parse::<Selector>().map(|_| ()).map_err(|error| error.to_string());
            assert_eq!(error, Err(expected.to_owned()), "{selector}");
        };

        check(",", "expected the key of a label, found `,`");
        check("team,", "expected the key of a label, found the end");
        check("!", "expected the key of a label, found the end");
        check("!team=shop", "expected `,` or an operator, found `=`");
        check("team shop", "expected `,` or an operator, found `shop`");
        check("team=a=b", "expected `,` or an operator, found `=`");
        check("team=a b", "expected `,` or an operator, found `b`");
        check("team in shop", "expected `(`, found `shop`");
        check("team in", "expected `(`, found the end");
        check("team in (shop", "expected `,` or `)`, found the end");
        check("team in (a b)", "expected `,` or `)`, found `b`");
        check("team in (a,(b))", "expected the value of a label, found `(`");
        check("rank>many", "expected a whole number without a sign, found `many`");
        check("rank>", "expected a whole number without a sign, found the end");
        check("rank<-1", "expected a whole number without a sign, found `-1`");
        check("-team", "expected the key of a label, found `-team`");
        check("a/b/c", "expected the key of a label, found `a/b/c`");
        check("Example.org/a", "expected the key of a label, found `Example.org/a`");
        check("/a", "expected the key of a label, found `/a`");
        check("team=-a", "expected the value of a label, found `-a`");
        check("team=\u{e9}", "expected the value of a label, found `\u{e9}`");
        check(
            &format!("team={}", "a".repeat(64)),
            &format!("expected the value of a label, found `{}`", "a".repeat(64)),
        );
    }
}
