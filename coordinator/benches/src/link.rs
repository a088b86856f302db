//! The peers' side of a lap: messages over a link, and the processes at its ends and between them.
//!
//! A lap begins with a message that says what will come; so a receiver serves laps without being
//! told in another way. After a stream the receiver sends one message back: all was received.

use std::io;
use std::net::TcpListener;
use std::thread;

use anyhow::Context;

use crate::contender::{Lap, Name, end_with_input, serve_laps};
use crate::framed::{Framed, forward_bytes};
use crate::meter;
use crate::nats::Nats;
use crate::websocket::{WebSocket, forward_messages};

/// A message is sent once so many bytes wait, or when nothing more is to be said for now.
pub(crate) const BATCH_BYTES: usize = 64 << 10;

/// Messages there and back.
pub(crate) trait Link {
    /// Queues a message.
    fn send(&mut self, message: &[u8]) -> io::Result<()>;
    /// Sends what waits.
    fn flush(&mut self) -> io::Result<()>;
    /// The next message.
    fn receive(&mut self) -> io::Result<&[u8]>;
}

/// Which end of a relay a process is: the first byte that it says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Sender = 1,
    Receiver = 2,
}

fn open(name: Name, address: &str, end: End) -> anyhow::Result<Box<dyn Link>> {
    Ok(match name {
        Name::Websocket => Box::new(WebSocket::connect(address, end)?),
        Name::Tcp => Box::new(Framed::connect(address, end)?),
        Name::Nats => Box::new(Nats::connect(address, end)?),
        Name::Ours => anyhow::bail!("ours has no link of this kind"),
    })
}

/// Runs a relay for one sender and one receiver, and prints its address.
pub(crate) fn relay(name: Name) -> anyhow::Result<()> {
    use std::io::Read;
    end_with_input();
    let forward = match name {
        Name::Websocket => forward_messages,
        _ => forward_bytes,
    };
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    let mut ends = [None, None];
    while ends.iter().any(Option::is_none) {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let mut end = [0];
        stream.read_exact(&mut end)?;
        ends[usize::from(end[0] == End::Receiver as u8)] = Some(stream);
    }
    let [sender, receiver] = ends.map(|end| end.expect("both are there"));
    let (back_from, back_to) = (receiver.try_clone()?, sender.try_clone()?);
    let back = thread::spawn(move || forward(back_from, back_to));
    forward(sender, receiver)?;
    Ok(back.join().ok().context("the way back panicked")??)
}

/// Serves laps as the receiver.
pub(crate) fn receive(name: Name, address: &str) -> anyhow::Result<()> {
    end_with_input();
    let mut link = open(name, address, End::Receiver)?;
    println!("ready");
    let mut message = Vec::new();
    loop {
        let lap: Lap = match link.receive() {
            Ok(lap) => serde_json::from_slice(lap)?,
            // Between laps that is the end of the run.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for _ in 0..lap.messages {
            let received = link.receive()?;
            anyhow::ensure!(received.len() == lap.row.size, "a message of another size came");
            if lap.row.is_answered() {
                message.clear();
                message.extend_from_slice(received);
                link.send(&message)?;
                link.flush()?;
            }
        }
        link.send(b"done")?;
        link.flush()?;
    }
}

/// Runs laps as the sender.
pub(crate) fn run_laps(name: Name, address: &str) -> anyhow::Result<()> {
    let mut link = open(name, address, End::Sender)?;
    println!("ready");
    serve_laps(|lap| {
        let message = vec![7; lap.row.size];
        link.send(&serde_json::to_vec(&lap)?)?;
        link.flush()?;
        let begun = meter::now()?;
        for _ in 0..lap.messages {
            link.send(&message)?;
            if lap.row.is_answered() {
                link.flush()?;
                anyhow::ensure!(link.receive()? == message, "the answer is another");
            }
        }
        link.flush()?;
        anyhow::ensure!(link.receive()? == b"done", "the end of a lap was expected");
        Ok(meter::now()? - begun)
    })
}
