//! Where a server's sessions and launches are known outside of it.
//!
//! A server that is alone at its address counts its sessions, and needs no more. Where several
//! share an address, whoever leads connections to them must know which of them a session or a
//! launch is of: from before anybody can say its name until nobody can any more.

use channels::id::SessionId;
use channels::wire::Secret;

use super::Seen;
use crate::limits::{Load, Room};

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
    /// What its sessions have together now.
    fn on_load(&mut self, load: Load);
    /// What they may have.
    fn room(&self) -> Room;
    /// The server has ended; how it was.
    fn on_end(&mut self, last: Seen);
}
