//! One policy, with real workers.

use std::time::Duration;

use anyhow::Context;
use coordinator::bill::Tariff;
use coordinator::placement::choice::Policy;
use coordinator::sim::workload::{Client, Job, Workload};
use futures::stream::{self, StreamExt};
use runtime::{Emulation, JoinError, Report, Runtime, emulate_cpu, spawn, task};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, sleep_until};

use super::{Flags, LINGER, model};

/// What one task does.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Steps {
    first: Duration,
    cpu: Duration,
    last: Duration,
}

impl Steps {
    fn of(job: &Job) -> Self {
        let [first, cpu, last] =
            [job.work.first, job.work.cpu, job.work.last].map(Duration::from_secs_f32);
        Self { first, cpu, last }
    }

    async fn take(self) {
        sleep(self.first).await;
        emulate_cpu(self.cpu).await;
        sleep(self.last).await;
    }
}

/// A thumbnail, or in a mix a task that waits.
#[task]
async fn first_kind(steps: Steps) {
    steps.take().await;
}

/// In a mix, a task that computes.
#[task]
async fn second_kind(steps: Steps) {
    steps.take().await;
}

/// Runs all tasks; returns what it has cost when the last worker has ended. The report's time is
/// that of the last result.
pub(crate) fn run(flags: &Flags, policy: Policy, workload: &Workload) -> anyhow::Result<Report> {
    let shape = model(flags).shape();
    let tariff = Tariff {
        memory_mb: Some(flags.memory),
        start_billed_max: model(flags).tariff().start_billed_max,
        architecture: model(flags).architecture,
        ..Tariff::default()
    };
    let emulation = Emulation {
        cores: shape.cores,
        cold_start: Duration::from_millis(flags.cold_start_ms),
        keep_alive: Duration::from_secs(300),
    };
    let mut builder = Runtime::builder()
        .policy(policy)
        .workers(flags.workers as usize)
        .threads(shape.threads as usize)
        .memory(shape.memory)
        .idle_timeout(LINGER)
        .tariff(tariff)
        .emulate(emulation);
    if !flags.processes {
        builder = builder.in_memory();
    }
    let runtime = builder.build()?;
    runtime.block_on(async {
        let began = Instant::now();
        let window = match workload.client {
            Client::Open => workload.jobs.len(),
            Client::Window(window) => window,
        };
        let calls = workload.jobs.iter().map(|job| async move {
            sleep_until(began + Duration::from_secs_f64(job.arrival)).await;
            let steps = Steps::of(job);
            if job.kind == 0 {
                spawn(first_kind(steps)).await
            } else {
                spawn(second_kind(steps)).await
            }
        });
        let ended: Vec<Result<(), JoinError>> =
            stream::iter(calls).buffer_unordered(window).collect().await;
        let took = began.elapsed();
        ended.into_iter().collect::<Result<(), _>>()?;
        let lost = "the coordinator is lost";
        while runtime::stats().await.context(lost)?.workers > 0 {
            sleep(Duration::from_millis(5)).await;
        }
        let report = runtime::report().await.context(lost)?;
        Ok(Report { seconds: took.as_secs_f64(), ..report })
    })
}
