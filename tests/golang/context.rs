//! `Context`: `context/x_test.go`, without the values and the contexts of others' making that ours
//! has not (C57).

use std::time::{Duration, SystemTime};

use futures::future::join_all;
use runtime::{Cancel, Context, ContextError, RecvError, TryRecvError, select};

use crate::choices::Dice;
use crate::go::{program, rounds};

/// Long enough for the test to end before.
const LONG: Duration = Duration::from_secs(3600 * 1000);
const SHORT: Duration = Duration::from_millis(1);

/// That it is not done, and says so in all ways.
async fn goes_on(context: &Context) {
    assert_eq!(context.done().try_recv().await, Err(TryRecvError::Empty));
    assert_eq!((context.err(), context.cause()), (None, None));
    let done = select! {
        context.done() => true,
        default => false,
    };
    assert!(!done);
}

/// That it is done already, for this reason.
async fn has_ended(context: &Context, with: ContextError) {
    assert_eq!(context.done().try_recv().await, Err(TryRecvError::Closed));
    assert_eq!(context.err(), Some(with));
}

/// That it will be done by itself.
async fn times_out(context: &Context) {
    assert_eq!(context.done().recv().await, Err(RecvError::Closed));
    has_ended(context, ContextError::DeadlineExceeded).await;
}

#[test]
fn the_background_is_never_done() {
    program(async {
        let background = Context::background();
        goes_on(&background).await;
        assert_eq!(background.deadline(), None);
    });
}

#[test]
fn cancel_reaches_the_context_and_its_children() {
    program(async {
        let (parent, cancel) = Context::background().with_cancel();
        let (child, _cancel_child) = parent.with_cancel();
        let copy = parent.clone();
        for context in [&parent, &child, &copy] {
            goes_on(context).await;
        }
        cancel.cancel();
        for context in [&parent, &child, &copy] {
            has_ended(context, ContextError::Canceled).await;
        }
        assert!(parent.done().same_channel(&parent.done()), "it is the same each time");
        // A second time nothing happens.
        cancel.cancel();
        has_ended(&parent, ContextError::Canceled).await;
    });
}

#[test]
fn a_parent_ends_its_children() {
    program(async {
        let (parent, cancel) = Context::background().with_cancel();
        let (child, _stop) = parent.with_cancel();
        let (timed, _stop_too) = parent.with_timeout(LONG);
        let (grandchild, _stop_as_well) = timed.with_cancel();
        let all = [&parent, &child, &timed, &grandchild];
        for context in all {
            goes_on(context).await;
        }
        cancel.cancel();
        for context in all {
            has_ended(context, ContextError::Canceled).await;
        }
        let (late, _stop) = parent.with_timeout(LONG);
        has_ended(&late, ContextError::Canceled).await;
    });
}

#[test]
fn a_child_does_not_end_its_parent() {
    program(async {
        let (cancelable, _stop) = Context::background().with_cancel();
        for parent in [Context::background(), cancelable] {
            let (child, cancel) = parent.with_cancel();
            let (sibling, _stop) = parent.with_cancel();
            cancel.cancel();
            has_ended(&child, ContextError::Canceled).await;
            goes_on(&parent).await;
            goes_on(&sibling).await;
        }
    });
}

#[test]
fn a_child_of_a_context_that_has_ended_has_ended() {
    program(async {
        let (parent, cancel) = Context::background().with_cancel();
        cancel.cancel();
        let (child, _stop) = parent.with_cancel();
        has_ended(&child, ContextError::Canceled).await;
    });
}

#[test]
fn a_timeout_ends_a_context() {
    program(async {
        let (context, _stop) = Context::background().with_timeout(SHORT);
        times_out(&context).await;
        let (context, _stop) = Context::background().with_timeout(Duration::ZERO);
        times_out(&context).await;
        let (child, _stop) = context.with_timeout(LONG);
        times_out(&child).await;
        let (parent, _stop) = Context::background().with_timeout(SHORT);
        let (child, _stop_child) = parent.with_timeout(LONG);
        let (grandchild, _stop_grandchild) = child.with_cancel();
        for context in [&parent, &child, &grandchild] {
            times_out(context).await;
        }
    });
}

#[test]
fn a_deadline_ends_a_context() {
    program(async {
        let (past, _stop) = Context::background().with_deadline(SystemTime::UNIX_EPOCH);
        times_out(&past).await;
        let soon = Context::background().with_timeout(SHORT).0.deadline().unwrap();
        let (context, _stop) = Context::background().with_deadline(soon);
        assert_eq!(context.deadline(), Some(soon));
        times_out(&context).await;
    });
}

/// The earliest deadline wins, whichever was asked for first.
#[test]
fn the_earliest_deadline_wins() {
    program(async {
        let (early, _stop) = Context::background().with_timeout(LONG);
        let deadline = early.deadline().unwrap();
        let (later, _stop_later) = early.with_deadline(deadline + LONG);
        assert_eq!(later.deadline(), Some(deadline));
        let earlier = deadline - Duration::from_secs(3600);
        let (earlier_child, _stop_earlier) = later.with_deadline(earlier);
        assert_eq!(earlier_child.deadline(), Some(earlier));
        assert_eq!(earlier_child.with_cancel().0.deadline(), Some(earlier));
        assert_eq!(later.deadline(), Some(deadline), "a child's deadline is not its parent's");
        goes_on(&earlier_child).await;
    });
}

/// What ends a context first is what has ended it.
#[test]
fn cancel_before_the_deadline_is_a_cancel() {
    program(async {
        let (parent, _stop) = Context::background().with_timeout(LONG);
        let (child, cancel) = parent.with_timeout(LONG);
        cancel.cancel();
        has_ended(&child, ContextError::Canceled).await;
        goes_on(&parent).await;
        let (timed, cancel) = Context::background().with_timeout(SHORT);
        times_out(&timed).await;
        cancel.cancel();
        has_ended(&timed, ContextError::DeadlineExceeded).await;
    });
}

#[test]
fn the_first_cause_is_kept_and_passed_on() {
    program(async {
        let (parent, cancel) = Context::background().with_cancel();
        let (child, cancel_child) = parent.with_cancel();
        cancel.cancel_because("the disk is full");
        cancel.cancel_because("nobody cares any more");
        cancel_child.cancel_because("too late as well");
        for context in [&parent, &child] {
            has_ended(context, ContextError::Canceled).await;
            assert_eq!(context.cause().as_deref(), Some("the disk is full"));
        }
    });
}

/// Ours: a `Cancel` that goes out of scope cancels nothing, as Go's function that nobody calls.
#[test]
fn dropping_the_cancel_does_not_cancel() {
    program(async {
        let (context, cancel) = Context::background().with_cancel();
        drop(cancel);
        goes_on(&context).await;
    });
}

/// `SimultaneousCancels`: a tree of contexts, all cancelled at once, in any order, on two threads.
#[test]
fn a_tree_is_cancelled_from_all_sides() {
    program(async {
        for seed in 0..rounds(10, 200) as u64 {
            let mut all: Vec<(Context, Cancel)> = vec![Context::background().with_cancel()];
            let mut parent = 0;
            while all.len() < 100 {
                for _ in 0..4 {
                    let child = all[parent].0.with_cancel();
                    all.push(child);
                }
                parent += 1;
            }
            Dice(seed).shuffle(&mut all);
            let (contexts, cancels): (Vec<_>, Vec<_>) = all.into_iter().unzip();
            let mut waits = contexts;
            Dice(seed + 1).shuffle(&mut waits);
            let cancelled = cancels.into_iter().map(|cancel| {
                tokio::spawn(async move {
                    cancel.cancel();
                })
            });
            let cancelled: Vec<_> = cancelled.collect();
            for context in &waits {
                assert_eq!(context.done().recv().await, Err(RecvError::Closed));
                has_ended(context, ContextError::Canceled).await;
            }
            for returned in join_all(cancelled).await {
                returned.unwrap();
            }
        }
    });
}

/// `InterlockedCancels`: who waits for a parent may cancel the child meanwhile.
#[test]
fn a_parent_and_its_child_are_cancelled_together() {
    program(async {
        for _ in 0..rounds(100, 5000) {
            let (parent, cancel_parent) = Context::background().with_cancel();
            let (child, cancel_child) = parent.with_cancel();
            let other = tokio::spawn(async move {
                assert_eq!(parent.done().recv().await, Err(RecvError::Closed));
                cancel_child.cancel();
            });
            cancel_parent.cancel();
            assert_eq!(child.done().recv().await, Err(RecvError::Closed));
            other.await.unwrap();
        }
    });
}

/// `LayersCancel`, `LayersTimeout`: thirty contexts in each other, of both kinds.
async fn layers(seed: u64, timeout: Duration) {
    let mut dice = Dice(seed);
    let (mut context, mut cancels) = (Context::background(), Vec::new());
    for layer in 0..30 {
        let (next, cancel) = if layer > 0 && dice.roll(2) == 0 {
            context.with_cancel()
        } else {
            context.with_timeout(timeout)
        };
        context = next;
        cancels.push(cancel);
    }
    if timeout == LONG {
        goes_on(&context).await;
        cancels[dice.roll(cancels.len())].cancel();
        has_ended(&context, ContextError::Canceled).await;
    } else {
        times_out(&context).await;
    }
}

#[test]
fn a_cancel_in_any_layer_reaches_the_innermost() {
    program(async {
        for seed in 0..rounds(100, 1000) as u64 {
            layers(seed, LONG).await;
        }
    });
}

#[test]
fn a_timeout_in_any_layer_reaches_the_innermost() {
    program(async {
        for seed in 0..rounds(20, 200) as u64 {
            layers(seed, SHORT).await;
        }
    });
}
