//! The one lock of a channel in this process: short, so it spins, and naps when that does not help.
//! Unlocking is a plain store, which is half of what a channel operation would otherwise spend on a
//! lock that can sleep.
//!
//! Nothing waits under it, and nobody holds one while asking for another without being able to let
//! go (see `select.rs`); exports, which do, are one at a time (see `location.rs`).

#[cfg(not(any(loom, shuttle)))]
pub(crate) use spinning::{Guard, Lock, pause, step_back};

#[cfg(any(loom, shuttle))]
pub(crate) use checked::{Guard, Lock, pause, step_back};

#[cfg(not(any(loom, shuttle)))]
mod spinning {
    use std::hint::spin_loop;
    use std::thread::{sleep, yield_now};
    use std::time::Duration;

    use spin::mutex::{SpinMutex, SpinMutexGuard};

    /// How long a thread spins that found the lock taken, before it naps.
    const PAUSES: [u32; 3] = [8, 32, 128];
    /// How long it naps, at first and at most.
    const NAP_MIN: Duration = Duration::from_micros(20);
    const NAP_MAX: Duration = Duration::from_millis(1);

    /// Tries to have several locks at once before the same.
    const TRIES_MAX: u32 = 64;

    /// Between two tries to have several locks at once.
    #[inline]
    pub(crate) fn pause(tries: u32) {
        if tries.is_multiple_of(TRIES_MAX) { yield_now() } else { spin_loop() }
    }

    pub(crate) type Guard<'a, T> = SpinMutexGuard<'a, T>;

    #[derive(Debug, Default)]
    pub(crate) struct Lock<T>(SpinMutex<T>);

    impl<T> Lock<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(SpinMutex::new(value))
        }

        #[inline]
        pub(crate) fn lock(&self) -> Guard<'_, T> {
            match self.0.try_lock() {
                Some(guard) => guard,
                None => self.contend(),
            }
        }

        #[inline]
        pub(crate) fn try_lock(&self) -> Option<Guard<'_, T>> {
            self.0.try_lock()
        }

        pub(crate) fn get_mut(&mut self) -> &mut T {
            self.0.get_mut()
        }

        /// Steps back: a moment at first, then for as long as a wake-up of another processor takes.
        /// Whoever has the lock has the channel in its cache, and does thousands of operations in
        /// that time; a thread that asks at once, and again, makes both ten times slower.
        #[cold]
        #[expect(clippy::disallowed_methods, reason = "nobody announces that a lock is free")]
        fn contend(&self) -> Guard<'_, T> {
            for pauses in PAUSES {
                (0..pauses).for_each(|_| spin_loop());
                if let Some(guard) = self.0.try_lock() {
                    return guard;
                }
            }
            let mut nap = NAP_MIN;
            loop {
                sleep(nap);
                if let Some(guard) = self.0.try_lock() {
                    return guard;
                }
                nap = (2 * nap).min(NAP_MAX);
            }
        }
    }

    /// Spins until another thread has done something, and then naps once.
    #[cold]
    #[expect(clippy::disallowed_methods, reason = "nobody announces it")]
    pub(crate) fn step_back(is_done: impl Fn() -> bool) {
        for pauses in PAUSES {
            (0..pauses).for_each(|_| spin_loop());
            if is_done() {
                return;
            }
        }
        sleep(NAP_MIN);
    }
}

/// The same for a model checker, which knows only its own locks. Their guards cannot change threads
/// as those of a select may: so the checker's lock guards a gate, and the gate the value.
#[cfg(any(loom, shuttle))]
mod checked {
    use std::ops::{Deref, DerefMut};

    #[cfg(loom)]
    use loom::{sync::Condvar, sync::Mutex, thread::yield_now};
    #[cfg(shuttle)]
    use shuttle::{sync::Condvar, sync::Mutex, thread::yield_now};
    use spin::mutex::{SpinMutex, SpinMutexGuard};

    pub(crate) fn pause(_: u32) {
        yield_now();
    }

    #[derive(Debug, Default)]
    pub(crate) struct Lock<T> {
        gate: Gate,
        value: SpinMutex<T>,
    }

    impl<T> Lock<T> {
        pub(crate) fn new(value: T) -> Self {
            Self { gate: Gate::default(), value: SpinMutex::new(value) }
        }

        pub(crate) fn lock(&self) -> Guard<'_, T> {
            self.guard(self.gate.enter())
        }

        pub(crate) fn try_lock(&self) -> Option<Guard<'_, T>> {
            self.gate.try_enter().map(|inside| self.guard(inside))
        }

        pub(crate) fn get_mut(&mut self) -> &mut T {
            self.value.get_mut()
        }

        fn guard<'a>(&'a self, inside: Inside<'a>) -> Guard<'a, T> {
            let value = self.value.try_lock().expect("one at a time passes the gate");
            Guard { value, _inside: inside }
        }
    }

    pub(crate) struct Guard<'a, T> {
        value: SpinMutexGuard<'a, T>,
        /// Left last: fields go in order.
        _inside: Inside<'a>,
    }

    impl<T> Deref for Guard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.value
        }
    }

    impl<T> DerefMut for Guard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            &mut self.value
        }
    }

    #[derive(Debug, Default)]
    struct Gate {
        taken: Mutex<bool>,
        left: Condvar,
    }

    impl Gate {
        fn enter(&self) -> Inside<'_> {
            let mut taken = self.taken.lock().expect("no panic under the lock");
            while *taken {
                taken = self.left.wait(taken).expect("no panic under the lock");
            }
            *taken = true;
            Inside(self)
        }

        fn try_enter(&self) -> Option<Inside<'_>> {
            let mut taken = self.taken.lock().expect("no panic under the lock");
            (!std::mem::replace(&mut *taken, true)).then(|| Inside(self))
        }
    }

    struct Inside<'a>(&'a Gate);

    impl Drop for Inside<'_> {
        fn drop(&mut self) {
            // A failed check unwinds, and nothing goes on after it.
            if !std::thread::panicking() {
                *self.0.taken.lock().expect("no panic under the lock") = false;
                self.0.left.notify_one();
            }
        }
    }

    /// There is no time in a model.
    pub(crate) fn step_back(_: impl Fn() -> bool) {}
}
