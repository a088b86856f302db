//! What was found, for people: tables, and the warnings that belong to them.

use std::fmt::Write;

use super::evaluation::{Plan, Row, Summary};
use super::model::{Cpu, MEMORY_SIZES, Model};
use super::workload::Load;
use crate::placement::Refusal;
use crate::placement::choice::Policy;

/// Rows as a table, one block for each workload.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    let mut workload = "";
    for row in rows {
        if row.workload != workload {
            workload = &row.workload;
            write!(text, "\n{workload}\n{:>6}  {:<13}", "MB", "policy").ok();
            for title in ["$/million", "cost cut", "invocations", "time", "time cut", "mean"] {
                write!(text, "{title:>12}").ok();
            }
            writeln!(text, "{:>9}  busy/wait/idle/start", "p99").ok();
        }
        for (at, summary) in row.summaries.iter().enumerate() {
            let memory = if at == 0 { row.memory_mb.to_string() } else { String::new() };
            writeln!(text, "{memory:>6}  {}", line(summary, &row.summaries[0])).ok();
        }
    }
    text
}

fn line(summary: &Summary, baseline: &Summary) -> String {
    let mut text = format!("{:<13}{:>12.2}", summary.policy, summary.dollars_per_million);
    if std::ptr::eq(summary, baseline) {
        write!(text, "{:>12}", "").ok();
    } else {
        write!(text, "{:>10.1} %", summary.cost_cut).ok();
    }
    if summary.policy == "bound" {
        write!(text, "{:>12}{:>10.2} s{:>10.1} %", "", summary.makespan, summary.time_cut).ok();
        return text;
    }
    write!(text, "{:>12.1}{:>10.2} s", summary.invocations, summary.makespan).ok();
    if std::ptr::eq(summary, baseline) {
        write!(text, "{:>12}", "").ok();
    } else {
        write!(text, "{:>10.1} %", summary.time_cut).ok();
    }
    let mean = summary.latency_mean / baseline.latency_mean.max(1e-9);
    let p99 = summary.latency_p99 / baseline.latency_p99.max(1e-9);
    let billed = &summary.billed;
    write!(text, "{mean:>11.2}x{p99:>8.2}x").ok();
    if billed.busy > 0.0 {
        write!(
            text,
            "  {:.0}/{:.0}/{:.0}/{:.0} %",
            billed.busy, billed.waiting, billed.idle, billed.starting
        )
        .ok();
    }
    if summary.local_messages > 0.0 {
        write!(text, ", {:.0} % of messages local", summary.local_messages).ok();
    }
    text
}

/// What each element brings, as a table of columns by workload.
pub fn ablation(columns: &[(String, Vec<(String, Summary)>)], baselines: &[Summary]) -> String {
    let mut text = format!("\n{:<28}", "cost cut / time cut, mean");
    columns.iter().for_each(|(name, _)| _ = write!(text, "{name:>26}"));
    text.push('\n');
    let Some((_, first)) = columns.first() else { return text };
    for at in 0..first.len() {
        write!(text, "{:<28}", first[at].0).ok();
        for ((_, rows), baseline) in columns.iter().zip(baselines) {
            let (_, summary) = &rows[at];
            let mean = summary.latency_mean / baseline.latency_mean.max(1e-9);
            let cell = format!("{:.1} / {:.1}, {mean:.2}x", summary.cost_cut, summary.time_cut);
            write!(text, "{cell:>26}").ok();
        }
        text.push('\n');
    }
    text
}

/// What a large number in the tables does not say, each with its figure from this very model.
pub fn warnings(plan: &Plan) -> Result<String, Refusal> {
    let mut text = String::from("\nTo be read with the tables:\n");
    cheapest(plan, Cpu::Table, &mut text)?;
    cheapest(plan, Cpu::Quota, &mut text)?;
    let mut low = Plan { tasks: 300, seeds: (plan.seeds.0, 1), ..plan.clone() };
    low.model.memory_mb = 10240;
    let row = low.row("low load", &[Policy::Farspawn], Load::Poisson(1.0))?;
    let cut = row.summaries[1].cost_cut;
    writeln!(
        text,
        "- At low load nothing can share: one task a second at 10240 MB saves {cut:.0} %. A \
         smaller worker saves more there."
    )
    .ok();
    let prices = &plan.model.prices;
    let per_task = row.summaries[0].dollars_per_million / 1e6;
    let tasks = prices.coordinator_dollars_per_hour / per_task.max(1e-12);
    writeln!(
        text,
        "- The coordinator's machine is not in the tables: {:.4} $ an hour, as much as {tasks:.0} \
         conventional invocations of 10240 MB.",
        prices.coordinator_dollars_per_hour
    )
    .ok();
    writeln!(
        text,
        "- A model, not AWS: no hyper-threads, no neighbours, no throttling by S3, no CPU time of \
         the coordinator. Prices: {}, {}.",
        prices.region, prices.date
    )
    .ok();
    Ok(text)
}

/// Against the cheapest size of the baseline, which is what a careful user would take.
fn cheapest(plan: &Plan, cpu: Cpu, text: &mut String) -> Result<(), Refusal> {
    let mut best = [(0, f64::MAX); 2];
    for memory_mb in MEMORY_SIZES {
        let model = Model { memory_mb, cpu, ..plan.model.clone() };
        let plan = Plan { model, workers_max: 8, tasks: 100, ..plan.clone() };
        let row = plan.row("", &[Policy::Farspawn], Load::Burst)?;
        for (best, summary) in best.iter_mut().zip(&row.summaries) {
            if summary.dollars_per_million < best.1 {
                *best = (memory_mb, summary.dollars_per_million);
            }
        }
    }
    let [(theirs_mb, theirs), (ours_mb, ours)] = best;
    let cpu = match cpu {
        Cpu::Table => "as many cores as Table 1 says",
        Cpu::Quota => "a vCPU for each 1769 MB, which is what Lambda grants",
    };
    writeln!(
        text,
        "- Against the cheapest baseline, {theirs:.1} $ at {theirs_mb} MB, farspawn saves {:.0} %: \
         {ours:.1} $ at {ours_mb} MB (test B; {cpu}).",
        100.0 * (1.0 - ours / theirs)
    )
    .ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_and_its_warnings_can_be_read() {
        let plan = Plan { seeds: (1, 1), tasks: 20, ..Plan::default() };
        let rows = plan.figures(&Policy::ALL, &[2048, 10240]).unwrap();
        let text = table(&rows);
        assert_eq!(text.lines().filter(|line| line.contains("farspawn")).count(), 4, "{text}");
        assert_eq!(text.matches("bound").count(), 4, "{text}");
        let text = warnings(&plan).unwrap();
        assert_eq!(text.matches("cheapest baseline").count(), 2, "{text}");
        assert!(text.contains("At low load"), "{text}");
    }
}
