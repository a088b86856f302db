//! What the scheduler may do: limits, times and thresholds.

use std::time::Duration;

use channels::wire::Place;

use crate::placement::paper::Thresholds;

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
        }
    }
}
