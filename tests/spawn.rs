//! The walk of a task: spawned here, run elsewhere, its outcome awaited.

use std::time::Duration;

use crate::cluster::{run, with_processes, with_threads};
use runtime::{JoinError, Place, Receiver, Runtime, Sender, channel, current_worker, spawn, task};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    dishes: Vec<String>,
    table: Option<u32>,
}

#[task]
async fn serve(order: Order, tip: f64) -> Result<Order, String> {
    match order.table {
        Some(table) => Ok(Order { table: Some(table + tip as u32), ..order }),
        None => Err("no table".to_owned()),
    }
}

#[task]
fn process_id() -> u32 {
    std::process::id()
}

#[task]
async fn explode(text: String) {
    panic!("it was {text}");
}

/// Ends as what it waits for.
#[task]
async fn follow(text: String) -> Result<(), JoinError> {
    spawn(explode(text)).await
}

#[task]
async fn forever() {
    std::future::pending::<()>().await;
}

#[task]
fn gate(opened: Receiver<()>) -> bool {
    opened.recv_blocking().is_err()
}

#[test]
fn arguments_go_and_results_come_back() {
    with_processes(1, async {
        let order = Order { dishes: vec!["soup".into(), "fish".into()], table: Some(7) };
        let served = spawn(serve(order, 2.0)).await.unwrap().unwrap();
        assert_eq!(served, Order { dishes: vec!["soup".into(), "fish".into()], table: Some(9) });
        let order = Order { dishes: Vec::new(), table: None };
        assert_eq!(spawn(serve(order, 0.0)).await, Ok(Err("no table".to_owned())));
    });
}

#[test]
fn a_call_that_is_awaited_runs_here() {
    with_processes(1, async {
        assert_eq!(process_id().await, std::process::id());
        assert_ne!(spawn(process_id()).await, Ok(std::process::id()));
    });
}

#[test]
fn a_panics_text_arrives_and_others_go_on() {
    with_processes(1, async {
        let beside = spawn(forever());
        let error = spawn(explode("a bad day".to_owned())).await.unwrap_err();
        assert_eq!(error, JoinError::Panicked("it was a bad day".to_owned()));
        let ended = spawn(follow("a worse one".to_owned())).await.unwrap();
        assert_eq!(ended, Err(JoinError::Panicked("it was a worse one".to_owned())));
        assert!(spawn(process_id()).await.is_ok(), "the worker lives");
        beside.abort();
        assert_eq!(beside.await, Err(JoinError::Cancelled));
    });
}

#[test]
fn abort_ends_a_task_wherever_it_is() {
    with_threads(1, async {
        let running = spawn(forever());
        let (opened_in, opened) = channel(0);
        let plain = spawn(gate(opened));
        // One slot: the gate's thread is parked, so the worker takes more.
        assert_eq!(spawn(process_id()).await, Ok(std::process::id()));
        running.abort();
        assert_eq!(running.await, Err(JoinError::Cancelled));
        plain.abort();
        assert_eq!(plain.await, Err(JoinError::Cancelled), "nobody waits for a plain fn");
        drop(opened_in);
    });
}

#[test]
fn a_timeout_ends_an_attempt() {
    with_threads(1, async {
        let limit = Duration::from_millis(20);
        let error = spawn(forever().timeout(limit)).await.unwrap_err();
        assert_eq!(error, JoinError::DeadlineExceeded(limit));
        let (_opened_in, opened) = channel(0);
        let error = spawn(gate(opened).timeout(limit)).await.unwrap_err();
        assert_eq!(error, JoinError::DeadlineExceeded(limit));
    });
}

#[task]
async fn tree(depth: u32) -> u64 {
    if depth == 0 {
        return 1;
    }
    let (left, right) = (spawn(tree(depth - 1)), spawn(tree(depth - 1)));
    left.await.unwrap() + right.await.unwrap()
}

#[test]
fn tasks_spawn_tasks_and_waiting_parents_leave_room() {
    let builder = Runtime::builder().workers(2).threads(2).in_memory();
    run(builder, async { assert_eq!(spawn(tree(6)).await, Ok(64)) });
}

#[task]
async fn pass(from: Receiver<u64>, to: Sender<u64>) {
    if let Ok(n) = from.recv().await {
        to.send(n + 1).await.unwrap();
    }
}

/// Go's test/chan/goroutines, smaller: a chain of tasks through which one value ripples.
#[test]
fn a_thousand_parked_tasks_fit_on_two_workers() {
    let builder = Runtime::builder().workers(2).threads(2).in_memory();
    run(builder, async {
        let (first, mut last) = channel(0);
        for _ in 0..1000 {
            let (to, from) = channel(0);
            drop(spawn(pass(last, to)));
            last = from;
        }
        first.send(0).await.unwrap();
        assert_eq!(last.recv().await, Ok(1000));
    });
}

#[task]
async fn where_am_i() -> Option<u64> {
    current_worker()
}

#[task]
async fn meet(arrived: Sender<Option<u64>>, leave: Receiver<()>) {
    arrived.send(current_worker()).await.unwrap();
    leave.recv().await.unwrap_err();
}

async fn workers_of_four_tasks() -> Vec<Option<u64>> {
    let (arrived_in, arrived) = channel(4);
    let (leave_in, leave) = channel(0);
    let tasks: Vec<_> = (0..4).map(|_| spawn(meet(arrived_in.clone(), leave.clone()))).collect();
    let mut workers = Vec::new();
    for _ in 0..4 {
        workers.push(arrived.recv().await.unwrap());
    }
    drop(leave_in);
    for task in tasks {
        task.await.unwrap();
    }
    workers.sort_unstable();
    workers.dedup();
    workers
}

#[test]
fn together_is_one_worker_and_apart_is_all() {
    let builder = || Runtime::builder().workers(3).threads(2).in_memory();
    let together = run(builder().place(Place::Together), workers_of_four_tasks());
    assert_eq!(together, [Some(1)]);
    let apart = run(builder().place(Place::Apart), workers_of_four_tasks());
    assert_eq!(apart, [Some(1), Some(2), Some(3)]);
}

#[test]
fn a_dropped_handle_stops_nothing() {
    with_threads(1, async {
        let (done_in, done) = channel(1);
        let (first, second) = channel(1);
        drop(spawn(pass(second, done_in)));
        first.send(41).await.unwrap();
        assert_eq!(done.recv().await, Ok(42));
    });
}

#[test]
#[should_panic(expected = "outside of a runtime")]
fn spawn_outside_of_a_runtime_says_so() {
    drop(spawn(where_am_i()));
}

#[test]
fn figures_tell_what_was_done() {
    with_threads(2, async {
        for _ in 0..3 {
            spawn(where_am_i()).await.unwrap();
        }
        let stats = runtime::stats().await.unwrap();
        assert_eq!((stats.ended, stats.running, stats.pooled), (3, 0, 0));
        assert!(stats.launches >= 1 && stats.workers >= 1, "{stats:?}");
        assert!(stats.workers_us > 0);
    });
}

#[task]
async fn keep(sender: Sender<u64>) {
    std::future::pending::<()>().await;
    drop(sender);
}

/// A task that is stopped before it began gives the handles in its arguments back.
#[test]
fn handles_of_a_task_aborted_at_once_are_not_forgotten() {
    with_threads(1, async {
        for _ in 0..200 {
            let (sender, receiver) = channel::<u64>(1);
            let task = spawn(keep(sender));
            task.abort();
            assert_eq!(task.await, Err(JoinError::Cancelled));
            assert!(receiver.recv().await.is_err());
        }
    });
}

struct Explosive;

impl Serialize for Explosive {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("too hot to encode")
    }
}

impl<'de> Deserialize<'de> for Explosive {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Ok(Self)
    }
}

#[task]
async fn explosive() -> Explosive {
    Explosive
}

#[task]
async fn parent() -> u64 {
    spawn(plain_parent()).await.unwrap()
}

#[task]
fn plain_parent() -> u64 {
    spawn(tree(1)).join_blocking().unwrap()
}

#[test]
fn a_result_that_panics_while_it_is_encoded_is_a_panic_of_its_task() {
    with_threads(1, async {
        let ended = spawn(explosive()).await.map(|_| ());
        assert_eq!(ended, Err(JoinError::Panicked("too hot to encode".to_owned())));
        assert_eq!(spawn(parent()).await, Ok(2), "the slot is free again");
    });
}
