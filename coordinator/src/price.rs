//! What workers cost: one table, with its date and region, that a file may replace.
//!
//! # Example
//!
//! ```
//! use coordinator::price::{Architecture, Prices};
//!
//! let prices = Prices::default();
//! let per_ms = prices.per_ms(Architecture::X86, 10240);
//! assert!((per_ms - 16.67e-8).abs() < 0.01e-8, "Table 1 of the paper");
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The processors of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// The paper's.
    X86,
    /// Cheaper by a fifth.
    Arm,
}

impl FromStr for Architecture {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "x86" => Ok(Self::X86),
            "arm" => Ok(Self::Arm),
            other => Err(format!("no architecture is called {other}; there are x86 and arm")),
        }
    }
}

/// Prices of one region, in dollars.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// When they were in force.
    pub date: String,
    /// Where.
    pub region: String,
    /// Where they are from.
    pub source: String,
    /// By architecture.
    pub architectures: BTreeMap<Architecture, Rate>,
    /// Of a million invocations.
    pub dollars_per_million_requests: f64,
    /// Billed time is rounded up to a multiple of this.
    pub billing_step_ms: u64,
    /// Whether the start of a sandbox is billed: on AWS since 2025-08-01, for all runtimes.
    pub start_up_is_billed: bool,
    /// Of the machine on which the coordinator runs.
    pub coordinator_dollars_per_hour: f64,
}

/// The price of time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Of a second with a GB of memory.
    pub dollars_per_gb_second: f64,
}

impl Default for Prices {
    /// Table 1 of the paper: see `prices.json`.
    fn default() -> Self {
        Self::parse(include_str!("prices.json")).expect("prices.json is a table of prices")
    }
}

impl Prices {
    /// Reads a table like `prices.json`; says what is wrong with it if it is not one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let prices: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let rates = prices.architectures.values().map(|rate| rate.dollars_per_gb_second);
        let others = [prices.dollars_per_million_requests, prices.coordinator_dollars_per_hour];
        if rates.chain(others).any(|dollars| !dollars.is_finite() || dollars < 0.0) {
            return Err("a price is not a number from 0".to_owned());
        }
        if prices.billing_step_ms == 0 {
            return Err("billing_step_ms must be at least 1".to_owned());
        }
        Ok(prices)
    }

    /// Reads such a table from a file; says what is wrong if that fails.
    pub fn read(file: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(file).map_err(|error| error.to_string());
        let prices = text.and_then(|text| Self::parse(&text));
        prices.map_err(|fault| format!("{}: {fault}", file.display()))
    }

    /// Of a millisecond with so much memory; nothing for an architecture that is not in the table.
    pub fn per_ms(&self, architecture: Architecture, memory_mb: u32) -> f64 {
        let rate = self.architectures.get(&architecture);
        let gb_second = rate.map_or(0.0, |rate| rate.dollars_per_gb_second);
        gb_second * f64::from(memory_mb) / 1024.0 / 1000.0
    }

    /// What is billed for an invocation that took so long.
    pub fn billed_ms(&self, took: Duration) -> u64 {
        let step = u128::from(self.billing_step_ms) * 1_000_000;
        (took.as_nanos().div_ceil(step) * u128::from(self.billing_step_ms)) as u64
    }

    /// Of so many invocations, without their time.
    pub fn requests(&self, invocations: u64) -> f64 {
        self.dollars_per_million_requests * invocations as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Table 1 of the paper, dollars per millisecond.
    #[test]
    fn table_1() {
        let prices = Prices::default();
        let table = [
            (2048, 3.33e-8),
            (4096, 6.67e-8),
            (6144, 10.00e-8),
            (8192, 13.33e-8),
            (10240, 16.67e-8),
        ];
        for (memory_mb, dollars) in table {
            let per_ms = prices.per_ms(Architecture::X86, memory_mb);
            assert!((per_ms - dollars).abs() < 0.006e-8, "{memory_mb} MB: {per_ms}");
        }
    }

    #[test]
    fn a_millisecond_begun_is_billed() {
        let prices = Prices::default();
        assert_eq!(prices.billed_ms(Duration::from_micros(1)), 1);
        assert_eq!(prices.billed_ms(Duration::from_millis(5)), 5);
        assert_eq!(prices.billed_ms(Duration::from_nanos(5_000_001)), 6);
    }

    #[test]
    fn a_table_that_is_none_is_refused_with_its_fault() {
        assert!(Prices::parse("{}").unwrap_err().contains("missing field `date`"));
        let table = include_str!("prices.json");
        let negative = table.replace("0.20", "-0.20");
        assert!(Prices::parse(&negative).unwrap_err().contains("not a number from 0"));
        let unknown = table.replace("billing_step_ms", "billing_step");
        assert!(Prices::parse(&unknown).unwrap_err().contains("unknown field `billing_step`"));
        assert!("sparc".parse::<Architecture>().unwrap_err().contains("x86 and arm"));
    }
}
