//! What a task costs: empty ones by the thousand through a coordinator to worker processes, and one
//! after the other, beside `tokio::spawn` in the same process.

use std::time::Duration;

use anyhow::Context;
use futures::stream::{self, StreamExt};
use runtime::{Runtime, spawn, task};
use tokio::time::Instant;

/// Tasks that are under way in the pipelined laps.
const WINDOW: usize = 8192;

#[task]
async fn empty() {}

/// Spawns and joins on a worker: nanoseconds for each, of ours and of tokio's.
#[task]
async fn one_by_one(count: u32) -> Result<(u64, u64), String> {
    let ours = Instant::now();
    for _ in 0..count {
        spawn(empty()).await.map_err(|error| error.to_string())?;
    }
    let ours = ours.elapsed() / count;
    let theirs = Instant::now();
    for _ in 0..count {
        tokio::spawn(async {}).await.ok();
    }
    let theirs = theirs.elapsed() / count;
    Ok((ours.as_nanos() as u64, theirs.as_nanos() as u64))
}

/// Measures, and prints medians.
pub(crate) fn report(tasks: usize, rounds: usize) -> anyhow::Result<()> {
    let runtime = Runtime::builder().from_environment().build()?;
    runtime.block_on(async {
        pipelined(WINDOW).await?;
        let mut laps = Vec::new();
        for _ in 0..rounds {
            laps.push(tasks as f64 / pipelined(tasks).await?.as_secs_f64());
        }
        println!("empty tasks pipelined: {:.0} a second", median(laps));
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let (our, their) = spawn(one_by_one(2000)).await?.map_err(anyhow::Error::msg)?;
            ours.push(our as f64);
            theirs.push(their as f64);
        }
        let (ours, theirs) = (median(ours), median(theirs));
        println!("spawn and join on a worker: {ours:.0} ns, of tokio {theirs:.0} ns");
        Ok(())
    })
}

async fn pipelined(tasks: usize) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let mut ended = stream::iter(0..tasks).map(|_| spawn(empty())).buffer_unordered(WINDOW);
    while let Some(ended) = ended.next().await {
        ended.context("an empty task")?;
    }
    Ok(began.elapsed())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
