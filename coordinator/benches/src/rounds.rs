//! Calibration, order and medians: every contender of a row once a round, in a rotating order.

use crate::arguments::Arguments;
use crate::contender::{Contender, Lap, Name};
use crate::meter::Cost;
use crate::row::Row;

/// A calibrating lap below this part of a lap says too little.
const CALIBRATION_PART: f64 = 0.1;
const CALIBRATION_MESSAGES: u64 = 64;

/// The samples of a contender in a row, a message each.
pub(crate) struct Samples {
    pub(crate) name: Name,
    pub(crate) messages: u64,
    pub(crate) costs: Vec<Cost>,
}

/// A row and what was measured.
pub(crate) struct Measured {
    pub(crate) row: Row,
    pub(crate) samples: Vec<Samples>,
}

/// Measures a row.
pub(crate) fn run(
    row: Row,
    contenders: &mut [Contender],
    arguments: &Arguments,
) -> anyhow::Result<Measured> {
    let lap_nanos = arguments.lap_ms as f64 * 1e6;
    let mut samples = Vec::new();
    for contender in contenders.iter_mut() {
        let messages = calibrate(row, contender, lap_nanos)?;
        samples.push(Samples { name: contender.name, messages, costs: Vec::new() });
    }
    for round in 0..arguments.rounds as usize {
        for turn in 0..contenders.len() {
            let at = (round + turn) % contenders.len();
            let messages = samples[at].messages;
            samples[at].costs.push(contenders[at].run(Lap { row, messages })?);
        }
    }
    Ok(Measured { row, samples })
}

/// How many messages fill a lap.
fn calibrate(row: Row, contender: &mut Contender, lap_nanos: f64) -> anyhow::Result<u64> {
    let mut messages = CALIBRATION_MESSAGES.min(row.messages_max());
    loop {
        let wall = contender.run(Lap { row, messages })?.wall * messages as f64;
        if wall < lap_nanos * CALIBRATION_PART && messages * 4 <= row.messages_max() {
            messages *= 4;
            continue;
        }
        let fill = (messages as f64 * lap_nanos / wall) as u64;
        return Ok(fill.clamp(1, row.messages_max()));
    }
}

impl Samples {
    /// The median of each clock.
    pub(crate) fn median(&self) -> Cost {
        Cost {
            wall: median(self.costs.iter().map(|cost| cost.wall).collect()),
            cpu: median(self.costs.iter().map(|cost| cost.cpu).collect()),
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}
