//! The command line.

use clap::{Parser, Subcommand};

use crate::contender::Name;
use crate::row::Row;

const NOTES: &str = "\
NATS takes part if `nats-server` is on the PATH or in /usr/sbin. Its rows know no capacity: it is \
compared with a channel of that capacity.";

/// Relayed channels beside relays that only forward, and a broker: ns a message, wall (CPU).
#[derive(Parser, Debug)]
#[command(version, after_help = NOTES)]
pub(crate) struct Arguments {
    /// What to do instead of measuring messages.
    #[command(subcommand)]
    pub(crate) instead: Option<Instead>,

    /// Only rows that have all these words: "8 B stream", "1 KiB", "ping-pong".
    #[arg(long, default_value = "")]
    pub(crate) filter: String,

    /// How often every contender of a row is measured.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,

    /// How long a lap should take, in milliseconds.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub(crate) lap_ms: u64,

    /// Only these contenders.
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<Name>,

    /// One JSON object a row, with every sample, instead of a table.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What may be done instead. All but the first three are processes that the measuring one starts.
#[derive(Subcommand, Debug)]
pub(crate) enum Instead {
    /// The coordinator's bytes for an idle channel and for an idle connection.
    Memory {
        /// How many channels are held.
        #[arg(long, default_value_t = 1_000_000)]
        channels: usize,
        /// How many connections are held.
        #[arg(long, default_value_t = 10_000)]
        connections: usize,
    },
    /// Round trips on many channels of one connection, with one of them stalled and without.
    Stalled {
        /// How many channels.
        #[arg(long, default_value_t = 10_000, value_parser = parse_count)]
        channels: usize,
        /// How many turns of each.
        #[arg(long, default_value_t = 5, value_parser = parse_count)]
        rounds: usize,
    },
    /// Empty tasks: how many a second through a coordinator, and one after the other.
    Tasks {
        /// How many in a round.
        #[arg(long, default_value_t = 100_000, value_parser = parse_count)]
        tasks: usize,
        /// How many rounds.
        #[arg(long, default_value_t = 5, value_parser = parse_count)]
        rounds: usize,
    },
    /// A coordinator whose workers are this program.
    #[command(hide = true)]
    Coordinator,
    /// A coordinator whose workers are made by whoever reads its launches.
    #[command(hide = true)]
    CoordinatorOf { workers: usize },
    /// A client of ours that runs laps.
    #[command(hide = true)]
    Client { coordinator: String },
    /// A relay of a peer.
    #[command(hide = true)]
    Relay { name: Name },
    /// The receiving end of a peer.
    #[command(hide = true)]
    Receive { name: Name, address: String },
    /// The sending end of a peer, which runs laps.
    #[command(hide = true)]
    Send { name: Name, address: String },
}

/// At least one.
fn parse_count(text: &str) -> Result<usize, String> {
    let count = text.parse::<usize>().map_err(|error| error.to_string())?;
    if count == 0 { Err("at least one is wanted".to_owned()) } else { Ok(count) }
}

impl Arguments {
    /// Whether the row has all the words of the filter.
    pub(crate) fn wants(&self, row: Row) -> bool {
        let name = row.to_string();
        self.filter.split_whitespace().all(|wanted| name.split_whitespace().any(|w| w == wanted))
    }

    /// Whether the contender of this name takes part.
    pub(crate) fn admits(&self, name: Name) -> bool {
        self.only.is_empty() || self.only.contains(&name)
    }
}
