//! Text for people: aligned columns, and colours where they are wanted.

use std::env;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use clap::builder::styling::{AnsiColor, Style};
use clap::{Args, ColorChoice};

/// Whether there are colours.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Colors {
    /// When to colour text; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: ColorChoice,
}

#[cfg(test)]
impl Colors {
    pub(super) const NONE: Self = Self { color: ColorChoice::Never };
}

/// How a piece of text is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Odd,
    Bad,
}

/// Standard output, or what stands for it, with or without colours.
pub(super) struct Paper<W> {
    out: W,
    is_colored: bool,
}

impl<W: Write> Paper<W> {
    pub(super) fn new(out: W, colors: Colors) -> Self {
        let is_colored = match colors.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            // https://no-color.org: any value but an empty one.
            ColorChoice::Auto => {
                env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && io::stdout().is_terminal()
            }
        };
        Self { out, is_colored }
    }

    /// `text` in the colour of `tone`.
    pub(super) fn tinted(&self, tone: Tone, text: impl Display) -> String {
        if !self.is_colored {
            return text.to_string();
        }
        let color = match tone {
            Tone::Good => AnsiColor::Green,
            Tone::Odd => AnsiColor::Yellow,
            Tone::Bad => AnsiColor::Red,
        };
        let style = Style::new().fg_color(Some(color.into()));
        format!("{style}{text}{style:#}")
    }

    /// A line. What `text` quotes must be plain: see [`plain`].
    pub(super) fn line(&mut self, text: impl Display) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// Rows in columns two spaces apart, behind `indent`. A cell may have a tone; the last column is not filled up.
    pub(super) fn table(&mut self, indent: &str, rows: &[Vec<Cell>]) -> io::Result<()> {
        let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            rows.iter().filter_map(|row| row.get(column)).map(|cell: &Cell| cell.text.chars().count()).max()
        };
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
        for row in rows {
            let mut line = indent.to_owned();
            for (cell, width) in row.iter().zip(&widths) {
                let fill = " ".repeat(width - cell.text.chars().count() + 2);
                line += &cell.tone.map_or_else(|| cell.text.clone(), |tone| self.tinted(tone, &cell.text));
                line += &fill;
            }
            writeln!(self.out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A cell of a table.
#[derive(Debug)]
pub(super) struct Cell {
    text: String,
    tone: Option<Tone>,
}

impl Cell {
    pub(super) fn toned(text: impl Display, tone: Tone) -> Self {
        Self { text: plain(text), tone: Some(tone) }
    }
}

impl<T: Display> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: plain(text), tone: None }
    }
}

/// `text` without what would move a terminal's cursor: manifests may say anything.
pub(super) fn plain(text: impl Display) -> String {
    text.to_string().replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(color: ColorChoice) -> String {
        let mut out = Vec::new();
        let mut paper = Paper::new(&mut out, Colors { color });
        let rows = [
            vec![Cell::from("A"), Cell::from("B"), Cell::from("C")],
            vec![Cell::from("web"), Cell::toned("\x1b[2J", Tone::Bad), Cell::from("")],
        ];
        paper.table("", &rows).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_are_aligned_and_nothing_moves_the_cursor() {
        assert_eq!(print(ColorChoice::Never), "A    B     C\nweb   [2J\n");
    }

    #[test]
    fn colours_do_not_count_as_width() {
        assert_eq!(print(ColorChoice::Always), "A    B     C\nweb  \x1b[31m [2J\x1b[0m\n");
    }
}
