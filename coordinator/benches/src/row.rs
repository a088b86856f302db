//! What is measured: a pattern, a capacity and a size.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Who sends to whom, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Pattern {
    /// One sends, the other receives.
    Stream,
    /// There and back; a round trip counts as one message.
    PingPong,
}

/// One row of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) pattern: Pattern,
    /// Of the channel. The peers have none: they take what the sockets take.
    pub(crate) capacity: usize,
    /// Of a message, in bytes.
    pub(crate) size: usize,
}

/// What one lap may have on its way in all: where nothing holds the sender back, all of it.
const LAP_BYTES_MAX: usize = 256 << 20;
const MESSAGES_MAX: u64 = 1 << 22;

/// Every row, in the order of the table.
pub(crate) fn all() -> Vec<Row> {
    let stream = |capacity, size| Row { pattern: Pattern::Stream, capacity, size };
    let ping_pong = |capacity| Row { pattern: Pattern::PingPong, capacity, size: 8 };
    vec![
        stream(4096, 8),
        stream(128, 8),
        stream(4096, 1 << 10),
        stream(128, 64 << 10),
        stream(16, 1 << 20),
        stream(0, 8),
        ping_pong(1),
        ping_pong(0),
    ]
}

impl Row {
    /// The most messages of a lap.
    pub(crate) fn messages_max(self) -> u64 {
        MESSAGES_MAX.min((LAP_BYTES_MAX / self.size) as u64)
    }

    /// Whether a message waits for an answer: so does a rendezvous, whose send ends when the value
    /// was taken.
    pub(crate) fn is_answered(self) -> bool {
        self.pattern == Pattern::PingPong || self.capacity == 0
    }
}

impl fmt::Display for Row {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pattern = match (self.pattern, self.capacity) {
            (Pattern::PingPong, _) => "ping-pong",
            (Pattern::Stream, 0) => "rendezvous",
            (Pattern::Stream, _) => "stream",
        };
        let size = match self.size {
            size if size >= 1 << 20 => format!("{} MiB", size >> 20),
            size if size >= 1 << 10 => format!("{} KiB", size >> 10),
            size => format!("{size} B"),
        };
        write!(out, "{size} {pattern} {}", self.capacity)
    }
}
