//! A send as a case of a select on a relayed channel.
//!
//! States: *watching* (it stands in line at the home, without its value) -> the home keeps a
//! partner for it, and asks (`Ready`) -> the select chooses it, and withdraws its other cases ->
//! *preparing* (the value is on its way) -> sent, refused, or aborted: the partner has gone
//! elsewhere. Then it watches again, at the same place, and the select starts anew. If the select
//! chooses another case the home is told, and gives the partner back.
//!
//! If this process dies the home gives the partner back; if the partner's dies it aborts.

use std::task::{Poll, Waker};

use super::Remote;
use super::error::{SendError, TrySendError};
use super::send::{SendOperation, Step};
use crate::handle::Message;
use crate::location::{Location, Shared};
use crate::node::{Answered, Conclusion};
use crate::select::Answer;
use crate::transfer;
use crate::waiting;
use crate::wire::Frame;

type Outcome<T> = Result<(), SendError<T>>;

impl<T: Message> SendOperation<T> {
    /// Stands in line, if the channel is relayed. Once it is its turn, or never will be,
    /// [`SendOperation::finish`] it. If not, it wakes.
    pub(crate) fn poll_watch(&mut self, shared: &Shared<T>, waker: &Waker, select: u64) -> Answer {
        if let Step::New = self.step {
            let core = shared.lock();
            let Location::Relayed(relayed) = &core.location else { return Answer::None };
            if relayed.flow.has_credit() {
                // No partner is needed, and nobody would wake a select that does not come now.
                return Answer::Come;
            }
            let (node, channel) = (relayed.node.clone(), relayed.channel);
            drop(core);
            let watch = |operation| Frame::Watch { channel, operation, select };
            let operation = node.begin(waker.clone(), watch);
            self.step = Step::Watching(Remote::new(node, channel, operation));
        }
        match &self.step {
            Step::Watching(remote)
                if remote.node.rewait(remote.operation, waker) != Answered::No =>
            {
                Answer::Come
            }
            _ => Answer::None,
        }
    }

    /// The case was claimed. `None` if it could not go after all: the select is open again.
    pub(crate) fn finish(&mut self, shared: &Shared<T>, waker: &Waker) -> Poll<Option<Outcome<T>>> {
        match &self.step {
            Step::Watching(remote) | Step::Preparing(remote) => {
                match remote.node.poll_on(remote.operation, waker) {
                    Poll::Pending => {
                        waiting::note();
                        Poll::Pending
                    }
                    Poll::Ready(Conclusion::Ready) => self.prepare(shared, waker),
                    Poll::Ready(Conclusion::Aborted) => {
                        self.step.watch_again();
                        Poll::Ready(None)
                    }
                    Poll::Ready(other) => {
                        remote.node.abandon(remote.operation);
                        self.step = Step::Done;
                        Poll::Ready(Some(self.conclude(other)))
                    }
                }
            }
            Step::Parked(_) => self.poll(shared, waker).map(Some),
            _ => self.poll_try(shared, waker).map(|outcome| match outcome {
                Ok(()) => Some(Ok(())),
                Err(TrySendError::Full(value)) => {
                    *self = Self::new(value);
                    None
                }
                Err(TrySendError::Closed(value)) => Some(Err(SendError::Closed(value))),
                Err(TrySendError::Lost(value, cause)) => Some(Err(SendError::Lost(value, cause))),
                Err(TrySendError::Unsendable(value, reason)) => {
                    Some(Err(SendError::Unsendable(value, reason)))
                }
            }),
        }
    }

    /// It is its turn: the value goes.
    fn prepare(&mut self, shared: &Shared<T>, waker: &Waker) -> Poll<Option<Outcome<T>>> {
        self.step.watch_again();
        let Step::Watching(remote) = std::mem::replace(&mut self.step, Step::Done) else {
            unreachable!("the caller has looked")
        };
        let (node, channel, operation) = (&remote.node, remote.channel, remote.operation);
        let value = self.keep();
        match transfer::pack(node, &value) {
            Err(error) => {
                node.give_up(operation, Frame::CancelSend { channel, operation });
                Poll::Ready(Some(Err(SendError::Unsendable(value, error.to_string()))))
            }
            Ok(parcel) => {
                self.value = Some(value);
                node.push(Frame::Prepared { channel, operation, parcel });
                self.step = Step::Preparing(remote);
                self.finish(shared, waker)
            }
        }
    }
}

impl Step {
    fn watch_again(&mut self) {
        *self = match std::mem::replace(self, Self::Done) {
            Self::Preparing(remote) => Self::Watching(remote),
            other => other,
        };
    }
}
