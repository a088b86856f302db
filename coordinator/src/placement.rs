//! Where tasks run, and how many workers there are: the policies, on one interface.
//!
//! A [`Placement`] is a pure state machine. [`Event`]s and the time go in, [`Command`]s come out.
//! It sees tasks, kinds of tasks and workers as small numbers that its caller gives out and may
//! give out again once the old bearer is gone; it knows no session, no frame and no clock. The
//! coordinator's scheduler drives one, for real and in the virtual time of [`crate::sim`].
//!
//! - [`conventional`]: an invocation a task, as without Farspawn.
//! - [`paper`]: Algorithm 1 of the paper, line by line.
//! - [`farspawn`]: ours, and the default.
//!
//! # A task, as a policy sees it
//!
//! [`Event::Spawned`] -> [`Command::Dispatch`] -> [`Event::Finished`]. After its worker was
//! [`Event::Lost`], it is either [`Event::Returned`] to the pool or finished without a [`Usage`]. A
//! task that is given up while it waits is [`Event::Withdrawn`].
//!
//! # A worker
//!
//! [`Command::Launch`] -> [`Event::Ready`], or [`Event::Refused`] -> [`Command::Shutdown`] ->
//! [`Event::Lost`]. A worker that dies by itself goes from ready to lost; one whose platform will
//! end it from ready to [`Event::Departed`], and is not heard of any more.

use std::fmt::Debug;
use std::time::Duration;

pub mod choice;
pub mod conventional;
pub mod farspawn;
pub mod paper;

pub use choice::{Choice, Refusal};

/// A task, from its spawn to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskNo(pub u32);

/// What kind a task is of: tasks of one kind are expected to need about the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KindNo(pub u32);

/// A worker, from its first word to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerNo(pub u32);

/// Whose task it is; applications share the workers fairly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppNo(pub u32);

/// What is known of a task when it is spawned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spawned {
    /// Its kind.
    pub kind: KindNo,
    /// The task that spawned it, if that has not ended: the two talk to each other.
    pub parent: Option<TaskNo>,
    /// Whose it is.
    pub app: AppNo,
}

/// What a task took, as its worker measured it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// From its start on the worker to its end.
    pub wall: Duration,
    /// CPU time.
    pub cpu: Duration,
    /// Time in which it could have gone on but had to wait: for a CPU, or to be let on the network.
    pub queued: Duration,
    /// Bytes that it moved over its worker's network.
    pub bytes: u64,
    /// Bytes of channels whose other end was on another worker. 0 if it had none: nothing is known
    /// then of what it would move elsewhere.
    pub channel_bytes: u64,
    /// Memory at its highest, in bytes.
    pub memory: u64,
}

/// What a worker has to give.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Threads that it shows: `worker.threads` of the paper.
    pub threads: u32,
    /// CPUs that it is really granted: vCPU steps, or a quota.
    pub cores: f64,
    /// Memory in bytes.
    pub memory: u64,
    /// Memory that it needs for itself.
    pub memory_base: u64,
    /// Bytes a second of its network.
    pub network: f64,
    /// The platform's time limit, from its start.
    pub lifetime: Duration,
}

/// What a worker's poll tells (the paper's `req`).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Report {
    /// 1.0 is all of its CPU.
    pub cpu: f32,
    /// 1.0 is all of its memory.
    pub memory: f32,
    /// Tasks that occupy a thread.
    pub running: u32,
    /// Tasks that it holds, those parked on channels included.
    pub held: u32,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// A task is to be run.
    Spawned(TaskNo, Spawned),
    /// A task that its parent's worker began by itself, within the seats that it was granted; it is
    /// told of only when it has been there for a while.
    Began(TaskNo, Spawned, WorkerNo),
    /// Tasks of a kind that a worker began by itself have ended, and what each of them took.
    Tallied(KindNo, WorkerNo, Usage),
    /// A task that waits is given up.
    Withdrawn(TaskNo),
    /// A task ended, and what it took. Without usage if its worker is gone.
    Finished(TaskNo, Option<Usage>),
    /// A task's worker is gone, or leaves and has not begun it: the task is to run again.
    Returned(TaskNo),
    /// A worker is there: what it has, and how long its launch took.
    Ready(WorkerNo, Shape, Duration),
    /// A worker has found how many CPUs it is really granted.
    Granted(WorkerNo, f64),
    /// A worker polls.
    Polled(WorkerNo, Report),
    /// A worker is gone. Its tasks are returned or finished next.
    Lost(WorkerNo),
    /// A worker leaves of its own will. It counts as gone; its tasks come to their end there, or
    /// are returned, and none of that is a death.
    Departed(WorkerNo),
    /// A worker that was to be told to end is still needed, by something there that outlived its
    /// task: it was not told.
    Kept(WorkerNo),
    /// The platform did not start a worker.
    Refused,
    /// The time of [`Placement::wake_at`] has come.
    Tick,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Start a worker.
    Launch,
    /// Give a task to a worker.
    Dispatch(TaskNo, WorkerNo),
    /// Tell a worker without tasks to end.
    Shutdown(WorkerNo),
    /// Tell a worker that polls that it has nothing new.
    Continue(WorkerNo),
}

/// What a policy asks of the workers' side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WorkerSide {
    /// How often workers poll. `None`: they are pushed their tasks.
    pub poll: Option<Duration>,
    /// From the start of a worker's program to its first word.
    pub registration: Duration,
    /// Transfers at once on a worker; the others wait on the worker.
    pub transfers_max: Option<u32>,
    /// Tasks on the CPU at once, in the order in which they came, instead of sharing it.
    pub cpu_gate: Option<u32>,
    /// How a task's output comes to the task that it spawned.
    pub channels: Channels,
    /// When a worker ends.
    pub life: Life,
    /// What the platform's front door adds to an invocation by the client itself.
    pub front_door: Duration,
}

/// When a worker ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// With its first task, as a function does that returns.
    OneTask,
    /// When it is told to.
    UntilShutdown,
}

/// How a task's output comes to the task that it spawned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// Through the object store, always.
    Stored,
    /// Through memory on one worker, through the relay else.
    Linked,
}

/// A policy.
pub trait Placement: Debug + Send {
    /// Takes one event in; what is to be done is added to `commands`, in order. `now` never goes
    /// back.
    fn handle(&mut self, now: Duration, event: Event, commands: &mut Vec<Command>);

    /// When it wants a tick, if it does.
    fn wake_at(&self) -> Option<Duration> {
        None
    }

    /// Up to how many tasks may occupy a thread of a worker for one of them to begin what it spawns
    /// there and then, without being told to. 0: all tasks are to be given out by this policy.
    fn seats(&mut self, _: WorkerNo) -> u32 {
        0
    }

    /// What it asks of the workers' side.
    fn worker_side(&self) -> WorkerSide;
}

#[cfg(test)]
const SHAPE: Shape = Shape {
    threads: 6,
    cores: 6.0,
    memory: 10 << 30,
    memory_base: 150_000_000,
    network: 75e6,
    lifetime: Duration::from_secs(900),
};

/// What is at a number that was given out.
fn at<T>(slots: &mut [Option<T>], number: u32) -> Option<&mut T> {
    slots.get_mut(number as usize)?.as_mut()
}

/// Puts something at a number, which may be new.
fn put<T>(slots: &mut Vec<Option<T>>, number: u32, value: T) {
    let index = number as usize;
    if slots.len() <= index {
        slots.resize_with(index + 1, || None);
    }
    slots[index] = Some(value);
}
