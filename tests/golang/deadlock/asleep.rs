//! Programs in which nothing can ever move again, and what is said of them.

use runtime::{Receiver, Runtime, Sender, WaitGroup, channel, select, spawn, task};

use crate::{Program, run};

/// Each with what its report must name.
pub(crate) const PROGRAMS: &[(Program, &[&str])] = &[
    (("issue21576", issue21576), &["main: send to channel", "capacity 0", "asleep.rs"]),
    (("simple_deadlock", simple_deadlock), &["main: select of 0"]),
    (("locked_deadlock", locked_deadlock), &["main: receive from channel"]),
    (("pending_deadlock", pending_deadlock), &["main: nothing"]),
    (("thread_deadlock", thread_deadlock), &["main: receive", "thread poor: receive"]),
    (("group_deadlock", group_deadlock), &["main: wait for a group"]),
    (("task_deadlock", task_deadlock), &["main: receive", "::echo: receive from relayed"]),
    (("ring_deadlock", ring_deadlock), &["::pass: receive", "::pass_on_a_thread: receive"]),
    (("child_deadlock", child_deadlock), &["::waits: join of task", "::pass: receive", "main: "]),
    (("select_deadlock", select_deadlock), &["::choose: select of 2: ", "send to relayed"]),
];

pub(crate) fn checks() -> impl Iterator<Item = (&'static str, Box<dyn FnOnce() + Send>)> {
    PROGRAMS.iter().map(|((name, _), named)| {
        let check: Box<dyn FnOnce() + Send> = Box::new(|| ends_with_a_deadlock(name, named));
        (*name, check)
    })
}

fn ends_with_a_deadlock(name: &str, named: &[&str]) {
    let (status, report) = run(name, 0);
    assert_eq!(status, Some(2), "{name}: {report}");
    assert!(report.starts_with("fatal error: all tasks are asleep - deadlock!"), "{report}");
    for words in named {
        assert!(report.contains(words), "{name}: `{words}` is missing in\n{report}");
    }
}

fn enter(main: impl Future) {
    Runtime::builder().from_environment().enter(main);
    panic!("main must not end");
}

/// A send that nobody will ever receive.
fn issue21576() {
    enter(async {
        let (sender, _receiver) = channel(0);
        sender.send(1).await.unwrap();
    });
}

/// `select {}`.
fn simple_deadlock() {
    enter(async {
        select! {}
    });
}

/// The same with `main` on a thread that it does not give up: it waits without `await`.
fn locked_deadlock() {
    enter(async {
        let (_sender, receiver) = channel::<()>(0);
        receiver.recv_blocking()
    });
}

/// The end of `runtime.Goexit` in `main`: it neither returns nor goes on.
fn pending_deadlock() {
    enter(async {
        spawn(idle()).await.unwrap();
        std::future::pending::<()>().await;
    });
}

#[task]
async fn idle() {}

fn thread_deadlock() {
    enter(async {
        let (sender, receiver) = channel::<()>(0);
        let other = receiver.clone();
        let poor = std::thread::Builder::new().name("poor".to_owned());
        poor.spawn(move || other.recv_blocking()).unwrap();
        receiver.recv().await.unwrap();
        drop(sender);
    });
}

fn group_deadlock() {
    enter(async {
        let group = WaitGroup::new();
        group.add(1);
        group.wait().await;
    });
}

#[task]
async fn echo(questions: Receiver<u8>, answers: Sender<u8>) {
    while let Ok(question) = questions.recv().await {
        answers.send(question).await.unwrap();
    }
}

/// Two answers to one question are too many to wait for.
fn task_deadlock() {
    enter(async {
        let (questions_in, questions) = channel(1);
        let (answers_in, answers) = channel(0);
        let echo = spawn(echo(questions, answers_in));
        questions_in.send(7).await.unwrap();
        assert_eq!(answers.recv().await, Ok(7));
        answers.recv().await.unwrap();
        drop(questions_in);
        echo.await.unwrap();
    });
}

#[task]
async fn pass(from: Receiver<u8>, to: Sender<u8>) {
    to.send(from.recv().await.unwrap()).await.unwrap();
}

#[task]
fn pass_on_a_thread(from: Receiver<u8>, to: Sender<u8>) {
    to.send_blocking(from.recv_blocking().unwrap()).unwrap();
}

/// Each waits for the one before it, and nobody has anything to begin with.
fn ring_deadlock() {
    enter(async {
        let ((a_in, a), (b_in, b), (c_in, c)) = (channel(0), channel(0), channel(0));
        let one = spawn(pass(a, b_in));
        let two = spawn(pass_on_a_thread(b, c_in));
        spawn(pass(c, a_in)).await.unwrap();
        one.await.unwrap();
        two.await.unwrap();
    });
}

/// Its child begins beside it, and gets nothing; nor does one on a thread.
#[task]
async fn waits() {
    let ((a_in, a), (b_in, b)) = (channel(0), channel(0));
    let one = spawn(pass(a, b_in));
    let two = spawn(pass_on_a_thread(b, a_in));
    one.await.unwrap();
    two.await.unwrap();
}

fn child_deadlock() {
    enter(async { spawn(waits()).await.unwrap() });
}

#[task]
async fn choose(from: Receiver<u8>, to: Sender<u8>) {
    select! {
        got = from.recv() => drop(got),
        sent = to.send(1) => sent.unwrap(),
    }
}

/// A select does not meet itself, wherever its channel is.
fn select_deadlock() {
    enter(async {
        let (to, from) = channel(0);
        spawn(choose(from.clone(), to.clone())).await.unwrap();
        drop((from, to));
    });
}
