//! A send under way.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::Remote;
use super::error::{SendError, TrySendError};
use crate::chan::{SendStatus, Tried};
use crate::claim::{Waiting, Wakes};
use crate::flow::Flow;
use crate::handle::{Message, Sender};
use crate::line::Place;
use crate::location::{Core, Location, Shared};
use crate::lock::Guard;
use crate::moved;
use crate::node::{Conclusion, Node};
use crate::transfer;
use crate::waiting::{self, marked};
use crate::wire::{End, Frame, Side};

/// A send, wherever its channel is.
pub struct SendOperation<T> {
    /// With us until it is the channel's. A remote send keeps it, in case it comes to nothing.
    pub(super) value: Option<T>,
    pub(super) step: Step,
}

/// Whether a send waits for room.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Errand {
    Wait,
    Try,
}

/// What came of an attempt to send.
#[derive(Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Attempt {
    Sent,
    Waits,
    Refused,
}

pub(super) enum Step {
    New,
    Parked(Place),
    Remote(Box<Remote>),
    /// As a case of a select: it stands in line.
    Watching(Box<Remote>),
    /// It was chosen, and its value is on its way to what was kept for it.
    Preparing(Box<Remote>),
    Done,
}

type Outcome<T> = Result<(), SendError<T>>;

impl<T: Message> SendOperation<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: Some(value), step: Step::New }
    }

    #[inline]
    pub(crate) fn poll(&mut self, shared: &Shared<T>, waker: &Waker) -> Poll<Outcome<T>> {
        match self.step {
            Step::New => {
                if shared.seems_away()
                    && let Some(joined) = self.join(shared, waker)
                {
                    return joined;
                }
                let mut core = shared.lock();
                if let Location::Local(chan) = &mut core.location
                    && chan.put(&mut self.value)
                {
                    self.step = Step::Done;
                    return Poll::Ready(Ok(()));
                }
                self.start(shared, core, waker)
            }
            _ => self.go_on(shared, waker),
        }
    }

    fn start(
        &mut self,
        shared: &Shared<T>,
        core: Guard<'_, Core<T>>,
        waker: &Waker,
    ) -> Poll<Outcome<T>> {
        let mut told = shared.told();
        let mut core = core;
        if let Location::Local(chan) = &mut core.location {
            if chan.give(&mut self.value, &mut told.waiter) {
                self.step = Step::Done;
                return Poll::Ready(Ok(()));
            }
            if chan.is_merely_full() && !waiting::is_marking() {
                let waiter = || Waiting::Task(waker.clone());
                self.step = Step::Parked(chan.wait_send(&mut self.value, waiter));
                waiting::note();
                return Poll::Pending;
            }
        }
        self.start_slow(shared, core, waker)
    }

    #[cold]
    fn start_slow(
        &mut self,
        shared: &Shared<T>,
        mut core: Guard<'_, Core<T>>,
        waker: &Waker,
    ) -> Poll<Outcome<T>> {
        let mut wakes = Wakes::default();
        marked!(waker, format!("send to {}", shared.describe(&core)));
        if let Location::Relayed(relayed) = &core.location {
            let (node, flow) = (relayed.node.clone(), relayed.flow.clone());
            drop(core);
            return self.start_remote(shared, node, &flow, waker, Errand::Wait);
        }
        match self.attempt_in(&mut core, &mut wakes) {
            Attempt::Sent => {
                drop(core);
                shared.wake(wakes);
                Poll::Ready(Ok(()))
            }
            Attempt::Waits => {
                self.park_in(&mut core, Waiting::Task(waker.clone()));
                drop(core);
                waiting::note();
                Poll::Pending
            }
            Attempt::Refused => Poll::Ready(Err(self.refused_in(&core))),
        }
    }

    /// Sends now, if that needs no waiting and the channel is here.
    #[inline]
    pub(crate) fn attempt_in(&mut self, core: &mut Core<T>, wakes: &mut Wakes) -> Attempt {
        let Location::Local(chan) = &mut core.location else { return Attempt::Waits };
        // A send that watched, and was aborted, does so still when the channel has come home.
        if let Step::Watching(_) = self.step {
            self.step.forget();
        }
        if chan.put(&mut self.value) {
            self.step = Step::Done;
            return Attempt::Sent;
        }
        match chan.try_send(&mut self.value, &mut wakes.note()) {
            Tried::Done => {
                self.step = Step::Done;
                Attempt::Sent
            }
            Tried::Full => Attempt::Waits,
            Tried::Refused => Attempt::Refused,
        }
    }

    /// Why the channel refused the send just now.
    #[cold]
    pub(crate) fn refused_in(&mut self, core: &Core<T>) -> SendError<T> {
        self.step = Step::Done;
        let end = match &core.location {
            Location::Local(chan) => chan.ended().cloned(),
            Location::Relayed(_) => None,
        };
        SendError::ended(self.keep(), end.unwrap_or(End::Closed))
    }

    /// Waits in the channel, if it is here.
    #[inline]
    pub(crate) fn park_in(&mut self, core: &mut Core<T>, waiter: Waiting) {
        let Location::Local(chan) = &mut core.location else { return };
        self.step = Step::Parked(chan.wait_send(&mut self.value, || waiter));
    }

    /// Sends to the home, under a credit if there is one by the time that the value is encoded.
    fn start_remote(
        &mut self,
        shared: &Shared<T>,
        node: Arc<Node>,
        flow: &Flow,
        waker: &Waker,
        errand: Errand,
    ) -> Poll<Outcome<T>> {
        let (channel, value) = (flow.channel(), self.keep());
        self.step = Step::Done;
        let parcel = match transfer::pack(&node, &value) {
            Ok(parcel) => parcel,
            Err(error) => {
                return Poll::Ready(Err(SendError::Unsendable(value, error.to_string())));
            }
        };
        moved::note(parcel.payload.len());
        let parcel = match node.send_prepaid(flow, parcel) {
            Ok(tail) => {
                tail.into_iter().for_each(|tail| shared.set_tail(Side::Send, tail));
                return Poll::Ready(Ok(()));
            }
            Err(parcel) => parcel,
        };
        self.value = Some(value);
        let operation = node.begin(channel, waker.clone(), |operation| match errand {
            Errand::Wait => Frame::Send { channel, operation, parcel },
            Errand::Try => Frame::TrySend { channel, operation, parcel },
        });
        self.step = Step::Remote(Remote::new(node, channel, operation));
        waiting::note();
        Poll::Pending
    }

    /// Like [`SendOperation::poll`], but asks only whether there is room.
    pub(super) fn poll_try(
        &mut self,
        shared: &Shared<T>,
        waker: &Waker,
    ) -> Poll<Result<(), TrySendError<T>>> {
        marked!(waker, format!("try to send to {}", shared.describe(&shared.lock())));
        if let Step::Remote(remote) = &self.step {
            let Poll::Ready(conclusion) = remote.poll(shared, waker) else { return Poll::Pending };
            self.step = Step::Done;
            match conclusion {
                Conclusion::Moved(_) | Conclusion::Again => self.step = Step::New,
                Conclusion::Full => return Poll::Ready(Err(TrySendError::Full(self.keep()))),
                other => return Poll::Ready(self.conclude(other).map_err(TrySendError::from)),
            }
        }
        let mut wakes = Wakes::default();
        let mut core = shared.lock();
        if let Location::Relayed(relayed) = &core.location {
            let (node, flow) = (relayed.node.clone(), relayed.flow.clone());
            drop(core);
            let started = self.start_remote(shared, node, &flow, waker, Errand::Try);
            return started.map_err(TrySendError::from);
        }
        let outcome = match self.attempt_in(&mut core, &mut wakes) {
            Attempt::Sent => Ok(()),
            Attempt::Waits => Err(TrySendError::Full(self.keep())),
            Attempt::Refused => Err(self.refused_in(&core).into()),
        };
        drop(core);
        shared.wake(wakes);
        Poll::Ready(outcome)
    }

    fn go_on(&mut self, shared: &Shared<T>, waker: &Waker) -> Poll<Outcome<T>> {
        if let Step::Parked(place) = self.step {
            let mut core = shared.lock_woken();
            if let Location::Local(chan) = &mut core.location
                && chan.has_sent(place)
            {
                self.step = Step::Done;
                return Poll::Ready(Ok(()));
            }
        }
        self.go_on_slow(shared, waker)
    }

    #[cold]
    fn go_on_slow(&mut self, shared: &Shared<T>, waker: &Waker) -> Poll<Outcome<T>> {
        marked!(waker, format!("send to {}", shared.describe(&shared.lock())));
        match mem::replace(&mut self.step, Step::Done) {
            Step::Parked(place) => self.look(place, shared, waker),
            Step::Remote(remote) => self.ask(remote, shared, waker),
            Step::New | Step::Watching(_) | Step::Preparing(_) | Step::Done => {
                panic!("a send was polled after it had ended")
            }
        }
    }

    fn look(&mut self, place: Place, shared: &Shared<T>, waker: &Waker) -> Poll<Outcome<T>> {
        let mut core = shared.lock();
        match &mut core.location {
            Location::Local(chan) => match chan.send_status(place) {
                SendStatus::Sent => Poll::Ready(Ok(())),
                SendStatus::Refused(value) => {
                    let end = chan.ended().cloned().unwrap_or(End::Closed);
                    Poll::Ready(Err(SendError::ended(value, end)))
                }
                SendStatus::Waiting => {
                    chan.rewait_send(place, Waiting::Task(waker.clone()));
                    self.step = Step::Parked(place);
                    waiting::note();
                    Poll::Pending
                }
            },
            Location::Relayed(relayed) => {
                if let Some(value) = relayed.moved.unsent.remove(&place) {
                    let end = relayed.moved.end.clone().unwrap_or(End::Closed);
                    return Poll::Ready(Err(SendError::ended(value, end)));
                }
                let Some((operation, value)) = relayed.moved.sends.remove(&place) else {
                    return Poll::Ready(Ok(()));
                };
                let (node, channel) = (relayed.node.clone(), relayed.channel);
                drop(core);
                self.value = Some(value);
                self.ask(Remote::new(node, channel, operation), shared, waker)
            }
        }
    }

    fn ask(&mut self, remote: Box<Remote>, shared: &Shared<T>, waker: &Waker) -> Poll<Outcome<T>> {
        match remote.poll(shared, waker) {
            Poll::Ready(Conclusion::Moved(Some(place))) => {
                // The channel has it, decoded.
                self.value = None;
                self.look(place, shared, waker)
            }
            Poll::Ready(Conclusion::Moved(None) | Conclusion::Again) => {
                self.step = Step::New;
                self.poll(shared, waker)
            }
            Poll::Ready(conclusion) => Poll::Ready(self.conclude(conclusion)),
            Poll::Pending => {
                self.step = Step::Remote(remote);
                waiting::note();
                Poll::Pending
            }
        }
    }

    pub(super) fn conclude(&mut self, conclusion: Conclusion) -> Outcome<T> {
        let value = self.keep();
        match conclusion {
            Conclusion::Sent => Ok(()),
            Conclusion::Refused(end) | Conclusion::Ended(end) => Err(SendError::ended(value, end)),
            other => {
                let reason = format!("the coordinator answered a send with {other:?}");
                Err(SendError::Lost(value, reason))
            }
        }
    }

    /// The value of a send that has not happened.
    pub(super) fn keep(&mut self) -> T {
        self.value.take().expect("a send that has not happened keeps its value")
    }
}

impl<T> SendOperation<T> {
    /// Takes the send back, if it has not happened: then the value is with us again.
    pub(crate) fn give_up(&mut self, shared: &Shared<T>) {
        match mem::replace(&mut self.step, Step::Done) {
            Step::New | Step::Done => {}
            Step::Remote(remote) | Step::Preparing(remote) => {
                let Remote { channel, operation, .. } = *remote;
                let cancel = Frame::CancelSend { channel, operation };
                if let Some(place) = remote.node.give_up(operation, cancel) {
                    self.step = Step::Parked(place);
                    self.give_up(shared);
                }
            }
            Step::Watching(remote) => {
                let Remote { channel, operation, .. } = *remote;
                remote.node.give_up(operation, Frame::CancelSend { channel, operation });
                self.step = Step::New;
            }
            Step::Parked(place) => {
                let mut wakes = Wakes::default();
                let mut core = shared.lock();
                self.value = match &mut core.location {
                    Location::Local(chan) => chan.cancel_send(place, &mut wakes.note()),
                    Location::Relayed(relayed) => match relayed.moved.sends.remove(&place) {
                        None => relayed.moved.unsent.remove(&place),
                        Some((operation, value)) => {
                            let channel = relayed.channel;
                            let cancel = Frame::CancelSend { channel, operation };
                            relayed.node.give_up(operation, cancel);
                            Some(value)
                        }
                    },
                };
                drop(core);
                shared.wake(wakes);
                if self.value.is_some() {
                    self.step = Step::New;
                }
            }
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.step, Step::New | Step::Done)
    }
}

/// A send under way; see [`Sender::send`].
#[must_use = "a send happens when its future is awaited"]
pub struct Sending<'a, T: Message> {
    pub(crate) sender: &'a Sender<T>,
    pub(crate) send: SendOperation<T>,
}

impl<'a, T: Message> Sending<'a, T> {
    #[inline]
    pub(crate) fn new(sender: &'a Sender<T>, value: T) -> Self {
        Self { sender, send: SendOperation::new(value) }
    }
}

impl<T: Message> Future for Sending<'_, T> {
    type Output = Result<(), SendError<T>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.send.poll(&this.sender.shared, context.waker())
    }
}

impl<T: Message> Unpin for Sending<'_, T> {}

impl<T: Message> Drop for Sending<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if !self.send.is_idle() {
            self.send.give_up(&self.sender.shared);
        }
    }
}

/// A send that does not wait, under way; see [`Sender::try_send`].
#[must_use = "a send happens when its future is awaited"]
pub struct TrySending<'a, T: Message> {
    sender: &'a Sender<T>,
    send: SendOperation<T>,
}

impl<'a, T: Message> TrySending<'a, T> {
    pub(crate) fn new(sender: &'a Sender<T>, value: T) -> Self {
        Self { sender, send: SendOperation::new(value) }
    }
}

impl<T: Message> Future for TrySending<'_, T> {
    type Output = Result<(), TrySendError<T>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.send.poll_try(&this.sender.shared, context.waker())
    }
}

impl<T: Message> Unpin for TrySending<'_, T> {}

impl<T: Message> Drop for TrySending<'_, T> {
    fn drop(&mut self) {
        self.send.give_up(&self.sender.shared);
    }
}
