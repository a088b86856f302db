//! The clocks: what a lap took, in time and in CPU time of several processes.

use anyhow::Context;
use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;

/// What a lap took, or a message of it, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Debug, serde::Serialize)]
pub(crate) struct Cost {
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
}

impl Cost {
    /// The cost of one of so many messages.
    pub(crate) fn over(self, messages: u64) -> Self {
        Self { wall: self.wall / messages as f64, cpu: self.cpu / messages as f64 }
    }
}

/// Nanoseconds since some moment.
pub(crate) fn now() -> anyhow::Result<u128> {
    let time = ClockId::CLOCK_MONOTONIC.now()?;
    Ok(time.tv_sec() as u128 * 1_000_000_000 + time.tv_nsec() as u128)
}

/// The CPU time of these processes until now, in nanoseconds.
pub(crate) fn cpu_time(processes: &[u32]) -> anyhow::Result<f64> {
    let times = processes.iter().map(|process| {
        let gone = || format!("process {process} has ended");
        let clock = clock_getcpuclockid(Pid::from_raw(*process as i32)).with_context(gone)?;
        let time = clock.now().with_context(gone)?;
        Ok(time.tv_sec() as f64 * 1e9 + time.tv_nsec() as f64)
    });
    times.sum()
}
