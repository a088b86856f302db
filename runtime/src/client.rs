//! The client: the process where `main` runs, its runtime, and, unless another is named, the
//! coordinator that it brings along.

use std::env;
use std::future::{Future, poll_fn};
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, PoisonError};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use channels::census::Who;
use channels::node::Node;
use channels::wire::{Frame, PROTOCOL_VERSION, Place, Role, Secret, nonce};
use coordinator::bill::Tariff;
use coordinator::placement::choice::Policy as PolicyName;
use coordinator::platform::{Emulated, Emulation};
use coordinator::scheduler::Policy;
use coordinator::server::{Config, serve};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::unconstrained;

use crate::asking::report;
use crate::connection::{At, Bell, ConnectError, Connection, Speaker};
use crate::deadlock::{self, Main, OwnThread, Watch, Watched};
use crate::entry::{self, EnvironmentError};
use crate::here::{HERE, PROCESS};
pub(crate) use crate::here::{Here, current, enter_thread, executor, here};
use crate::lease::Lease;
use crate::reporting::Reporting;
use crate::task;
use crate::trial::{Trial, Trying};

mod places;
use places::Workers;

/// A client: an executor for `main`, and a connection to a coordinator.
///
/// `#[runtime::main]` makes one; make your own to use Farspawn inside a larger program. Dropping it
/// ends the program that it ran: its tasks are cancelled and its workers stopped.
///
/// ```
/// #[runtime::task]
/// async fn add(a: u64, b: u64) -> u64 { a + b }
///
/// let runtime = runtime::Runtime::builder().workers(1).in_memory().build()?;
/// let sum = runtime.block_on(async { runtime::spawn(add(1, 2)).await });
/// assert_eq!(sum, Ok(3));
/// # Ok::<(), runtime::StartError>(())
/// ```
#[derive(Debug)]
pub struct Runtime {
    executor: Option<tokio::runtime::Runtime>,
    node: Arc<Node>,
    connection: Option<Connection>,
    embedded: Option<Embedded>,
    main: Arc<Main>,
    trial: Option<Arc<Trying>>,
}

/// The coordinator inside this process.
#[derive(Debug)]
struct Embedded {
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
}

/// Why a runtime cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No thread or socket can be had.
    #[error("the runtime cannot start: {0}")]
    Io(#[from] io::Error),
    /// The coordinator is not there, or said no.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The environment says something that cannot be.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
}

/// Settings of a [`Runtime`]. Each has a default that suits a first run.
#[derive(Clone, Debug)]
pub struct Builder {
    pub(crate) coordinator: Option<(String, Secret)>,
    pub(crate) authorities: Option<PathBuf>,
    pub(crate) workers_max: usize,
    pub(crate) threads: usize,
    pub(crate) place: Place,
    pub(crate) trial: Option<Trial>,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) lease: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) policy: PolicyName,
    pub(crate) emulation: Option<Emulation>,
    pub(crate) tariff: Tariff,
    pub(crate) reporting: Option<Reporting>,
    pub(crate) environment: Result<(), EnvironmentError>,
    workers: Workers,
}

impl Runtime {
    /// Settings to start from: as many workers as this machine has cores, each a process of this
    /// program with as many threads.
    pub fn builder() -> Builder {
        let cores = thread::available_parallelism().map_or(2, usize::from);
        Builder {
            coordinator: None,
            authorities: None,
            workers_max: cores,
            threads: cores,
            place: Place::Auto,
            trial: None,
            memory_bytes: None,
            lease: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(10),
            policy: PolicyName::default(),
            emulation: None,
            tariff: Tariff::default(),
            reporting: None,
            environment: Ok(()),
            workers: Workers::Processes(None),
        }
    }

    /// Runs a future; tasks may be spawned in it.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let before = HERE.with_borrow_mut(|slot| slot.replace(self.here()));
        let _restored = Restored(before);
        let future = pin!(future);
        let mut main = Some(Watched::new(Who::Main, future));
        let executor = self.executor.as_ref().expect("it is there until the drop");
        let connection = self.connection.as_ref().expect("it is there until the drop");
        // The executor's own way to wait is not used, unless a thread is in here already.
        let led = poll_fn(|_| match connection.lead(main.take().expect("it is polled once")) {
            Ok(output) => Poll::Ready(Ok(output)),
            Err(main) => Poll::Ready(Err(main)),
        });
        match executor.block_on(unconstrained(led)) {
            Ok(output) => output,
            Err(main) => executor.block_on(main),
        }
    }

    /// From now on a deadlock ends the process.
    fn watch(&self) {
        let Some(executor) = &self.executor else { return };
        let watch = Watch::new(self.node.clone(), executor.handle().clone(), String::new());
        self.main.watch(watch);
    }

    fn here(&self) -> Here {
        let executor = self.executor.as_ref().map(|executor| executor.handle().clone());
        Here { executor, trial: self.trial.clone(), ..Here::of(&self.node) }
    }
}

/// Puts back what a thread worked for.
struct Restored(Option<Here>);

impl Drop for Restored {
    fn drop(&mut self) {
        HERE.with_borrow_mut(|slot| *slot = self.0.take());
    }
}

impl Drop for Runtime {
    /// `main` has returned: nobody waits for tasks any more (C48).
    fn drop(&mut self) {
        if let Some(executor) = self.executor.take() {
            executor.shutdown_background();
        }
        let mut process = PROCESS.lock().unwrap_or_else(PoisonError::into_inner);
        if process.as_ref().is_some_and(|here| Arc::ptr_eq(&here.node, &self.node)) {
            *process = None;
        }
        drop(process);
        if let Some(mut connection) = self.connection.take() {
            self.node.push(Frame::Goodbye {});
            connection.wait();
        }
        if let Some(Embedded { stop, thread }) = self.embedded.take() {
            stop.send(()).ok();
            thread.join().ok();
        }
    }
}

impl Builder {
    /// At most so many workers at once. They are started when tasks call for them.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers_max = workers.max(1);
        self
    }

    /// Threads of each worker. As many tasks share them as are expected to fill them; tasks that
    /// wait on channels do not count.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Threads that each worker will have.
    pub fn worker_threads(&self) -> usize {
        self.threads
    }

    /// Where tasks go; by default the scheduler decides.
    pub fn place(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// Tries the program under another placement of its channels and tasks. What goes to workers is
    /// spread over all of them if chance decides.
    pub fn trial(mut self, trial: Trial) -> Self {
        if let Trial::Random(_) = trial {
            self.place = Place::Apart;
        }
        self.trial = Some(trial);
        self
    }

    /// Memory of each worker in bytes; a worker above 90 % of it gets no more tasks. By default an
    /// equal share of the machine's.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory_bytes = Some(bytes.max(1));
        self
    }

    /// Silence after which a node counts as lost; ten seconds by default.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease.max(Duration::from_millis(10));
        self
    }

    /// How long a worker without tasks is kept; ten seconds by default.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// The policy that decides where tasks run and how many workers there are: Farspawn's own by
    /// default. It has no say if a place was asked for.
    pub fn policy(mut self, policy: PolicyName) -> Self {
        self.policy = policy;
        self
    }

    /// Workers start as late as on Lambda, and computing is emulated on so many cores as they are
    /// said to have: see [`emulate_cpu`](crate::emulate_cpu). For evaluations.
    pub fn emulate(mut self, emulation: Emulation) -> Self {
        self.emulation = Some(emulation);
        self
    }

    /// How workers are billed: see [`report`]. By default by Table 1 of the paper, each as a
    /// function with the memory for which that table has as many threads.
    pub fn tariff(mut self, tariff: Tariff) -> Self {
        self.tariff = tariff;
        self
    }

    /// Uses a coordinator that runs elsewhere, by its address, `wss://HOST[:PORT]` or
    /// `ws://HOST:PORT`, and an application's key. Encryption needs the feature `tls`.
    pub fn coordinator(mut self, address: impl Into<String>, key: Secret) -> Self {
        self.coordinator = Some((address.into(), key));
        self
    }

    /// A coordinator elsewhere must show a certificate that one of these authorities, a PEM file,
    /// has signed. By default the authorities are those that browsers trust.
    pub fn authorities(mut self, file: impl Into<PathBuf>) -> Self {
        self.authorities = Some(file.into());
        self
    }

    /// Takes the `FARSPAWN_…` variables into account; what they say wins. The README lists them.
    pub fn from_environment(mut self) -> Self {
        self.environment = entry::apply_environment(&mut self, |name| env::var(name).ok());
        self
    }

    /// Starts the runtime.
    pub fn build(self) -> Result<Runtime, StartError> {
        self.environment.clone()?;
        let (address, key, embedded) = match &self.coordinator {
            Some((address, key)) => {
                let authorities = self.authorities.clone();
                (At { address: address.clone(), authorities }, key.clone(), None)
            }
            None => self.embed()?,
        };
        let bell = Bell::default();
        let ring = bell.clone();
        let node = Node::new(move || ring.ring());
        let hello = Frame::Hello {
            version: PROTOCOL_VERSION,
            build: task::build(),
            role: Role::Client { workers_max: self.workers_max as u32, place: self.place },
            secret: key,
            nonce: nonce(),
        };
        let main = Arc::<Main>::default();
        let speaker =
            Speaker { node: node.clone(), bell, lease: Lease::of_client(), owner: main.clone() };
        let connection = Connection::open(&address, hello, speaker, None)?;
        let trial = self.trial.map(|trial| Trying::new(trial, None));
        let here = Here { trial: trial.clone(), ..Here::of(&node) };
        let executor = tokio::runtime::Builder::new_multi_thread()
            .on_thread_start(move || {
                deadlock::enter_pool();
                enter_thread(here.clone());
            })
            .on_thread_stop(deadlock::leave_pool)
            .enable_all()
            .build()?;
        let (executor, connection) = (Some(executor), Some(connection));
        Ok(Runtime { executor, node, connection, embedded, main, trial })
    }

    /// What the macros do: start, run, end. A runtime that cannot start ends the process, with the
    /// reason and status 70.
    pub fn enter<F: Future>(self, future: F) -> F::Output {
        let threads = matches!(self.workers, Workers::Threads);
        let reporting = self.reporting.clone();
        match self.build() {
            Ok(runtime) => {
                if !threads {
                    let mut process = PROCESS.lock().unwrap_or_else(PoisonError::into_inner);
                    *process = Some(runtime.here());
                    drop(process);
                    runtime.watch();
                }
                let _own = OwnThread::enter();
                let output = runtime.block_on(future);
                if let Some(reporting) = reporting {
                    reporting.tell(runtime.block_on(report()).as_ref());
                }
                output
            }
            Err(error) => {
                eprintln!("farspawn: {error}");
                std::process::exit(entry::EXIT_UNAVAILABLE)
            }
        }
    }

    /// Starts a coordinator in this process, on loopback, with a key that nobody else knows.
    fn embed(&self) -> io::Result<(At, Secret, Option<Embedded>)> {
        let key = Secret::random();
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = At { address: format!("ws://{}", listener.local_addr()?), authorities: None };
        let mut policy = Policy {
            workers_max: self.workers_max,
            threads: self.threads as u32,
            idle_timeout: self.idle_timeout,
            place: self.place,
            ..Policy::default()
        };
        let mut platform = self.make_platform(&address.address)?;
        platform.prepare(&mut policy);
        let policy = policy.with(self.policy);
        if let Some(emulation) = self.emulation {
            platform = Box::new(Emulated::new(platform, emulation));
        }
        let (lease, tariff) = (self.lease, self.tariff.clone());
        let defaults = coordinator::Settings::default();
        let settings = coordinator::Settings { policy, lease, tariff, ..defaults };
        let config = Config { settings, client_secrets: vec![key.clone()] };
        let executor = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let run = move || {
            let _own = OwnThread::enter();
            let served = executor.block_on(async {
                serve(TcpListener::from_std(listener)?, config, platform, stopped).await
            });
            match served {
                Ok(totals) => tracing::debug!("the coordinator ended: {totals:?}"),
                Err(error) => tracing::error!("the coordinator failed: {error}"),
            }
        };
        let thread = thread::Builder::new().name("farspawn-coordinator".to_owned()).spawn(run)?;
        Ok((address, key, Some(Embedded { stop, thread })))
    }
}
