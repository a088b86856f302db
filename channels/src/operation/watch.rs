//! A send as a case of a select on a relayed channel.
//!
//! States: *watching* (it stands in line at the home, without its value) -> the home keeps a
//! partner for it, and asks (`Ready`) -> the select chooses it, and withdraws its other cases ->
//! *preparing* (the value is on its way) -> sent, refused, or aborted: the partner has gone
//! elsewhere. Then it watches again, at the same place, and the select starts anew. If the select
//! chooses another case the home is told, and gives the partner back.
//!
//! A select that is asked about a channel that is on its way to this process does not choose that
//! case before it is known whether the channel comes: its answer would be held back, and no other
//! case could happen meanwhile. Should the channel come all the same, the send is as new, and has
//! its value.
//!
//! If this process dies the home gives the partner back; if the partner's dies it aborts.

use std::mem;
use std::task::{Poll, Waker};

use super::Remote;
use super::error::{SendError, TrySendError};
use super::send::{SendOperation, Step};
use crate::handle::Message;
use crate::location::{Location, Shared};
use crate::moved;
use crate::node::{Conclusion, Heard};
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
            // It was elsewhere when all cases were looked at.
            let Location::Relayed(relayed) = &core.location else { return Answer::Moved };
            if relayed.flow.has_credit() {
                // No partner is needed, and nobody would wake a select that does not come now.
                return Answer::Come;
            }
            let (node, channel) = (relayed.node.clone(), relayed.channel);
            drop(core);
            let watch = |operation| Frame::Watch { channel, operation, select };
            let operation = node.begin(channel, waker.clone(), watch);
            self.step = Step::Watching(Remote::new(node, channel, operation));
        }
        let Step::Watching(remote) = &self.step else { return Answer::None };
        match remote.rewait(shared, waker) {
            Heard::Nothing | Heard::Landing => Answer::None,
            Heard::Answer => Answer::Come,
            Heard::Again => {
                self.step = Step::New;
                waker.wake_by_ref();
                Answer::None
            }
            Heard::Moved => {
                self.step = Step::New;
                Answer::Moved
            }
        }
    }

    /// The case was claimed. `None` if it could not go after all: the select is open again.
    pub(crate) fn finish(&mut self, shared: &Shared<T>, waker: &Waker) -> Poll<Option<Outcome<T>>> {
        match &self.step {
            Step::Watching(remote) | Step::Preparing(remote) => {
                match remote.poll_on_going(shared, waker) {
                    Poll::Pending => {
                        waiting::note();
                        Poll::Pending
                    }
                    Poll::Ready(Conclusion::Ready) => self.prepare(shared, waker),
                    Poll::Ready(Conclusion::Aborted) => {
                        self.step.watch_again();
                        Poll::Ready(None)
                    }
                    Poll::Ready(Conclusion::Moved(_)) => {
                        self.step.forget();
                        Poll::Ready(None)
                    }
                    Poll::Ready(other) => {
                        self.step.forget();
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

    /// It is its turn: the value goes. If the user's `Serialize` panics, the send is given up as
    /// any that watches.
    fn prepare(&mut self, shared: &Shared<T>, waker: &Waker) -> Poll<Option<Outcome<T>>> {
        self.step.watch_again();
        let Step::Watching(remote) = &self.step else { return self.finish(shared, waker) };
        let (node, channel, operation) = (remote.node.clone(), remote.channel, remote.operation);
        let value = self.keep();
        let packed = transfer::pack(&node, &value);
        match packed {
            Err(error) => {
                node.give_up(operation, Frame::CancelSend { channel, operation });
                self.step = Step::Done;
                Poll::Ready(Some(Err(SendError::Unsendable(value, error.to_string()))))
            }
            Ok(parcel) => {
                moved::note(parcel.payload.len());
                let parcel = match node.flow(channel).filter(|flow| flow.has_credit()) {
                    Some(flow) => match node.send_prepaid(&flow, parcel) {
                        Err(parcel) => parcel,
                        // What was kept is not needed.
                        Ok(_) => {
                            node.give_up(operation, Frame::CancelSend { channel, operation });
                            self.step = Step::Done;
                            return Poll::Ready(Some(Ok(())));
                        }
                    },
                    None => parcel,
                };
                self.value = Some(value);
                node.push(Frame::Prepared { channel, operation, parcel });
                self.step.go_ahead();
                self.finish(shared, waker)
            }
        }
    }
}

impl Step {
    fn go_ahead(&mut self) {
        *self = match mem::replace(self, Self::Done) {
            Self::Watching(remote) => Self::Preparing(remote),
            other => other,
        };
    }

    fn watch_again(&mut self) {
        *self = match mem::replace(self, Self::Done) {
            Self::Preparing(remote) => Self::Watching(remote),
            other => other,
        };
    }

    /// What the home knew of it is over, or the channel is here: it is as new.
    #[cold]
    pub(super) fn forget(&mut self) {
        if let Self::Watching(remote) | Self::Preparing(remote) = mem::replace(self, Self::New) {
            remote.node.abandon(remote.operation);
        }
    }
}
