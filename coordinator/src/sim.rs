//! The policies in virtual time, on a model of the platform: what a workload costs and how long it
//! takes, with a seed that gives the same history always.

pub mod bound;
mod engine;
pub mod evaluation;
pub mod flags;
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

/// Runs a workload under a policy.
pub fn run(
    model: &Model,
    workload: &Workload,
    choice: &Choice,
    seed: u64,
) -> Result<Outcome, Refusal> {
    let needs = workload.jobs.iter().map(|job| job.work.memory).fold(0.0, f32::max);
    let policy = choice.build(needs as u64)?;
    Ok(engine::Engine::new(model, workload, policy, seed).run())
}
