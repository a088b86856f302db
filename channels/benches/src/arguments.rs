//! The command line.

use clap::{Parser, Subcommand};

use crate::cell::Cell;
use crate::contender::{NAMES, TASK};

const NOTES: &str = "\
Unbounded: ours has no such channel, and takes part with capacity 65536. Crossfire takes part with
its narrowest type for the pattern. Go takes part if the variable GO names one, or PATH has one.";

/// Channels of this project beside those of others: ns a message, wall (CPU).
#[derive(Parser, Debug)]
#[command(version, after_help = NOTES)]
pub(crate) struct Arguments {
    /// What to measure, if not messages.
    #[command(subcommand)]
    pub(crate) instead: Option<Instead>,

    /// Only cells that have all these words: "4P1C 1 u64", "ping-pong 128", "unbounded".
    #[arg(long, default_value = "")]
    pub(crate) filter: String,

    /// How often every contender of a cell is measured.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,

    /// Only these contenders; `task`, of memory, is a task without a channel.
    #[arg(long, global = true, value_delimiter = ',', value_parser = only())]
    pub(crate) only: Vec<String>,

    /// One JSON object a row, in cells with every sample, instead of a table.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

fn only() -> Vec<&'static str> {
    NAMES.into_iter().chain([TASK]).collect()
}

/// What may be measured instead of messages.
#[derive(Subcommand, Debug)]
pub(crate) enum Instead {
    /// The bytes of a task that is parked on a channel of its own.
    Memory {
        /// How many tasks are parked at once.
        #[arg(long, default_value_t = 100_000)]
        tasks: usize,
    },
    /// A million tasks parked on as many channels of ours, all woken at the end.
    Million,
    /// A row of the report of memory, in a process of its own.
    #[command(hide = true)]
    Crowd { name: String, tasks: usize },
}

pub(crate) const MILLION: usize = 1_000_000;

impl Arguments {
    /// Whether the cell has all the words of the filter.
    pub(crate) fn wants(&self, cell: Cell) -> bool {
        let name = cell.to_string();
        self.filter.split_whitespace().all(|wanted| {
            name.split_whitespace().any(|word| {
                word.strip_prefix(wanted)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            })
        })
    }

    /// Whether the contender of this name takes part.
    pub(crate) fn admits(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}
