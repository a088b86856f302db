//! The table, row by row: each contender's medians, and ours over the others'.

use serde_json::{Map, Value, json};

use crate::arguments::Arguments;
use crate::contender::Name;
use crate::meter::Cost;
use crate::rounds::{Measured, Samples};

const ROW_COLUMNS: usize = 26;
const COST_COLUMNS: usize = 18;
const RATIO_COLUMNS: usize = 16;

/// What is printed.
pub(crate) struct Report {
    names: Vec<Name>,
    json: bool,
}

impl Report {
    /// Prints the head of the table.
    pub(crate) fn new(arguments: &Arguments) -> Self {
        let names: Vec<_> = Name::ALL.into_iter().filter(|name| arguments.admits(*name)).collect();
        if !arguments.json {
            let mut head = format!("{:ROW_COLUMNS$}", "ns a message: wall (CPU)");
            for name in &names {
                head += &format!("{:>COST_COLUMNS$}", name.text());
            }
            for name in others(&names) {
                head += &format!("{:>RATIO_COLUMNS$}", format!("ours/{}", name.text()));
            }
            println!("{head}");
        }
        Self { names, json: arguments.json }
    }

    /// Prints a row.
    pub(crate) fn add(&self, measured: &Measured) {
        if self.json {
            println!("{}", in_json(measured));
            return;
        }
        let mut line = format!("{:ROW_COLUMNS$}", measured.row.to_string());
        for name in &self.names {
            let text =
                median(measured, *name).map(|Cost { wall, cpu }| format!("{wall:.0} ({cpu:.0})"));
            line += &format!("{:>COST_COLUMNS$}", text.unwrap_or_else(|| "-".to_owned()));
        }
        for name in others(&self.names) {
            let text =
                ratio(measured, name).map(|Cost { wall, cpu }| format!("{wall:.2} ({cpu:.2})"));
            line += &format!("{:>RATIO_COLUMNS$}", text.unwrap_or_else(|| "-".to_owned()));
        }
        println!("{line}");
    }
}

fn others(names: &[Name]) -> impl Iterator<Item = Name> + '_ {
    names.iter().copied().filter(|name| *name != Name::Ours && names.contains(&Name::Ours))
}

fn median(measured: &Measured, name: Name) -> Option<Cost> {
    measured.samples.iter().find(|samples| samples.name == name).map(Samples::median)
}

/// Ours over another's, each clock by itself.
fn ratio(measured: &Measured, name: Name) -> Option<Cost> {
    let (ours, other) = (median(measured, Name::Ours)?, median(measured, name)?);
    Some(Cost { wall: ours.wall / other.wall, cpu: ours.cpu / other.cpu })
}

fn in_json(measured: &Measured) -> Value {
    let contenders: Map<_, _> = measured
        .samples
        .iter()
        .map(|samples| {
            let costs = json!({ "messages": samples.messages, "median": samples.median(),
                                "samples": samples.costs });
            (samples.name.text(), costs)
        })
        .collect();
    let ratios: Map<_, _> = others(&Name::ALL)
        .filter_map(|name| Some((format!("ours/{}", name.text()), json!(ratio(measured, name)?))))
        .collect();
    let row = measured.row;
    json!({ "row": row.to_string(), "what": row, "contenders": contenders, "ratios": ratios })
}
