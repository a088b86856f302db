//! The main job with its workers on Lambda, while things go wrong: every photo is accounted for.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use coordinator::Settings;
use coordinator::scheduler::Policy;
use coordinator::server::{Config, serve};
use lambda_local::{Function, LocalLambda, Outcome, Stage};
use runtime::Secret;
use runtime::platform::Platform;
use runtime::platform::aws::Aws;
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::site::options;

/// The program. Cargo builds this package's examples before it runs its tests.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("this program");
    let profile = test.ancestors().nth(2).expect("target/<profile>/deps/<test>");
    let program = profile.join("examples/thumbnails");
    assert!(program.exists(), "cargo builds {program:?} unless only `--test local` was asked for");
    program
}

/// The report of a run in which each photo has its thumbnail.
fn report(output: &Output) -> serde_json::Value {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}");
    serde_json::from_slice(&output.stdout).expect("--json is JSON")
}

/// As anybody would run it.
#[test]
fn the_main_job_runs_on_a_lambda_that_is_played() {
    let output = Command::new(program())
        .args(["--platform", "lambda-local", "--workers", "2", "--json"])
        .args(["--count", "6", "--photo-size", "320x240", "--lambda-memory", "1024"])
        .output()
        .expect("it starts");
    let report = report(&output);
    assert_eq!((&report["images"], &report["failed"]), (&6.into(), &0.into()), "{report}");
    let text = String::from_utf8_lossy(&output.stderr);
    let bill = text.lines().find(|line| line.contains("on Lambda it would have been"));
    assert!(bill.is_some_and(|line| line.contains("invocations (")), "{text}");
}

/// A coordinator whose workers are functions, as in production, on a thread of its own.
struct Coordinator {
    address: String,
    key: Secret,
    lambda: Arc<LocalLambda>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Coordinator {
    fn start(mut function: Function, workers_max: usize, lease: Duration) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback works");
        listener.set_nonblocking(true).expect("a socket can be set");
        let address = format!("ws://{}", listener.local_addr().expect("it is bound"));
        function.environment.push(("FARSPAWN_COORDINATOR".to_owned(), address.clone()));
        let lambda = Arc::new(LocalLambda::start(function).expect("loopback works"));
        let aws = Aws::connect(options(&lambda)).expect("it is there");
        let mut policy = Policy { workers_max, ..Policy::default() };
        aws.prepare(&mut policy);
        let key = Secret::random();
        let settings = Settings { policy, lease, ..Settings::default() };
        let config = Config { settings, client_secrets: vec![key.clone()] };
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let executor = tokio::runtime::Builder::new_current_thread().enable_all().build();
            executor.expect("threads and sockets can be had").block_on(async {
                let listener = TcpListener::from_std(listener).expect("it is non-blocking");
                serve(listener, config, Box::new(aws), stopped).await.expect("it is bound");
            });
        });
        Self { address, key, lambda, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// Kills, and freezes for longer than the lease, in turns, whatever is busy; each process once.
fn strike(lambda: &LocalLambda, until: &AtomicBool, lease: Duration) -> (u32, u32) {
    let (_silent, never) = std::sync::mpsc::channel::<()>();
    let mut struck = BTreeSet::new();
    let (mut killed, mut frozen) = (0, 0);
    while !until.load(SeqCst) {
        never.recv_timeout(Duration::from_millis(120)).ok();
        let busy = lambda.sandboxes().into_iter().filter(|at| at.stage == Stage::Busy);
        let mut victims = busy.filter(|at| !struck.contains(&at.process));
        // Some are spared: the job is to end.
        let Some(victim) = victims.next().filter(|_| killed + frozen < 4) else { continue };
        struck.insert(victim.process);
        let process = Pid::from_raw(victim.process as i32).expect("a process id is above zero");
        if killed > frozen {
            frozen += 1;
            kill_process(process, Signal::STOP).ok();
            never.recv_timeout(lease + lease / 2).ok();
            kill_process(process, Signal::CONT).ok();
        } else {
            killed += u32::from(kill_process(process, Signal::KILL).is_ok());
        }
    }
    (killed, frozen)
}

/// Kills, freezes, duplicates, throttling, a short time limit and cold starts, all at once.
#[test]
fn every_photo_is_accounted_for_whatever_happens_to_the_workers() {
    let mut function = Function::new("worker", program());
    function.timeout = Duration::from_secs(6);
    // Early, so that a slow machine has time for what is under way.
    function.environment.push(("FARSPAWN_DRAIN_AT".to_owned(), "0.4".to_owned()));
    function.cold_start = Duration::from_millis(50);
    function.reserved = Some(4);
    let lease = Duration::from_secs(1);
    let coordinator = Coordinator::start(function, 3, lease);
    let lambda = coordinator.lambda.clone();
    lambda.throttle(3);
    lambda.duplicate(5);
    let client = Command::new(program())
        .args(["--workers", "3", "--json", "--count", "60", "--photo-size", "800x600"])
        .env("FARSPAWN_COORDINATOR", &coordinator.address)
        .env("FARSPAWN_KEY", coordinator.key.to_hex())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let is_over = Arc::<AtomicBool>::default();
    let (seen, until) = (lambda.clone(), is_over.clone());
    let striking = thread::spawn(move || strike(&seen, &until, lease));
    let output = client.wait_with_output().expect("it ends");
    is_over.store(true, SeqCst);
    let (killed, frozen) = striking.join().expect("no panic");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {text}"));
    let rows = report["rows"].as_array().expect("the rows");
    assert_eq!(rows.len(), 60, "each photo is a row: {report}");
    assert_eq!(report["failed"], 0, "and, for it may be tried again, done: {report}\n{text}");
    assert!(killed >= 1 && frozen >= 1, "{killed} killed, {frozen} frozen");
    assert_eq!(lambda.throttles_left(), 0);
    assert!(lambda.settle(Duration::from_secs(20)), "all come to their end");
    let invocations = lambda.invocations();
    // One that was thawed ends its process, because a photo does not let itself be stopped.
    let by_signal = |one: &&lambda_local::Invocation| matches!(&one.outcome, Outcome::Crashed(how) if how.contains("signal"));
    let crashed = invocations.iter().filter(by_signal).count() as u32;
    assert!((1..=killed).contains(&crashed), "{killed} killed: {invocations:?}");
    let timed_out = invocations.iter().filter(|one| one.outcome == Outcome::TimedOut).count();
    assert!(timed_out <= frozen as usize, "only who was frozen missed its limit: {invocations:?}");
}
