//! Messages over TCP, each preceded by its length; the relay forwards bytes and looks at nothing.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::ops::Range;

use crate::link::{BATCH_BYTES, End, Link};

/// Bytes of a length.
pub(crate) const LENGTH_BYTES: usize = 4;
const BUFFER_BYTES: usize = 256 << 10;

/// What came from a socket and was not taken yet.
pub(crate) struct Incoming {
    stream: TcpStream,
    buffer: Vec<u8>,
    waiting: Range<usize>,
}

impl Incoming {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, buffer: vec![0; BUFFER_BYTES], waiting: 0..0 }
    }

    /// What is there, after reading until it is at least so much. Bytes do not move until the next
    /// call.
    pub(crate) fn fill(&mut self, count: usize) -> io::Result<&mut [u8]> {
        if self.waiting.len() < count {
            if self.waiting.start + count > self.buffer.len() {
                self.buffer.copy_within(self.waiting.clone(), 0);
                self.waiting = 0..self.waiting.len();
                self.buffer.resize(self.buffer.len().max(count), 0);
            }
            while self.waiting.len() < count {
                let read = self.stream.read(&mut self.buffer[self.waiting.end..])?;
                if read == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                self.waiting.end += read;
            }
        }
        Ok(&mut self.buffer[self.waiting.clone()])
    }

    /// Takes so many bytes, which must be there.
    pub(crate) fn take(&mut self, count: usize) -> Range<usize> {
        let taken = self.waiting.start..self.waiting.start + count;
        self.waiting.start = taken.end;
        if self.waiting.is_empty() {
            self.waiting = 0..0;
        }
        taken
    }

    pub(crate) fn at(&mut self, place: Range<usize>) -> &mut [u8] {
        &mut self.buffer[place]
    }
}

/// Connects to a relay as one of its ends.
pub(crate) fn connect(address: &str, end: End) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.write_all(&[end as u8])?;
    Ok(stream)
}

/// A link without more than lengths.
pub(crate) struct Framed {
    out: TcpStream,
    batch: Vec<u8>,
    incoming: Incoming,
}

impl Framed {
    pub(crate) fn connect(address: &str, end: End) -> io::Result<Self> {
        let out = connect(address, end)?;
        let incoming = Incoming::new(out.try_clone()?);
        Ok(Self { out, batch: Vec::with_capacity(2 * BATCH_BYTES), incoming })
    }
}

impl Link for Framed {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.batch.extend_from_slice(&(message.len() as u32).to_le_bytes());
        self.batch.extend_from_slice(message);
        if self.batch.len() >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.batch)?;
        self.batch.clear();
        Ok(())
    }

    fn receive(&mut self) -> io::Result<&[u8]> {
        let length = length_at(self.incoming.fill(LENGTH_BYTES)?);
        self.incoming.fill(LENGTH_BYTES + length)?;
        let taken = self.incoming.take(LENGTH_BYTES + length);
        Ok(&self.incoming.at(taken)[LENGTH_BYTES..])
    }
}

/// The length that the bytes begin with.
pub(crate) fn length_at(bytes: &[u8]) -> usize {
    let length: [u8; LENGTH_BYTES] = bytes[..LENGTH_BYTES].try_into().expect("there are as many");
    u32::from_le_bytes(length) as usize
}

/// Forwards bytes until one side ends.
pub(crate) fn forward_bytes(mut from: TcpStream, mut to: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..count])?;
    }
}
