//! The ratios to Knot as a drawing: bars with whiskers, in SVG.
//!
//! Colours are in the middle between black and white, so that it can be read on
//! both.

use std::fmt::{self, Write as _};

use crate::contestants::Server;
use crate::plan::Table;
use crate::table::Spread;

const WIDTH: f64 = 760.0;
/// Where bars begin: names stand before.
const LEFT: f64 = 210.0;
/// What figures behind bars need.
const RIGHT: f64 = 70.0;
const BAR: f64 = 16.0;
const GAP: f64 = 8.0;
const HEADING: f64 = 34.0;

const OURS: &str = "#3b82c4";
const THEIRS: &str = "#8a8f98";
const FLOOR: &str = "#b98a3c";
const TEXT: &str = "#7a7f87";

/// Draws the tables that have Knot in them.
pub(crate) fn svg(tables: &[Table]) -> Result<String, fmt::Error> {
    let mut body = String::new();
    let mut y = 0.0;
    for table in tables {
        let bars: Vec<(String, Server, Spread)> = (table.rows.iter().enumerate())
            .filter_map(|(index, row)| {
                let [knot, ..] = table.ratios(index);
                let name =
                    if table.has_own() { format!("{}, {}", row.server, row.asked()) } else { row.server.to_string() };
                Some((name, row.server, knot?))
            })
            .collect();
        let longest = bars.iter().map(|(_, _, spread)| spread.high).fold(0.0, f64::max);
        if bars.is_empty() {
            continue;
        }
        writeln!(
            body,
            r#"<text x="0" y="{:.0}" font-weight="bold">{}: CPU time ÷ Knot</text>"#,
            y + 20.0,
            table.title
        )?;
        y += HEADING;
        let at = |ratio: f64| LEFT + ratio / longest * (WIDTH - LEFT - RIGHT);
        let first = y;
        for (name, server, Spread { low, median, high }) in bars {
            let colour = match server {
                Server::Kubezone | Server::KubezoneWildcard | Server::KubezoneCluster => OURS,
                Server::Floor | Server::FloorAnswer => FLOOR,
                _ => THEIRS,
            };
            let (middle, base) = (y + BAR / 2.0, y + BAR - 4.0);
            writeln!(
                body,
                r#"<text x="{:.0}" y="{base:.0}" text-anchor="end">{name}</text><rect x="{LEFT}" y="{y}" width="{:.1}" height="{BAR}" fill="{colour}"/><path d="M{:.1} {middle}H{:.1}" stroke="{TEXT}" stroke-width="3"/><text x="{:.1}" y="{base:.0}">{median:.2}</text>"#,
                LEFT - 8.0,
                at(median) - LEFT,
                at(low),
                at(high),
                at(high) + 6.0,
            )?;
            y += BAR + GAP;
        }
        writeln!(body, r#"<path d="M{:.1} {first}V{}" stroke="{TEXT}" stroke-dasharray="3 3"/>"#, at(1.0), y - GAP)?;
        y += GAP;
    }
    Ok(format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" font-family="sans-serif" font-size="13" fill="{TEXT}">
{body}</svg>
"#
    ))
}
