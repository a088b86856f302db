//! Go's channels: a process beside this one that runs a lap when it is told to.
//!
//! It starts once and then waits at its standard input, so that Go takes its turn in every round.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::cell::Cell;
use crate::meter::Cost;

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/go");

/// The process. It ends when its standard input does.
pub(crate) struct Go {
    process: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Go {
    /// Builds and starts it, if there is a `go`: what the variable GO names, or one in PATH.
    pub(crate) fn start() -> Option<Self> {
        let Some(go) = program() else {
            eprintln!("no `go` in PATH, and no variable GO that names one: no column for Go");
            return None;
        };
        let binary = env::current_exe().expect("a program knows its place");
        let binary = binary.with_file_name("farspawn-channel-benches-go");
        let build = Command::new(go)
            .args(["build", "-o"])
            .arg(&binary)
            .args(["main.go", "memory.go", "select.go"])
            .current_dir(SOURCES)
            .status();
        if !build.as_ref().is_ok_and(std::process::ExitStatus::success) {
            eprintln!("`go build` fails ({build:?}): no column for Go");
            return None;
        }
        let mut process = Command::new(binary)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("what was built can be started");
        let questions = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().expect("it is piped"));
        Some(Self { process, questions, answers })
    }

    /// Runs the cell's pattern with so many messages: the cost of one.
    pub(crate) fn lap(&mut self, cell: Cell, messages: u64) -> Cost {
        let [wall, cpu] = self.ask(&cell.to_string(), messages);
        Cost { wall, cpu }
    }

    /// What a goroutine costs that is parked on a channel: bytes, resident bytes, bytes left, and
    /// the ns of spawning and of waking it.
    pub(crate) fn memory(&mut self, tasks: usize) -> [f64; 5] {
        self.ask("memory", tasks as u64)
    }

    /// It answers with the subject and some numbers.
    fn ask<const N: usize>(&mut self, subject: &str, count: u64) -> [f64; N] {
        let questions = self.questions.as_mut().expect("it is taken when this ends");
        writeln!(questions, "{subject} {count}").expect("Go's process listens");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("Go's process answers");
        let numbers = answer.strip_prefix(subject).map(str::split_whitespace);
        let numbers: Vec<f64> =
            numbers.into_iter().flatten().map_while(|number| number.parse().ok()).collect();
        match numbers.try_into() {
            Ok(numbers) => numbers,
            Err(_) => panic!("Go's process answers {answer:?} to {subject}"),
        }
    }
}

impl Drop for Go {
    fn drop(&mut self) {
        self.questions = None;
        drop(self.process.wait());
    }
}

fn program() -> Option<PathBuf> {
    if let Some(named) = env::var_os("GO") {
        return Some(named.into());
    }
    let places = env::var_os("PATH")?;
    env::split_paths(&places).map(|folder| folder.join("go")).find(|file| file.is_file())
}
