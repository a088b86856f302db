//! `test/chan/select2.go`: a `select` leaves nothing behind in the channels that it did not use
//! (C43). One channel of two carries a great many values while nobody uses the other, and the
//! memory in use must not grow. Go allows 110,000 bytes; on one thread the count is exact, and
//! nothing is allowed but what the executor may keep.

use crate::allocation::{is_exact, live};
use crate::go::{go, program_on_one_thread, rounds};
use runtime::{Receiver, Sender, channel, select, task};
use tokio::task::yield_now;

/// Go runs 100,000.
const SELECTS_QUICK: usize = 20_000;
const SELECTS: usize = 100_000;
const GROWTH_BYTES_MAX: isize = 2_000;

#[task]
async fn send_ones(count: usize, to: Sender<u32>) {
    for _ in 0..count {
        to.send(1).await.unwrap();
    }
}

#[task]
async fn take_ones(count: usize, from: Receiver<u32>) {
    for _ in 0..count {
        assert_eq!(from.recv().await, Ok(1));
    }
}

async fn receive_by_select(count: usize, from: &Receiver<u32>, other: &Receiver<u32>) {
    for _ in 0..count {
        select! {
            n = from.recv() => assert_eq!(n, Ok(1)),
            _ = other.recv() => panic!("nobody sends on the other"),
        }
    }
    yield_now().await; // the goroutine ends
}

async fn send_by_select(count: usize, to: &Sender<u32>, other: &Sender<u32>) {
    for _ in 0..count {
        select! {
            sent = to.send(1) => sent.unwrap(),
            _ = other.send(2) => panic!("nobody receives from the other"),
        }
    }
    yield_now().await;
}

#[test]
fn selects_of_receives_leave_nothing_behind() {
    program_on_one_thread(async {
        let count = rounds(SELECTS_QUICK, SELECTS);
        let (to, from) = channel(0);
        let (_other_in, other) = channel(0);
        go(send_ones(count, to.clone()));
        receive_by_select(count, &from, &other).await;
        let before = live();
        go(send_ones(count, to));
        receive_by_select(count, &from, &other).await;
        let growth = live().bytes - before.bytes;
        assert!(growth <= GROWTH_BYTES_MAX || !is_exact(), "{count} selects left {growth} bytes");
    });
}

#[test]
fn selects_of_sends_leave_nothing_behind() {
    program_on_one_thread(async {
        let count = rounds(SELECTS_QUICK, SELECTS);
        let (to, from) = channel(0);
        let (other, _other_out) = channel(0);
        go(take_ones(count, from.clone()));
        send_by_select(count, &to, &other).await;
        let before = live();
        go(take_ones(count, from));
        send_by_select(count, &to, &other).await;
        let growth = live().bytes - before.bytes;
        assert!(growth <= GROWTH_BYTES_MAX || !is_exact(), "{count} selects left {growth} bytes");
    });
}
