//! The table while it grows, and the summary below it.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::arguments::Arguments;
use crate::cell::Cell;
use crate::contender::{BUILT, GO, NAMES, OURS};
use crate::meter::Cost;
use crate::rounds::{Row, Samples};

const CELL_COLUMNS: usize = 24;
const COST_COLUMNS: usize = 14;
const RATIO_COLUMNS: usize = 11;

/// What is printed, and what the summary needs to know of it.
pub(crate) struct Report {
    names: Vec<&'static str>,
    json: bool,
    over_best: Vec<(Cell, f64)>,
    over_go: Vec<(Cell, f64)>,
}

impl Report {
    /// Prints the head of the table.
    pub(crate) fn new(arguments: &Arguments) -> Self {
        let names: Vec<_> = NAMES.into_iter().filter(|name| arguments.admits(name)).collect();
        if !arguments.json {
            let mut head = format!("{:CELL_COLUMNS$}", "ns a message: wall (CPU)");
            for name in &names {
                head += &format!("{name:>COST_COLUMNS$}");
            }
            for ratio in ["ours/best", "its CPU", "ours/go"] {
                head += &format!("{ratio:>RATIO_COLUMNS$}");
            }
            println!("{head}");
        }
        Self { names, json: arguments.json, over_best: Vec::new(), over_go: Vec::new() }
    }

    /// Prints a row.
    pub(crate) fn add(&mut self, row: Row) {
        let best = over(&row, |name| ![OURS, BUILT, GO].contains(&name));
        let go = over(&row, |name| name == GO);
        self.over_best.extend(best.map(|ratio| (row.cell, ratio.wall)));
        self.over_go.extend(go.map(|ratio| (row.cell, ratio.wall)));
        if self.json {
            println!("{}", in_json(&row, best, go));
            return;
        }
        let mut line = format!("{:CELL_COLUMNS$}", row.cell.to_string());
        for name in &self.names {
            let cost = row.samples.iter().find(|samples| samples.name == *name);
            let text = match cost.map(Samples::median) {
                Some(cost) => format!("{:.0} ({:.0})", cost.wall, cost.cpu),
                None => "-".to_owned(),
            };
            line += &format!("{text:>COST_COLUMNS$}");
        }
        for ratio in [best.map(|best| best.wall), best.map(|best| best.cpu), go.map(|go| go.wall)] {
            let text = ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
            line += &format!("{text:>RATIO_COLUMNS$}");
        }
        println!("{line}");
    }

    /// Prints the summary.
    pub(crate) fn finish(self) {
        if !self.json {
            println!();
        }
        for (of, ratios) in [("ours/best", &self.over_best), ("ours/go", &self.over_go)] {
            let Some(summary) = Summary::of(ratios) else { continue };
            if self.json {
                println!("{}", json!({ "ratio": of, "summary": summary }));
            } else {
                println!("{of:9}: {summary}");
            }
        }
    }
}

/// A column of ratios in a line.
#[derive(Serialize)]
struct Summary {
    cells: usize,
    not_above_1: usize,
    not_above_1_3: usize,
    geometric_mean: f64,
    worst: f64,
    worst_cell: String,
}

impl Summary {
    fn of(ratios: &[(Cell, f64)]) -> Option<Self> {
        let (cell, worst) = ratios.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
        let within = |limit| ratios.iter().filter(|(_, ratio)| *ratio <= limit).count();
        let logarithms = ratios.iter().map(|(_, ratio)| ratio.ln()).sum::<f64>();
        Some(Self {
            cells: ratios.len(),
            not_above_1: within(1.0),
            not_above_1_3: within(1.3),
            geometric_mean: (logarithms / ratios.len() as f64).exp(),
            worst: *worst,
            worst_cell: cell.to_string(),
        })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cells, not_above_1, not_above_1_3, geometric_mean, worst, worst_cell } = self;
        write!(out, "{not_above_1} of {cells} cells <= 1.0, {not_above_1_3} <= 1.3, ")?;
        write!(out, "geometric mean {geometric_mean:.2}, worst {worst:.2} ({worst_cell})")
    }
}

/// Ours over the best of those chosen, each clock by itself.
fn over(row: &Row, chosen: impl Fn(&str) -> bool) -> Option<Cost> {
    let ours = row.samples.iter().find(|samples| samples.name == OURS)?.median();
    let others = row.samples.iter().filter(|samples| chosen(samples.name)).map(Samples::median);
    let best = others.reduce(|a, b| Cost { wall: a.wall.min(b.wall), cpu: a.cpu.min(b.cpu) })?;
    Some(Cost { wall: ours.wall / best.wall, cpu: ours.cpu / best.cpu })
}

fn in_json(row: &Row, best: Option<Cost>, go: Option<Cost>) -> Value {
    let contenders: Map<_, _> = row
        .samples
        .iter()
        .map(|samples| {
            let costs = json!({ "messages": samples.messages, "median": samples.median(),
                                "samples": samples.costs });
            (samples.name.to_owned(), costs)
        })
        .collect();
    json!({ "cell": row.cell.to_string(), "contenders": contenders,
            "ours/best": best, "ours/go": go })
}
