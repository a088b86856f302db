//! Which launch is invoked when: pure, without clock and chance, so that every case can be tried.
//!
//! A launch is *waiting* -> *asked* (an Invoke call is under way) -> *accepted* (Lambda will start
//! it) -> *there* (its worker said hello) -> gone. A call that is throttled makes it wait again, at
//! its old place, and holds all others up for a while: the more often in a row, the longer, and by
//! chance, so that the coordinators of one account do not all come back at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Invoke calls at once, while all goes well.
const CALLS_MAX: usize = 16;
/// The longest first pause after a call that was throttled; it doubles each time.
const PAUSE: Duration = Duration::from_millis(200);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// The launches that have not ended.
#[derive(Debug)]
pub(super) struct Pace {
    waiting: BTreeSet<u64>,
    asked: BTreeSet<u64>,
    /// Accepted, and when the launch was asked for.
    accepted: BTreeMap<u64, Duration>,
    there: BTreeSet<u64>,
    since: BTreeMap<u64, Duration>,
    /// Calls in a row that came to nothing.
    refusals: u32,
    /// No call before this time.
    pause_until: Duration,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            waiting: BTreeSet::new(),
            asked: BTreeSet::new(),
            accepted: BTreeMap::new(),
            there: BTreeSet::new(),
            since: BTreeMap::new(),
            refusals: 0,
            pause_until: Duration::ZERO,
        }
    }

    /// A launch is wanted.
    pub(super) fn add(&mut self, now: Duration, launch: u64) {
        self.waiting.insert(launch);
        self.since.insert(launch, now);
    }

    /// It is over, or not wanted any more.
    pub(super) fn remove(&mut self, launch: u64) {
        self.waiting.remove(&launch);
        self.asked.remove(&launch);
        self.accepted.remove(&launch);
        self.there.remove(&launch);
        self.since.remove(&launch);
    }

    /// Whether a launch could be invoked now.
    pub(super) fn is_ready(&self, now: Duration) -> bool {
        // While it is throttled one call at a time finds out whether it still is.
        let calls_max = if self.refusals > 0 { 1 } else { CALLS_MAX };
        now >= self.pause_until && self.asked.len() < calls_max && !self.waiting.is_empty()
    }

    /// The launch to invoke now, if there is one.
    pub(super) fn next(&mut self, now: Duration) -> Option<u64> {
        let launch = self.is_ready(now).then(|| self.waiting.pop_first())??;
        self.asked.insert(launch);
        Some(launch)
    }

    /// There is no slot for those that wait; who they are. Their time begins when there is one.
    pub(super) fn on_queued(&mut self, now: Duration) -> BTreeSet<u64> {
        self.since.extend(self.waiting.iter().map(|launch| (*launch, now)));
        self.waiting.clone()
    }

    /// Lambda has accepted it.
    pub(super) fn on_accepted(&mut self, now: Duration, launch: u64) {
        self.refusals = 0;
        // Its worker may have been quicker than the answer.
        if self.asked.remove(&launch) {
            self.accepted.insert(launch, now);
        }
    }

    /// Lambda takes no more for now; it may have said for how long. `chance` is from 0 to 1.
    pub(super) fn on_refused(
        &mut self,
        now: Duration,
        launch: u64,
        at_least: Duration,
        chance: f64,
    ) {
        let longest = (PAUSE * (1 << self.refusals.min(16))).min(PAUSE_MAX);
        self.refusals += 1;
        self.pause_until = self.pause_until.max(now + at_least + longest.mul_f64(chance));
        if self.asked.remove(&launch) {
            self.waiting.insert(launch);
        }
    }

    /// Its worker said hello.
    pub(super) fn on_hello(&mut self, launch: u64) {
        let known = self.since.remove(&launch).is_some();
        self.remove(launch);
        if known {
            self.there.insert(launch);
        }
    }

    /// Launches that have come to nothing for so long, and whether Lambda had accepted them. One
    /// that waits for another to end is not late.
    pub(super) fn late(&self, now: Duration, patience: Duration) -> Vec<(u64, bool)> {
        let is_late = |since: &Duration| now.saturating_sub(*since) >= patience;
        let silent = self.accepted.iter().filter(|(_, since)| is_late(since));
        let refused = self.since.iter().filter(|(launch, since)| {
            self.refusals > 0 && self.waiting.contains(launch) && is_late(since)
        });
        let silent = silent.map(|(launch, _)| (*launch, true));
        silent.chain(refused.map(|(launch, _)| (*launch, false))).collect()
    }

    /// When to look again, unless something happens before.
    pub(super) fn wake_at(&self, now: Duration, patience: Duration) -> Option<Duration> {
        let pause = (!self.waiting.is_empty()).then_some(self.pause_until);
        let silent = self.accepted.values().map(|since| *since + patience);
        let refused = (self.refusals > 0).then(|| self.since.values().map(|at| *at + patience));
        let times = pause.into_iter().chain(silent).chain(refused.into_iter().flatten());
        times.filter(|time| *time > now).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(25);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// All that may be invoked now.
    fn drawn(pace: &mut Pace, now: Duration) -> Vec<u64> {
        std::iter::from_fn(|| pace.next(now)).collect()
    }

    #[test]
    fn who_waits_for_a_slot_is_not_late() {
        let mut pace = Pace::new();
        (1..=2).for_each(|launch| pace.add(seconds(0), launch));
        assert_eq!(pace.next(seconds(0)), Some(1));
        assert_eq!(pace.on_queued(seconds(90)), BTreeSet::from([2]));
        assert!(pace.late(seconds(100), PATIENCE).is_empty());
        assert_eq!(pace.next(seconds(100)), Some(2));
        pace.on_refused(seconds(100), 2, Duration::ZERO, 0.0);
        assert!(pace.late(seconds(114), PATIENCE).is_empty(), "it was not refused for long");
        assert_eq!(pace.late(seconds(115), PATIENCE), [(2, false)]);
    }

    #[test]
    fn throttling_holds_all_up_and_then_one_tries() {
        let mut pace = Pace::new();
        (1..=20).for_each(|launch| pace.add(seconds(0), launch));
        assert_eq!(drawn(&mut pace, seconds(0)).len(), CALLS_MAX);
        (1..=16).for_each(|launch| pace.on_refused(seconds(0), launch, Duration::ZERO, 1.0));
        let wake = pace.wake_at(seconds(0), PATIENCE).unwrap();
        assert_eq!(wake, PAUSE_MAX, "after so many in a row");
        assert!(drawn(&mut pace, wake - Duration::from_millis(1)).is_empty());
        assert_eq!(drawn(&mut pace, wake), [1], "the oldest, alone");
        pace.on_refused(wake, 1, seconds(3), 0.0);
        assert_eq!(pace.wake_at(wake, PATIENCE), Some(wake + seconds(3)), "as Lambda said");
        assert_eq!(drawn(&mut pace, wake + seconds(3)), [1]);
        pace.on_accepted(wake + seconds(3), 1);
        assert_eq!(drawn(&mut pace, wake + seconds(3)).len(), CALLS_MAX, "all is well again");
    }

    #[test]
    fn pauses_are_by_chance() {
        for (chance, expected) in [(0.0, 0), (0.5, 100), (1.0, 200)] {
            let mut pace = Pace::new();
            pace.add(seconds(0), 1);
            drawn(&mut pace, seconds(1));
            pace.on_refused(seconds(1), 1, Duration::ZERO, chance);
            assert_eq!(pace.pause_until, seconds(1) + Duration::from_millis(expected));
        }
    }

    #[test]
    fn whoever_says_nothing_is_given_up() {
        let mut pace = Pace::new();
        (1..=3).for_each(|launch| pace.add(seconds(0), launch));
        drawn(&mut pace, seconds(0));
        pace.on_hello(1);
        pace.on_accepted(seconds(1), 1);
        pace.on_accepted(seconds(1), 2);
        pace.on_refused(seconds(1), 3, Duration::ZERO, 0.0);
        assert!(pace.late(seconds(24), PATIENCE).is_empty());
        assert_eq!(pace.late(seconds(26), PATIENCE), [(2, true), (3, false)]);
        pace.on_hello(2);
        pace.on_hello(7);
        pace.remove(3);
        assert!(pace.late(seconds(99), PATIENCE).is_empty());
        assert_eq!(pace.wake_at(seconds(99), PATIENCE), None);
        assert_eq!(pace.there, BTreeSet::from([1, 2]), "nobody asked for 7");
    }
}
