//! The tasks around a socket: one accepts, and for each connection one reads and one writes.
//!
//! A connection is *opening* (handshake, then the first frame, both within a time limit) -> a
//! *link* of a session -> gone: when it breaks, when a newer link of its session replaces it, or
//! some time after its session has ended. Then the server is told, and the session, if it is still
//! there, is adrift.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use channels::id::SessionId;
use channels::wire::{Envelope, Frame, link_batch, read_batch};
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async_with_config};

use super::door::{Door, Share, Shut, Visit};
use super::porch::Porch;
use super::{Input, websocket_config};

/// Time for the WebSocket handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Time from the handshake to the first frame.
const HELLO_TIMEOUT: Duration = Duration::from_secs(2);
/// A link that is read slowly counts as heard so often.
const PAUSE_MAX: Duration = Duration::from_millis(50);
/// Time to take what still waits when the session has ended.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(5);

/// What a socket is given before it has written it, in bytes: enough that it never waits, and
/// little enough that a heartbeat behind it does not wait long.
const WRITING_BYTES_MAX: usize = 256 << 10;

/// A connection's first frame, and how to answer it.
pub(crate) struct Opening {
    pub(super) frame: Frame,
    pub(super) out: Outgoing,
    /// Where to say whose link it is; none if it was turned away.
    pub(super) name: oneshot::Sender<Option<Name>>,
}

/// A link, and the session that it is of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name {
    pub(super) session: SessionId,
    /// Counts the connections of this server; a later link has a higher number.
    pub(super) link: u64,
}

/// Where a connection's batches go. When it is dropped the connection ends after its last words.
pub(crate) struct Outgoing {
    batches: mpsc::UnboundedSender<Bytes>,
    ended: oneshot::Sender<()>,
    writing: Arc<Writing>,
}

/// How much a socket has been given and not written.
#[derive(Default)]
pub(super) struct Writing {
    bytes: AtomicUsize,
    /// Whether more waits until it has less.
    is_awaited: AtomicBool,
}

impl Writing {
    /// The socket has taken so many bytes. True if somebody waits for that.
    pub(super) fn wrote(&self, bytes: usize) -> bool {
        let left = self.bytes.fetch_sub(bytes, Ordering::SeqCst) - bytes;
        left <= WRITING_BYTES_MAX / 2 && self.is_awaited.swap(false, Ordering::SeqCst)
    }
}

/// The other end of [`Outgoing`].
pub(super) struct Waiting {
    pub(super) batches: mpsc::UnboundedReceiver<Bytes>,
    /// Sent when the link was replaced, dropped when it may have its last words.
    pub(super) ended: oneshot::Receiver<()>,
    pub(super) writing: Arc<Writing>,
}

impl Outgoing {
    pub(super) fn new() -> (Self, Waiting) {
        let (batches, waiting) = mpsc::unbounded_channel();
        let (ended, session_ended) = oneshot::channel();
        let writing = Arc::<Writing>::default();
        let waiting = Waiting { batches: waiting, ended: session_ended, writing: writing.clone() };
        (Self { batches, ended, writing }, waiting)
    }

    pub(super) fn send(&self, batch: Bytes) {
        self.writing.bytes.fetch_add(batch.len(), Ordering::SeqCst);
        // A connection that is gone says so itself.
        self.batches.send(batch).ok();
    }

    /// Whether the socket will soon have nothing to write. If not, [`Input::Drained`] comes.
    pub(super) fn has_room(&self) -> bool {
        let has_room = || self.writing.bytes.load(Ordering::SeqCst) < WRITING_BYTES_MAX;
        if has_room() {
            return true;
        }
        self.writing.is_awaited.store(true, Ordering::SeqCst);
        // It may have written all of it just now.
        has_room()
    }

    /// Ends the connection without last words.
    pub(super) fn cut(self) {
        self.ended.send(()).ok();
    }
}

/// How a link ended.
pub(crate) enum Leaving {
    /// The socket did not hold; the session may go on with another.
    Broke(String),
    /// What came is no frame: whoever writes it writes it again.
    Garbled(String),
}

/// What a connection's bytes go through before they are a WebSocket's.
pub(crate) trait Wrap: Clone + Send + Sync + 'static {
    /// The stream inside.
    type Stream: Stream;
    /// Makes it: the handshake of TLS, say.
    fn wrap(&self, stream: TcpStream) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// They are not encrypted.
#[derive(Clone)]
pub(crate) struct Plain;

impl Wrap for Plain {
    type Stream = TcpStream;

    async fn wrap(&self, stream: TcpStream) -> io::Result<TcpStream> {
        Ok(stream)
    }
}

/// Accepts links as long as it is polled. Each holds a permit of `room` while it is there.
pub(crate) async fn accept(
    listener: TcpListener,
    door: Arc<impl Door>,
    wrap: impl Wrap,
    room: Arc<Semaphore>,
    porch: Arc<Porch>,
) {
    let serve = move |stream| {
        let (door, wrap, porch) = (door.clone(), wrap.clone(), porch.clone());
        async move {
            if let Err(error) = connection(stream, &wrap, &*door, &porch).await {
                tracing::debug!("a connection came to nothing: {error}");
            }
        }
    };
    accept_each(listener, room, serve).await;
}

/// Accepts connections as long as it is polled, and serves each in a task of its own, which holds a
/// permit of `room`.
pub(crate) async fn accept_each<S>(
    listener: TcpListener,
    room: Arc<Semaphore>,
    serve: impl Fn(TcpStream) -> S,
) where
    S: Future<Output = ()> + Send + 'static,
{
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let served = serve(stream);
                tokio::spawn(async move {
                    served.await;
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

/// Why a connection ended before it was a link.
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
    #[error("others came that said as little as it did")]
    Pushed,
    #[error("{0}")]
    Later(&'static str),
}

/// A connection's whole life.
async fn connection(
    stream: TcpStream,
    wrap: &impl Wrap,
    door: &impl Door,
    porch: &Arc<Porch>,
) -> Result<(), Unconnected> {
    let (guest, pushed) = porch.enter();
    let opened = tokio::select! {
        opened = open(stream, wrap, door) => opened?,
        Ok(()) = pushed => return Err(Unconnected::Pushed),
    };
    drop(guest);
    let Some((socket, frame, visit)) = opened else { return Ok(()) };
    tokio::time::sleep(visit.wait).await;
    match door.lead(&frame) {
        Ok(inbox) => serve(socket, frame, &inbox, visit.share.as_deref()).await,
        Err(turned) => turn_away(socket, &turned).await,
    }
}

type Opened<S> = Option<(Socket<S>, Frame, Visit)>;

/// Until its first frame says whose it is; none if it was told why it does not come in.
async fn open<W: Wrap>(
    stream: TcpStream,
    wrap: &W,
    door: &impl Door,
) -> Result<Opened<W::Stream>, Unconnected> {
    stream.set_nodelay(true)?;
    let stream = timeout(HANDSHAKE_TIMEOUT, wrap.wrap(stream)).await??;
    let accepting = accept_async_with_config(stream, Some(websocket_config()));
    let mut socket = timeout(HANDSHAKE_TIMEOUT, accepting).await?.map_err(Box::new)?;
    let frame = match timeout(HELLO_TIMEOUT, first_frame(&mut socket)).await? {
        Err(Unconnected::Malformed(error)) => {
            // Of another version, perhaps: it will not understand this, but see which one it is.
            turn_away(socket, &Frame::Turned { reason: error.to_string() }).await?;
            return Err(error.into());
        }
        frame => frame?,
    };
    match door.look(&frame) {
        Ok(visit) => Ok(Some((socket, frame, visit))),
        Err(Shut::Turned(turned)) => turn_away(socket, &turned).await.map(|()| None),
        Err(Shut::Later(reason)) => Err(Unconnected::Later(reason)),
    }
}

async fn serve<S: Stream>(
    socket: Socket<S>,
    frame: Frame,
    inbox: &mpsc::Sender<Input>,
    share: Option<&dyn Share>,
) -> Result<(), Unconnected> {
    let (out, Waiting { batches, ended, writing }) = Outgoing::new();
    let (name, named) = oneshot::channel();
    let opening = Box::new(Opening { frame, out, name });
    inbox.send(Input::Opening(opening)).await.map_err(|_| Unconnected::Over)?;
    let name = named.await.map_err(|_| Unconnected::Over)?;

    let (sink, source) = socket.split();
    // Whichever ends first ends the other: a link is whole or gone.
    let leaving = tokio::select! {
        leaving = read(name, source, inbox, share) => leaving,
        cause = write(name, sink, batches, &writing, inbox) => Leaving::Broke(cause),
        cause = outlast(ended) => Leaving::Broke(cause),
    };
    let Some(name) = name else { return Ok(()) };
    inbox.send(Input::Left { name, leaving }).await.map_err(|_| Unconnected::Over)
}

async fn turn_away<S: Stream>(mut socket: Socket<S>, frame: &Frame) -> Result<(), Unconnected> {
    tracing::debug!("a connection is turned away: {frame}");
    let turned = socket.send(Message::Binary(link_batch(frame)));
    timeout(HELLO_TIMEOUT, turned).await?.map_err(Box::new)?;
    timeout(HELLO_TIMEOUT, socket.close(None)).await?.map_err(Box::new)?;
    Ok(())
}

/// Waits until the link was replaced; or until the session has ended and its last words have had
/// their time: whoever does not read must not hold for ever what waits for it.
async fn outlast(session_ended: oneshot::Receiver<()>) -> String {
    match session_ended.await {
        Ok(()) => "its session has a newer link".to_owned(),
        Err(_) => {
            tokio::time::sleep(LAST_WORDS_TIMEOUT).await;
            "it did not read its last words".to_owned()
        }
    }
}

/// Plain, or encrypted.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

type Socket<S> = WebSocketStream<S>;

async fn first_frame<S: Stream>(socket: &mut Socket<S>) -> Result<Frame, Unconnected> {
    let message = socket.next().await.ok_or(Unconnected::Silent)?.map_err(Box::new)?;
    let (envelope, frames) = read_batch(message.into_data())?;
    let alone = envelope == Envelope::LINK && frames.len() == 1;
    frames.into_iter().next().filter(|_| alone).ok_or(Unconnected::Silent)
}

/// Reads until the link ends; says how. Nothing more is heard of who was turned away.
async fn read<S: Stream>(
    name: Option<Name>,
    mut source: futures::stream::SplitStream<Socket<S>>,
    inbox: &mpsc::Sender<Input>,
    share: Option<&dyn Share>,
) -> Leaving {
    loop {
        let message = source.next().await;
        let Some(name) = name else {
            match message {
                Some(Ok(_)) => continue,
                _ => return Leaving::Broke("it was turned away".to_owned()),
            }
        };
        let bytes = match message {
            Some(Ok(Message::Binary(bytes))) => bytes,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Close(_))) | None => {
                return Leaving::Broke("the connection was closed".to_owned());
            }
            Some(Ok(_)) => {
                let cause = "a text message came where frames were expected";
                return Leaving::Garbled(cause.to_owned());
            }
            Some(Err(error)) => return Leaving::Broke(format!("the connection broke: {error}")),
        };
        let size = bytes.len();
        let (envelope, frames) = match read_batch(bytes) {
            Ok(batch) => batch,
            Err(error) => return Leaving::Garbled(error.to_string()),
        };
        let spawned = frames.iter().filter(|frame| matches!(frame, Frame::Spawn { .. })).count();
        let batch = Input::Batch { name, envelope, frames, size };
        if inbox.send(batch).await.is_err() || !pause(name, spawned, inbox, share).await {
            return Leaving::Broke("the coordinator has ended".to_owned());
        }
    }
}

/// Reads nothing for as long as whoever has spawned so many tasks must wait: it is slowed down, and
/// nothing of it is lost. False if the coordinator has ended.
async fn pause(
    name: Name,
    spawned: usize,
    inbox: &mpsc::Sender<Input>,
    share: Option<&dyn Share>,
) -> bool {
    let Some(share) = share.filter(|_| spawned > 0) else { return true };
    let mut owed = share.on_spawned(spawned as u32);
    while !owed.is_zero() {
        tokio::time::sleep(owed.min(PAUSE_MAX)).await;
        // What it says meanwhile waits in the socket; that is no silence.
        if inbox.send(Input::Paused { name }).await.is_err() {
            return false;
        }
        owed = share.on_spawned(0);
    }
    true
}

/// Writes until the link or the session ends; says how.
async fn write<S: Stream>(
    name: Option<Name>,
    mut sink: futures::stream::SplitSink<Socket<S>, Message>,
    mut waiting: mpsc::UnboundedReceiver<Bytes>,
    writing: &Writing,
    inbox: &mpsc::Sender<Input>,
) -> String {
    let mut batches = Vec::new();
    while waiting.recv_many(&mut batches, 64).await > 0 {
        for bytes in batches.drain(..) {
            let size = bytes.len();
            if let Err(error) = sink.feed(Message::Binary(bytes)).await {
                return format!("the connection broke: {error}");
            }
            if let Some(name) = name.filter(|_| writing.wrote(size))
                && inbox.send(Input::Drained { name }).await.is_err()
            {
                return "the coordinator has ended".to_owned();
            }
        }
        if let Err(error) = sink.flush().await {
            return format!("the connection broke: {error}");
        }
    }
    sink.close().await.ok();
    "the session ended".to_owned()
}
