//! Trials: a program under another placement than the scheduler's, to find what would only happen
//! in production.
//!
//! Who makes a channel or spawns a task asks here. A trial belongs to a runtime and to its workers:
//! those in this process and on this machine are told; those of a coordinator elsewhere are told by
//! their own `FARSPAWN_PLACE`.
//!
//! Timers, contexts and the outcomes of tasks are the process's own and are not tried.

use std::fmt;
use std::future::IntoFuture;
use std::panic::AssertUnwindSafe;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use channels::census::Who;
use channels::id::TaskId;
use channels::node::Node;
use channels::outcome::Outcome;
use channels::{Message, Receiver, Sender, channel_here};
use futures::FutureExt;
use futures::future::{AbortHandle, Abortable};

use crate::client;
use crate::deadlock::Watched;
use crate::fence::Fenced;
use crate::here;
use crate::task::{Call, Kind, panic_text};

/// Where channels and tasks of a program go that is tried.
///
/// ```
/// #[runtime::task]
/// async fn double(numbers: runtime::Receiver<u64>) -> u64 {
///     2 * numbers.recv().await.unwrap()
/// }
///
/// # fn main() -> Result<(), runtime::StartError> {
/// for trial in [runtime::Trial::Local, runtime::Trial::Remote, runtime::Trial::Random(7)] {
///     let runtime = runtime::Runtime::builder().trial(trial).in_memory().build()?;
///     let doubled = runtime.block_on(async {
///         let (numbers_in, numbers) = runtime::channel(1);
///         numbers_in.send(21).await.unwrap();
///         runtime::spawn(double(numbers)).await
///     });
///     assert_eq!(doubled, Ok(42));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trial {
    /// Tasks run in the client, and nothing is serialised.
    Local,
    /// Every channel is relayed from the start, also between tasks of one worker. Tasks go where
    /// the scheduler sends them.
    Remote,
    /// Every channel is relayed from the start or not, and every task that the client spawns runs
    /// there or goes to a worker, as chance will have it. What is drawn follows from this seed and
    /// from the order in which the process asks.
    Random(u64),
}

/// A trial in one process.
#[derive(Debug)]
pub(crate) struct Trying {
    trial: Trial,
    /// What the process is called; 0 for the client.
    launch: u64,
    drawn: AtomicU64,
}

impl Trying {
    pub(crate) fn new(trial: Trial, launch: Option<u64>) -> Arc<Self> {
        channels::trial::choose_with(relay);
        Arc::new(Self { trial, launch: launch.unwrap_or(0), drawn: AtomicU64::new(0) })
    }

    fn relays_channel(&self) -> bool {
        match self.trial {
            Trial::Local => false,
            Trial::Remote => true,
            Trial::Random(seed) => self.draw(seed),
        }
    }

    fn keeps_task(&self) -> bool {
        match self.trial {
            Trial::Local => true,
            Trial::Remote => false,
            // A worker might be told to leave as long as it has only tasks that nobody knows of.
            Trial::Random(seed) => self.launch == 0 && self.draw(seed),
        }
    }

    fn draw(&self, seed: u64) -> bool {
        let number = self.drawn.fetch_add(1, Relaxed);
        mix(seed ^ mix(self.launch ^ mix(number))).is_multiple_of(2)
    }
}

/// Spreads a number's bits over all of them.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// The node whose coordinator is the home of a channel that this thread makes.
fn relay() -> Option<Arc<Node>> {
    let here = client::here()?;
    here.trial.is_some_and(|trying| trying.relays_channel()).then_some(here.node)
}

/// Whether a task that this thread spawns stays here.
pub(crate) fn keeps_task() -> bool {
    here::look(|here| here.trial.as_ref().is_some_and(|trying| trying.keeps_task())) == Some(true)
}

/// Runs a task in this process: where its outcome will come, and how it is stopped.
#[track_caller]
pub(crate) fn run_here<R: Message>(
    node: &Arc<Node>,
    task: TaskId,
    call: Call<R>,
) -> (Receiver<Outcome<R>>, AbortHandle) {
    let executor = client::executor();
    let (outcome_in, outcome) = channel_here(1);
    let (abort, aborted) = AbortHandle::new_pair();
    let (name, kind, timeout_ms) = (call.task.name, call.task.kind, call.options.timeout_ms);
    if timeout_ms > 0 {
        let (late, outcome_in) = (abort.clone(), outcome_in.clone());
        executor.spawn(async move {
            tokio::time::sleep(Duration::from_millis(timeout_ms)).await;
            tell(&outcome_in, Outcome::DeadlineExceeded(timeout_ms));
            late.abort();
        });
    }
    let who = match kind {
        Kind::Async => Who::Task(name, task),
        Kind::Thread => Who::ThreadTask(name, task),
    };
    let run = Fenced::new(node, (task, 1), call.into_future());
    let run = Abortable::new(Watched::new(who, run), aborted);
    let run = async move {
        let outcome = match AssertUnwindSafe(run).catch_unwind().await {
            Ok(Ok(value)) => Outcome::Returned(value),
            Ok(Err(_)) => Outcome::Cancelled,
            Err(panic) => Outcome::Panicked(panic_text(&*panic)),
        };
        tell(&outcome_in, outcome);
    };
    match kind {
        Kind::Async => drop(executor.spawn(run)),
        Kind::Thread => drop(executor.spawn_blocking(|| channels::blocking::wait_for(run))),
    }
    (outcome, abort)
}

/// Only the first outcome counts, and there may be nobody to hear it.
fn tell<R: Message>(outcome_in: &Sender<Outcome<R>>, outcome: Outcome<R>) {
    outcome_in.try_send_blocking(outcome).ok();
}

impl FromStr for Trial {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "local" => Ok(Self::Local),
            "remote" => Ok(Self::Remote),
            "random" => Ok(Self::Random(TaskId::random().0 as u64)),
            _ => {
                let seed = text.strip_prefix("random:").and_then(|seed| seed.parse().ok());
                seed.map(Self::Random).ok_or(())
            }
        }
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => out.write_str("local"),
            Self::Remote => out.write_str("remote"),
            Self::Random(seed) => write!(out, "random:{seed}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_read_as_it_is_written() {
        for trial in [Trial::Local, Trial::Remote, Trial::Random(0), Trial::Random(u64::MAX)] {
            assert_eq!(trial.to_string().parse(), Ok(trial));
        }
        assert!(matches!("random".parse(), Ok(Trial::Random(_))));
        for text in ["", "Local", "random:", "random:x", "random:-1", "remote:1"] {
            assert_eq!(text.parse::<Trial>(), Err(()), "{text}");
        }
    }

    #[test]
    fn a_seed_draws_the_same_again_and_other_processes_draw_others() {
        let draw = |seed, launch| {
            let trying = Trying::new(Trial::Random(seed), launch);
            (0..64).map(|_| trying.relays_channel()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7, None), draw(7, None));
        assert_ne!(draw(7, None), draw(8, None));
        assert_ne!(draw(7, None), draw(7, Some(1)));
        let relayed = draw(7, None).into_iter().filter(|relayed| *relayed).count();
        assert!((20..44).contains(&relayed), "{relayed} of 64");
    }
}
