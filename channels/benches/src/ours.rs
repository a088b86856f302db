//! The channels of this project.

use crate::cell::Capacity;
use crate::contender::Contender;

/// What stands for an unbounded channel, which we do not have.
const CAPACITY_LARGE: usize = 1 << 16;

pub(crate) struct Ours;

impl<T: channels::Message> Contender<T> for Ours {
    type Sender = channels::Sender<T>;
    type Receiver = channels::Receiver<T>;

    fn open(capacity: Capacity) -> (Self::Sender, Self::Receiver) {
        match capacity {
            Capacity::Of(messages) => channels::channel(messages),
            Capacity::Unbounded => channels::channel(CAPACITY_LARGE),
        }
    }

    fn senders(first: Self::Sender, count: usize) -> Vec<Self::Sender> {
        vec![first; count]
    }

    fn receivers(first: Self::Receiver, count: usize) -> Vec<Self::Receiver> {
        vec![first; count]
    }

    async fn send(sender: &Self::Sender, value: T) {
        assert!(sender.send(value).await.is_ok());
    }

    async fn recv(receiver: &mut Self::Receiver) -> Option<T> {
        receiver.recv().await.ok()
    }
}
