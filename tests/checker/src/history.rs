//! All operations of one run, and what is known about the run beside them.

use std::collections::{BTreeMap, BTreeSet};

use crate::record::Record;

/// A channel of the program that ran.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Channel {
    /// Its number in the records.
    pub id: u32,
    /// Its capacity.
    pub capacity: u32,
    /// Whether the program held both ends until the end, outside of all sessions that were fenced:
    /// then only a `close` can have ended it.
    pub held: bool,
}

/// How a task ended, as its spawner heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TaskEnd {
    /// It returned: all it did was done.
    Returned,
    /// It panicked, was cancelled or ran into its deadline.
    Stopped,
    /// Its worker died.
    WorkerLost,
    /// It did not run.
    NeverStarted,
}

/// One run: the records of all processes, in any order.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The channels.
    pub channels: Vec<Channel>,
    /// The operations.
    pub records: Vec<Record>,
    /// Sessions that were fenced: by the contract, what they did is a prefix (D1).
    pub fenced: BTreeSet<u32>,
    /// What spawners heard of tasks, once for each time they heard.
    pub ends: Vec<(u32, TaskEnd)>,
    /// Whether the program had come to rest: what has not returned never will.
    pub settled: bool,
    /// How long it may take until a channel's home hears that a receive was given up, and offers it
    /// no value any more: nothing inside a process, [`NEVER`](crate::NEVER) if nobody knows.
    pub lag: u64,
}

impl History {
    /// Whether a session was fenced.
    pub fn is_fenced(&self, session: u32) -> bool {
        self.fenced.contains(&session)
    }

    /// The tasks whose spawners heard that they returned.
    pub fn returned(&self) -> BTreeSet<u32> {
        let returned = self.ends.iter().filter(|(_, end)| *end == TaskEnd::Returned);
        returned.map(|(task, _)| *task).collect()
    }

    /// Adds what another process recorded.
    pub fn merge(&mut self, records: impl IntoIterator<Item = Record>) {
        self.records.extend(records);
    }

    /// The operations by channel, and the channels nobody described.
    pub(crate) fn by_channel(&self) -> BTreeMap<u32, Vec<&Record>> {
        let mut all: BTreeMap<u32, Vec<&Record>> = BTreeMap::new();
        for record in &self.records {
            all.entry(record.channel).or_default().push(record);
        }
        all
    }
}
