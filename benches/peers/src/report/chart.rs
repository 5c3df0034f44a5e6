//! A table as bars, in SVG.

use std::fmt::Write;

use super::Table;
use crate::series::Series;
use crate::side::OURS;

const BAR: usize = 18;
const GAP: usize = 14;
const LEFT: usize = 230;
const WIDTH: usize = 420;
const RIGHT: usize = 110;
/// Beyond this ratio of largest to smallest, lengths are logarithms.
const LINEAR: f64 = 40.0;

/// Lengths of bars.
struct Scale {
    low: f64,
    high: f64,
    is_log: bool,
}

impl Scale {
    fn of(table: &Table) -> Self {
        let figures = table.columns.iter().flat_map(|c| &c.series);
        let figures: Vec<_> = figures.map(Series::median).filter(|f| *f > 0.0).collect();
        let high = figures.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let low = figures.iter().copied().fold(high, f64::min);
        Self {
            // A little below the shortest, so that it has a length.
            low: low / 2.0,
            high,
            is_log: high / low > LINEAR,
        }
    }

    fn len(&self, figure: f64) -> usize {
        let part = if self.is_log {
            (figure / self.low).ln() / (self.high / self.low).ln()
        } else {
            figure / self.high
        };
        (part.clamp(0.0, 1.0) * WIDTH as f64).round() as usize
    }
}

pub(super) fn svg(table: &Table) -> String {
    let scale = Scale::of(table);
    let mut bars = String::new();
    let mut y = 64;
    for column in &table.columns {
        let _ = writeln!(
            bars,
            "<text x=\"8\" y=\"{}\" class=\"label\">{}</text>",
            y + 4,
            escaped(&column.label)
        );
        y += BAR - 4;
        for series in &column.series {
            bar(&mut bars, table, &scale, series, y);
            y += BAR;
        }
        y += GAP;
    }
    let kind = if scale.is_log { ", logarithmic" } else { "" };
    let better = if table.unit.is_better_low() {
        "shorter is better"
    } else {
        "longer is better"
    };
    let width = LEFT + WIDTH + RIGHT;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{y}\" viewBox=\"0 0 {width} {y}\">\n\
         <style>text{{font:12px sans-serif;fill:#222}}.title{{font-size:15px;font-weight:bold}}.label{{font-weight:bold}}\
         .note{{fill:#777}}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"8\" y=\"20\" class=\"title\">{}</text>\n\
         <text x=\"8\" y=\"38\" class=\"note\">{}, {better}{kind}</text>\n{bars}</svg>\n",
        escaped(&table.title),
        table.unit.name()
    )
}

fn bar(out: &mut String, table: &Table, scale: &Scale, series: &Series, y: usize) {
    let is_ours = series.side.starts_with(OURS);
    let (color, median) = (if is_ours { "#1f77b4" } else { "#b8c4ce" }, series.median());
    let len = scale.len(median);
    let _ = writeln!(
        out,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\
         <rect x=\"{LEFT}\" y=\"{y}\" width=\"{len}\" height=\"{}\" fill=\"{color}\"/>\
         <text x=\"{}\" y=\"{}\">{}</text>",
        LEFT - 6,
        y + 12,
        escaped(&series.side),
        BAR - 4,
        LEFT + len + 6,
        y + 12,
        table.unit.show(median)
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
