//! Tasks that workers begin by themselves, beside those that spawned them: what workers are granted
//! for it, and what they tell of it.
//!
//! Most are never heard of one by one: they are tallied when they have ended. One that lasts is
//! told of, and is *running* from then on as any other, with nobody here who waits for its outcome.
//! It is not run again when its worker dies: those who could know of it died with it.

use std::time::Duration;

use channels::id::{SessionId, TaskId};
use channels::wire::{self, Frame, SpawnOptions};

use super::Scheduler;
use crate::Command;
use crate::task::{Spawn, State, Task};

impl Scheduler {
    /// Tells a worker how many seats it has for what its tasks begin there, if that has changed.
    pub fn grant_seats(&mut self, session: SessionId, commands: &mut Vec<Command>) {
        let Some(worker) = self.workers.get_mut(&session).filter(|worker| !worker.draining) else {
            return;
        };
        let seats = self.steer.as_mut().map_or(0, |steer| steer.seats(session));
        if seats != worker.seats.unwrap_or(0) {
            worker.seats = Some(seats);
            commands.push(Command::send(session, Frame::Seats { seats }));
        }
    }

    /// So many tasks of a kind have come to their end at a worker that began them by itself.
    pub fn on_tally(
        &mut self,
        now: Duration,
        session: SessionId,
        name: &str,
        count: u32,
        usage: &wire::Usage,
    ) {
        let Some(worker) = self.workers.get_mut(&session) else { return };
        if worker.seats.is_none() || count == 0 {
            return;
        }
        let usage = worker.on_usages(now, count, usage);
        worker.idle_since = now;
        self.totals.ended += u64::from(count);
        let wall = usage.wall.saturating_mul(count);
        self.totals.tasks = self.totals.tasks.saturating_add(wall);
        self.ledger.tasks(name, count, worker.poll.threads, &usage);
        if let Some(steer) = &mut self.steer {
            steer.on_tally(now, session, name, usage);
        }
    }

    /// A worker has a task that it began by itself.
    pub fn on_began(
        &mut self,
        now: Duration,
        session: SessionId,
        id: TaskId,
        name: String,
        parent: Option<TaskId>,
    ) {
        let beside = self.beside(session, parent);
        let Some(worker) = self.workers.get_mut(&session) else { return };
        let is_known = self.tasks.contains_key(&id) || self.tasks.len() >= self.room.0.tasks;
        if worker.seats.is_none() || is_known {
            return;
        }
        worker.tasks.insert(id);
        worker.has_peers = true;
        worker.poll.held = worker.tasks.len() as u32;
        worker.book(now);
        if let Some(steer) = &mut self.steer {
            steer.on_began(now, (session, id), &name, beside);
        }
        let options = SpawnOptions::default();
        let spawn = Spawn { task: id, name, signature: 0, options, result: None };
        let (place, state) = (self.places.allot(), State::Running(session));
        let (arguments, attempt, cut_off, spared) = (None, 1, None, 0);
        let spawner = session;
        let task = Task { spawn, spawner, arguments, attempt, place, state, cut_off, spared };
        self.tasks.insert(id, Box::new(task));
        self.ledger.at_once(self.tasks.len() - self.pool.len());
    }
}
