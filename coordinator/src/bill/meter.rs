//! One worker's meter. Times in seconds, so that virtual time and real time are the same to it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Tariff;

/// Where a worker's billed time goes, in seconds; the parts are the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// Starting.
    pub starting: f64,
    /// Computing: the used part of its CPU while it has tasks.
    pub busy: f64,
    /// The unused part, while tasks could compute and had no CPU: the worker was not granted the
    /// cores that it is taken to have.
    pub queued: f64,
    /// The unused part, while tasks wait for storage, timers and other services.
    pub waiting: f64,
    /// The unused part, while tasks wait on channels.
    pub parked: f64,
    /// Without tasks.
    pub idle: f64,
    /// Rounding up to what is billed.
    pub rounding: f64,
}

impl Account {
    /// All of it.
    pub fn total(&self) -> f64 {
        let with_tasks = self.busy + self.queued + self.waiting + self.parked;
        self.starting + with_tasks + self.idle + self.rounding
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.starting += other.starting;
        self.busy += other.busy;
        self.queued += other.queued;
        self.waiting += other.waiting;
        self.parked += other.parked;
        self.idle += other.idle;
        self.rounding += other.rounding;
    }
}

/// What a worker is billed, and for what.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Charge {
    /// Billed milliseconds.
    pub billed_ms: u64,
    /// Where they went.
    pub account: Account,
}

/// Measures one worker. While it has tasks, the used part of its CPU is what it computes; the rest
/// is split by what its tasks do instead: those that occupy a thread and do not compute wait, for a
/// CPU or for something else; the others are parked.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Meter {
    /// When it was asked for.
    asked: f64,
    /// When it began to be billed; nothing is billed before it is up.
    from: Option<f64>,
    starting: f64,
    cores: f64,
    /// All before this is in the sums.
    booked: f64,
    held: u32,
    running: u32,
    /// Seconds with tasks, and without.
    with_tasks: f64,
    idle: f64,
    /// Seconds of tasks that occupied a thread, and that did not.
    seated: f64,
    unseated: f64,
    /// CPU seconds.
    cpu: f64,
    /// Seconds in which tasks waited for a CPU.
    queued: f64,
}

impl Meter {
    /// Of a worker that was asked for.
    pub fn new(asked: f64) -> Self {
        Self { asked, booked: asked, ..Self::default() }
    }

    /// How long it took until it was there.
    pub fn start(&self) -> f64 {
        self.from.map_or(0.0, |from| from + self.starting - self.asked)
    }

    /// The worker is there, with so many cores; its start is billed for so long.
    pub fn is_up(&mut self, now: f64, start_billed: f64, cores: f64) {
        self.starting = start_billed;
        self.from = Some(now - start_billed);
        self.cores = cores.max(f64::MIN_POSITIVE);
        self.booked = now;
    }

    /// From now on it holds so many tasks, of which so many occupy a thread.
    pub fn set(&mut self, now: f64, held: u32, running: u32) {
        self.book(now);
        (self.held, self.running) = (held, running.min(held));
    }

    /// Its tasks have taken so much more CPU, in seconds.
    pub fn used(&mut self, cpu: f64) {
        self.cpu += if cpu.is_finite() { cpu.max(0.0) } else { 0.0 };
    }

    /// A task has waited so long for a CPU, in seconds.
    pub fn queued(&mut self, seconds: f64) {
        self.queued += if seconds.is_finite() { seconds.max(0.0) } else { 0.0 };
    }

    /// CPU seconds that are known.
    pub fn cpu(&self) -> f64 {
        self.cpu
    }

    fn book(&mut self, now: f64) {
        let span = now - self.booked;
        if span <= 0.0 || self.from.is_none() {
            return;
        }
        self.booked = now;
        if self.held == 0 {
            self.idle += span;
        } else {
            self.with_tasks += span;
        }
        self.seated += span * f64::from(self.running);
        self.unseated += span * f64::from(self.held - self.running);
    }

    /// What it is billed if it ends now, or has ended.
    pub fn charge(&self, now: f64, tariff: &Tariff) -> Charge {
        let mut meter = *self;
        meter.book(now);
        let Some(from) = meter.from else { return Charge::default() };
        let billed = (now - from).max(0.0);
        let busy = (meter.cpu / meter.cores).min(meter.with_tasks);
        let unused = meter.with_tasks - busy;
        let waiting = (meter.seated - meter.cpu).max(0.0);
        let queued = meter.queued.min(waiting);
        let others = waiting + meter.unseated;
        let part = |of: f64| if others > 0.0 { unused * of / others } else { 0.0 };
        let (queued, parked) = (part(queued), part(meter.unseated));
        let billed_ms = tariff.prices.billed_ms(Duration::from_secs_f64(billed.min(1e15)));
        let account = Account {
            starting: meter.starting,
            busy,
            queued,
            waiting: unused - queued - parked,
            parked,
            idle: meter.idle,
            rounding: billed_ms as f64 / 1000.0 - billed,
        };
        Charge { billed_ms, account }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up(cores: f64) -> Meter {
        let mut meter = Meter::new(0.0);
        meter.is_up(1.0, 0.5, cores);
        meter
    }

    #[test]
    fn the_parts_are_the_whole() {
        let mut meter = up(2.0);
        meter.set(1.5, 4, 2);
        meter.used(1.0);
        meter.queued(2.0);
        meter.set(3.5, 1, 0);
        meter.set(4.0, 0, 0);
        let Charge { billed_ms, account } = meter.charge(4.0004, &Tariff::default());
        assert_eq!(billed_ms, 3501);
        assert!((account.total() - 3.501).abs() < 1e-9, "{account:?}");
        assert!((account.starting, account.busy) == (0.5, 0.5), "{account:?}");
        // 2 s with two of four on threads: 1 s of CPU and 2 s in a queue; 0.5 s with one parked.
        let part = |seconds: f64| 2.0 * seconds / (3.0 + 4.5);
        assert!((account.parked - part(4.5)).abs() < 1e-9, "{account:?}");
        assert!((account.queued - part(2.0)).abs() < 1e-9, "{account:?}");
        assert!((account.waiting - part(1.0)).abs() < 1e-9, "{account:?}");
        assert!((account.idle - 0.5004).abs() < 1e-9, "{account:?}");
    }

    #[test]
    fn what_a_worker_says_of_itself_cannot_spoil_the_sums() {
        for cpu in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
            let mut meter = up(2.0);
            meter.set(1.0, 1, 9);
            meter.used(cpu);
            meter.queued(cpu);
            let Charge { billed_ms, account } = meter.charge(2.0, &Tariff::default());
            assert_eq!(billed_ms, 1500);
            assert!((account.total() - 1.5).abs() < 1e-9, "{cpu}: {account:?}");
            assert!(account.busy >= 0.0 && account.waiting >= 0.0, "{cpu}: {account:?}");
        }
    }

    #[test]
    fn a_worker_that_was_never_up_costs_nothing() {
        let mut meter = Meter::new(1.0);
        meter.set(2.0, 1, 1);
        assert_eq!(meter.charge(9.0, &Tariff::default()), Charge::default());
    }
}
