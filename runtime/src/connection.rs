//! A node's session with the coordinator, with a thread of its own: user code that blocks never
//! delays a heartbeat. While user code does not block, links are worked elsewhere: see `drive.rs`.
//!
//! States: *connecting* (until welcomed or turned away) -> *linked* <-> *adrift* (the link broke,
//! or the coordinator is silent; a new one is tried again and again) -> *over*. While it is adrift
//! the node's operations just wait. Over is final: fenced, told to go, or its own lease has run
//! out; then the node's operations end as lost, and the owner is told once.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use channels::node::Node;
use channels::wire::Frame;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

use crate::address::Address;
use crate::carrier::{self, Carrier};
use crate::deadlock::OwnThread;
use crate::drive::Drive;
use crate::lease::Lease;
use crate::link::Broken;

/// What a connection tells its owner. Called by whoever works the link: must not block.
pub(crate) trait Owner: Send + Sync + 'static {
    /// A frame that does not concern channels came.
    fn on_frame(&self, frame: Frame);
    /// Frames are about to leave together: the time for what is said once for many events.
    fn on_departure(&self) {}
    /// Time has passed.
    fn on_tick(&self);
    /// The session is over. The node's operations learn it after this.
    fn on_over(&self, cause: &str);
}

/// Where a coordinator is, as it was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct At {
    /// `wss://HOST[:PORT]` or `ws://HOST:PORT`.
    pub(crate) address: String,
    /// A PEM file with those who vouch for it.
    pub(crate) authorities: Option<PathBuf>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address cannot be read.
    #[error("`{0}` is no coordinator's address; expected is `wss://HOST` or `ws://HOST:PORT`")]
    Address(String),
    /// There is no encryption as its address wants it.
    #[error("encryption: {cause}")]
    Encryption {
        /// What is missing.
        cause: String,
    },
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

/// A session under way. It ends when the coordinator ends it, when the lease runs out, or when this
/// is dropped.
pub(crate) struct Connection {
    drive: Arc<Drive>,
    over: oneshot::Receiver<String>,
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

    /// Waits until it is rung, or returns at once if it was since somebody last waited.
    pub(crate) async fn rung(&self) {
        self.0.notified().await;
    }
}

/// Who speaks through a connection.
#[derive(Clone)]
pub(crate) struct Speaker {
    pub(crate) node: Arc<Node>,
    pub(crate) bell: Bell,
    pub(crate) lease: Arc<Lease>,
    pub(crate) owner: Arc<dyn Owner>,
}

impl Connection {
    /// Connects, says hello, and waits to be welcomed. Blocks the thread until then. Links are
    /// worked on the executor, if one is named, or else by [`Connection::lead`].
    pub(crate) fn open(
        coordinator: &At,
        hello: Frame,
        speaker: Speaker,
        home: Option<&Handle>,
    ) -> Result<Self, ConnectError> {
        let At { address: text, authorities } = coordinator;
        let address = Address::read(text, authorities.as_deref())?;
        let unreachable =
            |cause: String| ConnectError::Unreachable { address: text.clone(), cause };
        let broken = |error: io::Error| unreachable(error.to_string());
        let stream = TcpStream::connect(address.host()).map_err(broken)?;
        stream.set_nonblocking(true).map_err(broken)?;
        let executor = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let executor = executor.map_err(broken)?;
        let drive = Drive::new(home.cloned()).map_err(broken)?;
        let worked = drive.clone();
        let (welcome, welcomed) = std::sync::mpsc::channel();
        let (tell_over, over) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let life = move || async move {
            let Speaker { node, lease, owner, .. } = speaker.clone();
            let cause = match carrier::greet(stream, &address, &hello).await {
                Ok(greeted) => {
                    welcome.send(Ok(())).ok();
                    let (carrier, socket) = Carrier::new(speaker, address, greeted);
                    let cause = tokio::select! {
                        cause = carrier.live(&worked, socket) => cause,
                        _ = stopped => "this node ended".to_owned(),
                    };
                    lease.end();
                    owner.on_over(&cause);
                    cause
                }
                Err(broken) => {
                    let cause = broken.to_string();
                    welcome.send(Err(broken)).ok();
                    cause
                }
            };
            tracing::debug!("the session is over: {cause}");
            node.lose(&cause);
            tell_over.send(cause).ok();
        };
        let run = move || {
            let _own = OwnThread::enter();
            executor.block_on(life());
        };
        let thread = thread::Builder::new().name("farspawn-io".to_owned()).spawn(run);
        let thread = Some(thread.map_err(broken)?);
        match welcomed.recv() {
            Ok(Ok(())) => Ok(Self { drive, over, stop: Some(stop), thread }),
            Ok(Err(Broken::Over(reason))) => Err(ConnectError::Turned(reason)),
            Ok(Err(Broken::Link(cause))) => Err(unreachable(cause)),
            Err(_) => Err(unreachable("the connection's thread ended".to_owned())),
        }
    }

    /// Runs `main` on this thread, and works the link whenever it waits. It comes back if another
    /// thread does so at present.
    pub(crate) fn lead<F: Future + Unpin>(&self, main: F) -> Result<F::Output, F> {
        self.drive.lead(main)
    }

    /// Ends the session, whatever its state, when it is sent or dropped. Then dropping the
    /// connection does so no more.
    pub(crate) fn take_stop(&mut self) -> Option<oneshot::Sender<()>> {
        self.stop.take()
    }

    /// Blocks until the session is over, and says why.
    pub(crate) fn wait(&mut self) -> String {
        let over = channels::blocking::wait_for(&mut self.over);
        over.unwrap_or_else(|_| "the connection's thread ended".to_owned())
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Connection").field("over", &self.over).finish_non_exhaustive()
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
