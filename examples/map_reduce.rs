//! Counts words: one task a chunk of text, and one that adds up what they found.

use std::collections::BTreeMap;

use runtime::{Receiver, Sender, channel, spawn, task};

type Counts = BTreeMap<String, usize>;

/// Counts the words of one chunk. A plain `fn` computes on a thread of its own.
#[task(retry = 2)]
fn count(chunk: String, counted: Sender<Counts>) {
    let mut counts = Counts::new();
    for word in chunk.split_whitespace() {
        let word = word.trim_matches(|letter: char| !letter.is_alphanumeric()).to_lowercase();
        *counts.entry(word).or_default() += 1;
    }
    counted.send_blocking(counts).ok();
}

/// Adds up until the last counter has dropped its sender.
#[task]
async fn add_up(counts: Receiver<Counts>) -> Counts {
    let mut total = Counts::new();
    while let Ok(counts) = counts.recv().await {
        for (word, count) in counts {
            *total.entry(word).or_default() += count;
        }
    }
    total
}

#[runtime::main]
async fn main() -> anyhow::Result<()> {
    let text = "Do not communicate by sharing memory; instead, share memory by communicating. \
                Memory that is shared is memory that is fought over.";
    let (counted, counts) = channel(4);
    let total = spawn(add_up(counts));
    let words: Vec<&str> = text.split_whitespace().collect();
    for chunk in words.chunks(5) {
        drop(spawn(count(chunk.join(" "), counted.clone())));
    }
    drop(counted);
    let mut total: Vec<_> = total.await?.into_iter().collect();
    total.sort_by_key(|(word, count)| (std::cmp::Reverse(*count), word.clone()));
    for (word, count) in total.into_iter().take(5) {
        println!("{count:>3} {word}");
    }
    Ok(())
}
