//! An invocation a task, as Functions-as-a-Service are used without Farspawn: the baseline.
//!
//! Each task that waits calls for a worker of its own; a worker gets one task and ends with it. The
//! platform keeps the sandbox warm for the next invocation. Tasks that wait for each other need as
//! many workers as they are: beyond the limit they wait for ever, as functions do.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Channels, Command, Event, Life, Placement, TaskNo, WorkerNo, WorkerSide, put};

/// How long after a refusal the next launch is tried.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// How long a worker that is still needed is left alone.
const KEPT_PAUSE: Duration = Duration::from_secs(1);

/// The baseline.
#[derive(Debug)]
pub struct Conventional {
    workers_max: usize,
    pool: VecDeque<TaskNo>,
    /// Where tasks run, by task.
    places: Vec<Option<WorkerNo>>,
    present: usize,
    starting: usize,
    /// Workers whose task ended, but not their invocation.
    kept: Vec<WorkerNo>,
    /// When they are told to end once more.
    ask_kept: Option<Duration>,
    /// No launch before this time, once one was refused.
    launch_after: Option<Duration>,
}

impl Conventional {
    /// At most so many invocations at once.
    pub fn new(workers_max: usize) -> Self {
        Self {
            workers_max,
            pool: VecDeque::new(),
            places: Vec::new(),
            present: 0,
            starting: 0,
            kept: Vec::new(),
            ask_kept: None,
            launch_after: None,
        }
    }

    fn use_kept(&mut self, commands: &mut Vec<Command>) {
        while !self.pool.is_empty()
            && let Some(worker) = self.kept.pop()
        {
            self.give(worker, commands);
        }
    }

    fn give(&mut self, worker: WorkerNo, commands: &mut Vec<Command>) {
        if let Some(task) = self.pool.pop_front() {
            put(&mut self.places, task.0, worker);
            commands.push(Command::Dispatch(task, worker));
        } else {
            commands.push(Command::Shutdown(worker));
        }
    }

    /// A worker for each task that waits, as the client's calls would make them.
    fn launch(&mut self, now: Duration, commands: &mut Vec<Command>) {
        if self.launch_after.is_some_and(|after| now < after) {
            return;
        }
        self.launch_after = None;
        let room = self.workers_max.saturating_sub(self.present + self.starting);
        let wanted = self.pool.len().saturating_sub(self.starting).min(room);
        self.starting += wanted;
        commands.extend(std::iter::repeat_n(Command::Launch, wanted));
    }
}

impl Placement for Conventional {
    fn handle(&mut self, now: Duration, event: Event, commands: &mut Vec<Command>) {
        match event {
            Event::Spawned(task, _) => self.pool.push_back(task),
            Event::Returned(task) => self.pool.push_front(task),
            Event::Withdrawn(task) => self.pool.retain(|other| *other != task),
            Event::Ready(worker, ..) => {
                self.starting = self.starting.saturating_sub(1);
                self.present += 1;
                self.give(worker, commands);
            }
            Event::Finished(task, usage) => {
                let place = self.places.get_mut(task.0 as usize).and_then(Option::take);
                if let (Some(worker), Some(_)) = (place, usage) {
                    commands.push(Command::Shutdown(worker));
                }
            }
            Event::Lost(worker) | Event::Departed(worker) => {
                self.present = self.present.saturating_sub(1);
                self.kept.retain(|other| *other != worker);
            }
            // Its invocation goes on, so it can as well take another task.
            Event::Kept(worker) => {
                self.kept.push(worker);
                self.ask_kept.get_or_insert(now + KEPT_PAUSE);
            }
            Event::Tick if self.ask_kept.is_some_and(|ask| ask <= now) => {
                self.ask_kept = None;
                commands.extend(self.kept.drain(..).map(Command::Shutdown));
            }
            Event::Refused => {
                self.starting = self.starting.saturating_sub(1);
                self.launch_after = Some(now + REFUSED_PAUSE);
            }
            // Its workers begin nothing by themselves.
            Event::Began(..) | Event::Tallied(..) => {}
            Event::Polled(..) | Event::Granted(..) | Event::Tick => {}
        }
        self.use_kept(commands);
        self.launch(now, commands);
    }

    fn wake_at(&self) -> Option<Duration> {
        self.launch_after.into_iter().chain(self.ask_kept).min()
    }

    fn worker_side(&self) -> WorkerSide {
        WorkerSide {
            poll: None,
            registration: Duration::ZERO,
            transfers_max: None,
            cpu_gate: None,
            channels: Channels::Stored,
            life: Life::OneTask,
            // 18 ms in all, with a warm start and a message there and back.
            front_door: Duration::from_millis(10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::{AppNo, KindNo, SHAPE, Spawned, Usage};

    const SPAWNED: Spawned = Spawned { kind: KindNo(0), parent: None, app: AppNo(0) };

    #[test]
    fn an_invocation_a_task_and_no_more_than_allowed() {
        let mut policy = Conventional::new(2);
        let mut tell = |event| {
            let mut commands = Vec::new();
            policy.handle(Duration::ZERO, event, &mut commands);
            commands
        };
        assert_eq!(tell(Event::Spawned(TaskNo(0), SPAWNED)), [Command::Launch]);
        assert_eq!(tell(Event::Spawned(TaskNo(1), SPAWNED)), [Command::Launch]);
        assert_eq!(tell(Event::Spawned(TaskNo(2), SPAWNED)), []);
        let ready = Event::Ready(WorkerNo(0), SHAPE, Duration::ZERO);
        assert_eq!(tell(ready), [Command::Dispatch(TaskNo(0), WorkerNo(0))]);
        let ended = Event::Finished(TaskNo(0), Some(Usage::default()));
        assert_eq!(tell(ended), [Command::Shutdown(WorkerNo(0))]);
        assert_eq!(tell(Event::Lost(WorkerNo(0))), [Command::Launch], "the next task has its own");
    }

    #[test]
    fn a_refused_launch_is_tried_again_later() {
        let mut policy = Conventional::new(2);
        let mut commands = Vec::new();
        policy.handle(Duration::ZERO, Event::Spawned(TaskNo(0), SPAWNED), &mut commands);
        policy.handle(Duration::ZERO, Event::Refused, &mut commands);
        assert_eq!(commands, [Command::Launch]);
        let wake = policy.wake_at().unwrap();
        policy.handle(wake, Event::Tick, &mut commands);
        assert_eq!(commands, [Command::Launch; 2]);
        assert_eq!(policy.wake_at(), None);
    }
}
