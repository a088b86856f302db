//! NATS: a server of its own on a free port, and its text protocol, batched as the peers are.

use std::fs;
use std::io::{self, Write};
use std::net::TcpStream;
use std::path::Path;

use anyhow::Context;

use crate::contender::Process;
use crate::framed::Incoming;
use crate::link::{BATCH_BYTES, End, Link};

/// A server that holds back nobody and drops nothing in a lap.
const CONFIGURATION: &str = "\
listen: 127.0.0.1:-1\nmax_payload: 8MB\nmax_pending: 1GB\nwrite_deadline: \"60s\"\n";

/// Starts a server; says where it listens. Its log, which says so, is read until then.
pub(crate) fn start_server(program: &Path, folder: &Path) -> anyhow::Result<(Process, String)> {
    let configuration = folder.join("nats.conf");
    fs::write(&configuration, CONFIGURATION)?;
    let command = "exec \"$0\" -c \"$1\" 2>&1";
    let arguments = [program, &configuration].map(|path| path.display().to_string());
    let [program, configuration] = &arguments;
    let mut server = Process::start(Path::new("sh"), &["-c", command, program, configuration])?;
    let mut address = None;
    loop {
        let line = server.line()?;
        if let Some((_, found)) = line.split_once("Listening for client connections on ") {
            address = Some(found.to_owned());
        }
        if line.ends_with("Server is ready") {
            return Ok((server, address.context("the server says where it listens")?));
        }
    }
}

/// A client that publishes on one subject and has subscribed to another.
pub(crate) struct Nats {
    out: TcpStream,
    subject: &'static str,
    batch: Vec<u8>,
    incoming: Incoming,
}

impl Nats {
    pub(crate) fn connect(address: &str, end: End) -> anyhow::Result<Self> {
        let out = TcpStream::connect(address)?;
        out.set_nodelay(true)?;
        let incoming = Incoming::new(out.try_clone()?);
        let (subject, other) = match end {
            End::Sender => ("there", "back"),
            End::Receiver => ("back", "there"),
        };
        let mut nats = Self { out, subject, batch: Vec::with_capacity(2 * BATCH_BYTES), incoming };
        let hello = "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n";
        write!(nats.out, "{hello}SUB {other} 1\r\nPING\r\n")?;
        while nats.line()? != "PONG" {}
        Ok(nats)
    }

    /// The next line of control.
    fn line(&mut self) -> io::Result<String> {
        let mut known = 2;
        loop {
            let there = self.incoming.fill(known)?;
            if let Some(end) = there.windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8_lossy(&there[..end]).into_owned();
                self.incoming.take(end + 2);
                return Ok(line);
            }
            known = there.len() + 1;
        }
    }

    /// Takes the line before a message; says how long that is. None for another line.
    fn message_line(&mut self) -> io::Result<Option<usize>> {
        const MESSAGE: &[u8] = b"MSG ";
        let there = self.incoming.fill(MESSAGE.len())?;
        if !there.starts_with(MESSAGE) {
            return Ok(None);
        }
        let mut known = MESSAGE.len();
        loop {
            let there = self.incoming.fill(known)?;
            if let Some(end) =
                there.iter().position(|byte| *byte == b'\r').filter(|end| end + 1 < there.len())
            {
                let digits = there[..end].rsplit(|byte| *byte == b' ').next().unwrap_or_default();
                let length =
                    digits.iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
                self.incoming.take(end + 2);
                return Ok(Some(length));
            }
            known = there.len() + 1;
        }
    }
}

impl Link for Nats {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        write!(self.batch, "PUB {} {}\r\n", self.subject, message.len())?;
        self.batch.extend_from_slice(message);
        self.batch.extend_from_slice(b"\r\n");
        if self.batch.len() >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.batch)?;
        self.batch.clear();
        Ok(())
    }

    fn receive(&mut self) -> io::Result<&[u8]> {
        let length = loop {
            if let Some(length) = self.message_line()? {
                break length;
            }
            let line = self.line()?;
            if line == "PING" {
                self.out.write_all(b"PONG\r\n")?;
            } else if line.starts_with("-ERR") {
                return Err(io::Error::other(line));
            }
        };
        self.incoming.fill(length + 2)?;
        let taken = self.incoming.take(length + 2);
        Ok(&self.incoming.at(taken)[..length])
    }
}
