//! Computing that is emulated, so that a worker with six cores can be tried on a machine that has
//! two: it takes as long as it would, and no CPU.
//!
//! Tasks of a worker that compute share its cores equally, none has more than one, and when there
//! are more tasks than cores a little is lost by interference, as in `coordinator::sim`. Service is
//! counted in virtual time: each that computes gets the same, so a task ends when the virtual time
//! has gone on by what it takes.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::client;
use crate::fence;

/// Loss by interference for each task beyond the cores, over the cores.
const INTERFERENCE: f64 = 0.02;

/// One worker's cores.
#[derive(Debug)]
pub(crate) struct Pacer {
    cores: f64,
    state: Mutex<State>,
    has_changed: Notify,
}

#[derive(Debug)]
struct State {
    /// Virtual time in seconds, and when it was that.
    served: f64,
    at: Instant,
    tasks: usize,
}

impl Pacer {
    pub(crate) fn new(cores: f64) -> Self {
        let state = State { served: 0.0, at: Instant::now(), tasks: 0 };
        Self { cores: cores.max(0.01), state: Mutex::new(state), has_changed: Notify::new() }
    }

    /// Service a second for each of so many tasks.
    fn rate(&self, tasks: usize) -> f64 {
        let crowd = tasks as f64 / self.cores;
        if crowd <= 1.0 { 1.0 } else { 1.0 / crowd / (1.0 + INTERFERENCE * (crowd - 1.0)) }
    }

    /// Brings the virtual time up to now, adds or takes away a task, and tells the virtual time.
    fn change(&self, by: isize) -> (f64, usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let elapsed = now.saturating_duration_since(state.at).as_secs_f64();
        state.served += elapsed * self.rate(state.tasks);
        state.at = now;
        state.tasks = state.tasks.saturating_add_signed(by);
        let (served, tasks) = (state.served, state.tasks);
        drop(state);
        if by != 0 {
            self.has_changed.notify_waiters();
        }
        (served, tasks)
    }

    async fn compute(&self, cpu: Duration) {
        let computing = Computing(self);
        let (begun, _) = self.change(1);
        let until = begun + cpu.as_secs_f64();
        loop {
            let changed = self.has_changed.notified();
            let (served, tasks) = self.change(0);
            let left = (until - served) / self.rate(tasks);
            if left <= 0.0 {
                break;
            }
            tokio::select! {
                () = sleep(Duration::from_secs_f64(left)) => {}
                () = changed => {}
            }
        }
        drop(computing);
    }
}

/// A task computes until this is dropped.
struct Computing<'a>(&'a Pacer);

impl Drop for Computing<'_> {
    fn drop(&mut self) {
        self.0.change(-1);
    }
}

/// Takes as long as so much computing would on a worker with the cores of
/// [`Builder::emulate`](crate::Builder::emulate), beside the other tasks there that do the same,
/// and counts as CPU time of the task. Elsewhere it takes just as long as that.
///
/// # Cancel safety
///
/// A computation that is given up has not been counted.
///
/// ```
/// # use std::time::Duration;
/// #[runtime::task]
/// async fn crunch() { runtime::emulate_cpu(Duration::from_millis(5)).await }
///
/// #[runtime::main]
/// async fn main() {
///     runtime::spawn(crunch()).await.unwrap();
///     let report = runtime::report().await.unwrap();
///     assert!(report.kinds[0].cpu_seconds >= 0.005);
/// }
/// ```
pub async fn emulate_cpu(cpu: Duration) {
    let begun = Instant::now();
    let seat = fence::polled_seat();
    let _emulating = seat.as_deref().map(|seat| seat.emulate());
    match client::here().and_then(|here| here.pacer) {
        Some(pacer) => pacer.compute(cpu).await,
        None => sleep(cpu).await,
    }
    if let Some(seat) = &seat {
        seat.watch.emulated(cpu, begun.elapsed().saturating_sub(cpu));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;

    /// In virtual time: how long so many computations of a second take together.
    async fn together(cores: f64, tasks: usize) -> f64 {
        let pacer = Pacer::new(cores);
        let begun = Instant::now();
        join_all((0..tasks).map(|_| pacer.compute(Duration::from_secs(1)))).await;
        begun.elapsed().as_secs_f64()
    }

    #[tokio::test(start_paused = true)]
    async fn cores_are_shared_equally() {
        assert!((together(6.0, 1).await - 1.0).abs() < 0.01);
        assert!((together(6.0, 6).await - 1.0).abs() < 0.01);
        assert!((together(6.0, 12).await - 2.0 * 1.02).abs() < 0.02);
        assert!((together(0.5, 1).await - 2.0 * 1.02).abs() < 0.02);
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_later_slows_those_that_are_there() {
        let pacer = Pacer::new(1.0);
        let begun = Instant::now();
        let later = async {
            sleep(Duration::from_millis(500)).await;
            pacer.compute(Duration::from_secs(1)).await;
            begun.elapsed().as_secs_f64()
        };
        let first = async {
            pacer.compute(Duration::from_secs(1)).await;
            begun.elapsed().as_secs_f64()
        };
        let (first, later) = futures::join!(first, later);
        assert!((first - (0.5 + 1.02)).abs() < 0.02, "{first}");
        assert!((later - (1.52 + 0.5)).abs() < 0.03, "{later}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_leaves_the_cores_to_others() {
        let pacer = Pacer::new(1.0);
        let begun = Instant::now();
        let gives_up = async {
            let computing = pacer.compute(Duration::from_secs(9));
            tokio::time::timeout(Duration::from_millis(510), computing).await.ok();
        };
        futures::join!(pacer.compute(Duration::from_secs(1)), gives_up);
        let took = begun.elapsed().as_secs_f64();
        assert!((took - 1.26).abs() < 0.02, "{took}");
    }
}
