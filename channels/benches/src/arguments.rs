//! The command line.

use clap::Parser;

use crate::cell::Cell;
use crate::contender::NAMES;

/// Channels of this project beside those of others: ns a message, wall (CPU).
#[derive(Parser, Debug)]
#[command(version)]
pub(crate) struct Arguments {
    /// Only cells that have all these words: "4P1C 1 u64", "select", "ping-pong 128".
    #[arg(long, default_value = "")]
    pub(crate) filter: String,

    /// How often every contender of a cell is measured.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,

    /// Only these contenders.
    #[arg(long, value_delimiter = ',', value_parser = NAMES)]
    pub(crate) only: Vec<String>,

    /// One JSON object a cell, with every sample, instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

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
