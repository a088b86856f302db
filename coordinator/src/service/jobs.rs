//! Tasks that came over HTTP: what became of them, for whoever asks.
//!
//! A job is *pending* (spawned, its outcome awaited) -> *ended* (its outcome is kept) -> gone (the
//! hour is over, or younger outcomes need the room). It is spawned as a client's task is, by a node
//! in this process; so if its worker dies, or the coordinator ends it, its outcome says so.
//!
//! Arguments are JSON that nobody here looks into: the worker's own types read it. Results come
//! back as JSON text.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use channels::codec::JSON;
use channels::id::{ChannelId, TaskId};
use channels::node::Node;
use channels::outcome::Outcome;
use channels::wire::{Frame, Parcel, SpawnOptions};
use channels::{Receiver, RecvError};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::desk::{Desk, Refused};
use super::quota::Quota;

/// Jobs of an application that have not ended.
const PENDING_MAX: usize = 10_000;
/// Their arguments, in bytes: well below what would cut the client inside off, with all its jobs.
const PENDING_BYTES_MAX: usize = 256 << 20;
/// Outcomes that are kept.
const ENDED_MAX: usize = 10_000;
/// The same, in bytes.
const ENDED_BYTES_MAX: usize = 64 << 20;
/// How long an outcome is kept.
const KEPT: Duration = Duration::from_secs(3600);

/// How a job is.
#[derive(Clone, Debug)]
pub(super) enum State {
    Pending,
    /// The result is a text of JSON.
    Ended(Arc<Outcome<String>>),
}

/// A job, as it is told.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) id: TaskId,
    pub(super) task: String,
    pub(super) state: State,
}

/// What a job is asked to do.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) task: String,
    /// A JSON array.
    pub(super) arguments: Bytes,
    pub(super) options: SpawnOptions,
}

/// Why a job cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Declined {
    #[error("{PENDING_MAX} tasks wait or run already")]
    Full,
    #[error("the arguments of tasks that wait or run take {PENDING_BYTES_MAX} bytes already")]
    Heavy,
    #[error("the application may have {0} tasks that wait or run")]
    Tasks(u64),
    #[error("the application's values, tasks and channels may take {0} bytes")]
    Memory(u64),
    #[error("the application may spawn {0} tasks a second")]
    Fast(u64),
    #[error("{0}")]
    Refused(#[from] Refused),
}

/// An application's jobs.
pub(super) struct Jobs {
    this: Weak<Self>,
    desk: Arc<Desk>,
    application: usize,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    /// The client of the jobs' realm, once there was a job.
    node: Option<Arc<Node>>,
    /// Oldest first.
    order: BTreeMap<u64, TaskId>,
    entries: BTreeMap<TaskId, Entry>,
    /// Those that have ended, in that order.
    ended: VecDeque<(Instant, TaskId)>,
    ended_bytes: usize,
    /// Of the arguments of those that have not.
    pending_bytes: usize,
    next: u64,
}

struct Entry {
    number: u64,
    task: String,
    /// Of its arguments.
    bytes: usize,
    state: watch::Sender<State>,
}

impl Jobs {
    pub(super) fn new(desk: Arc<Desk>, application: usize) -> Arc<Self> {
        let table = Mutex::default();
        Arc::new_cyclic(|this| Self { this: this.clone(), desk, application, table })
    }

    /// Spawns a task.
    pub(super) fn submit(&self, order: Order) -> Result<TaskId, Declined> {
        let mut table = self.table.lock();
        table.forget_old(Instant::now());
        if table.entries.len() - table.ended.len() >= PENDING_MAX {
            return Err(Declined::Full);
        }
        let bytes = order.arguments.len();
        if table.pending_bytes + bytes > PENDING_BYTES_MAX {
            return Err(Declined::Heavy);
        }
        let node = self.node(&mut table)?;
        let allowance = &self.desk.allowances[self.application];
        allowance.submit(bytes).map_err(|(quota, most)| match quota {
            Quota::Tasks => Declined::Tasks(most),
            Quota::Memory => Declined::Memory(most),
            _ => Declined::Fast(most),
        })?;
        let (task, result) = (TaskId::random(), ChannelId::random());
        table.next += 1;
        let number = table.next;
        let (state, _) = watch::channel(State::Pending);
        table.order.insert(number, task);
        table.pending_bytes += bytes;
        table.entries.insert(task, Entry { number, task: order.task.clone(), bytes, state });
        drop(table);
        node.push(Frame::Spawn {
            task,
            name: order.task,
            signature: 0,
            options: order.options,
            result,
            arguments: Parcel { codec: JSON, payload: order.arguments, passages: Vec::new() },
        });
        let receiver = Receiver::<Outcome<String>>::of_result(&node, result);
        let this = self.this.clone();
        tokio::spawn(async move {
            let outcome = match receiver.recv().await {
                Ok(outcome) => outcome,
                Err(RecvError::Closed) => Outcome::Cancelled,
                Err(RecvError::Lost(cause)) => Outcome::WorkerLost(cause),
                Err(RecvError::Malformed(reason)) => Outcome::Panicked(reason),
            };
            if let Some(jobs) = this.upgrade() {
                jobs.table.lock().end(task, outcome);
            }
        });
        Ok(task)
    }

    /// The client of the jobs' realm; a new one if the last is cut off.
    fn node(&self, table: &mut Table) -> Result<Arc<Node>, Refused> {
        if self.desk.is_stopping() {
            return Err(Refused::Stopping);
        }
        if let Some(node) = table.node.as_ref().filter(|node| node.lost().is_none()) {
            return Ok(node.clone());
        }
        let rung = Arc::new(Notify::new());
        let bell = rung.clone();
        let node = Node::new(move || bell.notify_one());
        self.desk.inside(self.application, node.clone(), rung)?;
        table.node = Some(node.clone());
        Ok(node)
    }

    /// How a job is; none if there is no such job any more.
    pub(super) fn look(&self, id: TaskId) -> Option<Job> {
        let mut table = self.table.lock();
        table.forget_old(Instant::now());
        table.entries.get(&id).map(|entry| entry.told(id))
    }

    /// The same, once it has ended, or after this time.
    pub(super) async fn wait(&self, id: TaskId, patience: Duration) -> Option<Job> {
        let mut state = self.table.lock().entries.get(&id)?.state.subscribe();
        let ended = state.wait_for(|state| matches!(state, State::Ended(_)));
        // Too late is no error, and what is forgotten meanwhile is not there any more.
        tokio::time::timeout(patience, ended).await.ok();
        self.look(id)
    }

    /// The youngest first, so many.
    pub(super) fn list(&self, count: usize) -> Vec<Job> {
        let mut table = self.table.lock();
        table.forget_old(Instant::now());
        let youngest = table.order.values().rev().take(count);
        youngest.filter_map(|id| Some(table.entries.get(id)?.told(*id))).collect()
    }

    /// Asks a job to end; how it is now.
    pub(super) fn cancel(&self, id: TaskId) -> Option<Job> {
        let job = self.look(id)?;
        if let (State::Pending, Some(node)) = (&job.state, &self.table.lock().node) {
            node.push(Frame::Abort { task: id });
        }
        Some(job)
    }

    /// Jobs that have not ended.
    pub(super) fn pending(&self) -> usize {
        let table = self.table.lock();
        table.entries.len() - table.ended.len()
    }
}

impl Table {
    fn end(&mut self, id: TaskId, outcome: Outcome<String>) {
        let Some(entry) = self.entries.get(&id) else { return };
        self.pending_bytes -= entry.bytes;
        self.ended_bytes += size(&outcome);
        entry.state.send_replace(State::Ended(Arc::new(outcome)));
        self.ended.push_back((Instant::now(), id));
        self.forget_old(Instant::now());
    }

    /// Outcomes that are kept for too long, or are too many.
    fn forget_old(&mut self, now: Instant) {
        while let Some((since, id)) = self.ended.front().copied() {
            let many = self.ended.len() > ENDED_MAX || self.ended_bytes > ENDED_BYTES_MAX;
            // The last one may be as large as it likes.
            if now.duration_since(since) < KEPT && !(many && self.ended.len() > 1) {
                return;
            }
            self.ended.pop_front();
            if let Some(entry) = self.entries.remove(&id) {
                self.order.remove(&entry.number);
                if let State::Ended(outcome) = &*entry.state.borrow() {
                    self.ended_bytes -= size(outcome);
                }
            }
        }
    }
}

impl Entry {
    fn told(&self, id: TaskId) -> Job {
        Job { id, task: self.task.clone(), state: self.state.borrow().clone() }
    }
}

/// What an outcome takes, in bytes.
fn size(outcome: &Outcome<String>) -> usize {
    let text = match outcome {
        Outcome::Returned(text) | Outcome::Panicked(text) => text,
        Outcome::WorkerLost(text) | Outcome::NeverStarted(text) => text,
        Outcome::Cancelled | Outcome::DeadlineExceeded(_) => return 0,
    };
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_ended(count: u64, text: &str) -> (Table, Vec<TaskId>) {
        let mut table = Table::default();
        let ids: Vec<_> = (0..count).map(|_| TaskId::random()).collect();
        for (number, id) in (0..).zip(&ids) {
            let (state, _) = watch::channel(State::Pending);
            table.pending_bytes += 1;
            table.entries.insert(*id, Entry { number, task: "t".to_owned(), bytes: 1, state });
            table.order.insert(number, *id);
            table.end(*id, Outcome::Returned(text.to_owned()));
        }
        (table, ids)
    }

    #[test]
    fn the_oldest_outcomes_make_room_for_younger_ones() {
        let (table, ids) = with_ended(ENDED_MAX as u64 + 3, "1");
        assert_eq!((table.entries.len(), table.order.len()), (ENDED_MAX, ENDED_MAX));
        assert_eq!(table.pending_bytes, 0);
        assert!(!table.entries.contains_key(&ids[2]) && table.entries.contains_key(&ids[3]));
        let (table, _) = with_ended(5, &"x".repeat(ENDED_BYTES_MAX / 2));
        assert_eq!((table.entries.len(), table.ended_bytes), (2, ENDED_BYTES_MAX));
        let (table, _) = with_ended(2, &"x".repeat(ENDED_BYTES_MAX + 1));
        assert_eq!(table.entries.len(), 1, "the last one is told, however large");
    }

    #[test]
    fn an_outcome_is_kept_for_an_hour() {
        let (mut table, _) = with_ended(3, "1");
        let now = Instant::now();
        table.forget_old(now + KEPT / 2);
        assert_eq!(table.entries.len(), 3);
        table.forget_old(now + KEPT);
        assert_eq!((table.entries.len(), table.ended_bytes, table.order.len()), (0, 0, 0));
    }
}
