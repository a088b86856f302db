//! Where a server's sessions and launches are known outside of it.
//!
//! A server that is alone at its address counts its sessions, and needs no more. Where several
//! share an address, whoever leads connections to them must know which of them a session or a
//! launch is of: from before anybody can say its name until nobody can any more.

use channels::id::SessionId;
use channels::wire::Secret;

use super::Seen;

/// Told by a server what it makes and what is over.
pub(crate) trait Register: Send {
    /// A name for a session that no other has, or had.
    fn name_session(&mut self) -> SessionId;
    /// A worker that shows this secret may come.
    fn on_launch(&mut self, launch: u64, secret: &Secret);
    /// It came to nothing, or is gone.
    fn on_launch_ended(&mut self, launch: u64);
    /// Nobody can resume the session any more.
    fn on_over(&mut self, session: SessionId);
    /// The server has ended; how it was.
    fn on_end(&mut self, last: Seen);
}

/// For a server that is alone at its address.
#[derive(Debug, Default)]
pub(super) struct Alone(u64);

impl Register for Alone {
    fn name_session(&mut self) -> SessionId {
        self.0 += 1;
        SessionId(self.0)
    }

    fn on_launch(&mut self, _: u64, _: &Secret) {}

    fn on_launch_ended(&mut self, _: u64) {}

    fn on_over(&mut self, _: SessionId) {}

    fn on_end(&mut self, _: Seen) {}
}
