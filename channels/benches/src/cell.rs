//! What is measured: a pattern, a capacity and a kind of value.

use std::fmt;

/// Who sends to whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pattern {
    /// A stream from so many senders to so many receivers.
    Stream { senders: usize, receivers: usize },
    /// There and back on two channels; a round trip counts as one message.
    PingPong,
    /// One task receives by select over so many channels, of which at every select all are ready;
    /// it sends as many messages as it receives.
    Select { channels: usize },
    /// There on one of so many channels in turn, received by select, and back on one of its own.
    SelectPingPong { channels: usize },
    /// One task selects over two receives and two sends, of which at every select all are ready,
    /// and undoes what happened: each by itself.
    SelectMixed,
}

/// How much a channel holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Capacity {
    /// So many messages; 0 is a rendezvous.
    Of(usize),
    /// As much as there is memory.
    Unbounded,
}

/// What is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Number,
    Block,
}

/// One row of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cell {
    pub(crate) pattern: Pattern,
    pub(crate) capacity: Capacity,
    pub(crate) kind: Kind,
}

/// Over how many channels a select goes.
const FANS: [usize; 4] = [2, 4, 8, 16];
/// The capacity of channels of which a select finds all ready.
pub(crate) const READY_CAPACITY: usize = 128;

/// Every cell, in the order of the table.
pub(crate) fn all() -> Vec<Cell> {
    let stream = |senders, receivers| Pattern::Stream { senders, receivers };
    let patterns = [stream(1, 1), stream(4, 1), stream(4, 4), Pattern::PingPong];
    let capacities = [Capacity::Of(0), Capacity::Of(1), Capacity::Of(128), Capacity::Unbounded];
    let mut cells = Vec::new();
    for kind in [Kind::Number, Kind::Block] {
        for pattern in patterns {
            cells.extend(capacities.map(|capacity| Cell { pattern, capacity, kind }));
        }
    }
    let ready = FANS.map(|channels| (Pattern::Select { channels }, READY_CAPACITY));
    let mixed = [(Pattern::SelectMixed, READY_CAPACITY)];
    let ping_pong = FANS.map(|channels| (Pattern::SelectPingPong { channels }, 1));
    let selects = ready.into_iter().chain(mixed).chain(ping_pong);
    cells.extend(selects.map(|(pattern, capacity)| Cell {
        pattern,
        capacity: Capacity::Of(capacity),
        kind: Kind::Number,
    }));
    cells
}

impl Cell {
    /// The most messages of a lap: where nothing holds senders back, all of them may be in memory.
    pub(crate) fn messages_max(self) -> u64 {
        match (self.capacity, self.kind) {
            (Capacity::Unbounded, Kind::Block) => 1 << 16,
            _ => 1 << 24,
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} {}", self.pattern, self.capacity, self.kind)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream { senders, receivers } => write!(out, "{senders}P{receivers}C"),
            Self::PingPong => write!(out, "ping-pong"),
            Self::Select { channels } => write!(out, "select-{channels}"),
            Self::SelectPingPong { channels } => write!(out, "select-ping-pong-{channels}"),
            Self::SelectMixed => write!(out, "select-mixed-4"),
        }
    }
}

impl fmt::Display for Capacity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(messages) => write!(out, "{messages}"),
            Self::Unbounded => write!(out, "unbounded"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Number => "u64",
            Self::Block => "1KiB",
        })
    }
}
