//! How a task ended: the one message on the channel that a `JoinHandle` receives from.

use serde::{Deserialize, Serialize};

/// Every spawn has exactly one outcome (contract D10). Written so that the coordinator can make
/// each variant but the first without knowing `R`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome<R> {
    /// The function returned.
    Returned(R),
    /// The function panicked, with this text.
    Panicked(String),
    /// The task was aborted, or its client left.
    Cancelled,
    /// The task ran longer than its timeout allowed, in milliseconds.
    DeadlineExceeded(u64),
    /// Its worker died; nobody knows how far it came.
    WorkerLost(String),
    /// It never ran, for this reason.
    NeverStarted(String),
}
