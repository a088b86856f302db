//! What a run costs: the bill of each worker, where its money went, and what the same tasks would
//! have cost as conventional functions. One meter for real runs and for [`crate::sim`].
//!
//! # A worker's bill
//!
//! *asked for* -> *up*, from which it is billed, less or more a part of its start -> *ended*. Of
//! what is billed, [`Account`] says where it went. A worker that was never up costs nothing.
//!
//! # Example
//!
//! ```
//! use coordinator::bill::{Meter, Tariff};
//!
//! let mut meter = Meter::new(0.0);
//! meter.is_up(0.25, 0.08, 2.0);   // up after 250 ms, of which 80 are billed; two cores
//! meter.set(0.25, 4, 3);          // it has four tasks; three occupy a thread
//! meter.used(1.0);                // they take a second of CPU
//! meter.set(1.25, 0, 0);          // and have ended
//! let charge = meter.charge(1.75, &Tariff::default());
//! assert_eq!(charge.billed_ms, 1580);
//! assert_eq!((charge.account.busy, charge.account.idle), (0.5, 0.5));
//! ```

mod ledger;
mod meter;
mod report;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use ledger::Ledger;
pub use meter::{Account, Charge, Meter};
pub use report::{Conventional, Kind, Report, Worker};

use crate::price::{Architecture, Prices};

/// How workers are billed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tariff {
    /// The table of prices.
    pub prices: Prices,
    /// The workers' processors.
    pub architecture: Architecture,
    /// Memory that a worker is billed for, in MB. `None`: what Table 1 of the paper gives for as
    /// many threads as it has.
    pub memory_mb: Option<u32>,
    /// Of a start at most so much is billed: what is known of the platform. `None`: all of it.
    pub start_billed_max: Option<Duration>,
}

impl Default for Tariff {
    /// Prices of Table 1, for the processors of this machine.
    fn default() -> Self {
        let is_arm = cfg!(target_arch = "aarch64");
        let architecture = if is_arm { Architecture::Arm } else { Architecture::X86 };
        Self { prices: Prices::default(), architecture, memory_mb: None, start_billed_max: None }
    }
}

impl Tariff {
    /// Memory that a worker of so many threads is billed for, in MB.
    pub fn memory_mb(&self, threads: u32) -> u32 {
        self.memory_mb.unwrap_or(match threads {
            ..=2 => 2048,
            3 => 4096,
            4 => 6144,
            5 => 8192,
            _ => 10240,
        })
    }

    /// Dollars for so many billed milliseconds of a worker of so many threads.
    pub fn time(&self, threads: u32, billed_ms: u64) -> f64 {
        self.prices.per_ms(self.architecture, self.memory_mb(threads)) * billed_ms as f64
    }

    /// What is billed of a start that took so long.
    pub fn start(&self, took: Duration) -> Duration {
        if self.prices.start_up_is_billed {
            took.min(self.start_billed_max.unwrap_or(took))
        } else {
            Duration::ZERO
        }
    }
}
