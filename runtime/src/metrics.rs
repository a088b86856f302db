//! How busy this process is: what the paper's worker measures between polls, and more.
//!
//! A reading takes some 20 us and is used again for a tenth of a second, so that all of them
//! together are a part in 5000 of a core; `cost` below measures it. With workers on threads
//! (`in_memory`) a reading is of the process that they share.

mod grant;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use channels::census;
use channels::wire::Vitals;
use procfs::process::Process;
use procfs::{Current, Meminfo};
use tokio::time::Instant;

use crate::stopwatch::process_cpu;
use grant::Grant;

/// A reading is used again for so long.
const REUSE: Duration = Duration::from_millis(100);
/// Memory of a machine that does not tell.
const MEMORY_UNKNOWN_BYTES: u64 = 2 << 30;

/// Measures this process.
#[derive(Debug)]
pub(crate) struct Meter {
    cpus: f32,
    memory_max_bytes: u64,
    cores: f32,
    last: Mutex<Reading>,
}

#[derive(Debug)]
struct Reading {
    at: Instant,
    cpu_time: Duration,
    cpu: f32,
    memory_bytes: u64,
    /// Polls of tasks by then, and when there last were new ones.
    polls: u64,
    polled: Instant,
}

impl Meter {
    /// Of a process that is granted so much CPU and memory; its CPUs may be emulated.
    pub(crate) fn new(cpus: f64, memory_bytes: u64, emulated: Option<f64>) -> Self {
        let grant = Grant::of_this_process();
        let threads = cpus.max(0.01) as f32;
        let now = Instant::now();
        let last = Mutex::new(Reading {
            at: now,
            cpu_time: process_cpu(),
            cpu: 0.0,
            memory_bytes: resident_bytes(),
            polls: 0,
            polled: now,
        });
        Self {
            cpus: threads,
            memory_max_bytes: grant.memory.map_or(memory_bytes, |limit| limit.min(memory_bytes)),
            cores: emulated.or(grant.cores).map_or(threads, |cores| threads.min(cores as f32)),
            last,
        }
    }

    /// CPU, 1.0 being all that is granted, and resident memory, 1.0 being its limit. Where the
    /// kernel does not tell, zeros: no limit then bars the worker from tasks.
    pub(crate) fn read(&self) -> (f32, f32) {
        let last = self.renewed();
        (last.cpu, last.memory_bytes as f32 / self.memory_max_bytes.max(1) as f32)
    }

    /// All that is measured. `queue` is how many could run and wait for a CPU.
    pub(crate) fn vitals(&self, queue: u32) -> Vitals {
        let mut last = self.renewed();
        let polls = census::polls();
        if polls != last.polls {
            (last.polls, last.polled) = (polls, last.at);
        }
        Vitals {
            cpu_us: process_cpu().as_micros() as u64,
            cores: self.cores,
            queue,
            memory_bytes: last.memory_bytes,
            memory_max_bytes: self.memory_max_bytes,
            poll_age_us: last.polled.elapsed().as_micros() as u64,
        }
    }

    /// CPUs that this process is granted.
    pub(crate) fn cores(&self) -> f32 {
        self.cores
    }

    fn renewed(&self) -> std::sync::MutexGuard<'_, Reading> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = last.at.elapsed();
        if elapsed >= REUSE {
            let cpu_time = process_cpu();
            let used = cpu_time.saturating_sub(last.cpu_time);
            last.at = Instant::now();
            last.cpu_time = cpu_time;
            last.cpu = used.as_secs_f32() / elapsed.as_secs_f32() / self.cpus;
            last.memory_bytes = resident_bytes();
        }
        last
    }
}

/// Resident bytes of this process.
fn resident_bytes() -> u64 {
    let statm = Process::myself().and_then(|process| process.statm());
    statm.map_or(0, |statm| statm.resident.saturating_mul(procfs::page_size()))
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
        let meter = Meter::new(2.0, 1 << 30, None);
        let (_, memory) = meter.read();
        assert!(memory > 0.0 && memory < 1.0, "{memory}");
        assert_eq!(meter.read(), meter.read());
        assert!(machine_memory() > 1 << 20);
        let vitals = meter.vitals(3);
        assert!(vitals.cores > 0.0 && vitals.cores <= 2.0, "{vitals:?}");
        assert!(vitals.cpu_us > 0 && vitals.memory_bytes > 0 && vitals.queue == 3, "{vitals:?}");
        assert!(vitals.memory_max_bytes <= 1 << 30, "{vitals:?}");
    }

    /// The documented bound is 1 % of a core. A reading in each [`REUSE`] takes a hundred times
    /// less; what is asked here is what even a busy machine keeps to.
    #[test]
    fn cost() {
        const READINGS: u32 = 200;
        let meter = Meter::new(2.0, 1 << 30, None);
        let before = thread_cpu();
        for _ in 0..READINGS {
            meter.last.lock().unwrap().at -= REUSE;
            meter.vitals(0);
        }
        let each = (thread_cpu() - before) / READINGS;
        assert!(each < REUSE / 100, "{each:?} for a reading");
    }

    fn thread_cpu() -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
}
