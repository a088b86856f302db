//! The one lock of a channel in this process: short, so it spins, and yields when that does not
//! help. Unlocking is a plain store, which is half of what a channel operation would otherwise
//! spend on a lock that can sleep.
//!
//! Nothing waits under it, and nobody holds one while asking for another without being able to let
//! go (see `select.rs`); exports, which do, are one at a time (see `location.rs`).

#[cfg(not(any(loom, shuttle)))]
pub(crate) use spinning::{Guard, Lock, step_back};

#[cfg(any(loom, shuttle))]
pub(crate) use checked::{Guard, Lock, step_back};

#[cfg(not(any(loom, shuttle)))]
mod spinning {
    use std::hint::spin_loop;
    use std::thread::sleep;
    use std::time::Duration;

    use spin::mutex::{SpinMutex, SpinMutexGuard};

    /// How long a thread spins that found the lock taken, before it naps.
    const PAUSES: [u32; 3] = [8, 32, 128];
    /// How long it naps, at first and at most.
    const NAP_MIN: Duration = Duration::from_micros(20);
    const NAP_MAX: Duration = Duration::from_millis(1);

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

/// The same for a model checker, which knows only its own locks.
#[cfg(any(loom, shuttle))]
mod checked {
    #[cfg(loom)]
    use loom::sync::{Mutex, MutexGuard};
    #[cfg(shuttle)]
    use shuttle::sync::{Mutex, MutexGuard};

    pub(crate) type Guard<'a, T> = MutexGuard<'a, T>;

    #[derive(Debug, Default)]
    pub(crate) struct Lock<T>(Mutex<T>);

    impl<T> Lock<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> Guard<'_, T> {
            self.0.lock().expect("no panic under the lock")
        }

        pub(crate) fn try_lock(&self) -> Option<Guard<'_, T>> {
            self.0.try_lock().ok()
        }

        pub(crate) fn get_mut(&mut self) -> &mut T {
            self.0.get_mut().expect("no panic under the lock")
        }
    }

    /// There is no time in a model.
    pub(crate) fn step_back(_: impl Fn() -> bool) {}
}
