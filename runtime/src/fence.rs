//! What a task shows to those outside of the system, which cannot see that a worker was fenced: a
//! token that tells its effects apart, and an old attempt from a new one (contract D1).
//!
//! An attempt has its identity for as long as it is polled, on the thread that polls it.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use channels::id::TaskId;
use channels::node::Node;

use crate::occupancy::Seat;

thread_local! {
    /// The attempt that this thread polls.
    static POLLED: RefCell<Option<Arc<Identity>>> = const { RefCell::new(None) };
}

/// One attempt of a task.
#[derive(Debug)]
struct Identity {
    node: Arc<Node>,
    task: TaskId,
    attempt: u32,
    /// The nearest task above it that the coordinator knows, or itself.
    known: TaskId,
    /// Tokens given so far.
    operations: AtomicU64,
    /// None in tests.
    seat: Option<Arc<Seat>>,
}

/// Names one effect of a task on the world outside: see [`fence_token`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FenceToken {
    epoch: u64,
    task: u128,
    attempt: u32,
    operation: u64,
}

/// A token for one effect outside of the system: a request to a store or a service, say. Each call
/// gives another. `None` outside of a task, and on threads and `tokio::spawn`ed futures that a task
/// starts.
///
/// What a worker does *inside* the system ends when it is fenced, but nobody can call back a
/// request that it sent elsewhere before, or that a poll under way still sends. A service that
/// understands idempotency keys is given [`FenceToken::key`]: if the task is deterministic, another
/// attempt at it comes with the same keys in the same order. A store that can compare keeps the
/// highest [`FenceToken::attempt`] that it has seen of a [`FenceToken::task`], and refuses lower
/// ones.
///
/// ```
/// use runtime::FenceToken;
///
/// #[runtime::task]
/// async fn pay() -> (String, String) {
///     let token = || runtime::fence_token().expect("this is a task");
///     assert_eq!(token().attempt(), 1);
///     (token().key(), token().key())
/// }
///
/// #[runtime::main]
/// async fn main() {
///     let (first, second) = runtime::spawn(pay()).await.unwrap();
///     assert_ne!(first, second);
///     assert_eq!(runtime::fence_token(), None::<FenceToken>);
/// }
/// ```
pub fn fence_token() -> Option<FenceToken> {
    POLLED.with_borrow(|polled| {
        let identity = polled.as_ref()?;
        let Identity { node, task, attempt, operations, .. } = &**identity;
        let operation = operations.fetch_add(1, Ordering::Relaxed) + 1;
        Some(FenceToken { epoch: node.epoch(), task: task.0, attempt: *attempt, operation })
    })
}

/// The seat of the task that this thread runs now, if it does.
pub(crate) fn polled_seat() -> Option<Arc<Seat>> {
    POLLED.with_borrow(|polled| polled.as_ref().and_then(|identity| identity.seat.clone()))
}

/// The task that this thread runs now, if it does; if the coordinator does not know it, the nearest
/// above it that it knows.
pub(crate) fn polled_task() -> Option<TaskId> {
    POLLED.with_borrow(|polled| polled.as_ref().map(|identity| identity.known))
}

impl FenceToken {
    /// Which incarnation of its worker the task runs in. It goes up with each fence in the system.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The task: the same for all of its attempts, and never used for another.
    pub fn task(&self) -> u128 {
        self.task
    }

    /// Which attempt at the task it is, from 1. A higher one begins only after the worker of the
    /// lower one was fenced.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Which token of this attempt it is, from 1.
    pub fn operation(&self) -> u64 {
        self.operation
    }

    /// The task and the number of the operation, as text: the same in each attempt.
    pub fn key(&self) -> String {
        format!("{:032x}-{}", self.task, self.operation)
    }
}

/// All four parts: no two tokens look the same.
impl fmt::Display for FenceToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { epoch, task, attempt, operation } = self;
        write!(out, "{epoch}-{task:032x}-{attempt}-{operation}")
    }
}

/// A future of an attempt.
pub(crate) struct Fenced<F> {
    identity: Arc<Identity>,
    inner: F,
}

impl<F> Fenced<F> {
    pub(crate) fn new(node: &Arc<Node>, (task, attempt): (TaskId, u32), inner: F) -> Self {
        let (node, operations) = (node.clone(), AtomicU64::new(0));
        let identity = Identity { node, task, attempt, known: task, operations, seat: None };
        Self { identity: Arc::new(identity), inner }
    }

    /// The same for a task that the coordinator does not know, below one that it does.
    pub(crate) fn below(mut self, known: TaskId) -> Self {
        if let Some(identity) = Arc::get_mut(&mut self.identity) {
            identity.known = known;
        }
        self
    }

    /// The same for an attempt that has a seat.
    pub(crate) fn seated(mut self, seat: Arc<Seat>) -> Self {
        if let Some(identity) = Arc::get_mut(&mut self.identity) {
            identity.seat = Some(seat);
        }
        self
    }
}

impl<F: Future + Unpin> Future for Fenced<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let before = POLLED.replace(Some(this.identity.clone()));
        let _restore = Restore(before);
        Pin::new(&mut this.inner).poll(context)
    }
}

/// Puts back what the thread polled before, also when a poll panics.
struct Restore(Option<Arc<Identity>>);

impl Drop for Restore {
    fn drop(&mut self) {
        POLLED.set(self.0.take());
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn token() -> FenceToken {
        fence_token().unwrap()
    }

    #[test]
    fn each_token_of_an_attempt_is_another_and_keys_are_those_of_the_task() {
        let node = Node::new(|| {});
        node.set_epoch(7);
        let two = |attempt| {
            let body = async { [token(), token()] };
            Fenced::new(&node, (TaskId(1), attempt), Box::pin(body)).now_or_never().unwrap()
        };
        let (first, second) = (two(1), two(2));
        assert_eq!([first[0].operation(), first[1].operation()], [1, 2]);
        assert_eq!(first.map(|token| token.key()), second.map(|token| token.key()));
        assert_ne!(first[0].to_string(), second[0].to_string());
        assert_eq!((first[0].epoch(), second[0].attempt()), (7, 2));
    }

    #[test]
    fn an_attempt_is_polled_where_it_is_and_nowhere_else() {
        let node = Node::new(|| {});
        let inner = Fenced::new(&node, (TaskId(2), 1), Box::pin(async { token().task() }));
        let panics = Fenced::new(&node, (TaskId(3), 1), Box::pin(async { panic!("on purpose") }));
        let outer = async {
            let inner = inner.await;
            let panicked = std::panic::AssertUnwindSafe(panics).catch_unwind().await.is_err();
            (inner, panicked, token().task())
        };
        let outer = Fenced::new(&node, (TaskId(1), 1), Box::pin(outer));
        assert_eq!(outer.now_or_never(), Some((2, true, 1)));
        assert_eq!(fence_token(), None);
    }
}
