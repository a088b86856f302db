//! The coordinator under its policies in virtual time, on a model of the platform: what a workload
//! costs and how long it takes, with a seed that gives the same history always.

pub mod bound;
mod driver;
mod engine;
pub mod evaluation;
pub mod flags;
mod launching;
pub mod machine;
pub mod model;
pub mod outcome;
pub mod plot;
pub mod random;
pub mod report;
pub mod sharing;
mod steps;
pub mod workload;

use model::Model;
use outcome::Outcome;
use workload::Workload;

use crate::placement::{Choice, Refusal};
use crate::scheduler::TASKS_MAX;

/// Runs a workload under a policy.
pub fn run(
    model: &Model,
    workload: &Workload,
    choice: &Choice,
    seed: u64,
) -> Result<Outcome, Refusal> {
    let needs = workload.jobs.iter().map(|job| job.work.memory).fold(0.0, f32::max);
    let side = choice.build(needs as u64)?.worker_side();
    let outcome = engine::Engine::new(model, workload, choice, side, seed).run();
    if outcome.never_started > 0 { Err(Refusal::Tasks(TASKS_MAX)) } else { Ok(outcome) }
}
