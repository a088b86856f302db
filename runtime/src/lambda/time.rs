//! When an invocation drains, leaves, and is cut off: all before its deadline.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// The time limit where none is known: some that play Lambda give a deadline in the past.
const LIMIT_UNKNOWN: Duration = Duration::from_secs(900);
/// What is kept for the answer at the end, at least and at most; between them, a fiftieth.
const MARGIN_MIN: Duration = Duration::from_millis(200);
const MARGIN_MAX: Duration = Duration::from_secs(5);

/// What day it is: deadlines are dates.
#[expect(clippy::disallowed_methods, reason = "an invocation is the shell")]
pub(super) fn today() -> SystemTime {
    SystemTime::now()
}

/// Times since the invocation began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    begun: (Instant, SystemTime),
    /// From here on no more tasks.
    pub(super) drain: Duration,
    /// What is under way now is given up.
    pub(super) leave: Duration,
    /// The coordinator is not waited for any more.
    pub(super) cut: Duration,
    limit: Duration,
}

impl Times {
    pub(super) fn new(now: SystemTime, deadline: SystemTime, share: f64) -> Self {
        let limit = deadline.duration_since(now).unwrap_or_default();
        let limit = if limit.is_zero() { LIMIT_UNKNOWN } else { limit };
        let margin = (limit / 50).clamp(MARGIN_MIN, MARGIN_MAX).min(limit / 4);
        let leave = limit - 2 * margin;
        let drain = limit.mul_f64(share).min(leave);
        Self { begun: (Instant::now(), now), drain, leave, cut: limit - margin, limit }
    }

    /// When tasks should be at their end: they have as long as anything else here to say so.
    pub(super) fn until(&self) -> SystemTime {
        let margin = self.limit - self.cut;
        self.begun.1 + self.leave.saturating_sub(margin)
    }

    /// How long threads that still run may take to end.
    pub(super) fn patience(&self) -> Duration {
        (self.limit - self.cut) / 2
    }

    /// What is left until a time. A clock may stand still while the machine does.
    pub(super) fn left_until(&self, time: Duration) -> Duration {
        let (begun, date) = self.begun;
        let passed = begun.elapsed().max(date.elapsed().unwrap_or_default());
        time.saturating_sub(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(limit_ms: u64, share: f64) -> [u64; 3] {
        let now = today();
        let times = Times::new(now, now + Duration::from_millis(limit_ms), share);
        [times.drain, times.leave, times.cut].map(|time| time.as_millis() as u64)
    }

    #[test]
    fn all_comes_in_order_and_before_the_deadline() {
        assert_eq!(times(900_000, 0.8), [720_000, 890_000, 895_000]);
        assert_eq!(times(60_000, 0.8), [48_000, 57_600, 58_800]);
        assert_eq!(times(3_000, 0.95), [2_600, 2_600, 2_800]);
        assert_eq!(times(400, 0.8), [200, 200, 300]);
    }

    #[test]
    fn tasks_are_told_before_they_are_given_up() {
        let now = today();
        let until = |ms| Times::new(now, now + Duration::from_millis(ms), 0.8).until();
        assert_eq!(until(900_000), now + Duration::from_secs(885));
        assert_eq!(until(400), now + Duration::from_millis(100));
    }

    #[test]
    fn a_deadline_that_is_past_is_none() {
        let now = today();
        let times = Times::new(now, now - Duration::from_secs(1), 0.8);
        assert_eq!(times.drain, Duration::from_secs(720));
        assert!(times.left_until(times.drain) > Duration::from_secs(700));
        assert_eq!(times.left_until(Duration::ZERO), Duration::ZERO);
    }
}
