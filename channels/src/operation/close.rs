//! A close under way.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::Remote;
use super::error::AlreadyClosed;
use crate::claim::Wakes;
use crate::handle::{Message, Sender};
use crate::location::Location;
use crate::node::Conclusion;
use crate::waiting;
use crate::wire::{End, Frame};

/// A close under way; see [`Sender::close`].
#[must_use = "a close happens when its future is awaited"]
pub struct Closing<'a, T: Message> {
    sender: &'a Sender<T>,
    remote: Option<Box<Remote>>,
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
                let close = |operation| Frame::Close { channel, operation };
                let operation = node.begin(channel, waker.clone(), close);
                self.remote = Some(Remote::new(node, channel, operation));
                waiting::note();
                Poll::Pending
            }
        }
    }
}

impl<T: Message> Future for Closing<'_, T> {
    type Output = Result<(), AlreadyClosed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(remote) = self.remote.take() else {
            return self.start(context.waker());
        };
        match remote.poll(&self.sender.shared, context.waker()) {
            Poll::Ready(Conclusion::Closed { first: true }) => Poll::Ready(Ok(())),
            Poll::Ready(Conclusion::Moved(_)) => self.start(context.waker()),
            Poll::Ready(_) => Poll::Ready(Err(AlreadyClosed)),
            Poll::Pending => {
                self.remote = Some(remote);
                waiting::note();
                Poll::Pending
            }
        }
    }
}

impl<T: Message> Drop for Closing<'_, T> {
    fn drop(&mut self) {
        if let Some(remote) = self.remote.take() {
            remote.node.abandon(remote.operation);
        }
    }
}
