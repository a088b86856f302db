//! One environment: the function's program as a process, and its Runtime API.
//!
//! *Starting* -> *busy* with an event -> *frozen* (stopped by a signal: it has asked for the next
//! event, and there is none) -> busy -> … -> gone: it ended by itself, or was killed at a limit, or
//! had nothing to do for long.

use std::io;
use std::net::Ipv4Addr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, SystemTime};

use hyper::body::Bytes;
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::watch;
use tokio::time::{Instant, interval, sleep, timeout};

use crate::fleet::Outcome;
use crate::function::Function;
use crate::http;
use crate::runtime_api::{Answer, Delivery, RuntimeApi};
use crate::{ACCESS_KEY, SECRET_KEY};

/// How long a program may take until it asks for its first event.
const INIT_MAX: Duration = Duration::from_secs(10);
/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_millis(500);
/// How often its memory is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// What an environment does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its program has not asked for an event yet.
    Starting,
    /// It has an event.
    Busy,
    /// It is stopped.
    Frozen,
    /// On managed instances: it waits for an event.
    Idle,
}

const STAGES: [Stage; 4] = [Stage::Starting, Stage::Busy, Stage::Frozen, Stage::Idle];

pub(crate) struct Environment {
    pub(crate) process: u32,
    api: Arc<RuntimeApi>,
    stage: AtomicU8,
    /// Events that it has now.
    events: AtomicUsize,
    is_fresh: AtomicBool,
    started: Instant,
    /// How its process ended.
    exit: watch::Receiver<Option<String>>,
}

impl Environment {
    /// Starts the program. Must be called on the thread that shall outlive it.
    pub(crate) async fn start(function: &Function) -> io::Result<Arc<Self>> {
        let started = Instant::now();
        sleep(function.cold_start).await;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?.to_string();
        let api = Arc::<RuntimeApi>::default();
        let mut child = command(function, &address).spawn()?;
        let process = child.id().ok_or_else(|| io::Error::other("it has ended already"))?;
        let (tell_exit, exit) = watch::channel(None);
        let answering = api.clone();
        tokio::spawn(async move {
            let serving = http::serve(listener, move |asked| answering.clone().answer(asked));
            let status = tokio::select! {
                status = child.wait() => status,
                served = serving => Err(served.err().unwrap_or_else(|| io::Error::other("?"))),
            };
            let how = match status {
                Ok(status) => status.to_string(),
                Err(error) => format!("it cannot be waited for: {error}"),
            };
            tell_exit.send_replace(Some(how));
        });
        Ok(Arc::new(Self {
            process,
            api,
            stage: AtomicU8::new(Stage::Starting as u8),
            events: AtomicUsize::new(0),
            is_fresh: AtomicBool::new(true),
            started,
            exit,
        }))
    }

    pub(crate) fn stage(&self) -> Stage {
        STAGES[self.stage.load(SeqCst) as usize]
    }

    fn set(&self, stage: Stage) {
        self.stage.store(stage as u8, SeqCst);
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.exit.borrow().is_none()
    }

    pub(crate) fn events(&self) -> usize {
        self.events.load(SeqCst)
    }

    /// One more event is on its way here.
    pub(crate) fn engage(&self) {
        self.events.fetch_add(1, SeqCst);
    }

    /// Runs one event: how long its cold start took, if it had one, how long it took, and what came
    /// of it.
    pub(crate) async fn run(
        &self,
        function: &Function,
        request: &str,
        payload: Bytes,
    ) -> (Option<Duration>, Duration, Outcome) {
        if self.stage() == Stage::Frozen {
            self.signal(Signal::CONT);
        }
        let is_first = self.is_fresh.swap(false, SeqCst);
        let ready = tokio::select! {
            ready = timeout(INIT_MAX, self.api.asked()) => match ready {
                Ok(ready) => ready.map_err(Outcome::Failed),
                Err(_) => Err(Outcome::Failed(format!("no event was asked for in {INIT_MAX:?}"))),
            },
            how = self.exited() => Err(Outcome::Crashed(how)),
        };
        let init = is_first.then(|| self.started.elapsed());
        let begun = Instant::now();
        let outcome = match ready {
            Ok(()) => self.invoke(function, request, payload).await,
            Err(outcome) => outcome,
        };
        let took = begun.elapsed();
        if !matches!(outcome, Outcome::Answered(_) | Outcome::Failed(_)) || init_failed(&outcome) {
            self.signal(Signal::KILL);
            self.exited().await;
        } else {
            self.rest(function.concurrency).await;
        }
        (init, took, outcome)
    }

    async fn invoke(&self, function: &Function, request: &str, payload: Bytes) -> Outcome {
        self.set(Stage::Busy);
        let delivery = Delivery {
            request: request.to_owned(),
            arn: function.arn(),
            deadline: today() + function.timeout,
            payload,
        };
        let Some(answered) = self.api.give(delivery) else {
            return Outcome::Crashed("its request for an event was gone".to_owned());
        };
        tokio::select! {
            answer = answered => match answer {
                Ok(Answer::Ok(text)) => Outcome::Answered(text),
                Ok(Answer::Err(text)) => Outcome::Failed(text),
                Err(_) => Outcome::Crashed("its Runtime API ended".to_owned()),
            },
            how = self.exited() => Outcome::Crashed(how),
            () = sleep(function.timeout) => Outcome::TimedOut,
            () = self.outgrows(u64::from(function.memory_mb) << 20) => Outcome::OutOfMemory,
        }
    }

    /// After an answer: it is frozen as soon as it asks for more.
    async fn rest(&self, concurrency: usize) {
        let asked = tokio::select! {
            asked = self.api.asked() => asked.is_ok(),
            _ = self.exited() => false,
        };
        let is_last = self.events.fetch_sub(1, SeqCst) == 1;
        if !asked || !is_last {
            return;
        }
        if concurrency > 1 {
            return self.set(Stage::Idle);
        }
        self.set(Stage::Frozen);
        self.signal(Signal::STOP);
    }

    async fn exited(&self) -> String {
        let mut exit = self.exit.clone();
        let how = exit.wait_for(Option::is_some).await;
        how.ok().and_then(|how| how.clone()).unwrap_or_else(|| "unknown".to_owned())
    }

    /// Waits until it has more memory than it may.
    async fn outgrows(&self, bytes: u64) {
        let mut looks = interval(LOOK);
        while self.memory("VmRSS:") <= bytes {
            looks.tick().await;
        }
    }

    /// Its memory at its highest, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        kilobytes.unwrap_or(0) << 10
    }

    /// The environment is not needed any more.
    pub(crate) async fn end(&self) {
        self.signal(Signal::CONT);
        if self.api.has_extension() {
            self.signal(Signal::TERM);
            timeout(GRACE, self.exited()).await.ok();
        }
        self.signal(Signal::KILL);
        self.exited().await;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let process = Pid::from_raw(self.process as i32).filter(|_| self.is_alive());
        if let Some(process) = process {
            kill_process(process, signal).ok();
        }
    }
}

/// Lambda's deadlines are dates.
#[expect(clippy::disallowed_methods, reason = "this is the shell")]
fn today() -> SystemTime {
    SystemTime::now()
}

/// Whether it never asked for an event.
fn init_failed(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed(text) if text.starts_with("no event was asked for"))
}

/// With the environment that Lambda gives it, and nothing of ours.
fn command(function: &Function, address: &str) -> Command {
    let Function { name, memory_mb, concurrency, .. } = function;
    let mut command = Command::new(&function.program);
    command
        .args(&function.arguments)
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", address)
        .env("AWS_LAMBDA_FUNCTION_NAME", name)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory_mb.to_string())
        .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{name}"))
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "local")
        .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023")
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("LAMBDA_TASK_ROOT", "/var/task")
        .env("_HANDLER", "bootstrap")
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("LANG", "en_US.UTF-8")
        .env("TZ", ":UTC")
        // Not Lambda's: nothing is to be left over if this process is killed.
        .env("FARSPAWN_PARENT", std::process::id().to_string())
        .envs(function.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if *concurrency > 1 {
        command.env("AWS_LAMBDA_MAX_CONCURRENCY", concurrency.to_string());
        command.env("AWS_LAMBDA_INITIALIZATION_TYPE", "lambda-managed-instances");
    }
    command
}
