//! The figures, as tables in Markdown.

use std::fmt::{self, Write as _};

use serde_json::{Value, json};

use crate::Result;
use crate::contestants::{Contestant, Server};
use crate::measure::{CpuTime, Memory};
use crate::plan::{Dropped, Row, Sample, Slice, Table};

/// The middle of some figures, and how far they lie apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Spread {
    /// Median and quartiles; none of nothing.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let last = values.len().checked_sub(1)?;
        // Between two figures, as much nearer to one as the place is.
        let quartile = |number: usize| {
            let (place, beyond) = (number * last / 4, number * last % 4);
            let above = values[(place + 1).min(last)];
            values[place] + (above - values[place]) * beyond as f64 / 4.0
        };
        Some(Self { low: quartile(1), median: quartile(2), high: quartile(3) })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        let Self { low, median, high } = self;
        write!(f, "{median:.digits$} ({low:.digits$}–{high:.digits$})")
    }
}

impl Table {
    /// The samples of the row at `index` that count.
    pub(crate) fn samples(&self, index: usize) -> impl Iterator<Item = &Sample> {
        self.slices[index].iter().flatten()
    }

    /// What the row at `index` costs, divided by what `other` costs in the same cycle.
    pub(crate) fn ratio(&self, index: usize, other: &Row) -> Option<Spread> {
        let other = self.rows.iter().position(|row| row == other)?;
        let pairs = self.slices[index].iter().zip(&self.slices[other]);
        Spread::of(pairs.filter_map(|(ours, theirs)| Some(ours.as_ref().ok()?.cost() / theirs.as_ref().ok()?.cost())))
    }

    /// The ratios of the row at `index` to Knot, to the floor, and to its own first row.
    pub(crate) fn ratios(&self, index: usize) -> [Option<Spread>; 3] {
        let row = &self.rows[index];
        let of = |server| Row { server, ..row.clone() };
        let first = self.rows.iter().find(|first| first.server == row.server).expect("itself, at least");
        [&of(Server::Knot), &of(Server::Floor), first].map(|other| self.ratio(index, other))
    }

    /// Whether a server has several rows, so that it can be compared with itself.
    pub(crate) fn has_own(&self) -> bool {
        self.rows.windows(2).any(|rows| rows[0].server == rows[1].server)
    }

    /// The table in Markdown; empty without rows.
    pub(crate) fn markdown(&self) -> Result<String> {
        let mut text = String::new();
        if self.rows.is_empty() {
            return Ok(text);
        }
        writeln!(text, "### {}\n", self.title)?;
        writeln!(
            text,
            "| server | asked | CPU µs | user µs | ÷ Knot | ÷ floor | ÷ own first | answers/s | p50 µs | p99 µs | \
             octets | answered | slices |\n|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
        )?;
        for (index, row) in self.rows.iter().enumerate() {
            let of =
                |figure: fn(&Sample) -> f64| Spread::of(self.samples(index).map(figure)).map(|spread| spread.median);
            let latency = |percent| {
                Spread::of(self.samples(index).filter_map(|sample| sample.latency(percent))).map(|spread| spread.median)
            };
            let number = |figure: Option<f64>, digits: usize| {
                figure.map_or_else(String::new, |figure| format!("{figure:.digits$}"))
            };
            let [knot, floor, own] =
                self.ratios(index).map(|ratio| ratio.map_or_else(String::new, |ratio| ratio.to_string()));
            writeln!(
                text,
                "| {} | {} | {} | {} | {knot} | {floor} | {} | {} | {} | {} | {} | {} | {} |",
                row.server,
                row.asked(),
                number(of(Sample::cost), 2),
                number(self.user(index), 2),
                if self.has_own() { own } else { String::new() },
                number(of(Sample::rate), 0),
                number(latency(50), 0),
                number(latency(99), 0),
                number(of(Sample::octets), 0),
                number(of(Sample::answered).map(|part| part * 100.0), 1),
                self.counted(index),
            )?;
        }
        Ok(text)
    }

    /// The user-space part of an answer's cost, in microseconds. Ticks are coarse: they are summed over all slices.
    pub(crate) fn user(&self, index: usize) -> Option<f64> {
        let cost = Spread::of(self.samples(index).map(Sample::cost))?.median;
        let mut all = CpuTime::default();
        self.samples(index).for_each(|sample| all += sample.cpu);
        Some(cost * all.user_part())
    }

    /// How many slices count, and why others do not.
    fn counted(&self, index: usize) -> String {
        let mut text = self.samples(index).count().to_string();
        let reasons = [
            (Dropped::Stolen, "stolen"),
            (Dropped::Others, "shared"),
            (Dropped::Idle, "idle"),
            (Dropped::Failed, "failed"),
        ];
        for (reason, word) in reasons {
            let count = self.slices[index].iter().filter(|slice| slice.as_ref().err() == Some(&reason)).count();
            if count > 0 {
                text += &format!(", {count} {word}");
            }
        }
        text
    }
}

impl Row {
    /// What is asked, in a few words.
    pub(crate) fn asked(&self) -> String {
        match self.kind {
            None => format!("{} Services", self.services),
            Some(kind) => format!("{kind:?}"),
        }
    }
}

/// Every slice of every table, for other programs: times in microseconds.
pub(crate) fn json(tables: &[Table]) -> Value {
    let slice = |slice: &Slice| match slice {
        Ok(sample) => json!({
            "cpu": sample.cost(), "answers_per_second": sample.rate(), "octets": sample.octets(),
            "answered": sample.answered(), "p50": sample.latency(50), "p99": sample.latency(99),
        }),
        Err(dropped) => json!({ "dropped": format!("{dropped:?}") }),
    };
    let row = |table: &Table, index: usize| {
        let Row { server, services, kind, load } = &table.rows[index];
        let slices: Vec<Value> = table.slices[index].iter().map(slice).collect();
        json!({
            "server": server.to_string(), "services": services, "kind": kind.map(|kind| format!("{kind:?}")),
            "load": format!("{load:?}"), "user": table.user(index), "slices": slices,
        })
    };
    let table = |table: &Table| {
        let rows: Vec<Value> = (0..table.rows.len()).map(|index| row(table, index)).collect();
        json!({ "title": table.title, "rows": rows })
    };
    tables.iter().map(table).collect()
}

/// What servers take to begin, and in memory.
pub(crate) fn start(contestants: &[Contestant]) -> Result<String> {
    let mut text = String::from(
        "### Start and memory\n\n| server | Services | ready in s | CPU s | RSS MiB | peak MiB |\n|---|--:|--:|--:|--:|--:|\n",
    );
    for contestant in contestants.iter().filter(|contestant| !contestant.server.is_floor()) {
        let Contestant { server, services, ready_in, .. } = contestant;
        let cpu = CpuTime::of(contestant.process.id())?.total.as_secs_f64();
        let Memory { resident, peak } = Memory::of(contestant.process.id())?;
        writeln!(
            text,
            "| {server} | {services} | {:.2} | {cpu:.2} | {resident:.1} | {peak:.1} |",
            ready_in.as_secs_f64()
        )?;
    }
    Ok(text)
}
