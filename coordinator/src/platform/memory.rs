//! Workers inside this process, each on a thread of its own: for tests and for debugging with one
//! process. They speak to the coordinator through real sockets.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use super::{Ended, Launch, Platform};

/// Runs a function as each worker.
#[derive(Clone)]
pub struct Memory {
    work: Arc<dyn Fn(Launch) + Send + Sync>,
}

impl Memory {
    /// `work` is a worker's whole life: it returns when its connection has ended.
    pub fn new(work: impl Fn(Launch) + Send + Sync + 'static) -> Self {
        Self { work: Arc::new(work) }
    }
}

impl Platform for Memory {
    fn launch(&mut self, launch: Launch, ended: Ended) {
        let work = self.work.clone();
        let name = format!("farspawn-worker-{}", launch.number);
        let run = move || match catch_unwind(AssertUnwindSafe(|| work(launch))) {
            Ok(()) => ended.tell("it returned"),
            Err(_) => ended.tell("it panicked"),
        };
        // If no thread can be had, `ended` is dropped with the closure and says so.
        if let Err(error) = thread::Builder::new().name(name).spawn(run) {
            tracing::warn!("a worker's thread cannot be started: {error}");
        }
    }

    /// A thread cannot be ended from outside; it ends when its connection does.
    fn stop(&mut self, _: u64) {}
}

impl fmt::Debug for Memory {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Memory")
    }
}
