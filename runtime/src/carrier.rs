//! Carries one session's frames between a node and the coordinator, over as many links as it takes.
//!
//! Three loops share a link: one reads and one writes, by turns of whoever works the link
//! (`drive.rs`); one keeps the time, on the connection's own thread. Whichever finds the link
//! broken ends all three; then a new one is tried, at once and again after growing pauses, until
//! the session goes on or is over.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use channels::id::SessionId;
use channels::session::{Fault, Received, Session, Window};
use channels::wire::{BatchWriter, Envelope, Frame, Secret, read_batch};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::address::Address;
use crate::connection::Speaker;
use crate::drive::Drive;
use crate::lease::Reading;
use crate::link::{Broken, Socket, ask, shake_hands};

/// How often the owner is asked whether it has something to report.
const TICK: Duration = Duration::from_millis(250);
/// After this time no further hello is said.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for one hello to be answered.
const HELLO_TIMEOUT: Duration = Duration::from_secs(3);
/// How often it is said: with an address where nobody ever answers the program should end soon.
const HELLOS_MAX: u32 = 8;
/// The longest first pause between attempts to find a link; each may be twice as long as the last.
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// The longest.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// What a welcome brings.
pub(crate) struct Greeted {
    socket: Socket,
    name: SessionId,
    epoch: u64,
    term: Duration,
    secret: Secret,
    /// When the hello left.
    sent: Reading,
}

/// Says hello and waits for the welcome. The first link is there; if it breaks before the answer,
/// the same hello is said on another, and the coordinator knows it again.
pub(crate) async fn greet(
    stream: net::TcpStream,
    address: &Address,
    hello: &Frame,
) -> Result<Greeted, Broken> {
    let mut first = Some(stream);
    let (begun, mut pauses, mut hellos) = (Instant::now(), Pauses::default(), 0);
    loop {
        let stream = first.take();
        let greeting = async {
            let stream = match stream {
                Some(stream) => TcpStream::from_std(stream)?,
                None => TcpStream::connect(address.host()).await?,
            };
            say_hello(stream, address, hello).await
        };
        let cause = match timeout(HELLO_TIMEOUT, greeting).await {
            Ok(Err(Broken::Link(cause))) => cause,
            Ok(answer) => return answer,
            Err(_) => format!("no welcome within {HELLO_TIMEOUT:?}"),
        };
        hellos += 1;
        if hellos == HELLOS_MAX || begun.elapsed() > CONNECT_TIMEOUT {
            return Err(Broken::Link(cause));
        }
        tracing::debug!("hello again: {cause}");
        pauses.wait().await;
    }
}

async fn say_hello(stream: TcpStream, address: &Address, hello: &Frame) -> Result<Greeted, Broken> {
    let mut socket = shake_hands(stream, address).await?;
    let sent = Reading::now();
    match ask(&mut socket, hello).await? {
        Frame::Welcome { session: name, epoch, lease_ms, secret } => {
            let term = Duration::from_millis(lease_ms);
            Ok(Greeted { socket, name, epoch, term, secret, sent })
        }
        Frame::Turned { reason } => Err(Broken::Over(reason)),
        _ => Err(Broken::Over("it answers with something else than a welcome".to_owned())),
    }
}

/// Between attempts to find a link: random and growing, so that the nodes of a coordinator that was
/// away do not all come at once.
struct Pauses {
    longest: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { longest: PAUSE_MIN }
    }
}

impl Pauses {
    async fn wait(&mut self) {
        let random = f64::from(RandomState::new().hash_one(0) as u32) / f64::from(u32::MAX);
        sleep(self.longest.mul_f64(random)).await;
        self.longest = (self.longest * 2).min(PAUSE_MAX);
    }
}

/// One session's life.
pub(crate) struct Carrier {
    speaker: Speaker,
    address: Address,
    name: SessionId,
    /// How long the lease is.
    term: Duration,
    talk: Mutex<Talk>,
}

/// What has been said, and heard.
struct Talk {
    session: Session,
    /// Opens the next link.
    secret: Secret,
    /// The last frame of some batch, and when that was sealed: acknowledged, it renews the lease.
    probe: Option<(u64, Reading)>,
    /// When the coordinator was last heard.
    heard: Instant,
    /// Whether frames wait for the window to open.
    is_held_up: bool,
}

impl Carrier {
    /// A session that begins.
    pub(crate) fn new(speaker: Speaker, address: Address, greeted: Greeted) -> (Arc<Self>, Socket) {
        let Greeted { socket, name, epoch, term, secret, sent } = greeted;
        tracing::debug!("welcomed as {name}, lease {term:?}");
        speaker.lease.begin(term, sent);
        speaker.node.set_epoch(epoch);
        let talk = Talk {
            session: Session::new(epoch),
            secret,
            probe: None,
            heard: Instant::now(),
            is_held_up: false,
        };
        (Arc::new(Self { speaker, address, name, term, talk: Mutex::new(talk) }), socket)
    }

    /// Carries frames both ways until the session is over; says why.
    pub(crate) async fn live(self: &Arc<Self>, drive: &Arc<Drive>, mut socket: Socket) -> String {
        for number in 0.. {
            let exchange = |socket| self.clone().exchange(socket);
            let broken = tokio::select! {
                broken = drive.work(number, socket, exchange) => broken,
                broken = self.keep_time() => broken,
            };
            let cause = match broken {
                Broken::Over(cause) => return cause,
                Broken::Link(cause) => cause,
            };
            tracing::debug!("{} is adrift: {cause}", self.name);
            self.talk.lock().session.unlink();
            let found = tokio::select! {
                found = self.rejoin() => found,
                over = self.outlive(&cause) => Err(over),
            };
            socket = match found {
                Ok(socket) => socket,
                Err(cause) => return cause,
            };
        }
        unreachable!("links are countless")
    }

    /// Both ways over one link.
    async fn exchange(self: Arc<Self>, socket: Socket) -> Broken {
        let (sink, source) = socket.split();
        tokio::select! {
            broken = self.read(source) => broken,
            broken = self.write(sink) => broken,
        }
    }

    async fn read(&self, mut source: SplitStream<Socket>) -> Broken {
        loop {
            let message = match source.next().await {
                Some(Ok(message)) => message,
                Some(Err(error)) => return error.into(),
                None => return Broken::Link("the connection was closed".to_owned()),
            };
            match message {
                Message::Binary(bytes) => {
                    if let Err(broken) = self.take_in(bytes) {
                        return broken;
                    }
                }
                Message::Close(_) => {
                    return Broken::Link("the coordinator closed the connection".to_owned());
                }
                _ => {}
            }
        }
    }

    /// Takes in one batch.
    fn take_in(&self, bytes: Bytes) -> Result<(), Broken> {
        self.check_lease()?;
        let size = bytes.len();
        let over = |error: &dyn std::fmt::Display| Broken::Over(error.to_string());
        let (envelope, frames) = read_batch(bytes).map_err(|error| over(&error))?;
        if envelope == Envelope::LINK {
            return Err(match frames.into_iter().next() {
                Some(Frame::Turned { reason } | Frame::Fenced { reason }) => Broken::Over(reason),
                _ => Broken::Over("the coordinator speaks of the link in the middle of it".into()),
            });
        }
        let mut talk = self.talk.lock();
        talk.heard = Instant::now();
        let received = talk.session.receive(envelope, &frames, size);
        let received = received.map_err(|fault| match fault {
            Fault::Gap { .. } => Broken::Link(fault.to_string()),
            Fault::Rule(_) => over(&fault),
        })?;
        self.on_acknowledged(&mut talk);
        drop(talk);
        if received == Received::New {
            frames.into_iter().for_each(|frame| self.deliver(frame));
        }
        Ok(())
    }

    /// The lease is renewed by what was sent, not by what was heard. And there may be room.
    fn on_acknowledged(&self, talk: &mut Talk) {
        let acknowledged = talk.session.acknowledged();
        if let Some((_, sent)) = talk.probe.take_if(|(at, _)| *at <= acknowledged) {
            self.speaker.lease.renew(sent);
        }
        let goes_on = talk.is_held_up && talk.session.has_room(Window::NODE);
        if goes_on || talk.session.is_due() {
            self.speaker.bell.ring();
        }
    }

    fn deliver(&self, frame: Frame) {
        tracing::trace!(target: "farspawn::frame", "<- {frame}");
        match self.speaker.node.receive(frame) {
            None | Some(Frame::Heartbeat {}) => {}
            Some(other) => self.speaker.owner.on_frame(other),
        }
    }

    /// Sends all that waits, then waits for the bell.
    async fn write(&self, mut sink: SplitSink<Socket, Message>) -> Broken {
        loop {
            let batch = match self.next_batch() {
                Ok(batch) => batch,
                Err(over) => return over,
            };
            let sent = match batch {
                Some(batch) => sink.feed(Message::Binary(batch)).await,
                None => {
                    let flushed = sink.flush().await;
                    if flushed.is_ok() {
                        self.speaker.bell.rung().await;
                    }
                    flushed
                }
            };
            if let Err(error) = sent {
                return error.into();
            }
        }
    }

    /// What goes next: what the last link lost, then what the node has to say, then an
    /// acknowledgement if nothing else carries it.
    fn next_batch(&self) -> Result<Option<Bytes>, Broken> {
        self.check_lease()?;
        let mut talk = self.talk.lock();
        let talk = &mut *talk;
        if let Some(batch) = talk.session.next_batch() {
            return Ok(Some(batch));
        }
        talk.is_held_up = !talk.session.has_room(Window::NODE);
        if !talk.is_held_up {
            let mut batch = BatchWriter::default();
            self.speaker.owner.on_departure();
            self.speaker.node.take_outgoing(&mut batch);
            if !batch.is_empty() {
                talk.session.seal(batch);
                if talk.probe.is_none() {
                    talk.probe = Some((talk.session.sent(), Reading::now()));
                }
                return Ok(talk.session.next_batch());
            }
        }
        Ok(talk.session.acknowledgement())
    }

    /// Heartbeats; a link on which nothing is heard is taken for broken, though its socket is not.
    async fn keep_time(&self) -> Broken {
        let mut ticks = interval(TICK.min(self.term / 8).max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut said = Instant::now();
        loop {
            ticks.tick().await;
            if let Err(over) = self.check_lease() {
                return over;
            }
            let mut talk = self.talk.lock();
            let silence = talk.heard.elapsed();
            if silence > self.term / 2 {
                return Broken::Link(format!(
                    "nothing was heard for {:.1} s",
                    silence.as_secs_f64()
                ));
            }
            talk.session.tick();
            let may_speak = talk.session.has_room(Window::NODE);
            drop(talk);
            if said.elapsed() > self.term / 4 && may_speak {
                self.speaker.node.push(Frame::Heartbeat {});
                said = Instant::now();
            }
            self.speaker.owner.on_tick();
            self.speaker.bell.ring();
        }
    }

    fn check_lease(&self) -> Result<(), Broken> {
        let silence = || format!("the coordinator was silent for {:.1} s", self.term.as_secs_f64());
        if self.speaker.lease.is_over() { Err(Broken::Over(silence())) } else { Ok(()) }
    }

    /// Waits until the lease runs out; says what the matter was.
    async fn outlive(&self, cause: &str) -> String {
        let mut ticks = interval(TICK.min(self.term / 8).max(Duration::from_millis(1)));
        loop {
            ticks.tick().await;
            if let Err(over) = self.check_lease() {
                return format!("{over}: {cause}");
            }
        }
    }

    /// Tries to go on with a new link until there is one, or the session is over.
    async fn rejoin(&self) -> Result<Socket, String> {
        let patience = (self.term / 4).max(PAUSE_MIN);
        let mut pauses = Pauses::default();
        loop {
            let broken = match timeout(patience, self.resume()).await {
                Ok(Ok(socket)) => return Ok(socket),
                Ok(Err(Broken::Over(cause))) => return Err(cause),
                Ok(Err(Broken::Link(cause))) => cause,
                Err(_) => format!("no answer for {patience:?}"),
            };
            tracing::debug!("{} is adrift still: {broken}", self.name);
            pauses.wait().await;
        }
    }

    async fn resume(&self) -> Result<Socket, Broken> {
        let stream = TcpStream::connect(self.address.host()).await?;
        let mut socket = shake_hands(stream, &self.address).await?;
        self.check_lease()?;
        let (last, epoch, secret) = {
            let talk = self.talk.lock();
            (talk.session.received(), talk.session.epoch(), talk.secret.clone())
        };
        let session = self.name;
        let sent = Reading::now();
        match ask(&mut socket, &Frame::Resume { session, epoch, last, secret }).await? {
            Frame::Resumed { last, secret } => {
                let mut talk = self.talk.lock();
                let linked = talk.session.link(last);
                linked.map_err(|fault| Broken::Over(fault.to_string()))?;
                (talk.secret, talk.probe, talk.heard) = (secret, None, Instant::now());
                self.speaker.lease.renew(sent);
                drop(talk);
                tracing::debug!("{session} goes on after frame {last}");
                Ok(socket)
            }
            Frame::Fenced { reason } | Frame::Turned { reason } => Err(Broken::Over(reason)),
            _ => Err(Broken::Over("it answers with something else than resumed".to_owned())),
        }
    }
}
