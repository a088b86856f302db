//! The channels that one process knows, and its operations under way on those whose home is the
//! coordinator. No socket: frames go out through [`Node::take_outgoing`] and come in through
//! [`Node::receive`]; whoever owns the socket hangs a doorbell here.
//!
//! States of a remote operation: *waiting* (a frame is on its way, or the home has parked it) ->
//! *concluded* (the answer is here) -> gone (the task has taken the answer). Dropping the future in
//! the first state tells the home; in the second it declines the offer. When the link is lost for
//! good, every operation concludes as lost, and so does every later one at once.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Poll, Waker};

use dashmap::DashMap;
use parking_lot::Mutex;

use crate::flow::{Early, Flow, Name, Stocked};
use crate::id::{ChannelId, OperationId};
use crate::wire::{BATCH_BYTES_TARGET, BatchWriter, End, Frame, Passage, Stats};

mod lending;

/// Anything that [`crate::channel`] made here or that arrived here, found by its identity.
type Known = Weak<dyn Any + Send + Sync>;

/// One process's side of the relay.
pub struct Node {
    state: Mutex<State>,
    channels: DashMap<ChannelId, Known>,
    flows: DashMap<ChannelId, Weak<Flow>>,
    /// Offers that have come.
    offers: AtomicU64,
    /// Which incarnation its session is; 0 before it has one.
    epoch: AtomicU64,
    doorbell: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct State {
    outgoing: VecDeque<Frame>,
    operations: BTreeMap<OperationId, Operation>,
    /// Receives that were given up, and whose offers are for the stock of their channel.
    abandoned: BTreeMap<OperationId, Arc<Flow>>,
    next_operation: u64,
    lost: Option<String>,
}

enum Operation {
    /// With the channel's flow, if it receives.
    Waiting(Waker, Option<Arc<Flow>>),
    Concluded(Conclusion),
}

impl Operation {
    /// Whether the home still holds something for it.
    fn is_unsettled(&self) -> bool {
        use Conclusion::{Aborted, Offered, Ready};
        matches!(self, Self::Waiting(..) | Self::Concluded(Offered(_) | Ready | Aborted))
    }
}

/// What the home answered.
#[derive(Debug, PartialEq)]
pub(crate) enum Conclusion {
    Sent,
    Refused(End),
    Offered(Stocked),
    /// It was in stock.
    Stocked(Stocked),
    /// What it asked for was on its way: it is to look, and to ask again.
    Again,
    Ended(End),
    Closed {
        first: bool,
    },
    Full,
    Ready,
    Empty,
    Measured(u64),
    Flushed,
    Aborted,
    Surveyed(u32),
    Inspected(Stats),
}

impl Node {
    /// A node without channels. The doorbell is rung whenever frames wait to be sent; it must not
    /// block, and may be rung from any thread.
    pub fn new(doorbell: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            channels: DashMap::new(),
            flows: DashMap::new(),
            offers: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
            doorbell: Box::new(doorbell),
        })
    }

    /// Which incarnation of a session this node's is; 0 before it has one.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// Its session has begun.
    pub fn set_epoch(&self, epoch: u64) {
        self.epoch.store(epoch, Ordering::Relaxed);
    }

    /// Queues a frame. Frames leave in the order in which they were queued.
    pub fn push(&self, frame: Frame) {
        self.queue(frame);
    }

    /// Queues a frame, as a part of the last one if that is possible. False if the link is lost.
    pub(crate) fn queue(&self, frame: Frame) -> bool {
        let mut state = self.state.lock();
        if state.lost.is_some() {
            return false;
        }
        if state.outgoing.back_mut().is_some_and(|last| append(last, &frame)) {
            return true;
        }
        state.outgoing.push_back(frame);
        let first = state.outgoing.len() == 1;
        drop(state);
        if first {
            (self.doorbell)();
        }
        true
    }

    /// Moves waiting frames into a batch, until it is large enough. True if more are waiting.
    pub fn take_outgoing(&self, batch: &mut BatchWriter) -> bool {
        let mut state = self.state.lock();
        while batch.len() < BATCH_BYTES_TARGET {
            let Some(frame) = state.outgoing.pop_front() else { return false };
            batch.push(&frame);
        }
        !state.outgoing.is_empty()
    }

    /// Takes in a frame. One that does not concern channels comes back.
    pub fn receive(&self, frame: Frame) -> Option<Frame> {
        match frame {
            Frame::Sent { operation } => self.conclude(operation, Conclusion::Sent),
            Frame::Refused { operation, end } => {
                self.conclude(operation, Conclusion::Refused(end));
            }
            Frame::Offer { operation, attempt, parcel } => {
                let (name, turn) = (Name::Asked(operation), self.turns(1));
                let stocked = Stocked { name, parcel, attempt, turn };
                self.conclude(operation, Conclusion::Offered(stocked));
            }
            Frame::Ended { operation, end } => self.conclude(operation, Conclusion::Ended(end)),
            Frame::Closed { operation, first } => {
                self.conclude(operation, Conclusion::Closed { first: first == 1 });
            }
            Frame::Full { operation } => self.conclude(operation, Conclusion::Full),
            Frame::Ready { operation } => self.conclude(operation, Conclusion::Ready),
            Frame::Empty { operation } => self.conclude(operation, Conclusion::Empty),
            Frame::Measured { operation, length } => {
                self.conclude(operation, Conclusion::Measured(length));
            }
            Frame::Surveyed { operation, ready } => {
                self.conclude(operation, Conclusion::Surveyed(ready));
            }
            Frame::Inspected { operation, stats } => {
                self.conclude(operation, Conclusion::Inspected(stats));
            }
            Frame::Again { operation } => self.conclude(operation, Conclusion::Again),
            Frame::Aborted { operation } => self.conclude(operation, Conclusion::Aborted),
            Frame::Flushed { operation } => self.conclude(operation, Conclusion::Flushed),
            Frame::Credit { channel, credits } => self.on_credit(channel, credits),
            Frame::Revoke { channel } => {
                if let Some(flow) = self.flow(channel) {
                    self.repay(&flow);
                }
            }
            Frame::Early { channel, first, attempt, parcels } => {
                self.on_early(channel, Early { first, attempt, parcels });
            }
            Frame::Recall { channel } => {
                if let Some(flow) = self.flow(channel) {
                    let mut lent = flow.lock();
                    self.push_all(flow.empty(&mut lent));
                }
            }
            other => return Some(other),
        }
        None
    }

    /// The link is gone for good: every operation ends, now and later.
    pub fn lose(&self, cause: &str) {
        let mut state = self.state.lock();
        if state.lost.is_some() {
            return;
        }
        state.lost = Some(cause.to_owned());
        state.outgoing.clear();
        let abandoned = std::mem::take(&mut state.abandoned);
        let wakers: Vec<Waker> = state
            .operations
            .values()
            .filter_map(|operation| match operation {
                Operation::Waiting(waker, _) => Some(waker.clone()),
                Operation::Concluded(_) => None,
            })
            .collect();
        drop(state);
        drop(abandoned);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Queues frames, in their order.
    fn push_all(&self, frames: impl IntoIterator<Item = Frame>) {
        frames.into_iter().for_each(|frame| self.push(frame));
    }

    /// Why the link is gone, if it is.
    pub fn lost(&self) -> Option<String> {
        self.state.lock().lost.clone()
    }

    /// A handle that arrived and that nobody wants.
    pub fn give_back(&self, passage: Passage) {
        let Passage { channel, side, .. } = passage;
        self.push(Frame::Detach { channel, side, arrivals: 1 });
    }

    /// Asks the coordinator how the whole is. None when the link is lost.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost but the answer.
    pub async fn inspect(&self) -> Option<Stats> {
        match self.ask(|operation| Frame::Inspect { operation }).await {
            Conclusion::Inspected(stats) => Some(stats),
            _ => None,
        }
    }

    /// How many values a channel holds that is at home at the coordinator; none if it is lost.
    pub(crate) async fn measure(&self, channel: ChannelId) -> usize {
        match self.ask(|operation| Frame::Measure { channel, operation }).await {
            Conclusion::Measured(length) => length as usize,
            _ => 0,
        }
    }

    /// Which of several operations could go now; none if that was so at one moment. When the link
    /// is lost every one can, and yields that.
    pub(crate) async fn survey(&self, cases: Vec<Passage>) -> Option<usize> {
        let ask = |operation| Frame::Survey { operation, cases: cases.clone() };
        match self.ask(ask).await {
            Conclusion::Surveyed(0) => None,
            Conclusion::Surveyed(ready) => Some(ready as usize - 1),
            _ => Some(0),
        }
    }

    /// Waits until all that was sent before is home. If the link is lost, says why.
    pub(crate) async fn flush(&self) -> Result<(), String> {
        match self.ask(|operation| Frame::Flush { operation }).await {
            Conclusion::Ended(End::Lost(cause)) => Err(cause),
            _ => Ok(()),
        }
    }

    /// A name for something that the home is to know of.
    pub(crate) fn name_operation(&self) -> OperationId {
        let mut state = self.state.lock();
        state.next_operation += 1;
        OperationId(state.next_operation)
    }

    async fn ask(&self, ask: impl Fn(OperationId) -> Frame) -> Conclusion {
        let mut asked = Asked { node: self, operation: None };
        let answer = poll_fn(|context| {
            let waker = context.waker();
            let begin = || self.begin(waker.clone(), &ask);
            self.poll(*asked.operation.get_or_insert_with(begin), waker)
        });
        answer.await
    }

    /// Starts an operation: allots its name, and sends the frame that says so.
    pub(crate) fn begin(
        &self,
        waker: Waker,
        frame: impl FnOnce(OperationId) -> Frame,
    ) -> OperationId {
        let mut state = self.state.lock();
        state.next_operation += 1;
        let operation = OperationId(state.next_operation);
        if state.lost.is_some() {
            state.operations.insert(operation, Operation::Waiting(waker.clone(), None));
            drop(state);
            waker.wake();
        } else {
            state.operations.insert(operation, Operation::Waiting(waker, None));
            drop(state);
            self.push(frame(operation));
        }
        operation
    }

    /// Asks how an operation ended.
    pub(crate) fn poll(&self, operation: OperationId, waker: &Waker) -> Poll<Conclusion> {
        let mut state = self.state.lock();
        let lost = state.lost.clone();
        match state.operations.remove(&operation) {
            Some(Operation::Concluded(conclusion)) => Poll::Ready(conclusion),
            before => match lost {
                Some(cause) => Poll::Ready(Conclusion::Ended(End::Lost(cause))),
                None => {
                    let flow = match before {
                        Some(Operation::Waiting(_, flow)) => flow,
                        _ => None,
                    };
                    state.operations.insert(operation, Operation::Waiting(waker.clone(), flow));
                    Poll::Pending
                }
            },
        }
    }

    /// Whether an operation has its answer, or never will; if not, it will wake this waker.
    pub(crate) fn rewait(&self, operation: OperationId, waker: &Waker) -> Answered {
        let mut state = self.state.lock();
        let is_lost = state.lost.is_some();
        match state.operations.get_mut(&operation) {
            Some(Operation::Waiting(known, _)) if !is_lost => {
                known.clone_from(waker);
                Answered::No
            }
            Some(Operation::Concluded(Conclusion::Again)) if !is_lost => Answered::Again,
            _ => Answered::Yes,
        }
    }

    /// Gives an operation up; `frame` tells the home, unless the answer came before and says all.
    pub(crate) fn give_up(&self, operation: OperationId, frame: Frame) {
        let flow = match self.state.lock().operations.get(&operation) {
            Some(Operation::Waiting(_, flow)) => flow.clone(),
            _ => None,
        };
        // In one step: an offer that comes meanwhile finds it waiting, or abandoned.
        let mut lent = flow.as_ref().map(|flow| flow.lock());
        let mut state = self.state.lock();
        let ended = state.operations.remove(&operation);
        if let Some(Operation::Waiting(_, Some(flow))) = &ended
            && let Some(lent) = lent.as_mut().filter(|lent| lent.is_open())
        {
            lent.stop_waiting(operation);
            state.abandoned.insert(operation, flow.clone());
            drop(state);
            if let Frame::Decline { channel, .. } = frame {
                self.push(Frame::Abandon { channel, operation });
            }
            return;
        }
        drop(state);
        if let Some(lent) = &mut lent {
            lent.stop_waiting(operation);
        }
        drop(lent);
        match (ended, frame) {
            (Some(Operation::Concluded(conclusion)), Frame::Decline { channel, .. }) => {
                let (Conclusion::Stocked(stocked) | Conclusion::Offered(stocked)) = conclusion
                else {
                    return;
                };
                match self.flow(channel) {
                    Some(flow) => self.put_back(&flow, stocked),
                    None => self.push(stocked.name.untaken(channel)),
                }
            }
            (Some(ended), frame) if ended.is_unsettled() => self.push(frame),
            _ => {}
        }
    }

    /// Forgets an operation whose answer nobody waits for.
    pub(crate) fn abandon(&self, operation: OperationId) {
        let forgotten = self.state.lock().operations.remove(&operation);
        drop(forgotten);
    }

    /// Remembers a channel, so that every handle to it in this process is of the same one.
    pub(crate) fn remember(&self, channel: ChannelId, known: Known) {
        self.channels.insert(channel, known);
    }

    /// Finds or makes the one thing behind all handles of a channel.
    pub(crate) fn find_or_make(
        &self,
        channel: ChannelId,
        make: impl FnOnce() -> Arc<dyn Any + Send + Sync>,
    ) -> Arc<dyn Any + Send + Sync> {
        let mut entry = self.channels.entry(channel).or_insert_with(|| Weak::<()>::new());
        if let Some(known) = entry.upgrade() {
            return known;
        }
        let made = make();
        *entry = Arc::downgrade(&made);
        made
    }

    /// Forgets a channel that no handle here names any more.
    pub(crate) fn forget(&self, channel: ChannelId) {
        self.channels.remove_if(&channel, |_, known| known.strong_count() == 0);
        self.flows.remove_if(&channel, |_, flow| flow.strong_count() == 0);
    }

    fn conclude(&self, operation: OperationId, conclusion: Conclusion) {
        let mut state = self.state.lock();
        if let Some(flow) = state.abandoned.remove(&operation) {
            drop(state);
            if let Conclusion::Offered(stocked) = conclusion {
                self.put_back(&flow, stocked);
            }
            return;
        }
        // An answer to an operation that was given up: the home knows, or will in a moment.
        let Some(slot) = state.operations.get_mut(&operation) else { return };
        let before = std::mem::replace(slot, Operation::Concluded(conclusion));
        drop(state);
        if let Operation::Waiting(waker, flow) = before {
            if let Some(flow) = flow {
                flow.lock().stop_waiting(operation);
            }
            waker.wake();
        }
    }
}

/// Whether an operation has its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Answered {
    No,
    /// It is to ask again.
    Again,
    Yes,
}

/// Makes a frame part of the last one that waits, if both say of the same channel what was taken.
fn append(last: &mut Frame, frame: &Frame) -> bool {
    if let Frame::Took { channel, first, count } = last
        && let Frame::Took { channel: same, first: next, count: more } = frame
        && *channel == *same
        && *first + u64::from(*count) == *next
    {
        *count += *more;
        return true;
    }
    false
}

/// A question under way.
struct Asked<'a> {
    node: &'a Node,
    operation: Option<OperationId>,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if let Some(operation) = self.operation {
            self.node.abandon(operation);
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        out.debug_struct("Node")
            .field("channels", &self.channels.len())
            .field("operations", &state.operations.len())
            .field("outgoing", &state.outgoing.len())
            .field("lost", &state.lost)
            .finish()
    }
}
