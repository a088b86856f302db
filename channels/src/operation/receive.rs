//! A receive under way.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::Remote;
use super::error::{RecvError, TryRecvError};
use crate::chan::Received;
use crate::claim::{Waiting, Wakes};
use crate::flow::Stocked;
use crate::handle::{Message, Receiver};
use crate::id::ChannelId;
use crate::line::Place;
use crate::location::{Core, Location, Shared};
use crate::lock::Guard;
use crate::moved;
use crate::node::{Conclusion, Heard, Node};
use crate::transfer;
use crate::waiting::{self, marked};
use crate::wire::{End, Frame, Parcel, Side};

/// A receive, wherever its channel is.
pub(crate) enum ReceiveOperation {
    New,
    Parked(Place),
    Remote(Box<Remote>),
    Done,
}

type Outcome<T> = Result<T, RecvError>;

impl ReceiveOperation {
    #[inline]
    pub(crate) fn poll<T: Message>(
        &mut self,
        shared: &Shared<T>,
        waker: &Waker,
    ) -> Poll<Outcome<T>> {
        match self {
            Self::New => {
                if shared.seems_away()
                    && let Some(outcome) = self.join(shared)
                {
                    return Poll::Ready(outcome);
                }
                let mut core = shared.lock();
                // Here and below nothing is done between taking a value and returning it: so it is
                // moved once.
                *self = Self::Done;
                if let Location::Local(chan) = &mut core.location
                    && let Some(value) = chan.pick()
                {
                    return Poll::Ready(Ok(value));
                }
                self.start(shared, core, waker)
            }
            _ => self.go_on(shared, waker),
        }
    }

    fn start<T: Message>(
        &mut self,
        shared: &Shared<T>,
        core: Guard<'_, Core<T>>,
        waker: &Waker,
    ) -> Poll<Outcome<T>> {
        let mut told = shared.told();
        let mut core = core;
        if let Location::Local(chan) = &mut core.location {
            if chan.is_bare() && !waiting::is_marking() {
                *self = Self::Parked(chan.wait_receive(|| Waiting::Task(waker.clone())));
                waiting::note();
                return Poll::Pending;
            }
            if let Some(value) = chan.take(&mut told.waiter) {
                return Poll::Ready(Ok(value));
            }
        }
        self.start_slow(shared, core, waker)
    }

    #[cold]
    fn start_slow<T: Message>(
        &mut self,
        shared: &Shared<T>,
        mut core: Guard<'_, Core<T>>,
        waker: &Waker,
    ) -> Poll<Outcome<T>> {
        let mut wakes = Wakes::default();
        marked!(waker, format!("receive from {}", shared.describe(&core)));
        if let Location::Relayed(relayed) = &core.location {
            let (node, channel) = (relayed.node.clone(), relayed.channel);
            let stocked = node.take_stocked(&relayed.flow);
            drop(core);
            if let Some((parcel, tail)) = stocked {
                tail.into_iter().for_each(|tail| shared.set_tail(Side::Receive, tail));
                *self = Self::Done;
                return Poll::Ready(unpack(&node, parcel));
            }
            self.start_remote(node, channel, waker, 0);
            return self.go_on(shared, waker);
        }
        let Some(outcome) = self.attempt_in(&mut core, &mut wakes) else {
            self.park_in(&mut core, Waiting::Task(waker.clone()));
            drop(core);
            waiting::note();
            return Poll::Pending;
        };
        drop(core);
        shared.wake(wakes);
        Poll::Ready(outcome)
    }

    /// Receives now, if that needs no waiting. `None` if it has to wait, or if the channel is not
    /// here.
    #[inline]
    pub(crate) fn attempt_in<T: Message>(
        &mut self,
        core: &mut Core<T>,
        wakes: &mut Wakes,
    ) -> Option<Outcome<T>> {
        let Location::Local(chan) = &mut core.location else { return None };
        if chan.is_bare() {
            return None;
        }
        if let Some(value) = chan.pick() {
            *self = Self::Done;
            return Some(Ok(value));
        }
        let outcome = match chan.receive(&mut wakes.note()) {
            Received::Message(value) => Ok(value),
            Received::Ended(end) => Err(end.into()),
            Received::Empty => return None,
        };
        *self = Self::Done;
        Some(outcome)
    }

    /// Waits in the channel, if it is here.
    #[inline]
    pub(crate) fn park_in<T: Message>(&mut self, core: &mut Core<T>, waiter: Waiting) {
        let Location::Local(chan) = &mut core.location else { return };
        *self = Self::Parked(chan.wait_receive(|| waiter));
    }

    /// Asks the home; as a case of a select, if that is not 0.
    pub(crate) fn start_remote(
        &mut self,
        node: Arc<Node>,
        channel: ChannelId,
        waker: &Waker,
        select: u64,
    ) {
        let receive = |operation| Frame::Receive { channel, operation, select };
        let operation = node.begin_receive(channel, waker.clone(), receive);
        *self = Self::Remote(Remote::new(node, channel, operation));
        waiting::note();
    }

    #[inline]
    fn go_on<T: Message>(&mut self, shared: &Shared<T>, waker: &Waker) -> Poll<Outcome<T>> {
        if let Self::Parked(place) = *self {
            let mut core = shared.lock_woken();
            *self = Self::Done;
            if let Location::Local(chan) = &mut core.location
                && let Some(value) = chan.fetch(place)
            {
                return Poll::Ready(Ok(value));
            }
            *self = Self::Parked(place);
        }
        self.go_on_slow(shared, waker)
    }

    #[cold]
    fn go_on_slow<T: Message>(&mut self, shared: &Shared<T>, waker: &Waker) -> Poll<Outcome<T>> {
        marked!(waker, format!("receive from {}", shared.describe(&shared.lock())));
        match mem::replace(self, Self::Done) {
            Self::Parked(place) => self.look(place, shared, waker),
            Self::Remote(remote) => self.ask(remote, shared, waker),
            Self::New | Self::Done => panic!("a receive was polled after it had ended"),
        }
    }

    fn look<T: Message>(
        &mut self,
        place: Place,
        shared: &Shared<T>,
        waker: &Waker,
    ) -> Poll<Outcome<T>> {
        let mut wakes = Wakes::default();
        let mut core = shared.lock();
        match &mut core.location {
            Location::Local(chan) => {
                let accepted = chan.accept(place, &mut wakes.note());
                if let Some(value) = accepted {
                    drop(core);
                    shared.wake(wakes);
                    return Poll::Ready(Ok(value));
                }
                if chan.rewait_receive(place, Waiting::Task(waker.clone())) {
                    drop(core);
                    *self = Self::Parked(place);
                    waiting::note();
                    return Poll::Pending;
                }
                Poll::Ready(Err(chan.ended().cloned().unwrap_or(End::Closed).into()))
            }
            Location::Relayed(relayed) => {
                let (node, channel) = (relayed.node.clone(), relayed.channel);
                let operation = relayed.moved.receives.remove(&place);
                let end = relayed.moved.end.clone().unwrap_or(End::Closed);
                drop(core);
                match operation {
                    Some(operation) => {
                        self.ask(Remote::new(node, channel, operation), shared, waker)
                    }
                    None => Poll::Ready(Err(end.into())),
                }
            }
        }
    }

    fn ask<T: Message>(
        &mut self,
        remote: Box<Remote>,
        shared: &Shared<T>,
        waker: &Waker,
    ) -> Poll<Outcome<T>> {
        match remote.poll(shared, waker) {
            Poll::Ready(Conclusion::Moved(Some(place))) => self.look(place, shared, waker),
            Poll::Ready(Conclusion::Moved(None) | Conclusion::Again) => {
                self.start(shared, shared.lock(), waker)
            }
            Poll::Ready(conclusion) => Poll::Ready(conclude(&remote, conclusion)),
            Poll::Pending => {
                *self = Self::Remote(remote);
                waiting::note();
                Poll::Pending
            }
        }
    }

    /// Like [`ReceiveOperation::poll`], but asks only what is there now.
    pub(crate) fn poll_try<T: Message>(
        &mut self,
        shared: &Shared<T>,
        waker: &Waker,
    ) -> Poll<Result<T, TryRecvError>> {
        marked!(waker, format!("try to receive from {}", shared.describe(&shared.lock())));
        if let Self::Remote(remote) = self {
            let Poll::Ready(conclusion) = remote.poll(shared, waker) else { return Poll::Pending };
            let outcome = match conclusion {
                // What was on offer to it came along, and is its own: given back, it would stand
                // behind what others take meanwhile.
                Conclusion::Moved(Some(place)) => match take(shared, place) {
                    Taken::Value(value) => Ok(Ok(value)),
                    Taken::Nothing => Err(Self::Parked(place)),
                    Taken::Away(remote) => {
                        *self = Self::Remote(remote);
                        return self.poll_try(shared, waker);
                    }
                },
                Conclusion::Moved(None) | Conclusion::Again => Err(Self::New),
                Conclusion::Empty => Ok(Err(TryRecvError::Empty)),
                other => Ok(conclude(remote, other).map_err(Into::into)),
            };
            match outcome {
                Ok(outcome) => {
                    *self = Self::Done;
                    return Poll::Ready(outcome);
                }
                Err(waiting) => *self = waiting,
            }
            self.give_up(shared);
        }
        let mut wakes = Wakes::default();
        let mut core = shared.lock();
        if let Location::Relayed(relayed) = &core.location {
            let (node, channel) = (relayed.node.clone(), relayed.channel);
            drop(core);
            let receive = |operation| Frame::TryReceive { channel, operation };
            let operation = node.begin_receive(channel, waker.clone(), receive);
            *self = Self::Remote(Remote::new(node, channel, operation));
            waiting::note();
            return self.poll_try(shared, waker);
        }
        let outcome = self.attempt_in(&mut core, &mut wakes);
        drop(core);
        shared.wake(wakes);
        Poll::Ready(match outcome {
            Some(outcome) => outcome.map_err(Into::into),
            None => Err(TryRecvError::Empty),
        })
    }

    /// Whether a remote receive has its answer; else it wakes when it has, or when it is to be
    /// started again.
    pub(crate) fn poll_answered<T>(&mut self, shared: &Shared<T>, waker: &Waker) -> Heard {
        let Self::Remote(remote) = self else { return Heard::Nothing };
        let heard = remote.rewait(shared, waker);
        if matches!(heard, Heard::Moved | Heard::Again) {
            *self = Self::New;
        }
        if heard == Heard::Again {
            waker.wake_by_ref();
        }
        heard
    }

    /// The case of a select was claimed: fetches its outcome. `None` if the channel came home
    /// meanwhile and nothing is there: it is as new.
    pub(crate) fn finish<T: Message>(
        &mut self,
        shared: &Shared<T>,
        waker: &Waker,
    ) -> Poll<Option<Outcome<T>>> {
        if let Self::Remote(remote) = self {
            let Poll::Ready(conclusion) = remote.poll(shared, waker) else { return Poll::Pending };
            if !matches!(conclusion, Conclusion::Moved(_)) {
                let outcome = conclude(remote, conclusion);
                *self = Self::Done;
                return Poll::Ready(Some(outcome));
            }
            *self = Self::New;
            let mut wakes = Wakes::default();
            let outcome = self.attempt_in(&mut shared.lock(), &mut wakes);
            shared.wake(wakes);
            return Poll::Ready(outcome);
        }
        self.poll(shared, waker).map(Some)
    }

    pub(crate) fn is_idle(&self) -> bool {
        matches!(self, Self::New | Self::Done)
    }

    /// Gives the receive up. A value that it has and has not returned goes back to its old place.
    pub(crate) fn give_up<T>(&mut self, shared: &Shared<T>) {
        let before = mem::replace(self, Self::New);
        before.withdraw(shared);
    }

    /// The same, for whoever may only look at the receive; it may be done again.
    pub(crate) fn withdraw<T>(&self, shared: &Shared<T>) {
        match self {
            Self::New | Self::Done => {}
            Self::Remote(remote) => {
                let Remote { channel, operation, .. } = **remote;
                let decline = Frame::Decline { channel, operation };
                if let Some(place) = remote.node.give_up(operation, decline) {
                    Self::Parked(place).withdraw(shared);
                }
            }
            Self::Parked(place) => {
                let mut wakes = Wakes::default();
                let mut core = shared.lock();
                match &mut core.location {
                    Location::Local(chan) => {
                        let dropped = chan.decline(*place, &mut wakes.note());
                        debug_assert!(dropped.is_none(), "senders in this process do not vanish");
                    }
                    Location::Relayed(relayed) => {
                        if let Some(operation) = relayed.moved.receives.remove(place) {
                            let channel = relayed.channel;
                            let decline = Frame::Decline { channel, operation };
                            relayed.node.give_up(operation, decline);
                        }
                    }
                }
                drop(core);
                shared.wake(wakes);
            }
        }
    }
}

fn conclude<T: Message>(remote: &Remote, conclusion: Conclusion) -> Outcome<T> {
    match conclusion {
        Conclusion::Offered(Stocked { parcel, .. })
        | Conclusion::Stocked(Stocked { parcel, .. }) => unpack(&remote.node, parcel),
        Conclusion::Ended(end) => Err(end.into()),
        other => {
            let reason = format!("the coordinator answered a receive with {other:?}");
            Err(RecvError::Lost(reason))
        }
    }
}

/// What became of a receive that came home with its channel.
enum Taken<T> {
    Value(T),
    Nothing,
    /// The channel has left again, and what the receive was handed with it. The home answers with
    /// that, or with `Again`.
    Away(Box<Remote>),
}

/// Takes what a receive was handed that does not wait.
fn take<T>(shared: &Shared<T>, place: Place) -> Taken<T> {
    let mut wakes = Wakes::default();
    let mut core = shared.lock();
    match &mut core.location {
        Location::Local(chan) => {
            let value = chan.accept(place, &mut wakes.note());
            drop(core);
            shared.wake(wakes);
            value.map_or(Taken::Nothing, Taken::Value)
        }
        Location::Relayed(relayed) => {
            let (node, channel) = (relayed.node.clone(), relayed.channel);
            let Some(operation) = relayed.moved.receives.remove(&place) else {
                return Taken::Nothing;
            };
            drop(core);
            node.push(Frame::Abandon { channel, operation });
            Taken::Away(Remote::new(node, channel, operation))
        }
    }
}

fn unpack<T: Message>(node: &Arc<Node>, parcel: Parcel) -> Outcome<T> {
    moved::note(parcel.payload.len());
    let value = transfer::unpack(node, parcel);
    value.map_err(|error| RecvError::Malformed(error.to_string()))
}

/// A receive under way; see [`Receiver::recv`].
#[must_use = "a receive happens when its future is awaited"]
pub struct Receiving<'a, T: Message> {
    pub(crate) receiver: &'a Receiver<T>,
    pub(crate) receive: ReceiveOperation,
}

impl<'a, T: Message> Receiving<'a, T> {
    #[inline]
    pub(crate) fn new(receiver: &'a Receiver<T>) -> Self {
        receiver.withdraw_stream();
        Self { receiver, receive: ReceiveOperation::New }
    }
}

impl<T: Message> Future for Receiving<'_, T> {
    type Output = Result<T, RecvError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.receive.poll(&this.receiver.shared, context.waker())
    }
}

impl<T: Message> Drop for Receiving<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if !self.receive.is_idle() {
            self.receive.give_up(&self.receiver.shared);
        }
    }
}

/// A receive that does not wait, under way; see [`Receiver::try_recv`].
#[must_use = "a receive happens when its future is awaited"]
pub struct TryReceiving<'a, T: Message> {
    receiver: &'a Receiver<T>,
    receive: ReceiveOperation,
}

impl<'a, T: Message> TryReceiving<'a, T> {
    pub(crate) fn new(receiver: &'a Receiver<T>) -> Self {
        receiver.withdraw_stream();
        Self { receiver, receive: ReceiveOperation::New }
    }
}

impl<T: Message> Future for TryReceiving<'_, T> {
    type Output = Result<T, TryRecvError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.receive.poll_try(&this.receiver.shared, context.waker())
    }
}

impl<T: Message> Drop for TryReceiving<'_, T> {
    fn drop(&mut self) {
        self.receive.give_up(&self.receiver.shared);
    }
}
