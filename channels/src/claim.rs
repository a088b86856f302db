//! Who waits on a channel in this process: a task, or a case of a select. The claim decides which
//! case of a select happens.
//!
//! States of a [`Claim`]: *open* (every case waits) -> *chosen* (one case happened; final) or
//! *stirred* (a channel has moved away; the select withdraws its cases and starts anew). Whoever
//! makes the step holds the lock of the channel of that case; only one ever succeeds.

use std::sync::Arc;
use std::task::Waker;

#[cfg(loom)]
use loom::sync::atomic::{AtomicUsize, Ordering};
#[cfg(shuttle)]
use shuttle::sync::atomic::{AtomicUsize, Ordering};
#[cfg(not(any(loom, shuttle)))]
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::chan::{Effect, Waiter};
use crate::lock::Lock;

const OPEN: usize = usize::MAX;
const STIRRED: usize = usize::MAX - 1;

/// Which case of one select happened, and whom to wake.
#[derive(Debug)]
pub struct Claim {
    state: AtomicUsize,
    waker: Lock<Option<Waker>>,
}

/// What a select finds when it is polled again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Claimed {
    /// Nothing happened yet.
    Open,
    /// This case happened.
    Chosen(usize),
    /// A channel moved away.
    Stirred,
}

impl Claim {
    pub(crate) fn new(waker: Waker) -> Arc<Self> {
        Arc::new(Self { state: AtomicUsize::new(OPEN), waker: Lock::new(Some(waker)) })
    }

    /// Makes a case the one that happened, unless another is already.
    pub(crate) fn choose(&self, case: usize) -> bool {
        self.step(case)
    }

    /// Makes the select start anew, unless a case has happened already.
    pub(crate) fn stir(&self) -> bool {
        self.step(STIRRED)
    }

    /// What happened, and from now on wakes another.
    pub(crate) fn poll(&self, waker: &Waker) -> Claimed {
        // A bug on purpose, for the checks: what happens before the waker is stored is not seen.
        if cfg!(planted = "wakeup") && self.state.load(Ordering::Acquire) == OPEN {
            *self.waker.lock() = Some(waker.clone());
            return Claimed::Open;
        }
        let mut slot = self.waker.lock();
        if slot.as_ref().is_none_or(|known| !known.will_wake(waker)) {
            *slot = Some(waker.clone());
        }
        drop(slot);
        match self.state.load(Ordering::Acquire) {
            OPEN => Claimed::Open,
            STIRRED => Claimed::Stirred,
            case => Claimed::Chosen(case),
        }
    }

    pub(crate) fn wake(&self) {
        let waker = self.waker.lock().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn step(&self, to: usize) -> bool {
        // A bug on purpose, for the checks: two may find it open.
        if cfg!(planted = "claim") {
            let is_open = self.state.load(Ordering::Acquire) == OPEN;
            if is_open {
                self.state.store(to, Ordering::Release);
            }
            return is_open;
        }
        self.state.compare_exchange(OPEN, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// Who waits.
#[derive(Clone, Debug)]
pub(crate) enum Waiting {
    /// An operation of its own.
    Task(Waker),
    /// A case of a select.
    Case(Arc<Claim>, usize),
}

impl Waiting {
    #[inline]
    pub(crate) fn wake(self) {
        match self {
            Self::Task(waker) => waker.wake(),
            Self::Case(claim, _) => claim.wake(),
        }
    }
}

impl Waiter for Waiting {
    const TAKES: bool = true;
    type Kept = ();

    fn keep(&self) {}

    fn kept((): &()) -> Option<Self> {
        None
    }

    #[inline]
    fn claim(&self) -> bool {
        match self {
            Self::Task(_) => true,
            Self::Case(claim, case) => claim.choose(*case),
        }
    }

    fn stir(&self) -> bool {
        match self {
            Self::Task(_) => false,
            Self::Case(claim, _) => claim.stir(),
        }
    }

    fn told() -> Option<Self> {
        Some(Self::Task(Waker::noop().clone()))
    }
}

/// Whom to wake once the lock is released.
#[derive(Default)]
pub struct Wakes {
    first: Option<Waiting>,
    rest: Option<Vec<Waiting>>,
}

impl Wakes {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    #[inline]
    pub(crate) fn note(&mut self) -> impl FnMut(Effect<Waiting>) + '_ {
        |effect| self.add(effect.waiter)
    }

    #[inline]
    pub(crate) fn add(&mut self, waiter: Waiting) {
        match &self.first {
            None => self.first = Some(waiter),
            Some(_) => self.rest.get_or_insert_default().push(waiter),
        }
    }

    #[inline]
    pub(crate) fn wake(self) {
        if let Some(first) = self.first {
            first.wake();
        }
        if let Some(rest) = self.rest {
            rest.into_iter().for_each(Waiting::wake);
        }
    }
}

#[cfg(all(loom, test))]
mod models;

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            assert!(!self.0.swap(true, Ordering::Relaxed), "woken once");
        }
    }

    fn wakers() -> ([Arc<Woken>; 2], [Waker; 2]) {
        let woken = [Arc::<Woken>::default(), Arc::default()];
        (woken.clone(), woken.map(Waker::from))
    }

    fn is_woken(woken: &[Arc<Woken>; 2]) -> [bool; 2] {
        woken.each_ref().map(|woken| woken.0.load(Ordering::Relaxed))
    }

    #[test]
    fn the_first_step_is_the_last() {
        let (_, [waker, _]) = wakers();
        let claim = Claim::new(waker.clone());
        assert_eq!(claim.poll(&waker), Claimed::Open);
        assert_eq!([claim.choose(3), claim.choose(4), claim.stir()], [true, false, false]);
        assert_eq!(claim.poll(&waker), Claimed::Chosen(3));

        let claim = Claim::new(waker.clone());
        assert_eq!([claim.stir(), claim.choose(4), claim.stir()], [true, false, false]);
        assert_eq!(claim.poll(&waker), Claimed::Stirred);
    }

    #[test]
    fn it_wakes_whoever_polled_last_and_once() {
        let (woken, [first, second]) = wakers();
        let claim = Claim::new(first.clone());
        claim.poll(&first);
        claim.poll(&second);
        claim.wake();
        claim.wake();
        assert_eq!(is_woken(&woken), [false, true]);
        claim.poll(&first);
        claim.wake();
        assert_eq!(is_woken(&woken), [true, true]);
    }

    #[test]
    fn all_who_were_noted_are_woken() {
        let (woken, [first, second]) = wakers();
        let mut wakes = Wakes::default();
        wakes.add(Waiting::Task(first));
        wakes.add(Waiting::Case(Claim::new(second), 0));
        wakes.add(Waiting::Task(Waker::noop().clone()));
        assert_eq!(is_woken(&woken), [false, false]);
        wakes.wake();
        assert_eq!(is_woken(&woken), [true, true]);
    }

    #[test]
    fn a_task_may_always_and_a_case_unless_another_was_chosen() {
        let claim = Claim::new(Waker::noop().clone());
        let cases = [0, 1].map(|case| Waiting::Case(claim.clone(), case));
        assert_eq!(cases.map(|case| case.claim()), [true, false]);
        let task = Waiting::Task(Waker::noop().clone());
        assert_eq!([task.claim(), task.claim()], [true, true]);
    }
}
