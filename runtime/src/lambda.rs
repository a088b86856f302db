//! A worker on AWS Lambda, by the `lambda_runtime` crate: one invocation is one session.
//!
//! An invocation is *connecting* -> *working* -> *draining* (its time is nearly over, or the
//! platform told it to end: no more tasks; what it has not begun goes back) -> *over* -> answered
//! with its [`Account`]. The session is closed and its threads have ended before the answer, so
//! what Lambda freezes after it has nothing to do with any session, and what it thaws begins anew.
//! If a task computes on and on, its process ends instead: a stopped thread cannot be had.
//!
//! A launch that is delivered twice is worked on once: its token is good for one hello.
//!
//! The coordinator is named by the function's configuration (`FARSPAWN_COORDINATOR`), never by the
//! payload. On managed instances several sessions run beside each other, each with its part of the
//! CPU and memory; nothing is frozen there.

mod account;
mod time;

use std::env;
use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use coordinator::platform::Offer;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::time::{sleep, timeout};

use crate::connection::{At, ConnectError};
use crate::deadlock::OwnThread;
use crate::entry::{EXIT_UNAVAILABLE, EnvironmentError};
use crate::worker::{Control, Serving, Settings};
use account::{Account, Start};
use time::Times;

/// Exit status of a worker with a task that does not stop.
const EXIT_STUCK: i32 = 72;
/// A function with so much memory, in MB, has one CPU; with more or less, in proportion.
const MB_PER_CPU: f64 = 1769.0;
/// Why a worker drains that lives for long.
const TIME_IS_UP: &str = "its time limit is near";
/// From SIGTERM until those under way are given up. Lambda kills half a second after it.
const LAST_TASKS: Duration = Duration::from_millis(250);
/// From then until nobody waits for the coordinator any more.
const LAST_WORDS: Duration = Duration::from_millis(150);

/// Whether this process is in Lambda, to work there. One whose role is said otherwise is not: a
/// function may be a client.
pub(crate) fn is_here() -> bool {
    env::var_os("AWS_LAMBDA_RUNTIME_API").is_some() && env::var_os("FARSPAWN_ROLE").is_none()
}

/// Answers invocations as long as the process lives.
pub(crate) fn serve() -> ! {
    let _own = OwnThread::enter();
    // On a machine that only plays Lambda nothing is to be left over. Lambda does not set it.
    if env::var_os("FARSPAWN_PARENT").is_some()
        && let Err(error) = set_parent_process_death_signal(Some(Signal::KILL))
    {
        tracing::warn!("the kernel will not end this worker with its parent: {error}");
    }
    let executor = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = executor.map_err(Error::from).and_then(|executor| {
        executor.block_on(async {
            let place = Arc::<Place>::default();
            let (told, asked) = (place.clone(), place.clone());
            // Only with this does Lambda send SIGTERM at all.
            lambda_runtime::spawn_graceful_shutdown_handler(async move || told.end().await).await;
            let answer = move |event| asked.clone().answer(event);
            lambda_runtime::run_concurrent(service_fn(answer)).await
        })
    });
    if let Err(error) = ended {
        eprintln!("farspawn worker on Lambda: {error}");
    }
    std::process::exit(EXIT_UNAVAILABLE)
}

/// The process: what its sessions share.
#[derive(Default)]
struct Place {
    sessions: AtomicU64,
    open: Mutex<Vec<(u64, Control)>>,
}

impl Place {
    /// One invocation.
    async fn answer(self: Arc<Self>, event: LambdaEvent<Offer>) -> Result<Account, Error> {
        let number = self.sessions.fetch_add(1, Relaxed) + 1;
        let (offer, context) = event.into_parts();
        let share = drain_share(|name| env::var(name).ok())?;
        let times = Times::new(time::today(), context.deadline(), share);
        let size = Size::new(context.env_config.memory, |name| env::var(name).ok())?;
        let settings = settings(&offer, &size, &times)?;
        let start = Start::now(offer.launch, number);
        let begun = tokio::task::spawn_blocking(move || Serving::begin(&settings)).await?;
        let mut serving = match begun {
            Ok(serving) => serving,
            // Nothing is wrong here: it is the second of a launch, or one that was given up.
            Err(ConnectError::Turned(reason)) => {
                eprintln!("farspawn: launch {} was turned away: {reason}", offer.launch);
                return Ok(start.turned(&reason));
            }
            Err(error) => return Err(error.into()),
        };
        let control = serving.control();
        self.open().push((number, control.clone()));
        let patience = times.patience();
        let mut drained = None;
        let over = tokio::task::spawn_blocking(move || serving.wait(patience));
        let served = watch(over, &times, &control, &mut drained).await;
        self.open().retain(|(open, _)| *open != number);
        let served = served?;
        let account = start.served(&served, drained);
        if !served.is_still && !size.is_shared() {
            eprintln!("farspawn: a task does not stop, so this process ends: {account}");
            std::process::exit(EXIT_STUCK);
        }
        Ok(account)
    }

    fn open(&self) -> MutexGuard<'_, Vec<(u64, Control)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The platform ends this process.
    async fn end(&self) {
        let all = || self.open().iter().map(|(_, control)| control.clone()).collect::<Vec<_>>();
        let none_left = async || {
            while !self.open().is_empty() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        all().iter().for_each(|control| control.drain("its process was told to end"));
        if timeout(LAST_TASKS, none_left()).await.is_err() {
            all().iter().for_each(Control::leave);
            timeout(LAST_WORDS, none_left()).await.ok();
        }
    }
}

/// Waits until a session is over, and sees to it that it is in time.
async fn watch<F: Future + Unpin>(
    mut over: F,
    times: &Times,
    control: &Control,
    drained: &mut Option<&'static str>,
) -> F::Output {
    if let Ok(served) = timeout(times.left_until(times.drain), &mut over).await {
        return served;
    }
    *drained = Some(TIME_IS_UP);
    control.drain(TIME_IS_UP);
    if let Ok(served) = timeout(times.left_until(times.leave), &mut over).await {
        return served;
    }
    control.leave();
    if let Ok(served) = timeout(times.left_until(times.cut), &mut over).await {
        return served;
    }
    control.cut();
    over.await
}

/// What an environment grants a session.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Size {
    /// Of the whole environment.
    cpus: f64,
    threads: usize,
    memory_bytes: u64,
    /// Sessions that share it.
    sessions: u64,
}

impl Size {
    fn new(
        memory_mb: i32,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, EnvironmentError> {
        let number = |name: &'static str, expected: &'static str| {
            let Some(value) = variable(name) else { return Ok(None) };
            match value.parse::<u64>() {
                Ok(number @ 1..=1_048_576) => Ok(Some(number)),
                _ => Err(EnvironmentError::new(name, value, expected)),
            }
        };
        let sessions = number("AWS_LAMBDA_MAX_CONCURRENCY", "a number of invocations at once")?;
        let sessions = sessions.unwrap_or(1);
        let memory_mb = memory_mb.max(1) as u64;
        let cpus = memory_mb as f64 / MB_PER_CPU;
        let threads = number("FARSPAWN_WORKER_THREADS", "a number of threads, 1 to 1024")?;
        let own = (cpus / sessions as f64).ceil().max(1.0) as u64;
        let threads = threads.unwrap_or(own).min(1024) as usize;
        Ok(Self { cpus, threads, memory_bytes: (memory_mb << 20) / sessions, sessions })
    }

    fn is_shared(&self) -> bool {
        self.sessions > 1
    }
}

fn settings(offer: &Offer, size: &Size, times: &Times) -> Result<Settings, EnvironmentError> {
    let expected = "the coordinator's address, in the function's configuration";
    let address = env::var("FARSPAWN_COORDINATOR")
        .map_err(|_| EnvironmentError::new("FARSPAWN_COORDINATOR", String::new(), expected))?;
    let authorities = env::var_os("FARSPAWN_CA").map(PathBuf::from);
    Ok(Settings {
        coordinator: At { address, authorities },
        launch: offer.launch,
        secret: offer.token.clone(),
        threads: size.threads,
        cpus: size.cpus,
        cores: None,
        memory_bytes: size.memory_bytes,
        trial: env::var("FARSPAWN_PLACE").ok().and_then(|text| text.parse().ok()),
        until: Some(times.until()),
        at_end: |_| {},
    })
}

/// The part of an invocation's time after which it takes no more tasks: the paper's 80 %.
fn drain_share(variable: impl Fn(&str) -> Option<String>) -> Result<f64, EnvironmentError> {
    let (name, expected) = ("FARSPAWN_DRAIN_AT", "a part of the time limit, 0.1 to 0.95");
    let Some(value) = variable(name) else { return Ok(0.8) };
    match value.parse::<f64>() {
        Ok(share) if (0.1..=0.95).contains(&share) => Ok(share),
        _ => Err(EnvironmentError::new(name, value, expected)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(memory_mb: i32, variables: &[(&str, &str)]) -> Result<Size, String> {
        let find = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|at| at.1.to_owned())
        };
        Size::new(memory_mb, find).map_err(|error| error.to_string())
    }

    #[test]
    fn cpu_goes_by_memory_and_not_by_the_cores_that_are_to_be_seen() {
        for (memory_mb, threads) in [(128, 1), (1769, 1), (1770, 2), (2048, 2), (10_240, 6)] {
            let size = size(memory_mb, &[]).unwrap();
            assert_eq!((size.threads, size.memory_bytes), (threads, (memory_mb as u64) << 20));
        }
        assert!((size(2048, &[]).unwrap().cpus - 1.1577).abs() < 1e-3);
        let shared = size(16_384, &[("AWS_LAMBDA_MAX_CONCURRENCY", "4")]).unwrap();
        assert_eq!((shared.threads, shared.memory_bytes, shared.is_shared()), (3, 4 << 30, true));
        let error = size(128, &[("FARSPAWN_WORKER_THREADS", "none")]).unwrap_err();
        assert!(error.contains("FARSPAWN_WORKER_THREADS=none"), "{error}");
    }

    #[test]
    fn the_part_after_which_it_drains() {
        let share = |value: Option<&str>| drain_share(|_| value.map(str::to_owned));
        assert_eq!(share(None), Ok(0.8));
        assert_eq!(share(Some("0.5")), Ok(0.5));
        assert!(share(Some("80")).unwrap_err().to_string().contains("0.1 to 0.95"));
    }
}
