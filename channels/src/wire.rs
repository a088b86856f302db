//! What a node and the coordinator say to each other. `frames` has every frame, and is the
//! protocol's specification.
//!
//! One WebSocket message is a *batch*: an [`Envelope`], then frames back to back, each a kind (one
//! byte), a length (four bytes) and its fields in the order written here. Numbers are
//! little-endian; bytes, texts and lists are preceded by their length in four bytes.
//!
//! The envelope counts frames, so that a session can be resumed after a broken link (see
//! [`session`](crate::session)). A link begins with `Hello` and `Welcome`, or with `Resume` and
//! `Resumed`; these are about the link, and have no number. Payload bytes are opaque: the
//! coordinator copies them and never looks inside. The handles that a payload carries are listed
//! beside it.

#[macro_use]
mod macros;
mod batch;
mod field;
mod frames;
mod value;

pub use batch::{BatchWriter, Envelope, link_batch, read_batch};
pub use frames::Frame;
pub use value::{
    Build, Contents, End, Parcel, Passage, Place, Role, Secret, Side, SpawnOptions, Stats,
};

/// Version of this protocol. Peers of another version are refused by name.
pub const PROTOCOL_VERSION: u16 = 5;
/// The payload of one message, result or argument list, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Handles in one message.
pub const HANDLES_MAX: usize = 1024;
/// Any text in a frame (names, reasons, panic messages), in bytes.
pub const TEXT_BYTES_MAX: usize = 64 << 10;
/// One frame, in bytes.
pub const FRAME_BYTES_MAX: usize = MESSAGE_BYTES_MAX + 64 * HANDLES_MAX + TEXT_BYTES_MAX;
/// One batch, in bytes: senders start a new one beyond [`BATCH_BYTES_TARGET`].
pub const BATCH_BYTES_MAX: usize = FRAME_BYTES_MAX + BATCH_BYTES_TARGET;
/// A batch is sent once it has reached this size.
pub const BATCH_BYTES_TARGET: usize = 64 << 10;
/// What is sent at a time of one channel, in bytes, if there is more.
pub const CHUNK_BYTES_MAX: usize = 32 << 10;
/// Values in one frame.
pub const PARCELS_MAX: usize = 4096;
/// Operations that wait, of a channel that lands with them in one frame.
pub const CONTENTS_MAX: usize = 4096;
/// The largest capacity that a channel may have.
pub const CAPACITY_MAX: usize = 1 << 24;

/// Bytes that are not a frame. Says what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed frame: {reason}")]
pub struct MalformedFrame {
    reason: String,
}

impl MalformedFrame {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }

    fn within(self, place: &str) -> Self {
        Self { reason: format!("{} in {place}", self.reason) }
    }
}
