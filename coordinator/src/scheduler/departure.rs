//! Workers that leave of their own will, and tasks that they give back.

use std::time::Duration;

use channels::id::{SessionId, TaskId};
use channels::wire::Parcel;

use super::Scheduler;
use crate::Command;
use crate::relay::{Relay, Violation};
use crate::task::{CutOff, State};

impl Scheduler {
    /// Whether a worker has tasks that have not ended.
    pub fn has_tasks(&self, session: SessionId) -> bool {
        self.workers.get(&session).is_some_and(|worker| !worker.tasks.is_empty())
    }

    /// A launch waits until others end: its time begins then.
    pub(crate) fn on_launch_queued(&mut self, now: Duration, launch: u64) {
        if let Some(since) = self.starting.get_mut(&launch) {
            *since = now;
        }
    }

    /// A worker wants no more tasks. It counts as gone for those who choose: they may start another
    /// in its place while it comes to its end.
    pub fn on_draining(&mut self, now: Duration, session: SessionId) {
        let Some(worker) = self.workers.get_mut(&session) else { return };
        worker.draining = true;
        if let Some(steer) = &mut self.steer {
            steer.on_departing(now, session);
        }
    }

    /// A worker that is about to go says how long an attempt ran. If it ends all the same it ends.
    pub(crate) fn on_cut_off(
        &mut self,
        session: SessionId,
        (id, attempt): (TaskId, u32),
        cut: CutOff,
    ) {
        let task = self.tasks.get_mut(&id).filter(|task| task.is_run_by(session, attempt));
        if let Some(task) = task {
            task.cut_off = Some(cut);
        }
    }

    /// A worker gives back a task that it has not begun: it goes to its old place in the pool, and
    /// the attempt was none.
    pub fn on_unstarted(
        &mut self,
        now: Duration,
        session: SessionId,
        (id, attempt): (TaskId, u32),
        arguments: Parcel,
        relay: &mut Relay,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        let task = self.tasks.get(&id).filter(|task| task.is_run_by(session, attempt));
        let payer = task.map_or(session, |task| task.spawner);
        let arguments = relay.take_in(session, payer, arguments)?;
        let Some(task) = self.tasks.get_mut(&id).filter(|task| task.is_run_by(session, attempt))
        else {
            relay.release(arguments, commands);
            return Ok(());
        };
        if let Some(worker) = self.workers.get_mut(&session) {
            worker.tasks.remove(&id);
            worker.poll.held = worker.tasks.len() as u32;
            worker.idle_since = now;
            worker.book(now);
        }
        if let State::Stopping(_) = task.state {
            relay.release(arguments, commands);
            self.end(id, &channels::outcome::Outcome::Cancelled, relay, commands);
            return Ok(());
        }
        task.attempt -= 1;
        task.state = State::Pooled;
        match task.arguments {
            Some(_) => relay.release(arguments, commands),
            None => task.arguments = Some(arguments),
        }
        self.pool.restore(task.place, id);
        if let Some(steer) = &mut self.steer {
            steer.on_returned(now, id);
        }
        Ok(())
    }
}
