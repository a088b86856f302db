//! What a worker on Lambda does when nothing is wrong.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use lambda_local::{Function, Stage};
use runtime::{Receiver, Sender, channel, current_worker, spawn, task};
use rustix::time::{ClockId, clock_gettime};

use crate::site::{answer, eventually, function, on_lambda, workers};

#[task]
async fn double(numbers: Receiver<u64>, doubles: Sender<u64>) -> u32 {
    while let Ok(number) = numbers.recv().await {
        doubles.send(2 * number).await.unwrap();
    }
    std::process::id()
}

#[task]
async fn who() -> (u32, Option<u64>) {
    (std::process::id(), current_worker())
}

/// Tasks in two functions, joined by channels; the accounts and the bill of both.
#[test]
fn tasks_on_two_functions_are_joined_by_channels() {
    on_lambda(function(), workers(2), async |lambda| {
        let (numbers_in, numbers) = channel(0);
        let (between_in, between) = channel(8);
        let (doubles_in, doubles) = channel(1000);
        let first = spawn(double(numbers, between_in));
        let second = spawn(double(between, doubles_in));
        for number in 0..500 {
            numbers_in.send(number).await.unwrap();
        }
        drop(numbers_in);
        let (first, second) = (first.await.unwrap(), second.await.unwrap());
        assert_ne!(first, second, "each has an environment of its own");
        for number in 0..500 {
            assert_eq!(doubles.recv().await, Ok(4 * number));
        }
        assert!(doubles.recv().await.is_err());
        eventually("both have answered", || lambda.invocations().len() == 2).await;
        let invocations = lambda.invocations();
        for invocation in &invocations {
            let account = answer(invocation);
            assert_eq!(account["served"], true, "{account}");
            assert_eq!((&account["ended"], &account["tasks"]), (&"goodbye".into(), &1.into()));
            assert_eq!((account["session"].as_u64(), invocation.attempt), (Some(1), 1));
            assert!(account["memory_mb"].as_u64() <= Some(invocation.memory_mb), "{account}");
            assert!(account["seconds"].as_f64() <= Some(invocation.took.as_secs_f64()));
        }
        let bill = lambda.bill();
        let took: Duration = invocations.iter().map(|one| one.took + one.init.unwrap()).sum();
        assert_eq!((bill.invocations, bill.cold), (2, 2));
        assert!(bill.billed_ms >= took.as_millis() as u64, "{bill}");
        assert!(bill.billed_ms <= took.as_millis() as u64 + 2, "{bill}");
    });
}

/// Names of the threads of a process.
fn threads(process: u32) -> BTreeSet<String> {
    let entries = fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten();
    let name = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("comm"));
    entries.filter_map(|entry| name(entry).ok()).map(|name| name.trim().to_owned()).collect()
}

fn is_stopped(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
}

/// Between invocations there is nothing that a freeze could hurt, and a thawed environment begins
/// anew.
#[test]
fn a_thawed_environment_has_a_new_session_and_nothing_of_the_old() {
    on_lambda(function(), workers(1), async |lambda| {
        let (process, first) = spawn(who()).await.unwrap();
        let frozen = || lambda.sandboxes().iter().any(|at| at.stage == Stage::Frozen);
        eventually("it is frozen", || frozen() && is_stopped(process)).await;
        let left = threads(process);
        let of_a_session = |name: &&String| ["farspawn-task", "farspawn-io"].contains(&&***name);
        assert_eq!(left.iter().filter(of_a_session).count(), 0, "{left:?}");
        let (again, second) = spawn(who()).await.unwrap();
        assert_eq!(again, process, "the environment is warm");
        assert_ne!(first, second);
        eventually("both have answered", || lambda.invocations().len() == 2).await;
        let invocations = lambda.invocations();
        assert_eq!(
            invocations.iter().map(|one| one.init.is_some()).collect::<Vec<_>>(),
            [true, false]
        );
        assert_eq!(answer(&invocations[1])["session"], 2);
    });
}

#[task]
async fn surroundings() -> (Option<String>, Option<String>) {
    let variable = |name: &str| std::env::var(name).ok();
    (variable("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"), variable("FARSPAWN_SECRET"))
}

/// Fills a CPU until it has had so much of it.
#[task]
async fn spin(milliseconds: u64) {
    let cpu_time = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    };
    let until = cpu_time() + Duration::from_millis(milliseconds);
    while cpu_time() < until {
        std::hint::spin_loop();
    }
}

/// A task sees the function's environment, and the account says what CPU was used.
#[test]
fn the_function_has_its_size_and_accounts_for_its_cpu() {
    let function = Function { memory_mb: 177, ..function() };
    on_lambda(function, workers(1), async |lambda| {
        assert_eq!(spawn(surroundings()).await, Ok((Some("177".to_owned()), None)));
        spawn(spin(300)).await.unwrap();
        let used = || {
            let accounts = lambda.invocations();
            accounts.iter().map(|one| answer(one)["cpu_seconds"].as_f64().unwrap()).sum::<f64>()
        };
        eventually("it has accounted for it", || used() >= 0.3).await;
    });
}

/// On managed instances sessions run beside each other in one process, and it is never frozen.
#[test]
fn sessions_share_a_managed_instance() {
    let function = Function { memory_mb: 4096, concurrency: 4, ..function() };
    on_lambda(function, workers(3), async |lambda| {
        let (numbers_in, numbers) = channel(0);
        let (between_in, between) = channel(0);
        let (doubles_in, doubles) = channel(1000);
        let first = spawn(double(numbers, between_in));
        let second = spawn(double(between, doubles_in));
        for number in 0..100 {
            numbers_in.send(number).await.unwrap();
        }
        drop(numbers_in);
        let (first, second) = (first.await.unwrap(), second.await.unwrap());
        assert_eq!(first, second, "one process");
        assert_eq!(doubles.len().await, 100);
        eventually("both have answered", || lambda.invocations().len() == 2).await;
        assert!(lambda.invocations().iter().all(|one| answer(one)["served"] == true));
        assert!(lambda.sandboxes().iter().all(|at| at.stage == Stage::Idle));
    });
}
