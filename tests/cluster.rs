//! Runtimes for tests, with workers as real processes: this test program again, told to run one
//! "test" that serves tasks.

use std::env;
use std::future::{Future, ready};
use std::path::PathBuf;
use std::time::Duration;

use runtime::{Builder, Place, Program, Runtime};
use tokio::time::{Instant, sleep};

/// The "test" that a worker process runs.
pub(crate) const WORKER: &str = "worker_process";

/// A builder of runtimes whose workers are processes, one task to each as far as they go.
pub(crate) fn processes(workers: usize) -> Builder {
    Runtime::builder().workers(workers).threads(2).place(Place::Apart).worker_program(program())
}

/// This program, as a worker.
pub(crate) fn program() -> Program {
    Program {
        path: env::current_exe().expect("a running program has a path"),
        arguments: [WORKER, "--exact", "--nocapture"].map(Into::into).to_vec(),
        environment: Vec::new(),
    }
}

/// Runs a test's body with worker processes. A body that hangs fails instead.
pub(crate) fn with_processes<F: Future>(workers: usize, body: F) -> F::Output {
    run(processes(workers), body)
}

/// Runs a test's body with workers in this process, one task to each as far as they go.
pub(crate) fn with_threads<F: Future>(workers: usize, body: F) -> F::Output {
    let builder = Runtime::builder().workers(workers).threads(2).place(Place::Apart);
    run(builder.in_memory(), body)
}

/// Runs a test's body. A body that hangs fails instead.
pub(crate) fn run<F: Future>(builder: Builder, body: F) -> F::Output {
    let runtime = builder.build().expect("loopback works");
    runtime.block_on(async {
        let limit = Duration::from_secs(60);
        tokio::time::timeout(limit, body).await.expect("it does not hang")
    })
}

/// Waits until something holds that nobody announces, such as the end of a stranger's process.
pub(crate) async fn eventually(what: &str, holds: impl Fn() -> bool) {
    eventually_told(what, || ready(holds())).await;
}

/// The same of something that has to be asked for.
pub(crate) async fn eventually_told<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < Duration::from_secs(30), "after 30 s still not: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// A program of `examples/`, which `cargo test` has built beside this one.
pub(crate) fn example(name: &str) -> PathBuf {
    built("examples").join(name)
}

/// Something else that `cargo test --workspace` has built.
pub(crate) fn built(name: &str) -> PathBuf {
    let test = env::current_exe().expect("a running program has a path");
    let folder = test.parent().and_then(|deps| deps.parent()).expect("target/PROFILE/deps/TEST");
    folder.join(name)
}
