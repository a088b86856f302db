//! `WaitGroup`: `sync/waitgroup_test.go`, and what the race detector's tests of it mean (C56).
//!
//! A group counts in one process, so its goroutines are plain futures of this one.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use futures::future::join_all;
use runtime::{TryRecvError, WaitGroup, channel};
use tokio::task::yield_now;

use crate::go::{blocks, program, rounds};

/// A variable that several write, ordered by the group alone.
type Cells = Arc<Vec<AtomicUsize>>;

fn cells(count: usize) -> Cells {
    Arc::new((0..count).map(|_| AtomicUsize::new(0)).collect())
}

fn add_one(cells: &Cells, at: usize) {
    cells[at].fetch_add(1, Relaxed);
}

fn all_are(cells: &Cells, value: usize) -> bool {
    cells.iter().all(|cell| cell.load(Relaxed) == value)
}

/// `TestWaitGroup`: nobody passes a group before its last member is done, and then all do; and so
/// again.
#[test]
fn a_barrier_opens_with_the_last_and_for_all() {
    program(async {
        const MEMBERS: usize = 16;
        let (arrived, open) = (WaitGroup::new(), WaitGroup::new());
        for _ in 0..8 {
            arrived.add(MEMBERS);
            open.add(MEMBERS);
            let (passed_in, passed) = channel(MEMBERS);
            for _ in 0..MEMBERS {
                let (arrived, open, passed_in) = (arrived.clone(), open.clone(), passed_in.clone());
                tokio::spawn(async move {
                    arrived.done();
                    open.wait().await;
                    passed_in.send(()).await.unwrap();
                });
            }
            arrived.wait().await;
            for _ in 0..MEMBERS {
                assert_eq!(passed.try_recv().await, Err(TryRecvError::Empty), "too soon");
                open.done();
            }
            for _ in 0..MEMBERS {
                passed.recv().await.unwrap();
            }
        }
    });
}

/// `TestWaitGroupMisuse`.
#[test]
#[should_panic(expected = "negative WaitGroup counter")]
fn more_may_not_be_done_than_was_added() {
    let group = WaitGroup::new();
    group.add(1);
    group.done();
    group.done();
}

/// `TestWaitGroupRace`: no wait ends before both are done.
#[test]
fn a_wait_does_not_end_early() {
    program(async {
        for round in 0..rounds(500, 10_000) {
            let (group, counts) = (WaitGroup::new(), cells(1));
            for _ in 0..2 {
                group.add(1);
                let (group, counts) = (group.clone(), counts.clone());
                tokio::spawn(async move {
                    add_one(&counts, 0);
                    group.done();
                });
            }
            group.wait().await;
            assert!(all_are(&counts, 2), "round {round}: it did not wait for both");
        }
    });
}

/// `NoRaceWaitGroupMultipleWait`, `…2` and `…3`: any number may wait, members too.
#[test]
fn many_may_wait() {
    program(async {
        const MEMBERS: usize = 3;
        for _ in 0..rounds(100, 5000) {
            let (group, data) = (WaitGroup::new(), cells(MEMBERS));
            group.add(MEMBERS);
            let members = (0..MEMBERS).map(|me| {
                let (group, data) = (group.clone(), data.clone());
                tokio::spawn(async move {
                    add_one(&data, me);
                    group.done();
                    group.wait().await;
                    all_are(&data, 1)
                })
            });
            let members: Vec<_> = members.collect();
            let strangers = (0..MEMBERS).map(|_| {
                let (group, data) = (group.clone(), data.clone());
                tokio::spawn(async move {
                    group.wait().await;
                    all_are(&data, 1)
                })
            });
            let waiters = members.into_iter().chain(strangers.collect::<Vec<_>>());
            for saw_all in join_all(waiters).await {
                assert!(saw_all.unwrap());
            }
        }
    });
}

/// A group that counts nothing lets everybody pass.
#[test]
fn an_empty_group_is_not_waited_for() {
    program(async {
        let group = WaitGroup::new();
        group.wait().await;
        group.wait_blocking();
        group.add(0);
        group.wait().await;
        group.add(2);
        group.done();
        group.done();
        group.wait().await;
    });
}

/// `NoRaceWaitGroupReuse` and `…2`: after its waits have ended a group counts again.
#[test]
fn a_group_is_used_again() {
    program(async {
        const MEMBERS: usize = 3;
        let (group, data) = (WaitGroup::new(), cells(MEMBERS));
        for turn in 0..rounds(100, 5000) {
            group.add(MEMBERS);
            for me in 0..MEMBERS {
                let (group, data) = (group.clone(), data.clone());
                tokio::spawn(async move {
                    add_one(&data, me);
                    group.done();
                });
            }
            let (other, seen) = (group.clone(), data.clone());
            let other = tokio::spawn(async move {
                other.wait().await;
                all_are(&seen, turn + 1)
            });
            group.wait().await;
            assert!(all_are(&data, turn + 1));
            assert!(other.await.unwrap());
        }
    });
}

/// `NoRaceWaitGroupConcurrentAdd`: members may come one by one, if each is known to have come
/// before anybody waits.
#[test]
fn members_may_come_at_the_same_time() {
    program(async {
        const MEMBERS: usize = 4;
        for _ in 0..rounds(100, 5000) {
            let (group, data) = (WaitGroup::new(), cells(MEMBERS));
            let (came_in, came) = channel(MEMBERS);
            for me in 0..MEMBERS {
                let (group, data, came_in) = (group.clone(), data.clone(), came_in.clone());
                tokio::spawn(async move {
                    group.add(1);
                    came_in.send(()).await.unwrap();
                    yield_now().await;
                    add_one(&data, me);
                    group.done();
                });
            }
            for _ in 0..MEMBERS {
                came.recv().await.unwrap();
            }
            group.wait().await;
            assert!(all_are(&data, 1));
        }
    });
}

/// `NoRaceWaitGroupTransitive`, step by step: a wait stands while one is missing, one that is given
/// up holds nobody, and all that wait end with the last.
#[test]
fn a_wait_ends_with_the_last_one_done() {
    program(async {
        let group = WaitGroup::new();
        group.add(2);
        let (mut one, mut other) = (pin!(group.wait()), pin!(group.wait()));
        assert!(blocks(one.as_mut()).await);
        {
            let mut given_up = pin!(group.wait());
            assert!(blocks(given_up.as_mut()).await);
        }
        assert!(blocks(other.as_mut()).await);
        group.clone().done();
        assert!(blocks(one.as_mut()).await && blocks(other.as_mut()).await);
        group.done();
        one.await;
        other.await;
    });
}

/// On threads, as a task that computes would.
#[test]
fn a_thread_may_wait() {
    let (group, data) = (WaitGroup::new(), cells(4));
    group.add(4);
    let threads: Vec<_> = (0..4)
        .map(|me| {
            let (group, data) = (group.clone(), data.clone());
            std::thread::spawn(move || {
                add_one(&data, me);
                group.done();
                group.wait_blocking();
                all_are(&data, 1)
            })
        })
        .collect();
    group.wait_blocking();
    assert!(all_are(&data, 1));
    for thread in threads {
        assert!(thread.join().unwrap());
    }
}
