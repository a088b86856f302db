//! Where workers run. The only place that starts one.

#[cfg(feature = "aws")]
pub mod aws;
mod emulated;
mod local;
mod memory;
mod offer;

use channels::wire::Secret;
use tokio::sync::mpsc;

use crate::scheduler::Policy;

pub use emulated::{Emulated, Emulation};
pub use local::{Local, Program};
pub use memory::Memory;
pub use offer::Offer;

/// What a new worker needs to know to find its coordinator and to prove who it is.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The launch's number.
    pub number: u64,
    /// Good for one hello.
    pub secret: Secret,
    /// The coordinator's address, `ws://host:port`.
    pub coordinator: String,
}

/// A place where workers run.
pub trait Platform: Send {
    /// Starts a worker. Must not block; what became of it is told through `ended`.
    fn launch(&mut self, launch: Launch, ended: Ended);

    /// A launch's worker said hello. Must not block.
    fn welcomed(&mut self, number: u64) {
        let _ = number;
    }

    /// Launches that wait until others end, however long that takes.
    fn queued(&self) -> Vec<u64> {
        Vec::new()
    }

    /// Tells the scheduler what workers are here, before it begins.
    fn prepare(&self, policy: &mut Policy) {
        let _ = policy;
    }

    /// Workers at once, at most.
    fn workers_max(&self) -> usize {
        usize::MAX
    }

    /// Ends a worker that has had its goodbye, or never will have one. Must not block.
    fn stop(&mut self, number: u64);
}

/// Tells the coordinator, once, that a launch came to nothing or that its worker is gone.
#[derive(Debug)]
pub struct Ended {
    number: u64,
    cause: String,
    inbox: mpsc::UnboundedSender<(u64, String)>,
}

impl Ended {
    /// For a launch of this number; where it is told.
    pub fn new(number: u64, inbox: mpsc::UnboundedSender<(u64, String)>) -> Self {
        Self { number, cause: "the platform forgot it".to_owned(), inbox }
    }

    /// Says how it ended.
    pub fn tell(mut self, cause: impl Into<String>) {
        self.cause = cause.into();
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        let cause = std::mem::take(&mut self.cause);
        // Nobody listens when the coordinator itself has ended; then nobody needs to know.
        self.inbox.send((self.number, cause)).ok();
    }
}
