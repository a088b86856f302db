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
            .args([binary.as_os_str(), "main.go".as_ref()])
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
        let questions = self.questions.as_mut().expect("it is taken when this ends");
        writeln!(questions, "{cell} {messages}").expect("Go's process listens");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("Go's process answers");
        let numbers = answer.strip_prefix(&cell.to_string()).map(str::split_whitespace);
        let numbers = numbers.into_iter().flatten().map(str::parse).collect();
        match numbers {
            Ok::<Vec<f64>, _>(numbers) if numbers.len() == 2 => {
                Cost { wall: numbers[0], cpu: numbers[1] }
            }
            _ => panic!("Go's process answers {answer:?} to {cell}"),
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
