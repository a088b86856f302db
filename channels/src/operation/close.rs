//! A close under way.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::error::AlreadyClosed;
use crate::claim::Wakes;
use crate::handle::{Message, Sender};
use crate::id::OperationId;
use crate::location::Location;
use crate::node::{Conclusion, Node};
use crate::waiting;
use crate::wire::{End, Frame};

/// A close under way; see [`Sender::close`].
#[must_use = "a close happens when its future is awaited"]
pub struct Closing<'a, T: Message> {
    sender: &'a Sender<T>,
    remote: Option<(Arc<Node>, OperationId)>,
}

impl<'a, T: Message> Closing<'a, T> {
    pub(crate) fn new(sender: &'a Sender<T>) -> Self {
        Self { sender, remote: None }
    }

    fn start(&mut self, waker: &Waker) -> Poll<Result<(), AlreadyClosed>> {
        let mut wakes = Wakes::default();
        let mut core = self.sender.shared.lock();
        match &mut core.location {
            Location::Local(chan) => {
                let first = chan.finish(End::Closed, &mut wakes.note());
                drop(core);
                wakes.wake();
                Poll::Ready(if first { Ok(()) } else { Err(AlreadyClosed) })
            }
            Location::Relayed(relayed) => {
                let (node, channel) = (relayed.node.clone(), relayed.channel);
                node.repay(&relayed.flow);
                drop(core);
                let operation =
                    node.begin(waker.clone(), |operation| Frame::Close { channel, operation });
                self.remote = Some((node, operation));
                waiting::note();
                Poll::Pending
            }
        }
    }
}

impl<T: Message> Future for Closing<'_, T> {
    type Output = Result<(), AlreadyClosed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some((node, operation)) = self.remote.take() else {
            return self.start(context.waker());
        };
        match node.poll(operation, context.waker()) {
            Poll::Ready(Conclusion::Closed { first: true }) => Poll::Ready(Ok(())),
            Poll::Ready(_) => Poll::Ready(Err(AlreadyClosed)),
            Poll::Pending => {
                self.remote = Some((node, operation));
                waiting::note();
                Poll::Pending
            }
        }
    }
}

impl<T: Message> Drop for Closing<'_, T> {
    fn drop(&mut self) {
        if let Some((node, operation)) = self.remote.take() {
            node.abandon(operation);
        }
    }
}
