//! Waiting on a thread: how code that is not async uses a channel.

use std::cell::{OnceCell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use crate::census::{Counted, Sleeper, Who};

thread_local! {
    static OBSERVER: RefCell<Option<Observer>> = const { RefCell::new(None) };
    /// This thread, once it has waited.
    static AGENT: OnceCell<Arc<Counted>> = const { OnceCell::new() };
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
    let mut poll = |waker: &Waker| future.as_mut().poll(&mut Context::from_waker(waker));
    if let Poll::Ready(output) = poll(&waker) {
        return output;
    }
    // Without one, if this thread is about to end: then it is not asked whether it sleeps.
    let agent = AGENT
        .try_with(|agent| agent.get_or_init(|| Arc::new(Counted::new(Who::Thread))).clone())
        .ok();
    let _sleeper = agent.as_deref().map(|agent| Sleeper::new(agent, &waker));
    observe(Wait::Parked);
    loop {
        thread::park();
        observe(Wait::Resumed);
        let polled = match &agent {
            Some(agent) => agent.poll(&waker, &mut poll),
            None => poll(&waker),
        };
        if let Poll::Ready(output) = polled {
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
