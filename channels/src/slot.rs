//! A place for one value that one task waits for in the same process: how the outcome of a task
//! comes to whoever joins it where it ran.
//!
//! States: *empty*, perhaps with who waits -> *full* -> *taken*. What comes second is refused. For
//! the census a slot is a channel: whoever waits here leaves a mark.

use std::fmt;
use std::task::{Poll, Waker};

use crate::lock::Lock;
use crate::waiting::{self, is_marking, marked};

/// The place.
pub struct Slot<T>(Lock<State<T>>);

enum State<T> {
    Empty(Option<Waker>),
    Full(T),
    Taken,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self(Lock::new(State::Empty(None)))
    }
}

impl<T> Slot<T> {
    /// Puts the value there, and wakes who waits. If one came before, this one comes back.
    pub fn fill(&self, value: T) -> Result<(), T> {
        let mut state = self.0.lock();
        let State::Empty(waiting) = &mut *state else { return Err(value) };
        let waiting = waiting.take();
        *state = State::Full(value);
        drop(state);
        if let Some(waker) = waiting {
            waker.wake();
        }
        Ok(())
    }

    /// Takes the value, or waits for it in place of whoever waited before. None if it was taken.
    /// `place` says in words what is waited for.
    pub fn poll_take(&self, waker: &Waker, place: impl FnOnce() -> String) -> Poll<Option<T>> {
        let mut state = self.0.lock();
        let waiting = match &mut *state {
            State::Empty(waiting) => waiting,
            State::Full(_) => {
                let State::Full(value) = std::mem::replace(&mut *state, State::Taken) else {
                    unreachable!("it was looked at under the same lock")
                };
                return Poll::Ready(Some(value));
            }
            State::Taken => return Poll::Ready(None),
        };
        let is_same = waiting.as_ref().is_some_and(|other| other.will_wake(waker));
        let mut before = None;
        if !is_same || is_marking() {
            marked!(waker, place());
            before = waiting.replace(waker.clone());
        }
        drop(state);
        drop(before);
        waiting::note();
        Poll::Pending
    }

    /// Whoever waited does so no more.
    pub fn give_up(&self) {
        let mut state = self.0.lock();
        let before = match &mut *state {
            State::Empty(waiting) => waiting.take(),
            State::Full(_) | State::Taken => None,
        };
        drop(state);
        drop(before);
    }
}

impl<T> fmt::Debug for Slot<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Slot")
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    use super::*;
    use crate::waiting::mark_while;

    #[derive(Default)]
    struct Woken(AtomicU32);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn poll(slot: &Slot<u8>, waker: &Waker) -> Poll<Option<u8>> {
        slot.poll_take(waker, || "join of a task".to_owned())
    }

    #[test]
    fn the_first_value_is_taken_once() {
        let slot = Slot::default();
        let woken = Arc::<Woken>::default();
        let waker = Waker::from(woken.clone());
        assert!(poll(&slot, &waker).is_pending() && waiting::take());
        assert_eq!(slot.fill(1), Ok(()));
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert_eq!(slot.fill(2), Err(2));
        assert_eq!(poll(&slot, &waker), Poll::Ready(Some(1)));
        assert_eq!(poll(&slot, &waker), Poll::Ready(None));
        assert!(!waiting::take());
        assert_eq!(slot.fill(3), Err(3));
        assert_eq!(Arc::strong_count(&woken), 2, "none is kept");
    }

    #[test]
    fn who_waits_leaves_one_mark_and_no_other_waker() {
        let slot = Slot::default();
        let woken = Arc::<Woken>::default();
        for round in 0..3 {
            let waker = Waker::from(woken.clone());
            let (polled, marks) = mark_while(waker, |waker| poll(&slot, waker));
            assert!(polled.is_pending());
            assert_eq!((marks.len(), Arc::strong_count(&woken)), (1, 2), "round {round}");
            assert_eq!(marks.places(), ["join of a task"]);
            assert!(marks.hold());
            if round == 2 {
                slot.give_up();
                assert!(!marks.hold());
            }
        }
        assert!(poll(&slot, Waker::noop()).is_pending());
        assert_eq!(slot.fill(1), Ok(()));
        assert_eq!(woken.0.load(Ordering::Relaxed), 0, "it had given up");
    }
}
