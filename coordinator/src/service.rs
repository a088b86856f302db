//! The coordinator as a service: several applications at one address, each behind keys of its own;
//! TLS; and HTTP for clients in any language.
//!
//! # The walk of a connection
//!
//! A connection to the relay's address is accepted as [`server`](crate::server) does it, through
//! TLS if there is a certificate; its first frame says, by its credential, which realm's server it
//! goes to (`desk.rs`). A request to the HTTP address shows a key of its application; then it is
//! about that application's jobs (`jobs.rs`, `http.rs`), and what it cannot see is not there.
//!
//! # How it ends
//!
//! Told to stop it is *draining*: no client and no job is taken any more, and clients that are
//! there go on, for a time. Then each realm tells its nodes that the coordinator has ended, and
//! workers are stopped.

mod desk;
pub mod flags;
mod http;
mod jobs;
mod metrics;
mod tls;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use channels::wire::Frame;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use crate::server::{CONNECTIONS_MAX, Door, Plain, accept};
use desk::Desk;
pub use desk::{Application, MakePlatform};
use jobs::Jobs;
pub use tls::{Tls, TlsError};

/// How long nodes have for their last words when all ends.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(3);

/// How the service is reached.
#[derive(Debug)]
pub struct Config {
    /// Who may use it.
    pub applications: Vec<Application>,
    /// Where its workers find it, `wss://host:port`; by default where it listens.
    pub address: Option<String>,
    /// Encrypts both addresses.
    pub tls: Option<Tls>,
    /// How long clients may go on once it is told to stop.
    pub drain: Duration,
}

/// Serves until `stop` is sent or dropped, and clients have had their time.
///
/// # Errors
///
/// That of a listener whose address cannot be told.
pub async fn serve(
    listener: TcpListener,
    http: Option<TcpListener>,
    config: Config,
    stop: oneshot::Receiver<()>,
) -> io::Result<()> {
    let scheme = if config.tls.is_some() { "wss" } else { "ws" };
    let address = listener.local_addr()?;
    let address = config.address.unwrap_or_else(|| format!("{scheme}://{address}"));
    let desk = Desk::new(config.applications, address);
    let jobs = (0..desk.applications.len()).map(|at| Jobs::new(desk.clone(), at)).collect();
    let routes = http::routes(desk.clone(), jobs);
    let led = desk.clone();
    let door: Door = Arc::new(move |frame: &Frame| led.lead(frame));
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut accepting = tokio::task::JoinSet::new();
    match config.tls {
        Some(tls) => {
            accepting.spawn(accept(listener, door, tls.clone(), room.clone()));
            if let Some(http) = http {
                accepting.spawn(http::serve(http, routes, tls));
            }
        }
        None => {
            accepting.spawn(accept(listener, door, Plain, room.clone()));
            if let Some(http) = http {
                accepting.spawn(http::serve(http, routes, Plain));
            }
        }
    }
    // Sent or dropped, it means the same.
    stop.await.ok();
    tracing::info!("no client is taken any more; those that are here have {:?}", config.drain);
    desk.drain();
    if timeout(config.drain, desk.emptied()).await.is_err() {
        tracing::warn!("clients are left, and cut off");
    }
    desk.stop();
    // Whoever is not gone by then does not read.
    timeout(LAST_WORDS_TIMEOUT, room.acquire_many(CONNECTIONS_MAX as u32)).await.ok();
    Ok(())
}
