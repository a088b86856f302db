//! Making a channel that differs from the usual.

use crate::handle::{Message, Receiver, Sender, channel};

/// Makes channels that promise more than those of [`channel`](crate::channel).
///
/// ```
/// # futures::executor::block_on(async {
/// use channels::ChannelBuilder;
/// let (sender, receiver) = ChannelBuilder::new(2).strict_order().build();
/// sender.send(1).await.unwrap();
/// assert_eq!(receiver.recv().await, Ok(1));
/// # })
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelBuilder {
    capacity: usize,
    is_strict: bool,
}

impl ChannelBuilder {
    /// A channel whose buffer holds so many values; 0 is a rendezvous.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, is_strict: false }
    }

    /// No value is ever taken after a younger one (contract D6). On other channels that may happen
    /// to a value that returns, because its receive was given up or its receiver died: it is
    /// received before all that are younger, but not before those that somebody has already.
    ///
    /// The price, where the channel is relayed: one value is on its way to one receiver at a time,
    /// so each receive costs a round trip, and a receive that was served holds the others up until
    /// its future is polled or dropped. And nobody receives while a value is
    /// [on lease](Receiver::recv_leased). Once relayed it stays so, though its handles come
    /// together again.
    #[must_use]
    pub fn strict_order(self) -> Self {
        Self { is_strict: true, ..self }
    }

    /// The channel.
    ///
    /// # Panics
    ///
    /// If the capacity is above 2^24 (C02).
    #[track_caller]
    pub fn build<T: Message>(self) -> (Sender<T>, Receiver<T>) {
        let (sender, receiver) = channel(self.capacity);
        if self.is_strict {
            sender.shared.set_strict();
        }
        (sender, receiver)
    }
}
