//! What the job did, how fast, and what it would have cost: as a table for people, or as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use runtime::{Stats, Tariff};
use serde::Serialize;

use super::failures::Failures;
use super::pipeline::{Job, Made, Row, STAGES};
use super::store::Location;

/// The whole report.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Where the thumbnails are.
    target: Location,
    images: usize,
    failed: usize,
    seconds: f64,
    images_per_second: f64,
    /// How many failed for each reason, in which `it` is the photo.
    failures: BTreeMap<String, usize>,
    stages: Vec<Stage>,
    tasks_per_worker: BTreeMap<u64, usize>,
    /// Workers launched.
    invocations: u64,
    cost: Cost,
    /// What the whole run has cost, the making of photographs included, and where it went.
    bill: runtime::Report,
    rows: Vec<Line>,
}

/// Half of the images took no longer than `p50_ms` in this stage, 99 % no longer than `p99_ms`.
#[derive(Debug, Serialize)]
struct Stage {
    stage: &'static str,
    p50_ms: f64,
    p99_ms: f64,
}

/// By the paper's Table 1, for the durations measured here.
#[derive(Debug, Serialize)]
struct Cost {
    memory_mb: u32,
    /// An invocation for each image.
    conventional_dollars: f64,
    /// An invocation for each worker, from its first word to the end of the job.
    dollars: f64,
}

/// One row, for programs.
#[derive(Debug, Serialize)]
struct Line {
    key: String,
    worker: Option<u64>,
    thumbnail: Option<String>,
    width: Option<u32>,
    height: Option<u32>,
    bytes: Option<u64>,
    photo_width: Option<u32>,
    photo_height: Option<u32>,
    photo_format: Option<String>,
    photo_bytes: Option<u64>,
    error: Option<String>,
}

impl Report {
    /// `before` and `after` are the coordinator's figures around the job.
    pub(crate) fn new(
        job: &Job,
        rows: &[Row],
        elapsed: Duration,
        threads: usize,
        before: &Stats,
        (after, bill): (&Stats, runtime::Report),
    ) -> Self {
        let made: Vec<&Made> = rows.iter().filter_map(|row| row.made.as_ref().ok()).collect();
        let rows: Vec<Line> = rows.iter().map(Line::new).collect();
        let mut tasks_per_worker = BTreeMap::new();
        for worker in rows.iter().filter_map(|row| row.worker) {
            *tasks_per_worker.entry(worker).or_default() += 1;
        }
        Self {
            target: job.target.clone(),
            images: made.len(),
            failed: rows.len() - made.len(),
            seconds: elapsed.as_secs_f64(),
            images_per_second: made.len() as f64 / elapsed.as_secs_f64().max(1e-9),
            failures: failures(&rows).counts(),
            stages: stages(&made),
            tasks_per_worker,
            invocations: after.launches,
            cost: Cost::new(rows.len(), threads, before, after),
            bill,
            rows,
        }
    }

    /// Whether every photo has its thumbnail.
    pub(crate) fn is_complete(&self) -> bool {
        self.failed == 0
    }
}

impl Cost {
    fn new(tasks: usize, threads: usize, before: &Stats, after: &Stats) -> Self {
        let (tariff, threads) = (Tariff::default(), threads as u32);
        let bill = |requests: u64, microseconds: u64| {
            tariff.prices.requests(requests) + tariff.time(threads, microseconds.div_ceil(1000))
        };
        Self {
            memory_mb: tariff.memory_mb(threads),
            conventional_dollars: bill(tasks as u64, after.tasks_us - before.tasks_us),
            dollars: bill(after.launches, after.workers_us - before.workers_us),
        }
    }
}

impl Line {
    fn new(row: &Row) -> Self {
        let made = row.made.as_ref().ok();
        Self {
            key: row.key.clone(),
            worker: row.worker,
            thumbnail: made.map(|made| made.key.clone()),
            width: made.map(|made| made.size.0),
            height: made.map(|made| made.size.1),
            bytes: made.map(|made| made.bytes.1),
            photo_width: made.map(|made| made.photo.0),
            photo_height: made.map(|made| made.photo.1),
            photo_format: made.map(|made| made.photo.2.clone()),
            photo_bytes: made.map(|made| made.bytes.0),
            error: row.made.as_ref().err().cloned(),
        }
    }
}

fn failures(rows: &[Line]) -> Failures<'_> {
    Failures::new(rows.iter().filter_map(|row| Some((row.key.as_str(), row.error.as_deref()?))))
}

fn stages(made: &[&Made]) -> Vec<Stage> {
    let stage = |(at, stage)| {
        let mut times: Vec<Duration> = made.iter().map(|made| made.stages[at]).collect();
        times.sort_unstable();
        let [p50_ms, p99_ms] =
            [0.50, 0.99].map(|part| percentile(&times, part).as_secs_f64() * 1e3);
        Stage { stage, p50_ms, p99_ms }
    };
    STAGES.into_iter().enumerate().map(stage).collect()
}

/// The smallest time that so large a part of all do not exceed; zero of none.
fn percentile(sorted: &[Duration], part: f64) -> Duration {
    let rank = (part * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "{} thumbnails in {:.2} s, {:.1} a second; {} failed",
            self.images, self.seconds, self.images_per_second, self.failed
        )?;
        writeln!(out, "\n{:<12}{:>10}{:>10}", "stage", "p50 ms", "p99 ms")?;
        for Stage { stage, p50_ms, p99_ms } in &self.stages {
            writeln!(out, "{stage:<12}{p50_ms:>10.1}{p99_ms:>10.1}")?;
        }
        writeln!(out, "\n{:<12}{:>10}", "worker", "images")?;
        for (worker, images) in &self.tasks_per_worker {
            writeln!(out, "{worker:<12}{images:>10}")?;
        }
        let Cost { memory_mb, conventional_dollars, dollars } = &self.cost;
        let million = 1e6 / (self.images + self.failed).max(1) as f64;
        writeln!(
            out,
            "\ncost by the paper's Table 1 ({memory_mb} MB), for the times measured here, without \
             cold starts:"
        )?;
        writeln!(out, "  {:<38}{:>12}{:>16}", "", "this job $", "a million $")?;
        for (what, invocations, dollars) in [
            ("conventional, an invocation an image", self.rows.len() as u64, conventional_dollars),
            ("here, an invocation a worker", self.invocations, dollars),
        ] {
            let what = format!("{what} ({invocations})");
            writeln!(out, "  {what:<38}{dollars:>12.8}{:>16.2}", dollars * million)?;
        }
        write!(out, "\nthe whole run: {}", self.bill)?;
        if self.failed > 0 {
            write!(out, "\nfailed:\n{}", failures(&self.rows))?;
        }
        Ok(())
    }
}
