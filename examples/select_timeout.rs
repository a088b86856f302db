//! A task that answers when it likes, and a client that does not wait for ever: `select!` over an
//! answer, a ticker and a timeout.
//!
//! ```text
//! cargo run --example select_timeout
//! ```

use std::time::Duration;

use runtime::{Sender, after, channel, select, spawn, task, ticker};

/// Thinks for a while, then answers.
#[task]
async fn think(milliseconds: u64, answer: Sender<u64>) {
    after(Duration::from_millis(milliseconds)).recv().await.ok();
    answer.send(milliseconds).await.ok();
}

#[runtime::main]
async fn main() -> anyhow::Result<()> {
    let (answer_in, answer) = channel(1);
    let quick = spawn(think(30, answer_in.clone()));
    let slow = spawn(think(60_000, answer_in));

    let ticks = ticker(Duration::from_millis(10));
    let timeout = after(Duration::from_secs(5));
    let mut patience = 0;
    let mut answers = Vec::new();
    while answers.is_empty() || patience < 3 {
        select! {
            value = answer.recv() => answers.push(value?),
            ticks.recv() => patience += 1,
            timeout.recv() => anyhow::bail!("no answer within five seconds"),
        }
    }
    println!("answers after three ticks: {answers:?}");
    quick.await?;
    slow.abort();
    Ok(())
}
