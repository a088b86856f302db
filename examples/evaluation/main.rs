//! The three policies for real, beside what the simulator predicts of them.
//!
//! ```text
//! cargo run --release --example evaluation
//! cargo run --release --example evaluation -- --workload mix --policy farspawn --json
//! ```
//!
//! Real are the scheduler, the coordinator, the sockets, the workers' programs, and the clocks by
//! which they are billed. Emulated are the storage, for which tasks wait, and the workers' CPUs: a
//! worker with six cores does not fit into a small machine, so computing takes as long as it would
//! on them, shared by all tasks of the worker, and no CPU (`runtime::emulate_cpu`). A cold start
//! takes a while as on Lambda, and a sandbox is kept for the next start.
//!
//! The simulator is given the same tasks, and how long starts took when they were real. What it
//! then says of cost and time is compared with what was measured.
//!
//! - `real`: one run. `table`: what is printed.

mod real;
mod table;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use coordinator::placement::choice::Policy;
use coordinator::sim::evaluation::Plan;
use coordinator::sim::model::Model;
use coordinator::sim::workload::{Client, Load, Workload};

use table::Line;

/// A worker that has nothing to do is kept for so long.
const LINGER: Duration = Duration::from_millis(20);
/// A message through the coordinator, on this machine.
const MESSAGE: f64 = 0.000_3;
/// The connection on which a thumbnail's photo comes, in bytes a second.
const CONNECTION: f32 = 60e6;

/// Runs the policies with real workers and in the simulator, and compares.
#[derive(Debug, Parser)]
#[command(name = "evaluation")]
struct Flags {
    /// What is to be done
    #[arg(long, value_enum, default_value_t = Kind::Thumbnails)]
    workload: Kind,
    /// conventional, paper or farspawn; several times for several [default: all three]
    #[arg(long, value_name = "NAME")]
    policy: Vec<Policy>,
    /// How many tasks
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    tasks: u32,
    /// Workers at once, at most
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    workers: u32,
    /// At most so many tasks under way [default: all at once]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    window: Option<u32>,
    /// Memory of a worker in MB, which also tells its cores: those of the paper's Table 1
    #[arg(long, default_value_t = 10_240, value_parser = megabytes)]
    memory: u32,
    /// What a cold start takes beyond that of a worker's program, in milliseconds
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(..60_000))]
    cold_start_ms: u64,
    /// Workers are processes, not threads of this one
    #[arg(long)]
    processes: bool,
    /// Chooses the tasks
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

/// Workloads.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Kind {
    /// The paper's: each waits for 3 MB, computes for 600 ms and waits for a write
    Thumbnails,
    /// Half of the tasks compute for 800 ms, half wait for a second
    Mix,
}

fn main() -> ExitCode {
    runtime::serve_if_worker();
    match run(&Flags::parse()) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("evaluation: {error:#}");
            ExitCode::from(70)
        }
    }
}

fn run(flags: &Flags) -> anyhow::Result<String> {
    let workload = workload(flags);
    let policies = if flags.policy.is_empty() { &Policy::ALL[..] } else { &flags.policy };
    let mut lines = Vec::new();
    for policy in policies {
        let measured = real::run(flags, *policy, &workload).with_context(|| policy.to_string())?;
        let predicted = predict(flags, *policy, &workload, &measured)?;
        lines.push(Line::new(*policy, flags.tasks, &measured, &predicted));
    }
    if flags.json { table::json(&lines) } else { Ok(table::text(&lines, flags)) }
}

/// The tasks, without what is not emulated: their network, and memory.
fn workload(flags: &Flags) -> Workload {
    let load = match flags.workload {
        Kind::Thumbnails => Load::Burst,
        Kind::Mix => Load::Mix(f64::INFINITY),
    };
    let mut workload = load.generate(flags.seed, flags.tasks as usize, 0.6);
    for job in &mut workload.jobs {
        job.work.first += job.work.read / CONNECTION;
        (job.work.read, job.work.memory) = (0.0, 4e6);
    }
    workload.client = flags.window.map_or(Client::Open, |window| Client::Window(window as usize));
    workload
}

/// The platform as it is here, as far as it is known before a run.
fn model(flags: &Flags) -> Model {
    Model {
        memory_mb: flags.memory,
        message: MESSAGE,
        memory_base: 0,
        is_local: true,
        ..Model::default()
    }
}

/// What the simulator says of the same tasks, on a platform that starts workers as it was measured.
fn predict(
    flags: &Flags,
    policy: Policy,
    workload: &Workload,
    measured: &runtime::Report,
) -> anyhow::Result<coordinator::sim::outcome::Outcome> {
    let mut model = model(flags);
    let least = flags.cold_start_ms as f64 / 1000.0;
    let starts = measured.workers.iter().map(|worker| worker.start_seconds);
    let (cold, warm): (Vec<f64>, Vec<f64>) = starts.partition(|start| *start >= least);
    let squares = mean(&cold.iter().map(|start| start * start).collect::<Vec<_>>());
    let deviation = (squares - mean(&cold).powi(2)).max(0.0).sqrt();
    model.cold_start = (mean(&cold), deviation / mean(&cold).max(1e-9));
    model.warm_start = mean(&warm);
    let mut plan = Plan { model, workers_max: flags.workers as usize, ..Plan::default() };
    (plan.tuning.linger, plan.tuning.idle_max) = (LINGER, LINGER);
    // Workers are pushed to here, as soon as a poll would bring them something.
    plan.poll = 0.001;
    let choice = plan.choice(policy);
    Ok(coordinator::sim::run(&plan.model, workload, &choice, flags.seed)?)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn megabytes(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(number @ 1024..=10_240) => Ok(number),
        _ => Err("megabytes from 1024 to 10240 are expected".to_owned()),
    }
}
