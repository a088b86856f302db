//! Where pieces are put together.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{STREAM_BYTES_MAX, STREAMS_MAX};
use crate::wire::{CHUNK_BYTES_MAX, Frame, MESSAGE_BYTES_MAX};

/// Room that a value gets at once; more as it comes.
const ROOM_BYTES: usize = 4 << 20;

/// Pieces that have come from one peer.
#[derive(Debug, Default)]
pub struct Inbox {
    streams: BTreeMap<u64, Coming>,
    /// What they come to when all is there.
    bytes: usize,
    /// The youngest value that has begun.
    last: u64,
}

#[derive(Debug)]
struct Coming {
    bytes: Vec<u8>,
    left: usize,
}

/// Pieces that do not fit together: no peer that keeps the protocol sends them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Misfit {
    /// None that came before is like it.
    #[error("a piece of value {0} came after the value had ended, or before its turn")]
    NotBegun(u64),
    /// Something is missing, or came twice.
    #[error("a piece of value {stream} with {left} bytes to follow, where {expected} were left")]
    Order {
        /// The value.
        stream: u64,
        /// How many bytes should follow.
        left: usize,
        /// How many were missing when the piece came, itself included.
        expected: usize,
    },
    /// Only the last piece may be short, and none may be empty.
    #[error("a piece of {0} bytes; all but the last are of {CHUNK_BYTES_MAX}")]
    Piece(usize),
    /// The value is too large.
    #[error("a value of {0} bytes; at most {MESSAGE_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// Too much at once.
    #[error("more than {STREAMS_MAX} values, or {STREAM_BYTES_MAX} bytes of them, at once")]
    TooMany,
    /// The frame came before all of its payload.
    #[error("value {stream} is said to be whole, and {left} bytes are missing")]
    Incomplete {
        /// The value.
        stream: u64,
        /// What is missing.
        left: usize,
    },
    /// The frame has its payload with it, or none.
    #[error("value {0} came in pieces for a frame that has no room for it")]
    NoRoom(u64),
}

impl Inbox {
    /// Takes a frame in. One that is about no piece comes back; so does one whose payload came in
    /// pieces, complete. After an error the peer is not to be listened to any more.
    pub fn receive(&mut self, frame: Frame) -> Result<Option<Frame>, Misfit> {
        match frame {
            Frame::Chunk { stream, left, bytes } => {
                self.on_chunk(stream, left as usize, &bytes)?;
                Ok(None)
            }
            Frame::Whole { stream, frame } => self.on_whole(stream, *frame).map(Some),
            Frame::Scrap { stream } => {
                self.remove(stream)?;
                Ok(None)
            }
            other => Ok(Some(other)),
        }
    }

    /// Memory of what has come.
    pub fn bytes(&self) -> usize {
        self.streams.values().map(|coming| coming.bytes.capacity()).sum()
    }

    fn on_chunk(&mut self, stream: u64, left: usize, bytes: &Bytes) -> Result<(), Misfit> {
        let length = bytes.len();
        let is_right =
            if left == 0 { 1..=CHUNK_BYTES_MAX } else { CHUNK_BYTES_MAX..=CHUNK_BYTES_MAX };
        if !is_right.contains(&length) {
            return Err(Misfit::Piece(length));
        }
        if !self.streams.contains_key(&stream) {
            self.begin(stream, length + left)?;
        }
        let coming = self.streams.get_mut(&stream).ok_or(Misfit::NotBegun(stream))?;
        if coming.left != left + length {
            return Err(Misfit::Order { stream, left, expected: coming.left });
        }
        coming.left = left;
        coming.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn begin(&mut self, stream: u64, total: usize) -> Result<(), Misfit> {
        if stream <= self.last {
            return Err(Misfit::NotBegun(stream));
        }
        if total > MESSAGE_BYTES_MAX {
            return Err(Misfit::TooLong(total));
        }
        if self.streams.len() == STREAMS_MAX || self.bytes + total > STREAM_BYTES_MAX {
            return Err(Misfit::TooMany);
        }
        self.last = stream;
        self.bytes += total;
        let bytes = Vec::with_capacity(total.min(ROOM_BYTES));
        self.streams.insert(stream, Coming { bytes, left: total });
        Ok(())
    }

    fn on_whole(&mut self, stream: u64, mut frame: Frame) -> Result<Frame, Misfit> {
        let coming = self.remove(stream)?;
        if coming.left > 0 {
            return Err(Misfit::Incomplete { stream, left: coming.left });
        }
        match frame.payload_mut().filter(|payload| payload.is_empty()) {
            Some(payload) => *payload = coming.bytes.into(),
            None => return Err(Misfit::NoRoom(stream)),
        }
        Ok(frame)
    }

    fn remove(&mut self, stream: u64) -> Result<Coming, Misfit> {
        let coming = self.streams.remove(&stream).ok_or(Misfit::NotBegun(stream))?;
        self.bytes -= coming.bytes.len() + coming.left;
        Ok(coming)
    }
}
