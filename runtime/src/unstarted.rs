//! A task between its arrival and its first poll: as long as nobody has looked at its arguments it
//! can be given back, and run elsewhere as if it had never been here.
//!
//! A letter is *sealed* -> *opened* (its attempt began) or *taken back*; each happens at most once.
//! If it is dropped sealed, the handles in it go back to the coordinator.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use channels::node::Node;
use channels::wire::Parcel;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::task::{Ended, Started, Task};

/// A task's arguments.
pub(crate) struct Letter {
    node: Arc<Node>,
    parcel: Mutex<Option<Parcel>>,
    begun: OnceLock<Instant>,
}

impl Letter {
    pub(crate) fn new(node: &Arc<Node>, parcel: Parcel) -> Arc<Self> {
        let (node, parcel) = (node.clone(), Mutex::new(Some(parcel)));
        Arc::new(Self { node, parcel, begun: OnceLock::new() })
    }

    /// Whoever takes it answers for the handles in it.
    pub(crate) fn take(&self) -> Option<Parcel> {
        self.parcel.lock().take()
    }

    /// For how long the attempt has been under way, if it began.
    pub(crate) fn running(&self) -> Duration {
        self.begun.get().map_or(Duration::ZERO, Instant::elapsed)
    }
}

impl Drop for Letter {
    fn drop(&mut self) {
        let parcel = self.parcel.get_mut().take().unwrap_or_default();
        parcel.passages.into_iter().for_each(|passage| self.node.give_back(passage));
    }
}

/// An attempt, which begins when it is first polled.
pub(crate) enum Attempted {
    /// Not begun.
    Waiting(&'static Task, Arc<Letter>),
    /// Under way.
    Begun(Started),
}

impl Attempted {
    pub(crate) fn new(task: &'static Task, letter: Arc<Letter>) -> Self {
        Self::Waiting(task, letter)
    }
}

impl Future for Attempted {
    type Output = Ended;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Ended> {
        if let Self::Waiting(task, letter) = &*self {
            // Taken back: it is about to be dropped.
            let Some(parcel) = letter.take() else { return Poll::Pending };
            letter.begun.get_or_init(Instant::now);
            let begun = (task.start)(letter.node.clone(), parcel);
            *self = Self::Begun(begun);
        }
        match &mut *self {
            Self::Begun(begun) => begun.as_mut().poll(context),
            Self::Waiting(..) => Poll::Pending,
        }
    }
}
