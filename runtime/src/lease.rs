//! A node's own view of its lease: until when it is surely part of the system.
//!
//! The coordinator fences a node that was silent for the lease. The node cannot see that, so it
//! reckons from what it knows: when it *sent* the last thing that the coordinator has acknowledged.
//! The coordinator heard it no earlier, so the node's lease runs out first, by a margin for clocks
//! that run at different speeds.
//!
//! A client runs no tasks for others, so it may hold out for longer: whether it was fenced, the
//! coordinator tells it as soon as a link is there again.
//!
//! States: *not begun* (no coordinator has spoken) -> *running* -> *over*, for good. A node whose
//! lease is over ends: it sends nothing, and polls no task of the user's.
//!
//! A node may be stopped, or its whole machine frozen and thawed, and not every clock counts that
//! time. So three are read, and the one by which most has passed is believed. A clock that is set
//! ahead ends a lease too early, which is safe.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Does not count the time in which the machine sleeps; counts it; may be set.
const CLOCKS: [ClockId; 3] = [ClockId::Monotonic, ClockId::Boottime, ClockId::Realtime];
/// A clock that is cheap to read and goes on in steps of a few milliseconds.
const STEPS: ClockId = ClockId::MonotonicCoarse;
/// The part of the lease by which a node ends earlier than it would be fenced.
const MARGIN: u32 = 8;

/// What the clocks say, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading([u64; 3]);

impl Reading {
    pub(crate) fn now() -> Self {
        Self(CLOCKS.map(nanoseconds))
    }
}

fn nanoseconds(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    (time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64)
}

/// How many leases long a client tries to reach its coordinator.
const PATIENCE: u32 = 2;

/// One node's lease.
#[derive(Debug)]
pub(crate) struct Lease {
    /// How long it lasts here, of what the coordinator grants.
    share: fn(Duration) -> Duration,
    /// When it ends, by each clock.
    ends: [AtomicU64; 3],
    /// How long it is, in nanoseconds.
    term: AtomicU64,
    /// The step of the cheap clock in which the others were looked at.
    looked: AtomicU64,
    over: AtomicBool,
}

impl Lease {
    /// A worker's. Not begun: it does not end.
    pub(crate) fn of_worker() -> Arc<Self> {
        Self::new(|lease| lease - lease / MARGIN)
    }

    /// A client's. Not begun: it does not end.
    pub(crate) fn of_client() -> Arc<Self> {
        Self::new(|lease| lease * PATIENCE)
    }

    fn new(share: fn(Duration) -> Duration) -> Arc<Self> {
        let never = || AtomicU64::new(u64::MAX);
        let ends = [never(), never(), never()];
        let (term, looked, over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
        Arc::new(Self { share, ends, term, looked, over })
    }

    /// The coordinator has granted it, to what was sent at that time.
    pub(crate) fn begin(&self, lease: Duration, sent: Reading) {
        self.term.store((self.share)(lease).as_nanos() as u64, Relaxed);
        self.renew(sent);
    }

    /// The coordinator has acknowledged something that was sent at that time.
    pub(crate) fn renew(&self, sent: Reading) {
        let term = self.term.load(Relaxed);
        for (end, sent) in self.ends.iter().zip(sent.0) {
            end.store(sent.saturating_add(term), Relaxed);
        }
    }

    /// Whether it has run out by any clock. From then on it has, whatever the clocks say.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Relaxed) || self.look(Reading::now())
    }

    /// The same, with one look at the clocks for all who ask within a few milliseconds: for what is
    /// asked millions of times a second. A process that was stopped has always missed a step.
    pub(crate) fn is_over_by_now(&self) -> bool {
        let step = nanoseconds(STEPS);
        if self.looked.load(Relaxed) == step {
            return self.over.load(Relaxed);
        }
        self.looked.store(step, Relaxed);
        self.is_over()
    }

    fn look(&self, now: Reading) -> bool {
        let past = self.ends.iter().zip(now.0).any(|(end, now)| now >= end.load(Relaxed));
        if past {
            self.end();
        }
        past
    }

    /// The node ends, for this reason or another.
    pub(crate) fn end(&self) {
        self.over.store(true, Relaxed);
    }
}

/// A future of the user's, polled only as long as the lease lasts. Afterwards it waits for ever.
pub(crate) struct Gate<F> {
    lease: Arc<Lease>,
    inner: F,
}

impl<F> Gate<F> {
    pub(crate) fn new(lease: Arc<Lease>, inner: F) -> Self {
        Self { lease, inner }
    }
}

impl<F: Future + Unpin> Future for Gate<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if self.lease.is_over_by_now() {
            return Poll::Pending;
        }
        Pin::new(&mut self.inner).poll(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// A lease of eight seconds, granted when each clock said a hundred.
    fn lease() -> Arc<Lease> {
        let lease = Lease::of_worker();
        lease.begin(Duration::from_secs(8), Reading([100 * SECOND; 3]));
        lease
    }

    #[test]
    fn it_ends_by_the_clock_that_counts_most() {
        for clock in 0..3 {
            let lease = lease();
            let mut now = [100 * SECOND + 1; 3];
            now[clock] = 107 * SECOND - 1;
            assert!(!lease.look(Reading(now)), "a margin before the coordinator's");
            now[clock] += 1;
            assert!(lease.look(Reading(now)));
        }
    }

    #[test]
    fn it_is_renewed_until_it_is_over_and_then_no_more() {
        let lease = lease();
        lease.renew(Reading([105 * SECOND; 3]));
        assert!(!lease.look(Reading([111 * SECOND; 3])));
        assert!(lease.look(Reading([112 * SECOND; 3])));
        lease.renew(Reading::now());
        assert!(lease.is_over());
        assert!(!Lease::of_worker().is_over(), "one that has not begun does not end");
    }

    #[test]
    fn nothing_is_polled_after_it() {
        let lease = lease();
        lease.renew(Reading::now());
        let mut context = Context::from_waker(std::task::Waker::noop());
        let mut gate = Gate::new(lease.clone(), std::future::ready(5));
        assert_eq!(Pin::new(&mut gate).poll(&mut context), Poll::Ready(5));
        lease.end();
        let mut gate = Gate::new(lease, std::future::poll_fn(|_| -> Poll<u8> { unreachable!() }));
        assert!(Pin::new(&mut gate).poll(&mut context).is_pending());
    }
}
