//! The smallest program: one task in another process, one channel to it and one back.

use runtime::{Receiver, Sender, channel, spawn, task};

/// Squares what comes, until nothing comes any more.
#[task]
async fn square(numbers: Receiver<u64>, squares: Sender<u64>) {
    while let Ok(n) = numbers.recv().await {
        if squares.send(n * n).await.is_err() {
            break;
        }
    }
}

#[runtime::main]
async fn main() -> anyhow::Result<()> {
    let (numbers_in, numbers) = channel(0);
    let (squares_in, squares) = channel(16);
    let worker = spawn(square(numbers, squares_in)); // Go: go square(numbers, squares)
    for n in 1..=5 {
        numbers_in.send(n).await?;
        println!("{n} squared is {}", squares.recv().await?);
    }
    drop(numbers_in); // the last sender: the channel closes, and the task returns
    worker.await?;
    Ok(())
}
