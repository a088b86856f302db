//! Waiting for a number of things to be done.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::blocking::wait_for;
use crate::line::{Line, Place, Places};
use crate::lock::Lock;
use crate::waiting::{self, marked};

/// Go's `sync.WaitGroup` (C56): a counter, and a wait for zero. It can be used again after that.
///
/// It belongs to one process. Between workers, a channel does the same: each task holds a clone of
/// a `Sender`, and `recv` returns `Closed` once all are dropped.
///
/// ```
/// # futures::executor::block_on(async {
/// let group = channels::WaitGroup::new();
/// group.add(2);
/// for _ in 0..2 {
///     let group = group.clone();
///     std::thread::spawn(move || group.done());
/// }
/// group.wait().await;
/// # })
/// ```
#[derive(Clone, Default)]
pub struct WaitGroup {
    shared: Arc<Lock<State>>,
}

#[derive(Default)]
struct State {
    count: usize,
    /// How often the counter came to zero: whoever waited through one of them goes on, though the
    /// counter may have risen again.
    zeros: u64,
    waiting: Line<Waker>,
    places: Places,
}

impl WaitGroup {
    /// A group with nothing to wait for.
    pub fn new() -> Self {
        Self::default()
    }

    /// So many more things are to be done. Call it before starting them.
    ///
    /// # Panics
    ///
    /// If the counter overflows.
    pub fn add(&self, things: usize) {
        let mut state = self.shared.lock();
        let sum = state.count.checked_add(things);
        if let Some(sum) = sum {
            state.count = sum;
        }
        drop(state);
        assert!(sum.is_some(), "WaitGroup counter overflow");
    }

    /// One thing is done.
    ///
    /// # Panics
    ///
    /// If nothing was to be done.
    pub fn done(&self) {
        let mut state = self.shared.lock();
        let left = state.count.checked_sub(1);
        let mut waiting = Line::default();
        if let Some(left) = left {
            state.count = left;
            if left == 0 {
                state.zeros += 1;
                waiting = std::mem::take(&mut state.waiting);
            }
        }
        drop(state);
        assert!(left.is_some(), "negative WaitGroup counter");
        waiting.drain().for_each(|(_, waker)| waker.wake());
    }

    /// Waits until the counter is zero.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub fn wait(&self) -> GroupWaiting {
        GroupWaiting { shared: self.shared.clone(), parked: None }
    }

    /// [`WaitGroup::wait`] for code that is not async.
    pub fn wait_blocking(&self) {
        wait_for(self.wait());
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "WaitGroup({})", self.shared.lock().count)
    }
}

/// A wait under way; see [`WaitGroup::wait`].
#[must_use = "a wait happens when its future is awaited"]
pub struct GroupWaiting {
    shared: Arc<Lock<State>>,
    /// Where it waits, and the number of zeros before.
    parked: Option<(Place, u64)>,
}

impl Future for GroupWaiting {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let (this, waker) = (&mut *self, context.waker());
        marked!(waker, "wait for a group".to_owned());
        let mut state = this.shared.lock();
        match this.parked {
            Some((_, zeros)) if state.zeros > zeros => {
                this.parked = None;
                return Poll::Ready(());
            }
            Some((place, _)) => {
                if let Some(known) = state.waiting.at(place) {
                    known.clone_from(waker);
                }
            }
            None if state.count == 0 => return Poll::Ready(()),
            None => {
                let place = state.places.allot();
                state.waiting.push(place, waker.clone());
                this.parked = Some((place, state.zeros));
            }
        }
        waiting::note();
        Poll::Pending
    }
}

impl Drop for GroupWaiting {
    fn drop(&mut self) {
        if let Some((place, zeros)) = self.parked {
            let mut state = self.shared.lock();
            if state.zeros == zeros {
                state.waiting.leave(place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn whoever_waited_through_a_zero_goes_on_and_the_group_serves_again() {
        let group = WaitGroup::new();
        assert!(group.wait().now_or_never().is_some());
        group.add(1);
        let mut waiting = group.wait();
        assert!((&mut waiting).now_or_never().is_none());
        group.done();
        group.add(1);
        assert!((&mut waiting).now_or_never().is_some());
        assert!(group.wait().now_or_never().is_none());
    }

    #[test]
    #[should_panic(expected = "negative WaitGroup counter")]
    fn more_done_than_added_is_a_bug() {
        WaitGroup::new().done();
    }

    #[test]
    fn a_wait_given_up_leaves_nothing() {
        let group = WaitGroup::new();
        group.add(1);
        assert!(group.wait().now_or_never().is_none());
        assert!(group.shared.lock().waiting.is_empty());
    }
}
