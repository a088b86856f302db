//! The policies beside each other: the paper's figures, further workloads, and what each element of
//! ours brings.

use std::collections::BTreeSet;

use serde::Serialize;

use super::bound::bound;
use super::model::{MEMORY_SIZES, Model};
use super::outcome::Outcome;
use super::run;
use super::workload::{Load, Workload};
use crate::placement::choice::Policy;
use crate::placement::farspawn::{Element, Tuning};
use crate::placement::paper::Spawning;
use crate::placement::{Choice, Refusal};

/// What is run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The platform.
    pub model: Model,
    /// Tasks of a run.
    pub tasks: usize,
    /// Mean CPU time of a thumbnail.
    pub cpu_mean: f64,
    /// Workers at once, at most.
    pub workers_max: usize,
    /// The first seed, and how many in a row.
    pub seeds: (u64, u64),
    /// What our policy is told.
    pub tuning: Tuning,
    /// Reading of the paper: the period of its polls in seconds.
    pub poll: f64,
    /// Reading of the paper: when it starts workers.
    pub spawning: Spawning,
    /// Reading of the paper: slots of all workers, at most.
    pub slots_max: Option<u32>,
}

impl Default for Plan {
    /// A hundred thumbnails as in the paper, ten seeds.
    fn default() -> Self {
        Self {
            model: Model::default(),
            tasks: 100,
            cpu_mean: 0.6,
            workers_max: 1000,
            seeds: (1, 10),
            tuning: Tuning::default(),
            poll: 0.05,
            spawning: Spawning::Slots,
            slots_max: None,
        }
    }
}

/// What a policy made of a workload: the means of all seeds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// The policy, or `bound` for what none can beat.
    pub policy: String,
    /// Dollars for a million tasks.
    pub dollars_per_million: f64,
    /// Saved of the baseline's dollars, in percent.
    pub cost_cut: f64,
    /// Invocations of the function.
    pub invocations: f64,
    /// From the first request to the last result, in seconds.
    pub makespan: f64,
    /// Saved of the baseline's time, in percent.
    pub time_cut: f64,
    /// Mean and 99th percentile of the time from request to result, in seconds.
    pub latency_mean: f64,
    /// See `latency_mean`.
    pub latency_p99: f64,
    /// Where the billed time went, in percent: starting, busy, waiting, idle, rounding.
    pub billed: Billed,
    /// Workers at once, at most.
    pub workers_peak: f64,
    /// Attempts that died with their worker.
    pub lost_attempts: f64,
    /// Messages between stages that stayed within a worker, in percent.
    pub local_messages: f64,
    /// The trace of the first seed.
    pub trace: String,
}

/// Where billed time went, in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Billed {
    /// Starts of sandboxes.
    pub starting: f64,
    /// The used part of the CPUs.
    pub busy: f64,
    /// CPUs without work while tasks were there.
    pub waiting: f64,
    /// No task was there.
    pub idle: f64,
    /// Rounded up.
    pub rounding: f64,
}

/// The policies on one workload with one size of worker.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Which workload.
    pub workload: String,
    /// Memory of a worker in MB.
    pub memory_mb: u32,
    /// The baseline first, the bound last.
    pub summaries: Vec<Summary>,
}

impl Plan {
    /// Figures 2, 3 and 4: both readings of "8 maximum concurrent requests", five memory sizes.
    pub fn figures(&self, policies: &[Policy], sizes: &[u32]) -> Result<Vec<Row>, Refusal> {
        let sizes = if sizes.is_empty() { &MEMORY_SIZES } else { sizes };
        let tests = [
            ("A: 8 requests in flight", Load::Window(8), self.workers_max),
            ("B: 8 instances, all requests at once", Load::Burst, 8),
        ];
        let mut rows = Vec::new();
        for (name, load, workers_max) in tests {
            for memory_mb in sizes {
                let mut plan = Self { workers_max, ..self.clone() };
                plan.model.memory_mb = *memory_mb;
                rows.push(plan.row(name, policies, load)?);
            }
        }
        Ok(rows)
    }

    /// The policies on one workload.
    pub fn row(&self, name: &str, policies: &[Policy], load: Load) -> Result<Row, Refusal> {
        let (first, count) = self.seeds;
        let workloads: Vec<(u64, Workload)> = (first..first + count.max(1))
            .map(|seed| (seed, load.generate(seed, self.tasks, self.cpu_mean)))
            .collect();
        self.row_of(name, policies, &workloads)
    }

    /// The policies on given workloads, each with its seed.
    pub fn row_of(
        &self,
        name: &str,
        policies: &[Policy],
        workloads: &[(u64, Workload)],
    ) -> Result<Row, Refusal> {
        let baseline = self.summary(Policy::Conventional, workloads)?;
        let mut summaries = vec![baseline.clone()];
        for policy in policies.iter().filter(|policy| **policy != Policy::Conventional) {
            let mut summary = self.summary(*policy, workloads)?;
            summary.compare(&baseline);
            summaries.push(summary);
        }
        if policies.contains(&Policy::Farspawn) && kinds(workloads) == 2 && !is_staged(workloads) {
            let mut apart = self.kinds_apart(workloads)?;
            apart.compare(&baseline);
            summaries.push(apart);
        }
        let mut bound = self.bound(workloads);
        bound.compare(&baseline);
        summaries.push(bound);
        Ok(Row { workload: name.to_owned(), memory_mb: self.model.memory_mb, summaries })
    }

    /// A policy on workloads: the means.
    pub fn summary(
        &self,
        policy: Policy,
        workloads: &[(u64, Workload)],
    ) -> Result<Summary, Refusal> {
        let choice = self.choice(policy);
        let mut summary = Summary { policy: policy.to_string(), ..Summary::default() };
        for (seed, workload) in workloads {
            let outcome = run(&self.model, workload, &choice, *seed)?;
            summary.add(&outcome, 1.0 / workloads.len() as f64);
        }
        Ok(summary)
    }

    /// Ours, if each kind of task had workers of its own.
    fn kinds_apart(&self, workloads: &[(u64, Workload)]) -> Result<Summary, Refusal> {
        let mut apart = Summary { policy: "kinds apart".to_owned(), ..Summary::default() };
        for kind in 0..2 {
            let of_kind: Vec<(u64, Workload)> = workloads
                .iter()
                .map(|(seed, workload)| {
                    let of_kind = workload.jobs.iter().filter(|job| job.kind == kind);
                    let jobs = of_kind.copied().collect();
                    (*seed, Workload { jobs, client: workload.client })
                })
                .collect();
            let count = |workloads: &[(u64, Workload)]| {
                workloads.iter().map(|(_, workload)| workload.jobs.len()).sum::<usize>() as f64
            };
            let part = count(&of_kind) / count(workloads).max(1.0);
            let summary = self.summary(Policy::Farspawn, &of_kind)?;
            apart.dollars_per_million += part * summary.dollars_per_million;
            apart.latency_mean += part * summary.latency_mean;
            apart.invocations += summary.invocations;
            apart.makespan = apart.makespan.max(summary.makespan);
            apart.latency_p99 = apart.latency_p99.max(summary.latency_p99);
        }
        Ok(apart)
    }

    /// A policy, as this plan sets it.
    pub fn choice(&self, policy: Policy) -> Choice {
        let mut choice = Choice::new(policy, self.model.shape(), self.workers_max);
        choice.tuning = self.tuning.clone();
        choice.paper.poll = std::time::Duration::from_secs_f64(self.poll);
        choice.paper.spawning = self.spawning;
        choice.paper.slots_max = self.slots_max;
        choice
    }

    fn bound(&self, workloads: &[(u64, Workload)]) -> Summary {
        let mut summary = Summary { policy: "bound".to_owned(), ..Summary::default() };
        for (_, workload) in workloads {
            let bound = bound(&self.model, workload, self.workers_max);
            let tasks = workload.jobs.iter().filter(|job| !job.is_second).count();
            let part = 1.0 / workloads.len() as f64;
            summary.dollars_per_million += part * bound.dollars / tasks.max(1) as f64 * 1e6;
            summary.makespan += part * bound.makespan;
        }
        summary
    }

    /// Our policy whole, and without each of its elements in turn.
    pub fn ablation(&self, load: Load) -> Result<Vec<(String, Summary)>, Refusal> {
        let (first, count) = self.seeds;
        let workloads: Vec<(u64, Workload)> = (first..first + count.max(1))
            .map(|seed| (seed, load.generate(seed, self.tasks, self.cpu_mean)))
            .collect();
        let baseline = self.summary(Policy::Conventional, &workloads)?;
        let mut variants = vec![("all of it".to_owned(), self.tuning.elements)];
        for element in Element::ALL {
            let elements = self.tuning.elements;
            variants.push(if elements.has(element) {
                (format!("without {element}"), elements.without(element))
            } else {
                (format!("with {element}"), elements.with(element))
            });
        }
        let mut rows = Vec::new();
        for (name, elements) in variants {
            let mut plan = self.clone();
            plan.tuning.elements = elements;
            let mut summary = plan.summary(Policy::Farspawn, &workloads)?;
            summary.compare(&baseline);
            rows.push((name, summary));
        }
        Ok(rows)
    }
}

fn kinds(workloads: &[(u64, Workload)]) -> usize {
    let jobs = workloads.iter().flat_map(|(_, workload)| &workload.jobs);
    jobs.map(|job| job.kind).collect::<BTreeSet<_>>().len()
}

fn is_staged(workloads: &[(u64, Workload)]) -> bool {
    workloads.iter().flat_map(|(_, workload)| &workload.jobs).any(|job| job.is_second)
}

impl Summary {
    fn add(&mut self, outcome: &Outcome, part: f64) {
        self.dollars_per_million += part * outcome.dollars_per_million();
        self.invocations += part * outcome.invocations as f64;
        self.makespan += part * outcome.makespan;
        self.latency_mean += part * outcome.latency_mean();
        self.latency_p99 += part * outcome.latency(0.99);
        self.workers_peak += part * outcome.workers_peak as f64;
        self.lost_attempts += part * outcome.lost_attempts as f64;
        let (local, all) = outcome.local_messages;
        self.local_messages += part * 100.0 * local as f64 / all.max(1) as f64;
        let percent = 100.0 * part / outcome.account.total().max(1e-9);
        self.billed.starting += percent * outcome.account.starting;
        self.billed.busy += percent * outcome.account.busy;
        self.billed.waiting += percent * outcome.account.waiting;
        self.billed.idle += percent * outcome.account.idle;
        self.billed.rounding += percent * outcome.account.rounding;
        if self.trace.is_empty() {
            self.trace = format!("{:016x}", outcome.trace);
        }
    }

    fn compare(&mut self, baseline: &Self) {
        let cut = |ours: f64, theirs: f64| 100.0 * (1.0 - ours / theirs.max(1e-12));
        self.cost_cut = cut(self.dollars_per_million, baseline.dollars_per_million);
        self.time_cut = cut(self.makespan, baseline.makespan);
    }
}
