//! How large the parts of a frame may be. Whoever reads enforces them.

/// The payload of one message, result or argument list, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 128 << 20;
/// The payload of one frame, in bytes: one that is larger comes in chunks before its frame.
pub const WHOLE_BYTES_MAX: usize = 2 << 20;
/// Handles in one message.
pub const HANDLES_MAX: usize = 1024;
/// Any text in a frame (names, reasons, panic messages), in bytes.
pub const TEXT_BYTES_MAX: usize = 64 << 10;
/// One frame, in bytes, whatever its lists add to the payloads.
pub const FRAME_BYTES_MAX: usize = 2 * WHOLE_BYTES_MAX + 64 * HANDLES_MAX + TEXT_BYTES_MAX;
/// One batch, in bytes: senders start a new one beyond [`BATCH_BYTES_TARGET`].
pub const BATCH_BYTES_MAX: usize = FRAME_BYTES_MAX + BATCH_BYTES_TARGET;
/// A batch is sent once it has reached this size.
pub const BATCH_BYTES_TARGET: usize = 64 << 10;
/// What is sent at a time of a value that takes turns with others, in bytes.
pub const CHUNK_BYTES_MAX: usize = 32 << 10;
/// Values in one frame.
pub const PARCELS_MAX: usize = 4096;
/// Operations that wait, of a channel that lands with them in one frame.
pub const CONTENTS_MAX: usize = 4096;
/// The largest capacity that a channel may have.
pub const CAPACITY_MAX: usize = 1 << 24;
