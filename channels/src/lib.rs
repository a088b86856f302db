//! Go channels whose ends may live in different processes.
//!
//! A [`channel`] gives a [`Sender`] and a [`Receiver`]. Both are values: clone them, send them over
//! other channels, hand them to tasks. As long as every handle is in one process the channel is
//! memory, and messages are moved. When a handle leaves, the channel moves to the coordinator, and
//! messages are frames; the rules stay the same, because both homes run the same state machine.
//!
//! # Four kinds of use
//!
//! *A rendezvous*: capacity 0. A send ends when a receiver has the value.
//!
//! ```
//! # futures::executor::block_on(async {
//! use futures::join;
//! let (sender, receiver) = channels::channel(0);
//! let (sent, received) = join!(sender.send(42), receiver.recv());
//! assert_eq!((sent, received), (Ok(()), Ok(42)));
//! # })
//! ```
//!
//! *A buffer*: capacity n holds n values, never more. Dropping the last sender closes the channel,
//! and receivers get what is left.
//!
//! ```
//! # futures::executor::block_on(async {
//! use futures::StreamExt;
//! let (sender, receiver) = channels::channel(2);
//! sender.send(1).await.unwrap();
//! sender.send(2).await.unwrap();
//! assert!(sender.try_send(3).await.is_err());
//! drop(sender);
//! assert_eq!(receiver.collect::<Vec<i32>>().await, [1, 2]);
//! # })
//! ```
//!
//! *A select*: of several sends and receives one happens, and the others have not.
//!
//! ```
//! # futures::executor::block_on(async {
//! use channels::{channel, select};
//! let (work_in, work) = channel(1);
//! let (_stop_in, stop) = channel::<()>(0);
//! work_in.send(7).await.unwrap();
//! let next = select! {
//!     job = work.recv() => job.ok(),
//!     _ = stop.recv() => None,
//! };
//! assert_eq!(next, Some(7));
//! # })
//! ```
//!
//! *A value*: handles travel in messages, to any depth (C07), here to ask a question that brings
//! its own way back.
//!
//! ```
//! # futures::executor::block_on(async {
//! use channels::{Sender, channel};
//! let (questions_in, questions) = channel::<(u64, Sender<u64>)>(1);
//! std::thread::spawn(move || {
//!     while let Ok((number, answer)) = questions.recv_blocking() {
//!         answer.send_blocking(number * number).unwrap();
//!     }
//! });
//! let (answer_in, answer) = channel(1);
//! questions_in.send((12, answer_in)).await.unwrap();
//! assert_eq!(answer.recv().await, Ok(144));
//! # })
//! ```
//!
//! # The same as Go, and what is not
//!
//! The tests are those of the repository's `tests/golang`, which are Go's own, written anew.
//!
//! | in Go | here | test |
//! |---|---|---|
//! | `make(chan T, n)` | `channel(n)`; above 2^24 it panics (C02) | `chancap` |
//! | `c <- v`, `<-c`; peers wait in order (C13) | `send(v).await`, `recv().await` | `fifo` |
//! | `v, ok := <-c` | `Ok(v)`, or `Err(Closed)` for ever (C24) | `closedchan` |
//! | `close(c)`; again: a panic | `close().await`; again: `Err(AlreadyClosed)` | `closedchan` |
//! | a send on a closed channel: a panic | `Err(Closed(v))`, the value back (C26) | `close` |
//! | a nil channel is never ready | `None::<Receiver<T>>` in a select (C21) | `select3` |
//! | `select`, `default` (C33 to C42) | [`select!`], [`Select`] | `select5` |
//! | `for v := range c` | `while let Ok(v) = c.recv().await`, or a `Stream` (C45) | `range` |
//! | `len(c)`, `cap(c)` | `len().await`, `capacity()` (C08) | `chancap` |
//! | handles can be compared | `same_channel` (C05) | `chancap` |
//! | an unused channel is collected | the last sender dropped closes it (C50) | `typeparam_chans` |
//! | all goroutines asleep: a fatal error | so it is under a runtime (C54) | `deadlock` |
//! | goroutines cannot be cancelled | a dropped receive loses nothing | `message` |
//!
//! A value that was handed to a waiting receive whose future is dropped before it looks returns to
//! its old place. Its send has returned, so until the next receive the channel then holds one more
//! than its capacity, and no send gets in. Go has no such case.
//!
//! # The walk of a message
//!
//! At home: [`Sender::send`] (`handle.rs`) -> `operation/send.rs` -> `chan.rs` -> the receiver's
//! future in `operation/receive.rs`. Away: `operation/send.rs` -> `transfer.rs` (encode, list
//! handles) -> `node.rs` (an operation with a name) -> a frame -> the coordinator's `chan.rs` -> a
//! frame -> `node.rs` -> `operation/receive.rs` -> `transfer.rs`, which decodes.
//!
//! # Modules
//!
//! - `handle`: `Sender`, `Receiver`, `channel`; counting of handles. `stream`: the same as `Stream`
//!   and `Sink`. `builder`: channels that promise more.
//! - `operation`: sends, receives and closes under way, as futures; their errors.
//! - `select`: several of them, of which one happens. `claim`: who waits, and which case it was.
//! - `location`: where a channel lives, and how it leaves its process. `lock`: its lock here.
//!   `waking`: who is woken lets the waker go on.
//! - [`chan`]: one channel, pure. [`line`](mod@line): a queue that one may leave.
//! - [`settling`]: channels that come home to a process again, pure.
//! - [`node`]: the operations that one process has under way at the coordinator, pure.
//! - [`transfer`]: a handle in a message. [`codec`]: payload bytes. `trial`: relayed from the
//!   start.
//! - `chance`: random bits, or a simulation's seed. `made`: where channels were made.
//! - [`wire`]: every frame. [`session`]: their order, over links that break. [`chunks`]: large
//!   values in turns. [`id`]: identities.
//!   [`outcome`]: how a task ended.
//! - `slot`: one value for one who waits for it in the same process.
//! - [`blocking`]: waiting on a thread. [`waiting`]: whether a task waits on a channel, and where.
//!   `census`: who sleeps until a channel wakes it. `wait_group`: waiting for a number of things.
//!
//! # Architecture invariants
//!
//! - No tokio, no clock, no socket, no thread in this crate; no unsafe code.
//! - A channel has one home, and only its home decides.
//! - A handle never stands for another handle: passing it on makes no chain.

pub mod blocking;
mod builder;
#[doc(hidden)]
pub mod census;
pub mod chan;
#[doc(hidden)]
pub mod chance;
pub mod chunks;
mod claim;
pub mod codec;
mod flow;
mod handle;
pub mod id;
pub mod line;
mod location;
mod lock;
mod made;
pub mod moved;
pub mod node;
mod operation;
pub mod outcome;
#[doc(hidden)]
pub mod select;
pub mod session;
pub mod settling;
#[doc(hidden)]
pub mod slot;
mod stream;
pub mod transfer;
#[doc(hidden)]
pub mod trial;
mod wait_group;
pub mod waiting;
mod waking;
pub mod wire;

pub use builder::ChannelBuilder;
#[doc(hidden)]
pub use handle::channel_here;
pub use handle::{Message, Path, Receiver, Sender, channel};
pub use operation::{
    AlreadyClosed, Closing, FlushError, Leased, Leasing, Receiving, RecvError, SendError, Sending,
    TryReceiving, TryRecvError, TrySendError, TrySending,
};
pub use select::{Chosen, Select};
pub use wait_group::{GroupWaiting, WaitGroup};
