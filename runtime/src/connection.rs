//! A node's WebSocket to the coordinator, on a thread of its own: user code that blocks never
//! delays a heartbeat.
//!
//! States: *connecting* (until welcomed or turned away) -> *open* -> *lost*. Lost is final: the
//! node's operations end, and the owner is told once.

use std::io;
use std::net::TcpStream as StdStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use channels::node::Node;
use channels::sequence::Sequence;
use channels::wire::{BatchWriter, Frame, read_batch};
use coordinator::server::websocket_config;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::deadlock::OwnThread;

/// Time to connect and be welcomed.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the owner is asked whether it has something to report.
const TICK: Duration = Duration::from_millis(250);

/// What a connection tells its owner. Called on the connection's thread: must not block.
pub(crate) trait Owner: Send + Sync + 'static {
    /// A frame that does not concern channels came.
    fn on_frame(&self, frame: Frame);
    /// Time has passed.
    fn on_tick(&self);
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address cannot be read.
    #[error("`{0}` is no coordinator's address; expected is `ws://HOST:PORT`")]
    Address(String),
    /// Nobody answers there.
    #[error("the coordinator at {address} cannot be reached: {cause}")]
    Unreachable {
        /// Where.
        address: String,
        /// Why.
        cause: String,
    },
    /// It answered, and said no.
    #[error("the coordinator turned this node away: {0}")]
    Turned(String),
}

/// An open connection. It ends when the coordinator ends it or when this is dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    /// The lease that the coordinator gave.
    pub(crate) lease: Duration,
    lost: oneshot::Receiver<String>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// The doorbell of a node whose connection is made later.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bell(Arc<Notify>);

impl Bell {
    pub(crate) fn ring(&self) {
        self.0.notify_one();
    }
}

impl Connection {
    /// Connects, says hello, and waits to be welcomed. Blocks the thread until then.
    pub(crate) fn open(
        address: &str,
        hello: Frame,
        node: Arc<Node>,
        bell: Bell,
        owner: Arc<dyn Owner>,
    ) -> Result<Self, ConnectError> {
        let host = address.strip_prefix("ws://").map(|rest| rest.trim_end_matches('/'));
        let host = host.filter(|host| host.contains(':'));
        let host = host.ok_or_else(|| ConnectError::Address(address.to_owned()))?.to_owned();
        let unreachable = |error: io::Error| ConnectError::Unreachable {
            address: address.to_owned(),
            cause: error.to_string(),
        };
        let stream = StdStream::connect(&host).map_err(unreachable)?;
        let executor = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let executor = executor.map_err(unreachable)?;
        let (welcome, welcomed) = std::sync::mpsc::channel();
        let (tell_lost, lost) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let url = address.to_owned();
        let life = move || async move {
            let cause = match timeout(CONNECT_TIMEOUT, greet(stream, &url, hello)).await {
                Ok(Ok(open)) => {
                    welcome.send(Ok(open.lease)).ok();
                    open.run(&node, &bell, &owner, stopped).await
                }
                Ok(Err(error)) => {
                    let cause = error.to_string();
                    welcome.send(Err(error)).ok();
                    cause
                }
                Err(_) => "the coordinator does not answer".to_owned(),
            };
            tracing::debug!("connection lost: {cause}");
            node.lose(&cause);
            tell_lost.send(cause).ok();
        };
        let run = move || {
            let _own = OwnThread::enter();
            executor.block_on(life());
        };
        let thread = thread::Builder::new().name("farspawn-io".to_owned()).spawn(run);
        let thread = Some(thread.map_err(unreachable)?);
        let answer = welcomed.recv().unwrap_or_else(|_| {
            let cause = format!("no welcome within {CONNECT_TIMEOUT:?}");
            Err(ConnectError::Unreachable { address: address.to_owned(), cause })
        });
        Ok(Self { lease: answer?, lost, stop: Some(stop), thread })
    }

    /// Blocks until the connection is lost, and says why.
    pub(crate) fn wait(&mut self) -> String {
        let lost = channels::blocking::wait_for(&mut self.lost);
        lost.unwrap_or_else(|_| "the connection's thread ended".to_owned())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

type Socket = WebSocketStream<TcpStream>;

/// A connection whose node was welcomed.
struct Open {
    socket: Socket,
    lease: Duration,
    sequence: Sequence,
    /// What came in one batch with the welcome.
    early: Vec<Frame>,
}

async fn greet(stream: StdStream, url: &str, hello: Frame) -> Result<Open, ConnectError> {
    let unreachable = |cause: String| ConnectError::Unreachable { address: url.to_owned(), cause };
    let broken = |error: &dyn std::fmt::Display| unreachable(error.to_string());
    stream.set_nonblocking(true).map_err(|error| broken(&error))?;
    stream.set_nodelay(true).map_err(|error| broken(&error))?;
    let stream = TcpStream::from_std(stream).map_err(|error| broken(&error))?;
    let connecting = client_async_with_config(url, stream, Some(websocket_config()));
    let (mut socket, _) = connecting.await.map_err(|error| broken(&error))?;
    let mut sequence = Sequence::default();
    let mut batch = BatchWriter::new(sequence.envelope());
    batch.push(&hello);
    sequence.sent(1);
    let sent = socket.send(Message::Binary(batch.finish())).await;
    sent.map_err(|error| broken(&error))?;
    let answer = socket.next().await.ok_or_else(|| unreachable("it hung up".to_owned()))?;
    let answer = answer.map_err(|error| broken(&error))?;
    let (envelope, frames) = read_batch(answer.into_data()).map_err(|error| broken(&error))?;
    sequence.receive(envelope, frames.len() as u64).map_err(|error| broken(&error))?;
    let mut frames = frames.into_iter();
    match frames.next() {
        Some(Frame::Welcome { lease_ms, .. }) => {
            let (lease, early) = (Duration::from_millis(lease_ms), frames.collect());
            Ok(Open { socket, lease, sequence, early })
        }
        Some(Frame::Turned { reason }) => Err(ConnectError::Turned(reason)),
        _ => Err(unreachable("it answers with something else than a welcome".to_owned())),
    }
}

impl Open {
    /// Carries frames both ways until the link is lost; says how.
    async fn run(
        self,
        node: &Node,
        bell: &Bell,
        owner: &Arc<dyn Owner>,
        stopped: oneshot::Receiver<()>,
    ) -> String {
        for frame in self.early {
            if let Some(cause) = deliver(frame, node, owner) {
                return cause;
            }
        }
        let (sink, source) = self.socket.split();
        let sequence = std::cell::RefCell::new(self.sequence);
        let heard = std::cell::Cell::new(Instant::now());
        tokio::select! {
            cause = read(source, node, owner, &sequence, &heard) => cause,
            cause = write(sink, node, bell, &sequence) => cause,
            cause = tick(node, owner, self.lease, &heard) => cause,
            _ = stopped => "this node ended".to_owned(),
        }
    }
}

type Shared<T> = std::cell::RefCell<T>;

async fn read(
    mut source: SplitStream<Socket>,
    node: &Node,
    owner: &Arc<dyn Owner>,
    sequence: &Shared<Sequence>,
    heard: &std::cell::Cell<Instant>,
) -> String {
    loop {
        let bytes = match source.next().await {
            Some(Ok(Message::Binary(bytes))) => bytes,
            Some(Ok(Message::Close(_))) | None => {
                return "the coordinator closed the connection".to_owned();
            }
            Some(Ok(_)) => continue,
            Some(Err(error)) => return format!("the connection broke: {error}"),
        };
        heard.set(Instant::now());
        let (envelope, frames) = match read_batch(bytes) {
            Ok(batch) => batch,
            Err(error) => return error.to_string(),
        };
        if let Err(error) = sequence.borrow_mut().receive(envelope, frames.len() as u64) {
            return error.to_string();
        }
        for frame in frames {
            if let Some(cause) = deliver(frame, node, owner) {
                return cause;
            }
        }
    }
}

/// Takes in one frame; says why if it was the last.
fn deliver(frame: Frame, node: &Node, owner: &Arc<dyn Owner>) -> Option<String> {
    tracing::trace!(target: "farspawn::frame", "<- {frame}");
    match node.receive(frame)? {
        Frame::Heartbeat {} => {}
        Frame::Turned { reason } => return Some(reason),
        other => owner.on_frame(other),
    }
    None
}

/// Sends all that waits, then waits for the bell.
async fn write(
    mut sink: SplitSink<Socket, Message>,
    node: &Node,
    bell: &Bell,
    sequence: &Shared<Sequence>,
) -> String {
    loop {
        let more = {
            let mut batch = BatchWriter::new(sequence.borrow().envelope());
            let more = node.take_outgoing(&mut batch);
            if !batch.is_empty() {
                sequence.borrow_mut().sent(batch.frames());
                if let Err(error) = sink.feed(Message::Binary(batch.finish())).await {
                    return format!("the connection broke: {error}");
                }
            }
            more
        };
        if !more {
            if let Err(error) = sink.flush().await {
                return format!("the connection broke: {error}");
            }
            bell.0.notified().await;
        }
    }
}

/// Heartbeats, and this node's own lease: a coordinator that is silent for so long is lost.
async fn tick(
    node: &Node,
    owner: &Arc<dyn Owner>,
    lease: Duration,
    heard: &std::cell::Cell<Instant>,
) -> String {
    let mut ticks = interval(TICK.min(lease / 4).max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut said = Instant::now();
    loop {
        ticks.tick().await;
        if heard.get().elapsed() > lease {
            return format!("the coordinator was silent for {:.1} s", lease.as_secs_f64());
        }
        if said.elapsed() > lease / 4 {
            node.push(Frame::Heartbeat {});
            said = Instant::now();
        }
        owner.on_tick();
    }
}
