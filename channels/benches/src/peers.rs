//! The channels of others. Each is used as its documentation says is fastest for the pattern.

use crate::cell::Capacity;
use crate::contender::Contender;

pub(crate) struct Kanal;

impl<T: Send + 'static> Contender<T> for Kanal {
    type Sender = kanal::AsyncSender<T>;
    type Receiver = kanal::AsyncReceiver<T>;

    fn open(capacity: Capacity) -> (Self::Sender, Self::Receiver) {
        match capacity {
            Capacity::Of(messages) => kanal::bounded_async(messages),
            Capacity::Unbounded => kanal::unbounded_async(),
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

pub(crate) struct Flume;

impl<T: Send + 'static> Contender<T> for Flume {
    type Sender = flume::Sender<T>;
    type Receiver = flume::Receiver<T>;

    fn open(capacity: Capacity) -> (Self::Sender, Self::Receiver) {
        match capacity {
            Capacity::Of(messages) => flume::bounded(messages),
            Capacity::Unbounded => flume::unbounded(),
        }
    }

    fn senders(first: Self::Sender, count: usize) -> Vec<Self::Sender> {
        vec![first; count]
    }

    fn receivers(first: Self::Receiver, count: usize) -> Vec<Self::Receiver> {
        vec![first; count]
    }

    async fn send(sender: &Self::Sender, value: T) {
        assert!(sender.send_async(value).await.is_ok());
    }

    async fn recv(receiver: &mut Self::Receiver) -> Option<T> {
        receiver.recv_async().await.ok()
    }
}

pub(crate) struct AsyncChannel;

impl<T: Send + 'static> Contender<T> for AsyncChannel {
    type Sender = async_channel::Sender<T>;
    type Receiver = async_channel::Receiver<T>;

    fn open(capacity: Capacity) -> (Self::Sender, Self::Receiver) {
        match capacity {
            Capacity::Of(messages) => async_channel::bounded(messages),
            Capacity::Unbounded => async_channel::unbounded(),
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

pub(crate) struct Tokio;

impl<T: Send + 'static> Contender<T> for Tokio {
    type Sender = tokio::sync::mpsc::Sender<T>;
    type Receiver = tokio::sync::mpsc::Receiver<T>;

    fn open(capacity: Capacity) -> (Self::Sender, Self::Receiver) {
        tokio::sync::mpsc::channel(bounded(capacity))
    }

    fn senders(first: Self::Sender, count: usize) -> Vec<Self::Sender> {
        vec![first; count]
    }

    fn receivers(first: Self::Receiver, count: usize) -> Vec<Self::Receiver> {
        single(first, count)
    }

    async fn send(sender: &Self::Sender, value: T) {
        assert!(sender.send(value).await.is_ok());
    }

    async fn recv(receiver: &mut Self::Receiver) -> Option<T> {
        receiver.recv().await
    }
}

pub(crate) struct TokioUnbounded;

impl<T: Send + 'static> Contender<T> for TokioUnbounded {
    type Sender = tokio::sync::mpsc::UnboundedSender<T>;
    type Receiver = tokio::sync::mpsc::UnboundedReceiver<T>;

    fn open(_: Capacity) -> (Self::Sender, Self::Receiver) {
        tokio::sync::mpsc::unbounded_channel()
    }

    fn senders(first: Self::Sender, count: usize) -> Vec<Self::Sender> {
        vec![first; count]
    }

    fn receivers(first: Self::Receiver, count: usize) -> Vec<Self::Receiver> {
        single(first, count)
    }

    async fn send(sender: &Self::Sender, value: T) {
        assert!(sender.send(value).is_ok());
    }

    async fn recv(receiver: &mut Self::Receiver) -> Option<T> {
        receiver.recv().await
    }
}

/// Crossfire has a type for each pattern. The futures of its single ends may change threads,
/// references to the ends may not: so the futures are made before the async blocks.
macro_rules! crossfire {
    ($(
        $name:ident, $unbounded:ident: $flavor:ident
        $sender:ident $unbounded_sender:ident $senders:ident $receiver:ident $receivers:ident
    )*) => { $(
        pub(crate) struct $name;

        impl<T: Send + Unpin + 'static> Contender<T> for $name {
            type Sender = crossfire::$sender<crossfire::$flavor::Array<T>>;
            type Receiver = crossfire::$receiver<crossfire::$flavor::Array<T>>;

            fn open(capacity: Capacity) -> (Self::Sender, Self::Receiver) {
                crossfire::$flavor::bounded_async(bounded(capacity))
            }

            fn senders(first: Self::Sender, count: usize) -> Vec<Self::Sender> {
                $senders(first, count)
            }

            fn receivers(first: Self::Receiver, count: usize) -> Vec<Self::Receiver> {
                $receivers(first, count)
            }

            fn send(sender: &Self::Sender, value: T) -> impl Future<Output = ()> + Send {
                let sending = sender.send(value);
                async move { assert!(sending.await.is_ok()) }
            }

            fn recv(receiver: &mut Self::Receiver) -> impl Future<Output = Option<T>> + Send {
                let receiving = receiver.recv();
                async move { receiving.await.ok() }
            }
        }

        pub(crate) struct $unbounded;

        impl<T: Send + Unpin + 'static> Contender<T> for $unbounded {
            type Sender = crossfire::$unbounded_sender<crossfire::$flavor::List<T>>;
            type Receiver = crossfire::$receiver<crossfire::$flavor::List<T>>;

            fn open(_: Capacity) -> (Self::Sender, Self::Receiver) {
                crossfire::$flavor::unbounded_async()
            }

            fn senders(first: Self::Sender, count: usize) -> Vec<Self::Sender> {
                $senders(first, count)
            }

            fn receivers(first: Self::Receiver, count: usize) -> Vec<Self::Receiver> {
                $receivers(first, count)
            }

            fn send(sender: &Self::Sender, value: T) -> impl Future<Output = ()> + Send {
                assert!(sender.send(value).is_ok());
                std::future::ready(())
            }

            fn recv(receiver: &mut Self::Receiver) -> impl Future<Output = Option<T>> + Send {
                let receiving = receiver.recv();
                async move { receiving.await.ok() }
            }
        }
    )* };
}

crossfire! {
    CrossfireSpsc, CrossfireSpscUnbounded: spsc AsyncTx Tx single AsyncRx single
    CrossfireMpsc, CrossfireMpscUnbounded: mpsc MAsyncTx MTx several AsyncRx single
    CrossfireMpmc, CrossfireMpmcUnbounded: mpmc MAsyncTx MTx several MAsyncRx several
}

fn bounded(capacity: Capacity) -> usize {
    match capacity {
        Capacity::Of(messages) => messages,
        Capacity::Unbounded => unreachable!("unbounded channels are another contender"),
    }
}

fn several<E: Clone>(end: E, count: usize) -> Vec<E> {
    vec![end; count]
}

fn single<E>(end: E, count: usize) -> Vec<E> {
    assert_eq!(count, 1, "this channel has one such end");
    vec![end]
}
