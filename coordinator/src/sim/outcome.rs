//! What a simulation came to.

use super::model::Model;
use crate::bill::{Account, Charge};

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Tasks whose result reached the client.
    pub done: usize,
    /// Invocations of the function: workers that ran.
    pub invocations: u64,
    /// Those that needed a new sandbox.
    pub cold_starts: u64,
    /// Workers that died with tasks, and attempts lost with them.
    pub deaths: u64,
    /// Attempts that died with their worker.
    pub lost_attempts: u64,
    /// Times that a launch had to wait for the platform.
    pub held_up: u64,
    /// Tasks that the coordinator gave up because there were too many.
    pub never_started: u64,
    /// Workers at once, at most.
    pub workers_peak: usize,
    /// Tasks at once on one worker, at most.
    pub residents_peak: usize,
    /// Billed time of all workers.
    pub billed_ms: u64,
    /// Where it went.
    pub account: Account,
    /// Dollars for it.
    pub dollars: f64,
    /// Of these, for requests.
    pub dollars_requests: f64,
    /// From the first request to the last result.
    pub makespan: f64,
    /// From request to result, sorted.
    pub latencies: Vec<f32>,
    /// Messages between stages that stayed within a worker, and all of them.
    pub local_messages: (u64, u64),
    /// Hash of every event and command, in order.
    pub trace: u64,
}

impl Outcome {
    /// Adds a worker that ended.
    pub(super) fn bill(&mut self, charge: &Charge) {
        self.account.add(&charge.account);
        self.billed_ms += charge.billed_ms;
        self.invocations += 1;
    }

    /// Closes the books.
    pub(super) fn close(&mut self, model: &Model) {
        let tariff = model.tariff();
        self.dollars_requests = tariff.prices.requests(self.invocations);
        self.dollars = tariff.time(model.shape().threads, self.billed_ms) + self.dollars_requests;
        self.latencies.sort_by(f32::total_cmp);
    }

    /// Dollars for a million tasks.
    pub fn dollars_per_million(&self) -> f64 {
        self.dollars / self.done.max(1) as f64 * 1e6
    }

    /// Mean time from request to result.
    pub fn latency_mean(&self) -> f64 {
        let sum: f64 = self.latencies.iter().map(|latency| f64::from(*latency)).sum();
        sum / self.latencies.len().max(1) as f64
    }

    /// The time from request to result that this part of the tasks keeps to.
    pub fn latency(&self, part: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let index = (part * last as f64).round() as usize;
        self.latencies.get(index).copied().map_or(0.0, f64::from)
    }
}
