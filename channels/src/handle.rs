//! The two ends that users hold: [`Sender`] and [`Receiver`].
//!
//! A handle is an identity: cloning it, passing it on in a message and passing it back cost nothing
//! that lasts. When the last handle of a side is dropped by its owner the channel closes, as Rust
//! users expect (Go leaves it open: C50).

use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeOwned, Error as _};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::blocking::wait_for;
use crate::id::ChannelId;
use crate::location::{Location, Shared};
use crate::node::Node;
use crate::operation::{Closing, Receiving, RecvError, SendError, Sending};
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
/// serialised, until a handle leaves in a message or in the arguments of a task.
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
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity <= CAPACITY_MAX, "channel capacity {capacity}: at most {CAPACITY_MAX}");
    let shared = Shared::local(capacity);
    (Sender { shared: shared.clone() }, Receiver { shared })
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
}

/// The receiving end of a channel. Clone it for more receivers: each value goes to exactly one.
pub struct Receiver<T> {
    pub(crate) shared: Arc<Shared<T>>,
}

impl<T: Message> Sender<T> {
    /// Sends a value: waits while the buffer is full, or, with capacity 0, until a receiver has
    /// taken it.
    ///
    /// # Errors
    ///
    /// [`SendError`] holds the value: the channel was closed, its receivers were dropped or lost,
    /// or the value cannot travel.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it is ready leaves a local value unsent. On a relayed channel the
    /// value was sent once or not at all, and the sender cannot know which (contract D9).
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
}

impl<T: Message> Receiver<T> {
    /// The receiving end of a new channel whose home is the coordinator from the start, which will
    /// send on it: how a task's outcome comes.
    pub fn of_result(node: &Arc<Node>, channel: ChannelId) -> Self {
        let passage = Passage { channel, side: Side::Receive, capacity: 1 };
        let shared = Shared::import(node, passage).expect("a new identity is of no other type");
        Self { shared }
    }
}

macro_rules! both_ends {
    ($($end:ident $side:ident)*) => { $(
        impl<T> $end<T> {
            /// How many values the buffer holds at most; 0 is a rendezvous.
            pub fn capacity(&self) -> usize {
                self.shared.capacity()
            }

            /// Where the channel's home is now, as seen from this process.
            pub fn path(&self) -> Path {
                match self.shared.lock().location {
                    Location::Local(_) => Path::Local,
                    Location::Relayed(_) => Path::Relayed,
                }
            }

            /// Whether both handles are of the same channel (C05).
            pub fn same_channel(&self, other: &Self) -> bool {
                Arc::ptr_eq(&self.shared, &other.shared)
            }
        }

        impl<T> Clone for $end<T> {
            fn clone(&self) -> Self {
                self.shared.clone_handle(Side::$side);
                Self { shared: self.shared.clone() }
            }
        }

        impl<T> Drop for $end<T> {
            fn drop(&mut self) {
                self.shared.drop_handle(Side::$side);
            }
        }

        impl<T> fmt::Debug for $end<T> {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                let path = self.path();
                write!(out, "{}({path:?}, capacity {})", stringify!($end), self.capacity())
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
                    Ok(shared) => Ok(Self { shared }),
                    Err(stranded) => {
                        node.give_back(passage);
                        Err(D::Error::custom(stranded))
                    }
                }
            }
        }
    )* };
}

both_ends! { Sender Send Receiver Receive }
