//! The shell around [`Coordinator`]: sockets, time, and the platform. It decides nothing.
//!
//! One task accepts, one task a connection reads, one writes, and one loop owns the coordinator: it
//! takes all that has come, handles it, and sends each node one batch.

mod backlog;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use channels::id::SessionId;
use channels::sequence::Sequence;
use channels::wire::{BATCH_BYTES_MAX, BatchWriter, Envelope, Frame, Role, Secret, read_batch};
use futures::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, accept_async_with_config};

use crate::platform::{Ended, Launch, Platform};
use crate::scheduler::Totals;
use crate::{Command, Coordinator, Event, Settings};
use backlog::Backlog;

/// Time for the WebSocket handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Time from the handshake to the hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(2);
/// Connections at once, those that have not said hello included.
const CONNECTIONS_MAX: usize = 16_384;
/// Time to take what still waits when the session has ended.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(5);
/// Batches that have been read and not handled. Beyond that nothing more is read.
const INPUTS_WAITING_MAX: usize = 64;
/// Inputs handled before the answers are sent.
const INPUTS_MAX: usize = 256;
/// Socket buffers of a connection, in bytes; the library's own would be 256 KiB a worker.
const BUFFER_BYTES: usize = 16 << 10;

/// How the coordinator is reached.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the pure coordinator is told.
    pub settings: Settings,
    /// The client's key.
    pub client_secret: Secret,
}

/// Limits of every WebSocket, on both sides.
pub fn websocket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_write_buffer_size(2 * BATCH_BYTES_MAX)
        .max_message_size(Some(BATCH_BYTES_MAX))
        .max_frame_size(Some(BATCH_BYTES_MAX))
}

/// Serves until `stop` is sent or dropped; then every link is cut and the platform dropped.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    platform: Box<dyn Platform>,
    stop: oneshot::Receiver<()>,
) -> io::Result<Totals> {
    let address = listener.local_addr()?;
    let (inbox, inputs) = mpsc::channel(INPUTS_WAITING_MAX);
    let accepting = tokio::spawn(accept(listener, inbox));
    let server = Server::new(address, config, platform);
    let totals = server.run(inputs, stop).await;
    accepting.abort();
    Ok(totals)
}

/// What comes in from the tasks around the loop.
enum Input {
    Hello(Box<Hello>),
    Batch { session: SessionId, envelope: Envelope, frames: Vec<Frame> },
    Left { session: SessionId, cause: String },
}

/// The first frame of a connection.
struct Hello {
    frame: Frame,
    envelope: Envelope,
    out: Outgoing,
    /// Where to say what the session is called.
    name: oneshot::Sender<SessionId>,
}

/// Where a connection's batches go. The session has ended when it is dropped.
struct Outgoing {
    batches: mpsc::UnboundedSender<Bytes>,
    /// How many bytes the socket has taken.
    taken: Arc<AtomicU64>,
    /// Never sent: it goes with the session.
    _ended: oneshot::Sender<()>,
}

struct Link {
    out: Outgoing,
    sequence: Sequence,
    batch: Option<BatchWriter>,
    backlog: Backlog,
}

struct Server {
    core: Coordinator,
    started: Instant,
    address: SocketAddr,
    client_secret: Secret,
    platform: Box<dyn Platform>,
    links: BTreeMap<SessionId, Link>,
    /// Secrets of launches that have not said hello.
    launches: BTreeMap<u64, Secret>,
    next_session: u64,
    lease: Duration,
    queued_bytes_max: usize,
    ended: mpsc::UnboundedReceiver<(u64, String)>,
    tell_ended: mpsc::UnboundedSender<(u64, String)>,
    /// Sessions with a batch to be sent.
    dirty: Vec<SessionId>,
    commands: Vec<Command>,
}

impl Server {
    fn new(address: SocketAddr, config: Config, platform: Box<dyn Platform>) -> Self {
        let (tell_ended, ended) = mpsc::unbounded_channel();
        Self {
            lease: config.settings.lease,
            queued_bytes_max: config.settings.limits.queued_bytes_max,
            core: Coordinator::new(config.settings),
            started: Instant::now(),
            address,
            client_secret: config.client_secret,
            platform,
            links: BTreeMap::new(),
            launches: BTreeMap::new(),
            next_session: 0,
            ended,
            tell_ended,
            dirty: Vec::new(),
            commands: Vec::new(),
        }
    }

    async fn run(
        mut self,
        mut inputs: mpsc::Receiver<Input>,
        mut stop: oneshot::Receiver<()>,
    ) -> Totals {
        let mut ticks = interval((self.lease / 8).max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut came = Vec::with_capacity(INPUTS_MAX);
        loop {
            tokio::select! {
                count = inputs.recv_many(&mut came, INPUTS_MAX) => {
                    if count == 0 {
                        break;
                    }
                    came.drain(..).for_each(|input| self.on_input(input));
                }
                Some((launch, cause)) = self.ended.recv() => {
                    self.launches.remove(&launch);
                    self.handle(Event::LaunchEnded { launch, cause });
                }
                _ = ticks.tick() => {
                    self.cut_stuck();
                    self.handle(Event::Tick);
                }
                _ = &mut stop => break,
            }
            self.flush();
        }
        self.core.totals()
    }

    fn on_input(&mut self, input: Input) {
        match input {
            Input::Hello(hello) => self.on_hello(*hello),
            Input::Batch { session, envelope, frames } => {
                let Some(link) = self.links.get_mut(&session) else { return };
                if let Err(error) = link.sequence.receive(envelope, frames.len() as u64) {
                    return self.cut(session, error.to_string());
                }
                for frame in frames {
                    self.handle(Event::Received { session, frame });
                }
            }
            Input::Left { session, cause } => {
                if self.links.remove(&session).is_some() {
                    self.handle(Event::Disconnected { session, cause });
                }
            }
        }
    }

    /// Lets a node in whose secret is right. One that is turned away is told why.
    fn on_hello(&mut self, Hello { frame, envelope, out, name }: Hello) {
        self.next_session += 1;
        let session = SessionId(self.next_session);
        let sequence = Sequence::default();
        let backlog = Backlog::new(self.started.elapsed(), self.queued_bytes_max, self.lease);
        let mut link = Link { out, sequence, batch: None, backlog };
        let in_order = link.sequence.receive(envelope, 1);
        self.links.insert(session, link);
        name.send(session).ok();
        let Frame::Hello { version, build, role, secret } = frame else {
            return self.close(session, "a hello was expected".to_owned());
        };
        let expected = match &role {
            Role::Client { .. } => Some(self.client_secret.clone()),
            Role::Worker { launch, .. } => self.launches.get(launch).cloned(),
        };
        if in_order.is_err() || expected.is_none_or(|expected| !expected.matches(&secret)) {
            let reason = "its secret is not the one that was given out, or was used before";
            return self.close(session, reason.to_owned());
        }
        if let Role::Worker { launch, .. } = &role {
            self.launches.remove(launch);
        }
        self.handle(Event::Connected { session, version, build, role });
    }

    /// The one place where an event meets the coordinator: the log is the walk.
    fn handle(&mut self, event: Event) {
        tracing::trace!(target: "farspawn::event", "{event}");
        let mut commands = std::mem::take(&mut self.commands);
        self.core.handle(self.started.elapsed(), event, &mut commands);
        for command in commands.drain(..) {
            tracing::trace!(target: "farspawn::command", "{command}");
            self.perform(command);
        }
        self.commands = commands;
    }

    fn perform(&mut self, command: Command) {
        match command {
            Command::Send { session, frame } => {
                let Some(link) = self.links.get_mut(&session) else { return };
                if link.batch.is_none() {
                    self.dirty.push(session);
                }
                link.push(&frame);
            }
            Command::Close { session, reason } => self.close(session, reason),
            Command::Launch { launch: number } => {
                let secret = Secret::random();
                self.launches.insert(number, secret.clone());
                let coordinator = format!("ws://{}", self.address);
                let ended = Ended::new(number, self.tell_ended.clone());
                self.platform.launch(Launch { number, secret, coordinator }, ended);
            }
            Command::Stop { launch } => self.platform.stop(launch),
        }
    }

    /// Ends a link after its last words.
    fn close(&mut self, session: SessionId, reason: String) {
        tracing::debug!("{session} closed: {reason}");
        if let Some(mut link) = self.links.remove(&session) {
            link.push(&Frame::Turned { reason });
            link.flush();
        }
    }

    /// A link that cannot be used any more.
    fn cut(&mut self, session: SessionId, cause: String) {
        self.close(session, cause.clone());
        self.handle(Event::Disconnected { session, cause });
    }

    /// Sends every node what it is due, as one batch.
    fn flush(&mut self) {
        for session in self.dirty.drain(..) {
            if let Some(link) = self.links.get_mut(&session) {
                link.flush();
            }
        }
    }

    /// Ends the links of nodes that do not read.
    fn cut_stuck(&mut self) {
        let now = self.started.elapsed();
        let stuck = self.links.iter_mut().filter_map(|(session, link)| {
            let taken = link.out.taken.load(Ordering::Relaxed);
            Some((*session, link.backlog.look(now, taken)?))
        });
        for (session, cause) in stuck.collect::<Vec<_>>() {
            self.cut(session, cause);
        }
    }
}

impl Link {
    fn push(&mut self, frame: &Frame) {
        let batch = self.batch.get_or_insert_with(|| BatchWriter::new(self.sequence.envelope()));
        batch.push(frame);
        if batch.len() >= channels::wire::BATCH_BYTES_TARGET {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let Some(batch) = self.batch.take() else { return };
        self.sequence.sent(batch.frames());
        let bytes = batch.finish();
        self.backlog.give(bytes.len());
        // A connection that is gone says so itself.
        self.out.batches.send(bytes).ok();
    }
}

async fn accept(listener: TcpListener, inbox: mpsc::Sender<Input>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let inbox = inbox.clone();
                tokio::spawn(async move {
                    if let Err(error) = connection(stream, inbox).await {
                        tracing::debug!("a connection came to nothing: {error}");
                    }
                    drop(permit);
                });
            }
            // Out of file descriptors, say: those in use will be freed.
            Err(error) => {
                tracing::warn!("no connection can be accepted: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Why a connection ended before it was a session.
#[derive(Debug, thiserror::Error)]
enum Unconnected {
    #[error("it took too long")]
    Late(#[from] tokio::time::error::Elapsed),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    WebSocket(#[from] Box<tokio_tungstenite::tungstenite::Error>),
    #[error("{0}")]
    Malformed(#[from] channels::wire::MalformedFrame),
    #[error("it said nothing")]
    Silent,
    #[error("the coordinator has ended")]
    Over,
}

/// A connection's whole life.
async fn connection(stream: TcpStream, inbox: mpsc::Sender<Input>) -> Result<(), Unconnected> {
    stream.set_nodelay(true)?;
    let accepting = accept_async_with_config(stream, Some(websocket_config()));
    let mut socket = timeout(HANDSHAKE_TIMEOUT, accepting).await?.map_err(Box::new)?;
    let (envelope, frame) = timeout(HELLO_TIMEOUT, first_frame(&mut socket)).await??;
    let (batches, waiting) = mpsc::unbounded_channel();
    let taken = Arc::new(AtomicU64::new(0));
    let (ended, session_ended) = oneshot::channel();
    let out = Outgoing { batches, taken: taken.clone(), _ended: ended };
    let (name, named) = oneshot::channel();
    let hello = Box::new(Hello { frame, envelope, out, name });
    inbox.send(Input::Hello(hello)).await.map_err(|_| Unconnected::Over)?;
    let session = named.await.map_err(|_| Unconnected::Over)?;

    let (sink, source) = socket.split();
    // Whichever ends first ends the other: a link is whole or gone.
    let cause = tokio::select! {
        cause = read(session, source, &inbox) => cause,
        cause = write(sink, waiting, taken) => cause,
        cause = outlast(session_ended) => cause,
    };
    inbox.send(Input::Left { session, cause }).await.map_err(|_| Unconnected::Over)
}

/// Waits until the session has ended and its last words have had their time: whoever does not read
/// must not hold for ever what waits for it.
async fn outlast(session_ended: oneshot::Receiver<()>) -> String {
    session_ended.await.ok();
    tokio::time::sleep(LAST_WORDS_TIMEOUT).await;
    "it did not read its last words".to_owned()
}

type Socket = WebSocketStream<TcpStream>;

async fn first_frame(socket: &mut Socket) -> Result<(Envelope, Frame), Unconnected> {
    let message = socket.next().await.ok_or(Unconnected::Silent)?.map_err(Box::new)?;
    let (envelope, frames) = read_batch(message.into_data())?;
    let first = frames.into_iter().next().ok_or(Unconnected::Silent)?;
    Ok((envelope, first))
}

/// Reads until the link ends; says how.
async fn read(
    session: SessionId,
    mut source: futures::stream::SplitStream<Socket>,
    inbox: &mpsc::Sender<Input>,
) -> String {
    loop {
        let bytes = match source.next().await {
            Some(Ok(Message::Binary(bytes))) => bytes,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Close(_))) | None => return "the connection was closed".to_owned(),
            Some(Ok(_)) => return "a text message came where frames were expected".to_owned(),
            Some(Err(error)) => return format!("the connection broke: {error}"),
        };
        let (envelope, frames) = match read_batch(bytes) {
            Ok(batch) => batch,
            Err(error) => return error.to_string(),
        };
        if inbox.send(Input::Batch { session, envelope, frames }).await.is_err() {
            return "the coordinator has ended".to_owned();
        }
    }
}

/// Writes until the link or the session ends; says how.
async fn write(
    mut sink: futures::stream::SplitSink<Socket, Message>,
    mut waiting: mpsc::UnboundedReceiver<Bytes>,
    taken: Arc<AtomicU64>,
) -> String {
    let mut batches = Vec::new();
    while waiting.recv_many(&mut batches, 64).await > 0 {
        for bytes in batches.drain(..) {
            let count = bytes.len() as u64;
            if let Err(error) = sink.feed(Message::Binary(bytes)).await {
                return format!("the connection broke: {error}");
            }
            taken.fetch_add(count, Ordering::Relaxed);
        }
        if let Err(error) = sink.flush().await {
            return format!("the connection broke: {error}");
        }
    }
    sink.close().await.ok();
    "the session ended".to_owned()
}
