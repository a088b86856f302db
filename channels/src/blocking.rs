//! Waiting on a thread: how code that is not async uses a channel.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

thread_local! {
    static OBSERVER: RefCell<Option<Observer>> = const { RefCell::new(None) };
}

struct Observer(Box<dyn Fn(Wait)>);

/// What a waiting thread does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// It has nothing to do until somebody wakes it.
    Parked,
    /// It goes on.
    Resumed,
}

/// Blocks the thread until the future is ready.
///
/// ```
/// assert_eq!(channels::blocking::wait_for(async { 6 * 7 }), 42);
/// ```
pub fn wait_for<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
        return output;
    }
    observe(Wait::Parked);
    loop {
        thread::park();
        observe(Wait::Resumed);
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        observe(Wait::Parked);
    }
}

/// From now on, tells when this thread parks in [`wait_for`] and when it goes on. A worker counts
/// its occupied threads so.
pub fn observe_with(observer: impl Fn(Wait) + 'static) {
    OBSERVER.with_borrow_mut(|slot| *slot = Some(Observer(Box::new(observer))));
}

fn observe(wait: Wait) {
    OBSERVER.with_borrow(|slot| {
        if let Some(observer) = slot {
            (observer.0)(wait);
        }
    });
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
