//! What a task takes: wall time, CPU time, time in which it waited for a CPU, and the bytes of
//! values that its channel operations moved between processes.
//!
//! - A task with a thread of its own: what the kernel counts of the thread (`schedstat`), read once
//!   before and once after.
//! - A task that shares the executor: across its polls. A clock of the thread's CPU costs as much
//!   as a light poll, so light polls are taken by the wall clock (they are too short for the kernel
//!   to interrupt many of them), and of a task that is polled very often one poll in sixteen counts
//!   for all. Once polls of a kind of task were long, all of its later tasks' polls are taken by
//!   the clock of the thread's CPU.
//!
//! A watch is shared by the task's future, which writes, and the worker, which reads at the end.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use channels::wire::Usage;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

/// A poll that takes longer may be interrupted.
const LONG: Duration = Duration::from_micros(100);
/// So many polls are all measured.
const POLLS_ALL: u64 = 64;
/// Of later ones, one in so many.
const ONE_IN: u64 = 16;

/// One attempt's.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    begun: Instant,
    cpu_ns: AtomicU64,
    queued_ns: AtomicU64,
    /// Bytes of values that its channel operations moved between processes.
    moved: AtomicU64,
    polls: AtomicU64,
    /// By the clock of the thread's CPU.
    is_exact: AtomicBool,
}

/// Where a watch stood at the beginning of a poll or of a task.
#[derive(Debug)]
pub(crate) enum Mark {
    None,
    Wall(Instant, u64),
    Cpu(Instant, u64),
    Thread(Counted),
}

/// What the kernel has counted of a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Counted {
    cpu_ns: u64,
    queued_ns: u64,
}

impl Stopwatch {
    /// A task begins. `is_exact` if polls of its kind were long.
    pub(crate) fn new(is_exact: bool) -> Self {
        Self {
            begun: Instant::now(),
            cpu_ns: AtomicU64::new(0),
            queued_ns: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            polls: AtomicU64::new(0),
            is_exact: AtomicBool::new(is_exact),
        }
    }

    /// A poll begins.
    pub(crate) fn begin_poll(&self) -> Mark {
        let polls = self.polls.load(Relaxed);
        self.polls.store(polls + 1, Relaxed);
        let stands_for = match polls {
            ..POLLS_ALL => 1,
            _ if polls.is_multiple_of(ONE_IN) => ONE_IN,
            _ => return Mark::None,
        };
        if self.is_exact.load(Relaxed) {
            Mark::Cpu(Instant::now(), thread_cpu_ns())
        } else {
            Mark::Wall(Instant::now(), stands_for)
        }
    }

    /// A task with a thread of its own begins there.
    pub(crate) fn begin_thread() -> Mark {
        Mark::Thread(count_thread())
    }

    /// The poll or the task has ended, on the same thread.
    pub(crate) fn end(&self, mark: Mark) {
        match mark {
            Mark::None => {}
            Mark::Wall(since, stands_for) => {
                let took = since.elapsed();
                self.add(stands_for * took.as_nanos() as u64, 0);
                if took > LONG {
                    self.is_exact.store(true, Relaxed);
                }
            }
            Mark::Cpu(since, before) => {
                let cpu = thread_cpu_ns().saturating_sub(before);
                let wall = since.elapsed().as_nanos() as u64;
                self.add(cpu, wall.saturating_sub(cpu));
            }
            Mark::Thread(before) => {
                let Counted { cpu_ns, queued_ns } = count_thread();
                let queued = queued_ns.saturating_sub(before.queued_ns);
                self.add(cpu_ns.saturating_sub(before.cpu_ns), queued);
            }
        }
    }

    /// Computing was emulated: so much, and so long it waited for a CPU.
    pub(crate) fn emulated(&self, cpu: Duration, queued: Duration) {
        self.add(cpu.as_nanos() as u64, queued.as_nanos() as u64);
    }

    /// Its channel operations moved so many bytes between processes.
    pub(crate) fn moved(&self, bytes: u64) {
        if bytes > 0 {
            self.moved.store(self.moved.load(Relaxed).saturating_add(bytes), Relaxed);
        }
    }

    /// The future is the only one that writes.
    fn add(&self, cpu_ns: u64, queued_ns: u64) {
        self.cpu_ns.store(self.cpu_ns.load(Relaxed).saturating_add(cpu_ns), Relaxed);
        self.queued_ns.store(self.queued_ns.load(Relaxed).saturating_add(queued_ns), Relaxed);
    }

    /// Whether its kind is to be measured exactly from now on.
    pub(crate) fn is_exact(&self) -> bool {
        self.is_exact.load(Relaxed)
    }

    /// What it has taken by now.
    pub(crate) fn usage(&self) -> Usage {
        let wall_us = self.begun.elapsed().as_micros() as u64;
        let micros = |nanos: &AtomicU64| nanos.load(Relaxed).div_ceil(1000);
        let (cpu_us, queued_us) = (micros(&self.cpu_ns), micros(&self.queued_ns));
        // What else its program moves over the network nobody here can know, nor whose memory is
        // whose.
        let moved = self.moved.load(Relaxed);
        Usage { wall_us, cpu_us, queued_us, bytes: moved, channel_bytes: moved, memory: 0 }
    }
}

fn thread_cpu_ns() -> u64 {
    nanos(ClockId::ThreadCPUTime)
}

/// CPU time of this process.
pub(crate) fn process_cpu() -> Duration {
    Duration::from_nanos(nanos(ClockId::ProcessCPUTime))
}

fn nanos(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// What the kernel has counted of the calling thread. Without `schedstat`, only its CPU time.
fn count_thread() -> Counted {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    parse(&text).unwrap_or_else(|| Counted { cpu_ns: thread_cpu_ns(), queued_ns: 0 })
}

/// Two numbers of nanoseconds: on a CPU, and waiting for one.
fn parse(text: &str) -> Option<Counted> {
    let mut numbers = text.split_whitespace().map(str::parse);
    let (cpu_ns, queued_ns) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    Some(Counted { cpu_ns, queued_ns })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computes until the thread has had so much CPU.
    fn compute(cpu: Duration) {
        let until = thread_cpu_ns() + cpu.as_nanos() as u64;
        while thread_cpu_ns() < until {
            std::hint::spin_loop();
        }
    }

    const CPU: Duration = Duration::from_millis(20);

    #[test]
    fn a_long_poll_makes_its_kind_exact_and_light_ones_do_not() {
        let watch = Stopwatch::new(false);
        watch.end(watch.begin_poll());
        // Even on a busy machine some poll of nothing is short.
        assert!((0..1000).any(|_| {
            let watch = Stopwatch::new(false);
            watch.end(watch.begin_poll());
            !watch.is_exact()
        }));
        let mark = watch.begin_poll();
        compute(CPU);
        watch.end(mark);
        assert!(watch.is_exact());
        assert!(u128::from(watch.usage().cpu_us) >= CPU.as_micros());
    }

    #[test]
    fn exact_polls_count_cpu_and_not_waiting() {
        let watch = Stopwatch::new(true);
        let mark = watch.begin_poll();
        compute(CPU);
        // A wait that is no computing: for a thread that computes.
        std::thread::spawn(|| compute(CPU)).join().unwrap();
        watch.end(mark);
        let usage = watch.usage();
        assert!((20_000..40_000).contains(&usage.cpu_us), "{usage:?}");
        assert!(usage.queued_us >= 20_000 && usage.wall_us >= 40_000, "{usage:?}");
    }

    #[test]
    fn a_thread_of_its_own_is_what_the_kernel_counts() {
        let watch = Stopwatch::new(false);
        let mark = Stopwatch::begin_thread();
        compute(2 * CPU);
        watch.end(mark);
        // The kernel's counter may be a tick behind.
        assert!(watch.usage().cpu_us >= 20_000, "{:?}", watch.usage());
    }

    #[test]
    fn of_many_polls_some_count_for_all() {
        let watch = Stopwatch::new(false);
        let marks = (0..64 + 160).map(|_| watch.begin_poll());
        let weight = |mark: Mark| if let Mark::Wall(_, weight) = mark { weight } else { 0 };
        assert_eq!(marks.map(weight).sum::<u64>(), 64 + 160);
    }

    #[test]
    fn a_kernel_that_does_not_tell() {
        let counted = Counted { cpu_ns: 5, queued_ns: 6 };
        assert_eq!(parse("5 6 7\n"), Some(counted));
        for text in ["", "5", "5 x 7", "-5 6 7"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
