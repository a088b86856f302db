//! A worker: it runs the tasks that the coordinator gives it.
//!
//! A task given is *held*; while it occupies a thread it is *running* (see `occupancy.rs`). The
//! worker reports when a thread has become free, and every tick.
//!
//! A link that breaks is no concern of the tasks. When the session is over the worker ends at once:
//! the coordinator has fenced it or will, and nothing that it did from here on would be seen. No
//! task is polled any more; as a process it exits, inside a process its executor is shut down.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, SystemTime};

use channels::census::Who;
use channels::id::TaskId;
use channels::node::Node;
use channels::outcome::Outcome;
use channels::wire::{Frame, PROTOCOL_VERSION, Parcel, Role, Secret, Usage, nonce};
use futures::FutureExt;
use futures::future::{AbortHandle, Abortable, Aborted};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::child::{Children, Host};
use crate::client;
use crate::connection::{At, Bell, ConnectError, Connection, Owner, Speaker};
use crate::deadlock::{self, Watch, Watched};
use crate::fence::Fenced;
use crate::lease::{Gate, Lease};
use crate::metrics::Meter;
use crate::occupancy::{Gauge, Seat, Seated};
use crate::pace::Pacer;
use crate::task::{self, Ended, Kind, Task};
use crate::trial::{Trial, Trying};
use crate::unstarted::{Attempted, Letter};

mod leaving;
#[cfg(feature = "lambda")]
pub(crate) use leaving::Control;
pub(crate) use leaving::Served;

/// Threads for tasks that block; each holds one while it runs or waits.
const BLOCKING_THREADS_MAX: usize = 16_384;

/// What a worker is told at the start.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) coordinator: At,
    pub(crate) launch: u64,
    pub(crate) secret: Secret,
    pub(crate) threads: usize,
    /// How much CPU its process is granted, 1.0 being one of them.
    pub(crate) cpus: f64,
    pub(crate) memory_bytes: u64,
    /// CPUs, if they are emulated.
    pub(crate) cores: Option<f64>,
    pub(crate) trial: Option<Trial>,
    /// When it must go, if that is known.
    pub(crate) until: Option<SystemTime>,
    /// Called with the reason when its session is over, before its tasks can learn of it.
    pub(crate) at_end: fn(&str),
}

/// A worker's whole life: returns when its session has ended.
pub(crate) fn serve(settings: &Settings) -> Result<Served, ConnectError> {
    Ok(Serving::begin(settings)?.wait(Duration::ZERO))
}

/// A worker under way.
pub(crate) struct Serving {
    worker: Arc<Worker>,
    connection: Connection,
    executor: tokio::runtime::Runtime,
    /// Threads of the executor.
    alive: Arc<AtomicUsize>,
}

impl Serving {
    /// Connects, and is welcomed.
    pub(crate) fn begin(settings: &Settings) -> Result<Self, ConnectError> {
        let bell = Bell::default();
        let ring = bell.clone();
        let node = Node::new(move || ring.ring());
        let alive = Arc::<AtomicUsize>::default();
        let lease = Lease::of_worker();
        let children = Children::new(&node, &lease);
        let executor = executor(settings, &node, &children, &alive);
        let executor = executor.map_err(|error| ConnectError::Unreachable {
            address: settings.coordinator.address.clone(),
            cause: error.to_string(),
        })?;
        let worker = Worker::new(settings, &node, &lease, children, executor.handle());
        let hello = Frame::Hello {
            version: PROTOCOL_VERSION,
            build: task::build(),
            role: Role::Worker {
                launch: settings.launch,
                threads: settings.threads as u32,
                memory_bytes: settings.memory_bytes,
                process: std::process::id(),
            },
            secret: settings.secret.clone(),
            nonce: nonce(),
        };
        let speaker = Speaker { node, bell, lease, owner: worker.clone() };
        let home = Some(executor.handle());
        let connection = Connection::open(&settings.coordinator, hello, speaker, home)?;
        Ok(Self { worker, connection, executor, alive })
    }
}

fn executor(
    settings: &Settings,
    node: &Arc<Node>,
    children: &Arc<Children>,
    alive: &Arc<AtomicUsize>,
) -> std::io::Result<tokio::runtime::Runtime> {
    let launch = Some(settings.launch);
    let trial = settings.trial.map(|trial| Trying::new(trial, launch));
    let pacer = settings.cores.map(|cores| Arc::new(Pacer::new(cores)));
    // Under a trial tasks go where that says.
    let children = trial.is_none().then(|| children.clone());
    let until = settings.until;
    let here = client::Here { launch, trial, pacer, until, children, ..client::Here::of(node) };
    let (begun, ended) = (alive.clone(), alive.clone());
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(settings.threads.max(1))
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("farspawn-task")
        .on_thread_start(move || {
            begun.fetch_add(1, SeqCst);
            deadlock::enter_pool();
            client::enter_thread(here.clone());
        })
        .on_thread_stop(move || {
            deadlock::leave_pool();
            ended.fetch_sub(1, SeqCst);
        })
        .enable_all()
        .build()
}

struct Worker {
    this: Weak<Self>,
    node: Arc<Node>,
    lease: Arc<Lease>,
    at_end: fn(&str),
    since: Instant,
    until: Option<SystemTime>,
    executor: Handle,
    held: Mutex<Held>,
    gauge: Arc<Gauge>,
    /// What its tasks have begun here.
    children: Arc<Children>,
    watch: Watch,
    meter: Meter,
    /// A report goes with the next frames.
    owes_report: AtomicBool,
}

/// One run of a task.
type Attempt = (TaskId, u32);

/// The attempts that have not ended, and whether more will come.
#[derive(Default)]
struct Held {
    attempts: BTreeMap<Attempt, Grip>,
    /// What comes is given back.
    leaving: bool,
    /// Nothing comes any more.
    draining: bool,
    /// It has said goodbye.
    is_over: bool,
    /// Tasks whose polls were long.
    heavy: BTreeSet<&'static str>,
    /// Attempts that have ended here, and those given back.
    ended: u64,
    given_back: u64,
}

/// How an attempt can be stopped.
struct Grip {
    kind: Kind,
    name: &'static str,
    abort: AbortHandle,
    /// What to say of it once it has stopped.
    verdict: Outcome<()>,
    timer: Option<tokio::task::AbortHandle>,
    seat: Arc<Seat>,
    letter: Arc<Letter>,
}

impl Owner for Worker {
    fn on_frame(&self, frame: Frame) {
        match frame {
            Frame::Run { task, attempt, name, signature, timeout_ms, arguments } => {
                self.gauge.on_run();
                match task::find(&name, signature, arguments.codec) {
                    Ok(found) => self.run((task, attempt), found, timeout_ms, arguments),
                    Err(reason) => self.refuse((task, attempt), &arguments, reason),
                }
            }
            Frame::Cancel { task } => {
                // By range: a worker may hold thousands of parked tasks, all cancelled at once.
                let attempts = (task, 0)..=(task, u32::MAX);
                let attempt = self.held().attempts.range(attempts).next().map(|(key, _)| *key);
                if let Some(attempt) = attempt {
                    self.stop(attempt, Outcome::Cancelled);
                }
            }
            Frame::Probe { round } => self.watch.on_probe(round),
            Frame::Seats { seats } => self.children.grant(seats),
            Frame::Shutdown {} => {
                self.children.close();
                let mut held = self.held();
                held.draining = true;
                self.leave_if_done(&mut held);
            }
            other => tracing::warn!("a frame that is not for workers came: {other}"),
        }
    }

    fn on_departure(&self) {
        if self.owes_report.swap(false, SeqCst) && self.gauge.has_news() {
            self.report();
        }
    }

    fn on_tick(&self) {
        self.watch.on_tick();
        let held = self.held();
        held.attempts.values().for_each(|grip| grip.seat.age());
        self.measure(&held);
        let has_tasks = !held.attempts.is_empty();
        drop(held);
        self.children.on_tick();
        if has_tasks || self.gauge.has_changed() {
            self.report();
        }
    }

    fn on_over(&self, cause: &str) {
        (self.at_end)(cause);
    }
}

impl Host for Worker {
    fn on_seat_free(&self) {
        self.report_if_free();
    }

    fn on_last_child(&self) {
        self.leave_if_done(&mut self.held());
    }
}

impl Worker {
    fn new(
        settings: &Settings,
        node: &Arc<Node>,
        lease: &Arc<Lease>,
        children: Arc<Children>,
        executor: &Handle,
    ) -> Arc<Self> {
        let place = format!("worker {}, ", settings.launch);
        let host = children.clone();
        let worker = Arc::new_cyclic(|this| Self {
            this: this.clone(),
            node: node.clone(),
            lease: lease.clone(),
            at_end: settings.at_end,
            since: Instant::now(),
            until: settings.until,
            executor: executor.clone(),
            held: Mutex::default(),
            gauge: children.gauge().clone(),
            children,
            watch: Watch::new(node.clone(), executor.clone(), place),
            meter: Meter::new(settings.cpus, settings.memory_bytes, settings.cores),
            owes_report: AtomicBool::new(false),
        });
        let this: Arc<dyn Host> = worker.clone();
        host.belong_to(Arc::downgrade(&this));
        worker
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, attempt: Attempt, task: &'static Task, timeout_ms: u64, arguments: Parcel) {
        let Some(this) = self.this.upgrade() else { return };
        let letter = Letter::new(&self.node, arguments);
        if self.held().leaving {
            self.give_back(attempt, &letter);
            return;
        }
        let (abort, aborted) = AbortHandle::new_pair();
        let timer = (timeout_ms > 0).then(|| {
            let this = this.clone();
            let timer = async move {
                tokio::time::sleep(Duration::from_millis(timeout_ms)).await;
                this.stop(attempt, Outcome::DeadlineExceeded(timeout_ms));
            };
            self.executor.spawn(timer).abort_handle()
        });
        let mut held = self.held();
        let seat = Seat::take(self.gauge.clone(), held.heavy.contains(task.name));
        let seat = Arc::new(seat);
        let (kind, name, verdict) = (task.kind, task.name, Outcome::Cancelled);
        let (taken, sealed) = (seat.clone(), letter.clone());
        let grip = Grip { kind, name, abort, verdict, timer, seat: taken, letter: sealed };
        held.attempts.insert(attempt, grip);
        drop(held);
        let who = match task.kind {
            Kind::Async => Who::Task(task.name, attempt.0),
            Kind::Thread => Who::ThreadTask(task.name, attempt.0),
        };
        let started = Fenced::new(&self.node, attempt, Attempted::new(task, letter));
        let started = started.seated(seat.clone());
        let started = Watched::new(who, started);
        let started = Gate::new(self.lease.clone(), started);
        let started = Abortable::new(started, aborted);
        let free = this.clone();
        let seated = Seated::new(seat, started, move || free.report_if_free());
        let handle = &self.executor;
        match task.kind {
            Kind::Async => drop(handle.spawn(async move {
                let ended = AssertUnwindSafe(seated).catch_unwind().await;
                this.on_ended(attempt, ended);
            })),
            Kind::Thread => drop(handle.spawn_blocking(move || {
                let ended = catch_unwind(AssertUnwindSafe(|| seated.on_this_thread()));
                this.on_ended(attempt, ended);
            })),
        }
    }

    /// Stops an attempt at its next await. One on a thread of its own might never come to one, so
    /// its outcome is told at once, and whatever it does later is its own affair.
    fn stop(&self, attempt: Attempt, verdict: Outcome<()>) {
        let mut held = self.held();
        let Some(grip) = held.attempts.get_mut(&attempt) else { return };
        grip.abort.abort();
        match grip.kind {
            Kind::Async => grip.verdict = verdict,
            Kind::Thread => {
                drop(held);
                self.finish(attempt, Ended::new(&self.node, verdict));
            }
        }
    }

    /// An attempt came to its end, was stopped, or panicked while it was being dropped.
    fn on_ended(&self, attempt: Attempt, ended: thread::Result<Result<Ended, Aborted>>) {
        let verdict = self.held().attempts.get(&attempt).map(|grip| grip.verdict.clone());
        // Already told: the result is dropped, and its handles with it.
        let Some(verdict) = verdict else {
            if let Ok(Ok(ended)) = ended {
                self.node.keep(&ended.outcome);
            }
            return self.report_if_free();
        };
        let ended = match ended {
            Ok(Ok(ended)) => ended,
            Ok(Err(Aborted)) => Ended::new(&self.node, verdict),
            Err(panic) => Ended::panicked(&self.node, &*panic),
        };
        self.finish(attempt, ended);
    }

    fn finish(&self, attempt: Attempt, ended: Ended) {
        let mut held = self.held();
        let mut usage = Usage::default();
        if let Some(grip) = held.attempts.remove(&attempt) {
            usage = grip.seat.watch.usage();
            if grip.seat.watch.is_exact() {
                held.heavy.insert(grip.name);
            }
            if let Some(timer) = grip.timer {
                timer.abort();
            }
        }
        let (task, attempt) = attempt;
        let Ended { outcome, kept } = ended;
        held.ended += 1;
        self.children.tell();
        self.node.push(Frame::Finished { task, attempt, outcome, usage });
        self.leave_if_done(&mut held);
        drop(held);
        drop(kept);
        self.report_if_free();
    }

    /// A task that this worker will not begin. False if it has begun.
    fn give_back(&self, (task, attempt): Attempt, letter: &Letter) -> bool {
        let Some(arguments) = letter.take() else { return false };
        let passages = arguments.passages.clone();
        self.held().given_back += 1;
        self.node.push(Frame::Unstarted { task, attempt, arguments });
        passages.into_iter().for_each(|passage| self.node.give_back(passage));
        true
    }

    /// A task that this program does not know: its handles go back, and its spawner hears why.
    fn refuse(&self, attempt: Attempt, arguments: &Parcel, reason: String) {
        arguments.passages.iter().for_each(|passage| self.node.give_back(*passage));
        let ended = Ended::new(&self.node, Outcome::<()>::NeverStarted(reason));
        self.finish(attempt, ended);
    }

    fn leave_if_done(&self, held: &mut Held) {
        let is_done = held.draining && held.attempts.is_empty() && self.children.present() == 0;
        if is_done && !std::mem::replace(&mut held.is_over, true) {
            self.children.tell();
            self.measure(held);
            self.node.push(Frame::Goodbye {});
        }
    }

    /// Reports when the coordinator takes this worker for fuller than it is: once for all that has
    /// changed until frames leave.
    fn report_if_free(&self) {
        if self.gauge.has_news() && !self.owes_report.swap(true, SeqCst) {
            self.node.ring();
        }
    }

    /// Tells how this worker is.
    fn measure(&self, held: &Held) {
        let running = held.attempts.values().filter(|grip| grip.seat.is_running()).count();
        let beyond = running.saturating_sub(self.meter.cores().ceil() as usize);
        let queue = beyond + self.executor.metrics().global_queue_depth();
        self.node.push(Frame::Measures { vitals: self.meter.vitals(queue as u32) });
    }

    fn report(&self) {
        let (running, runs_seen) = self.gauge.tell();
        let (cpu, memory) = self.meter.read();
        self.children.on_memory(memory);
        let held = self.held().attempts.len() as u32;
        self.node.push(Frame::Report { cpu, memory, running, held, runs_seen });
    }
}
