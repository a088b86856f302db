//! Word of what was taken that waits for a moment. A task that takes one value after another says
//! so once: when its poll ends, when it has taken a part of what it may, or when it does something
//! else that the home hears of, which must not come first.
//!
//! Only a thread that polls tasks under a [`Later`] lets word wait; any other rings at once. A poll
//! that goes on and on is found out by the ticks of whoever owns the socket, which rings too.

use std::cell::{Cell, RefCell};
use std::sync::Weak;

use super::Node;

/// Microseconds since some moment.
pub type Clock = fn() -> u64;

thread_local! {
    /// How many polls are under way, one within the other.
    static POLLS: Cell<usize> = const { Cell::new(0) };
    /// What time it is.
    static CLOCK: Cell<Clock> = const { Cell::new(|| 0) };
    /// Nodes that have something to say at the end of the innermost.
    static UNSAID: RefCell<Vec<Weak<Node>>> = const { RefCell::new(Vec::new()) };
}

/// A poll of a task is under way on this thread. When it ends, nodes say what they have to say.
///
/// # Examples
///
/// ```
/// use channels::node::Later;
///
/// let poll = Later::begin(|| 0);
/// // Tasks receive.
/// drop(poll);
/// ```
#[derive(Debug)]
pub struct Later(());

impl Later {
    /// A poll begins, on a thread that reads this clock: word does not wait for long, though the
    /// poll may.
    #[must_use = "the poll ends when this is dropped"]
    pub fn begin(clock: Clock) -> Self {
        POLLS.set(POLLS.get() + 1);
        CLOCK.set(clock);
        Self(())
    }
}

/// What time it is, for who polls under a [`Later`].
pub(crate) fn now() -> u64 {
    CLOCK.get()()
}

impl Drop for Later {
    fn drop(&mut self) {
        POLLS.set(POLLS.get() - 1);
        let unsaid = UNSAID.with_borrow_mut(|unsaid| {
            if unsaid.is_empty() { Vec::new() } else { std::mem::take(unsaid) }
        });
        unsaid.iter().filter_map(Weak::upgrade).for_each(|node| node.ring_for_all());
    }
}

impl Node {
    /// Whether this thread rings later, as it will from now on.
    pub(super) fn tells_later(&self) -> bool {
        let may_wait = POLLS.get() > 0;
        if may_wait {
            UNSAID.with_borrow_mut(|unsaid| unsaid.push(self.me.clone()));
        }
        may_wait
    }

    /// Nothing waits any longer.
    pub(crate) fn ring_for_all(&self) {
        let rings = self.state.lock().rings();
        if rings {
            (self.doorbell)();
        }
    }
}
