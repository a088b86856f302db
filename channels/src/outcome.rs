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

impl<R> Outcome<R> {
    /// The same, with another result.
    pub fn map<S>(self, result: impl FnOnce(R) -> S) -> Outcome<S> {
        match self {
            Self::Returned(value) => Outcome::Returned(result(value)),
            Self::Panicked(text) => Outcome::Panicked(text),
            Self::Cancelled => Outcome::Cancelled,
            Self::DeadlineExceeded(ms) => Outcome::DeadlineExceeded(ms),
            Self::WorkerLost(cause) => Outcome::WorkerLost(cause),
            Self::NeverStarted(reason) => Outcome::NeverStarted(reason),
        }
    }
}
