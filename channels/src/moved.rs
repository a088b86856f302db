//! How many bytes of values the channel operations of a thread moved to other processes, or from
//! them. Who polls tasks asks here what each moved.

use std::cell::Cell;

thread_local! {
    static MOVED: Cell<u64> = const { Cell::new(0) };
}

#[inline]
pub(crate) fn note(bytes: usize) {
    MOVED.set(MOVED.get().wrapping_add(bytes as u64));
}

/// What was moved on this thread since somebody last asked.
///
/// ```
/// let (sender, receiver) = channels::channel(1);
/// sender.send_blocking([0_u8; 32]).unwrap();
/// receiver.recv_blocking().unwrap();
/// assert_eq!(channels::moved::take(), 0, "within a process nothing is moved");
/// ```
#[inline]
pub fn take() -> u64 {
    MOVED.take()
}
