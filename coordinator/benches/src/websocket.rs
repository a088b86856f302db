//! Messages in WebSocket messages, many in one; as the standard says a client masks them. The relay
//! unmasks, looks at each length, as one that routes has to, and forwards. There is no handshake:
//! it would cost nothing that is measured.

use std::io::{self, Write};
use std::net::TcpStream;
use std::ops::Range;

use crate::framed::{Incoming, LENGTH_BYTES, connect, length_at};
use crate::link::{BATCH_BYTES, End, Link};

/// The last part of a message, and binary.
const FINAL_BINARY: u8 = 0x82;
const MASKED: u8 = 0x80;
const MASK_BYTES: usize = 4;
const HEAD_BYTES_MAX: usize = 10;
const MASK: [u8; MASK_BYTES] = [0x3d, 0xa1, 0x5c, 0x97];

/// The head of a message of so many bytes, without a mask, and its length.
fn head(length: usize, masked: u8) -> ([u8; HEAD_BYTES_MAX], usize) {
    let mut head = [0; HEAD_BYTES_MAX];
    head[0] = FINAL_BINARY;
    let bytes = match length {
        0..=125 => {
            head[1] = length as u8;
            2
        }
        126..=0xffff => {
            head[1] = 126;
            head[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            4
        }
        _ => {
            head[1] = 127;
            head[2..10].copy_from_slice(&(length as u64).to_be_bytes());
            10
        }
    };
    head[1] |= masked;
    (head, bytes)
}

/// Where the payload lies in the bytes of a message, if its head is whole.
fn payload_of(bytes: &[u8]) -> Option<Range<usize>> {
    let [first, second] = *bytes.first_chunk::<2>()?;
    debug_assert_eq!(first, FINAL_BINARY, "the peer is of this program");
    let (length, head) = match second & !MASKED {
        126 => (u64::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?)), 4),
        127 => (u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?), 10),
        short => (u64::from(short), 2),
    };
    let start = head + if second & MASKED == 0 { 0 } else { MASK_BYTES };
    (bytes.len() >= start).then_some(start..start + length as usize)
}

/// Applies a mask, or takes it off, eight bytes at a time.
fn mask(bytes: &mut [u8], mask: [u8; MASK_BYTES]) {
    let word = u64::from_ne_bytes([mask, mask].concat().try_into().expect("twice four is eight"));
    let mut words = bytes.chunks_exact_mut(8);
    for chunk in &mut words {
        let masked = u64::from_ne_bytes((&*chunk).try_into().expect("a chunk of eight")) ^ word;
        chunk.copy_from_slice(&masked.to_ne_bytes());
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

/// Takes the next message: its place, and that of the payload in it.
fn take_message(incoming: &mut Incoming) -> io::Result<(Range<usize>, Range<usize>)> {
    let mut known = 2;
    loop {
        let there = incoming.fill(known)?;
        let Some(payload) = payload_of(there) else {
            known = there.len() + 1;
            continue;
        };
        if there.len() < payload.end {
            incoming.fill(payload.end)?;
        }
        return Ok((incoming.take(payload.end), payload));
    }
}

/// An end of the relay.
pub(crate) struct WebSocket {
    out: TcpStream,
    /// What waits, after room for the longest head and the mask.
    batch: Vec<u8>,
    incoming: Incoming,
    /// What is left of the message that came last.
    rest: Range<usize>,
}

const BEFORE: usize = HEAD_BYTES_MAX + MASK_BYTES;

impl WebSocket {
    pub(crate) fn connect(address: &str, end: End) -> io::Result<Self> {
        let out = connect(address, end)?;
        let incoming = Incoming::new(out.try_clone()?);
        Ok(Self { out, batch: vec![0; BEFORE], incoming, rest: 0..0 })
    }
}

impl Link for WebSocket {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.batch.extend_from_slice(&(message.len() as u32).to_le_bytes());
        self.batch.extend_from_slice(message);
        if self.batch.len() >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        let length = self.batch.len() - BEFORE;
        if length == 0 {
            return Ok(());
        }
        mask(&mut self.batch[BEFORE..], MASK);
        let (head, bytes) = head(length, MASKED);
        let start = HEAD_BYTES_MAX - bytes;
        self.batch[start..HEAD_BYTES_MAX].copy_from_slice(&head[..bytes]);
        self.batch[HEAD_BYTES_MAX..BEFORE].copy_from_slice(&MASK);
        self.out.write_all(&self.batch[start..])?;
        self.batch.truncate(BEFORE);
        Ok(())
    }

    fn receive(&mut self) -> io::Result<&[u8]> {
        if self.rest.is_empty() {
            let (message, payload) = take_message(&mut self.incoming)?;
            self.rest = message.start + payload.start..message.end;
        }
        let length = length_at(self.incoming.at(self.rest.clone()));
        let start = self.rest.start + LENGTH_BYTES;
        self.rest.start = start + length;
        Ok(self.incoming.at(start..start + length))
    }
}

/// Forwards messages until one side ends.
pub(crate) fn forward_messages(from: TcpStream, mut to: TcpStream) -> io::Result<()> {
    let mut incoming = Incoming::new(from);
    loop {
        let (message, payload) = take_message(&mut incoming)?;
        let message = incoming.at(message);
        let key = *message[..payload.start].last_chunk().expect("a client masks what it sends");
        mask(&mut message[payload.clone()], key);
        let mut rest = &message[payload.clone()];
        while !rest.is_empty() {
            rest = &rest[LENGTH_BYTES + length_at(rest)..];
        }
        // The head without a mask is shorter, and fits in front of the payload where it is.
        let (head, bytes) = head(payload.len(), 0);
        let start = payload.start - bytes;
        message[start..payload.start].copy_from_slice(&head[..bytes]);
        to.write_all(&message[start..])?;
    }
}
