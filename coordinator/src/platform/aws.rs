//! Workers on AWS Lambda: each launch is one asynchronous invocation of the user's function.
//!
//! All calls are made on a thread of their own, so that neither signatures nor a slow network delay
//! the coordinator. What is invoked when is decided in `pace.rs`; what AWS says no to is put into
//! words in `fault.rs`.
//!
//! Nobody tells the coordinator how an invocation ended: its session does, or its silence. A launch
//! that was accepted and whose worker never says hello is given up after a while; should it come
//! after all, its token is not good any more, and it ends at once.

mod events;
mod fault;
mod function;
mod pace;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io, thread};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::SharedHttpClient;
use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::config::timeout::TimeoutConfig;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{Architecture as Processors, InvocationType, State};
use aws_smithy_http_client::{Builder, tls};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep};

use super::{Ended, Launch, Offer, Platform};
pub use crate::price::Architecture;
use crate::scheduler::Policy;
pub use events::Events;
use fault::Fault;
pub use function::Function;
use pace::Pace;

/// Time for a connection to AWS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Time for one call.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// When nothing else is due.
const IDLE: Duration = Duration::from_secs(3600);

/// Which function, and how to reach it.
#[derive(Clone, Debug)]
pub struct Options {
    /// The function's name or ARN, perhaps with a version or alias.
    pub function: String,
    /// Something that speaks as Lambda does. Without, `AWS_ENDPOINT_URL_LAMBDA` or AWS.
    pub endpoint: Option<String>,
    /// Key id and secret. Without, those that the SDK finds.
    pub credentials: Option<(String, String)>,
    /// How long a launch may be throttled, or without a word of its worker: less than the
    /// scheduler's own patience, which knows no reasons.
    pub patience: Duration,
}

impl Options {
    /// The function of this name, as the environment says.
    pub fn new(function: impl Into<String>) -> Self {
        let function = function.into();
        Self { function, endpoint: None, credentials: None, patience: Duration::from_secs(25) }
    }
}

/// Why there is no such platform. Its text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum AwsError {
    /// AWS says no, or nothing.
    #[error("{0}")]
    Refused(String),
    /// No thread or executor can be had.
    #[error("the thread for AWS cannot be started: {0}")]
    Io(#[from] io::Error),
}

/// Launches workers as invocations of one function.
pub struct Aws {
    function: Function,
    options: Options,
    asks: mpsc::UnboundedSender<Ask>,
    slots: Slots,
    queued: Queued,
}

/// Invocations at once, if some are reserved: shared by all that launch for one application.
type Slots = Option<Arc<Semaphore>>;

/// Launches for which there is no slot now.
type Queued = Arc<Mutex<BTreeSet<u64>>>;

enum Ask {
    Launch(Launch, Ended),
    Welcomed(u64),
    Stop(u64),
}

impl Aws {
    /// Looks at the function. Blocks until AWS has answered, some seconds at most.
    pub fn connect(options: Options) -> Result<Self, AwsError> {
        let (tell, told) = std::sync::mpsc::channel();
        let (asks, queued) = start(options.clone(), Known::Asked(tell))?;
        let described = told.recv().unwrap_or_else(|_| Err("its thread ended".to_owned()));
        let (function, slots) = described.map_err(AwsError::Refused)?;
        Ok(Self { function, options, asks, slots, queued })
    }

    /// The same function for another coordinator. Does not ask AWS again what it is. All of them
    /// together have as many workers at once as are reserved for it.
    pub fn again(&self) -> io::Result<Self> {
        let (function, options) = (self.function.clone(), self.options.clone());
        let slots = self.slots.clone();
        let (asks, queued) = start(options.clone(), Known::Slots(slots.clone()))?;
        Ok(Self { function, options, asks, slots, queued })
    }

    /// What its workers are.
    pub fn function(&self) -> &Function {
        &self.function
    }

    fn ask(&self, ask: Ask) {
        // If the thread is gone, so is `Ended`, which tells so.
        self.asks.send(ask).ok();
    }
}

/// What is known when the thread starts.
enum Known {
    /// Nothing: it asks what the function is, tells, and ends at once if there is none.
    Asked(std::sync::mpsc::Sender<Result<(Function, Slots), String>>),
    Slots(Slots),
}

/// Starts the thread that makes the calls.
fn start(options: Options, known: Known) -> io::Result<(mpsc::UnboundedSender<Ask>, Queued)> {
    let (asks, asked) = mpsc::unbounded_channel();
    let queued = Queued::default();
    let seen = queued.clone();
    let executor = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let run = move || {
        executor.block_on(async {
            let config = configuration(&options).await;
            let slots = match known {
                Known::Slots(slots) => slots,
                Known::Asked(tell) => {
                    let described = match check(&config, &options) {
                        Ok(()) => describe(&client(&config, true), &options.function).await,
                        Err(reason) => Err(reason),
                    };
                    let slots = |of: &Function| of.reserved.map(Semaphore::new).map(Arc::new);
                    let described = described.map(|of| (slots(&of), of));
                    let Ok((slots, function)) = described else {
                        return drop(tell.send(described.map(|(slots, of)| (of, slots))));
                    };
                    tell.send(Ok((function, slots.clone()))).ok();
                    slots
                }
            };
            Dispatcher::new(client(&config, false), options, slots, seen).run(asked).await;
        });
    };
    thread::Builder::new().name("farspawn-aws".to_owned()).spawn(run)?;
    Ok((asks, queued))
}

impl Platform for Aws {
    fn launch(&mut self, launch: Launch, ended: Ended) {
        self.ask(Ask::Launch(launch, ended));
    }

    fn welcomed(&mut self, number: u64) {
        self.ask(Ask::Welcomed(number));
    }

    fn stop(&mut self, number: u64) {
        self.ask(Ask::Stop(number));
    }

    fn queued(&self) -> Vec<u64> {
        self.queued.lock().iter().copied().collect()
    }

    fn prepare(&self, policy: &mut Policy) {
        self.function.apply(policy);
    }

    fn workers_max(&self) -> usize {
        self.function.reserved.unwrap_or(usize::MAX)
    }
}

impl fmt::Debug for Aws {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Aws({})", self.function)
    }
}

async fn configuration(options: &Options) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(CALL_TIMEOUT)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client())
        .timeout_config(timeouts);
    if let Some(endpoint) = &options.endpoint {
        loader = loader.endpoint_url(endpoint).region(Region::new("us-east-1"));
    }
    if let Some((key, secret)) = &options.credentials {
        let credentials = Credentials::new(key, secret, None, None, "options");
        loader = loader.credentials_provider(credentials);
    }
    loader.load().await
}

/// Speaks http as well, when the endpoint does.
fn http_client() -> SharedHttpClient {
    Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https()
}

/// The SDK tries again by itself what is only asked; whether to launch again is for `pace.rs`.
fn client(config: &SdkConfig, tries_again: bool) -> Client {
    let retries = if tries_again { RetryConfig::standard() } else { RetryConfig::disabled() };
    let builder = aws_sdk_lambda::config::Builder::from(config).retry_config(retries);
    Client::from_conf(builder.build())
}

fn check(config: &SdkConfig, options: &Options) -> Result<(), String> {
    if config.region().is_none() && !options.function.starts_with("arn:") {
        return Err("no AWS region is known: set AWS_REGION, or name the function by its ARN and \
                    set AWS_REGION to the same region"
            .to_owned());
    }
    Ok(())
}

async fn describe(client: &Client, function: &str) -> Result<Function, String> {
    let asked = client.get_function_configuration().function_name(function).send().await;
    let action = "lambda:GetFunctionConfiguration";
    let said = asked.map_err(|error| Fault::of(&error, action, function).text())?;
    if said.state() == Some(&State::Failed) {
        let why = said.state_reason().unwrap_or("Lambda does not say why");
        return Err(format!("the function `{function}` has failed to be deployed: {why}"));
    }
    let reserved = client.get_function_concurrency().function_name(function).send().await;
    let reserved = match reserved {
        Ok(said) => said.reserved_concurrent_executions().map(|count| count.max(0) as usize),
        Err(error) => {
            // Launching works without; it is throttled then, and waits.
            let fault = Fault::of(&error, "lambda:GetFunctionConcurrency", function);
            tracing::warn!("the reserved concurrency is not known: {}", fault.text());
            None
        }
    };
    if reserved == Some(0) {
        return Err(format!(
            "the function `{function}` may not run: its reserved concurrency is 0; raise it, or \
             remove it"
        ));
    }
    let arm = said.architectures().contains(&Processors::Arm64);
    Ok(Function {
        name: said.function_name().unwrap_or(function).to_owned(),
        arn: said.function_arn().unwrap_or(function).to_owned(),
        memory_mb: said.memory_size().unwrap_or(128).max(1) as u32,
        timeout: Duration::from_secs(said.timeout().unwrap_or(3).max(1) as u64),
        architecture: if arm { Architecture::Arm } else { Architecture::X86 },
        reserved,
        coordinator: said
            .environment()
            .and_then(|environment| environment.variables())
            .and_then(|variables| variables.get("FARSPAWN_COORDINATOR"))
            .cloned(),
    })
}

/// A call under way; which launch it is for, and what came of it.
type Call = Pin<Box<dyn Future<Output = (u64, Result<(), Fault>)>>>;

/// The next slot that becomes free; for ever, if none is wanted.
async fn free(slots: Slots) -> Option<OwnedSemaphorePermit> {
    match slots {
        Some(slots) => slots.acquire_owned().await.ok(),
        None => std::future::pending().await,
    }
}

/// Makes the calls.
struct Dispatcher {
    client: Client,
    function: String,
    patience: Duration,
    started: Instant,
    pace: Pace,
    launches: BTreeMap<u64, (Launch, Ended)>,
    slots: Slots,
    /// Of launches that were invoked.
    taken: BTreeMap<u64, OwnedSemaphorePermit>,
    /// One that became free, for the next launch.
    spare: Option<OwnedSemaphorePermit>,
    queued: Queued,
    /// Why the last call came to nothing.
    refusal: String,
}

impl Dispatcher {
    fn new(client: Client, options: Options, slots: Slots, queued: Queued) -> Self {
        Self {
            client,
            function: options.function,
            patience: options.patience,
            started: Instant::now(),
            pace: Pace::new(),
            launches: BTreeMap::new(),
            slots,
            taken: BTreeMap::new(),
            spare: None,
            queued,
            refusal: String::new(),
        }
    }

    /// Until the platform is dropped.
    async fn run(mut self, mut asked: mpsc::UnboundedReceiver<Ask>) {
        let mut calls = FuturesUnordered::new();
        loop {
            let is_full = !self.call_those_that_may(|call| calls.push(call));
            let slots = self.slots.clone().filter(|_| is_full);
            let now = self.started.elapsed();
            let wake = self.pace.wake_at(now, self.patience);
            tokio::select! {
                ask = asked.recv() => match ask {
                    Some(ask) => self.on_ask(ask),
                    None => return,
                },
                Some((launch, called)) = calls.next() => self.on_called(launch, called),
                Some(slot) = free(slots) => self.spare = Some(slot),
                () = sleep(wake.map_or(IDLE, |wake| wake - now)) => self.give_up(),
            }
        }
    }

    /// Invokes the function for those launches that may be. False if more could be with more slots.
    fn call_those_that_may(&mut self, mut add: impl FnMut(Call)) -> bool {
        let now = self.started.elapsed();
        while self.pace.is_ready(now) {
            let slot = match &self.slots {
                None => None,
                Some(slots) => {
                    let free = || slots.clone().try_acquire_owned().ok();
                    let Some(slot) = self.spare.take().or_else(free) else {
                        *self.queued.lock() = self.pace.on_queued(now);
                        return false;
                    };
                    Some(slot)
                }
            };
            let Some(launch) = self.pace.next(now) else { break };
            self.taken.extend(slot.map(|slot| (launch, slot)));
            self.call(launch).into_iter().for_each(&mut add);
        }
        self.spare = None;
        self.queued.lock().clear();
        true
    }

    fn on_ask(&mut self, ask: Ask) {
        match ask {
            Ask::Launch(launch, ended) => {
                self.pace.add(self.started.elapsed(), launch.number);
                self.launches.insert(launch.number, (launch, ended));
            }
            Ask::Welcomed(launch) => self.pace.on_hello(launch),
            Ask::Stop(launch) => self.end(launch, "it was stopped"),
        }
    }

    /// Invokes the function for a launch.
    fn call(&self, number: u64) -> Option<Call> {
        let (launch, _) = self.launches.get(&number)?;
        let call = self
            .client
            .invoke()
            .function_name(&self.function)
            .invocation_type(InvocationType::Event)
            .payload(Blob::new(Offer::from(launch).to_json()));
        let function = self.function.clone();
        Some(Box::pin(async move {
            let called = call.send().await;
            (number, called.map(drop).map_err(|error| Fault::of_invoke(&error, &function)))
        }))
    }

    fn on_called(&mut self, launch: u64, called: Result<(), Fault>) {
        let now = self.started.elapsed();
        let (text, pause) = match called {
            Ok(()) => return self.pace.on_accepted(now, launch),
            Err(Fault::Lasting(text)) => return self.end(launch, &text),
            Err(Fault::Throttled(text, pause)) => (text, pause),
            Err(Fault::Passing(text)) => (text, Duration::ZERO),
        };
        tracing::debug!("launch {launch} waits: {text}");
        self.refusal = text;
        self.taken.remove(&launch);
        self.pace.on_refused(now, launch, pause, chance());
    }

    fn give_up(&mut self) {
        for (launch, was_accepted) in self.pace.late(self.started.elapsed(), self.patience) {
            let text = if was_accepted { self.silence() } else { self.refusal.clone() };
            self.end(launch, &text);
        }
    }

    fn silence(&self) -> String {
        let Self { function, patience, .. } = self;
        format!(
            "Lambda has accepted a launch of `{function}`, but no worker said hello within \
             {patience:?}: its log is in /aws/lambda/{function}; FARSPAWN_COORDINATOR in its \
             configuration must name this coordinator, and its network must reach it"
        )
    }

    fn end(&mut self, launch: u64, cause: &str) {
        self.pace.remove(launch);
        self.taken.remove(&launch);
        if let Some((_, ended)) = self.launches.remove(&launch) {
            ended.tell(cause);
        }
    }
}

/// From 0 to 1.
fn chance() -> f64 {
    let mut bytes = [0; 4];
    if let Err(error) = getrandom::fill(&mut bytes) {
        tracing::debug!("no randomness: {error}");
    }
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}
