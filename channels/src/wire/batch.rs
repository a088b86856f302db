//! Many frames in one WebSocket message: one system call for all that waits.

use bytes::{BufMut, Bytes};

use super::field::Field;
use super::{Frame, MalformedFrame, PROTOCOL_VERSION};

/// The head of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Envelope {
    /// Which incarnation of the session speaks.
    pub epoch: u64,
    /// Number of the first frame in this batch; the first of a session is 1. 0 is a frame about the
    /// link: `Hello`, `Welcome`, `Resume`, `Resumed`, `Fenced` or `Turned`.
    pub sequence: u64,
    /// Every frame up to this one has been received.
    pub acknowledged: u64,
}

const ENVELOPE_BYTES: usize = 26;

impl Envelope {
    /// Of a batch that is about the link itself.
    pub const LINK: Self = Self { epoch: 0, sequence: 0, acknowledged: 0 };
}

/// Writes frames into one batch.
#[derive(Debug)]
pub struct BatchWriter {
    /// The envelope's place, then frames.
    bytes: Vec<u8>,
    frames: u64,
}

impl Default for BatchWriter {
    /// An empty batch.
    fn default() -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.resize(ENVELOPE_BYTES, 0);
        Self { bytes, frames: 0 }
    }
}

impl BatchWriter {
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
    pub fn finish(mut self, envelope: Envelope) -> Bytes {
        let mut head = Vec::with_capacity(ENVELOPE_BYTES);
        PROTOCOL_VERSION.put(&mut head);
        envelope.epoch.put(&mut head);
        envelope.sequence.put(&mut head);
        envelope.acknowledged.put(&mut head);
        self.bytes[..ENVELOPE_BYTES].copy_from_slice(&head);
        self.bytes.into()
    }
}

/// A batch of one frame that is about the link itself: not numbered, and never repeated.
pub fn link_batch(frame: &Frame) -> Bytes {
    let mut batch = BatchWriter::default();
    batch.push(frame);
    batch.finish(Envelope::LINK)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ChannelId, OperationId, SessionId, TaskId};
    use crate::wire::{
        Build, Contents, End, Parcel, Passage, Place, Role, Secret, Side, SpawnOptions, Stats,
        Usage, Vitals,
    };

    fn frames() -> Vec<Frame> {
        let channel = ChannelId(7);
        let operation = OperationId(8);
        let task = TaskId(9);
        let build = Build { release: "0.1".to_owned(), tasks: 3, hash: 4 };
        let passages = vec![Passage { channel, side: Side::Receive, capacity: 5 }];
        let parcel = Parcel { codec: 1, payload: vec![1, 2, 3].into(), passages };
        let parcels = vec![parcel.clone()];
        let secret = Secret([6; 32]);
        let worker = Role::Worker { launch: 1, threads: 2, memory_bytes: 3, process: 4 };
        let client = Role::Client { workers_max: 2, place: Place::Apart };
        let lost = End::Lost("it died".to_owned());
        let (name, signature, timeout_ms) = ("a::b".to_owned(), 11, 12);
        let options = SpawnOptions { retries: 1, timeout_ms, parent: Some(task) };
        let stats = Stats { workers: 1, launches: 2, ..Stats::default() };
        let usage = Usage { wall_us: 1, bytes: 4, memory: 6, ..Usage::default() };
        let vitals = Vitals { cores: 1.5, poll_age_us: 4, ..Vitals::default() };
        let contents = Contents {
            senders: 1,
            receivers: 2,
            values: vec![parcel.clone(), parcel.clone()],
            sends: vec![operation],
            end: Some(End::Closed),
            ..Contents::default()
        };
        let hello = |role| Frame::Hello {
            version: 1,
            build: build.clone(),
            role,
            secret: secret.clone(),
            nonce: 9,
        };
        vec![
            hello(worker),
            hello(client),
            Frame::Welcome { session: SessionId(1), epoch: 3, lease_ms: 2, secret: secret.clone() },
            Frame::Resume { session: SessionId(1), epoch: 3, last: 4, secret: secret.clone() },
            Frame::Resumed { last: 5, secret: secret.clone() },
            Frame::Fenced { reason: "silence".to_owned() },
            Frame::Turned { reason: "no".to_owned() },
            Frame::Heartbeat {},
            Frame::Export { channel, capacity: 1, senders: 2, receivers: 3 },
            Frame::Send { channel, operation, parcel: parcel.clone() },
            Frame::Detach { channel, side: Side::Send, arrivals: 4 },
            Frame::Prepaid { channel, parcels: vec![parcel.clone(), parcel.clone()] },
            Frame::Ahead { channel, window: 5, seen: 6 },
            Frame::Early { channel, first: 7, detaches: 8, attempt: 1, parcels },
            Frame::Refused { operation, end: End::Closed },
            Frame::Ended { operation, end: lost },
            Frame::Spawn {
                task,
                name: name.clone(),
                signature,
                options,
                result: channel,
                arguments: parcel.clone(),
            },
            Frame::Finished { task, attempt: 1, outcome: parcel.clone(), usage },
            Frame::Measures { vitals },
            Frame::Seats { seats: 3 },
            Frame::Tally { name: name.clone(), count: 2, usage },
            Frame::Began { task, name: name.clone(), parent: Some(task) },
            Frame::Bill { operation },
            Frame::Billed { operation, report: vec![7].into() },
            Frame::Report { cpu: 0.5, memory: 0.25, running: 1, held: 2, runs_seen: 3 },
            Frame::Run { task, attempt: 1, name, signature, timeout_ms, arguments: parcel.clone() },
            Frame::Inspected { operation, stats },
            Frame::Land { channel, landings: 1, contents },
        ]
    }

    fn batch(frames: &[Frame]) -> Bytes {
        let mut writer = BatchWriter::default();
        frames.iter().for_each(|frame| writer.push(frame));
        assert_eq!(writer.frames(), frames.len() as u64);
        writer.finish(Envelope { epoch: 1, sequence: 2, acknowledged: 3 })
    }

    #[test]
    fn what_is_written_is_read() {
        let (envelope, read) = read_batch(batch(&frames())).unwrap();
        assert_eq!(envelope, Envelope { epoch: 1, sequence: 2, acknowledged: 3 });
        assert_eq!(read, frames());
        assert!(!format!("{read:?} {}", read[0]).contains("6, 6, 6"), "a secret is not printed");
    }

    #[test]
    fn a_batch_cut_anywhere_is_refused_or_shorter() {
        let whole = batch(&frames());
        for length in 0..whole.len() {
            if let Ok((_, read)) = read_batch(whole.slice(..length)) {
                assert!(read.len() < frames().len(), "cut at {length}");
            }
        }
    }

    /// Whatever comes, the answer is frames or an error; memory stays within the batch's own size.
    #[test]
    fn garbled_batches_never_panic() {
        let whole = batch(&frames()).to_vec();
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random % below as u64) as usize
        };
        let mut refused = 0;
        for _ in 0..20_000 {
            let mut garbled = whole.clone();
            for _ in 0..=next(4) {
                let at = next(garbled.len());
                garbled[at] = next(256) as u8;
            }
            refused += u32::from(read_batch(garbled.into()).is_err());
        }
        assert!(refused > 1000, "{refused} were refused");
    }

    #[test]
    fn an_error_says_what_was_expected_and_where() {
        let error = read_batch(Bytes::from_static(b"GET / HTTP/1.1")).unwrap_err().to_string();
        assert!(error.contains("no batch"), "{error}");
        let mut other_version = batch(&[Frame::Heartbeat {}]).to_vec();
        other_version[0] = 42;
        let error = read_batch(other_version.into()).unwrap_err().to_string();
        assert!(error.contains("version 42"), "{error}");
        let mut side =
            batch(&[Frame::Detach { channel: ChannelId(1), side: Side::Send, arrivals: 1 }])
                .to_vec();
        let at = side.len() - 5;
        side[at] = 9;
        let error = read_batch(side.into()).unwrap_err().to_string();
        assert!(error.contains("9 is no Side") && error.contains("Detach.side"), "{error}");
    }
}
