//! Processes, and how they are asked for a lap: a line of JSON on the driver's standard input, the
//! nanoseconds that it took on its standard output. When a process's standard input ends, so does
//! the process.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

use anyhow::{Context, bail};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::meter::{self, Cost};
use crate::nats;
use crate::row::Row;

/// All contenders, in the order of the columns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, ValueEnum)]
pub(crate) enum Name {
    /// Channels of this project.
    Ours,
    /// A relay that forwards frames in WebSocket messages, written for this.
    Websocket,
    /// A relay that forwards bytes, written for this.
    Tcp,
    /// NATS: publish and subscribe.
    Nats,
}

impl Name {
    pub(crate) const ALL: [Self; 4] = [Self::Ours, Self::Websocket, Self::Tcp, Self::Nats];

    pub(crate) fn text(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// A lap: so many messages of a row.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Lap {
    pub(crate) row: Row,
    pub(crate) messages: u64,
}

/// A process of a contender. It is ended when this is dropped.
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// All processes of a contender, the one that runs the laps last.
pub(crate) struct Contender {
    pub(crate) name: Name,
    processes: Vec<Process>,
    /// All whose CPU time counts.
    ids: Vec<u32>,
    _folder: Option<tempfile::TempDir>,
}

impl Process {
    /// Starts this program in another role.
    pub(crate) fn role(arguments: &[&str]) -> anyhow::Result<Self> {
        Self::start(&env::current_exe()?, arguments)
    }

    /// Starts a program.
    pub(crate) fn start(program: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("starting {command:?}"))?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("its output is piped")?);
        Ok(Self { child, input, output })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn say(&mut self, line: &str) -> anyhow::Result<()> {
        let input = self.input.as_mut().context("its input is piped")?;
        writeln!(input, "{line}")?;
        Ok(input.flush()?)
    }

    /// The next line that the process prints.
    pub(crate) fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            bail!("a process of the bench has ended: {}", self.child.wait()?);
        }
        Ok(line.trim().to_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.input.take());
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Starts those that take part and can.
pub(crate) fn start_all(takes_part: impl Fn(Name) -> bool) -> anyhow::Result<Vec<Contender>> {
    let mut started = Vec::new();
    for name in Name::ALL.into_iter().filter(|name| takes_part(*name)) {
        match start(name).with_context(|| format!("starting {}", name.text()))? {
            Some(contender) => started.push(contender),
            None => eprintln!("{} is not installed and takes no part", name.text()),
        }
    }
    Ok(started)
}

fn start(name: Name) -> anyhow::Result<Option<Contender>> {
    let text = name.text();
    let mut folder = None;
    let (middle, address) = match name {
        Name::Ours => {
            let mut coordinator = Process::role(&["coordinator"])?;
            let address = coordinator.line()?;
            (coordinator, address)
        }
        Name::Websocket | Name::Tcp => {
            let mut relay = Process::role(&["relay", &text])?;
            let address = relay.line()?;
            (relay, address)
        }
        Name::Nats => {
            let Some(program) = installed("nats-server") else { return Ok(None) };
            let place = tempfile::tempdir()?;
            let started = nats::start_server(&program, place.path())?;
            folder = Some(place);
            started
        }
    };
    let mut ids = vec![middle.id()];
    let mut processes = vec![middle];
    let driver = if name == Name::Ours {
        let mut client = Process::role(&["client", &address])?;
        ids.push(client.line()?.parse().context("the worker's process id was expected")?);
        client
    } else {
        let mut receiver = Process::role(&["receive", &text, &address])?;
        receiver.line()?;
        ids.push(receiver.id());
        processes.push(receiver);
        let mut sender = Process::role(&["send", &text, &address])?;
        sender.line()?;
        sender
    };
    ids.push(driver.id());
    processes.push(driver);
    Ok(Some(Contender { name, processes, ids, _folder: folder }))
}

impl Contender {
    /// Runs a lap; says what a message cost.
    pub(crate) fn run(&mut self, lap: Lap) -> anyhow::Result<Cost> {
        let driver = self.processes.last_mut().context("a contender has processes")?;
        let before = meter::cpu_time(&self.ids)?;
        driver.say(&serde_json::to_string(&lap)?)?;
        let wall: f64 = driver.line()?.parse().context("nanoseconds were expected")?;
        let cpu = meter::cpu_time(&self.ids)? - before;
        Ok(Cost { wall, cpu }.over(lap.messages))
    }
}

/// Answers laps until the input ends, then ends the process.
pub(crate) fn serve_laps(mut run: impl FnMut(Lap) -> anyhow::Result<u128>) -> anyhow::Result<()> {
    for line in std::io::stdin().lines() {
        let nanos = run(serde_json::from_str(&line?)?)?;
        println!("{nanos}");
    }
    Ok(())
}

/// Ends this process when its standard input does: whoever started it is gone.
pub(crate) fn end_with_input() {
    thread::spawn(|| {
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).ok();
        std::process::exit(0);
    });
}

fn installed(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}
