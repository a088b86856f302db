//! A worker of a simulation: its resources, its tasks, and where its billed time goes.

use super::model::Model;
use super::random::Random;
use super::sharing::{Service, Sharing};
use crate::bill::Meter;
use crate::placement::{Report, Shape, WorkerSide};

/// How far a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its sandbox starts.
    Starting,
    /// It runs, and its first word is on its way.
    Up,
    /// The coordinator knows it.
    Ready,
    /// It has ended.
    Gone,
}

/// The worker.
#[derive(Debug)]
pub struct Machine {
    /// Which bearer of its number it is.
    pub generation: u32,
    /// How far it is.
    pub stage: Stage,
    /// The launch that it answers.
    pub launch: u64,
    /// Tasks that came to it.
    pub runs_seen: u64,
    /// It ends of its own will, and says goodbye.
    pub leaves: bool,
    /// Its CPU, shared by tasks.
    pub cpu: Sharing,
    /// Its network, shared by tasks.
    pub network: Sharing,
    /// Its tasks.
    pub tasks: Vec<u32>,
    /// The tasks that the coordinator believes to be there.
    pub assigned: Vec<u32>,
    /// 1.0 is a worker as it should be.
    pub speed: f64,
    /// Memory in use.
    pub memory: f64,
    /// What it is billed.
    pub meter: Meter,
    booked: f64,
    shape: Shape,
}

impl Machine {
    /// One that was asked for, and will be up in a while.
    pub fn new(generation: u32, asked: f64, model: &Model, side: &WorkerSide, slow: bool) -> Self {
        let shape = model.shape();
        let speed = if slow { model.faults.slow_speed } else { 1.0 };
        let interference = model.interference;
        let cpu = Service::Cpu { cores: shape.cores, interference, speed };
        let network = Service::Network { total: model.network.0, each: model.network.1 };
        Self {
            generation,
            stage: Stage::Starting,
            launch: 0,
            runs_seen: 0,
            leaves: false,
            cpu: Sharing::new(cpu, side.cpu_gate),
            network: Sharing::new(network, side.transfers_max),
            tasks: Vec::new(),
            assigned: Vec::new(),
            speed,
            memory: model.memory_base as f64,
            meter: Meter::new(asked),
            booked: asked,
            shape,
        }
    }

    /// Whether chance makes the next one slow.
    pub fn is_slow(model: &Model, random: &mut Random) -> bool {
        model.faults.slow_part > 0.0 && random.unit() < model.faults.slow_part
    }

    /// Its program runs now; the start is billed for so long.
    pub fn is_up(&mut self, now: f64, billed: f64) {
        self.stage = Stage::Up;
        self.meter.is_up(now, billed, self.shape.cores);
        self.booked = now;
    }

    /// Books the time since the last call. Before anything changes.
    pub fn book(&mut self, now: f64) {
        let (since, span) = (self.booked, now - self.booked);
        self.booked = now;
        if matches!(self.stage, Stage::Starting | Stage::Gone) {
            return;
        }
        let tasks = self.tasks.len() as u32;
        self.meter.set(since, tasks, tasks);
        self.meter.used(span * (self.cpu.served() as f64).min(self.shape.cores));
        self.meter.set(now, tasks, tasks);
    }

    /// What a poll tells.
    pub fn report(&self) -> Report {
        Report {
            cpu: (self.cpu.served() as f64 / self.shape.cores).min(1.0) as f32,
            memory: (self.memory / self.shape.memory as f64) as f32,
            running: self.tasks.len() as u32,
            held: self.tasks.len() as u32,
        }
    }

    /// Whether its tasks need more memory than it has.
    pub fn is_out_of_memory(&self) -> bool {
        self.memory > self.shape.memory as f64
    }
}
