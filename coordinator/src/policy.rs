//! What the scheduler may do: limits, times and thresholds.

use std::time::Duration;

use channels::wire::Place;

use crate::placement::paper::Thresholds;
use crate::placement::{Choice, Shape};

/// What the scheduler is told at the start.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The paper's thresholds.
    pub thresholds: Thresholds,
    /// Workers at once, at most.
    pub workers_max: usize,
    /// Threads of a worker that has not yet said how many it has.
    pub threads: u32,
    /// How long a worker without tasks is kept. The paper's is zero.
    pub idle_timeout: Duration,
    /// How long a launch may take until its worker says hello.
    pub launch_timeout: Duration,
    /// Where tasks go.
    pub place: Place,
    /// A policy of [`crate::placement`], chosen by name. `None`: the paper's, asked whenever an
    /// answer may have changed, with workers that outlive their tasks by `idle_timeout`.
    pub placement: Option<Choice>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            thresholds: Thresholds::default(),
            workers_max: 2,
            threads: 2,
            idle_timeout: Duration::from_secs(10),
            launch_timeout: Duration::from_secs(30),
            place: Place::Auto,
            placement: None,
        }
    }
}

impl Policy {
    /// What a worker on this machine is taken to have, until it says so itself.
    pub fn local_shape(&self) -> Shape {
        Shape {
            threads: self.threads,
            cores: f64::from(self.threads),
            memory: u64::MAX >> 1,
            memory_base: 0,
            // Its network is not the limit.
            network: 1e10,
            lifetime: self.thresholds.exec_timeout,
        }
    }
}
