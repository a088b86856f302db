//! Many frames in one WebSocket message: one system call for all that waits.

use bytes::{BufMut, Bytes};

use super::field::Field;
use super::{Frame, MalformedFrame, PROTOCOL_VERSION};

/// The head of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Envelope {
    /// Which incarnation of the session speaks.
    pub epoch: u64,
    /// Number of the first frame in this batch; the first of a session is 1.
    pub sequence: u64,
    /// Every frame up to this one has been received.
    pub acknowledged: u64,
}

const ENVELOPE_BYTES: usize = 26;

/// Writes frames into one batch.
#[derive(Debug)]
pub struct BatchWriter {
    bytes: Vec<u8>,
    frames: u64,
}

impl BatchWriter {
    /// An empty batch.
    pub fn new(envelope: Envelope) -> Self {
        let mut bytes = Vec::with_capacity(256);
        PROTOCOL_VERSION.put(&mut bytes);
        envelope.epoch.put(&mut bytes);
        envelope.sequence.put(&mut bytes);
        envelope.acknowledged.put(&mut bytes);
        Self { bytes, frames: 0 }
    }

    /// Appends a frame.
    pub fn push(&mut self, frame: &Frame) {
        self.bytes.put_u8(frame.kind());
        let length_at = self.bytes.len();
        self.bytes.put_u32_le(0);
        frame.put_fields(&mut self.bytes);
        let length = (self.bytes.len() - length_at - 4) as u32;
        self.bytes[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
        self.frames += 1;
    }

    /// How many frames it holds.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Its size in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it holds no frame.
    pub fn is_empty(&self) -> bool {
        self.frames == 0
    }

    /// The bytes for one WebSocket message.
    pub fn finish(self) -> Bytes {
        self.bytes.into()
    }
}

/// Reads a batch: the envelope and all of its frames, or why it is none.
pub fn read_batch(mut bytes: Bytes) -> Result<(Envelope, Vec<Frame>), MalformedFrame> {
    if bytes.len() < ENVELOPE_BYTES {
        return Err(MalformedFrame::new(format!("{} bytes are no batch", bytes.len())));
    }
    let version = u16::read(&mut bytes)?;
    if version != PROTOCOL_VERSION {
        return Err(MalformedFrame::new(format!(
            "the peer speaks protocol version {version}, this program {PROTOCOL_VERSION}"
        )));
    }
    let envelope = Envelope {
        epoch: u64::read(&mut bytes)?,
        sequence: u64::read(&mut bytes)?,
        acknowledged: u64::read(&mut bytes)?,
    };
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let kind = u8::read(&mut bytes)?;
        let length = u32::read(&mut bytes)? as usize;
        if length > bytes.len() {
            return Err(MalformedFrame::new(format!("a frame of {length} bytes is cut short")));
        }
        let mut body = bytes.split_to(length);
        frames.push(Frame::take_fields(kind, &mut body)?);
        if !body.is_empty() {
            return Err(MalformedFrame::new(format!(
                "{} bytes too many in a frame of kind {kind}",
                body.len()
            )));
        }
    }
    Ok((envelope, frames))
}
