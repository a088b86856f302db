//! `test/chan/nonblock.go`: operations that do not wait (C36, C40). On an empty channel a receive
//! finds nothing; a send that is tried again and again succeeds once a receiver is there, and a
//! receive once a sender is there, with and without a buffer and with values of several types.
//!
//! Go bounds the number of tries and waits a little between them. Here a try yields to the others
//! instead, and the program's deadline is the bound.

use std::fmt::Debug;

use crate::go::{go, program};
use runtime::{Call, Message, Receiver, Sender, TryRecvError, TrySendError, channel, select, task};
use tokio::task::yield_now;

/// The two ways to say it.
#[derive(Clone, Copy, Debug)]
enum Way {
    Method,
    Select,
}

/// Sends if that is possible at once, and else gives the value back.
async fn try_send<T: Message + Clone + Debug>(way: Way, to: &Sender<T>, value: T) -> Option<T> {
    match way {
        Way::Method => match to.try_send(value).await {
            Ok(()) => None,
            Err(TrySendError::Full(value)) => Some(value),
            Err(error) => panic!("{error:?}"),
        },
        Way::Select => select! {
            sent = to.send(value.clone()) => {
                sent.unwrap();
                None
            }
            default => Some(value),
        },
    }
}

/// Receives if that is possible at once.
async fn try_recv<T: Message>(way: Way, from: &Receiver<T>) -> Option<T> {
    match way {
        Way::Method => match from.try_recv().await {
            Ok(value) => Some(value),
            Err(TryRecvError::Empty) => None,
            Err(error) => panic!("{error}"),
        },
        Way::Select => select! {
            received = from.recv() => Some(received.unwrap()),
            default => None,
        },
    }
}

/// One type of Go's program: its receiver expects `there`, and its sender sends `back`.
async fn exchange<T: Message + Clone + PartialEq + Debug>(
    there: T,
    back: T,
    receiver_of: fn(Receiver<T>, Sender<()>) -> Call<()>,
    sender_of: fn(Sender<T>, Sender<()>) -> Call<()>,
) {
    for (way, capacity) in [(Way::Method, 0), (Way::Method, 1), (Way::Select, 0), (Way::Select, 1)]
    {
        let (sender, receiver) = channel(capacity);
        let (strobe, struck) = channel(0);
        assert_eq!(try_recv(way, &receiver).await, None, "nobody has sent: {way:?}, {capacity}");

        go(receiver_of(receiver.clone(), strobe.clone()));
        let mut value = there.clone();
        while let Some(refused) = try_send(way, &sender, value).await {
            value = refused;
            yield_now().await;
        }
        struck.recv().await.unwrap();

        go(sender_of(sender.clone(), strobe));
        if capacity > 0 {
            struck.recv().await.unwrap(); // the buffer takes the value; nobody need be there
        }
        let received = loop {
            if let Some(value) = try_recv(way, &receiver).await {
                break value;
            }
            yield_now().await;
        };
        assert_eq!(received, back);
        if capacity == 0 {
            struck.recv().await.unwrap();
        }
        assert_eq!(try_recv(way, &receiver).await, None, "each value came once");
    }
}

/// The goroutines of one type. A task has one type of argument, so each type has its own.
macro_rules! of_type {
    ($name:ident, $type:ty, $there:expr, $back:expr) => {
        mod $name {
            use super::*;

            #[task]
            async fn receiver(values: Receiver<$type>, strobe: Sender<()>) {
                assert_eq!(values.recv().await, Ok($there));
                strobe.send(()).await.unwrap();
            }

            #[task]
            async fn sender(values: Sender<$type>, strobe: Sender<()>) {
                values.send($back).await.unwrap();
                strobe.send(()).await.unwrap();
            }

            #[test]
            fn tries_succeed_when_a_peer_is_there() {
                program(exchange($there, $back, receiver, sender));
            }
        }
    };
}

of_type!(of_i32, i32, 123, 234);
of_type!(of_i64, i64, 123_456, 234_567);
of_type!(of_bool, bool, true, true);
of_type!(of_string, String, "hello".to_owned(), "hello again".to_owned());
