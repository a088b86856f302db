//! How far a node is behind with reading: what it was sent, or would be if its link were whole, and
//! has not acknowledged.
//!
//! The bulk of what waits for a node are offers, and it has asked for each of them. So a large
//! backlog is no fault as long as the node reads: time without progress is.

use std::time::Duration;

/// A node for which too much waits, and that takes nothing of it for so long, does not read. The
/// time must do for one batch, for only whole ones are seen to be taken.
const STALLED_TIMEOUT: Duration = Duration::from_secs(10);
/// However well it reads, so many times as much as is too much otherwise is the end.
const EXCESS_MAX: u64 = 16;

#[derive(Debug)]
pub(super) struct Backlog {
    /// What may wait without a look at the time, in bytes.
    bytes_max: u64,
    /// How long nothing may be taken when there is more.
    timeout: Duration,
    /// The last frame that had been taken when somebody last looked, and since when.
    taken: u64,
    since: Duration,
}

impl Backlog {
    /// Nothing waits. A frozen node has its lease, if that is longer.
    pub(super) fn new(now: Duration, bytes_max: usize, lease: Duration) -> Self {
        let (bytes_max, timeout) = (bytes_max as u64, STALLED_TIMEOUT.max(lease));
        Self { bytes_max, timeout, taken: 0, since: now }
    }

    /// Looks how the node gets on, for which so many bytes wait, and which has taken every frame up
    /// to this one. Says what is wrong.
    pub(super) fn look(&mut self, now: Duration, waiting: u64, taken: u64) -> Option<String> {
        if waiting > self.bytes_max.saturating_mul(EXCESS_MAX) {
            return Some(format!("{waiting} bytes wait, and it reads too slowly"));
        }
        if taken != self.taken || waiting <= self.bytes_max {
            (self.taken, self.since) = (taken, now);
        }
        let stalled = now.saturating_sub(self.since);
        let seconds = stalled.as_secs_f64();
        let text = || format!("{waiting} bytes wait, and it has taken nothing for {seconds:.0} s");
        (stalled > self.timeout).then(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks once a second at what was taken until then; says at which look something was wrong.
    fn wrong_after(given: u64, taken: impl Fn(u64) -> u64) -> Option<u64> {
        let mut backlog = Backlog::new(Duration::ZERO, 1000, Duration::from_secs(1));
        (0..60).find(|second| {
            let (now, taken) = (Duration::from_secs(*second), taken(*second));
            backlog.look(now, given.saturating_sub(taken), taken).is_some()
        })
    }

    #[test]
    fn only_who_does_not_read_is_stuck() {
        assert_eq!(wrong_after(10_000, |_| 0), Some(11), "it reads nothing");
        assert_eq!(wrong_after(1000, |_| 0), None, "that is not too much");
        assert_eq!(wrong_after(10_000, |second| second / 9), None, "it reads slowly");
        assert_eq!(wrong_after(10_000, |second| second.min(20)), Some(31), "it reads no more");
        assert_eq!(wrong_after(10_000, |second| 9_000 * (second / 9)), None, "it has caught up");
        assert_eq!(wrong_after(100_000, |second| second), Some(0), "there is an end to it");
    }

    #[test]
    fn a_frozen_node_has_its_lease() {
        let [begun, frozen, over] = [100, 130, 131].map(Duration::from_secs);
        let mut backlog = Backlog::new(begun, 1000, Duration::from_secs(30));
        assert_eq!(backlog.look(frozen, 10_000, 0), None);
        let wrong = backlog.look(over, 10_000, 0);
        assert!(wrong.is_some_and(|text| text.contains("nothing for 31 s")));
    }
}
