//! Courtesy of the woken: a task that is polled before its waker has come back from waking it lets
//! that thread go on first.
//!
//! An executor with several threads rouses an idle one when the woken task lies in a queue, and the
//! kernel may give it the very processor of the thread that wakes, which is then in the middle of
//! its poll. The roused thread would take the task and one value, wait again and sleep; the other
//! would go on, wake again, and so on: a system call and two switches of threads for every few
//! messages. If the woken steps back instead, the other one finishes, and both tasks end up on one
//! thread, which nobody disturbs.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::claim::{Waiting, Wakes};
use crate::lock::step_back;

/// Whether somebody is waking those who wait on a channel. Only a hint: of two who wake at once the
/// first to be done takes it down.
#[derive(Debug, Default)]
pub(crate) struct Waking(AtomicBool);

impl Waking {
    /// Wakes them, without the channel's lock.
    #[inline]
    pub(crate) fn wake(&self, wakes: Wakes) {
        if !wakes.is_empty() {
            self.0.store(true, Ordering::Relaxed);
            wakes.wake();
            self.0.store(false, Ordering::Relaxed);
        }
    }

    fn wake_one(&self, waiter: Waiting) {
        self.0.store(true, Ordering::Relaxed);
        waiter.wake();
        self.0.store(false, Ordering::Relaxed);
    }

    /// Lets whoever is waking go on, for a moment at most.
    #[inline]
    pub(crate) fn let_finish(&self) {
        if self.0.load(Ordering::Relaxed) {
            step_back(|| !self.0.load(Ordering::Relaxed));
        }
    }
}

/// One who can go on. It is woken when this is dropped: made before the channel's lock is taken,
/// that is after it was released.
#[derive(Debug)]
pub(crate) struct Told<'a> {
    pub(crate) waking: &'a Waking,
    pub(crate) waiter: Option<Waiting>,
}

impl Drop for Told<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(waiter) = self.waiter.take() {
            self.waking.wake_one(waiter);
        }
    }
}
