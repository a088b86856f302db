//! The platform of a simulation: it starts workers, in sandboxes that it keeps for a while.

use std::time::Duration;

use super::engine::{Engine, Happening, Name};
use super::machine::{Machine, Stage};

/// How often the platform tries again what it held up, in seconds.
const RETRY: f64 = 1.0;

impl Engine<'_> {
    /// The platform is asked for a worker. It starts so many in a while; others wait with it, which
    /// is what false says.
    pub(super) fn launch(&mut self, launch: u64) -> bool {
        while self.starts.front().is_some_and(|start| *start < self.now - 10.0) {
            self.starts.pop_front();
        }
        if self.starts.len() >= self.model.starts_max && !self.is_warm() {
            if self.held_up.is_empty() {
                self.after(RETRY, Happening::Retry);
            }
            self.held_up.push_back(launch);
            return false;
        }
        self.start(launch);
        true
    }

    /// Starts as many as may be started now of those that were held up.
    pub(super) fn on_retry(&mut self) {
        let held_up = std::mem::take(&mut self.held_up);
        for launch in held_up {
            self.launch(launch);
        }
    }

    fn start(&mut self, launch: u64) {
        let (mean, cv) = self.model.cold_start;
        let warm = self.is_warm();
        let (start, billed) = if warm {
            self.sandboxes.pop_back();
            (self.model.warm_start, self.model.warm_start)
        } else {
            self.outcome.cold_starts += 1;
            self.starts.push_back(self.now);
            let start = self.random.lognormal(mean, cv);
            (start, self.tariff.start(Duration::from_secs_f64(start)).as_secs_f64())
        };
        let slow = Machine::is_slow(self.model, &mut self.random);
        let number = self.machines_free.pop().unwrap_or(self.machines.len() as u32);
        let generation = self.machines.get(number as usize).map_or(0, |machine| machine.generation);
        let name = Name { number, generation };
        let mut machine = Machine::new(generation, self.now, self.model, &self.side, slow);
        machine.launch = launch;
        self.launches[launch as usize] = name;
        let up = self.now + self.side.front_door.as_secs_f64() + start;
        machine.is_up(up, billed);
        machine.stage = Stage::Starting;
        match self.machines.get_mut(number as usize) {
            Some(slot) => *slot = machine,
            None => self.machines.push(machine),
        }
        self.present += 1;
        self.outcome.workers_peak = self.outcome.workers_peak.max(self.present);
        self.at(up, Happening::Up(name));
    }

    /// Whether a sandbox is kept for the next invocation.
    fn is_warm(&mut self) -> bool {
        let oldest = self.now - self.model.keep_alive;
        while self.sandboxes.front().is_some_and(|since| *since < oldest) {
            self.sandboxes.pop_front();
        }
        !self.sandboxes.is_empty()
    }
}
