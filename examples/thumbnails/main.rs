//! Thumbnails of real photographs, made by tasks on several workers that are joined by channels.
//!
//! ```text
//! cargo run --release --example thumbnails
//! cargo run --release --example thumbnails -- --input ~/Pictures --gallery sheet.png
//! ```
//!
//! - `pipeline`: the three kinds of task, and the client's part. Start here.
//! - `platform`: where the workers run. `flags`: the rest of the command line. `report`: the table
//!   at the end. `progress`: the bar meanwhile.
//!   `failures`: by their reasons. `plain`: names as a terminal may see them.
//! - `picture`: bytes to thumbnail. `photograph`: photographs of our own. `gallery`: the contact
//!   sheet. `store`: a folder, or S3. `scratch`: a folder for the output, if none is named.

mod failures;
mod flags;
mod gallery;
mod photograph;
mod picture;
mod pipeline;
mod plain;
mod platform;
mod progress;
mod report;
mod scratch;
mod store;

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use bytes::Bytes;
use clap::Parser;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use runtime::{Runtime, channel, spawn, task};
use tokio::time::Instant;
use tracing_subscriber::EnvFilter;

use flags::Flags;
use photograph::{Shot, photograph};
use picture::Bounds;
use pipeline::{Job, Row};
use plain::{plain, plain_json};
use report::Report;
use store::Location;

/// Some photo has no thumbnail, or the gallery could not be made.
const EXIT_INCOMPLETE: u8 = 1;
/// The job could not run at all.
const EXIT_UNAVAILABLE: u8 = 70;
/// The largest thumbnail that the gallery reads, in bytes.
const THUMBNAIL_BYTES_MAX: u64 = 16 << 20;

pub(crate) fn main() -> ExitCode {
    let logs = tracing_subscriber::fmt().with_writer(io::stderr);
    logs.with_env_filter(EnvFilter::from_default_env()).init();
    runtime::serve_if_worker();
    let flags = Flags::parse();
    ExitCode::from(run(&flags).unwrap_or_else(|error| {
        tell(&format!("{error:#}"));
        EXIT_UNAVAILABLE
    }))
}

/// Says something beside the report. It may have names in it.
fn tell(text: &str) {
    eprintln!("thumbnails: {}", plain(text));
}

/// Does what the flags say. The exit status says how far it came; an error means nowhere.
fn run(flags: &Flags) -> anyhow::Result<u8> {
    let mut builder = Runtime::builder();
    if let Some(workers) = flags.workers {
        builder = builder.workers(workers);
    }
    if let Some(place) = flags.place {
        builder = builder.place(place.into());
    }
    if let Some(policy) = flags.policy {
        builder = builder.policy(policy);
    }
    let (builder, stage) = flags.platform.choose(builder.from_environment())?;
    let threads = builder.worker_threads();
    let runtime = builder.build()?;
    let done = runtime.block_on(async {
        let scratch = flags.scratch()?;
        let job = flags.job(scratch.as_ref())?;
        if let Some(scratch) = &scratch {
            // Now, for who ends the program before it can say what it leaves.
            tell(&format!("all that is made is in {}", scratch.path().display()));
        }
        if flags.makes_photographs() {
            let made = take_photographs(&job.source, job.count, flags.photo_size).await;
            made.context("the photographs to work on cannot be made")?;
        }
        let (report, rows) = thumbnails(&job, threads).await?;
        let mut complete = report.is_complete();
        // Before the gallery: it may fail, and the work is done.
        if let Err(error) = print(&report, flags) {
            tell(&format!("the report cannot be written: {error}"));
            complete = false;
        }
        tell(&format!("the thumbnails are in {}", job.target));
        if let Some(file) = &flags.gallery
            && let Err(error) = hang(file, &job, &rows).await
        {
            tell(&format!("there is no gallery {}: {error:#}", file.display()));
            complete = false;
        }
        if let Some(scratch) = scratch
            && let Err(error) = scratch.leave()
        {
            tell(&format!("the photographs beside the thumbnails cannot be removed: {error}"));
        }
        Ok(if complete { 0 } else { EXIT_INCOMPLETE })
    });
    drop(runtime);
    if let Some(stage) = stage {
        tell(&stage.close());
    }
    done
}

/// Prints the report. Whoever reads it may have gone, as `head` does.
fn print(report: &Report, flags: &Flags) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if flags.json {
        let json = serde_json::to_string_pretty(report)?;
        writeln!(out, "{}", plain_json(&json))?;
    } else {
        write!(out, "{report}")?;
    }
    out.flush()
}

/// The job itself, with a bar while it runs. The rows come beside the report, for the gallery.
async fn thumbnails(job: &Job, threads: usize) -> anyhow::Result<(Report, Vec<Row>)> {
    let before = runtime::stats().await.context("the coordinator is lost")?;
    let started = Instant::now();
    let (progress_in, progress) = channel(16);
    let showing = progress::show(job.count, progress, io::stderr().is_terminal());
    let (rows, ()) = futures::join!(pipeline::run(job, progress_in), showing);
    let rows = rows.map_err(anyhow::Error::msg).context("no photo could be looked at")?;
    let elapsed = started.elapsed();
    let after = runtime::stats().await.context("the coordinator is lost")?;
    let bill = runtime::report().await.context("the coordinator is lost")?;
    Ok((Report::new(job, &rows, elapsed, threads, &before, (&after, bill)), rows))
}

/// Makes photographs of our own in the store, unless they are there already.
async fn take_photographs(
    source: &Location,
    count: usize,
    size: Option<Bounds>,
) -> anyhow::Result<()> {
    if let Location::Folder(folder) = source {
        std::fs::create_dir_all(folder)?;
    }
    let there = source.open().await?.list(count).await?;
    let tasks: FuturesUnordered<_> = (0..count as u64)
        .map(|seed| (seed, photograph_key(seed, size)))
        .filter(|(_, key)| !there.iter().any(|object| object.key == *key))
        .map(|(seed, key)| spawn(take_photograph(seed, size, key, source.clone())))
        .collect();
    let ended: Vec<_> = tasks.collect().await;
    ended.into_iter().try_for_each(|ended| ended?.map_err(anyhow::Error::msg))
}

/// Makes one photograph.
#[task(blocking, retry = 2)]
async fn take_photograph(
    seed: u64,
    size: Option<Bounds>,
    key: String,
    target: Location,
) -> Result<(), String> {
    let sized = |size: Bounds| Shot::sized(seed, size.width(), size.height());
    let jpeg = photograph(size.map_or_else(|| Shot::of(seed), sized));
    let store = target.open().await.map_err(|error| error.to_string())?;
    let put = store.put(&key, Bytes::from(jpeg), "image/jpeg").await;
    put.map_err(|error| error.to_string())
}

fn photograph_key(seed: u64, size: Option<Bounds>) -> String {
    match size {
        None => format!("photograph-{seed:04}.jpg"),
        Some(size) => format!("photograph-{}x{}-{seed:04}.jpg", size.width(), size.height()),
    }
}

/// Writes the gallery: thumbnails on one sheet, as PNG; those that failed are marked.
async fn hang(file: &Path, job: &Job, rows: &[Row]) -> anyhow::Result<()> {
    let store = job.target.open().await?;
    let shown = gallery::shown_of(rows.len());
    let mut cells = vec![None; rows.len()];
    for (cell, row) in cells[..shown].iter_mut().zip(rows) {
        if let Ok(made) = &row.made {
            *cell = Some(store.get(&made.key, THUMBNAIL_BYTES_MAX).await?.to_vec());
        }
    }
    std::fs::write(file, gallery::contact_sheet(&cells, job.bounds)?)?;
    if shown < rows.len() {
        tell(&format!("the gallery shows the first {shown} of {}", rows.len()));
    }
    Ok(())
}
