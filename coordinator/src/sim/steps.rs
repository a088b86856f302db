//! What a task does on a worker of a simulation: its steps, one after the other.

use std::time::Duration;

use super::engine::{Engine, Happening, Name};
use super::machine::Stage;
use super::workload::Work;
use crate::placement::{Channels, Life, Usage};

/// The steps of [`Work`], in order.
const FIRST: u8 = 0;
const READ: u8 = 1;
const COMPUTE: u8 = 2;
const LAST: u8 = 3;
const WRITE: u8 = 4;
const OVER: u8 = 5;

/// A sharer of a network that is no task: what a producer's worker sends to a consumer elsewhere.
const NOBODY: u32 = u32::MAX;

impl Engine<'_> {
    pub(super) fn on_start(&mut self, task: Name, worker: Name) {
        let now = self.now;
        let live = &mut self.tasks[task.number as usize];
        if live.generation != task.generation {
            // Its worker was gone before it came, and it was returned.
            return;
        }
        live.worker = Some(worker.number);
        live.started = now;
        live.step_started = now;
        live.step = FIRST;
        live.queued = 0.0;
        live.bytes = 0.0;
        let memory = f64::from(self.workload.jobs[live.job as usize].work.memory);
        let machine = &mut self.machines[worker.number as usize];
        if machine.stage == Stage::Gone {
            return;
        }
        machine.book(now);
        machine.tasks.push(task.number);
        machine.runs_seen += 1;
        machine.memory += memory;
        let out_of_memory = machine.is_out_of_memory();
        self.outcome.residents_peak = self.outcome.residents_peak.max(machine.tasks.len());
        if out_of_memory {
            self.end(worker);
            return;
        }
        self.tell_producer(task);
        self.step(task);
    }

    /// A second stage that runs elsewhere than the first did: the first one's worker sends.
    fn tell_producer(&mut self, task: Name) {
        let live = &self.tasks[task.number as usize];
        let job = &self.workload.jobs[live.job as usize];
        if !job.is_second {
            return;
        }
        self.outcome.local_messages.1 += 1;
        let (producer, here) = (live.parent_worker, live.worker);
        if producer == here {
            self.outcome.local_messages.0 += 1;
            return;
        }
        if self.side.channels == Channels::Stored {
            return;
        }
        let bytes = self.handed_over(live.job);
        let Some(producer) = producer else { return };
        let name = self.worker_name(producer);
        let now = self.now;
        if let Some(machine) = self.machine(name) {
            machine.network.enter(now, NOBODY, bytes);
            self.forecast_network(name);
        }
    }

    fn handed_over(&self, job: u32) -> f64 {
        let first = job.checked_sub(1).and_then(|first| self.workload.jobs.get(first as usize));
        first.and_then(|first| first.hands_over).map_or(0.0, f64::from)
    }

    /// What a task does, which depends on how stages hand over.
    fn work(&self, task: u32) -> Work {
        let live = &self.tasks[task as usize];
        let job = &self.workload.jobs[live.job as usize];
        let mut work = job.work;
        if self.side.channels == Channels::Linked {
            if job.hands_over.is_some() {
                (work.last, work.written) = (0.0, 0.0);
            }
            if job.is_second {
                let is_here = live.parent_worker == live.worker;
                let bytes = if is_here { 0.0 } else { self.handed_over(live.job) };
                (work.first, work.read) = (0.0, bytes as f32);
            }
        }
        work
    }

    /// Goes on to the next step that takes any time.
    fn step(&mut self, task: Name) {
        let work = self.work(task.number);
        let now = self.now;
        let live = &mut self.tasks[task.number as usize];
        let Some(worker) = live.worker else { return };
        live.step_started = now;
        let amounts = [work.first, work.read, work.cpu, work.last, work.written];
        while amounts.get(live.step as usize).is_some_and(|amount| *amount <= 0.0) {
            live.step += 1;
        }
        let step = live.step;
        let amount = amounts.get(step as usize).copied().map_or(0.0, f64::from);
        let name = self.worker_name(worker);
        match step {
            FIRST | LAST => self.after(amount, Happening::Waited(task)),
            READ | WRITE => {
                self.tasks[task.number as usize].bytes += amount;
                let machine = &mut self.machines[worker as usize];
                machine.network.enter(now, task.number, amount);
                self.forecast_network(name);
            }
            COMPUTE => {
                let machine = &mut self.machines[worker as usize];
                machine.book(now);
                machine.cpu.enter(now, task.number, amount);
                self.forecast_cpu(name);
            }
            _ => self.finish(task, name, &work),
        }
    }

    fn finish(&mut self, task: Name, worker: Name, work: &Work) {
        let now = self.now;
        let live = &mut self.tasks[task.number as usize];
        debug_assert_eq!(live.step, OVER);
        let job = &self.workload.jobs[live.job as usize];
        let wall = now - live.started;
        let speed = self.machines[worker.number as usize].speed;
        live.usage = Usage {
            wall: Duration::from_secs_f64(wall),
            cpu: Duration::from_secs_f64(f64::from(work.cpu) / speed),
            queued: Duration::from_secs_f64(live.queued.clamp(0.0, wall)),
            bytes: live.bytes as u64,
            channel_bytes: 0,
            memory: work.memory as u64,
        };
        if job.is_second && live.parent_worker != live.worker {
            let bytes = self.handed_over(self.tasks[task.number as usize].job);
            self.tasks[task.number as usize].usage.channel_bytes = bytes as u64;
        }
        let machine = &mut self.machines[worker.number as usize];
        machine.book(now);
        machine.tasks.retain(|other| *other != task.number);
        machine.memory -= f64::from(work.memory);
        self.after(self.model.message, Happening::Ended(task));
        if self.side.life == Life::OneTask {
            self.leave(worker);
        }
    }

    pub(super) fn on_waited(&mut self, task: Name) {
        if self.is_current(task) {
            self.tasks[task.number as usize].step += 1;
            self.step(task);
        }
    }

    pub(super) fn on_cpu(&mut self, worker: Name, version: u32) {
        let now = self.now;
        let Some(machine) = self.machine(worker) else { return };
        machine.book(now);
        let Some(left) = machine.cpu.leave(now, version) else { return };
        let speed = machine.speed;
        self.forecast_cpu(worker);
        let alone = f64::from(self.work(left.sharer).cpu) / speed;
        let live = &mut self.tasks[left.sharer as usize];
        // What the kernel counts: runnable, but not running.
        live.queued += now - live.step_started - alone;
        self.served(left.sharer);
    }

    pub(super) fn on_network(&mut self, worker: Name, version: u32) {
        let now = self.now;
        let Some(machine) = self.machine(worker) else { return };
        let Some(left) = machine.network.leave(now, version) else { return };
        self.forecast_network(worker);
        // A worker knows how long a transfer waited for its turn, not how slow it then was.
        if let Some((task, waited)) = left.let_in.filter(|(task, _)| *task != NOBODY) {
            self.tasks[task as usize].queued += waited;
        }
        if left.sharer != NOBODY {
            self.served(left.sharer);
        }
    }

    /// A task has been served by a resource.
    fn served(&mut self, task: u32) {
        self.tasks[task as usize].step += 1;
        let name = self.task_name(task);
        self.step(name);
    }

    fn is_current(&self, task: Name) -> bool {
        let live = &self.tasks[task.number as usize];
        let worker = live.worker.map(|worker| &self.machines[worker as usize]);
        live.generation == task.generation
            && worker.is_some_and(|machine| machine.stage != Stage::Gone)
    }

    fn forecast_cpu(&mut self, worker: Name) {
        if let Some((time, version)) = self.machines[worker.number as usize].cpu.forecast() {
            self.at(time, Happening::Cpu(worker, version));
        }
    }

    fn forecast_network(&mut self, worker: Name) {
        if let Some((time, version)) = self.machines[worker.number as usize].network.forecast() {
            self.at(time, Happening::Network(worker, version));
        }
    }
}
