//! Writes operations down while they happen.
//!
//! A [`Recorder`] belongs to one process (one session), a [`TaskLog`] to one task. Beginning and
//! ending an operation each take a lock that only this task uses, so many threads record without
//! meeting. A recorder with a file also writes each step to it at once, as a line of text, without
//! a buffer of its own: whatever kills the process, the kernel has what was recorded.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::record::{Kind, Outcome, Record, ValueId};

/// Nanoseconds of a clock that all processes of this host share and that never goes back.
pub fn monotonic() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// The records of one process.
pub struct Recorder {
    session: u32,
    clock: Box<dyn Fn() -> u64 + Send + Sync>,
    tasks: Mutex<Vec<Arc<Mutex<Vec<Record>>>>>,
    file: Option<Mutex<File>>,
    entries: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recorder {
    /// A recorder that keeps its records, with a clock: [`monotonic`], or a simulation's.
    pub fn new(session: u32, clock: impl Fn() -> u64 + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self::build(session, Box::new(clock), None))
    }

    /// A recorder that also appends to a file of its own, for a process that may be killed.
    ///
    /// # Errors
    ///
    /// If the file cannot be made.
    pub fn to_file(session: u32, path: &Path) -> io::Result<Arc<Self>> {
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Arc::new(Self::build(session, Box::new(monotonic), Some(Mutex::new(file)))))
    }

    fn build(
        session: u32,
        clock: Box<dyn Fn() -> u64 + Send + Sync>,
        file: Option<Mutex<File>>,
    ) -> Self {
        let (tasks, entries) = (Mutex::default(), AtomicU64::new(0));
        Self { session, clock, tasks, file, entries }
    }

    /// The log of a task; its name must be its alone, in all processes.
    pub fn task(self: &Arc<Self>, task: u32) -> Arc<TaskLog> {
        let records = Arc::<Mutex<Vec<Record>>>::default();
        lock(&self.tasks).push(records.clone());
        let (numbers, selects) = (Mutex::default(), AtomicU32::new(0));
        Arc::new(TaskLog { recorder: self.clone(), task, records, numbers, selects })
    }

    /// All records up to now.
    pub fn records(&self) -> Vec<Record> {
        lock(&self.tasks).iter().flat_map(|records| lock(records).clone()).collect()
    }

    fn write(&self, line: &str) {
        if let Some(file) = &self.file {
            lock(file).write_all(line.as_bytes()).expect("the file of records takes them");
        }
    }
}

/// The records of one task.
pub struct TaskLog {
    recorder: Arc<Recorder>,
    task: u32,
    records: Arc<Mutex<Vec<Record>>>,
    numbers: Mutex<BTreeMap<u32, u32>>,
    selects: AtomicU32,
}

impl TaskLog {
    /// A name for the next value that the task sends on a channel.
    pub fn value(&self, channel: u32) -> ValueId {
        let mut numbers = lock(&self.numbers);
        let number = numbers.entry(channel).or_insert(0);
        *number += 1;
        ValueId { task: self.task, number: *number }
    }

    /// A name for a select of the task.
    pub fn select(&self) -> u32 {
        self.selects.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// An operation begins. Dropping what comes back says that it was given up.
    pub fn begin(
        self: &Arc<Self>,
        channel: u32,
        kind: Kind,
        value: Option<ValueId>,
        select: u32,
    ) -> Begun {
        let invoked = (self.recorder.clock)();
        let mut record = Record::begun(channel, self.task, self.recorder.session, kind, invoked);
        (record.value, record.select) = (value, select);
        let entry = self.recorder.entries.fetch_add(1, Ordering::Relaxed);
        if self.recorder.file.is_some() {
            self.recorder.write(&crate::text::begun(entry, &record));
        }
        let mut records = lock(&self.records);
        records.push(record);
        Begun { log: self.clone(), at: records.len() - 1, entry, ended: false }
    }
}

/// An operation under way.
pub struct Begun {
    log: Arc<TaskLog>,
    at: usize,
    entry: u64,
    ended: bool,
}

impl Begun {
    /// It has ended; a receive says with which value.
    pub fn end(mut self, outcome: Outcome, value: Option<ValueId>) {
        self.note(outcome, value);
    }

    fn note(&mut self, outcome: Outcome, value: Option<ValueId>) {
        self.ended = true;
        let recorder = &self.log.recorder;
        let returned = (recorder.clock)();
        let mut records = lock(&self.log.records);
        let record = &mut records[self.at];
        (record.returned, record.outcome) = (returned, outcome);
        record.value = value.or(record.value);
        if recorder.file.is_some() {
            recorder.write(&crate::text::ended(self.entry, record));
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if !self.ended {
            self.note(Outcome::Cancelled, None);
        }
    }
}
