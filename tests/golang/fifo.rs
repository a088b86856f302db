//! `test/chan/fifo.go`: a channel is a queue. A buffer gives values back in the order in which they
//! came (C12); a rendezvous hands each value to the receiver whose turn it is (C09); and those who
//! wait are served in the order in which they came (C13), which the program relies on and does not
//! test, so there are tests of it here.

use std::pin::pin;

use crate::go::{blocks, go, program};
use runtime::{Receiver, Sender, channel, task};

const VALUES: u32 = 10;

#[test]
fn a_buffer_keeps_the_order() {
    program(async {
        let (sender, receiver) = channel(VALUES as usize);
        for n in 0..VALUES {
            sender.send(n).await.unwrap();
        }
        for n in 0..VALUES {
            assert_eq!(receiver.recv().await, Ok(n));
        }
    });
}

#[task]
async fn link(values: Receiver<u32>, expected: u32, turn: Receiver<()>, next: Sender<()>) {
    turn.recv().await.unwrap();
    assert_eq!(values.recv().await, Ok(expected));
    next.send(()).await.unwrap();
}

#[test]
fn a_rendezvous_keeps_the_order_along_a_chain() {
    program(async {
        let (sender, receiver) = channel(0);
        let (start, mut turn) = channel(0);
        for n in 0..VALUES {
            let (next, next_turn) = channel(0);
            go(link(receiver.clone(), n, turn, next));
            turn = next_turn;
        }
        start.send(()).await.unwrap();
        for n in 0..VALUES {
            sender.send(n).await.unwrap();
        }
        turn.recv().await.unwrap();
    });
}

#[task]
async fn wait_for_a_value(values: Receiver<u32>, waits: Sender<()>, taken: Sender<u32>) {
    let mut receive = pin!(values.recv());
    assert!(blocks(receive.as_mut()).await);
    waits.send(()).await.unwrap();
    taken.send(receive.await.unwrap()).await.unwrap();
}

#[test]
fn receivers_are_served_in_the_order_in_which_they_came() {
    program(async {
        let (sender, receiver) = channel(0);
        let (waits, waiting) = channel(0);
        let mut results = Vec::new();
        for _ in 0..VALUES {
            let (taken, result) = channel(1);
            go(wait_for_a_value(receiver.clone(), waits.clone(), taken));
            waiting.recv().await.unwrap();
            results.push(result);
        }
        for n in 0..VALUES {
            sender.send(n).await.unwrap();
        }
        for (n, result) in (0..VALUES).zip(results) {
            assert_eq!(result.recv().await, Ok(n));
        }
    });
}

#[task]
async fn wait_to_send(value: u32, values: Sender<u32>, waits: Sender<()>) {
    let mut send = pin!(values.send(value));
    assert!(blocks(send.as_mut()).await);
    waits.send(()).await.unwrap();
    send.await.unwrap();
}

#[test]
fn senders_are_served_in_the_order_in_which_they_came() {
    program(async {
        for capacity in [0, 3] {
            let (sender, receiver) = channel(capacity as usize);
            let (waits, waiting) = channel(0);
            for n in 0..capacity {
                sender.send(n).await.unwrap();
            }
            for n in capacity..capacity + VALUES {
                go(wait_to_send(n, sender.clone(), waits.clone()));
                waiting.recv().await.unwrap();
            }
            for n in 0..capacity + VALUES {
                assert_eq!(receiver.recv().await, Ok(n));
            }
        }
    });
}
