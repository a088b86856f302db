//! Tasks that belong together: the first error cancels the rest, as Go's `errgroup` (C58).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use channels::census::Who;
use channels::{Message, WaitGroup};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::client;
use crate::context::{Cancel, Context};
use crate::deadlock::Watched;
use crate::spawn::{AbortHandle, JoinError, spawn};
use crate::task::Call;

/// Tasks of which the first error counts and aborts the others. An error can be cloned and printed:
/// it is returned by every wait, and is the cause of the group's context.
///
/// ```
/// #[runtime::task]
/// async fn check(n: u32) -> Result<(), String> {
///     if n == 3 { Err(format!("{n} is wrong")) } else { Ok(()) }
/// }
///
/// #[runtime::main]
/// async fn main() {
///     let group = runtime::TaskGroup::new();
///     for n in 0..5 {
///         group.spawn(check(n)).await;
///     }
///     assert_eq!(group.wait().await, Err(runtime::GroupError::Failed("3 is wrong".to_owned())));
/// }
/// ```
pub struct TaskGroup<E> {
    shared: Arc<Group<E>>,
}

struct Group<E> {
    state: Mutex<State<E>>,
    running: WaitGroup,
    cancel: Option<Cancel>,
}

struct State<E> {
    room: Option<Arc<Semaphore>>,
    first: Option<GroupError<E>>,
    /// Those that have not ended, each by a number.
    tasks: BTreeMap<u64, AbortHandle>,
    next: u64,
}

/// The first thing that went wrong in a group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupError<E> {
    /// A task returned this error.
    #[error("{0}")]
    Failed(E),
    /// A task did not return: it panicked, or its worker was lost, say.
    #[error(transparent)]
    Task(JoinError),
}

impl<E: Message + Clone + fmt::Display> TaskGroup<E> {
    /// A group without tasks and without a limit.
    #[expect(clippy::new_without_default, reason = "there is no default error type")]
    pub fn new() -> Self {
        Self::with(None)
    }

    /// A group, and a context for its tasks' callers that is done at the first error, which is its
    /// cause then, and when [`TaskGroup::wait`] returns.
    pub fn with_context(parent: &Context) -> (Self, Context) {
        let (context, cancel) = parent.with_cancel();
        (Self::with(Some(cancel)), context)
    }

    fn with(cancel: Option<Cancel>) -> Self {
        let state = Mutex::new(State { room: None, first: None, tasks: BTreeMap::new(), next: 0 });
        Self { shared: Arc::new(Group { state, running: WaitGroup::new(), cancel }) }
    }

    /// At most so many tasks at once from now on; `None` is no limit. With a limit of zero nothing
    /// can start. Tasks that run already do not count.
    pub fn set_limit(&self, tasks_max: Option<usize>) {
        let room = tasks_max.map(|tasks| Semaphore::new(tasks.min(Semaphore::MAX_PERMITS)));
        self.shared.state().room = room.map(Arc::new);
    }

    /// Starts a task; at the limit it waits first until one has ended. After the first error
    /// nothing is started any more.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it is ready starts nothing.
    pub async fn spawn(&self, call: Call<Result<(), E>>) {
        let room = self.shared.state().room.clone();
        let permit = match room {
            Some(room) => Some(room.acquire_owned().await.expect("it is never closed")),
            None => None,
        };
        self.start(call, permit);
    }

    /// Starts a task unless the limit is reached. False if it is.
    pub fn try_spawn(&self, call: Call<Result<(), E>>) -> bool {
        let room = self.shared.state().room.clone();
        let permit = room.map(Semaphore::try_acquire_owned).transpose();
        let Ok(permit) = permit else { return false };
        self.start(call, permit);
        true
    }

    /// Waits until all tasks have ended.
    ///
    /// # Errors
    ///
    /// The first error of a task, each time; the others were aborted then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn wait(&self) -> Result<(), GroupError<E>> {
        self.shared.running.wait().await;
        if let Some(cancel) = &self.shared.cancel {
            cancel.cancel();
        }
        let state = self.shared.state();
        state.first.clone().map_or(Ok(()), Err)
    }

    fn start(&self, call: Call<Result<(), E>>, permit: Option<OwnedSemaphorePermit>) {
        let shared = self.shared.clone();
        let mut state = shared.state();
        if state.first.is_some() {
            return;
        }
        let handle = spawn(call);
        state.next += 1;
        let number = state.next;
        state.tasks.insert(number, handle.abort_handle());
        drop(state);
        shared.running.add(1);
        let waiting = Box::pin(async move {
            let _done = Done(&shared.running);
            let _permit = permit;
            let ended = handle.await;
            shared.state().tasks.remove(&number);
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => shared.fail(GroupError::Failed(error)),
                Err(error) => shared.fail(GroupError::Task(error)),
            }
        });
        client::executor().spawn(Watched::new(Who::Group, waiting));
    }
}

impl<E> Group<E> {
    fn state(&self) -> MutexGuard<'_, State<E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, error: GroupError<E>)
    where
        E: fmt::Display,
    {
        let mut state = self.state();
        if state.first.is_some() {
            return;
        }
        let cause = error.to_string();
        state.first = Some(error);
        let tasks = std::mem::take(&mut state.tasks);
        drop(state);
        if let Some(cancel) = &self.cancel {
            cancel.cancel_because(cause);
        }
        tasks.values().for_each(AbortHandle::abort);
    }
}

/// Counts down also when the executor drops the task.
struct Done<'a>(&'a WaitGroup);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.done();
    }
}

impl<E> fmt::Debug for TaskGroup<E> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "TaskGroup({:?})", self.shared.running)
    }
}
