//! What workers say of themselves, as far as it may be believed, and what it all costs.
//!
//! A worker is another program, and may say anything: no time is longer than the worker has been
//! there, no task takes more CPU than time, and nothing that is no number counts.

use std::time::Duration;

use channels::id::SessionId;
use channels::wire::{self, Frame, Stats, Vitals};
use serde::Serialize;

use super::{Scheduler, Worker};
use crate::Command;
use crate::bill::{Meter, Report};
use crate::placement::Usage;

/// How a worker is. Zeros before its first word.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Health {
    /// Its number.
    pub worker: u64,
    /// How long it has been there.
    pub seconds: f64,
    /// It was told to end.
    pub is_draining: bool,
    /// Tasks that it has.
    pub tasks: usize,
    /// Those of them that occupy a thread; the others are parked on channels.
    pub tasks_on_threads: usize,
    /// CPUs that it is granted.
    pub cores: f64,
    /// CPU time that it has used.
    pub cpu_seconds: f64,
    /// Tasks and threads that could run and wait for a CPU.
    pub run_queue: u32,
    /// Memory in use.
    pub memory_bytes: u64,
    /// Memory that it may use.
    pub memory_max_bytes: u64,
    /// How long ago, at its last word, a task had been polled.
    pub last_poll_seconds: f64,
}

impl Worker {
    /// What it holds has changed, or is known anew: the time until now is booked.
    pub(super) fn book(&mut self, now: Duration) {
        self.meter.set(now.as_secs_f64(), self.tasks.len() as u32, self.seated());
    }

    /// What an attempt took.
    pub(super) fn on_usage(&mut self, now: Duration, said: &wire::Usage) -> Usage {
        self.on_usages(now, 1, said)
    }

    /// What each of so many attempts took, if it is told what they took together.
    pub(super) fn on_usages(&mut self, now: Duration, count: u32, said: &wire::Usage) -> Usage {
        let most = now.saturating_sub(self.poll.start);
        let each = |micros: u64| Duration::from_micros(micros) / count;
        let wall = each(said.wall_us).min(most);
        let cpu = each(said.cpu_us).min(wall);
        let queued = each(said.queued_us).min(wall - cpu);
        self.tasks_cpu += f64::from(count) * cpu.as_secs_f64();
        self.meter.used(self.tasks_cpu - self.meter.cpu());
        self.meter.queued(f64::from(count) * queued.as_secs_f64());
        let shared = self.vitals.memory_bytes.saturating_sub(self.memory_idle);
        let shared = shared / self.tasks.len().max(1) as u64;
        let memory = if said.memory > 0 { said.memory.min(self.memory_bytes) } else { shared };
        let (bytes, channel_bytes) =
            (said.bytes / u64::from(count), said.channel_bytes / u64::from(count));
        Usage { wall, cpu, queued, bytes, channel_bytes, memory }
    }

    fn on_vitals(&mut self, now: Duration, said: Vitals) {
        let threads = self.poll.threads.max(1) as f32;
        let cores = if said.cores > 0.0 { said.cores.clamp(0.01, threads) } else { threads };
        let memory_bytes = said.memory_bytes.min(self.memory_bytes);
        self.vitals = Vitals { cores, memory_bytes, ..said };
        if self.tasks.is_empty() {
            self.memory_idle = self.memory_idle.min(memory_bytes);
        }
        let most = now.saturating_sub(self.poll.start).as_secs_f64() * f64::from(threads);
        let cpu = Duration::from_micros(said.cpu_us).as_secs_f64().min(most);
        self.meter.used(cpu - self.meter.cpu());
    }
}

impl Scheduler {
    /// The meter of a worker that is up now.
    pub(super) fn meter(&self, now: Duration, asked: Duration, cores: f64) -> Meter {
        let mut meter = Meter::new(asked.as_secs_f64());
        let start = self.ledger.tariff().start(now.saturating_sub(asked));
        meter.is_up(now.as_secs_f64(), start.as_secs_f64(), cores);
        meter
    }

    /// A worker says how it is, and what it has done by itself.
    pub fn on_word(
        &mut self,
        now: Duration,
        session: SessionId,
        word: Frame,
        commands: &mut Vec<Command>,
    ) {
        match word {
            Frame::Report { .. } => self.on_report(now, session, &word),
            Frame::Measures { vitals } => {
                self.on_measures(now, session, vitals);
                self.grant_seats(session, commands);
            }
            Frame::Tally { name, count, usage } => {
                self.on_tally(now, session, &name, count, &usage);
            }
            Frame::Began { task, name, parent } => {
                self.on_began(now, session, task, name, parent);
            }
            _ => {}
        }
    }

    /// A worker measured itself.
    pub fn on_measures(&mut self, now: Duration, session: SessionId, vitals: Vitals) {
        let Some(worker) = self.workers.get_mut(&session) else { return };
        worker.on_vitals(now, vitals);
        worker.book(now);
        let cores = f64::from(worker.vitals.cores);
        if let Some(steer) = &mut self.steer {
            steer.on_granted(now, session, cores);
        }
    }

    /// How the whole is.
    pub fn stats(&self, now: Duration, channels: usize) -> Stats {
        let age = |worker: &Worker| now.saturating_sub(worker.poll.start);
        let workers: Duration =
            self.totals.workers + self.workers.values().map(age).sum::<Duration>();
        Stats {
            workers: self.workers.len() as u32,
            starting: self.starting.len() as u32,
            running: (self.tasks.len() - self.pool.len()) as u32,
            pooled: self.pool.len() as u32,
            ended: self.totals.ended,
            launches: self.totals.launches,
            workers_us: workers.as_micros() as u64,
            tasks_us: self.totals.tasks.as_micros() as u64,
            channels: channels as u64,
        }
    }

    /// How each worker is, by its own last word.
    pub fn health(&self, now: Duration) -> Vec<Health> {
        let health = |worker: &Worker| Health {
            worker: worker.launch,
            seconds: now.saturating_sub(worker.poll.start).as_secs_f64(),
            is_draining: worker.draining,
            tasks: worker.tasks.len(),
            tasks_on_threads: worker.seated() as usize,
            cores: f64::from(worker.vitals.cores),
            cpu_seconds: worker.meter.cpu(),
            run_queue: worker.vitals.queue,
            memory_bytes: worker.vitals.memory_bytes,
            memory_max_bytes: worker.vitals.memory_max_bytes.min(worker.memory_bytes),
            last_poll_seconds: Duration::from_micros(worker.vitals.poll_age_us).as_secs_f64(),
        };
        self.workers.values().map(health).collect()
    }

    /// What the run has cost by now.
    pub fn report(&self, now: Duration) -> Report {
        let present =
            self.workers.values().map(|worker| (worker.launch, worker.poll.threads, &worker.meter));
        self.ledger.report(now.as_secs_f64(), present)
    }
}
