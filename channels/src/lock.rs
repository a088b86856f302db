//! The one lock of a channel in this process: short, so it spins, and yields when that does not
//! help. Unlocking is a plain store, which is half of what a channel operation would otherwise
//! spend on a lock that can sleep.
//!
//! Nothing waits under it, and nobody holds one while asking for another without being able to let
//! go (see `select.rs`); exports, which do, are one at a time (see `location.rs`).

#[cfg(not(any(loom, shuttle)))]
pub(crate) use spinning::{Guard, Lock};

#[cfg(any(loom, shuttle))]
pub(crate) use checked::{Guard, Lock};

#[cfg(not(any(loom, shuttle)))]
mod spinning {
    use std::hint::spin_loop;
    use std::thread::yield_now;

    use spin::mutex::{SpinMutex, SpinMutexGuard};

    /// Tries before the thread lets others run: the holder may have been put off the processor.
    const SPINS_MAX: u32 = 100;

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

        #[cold]
        fn contend(&self) -> Guard<'_, T> {
            let mut spins = 0;
            loop {
                while self.0.is_locked() {
                    if spins < SPINS_MAX {
                        spins += 1;
                        spin_loop();
                    } else {
                        yield_now();
                    }
                }
                if let Some(guard) = self.0.try_lock() {
                    return guard;
                }
            }
        }
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
}
