//! Which node a thread works for.

use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use channels::node::Node;
use tokio::runtime::Handle;

use crate::child::Children;
use crate::pace::Pacer;
use crate::trial::Trying;

thread_local! {
    pub(crate) static HERE: RefCell<Option<Here>> = const { RefCell::new(None) };
}

/// For threads that a program starts by itself: the process's one runtime.
pub(crate) static PROCESS: Mutex<Option<Here>> = Mutex::new(None);

/// Which node a thread works for.
#[derive(Clone)]
pub(crate) struct Here {
    pub(crate) node: Arc<Node>,
    pub(crate) launch: Option<u64>,
    /// For threads that are not the executor's own.
    pub(crate) executor: Option<Handle>,
    pub(crate) trial: Option<Arc<Trying>>,
    /// Where computing is emulated.
    pub(crate) pacer: Option<Arc<Pacer>>,
    /// When its process must go, if that is known.
    pub(crate) until: Option<SystemTime>,
    /// On a worker: what its tasks begin there.
    pub(crate) children: Option<Arc<Children>>,
}

impl Here {
    /// A thread of a node that is no worker.
    pub(crate) fn of(node: &Arc<Node>) -> Self {
        let node = node.clone();
        Self {
            node,
            launch: None,
            executor: None,
            trial: None,
            pacer: None,
            until: None,
            children: None,
        }
    }
}

/// From now on this thread works for a node.
pub(crate) fn enter_thread(here: Here) {
    HERE.with_borrow_mut(|slot| *slot = Some(here));
}

pub(crate) fn here() -> Option<Here> {
    look(Here::clone)
}

/// Looks at what this thread works for.
pub(crate) fn look<R>(look: impl Fn(&Here) -> R) -> Option<R> {
    let process = || PROCESS.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(&look);
    HERE.with_borrow(|here| here.as_ref().map(&look)).or_else(process)
}

/// The node that this thread works for.
pub(crate) fn current() -> Option<Arc<Node>> {
    look(|here| here.node.clone())
}

/// Where a task that this thread runs may begin others.
pub(crate) fn children() -> Option<Arc<Children>> {
    HERE.with_borrow(|here| here.as_ref()?.children.clone())
}

/// The executor that timers run on.
///
/// # Panics
///
/// Outside of a runtime.
#[track_caller]
pub(crate) fn executor() -> Handle {
    let own = || here().and_then(|here| here.executor);
    let Some(executor) = Handle::try_current().ok().or_else(own) else {
        panic!(
            "a timer was made outside of a runtime: put #[runtime::main] on `async fn main`, or \
             use runtime::Runtime::block_on"
        );
    };
    executor
}

impl fmt::Debug for Here {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Here(launch {:?})", self.launch)
    }
}
