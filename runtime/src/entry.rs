//! One binary, three roles: the environment decides whether this process is the client, a worker
//! on this machine, or a worker on AWS Lambda.

use std::env;
use std::io::Read;
use std::path::PathBuf;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use channels::wire::{Place, Secret};
use coordinator::price::Prices;
use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use crate::client::Builder;
use crate::connection::At;
use crate::deadlock::OwnThread;
use crate::metrics::machine_memory;
use crate::reporting::Reporting;
use crate::trial::Trial;
use crate::worker;

/// Exit status of a program whose runtime cannot start.
pub(crate) const EXIT_UNAVAILABLE: i32 = 70;
/// Exit status of a worker that lost its coordinator.
const EXIT_LOST: i32 = 71;

/// What to do about a program on Lambda that was built for elsewhere.
#[cfg(not(feature = "lambda"))]
const NOT_BUILT: &str = "this program is on AWS Lambda, but was built without the feature \
    `lambda` of farspawn-runtime: build it with `features = [\"lambda\"]`, or set \
    FARSPAWN_ROLE=client if it is the client that shall run there";

/// An environment variable that says what cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}={value}: expected is {expected}")]
pub struct EnvironmentError {
    name: &'static str,
    value: String,
    expected: &'static str,
}

impl EnvironmentError {
    #[cfg(feature = "lambda")]
    pub(crate) fn new(name: &'static str, value: String, expected: &'static str) -> Self {
        Self { name, value, expected }
    }
}

/// Runs this process as a worker, and never returns, if it was started as one. `#[runtime::main]`
/// calls it first; call it yourself at the beginning of `main` if you build a
/// [`Runtime`](crate::Runtime) by hand.
///
/// On AWS Lambda (`AWS_LAMBDA_RUNTIME_API` is set) it is a worker too, if the feature `lambda` was
/// built in, and ends with that advice if not. `FARSPAWN_ROLE=client` in the function's
/// configuration makes it a client there.
pub fn serve_if_worker() {
    #[cfg(feature = "lambda")]
    if crate::lambda::is_here() {
        crate::lambda::serve();
    }
    #[cfg(not(feature = "lambda"))]
    if env::var_os("AWS_LAMBDA_RUNTIME_API").is_some() && env::var_os("FARSPAWN_ROLE").is_none() {
        eprintln!("farspawn: {NOT_BUILT}");
        std::process::exit(EXIT_UNAVAILABLE);
    }
    if env::var_os("FARSPAWN_ROLE").is_none_or(|role| role != "worker") {
        return;
    }
    let settings = match worker_settings(|name| env::var(name).ok()) {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("farspawn worker: {error}");
            std::process::exit(EXIT_UNAVAILABLE);
        }
    };
    die_with_parent();
    let _own = OwnThread::enter();
    match worker::Serving::begin(&settings) {
        Ok(mut serving) => {
            if let Err(error) = serving.drain_at_sigterm() {
                tracing::warn!("SIGTERM will end this worker at once: {error}");
            }
            exit(&serving.wait(Duration::ZERO).cause);
        }
        Err(error) => {
            eprintln!("farspawn worker {}: {error}", settings.launch);
            std::process::exit(EXIT_UNAVAILABLE);
        }
    }
}

/// A worker's session is over, and so is the worker.
fn exit(cause: &str) {
    tracing::debug!("this worker ends: {cause}");
    std::process::exit(if cause == "goodbye" { 0 } else { EXIT_LOST });
}

/// Three ropes, for no single one holds always: the kernel kills this process with its parent's
/// thread; standard input ends when the parent does; the connection ends with the coordinator.
fn die_with_parent() {
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        tracing::warn!("the kernel will not end this worker with its parent: {error}");
    }
    let parent: Option<i32> = env::var("FARSPAWN_PARENT").ok().and_then(|text| text.parse().ok());
    let now = getppid().map(|parent| parent.as_raw_nonzero().get());
    if parent.is_some() && parent != now {
        std::process::exit(EXIT_LOST);
    }
    let watch = || {
        let _own = OwnThread::enter();
        let mut byte = [0];
        // Whatever comes is no concern of ours; the end is.
        while std::io::stdin().read(&mut byte).is_ok_and(|count| count > 0) {}
        std::process::exit(EXIT_LOST);
    };
    let watching = thread::Builder::new().name("farspawn-parent".to_owned()).spawn(watch);
    if let Err(error) = watching {
        tracing::warn!("this worker cannot watch its parent: {error}");
    }
}

/// What the launch wrote into the environment.
fn worker_settings(
    variable: impl Fn(&str) -> Option<String>,
) -> Result<worker::Settings, EnvironmentError> {
    let text = |name: &'static str, expected: &'static str| {
        variable(name).ok_or_else(|| EnvironmentError { name, value: String::new(), expected })
    };
    let secret = text("FARSPAWN_SECRET", "the launch's secret")?;
    let secret = Secret::from_hex(&secret).ok_or_else(|| EnvironmentError {
        name: "FARSPAWN_SECRET",
        value: "(hidden)".to_owned(),
        expected: "64 hexadecimal digits",
    })?;
    let threads = read(&variable, "FARSPAWN_WORKER_THREADS", THREADS)?.unwrap_or(2);
    Ok(worker::Settings {
        coordinator: At {
            address: text("FARSPAWN_COORDINATOR", "the coordinator's address, wss://HOST")?,
            authorities: variable("FARSPAWN_CA").map(PathBuf::from),
        },
        launch: read(&variable, "FARSPAWN_LAUNCH", "the launch's number")?.unwrap_or(0),
        secret,
        threads,
        cpus: threads as f64,
        memory_bytes: read(&variable, "FARSPAWN_WORKER_MEMORY", MEMORY)?
            .unwrap_or_else(machine_memory),
        cores: read(&variable, "FARSPAWN_WORKER_CORES", CORES)?,
        until: None,
        // Where tasks go is the client's affair.
        trial: variable("FARSPAWN_PLACE").and_then(|text| text.parse().ok()),
        at_end: exit,
    })
}

const THREADS: &str = "a number of threads, 1 to 1024";
const WORKERS: &str = "a number of workers, 1 to 100000";
const MEMORY: &str = "a number of bytes";
const MILLISECONDS: &str = "a number of milliseconds, at least 10";
const POLICY: &str = "conventional, paper or farspawn";
const CORES: &str = "a number of CPUs";
const PRICES: &str = "a file like coordinator/src/prices.json";
const ARCHITECTURE: &str = "x86 or arm, and a price for it";
const BILLED_MB: &str = "megabytes of memory, 128 to 10240";
const PLACE: &str = "auto, together, apart, local, remote, random or random:SEED";

/// Overrides settings by what the environment says.
pub(crate) fn apply_environment(
    builder: &mut Builder,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<(), EnvironmentError> {
    if let Some(workers) = read_within(&variable, "FARSPAWN_WORKERS", WORKERS, 1..=100_000)? {
        builder.workers_max = workers as usize;
    }
    if let Some(threads) = read_within(&variable, "FARSPAWN_WORKER_THREADS", THREADS, 1..=1024)? {
        builder.threads = threads as usize;
    }
    builder.policy = read(&variable, "FARSPAWN_POLICY", POLICY)?.unwrap_or(builder.policy);
    if let Some(bytes) = read_within(&variable, "FARSPAWN_WORKER_MEMORY", MEMORY, 1..=u64::MAX)? {
        builder.memory_bytes = Some(bytes);
    }
    let lease = read_within(&variable, "FARSPAWN_LEASE_MS", MILLISECONDS, 10..=u64::MAX / 2)?;
    if let Some(lease) = lease {
        builder.lease = Duration::from_millis(lease);
    }
    if let Some(text) = variable("FARSPAWN_PLACE") {
        match (text.as_str(), text.parse::<Trial>()) {
            ("auto", _) => builder.place = Place::Auto,
            ("together", _) => builder.place = Place::Together,
            ("apart", _) => builder.place = Place::Apart,
            (_, Ok(trial)) => {
                if text == "random" {
                    eprintln!("farspawn: FARSPAWN_PLACE={trial}");
                }
                *builder = builder.clone().trial(trial);
            }
            (_, Err(())) => {
                let name = "FARSPAWN_PLACE";
                return Err(EnvironmentError { name, value: text, expected: PLACE });
            }
        }
    }
    apply_costs(builder, &variable)?;
    if let Some(file) = variable("FARSPAWN_CA") {
        builder.authorities = Some(file.into());
    }
    if let Some(address) = variable("FARSPAWN_COORDINATOR") {
        let key = variable("FARSPAWN_KEY").as_deref().and_then(Secret::from_hex);
        let key = key.ok_or_else(|| EnvironmentError {
            name: "FARSPAWN_KEY",
            value: "(hidden)".to_owned(),
            expected: "the coordinator's key, 64 hexadecimal digits, with FARSPAWN_COORDINATOR",
        })?;
        builder.coordinator = Some((address, key));
    }
    Ok(())
}

/// What runs cost, and where that is told.
fn apply_costs(
    builder: &mut Builder,
    variable: &impl Fn(&str) -> Option<String>,
) -> Result<(), EnvironmentError> {
    builder.reporting = variable("FARSPAWN_REPORT").map(Reporting::parse);
    let name = "FARSPAWN_PRICES";
    if let Some(file) = variable(name) {
        builder.tariff.prices = Prices::read(file.as_ref()).map_err(|value| EnvironmentError {
            name,
            value,
            expected: PRICES,
        })?;
    }
    let name = "FARSPAWN_ARCHITECTURE";
    if let Some(value) = variable(name) {
        let found = value.parse().ok();
        let known = &builder.tariff.prices.architectures;
        let found = found.filter(|architecture| known.contains_key(architecture));
        builder.tariff.architecture =
            found.ok_or(EnvironmentError { name, value, expected: ARCHITECTURE })?;
    }
    let megabytes = read_within(variable, "FARSPAWN_BILLED_MB", BILLED_MB, 128..=10_240)?;
    if let Some(megabytes) = megabytes {
        builder.tariff.memory_mb = Some(megabytes as u32);
    }
    Ok(())
}

fn read_within(
    variable: &impl Fn(&str) -> Option<String>,
    name: &'static str,
    expected: &'static str,
    allowed: std::ops::RangeInclusive<u64>,
) -> Result<Option<u64>, EnvironmentError> {
    let number: Option<u64> = read(variable, name, expected)?;
    match number {
        Some(number) if !allowed.contains(&number) => {
            Err(EnvironmentError { name, value: number.to_string(), expected })
        }
        number => Ok(number),
    }
}

fn read<T: FromStr>(
    variable: &impl Fn(&str) -> Option<String>,
    name: &'static str,
    expected: &'static str,
) -> Result<Option<T>, EnvironmentError> {
    let Some(value) = variable(name) else { return Ok(None) };
    match value.parse() {
        Ok(parsed) => Ok(Some(parsed)),
        Err(_) => Err(EnvironmentError { name, value, expected }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Runtime;
    use coordinator::price::Architecture;

    #[track_caller]
    fn check(variables: &[(&str, &str)]) -> Result<Builder, String> {
        let mut builder = Runtime::builder();
        let find = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|at| at.1.to_owned())
        };
        apply_environment(&mut builder, find).map(|()| builder).map_err(|error| error.to_string())
    }

    #[test]
    fn the_environment_wins_and_nonsense_is_named() {
        let builder = check(&[("FARSPAWN_WORKERS", "7"), ("FARSPAWN_PLACE", "apart")]).unwrap();
        assert_eq!((builder.workers_max, builder.place), (7, Place::Apart));
        let builder = check(&[("FARSPAWN_PLACE", "random:7")]).unwrap();
        assert_eq!((builder.trial, builder.place), (Some(Trial::Random(7)), Place::Apart));
        let bill = [("FARSPAWN_ARCHITECTURE", "arm"), ("FARSPAWN_BILLED_MB", "1024")];
        let tariff = check(&bill).unwrap().tariff;
        assert_eq!((tariff.architecture, tariff.memory_mb), (Architecture::Arm, Some(1024)));
        for (name, value) in [
            ("FARSPAWN_WORKERS", "0"),
            ("FARSPAWN_WORKERS", "many"),
            ("FARSPAWN_WORKER_THREADS", "-1"),
            ("FARSPAWN_PLACE", "nowhere"),
            ("FARSPAWN_LEASE_MS", "1"),
            ("FARSPAWN_COORDINATOR", "ws://127.0.0.1:1"),
            ("FARSPAWN_PRICES", "/nowhere"),
            ("FARSPAWN_ARCHITECTURE", "sparc"),
            ("FARSPAWN_BILLED_MB", "64"),
            ("FARSPAWN_POLICY", "papre"),
        ] {
            let error = check(&[(name, value)]).unwrap_err();
            assert!(error.contains("expected is"), "{name}={value}: {error}");
        }
    }

    #[test]
    fn a_worker_without_its_secret_says_what_is_missing() {
        let error = worker_settings(|_| None).unwrap_err().to_string();
        assert!(error.contains("FARSPAWN_SECRET"), "{error}");
    }
}
