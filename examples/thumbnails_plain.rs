//! The thumbnails job as one would write it by hand: one process, one tokio runtime, a blocking
//! task an image, no Farspawn. It is the yardstick for what the runtime adds.
//!
//! ```text
//! cargo run --release --example thumbnails_plain -- INPUT_DIR OUTPUT_DIR THREADS
//! ```
//!
//! Prints images a second, as does the last line of `thumbnails --json` in `images_per_second`.

#[path = "thumbnails/picture/mod.rs"]
#[expect(dead_code, reason = "the yardstick needs a part of it")]
mod picture;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::Instant;

use picture::{Bounds, Limits};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output, threads] = &arguments[..] else {
        anyhow::bail!("expected: INPUT_DIR OUTPUT_DIR THREADS");
    };
    let output = PathBuf::from(output);
    fs::create_dir_all(&output)?;
    let room = Arc::new(Semaphore::new(threads.parse().context("THREADS is a number")?));
    let bounds: Bounds = "100x100".parse()?;

    let started = Instant::now();
    let mut images = JoinSet::new();
    for photo in fs::read_dir(input)? {
        let (photo, output) = (photo?.path(), output.clone());
        let seat = room.clone().acquire_owned().await?;
        images.spawn(spawn_blocking(move || {
            let made = make(&photo, &output, bounds);
            drop(seat);
            made
        }));
    }
    let mut made = 0;
    while let Some(image) = images.join_next().await {
        image???;
        made += 1;
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("{made} thumbnails in {seconds:.2} s, {:.1} a second", f64::from(made) / seconds);
    Ok(())
}

fn make(photo: &PathBuf, output: &std::path::Path, bounds: Bounds) -> anyhow::Result<()> {
    let made = picture::thumbnail(&fs::read(photo)?, bounds, &Limits::default())?;
    let name = photo.file_name().context("a file has a name")?;
    // As the store does: whole or not at all.
    let file = tempfile::NamedTempFile::new_in(output)?;
    fs::write(file.path(), made.jpeg)?;
    file.persist(output.join(name).with_extension("jpg"))?;
    Ok(())
}
