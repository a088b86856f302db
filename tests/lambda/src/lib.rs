//! A small AWS Lambda on this machine: [`LocalLambda`] runs one function, a real program, as Lambda
//! would, and the SDK reaches it through `endpoint_url`.
//!
//! - `front`: what the SDK speaks to: Invoke, the function's configuration, and the faults that a
//!   test orders. `fleet`: events, and the environments that they run in.
//! - `environment`: one sandbox, a process with a Runtime API of its own (`runtime_api`): cold
//!   start, time limit, memory limit, freeze and thaw.
//! - `bill`: what it would have cost.
//!
//! What it does as Lambda does: an event is accepted at once and run later; the same function runs
//! in as many environments as there are events at once, up to its reserved concurrency; an
//! environment is frozen (SIGSTOP) as soon as it asks for the next event and there is none, thawed
//! for the next one, and ended after a while; whatever takes longer than the time limit, or more
//! memory than there is, is killed; a failed event is tried again; now and then one may come twice.
//!
//! What it does not: CPU is not limited, signatures are not verified (key ids are), and there is
//! one function.

mod bill;
mod environment;
mod fleet;
mod front;
mod function;
mod http;
mod runtime_api;

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

pub use bill::Bill;
pub use environment::Stage;
use fleet::Fleet;
pub use fleet::{Invocation, Outcome, Sandbox};
pub use front::Refusal;
pub use function::Function;

/// The key id that is accepted.
pub const ACCESS_KEY: &str = "farspawn-test";
/// Its secret, which nobody looks at.
pub const SECRET_KEY: &str = "not-a-secret";

/// A running Lambda. When it is dropped it ends, and all its processes are killed.
#[derive(Debug)]
pub struct LocalLambda {
    endpoint: String,
    fleet: Arc<Fleet>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl LocalLambda {
    /// Serves a function on a loopback port that the system chooses, on a thread of its own.
    pub fn start(function: Function) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let fleet = Arc::new(Fleet::new(function));
        let executor = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = fleet.clone();
        let run = move || {
            executor.block_on(async {
                tokio::select! {
                    served = front::serve(listener, serving.clone()) => {
                        if let Err(error) = served {
                            tracing::error!("the local Lambda ends: {error}");
                        }
                    }
                    _ = stopped => {}
                }
                serving.kill_all();
            });
        };
        let thread = thread::Builder::new().name("lambda-local".to_owned()).spawn(run)?;
        Ok(Self { endpoint, fleet, stop: Some(stop), thread: Some(thread) })
    }

    /// Its URL, for `endpoint_url` or `AWS_ENDPOINT_URL_LAMBDA`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The invocations that have ended, in the order in which they did.
    pub fn invocations(&self) -> Vec<Invocation> {
        self.fleet.invocations()
    }

    /// Blocks until no event is under way; false if that takes longer than `patience`.
    pub fn settle(&self, patience: Duration) -> bool {
        self.fleet.settle(patience)
    }

    /// The environments that are there.
    pub fn sandboxes(&self) -> Vec<Sandbox> {
        self.fleet.sandboxes()
    }

    /// What all of it would have cost until now.
    pub fn bill(&self) -> Bill {
        Bill::of(self.fleet.function(), &self.invocations())
    }

    /// The next so many calls of Invoke are throttled.
    pub fn throttle(&self, calls: u32) {
        self.fleet.order(|faults| faults.throttled += calls);
    }

    /// How many of the calls that are to be throttled have not come.
    pub fn throttles_left(&self) -> u32 {
        self.fleet.order(|faults| faults.throttled)
    }

    /// The next so many events come twice.
    pub fn duplicate(&self, events: u32) {
        self.fleet.order(|faults| faults.duplicated += events);
    }

    /// From now on calls are refused: all, or those of one action, such as
    /// `lambda:InvokeFunction`.
    pub fn refuse(&self, refusal: Refusal) {
        self.fleet.order(|faults| faults.refusals.push(refusal));
    }

    /// How many calls have been refused so far.
    pub fn refused(&self) -> u32 {
        self.fleet.order(|faults| faults.refused)
    }

    /// Refuses no more.
    pub fn relent(&self) {
        self.fleet.order(|faults| faults.refusals.clear());
    }
}

impl Drop for LocalLambda {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}
