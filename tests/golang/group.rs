//! `TaskGroup`: what `errgroup` promises (C58).

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use runtime::{
    Call, Context, ContextError, Receiver, Runtime, Sender, TaskGroup, TryRecvError, channel, task,
};

use crate::go::rounds;

/// Runs a test's body with workers in this process. A body that hangs fails instead.
fn with_workers<F: Future>(body: F) -> F::Output {
    let runtime = Runtime::builder().workers(2).threads(2).in_memory().build().unwrap();
    runtime.block_on(async {
        let limit = Duration::from_secs(60);
        tokio::time::timeout(limit, body).await.expect("it does not hang")
    })
}

#[task]
async fn end_with(error: Option<String>) -> Result<(), String> {
    error.map_or(Ok(()), Err)
}

fn ends_with(error: Option<&str>) -> Call<Result<(), String>> {
    end_with(error.map(str::to_owned))
}

/// What a group said, as text.
fn text<E: ToString>(outcome: Result<(), E>) -> Option<String> {
    outcome.err().map(|error| error.to_string())
}

fn is_of(text: Option<&str>, error: Option<&str>) -> bool {
    match (text, error) {
        (None, None) => true,
        (Some(text), Some(error)) => text.contains(error),
        _ => false,
    }
}

/// `TestZeroGroup`: the first error wins, and stays, however often one waits.
#[test]
fn the_first_error_wins() {
    with_workers(async {
        let (one, two) = (Some("error one"), Some("error two"));
        for errors in [&[][..], &[None], &[one], &[one, None], &[one, None, two]] {
            let (group, mut first) = (TaskGroup::new(), None);
            for error in errors {
                group.spawn(ends_with(*error)).await;
                first = first.or(*error);
                let said = text(group.wait().await);
                assert!(is_of(said.as_deref(), first), "{said:?} after {errors:?}");
            }
        }
    });
}

/// `TestWithContext`: the context ends with the first error or with the wait.
#[test]
fn the_context_ends_with_the_group() {
    with_workers(async {
        let doom = Some("doomed");
        for errors in [&[][..], &[None], &[doom], &[doom, None]] {
            let (group, context) = TaskGroup::with_context(&Context::background());
            for error in errors {
                group.spawn(ends_with(*error)).await;
            }
            let wanted = errors.iter().copied().find_map(|error| error);
            let said = text(group.wait().await);
            assert!(is_of(said.as_deref(), wanted), "{said:?} after {errors:?}");
            assert_eq!(context.done().try_recv().await, Err(TryRecvError::Closed));
            assert_eq!(context.err(), Some(ContextError::Canceled));
        }
    });
}

/// `TestCancelCause`: and it knows why.
#[test]
fn the_context_knows_the_first_error() {
    with_workers(async {
        let doom = Some("doomed");
        for errors in [&[][..], &[None], &[doom], &[doom, None]] {
            let (group, context) = TaskGroup::with_context(&Context::background());
            for error in errors {
                assert!(group.try_spawn(ends_with(*error)));
            }
            let wanted = errors.iter().copied().find_map(|error| error);
            assert_eq!(text(group.wait().await).is_some(), wanted.is_some());
            let cause = context.cause();
            let wanted = wanted.or(Some("context canceled"));
            assert!(is_of(cause.as_deref(), wanted), "because of {cause:?} after {errors:?}");
        }
    });
}

#[task]
async fn until_told(told: Receiver<()>) -> Result<(), String> {
    // Nobody tells it: the group cancels it.
    told.recv().await.map_err(|end| end.to_string())
}

/// The first error cancels the rest, and `wait` waits for them to end.
#[test]
fn an_error_cancels_the_rest() {
    with_workers(async {
        let (_told_in, told) = channel(0);
        let (group, context) = TaskGroup::with_context(&Context::background());
        for _ in 0..4 {
            group.spawn(until_told(told.clone())).await;
        }
        group.spawn(ends_with(Some("doomed"))).await;
        let said = text(group.wait().await);
        assert!(is_of(said.as_deref(), Some("doomed")), "{said:?}");
        assert_eq!(context.err(), Some(ContextError::Canceled));
    });
}

#[task]
async fn meet(one: Sender<()>) -> Result<(), String> {
    one.send(()).await.map_err(|back| back.to_string())
}

/// `TestTryGo`.
#[test]
fn try_spawn_says_no_at_the_limit() {
    with_workers(async {
        const LIMIT: usize = 42;
        let group = TaskGroup::new();
        let (one, other) = channel(0);
        group.set_limit(Some(LIMIT));
        for n in 0..LIMIT {
            assert!(group.try_spawn(meet(one.clone())), "there is room for task {n}");
        }
        assert!(!group.try_spawn(meet(one.clone())));
        for _ in 0..LIMIT {
            other.recv().await.unwrap();
        }
        assert_eq!(text(group.wait().await), None);

        assert!(group.try_spawn(meet(one.clone())), "all have ended");
        other.recv().await.unwrap();
        assert_eq!(text(group.wait().await), None);

        group.set_limit(Some(1));
        assert!(group.try_spawn(meet(one.clone())));
        assert!(!group.try_spawn(meet(one.clone())));
        other.recv().await.unwrap();
        assert_eq!(text(group.wait().await), None);

        group.set_limit(Some(0));
        for _ in 0..1 << 10 {
            assert!(!group.try_spawn(meet(one.clone())));
        }
        assert_eq!(text(group.wait().await), None);

        group.set_limit(None);
        for _ in 0..2 * LIMIT {
            assert!(group.try_spawn(meet(one.clone())));
        }
        for _ in 0..2 * LIMIT {
            other.recv().await.unwrap();
        }
        assert_eq!(text(group.wait().await), None);
    });
}

/// Counts itself in a channel that has room for as many as may be active.
#[task]
async fn be_active(enter: Sender<()>, leave: Receiver<()>) -> Result<(), String> {
    enter.try_send(()).await.map_err(|_| "more are active than may be".to_owned())?;
    tokio::task::yield_now().await;
    leave.try_recv().await.map_err(|_| "it was not counted".to_owned())
}

/// `TestGoLimit`: never more than the limit are active, and `spawn` waits for its turn.
#[test]
fn spawn_waits_at_the_limit() {
    with_workers(async {
        const LIMIT: usize = 10;
        let (enter, leave) = channel(LIMIT);
        let group = TaskGroup::new();
        group.set_limit(Some(LIMIT));
        for _ in 0..=rounds(200, 1 << 10) {
            group.spawn(be_active(enter.clone(), leave.clone())).await;
        }
        assert_eq!(text(group.wait().await), None);
    });
}

/// And while all places are taken it does not end.
#[test]
fn spawn_blocks_until_a_task_has_ended() {
    with_workers(async {
        let (one, other) = channel(0);
        let group = TaskGroup::new();
        group.set_limit(Some(1));
        group.spawn(meet(one.clone())).await;
        let mut second = pin!(group.spawn(meet(one.clone())));
        assert!(futures::poll!(second.as_mut()).is_pending());
        other.recv().await.unwrap();
        second.await;
        other.recv().await.unwrap();
        assert_eq!(text(group.wait().await), None);
    });
}
