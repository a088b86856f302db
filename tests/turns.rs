//! A link is worked by the threads of tasks while they let it, and by another when they do not.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::cluster::{processes, with_processes};
use runtime::{Receiver, Sender, channel, spawn, task};

/// So many that most are sent under credits, without waiting for anything.
const WORDS: u32 = 200;

/// Blocks the thread, as no task should.
fn block_until_there(file: &Path) {
    let begun = Instant::now();
    while !file.exists() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{file:?} never came");
        thread::sleep(Duration::from_millis(1));
    }
}

#[task]
async fn say_and_block(words: Sender<u32>, until: PathBuf) {
    for word in 0..WORDS {
        words.send(word).await.unwrap();
    }
    block_until_there(&until);
}

#[test]
fn what_a_task_sent_leaves_though_its_thread_is_blocked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("heard");
    let runtime = processes(1).threads(1).build().unwrap();
    runtime.block_on(async {
        let (words_in, words) = channel(64);
        let task = spawn(say_and_block(words_in, file.clone()));
        for word in 0..WORDS {
            assert_eq!(words.recv().await, Ok(word));
        }
        fs::write(&file, "").unwrap();
        task.await.unwrap();
    });
}

#[task]
async fn write_when_told(told: Receiver<u32>, file: PathBuf) -> u32 {
    let mut sum = 0;
    for _ in 0..WORDS {
        sum += told.recv().await.unwrap();
    }
    fs::write(&file, "").unwrap();
    sum
}

#[test]
fn what_main_sent_leaves_though_its_thread_is_blocked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("told");
    with_processes(1, async {
        let (tell, told) = channel(64);
        let task = spawn(write_when_told(told, file.clone()));
        for word in 0..WORDS {
            tell.send(word).await.unwrap();
        }
        block_until_there(&file);
        assert_eq!(task.await, Ok(WORDS * (WORDS - 1) / 2));
    });
}

#[task]
async fn block(ready: Sender<()>, until: PathBuf) {
    ready.send(()).await.unwrap();
    block_until_there(&until);
}

#[task]
fn write_then_answer(told: Receiver<u32>, file: PathBuf, answers: Sender<u32>) {
    let word = told.recv_blocking().unwrap();
    answers.send_blocking(word + 1).unwrap();
    fs::write(&file, "").unwrap();
}

/// The only thread that runs async tasks is blocked until a frame has come and another has left.
#[test]
fn frames_come_to_a_worker_whose_threads_are_all_blocked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("unblocked");
    let runtime = processes(1).threads(1).build().unwrap();
    runtime.block_on(async {
        let ((tell, told), (answers_in, answers)) = (channel(0), channel(0));
        let (ready_in, ready) = channel(0);
        let writing = spawn(write_then_answer(told, file.clone(), answers_in));
        let blocking = spawn(block(ready_in, file));
        ready.recv().await.unwrap();
        tell.send(41).await.unwrap();
        assert_eq!(answers.recv().await, Ok(42));
        writing.await.unwrap();
        blocking.await.unwrap();
    });
}

#[task]
async fn increment(numbers: Receiver<u64>, sums: Sender<u64>) {
    while let Ok(number) = numbers.recv().await {
        sums.send(number + 1).await.unwrap();
    }
}

/// In turns: inside `block_on`, outside of it, and in several threads at once.
#[test]
fn whoever_waits_gets_answers() {
    let runtime = processes(1).build().unwrap();
    let ((numbers, numbers_out), (sums_in, sums)) = (channel(0), channel(0));
    let task = runtime.block_on(async { spawn(increment(numbers_out, sums_in)) });
    for round in 0..20 {
        runtime.block_on(async {
            numbers.send(round).await.unwrap();
            assert_eq!(sums.recv().await, Ok(round + 1));
        });
        numbers.send_blocking(round).unwrap();
        assert_eq!(sums.recv_blocking(), Ok(round + 1));
    }
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                runtime.block_on(async {
                    for round in 0..20 {
                        numbers.send(round).await.unwrap();
                        assert!(sums.recv().await.is_ok());
                    }
                });
            });
        }
    });
    drop(numbers);
    runtime.block_on(task).unwrap();
}
