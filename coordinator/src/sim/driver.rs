//! The coordinator itself, in virtual time: what happens in a simulation becomes the events and
//! frames that a client and workers would send, and what it commands is told to the simulation.
//!
//! Each task has an outcome channel here as anywhere; the client waits for the outcome, takes it
//! and lets go. A task that a task spawns is left to itself by its parent, which is about to end.
//! Who dies, dies as the platform would tell it.

use std::collections::VecDeque;
use std::time::Duration;

use channels::id::{ChannelId, OperationId, SessionId, TaskId};
use channels::wire::{self, Build, Frame, PROTOCOL_VERSION, Parcel, Role, Side, SpawnOptions};

use crate::placement::{Choice, Report, Shape, Usage};
use crate::scheduler::Policy;
use crate::{Command, Coordinator, Event, Settings};

/// The client.
const CLIENT: SessionId = SessionId(0);

/// What the coordinator hears.
#[derive(Clone, Copy, Debug)]
pub(super) enum Word {
    /// A task is to be run: its name, its kind, and by whom it is spawned if not by the client.
    Spawned { task: u64, kind: u32, parent: Option<(u64, u64)> },
    /// The worker of a launch says hello.
    Ready { launch: u64, shape: Shape },
    /// It polls: its reading, and how many tasks it was given by then.
    Polled { launch: u64, report: Report, runs_seen: u64 },
    /// It has ended a task's attempt.
    Finished { launch: u64, task: u64, attempt: u32, usage: Usage },
    /// It leaves of its own will.
    Left { launch: u64 },
    /// The platform says that it is gone, or that it never came.
    Died { launch: u64 },
    /// Time has passed.
    Wake,
}

/// What it wants.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    Launch { launch: u64 },
    Run { launch: u64, task: u64, attempt: u32 },
    Shutdown { launch: u64 },
}

/// The coordinator, and the frames that its client answers with.
#[derive(Debug)]
pub(super) struct Driver {
    coordinator: Coordinator,
    commands: Vec<Command>,
    answers: VecDeque<Frame>,
    /// Outcomes that are none: a task that was never started.
    pub(super) failed: u64,
}

impl Driver {
    /// Workers are as the shape of `choice` says.
    pub(super) fn new(choice: &Choice) -> Self {
        let policy = Policy {
            workers_max: choice.workers_max,
            threads: choice.shape.threads,
            shape: Some(choice.shape),
            workers_poll: true,
            placement: Some(choice.clone()),
            ..Policy::default()
        };
        let mut driver = Self {
            coordinator: Coordinator::new(Settings { policy, ..Settings::default() }),
            commands: Vec::new(),
            answers: VecDeque::new(),
            failed: 0,
        };
        driver.handle(Duration::ZERO, Event::Attached { session: CLIENT }, &mut Vec::new());
        driver
    }

    pub(super) fn wake_at(&self) -> Option<Duration> {
        self.coordinator.wake_at()
    }

    /// Tells it something, and adds what it wants.
    pub(super) fn tell(&mut self, now: Duration, word: &Word, orders: &mut Vec<Order>) {
        match *word {
            Word::Spawned { task, kind, parent } => self.spawn(now, task, kind, parent, orders),
            Word::Finished { launch, task, attempt, usage } => {
                let outcome = Parcel::default();
                let (task, usage) = (task_id(task), measured(&usage));
                let frame = Frame::Finished { task, attempt, outcome, usage };
                self.receive(now, session_of(launch), frame, orders);
            }
            Word::Ready { launch, shape } => {
                let Shape { threads, memory: memory_bytes, .. } = shape;
                let role = Role::Worker { launch, threads, memory_bytes, process: 0 };
                let build = Build { release: String::new(), tasks: 0, hash: 0 };
                let (session, version) = (session_of(launch), PROTOCOL_VERSION);
                self.handle(now, Event::Connected { session, version, build, role }, orders);
            }
            Word::Polled { launch, report, runs_seen } => {
                let Report { cpu, memory, running, held } = report;
                let frame = Frame::Report { cpu, memory, running, held, runs_seen };
                self.receive(now, session_of(launch), frame, orders);
            }
            Word::Left { launch } => {
                self.receive(now, session_of(launch), Frame::Goodbye {}, orders);
            }
            Word::Died { launch } => {
                let cause = "its invocation ended".to_owned();
                self.handle(now, Event::LaunchEnded { launch, cause }, orders);
            }
            Word::Wake => self.handle(now, Event::Wake, orders),
        }
    }

    fn spawn(
        &mut self,
        now: Duration,
        task: u64,
        kind: u32,
        parent: Option<(u64, u64)>,
        orders: &mut Vec<Order>,
    ) {
        let spawner = parent.map_or(CLIENT, |(launch, _)| session_of(launch));
        let parent = parent.map(|(_, task)| task_id(task));
        let options = SpawnOptions { retries: u32::MAX, timeout_ms: 0, parent };
        let (channel, operation) = (ChannelId(u128::from(task)), OperationId(task));
        let spawn = Frame::Spawn {
            task: task_id(task),
            name: format!("kind {kind}"),
            signature: 0,
            options,
            result: channel,
            arguments: Parcel::default(),
        };
        self.receive(now, spawner, spawn, orders);
        let then = if spawner == CLIENT {
            Frame::Receive { channel, operation, select: 0 }
        } else {
            Frame::Detach { channel, side: Side::Receive, arrivals: 1 }
        };
        self.receive(now, spawner, then, orders);
    }

    fn receive(
        &mut self,
        now: Duration,
        session: SessionId,
        frame: Frame,
        orders: &mut Vec<Order>,
    ) {
        self.handle(now, Event::Received { session, frame }, orders);
    }

    fn handle(&mut self, now: Duration, event: Event, orders: &mut Vec<Order>) {
        self.step(now, event, orders);
        while let Some(frame) = self.answers.pop_front() {
            self.step(now, Event::Received { session: CLIENT, frame }, orders);
        }
    }

    fn step(&mut self, now: Duration, event: Event, orders: &mut Vec<Order>) {
        let mut commands = std::mem::take(&mut self.commands);
        self.coordinator.handle(now, event, &mut commands);
        for command in commands.drain(..) {
            orders.extend(self.obey(command));
        }
        self.commands = commands;
    }

    fn obey(&mut self, command: Command) -> Option<Order> {
        match command {
            Command::Launch { launch } => Some(Order::Launch { launch }),
            Command::Send { session: CLIENT, frame } => {
                self.answer(frame);
                None
            }
            Command::Send { session, frame } => {
                let launch = session.0 - 1;
                match frame {
                    Frame::Run { task, attempt, .. } => {
                        Some(Order::Run { launch, task: task.0 as u64, attempt })
                    }
                    Frame::Shutdown {} => Some(Order::Shutdown { launch }),
                    _ => None,
                }
            }
            Command::Close { session: CLIENT, reason } => {
                unreachable!("the client of a simulation was closed: {reason}")
            }
            Command::Admit { .. } | Command::Close { .. } | Command::Stop { .. } => None,
        }
    }

    /// The client takes the outcome that it waited for.
    fn answer(&mut self, frame: Frame) {
        let Frame::Offer { channel, operation, parcel, .. } = frame else { return };
        self.failed += u64::from(parcel != Parcel::default());
        self.answers.push_back(Frame::Accept { channel, operation });
        self.answers.push_back(Frame::Detach { channel, side: Side::Receive, arrivals: 1 });
    }
}

fn task_id(task: u64) -> TaskId {
    TaskId(u128::from(task))
}

/// A worker's session; the client has the first number.
fn session_of(launch: u64) -> SessionId {
    SessionId(launch + 1)
}

fn measured(usage: &Usage) -> wire::Usage {
    let micros = |time: Duration| time.as_micros() as u64;
    let Usage { wall, cpu, queued, bytes, channel_bytes, memory } = *usage;
    let (wall_us, cpu_us, queued_us) = (micros(wall), micros(cpu), micros(queued));
    wire::Usage { wall_us, cpu_us, queued_us, bytes, channel_bytes, memory }
}
