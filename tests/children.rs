//! Tasks that a worker's tasks spawn, and that begin there and then.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use runtime::{
    Builder, JoinError, Path, Policy, Receiver, RecvError, Runtime, Sender, Trial, channel,
    current_worker, spawn, task,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::cluster::{eventually_told, program, run};

fn processes() -> Builder {
    Runtime::builder().workers(1).threads(2).worker_program(program())
}

fn with_threads<F: Future>(body: F) -> F::Output {
    run(Runtime::builder().workers(1).threads(2).in_memory(), body)
}

/// Cannot travel: so what has come through was never serialised.
struct Unsent(u64);

impl Serialize for Unsent {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("it was to be sent"))
    }
}

impl<'de> Deserialize<'de> for Unsent {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("it was sent"))
    }
}

impl fmt::Debug for Unsent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Unsent({})", self.0)
    }
}

#[task]
async fn double(number: Unsent) -> Unsent {
    Unsent(2 * number.0)
}

#[task]
fn double_on_a_thread(number: Unsent) -> Unsent {
    Unsent(2 * number.0)
}

/// Why the first child that does not begin here does not, if there is one.
#[task]
async fn doubles(count: u64) -> Option<String> {
    for n in 0..count {
        let error =
            match (spawn(double(Unsent(n))).await, spawn(double_on_a_thread(Unsent(n))).await) {
                (Ok(one), Ok(other)) => {
                    assert_eq!((one.0, other.0), (2 * n, 2 * n));
                    continue;
                }
                (Err(error), _) | (_, Err(error)) => error,
            };
        return Some(error.to_string());
    }
    None
}

#[test]
fn what_a_task_spawns_begins_beside_it_and_nothing_is_serialised() {
    let report = with_threads(async {
        assert_eq!(spawn(doubles(300)).await, Ok(None));
        runtime::report().await.unwrap()
    });
    // Whoever knows that the parent has ended sees its children on the bill.
    assert_eq!(report.tasks, 601, "{report}");
    let kind = report.kinds.iter().find(|kind| kind.name.ends_with("::double"));
    assert!(kind.is_some_and(|kind| kind.tasks == 300 && kind.seconds > 0.0), "{report}");
}

#[test]
fn where_the_policy_gives_out_all_tasks_none_begins_by_itself() {
    let sent = |builder: Builder| {
        let why = run(builder.in_memory(), async { spawn(doubles(1)).await });
        assert!(why.as_ref().is_ok_and(|why| why.as_ref().is_some_and(|why| why.contains("sent"))));
    };
    for policy in [Policy::Conventional, Policy::Paper] {
        sent(Runtime::builder().workers(2).threads(2).policy(policy));
    }
    let builder = || Runtime::builder().workers(2).threads(2);
    sent(builder().place(runtime::Place::Together));
    sent(builder().trial(Trial::Remote));
    sent(builder().trial(Trial::Random(3)));
}

/// Handles in arguments and results stay at home.
#[task]
async fn passes_handles() -> (bool, u64) {
    let (numbers_in, numbers) = channel(0);
    let (echoes_in, echoes) = channel(0);
    let child = spawn(echo(numbers, echoes_in));
    numbers_in.send(7).await.unwrap();
    let echoed = echoes.recv().await.unwrap();
    let is_here = numbers_in.path() == Path::Local;
    drop(numbers_in);
    let receiver = child.await.unwrap();
    assert_eq!(receiver.recv().await, Err(RecvError::Closed));
    (is_here, echoed)
}

#[task]
async fn echo(numbers: Receiver<u64>, echoes: Sender<u64>) -> Receiver<u64> {
    while let Ok(n) = numbers.recv().await {
        echoes.send(n).await.unwrap();
    }
    numbers
}

#[test]
fn handles_that_go_to_a_child_stay_at_home() {
    with_threads(async {
        assert_eq!(spawn(passes_handles()).await, Ok((true, 7)));
    });
}

#[task]
async fn explode(number: u32) {
    panic!("bad day {number}");
}

#[task]
fn explode_on_a_thread(number: u32) {
    panic!("bad day {number}");
}

#[task]
async fn forever(begun: Sender<()>) {
    begun.send(()).await.unwrap();
    std::future::pending::<()>().await;
}

#[task]
fn forever_on_a_thread(begun: Sender<()>, until: Receiver<()>) {
    begun.send_blocking(()).unwrap();
    until.recv_blocking().ok();
}

#[task]
async fn forever_unseen() {
    std::future::pending::<()>().await;
}

#[task]
async fn ends() -> Vec<String> {
    let mut ends: Vec<JoinError> = Vec::new();
    ends.push(spawn(explode(1)).await.unwrap_err());
    ends.push(spawn(explode_on_a_thread(2)).await.unwrap_err());
    let limit = Duration::from_millis(20);
    ends.push(spawn(forever_unseen().timeout(limit)).await.unwrap_err());
    let (begun_in, begun) = channel(0);
    let child = spawn(forever(begun_in.clone()));
    begun.recv().await.unwrap();
    child.abort();
    ends.push(child.await.unwrap_err());
    let (_until_in, until) = channel(0);
    let child = spawn(forever_on_a_thread(begun_in, until));
    begun.recv().await.unwrap();
    child.abort_handle().abort();
    ends.push(child.await.unwrap_err());
    let child = spawn(forever_unseen());
    child.abort();
    ends.push(child.await.unwrap_err());
    ends.iter().map(ToString::to_string).collect()
}

#[test]
fn a_child_ends_as_any_task_does() {
    with_threads(async {
        let cancelled = || "the task was cancelled".to_owned();
        let expected = [
            "the task panicked: bad day 1".to_owned(),
            "the task panicked: bad day 2".to_owned(),
            "the task ran longer than 20ms".to_owned(),
            cancelled(),
            cancelled(),
            cancelled(),
        ];
        assert_eq!(spawn(ends()).await.unwrap(), expected);
    });
}

#[task]
async fn lives_on(until: Receiver<()>, done: Sender<u64>) {
    until.recv().await.ok();
    done.send(current_worker().unwrap()).await.unwrap();
}

#[task]
async fn leaves_a_child(until: Receiver<()>, done: Sender<u64>) -> u64 {
    drop(spawn(lives_on(until, done)));
    current_worker().unwrap()
}

/// The coordinator gets to know of it, so it counts as the others do, and keeps its worker.
#[test]
fn a_child_that_outlives_its_parent_is_known() {
    run(processes(), async {
        let (until_in, until) = channel(0);
        let (done_in, done) = channel(0);
        let worker = spawn(leaves_a_child(until, done_in)).await.unwrap();
        let running = || async { runtime::stats().await.unwrap().running };
        eventually_told("it is known", || async { running().await == 1 }).await;
        until_in.send(()).await.unwrap();
        assert_eq!(done.recv().await, Ok(worker));
        eventually_told("its end is known", || async { running().await == 0 }).await;
        let stats = runtime::stats().await.unwrap();
        assert_eq!((stats.ended, stats.launches), (2, 1));
    });
}

static SERIALISED: AtomicUsize = AtomicUsize::new(0);

/// Counts how often it was sent.
#[derive(Deserialize)]
struct Counted;

impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        SERIALISED.fetch_add(1, SeqCst);
        serializer.serialize_unit()
    }
}

#[task]
async fn takes(_counted: Counted) {}

#[task]
async fn crowd(size: usize) -> usize {
    let before = SERIALISED.load(SeqCst);
    let children: Vec<_> = (0..size).map(|_| spawn(takes(Counted))).collect();
    let sent = SERIALISED.load(SeqCst) - before;
    for child in children {
        child.await.unwrap();
    }
    sent
}

#[task]
async fn retried() -> usize {
    let before = SERIALISED.load(SeqCst);
    spawn(takes(Counted).retry(1)).await.unwrap();
    SERIALISED.load(SeqCst) - before
}

/// Others may have room for the rest of a crowd; and of a task that may run again somebody else
/// must have the arguments.
#[test]
fn crowds_and_tasks_that_may_run_again_go_the_ordinary_way() {
    with_threads(async {
        let sent = spawn(crowd(100)).await.unwrap();
        assert!((90..100).contains(&sent), "{sent} of 100");
        assert_eq!(spawn(retried()).await, Ok(1));
    });
}

#[task]
async fn dies(sent: Sender<u32>) {
    sent.send(1).await.unwrap();
    std::process::abort();
}

#[task]
async fn parent_of_the_dead(sent: Sender<u32>) {
    spawn(dies(sent)).await.ok();
}

/// With the worker both are gone; what the child had sent is there, and the parent may run again.
#[test]
fn a_child_dies_with_its_worker() {
    run(processes(), async {
        let (sent_in, sent) = channel(4);
        let parent = spawn(parent_of_the_dead(sent_in).retry(1));
        assert!(matches!(parent.await, Err(JoinError::WorkerLost(_))));
        let mut values = Vec::new();
        while let Ok(value) = sent.recv().await {
            values.push(value);
        }
        assert!(values.len() <= 2 && values.iter().all(|value| *value == 1), "{values:?}");
        assert!(matches!(sent.recv().await, Err(RecvError::Lost(_))), "it is no close");
    });
}
