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
mod limits;
mod malformed;
mod parcels;
mod value;

pub use batch::{BatchWriter, Envelope, link_batch, read_batch};
pub use frames::Frame;
pub use limits::{
    BATCH_BYTES_MAX, BATCH_BYTES_TARGET, CAPACITY_MAX, CHUNK_BYTES_MAX, CONTENTS_MAX,
    FRAME_BYTES_MAX, HANDLES_MAX, MESSAGE_BYTES_MAX, PARCELS_MAX, TEXT_BYTES_MAX, WHOLE_BYTES_MAX,
};
pub use malformed::MalformedFrame;
pub use value::{
    Build, Contents, End, Parcel, Passage, Place, Role, Secret, Side, SpawnOptions, Stats, Usage,
    Vitals, nonce,
};

/// Version of this protocol. Peers of another version are refused by name.
pub const PROTOCOL_VERSION: u16 = 12;
