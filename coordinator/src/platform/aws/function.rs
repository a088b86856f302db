//! What Lambda says of a function: what its workers have, how long they live, and what they cost.

use std::fmt;
use std::time::Duration;

use crate::placement::Shape;
use crate::price::{Architecture, Prices};
use crate::scheduler::Policy;

/// A function with so much memory, in MB, has one CPU; with more or less, in proportion.
const MB_PER_CPU: f64 = 1769.0;
/// Bytes a second that a function's network is taken to carry for long.
const NETWORK: f64 = 75e6;
/// Memory that a worker takes before it has tasks, in bytes.
const MEMORY_BASE: u64 = 24 << 20;

/// How long a worker without tasks is kept: about what a start takes.
const IDLE_MAX: Duration = Duration::from_millis(500);

/// A function, as it is configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Its full name, with region and account.
    pub arn: String,
    /// Memory of each worker, in MB.
    pub memory_mb: u32,
    /// How long an invocation may take.
    pub timeout: Duration,
    /// Its processors.
    pub architecture: Architecture,
    /// Invocations at once, if some are reserved for it: more will not run.
    pub reserved: Option<usize>,
    /// Where its workers look for their coordinator, if its configuration says so.
    pub coordinator: Option<String>,
}

impl Function {
    /// CPUs that a worker is granted: by its memory, and not by the cores that it sees.
    pub fn cpus(&self) -> f64 {
        f64::from(self.memory_mb) / MB_PER_CPU
    }

    /// What a worker has to give.
    pub fn shape(&self) -> Shape {
        Shape {
            threads: self.cpus().ceil() as u32,
            cores: self.cpus(),
            memory: u64::from(self.memory_mb) << 20,
            memory_base: MEMORY_BASE,
            network: NETWORK,
            lifetime: self.timeout,
        }
    }

    /// Tells the scheduler: how long workers live, what they have, how many there may be, and that
    /// one that waits is billed.
    pub fn apply(&self, policy: &mut Policy) {
        policy.threads = self.shape().threads;
        policy.shape = Some(self.shape());
        policy.thresholds.exec_timeout = self.timeout;
        policy.idle_timeout = policy.idle_timeout.min(IDLE_MAX);
        policy.workers_max = policy.workers_max.min(self.reserved.unwrap_or(usize::MAX));
    }

    /// Dollars for so much time of workers and so many invocations.
    pub fn dollars(&self, prices: &Prices, workers: Duration, invocations: u64) -> f64 {
        let per_ms = prices.per_ms(self.architecture, self.memory_mb);
        per_ms * workers.as_secs_f64() * 1000.0 + prices.requests(invocations)
    }
}

impl fmt::Display for Function {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, memory_mb, timeout, reserved, .. } = self;
        write!(out, "{name}: {memory_mb} MB, {:.2} CPUs, {timeout:?}", self.cpus())?;
        match reserved {
            Some(reserved) => write!(out, ", at most {reserved} at once"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(memory_mb: u32, reserved: Option<usize>) -> Function {
        Function {
            name: "worker".to_owned(),
            arn: "arn:aws:lambda:eu-west-3:123456789012:function:worker".to_owned(),
            memory_mb,
            timeout: Duration::from_secs(300),
            architecture: Architecture::X86,
            reserved,
            coordinator: None,
        }
    }

    #[test]
    fn the_scheduler_knows_what_a_worker_has_and_how_many_there_may_be() {
        let mut policy = Policy { workers_max: 50, ..Policy::default() };
        function(2048, Some(10)).apply(&mut policy);
        assert_eq!((policy.workers_max, policy.threads), (10, 2));
        assert_eq!(policy.thresholds.exec_timeout, Duration::from_secs(300));
        assert_eq!(policy.idle_timeout, IDLE_MAX);
        function(10_240, None).apply(&mut policy);
        assert_eq!((policy.workers_max, policy.threads), (10, 6));
        let text = function(2048, Some(10)).to_string();
        assert_eq!(text, "worker: 2048 MB, 1.16 CPUs, 300s, at most 10 at once");
    }

    #[test]
    fn a_second_of_a_worker_costs_what_table_1_says() {
        let second = Duration::from_secs(1);
        let dollars = function(2048, None).dollars(&Prices::default(), second, 0);
        assert!((dollars - 3.33e-5).abs() < 0.01e-5, "{dollars}");
    }
}
