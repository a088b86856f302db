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

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::{Select, WaitGroup, channel};

    #[test]
    fn whatever_waits_says_so_and_nothing_else() {
        let (sender, receiver) = channel(1);
        let group = WaitGroup::new();
        group.add(1);
        take();
        assert!(sender.send(1).now_or_never().is_some() && !take(), "there was room");
        assert!(sender.send(2).now_or_never().is_none() && take());
        assert!(receiver.recv().now_or_never().is_some() && !take(), "there was a value");
        assert!(receiver.recv().now_or_never().is_none() && take());
        let mut select = Select::new();
        select.recv(&receiver);
        assert!(select.wait().now_or_never().is_none() && take());
        assert!(group.wait().now_or_never().is_none() && take());
    }
}
