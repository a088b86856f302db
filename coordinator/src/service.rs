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
mod quota;
mod standing;
mod tls;

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use channels::wire::Secret;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use crate::server::{Plain, Porch, accept};
use desk::Desk;
pub use desk::{Application, MakePlatform};
use jobs::Jobs;
pub use quota::Quotas;
pub use tls::{Tls, TlsError};

/// How long nodes have for their last words when all ends.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(3);

/// How the service is reached.
#[derive(Debug)]
pub struct Config {
    /// Who may use it.
    pub applications: Vec<Application>,
    /// What each of them may have.
    pub quotas: Quotas,
    /// Connections of each address that have not shown whose they are.
    pub guests_max: usize,
    /// The keys of each of them from then on, whenever they have changed.
    pub rekeyed: mpsc::Receiver<Vec<Vec<Secret>>>,
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
    let (quotas, mut rekeyed) = (config.quotas, config.rekeyed);
    let desk = Desk::new(config.applications, quotas, address);
    let count = desk.applications.len();
    let jobs = (0..count).map(|at| Jobs::new(desk.clone(), at)).collect();
    let routes = http::routes(desk.clone(), jobs);
    let connections_max = quotas.connections(count) + config.guests_max;
    let room = Arc::new(Semaphore::new(connections_max));
    let http_max = quotas.http_connections(count) + config.guests_max;
    let http_room = Arc::new(Semaphore::new(http_max));
    let [porch, http_porch] = [(); 2].map(|()| Porch::new(config.guests_max));
    let mut accepting = tokio::task::JoinSet::new();
    match config.tls {
        Some(tls) => {
            accepting.spawn(accept(listener, desk.clone(), tls.clone(), room.clone(), porch));
            if let Some(http) = http {
                accepting.spawn(standing::serve(http, routes, tls, http_room, http_porch));
            }
        }
        None => {
            accepting.spawn(accept(listener, desk.clone(), Plain, room.clone(), porch));
            if let Some(http) = http {
                accepting.spawn(standing::serve(http, routes, Plain, http_room, http_porch));
            }
        }
    }
    // Sent or dropped, it means the same.
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            _ = &mut stop => break,
            Some(keys) = rekeyed.recv() => desk.change_keys(keys),
        }
    }
    tracing::info!("no client is taken any more; those that are here have {:?}", config.drain);
    desk.drain();
    if timeout(config.drain, desk.emptied()).await.is_err() {
        tracing::warn!("clients are left, and cut off");
    }
    desk.stop();
    // Whoever is not gone by then does not read.
    timeout(LAST_WORDS_TIMEOUT, room.acquire_many(connections_max as u32)).await.ok();
    Ok(())
}
