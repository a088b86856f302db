//! Many channels between a client and a worker, a connection each, and what one of them does to the
//! others when nobody takes what is sent on it: round trips of a number on a channel of the many,
//! each time another, in turns with and without the stalled one.

use std::future::poll_fn;
use std::task::Poll;

use futures::StreamExt;
use futures::stream::select_all;
use runtime::{Place, Receiver, Runtime, Sender, channel, spawn, task};
use serde_bytes::ByteBuf;

use crate::contender::Process;
use crate::meter;
use crate::ours::KEY;

/// A message carries at most 1024 handles.
const HANDLES: usize = 1000;
/// Round trips of a turn.
const TRIPS: usize = 10_000;
const CAPACITY: usize = 4;

/// Sends back whatever comes on any of the channels, once all have come.
#[task]
async fn echo_all(parts: Receiver<Vec<Receiver<u64>>>, back: Sender<u64>) {
    let mut all = Vec::new();
    while let Ok(part) = parts.recv().await {
        all.extend(part);
    }
    let mut values = select_all(all);
    back.send(0).await.ok();
    while let Some(value) = values.next().await {
        if back.send(value).await.is_err() {
            break;
        }
    }
}

/// Holds a channel and takes nothing of it.
#[task]
async fn hold(stalled: Receiver<ByteBuf>, ready: Sender<()>, leave: Receiver<()>) {
    ready.send(()).await.ok();
    leave.recv().await.ok();
    drop(stalled);
}

/// Measures, and prints the 99th percentiles.
pub(crate) fn report(channels: usize, rounds: usize) -> anyhow::Result<()> {
    let mut coordinator = Process::role(&["coordinator"])?;
    let address = coordinator.line()?;
    let builder = Runtime::builder().workers(1).place(Place::Together);
    let runtime = builder.coordinator(&address, KEY).build()?;
    let mut turns = [Vec::new(), Vec::new()];
    runtime.block_on(async {
        let (parts, parts_out) = channel(1);
        let (back_in, back) = channel(1);
        let echoing = spawn(echo_all(parts_out, back_in));
        let mut senders = Vec::new();
        while senders.len() < channels {
            let count = HANDLES.min(channels - senders.len());
            let (ins, outs): (Vec<_>, Vec<_>) = (0..count).map(|_| channel(CAPACITY)).unzip();
            parts.send(outs).await?;
            senders.extend(ins);
        }
        drop(parts);
        back.recv().await?;
        for _ in 0..rounds {
            for (is_stalled, turn) in turns.iter_mut().enumerate() {
                turn.push(percentile(is_stalled == 1, &senders, &back).await?);
            }
        }
        drop(senders);
        echoing.await?;
        anyhow::Ok(())
    })?;
    let [without, with] = turns.map(median);
    let ratio = with / without;
    println!("{channels} channels, round trips, 99th percentile in us, median of {rounds}:");
    println!("none stalled {without:.0}, one stalled {with:.0}: {ratio:.2} times");
    Ok(())
}

/// The 99th percentile of a turn, in microseconds.
async fn percentile(
    is_stalled: bool,
    senders: &[Sender<u64>],
    back: &Receiver<u64>,
) -> anyhow::Result<f64> {
    let (full, held) = channel::<ByteBuf>(CAPACITY);
    let (ready_in, ready) = channel(0);
    let (leave, leaving) = channel(0);
    let holding = spawn(hold(held, ready_in, leaving));
    ready.recv().await?;
    let mut blocked =
        std::pin::pin!(async { while full.send(ByteBuf::from(vec![7; 100_000])).await.is_ok() {} });
    let mut times = Vec::with_capacity(TRIPS);
    for trip in 0..TRIPS {
        // As far as it goes.
        poll_fn(|context| {
            if is_stalled {
                let _stalls = blocked.as_mut().poll(context);
            }
            Poll::Ready(())
        })
        .await;
        let begun = meter::now()?;
        senders[trip * 7919 % senders.len()].send(trip as u64).await?;
        anyhow::ensure!(back.recv().await? == trip as u64, "the answer is another");
        times.push((meter::now()? - begun) as f64 / 1e3);
    }
    drop(leave);
    holding.await?;
    times.sort_by(f64::total_cmp);
    Ok(times[TRIPS * 99 / 100])
}

fn median(mut turns: Vec<f64>) -> f64 {
    turns.sort_by(f64::total_cmp);
    turns[turns.len() / 2]
}
