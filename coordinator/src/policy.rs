//! What the scheduler may do: limits, times and thresholds.

use std::time::Duration;

use channels::wire::Place;

use crate::placement::choice::Policy as Name;
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
    /// What a worker has that it does not say itself, if its platform knows: without, it is taken
    /// to be on this machine.
    pub shape: Option<Shape>,
    /// Workers poll when a policy wants it, by reports. Else such a policy is asked as if all of
    /// them polled whenever an answer may have changed.
    pub workers_poll: bool,
    /// How long a worker without tasks is kept. The paper's is zero.
    pub idle_timeout: Duration,
    /// How long a launch may take until its worker says hello.
    pub launch_timeout: Duration,
    /// Where tasks go.
    pub place: Place,
    /// A policy of [`crate::placement`]. It has a say only where `place` leaves it one. `None`:
    /// Algorithm 1, asked whenever an answer may have changed, with workers that outlive their
    /// tasks by `idle_timeout`; that is what places tasks together, or apart.
    pub placement: Option<Choice>,
}

impl Default for Policy {
    /// Up to two workers of two threads, under Farspawn's own policy.
    fn default() -> Self {
        let policy = Self {
            thresholds: Thresholds::default(),
            workers_max: 2,
            threads: 2,
            shape: None,
            workers_poll: false,
            idle_timeout: Duration::from_secs(10),
            launch_timeout: Duration::from_secs(30),
            place: Place::Auto,
            placement: None,
        };
        policy.with(Name::default())
    }
}

impl Policy {
    /// The same with a policy of [`crate::placement`], for workers on this machine, as they are set
    /// here. A worker costs nothing while it waits, so it is kept for `idle_timeout`.
    #[must_use]
    pub fn with(mut self, name: Name) -> Self {
        let mut choice = Choice::new(name, self.worker_shape(), self.workers_max);
        choice.tuning.linger = self.idle_timeout;
        choice.tuning.idle_max = self.idle_timeout;
        self.placement = Some(choice);
        self
    }

    /// What a worker is taken to have, until it says so itself.
    pub fn worker_shape(&self) -> Shape {
        self.shape.unwrap_or_else(|| Shape {
            threads: self.threads,
            cores: f64::from(self.threads),
            memory: u64::MAX >> 1,
            memory_base: 0,
            // Its network is not the limit.
            network: 1e10,
            lifetime: self.thresholds.exec_timeout,
        })
    }
}
