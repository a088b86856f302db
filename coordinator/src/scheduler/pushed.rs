//! Algorithm 1 without polls, which is what runs if no policy was chosen by name: it is asked
//! whenever an answer may have changed.

use std::time::Duration;

use channels::id::SessionId;
use channels::wire::{Frame, Place};

use super::{Scheduler, Worker};
use crate::Command;
use crate::placement::paper::{Reply, Thresholds, algorithm_1, workers_wanted};
use crate::relay::Relay;

impl Scheduler {
    /// The worker for the task at the head of the pool: one to which Algorithm 1 replies with a
    /// task, the least occupied first.
    ///
    /// Beyond the paper, a worker that holds no task gets one whatever its last reading said: its
    /// CPU has been idle since, and if its memory is short, no other will have more.
    pub(super) fn choose(&self, now: Duration) -> Option<SessionId> {
        let can_launch = now >= self.launch_after
            && self.workers.len() + self.starting.len() < self.policy.workers_max;
        let more_to_come = can_launch || !self.starting.is_empty();
        let workers = self.workers.iter().filter(|(_, worker)| self.is_able(now, worker));
        let ready = |worker: &Worker| {
            let reply = algorithm_1(now, &worker.poll, self.pool.len(), &self.policy.thresholds);
            reply == Reply::Task || worker.tasks.is_empty()
        };
        match self.policy.place {
            Place::Auto => workers
                .filter(|(_, worker)| ready(worker))
                .min_by_key(|(_, worker)| (worker.poll.running, worker.tasks.len()))
                .map(|(session, _)| *session),
            Place::Together => {
                let (session, worker) = workers.min_by_key(|(session, _)| **session)?;
                ready(worker).then_some(*session)
            }
            Place::Apart => {
                let (session, worker) =
                    workers.min_by_key(|(session, worker)| (worker.tasks.len(), **session))?;
                let alone = worker.tasks.is_empty() || !more_to_come;
                (alone && ready(worker)).then_some(*session)
            }
        }
    }

    /// Whether a worker may get tasks at all (line 5).
    fn is_able(&self, now: Duration, worker: &Worker) -> bool {
        let Thresholds { time, exec_timeout, .. } = self.policy.thresholds;
        let age = now.saturating_sub(worker.poll.start);
        !worker.draining && age < exec_timeout.mul_f64(time)
    }

    /// The paper's static spawning: a slot for every task, up to the limit.
    pub(super) fn launch(&mut self, now: Duration, commands: &mut Vec<Command>) {
        if self.pool.is_empty() || now < self.launch_after {
            return;
        }
        let able = self.workers.values().filter(|worker| self.is_able(now, worker));
        let running = |worker: &Worker| worker.poll.running.min(worker.poll.held) as usize;
        let running: usize = able.clone().map(running).sum();
        let wanted = match self.policy.place {
            Place::Together => 1,
            Place::Apart => self.tasks.len(),
            Place::Auto => workers_wanted(running, self.pool.len(), self.policy.threads),
        };
        let there = able.count() + self.starting.len();
        for _ in there..wanted.min(self.policy.workers_max) {
            self.start_worker(now, commands);
        }
    }

    /// Line 12 of Algorithm 1, after a while: a local worker costs nothing while it waits. One that
    /// still has handles stays: something there that outlived its task may be using them.
    pub(super) fn release_idle(
        &mut self,
        now: Duration,
        relay: &Relay,
        commands: &mut Vec<Command>,
    ) {
        for (session, worker) in &mut self.workers {
            let reply = algorithm_1(now, &worker.poll, 0, &self.policy.thresholds);
            let idle = now.saturating_sub(worker.idle_since) >= self.policy.idle_timeout;
            if reply == Reply::Shutdown
                && idle
                && worker.tasks.is_empty()
                && !worker.draining
                && !relay.has_handles(*session)
            {
                worker.draining = true;
                commands.push(Command::send(*session, Frame::Shutdown {}));
            }
        }
    }
}
