//! Workers that die, freeze, come twice, or are throttled: all is accounted for.

use std::collections::BTreeSet;
use std::time::Duration;

use coordinator::platform::{Ended, Launch, Platform};
use lambda_local::{Function, LocalLambda, Outcome};
use runtime::platform::aws::Aws;
use runtime::{JoinError, Receiver, Secret, Sender, channel, spawn, task};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

use crate::site::{answer, eventually, function, on_lambda, on_lambda_with, options, workers};

fn signal(process: u32, signal: Signal) {
    let process = Pid::from_raw(process as i32).expect("a process id is above zero");
    kill_process(process, signal).expect("the worker is there, and ours");
}

#[task(retry = 3)]
async fn work(who: Sender<u32>, milliseconds: u64, number: u64) -> u64 {
    who.send(std::process::id()).await.unwrap();
    sleep(Duration::from_millis(milliseconds)).await;
    number
}

#[task(retry = 3)]
async fn hold(who: Sender<u32>, until: Receiver<()>, number: u64) -> u64 {
    who.send(std::process::id()).await.unwrap();
    until.recv().await.ok();
    number
}

/// One worker is killed, one is frozen for longer than its lease and thawed: the tasks of both run
/// elsewhere, and the thawed one has no effect.
#[test]
fn killed_and_frozen_workers_are_replaced() {
    let lease = Duration::from_secs(1);
    on_lambda(function(), workers(3).lease(lease), async |lambda| {
        let (who_in, who) = channel(100);
        let (until_in, until) = channel(0);
        let held = |n| spawn(hold(who_in.clone(), until.clone(), n));
        let tasks: Vec<_> = (0..3).map(held).collect();
        let mut first = BTreeSet::new();
        while first.len() < 3 {
            first.insert(who.recv().await.unwrap());
        }
        let victims: Vec<u32> = first.iter().copied().collect();
        signal(victims[0], Signal::KILL);
        signal(victims[1], Signal::STOP);
        drop(until_in);
        for (number, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await, Ok(number as u64));
        }
        signal(victims[1], Signal::CONT);
        let of = |process| lambda.invocations().into_iter().find(|one| one.process == process);
        eventually("the thawed one has ended", || of(victims[1]).is_some()).await;
        let account = answer(&of(victims[1]).unwrap());
        assert_ne!(account["ended"], "goodbye", "{account}");
        assert!(matches!(of(victims[0]).unwrap().outcome, Outcome::Crashed(_)));
        // Lambda tries an invocation again whose process died. Its token was used.
        let again = || lambda.invocations().iter().filter(|one| one.attempt > 1).count();
        eventually("the retry has ended", || again() > 0).await;
        for retry in lambda.invocations().iter().filter(|one| one.attempt > 1) {
            assert_eq!(answer(retry)["served"], false, "{retry:?}");
        }
    });
}

/// Lambda may deliver an event twice. The second is turned away, and says so.
#[test]
fn a_launch_that_comes_twice_is_worked_on_once() {
    on_lambda(function(), workers(2), async |lambda| {
        lambda.duplicate(2);
        let (who_in, _who) = channel(100);
        let tasks: Vec<_> = (0..2).map(|n| spawn(work(who_in.clone(), 100, n))).collect();
        for (number, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await, Ok(number as u64));
        }
        eventually("all four have ended", || lambda.invocations().len() >= 4).await;
        let accounts: Vec<_> = lambda.invocations().iter().map(answer).collect();
        let turned = accounts.iter().filter(|account| account["served"] == false);
        let turned: Vec<_> = turned.map(|account| account["ended"].to_string()).collect();
        assert_eq!(turned.len(), 2, "{accounts:?}");
        assert!(turned.iter().all(|ended| ended.contains("used before")), "{turned:?}");
    });
}

/// Throttled launches wait and come; no task fails of it.
#[test]
fn throttling_is_waited_out() {
    on_lambda(function(), workers(2), async |lambda| {
        lambda.throttle(4);
        let (who_in, _who) = channel(100);
        let tasks: Vec<_> = (0..8).map(|n| spawn(work(who_in.clone(), 10, n))).collect();
        for (number, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await, Ok(number as u64));
        }
        assert_eq!(lambda.throttles_left(), 0);
    });
}

/// If it does not end, those who wait are told why.
#[test]
fn throttling_without_end_is_told() {
    let adjust = |options: &mut runtime::platform::aws::Options| {
        options.patience = Duration::from_millis(400);
    };
    on_lambda_with(function(), workers(1), adjust, async |lambda| {
        lambda.throttle(1_000_000);
        let (who_in, _who) = channel(100);
        let error = spawn(work(who_in, 10, 1)).await.unwrap_err();
        let JoinError::NeverStarted(why) = &error else { panic!("{error}") };
        assert!(why.contains("throttles") && why.contains("CallerRateLimitExceeded"), "{why}");
    });
}

/// More workers than are reserved are not even asked for.
#[test]
fn reserved_concurrency_is_respected() {
    let function = Function { reserved: Some(2), ..function() };
    on_lambda(function, workers(6), async |lambda| {
        let (who_in, who) = channel(100);
        let tasks: Vec<_> = (0..12).map(|n| spawn(work(who_in.clone(), 30, n))).collect();
        drop(who_in);
        for (number, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await, Ok(number as u64));
        }
        let mut processes = BTreeSet::new();
        while let Ok(process) = who.recv().await {
            processes.insert(process);
        }
        assert!(processes.len() <= 2, "{processes:?}");
        assert!(runtime::stats().await.unwrap().launches <= 4);
        eventually("all have ended", || !lambda.invocations().is_empty()).await;
    });
}

/// They are one number for all clients of an application, each of which has a coordinator.
#[test]
fn reserved_concurrency_is_shared_by_all_clients_of_an_application() {
    let mut silent = Function::new("worker", "sleep");
    silent.arguments = vec!["60".into()];
    silent.reserved = Some(2);
    let lambda = LocalLambda::start(silent).expect("loopback works");
    let mut first = Aws::connect(options(&lambda)).expect("it is there");
    let mut second = first.again().expect("a thread can be had");
    let (tell, _told) = tokio::sync::mpsc::unbounded_channel();
    let launch = |number| {
        let launch = Launch { number, secret: Secret::random(), coordinator: String::new() };
        (launch, Ended::new(number, tell.clone()))
    };
    let executor = tokio::runtime::Builder::new_current_thread().enable_all().build();
    executor.expect("an executor can be had").block_on(async {
        for number in [1, 2] {
            let (launch, ended) = launch(number);
            first.launch(launch, ended);
        }
        eventually("both run", || lambda.sandboxes().len() == 2).await;
        let (launch, ended) = launch(1);
        second.launch(launch, ended);
        eventually("the third waits", || second.queued() == [1]).await;
        assert!(first.queued().is_empty());
        first.stop(2);
        eventually("its turn has come", || second.queued().is_empty()).await;
    });
}

/// A function that never comes to work: the launch is given up, with advice.
#[test]
fn a_launch_that_never_says_hello_is_given_up() {
    let adjust = |options: &mut runtime::platform::aws::Options| {
        options.patience = Duration::from_millis(300);
    };
    let mut silent = Function::new("worker", "sleep");
    silent.arguments = vec!["60".into()];
    on_lambda_with(silent, workers(1), adjust, async |_lambda| {
        let (who_in, _who) = channel(100);
        let error = spawn(work(who_in, 10, 1)).await.unwrap_err();
        let JoinError::NeverStarted(why) = &error else { panic!("{error}") };
        assert!(why.contains("said hello") && why.contains("/aws/lambda/worker"), "{why}");
    });
}

/// Memory beyond the function's size is not survived.
#[task]
async fn grow(megabytes: usize) -> usize {
    let mut held = vec![0_u8; megabytes << 20];
    held.iter_mut().step_by(1024).for_each(|byte| *byte = 1);
    sleep(Duration::from_secs(30)).await;
    held.iter().map(|byte| usize::from(*byte)).sum()
}

#[test]
fn a_task_that_takes_all_memory_loses_its_worker() {
    let function = Function { memory_mb: 256, ..function() };
    on_lambda(function, workers(1), async |lambda| {
        let error = spawn(grow(300)).await.unwrap_err();
        assert!(matches!(error, JoinError::WorkerLost(_)), "{error}");
        eventually("it was killed", || {
            lambda.invocations().iter().any(|one| one.outcome == Outcome::OutOfMemory)
        })
        .await;
    });
}
