//! Sends, receives and closes under way, as futures.
//!
//! Each starts *new*, may become *parked* (it waits in a local channel) or *remote* (a frame is on
//! its way), and ends once. A channel that leaves the process takes its parked operations along:
//! their futures find out at their next poll.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::chan::{Received, Sent};
use crate::handle::{Message, Receiver, Sender};
use crate::id::{ChannelId, OperationId};
use crate::line::Place;
use crate::location::{Core, Location, Relayed, Stand, Wakes};
use crate::node::{Conclusion, Node};
use crate::transfer;
use crate::waiting;
use crate::wire::{End, Frame};

/// Why a send failed. It holds the value, which was not and will not be delivered.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError<T> {
    /// The channel is closed, or every receiver was dropped.
    #[error("the channel is closed")]
    Closed(T),
    /// Every receiver vanished with a worker that died, or the coordinator is gone.
    #[error("the channel's receivers are lost: {1}")]
    Lost(T, String),
    /// The value cannot travel: its encoding failed or is too long.
    #[error("the value cannot be sent: {1}")]
    Unsendable(T, String),
}

/// Why a receive got no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecvError {
    /// The channel is closed and drained.
    #[error("the channel is closed")]
    Closed,
    /// The last sender vanished with a worker that died, or the coordinator is gone. What had been
    /// sent before was received.
    #[error("the channel's senders are lost: {0}")]
    Lost(String),
    /// A value came that is not of this channel's type.
    #[error("a message cannot be read: {0}")]
    Malformed(String),
}

/// The channel had ended before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the channel is closed already")]
pub struct AlreadyClosed;

impl<T> SendError<T> {
    /// The value that was not sent.
    pub fn into_inner(self) -> T {
        match self {
            Self::Closed(value) | Self::Lost(value, _) | Self::Unsendable(value, _) => value,
        }
    }

    fn ended(value: T, end: End) -> Self {
        match end {
            End::Closed => Self::Closed(value),
            End::Lost(cause) => Self::Lost(value, cause),
        }
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(_) => out.write_str("Closed(..)"),
            Self::Lost(_, cause) => write!(out, "Lost(.., {cause:?})"),
            Self::Unsendable(_, reason) => write!(out, "Unsendable(.., {reason:?})"),
        }
    }
}

impl From<End> for RecvError {
    fn from(end: End) -> Self {
        match end {
            End::Closed => Self::Closed,
            End::Lost(cause) => Self::Lost(cause),
        }
    }
}

/// A send under way; see [`Sender::send`].
#[must_use = "a send happens when its future is awaited"]
pub struct Sending<'a, T: Message> {
    sender: &'a Sender<T>,
    step: SendStep<T>,
}

enum SendStep<T> {
    New(T),
    Parked(Place),
    Remote { node: Arc<Node>, channel: ChannelId, operation: OperationId, value: T },
    Done,
}

impl<'a, T: Message> Sending<'a, T> {
    pub(crate) fn new(sender: &'a Sender<T>, value: T) -> Self {
        Self { sender, step: SendStep::New(value) }
    }

    fn start(&mut self, value: T, waker: &Waker) -> Poll<Result<(), SendError<T>>> {
        let mut wakes = Wakes::default();
        let mut core = self.sender.shared.lock();
        match &mut core.location {
            Location::Local(chan) => {
                let sent = chan.send(value, || waker.clone(), &mut wakes.note());
                let end = chan.ended().cloned().unwrap_or(End::Closed);
                drop(core);
                wakes.wake();
                match sent {
                    Sent::Done => Poll::Ready(Ok(())),
                    Sent::Refused(value) => Poll::Ready(Err(SendError::ended(value, end))),
                    Sent::Parked(place) => {
                        self.step = SendStep::Parked(place);
                        Poll::Pending
                    }
                }
            }
            Location::Relayed(relayed) => {
                let (node, channel) = (relayed.node.clone(), relayed.channel);
                drop(core);
                let parcel = match transfer::pack(&node, &value) {
                    Ok(parcel) => parcel,
                    Err(error) => {
                        return Poll::Ready(Err(SendError::Unsendable(value, error.to_string())));
                    }
                };
                let operation = node.begin(waker.clone(), |operation| Frame::Send {
                    channel,
                    operation,
                    parcel,
                });
                self.step = SendStep::Remote { node, channel, operation, value };
                Poll::Pending
            }
        }
    }

    fn look(&mut self, place: Place, waker: &Waker) -> Poll<Result<(), SendError<T>>> {
        let mut core = self.sender.shared.lock();
        match core.send_status(place, waker) {
            Stand::Sent => Poll::Ready(Ok(())),
            Stand::Refused(value, end) => Poll::Ready(Err(SendError::ended(value, end))),
            Stand::Waiting => {
                self.step = SendStep::Parked(place);
                Poll::Pending
            }
            Stand::Moved(node, operation, value) => {
                let channel = channel_of(&core);
                drop(core);
                self.ask(node, channel, operation, value, waker)
            }
        }
    }

    fn ask(
        &mut self,
        node: Arc<Node>,
        channel: ChannelId,
        operation: OperationId,
        value: T,
        waker: &Waker,
    ) -> Poll<Result<(), SendError<T>>> {
        match node.poll(operation, waker) {
            Poll::Ready(Conclusion::Sent) => Poll::Ready(Ok(())),
            Poll::Ready(Conclusion::Refused(end) | Conclusion::Ended(end)) => {
                Poll::Ready(Err(SendError::ended(value, end)))
            }
            Poll::Ready(other) => {
                let reason = format!("the coordinator answered a send with {other:?}");
                Poll::Ready(Err(SendError::Lost(value, reason)))
            }
            Poll::Pending => {
                self.step = SendStep::Remote { node, channel, operation, value };
                Poll::Pending
            }
        }
    }
}

impl<T: Message> Future for Sending<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = match mem::replace(&mut self.step, SendStep::Done) {
            SendStep::New(value) => self.start(value, context.waker()),
            SendStep::Parked(place) => self.look(place, context.waker()),
            SendStep::Remote { node, channel, operation, value } => {
                self.ask(node, channel, operation, value, context.waker())
            }
            SendStep::Done => panic!("a send was polled after it had ended"),
        };
        noted(polled)
    }
}

impl<T: Message> Unpin for Sending<'_, T> {}

impl<T: Message> Drop for Sending<'_, T> {
    fn drop(&mut self) {
        match mem::replace(&mut self.step, SendStep::Done) {
            SendStep::New(_) | SendStep::Done => {}
            SendStep::Remote { node, channel, operation, .. } => {
                node.give_up(operation, Frame::CancelSend { channel, operation });
            }
            SendStep::Parked(place) => {
                let mut wakes = Wakes::default();
                let mut core = self.sender.shared.lock();
                let unsent = match &mut core.location {
                    Location::Local(chan) => chan.retract_send(place, &mut wakes.note()),
                    Location::Relayed(Relayed { moved, node, channel, .. }) => {
                        match moved.sends.remove(&place) {
                            None => moved.refused.remove(&place),
                            Some((operation, value)) => {
                                let channel = *channel;
                                node.give_up(operation, Frame::CancelSend { channel, operation });
                                Some(value)
                            }
                        }
                    }
                };
                drop(core);
                drop(unsent);
                wakes.wake();
            }
        }
    }
}

/// A receive under way; see [`Receiver::recv`].
#[must_use = "a receive happens when its future is awaited"]
pub struct Receiving<'a, T: Message> {
    receiver: &'a Receiver<T>,
    step: ReceiveStep,
}

enum ReceiveStep {
    New,
    Parked(Place),
    Remote { node: Arc<Node>, channel: ChannelId, operation: OperationId },
    Done,
}

impl<'a, T: Message> Receiving<'a, T> {
    pub(crate) fn new(receiver: &'a Receiver<T>) -> Self {
        Self { receiver, step: ReceiveStep::New }
    }

    fn start(&mut self, waker: &Waker) -> Poll<Result<T, RecvError>> {
        let mut wakes = Wakes::default();
        let mut core = self.receiver.shared.lock();
        match &mut core.location {
            Location::Local(chan) => {
                let received = chan.receive(&mut wakes.note());
                if matches!(received, Received::Empty) {
                    let place = chan.park_receive(waker.clone(), &mut wakes.note());
                    self.step = ReceiveStep::Parked(place);
                }
                drop(core);
                wakes.wake();
                match received {
                    Received::Message(value) => Poll::Ready(Ok(value)),
                    Received::Ended(end) => Poll::Ready(Err(end.into())),
                    Received::Empty => Poll::Pending,
                }
            }
            Location::Relayed(relayed) => {
                let (node, channel) = (relayed.node.clone(), relayed.channel);
                drop(core);
                let operation =
                    node.begin(waker.clone(), |operation| Frame::Receive { channel, operation });
                self.step = ReceiveStep::Remote { node, channel, operation };
                Poll::Pending
            }
        }
    }

    fn look(&mut self, place: Place, waker: &Waker) -> Poll<Result<T, RecvError>> {
        let mut wakes = Wakes::default();
        let mut core = self.receiver.shared.lock();
        match &mut core.location {
            Location::Local(chan) => {
                let taken = chan.accept(place, &mut wakes.note());
                let waits = taken.is_none() && chan.rewait_receive(place, waker.clone());
                let end = chan.ended().cloned().unwrap_or(End::Closed);
                drop(core);
                wakes.wake();
                match taken {
                    Some(value) => Poll::Ready(Ok(value)),
                    None if waits => {
                        self.step = ReceiveStep::Parked(place);
                        Poll::Pending
                    }
                    None => Poll::Ready(Err(end.into())),
                }
            }
            Location::Relayed(Relayed { moved, node, channel, .. }) => {
                let (node, channel) = (node.clone(), *channel);
                let operation = moved.receives.remove(&place);
                let end = moved.end.clone().unwrap_or(End::Closed);
                drop(core);
                match operation {
                    Some(operation) => self.ask(node, channel, operation, waker),
                    None => Poll::Ready(Err(end.into())),
                }
            }
        }
    }

    fn ask(
        &mut self,
        node: Arc<Node>,
        channel: ChannelId,
        operation: OperationId,
        waker: &Waker,
    ) -> Poll<Result<T, RecvError>> {
        match node.poll(operation, waker) {
            Poll::Ready(Conclusion::Offered(parcel)) => {
                node.push(Frame::Accept { channel, operation });
                let value = transfer::unpack(&node, parcel);
                Poll::Ready(value.map_err(|error| RecvError::Malformed(error.to_string())))
            }
            Poll::Ready(Conclusion::Ended(end)) => Poll::Ready(Err(end.into())),
            Poll::Ready(other) => {
                let reason = format!("the coordinator answered a receive with {other:?}");
                Poll::Ready(Err(RecvError::Lost(reason)))
            }
            Poll::Pending => {
                self.step = ReceiveStep::Remote { node, channel, operation };
                Poll::Pending
            }
        }
    }
}

impl<T: Message> Future for Receiving<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = match mem::replace(&mut self.step, ReceiveStep::Done) {
            ReceiveStep::New => self.start(context.waker()),
            ReceiveStep::Parked(place) => self.look(place, context.waker()),
            ReceiveStep::Remote { node, channel, operation } => {
                self.ask(node, channel, operation, context.waker())
            }
            ReceiveStep::Done => panic!("a receive was polled after it had ended"),
        };
        noted(polled)
    }
}

impl<T: Message> Drop for Receiving<'_, T> {
    fn drop(&mut self) {
        match mem::replace(&mut self.step, ReceiveStep::Done) {
            ReceiveStep::New | ReceiveStep::Done => {}
            ReceiveStep::Remote { node, channel, operation } => {
                node.give_up(operation, Frame::Decline { channel, operation });
            }
            ReceiveStep::Parked(place) => {
                let mut wakes = Wakes::default();
                let mut core = self.receiver.shared.lock();
                match &mut core.location {
                    Location::Local(chan) => {
                        let dropped = chan.decline(place, &mut wakes.note());
                        debug_assert!(dropped.is_none(), "senders in this process do not vanish");
                    }
                    Location::Relayed(Relayed { moved, node, channel, .. }) => {
                        if let Some(operation) = moved.receives.remove(&place) {
                            let channel = *channel;
                            node.give_up(operation, Frame::Decline { channel, operation });
                        }
                    }
                }
                drop(core);
                wakes.wake();
            }
        }
    }
}

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
                drop(core);
                let operation =
                    node.begin(waker.clone(), |operation| Frame::Close { channel, operation });
                self.remote = Some((node, operation));
                Poll::Pending
            }
        }
    }
}

impl<T: Message> Future for Closing<'_, T> {
    type Output = Result<(), AlreadyClosed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some((node, operation)) = self.remote.take() else {
            return noted(self.start(context.waker()));
        };
        match node.poll(operation, context.waker()) {
            Poll::Ready(Conclusion::Closed { first: true }) => Poll::Ready(Ok(())),
            Poll::Ready(_) => Poll::Ready(Err(AlreadyClosed)),
            Poll::Pending => {
                self.remote = Some((node, operation));
                noted(Poll::Pending)
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

/// Notes that a task waits on a channel, if it does.
fn noted<R>(polled: Poll<R>) -> Poll<R> {
    if polled.is_pending() {
        waiting::note();
    }
    polled
}

fn channel_of<T>(core: &Core<T>) -> ChannelId {
    match &core.location {
        Location::Relayed(relayed) => relayed.channel,
        Location::Local(_) => unreachable!("a moved operation is of a relayed channel"),
    }
}
