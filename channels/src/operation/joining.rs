//! Operations on a channel whose home is elsewhere that join what the node is about to say anyway;
//! see `tail.rs`. Most of a stream goes this way. Nothing is asked, and nothing waits.

use std::task::{Poll, Waker};

use super::error::{RecvError, SendError};
use super::receive::ReceiveOperation;
use super::send::{SendOperation, Step};
use crate::codec;
use crate::handle::Message;
use crate::location::Shared;
use crate::moved;
use crate::tail::Grown;
use crate::transfer;
use crate::wire::Side;

impl<T: Message> SendOperation<T> {
    /// Sends under a credit with what was sent before and waits to leave.
    pub(super) fn join(
        &mut self,
        shared: &Shared<T>,
        waker: &Waker,
    ) -> Option<Poll<Result<(), SendError<T>>>> {
        let value = self.value.as_ref()?;
        let grown = transfer::with_space(|payload| {
            if !transfer::append(value, payload) {
                return None;
            }
            let grown = shared.with_tail(Side::Send, |tail| tail.send(codec::CODEC, payload))?;
            if grown == Grown::Yes {
                moved::note(payload.len());
            }
            Some(grown)
        })?;
        match grown {
            Grown::Not => None,
            Grown::Yes | Grown::Enough => {
                self.value = None;
                self.step = Step::Done;
                Some(Poll::Ready(Ok(())))
            }
            Grown::Pause => {
                waker.wake_by_ref();
                Some(Poll::Pending)
            }
        }
    }
}

impl ReceiveOperation {
    /// Takes what was offered ahead, together with what was taken before and nobody was told of.
    pub(super) fn join<T: Message>(&mut self, shared: &Shared<T>) -> Option<Result<T, RecvError>> {
        transfer::with_space(|payload| {
            let taken = shared.with_tail(Side::Receive, |tail| tail.take(payload));
            let (codec, grown) = taken.filter(|(_, grown)| *grown != Grown::Not)?;
            *self = Self::Done;
            moved::note(payload.len());
            if grown == Grown::Enough {
                shared.tell_home();
            }
            let value = transfer::read(codec, payload);
            Some(value.map_err(|error| RecvError::Malformed(error.to_string())))
        })
    }
}
