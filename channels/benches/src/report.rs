//! The table while it grows, and the summary below it.

use serde_json::json;

use crate::arguments::Arguments;
use crate::cell::Cell;
use crate::contender::NAMES;
use crate::rounds::{Row, Samples};

const CELL_COLUMNS: usize = 24;
const COST_COLUMNS: usize = 14;
const RATIO_COLUMNS: usize = 10;
const OURS: &str = "ours";

/// What is printed, and what the summary needs to know of it.
pub(crate) struct Report {
    names: Vec<&'static str>,
    json: bool,
    ratios: Vec<(Cell, f64)>,
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
            println!("{head}{:>RATIO_COLUMNS$}{:>RATIO_COLUMNS$}", "ours/best", "CPU");
        }
        Self { names, json: arguments.json, ratios: Vec::new() }
    }

    /// Prints a row.
    pub(crate) fn add(&mut self, row: Row) {
        let ratio = over_best(&row);
        self.ratios.extend(ratio.map(|(wall, _)| (row.cell, wall)));
        if self.json {
            println!("{}", in_json(&row, ratio));
            return;
        }
        let mut line = format!("{:CELL_COLUMNS$}", row.cell.to_string());
        for name in &self.names {
            let cost = row.samples.iter().find(|samples| samples.name == *name);
            let cost = cost.map(Samples::median);
            let text = match cost {
                Some(cost) => format!("{:.0} ({:.0})", cost.wall, cost.cpu),
                None => "-".to_owned(),
            };
            line += &format!("{text:>COST_COLUMNS$}");
        }
        if let Some((wall, cpu)) = ratio {
            line += &format!("{wall:>RATIO_COLUMNS$.2}{cpu:>RATIO_COLUMNS$.2}");
        }
        println!("{line}");
    }

    /// Prints the summary.
    pub(crate) fn finish(self) {
        let Some((worst, ratio)) = self.ratios.iter().max_by(|a, b| a.1.total_cmp(&b.1)) else {
            return;
        };
        let cells = self.ratios.len();
        let within = |limit| self.ratios.iter().filter(|(_, ratio)| *ratio <= limit).count();
        let (equal, near) = (within(1.0), within(1.3));
        let logarithms = self.ratios.iter().map(|(_, ratio)| ratio.ln()).sum::<f64>();
        let mean = (logarithms / cells as f64).exp();
        if self.json {
            let worst = json!({ "cell": worst.to_string(), "ratio": ratio });
            println!(
                "{}",
                json!({ "cells": cells, "at_most_1.0": equal, "at_most_1.3": near,
                        "geometric_mean": mean, "worst": worst })
            );
            return;
        }
        println!(
            "\nours/best: {equal} of {cells} cells <= 1.0, {near} <= 1.3, \
             geometric mean {mean:.2}, worst {ratio:.2} ({worst})"
        );
    }
}

/// Ours over the best of the others, in time and in CPU time.
fn over_best(row: &Row) -> Option<(f64, f64)> {
    let ours = row.samples.iter().find(|samples| samples.name == OURS)?.median();
    let others = row.samples.iter().filter(|samples| samples.name != OURS);
    let medians: Vec<_> = others.map(Samples::median).collect();
    let wall = medians.iter().map(|cost| cost.wall).min_by(f64::total_cmp)?;
    let cpu = medians.iter().map(|cost| cost.cpu).min_by(f64::total_cmp)?;
    Some((ours.wall / wall, ours.cpu / cpu))
}

fn in_json(row: &Row, ratio: Option<(f64, f64)>) -> serde_json::Value {
    let contenders: serde_json::Map<_, _> = row
        .samples
        .iter()
        .map(|samples| {
            let median = samples.median();
            let costs = json!({ "messages": samples.messages, "wall": median.wall,
                                "cpu": median.cpu, "samples": samples.costs });
            (samples.name.to_owned(), costs)
        })
        .collect();
    json!({ "cell": row.cell.to_string(), "contenders": contenders,
            "ours_over_best": ratio.map(|(wall, _)| wall),
            "ours_over_best_cpu": ratio.map(|(_, cpu)| cpu) })
}
