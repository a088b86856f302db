//! What a parked task costs: many tasks, each in `recv` on a channel of its own, then all woken.

use std::env;
use std::future::pending;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::task::AbortHandle;

use crate::arguments::Arguments;
use crate::cell::Capacity;
use crate::contender::{Contender, GO, OURS, TASK};
use crate::go::Go;
use crate::heap;
use crate::meter::measure;
use crate::ours::Ours;
use crate::peers::{AsyncChannel, CrossfireSpsc, Flume, Kanal, Tokio};
use crate::rounds::runtime;

/// Those who are measured, and their names: contenders, and a task without a channel.
const CROWDS: [Crowd; 8] = [
    Crowd { name: TASK, park: alone },
    Crowd { name: OURS, park: with_channels::<Ours> },
    Crowd { name: "kanal", park: with_channels::<Kanal> },
    Crowd { name: "flume", park: with_channels::<Flume> },
    Crowd { name: "async-channel", park: with_channels::<AsyncChannel> },
    Crowd { name: "crossfire", park: with_channels::<CrossfireSpsc> },
    Crowd { name: "tokio", park: with_channels::<Tokio> },
    Crowd { name: GO, park: goroutines },
];

struct Crowd {
    name: &'static str,
    /// Parks so many tasks and wakes them, if it is there.
    park: fn(usize) -> Option<Parked>,
}

/// What so many parked tasks cost, a task each.
#[derive(Serialize, Deserialize)]
pub(crate) struct Parked {
    /// Bytes of the heap, and of Go's stacks, while all are parked.
    bytes: f64,
    /// Bytes of the process by which it grew: with what the allocator needs beside each piece.
    resident: f64,
    /// Bytes of the heap that are still in use when all have ended.
    left: f64,
    spawn_nanos: f64,
    wake_nanos: f64,
}

/// Prints what a parked task costs those that are admitted. Each is a process of its own, for what
/// another has freed would not be seen to be taken.
pub(crate) fn report(tasks: usize, arguments: &Arguments, admits: impl Fn(&str) -> bool) {
    if !arguments.json {
        println!(
            "{tasks} tasks, each parked in recv on a channel of its own (capacity 1, u64); a task:"
        );
        let columns = ["heap bytes", "resident", "spawn ns", "wake ns", "bytes left"];
        println!("{:14}{}", "", columns.map(|column| format!("{column:>12}")).concat());
    }
    for Crowd { name, .. } in CROWDS.iter().filter(|crowd| admits(crowd.name)) {
        let this = env::current_exe().expect("a program knows its place");
        let output = Command::new(this)
            .args(["crowd", name, &tasks.to_string()])
            .stderr(Stdio::inherit())
            .output()
            .expect("this program can be started again");
        assert!(output.status.success(), "{name} fails");
        let parked = serde_json::from_slice(&output.stdout).expect("a crowd prints what it cost");
        let Some(parked) = parked else { continue };
        if arguments.json {
            println!("{}", json!({ "memory": name, "tasks": tasks, "each": parked }));
            continue;
        }
        let Parked { bytes, resident, left, spawn_nanos, wake_nanos } = parked;
        print!("{name:14}{bytes:>12.0}{resident:>12.0}{spawn_nanos:>12.0}{wake_nanos:>12.0}");
        println!("{left:>12.1}");
    }
}

/// Prints the costs of a row of the report, in JSON.
pub(crate) fn report_crowd(name: &str, tasks: usize) {
    let crowd = CROWDS.iter().find(|crowd| crowd.name == name).expect("a name of the report");
    heap::count();
    println!("{}", json!((crowd.park)(tasks)));
}

fn goroutines(tasks: usize) -> Option<Parked> {
    let [bytes, resident, left, spawn_nanos, wake_nanos] = Go::start()?.memory(tasks);
    Some(Parked { bytes, resident, left, spawn_nanos, wake_nanos })
}

fn with_channels<C: Contender<u64>>(tasks: usize) -> Option<Parked> {
    let start = |runtime: &Runtime| {
        let (sender, mut receiver) = C::open(Capacity::Of(1));
        runtime.spawn(async move {
            let _at_work = AtWork::begin();
            assert_eq!(C::recv(&mut receiver).await, Some(7));
        });
        sender
    };
    let wake = |runtime: &Runtime, senders: Vec<C::Sender>| {
        runtime.spawn(async move {
            for sender in senders {
                C::send(&sender, 7).await;
            }
        });
    };
    Some(park(tasks, start, wake))
}

fn alone(tasks: usize) -> Option<Parked> {
    let start = |runtime: &Runtime| {
        let task = runtime.spawn(async move {
            let _at_work = AtWork::begin();
            pending::<()>().await;
        });
        task.abort_handle()
    };
    let abort = |_: &Runtime, tasks: Vec<AbortHandle>| tasks.iter().for_each(AbortHandle::abort);
    Some(park(tasks, start, abort))
}

fn park<S>(
    tasks: usize,
    start: impl Fn(&Runtime) -> S,
    wake: impl FnOnce(&Runtime, Vec<S>),
) -> Parked {
    let at_start = heap::bytes();
    let runtime = runtime();
    runtime.block_on(runtime.spawn(async {})).expect("an empty task ends");
    let mut started = Vec::with_capacity(tasks);
    let (before, resident_before) = (heap::bytes(), heap::resident());
    let spawning = measure(|| {
        started.extend((0..tasks).map(|_| start(&runtime)));
        AtWork::wait_for(tasks);
    });
    let (bytes, resident) = (heap::bytes() - before, heap::resident() - resident_before);
    let waking = measure(|| {
        wake(&runtime, started);
        AtWork::wait_for(0);
    });
    drop(runtime);
    let left = heap::bytes() - at_start;
    let each = |total: f64| total / tasks as f64;
    Parked {
        bytes: each(bytes as f64),
        resident: each(resident),
        left: each(left as f64),
        spawn_nanos: each(spawning.wall),
        wake_nanos: each(waking.wall),
    }
}

/// Held by a task from its first poll to its end. (The last few counted may not be parked yet.)
struct AtWork;

static AT_WORK: AtomicUsize = AtomicUsize::new(0);

impl AtWork {
    fn begin() -> Self {
        AT_WORK.fetch_add(1, Relaxed);
        Self
    }

    fn wait_for(tasks: usize) {
        while AT_WORK.load(Relaxed) != tasks {
            thread::yield_now();
        }
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        AT_WORK.fetch_sub(1, Relaxed);
    }
}
