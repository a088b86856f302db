//! Events, and the environments that they run in.
//!
//! An event is *queued* (accepted; it waits for its turn, within the function's concurrency) ->
//! *run* -> ended, or, if it failed, queued again as often as the function allows.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::Bytes;
use rustix::process::Signal;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use crate::environment::{Environment, Stage};
use crate::front::Refusal;
use crate::function::Function;

/// An account's concurrency, unless some is reserved.
const CONCURRENCY: usize = 1000;

/// What became of an event, once.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The function answered.
    Answered(String),
    /// It answered with an error.
    Failed(String),
    /// Its process ended.
    Crashed(String),
    /// It was killed at the time limit.
    TimedOut,
    /// It was killed at the memory limit.
    OutOfMemory,
}

/// An invocation that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Invocation {
    /// The event's name; that of a duplicate is the same.
    pub request: String,
    /// The process that it ran in.
    pub process: u32,
    /// Which try it was, from 1.
    pub attempt: u32,
    /// How long the cold start took, if it had one.
    pub init: Option<Duration>,
    /// How long it took, without that.
    pub took: Duration,
    /// The process's memory at its highest, in MB.
    pub memory_mb: u64,
    /// What came of it.
    pub outcome: Outcome,
}

/// One line, as Lambda's own report of an invocation.
impl fmt::Display for Invocation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { request, process, took, memory_mb, outcome, .. } = self;
        write!(out, "{request} in process {process}: {took:.1?}, {memory_mb} MB")?;
        if let Some(init) = self.init {
            write!(out, ", after a cold start of {init:.1?}")?;
        }
        write!(out, ": {outcome:?}")
    }
}

/// An environment that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// Its process.
    pub process: u32,
    /// What it does.
    pub stage: Stage,
}

/// What is to go wrong.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) throttled: u32,
    pub(crate) duplicated: u32,
    pub(crate) refusals: Vec<Refusal>,
    /// Calls that were refused for them.
    pub(crate) refused: u32,
}

/// All of a function.
pub(crate) struct Fleet {
    function: Function,
    room: Semaphore,
    state: Mutex<State>,
    /// Something has ended.
    ended: Condvar,
    requests: AtomicU64,
    /// On managed instances one is started after the other.
    starting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    environments: Vec<Arc<Environment>>,
    invocations: Vec<Invocation>,
    faults: Faults,
    /// Events that have not come to their end.
    under_way: usize,
}

impl Fleet {
    pub(crate) fn new(function: Function) -> Self {
        let environments = function.reserved.unwrap_or(CONCURRENCY);
        let room = Semaphore::new(environments * function.concurrency);
        Self {
            function,
            room,
            state: Mutex::default(),
            ended: Condvar::new(),
            requests: AtomicU64::new(0),
            starting: tokio::sync::Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn function(&self) -> &Function {
        &self.function
    }

    pub(crate) fn invocations(&self) -> Vec<Invocation> {
        self.state().invocations.clone()
    }

    /// Blocks until no event is under way; false if that takes longer.
    pub(crate) fn settle(&self, patience: Duration) -> bool {
        let is_busy = |state: &mut State| state.under_way > 0;
        let waited = self.ended.wait_timeout_while(self.state(), patience, is_busy);
        waited.is_ok_and(|(_, timeout)| !timeout.timed_out())
    }

    pub(crate) fn sandboxes(&self) -> Vec<Sandbox> {
        let state = self.state();
        let alive = state.environments.iter().filter(|environment| environment.is_alive());
        let seen = |at: &Arc<Environment>| Sandbox { process: at.process, stage: at.stage() };
        alive.map(seen).collect()
    }

    pub(crate) fn order<R>(&self, order: impl FnOnce(&mut Faults) -> R) -> R {
        order(&mut self.state().faults)
    }

    pub(crate) fn name_request(&self) -> String {
        format!("request-{:04}", self.requests.fetch_add(1, Relaxed) + 1)
    }

    /// Accepts an event: it will be run, some time, perhaps more than once.
    pub(crate) fn accept(self: &Arc<Self>, request: &str, payload: &Bytes) {
        let twice = self.order(|faults| {
            let twice = faults.duplicated > 0;
            faults.duplicated -= u32::from(twice);
            twice
        });
        for _ in 0..1 + u32::from(twice) {
            let (fleet, request, payload) = (self.clone(), request.to_owned(), payload.clone());
            self.state().under_way += 1;
            tokio::spawn(async move {
                fleet.run_event(&request, payload).await;
                fleet.state().under_way -= 1;
                fleet.ended.notify_all();
            });
        }
    }

    async fn run_event(self: &Arc<Self>, request: &str, payload: Bytes) {
        let accepted = Instant::now();
        for attempt in 1..=self.function.retries + 1 {
            let left = self.function.event_age_max.saturating_sub(accepted.elapsed());
            let Ok(outcome) = timeout(left, self.room.acquire()).await else { break };
            let outcome = match outcome {
                Ok(_room) => self.invoke(request, payload.clone(), attempt).await,
                Err(_) => break,
            };
            if let Outcome::Answered(_) = outcome {
                return;
            }
            sleep(self.function.retry_pause * attempt).await;
        }
        tracing::info!("{request} is given up");
    }

    /// Runs it now, if there is room.
    pub(crate) async fn invoke_now(self: &Arc<Self>, payload: Bytes) -> Option<Outcome> {
        let _room = self.room.try_acquire().ok()?;
        Some(self.invoke(&self.name_request(), payload, 1).await)
    }

    async fn invoke(self: &Arc<Self>, request: &str, payload: Bytes, attempt: u32) -> Outcome {
        let environment = match self.environment().await {
            Ok(environment) => environment,
            Err(error) => {
                let program = self.function.program.display();
                let outcome = Outcome::Crashed(format!("{program} cannot be run: {error}"));
                self.note(request, attempt, None, (None, Duration::ZERO), &outcome);
                return outcome;
            }
        };
        let (init, took, outcome) = environment.run(&self.function, request, payload).await;
        self.note(request, attempt, Some(&environment), (init, took), &outcome);
        if environment.is_alive() {
            tokio::spawn(self.clone().reap(environment));
        } else {
            self.state().environments.retain(|known| known.is_alive());
        }
        outcome
    }

    fn note(
        &self,
        request: &str,
        attempt: u32,
        environment: Option<&Environment>,
        (init, took): (Option<Duration>, Duration),
        outcome: &Outcome,
    ) {
        let (process, memory_mb) =
            environment.map_or((0, 0), |at| (at.process, at.peak_memory() >> 20));
        let request = request.to_owned();
        let outcome = outcome.clone();
        let invocation = Invocation { request, process, attempt, init, took, memory_mb, outcome };
        tracing::info!("REPORT {invocation:?}");
        self.state().invocations.push(invocation);
    }

    /// A warm environment, the one that was busy last, or a new one.
    async fn environment(&self) -> std::io::Result<Arc<Environment>> {
        let is_shared = self.function.concurrency > 1;
        let _starting = if is_shared { Some(self.starting.lock().await) } else { None };
        let warm = {
            let state = self.state();
            let is_free =
                |at: &&Arc<Environment>| at.is_alive() && at.events() < self.function.concurrency;
            let warm = state.environments.iter().rev().find(is_free).cloned();
            warm.inspect(|environment| environment.engage())
        };
        if let Some(warm) = warm {
            return Ok(warm);
        }
        let fresh = Environment::start(&self.function).await?;
        fresh.engage();
        self.state().environments.push(fresh.clone());
        Ok(fresh)
    }

    /// Ends an environment that has had nothing to do for long.
    async fn reap(self: Arc<Self>, environment: Arc<Environment>) {
        let served = self.state().invocations.len();
        sleep(self.function.keep_warm).await;
        let is_idle = {
            let mut state = self.state();
            let own = |at: &Invocation| at.process == environment.process;
            let is_idle =
                environment.events() == 0 && !state.invocations.iter().skip(served).any(own);
            if is_idle {
                state.environments.retain(|known| !Arc::ptr_eq(known, &environment));
            }
            is_idle
        };
        if is_idle {
            environment.end().await;
        }
    }

    pub(crate) fn kill_all(&self) {
        for environment in &self.state().environments {
            environment.signal(Signal::KILL);
        }
    }
}

impl fmt::Debug for Fleet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Fleet({})", self.function.name)
    }
}
