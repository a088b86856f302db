//! What happens when a worker dies, freezes or lies.

use std::io::{BufRead, BufReader};
use std::path::Path as File;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::cluster::{eventually, example, processes, program, run, with_processes};
use runtime::{
    JoinError, Place, Program, Receiver, RecvError, Runtime, SendError, Sender, channel, spawn,
    task,
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

fn signal(process: u32, signal: Signal) {
    let process = Pid::from_raw(process as i32).expect("a process id is above zero");
    kill_process(process, signal).expect("the worker is there, and ours");
}

#[task]
async fn say_who_and_wait(who: Sender<u32>, until: Receiver<()>) -> u32 {
    who.send(std::process::id()).await.unwrap();
    until.recv().await.ok();
    std::process::id()
}

/// D3, D8, D10: a worker is killed; everything that waits for it is told, soon.
#[test]
fn a_killed_worker_is_noticed_by_all_who_wait_for_it() {
    let lease = Duration::from_secs(10);
    run(processes(1).lease(lease), async {
        let (who_in, who) = channel(0);
        let (until_in, until) = channel::<()>(0);
        let task = spawn(say_who_and_wait(who_in, until));
        let process = who.recv().await.unwrap();
        let killed = Instant::now();
        signal(process, Signal::KILL);
        let error = task.await.unwrap_err();
        assert!(matches!(&error, JoinError::WorkerLost(cause) if cause.contains("worker 1")));
        assert!(matches!(who.recv().await, Err(RecvError::Lost(_))), "lost is not closed");
        assert!(matches!(until_in.send(()).await, Err(SendError::Lost((), _))));
        assert!(killed.elapsed() < lease, "a cut link is noticed at once");
    });
}

/// D13: a frozen worker answers no heartbeat, and its kernel hides it; only the lease tells.
#[test]
fn a_frozen_worker_is_lost_when_its_lease_ends() {
    run(processes(1).lease(Duration::from_secs(1)), async {
        let (who_in, who) = channel(0);
        let (_until_in, until) = channel(0);
        let task = spawn(say_who_and_wait(who_in, until));
        let process = who.recv().await.unwrap();
        signal(process, Signal::STOP);
        let error = task.await.unwrap_err();
        assert!(matches!(&error, JoinError::WorkerLost(cause) if cause.contains("silent")));
        assert!(matches!(who.recv().await, Err(RecvError::Lost(_))));
        // The coordinator kills what it has fenced, frozen or not.
        let gone = || !File::new(&format!("/proc/{process}/fd")).exists();
        eventually("the frozen process is gone", gone).await;
    });
}

/// User code that blocks every executor thread for several leases does not make a worker look dead.
#[test]
fn a_busy_worker_is_not_taken_for_a_dead_one() {
    run(processes(1).threads(1).lease(Duration::from_millis(1500)), async {
        assert_eq!(spawn(block_for("5".to_owned())).await, Ok(7));
    });
}

/// Blocks the executor's thread, and costs the other tests nothing.
#[task]
async fn block_for(seconds: String) -> u32 {
    Command::new("sleep").arg(seconds).status().unwrap();
    7
}

/// D10: a task that may run again does, and the channels in its arguments are still there.
#[test]
fn a_task_that_may_run_again_does() {
    with_processes(1, async {
        let (who_in, who) = channel(0);
        let (until_in, until) = channel(0);
        let task = spawn(say_who_and_wait(who_in, until).retry(1));
        let first = who.recv().await.unwrap();
        signal(first, Signal::KILL);
        let second = who.recv().await.unwrap();
        assert_ne!(first, second);
        drop(until_in);
        assert_eq!(task.await, Ok(second));
        assert_eq!(who.recv().await, Err(RecvError::Closed));
    });
}

#[task]
async fn abort_process() {
    std::process::abort()
}

#[test]
fn a_task_that_kills_every_worker_ends_after_its_retries() {
    with_processes(2, async {
        let error = spawn(abort_process().retry(2)).await.unwrap_err();
        assert!(matches!(error, JoinError::WorkerLost(_)), "{error}");
        let stats = runtime::stats().await.unwrap();
        assert!(stats.launches >= 3, "{stats:?}");
    });
}

#[test]
fn workers_that_cannot_start_are_reported_and_nothing_hangs() {
    let missing = Program { path: "no-such-program".into(), ..program() };
    let error = run(processes(2).worker_program(missing), async {
        spawn(abort_process()).await.unwrap_err()
    });
    assert!(matches!(&error, JoinError::NeverStarted(why) if why.contains("no-such-program")));

    let silent = Program { path: "true".into(), arguments: Vec::new(), environment: Vec::new() };
    let error = run(processes(2).worker_program(silent), async {
        spawn(abort_process()).await.unwrap_err()
    });
    assert!(matches!(&error, JoinError::NeverStarted(why) if why.contains("exit status")));
}

/// A worker with other tasks is turned away by name, not by garbled arguments.
#[test]
fn a_worker_of_another_build_is_turned_away() {
    let other = Program { path: example("hello"), ..program() };
    let error = run(processes(1).worker_program(other), async {
        spawn(abort_process()).await.unwrap_err()
    });
    assert!(matches!(error, JoinError::NeverStarted(_)), "{error}");
}

#[test]
fn a_coordinator_that_is_not_there_is_named() {
    let nobody = Runtime::builder().coordinator("ws://127.0.0.1:9", runtime::Secret::random());
    let error = nobody.build().unwrap_err().to_string();
    assert!(error.contains("cannot be reached"), "{error}");
    let nonsense = Runtime::builder().coordinator("http://x", runtime::Secret::random());
    let error = nonsense.build().unwrap_err().to_string();
    assert!(error.contains("ws://HOST:PORT"), "{error}");
}

/// What [`no_worker_outlives_its_client`] kills: a client that tells its worker's process.
#[test]
fn client_process() {
    if std::env::var_os("FARSPAWN_TEST_CLIENT").is_none() {
        return;
    }
    run(Runtime::builder().workers(2).place(Place::Apart).worker_program(program()), async {
        let (who_in, who) = channel(0);
        let (_until_in, until) = channel(0);
        drop(spawn(say_who_and_wait(who_in.clone(), until.clone())));
        drop(spawn(say_who_and_wait(who_in, until)));
        println!("\nworker={}", who.recv().await.unwrap());
        println!("\nworker={}", who.recv().await.unwrap());
        std::future::pending::<()>().await;
    });
}

#[test]
fn no_worker_outlives_its_client() {
    let mut client = Command::new(program().path)
        .args(["failure::client_process", "--exact", "--nocapture"])
        .env("FARSPAWN_TEST_CLIENT", "1")
        .env_remove("FARSPAWN_ROLE")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(client.stdout.take().unwrap()).lines();
    let workers: Vec<u32> = lines
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix("worker=").and_then(|id| id.parse().ok()))
        .take(2)
        .collect();
    assert_eq!(workers.len(), 2);
    let alive = |process: &u32| File::new(&format!("/proc/{process}/fd")).exists();
    assert!(workers.iter().all(alive));
    client.kill().unwrap();
    client.wait().unwrap();
    let executor = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    executor.block_on(eventually("both workers are gone", || !workers.iter().any(alive)));
}
