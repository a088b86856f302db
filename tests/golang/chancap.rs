//! `test/chancap.go` and `test/makechan.go`: how many values a channel holds, and how many it may
//! (C01, C02, C08). A rendezvous holds none, whoever waits. A capacity is a `usize`, so that it
//! cannot be negative or a fraction; one that is too large panics, as in Go.

use std::panic::catch_unwind;
use std::pin::pin;

use crate::go::{blocks, program};
use runtime::channel;

#[test]
fn a_buffer_counts_what_it_holds() {
    program(async {
        let (sender, receiver) = channel(10);
        assert_eq!((sender.len().await, sender.capacity()), (0, 10));
        assert_eq!((receiver.len().await, receiver.capacity()), (0, 10));
        assert!(sender.is_empty().await && receiver.is_empty().await);
        for n in 0..3 {
            sender.send(n).await.unwrap();
        }
        assert_eq!((sender.len().await, sender.capacity()), (3, 10));
        assert_eq!((receiver.len().await, receiver.capacity()), (3, 10));
        assert!(!sender.is_empty().await && !receiver.is_empty().await);
        receiver.recv().await.unwrap();
        sender.close().await.unwrap();
        assert_eq!(receiver.len().await, 2, "a close takes nothing away");
        for left in [1, 0, 0] {
            let _ = receiver.recv().await;
            assert_eq!((sender.len().await, receiver.len().await), (left, left));
        }
    });
}

#[test]
fn a_rendezvous_holds_nothing() {
    program(async {
        let (sender, receiver) = channel(0);
        assert_eq!((sender.len().await, sender.capacity()), (0, 0));
        let mut waiting = pin!(sender.send(7));
        assert!(blocks(waiting.as_mut()).await);
        assert_eq!((sender.len().await, receiver.len().await), (0, 0), "who waits is not counted");
    });
}

/// Senders that wait at a full buffer are not in it.
#[test]
fn a_full_buffer_counts_its_capacity() {
    program(async {
        let (sender, receiver) = channel(2);
        sender.send(1).await.unwrap();
        sender.send(2).await.unwrap();
        let mut waiting = pin!(sender.send(3));
        assert!(blocks(waiting.as_mut()).await);
        assert_eq!(receiver.len().await, 2);
        assert_eq!(receiver.recv().await, Ok(1));
        waiting.await.unwrap();
        assert_eq!(receiver.len().await, 2);
    });
}

#[test]
fn a_capacity_that_is_too_large_panics() {
    for capacity in [(1 << 24) + 1, 1 << 59, usize::MAX] {
        let panic = catch_unwind(|| channel::<u64>(capacity)).unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        assert!(text.contains(&format!("channel capacity {capacity}")), "{text}");
    }
    let (sender, _receiver) = channel::<u64>(1 << 24);
    assert_eq!(sender.capacity(), 1 << 24, "memory is for what comes, not for what may");
}
