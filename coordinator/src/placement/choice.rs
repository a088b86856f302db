//! A policy by its name, and what it is told; what is impossible is refused with what is allowed.

use std::fmt;
use std::str::FromStr;

use super::conventional::Conventional;
use super::farspawn::{Farspawn, Tuning};
use super::paper::{self, Paper};
use super::{Placement, Shape};

/// The policies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Policy {
    /// An invocation a task.
    Conventional,
    /// Algorithm 1.
    Paper,
    /// Ours.
    #[default]
    Farspawn,
}

impl Policy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Conventional, Self::Paper, Self::Farspawn];
}

impl fmt::Display for Policy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Conventional => "conventional",
            Self::Paper => "paper",
            Self::Farspawn => "farspawn",
        })
    }
}

impl FromStr for Policy {
    type Err = Refusal;

    fn from_str(name: &str) -> Result<Self, Refusal> {
        let found = Self::ALL.into_iter().find(|policy| policy.to_string() == name);
        found.ok_or_else(|| Refusal::Policy(name.to_owned()))
    }
}

/// Why a configuration is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// No such policy.
    #[error("no policy is called {0:?}; there are conventional, paper and farspawn")]
    Policy(String),
    /// No such element of the policy.
    #[error("farspawn has no element {0:?}; it has {1}")]
    Element(String, String),
    /// No such mode of the policy.
    #[error("farspawn has no mode {0:?}; it has {1}")]
    Mode(String, String),
    /// No worker is allowed.
    #[error("0 workers can run nothing; at least 1 is needed")]
    Workers,
    /// A worker would have no room for a task.
    #[error("a worker with {has} MB has no room for a task of {needs} MB; give it {least} or more")]
    Memory {
        /// What it has, in MB.
        has: u64,
        /// What the task needs, in MB.
        needs: u64,
        /// What would do, in MB.
        least: u64,
    },
    /// More tasks at once than a coordinator takes.
    #[error("more than {0} tasks would be under way at once; let them come over a longer time")]
    Tasks(usize),
    /// Something that must be more than nothing.
    #[error("{0} must be more than 0")]
    Zero(&'static str),
}

/// A policy and what it is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Which.
    pub policy: Policy,
    /// Workers at once, at most.
    pub workers_max: usize,
    /// What a worker will have.
    pub shape: Shape,
    /// What the paper's policy is told.
    pub paper: paper::Settings,
    /// What ours is told.
    pub tuning: Tuning,
}

impl Choice {
    /// A policy with its defaults.
    pub fn new(policy: Policy, shape: Shape, workers_max: usize) -> Self {
        let paper = paper::Settings::new(shape.threads, workers_max);
        Self { policy, workers_max, shape, paper, tuning: Tuning::default() }
    }

    /// The policy, ready to be driven. Tasks need up to `task_memory` bytes.
    pub fn build(&self, task_memory: u64) -> Result<Box<dyn Placement>, Refusal> {
        self.check(task_memory)?;
        Ok(match self.policy {
            Policy::Conventional => Box::new(Conventional::new(self.workers_max)),
            Policy::Paper => Box::new(Paper::new(self.paper)),
            Policy::Farspawn => {
                Box::new(Farspawn::new(self.tuning.clone(), self.shape, self.workers_max))
            }
        })
    }

    fn check(&self, task_memory: u64) -> Result<(), Refusal> {
        if self.workers_max == 0 {
            return Err(Refusal::Workers);
        }
        if self.shape.threads == 0 || self.shape.cores <= 0.0 {
            return Err(Refusal::Zero("a worker's number of threads"));
        }
        if self.paper.poll.is_zero() {
            return Err(Refusal::Zero("the period of the paper's polls"));
        }
        let least = self.shape.memory_base + task_memory;
        if self.shape.memory < least {
            let megabytes = |bytes: u64| bytes.div_ceil(1 << 20);
            return Err(Refusal::Memory {
                has: megabytes(self.shape.memory),
                needs: megabytes(task_memory),
                least: megabytes(least),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::SHAPE;

    #[test]
    fn names() {
        for policy in Policy::ALL {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
        let refusal = "papre".parse::<Policy>().unwrap_err().to_string();
        assert!(refusal.contains("conventional, paper and farspawn"), "{refusal}");
    }

    #[track_caller]
    fn check(choice: &Choice, expected: &str) {
        let refusal = choice.build(100 << 20).map(|_| ()).unwrap_err().to_string();
        assert!(refusal.contains(expected), "{refusal}");
    }

    #[test]
    fn what_is_impossible_is_refused() {
        for policy in Policy::ALL {
            assert!(Choice::new(policy, SHAPE, 1).build(100 << 20).is_ok());
            check(&Choice::new(policy, SHAPE, 0), "at least 1");
            let small = Shape { memory: 200 << 20, ..SHAPE };
            check(&Choice::new(policy, small, 1), "give it 244 or more");
            let threads = Shape { threads: 0, ..SHAPE };
            check(&Choice::new(policy, threads, 1), "threads must be more than 0");
        }
    }
}
