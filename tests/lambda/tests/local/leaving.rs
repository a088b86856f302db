//! Workers at the end of their time.

use std::time::{Duration, SystemTime};

use lambda_local::{Function, Outcome};
use runtime::{
    Context, JoinError, Place, Policy, Receiver, RecvError, Sender, channel, spawn, task,
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

use crate::site::{answer, eventually, function, on_lambda, workers};

#[task]
async fn nap(milliseconds: u64, done: Sender<u64>, number: u64) {
    sleep(Duration::from_millis(milliseconds)).await;
    done.send(number).await.unwrap();
}

/// More work than one invocation can do, and no task may run twice: each worker drains in time, and
/// the next goes on.
#[test]
fn work_goes_on_past_the_time_limit_and_each_task_runs_once() {
    let mut function = Function { timeout: Duration::from_secs(3), ..function() };
    // Early, so that a slow machine has time for what is under way.
    function.environment.push(("FARSPAWN_DRAIN_AT".to_owned(), "0.3".to_owned()));
    // Ours would run all of them at once, for they only wait.
    let builder = workers(1).place(Place::Auto).policy(Policy::Paper);
    on_lambda(function, builder, async |lambda| {
        let (done_in, done) = channel(100);
        let naps: Vec<_> = (0..24).map(|number| spawn(nap(300, done_in.clone(), number))).collect();
        drop(done_in);
        for nap in naps {
            nap.await.unwrap();
        }
        let mut numbers = Vec::new();
        while let Ok(number) = done.recv().await {
            numbers.push(number);
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (0..24).collect::<Vec<_>>());
        eventually("several have answered", || lambda.invocations().len() >= 3).await;
        let accounts: Vec<_> = lambda.invocations().iter().map(answer).collect();
        let drained = accounts.iter().filter(|account| !account["drained"].is_null()).count();
        assert!(drained >= 2, "{accounts:?}");
        assert!(accounts.iter().all(|account| account["cut_off"] == 0), "{accounts:?}");
    });
}

/// What does not end in time is lost, says why, and its channels are not taken for closed.
#[test]
fn a_task_that_outlives_the_limit_is_lost_and_says_why() {
    let function = Function { timeout: Duration::from_millis(1500), ..function() };
    on_lambda(function, workers(1), async |lambda| {
        let (done_in, done) = channel(1);
        let error = spawn(nap(60_000, done_in, 1).retry(9)).await.unwrap_err();
        let says_why = |cause: &str| cause.contains("its time limit is near");
        assert!(matches!(&error, JoinError::WorkerLost(cause) if says_why(cause)), "{error}");
        assert!(error.to_string().contains("make the task smaller"), "{error}");
        assert!(matches!(done.recv().await, Err(RecvError::Lost(cause)) if says_why(&cause)));
        eventually("it has answered", || !lambda.invocations().is_empty()).await;
        let account = answer(&lambda.invocations()[0]);
        assert_eq!(account["cut_off"], 1, "{account}");
        assert_eq!(account["drained"], "its time limit is near");
        // Another try would have been as long, and no better.
        assert_eq!(runtime::stats().await.unwrap().launches, 1);
    });
}

#[task]
async fn hold(who: Sender<u32>, until: Receiver<()>) -> u32 {
    who.send(std::process::id()).await.unwrap();
    until.recv().await.ok();
    std::process::id()
}

/// What began late on its worker and is cut off with it has not used up a retry.
#[test]
fn a_task_that_came_late_may_be_tried_as_often_as_before() {
    let mut function = Function { timeout: Duration::from_secs(3), ..function() };
    function.environment.push(("FARSPAWN_DRAIN_AT".to_owned(), "0.95".to_owned()));
    on_lambda(function, workers(1), async |_lambda| {
        let ((done_in, _done), (who_in, who)) = (channel(1), channel(0));
        let (until_in, until) = channel(0);
        let first = spawn(nap(400, done_in, 1));
        sleep(Duration::from_millis(300)).await;
        let late = spawn(hold(who_in, until).retry(1));
        let cut_off = who.recv().await.unwrap();
        first.await.unwrap();
        let killed = who.recv().await.unwrap();
        let process = Pid::from_raw(killed as i32).unwrap();
        kill_process(process, Signal::KILL).unwrap();
        let last = who.recv().await.unwrap();
        assert!(cut_off != killed && killed != last);
        drop(until_in);
        assert_eq!(late.await, Ok(last));
    });
}

/// How long a context has that is to have an hour, in milliseconds.
#[task]
async fn an_hour() -> u128 {
    let (context, _) = Context::background().with_timeout(Duration::from_secs(3600));
    let left = |deadline: SystemTime| deadline.elapsed().err().map(|left| left.duration());
    context.deadline().and_then(left).unwrap_or_default().as_millis()
}

#[test]
fn no_context_is_longer_than_its_workers_life() {
    let function = Function { timeout: Duration::from_secs(30), ..function() };
    on_lambda(function, workers(1), async |_lambda| {
        let left = spawn(an_hour()).await.unwrap();
        // 30 s, but for three margins of 0.6 s.
        assert!((1..=28_200).contains(&left), "{left}");
        let (here, _) = Context::background().with_timeout(Duration::from_secs(3600));
        let hour = here.deadline().unwrap().elapsed().unwrap_err().duration();
        assert!(hour > Duration::from_secs(3000), "the client has no end");
    });
}

/// Nobody can stop it, and it must not go on beside the next session.
#[task]
fn block(milliseconds: u64) {
    let (_silent, never) = std::sync::mpsc::channel::<()>();
    never.recv_timeout(Duration::from_millis(milliseconds)).ok();
}

#[test]
fn a_task_that_cannot_be_stopped_takes_its_process_along() {
    let function = Function { timeout: Duration::from_millis(1500), ..function() };
    on_lambda(function, workers(1), async |lambda| {
        let error = spawn(block(60_000)).await.unwrap_err();
        assert!(matches!(error, JoinError::WorkerLost(_)), "{error}");
        spawn(block(1)).await.unwrap();
        // Besides there is the retry of the first, which is turned away.
        let served = || lambda.invocations().iter().skip(1).any(|one| answer(one)["tasks"] == 1);
        eventually("the second has answered", served).await;
        let invocations = lambda.invocations();
        let Outcome::Crashed(how) = &invocations[0].outcome else { panic!("{invocations:?}") };
        assert!(how.contains("72"), "{how}");
        assert!(invocations[1..].iter().all(|one| one.process != invocations[0].process));
    });
}

#[task]
async fn nap_here(who: Sender<u32>, milliseconds: u64) -> u32 {
    who.send(std::process::id()).await.unwrap();
    sleep(Duration::from_millis(milliseconds)).await;
    std::process::id()
}

/// SIGTERM: what is short comes to its end, the rest goes elsewhere.
#[test]
fn sigterm_drains() {
    let terminate = |process: u32| {
        let process = Pid::from_raw(process as i32).unwrap();
        kill_process(process, Signal::TERM).unwrap();
    };
    on_lambda(function(), workers(1), async |lambda| {
        let (who_in, who) = channel(0);
        let short = spawn(nap_here(who_in.clone(), 50));
        let process = who.recv().await.unwrap();
        terminate(process);
        assert_eq!(short.await, Ok(process), "it comes to its end, without a retry");

        let long = spawn(nap_here(who_in, 1000).retry(1));
        let first = who.recv().await.unwrap();
        terminate(first);
        let second = who.recv().await.unwrap();
        assert_ne!(first, second);
        assert_eq!(long.await, Ok(second));
        let ended = |process: u32| lambda.invocations().iter().any(|one| one.process == process);
        eventually("the terminated have ended", || ended(process) && ended(first)).await;
    });
}
