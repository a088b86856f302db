//! One task: what its spawner asked for, and where it stands.

use channels::id::{ChannelId, SessionId, TaskId};
use channels::line;
use channels::wire::SpawnOptions;

use crate::relay::Cargo;

/// A task as its spawner described it.
#[derive(Debug)]
pub struct Spawn {
    /// Chosen by the spawner.
    pub task: TaskId,
    /// The function.
    pub name: String,
    /// Hash of its types.
    pub signature: u64,
    /// What it asks for.
    pub options: SpawnOptions,
    /// Where its outcome goes. `None`: its worker began it by itself, and tells it to those who
    /// wait there.
    pub result: Option<ChannelId>,
}

/// A task that has not ended.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) spawn: Spawn,
    /// Who spawned it, and pays for what is under way because of it.
    pub(crate) spawner: SessionId,
    /// Until a worker has them; those of a task that may run again, until its end.
    pub(crate) arguments: Option<Cargo>,
    pub(crate) attempt: u32,
    /// Where it stands in the pool, or stood.
    pub(crate) place: line::Place,
    pub(crate) state: State,
}

/// Where a task stands; see `scheduler.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Pooled,
    Running(SessionId),
    /// It was aborted, and its worker was told.
    Stopping(SessionId),
}

impl Task {
    /// Whether this attempt is the one under way, and there.
    pub(crate) fn is_run_by(&self, session: SessionId, attempt: u32) -> bool {
        let there = [State::Running(session), State::Stopping(session)].contains(&self.state);
        there && self.attempt == attempt
    }
}
