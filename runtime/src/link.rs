//! One WebSocket to the coordinator, and how it fails.

use std::io::{self, Read, Write};
use std::net;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, ready};

use channels::wire::{Envelope, Frame, link_batch, read_batch};
use coordinator::server::websocket_config;
use futures::{SinkExt, StreamExt};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::address::Address;

pub(crate) type Socket = WebSocketStream<Wire>;

/// Why a link is of no use any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// Another may do.
    #[error("{0}")]
    Link(String),
    /// The session is over, and no other link will help.
    #[error("{0}")]
    Over(String),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Link(error.to_string())
    }
}

impl From<tungstenite::Error> for Broken {
    fn from(error: tungstenite::Error) -> Self {
        Self::Link(format!("the connection broke: {error}"))
    }
}

/// A TCP stream that is read and written where an executor waits for it, or *bare*: by any thread,
/// which then must find out by itself when it is worth to try again.
#[derive(Debug)]
pub(crate) struct Tap {
    plug: Arc<Plug>,
    registered: Option<TcpStream>,
}

/// What those who use a stream bare share.
#[derive(Debug)]
pub(crate) struct Plug {
    /// The same stream as the registered one.
    stream: net::TcpStream,
    /// Whether it is used bare at present.
    is_bare: AtomicBool,
    /// Whether there may be something to read. Used bare it is not tried otherwise.
    may_read: AtomicBool,
    /// Whether it took less than what was to be written.
    is_full: AtomicBool,
}

impl Plug {
    pub(crate) fn stream(&self) -> &net::TcpStream {
        &self.stream
    }

    /// From now on it is used bare, or where it is registered.
    pub(crate) fn go_bare(&self, is_bare: bool) {
        self.is_bare.store(is_bare, SeqCst);
    }

    /// There may be something to read.
    pub(crate) fn note_readable(&self) {
        self.may_read.store(true, SeqCst);
    }

    /// Whether writing must wait.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full.load(SeqCst)
    }

    /// What to wait for.
    pub(crate) fn wanted(&self) -> PollFlags {
        if self.is_full() { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN }
    }

    /// Whether there is something to read, or nothing ever will be.
    pub(crate) fn is_readable(&self) -> bool {
        let mut watched = [PollFd::new(&self.stream, PollFlags::IN)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut watched, Some(&at_once)).is_ok_and(|ready| ready > 0)
    }

    fn read(&self, space: &mut [u8]) -> io::Result<usize> {
        let mut came = (&self.stream).read(space);
        while matches!(&came, Err(error) if error.kind() == io::ErrorKind::Interrupted) {
            came = (&self.stream).read(space);
        }
        // A stream that is empty for now gives less than it was asked for.
        self.may_read.store(matches!(came, Ok(count) if count == space.len()), SeqCst);
        came
    }
}

impl Tap {
    fn new(stream: TcpStream) -> io::Result<Self> {
        let stream = stream.into_std()?;
        let plug = Plug {
            stream: stream.try_clone()?,
            is_bare: AtomicBool::new(false),
            may_read: AtomicBool::new(true),
            is_full: AtomicBool::new(false),
        };
        Ok(Self { plug: Arc::new(plug), registered: Some(TcpStream::from_std(stream)?) })
    }

    pub(crate) fn plug(&self) -> &Arc<Plug> {
        &self.plug
    }

    /// From now on it is registered with another executor; or nowhere, and always used bare.
    pub(crate) fn move_to(&mut self, executor: Option<&Handle>) -> io::Result<()> {
        let Some(stream) = self.registered.take().map(TcpStream::into_std) else { return Ok(()) };
        if let Some(executor) = executor {
            let _entered = executor.enter();
            self.registered = Some(TcpStream::from_std(stream?)?);
        }
        Ok(())
    }

    /// The stream where it is registered, unless it is used bare.
    fn registered(&mut self) -> Option<Pin<&mut TcpStream>> {
        let is_bare = self.plug.is_bare.load(SeqCst);
        self.registered.as_mut().filter(|_| !is_bare).map(Pin::new)
    }
}

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(stream) = self.registered() {
            return stream.poll_read(context, buffer);
        }
        if !self.plug.may_read.load(SeqCst) {
            return Poll::Pending;
        }
        let count = ready!(or_pending(self.plug.read(buffer.initialize_unfilled())))?;
        buffer.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(stream) = self.registered() {
            return stream.poll_write(context, bytes);
        }
        let written = or_pending((&self.plug.stream).write(bytes));
        self.plug.is_full.store(written.is_pending(), SeqCst);
        written
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.plug.stream.shutdown(net::Shutdown::Write))
    }
}

/// A stream, encrypted or not. Encryption keeps nothing back: what it has read it gives at once,
/// and a flush leaves nothing unwritten that the stream would take.
pub(crate) enum Wire {
    Plain(Tap),
    #[cfg(feature = "tls")]
    Encrypted(Box<tokio_rustls::client::TlsStream<Tap>>),
}

impl Wire {
    pub(crate) fn tap(&self) -> &Tap {
        match self {
            Self::Plain(tap) => tap,
            #[cfg(feature = "tls")]
            Self::Encrypted(stream) => stream.get_ref().0,
        }
    }

    pub(crate) fn tap_mut(&mut self) -> &mut Tap {
        match self {
            Self::Plain(tap) => tap,
            #[cfg(feature = "tls")]
            Self::Encrypted(stream) => stream.get_mut().0,
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tap) => Pin::new(tap).poll_read(context, buffer),
            #[cfg(feature = "tls")]
            Self::Encrypted(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tap) => Pin::new(tap).poll_write(context, bytes),
            #[cfg(feature = "tls")]
            Self::Encrypted(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tap) => Pin::new(tap).poll_flush(context),
            #[cfg(feature = "tls")]
            Self::Encrypted(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tap) => Pin::new(tap).poll_shutdown(context),
            #[cfg(feature = "tls")]
            Self::Encrypted(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

fn or_pending(done: io::Result<usize>) -> Poll<io::Result<usize>> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        done => Poll::Ready(done),
    }
}

/// Makes a socket of a stream.
pub(crate) async fn shake_hands(stream: TcpStream, address: &Address) -> Result<Socket, Broken> {
    stream.set_nodelay(true)?;
    let wire = address.encrypt(Tap::new(stream)?).await?;
    // What is encrypted is so already: this only names the host.
    let url = format!("ws://{}", address.host());
    let (socket, _) = client_async_with_config(url, wire, Some(websocket_config())).await?;
    Ok(socket)
}

/// Says the first frame of a link, and hears the answer.
pub(crate) async fn ask(socket: &mut Socket, frame: &Frame) -> Result<Frame, Broken> {
    socket.send(Message::Binary(link_batch(frame))).await?;
    let hung_up = || Broken::Link("it hung up".to_owned());
    let answer = socket.next().await.ok_or_else(hung_up)??;
    let read = read_batch(answer.into_data());
    let (envelope, frames) = read.map_err(|error| Broken::Over(error.to_string()))?;
    let first = frames.into_iter().next().filter(|_| envelope == Envelope::LINK);
    first.ok_or_else(|| Broken::Over("it does not answer as a coordinator does".to_owned()))
}
