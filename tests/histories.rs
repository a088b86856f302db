//! Random channel programs on several worker processes; every operation is recorded, and the
//! history that comes together is checked against the contract. Also while workers are killed.
//!
//! A program is made from a seed, which a failure names: `FARSPAWN_SEED=123 cargo test --test
//! farspawn histories` runs that one (what the workers make of it is up to them), and
//! `FARSPAWN_SEEDS=1000` runs so many. The client holds both ends of every channel and receives on
//! each, so nothing depends on who survives.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{env, fs};

use checker::generate::Random;
use checker::recorded::{Case, Chosen, In, Out, channel};
use checker::{Channel, History, NEVER, Recorded, Recorder, TaskEnd, check, text};
use runtime::{JoinError, JoinHandle, RecvError, current_worker, spawn, task};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

use crate::cluster::{processes, run};

/// What travels: bytes, or a handle to another channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Load {
    Bytes(Vec<u8>),
    Handle(Out<Self>),
}

/// What a task does.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Part {
    /// Its name in the records.
    task: u32,
    seed: u64,
    /// How many sends; receivers go on until the end.
    sends: u32,
    manner: Manner,
    /// Where its process records.
    folder: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
enum Manner {
    /// Sends and receives that wait: then every rule applies strictly.
    Plain,
    /// It selects, tries, gives up, closes, and passes handles on.
    Whimsical,
}

impl Part {
    /// The task's log, in the file of its process.
    fn recorded(&self) -> Recorded {
        static RECORDERS: Mutex<BTreeMap<PathBuf, Arc<Recorder>>> = Mutex::new(BTreeMap::new());
        let session = current_worker().unwrap_or(0) as u32;
        let path = self.folder.join(format!("{session}-{}", std::process::id()));
        let mut recorders = RECORDERS.lock().unwrap();
        let recorder = recorders.entry(path).or_insert_with_key(|path| {
            Recorder::to_file(session, path).expect("the folder is there")
        });
        Recorded::new(recorder.task(self.task))
    }
}

#[task]
async fn produce(part: Part, outs: Vec<Out<Load>>) {
    sending(part, outs).await;
}

async fn sending(part: Part, outs: Vec<Out<Load>>) {
    let (log, mut random) = (part.recorded(), Random::new(part.seed));
    let whims = part.manner == Manner::Whimsical;
    for _ in 0..part.sends {
        let mut pick = || &outs[random.below(outs.len() as u32) as usize];
        let (out, other) = (pick(), pick());
        let load = if whims && random.once_in(8) {
            Load::Handle(other.clone())
        } else {
            Load::Bytes(vec![7; random.below(40) as usize])
        };
        match random.below(if whims { 8 } else { 1 }) {
            5 => drop(log.try_send(out, load).await),
            6 => {
                let cases = vec![Case::Send(out, load), Case::Send(other, Load::Bytes(vec![]))];
                log.select(cases).await;
            }
            7 if random.once_in(4) => {
                let patience = Duration::from_millis(random.below(4).into());
                drop(timeout(patience, log.send(out, load)).await);
            }
            7 if random.once_in(16) => drop(log.close(out).await),
            _ => drop(log.send(out, load).await),
        }
    }
}

#[task]
async fn consume(part: Part, ins: Vec<In<Load>>) {
    receiving(part, ins).await;
}

async fn receiving(part: Part, mut ins: Vec<In<Load>>) {
    let (log, mut random) = (part.recorded(), Random::new(part.seed));
    if part.manner == Manner::Plain {
        ins.truncate(1);
    }
    while !ins.is_empty() {
        let at = random.below(ins.len() as u32) as usize;
        let whim = if part.manner == Manner::Plain { 9 } else { random.below(10) };
        let (at, received) = match whim {
            0 => match log.try_recv(&ins[at]).await {
                Ok(named) => (at, Ok(named)),
                Err(_) => continue,
            },
            1 => {
                let patience = Duration::from_micros(random.below(2000).into());
                match timeout(patience, log.recv(&ins[at])).await {
                    Ok(received) => (at, received),
                    Err(_) => continue,
                }
            }
            2 => match log.select_now(ins.iter().map(Case::Receive).collect()).await {
                Some(Chosen::Received(at, received)) => (at, received),
                _ => continue,
            },
            // A plain one waits on its only channel.
            9 if ins.len() == 1 => (0, log.recv(&ins[0]).await),
            _ => match log.select(ins.iter().map(Case::Receive).collect()).await {
                Chosen::Received(at, received) => (at, received),
                Chosen::Sent(..) => unreachable!("there is no such case"),
            },
        };
        match received.map(|named| named.load) {
            Ok(Load::Bytes(_)) => {}
            Ok(Load::Handle(out)) => drop(log.try_send(&out, Load::Bytes(vec![1])).await),
            Err(RecvError::Malformed(reason)) => panic!("{reason}"),
            Err(_) => drop(ins.swap_remove(at)),
        }
    }
}

/// A program, and what is known of it.
struct Program {
    random: Random,
    folder: PathBuf,
    manner: Manner,
    outs: Vec<Out<Load>>,
    ins: Vec<In<Load>>,
    history: History,
    tasks: u32,
}

impl Program {
    fn new(seed: u64, folder: &Path, manner: Manner) -> Self {
        let mut random = Random::new(seed);
        let mut history = History { settled: true, lag: NEVER, ..History::default() };
        let (mut outs, mut ins) = (Vec::new(), Vec::new());
        for id in 1..=1 + random.below(4) {
            let capacity = [0, 0, 1, 2, 7, 64][random.below(6) as usize];
            history.channels.push(Channel { id, capacity, held: true });
            let (out, here) = channel(id, capacity as usize);
            outs.push(out);
            ins.push(here);
        }
        let folder = folder.to_owned();
        Self { random, folder, manner, outs, ins, history, tasks: 0 }
    }

    fn part(&mut self, sends: u32) -> Part {
        self.tasks += 1;
        let (task, seed) = (self.tasks, self.random.bits());
        Part { task, seed, sends, manner: self.manner, folder: self.folder.clone() }
    }

    /// The channels, rotated so that each is somebody's first.
    fn turned<H: Clone>(&mut self, all: &[H]) -> Vec<H> {
        let mut all = all.to_vec();
        let by = self.random.below(all.len() as u32) as usize;
        all.rotate_left(by);
        all
    }

    /// Runs it, while `meanwhile` does its worst; what was recorded is in the history afterwards.
    async fn run(mut self, sends: u32, meanwhile: impl Future<Output = Vec<u32>>) -> History {
        let (outs, ins) = (self.outs.clone(), self.ins.clone());
        let mut here = Vec::new();
        for one in &ins {
            let part = self.part(0);
            here.push(tokio::spawn(receiving(part, vec![one.clone()])));
        }
        let (mut senders, mut receivers) = (Vec::new(), Vec::new());
        for _ in 0..2 + self.random.below(4) {
            let (part, outs) = (self.part(sends), self.turned(&outs));
            senders.push((part.task, spawn(produce(part, outs))));
            let (part, ins) = (self.part(0), self.turned(&ins));
            receivers.push((part.task, spawn(consume(part, ins))));
        }
        let (part, turned) = (self.part(sends), self.turned(&outs));
        let local = tokio::spawn(sending(part, turned));
        self.history.fenced.extend(meanwhile.await);
        for (task, handle) in senders {
            self.joined(task, handle).await;
        }
        local.await.expect("it does not panic");
        let closer = self.part(0).recorded();
        for out in &self.outs {
            closer.close(out).await.ok();
        }
        for (task, handle) in receivers {
            self.joined(task, handle).await;
        }
        for receiving in here {
            receiving.await.expect("it does not panic");
        }
        for file in fs::read_dir(&self.folder).unwrap() {
            let records = fs::read_to_string(file.unwrap().path()).unwrap();
            self.history.merge(text::read(&records).unwrap());
        }
        self.history
    }

    async fn joined(&mut self, task: u32, handle: JoinHandle<()>) {
        let end = match handle.await {
            Ok(()) => TaskEnd::Returned,
            Err(JoinError::WorkerLost(_)) => TaskEnd::WorkerLost,
            Err(JoinError::NeverStarted(_)) => TaskEnd::NeverStarted,
            Err(error) => panic!("task {task}: {error}"),
        };
        self.history.ends.push((task, end));
    }
}

/// The seeds of a test: so many, or those that the environment names.
fn seeds(usual: u64) -> Vec<u64> {
    let named = |name| env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    match (named("FARSPAWN_SEED"), named("FARSPAWN_SEEDS")) {
        (Some(seed), _) => vec![seed],
        (None, count) => (1..=count.unwrap_or(usual)).collect(),
    }
}

/// Runs the programs of some seeds, and checks what they saw.
fn programs(usual: u64, manner: Manner, sends: u32, workers: usize, kills: usize) {
    let (mut losses, mut is_spread) = (0, false);
    for seed in seeds(usual) {
        println!("FARSPAWN_SEED={seed}: {manner:?}, {workers} workers, {kills} killed");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let history = run(processes(workers), async {
            let program = Program::new(seed, &path, manner);
            program.run(sends, kill(seed, &path, kills)).await
        });
        let found = check(&history);
        let told: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert!(found.is_empty(), "FARSPAWN_SEED={seed}, {manner:?}:\n{}", told.join("\n"));
        let outcomes: BTreeSet<_> =
            history.records.iter().map(|r| format!("{:?} {:?}", r.kind, r.outcome)).collect();
        assert!(history.records.len() as u32 >= sends, "it did something: {outcomes:?}");
        let takes = history.records.iter().filter(|record| record.is_take());
        let workers: BTreeSet<u32> = takes.map(|take| take.session).collect();
        is_spread |= workers.len() > 1;
        let lost = history.ends.iter().filter(|(_, end)| *end == TaskEnd::WorkerLost);
        println!("{} operations, {} tasks lost", history.records.len(), lost.clone().count());
        losses += lost.count();
    }
    assert!(is_spread, "of some program more than one process received");
    assert_eq!(losses > 0, kills > 0, "of some program a task was killed");
}

/// Kills so many workers, each once it has recorded some random amount. Which sessions they were.
async fn kill(seed: u64, folder: &Path, kills: usize) -> Vec<u32> {
    let mut random = Random::new(!seed);
    let mut killed = Vec::new();
    while killed.len() < kills {
        let amount = u64::from(random.below(20_000));
        let mut victim = None;
        for _ in 0..2000 {
            victim = recording(folder, amount).into_iter().find(|(s, _)| !killed.contains(s));
            if victim.is_some() {
                break;
            }
            sleep(Duration::from_millis(1)).await;
        }
        // The program was over before anybody recorded so much.
        let Some((session, process)) = victim else { break };
        let process = Pid::from_raw(process).expect("a process id is above zero");
        killed.push(session);
        if kill_process(process, Signal::KILL).is_err() {
            break;
        }
    }
    killed
}

/// The worker processes that have recorded at least so many bytes: their sessions and processes.
fn recording(folder: &Path, bytes: u64) -> Vec<(u32, i32)> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let long = files.filter(|file| file.metadata().is_ok_and(|about| about.len() >= bytes));
    let names = long.map(|file| file.file_name().to_string_lossy().into_owned());
    let named = names.filter_map(|name| {
        let (session, process) = name.split_once('-')?;
        Some((session.parse().ok()?, process.parse().ok()?))
    });
    named.filter(|(session, _)| *session != 0).collect()
}

/// D2, D5, D6, D8, strictly.
#[test]
fn of_plain_programs() {
    programs(4, Manner::Plain, 150, 3, 0);
}

/// D7, D9, and handles that travel.
#[test]
fn of_programs_that_select_and_give_up_and_close() {
    programs(6, Manner::Whimsical, 100, 3, 0);
}

/// D1, D3, D4, D10: what is left of a worker is a prefix; what it took and did not answer for is
/// somebody else's.
#[test]
fn of_plain_programs_whose_workers_are_killed() {
    programs(5, Manner::Plain, 300, 3, 2);
}

#[test]
fn of_whimsical_programs_whose_workers_are_killed() {
    programs(5, Manner::Whimsical, 200, 3, 2);
}
