//! Whether a task that waits, waits on a channel; and, if it is asked, on which.
//!
//! A task parked on a channel gives its place on the worker to another, for that other may be the
//! one it waits for. A task that waits for a disk or a socket keeps it. The executor asks here.
//!
//! A task that is polled in `mark_while` leaves a *mark* wherever it comes to wait on a channel:
//! what is stored there is not a clone of the task's waker but a waker of its own around it. So it
//! is known how many of the task's wakers channels hold, and for how long; all others are held by
//! something else (see `census.rs`). Outside of it a mark costs a look at a flag.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::task::{Wake, Waker};

/// A channel operation has returned `Pending` on this thread.
const NOTED: u8 = 1;
/// Operations on this thread leave marks.
const MARKING: u8 = 2;

thread_local! {
    static FLAGS: Cell<u8> = const { Cell::new(0) };
    static MARKING_FOR: RefCell<Option<Marking>> = const { RefCell::new(None) };
}

/// The marks that are being left on a thread.
struct Marking {
    /// Whose. Other wakers are not the task's own, and are left alone.
    waker: Waker,
    marks: Vec<Arc<Mark>>,
}

/// A channel operation has returned `Pending` on this thread.
#[inline]
pub(crate) fn note() {
    FLAGS.set(FLAGS.get() | NOTED);
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
    let flags = FLAGS.get();
    FLAGS.set(flags & !NOTED);
    flags & NOTED != 0
}

/// Whether operations on this thread leave marks.
#[inline]
pub(crate) fn is_marking() -> bool {
    FLAGS.get() & MARKING != 0
}

/// The waker to wait with in place of `waker`, if marks are left: it says where it waits.
#[inline]
pub(crate) fn waker_at(waker: &Waker, place: impl FnOnce() -> String) -> Option<Waker> {
    if is_marking() { mark(waker, place) } else { None }
}

#[cold]
fn mark(waker: &Waker, place: impl FnOnce() -> String) -> Option<Waker> {
    MARKING_FOR.with_borrow_mut(|marking| {
        let marking = marking.as_mut().filter(|marking| marking.waker.will_wake(waker))?;
        let mark = Arc::new(Mark { waker: waker.clone(), place: place() });
        marking.marks.push(mark.clone());
        Some(Waker::from(mark))
    })
}

/// Polls something with a waker, and tells where on channels it came to wait.
pub(crate) fn mark_while<R>(waker: Waker, poll: impl FnOnce(&Waker) -> R) -> (R, Marks) {
    let own = waker.clone();
    let before = MARKING_FOR.replace(Some(Marking { waker, marks: Vec::new() }));
    let flags = FLAGS.get();
    FLAGS.set(flags | MARKING);
    let mut restore = Restore { before: Some(before), was_marking: flags & MARKING };
    let result = poll(&own);
    let marks = restore.now().map_or_else(Vec::new, |marking| marking.marks);
    drop(own);
    let mut marks = Marks(marks);
    marks.0.retain(|mark| Arc::strong_count(mark) > 1);
    (result, marks)
}

/// Puts back what a thread was marking before, also when a poll panics.
struct Restore {
    before: Option<Option<Marking>>,
    was_marking: u8,
}

impl Restore {
    fn now(&mut self) -> Option<Marking> {
        let before = self.before.take()?;
        FLAGS.set((FLAGS.get() & !MARKING) | self.was_marking);
        MARKING_FOR.replace(before)
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        self.now();
    }
}

/// A waker that a channel holds, and where.
struct Mark {
    waker: Waker,
    place: String,
}

impl Wake for Mark {
    fn wake(self: Arc<Self>) {
        self.waker.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.waker.wake_by_ref();
    }
}

/// Where something waits on channels.
pub(crate) struct Marks(Vec<Arc<Mark>>);

impl Marks {
    /// How many there are; each holds one clone of the waker.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether all are still where they were left.
    pub(crate) fn hold(&self) -> bool {
        self.0.iter().all(|mark| Arc::strong_count(mark) > 1)
    }

    /// What is done there.
    pub(crate) fn places(&self) -> Vec<String> {
        let mut places: Vec<String> = Vec::new();
        for mark in &self.0 {
            if !places.contains(&mark.place) {
                places.push(mark.place.clone());
            }
        }
        places
    }
}

/// A channel operation wherever it goes slowly: from here on it waits with a marked waker.
macro_rules! marked {
    ($waker:ident, $place:expr) => {
        let marked = $crate::waiting::waker_at($waker, || $place);
        let $waker = marked.as_ref().unwrap_or($waker);
    };
}
pub(crate) use marked;

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Context;

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

    #[test]
    fn what_waits_twice_says_so_once() {
        let (_sender, receiver) = channel::<u8>(0);
        take();
        for _ in 0..2 {
            assert!(receiver.recv().now_or_never().is_none());
        }
        assert_eq!((take(), take()), (true, false));
    }

    #[test]
    fn marks_are_left_as_long_as_it_is_asked_for() {
        take();
        assert!(!is_marking());
        mark_while(Waker::noop().clone(), |_| {
            mark_while(Waker::noop().clone(), |_| assert!(is_marking(), "within another"));
            assert!(is_marking(), "still");
        });
        assert!(!is_marking() && !take(), "and nothing was noted");
        note();
        mark_while(Waker::noop().clone(), |_| assert!(take(), "it was noted before"));
        assert!(!take(), "and was asked about");
    }

    #[derive(Default)]
    struct Counted(AtomicU32);

    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Clones of the waker that are alive after a poll, marks that channels hold, and where.
    fn poll(future: Pin<&mut (impl Future + ?Sized)>) -> (usize, usize, Vec<String>) {
        let counted = Arc::<Counted>::default();
        let (_, marks) = mark_while(Waker::from(counted.clone()), |waker| {
            future.poll(&mut Context::from_waker(waker)).is_ready()
        });
        assert!(marks.hold());
        (Arc::strong_count(&counted) - 1, marks.len(), marks.places())
    }

    #[test]
    fn every_way_to_wait_on_a_channel_leaves_one_mark_and_no_other_waker() {
        let (sender, receiver) = channel::<u8>(1);
        let mut receive = std::pin::pin!(receiver.recv());
        for round in 0..3 {
            let (alive, marks, places) = poll(receive.as_mut());
            assert_eq!((alive, marks), (1, 1), "round {round}");
            assert!(places[0].starts_with("receive from channel"), "{places:?}");
            assert!(places[0].contains("waiting.rs"), "{places:?}");
        }
        let (full, other) = channel::<u8>(0);
        let mut send = std::pin::pin!(full.send(3));
        for _ in 0..2 {
            assert_eq!(poll(send.as_mut()).1, 1);
            let (alive, marks, places) = poll(send.as_mut());
            assert_eq!((alive, marks), (1, 1));
            assert!(places[0].starts_with("send to channel"), "{places:?}");
        }
        let group = WaitGroup::new();
        group.add(1);
        let mut wait = std::pin::pin!(group.wait());
        for _ in 0..2 {
            assert_eq!(poll(wait.as_mut()), (1, 1, vec!["wait for a group".to_owned()]));
        }
        let mut select = Select::new();
        select.recv(&receiver);
        select.recv(&other);
        select.send(&full, 7);
        let mut wait = std::pin::pin!(select.wait());
        drop((sender, send));
        let (alive, marks, places) = poll(wait.as_mut());
        assert_eq!((alive, marks), (0, 0), "the first channel has ended: {places:?}");
    }

    #[test]
    fn a_select_leaves_one_mark_for_all_its_cases() {
        let ((_one_in, one), (_two_in, two)) = (channel::<u8>(0), channel::<u8>(0));
        let mut select = Select::new();
        select.recv(&one);
        select.recv(&two);
        select.recv(None::<&crate::Receiver<u8>>);
        let mut wait = std::pin::pin!(select.wait());
        for _ in 0..3 {
            let (alive, marks, places) = poll(wait.as_mut());
            assert_eq!((alive, marks), (1, 1));
            assert!(places[0].starts_with("select of 3"), "{places:?}");
            assert_eq!(places[0].matches("receive from channel").count(), 2, "{places:?}");
        }
    }

    #[test]
    fn other_wakers_are_seen_and_what_was_given_up_leaves_nothing() {
        let (_sender, receiver) = channel::<u8>(0);
        let stored = Lock::default();
        let mut mixed = std::pin::pin!(std::future::poll_fn(|context| {
            assert!(receiver.recv().poll_unpin(context).is_pending(), "and given up at once");
            *stored.0.lock().unwrap() = Some(context.waker().clone());
            std::task::Poll::<()>::Pending
        }));
        assert_eq!(poll(mixed.as_mut()), (1, 0, vec![]));
        let mut foreign = std::pin::pin!(async {
            let inner = Waker::from(Arc::<Counted>::default());
            let mut receive = std::pin::pin!(receiver.recv());
            assert!(receive.as_mut().poll(&mut Context::from_waker(&inner)).is_pending());
            std::future::pending::<()>().await;
        });
        assert_eq!(poll(foreign.as_mut()), (0, 0, vec![]), "another's waker is no mark of ours");
    }

    #[derive(Default)]
    struct Lock(std::sync::Mutex<Option<Waker>>);
}
