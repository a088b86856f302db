//! How a scenario is run: many times, each time in another order.

use std::future::Future;
use std::pin::pin;

use futures::FutureExt;
use shuttle::thread::{self, JoinHandle};

/// Schedules of each scenario: 216,000 of a whole run.
const SCHEDULES: usize = 8_000;

/// How many times a thread that could go on is made to wait in a schedule of the second kind.
const DEPTH: usize = 3;

/// Runs a scenario in as many orders as `CHECKS_SCHEDULES` says: half of them with each step drawn,
/// half with the threads' priorities drawn, which finds what takes few but far changes.
pub(crate) fn explore(scenario: fn()) {
    let given = std::env::var("CHECKS_SCHEDULES").ok();
    let schedules = given.map_or(SCHEDULES, |text| text.parse().expect("a number of schedules"));
    shuttle::check_random(scenario, schedules.div_ceil(2));
    shuttle::check_pct(scenario, schedules / 2, DEPTH);
}

/// Starts a thread that runs a future.
pub(crate) fn go<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    thread::spawn(|| wait_for(future))
}

/// Runs a future on this thread.
pub(crate) fn wait_for<F: Future>(future: F) -> F::Output {
    shuttle::future::block_on(future)
}

/// Waits for all threads, and collects what they return.
pub(crate) fn join<T>(threads: impl IntoIterator<Item = JoinHandle<T>>) -> Vec<T> {
    threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
}

/// Polls a future once, and drops it.
pub(crate) fn glance<F: Future>(future: F) -> Option<F::Output> {
    future.now_or_never()
}

/// Polls a future once with a waker that is of no use, then waits for it: whoever is to be woken
/// has changed in the meantime.
pub(crate) async fn handed_over<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future.as_mut().now_or_never() {
        Some(output) => output,
        None => future.await,
    }
}
