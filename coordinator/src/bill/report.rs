//! The report of a run, for programs (serde) and for people (`Display`).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Account;
use crate::price::{Architecture, Prices};

/// What a run has cost, where the money went, and what conventional functions would have cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The table of prices, with its date and region.
    pub prices: Prices,
    /// The workers' processors.
    pub architecture: Architecture,
    /// From the client's first word.
    pub seconds: f64,
    /// Attempts of tasks that ended on workers.
    pub tasks: u64,
    /// Workers that ran; on Lambda, invocations.
    pub invocations: u64,
    /// Billed time of all workers.
    pub billed_ms: u64,
    /// For that time, and for the requests.
    pub dollars: f64,
    /// Of these, for requests.
    pub dollars_requests: f64,
    /// For the machine of the coordinator, as long as the run took.
    pub coordinator_dollars: f64,
    /// Workers, requests and coordinator.
    pub dollars_in_all: f64,
    /// Saved by workers of what conventional functions would have cost, in percent, without the
    /// coordinator. Less than 0 if they would have been cheaper.
    pub saved_percent: f64,
    /// Where the workers' time went, in seconds.
    pub account: Account,
    /// Each worker; the first thousand.
    pub workers: Vec<Worker>,
    /// Workers that are only in the sums.
    pub workers_left_out: u64,
    /// Each kind of task; the first thousand.
    pub kinds: Vec<Kind>,
    /// The same tasks, an invocation each.
    pub conventional: Conventional,
}

/// One worker's bill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Worker {
    /// Its number.
    pub worker: u64,
    /// Memory that it is billed for.
    pub memory_mb: u32,
    /// From its launch to its first word, billed or not.
    pub start_seconds: f64,
    /// Billed time.
    pub billed_ms: u64,
    /// Dollars, its request included.
    pub dollars: f64,
    /// Where its time went, in seconds.
    pub account: Account,
}

/// Tasks of one kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Kind {
    /// The function.
    pub name: String,
    /// Attempts that ended.
    pub tasks: u64,
    /// From their starts to their ends.
    pub seconds: f64,
    /// CPU time.
    pub cpu_seconds: f64,
    /// Time in which they could have gone on and waited for a CPU.
    pub queued_seconds: f64,
}

/// What conventional functions would have cost: an invocation for each task, on its own function
/// of the same size, for as long as it took here without waiting for a CPU that others had. As many
/// of them start cold as there were tasks at once, each for as long as our own starts took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conventional {
    /// Invocations.
    pub invocations: u64,
    /// Of these, in a new sandbox.
    pub cold_starts: u64,
    /// Billed time.
    pub billed_ms: u64,
    /// For time and requests.
    pub dollars: f64,
    /// Of these, for requests.
    pub dollars_requests: f64,
}

/// Workers in the table for people.
const SHOWN_MAX: usize = 16;

/// The parts of an account in percent of it.
fn percents(account: &Account) -> [(f64, &'static str); 7] {
    let percent = |part: f64| 100.0 * part / account.total().max(1e-9);
    [
        (percent(account.busy), "busy"),
        (percent(account.queued), "queued"),
        (percent(account.waiting), "waiting"),
        (percent(account.parked), "parked"),
        (percent(account.idle), "idle"),
        (percent(account.starting), "starting"),
        (percent(account.rounding), "rounding"),
    ]
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "{} tasks on {} workers in {:.2} s: {} ms billed, {:.3e} $",
            self.tasks, self.invocations, self.seconds, self.billed_ms, self.dollars
        )?;
        let architecture = format!("{:?}", self.architecture).to_lowercase();
        let Prices { date, region, .. } = &self.prices;
        writeln!(out, "prices of {date}, {region}, {architecture}; requests are included")?;
        write!(out, "\n{:>8}{:>8}{:>12}{:>12}", "worker", "MB", "billed ms", "$")?;
        for (_, title) in percents(&self.account) {
            write!(out, "{:>11}", format!("{title} %"))?;
        }
        writeln!(out)?;
        for worker in self.workers.iter().take(SHOWN_MAX) {
            let Worker { worker: number, memory_mb, billed_ms, dollars, account, .. } = worker;
            write!(out, "{number:>8}{memory_mb:>8}{billed_ms:>12}{dollars:>12.3e}")?;
            line(out, account)?;
        }
        let shown = self.workers.len().min(SHOWN_MAX) as u64;
        if shown < self.invocations {
            writeln!(out, "{:>8} {} more", "and", self.invocations - shown)?;
        }
        write!(out, "{:>8}{:>8}{:>12}{:>12.3e}", "all", "", self.billed_ms, self.dollars)?;
        line(out, &self.account)?;
        let Conventional { billed_ms, dollars, cold_starts, .. } = &self.conventional;
        writeln!(
            out,
            "\nas conventional functions of the same size, {cold_starts} of them started cold: \
             {billed_ms} ms billed, {dollars:.3e} $"
        )?;
        writeln!(out, "saved by sharing workers: {:.1} %", self.saved_percent)?;
        writeln!(
            out,
            "the coordinator's machine for {:.2} s: {:.3e} $; in all {:.3e} $",
            self.seconds, self.coordinator_dollars, self.dollars_in_all
        )
    }
}

fn line(out: &mut fmt::Formatter<'_>, account: &Account) -> fmt::Result {
    for (percent, _) in percents(account) {
        write!(out, "{percent:>11.1}")?;
    }
    writeln!(out)
}
