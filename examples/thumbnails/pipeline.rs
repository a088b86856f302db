//! The pipeline: three kinds of task, joined by channels.
//!
//! ```text
//! list --keys--> the client --spawns--> thumbnail (many) --rows--> collect
//! ```
//!
//! `list` and every `thumbnail` run on any worker; `collect` is awaited in the client, which is one
//! word of difference. A worker may die at any moment: its tasks run again elsewhere, and what
//! cannot be done after that becomes a row with its reason. So every photo ends as one row.

use std::collections::{BTreeMap, BTreeSet};
use std::future::IntoFuture;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use runtime::{JoinError, Receiver, Sender, channel, current_worker, spawn, task};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::picture::{self, Bounds, Limits};
use super::store::{Location, Object};

/// Keys that wait to be spawned, and rows that wait to be collected.
const BUFFER: usize = 64;
/// Thumbnail tasks spawned and not joined: enough for the scheduler to choose from.
const TASKS_MAX: usize = 512;
/// The largest photo that is read at all, in bytes.
const PHOTO_BYTES_MAX: u64 = 64 << 20;

/// What is to be done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    /// Where the photos are.
    pub(crate) source: Location,
    /// Where the thumbnails go.
    pub(crate) target: Location,
    /// The box that they fit in.
    pub(crate) bounds: Bounds,
    /// How many photos at most.
    pub(crate) count: usize,
}

/// What became of one photo.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The photo.
    pub(crate) key: String,
    /// The worker that it was done on, if it came that far.
    pub(crate) worker: Option<u64>,
    /// The thumbnail, or why there is none.
    pub(crate) made: Result<Made, String>,
}

/// A thumbnail that is in the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Made {
    /// Its name in the target.
    pub(crate) key: String,
    /// Its size in pixels.
    pub(crate) size: (u32, u32),
    /// The photo's size in pixels, upright, and its format.
    pub(crate) photo: (u32, u32, String),
    /// The photo's bytes, and the thumbnail's.
    pub(crate) bytes: (u64, u64),
    /// Time in each of [`STAGES`].
    pub(crate) stages: [Duration; 5],
}

/// What a thumbnail task does, in order.
pub(crate) const STAGES: [&str; 5] = ["download", "decode", "resize", "encode", "upload"];

/// Lists the source: one key at a time, as fast as they are wanted. What it could not look at, such
/// as a folder that may not be read, is a row at once.
#[task(retry = 2)]
pub(crate) async fn list(job: Job, keys: Sender<String>, rows: Sender<Row>) -> Result<(), String> {
    let store = job.source.open().await.map_err(|error| error.to_string())?;
    let objects = store.list(job.count).await.map_err(|error| error.to_string())?;
    for Object { key, bytes } in objects {
        let sent = match bytes {
            Ok(_) => keys.send(key).await.is_ok(),
            Err(error) => {
                let made = Err(error.to_string());
                rows.send(Row { key, worker: None, made }).await.is_ok()
            }
        };
        if !sent {
            break;
        }
    }
    Ok(())
}

/// Makes one thumbnail. It computes, so it has a thread of its own; doing it twice does no harm.
#[task(blocking, retry = 2)]
pub(crate) async fn thumbnail(key: String, job: Job, rows: Sender<Row>) -> Result<(), String> {
    let made = make(&key, &job).await;
    let row = Row { key, worker: current_worker(), made };
    rows.send(row).await.map_err(|unsent| format!("its row could not be sent: {unsent}"))
}

/// Gathers the rows, one for each key whatever happened; tells the progress as it goes.
#[task]
pub(crate) async fn collect(rows: Receiver<Row>, progress: Sender<Row>) -> Vec<Row> {
    let mut collected = BTreeMap::new();
    while let Ok(row) = rows.recv().await {
        // A task that was lost after it had sent its row runs again, and sends another.
        if !collected.contains_key(&row.key) {
            progress.send(row.clone()).await.ok();
            collected.insert(row.key.clone(), row);
        }
    }
    collected.into_values().collect()
}

/// Download, decode, resize, encode, upload.
async fn make(key: &str, job: &Job) -> Result<Made, String> {
    let started = Instant::now();
    let source = job.source.open().await.map_err(|error| error.to_string())?;
    let photo = source.get(key, PHOTO_BYTES_MAX).await.map_err(|error| error.to_string())?;
    let download = started.elapsed();

    let thumbnail = picture::thumbnail(&photo, job.bounds, &Limits::default())
        .map_err(|error| error.to_string())?;

    let uploading = Instant::now();
    let target = job.target.open().await.map_err(|error| error.to_string())?;
    let name = thumbnail_key(key);
    let bytes = (photo.len() as u64, thumbnail.jpeg.len() as u64);
    let jpeg = Bytes::from(thumbnail.jpeg);
    target.put(&name, jpeg, "image/jpeg").await.map_err(|error| error.to_string())?;
    let spent = thumbnail.timings;
    let photo = (thumbnail.source_width, thumbnail.source_height, thumbnail.format.to_string());
    let stages = [download, spent.decode, spent.resize, spent.encode, uploading.elapsed()];
    Ok(Made { key: name, size: (thumbnail.width, thumbnail.height), photo, bytes, stages })
}

/// `a/b.png` -> `a/b.png.jpg`: no two photos share a thumbnail.
pub(crate) fn thumbnail_key(key: &str) -> String {
    format!("{key}.jpg")
}

/// Runs the job. Every key that was listed is one row, and so is a listing that was lost on its
/// way. An error says why nothing was listed at all, so that no photo could be looked at.
pub(crate) async fn run(job: &Job, progress: Sender<Row>) -> Result<Vec<Row>, String> {
    let (keys_in, keys) = channel(BUFFER);
    let (rows_in, rows) = channel(BUFFER);
    let listing = spawn(list(job.clone(), keys_in, rows_in.clone()));
    let collecting = collect(rows, progress);
    let conducting = async {
        let conducted = conduct(job, &keys, &rows_in).await;
        let listed = listing.await.unwrap_or_else(|lost| Err(lost.to_string()));
        let outcome = match listed {
            Err(reason) if conducted > 0 => {
                fail(&rows_in, job.source.to_string(), reason).await;
                Ok(())
            }
            listed => listed,
        };
        drop(rows_in); // the last sender: the rows are complete
        outcome
    };
    let (rows, outcome) = futures::join!(collecting.into_future(), conducting);
    outcome.map(|()| rows)
}

/// Spawns a task for each key, and makes sure that each has its row. Returns how many there were.
async fn conduct(job: &Job, keys: &Receiver<String>, rows: &Sender<Row>) -> usize {
    let mut seen = BTreeSet::new();
    let mut tasks = FuturesUnordered::new();
    let mut listing = true;
    while listing || !tasks.is_empty() {
        tokio::select! {
            next = keys.recv(), if listing && tasks.len() < TASKS_MAX => match next {
                // A listing that was lost runs again, from the beginning.
                Ok(key) if !seen.insert(key.clone()) => {}
                Ok(key) => {
                    let task = spawn(thumbnail(key.clone(), job.clone(), rows.clone()));
                    tasks.push(task.map(|ended| (key, ended)));
                }
                Err(_) => listing = false,
            },
            Some((key, ended)) = tasks.next() => {
                let sent = ended.unwrap_or_else(|error: JoinError| Err(error.to_string()));
                if let Err(reason) = sent {
                    fail(rows, key, reason).await;
                }
            }
        }
    }
    seen.len()
}

async fn fail(rows: &Sender<Row>, key: String, reason: String) {
    let row = Row { key, worker: None, made: Err(reason) };
    // The rows are relayed: with the coordinator lost, `run` reports what has come until then.
    if let Err(unsent) = rows.send(row).await {
        tracing::error!("{unsent}");
    }
}
