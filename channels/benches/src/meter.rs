//! The clocks: what a lap took, in time and in CPU time of the whole process.

use rustix::time::{ClockId, Timespec, clock_gettime};

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

/// What the function costs.
pub(crate) fn measure(function: impl FnOnce()) -> Cost {
    let (wall, cpu) = (read(ClockId::Monotonic), read(ClockId::ProcessCPUTime));
    function();
    Cost { cpu: read(ClockId::ProcessCPUTime) - cpu, wall: read(ClockId::Monotonic) - wall }
}

fn read(clock: ClockId) -> f64 {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(clock);
    tv_sec as f64 * 1e9 + tv_nsec as f64
}
