//! Goroutines and channels across AWS Lambda.
//!
//! [`spawn`] runs a task on any worker; [`channel`] connects tasks, wherever they run.
//!
//! ```
//! use runtime::{Receiver, Sender, channel, spawn, task};
//!
//! #[task]
//! async fn square(numbers: Receiver<u64>, squares: Sender<u64>) {
//!     while let Ok(n) = numbers.recv().await {
//!         if squares.send(n * n).await.is_err() {
//!             break;
//!         }
//!     }
//! }
//!
//! #[runtime::main]
//! async fn main() -> Result<(), runtime::JoinError> {
//!     let (numbers_in, numbers) = channel(0);
//!     let (squares_in, squares) = channel(16);
//!     let worker = spawn(square(numbers, squares_in)); // Go: go square(numbers, squares)
//!     for n in 1..=3 {
//!         numbers_in.send(n).await.unwrap();
//!     }
//!     drop(numbers_in);
//!     let mut received = Vec::new();
//!     while let Ok(square) = squares.recv().await {
//!         received.push(square);
//!     }
//!     assert_eq!(received, [1, 4, 9]);
//!     worker.await
//! }
//! ```
//!
//! # The walk of a task
//!
//! `spawn.rs` -> `transfer.rs` (arguments, and the handles in them) -> `connection.rs` -> the
//! coordinator -> `connection.rs` -> `worker.rs` -> `task.rs` -> your function; its result is a
//! message on a channel of capacity 1, of which [`JoinHandle`] has the receiver. What a task spawns
//! may begin beside it at once: `spawn.rs` -> `child.rs` -> your function.
//!
//! # Modules
//!
//! - `task`: the table of tasks, and [`Call`]. `spawn`: [`spawn`](spawn()) and [`JoinHandle`].
//! - `worker`: runs tasks. `occupancy`: which of them occupy a thread. `stopwatch`: what each
//!   takes. `metrics`: how busy the process is, and what it is granted.
//! - `child`: tasks that begin beside the one that spawned them.
//! - `unstarted`: tasks that can still be given back. `lambda`: a worker on AWS Lambda, built with
//!   the feature of that name.
//! - `here`: which node a thread works for. `client`: [`Runtime`], and the coordinator inside the
//!   client. `entry`: which role this process has. `connection`: the session with the coordinator,
//!   on a thread of its own. `carrier`: its frames, over as many links as it takes. `address`:
//!   where a coordinator is. `link`: one WebSocket. `lease`: until when this node is surely part of
//!   the system. `fence`: what a task shows to those outside of it.
//! - `trial`: another placement, to find faults. `pace`: computing that is emulated. `deadlock`:
//!   when all sleep for good.
//! - `asking`: what a program may ask of the whole. `reporting`: the cost report at its end.
//! - `timer`: time as channels. `context`: cancellation and deadlines. `group`: tasks that belong
//!   together.

mod address;
mod asking;
mod carrier;
mod child;
mod client;
mod connection;
mod context;
mod deadlock;
mod drive;
mod entry;
mod fence;
mod group;
mod here;
#[cfg(feature = "lambda")]
mod lambda;
mod lease;
mod link;
mod metrics;
mod occupancy;
mod pace;
mod reporting;
mod spawn;
mod stopwatch;
mod task;
mod timer;
mod trial;
mod unstarted;
mod worker;

pub use asking::{current_worker, report, stats};
pub use channels::wire::{Place, Secret, Stats};
pub use channels::{
    AlreadyClosed, ChannelBuilder, Chosen, FlushError, Leased, Message, Path, Receiver, RecvError,
    Select, SendError, Sender, TryRecvError, TrySendError, WaitGroup, channel, select,
    select_blocking,
};
pub use client::{Builder, Runtime, StartError};
pub use connection::ConnectError;
pub use context::{Cancel, Context, ContextError};
pub use coordinator::bill::{Report, Tariff};
pub use coordinator::placement::choice::Policy;
pub use coordinator::platform::{self, Emulation, Program};
pub use coordinator::price::{Architecture, Prices};
pub use entry::{EnvironmentError, serve_if_worker};
pub use fence::{FenceToken, fence_token};
pub use group::{GroupError, TaskGroup};
pub use pace::emulate_cpu;
pub use spawn::{AbortHandle, JoinError, JoinHandle, spawn};
pub use task::Call;
pub use timer::{after, ticker};
pub use trial::Trial;

/// Makes a function a task, so that it can be spawned on any worker.
///
/// The function keeps its name and arguments; calling it now returns a [`Call`]. Await the call to
/// run it here, [`spawn`](spawn()) it to run it anywhere. Arguments and result must be
/// [`Message`]s: owned, and known to serde.
///
/// An `async fn` shares its worker's executor with others. A plain `fn` gets a thread of its own,
/// so it may compute or block as long as it likes; it uses [`Sender::send_blocking`] and
/// [`Receiver::recv_blocking`].
///
/// Options: `retry = 3` (see [`Call::retry`]), `timeout = "30s"` (see [`Call::timeout`]), and
/// `blocking` (an `async fn` that computes gets a thread of its own).
///
/// ```
/// /// Documentation stays where it was.
/// #[runtime::task(retry = 2, timeout = "5s")]
/// pub fn factorial(n: u64) -> u64 {
///     (1..=n).product()
/// }
///
/// #[runtime::main]
/// async fn main() -> Result<(), runtime::JoinError> {
///     assert_eq!(runtime::spawn(factorial(10)).await?, 3_628_800);
///     Ok(())
/// }
/// ```
pub use macros::task;

/// Starts the runtime around an `async fn main`.
///
/// With nothing configured it brings a coordinator along, on loopback, and starts worker processes
/// of this same program when tasks call for them. In such a process `main` is not run: it serves
/// tasks instead. Code before the runtime, such as `static` initialisers, runs in both.
///
/// Options: `workers = 2`, `threads = 2`, `place = "auto"`; the environment wins over them.
///
/// ```
/// #[runtime::main(workers = 2)]
/// async fn main() {
///     println!("hello from the client");
/// }
/// ```
pub use macros::main;

/// Makes an `async fn` a test with a runtime around it: a coordinator on loopback, and workers on
/// threads of the test's process. The options are those of [`main`](macro@main).
///
/// ```
/// # #[runtime::task] async fn one() -> u8 { 1 }
/// #[runtime::test(workers = 2)]
/// async fn one_is_one() {
///     assert_eq!(runtime::spawn(one()).await, Ok(1));
/// }
/// ```
pub use macros::test;

/// What the macros write refers to. Not for use by hand; no promise is made.
#[doc(hidden)]
pub mod __private {
    use std::sync::Arc;

    pub use crate::task::{BoxFuture, Ended, Kind, Registered, Started, Task, call, start};
    pub use channels::wire::Parcel;
    pub use inventory::submit;

    pub type Node = Arc<channels::node::Node>;
}
