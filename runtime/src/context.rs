//! Cancellation and deadlines down a tree of work, as Go's `context` (C57).
//!
//! States of a context: *live* -> *done* (cancelled, or past its deadline; final). A context is
//! done when its own cancel or deadline says so, or its parent is done, whichever comes first; that
//! it is done is a channel that is closed, so it can be a case of a select. Children are known to
//! their parent only as long as somebody holds them. A context that nobody holds any more, and
//! whose channel somebody may still wait on, leaves the closing of it to its parent.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use channels::{Receiver, Sender, channel_here};

use crate::client;

/// Tells work when to stop. Clones are the same context.
///
/// ```
/// use runtime::{Context, ContextError, select};
///
/// #[runtime::main]
/// async fn main() {
///     let (context, cancel) = Context::background().with_cancel();
///     let (child, _) = context.with_cancel();
///     assert_eq!(child.err(), None);
///     cancel.cancel();
///     let done = child.done();
///     select! {
///         done.recv() => {}
///     }
///     assert_eq!(child.err(), Some(ContextError::Canceled));
/// }
/// ```
#[derive(Clone)]
pub struct Context {
    node: Arc<Node>,
}

/// Ends a context. Dropping it does not.
#[derive(Clone)]
pub struct Cancel {
    node: Arc<Node>,
}

/// Why a context is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// It, or one above it, was cancelled.
    #[error("context canceled")]
    Canceled,
    /// Its deadline, or that of one above it, has passed.
    #[error("context deadline exceeded")]
    DeadlineExceeded,
}

struct Node {
    parent: Option<Arc<Self>>,
    deadline: Option<SystemTime>,
    done: Receiver<()>,
    state: Mutex<State>,
}

struct State {
    /// Until the context is done; then it is dropped, which closes `done`.
    live: Option<Sender<()>>,
    end: Option<(ContextError, Option<String>)>,
    children: BTreeMap<usize, Weak<Node>>,
    /// Ends the context at its deadline.
    timer: Option<tokio::task::AbortHandle>,
    /// Whether somebody may wait on `done`.
    is_watched: bool,
    /// Of children that nobody holds: closed when this context is done.
    left: Vec<Sender<()>>,
}

impl Context {
    /// The root: never done, without a deadline.
    pub fn background() -> Self {
        Self { node: Node::new(None, None) }
    }

    /// A child that is done when it is cancelled, or this one is done.
    pub fn with_cancel(&self) -> (Self, Cancel) {
        self.child(self.node.deadline)
    }

    /// A child that is done at a time, or earlier if this one is. In a worker whose time is limited
    /// no context has longer than that: it is done some seconds before its tasks are given up.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    #[track_caller]
    pub fn with_deadline(&self, deadline: SystemTime) -> (Self, Cancel) {
        let limits = [self.node.deadline, client::here().and_then(|here| here.until)];
        let earliest = limits.into_iter().flatten().fold(deadline, SystemTime::min);
        let (context, cancel) = self.child(Some(earliest));
        context.start_timer(earliest);
        (context, cancel)
    }

    /// A child that is done after so long, or earlier if this one is; in a worker as
    /// [`Context::with_deadline`] says.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    #[track_caller]
    pub fn with_timeout(&self, timeout: Duration) -> (Self, Cancel) {
        match now().checked_add(timeout) {
            Some(deadline) => self.with_deadline(deadline),
            // Beyond what a clock can tell, which is as good as never; but a worker has an end.
            None => match client::here().and_then(|here| here.until) {
                Some(until) => self.with_deadline(until),
                None => self.child(self.node.deadline),
            },
        }
    }

    /// A channel that is closed when the context is done; the same channel each time.
    pub fn done(&self) -> Receiver<()> {
        self.node.state().is_watched = true;
        self.node.done.clone()
    }

    /// Why the context is done, if it is.
    pub fn err(&self) -> Option<ContextError> {
        self.node.state().end.as_ref().map(|(error, _)| *error)
    }

    /// What was said when it was cancelled, in words; else the words of [`Context::err`].
    pub fn cause(&self) -> Option<String> {
        let state = self.node.state();
        let (error, cause) = state.end.as_ref()?;
        Some(cause.clone().unwrap_or_else(|| error.to_string()))
    }

    /// When it will be done at the latest.
    pub fn deadline(&self) -> Option<SystemTime> {
        self.node.deadline
    }

    fn child(&self, deadline: Option<SystemTime>) -> (Self, Cancel) {
        let node = Node::new(Some(self.node.clone()), deadline);
        let end = {
            let mut state = self.node.state();
            let key = Arc::as_ptr(&node) as usize;
            state.children.insert(key, Arc::downgrade(&node));
            state.end.clone()
        };
        if let Some((error, cause)) = end {
            node.end(error, cause);
        }
        (Self { node: node.clone() }, Cancel { node })
    }

    #[track_caller]
    fn start_timer(&self, deadline: SystemTime) {
        let Ok(left) = deadline.duration_since(now()) else {
            return self.node.end(ContextError::DeadlineExceeded, None);
        };
        let node = self.node.clone();
        let timer = client::executor().spawn(async move {
            tokio::time::sleep(left).await;
            node.end(ContextError::DeadlineExceeded, None);
        });
        let mut state = self.node.state();
        match state.end {
            None => state.timer = Some(timer.abort_handle()),
            Some(_) => timer.abort(),
        }
    }
}

impl Cancel {
    /// Ends the context and all below it. A second time changes nothing.
    pub fn cancel(&self) {
        self.node.end(ContextError::Canceled, None);
    }

    /// The same, saying why; see [`Context::cause`].
    pub fn cancel_because(&self, cause: impl Into<String>) {
        self.node.end(ContextError::Canceled, Some(cause.into()));
    }
}

impl Node {
    fn new(parent: Option<Arc<Self>>, deadline: Option<SystemTime>) -> Arc<Self> {
        let (live, done) = channel_here(0);
        let (end, children) = (None, BTreeMap::new());
        let state = Mutex::new(State {
            live: Some(live),
            end,
            children,
            timer: None,
            is_watched: false,
            left: Vec::new(),
        });
        Arc::new(Self { parent, deadline, done, state })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one step from live to done. Nobody's lock is held while another's is taken.
    fn end(self: &Arc<Self>, error: ContextError, cause: Option<String>) {
        let mut due = vec![self.clone()];
        while let Some(node) = due.pop() {
            let mut state = node.state();
            if state.end.is_some() {
                continue;
            }
            state.end = Some((error, cause.clone()));
            let (live, timer) = (state.live.take(), state.timer.take());
            let children = std::mem::take(&mut state.children);
            let left = std::mem::take(&mut state.left);
            drop(state);
            drop((live, left));
            timer.into_iter().for_each(|timer| timer.abort());
            due.extend(children.into_values().filter_map(|child| child.upgrade()));
            node.forget();
        }
    }

    /// The parent forgets this child.
    fn forget(&self) {
        if let Some(parent) = &self.parent {
            parent.state().children.remove(&(std::ptr::from_ref(self) as usize));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.forget();
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut left = std::mem::take(&mut state.left);
        left.extend(state.live.take().filter(|_| state.is_watched));
        match &self.parent {
            // Nothing above will ever be done, and dropping these would say that it is.
            None => left.into_iter().for_each(std::mem::forget),
            Some(parent) => {
                let mut parent = parent.state();
                if parent.end.is_none() {
                    parent.left.append(&mut left);
                }
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a deadline is a time of day")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

impl fmt::Debug for Context {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause() {
            Some(cause) => write!(out, "Context(done: {cause})"),
            None => out.write_str("Context(live)"),
        }
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Cancel")
    }
}

#[cfg(test)]
mod tests {
    use channels::TryRecvError;

    use super::*;

    #[test]
    fn a_child_ends_with_its_parent_and_not_the_other_way_round() {
        let (parent, cancel) = Context::background().with_cancel();
        let (child, cancel_child) = parent.with_cancel();
        let (other, _) = parent.with_cancel();
        cancel_child.cancel();
        assert_eq!((parent.err(), child.err()), (None, Some(ContextError::Canceled)));
        cancel.cancel_because("enough");
        assert_eq!(other.cause().as_deref(), Some("enough"));
        assert_eq!(parent.with_cancel().0.err(), Some(ContextError::Canceled), "born done");
    }

    #[test]
    fn a_parent_knows_its_children_only_while_they_live() {
        let (parent, _cancel) = Context::background().with_cancel();
        let (one, cancel) = parent.with_cancel();
        let two = parent.with_cancel();
        assert_eq!(parent.node.state().children.len(), 2);
        cancel.cancel();
        drop(two);
        assert!(parent.node.state().children.is_empty());
        drop(one);
    }

    #[test]
    fn a_context_that_nobody_holds_is_done_with_its_parent_and_not_before() {
        let background = Context::background().done();
        let (parent, cancel) = Context::background().with_cancel();
        let done = parent.with_cancel().0.with_cancel().0.done();
        let unseen = parent.with_cancel();
        drop(unseen);
        assert_eq!(parent.node.state().left.len(), 1, "only what somebody may wait on is kept");
        for waiting in [&background, &done] {
            assert_eq!(waiting.try_recv_blocking(), Err(TryRecvError::Empty));
        }
        cancel.cancel();
        assert_eq!(done.try_recv_blocking(), Err(TryRecvError::Closed));
    }
}
