//! `spawn`, and the handle to what was spawned.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use channels::id::TaskId;
use channels::node::Node;
use channels::outcome::Outcome;
use channels::wire::{Frame, SpawnOptions};
use channels::{Message, Receiver, RecvError};
use futures::future;
use serde::{Deserialize, Serialize};

use crate::child::{self, Begun, Stop, Told};
use crate::client;
use crate::fence;
use crate::task::{BoxFuture, Call};
use crate::trial;

/// Starts a task on any worker, and returns at once, as Go's `go f(x)` (C46).
///
/// Dropping the handle does not stop the task. When `main` returns, tasks that still run are
/// cancelled (C48).
///
/// # Panics
///
/// Outside of a runtime, that is, without `#[runtime::main]`, `#[runtime::test]` or
/// [`Runtime::block_on`](crate::Runtime::block_on) around.
///
/// ```
/// #[runtime::task]
/// async fn greet(name: String) -> String { format!("hello, {name}") }
///
/// #[runtime::main]
/// async fn main() -> Result<(), runtime::JoinError> {
///     let handle = runtime::spawn(greet("Paris".to_owned()));
///     assert_eq!(handle.await?, "hello, Paris");
///     Ok(())
/// }
/// ```
#[track_caller]
pub fn spawn<R: Message>(call: Call<R>) -> JoinHandle<R> {
    let call = match child::begin(call) {
        Ok(child) => return JoinHandle::of_child(child),
        Err(call) => call,
    };
    let Some(node) = client::current() else {
        panic!(
            "spawn was called outside of a runtime: put #[runtime::main] on `async fn main`, or \
             use runtime::Runtime::block_on"
        );
    };
    let (task, result) = TaskId::with_result();
    if trial::keeps_task() {
        let (receiver, abort) = trial::run_here(&node, task, call);
        let outcome: BoxFuture<_> = Box::pin(async move { receiver.recv().await });
        let abort = AbortHandle { task, control: Control::Here(abort) };
        return JoinHandle { abort, outcome: Joined::Away(outcome) };
    }
    let abort = AbortHandle { task, control: Control::Away(node.clone()) };
    let arguments = match call.pack(&node) {
        Ok(arguments) => arguments,
        Err(error) => {
            let reason = format!("the arguments of {}: {error}", call.task.name);
            let outcome: BoxFuture<_> = Box::pin(async { Ok(Outcome::NeverStarted(reason)) });
            return JoinHandle { abort, outcome: Joined::Away(outcome) };
        }
    };
    // The outcome's channel is made by the frame; the handle to it counts from then on.
    node.push(Frame::Spawn {
        task,
        name: call.task.name.to_owned(),
        signature: call.task.signature,
        options: SpawnOptions { parent: fence::polled_task(), ..call.options },
        result,
        arguments,
    });
    let receiver = Receiver::<Outcome<R>>::of_result(&node, result);
    let outcome: BoxFuture<_> = Box::pin(async move { receiver.recv().await });
    JoinHandle { abort, outcome: Joined::Away(outcome) }
}

/// Waits for a task's result. It is a future, as tokio's of the same name.
///
/// # Cancel safety
///
/// Awaiting `&mut handle` in a `select` that takes another branch loses nothing.
#[must_use = "await the handle to learn how the task ended, or drop it to let the task go on"]
pub struct JoinHandle<R> {
    abort: AbortHandle,
    outcome: Joined<R>,
}

/// How the outcome comes.
enum Joined<R> {
    /// On its channel.
    Away(BoxFuture<Told<R>>),
    /// From this process, where it was begun at once.
    Child(Begun<R>),
}

impl<R: Message> JoinHandle<R> {
    fn of_child(child: Begun<R>) -> Self {
        let control = Control::Child(child.control());
        let abort = AbortHandle { task: child.task(), control };
        Self { abort, outcome: Joined::Child(child) }
    }
}

impl<R> JoinHandle<R> {
    /// Asks the task to stop at its next `await`; its outcome is then [`JoinError::Cancelled`]. A
    /// task that has not started will not. A plain `fn` that runs cannot be stopped: nobody waits
    /// for it any more, and it goes on.
    ///
    /// ```
    /// #[runtime::task]
    /// async fn forever() { std::future::pending().await }
    ///
    /// #[runtime::main]
    /// async fn main() {
    ///     let handle = runtime::spawn(forever());
    ///     handle.abort();
    ///     assert_eq!(handle.await, Err(runtime::JoinError::Cancelled));
    /// }
    /// ```
    pub fn abort(&self) {
        self.abort.abort();
    }

    /// A handle that can only abort the task.
    pub fn abort_handle(&self) -> AbortHandle {
        self.abort.clone()
    }
}

/// Aborts a task; see [`JoinHandle::abort`].
#[derive(Clone)]
pub struct AbortHandle {
    task: TaskId,
    control: Control,
}

/// How a task is reached.
#[derive(Clone)]
enum Control {
    /// On a worker, by the coordinator.
    Away(Arc<Node>),
    /// In this process, where a trial keeps it.
    Here(future::AbortHandle),
    /// On this worker, which began it by itself.
    Child(Arc<dyn Stop>),
}

impl AbortHandle {
    /// Asks the task to stop at its next `await`.
    pub fn abort(&self) {
        match &self.control {
            Control::Away(node) => node.push(Frame::Abort { task: self.task }),
            Control::Here(abort) => abort.abort(),
            Control::Child(child) => child.stop(Outcome::Cancelled),
        }
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "AbortHandle({})", self.task)
    }
}

impl<R> JoinHandle<R> {
    /// Waits for the result on this thread: for a task that is a plain `fn`.
    ///
    /// # Errors
    ///
    /// As awaiting the handle.
    ///
    /// ```
    /// #[runtime::task]
    /// fn half(n: u64) -> u64 { n / 2 }
    ///
    /// #[runtime::task]
    /// fn quarter(n: u64) -> u64 { runtime::spawn(half(half_of(n))).join_blocking().unwrap() }
    /// # fn half_of(n: u64) -> u64 { n / 2 }
    ///
    /// #[runtime::main]
    /// async fn main() {
    ///     assert_eq!(runtime::spawn(quarter(12)).await, Ok(3));
    /// }
    /// ```
    pub fn join_blocking(self) -> Result<R, JoinError> {
        channels::blocking::wait_for(self)
    }
}

impl<R> Future for JoinHandle<R> {
    type Output = Result<R, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = match &mut self.outcome {
            Joined::Away(outcome) => outcome.as_mut().poll(context),
            Joined::Child(child) => {
                child.poll(context).map(|told| told.unwrap_or(Err(RecvError::Closed)))
            }
        };
        polled.map(|received| match received {
            Ok(Outcome::Returned(value)) => Ok(value),
            Ok(Outcome::Panicked(text)) => Err(JoinError::Panicked(text)),
            Ok(Outcome::Cancelled) => Err(JoinError::Cancelled),
            Ok(Outcome::DeadlineExceeded(ms)) => {
                Err(JoinError::DeadlineExceeded(Duration::from_millis(ms)))
            }
            Ok(Outcome::WorkerLost(cause)) => Err(JoinError::WorkerLost(cause)),
            Ok(Outcome::NeverStarted(reason)) => Err(JoinError::NeverStarted(reason)),
            Err(RecvError::Closed) => Err(JoinError::Cancelled),
            Err(RecvError::Lost(cause)) => Err(JoinError::CoordinatorLost(cause)),
            Err(RecvError::Malformed(reason)) => Err(JoinError::Malformed(reason)),
        })
    }
}

impl<R> fmt::Debug for JoinHandle<R> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "JoinHandle({})", self.abort.task)
    }
}

/// Why a task has no result (contract D10). A task that waits for others may return it.
///
/// ```
/// use runtime::{JoinError, spawn, task};
///
/// #[task]
/// async fn part(n: u64) -> u64 {
///     n * n
/// }
///
/// #[task]
/// async fn whole() -> Result<u64, JoinError> {
///     Ok(spawn(part(3)).await? + spawn(part(4)).await?)
/// }
///
/// #[runtime::main]
/// async fn main() {
///     assert_eq!(spawn(whole()).await, Ok(Ok(25)));
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum JoinError {
    /// Its function panicked, with this text. Other tasks of its worker go on.
    #[error("the task panicked: {0}")]
    Panicked(String),
    /// It was aborted, or the runtime ended.
    #[error("the task was cancelled")]
    Cancelled,
    /// It ran longer than its timeout.
    #[error("the task ran longer than {0:?}")]
    DeadlineExceeded(Duration),
    /// Its worker died while it ran, and it was not to be run again. It may have done anything from
    /// nothing to all.
    #[error("the task's worker is lost: {0}")]
    WorkerLost(String),
    /// It did not run at all.
    #[error("the task never started: {0}")]
    NeverStarted(String),
    /// The coordinator is gone; the task may have run.
    #[error("the coordinator is lost: {0}")]
    CoordinatorLost(String),
    /// Its result is not of the type expected: client and worker differ.
    #[error("the task's result cannot be read: {0}")]
    Malformed(String),
}
