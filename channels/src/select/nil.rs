//! Go's nil channels: `None` is a case that is never ready (C21).

use std::any::Any;
use std::sync::Arc;
use std::task::{Poll, Waker};

use super::case::{Answer, Outcome, Steps, Whereabouts};
use super::operand::Operand;
use crate::claim::{Claim, Wakes};
use crate::handle::{Message, Receiver, Sender};
use crate::operation::{Receiving, Sending};

/// `recv` on an `Option` of a receiver, for `select!`: `None` is Go's nil channel.
pub trait OptionalReceiver<T: Message> {
    /// A case that receives, or is never ready.
    fn recv(&self) -> Option<Receiving<'_, T>>;
}

/// `send` on an `Option` of a sender, for `select!`: `None` is Go's nil channel.
pub trait OptionalSender<T: Message> {
    /// A case that sends, or is never ready.
    fn send(&self, value: T) -> Option<Sending<'_, T>>;
}

impl<T: Message> OptionalReceiver<T> for Option<Receiver<T>> {
    fn recv(&self) -> Option<Receiving<'_, T>> {
        self.as_ref().map(Receiver::recv)
    }
}

impl<T: Message> OptionalReceiver<T> for Option<&Receiver<T>> {
    fn recv(&self) -> Option<Receiving<'_, T>> {
        self.map(Receiver::recv)
    }
}

impl<T: Message> OptionalSender<T> for Option<Sender<T>> {
    fn send(&self, value: T) -> Option<Sending<'_, T>> {
        self.as_ref().map(|sender| sender.send(value))
    }
}

impl<T: Message> OptionalSender<T> for Option<&Sender<T>> {
    fn send(&self, value: T) -> Option<Sending<'_, T>> {
        self.map(|sender| sender.send(value))
    }
}

impl<O: Operand> Operand for Option<O> {
    type Case<'s>
        = Option<O::Case<'s>>
    where
        Self: 's;

    fn case(&mut self) -> Self::Case<'_> {
        self.as_mut().map(O::case)
    }
}

/// `None` is never ready.
impl<C: Steps> Steps for Option<C> {
    fn address(&self) -> Option<usize> {
        self.as_ref()?.address()
    }

    fn whereabouts(&self) -> Whereabouts {
        self.as_ref().map_or(Whereabouts::Here, Steps::whereabouts)
    }

    fn land(&self) {
        self.as_ref().inspect(|case| case.land());
    }

    fn describe(&self) -> Option<String> {
        self.as_ref()?.describe()
    }

    fn try_lock(&mut self) -> bool {
        self.as_mut().is_none_or(Steps::try_lock)
    }

    fn unlock(&mut self) {
        if let Some(case) = self {
            case.unlock();
        }
    }

    fn locked(&mut self) -> Option<&mut dyn Any> {
        self.as_mut()?.locked()
    }

    fn attempt(&mut self) -> bool {
        self.as_mut().is_some_and(Steps::attempt)
    }

    fn looks_ready(&self) -> bool {
        self.as_ref().is_some_and(Steps::looks_ready)
    }

    fn is_to_be_asked(&self) -> bool {
        self.as_ref().is_some_and(Steps::is_to_be_asked)
    }

    fn attempt_in(&mut self, core: Option<&mut dyn Any>, wakes: &mut Wakes) -> bool {
        self.as_mut().is_some_and(|case| case.attempt_in(core, wakes))
    }

    fn park_in(&mut self, core: Option<&mut dyn Any>, claim: &Arc<Claim>, at: usize) {
        if let Some(case) = self {
            case.park_in(core, claim, at);
        }
    }

    fn poll_remote(&mut self, waker: &Waker, select: u64) -> Answer {
        self.as_mut().map_or(Answer::None, |case| case.poll_remote(waker, select))
    }

    fn poll_try_remote(&mut self, waker: &Waker) -> Poll<bool> {
        self.as_mut().map_or(Poll::Ready(false), |case| case.poll_try_remote(waker))
    }

    fn finish(&mut self, waker: &Waker) -> Poll<bool> {
        self.as_mut().map_or(Poll::Ready(false), |case| case.finish(waker))
    }

    fn withdraw(&mut self) {
        if let Some(case) = self {
            case.withdraw();
        }
    }

    fn was_chosen(&self) -> bool {
        self.as_ref().is_some_and(Steps::was_chosen)
    }

    fn slot(&mut self) -> &mut dyn Any {
        match self {
            Some(case) => case.slot(),
            None => panic!("a case that is never ready was not chosen"),
        }
    }
}

impl<C: Outcome> Outcome for Option<C> {
    type Outcome = C::Outcome;

    fn outcome(&mut self) -> Self::Outcome {
        self.as_mut().expect("a case that is never ready was not chosen").outcome()
    }
}
