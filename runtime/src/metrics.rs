//! How busy this process is: what the paper's worker measures between polls.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use procfs::process::Process;
use procfs::{Current, Meminfo};
use tokio::time::Instant;

/// A reading is used again for so long: the kernel counts CPU time in steps of 10 ms anyway.
const REUSE: Duration = Duration::from_millis(100);
/// Memory of a machine that does not tell.
const MEMORY_UNKNOWN_BYTES: u64 = 2 << 30;

/// Measures this process.
#[derive(Debug)]
pub(crate) struct Meter {
    cpus: f64,
    memory_bytes: u64,
    last: Mutex<Reading>,
}

#[derive(Debug)]
struct Reading {
    at: Instant,
    cpu_time: Duration,
    cpu: f32,
    memory: f32,
}

impl Meter {
    /// Of a process that is granted so much CPU and memory.
    pub(crate) fn new(cpus: f64, memory_bytes: u64) -> Self {
        let (cpu_time, memory) = measure().unwrap_or_default();
        let memory = memory as f32 / memory_bytes as f32;
        let last = Mutex::new(Reading { at: Instant::now(), cpu_time, cpu: 0.0, memory });
        Self { cpus, memory_bytes, last }
    }

    /// CPU, 1.0 being all that is granted, and resident memory, 1.0 being its limit. Where the kernel does
    /// not tell, zeros: no limit then bars the worker from tasks.
    pub(crate) fn read(&self) -> (f32, f32) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = last.at.elapsed();
        if elapsed >= REUSE {
            let (cpu_time, memory) = measure().unwrap_or_default();
            let used = cpu_time.saturating_sub(last.cpu_time);
            *last = Reading {
                at: Instant::now(),
                cpu_time,
                cpu: (used.as_secs_f64() / elapsed.as_secs_f64() / self.cpus) as f32,
                memory: memory as f32 / self.memory_bytes as f32,
            };
        }
        (last.cpu, last.memory)
    }
}

/// CPU time and resident bytes of this process.
fn measure() -> Option<(Duration, u64)> {
    let stat = Process::myself().and_then(|process| process.stat()).ok()?;
    let ticks = stat.utime + stat.stime;
    let cpu_time = Duration::from_secs_f64(ticks as f64 / procfs::ticks_per_second() as f64);
    Some((cpu_time, stat.rss * procfs::page_size()))
}

/// Resident memory of this process at its highest, in bytes; zero where the kernel does not tell.
#[cfg(feature = "lambda")]
pub(crate) fn peak_memory() -> u64 {
    let status = Process::myself().and_then(|process| process.status());
    status.ok().and_then(|status| status.vmhwm).unwrap_or_default() << 10
}

/// Memory of this machine, in bytes.
pub(crate) fn machine_memory() -> u64 {
    Meminfo::current().map_or(MEMORY_UNKNOWN_BYTES, |memory| memory.mem_total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_memory_and_a_reading_is_reused() {
        let meter = Meter::new(2.0, 1 << 30);
        let (_, memory) = meter.read();
        assert!(memory > 0.0 && memory < 1.0, "{memory}");
        assert_eq!(meter.read(), meter.read());
        assert!(machine_memory() > 1 << 20);
    }
}
