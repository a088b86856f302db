//! Where connections go, and what is shared by those of one owner.
//!
//! A connection's first frame says whose it is. Whoever keeps the door looks at that first (what
//! the owner may still have, and how long the connection must wait), and then leads it to a server.
//! A server that is alone at its address has no owners to tell apart.

use std::sync::Arc;
use std::time::Duration;

use channels::wire::Frame;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::Input;

/// Who keeps the door.
pub(crate) trait Door: Send + Sync + 'static {
    /// Whose the connection is, by its first frame.
    fn look(&self, frame: &Frame) -> Result<Visit, Shut>;
    /// Where it goes, once it has waited; or what it is answered.
    fn lead(&self, frame: &Frame) -> Result<mpsc::Sender<Input>, Box<Frame>>;
}

/// A connection that somebody answers for.
#[derive(Default)]
pub(crate) struct Visit {
    /// How long it has to wait.
    pub(crate) wait: Duration,
    /// Given back when the connection is gone.
    pub(crate) _place: Option<OwnedSemaphorePermit>,
    /// What it has to keep to.
    pub(crate) share: Option<Arc<dyn Share>>,
}

/// Why it does not come in.
pub(crate) enum Shut {
    /// It is told why, and does not come again.
    #[cfg_attr(not(feature = "service"), expect(dead_code, reason = "everybody is led"))]
    Turned(Box<Frame>),
    /// It hears nothing, and may try again.
    #[cfg_attr(not(feature = "service"), expect(dead_code, reason = "nobody is paced"))]
    Later(&'static str),
}

/// What the connections of one owner may do together.
pub(crate) trait Share: Send + Sync {
    /// So many tasks were spawned; zero asks again. How long nothing more is to be read.
    fn on_spawned(&self, tasks: u32) -> Duration;
}

/// Of a server that is alone at its address.
pub(super) struct OneDoor(pub(super) mpsc::Sender<Input>);

impl Door for OneDoor {
    fn look(&self, _: &Frame) -> Result<Visit, Shut> {
        Ok(Visit::default())
    }

    fn lead(&self, _: &Frame) -> Result<mpsc::Sender<Input>, Box<Frame>> {
        Ok(self.0.clone())
    }
}
