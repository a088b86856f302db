//! A link is worked by the threads of tasks while they let it, and by another when they do not.

use std::io::Read;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::cluster::{processes, with_processes};
use runtime::{Receiver, Sender, channel, spawn, task};
use tempfile::TempDir;

/// So many that most are sent under credits, without waiting for anything.
const WORDS: u32 = 200;
/// A thread that is blocked for longer is so for ever.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who knocks waits until it is opened.
struct Door {
    folder: TempDir,
    listener: UnixListener,
}

impl Door {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("door")).unwrap();
        Self { folder, listener }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("door")
    }

    /// For one who has knocked, or will.
    fn open(&self) {
        drop(self.listener.accept().unwrap());
    }
}

/// Blocks the thread, as no task should.
fn knock(door: &Path) {
    let mut waiting = UnixStream::connect(door).unwrap();
    waiting.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(waiting.read(&mut [0]).expect("the door is opened"), 0);
}

#[task]
async fn say_and_block(words: Sender<u32>, door: PathBuf) {
    for word in 0..WORDS {
        words.send(word).await.unwrap();
    }
    knock(&door);
}

#[test]
fn what_a_task_sent_leaves_though_its_thread_is_blocked() {
    let door = Door::new();
    let runtime = processes(1).threads(1).build().unwrap();
    runtime.block_on(async {
        let (words_in, words) = channel(64);
        let task = spawn(say_and_block(words_in, door.path()));
        for word in 0..WORDS {
            assert_eq!(words.recv().await, Ok(word));
        }
        door.open();
        task.await.unwrap();
    });
}

#[task]
async fn knock_when_told(told: Receiver<u32>, door: PathBuf) -> u32 {
    let mut sum = 0;
    for _ in 0..WORDS {
        sum += told.recv().await.unwrap();
    }
    knock(&door);
    sum
}

#[test]
fn what_main_sent_leaves_though_its_thread_is_blocked() {
    let door = Door::new();
    let path = door.path();
    let (heard_in, heard) = mpsc::channel();
    thread::spawn(move || {
        door.open();
        heard_in.send(()).ok();
    });
    with_processes(1, async {
        let (tell, told) = channel(64);
        let task = spawn(knock_when_told(told, path));
        for word in 0..WORDS {
            tell.send(word).await.unwrap();
        }
        heard.recv_timeout(PATIENCE).expect("the task has heard all of it");
        assert_eq!(task.await, Ok(WORDS * (WORDS - 1) / 2));
    });
}

#[task]
async fn block(ready: Sender<()>, door: PathBuf) {
    ready.send(()).await.unwrap();
    knock(&door);
}

#[task]
fn answer(told: Receiver<u32>, answers: Sender<u32>) {
    let word = told.recv_blocking().unwrap();
    answers.send_blocking(word + 1).unwrap();
}

/// The only thread that runs async tasks is blocked until a frame has come and another has left.
#[test]
fn frames_come_to_a_worker_whose_threads_are_all_blocked() {
    let door = Door::new();
    let runtime = processes(1).threads(1).build().unwrap();
    runtime.block_on(async {
        let ((tell, told), (answers_in, answers)) = (channel(0), channel(0));
        let (ready_in, ready) = channel(0);
        let answering = spawn(answer(told, answers_in));
        let blocking = spawn(block(ready_in, door.path()));
        ready.recv().await.unwrap();
        tell.send(41).await.unwrap();
        assert_eq!(answers.recv().await, Ok(42));
        door.open();
        answering.await.unwrap();
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
    let mut task = None;
    runtime.block_on(async { task = Some(spawn(increment(numbers_out, sums_in))) });
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
    runtime.block_on(task.unwrap()).unwrap();
}
