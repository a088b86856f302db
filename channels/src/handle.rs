//! The two ends that users hold: [`Sender`] and [`Receiver`].
//!
//! A handle is an identity: cloning it, passing it on in a message and passing it back cost nothing
//! that lasts. When the last handle of a side is dropped by its owner the channel closes, as Rust
//! users expect (Go leaves it open: C50).

use std::fmt;
use std::sync::Arc;
use std::task::Poll;

use serde::de::{DeserializeOwned, Error as _};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::blocking::wait_for;
use crate::claim::Waiting;
use crate::id::ChannelId;
use crate::location::{Location, Shared};
use crate::lock::Lock;
use crate::node::Node;
use crate::operation::{
    Closing, Receiving, RecvError, SendError, Sending, TryReceiving, TryRecvError, TrySendError,
    TrySending,
};
use crate::stream::{Sinking, Streaming};
use crate::transfer;
use crate::wire::{CAPACITY_MAX, Passage, Side};

/// What may be sent on a channel, or be an argument or result of a task: any type that serde can
/// write and read, and that may change threads. It owns what it holds: a `String`, not a `&str`.
///
/// ```
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Order { dish: String, table: u32 }
///
/// fn may_travel<T: channels::Message>() {}
/// may_travel::<Order>();
/// may_travel::<channels::Sender<Order>>();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel to another worker",
    label = "not `Serialize + DeserializeOwned + Send + 'static`",
    note = "a message, argument or result needs `#[derive(serde::Serialize, serde::Deserialize)]`"
)]
pub trait Message: Serialize + DeserializeOwned + Send + 'static {}

impl<T: Serialize + DeserializeOwned + Send + 'static> Message for T {}

/// Makes a channel, as Go's `make(chan T, capacity)`.
///
/// Capacity 0 is a rendezvous: a send ends when a receiver has taken the value. Capacity n is a
/// buffer of exactly n, wherever the handles go. The channel lives in this process, and nothing is
/// serialised, until a handle leaves in a message or in the arguments of a task. (A runtime may
/// make channels relayed from the start, to try a program: see its `FARSPAWN_PLACE`.)
///
/// # Panics
///
/// If the capacity is above 2^24 (C02): memory for so many messages is a mistake.
///
/// ```
/// # futures::executor::block_on(async {
/// let (sender, receiver) = channels::channel(2);
/// sender.send(1).await.unwrap();
/// sender.send(2).await.unwrap();
/// drop(sender);
/// assert_eq!(receiver.recv().await, Ok(1));
/// assert_eq!(receiver.recv().await, Ok(2));
/// assert_eq!(receiver.recv().await, Err(channels::RecvError::Closed));
/// # })
/// ```
#[track_caller]
pub fn channel<T: Message>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    match crate::trial::node() {
        None => channel_here(capacity),
        Some(node) => {
            check(capacity);
            let shared = Shared::relayed(&node, capacity);
            (Sender::of(shared.clone()), Receiver::of(shared))
        }
    }
}

/// A channel whose home is this process until a handle leaves, even if others are relayed on trial:
/// for what belongs to this process, such as timers.
#[doc(hidden)]
#[track_caller]
pub fn channel_here<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    check(capacity);
    let shared = Shared::local(capacity);
    (Sender::of(shared.clone()), Receiver::of(shared))
}

#[track_caller]
fn check(capacity: usize) {
    assert!(capacity <= CAPACITY_MAX, "channel capacity {capacity}: at most {CAPACITY_MAX}");
}

/// Where a channel's home is, as seen from this process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Path {
    /// In this process: operations touch memory only.
    Local,
    /// At the coordinator: operations are frames.
    Relayed,
}

/// The sending end of a channel. Clone it for more senders; drop all of them to close the channel.
pub struct Sender<T> {
    pub(crate) shared: Arc<Shared<T>>,
    /// The send that this handle does as a `Sink`. Only ever reached through `&mut`; the lock says
    /// so to the compiler.
    pub(crate) sink: Option<Box<Lock<Sinking<T>>>>,
}

/// The receiving end of a channel. Clone it for more receivers: each value goes to exactly one.
pub struct Receiver<T> {
    pub(crate) shared: Arc<Shared<T>>,
    /// The receive that this handle does as a `Stream`.
    pub(crate) stream: Option<Box<Streaming>>,
}

impl<T: Message> Sender<T> {
    /// Sends a value: waits while the buffer is full, or, with capacity 0, until a receiver has
    /// taken it. To a relayed channel one send in about a thousand lets others run first although
    /// there is room, so that what was sent leaves.
    ///
    /// # Errors
    ///
    /// [`SendError`] holds the value: the channel was closed, its receivers were dropped or lost,
    /// or the value cannot travel.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it is ready: a value that a receiver has taken by then was sent,
    /// any other is dropped and never will be (if it must not be lost, send it as a `&mut` case of
    /// a [`select!`](crate::select!), which gives it back). On a relayed channel the value was sent
    /// once or not at all, and the sender cannot know which (contract D9).
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let (sender, receiver) = channels::channel(1);
    /// sender.send(7).await?;
    /// drop(receiver);
    /// let back = sender.send(8).await.unwrap_err();
    /// assert_eq!(back.into_inner(), 8);
    /// # Ok::<(), channels::SendError<i32>>(())
    /// # }).unwrap();
    /// ```
    pub fn send(&self, value: T) -> Sending<'_, T> {
        Sending::new(self, value)
    }

    /// [`Sender::send`] for code that is not async. It blocks the thread.
    ///
    /// ```
    /// let (sender, receiver) = channels::channel(0);
    /// let taker = std::thread::spawn(move || receiver.recv_blocking());
    /// sender.send_blocking(5).unwrap();
    /// assert_eq!(taker.join().unwrap(), Ok(5));
    /// ```
    pub fn send_blocking(&self, value: T) -> Result<(), SendError<T>> {
        wait_for(self.send(value))
    }

    /// Sends a value if that needs no waiting: there is room in the buffer, or a receiver waits. It
    /// asks the channel's home, so the answer is the truth: immediate while the home is here, a
    /// round trip when it is not.
    ///
    /// # Errors
    ///
    /// [`TrySendError`] holds the value; [`TrySendError::Full`] if it would have had to wait.
    ///
    /// # Cancel safety
    ///
    /// As [`Sender::send`].
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let (sender, receiver) = channels::channel(1);
    /// assert_eq!(sender.try_send(1).await, Ok(()));
    /// assert_eq!(sender.try_send(2).await, Err(channels::TrySendError::Full(2)));
    /// drop(receiver);
    /// assert_eq!(sender.try_send(3).await, Err(channels::TrySendError::Closed(3)));
    /// # })
    /// ```
    pub fn try_send(&self, value: T) -> TrySending<'_, T> {
        TrySending::new(self, value)
    }

    /// [`Sender::try_send`] for code that is not async.
    pub fn try_send_blocking(&self, value: T) -> Result<(), TrySendError<T>> {
        wait_for(self.try_send(value))
    }

    /// Closes the channel: values already sent are still received, sends that wait get their values
    /// back, and receivers see [`RecvError::Closed`] after the last value.
    ///
    /// # Errors
    ///
    /// [`AlreadyClosed`](crate::AlreadyClosed) if it had ended before. (Go panics; between
    /// processes that is a race, not a bug.)
    ///
    /// # Cancel safety
    ///
    /// The close has happened once the future was polled.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let (sender, receiver) = channels::channel::<u8>(1);
    /// let spare = sender.clone();
    /// assert!(sender.close().await.is_ok());
    /// assert!(spare.close().await.is_err());
    /// assert_eq!(receiver.recv().await, Err(channels::RecvError::Closed));
    /// # })
    /// ```
    pub fn close(&self) -> Closing<'_, T> {
        Closing::new(self)
    }

    /// Waits until the channel has ended, if it stays at home here: for a timer, which nobody needs
    /// once its receiver is gone. Of a channel that has left it waits for ever.
    #[doc(hidden)]
    pub async fn ended_here(&self) {
        std::future::poll_fn(|context| match &mut self.shared.lock().location {
            Location::Local(chan) if chan.ended().is_some() => Poll::Ready(()),
            Location::Local(chan) => {
                chan.watch(Waiting::Task(context.waker().clone()));
                Poll::Pending
            }
            Location::Relayed(_) => Poll::Pending,
        })
        .await;
    }

    /// [`Sender::close`] for code that is not async.
    pub fn close_blocking(&self) -> Result<(), crate::AlreadyClosed> {
        wait_for(self.close())
    }
}

impl<T: Message> Receiver<T> {
    /// Receives the next value, and waits for one if there is none.
    ///
    /// # Errors
    ///
    /// [`RecvError::Closed`] when the channel is closed and drained, for ever after;
    /// [`RecvError::Lost`] when the last sender vanished with a worker that died.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: a value that was meant for it goes to the next receive,
    /// from its old place in the order.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let (sender, receiver) = channels::channel(1);
    /// sender.send(7).await.unwrap();
    /// assert_eq!(receiver.recv().await, Ok(7));
    /// # })
    /// ```
    pub fn recv(&self) -> Receiving<'_, T> {
        Receiving::new(self)
    }

    /// [`Receiver::recv`] for code that is not async. It blocks the thread.
    pub fn recv_blocking(&self) -> Result<T, RecvError> {
        wait_for(self.recv())
    }

    /// Receives the next value if one is there. It asks the channel's home, so the answer is the
    /// truth: immediate while the home is here, a round trip when it is not.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] if a receive would have had to wait.
    ///
    /// # Cancel safety
    ///
    /// As [`Receiver::recv`].
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let (sender, receiver) = channels::channel(1);
    /// assert_eq!(receiver.try_recv().await, Err(channels::TryRecvError::Empty));
    /// sender.send(7).await.unwrap();
    /// assert_eq!(receiver.try_recv().await, Ok(7));
    /// drop(sender);
    /// assert_eq!(receiver.try_recv().await, Err(channels::TryRecvError::Closed));
    /// # })
    /// ```
    pub fn try_recv(&self) -> TryReceiving<'_, T> {
        TryReceiving::new(self)
    }

    /// [`Receiver::try_recv`] for code that is not async.
    pub fn try_recv_blocking(&self) -> Result<T, TryRecvError> {
        wait_for(self.try_recv())
    }
}

impl<T: Message> Receiver<T> {
    /// Takes back what this handle began as a stream, so that nothing is kept from others.
    #[inline]
    pub(crate) fn withdraw_stream(&self) {
        if let Some(streaming) = &self.stream {
            streaming.withdraw(&self.shared);
        }
    }

    /// The receiving end of a new channel whose home is the coordinator from the start, which will
    /// send on it: how a task's outcome comes.
    pub fn of_result(node: &Arc<Node>, channel: ChannelId) -> Self {
        let passage = Passage { channel, side: Side::Receive, capacity: 1 };
        Self::of(Shared::import(node, passage).expect("a new identity is of no other type"))
    }
}

macro_rules! both_ends {
    ($($end:ident $side:ident $aside:ident)*) => { $(
        impl<T> $end<T> {
            pub(crate) fn of(shared: Arc<Shared<T>>) -> Self {
                Self { shared, $aside: None }
            }

            /// How many values the buffer holds at most; 0 is a rendezvous.
            pub fn capacity(&self) -> usize {
                self.shared.capacity()
            }

            /// How many values the buffer holds now (C08); always 0 with capacity 0, but for a
            /// value whose receive was given up. When the channel is used by others at the same
            /// time the answer is old when it comes. It asks the channel's home.
            ///
            /// # Cancel safety
            ///
            /// Nothing is lost but the answer.
            ///
            /// ```
            /// # futures::executor::block_on(async {
            /// let (sender, receiver) = channels::channel(3);
            /// sender.send(7).await.unwrap();
            /// assert_eq!((sender.len().await, receiver.len().await), (1, 1));
            /// assert_eq!(receiver.capacity(), 3);
            /// # })
            /// ```
            pub async fn len(&self) -> usize {
                loop {
                    let (node, channel) = match &self.shared.lock().location {
                        Location::Local(chan) => return chan.len(),
                        Location::Relayed(relayed) => (relayed.node.clone(), relayed.channel),
                    };
                    if let Some(length) = node.measure(channel).await {
                        return length;
                    }
                    self.shared.land();
                }
            }

            /// Whether the buffer holds nothing now; see `len`.
            pub async fn is_empty(&self) -> bool {
                self.len().await == 0
            }

            /// Where the channel's home is now, as seen from this process. It becomes
            /// [`Path::Relayed`] when a handle leaves, and [`Path::Local`] again some time after
            /// all handles have come together here: with use, or with time.
            ///
            /// ```
            /// let (sender, receiver) = channels::channel::<u8>(1);
            /// assert_eq!(sender.path(), channels::Path::Local);
            /// assert_eq!(receiver.path(), channels::Path::Local);
            /// ```
            pub fn path(&self) -> Path {
                self.shared.land();
                path_of(&self.shared.lock().location)
            }

            /// Whether both handles are of the same channel (C05).
            pub fn same_channel(&self, other: &Self) -> bool {
                Arc::ptr_eq(&self.shared, &other.shared)
            }
        }

        impl<T> Clone for $end<T> {
            fn clone(&self) -> Self {
                self.shared.clone_handle(Side::$side);
                Self::of(self.shared.clone())
            }
        }

        impl<T> Drop for $end<T> {
            fn drop(&mut self) {
                self.give_up_aside();
                self.shared.drop_handle(Side::$side);
            }
        }

        impl<T> fmt::Debug for $end<T> {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                let name = stringify!($end);
                // Not while it moves: whoever prints may be encoding a message right now.
                let path = self.shared.try_lock().map(|core| path_of(&core.location));
                match path {
                    Some(path) => write!(out, "{name}({path:?}, capacity {})", self.capacity()),
                    None => write!(out, "{name}(busy, capacity {})", self.capacity()),
                }
            }
        }

        /// A handle travels in messages, arguments and results; anywhere else this is an error.
        impl<T: Message> Serialize for $end<T> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let index = transfer::depart(|node| self.shared.export(node, Side::$side))
                    .map_err(S::Error::custom)?;
                serializer.serialize_u32(index)
            }
        }

        impl<'de, T: Message> Deserialize<'de> for $end<T> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let index = u32::deserialize(deserializer)?;
                let (node, passage) =
                    transfer::arrive(index, Side::$side).map_err(D::Error::custom)?;
                match Shared::import(&node, passage) {
                    Ok(shared) => Ok(Self::of(shared)),
                    Err(stranded) => {
                        node.give_back(passage);
                        Err(D::Error::custom(stranded))
                    }
                }
            }
        }
    )* };
}

both_ends! { Sender Send sink Receiver Receive stream }

impl<T> Sender<T> {
    fn give_up_aside(&mut self) {
        if let Some(mut send) = self.sink.take() {
            send.get_mut().send.give_up(&self.shared);
        }
    }
}

impl<T> Receiver<T> {
    fn give_up_aside(&mut self) {
        if let Some(streaming) = self.stream.take() {
            streaming.withdraw(&self.shared);
        }
    }
}

fn path_of<T>(location: &Location<T>) -> Path {
    match location {
        Location::Local(_) => Path::Local,
        Location::Relayed(_) => Path::Relayed,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::{Closing, Select};

    /// Of a message that is not `Sync` itself: handles and what they yield may be shared all the
    /// same, as Go's may.
    #[test]
    fn handles_may_be_shared_and_futures_may_change_threads() {
        fn shared<T: Sync + Send>() {}
        fn moved<T: Send>() {}
        shared::<Sender<Cell<u8>>>();
        shared::<Receiver<Cell<u8>>>();
        moved::<Sending<'_, Cell<u8>>>();
        moved::<Receiving<'_, Cell<u8>>>();
        moved::<TrySending<'_, Cell<u8>>>();
        moved::<TryReceiving<'_, Cell<u8>>>();
        moved::<Closing<'_, Cell<u8>>>();
        moved::<Select<'_>>();
    }
}
