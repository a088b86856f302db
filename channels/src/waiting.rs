//! Whether a task that waits, waits on a channel.
//!
//! A task parked on a channel gives its place on the worker to another, for that other may be the
//! one it waits for. A task that waits for a disk or a socket keeps it. The executor asks here.

use std::cell::Cell;

thread_local! {
    static ON_CHANNEL: Cell<bool> = const { Cell::new(false) };
}

/// A channel operation has returned `Pending` on this thread.
pub(crate) fn note() {
    ON_CHANNEL.set(true);
}

/// Whether a channel operation returned `Pending` on this thread since somebody last asked.
///
/// ```
/// use futures::FutureExt;
///
/// let (_sender, receiver) = channels::channel::<u8>(0);
/// channels::waiting::take();
/// assert!(receiver.recv().now_or_never().is_none());
/// assert!(channels::waiting::take());
/// assert!(!channels::waiting::take());
/// ```
pub fn take() -> bool {
    ON_CHANNEL.replace(false)
}
