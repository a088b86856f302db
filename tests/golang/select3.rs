//! `test/chan/select3.go`: when an operation or a `select` blocks, and when it does not, for
//! channels that are none (C17, C18, C21, C22), open (C10, C11), closed (C24, C26) and offered to
//! oneself (C39).
//!
//! A channel that is none is an `Option` here, and only a `select` takes one: a `select` of one
//! case is the operation (C40). What panics in Go is an error that gives the value back.

use std::future::Future;
use std::pin::pin;

use crate::go::{blocks, program};
use futures::{FutureExt, join};
use runtime::{Receiver, RecvError, SendError, Sender, TrySendError, channel, select};

fn no_sender() -> Option<Sender<u32>> {
    None
}

fn no_receiver() -> Option<Receiver<u32>> {
    None
}

async fn closed() -> (Sender<u32>, Receiver<u32>) {
    let (sender, receiver) = channel(0);
    sender.close().await.unwrap();
    (sender, receiver)
}

async fn assert_blocks(what: &str, operation: impl Future) {
    assert!(blocks(pin!(operation)).await, "{what} must block");
}

#[test]
fn a_channel_that_is_none_blocks() {
    program(async {
        let (no_sender, no_receiver) = (no_sender(), no_receiver());
        let send = async {
            select! { no_sender.send(7) => panic!("sent to nobody") }
        };
        assert_blocks("a send on none", send).await;
        let receive = async {
            select! { no_receiver.recv() => panic!("received from nobody") }
        };
        assert_blocks("a receive from none", receive).await;
        let both = async {
            select! {
                no_receiver.recv() => panic!("received from nobody"),
                no_sender.send(7) => panic!("sent to nobody"),
            }
        };
        assert_blocks("a select of nothing but none", both).await;
        assert_blocks("an empty select", async {
            select! {}
        })
        .await;
    });
}

#[test]
fn a_channel_that_is_none_is_never_chosen() {
    program(async {
        let (no_sender, no_receiver) = (no_sender(), no_receiver());
        select! {
            no_sender.send(7) => panic!("sent to nobody"),
            default => {}
        }
        select! {
            no_receiver.recv() => panic!("received from nobody"),
            default => {}
        }
        select! {
            default => {}
        }
        let (sender, receiver) = channel(1);
        for n in 0..100 {
            select! {
                no_receiver.recv() => panic!("received from nobody"),
                sent = sender.send(n) => sent.unwrap(),
                no_sender.send(7) => panic!("sent to nobody"),
            }
            select! {
                no_sender.send(7) => panic!("sent to nobody"),
                no_receiver.recv() => panic!("received from nobody"),
                received = receiver.recv() => assert_eq!(received, Ok(n)),
            }
        }
    });
}

#[test]
fn an_open_channel_blocks_while_it_is_not_ready() {
    program(async {
        let (sender, receiver) = channel::<u32>(0);
        assert_blocks("a receive of what nobody sent", receiver.recv()).await;
        assert_blocks("a send that nobody takes", sender.send(7)).await;
        let receive = async {
            select! { receiver.recv() => panic!("received") }
        };
        assert_blocks("a select of such a receive", receive).await;
        let send = async {
            select! { sender.send(7) => panic!("sent") }
        };
        assert_blocks("a select of such a send", send).await;

        let (sender, receiver) = channel(1);
        assert_blocks("a receive from an empty buffer", receiver.recv()).await;
        sender.send(7).await.unwrap();
        assert_blocks("a send into a full buffer", sender.send(8)).await;
        assert_eq!(receiver.recv().await, Ok(7));
        assert_eq!(receiver.recv().now_or_never(), None, "what was given up was not sent");
    });
}

#[test]
fn a_buffer_with_room_takes_at_once() {
    program(async {
        let (sender, receiver) = channel(2);
        sender.send(7).await.unwrap();
        select! {
            sent = sender.send(8) => sent.unwrap(),
            default => panic!("there is room"),
        }
        select! {
            received = receiver.recv() => assert_eq!(received, Ok(7)),
            default => panic!("there is a value"),
        }
        assert_eq!(receiver.recv().await, Ok(8));
    });
}

#[test]
fn a_closed_channel_receives_its_end_for_ever() {
    program(async {
        let (_sender, receiver) = closed().await;
        for _ in 0..10 {
            assert_eq!(receiver.recv().await, Err(RecvError::Closed));
            select! {
                receiver.recv() => {}
            }
            select! {
                end = receiver.recv() => assert_eq!(end, Err(RecvError::Closed)),
            }
            select! {
                end = receiver.recv() => assert_eq!(end, Err(RecvError::Closed)),
                default => panic!("a closed channel is ready"),
            }
        }
    });
}

/// Go panics.
#[test]
fn a_closed_channel_gives_back_what_is_sent() {
    program(async {
        let (sender, receiver) = closed().await;
        assert_eq!(sender.send(7).await, Err(SendError::Closed(7)));
        assert!(matches!(sender.try_send(8).await, Err(TrySendError::Closed(8))));
        select! {
            sent = sender.send(9) => assert_eq!(sent, Err(SendError::Closed(9))),
        }
        select! {
            sent = sender.send(10) => assert_eq!(sent, Err(SendError::Closed(10))),
            default => panic!("a closed channel is ready"),
        }
        let (_silent_in, silent) = channel::<u32>(0);
        select! {
            silent.recv() => panic!("nobody sends here"),
            sent = sender.send(11) => assert_eq!(sent, Err(SendError::Closed(11))),
        }
        assert_eq!(receiver.recv().await, Err(RecvError::Closed), "none of them was sent");
    });
}

#[test]
fn a_select_does_not_meet_itself() {
    program(async {
        let (sender, receiver) = channel(0);
        let meeting = async {
            select! {
                sender.send(1) => panic!("sent to itself"),
                received = receiver.recv() => panic!("received {received:?} from itself"),
            }
        };
        assert_blocks("a rendezvous with oneself", meeting).await;

        let (again, and_again) = (sender.clone(), receiver.clone());
        let meeting = async {
            select! {
                received = receiver.recv() => panic!("received {received:?} from itself"),
                and_again.recv() => panic!("received from itself"),
                sender.send(1) => panic!("sent to itself"),
                again.send(2) => panic!("sent to itself"),
            }
        };
        assert_blocks("a rendezvous of clones with oneself", meeting).await;
    });
}

/// Two that both would send or receive on one channel do meet, each with the other.
#[test]
fn a_select_meets_another_like_it() {
    program(async {
        let (sender, receiver) = channel(0);
        let exchange = async |own: u32| {
            select! {
                sent = sender.send(own) => {
                    sent.unwrap();
                    None
                }
                received = receiver.recv() => Some(received.unwrap()),
            }
        };
        let mut first = pin!(exchange(1));
        assert!(blocks(first.as_mut()).await);
        let (second, first) = join!(exchange(2), first);
        let taken = (first, second);
        assert!(taken == (Some(2), None) || taken == (None, Some(1)), "{taken:?}");
    });
}
