//! The figures, as tables in Markdown.

use std::fmt::{self, Write as _};

use serde_json::{Value, json};

use crate::Result;
use crate::contestants::{Contestant, Entry, Server};
use crate::measure::{CpuTime, Memory};
use crate::plan::{Dropped, Row, Slice, Table};
use crate::world::World;

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
    /// The slices of the row at `index` that count.
    fn counted(&self, index: usize) -> impl Iterator<Item = &Slice> {
        self.slices[index].iter().filter(|slice| slice.dropped.is_none())
    }

    /// What the row at `index` costs, divided by what `other` costs in the same cycle.
    pub(crate) fn ratio(&self, index: usize, other: &Row) -> Option<Spread> {
        let other = self.rows.iter().position(|row| row == other)?;
        let pairs = self.slices[index].iter().zip(&self.slices[other]);
        let both = pairs.filter(|(ours, theirs)| ours.dropped.is_none() && theirs.dropped.is_none());
        Spread::of(both.map(|(ours, theirs)| ours.cost() / theirs.cost()))
    }

    /// The ratios of the row at `index` to Knot, to the floor, and to its own first row.
    pub(crate) fn ratios(&self, index: usize) -> [Option<Spread>; 3] {
        let row = &self.rows[index];
        let of = |server| Row { entry: Entry { server, ..row.entry }, ..*row };
        let first = self.rows.iter().find(|first| first.entry.server == row.entry.server).expect("itself, at least");
        [&of(Server::Knot), &of(Server::Floor), first].map(|other| self.ratio(index, other))
    }

    /// Whether a server has several rows, so that it can be compared with itself.
    pub(crate) fn has_own(&self) -> bool {
        self.rows.windows(2).any(|rows| rows[0].entry.server == rows[1].entry.server)
    }

    /// The table in Markdown; empty without rows.
    pub(crate) fn markdown(&self, worlds: &[World]) -> Result<String> {
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
                |figure: fn(&Slice) -> f64| Spread::of(self.counted(index).map(figure)).map(|spread| spread.median);
            let latency = |percent| {
                Spread::of(self.counted(index).filter_map(|slice| slice.latency(percent))).map(|spread| spread.median)
            };
            let number = |figure: Option<f64>, digits: usize| {
                figure.map_or_else(String::new, |figure| format!("{figure:.digits$}"))
            };
            let [knot, floor, own] =
                self.ratios(index).map(|ratio| ratio.map_or_else(String::new, |ratio| ratio.to_string()));
            writeln!(
                text,
                "| {} | {} | {} | {} | {knot} | {floor} | {} | {} | {} | {} | {} | {} | {} |",
                row.entry.server,
                row.asked(worlds),
                number(of(Slice::cost), 2),
                number(self.user(index), 2),
                if self.has_own() { own } else { String::new() },
                number(of(Slice::rate), 0),
                number(latency(50), 0),
                number(latency(99), 0),
                number(of(Slice::octets), 0),
                number(of(Slice::answered).map(|part| part * 100.0), 1),
                self.count(index),
            )?;
        }
        Ok(text)
    }

    /// The user-space part of an answer's cost, in microseconds. Ticks are coarse: they are summed over all slices.
    pub(crate) fn user(&self, index: usize) -> Option<f64> {
        let cost = Spread::of(self.counted(index).map(Slice::cost))?.median;
        let mut all = CpuTime::default();
        self.counted(index).for_each(|slice| all += slice.cpu);
        Some(cost * all.user_part())
    }

    /// How many slices count, and how many do not, by reason.
    fn count(&self, index: usize) -> String {
        let mut text = self.counted(index).count().to_string();
        for reason in [Dropped::Stolen, Dropped::Shared, Dropped::Idle, Dropped::Failed] {
            let count = self.slices[index].iter().filter(|slice| slice.dropped == Some(reason)).count();
            if count > 0 {
                text += &format!(", {count} {}", format!("{reason:?}").to_lowercase());
            }
        }
        text
    }
}

impl Row {
    /// What is asked, in a few words.
    pub(crate) fn asked(&self, worlds: &[World]) -> String {
        let Entry { world, workers, .. } = self.entry;
        match self.kind {
            Some(kind) => format!("{kind:?}"),
            None if workers > 1 => format!("{workers} workers"),
            None => format!("{} Services", worlds[world].services.len()),
        }
    }
}

/// Every slice of every table, for other programs: times in microseconds.
pub(crate) fn json(tables: &[Table], worlds: &[World]) -> Value {
    let slice = |slice: &Slice| {
        json!({
            "cpu": slice.cost(), "answers_per_second": slice.rate(), "octets": slice.octets(),
            "answered": slice.answered(), "p50": slice.latency(50), "p99": slice.latency(99),
            "dropped": slice.dropped.map(|reason| format!("{reason:?}")),
        })
    };
    let row = |table: &Table, index: usize| {
        let row = &table.rows[index];
        let slices: Vec<Value> = table.slices[index].iter().map(slice).collect();
        json!({
            "server": row.entry.server.to_string(), "asked": row.asked(worlds), "load": format!("{:?}", row.load),
            "user": table.user(index), "slices": slices,
        })
    };
    let table = |table: &Table| {
        let rows: Vec<Value> = (0..table.rows.len()).map(|index| row(table, index)).collect();
        json!({ "title": table.title, "rows": rows })
    };
    tables.iter().map(table).collect()
}

/// What servers take to begin, and in memory.
pub(crate) fn start(contestants: &[Contestant], worlds: &[World]) -> Result<String> {
    let mut text = String::from(
        "### Start and memory\n\n| server | Services | ready in s | CPU s | RSS MiB | peak MiB |\n|---|--:|--:|--:|--:|--:|\n",
    );
    let alone = |contestant: &&Contestant| !contestant.entry.server.is_floor() && contestant.entry.workers == 1;
    for Contestant { entry, process, ready_in, .. } in contestants.iter().filter(alone) {
        let cpu = CpuTime::of(process.id())?.total.as_secs_f64();
        let Memory { resident, peak } = Memory::of(process.id())?;
        let (server, services) = (entry.server, worlds[entry.world].services.len());
        let ready = ready_in.as_secs_f64();
        writeln!(text, "| {server} | {services} | {ready:.2} | {cpu:.2} | {resident:.1} | {peak:.1} |")?;
    }
    Ok(text)
}
