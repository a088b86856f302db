//! The patterns, written once for all contenders: one lap sends so many messages and ends when all
//! were received.

use futures::future::join_all;
use tokio::spawn;

use crate::cell::{Capacity, Cell, Pattern};
use crate::contender::Contender;
use crate::value::Value;

/// Runs the cell's pattern with so many messages, a multiple of the senders.
pub(crate) async fn run<C: Contender<T>, T: Value>(cell: Cell, messages: u64) {
    match cell.pattern {
        Pattern::Stream { senders, receivers } => {
            stream::<C, T>(cell.capacity, senders, receivers, messages).await;
        }
        _ => ping_pong::<C, T>(cell.capacity, messages).await,
    }
}

async fn stream<C: Contender<T>, T: Value>(
    capacity: Capacity,
    senders: usize,
    receivers: usize,
    messages: u64,
) {
    let (sender, receiver) = C::open(capacity);
    let each = messages / senders as u64;
    let receiving = C::receivers(receiver, receivers).into_iter().map(|mut receiver| {
        spawn(async move {
            let mut sum = 0u64;
            while let Some(value) = C::recv(&mut receiver).await {
                sum = sum.wrapping_add(value.number());
            }
            sum
        })
    });
    let receiving: Vec<_> = receiving.collect();
    for sender in C::senders(sender, senders) {
        spawn(async move {
            for number in 0..each {
                C::send(&sender, T::of(number)).await;
            }
        });
    }
    let sums = join_all(receiving).await;
    let sum = sums.into_iter().map(|sum| sum.expect("no receiver panics")).sum::<u64>();
    assert_eq!(sum, senders as u64 * (each * each.saturating_sub(1) / 2), "all arrive, once");
}

async fn ping_pong<C: Contender<T>, T: Value>(capacity: Capacity, round_trips: u64) {
    let (ping, mut pinged) = C::open(capacity);
    let (pong, mut ponged) = C::open(capacity);
    spawn(async move {
        while let Some(value) = C::recv(&mut pinged).await {
            C::send(&pong, value).await;
        }
    });
    let serving = spawn(async move {
        for number in 0..round_trips {
            C::send(&ping, T::of(number)).await;
            let back = C::recv(&mut ponged).await.expect("the other task ends later");
            assert_eq!(back.number(), number);
        }
    });
    serving.await.expect("no round trip fails");
}
