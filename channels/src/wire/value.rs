//! What frames are made of: plain values without behaviour.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::id::{ChannelId, OperationId, TaskId};

/// Which end of a channel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Side {
    /// A `Sender`.
    Send,
    /// A `Receiver`.
    Receive,
}

impl Side {
    /// One bit of two.
    pub(crate) fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A handle inside a message: an identity, never a proxy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Passage {
    /// The channel.
    pub channel: ChannelId,
    /// The end of it that travels.
    pub side: Side,
    /// The channel's capacity, which never changes.
    pub capacity: u32,
}

/// A message as it travels: bytes that only the receiver's program understands, and the handles in
/// them.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Parcel {
    /// Which codec wrote the payload (see `codec.rs`).
    pub codec: u8,
    /// The encoded value. Handles in it are indices into `passages`.
    pub payload: Bytes,
    /// The handles that the value holds.
    pub passages: Vec<Passage>,
}

/// What is in a channel that lands, in order. Offers are not among it: their values and receives
/// are where they would be without.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub struct Contents {
    /// Send handles of the node.
    pub senders: u64,
    /// Receive handles of the node.
    pub receivers: u64,
    /// Values whose send has ended, then those of `sends`.
    pub values: Vec<Parcel>,
    /// Sends that wait.
    pub sends: Vec<OperationId>,
    /// Receives that wait.
    pub receives: Vec<OperationId>,
    /// Operations that are to begin anew: cases of a select, and those that do not wait.
    pub anew: Vec<OperationId>,
    /// How the channel ended, if it has.
    pub end: Option<End>,
}

/// How a channel ended.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum End {
    /// It was closed, or the last handle of its other side was dropped by its owner.
    Closed,
    /// The last handle of its other side vanished with a node that died. Never taken for a close.
    Lost(String),
}

/// What a node is.
#[derive(Clone, PartialEq, Debug)]
pub enum Role {
    /// The program's `main`.
    Client {
        /// At most so many workers; 0 leaves it to the coordinator.
        workers_max: u32,
        /// Where its tasks go.
        place: Place,
    },
    /// A process that runs tasks.
    Worker {
        /// Which launch this worker answers.
        launch: u64,
        /// `worker.threads` of the paper's Algorithm 1.
        threads: u32,
        /// Memory that it may use, in bytes.
        memory_bytes: u64,
        /// Its process id, for people.
        process: u32,
    },
}

/// Where tasks go.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Place {
    /// The scheduler's policy decides.
    #[default]
    Auto,
    /// All to one worker.
    Together,
    /// Each to the worker with the fewest, as many workers as are allowed.
    Apart,
}

/// Which program a node runs. Client and workers must agree, or a call would decode rubbish.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Build {
    /// Release of this library.
    pub release: String,
    /// How many task kinds the program has.
    pub tasks: u32,
    /// Hash over the names and signatures of all of them.
    pub hash: u64,
}

/// 256 bits that prove who a node is. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub [u8; 32]);

/// A number for one hello, however often it is said.
pub fn nonce() -> u64 {
    Secret::random().0.into_iter().fold(0, |nonce, byte| (nonce << 8) ^ u64::from(byte))
}

/// What a task may ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SpawnOptions {
    /// How many times the task may run again after its worker was lost.
    pub retries: u32,
    /// Longest run of one attempt in milliseconds; 0 is none.
    pub timeout_ms: u64,
    /// The task that spawns it, if one does.
    pub parent: Option<TaskId>,
}

/// What an attempt took, in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// From its start on the worker to its end.
    pub wall_us: u64,
    /// CPU time of the thread that it had, or of its polls.
    pub cpu_us: u64,
    /// Time in which it could have gone on and waited for a CPU, as far as the kernel tells.
    pub queued_us: u64,
    /// Bytes that it moved over its worker's network, as far as the worker can tell.
    pub bytes: u64,
    /// Of channels whose other end was elsewhere, those; 0 if it had none.
    pub channel_bytes: u64,
    /// Memory at its highest, in bytes; 0 if the worker cannot tell.
    pub memory: u64,
}

/// How a worker is, as it measures itself.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Vitals {
    /// CPU time of its process since it began, in microseconds.
    pub cpu_us: u64,
    /// CPUs that it is granted: its threads, or less by a quota.
    pub cores: f32,
    /// Tasks and threads that could run and wait for a CPU.
    pub queue: u32,
    /// Memory in use, in bytes.
    pub memory_bytes: u64,
    /// Memory that it may use, in bytes.
    pub memory_max_bytes: u64,
    /// How long ago a task was last polled, in microseconds.
    pub poll_age_us: u64,
}

/// How the whole is, and what was done so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Workers that said hello and are there.
    pub workers: u32,
    /// Workers that were launched and have not said hello.
    pub starting: u32,
    /// Tasks on workers.
    pub running: u32,
    /// Tasks that wait for a worker.
    pub pooled: u32,
    /// Tasks that ended, however.
    pub ended: u64,
    /// Workers launched; on Lambda, invocations.
    pub launches: u64,
    /// Time that workers were there, in microseconds, summed over all.
    pub workers_us: u64,
    /// Time that tasks ran, in microseconds, summed over all attempts that ended.
    pub tasks_us: u64,
    /// Channels whose home is the coordinator.
    pub channels: u64,
}

impl Stats {
    /// What two are together.
    pub fn add(&mut self, other: &Self) {
        self.workers += other.workers;
        self.starting += other.starting;
        self.running += other.running;
        self.pooled += other.pooled;
        self.ended += other.ended;
        self.launches += other.launches;
        self.workers_us += other.workers_us;
        self.tasks_us += other.tasks_us;
        self.channels += other.channels;
    }
}

impl fmt::Debug for Parcel {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} B", self.payload.len())?;
        if self.passages.is_empty() { Ok(()) } else { list(out, &self.passages) }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("(secret)")
    }
}

impl fmt::Display for End {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => out.write_str("closed"),
            Self::Lost(cause) => write!(out, "lost: {cause}"),
        }
    }
}

impl fmt::Display for Build {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "release {}, {} task kinds, build {:016x}", self.release, self.tasks, self.hash)
    }
}

impl Secret {
    /// A new secret, from the operating system's random source.
    pub fn random() -> Self {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("the operating system has a random source");
        Self(bytes)
    }

    /// For the environment of a new worker.
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads what [`Secret::to_hex`] wrote.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64 || !text.is_ascii() {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// Compares in constant time.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// Prints the handles of a parcel.
fn list(out: &mut fmt::Formatter<'_>, passages: &[Passage]) -> fmt::Result {
    for passage in passages {
        write!(out, " + {:?} {}", passage.side, passage.channel)?;
    }
    Ok(())
}
