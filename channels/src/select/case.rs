//! A case of a select: an operation that has not started, or none (Go's nil channel).

use std::any::Any;
use std::borrow::BorrowMut;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Poll, Waker};

use super::asking;
use crate::claim::{Claim, Waiting, Wakes};
use crate::handle::{Message, Receiver, Sender};
use crate::location::{Core, Location, Shared};
use crate::lock::Guard;
use crate::node::{Heard, Node};
use crate::operation::{
    Attempt, ReceiveOperation, RecvError, SendError, SendOperation, TryRecvError,
};
use crate::wire::{Passage, Side};

/// A case of a select, whatever the type of its messages. Only handles make cases; there is nothing
/// here to call.
pub trait Case: Steps {}

impl<C: Steps + ?Sized> Case for C {}

/// What a select does with a case. A `core` is that of the case's channel, when another case of the
/// same channel holds its lock.
#[doc(hidden)]
pub trait Steps {
    /// Tells channels apart; `None` for a case that is never ready.
    fn address(&self) -> Option<usize>;
    /// Where its channel's home is, if it was elsewhere when it was tried last in a lock that was
    /// held.
    fn whereabouts(&self) -> Whereabouts;
    /// Takes its channel over, if it has come to this process.
    fn land(&self);
    /// What the case does, in words; `None` if it is never ready.
    fn describe(&self) -> Option<String>;
    fn try_lock(&mut self) -> bool;
    fn unlock(&mut self);
    fn locked(&mut self) -> Option<&mut dyn Any>;
    /// Tries to go, with a lock of its own.
    fn attempt(&mut self) -> bool;
    /// Whether its channel is here, and it could go at this moment.
    fn looks_ready(&self) -> bool;
    /// Whether its channel is at home elsewhere, and it is worth a question.
    fn is_to_be_asked(&self) -> bool;
    fn attempt_in(&mut self, core: Option<&mut dyn Any>, wakes: &mut Wakes) -> bool;
    fn park_in(&mut self, core: Option<&mut dyn Any>, claim: &Arc<Claim>, case: usize);
    /// Asks the home, if that is elsewhere, in the name of a select; it wakes when that answers.
    fn poll_remote(&mut self, waker: &Waker, select: u64) -> Answer;
    /// The same, without waiting for a peer: ready with whether the case could go. If not, it is as
    /// new.
    fn poll_try_remote(&mut self, waker: &Waker) -> Poll<bool>;
    /// The case was claimed: fetches its outcome. False if it could not go after all.
    fn finish(&mut self, waker: &Waker) -> Poll<bool>;
    fn withdraw(&mut self);
    fn was_chosen(&self) -> bool;
    /// `&mut Option<outcome>`.
    fn slot(&mut self) -> &mut dyn Any;
}

/// Where the channel of a case is.
#[doc(hidden)]
pub enum Whereabouts {
    /// Here; or there is none.
    Here,
    /// Its home is elsewhere.
    Away(Arc<Node>, Passage),
    /// It was away a moment ago, and has come here since.
    Landed,
}

/// What the home of a case has said.
#[doc(hidden)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Nothing yet.
    None,
    /// The case can go, and will if it is chosen.
    Come,
    /// The channel has come home to this process: the select begins anew.
    Moved,
}

/// What comes of a case: the result of its operation.
pub trait Outcome {
    /// What the operation returns by itself.
    type Outcome;

    /// Takes the result of the case that was chosen.
    ///
    /// # Panics
    ///
    /// If it was not chosen.
    fn outcome(&mut self) -> Self::Outcome;
}

/// A receive as a case.
pub struct ReceiveCase<'a, T: Message> {
    receiver: &'a Receiver<T>,
    receive: ReceiveOperation,
    guard: Option<Guard<'a, Core<T>>>,
    /// Whether the channel was elsewhere when it was looked at last.
    was_away: bool,
    outcome: Option<Result<T, RecvError>>,
}

impl<'a, T: Message> ReceiveCase<'a, T> {
    #[inline]
    pub(super) fn new(receiver: &'a Receiver<T>) -> Self {
        receiver.withdraw_stream();
        Self::of(receiver)
    }

    #[inline]
    pub(super) fn of(receiver: &'a Receiver<T>) -> Self {
        let (receive, was_away) = (ReceiveOperation::New, false);
        Self { receiver, receive, guard: None, was_away, outcome: None }
    }
}

impl<T: Message> Steps for ReceiveCase<'_, T> {
    fn address(&self) -> Option<usize> {
        Some(Arc::as_ptr(&self.receiver.shared) as usize)
    }

    fn whereabouts(&self) -> Whereabouts {
        whereabouts(&self.receiver.shared, Side::Receive, self.was_away)
    }

    fn land(&self) {
        self.receiver.shared.land();
    }

    fn describe(&self) -> Option<String> {
        let shared = &self.receiver.shared;
        Some(format!("receive from {}", shared.describe(&shared.lock())))
    }

    fn try_lock(&mut self) -> bool {
        self.guard = self.receiver.shared.try_lock();
        self.guard.is_some()
    }

    fn unlock(&mut self) {
        self.guard = None;
    }

    fn locked(&mut self) -> Option<&mut dyn Any> {
        self.guard.as_mut().map(|guard| &mut **guard as &mut dyn Any)
    }

    #[inline]
    fn attempt(&mut self) -> bool {
        let mut wakes = Wakes::default();
        let mut core = self.receiver.shared.lock();
        self.was_away = core.is_away();
        self.outcome = self.receive.attempt_in(&mut core, &mut wakes);
        drop(core);
        self.receiver.shared.wake(wakes);
        self.outcome.is_some()
    }

    fn looks_ready(&self) -> bool {
        match &self.receiver.shared.lock().location {
            Location::Local(chan) => chan.is_ready(),
            Location::Relayed(_) => false,
        }
    }

    fn is_to_be_asked(&self) -> bool {
        self.was_away && asking::is_worth_it(&self.receiver.shared, Side::Receive)
    }

    fn attempt_in(&mut self, core: Option<&mut dyn Any>, wakes: &mut Wakes) -> bool {
        let core = core_of(core, &mut self.guard);
        self.was_away = core.is_away();
        self.outcome = self.receive.attempt_in(core, wakes);
        self.outcome.is_some()
    }

    fn park_in(&mut self, core: Option<&mut dyn Any>, claim: &Arc<Claim>, case: usize) {
        let core = core_of(core, &mut self.guard);
        self.receive.park_in(core, Waiting::Case(claim.clone(), case));
    }

    fn poll_remote(&mut self, waker: &Waker, select: u64) -> Answer {
        if let ReceiveOperation::New = self.receive {
            let core = self.receiver.shared.lock();
            // It was elsewhere when all cases were looked at.
            let Location::Relayed(relayed) = &core.location else { return Answer::Moved };
            let (node, channel) = (relayed.node.clone(), relayed.channel);
            drop(core);
            self.receive.start_remote(node, channel, waker, select);
        }
        match self.receive.poll_answered(&self.receiver.shared, waker) {
            Heard::Nothing | Heard::Again | Heard::Landing => Answer::None,
            Heard::Answer => Answer::Come,
            Heard::Moved => Answer::Moved,
        }
    }

    fn poll_try_remote(&mut self, waker: &Waker) -> Poll<bool> {
        self.receive.poll_try(&self.receiver.shared, waker).map(|outcome| {
            self.outcome = match outcome {
                Ok(value) => Some(Ok(value)),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Closed) => Some(Err(RecvError::Closed)),
                Err(TryRecvError::Lost(cause)) => Some(Err(RecvError::Lost(cause))),
                Err(TryRecvError::Malformed(reason)) => Some(Err(RecvError::Malformed(reason))),
            };
            if self.outcome.is_none() {
                self.receive = ReceiveOperation::New;
            }
            asking::note(&self.receiver.shared, self.outcome.is_some());
            self.outcome.is_some()
        })
    }

    fn finish(&mut self, waker: &Waker) -> Poll<bool> {
        self.receive.finish(&self.receiver.shared, waker).map(|outcome| {
            self.outcome = outcome;
            if self.was_away {
                asking::note(&self.receiver.shared, self.outcome.is_some());
            }
            self.outcome.is_some()
        })
    }

    #[inline]
    fn withdraw(&mut self) {
        if !self.receive.is_idle() {
            self.receive.give_up(&self.receiver.shared);
        }
    }

    #[inline]
    fn was_chosen(&self) -> bool {
        self.outcome.is_some()
    }

    fn slot(&mut self) -> &mut dyn Any {
        &mut self.outcome
    }
}

impl<T: Message> Outcome for ReceiveCase<'_, T> {
    type Outcome = Result<T, RecvError>;

    #[inline]
    fn outcome(&mut self) -> Self::Outcome {
        self.outcome.take().expect("the case was chosen")
    }
}

impl<T: Message> Drop for ReceiveCase<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.guard = None;
        self.withdraw();
    }
}

/// A send as a case. Its operation is its own, or stays where it was made.
pub struct SendCase<'a, T: Message, S: BorrowMut<SendOperation<T>>> {
    sender: &'a Sender<T>,
    send: S,
    guard: Option<Guard<'a, Core<T>>>,
    /// Whether the channel was elsewhere when it was looked at last.
    was_away: bool,
    outcome: Option<Result<(), SendError<T>>>,
    of: PhantomData<T>,
}

impl<'a, T: Message, S: BorrowMut<SendOperation<T>>> SendCase<'a, T, S> {
    #[inline]
    pub(super) fn new(sender: &'a Sender<T>, send: S) -> Self {
        Self { sender, send, guard: None, was_away: false, outcome: None, of: PhantomData }
    }
}

impl<T: Message, S: BorrowMut<SendOperation<T>>> Steps for SendCase<'_, T, S> {
    fn address(&self) -> Option<usize> {
        Some(Arc::as_ptr(&self.sender.shared) as usize)
    }

    fn whereabouts(&self) -> Whereabouts {
        whereabouts(&self.sender.shared, Side::Send, self.was_away)
    }

    fn land(&self) {
        self.sender.shared.land();
    }

    fn describe(&self) -> Option<String> {
        let shared = &self.sender.shared;
        Some(format!("send to {}", shared.describe(&shared.lock())))
    }

    fn try_lock(&mut self) -> bool {
        self.guard = self.sender.shared.try_lock();
        self.guard.is_some()
    }

    fn unlock(&mut self) {
        self.guard = None;
    }

    fn locked(&mut self) -> Option<&mut dyn Any> {
        self.guard.as_mut().map(|guard| &mut **guard as &mut dyn Any)
    }

    #[inline]
    fn attempt(&mut self) -> bool {
        let mut wakes = Wakes::default();
        let mut core = self.sender.shared.lock();
        self.was_away = core.is_away();
        self.outcome = attempt_in(self.send.borrow_mut(), &mut core, &mut wakes);
        drop(core);
        self.sender.shared.wake(wakes);
        self.outcome.is_some()
    }

    fn looks_ready(&self) -> bool {
        match &self.sender.shared.lock().location {
            Location::Local(chan) => {
                !chan.is_full() || chan.has_receive(|_| true) || chan.ended().is_some()
            }
            Location::Relayed(_) => false,
        }
    }

    fn is_to_be_asked(&self) -> bool {
        self.was_away && asking::is_worth_it(&self.sender.shared, Side::Send)
    }

    fn attempt_in(&mut self, core: Option<&mut dyn Any>, wakes: &mut Wakes) -> bool {
        let core = core_of(core, &mut self.guard);
        self.was_away = core.is_away();
        self.outcome = attempt_in(self.send.borrow_mut(), core, wakes);
        self.outcome.is_some()
    }

    fn park_in(&mut self, core: Option<&mut dyn Any>, claim: &Arc<Claim>, case: usize) {
        let core = core_of(core, &mut self.guard);
        self.send.borrow_mut().park_in(core, Waiting::Case(claim.clone(), case));
    }

    fn poll_remote(&mut self, waker: &Waker, select: u64) -> Answer {
        self.send.borrow_mut().poll_watch(&self.sender.shared, waker, select)
    }

    fn poll_try_remote(&mut self, waker: &Waker) -> Poll<bool> {
        self.finish(waker)
    }

    fn finish(&mut self, waker: &Waker) -> Poll<bool> {
        self.send.borrow_mut().finish(&self.sender.shared, waker).map(|outcome| {
            self.outcome = outcome;
            if self.was_away {
                asking::note(&self.sender.shared, self.outcome.is_some());
            }
            self.outcome.is_some()
        })
    }

    #[inline]
    fn withdraw(&mut self) {
        let send = self.send.borrow_mut();
        if !send.is_idle() {
            send.give_up(&self.sender.shared);
        }
    }

    #[inline]
    fn was_chosen(&self) -> bool {
        self.outcome.is_some()
    }

    fn slot(&mut self) -> &mut dyn Any {
        &mut self.outcome
    }
}

impl<T: Message, S: BorrowMut<SendOperation<T>>> Outcome for SendCase<'_, T, S> {
    type Outcome = Result<(), SendError<T>>;

    #[inline]
    fn outcome(&mut self) -> Self::Outcome {
        self.outcome.take().expect("the case was chosen")
    }
}

impl<T: Message, S: BorrowMut<SendOperation<T>>> Drop for SendCase<'_, T, S> {
    #[inline]
    fn drop(&mut self) {
        self.guard = None;
        self.withdraw();
    }
}

fn attempt_in<T: Message>(
    send: &mut SendOperation<T>,
    core: &mut Core<T>,
    wakes: &mut Wakes,
) -> Option<Result<(), SendError<T>>> {
    match send.attempt_in(core, wakes) {
        Attempt::Sent => Some(Ok(())),
        Attempt::Waits => None,
        Attempt::Refused => Some(Err(send.refused_in(core))),
    }
}

fn whereabouts<T>(shared: &Shared<T>, side: Side, was_away: bool) -> Whereabouts {
    match shared.passage(side) {
        Some((node, passage)) => Whereabouts::Away(node, passage),
        None if was_away => Whereabouts::Landed,
        None => Whereabouts::Here,
    }
}

/// The locked channel of a case: its own lock, or that of another case of the same channel.
fn core_of<'c, T: 'static>(
    core: Option<&'c mut dyn Any>,
    guard: &'c mut Option<Guard<'_, Core<T>>>,
) -> &'c mut Core<T> {
    let core = match core {
        Some(core) => core.downcast_mut::<Core<T>>(),
        None => guard.as_deref_mut(),
    };
    core.expect("a select locks what it looks into")
}
