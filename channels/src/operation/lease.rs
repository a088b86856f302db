//! A value that is received on lease: held, and acknowledged when its work is done.
//!
//! States of a [`Leased`]: *here* (the channel's home is this process, and knows the value by its
//! age) or *away* (the home knows the lease by an operation; if this process dies, the value is
//! another's) -> acknowledged, or dropped: then the value goes back. A channel that leaves
//! meanwhile notes under which operation the home knows the lease; the value itself stays in this
//! process, and dies with it.

use std::fmt;
use std::future::Future;
use std::mem;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::error::RecvError;
use super::{ReceiveOperation, Remote};
use crate::blocking::wait_for;
use crate::chan::{Lease, Received};
use crate::claim::{Waiting, Wakes};
use crate::flow::Stocked;
use crate::handle::{Message, Receiver};
use crate::id::{ChannelId, OperationId};
use crate::line::Place;
use crate::location::Location;
use crate::moved;
use crate::node::{Conclusion, Node};
use crate::transfer;
use crate::waiting::{self, marked};
use crate::wire::{End, Frame};

impl<T: Message> Receiver<T> {
    /// Receives the next value on lease: for work that must be done, even if this worker dies in
    /// the middle of it. The value stays the channel's until [`Leased::ack`]. If the lease is
    /// dropped, or its holder dies, the value is received again, at its old place in the order and
    /// with a higher [`Leased::attempt`]: at least once, where [`Receiver::recv`] is at most once
    /// (contract D3).
    ///
    /// The send ends when the value is leased, also of a rendezvous. Until the lease ends the value
    /// counts as one in the buffer, and a channel that was closed is not drained. On a channel of
    /// [strict order](crate::ChannelBuilder::strict_order) nobody else receives meanwhile.
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv`].
    ///
    /// # Cancel safety
    ///
    /// As [`Receiver::recv`]: dropping the future loses nothing.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let (sender, receiver) = channels::channel(1);
    /// sender.send("a letter".to_owned()).await.unwrap();
    /// let lease = receiver.recv_leased().await?;
    /// assert_eq!((lease.as_str(), lease.attempt()), ("a letter", 1));
    /// // The work fails.
    /// drop(lease);
    ///
    /// let lease = receiver.recv_leased().await?;
    /// assert_eq!((lease.as_str(), lease.attempt()), ("a letter", 2));
    /// assert_eq!(lease.ack(), "a letter");
    /// # Ok::<(), channels::RecvError>(())
    /// # }).unwrap();
    /// ```
    pub fn recv_leased(&self) -> Leasing<'_, T> {
        self.withdraw_stream();
        Leasing { receiver: self, receive: ReceiveOperation::New }
    }

    /// [`Receiver::recv_leased`] for code that is not async. It blocks the thread.
    pub fn recv_leased_blocking(&self) -> Result<Leased<T>, RecvError> {
        wait_for(self.recv_leased())
    }
}

/// A value that is held and still its channel's; see [`Receiver::recv_leased`]. It counts as a
/// receiver of the channel.
#[must_use = "a lease that is dropped gives its value back"]
pub struct Leased<T: Message> {
    receiver: Receiver<T>,
    value: Option<T>,
    attempt: u32,
    hold: Hold,
}

/// How the channel knows a lease.
enum Hold {
    /// By the value's age.
    Here(u64),
    /// By an operation.
    Away(Arc<Node>, ChannelId, OperationId),
    Ended,
}

impl<T: Message> Leased<T> {
    /// Which time the value is held, from 1. Above 1 somebody has had it before, or a worker that
    /// died may have, and a part of its work may be done.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The work is done: the value is taken, and will not come again. Whatever this worker sent
    /// before is home before that.
    ///
    /// It does not wait. If this worker is fenced before the word of it is home, the value comes
    /// again, elsewhere.
    ///
    /// ```
    /// let (sender, receiver) = channels::channel(1);
    /// sender.send_blocking(vec![1, 2]).unwrap();
    /// drop(sender);
    /// let lease = receiver.recv_leased_blocking().unwrap();
    /// assert_eq!(lease.len(), 2);
    /// assert_eq!(lease.ack(), [1, 2]);
    /// assert_eq!(receiver.recv_blocking(), Err(channels::RecvError::Closed));
    /// ```
    pub fn ack(mut self) -> T {
        let accept = |channel, operation| Frame::Accept { channel, operation };
        match mem::replace(&mut self.hold, Hold::Ended) {
            Hold::Away(node, channel, operation) => {
                node.end_lease(operation, accept(channel, operation));
            }
            Hold::Here(age) => {
                let mut wakes = Wakes::default();
                let mut core = self.receiver.shared.lock();
                match &mut core.location {
                    Location::Local(chan) => chan.end_lease(age, &mut wakes.note()),
                    Location::Relayed(relayed) => {
                        if let Some(operation) = relayed.moved.leases.remove(&age) {
                            let accept = accept(relayed.channel, operation);
                            relayed.node.end_lease(operation, accept);
                        }
                    }
                }
                drop(core);
                self.receiver.shared.wake(wakes);
            }
            Hold::Ended => {}
        }
        self.value.take().expect("a lease has its value until it ends")
    }

    /// Gives the value back to a channel that was here.
    fn give_back(&mut self, age: u64, value: T) {
        let mut wakes = Wakes::default();
        let mut core = self.receiver.shared.lock();
        let (node, channel, operation) = match &mut core.location {
            Location::Local(chan) => {
                chan.return_lease(age, value, &mut wakes.note());
                drop(core);
                return self.receiver.shared.wake(wakes);
            }
            Location::Relayed(relayed) => {
                let Some(operation) = relayed.moved.leases.remove(&age) else { return };
                (relayed.node.clone(), relayed.channel, operation)
            }
        };
        drop(core);
        // The user's `Serialize` may panic; this may be a panic already.
        let packed = catch_unwind(AssertUnwindSafe(|| transfer::pack(&node, &value)));
        let frame = match packed {
            Ok(Ok(parcel)) => {
                let attempts = self.attempt;
                Frame::Return { channel, operation, attempts, parcel }
            }
            // It cannot travel, so it goes nowhere.
            _ => Frame::Accept { channel, operation },
        };
        node.end_lease(operation, frame);
    }
}

impl<T: Message> Drop for Leased<T> {
    fn drop(&mut self) {
        let Some(value) = self.value.take() else { return };
        match mem::replace(&mut self.hold, Hold::Ended) {
            Hold::Here(age) => self.give_back(age, value),
            Hold::Away(node, channel, operation) => {
                node.end_lease(operation, Frame::Decline { channel, operation });
            }
            Hold::Ended => {}
        }
    }
}

impl<T: Message> Deref for Leased<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("a lease has its value until it ends")
    }
}

impl<T: Message + fmt::Debug> fmt::Debug for Leased<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Leased({:?}, attempt {})", **self, self.attempt)
    }
}

/// A receive on lease under way; see [`Receiver::recv_leased`].
#[must_use = "a receive happens when its future is awaited"]
pub struct Leasing<'a, T: Message> {
    receiver: &'a Receiver<T>,
    receive: ReceiveOperation,
}

type Outcome<T> = Result<Leased<T>, RecvError>;

impl<T: Message> Leasing<'_, T> {
    fn leased(&self, value: T, attempt: u32, hold: Hold) -> Leased<T> {
        Leased { receiver: self.receiver.clone(), value: Some(value), attempt, hold }
    }

    fn leased_here(&self, lease: Lease<T>) -> Leased<T> {
        self.leased(lease.message, lease.attempt, Hold::Here(lease.age))
    }

    fn start(&mut self, waker: &Waker) -> Poll<Outcome<T>> {
        let mut wakes = Wakes::default();
        let mut core = self.receiver.shared.lock();
        match &mut core.location {
            Location::Local(chan) => {
                let received = chan.receive_leased(&mut wakes.note());
                let outcome = match received {
                    Received::Message(lease) => Ok(lease),
                    Received::Ended(end) => Err(end.into()),
                    Received::Empty => {
                        let waiter = || Waiting::Task(waker.clone());
                        self.receive = ReceiveOperation::Parked(chan.wait_receive(waiter));
                        waiting::note();
                        return Poll::Pending;
                    }
                };
                drop(core);
                self.receiver.shared.wake(wakes);
                Poll::Ready(outcome.map(|lease| self.leased_here(lease)))
            }
            Location::Relayed(relayed) => {
                let (node, channel) = (relayed.node.clone(), relayed.channel);
                drop(core);
                self.receive.start_remote(node, channel, waker, 0);
                self.go_on(waker)
            }
        }
    }

    fn go_on(&mut self, waker: &Waker) -> Poll<Outcome<T>> {
        match mem::replace(&mut self.receive, ReceiveOperation::Done) {
            ReceiveOperation::Parked(place) => self.look(place, waker),
            ReceiveOperation::Remote(remote) => self.ask(remote, waker),
            ReceiveOperation::New | ReceiveOperation::Done => {
                panic!("a receive was polled after it had ended")
            }
        }
    }

    fn look(&mut self, place: Place, waker: &Waker) -> Poll<Outcome<T>> {
        let mut wakes = Wakes::default();
        let shared = &self.receiver.shared;
        let mut core = shared.lock_woken();
        match &mut core.location {
            Location::Local(chan) => {
                let accepted = chan.accept_leased(place, &mut wakes.note());
                if let Some(lease) = accepted {
                    drop(core);
                    shared.wake(wakes);
                    return Poll::Ready(Ok(self.leased_here(lease)));
                }
                if chan.rewait_receive(place, Waiting::Task(waker.clone())) {
                    self.receive = ReceiveOperation::Parked(place);
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
                    Some(operation) => self.ask(Remote::new(node, channel, operation), waker),
                    None => Poll::Ready(Err(end.into())),
                }
            }
        }
    }

    fn ask(&mut self, remote: Box<Remote>, waker: &Waker) -> Poll<Outcome<T>> {
        let Poll::Ready((conclusion, lease)) = remote.poll_leased(&self.receiver.shared, waker)
        else {
            self.receive = ReceiveOperation::Remote(remote);
            waiting::note();
            return Poll::Pending;
        };
        match conclusion {
            Conclusion::Moved(Some(place)) => self.look(place, waker),
            Conclusion::Moved(None) | Conclusion::Again => self.start(waker),
            Conclusion::Offered(stocked) | Conclusion::Stocked(stocked) => {
                Poll::Ready(self.lease(&remote, stocked, lease))
            }
            Conclusion::Ended(end) => Poll::Ready(Err(end.into())),
            other => {
                let reason = format!("the coordinator answered a receive with {other:?}");
                Poll::Ready(Err(RecvError::Lost(reason)))
            }
        }
    }

    fn lease(&self, remote: &Remote, stocked: Stocked, operation: OperationId) -> Outcome<T> {
        let (node, channel) = (&remote.node, remote.channel);
        let Stocked { parcel, attempt, .. } = stocked;
        moved::note(parcel.payload.len());
        match transfer::unpack(node, parcel) {
            Ok(value) => {
                let hold = Hold::Away(node.clone(), channel, operation);
                Ok(self.leased(value, attempt, hold))
            }
            Err(error) => {
                // As one that was received: nobody could read it.
                node.end_lease(operation, Frame::Accept { channel, operation });
                Err(RecvError::Malformed(error.to_string()))
            }
        }
    }
}

impl<T: Message> Future for Leasing<'_, T> {
    type Output = Outcome<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let waker = context.waker();
        let shared = &this.receiver.shared;
        marked!(waker, format!("receive from {}", shared.describe(&shared.lock())));
        match this.receive {
            ReceiveOperation::New => this.start(waker),
            _ => this.go_on(waker),
        }
    }
}

impl<T: Message> Drop for Leasing<'_, T> {
    fn drop(&mut self) {
        self.receive.give_up(&self.receiver.shared);
    }
}
