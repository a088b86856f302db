//! The platform of a simulation: how long things take, and what breaks.

use std::time::Duration;

use crate::bill::Tariff;
use crate::placement::Shape;
use crate::price::{Architecture, Prices};

/// What a worker's CPU is taken to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cpu {
    /// The cores of Table 1: as many as it shows.
    Table,
    /// What it is granted: a vCPU for each 1769 MB.
    Quota,
}

/// The model. Times in seconds, amounts in bytes.
#[derive(Clone, Debug)]
pub struct Model {
    /// Memory of a worker in MB.
    pub memory_mb: u32,
    /// What its CPU is taken to be.
    pub cpu: Cpu,
    /// Loss by interference when more tasks compute than there are cores.
    pub interference: f64,
    /// Processors, for the price.
    pub architecture: Architecture,
    /// What it all costs.
    pub prices: Prices,
    /// Mean of a cold start, and its deviation over it.
    pub cold_start: (f64, f64),
    /// The part of a cold start that is billed, if starts are.
    pub cold_start_billed: f64,
    /// A start in a sandbox that is there: billed.
    pub warm_start: f64,
    /// How long a sandbox is kept for another invocation.
    pub keep_alive: f64,
    /// A message from the client or a worker to the coordinator, or back.
    pub message: f64,
    /// Bytes a second of a worker's network, and of one connection.
    pub network: (f64, f64),
    /// Memory of a worker without tasks.
    pub memory_base: u64,
    /// The time limit of a worker.
    pub lifetime: f64,
    /// Starts allowed within 10 seconds; one more is refused.
    pub starts_max: usize,
    /// Workers are on one machine: no front door, and what a worker does until its first word is
    /// a part of its start.
    pub is_local: bool,
    /// What breaks.
    pub faults: Faults,
}

/// What breaks. Nothing, by default.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// Mean time until a worker dies; 0 for never.
    pub worker_life: f64,
    /// The part of the workers that are slow, and how fast those are.
    pub slow_part: f64,
    /// Speed of a slow worker: less than 1.
    pub slow_speed: f64,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            memory_mb: 10240,
            cpu: Cpu::Table,
            interference: 0.02,
            architecture: Architecture::X86,
            prices: Prices::default(),
            cold_start: (0.25, 0.3),
            cold_start_billed: 0.08,
            warm_start: 0.006,
            keep_alive: 300.0,
            message: 0.001,
            network: (75e6, 60e6),
            memory_base: 150_000_000,
            lifetime: 900.0,
            starts_max: 1000,
            is_local: false,
            faults: Faults::default(),
        }
    }
}

/// The memory sizes of the paper's Table 1, in MB.
pub const MEMORY_SIZES: [u32; 5] = [2048, 4096, 6144, 8192, 10240];

impl Model {
    /// What a worker has. Threads are those of Table 1, and between its sizes those that AWS shows.
    pub fn shape(&self) -> Shape {
        let threads = threads(self.memory_mb);
        let cores = match self.cpu {
            Cpu::Table => f64::from(threads),
            Cpu::Quota => f64::from(self.memory_mb) / 1769.0,
        };
        Shape {
            threads,
            cores,
            memory: u64::from(self.memory_mb) << 20,
            memory_base: self.memory_base,
            network: self.network.0,
            lifetime: Duration::from_secs_f64(self.lifetime),
        }
    }

    /// How its workers are billed.
    pub fn tariff(&self) -> Tariff {
        Tariff {
            prices: self.prices.clone(),
            architecture: self.architecture,
            memory_mb: Some(self.memory_mb),
            start_billed_max: Some(Duration::from_secs_f64(self.cold_start_billed)),
        }
    }
}

/// vCPUs that a function of so much memory shows: Table 1.
fn threads(memory_mb: u32) -> u32 {
    match memory_mb {
        ..=3008 => 2,
        3009..=5307 => 3,
        5308..=7076 => 4,
        7077..=8845 => 5,
        _ => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_of_table_1() {
        let shapes = MEMORY_SIZES.map(|memory_mb| Model { memory_mb, ..Model::default() }.shape());
        assert_eq!(shapes.map(|shape| shape.threads), [2, 3, 4, 5, 6]);
        assert_eq!(shapes.map(|shape| shape.cores), [2.0, 3.0, 4.0, 5.0, 6.0]);
        let quota = Model { cpu: Cpu::Quota, ..Model::default() };
        assert!((quota.shape().cores - 5.79).abs() < 0.01);
    }
}
