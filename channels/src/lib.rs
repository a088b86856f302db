//! Go channels whose ends may live in different processes.
//!
//! A [`channel`] gives a [`Sender`] and a [`Receiver`]. Both are values: clone them, send them over
//! other channels, hand them to tasks. As long as every handle is in one process the channel is
//! memory, and messages are moved. When a handle leaves, the channel moves to the coordinator, and
//! messages are frames; the rules stay the same, because both homes run the same state machine.
//!
//! # The walk of a message
//!
//! At home: [`Sender::send`] (`handle.rs`) -> `operation.rs` -> `chan.rs` -> the receiver's future.
//! Away: `operation.rs` -> `transfer.rs` (encode, list handles) -> `node.rs` (an operation with a
//! name) -> a frame -> the coordinator's `chan.rs` -> a frame -> `node.rs` -> `transfer.rs`, which
//! decodes.
//!
//! # Modules
//!
//! - `handle`: `Sender`, `Receiver`, `channel`; counting of handles.
//! - `operation`: sends, receives and closes under way, as futures; their errors.
//! - `location`: where a channel lives, and how it leaves its process.
//! - [`chan`]: one channel, pure. [`line`](mod@line): a queue that one may leave.
//! - [`node`]: the operations that one process has under way at the coordinator, pure.
//! - [`transfer`]: a handle in a message. [`codec`]: payload bytes.
//! - [`wire`]: every frame. [`sequence`]: their order in a session. [`id`]: identities.
//!   [`outcome`]: how a task ended.
//! - [`blocking`]: waiting on a thread. [`waiting`]: whether a task waits on a channel.
//!
//! # Architecture invariants
//!
//! - No tokio, no clock, no socket, no thread in this crate.
//! - A channel has one home, and only its home decides.
//! - A handle never stands for another handle: passing it on makes no chain.

pub mod blocking;
pub mod chan;
mod claim;
pub mod codec;
mod handle;
pub mod id;
pub mod line;
mod location;
mod lock;
pub mod node;
mod operation;
pub mod outcome;
#[doc(hidden)]
pub mod select;
pub mod sequence;
mod stream;
pub mod transfer;
pub mod waiting;
pub mod wire;

pub use handle::{Message, Path, Receiver, Sender, channel};
pub use operation::{
    AlreadyClosed, Closing, Receiving, RecvError, SendError, Sending, TryReceiving, TryRecvError,
    TrySendError, TrySending,
};
pub use select::{Chosen, Select};
