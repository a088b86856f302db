//! A server that is alone at its address: it counts its sessions itself, and has no owners to tell
//! apart.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use channels::id::SessionId;
use channels::wire::Secret;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use super::door::OneDoor;
use super::porch::Porch;
use super::socket::{Plain, accept};
use super::{Config, INPUTS_WAITING_MAX, Register, Seen, Server};
use crate::limits::{Load, Room};
use crate::platform::Platform;
use crate::scheduler::Totals;

/// Connections at once, those that have not said hello included.
const CONNECTIONS_MAX: usize = 16_384;
/// Of these, such that have not.
const GUESTS_MAX: usize = 1024;
/// How long nodes have for their last words when all ends.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves until `stop` is sent or dropped; then every link is cut and the platform dropped.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    platform: Box<dyn Platform>,
    stop: oneshot::Receiver<()>,
) -> io::Result<Totals> {
    let address = listener.local_addr()?;
    let (inbox, inputs) = mpsc::channel(INPUTS_WAITING_MAX);
    let (door, room) = (Arc::new(OneDoor(inbox)), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
    let porch = Porch::new(GUESTS_MAX);
    let accepting = tokio::spawn(accept(listener, door, Plain, room.clone(), porch));
    let server = Server::new(format!("ws://{address}"), config, platform);
    let stopped = async {
        stop.await.ok();
        "the coordinator has ended".to_owned()
    };
    let totals = server.run(inputs, stopped).await;
    accepting.abort();
    // Whoever is not gone by then does not read.
    timeout(LAST_WORDS_TIMEOUT, room.acquire_many(CONNECTIONS_MAX as u32)).await.ok();
    Ok(totals)
}

/// Counts its sessions.
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

    fn on_load(&mut self, _: Load) {}

    fn room(&self) -> Room {
        Room::default()
    }

    fn on_end(&mut self, _: Seen) {}
}
