//! The command line of `farspawn sim`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::{Parser, ValueEnum};

use super::evaluation::{Plan, Row};
use super::model::{Cpu, Faults, Model};
use super::workload::{Load, parse_trace};
use super::{plot, report};
use crate::placement::choice::Policy;
use crate::placement::farspawn::{Element, Mode, Tuning};
use crate::placement::paper::Spawning;
use crate::price::{Architecture, Prices};

/// What is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Run {
    /// The paper's Figures 2, 3 and 4, in both readings of its test
    Figures,
    /// A closed loop of --window requests
    Window,
    /// All tasks at once
    Burst,
    /// --rate tasks a second, at random
    Poisson,
    /// --rate tasks a second, in bursts of heavy-tailed size
    Bursty,
    /// --rate tasks a second: 90 % of 0.1 s, 9 % of 1 s, 1 % of 20 s
    LongTail,
    /// --rate tasks a second of a kind that computes and a kind that waits
    Mix,
    /// --rate pipelines a second: fetch, hand 8 MB over, compute
    Pipeline,
    /// All of the above
    All,
}

/// What `farspawn sim` is told.
#[derive(Debug, Parser)]
pub struct Flags {
    /// What is run
    #[arg(long, value_enum, default_value = "figures")]
    workload: Run,
    /// Runs the tasks of a file instead: lines of arrival,cpu,wait,bytes,memory,kind, where what
    /// comes after the arrival may be left out
    #[arg(long, value_name = "FILE", conflicts_with = "workload")]
    trace: Option<PathBuf>,
    /// conventional, paper or farspawn; may be given several times [default: all three]
    #[arg(long, value_name = "NAME")]
    policy: Vec<Policy>,
    /// Memory of a worker in MB; may be given several times [default: Table 1 of the paper for the
    /// figures, 10240 for the rest]
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u32).range(128..=10240))]
    memory: Vec<u32>,
    /// `table`: the cores of Table 1; `quota`: a vCPU for each 1769 MB
    #[arg(long, default_value = "table", value_parser = ["table", "quota"])]
    cpu: String,
    /// Tasks [default: 100 for the figures, 10000 at once, else 100 seconds of --rate]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    tasks: Option<u64>,
    /// Tasks a second
    #[arg(long, default_value_t = 100.0, value_parser = positive)]
    rate: f64,
    /// Requests in flight of the closed loop
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..))]
    window: u64,
    /// Workers at once, at most
    #[arg(long, default_value_t = 1000)]
    workers: usize,
    /// Mean CPU time of a thumbnail in milliseconds
    #[arg(long, default_value_t = 600.0, value_parser = positive)]
    cpu_ms: f64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds the figures are means of [default: 10 for the figures, 3 for the rest]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    seeds: Option<u64>,
    /// Of farspawn: fast, balanced or thrift
    #[arg(long, default_value = "balanced")]
    mode: Mode,
    /// Leaves an element of farspawn out; may be given several times
    #[arg(long, value_name = "ELEMENT", value_delimiter = ',')]
    without: Vec<Element>,
    /// Adds an element to farspawn
    #[arg(long, value_name = "ELEMENT", value_delimiter = ',')]
    with: Vec<Element>,
    /// Runs farspawn without each of its elements in turn
    #[arg(long)]
    ablation: bool,
    /// Of paper: the period of the polls in milliseconds
    #[arg(long, default_value_t = 50.0, value_parser = positive)]
    poll_ms: f64,
    /// Of paper: workers are started by slots, by the pool alone, or for every so many requests
    #[arg(long, default_value = "slots", value_parser = ["slots", "pool", "requests"])]
    spawning: String,
    /// Of paper: slots of all workers, at most
    #[arg(long)]
    slots_max: Option<u32>,
    /// A table of prices instead of the built-in one, which is coordinator/src/prices.json
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// x86 or arm
    #[arg(long, default_value = "x86")]
    architecture: Architecture,
    /// Mean of a cold start in milliseconds
    #[arg(long, default_value_t = 250.0, value_parser = positive)]
    cold_start_ms: f64,
    /// The part of the workers that are slow
    #[arg(long, default_value_t = 0.0, value_parser = part)]
    slow: f64,
    /// How fast a slow worker is
    #[arg(long, default_value_t = 0.333, value_parser = positive)]
    slow_speed: f64,
    /// Mean time in seconds until a worker dies [default: never]
    #[arg(long, value_parser = positive)]
    worker_life: Option<f64>,
    /// Machine-readable
    #[arg(long)]
    json: bool,
    /// Draws Figures 2, 3 and 4 into a folder
    #[arg(long, value_name = "FOLDER")]
    svg: Option<PathBuf>,
}

fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    let fine = number.is_finite() && number > 0.0;
    fine.then_some(number).ok_or_else(|| "a number above 0 is expected".to_owned())
}

fn part(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    (0.0..=1.0).contains(&number).then_some(number).ok_or_else(|| "0 to 1 is expected".to_owned())
}

impl Flags {
    /// Runs what was asked for; the answer is the text to be printed.
    pub fn run(&self) -> anyhow::Result<String> {
        if self.ablation {
            return self.ablation();
        }
        let policies =
            if self.policy.is_empty() { Policy::ALL.to_vec() } else { self.policy.clone() };
        let rows = self.rows(&policies)?;
        let mut text = if self.json {
            serde_json::to_string_pretty(&rows)? + "\n"
        } else {
            report::table(&rows) + &report::warnings(&self.plan(Run::Figures)?)?
        };
        if let Some(folder) = &self.svg {
            let names = plot::draw(&rows, folder).map_err(anyhow::Error::msg)?;
            if !self.json {
                text += &format!("\n{}: {}\n", folder.display(), names.join(", "));
            }
        }
        Ok(text)
    }

    fn rows(&self, policies: &[Policy]) -> anyhow::Result<Vec<Row>> {
        if let Some(file) = &self.trace {
            return self.trace_rows(file, policies);
        }
        let runs = if self.workload == Run::All {
            let all = [
                Run::Figures,
                Run::Burst,
                Run::Poisson,
                Run::Bursty,
                Run::LongTail,
                Run::Mix,
                Run::Pipeline,
            ];
            all.to_vec()
        } else {
            vec![self.workload]
        };
        let mut rows = Vec::new();
        for run in runs {
            let mut plan = self.plan(run)?;
            if run == Run::Figures {
                rows.extend(plan.figures(policies, &self.memory)?);
                continue;
            }
            let (name, load) = self.load(run);
            for memory_mb in self.sizes() {
                plan.model.memory_mb = memory_mb;
                rows.push(plan.row(&name, policies, load)?);
            }
        }
        Ok(rows)
    }

    fn trace_rows(&self, file: &PathBuf, policies: &[Policy]) -> anyhow::Result<Vec<Row>> {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("--trace {}", file.display()))?;
        let workload = parse_trace(&text, self.seed, self.cpu_ms / 1000.0)
            .map_err(|fault| anyhow::anyhow!("--trace {}: {fault}", file.display()))?;
        let mut plan = self.plan(Run::Poisson)?;
        let mut rows = Vec::new();
        for memory_mb in self.sizes() {
            plan.model.memory_mb = memory_mb;
            let workloads: Vec<_> = (0..self.seeds.unwrap_or(1))
                .map(|seed| (self.seed + seed, workload.clone()))
                .collect();
            rows.push(plan.row_of(&file.display().to_string(), policies, &workloads)?);
        }
        Ok(rows)
    }

    fn sizes(&self) -> Vec<u32> {
        if self.memory.is_empty() { vec![10240] } else { self.memory.clone() }
    }

    fn load(&self, run: Run) -> (String, Load) {
        let rate = self.rate;
        match run {
            Run::Figures | Run::Window | Run::All => {
                let window = self.window as usize;
                (format!("{window} requests in flight"), Load::Window(window))
            }
            Run::Burst => ("all at once".to_owned(), Load::Burst),
            Run::Poisson => (format!("Poisson {rate}/s"), Load::Poisson(rate)),
            Run::Bursty => (format!("bursts, {rate}/s"), Load::Bursty(rate)),
            Run::LongTail => (format!("long tail, {rate}/s"), Load::LongTail(rate)),
            Run::Mix => (format!("computing and waiting, {rate}/s"), Load::Mix(rate)),
            Run::Pipeline => (format!("pipelines, {rate}/s"), Load::Pipeline(rate)),
        }
    }

    fn plan(&self, run: Run) -> anyhow::Result<Plan> {
        let figures = matches!(run, Run::Figures | Run::Window);
        let tasks = match run {
            Run::Figures | Run::Window => 100,
            Run::Burst => 10_000,
            _ => ((100.0 * self.rate) as u64).clamp(300, 100_000),
        };
        let mut tuning = Tuning::mode(self.mode);
        self.without.iter().for_each(|element| tuning.elements = tuning.elements.without(*element));
        self.with.iter().for_each(|element| tuning.elements = tuning.elements.with(*element));
        Ok(Plan {
            model: self.model()?,
            tasks: self.tasks.unwrap_or(tasks) as usize,
            cpu_mean: self.cpu_ms / 1000.0,
            workers_max: self.workers,
            seeds: (self.seed, self.seeds.unwrap_or(if figures { 10 } else { 3 })),
            tuning,
            poll: Duration::from_secs_f64(self.poll_ms / 1000.0).as_secs_f64(),
            spawning: match self.spawning.as_str() {
                "pool" => Spawning::Pool,
                "requests" => Spawning::Requests,
                _ => Spawning::Slots,
            },
            slots_max: self.slots_max,
        })
    }

    fn model(&self) -> anyhow::Result<Model> {
        let prices = match &self.prices {
            Some(file) => Prices::read(file).map_err(|fault| anyhow!("--prices {fault}"))?,
            None => Prices::default(),
        };
        if !prices.architectures.contains_key(&self.architecture) {
            bail!("the table of prices has no price for {:?}", self.architecture);
        }
        Ok(Model {
            memory_mb: self.memory.first().copied().unwrap_or(10240),
            cpu: if self.cpu == "quota" { Cpu::Quota } else { Cpu::Table },
            architecture: self.architecture,
            prices,
            cold_start: (self.cold_start_ms / 1000.0, 0.3),
            faults: Faults {
                worker_life: self.worker_life.unwrap_or(0.0),
                slow_part: self.slow,
                slow_speed: self.slow_speed,
            },
            ..Model::default()
        })
    }

    fn ablation(&self) -> anyhow::Result<String> {
        let runs = [
            ("test A", Run::Window),
            ("test B", Run::Burst),
            ("Poisson", Run::Poisson),
            ("bursts", Run::Bursty),
            ("mix", Run::Mix),
            ("pipeline", Run::Pipeline),
        ];
        let (mut columns, mut baselines) = (Vec::new(), Vec::new());
        for (name, run) in runs {
            let mut plan = self.plan(if run == Run::Burst { Run::Window } else { run })?;
            if run == Run::Burst {
                plan.workers_max = 8;
            }
            let (_, load) = self.load(run);
            let rows = plan.ablation(load)?;
            baselines.push(plan.row("", &[], load)?.summaries.swap_remove(0));
            columns.push((name.to_owned(), rows));
        }
        if self.json {
            return Ok(serde_json::to_string_pretty(&columns)? + "\n");
        }
        Ok(report::ablation(&columns, &baselines))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(flags: &[&str], expected: &str) {
        let parsed = Flags::try_parse_from(["sim"].iter().chain(flags));
        let refusal = match parsed {
            Ok(flags) => flags.run().unwrap_err().to_string(),
            Err(refusal) => refusal.to_string(),
        };
        assert!(refusal.contains(expected), "{flags:?}: {refusal}");
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_can() {
        check_refused(&["--policy", "papre"], "conventional, paper and farspawn");
        check_refused(&["--without", "pull"], "push, all-cores");
        check_refused(&["--mode", "slow"], "fast, balanced, thrift");
        check_refused(&["--memory", "64"], "128..=10240");
        check_refused(&["--memory", "256"], "has no room for a task of 144 MB");
        check_refused(&["--workers", "0"], "at least 1");
        check_refused(&["--rate", "0"], "above 0");
        check_refused(&["--slow", "2"], "0 to 1");
        check_refused(&["--architecture", "sparc"], "x86 and arm");
        check_refused(&["--trace", "/nowhere"], "--trace /nowhere");
        check_refused(&["--prices", "/nowhere"], "--prices /nowhere");
    }

    #[test]
    fn json_has_every_policy_with_its_bill() {
        let flags = ["sim", "--memory", "2048", "--seeds", "1", "--tasks", "10", "--json"];
        let text = Flags::try_parse_from(flags).unwrap().run().unwrap();
        let rows: serde_json::Value = serde_json::from_str(&text).unwrap();
        let summaries = rows[0]["summaries"].as_array().unwrap();
        let names: Vec<&str> =
            summaries.iter().map(|summary| summary["policy"].as_str().unwrap()).collect();
        assert_eq!(names, ["conventional", "paper", "farspawn", "bound"]);
        assert!(summaries[0]["dollars_per_million"].as_f64().unwrap() > 20.0);
    }

    #[test]
    fn figures_are_drawn() {
        let folder = std::env::temp_dir().join(format!("farspawn-figures-{}", std::process::id()));
        let name = folder.display().to_string();
        let flags = ["sim", "--seeds", "1", "--tasks", "10", "--svg", &name, "--json"];
        Flags::try_parse_from(flags).unwrap().run().unwrap();
        for figure in ["figure-2-cost", "figure-3-invocations", "figure-4-latency"] {
            for test in ["a", "b"] {
                let file = folder.join(format!("{figure}-{test}.svg"));
                let text = std::fs::read_to_string(&file).unwrap();
                assert!(text.contains("10240 MB") && text.contains("farspawn"), "{file:?}");
            }
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
