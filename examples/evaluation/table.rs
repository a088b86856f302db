//! What was measured beside what was predicted.

use std::fmt::Write;

use coordinator::placement::choice::Policy;
use coordinator::sim::outcome::Outcome;
use serde::Serialize;

use super::Flags;

/// Measured, predicted, and how far the one is from the other in percent of it.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Pair {
    measured: f64,
    predicted: f64,
    deviation_percent: f64,
}

impl Pair {
    fn new(measured: f64, predicted: f64) -> Self {
        let deviation_percent = 100.0 * (measured / predicted.max(1e-12) - 1.0);
        Self { measured, predicted, deviation_percent }
    }
}

/// One policy.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    policy: String,
    dollars_per_million: Pair,
    seconds: Pair,
    invocations: Pair,
    /// The whole bill.
    report: runtime::Report,
}

impl Line {
    pub(crate) fn new(
        policy: Policy,
        tasks: u32,
        measured: &runtime::Report,
        predicted: &Outcome,
    ) -> Self {
        let million = 1e6 / f64::from(tasks);
        Self {
            policy: policy.to_string(),
            dollars_per_million: Pair::new(
                measured.dollars * million,
                predicted.dollars_per_million(),
            ),
            seconds: Pair::new(measured.seconds, predicted.makespan),
            invocations: Pair::new(measured.invocations as f64, predicted.invocations as f64),
            report: measured.clone(),
        }
    }
}

/// For programs.
pub(crate) fn json(lines: &[Line]) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(lines)? + "\n")
}

/// For people.
pub(crate) fn text(lines: &[Line], flags: &Flags) -> String {
    let mut text = format!(
        "{:?}: {} tasks on at most {} workers of {} MB, measured and as the simulator predicts\n\n",
        flags.workload, flags.tasks, flags.workers, flags.memory
    );
    write!(text, "{:<13}", "policy").ok();
    for title in ["$/million", "time (s)", "invocations"] {
        write!(text, "{title:>12}{:>11}{:>9}", "predicted", "off").ok();
    }
    writeln!(text, "{:>12}{:>10}", "cost cut", "time cut").ok();
    for line in lines {
        write!(text, "{:<13}", line.policy).ok();
        let Line { dollars_per_million: cost, seconds: time, invocations, .. } = line;
        write!(
            text,
            "{:>12.2}{:>11.2}{:>7.1} %",
            cost.measured, cost.predicted, cost.deviation_percent
        )
        .ok();
        write!(
            text,
            "{:>12.2}{:>11.2}{:>7.1} %",
            time.measured, time.predicted, time.deviation_percent
        )
        .ok();
        let Pair { measured, predicted, deviation_percent } = *invocations;
        write!(text, "{measured:>12.0}{predicted:>11.0}{deviation_percent:>7.1} %").ok();
        if let Some(baseline) = lines.iter().find(|line| line.policy == "conventional") {
            let cut = |ours: Pair, theirs: Pair| 100.0 * (1.0 - ours.measured / theirs.measured);
            let cost = cut(*cost, baseline.dollars_per_million);
            write!(text, "{cost:>10.1} %{:>8.1} %", cut(*time, baseline.seconds)).ok();
        }
        text.push('\n');
    }
    let worst = lines.iter().flat_map(|line| [line.dollars_per_million, line.seconds]);
    let worst = worst.map(|pair| pair.deviation_percent.abs()).fold(0.0, f64::max);
    writeln!(text, "\nmeasured and predicted differ by {worst:.1} % at most, in cost and time")
        .ok();
    text
}
