//! The channels that one process knows, and its operations under way on those whose home is the
//! coordinator. No socket: frames go out through [`Node::take_outgoing`] and come in through
//! [`Node::receive`]; whoever owns the socket hangs a doorbell here.
//!
//! States of a remote operation: *waiting* (a frame is on its way, or the home has parked it) ->
//! *concluded* (the answer is here) -> gone (the task has taken the answer). Dropping the future in
//! the first state tells the home; in the second it declines the offer. When the link is lost for
//! good, every operation concludes as lost, and so does every later one at once. When its channel
//! comes home to this process it concludes as moved, and goes on there; see `settling.rs`.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Poll, Waker};

use bytes::Bytes;
use dashmap::DashMap;
use parking_lot::{Mutex, MutexGuard};

use crate::chunks::{Inbox, Outbox};
use crate::flow::{Early, Flow, Name, Stocked};
use crate::id::{ChannelId, OperationId};
use crate::line::Place;
use crate::settling::{Passed, Settling};
use crate::wire::{BatchWriter, End, Frame, Passage, Stats};

mod landing;
mod leasing;
mod lending;
mod questions;

pub(crate) use landing::Heard;
pub(crate) use questions::Surveyed;

/// Anything that [`crate::channel`] made here or that arrived here, found by its identity.
type Known = Weak<dyn Any + Send + Sync>;

/// One process's side of the relay.
pub struct Node {
    state: Mutex<State>,
    /// Pieces that have come.
    incoming: Mutex<Inbox>,
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
    outgoing: Outbox,
    operations: BTreeMap<OperationId, Operation>,
    /// Receives that were given up, and whose offers are for the stock of their channel.
    abandoned: BTreeMap<OperationId, Arc<Flow>>,
    /// Operations that have got something from the stock of a channel, and have not looked.
    in_hand: BTreeMap<OperationId, ChannelId>,
    next_operation: u64,
    lost: Option<String>,
    settling: Settling,
    /// Who would take a value of a channel that is on its way here.
    sleepers: Vec<Waker>,
    /// Whether any channel ever came home to this process.
    has_landed: bool,
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
    Billed(Bytes),
    /// The channel is here, or was since. The operation may have a place in it.
    Moved(Option<Place>),
    /// The channel can be taken over, and must be before anything else: `Shared::land`.
    Landing,
}

impl Node {
    /// A node without channels. The doorbell is rung whenever frames wait to be sent; it must not
    /// block, and may be rung from any thread.
    pub fn new(doorbell: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            incoming: Mutex::default(),
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

    /// Rings the doorbell, for whoever owns the socket has something to add to what is queued.
    pub fn ring(&self) {
        (self.doorbell)();
    }

    /// Queues a frame. False if the link is lost.
    fn queue(&self, frame: Frame) -> bool {
        let state = self.state.lock();
        let is_linked = state.lost.is_none();
        if is_linked {
            self.push_in(state, |state| state.pass(frame) == Passed::Diverted);
        }
        is_linked
    }

    /// Moves waiting frames into a batch, until it is large enough. True if more are waiting.
    pub fn take_outgoing(&self, batch: &mut BatchWriter) -> bool {
        self.state.lock().outgoing.fill(batch)
    }

    /// Takes in a frame. One that does not concern channels comes back. If a large value comes in
    /// pieces that do not fit together, the link is lost.
    pub fn receive(&self, frame: Frame) -> Option<Frame> {
        match frame {
            Frame::Chunk { .. } | Frame::Whole { .. } | Frame::Scrap { .. } => {
                let complete = self.incoming.lock().receive(frame);
                match complete {
                    Ok(complete) => return complete.and_then(|frame| self.receive(frame)),
                    Err(misfit) => self.lose(&format!("the coordinator sent {misfit}")),
                }
            }
            Frame::Sent { operation } => self.conclude(operation, Conclusion::Sent),
            Frame::Refused { operation, end } => {
                self.conclude(operation, Conclusion::Refused(end));
            }
            Frame::Offer { operation, attempt, parcel, .. } => {
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
            Frame::Aborted { operation } => self.conclude(operation, Conclusion::Aborted),
            Frame::Billed { operation, report } => {
                self.conclude(operation, Conclusion::Billed(report));
            }
            Frame::Again { operation, .. } => self.conclude(operation, Conclusion::Again),
            Frame::Flushed { operation } => self.conclude(operation, Conclusion::Flushed),
            Frame::Credit { channel, credits, detaches } => {
                self.on_credit(channel, credits, detaches);
            }
            Frame::Revoke { channel } => {
                if let Some(flow) = self.flow(channel) {
                    self.repay(&flow);
                }
            }
            Frame::Early { channel, first, detaches, attempt, parcels } => {
                self.on_early(channel, detaches, Early { first, attempt, parcels });
            }
            Frame::Recall { channel } => {
                if let Some(flow) = self.flow(channel) {
                    let mut lent = flow.lock();
                    self.push_all(flow.empty(&mut lent));
                }
            }
            Frame::Approach { channel, landings } => self.approach(channel, landings),
            Frame::Land { channel, landings, contents } => self.land(channel, landings, contents),
            Frame::Stay { channel, landings } => self.stay(channel, landings),
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
        state.settling = Settling::default();
        let mut wakers = std::mem::take(&mut state.sleepers);
        let waiting = state.operations.values().filter_map(|operation| match operation {
            Operation::Waiting(waker, _) => Some(waker.clone()),
            Operation::Concluded(_) => None,
        });
        wakers.extend(waiting);
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

    /// Starts an operation on a channel: allots its name, and sends the frame that says so.
    pub(crate) fn begin(
        &self,
        channel: ChannelId,
        waker: Waker,
        frame: impl FnOnce(OperationId) -> Frame,
    ) -> OperationId {
        let mut state = self.state.lock();
        if self.is_gone(&state, channel) {
            let operation = state.name_operation(Operation::Concluded(Conclusion::Moved(None)));
            drop(state);
            waker.wake();
            return operation;
        }
        self.begin_in(state, waker, None, |operation| [frame(operation)])
    }

    fn begin_in<F: IntoIterator<Item = Frame>>(
        &self,
        mut state: MutexGuard<'_, State>,
        waker: Waker,
        flow: Option<Arc<Flow>>,
        frames: impl FnOnce(OperationId) -> F,
    ) -> OperationId {
        let operation = state.name_operation(Operation::Waiting(waker.clone(), flow));
        if state.lost.is_some() {
            drop(state);
            waker.wake();
            return operation;
        }
        let frames = frames(operation);
        self.push_in(state, |state| {
            let mut is_news = false;
            for frame in frames {
                let passed = state.pass(frame);
                is_news |= matches!(passed, Passed::HeldInLanding | Passed::Diverted);
                if passed == Passed::HeldInLanding {
                    state.sleep(&waker);
                }
            }
            is_news
        });
        operation
    }

    /// Gives an operation up; `frame` tells the home, unless the answer came before and says all.
    /// Its place comes out, if the channel is here, or was since.
    pub(crate) fn give_up(&self, operation: OperationId, frame: Frame) -> Option<Place> {
        let flow = match self.state.lock().operations.get(&operation) {
            Some(Operation::Waiting(_, flow)) => flow.clone(),
            _ => None,
        };
        // In one step: an offer that comes meanwhile finds it waiting, or abandoned.
        let mut lent = flow.as_ref().map(|flow| flow.lock());
        let mut state = self.state.lock();
        let ended = state.take_operation(operation);
        if let Some(lent) = &mut lent {
            // A select that is served elsewhere time and again wants this too.
            lent.note_receive();
            lent.stop_waiting(operation);
        }
        match (ended, frame) {
            (Some(Operation::Concluded(Conclusion::Moved(place))), _) => return place,
            (
                Some(Operation::Concluded(
                    Conclusion::Stocked(stocked) | Conclusion::Offered(stocked),
                )),
                Frame::Decline { channel, .. },
            ) => {
                drop((state, lent));
                match self.flow(channel) {
                    Some(flow) => self.put_back(&flow, stocked),
                    None => self.push(stocked.name.untaken(channel)),
                }
            }
            (Some(Operation::Waiting(_, Some(flow))), Frame::Decline { channel, .. })
                if lent.as_ref().is_some_and(|lent| lent.is_open()) && state.lost.is_none() =>
            {
                state.abandoned.insert(operation, flow);
                self.push_to_home(state, Frame::Abandon { channel, operation });
            }
            (Some(ended), frame) if ended.is_unsettled() => self.push_to_home(state, frame),
            _ => {}
        }
        None
    }

    /// Forgets an operation whose answer nobody waits for.
    pub(crate) fn abandon(&self, operation: OperationId) {
        let forgotten = self.state.lock().take_operation(operation);
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

impl State {
    fn pass(&mut self, frame: Frame) -> Passed {
        self.settling.pass(frame, &mut self.outgoing)
    }

    fn next_name(&mut self) -> OperationId {
        self.next_operation += 1;
        OperationId(self.next_operation)
    }

    fn name_operation(&mut self, operation: Operation) -> OperationId {
        let name = self.next_name();
        self.operations.insert(name, operation);
        name
    }

    /// Somebody waits for what becomes of a channel that is on its way here. Who looks time and
    /// again is kept once.
    fn sleep(&mut self, waker: &Waker) {
        if !self.sleepers.iter().any(|known| known.will_wake(waker)) {
            self.sleepers.push(waker.clone());
        }
    }

    fn take_operation(&mut self, operation: OperationId) -> Option<Operation> {
        self.in_hand.remove(&operation);
        self.operations.remove(&operation)
    }

    /// How an operation ended, if it has; if not, it will wake this waker.
    fn conclusion(&mut self, operation: OperationId, waker: &Waker) -> Poll<Conclusion> {
        let flow = match self.take_operation(operation) {
            // Nobody was told that it is taken, so it is another's by now.
            Some(Operation::Concluded(Conclusion::Offered(_) | Conclusion::Stocked(_)))
                if self.lost.is_some() =>
            {
                None
            }
            Some(Operation::Concluded(conclusion)) => return Poll::Ready(conclusion),
            Some(Operation::Waiting(_, flow)) => flow,
            None => None,
        };
        if let Some(cause) = &self.lost {
            return Poll::Ready(Conclusion::Ended(End::Lost(cause.clone())));
        }
        self.operations.insert(operation, Operation::Waiting(waker.clone(), flow));
        Poll::Pending
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
