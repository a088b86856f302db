//! What an invocation answers: what became of it, and what it took.

use std::fmt;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use tokio::time::Instant;

use crate::metrics::peak_memory;
use crate::worker::Served;

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Account {
    /// Which launch it answered.
    launch: u64,
    /// How its session ended, in words; `goodbye` if all is well.
    ended: String,
    /// Whether it ever was a worker: the second of a launch is not.
    served: bool,
    /// Why it drained before it was told to, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    drained: Option<&'static str>,
    /// Attempts that came to their end.
    tasks: u64,
    /// Tasks that went back before they began.
    given_back: u64,
    /// Tasks that were under way when its time was over.
    cut_off: u64,
    /// Sessions of this process so far: 1 after a cold start.
    session: u64,
    seconds: f64,
    /// Of the whole process, meanwhile.
    cpu_seconds: f64,
    /// Resident memory at its highest since the process began.
    memory_mb: u64,
}

/// An invocation that has begun.
pub(super) struct Start {
    launch: u64,
    session: u64,
    at: Instant,
    cpu: Duration,
}

impl Start {
    pub(super) fn now(launch: u64, session: u64) -> Self {
        Self { launch, session, at: Instant::now(), cpu: cpu_time() }
    }

    /// The coordinator would not have it.
    pub(super) fn turned(&self, reason: &str) -> Account {
        let (launch, session) = (self.launch, self.session);
        Account {
            launch,
            ended: format!("turned away: {reason}"),
            served: false,
            drained: None,
            tasks: 0,
            given_back: 0,
            cut_off: 0,
            session,
            seconds: self.at.elapsed().as_secs_f64(),
            cpu_seconds: cpu_time().saturating_sub(self.cpu).as_secs_f64(),
            memory_mb: peak_memory() >> 20,
        }
    }

    pub(super) fn served(&self, served: &Served, drained: Option<&'static str>) -> Account {
        Account {
            ended: served.cause.clone(),
            served: true,
            drained,
            tasks: served.ended,
            given_back: served.given_back,
            cut_off: served.cut_off,
            ..self.turned("")
        }
    }
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// For logs.
impl fmt::Display for Account {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { launch, ended, tasks, given_back, cut_off, seconds, .. } = self;
        write!(
            out,
            "launch {launch}: {tasks} tasks, {given_back} given back, {cut_off} cut off, in \
             {seconds:.3} s; {ended}"
        )
    }
}
