//! Programs in which all channels are silent for a while, and something else will end that.

use std::time::Duration;

use runtime::{Receiver, Runtime, Sender, after, channel, spawn, task};

use crate::{Program, run};

/// Longer than it takes to report a deadlock.
const WHILE: Duration = Duration::from_millis(2500);

pub(crate) const PROGRAMS: &[Program] = &[
    ("timer_goes_on", timer_goes_on),
    ("sleeping_main_goes_on", sleeping_main_goes_on),
    ("spawned_future_goes_on", spawned_future_goes_on),
    ("thread_goes_on", thread_goes_on),
    ("task_that_computes_goes_on", task_that_computes_goes_on),
    ("task_that_sleeps_goes_on", task_that_sleeps_goes_on),
    ("task_with_a_thread_goes_on", task_with_a_thread_goes_on),
    ("deadline_goes_on", deadline_goes_on),
];

pub(crate) fn checks() -> impl Iterator<Item = (&'static str, Box<dyn FnOnce() + Send>)> {
    PROGRAMS.iter().map(|(name, _)| {
        let check: Box<dyn FnOnce() + Send> = Box::new(|| ends_well(name));
        (*name, check)
    })
}

fn ends_well(name: &str) {
    let (status, errors) = run(name, 0);
    assert_eq!(status, Some(0), "{name}: {errors}");
}

fn enter(main: impl Future<Output = ()>) {
    Runtime::builder().from_environment().enter(main);
}

fn timer_goes_on() {
    enter(async {
        after(WHILE).recv().await.unwrap();
    });
}

fn sleeping_main_goes_on() {
    enter(async {
        tokio::time::sleep(WHILE).await;
    });
}

fn spawned_future_goes_on() {
    enter(async {
        let (sender, receiver) = channel(0);
        tokio::spawn(async move {
            tokio::time::sleep(WHILE).await;
            sender.send(7).await.unwrap();
        });
        assert_eq!(receiver.recv().await, Ok(7));
    });
}

#[expect(clippy::disallowed_methods, reason = "a thread that is busy with something else")]
fn be_busy() {
    std::thread::sleep(WHILE);
}

fn thread_goes_on() {
    enter(async {
        let (sender, receiver) = channel(0);
        std::thread::spawn(move || {
            be_busy();
            sender.send_blocking(7).unwrap();
        });
        assert_eq!(receiver.recv().await, Ok(7));
    });
}

#[task]
fn compute(to: Sender<u8>) {
    be_busy();
    to.send_blocking(7).unwrap();
}

fn task_that_computes_goes_on() {
    enter(async {
        let (sender, receiver) = channel(0);
        let task = spawn(compute(sender));
        assert_eq!(receiver.recv().await, Ok(7));
        task.await.unwrap();
    });
}

#[task]
async fn sleep(from: Receiver<u8>, to: Sender<u8>) {
    tokio::time::sleep(WHILE).await;
    to.send(from.recv().await.unwrap()).await.unwrap();
}

fn task_that_sleeps_goes_on() {
    enter(async {
        let ((a_in, a), (b_in, b)) = (channel(1), channel(0));
        let task = spawn(sleep(a, b_in));
        a_in.send(7).await.unwrap();
        assert_eq!(b.recv().await, Ok(7));
        task.await.unwrap();
    });
}

#[task]
async fn start_a_thread(to: Sender<u8>) {
    std::thread::spawn(move || compute_here(&to));
}

fn compute_here(to: &Sender<u8>) {
    be_busy();
    to.send_blocking(7).unwrap();
}

fn task_with_a_thread_goes_on() {
    enter(async {
        let (sender, receiver) = channel(0);
        spawn(start_a_thread(sender)).await.unwrap();
        assert_eq!(receiver.recv().await, Ok(7));
    });
}

#[task]
async fn wait_for(from: Receiver<u8>) {
    from.recv().await.ok();
}

fn deadline_goes_on() {
    enter(async {
        let (_sender, receiver) = channel(0);
        let ended = spawn(wait_for(receiver).timeout(WHILE)).await;
        assert_eq!(ended, Err(runtime::JoinError::DeadlineExceeded(WHILE)));
    });
}
