//! Calibration, order and medians: every contender of a cell once a round, in a rotating order.

use tokio::runtime::{Builder, Runtime};

use crate::cell::Cell;
use crate::contender::{Contestant, Track};
use crate::go::Go;
use crate::meter::{Cost, measure};

/// How long a lap should take: long beside starting its tasks, short beside a cell.
const LAP_NANOS: f64 = 50e6;
/// A calibrating lap below this says too little.
const CALIBRATION_NANOS: f64 = 4e6;
const CALIBRATION_MESSAGES: u64 = 256;
/// Every pattern's number of senders divides this.
const MESSAGES_STEP: u64 = 16;
const WORKERS: usize = 2;

/// Where all laps run.
pub(crate) struct Course {
    runtime: Runtime,
    go: Option<Go>,
    rounds: u32,
}

/// The executor of all that is measured.
pub(crate) fn runtime() -> Runtime {
    let runtime = Builder::new_multi_thread().worker_threads(WORKERS).build();
    runtime.expect("threads can be started")
}

/// The samples of a contender in a cell, a message each.
pub(crate) struct Samples {
    pub(crate) name: &'static str,
    pub(crate) messages: u64,
    pub(crate) costs: Vec<Cost>,
}

/// A cell and what was measured.
pub(crate) struct Row {
    pub(crate) cell: Cell,
    pub(crate) samples: Vec<Samples>,
}

impl Course {
    pub(crate) fn new(rounds: u32, go: Option<Go>) -> Self {
        Self { runtime: runtime(), go, rounds }
    }

    /// Measures a cell.
    pub(crate) fn run(&mut self, cell: Cell, mut contestants: Vec<Contestant>) -> Row {
        contestants.retain(|one| self.go.is_some() || !matches!(one.track, Track::Go));
        let mut samples: Vec<_> = contestants
            .iter()
            .map(|one| Samples {
                name: one.name,
                messages: self.calibrate(cell, one),
                costs: Vec::new(),
            })
            .collect();
        for round in 0..self.rounds as usize {
            for turn in 0..contestants.len() {
                let at = (round + turn) % contestants.len();
                let messages = samples[at].messages;
                samples[at].costs.push(self.lap(cell, &contestants[at], messages));
            }
        }
        Row { cell, samples }
    }

    /// How many messages fill a lap.
    fn calibrate(&mut self, cell: Cell, contestant: &Contestant) -> u64 {
        let mut messages = CALIBRATION_MESSAGES;
        loop {
            let wall = self.lap(cell, contestant, messages).wall * messages as f64;
            if wall < CALIBRATION_NANOS && messages * 4 <= cell.messages_max() {
                messages *= 4;
                continue;
            }
            let fill = (messages as f64 * LAP_NANOS / wall) as u64;
            let fill = fill.min(cell.messages_max()).next_multiple_of(MESSAGES_STEP);
            return fill.max(MESSAGES_STEP);
        }
    }

    /// What a message costs.
    fn lap(&mut self, cell: Cell, contestant: &Contestant, messages: u64) -> Cost {
        match contestant.track {
            Track::Here(lap) => {
                measure(|| self.runtime.block_on(lap(cell, messages))).over(messages)
            }
            Track::Go => self.go.as_mut().expect("it was kept").lap(cell, messages),
        }
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
