//! One task: what its spawner asked for, and where it stands.

use std::time::Duration;

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
    /// The attempt under way is about to be cut off.
    pub(crate) cut_off: Option<CutOff>,
    /// Attempts that were cut off and are not counted.
    pub(crate) spared: u32,
}

/// How an attempt was cut off: its worker had to go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CutOff {
    pub(crate) ran: Duration,
    /// How long the worker was there; zero if it could have been there for longer.
    pub(crate) life: Duration,
}

impl CutOff {
    /// Whether it had all of the worker's time, but for a twentieth: another has no more.
    fn is_hopeless(&self) -> bool {
        !self.life.is_zero() && self.ran >= self.life - self.life / 20
    }
}

/// Where a task stands; see `scheduler.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Pooled,
    Running(SessionId),
    /// It was aborted, and its worker was told.
    Stopping(SessionId),
}

/// Attempts that are cut off and not counted, at most: those of bad luck are few.
const SPARED_MAX: u32 = 3;

impl Task {
    /// Its attempt was lost with its worker. Whether it may run again; or what is to be said.
    pub(crate) fn on_lost(&mut self, cause: &str) -> Result<(), String> {
        let retries = self.spawn.options.retries;
        if let Some(cut) = self.cut_off.take() {
            if cut.is_hopeless() {
                let CutOff { ran, life } = cut;
                return Err(format!(
                    "{cause}; it ran for {ran:?} of the {life:?} that its worker was there, and \
                     no other has more: allow workers more time (on Lambda, the function's \
                     timeout), or make the task smaller"
                ));
            }
            self.spared += u32::from(self.spared < SPARED_MAX);
        }
        let may_again = retries > 0 && self.attempt - self.spared <= retries;
        may_again.then_some(()).ok_or_else(|| cause.to_owned())
    }

    /// Whether this attempt is the one under way, and there.
    pub(crate) fn is_run_by(&self, session: SessionId, attempt: u32) -> bool {
        let there = [State::Running(session), State::Stopping(session)].contains(&self.state);
        there && self.attempt == attempt
    }
}
