//! The books of a run: its workers that ended, and the tasks that were done.

use std::collections::BTreeMap;
use std::time::Duration;

use super::report::{Conventional, Kind, Report, Worker};
use super::{Account, Meter, Tariff};
use crate::placement::Usage;

/// Workers that are listed, and kinds; what comes later is in the sums only.
const LISTED_MAX: usize = 1000;

/// The books.
#[derive(Clone, Debug)]
pub struct Ledger {
    tariff: Tariff,
    began: f64,
    workers: Vec<Worker>,
    sums: Sums,
    kinds: BTreeMap<String, Kind>,
    /// Tasks of kinds that are not listed.
    others: Kind,
    conventional_ms: u64,
    /// Dollars for those, each in a function of the size of the worker that it ran on.
    conventional_dollars: f64,
    /// Tasks that were at workers at once, at most: sandboxes that they would have needed.
    peak: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    workers: u64,
    billed_ms: u64,
    dollars: f64,
    account: Account,
}

impl Ledger {
    /// Of a run that begins.
    pub fn new(tariff: Tariff, began: f64) -> Self {
        Self {
            tariff,
            began,
            workers: Vec::new(),
            sums: Sums::default(),
            kinds: BTreeMap::new(),
            others: Kind::default(),
            conventional_ms: 0,
            conventional_dollars: 0.0,
            peak: 0,
        }
    }

    /// How its workers are billed.
    pub fn tariff(&self) -> &Tariff {
        &self.tariff
    }

    /// A worker ends.
    pub fn end(&mut self, now: f64, worker: u64, threads: u32, meter: &Meter) {
        let worker = self.sums.add(&self.tariff, now, worker, threads, meter);
        if self.workers.len() < LISTED_MAX {
            self.workers.push(worker);
        }
    }

    /// So many tasks are at workers.
    pub fn at_once(&mut self, tasks: usize) {
        self.peak = self.peak.max(tasks as u64);
    }

    /// So many attempts ended on a worker of so many threads, each of which took as much. As a
    /// function of its own it would have taken as long, less the time in which it waited for a CPU
    /// that others had.
    pub fn tasks(&mut self, kind: &str, count: u32, threads: u32, usage: &Usage) {
        if !self.kinds.contains_key(kind) && self.kinds.len() < LISTED_MAX {
            self.kinds.insert(kind.to_owned(), Kind::default());
        }
        let entry = self.kinds.get_mut(kind).unwrap_or(&mut self.others);
        let times = f64::from(count);
        entry.tasks += u64::from(count);
        entry.seconds += times * usage.wall.as_secs_f64();
        entry.cpu_seconds += times * usage.cpu.as_secs_f64();
        entry.queued_seconds += times * usage.queued.as_secs_f64();
        let alone = usage.wall.saturating_sub(usage.queued).max(Duration::from_nanos(1));
        let billed_ms = self.tariff.prices.billed_ms(alone).saturating_mul(u64::from(count));
        self.conventional_ms = self.conventional_ms.saturating_add(billed_ms);
        self.conventional_dollars += self.tariff.time(threads, billed_ms);
    }

    /// What it has come to by now, with workers that are still there: each with its number, its
    /// threads and its meter.
    pub fn report<'a>(
        &self,
        now: f64,
        present: impl Iterator<Item = (u64, u32, &'a Meter)>,
    ) -> Report {
        let (mut sums, mut workers) = (self.sums, self.workers.clone());
        for (number, threads, meter) in present {
            let worker = sums.add(&self.tariff, now, number, threads, meter);
            if workers.len() < LISTED_MAX {
                workers.push(worker);
            }
        }
        workers.sort_by_key(|worker| worker.worker);
        let mut kinds: Vec<Kind> = self.kinds.values().cloned().collect();
        for (kind, name) in kinds.iter_mut().zip(self.kinds.keys()) {
            kind.name.clone_from(name);
        }
        if self.others.tasks > 0 {
            kinds.push(Kind { name: "others".to_owned(), ..self.others.clone() });
        }
        let tasks = kinds.iter().map(|kind| kind.tasks).sum();
        let prices = &self.tariff.prices;
        let seconds = (now - self.began).max(0.0);
        let requests = prices.requests(sums.workers);
        let dollars = sums.dollars + requests;
        let coordinator_dollars = prices.coordinator_dollars_per_hour * seconds / 3600.0;
        let conventional = self.conventional(tasks, &sums);
        Report {
            prices: prices.clone(),
            architecture: self.tariff.architecture,
            seconds,
            tasks,
            invocations: sums.workers,
            billed_ms: sums.billed_ms,
            dollars,
            dollars_requests: requests,
            coordinator_dollars,
            dollars_in_all: dollars + coordinator_dollars,
            saved_percent: percent_saved(dollars, conventional.dollars),
            account: sums.account,
            workers_left_out: sums.workers - workers.len() as u64,
            workers,
            kinds,
            conventional,
        }
    }

    fn conventional(&self, tasks: u64, sums: &Sums) -> Conventional {
        let starts = self.peak.min(tasks);
        let each = sums.account.starting / sums.workers.max(1) as f64;
        let starting_ms = starts as f64 * each * 1000.0;
        let per_ms = self.conventional_dollars / self.conventional_ms.max(1) as f64;
        let dollars_requests = self.tariff.prices.requests(tasks);
        Conventional {
            invocations: tasks,
            cold_starts: starts,
            billed_ms: self.conventional_ms.saturating_add(starting_ms.round() as u64),
            dollars: self.conventional_dollars + per_ms * starting_ms + dollars_requests,
            dollars_requests,
        }
    }
}

fn percent_saved(ours: f64, theirs: f64) -> f64 {
    if theirs > 0.0 { 100.0 * (1.0 - ours / theirs) } else { 0.0 }
}

impl Sums {
    fn add(
        &mut self,
        tariff: &Tariff,
        now: f64,
        number: u64,
        threads: u32,
        meter: &Meter,
    ) -> Worker {
        let charge = meter.charge(now, tariff);
        let time = tariff.time(threads, charge.billed_ms);
        self.workers += 1;
        self.billed_ms = self.billed_ms.saturating_add(charge.billed_ms);
        self.dollars += time;
        self.account.add(&charge.account);
        Worker {
            worker: number,
            memory_mb: tariff.memory_mb(threads),
            start_seconds: meter.start(),
            billed_ms: charge.billed_ms,
            dollars: time + tariff.prices.requests(1),
            account: charge.account,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::price::Architecture;

    fn usage(wall_ms: u64, queued_ms: u64) -> Usage {
        let (wall, queued) = (Duration::from_millis(wall_ms), Duration::from_millis(queued_ms));
        Usage { wall, queued, ..Usage::default() }
    }

    fn tariff() -> Tariff {
        let architecture = Architecture::X86;
        Tariff { memory_mb: Some(2048), architecture, ..Tariff::default() }
    }

    /// By hand: two workers of a second each, of which one is still there; three tasks.
    #[test]
    fn a_run_by_hand() {
        let mut ledger = Ledger::new(tariff(), 10.0);
        let mut meter = Meter::new(10.0);
        meter.is_up(10.0, 0.0, 2.0);
        ledger.end(11.0, 1, 2, &meter);
        for _ in 0..3 {
            ledger.tasks("f", 1, 2, &usage(500, 100));
        }
        ledger.at_once(2);
        ledger.at_once(1);
        let report = ledger.report(11.0, [(2, 2, &meter)].into_iter());
        assert_eq!((report.invocations, report.billed_ms, report.tasks), (2, 2000, 3));
        let per_ms = 0.000_016_666_7 * 2.0 / 1000.0;
        let request = 0.20 / 1e6;
        assert!((report.dollars - (2000.0 * per_ms + 2.0 * request)).abs() < 1e-12);
        assert!((report.coordinator_dollars - 0.0236 / 3600.0).abs() < 1e-12);
        let conventional = &report.conventional;
        assert_eq!((conventional.billed_ms, conventional.cold_starts), (1200, 2));
        assert!((conventional.dollars - (1200.0 * per_ms + 3.0 * request)).abs() < 1e-12);
        assert!(report.saved_percent < 0.0, "two workers for 1.2 s of work");
        assert_eq!(report.kinds[0].tasks, 3);
        assert!((report.kinds[0].queued_seconds - 0.3).abs() < 1e-9);
    }

    #[test]
    fn lists_are_bounded_and_sums_are_not() {
        let mut ledger = Ledger::new(tariff(), 0.0);
        let mut meter = Meter::new(0.0);
        meter.is_up(0.0, 0.0, 2.0);
        for number in 0..1500 {
            ledger.end(1.0, number, 2, &meter);
            ledger.tasks(&format!("kind {number}"), 1, 2, &usage(1, 0));
        }
        let report = ledger.report(1.0, std::iter::empty());
        assert_eq!((report.workers.len(), report.workers_left_out), (1000, 500));
        assert_eq!((report.kinds.len(), report.tasks), (1001, 1500));
        assert_eq!(report.billed_ms, 1_500_000);
    }
}
