//! Tasks: the table of functions that this program can run for others, and the description of a
//! call.

use std::any::Any;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use channels::codec::{self, CodecError};
use channels::node::Node;
use channels::outcome::Outcome;
use channels::transfer::{self, Undelivered};
use channels::wire::{Build, Parcel, SpawnOptions};
use channels::{Message, codec::CODEC};
use futures::FutureExt;

/// A future that owns everything it needs.
pub type BoxFuture<R> = Pin<Box<dyn Future<Output = R> + Send>>;

/// An attempt under way. It never panics: its outcome tells of a panic of the user's function.
pub type Started = BoxFuture<Ended>;

/// An attempt that has ended.
pub struct Ended {
    /// The encoded outcome.
    pub(crate) outcome: Parcel,
    /// The result itself: handles in it must not be dropped before the outcome has left, or the
    /// coordinator would take them for gone.
    pub(crate) kept: Box<dyn Any + Send>,
}

/// How a task's function is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// On the worker's executor, beside others.
    Async,
    /// On a thread of its own, as the paper's executor threads.
    Thread,
}

/// A function that any worker of this program can run.
pub struct Task {
    /// Its path.
    pub name: &'static str,
    /// Hash of its argument and result types as written.
    pub signature: u64,
    /// How it is run.
    pub kind: Kind,
    /// Attempts after the first.
    pub retries: u32,
    /// Longest attempt in milliseconds; 0 is none.
    pub timeout_ms: u64,
    /// Decodes the arguments, runs the function, encodes the outcome.
    pub start: fn(Arc<Node>, Parcel) -> Started,
}

/// An entry of the table.
pub struct Registered(pub &'static Task);

inventory::collect!(Registered);

/// All tasks of this program.
pub(crate) fn all() -> impl Iterator<Item = &'static Task> {
    inventory::iter::<Registered>.into_iter().map(|registered| registered.0)
}

/// Finds the task that a coordinator asks for, or says why there is none.
pub(crate) fn find(name: &str, signature: u64, codec: u8) -> Result<&'static Task, String> {
    let Some(task) = all().find(|task| task.name == name) else {
        return Err(format!(
            "unknown task `{name}`: this worker has {} tasks; if it is in a library, name that \
             library in main.rs (`use the_library as _;`)",
            all().count()
        ));
    };
    // Whoever writes JSON knows no signature; if the types differ, its arguments cannot be read.
    if task.signature != signature && codec != codec::JSON {
        return Err(format!(
            "task `{name}` has other argument or result types here than where it was spawned: \
             build the client and the worker from the same sources"
        ));
    }
    Ok(task)
}

/// What distinguishes this program from another: its tasks and their types.
pub(crate) fn build() -> Build {
    let mut tasks: Vec<_> = all().map(|task| (task.name, task.signature)).collect();
    tasks.sort_unstable();
    let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = tasks
        .iter()
        .flat_map(|(name, signature)| name.bytes().chain(signature.to_le_bytes()))
        .chain([CODEC])
        .fold(0xcbf2_9ce4_8422_2325, fold);
    let release = env!("CARGO_PKG_VERSION").to_owned();
    Build { release, tasks: tasks.len() as u32, hash }
}

/// What the macro's `start` does, once for all types.
pub fn start<A: Message, R: Message>(
    node: Arc<Node>,
    arguments: Parcel,
    run: fn(A) -> BoxFuture<R>,
) -> Started {
    let in_json = arguments.codec == codec::JSON;
    let arguments = Undelivered::new(node.clone(), arguments);
    let attempt = async move {
        match arguments.unpack::<A>() {
            Err(error) => Outcome::NeverStarted(format!("its arguments: {error}")),
            Ok(arguments) => Outcome::Returned(run(arguments).await),
        }
    };
    Box::pin(async move {
        let ended = AssertUnwindSafe(attempt).catch_unwind().await;
        let outcome = ended.unwrap_or_else(|panic| Outcome::Panicked(panic_text(&*panic)));
        // Encoding runs the user's code once more.
        let pack =
            || if in_json { Ended::json(&node, outcome) } else { Ended::new(&node, outcome) };
        let packing = catch_unwind(AssertUnwindSafe(pack));
        packing.unwrap_or_else(|panic| Ended::panicked(&node, &*panic))
    })
}

impl Ended {
    pub(crate) fn new<R: Message>(node: &Arc<Node>, outcome: Outcome<R>) -> Self {
        let packed = pack_outcome(node, &outcome);
        Self { outcome: packed, kept: Box::new(outcome) }
    }

    /// For whoever wrote the arguments in JSON: the result is a text, in JSON as well.
    fn json<R: Message>(node: &Arc<Node>, outcome: Outcome<R>) -> Self {
        let text = match outcome {
            Outcome::Returned(value) => match codec::to_json(&value) {
                Ok(text) => Outcome::Returned(text),
                Err(error) => Outcome::Panicked(format!("its result cannot be sent: {error}")),
            },
            other => other.map(|_| String::new()),
        };
        Self::new(node, text)
    }

    pub(crate) fn panicked(node: &Arc<Node>, panic: &(dyn Any + Send)) -> Self {
        Self::new(node, Outcome::<()>::Panicked(panic_text(panic)))
    }
}

/// Encodes an outcome. A result that cannot be encoded is the function's fault, like a panic.
fn pack_outcome<R: Message>(node: &Arc<Node>, outcome: &Outcome<R>) -> Parcel {
    transfer::pack(node, outcome).unwrap_or_else(|error| {
        let text = format!("its result cannot be sent: {error}");
        let payload = codec::encode(&Outcome::<()>::Panicked(text)).unwrap_or_default();
        Parcel { codec: CODEC, payload: payload.into(), passages: Vec::new() }
    })
}

/// The text of a panic, as `panic!` wrote it.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "the panic carries no text".to_owned())
}

/// A call that has not happened yet: a function and its arguments.
///
/// A function with `#[runtime::task]` returns it instead of running. Awaiting it runs the function
/// here, as a plain call would; [`spawn`](crate::spawn) runs it on any worker.
///
/// ```
/// #[runtime::task]
/// async fn double(n: u64) -> u64 { 2 * n }
///
/// #[runtime::main]
/// async fn main() {
///     assert_eq!(double(4).await, 8);                           // here
///     assert_eq!(runtime::spawn(double(4)).await.unwrap(), 8);  // anywhere
/// }
/// ```
#[must_use = "a call does nothing until it is awaited or spawned"]
pub struct Call<R> {
    pub(crate) task: &'static Task,
    pub(crate) options: SpawnOptions,
    body: Box<dyn Body<R>>,
}

trait Body<R>: Send {
    fn pack(&self, node: &Arc<Node>) -> Result<Parcel, CodecError>;
    fn run(self: Box<Self>) -> BoxFuture<R>;
}

struct Bound<A, R> {
    arguments: A,
    run: fn(A) -> BoxFuture<R>,
}

impl<A: Message, R> Body<R> for Bound<A, R> {
    fn pack(&self, node: &Arc<Node>) -> Result<Parcel, CodecError> {
        transfer::pack(node, &self.arguments)
    }

    fn run(self: Box<Self>) -> BoxFuture<R> {
        (self.run)(self.arguments)
    }
}

/// What the macro's function returns.
pub fn call<A: Message, R: 'static>(
    task: &'static Task,
    arguments: A,
    run: fn(A) -> BoxFuture<R>,
) -> Call<R> {
    let options = SpawnOptions {
        retries: task.retries,
        timeout_ms: task.timeout_ms,
        ..SpawnOptions::default()
    };
    Call { task, options, body: Box::new(Bound { arguments, run }) }
}

impl<R> Call<R> {
    /// Runs the task again, up to so many times, if its worker dies. By default a lost task is not
    /// run again, for nobody knows how far it came: ask for it if running twice does no harm. What
    /// an earlier attempt received stays received, and what it sent stays sent (contract D10).
    pub fn retry(mut self, retries: u32) -> Self {
        self.options.retries = retries;
        self
    }

    /// Ends an attempt that runs longer than this, at its next `await`; a plain `fn` goes on, but
    /// nobody waits for it any more. Precise to a millisecond; zero means none.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self
    }

    pub(crate) fn pack(&self, node: &Arc<Node>) -> Result<Parcel, CodecError> {
        self.body.pack(node)
    }
}

impl<R: 'static> IntoFuture for Call<R> {
    type Output = R;
    type IntoFuture = BoxFuture<R>;

    /// The call, here and now. Options concern only `spawn`.
    fn into_future(self) -> BoxFuture<R> {
        self.body.run()
    }
}

impl<R> fmt::Debug for Call<R> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Call({})", self.task.name)
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Task({})", self.name)
    }
}
