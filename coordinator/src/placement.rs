//! Where a task runs: Algorithm 1 of the paper, line by line.
//!
//! The paper's workers poll; ours push what a poll would have told (`Report`), and the coordinator
//! asks this function whenever an answer might have changed. Names are the paper's.
//!
//! ```text
//!  1  begin
//!  2    while true do
//!  3      req <- server.listen()
//!  4      worker <- lookup(req.workerId)
//!  5      if now - worker.start < thr_time * execTimeout then
//!  6        if req.currCPU < thr_cpu and req.currMem < thr_mem
//!  7           and |req.currTasks| < worker.threads - 1 and requestPool != {} then
//!  8          task <- requestPool.pop()
//!  9          req.connection.send(task)
//! 10          continue
//! 11      if req.currTasks == {} then
//! 12        req.connection.send(shutdown)
//! 13      else
//! 14        req.connection.send(continue)
//! ```
//!
//! Readings taken where the paper is silent: `continue` in line 10 goes on with the loop, so the
//! shutdown test is skipped; `threads - 1` is at least one; a task parked on a channel occupies no
//! thread, so it is not among `currTasks` in line 7, but a worker that holds any task is not empty
//! in line 11.

use std::time::Duration;

/// The paper's thresholds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// `thr_time`: the part of the time limit after which no task is given any more.
    pub time: f64,
    /// `execTimeout`: the platform's time limit for a worker.
    pub exec_timeout: Duration,
    /// `thr_cpu`: 1.0 is all threads of the worker.
    pub cpu: f32,
    /// `thr_mem`: 1.0 is the worker's memory limit.
    pub memory: f32,
}

impl Default for Thresholds {
    /// 80 % of 900 s as in the paper, which does not tell the other two.
    fn default() -> Self {
        Self { time: 0.8, exec_timeout: Duration::from_secs(900), cpu: 0.95, memory: 0.9 }
    }
}

/// A worker, and what its last report said (`worker` and `req`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Poll {
    /// `worker.start`.
    pub start: Duration,
    /// `worker.threads`.
    pub threads: u32,
    /// `req.currCPU`.
    pub cpu: f32,
    /// `req.currMem`.
    pub memory: f32,
    /// `|req.currTasks|` in line 7: tasks that occupy a thread.
    pub running: u32,
    /// `|req.currTasks|` in line 11: tasks that it holds.
    pub held: u32,
}

/// The coordinator's reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Reply {
    /// Line 9: give it a task from the pool.
    Task,
    /// Line 12.
    Shutdown,
    /// Line 14.
    Continue,
}

/// Lines 5 to 14.
pub fn algorithm_1(
    now: Duration,
    poll: &Poll,
    request_pool: usize,
    thresholds: &Thresholds,
) -> Reply {
    let age = now.saturating_sub(poll.start);
    if age < thresholds.exec_timeout.mul_f64(thresholds.time)
        && poll.cpu < thresholds.cpu
        && poll.memory < thresholds.memory
        && poll.running < slots(poll.threads)
        && request_pool > 0
    {
        return Reply::Task;
    }
    if poll.held == 0 { Reply::Shutdown } else { Reply::Continue }
}

/// `worker.threads - 1`: how many tasks may occupy a worker's threads, one being reserved.
pub fn slots(threads: u32) -> u32 {
    threads.saturating_sub(1).max(1)
}

/// How many workers the pool calls for. The paper spawns by a fixed threshold that it does not
/// tell; this is one slot for every task that runs or waits.
pub fn workers_wanted(running: usize, request_pool: usize, threads: u32) -> usize {
    (running + request_pool).div_ceil(slots(threads) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Poll =
        Poll { start: Duration::ZERO, threads: 4, cpu: 0.1, memory: 0.1, running: 0, held: 0 };

    #[track_caller]
    fn check(seconds: u64, poll: Poll, pool: usize, expected: Reply) {
        let reply = algorithm_1(Duration::from_secs(seconds), &poll, pool, &Thresholds::default());
        assert_eq!(reply, expected, "after {seconds} s, {poll:?}, pool of {pool}");
    }

    #[test]
    fn line_by_line() {
        let busy = Poll { running: 3, held: 3, ..IDLE };
        check(0, IDLE, 1, Reply::Task);
        check(0, Poll { running: 2, held: 2, ..IDLE }, 1, Reply::Task);
        check(0, busy, 1, Reply::Continue);
        check(0, Poll { running: 0, held: 3, ..IDLE }, 1, Reply::Task);
        check(0, IDLE, 0, Reply::Shutdown);
        check(0, Poll { held: 1, ..IDLE }, 0, Reply::Continue);
        check(0, Poll { cpu: 0.95, ..IDLE }, 1, Reply::Shutdown);
        check(0, Poll { memory: 0.9, held: 1, ..IDLE }, 1, Reply::Continue);
        check(719, IDLE, 1, Reply::Task);
        check(720, IDLE, 1, Reply::Shutdown);
        check(720, busy, 1, Reply::Continue);
    }

    #[test]
    fn one_thread_is_reserved_but_never_the_only_one() {
        assert_eq!([0, 1, 2, 3, 6].map(slots), [1, 1, 1, 2, 5]);
        check(0, Poll { threads: 1, ..IDLE }, 1, Reply::Task);
    }

    #[test]
    fn a_slot_for_every_task() {
        assert_eq!(workers_wanted(0, 0, 2), 0);
        assert_eq!(workers_wanted(0, 3, 2), 3);
        assert_eq!(workers_wanted(5, 6, 6), 3);
    }
}
