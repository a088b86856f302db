//! Go's programs that end with a deadlock, written anew: `fixedbugs/issue21576.go`, and of
//! `src/runtime/crash_test.go` `SimpleDeadlock`, `InitDeadlock`, `LockedDeadlock` and
//! `GoexitDeadlock` (C54, C55). And programs that only look as if, which must not be taken for one.
//!
//! A deadlock ends the program, so each is a process: this one again, told by a variable which
//! program it is. Without it, it starts them all and looks how they end.

mod asleep;
mod awake;
mod random;

use std::env;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A program, by its name.
pub(crate) type Program = (&'static str, fn());

/// A program that takes longer will never end.
const DEADLINE: Duration = Duration::from_secs(240);

const CASE: &str = "FARSPAWN_DEADLOCK_CASE";

fn main() {
    runtime::serve_if_worker();
    match env::var(CASE) {
        Ok(case) => program(&case)(),
        Err(_) => check_all(),
    }
}

fn program(name: &str) -> fn() {
    let programs = asleep::PROGRAMS.iter().map(|(program, _)| program).chain(awake::PROGRAMS);
    let mut all = programs.chain(random::PROGRAMS);
    all.find(|(known, _)| *known == name).expect("a program of that name").1
}

fn check_all() {
    let wanted: Vec<String> = env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_wanted =
        |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str()));
    let checks = asleep::checks().chain(awake::checks()).chain(random::checks());
    let checks = checks.filter(|(name, _)| is_wanted(name));
    let running: Vec<_> = checks.map(|(name, check)| (name, thread::spawn(check))).collect();
    let mut failed = 0;
    for (name, check) in running {
        let passed = check.join().is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += usize::from(!passed);
    }
    assert_eq!(failed, 0, "programs that did not end as they should");
}

/// How a program of this name and with this seed ends: its status, and what it said on its way. One
/// that does not end is ended.
pub(crate) fn run(name: &str, seed: u64) -> (Option<i32>, String) {
    let mut program = Command::new(env::current_exe().expect("a running program has a path"))
        .env(CASE, name)
        .env("FARSPAWN_WORKERS", "2")
        .env("FARSPAWN_SEED", seed.to_string())
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this program starts");
    let mut errors = program.stderr.take().expect("it is piped");
    let (ended, has_ended) = mpsc::channel();
    let reader = thread::spawn(move || {
        let mut text = String::new();
        errors.read_to_string(&mut text).expect("it speaks UTF-8");
        ended.send(()).ok();
        text
    });
    if has_ended.recv_timeout(DEADLINE).is_err() {
        program.kill().expect("it has not ended");
    }
    let status = program.wait().expect("it ends").code();
    (status, reader.join().expect("it was read"))
}
