//! The way to a coordinator, a finding a step.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use axum::http::{Request, StatusCode, header};
use channels::wire::{
    BatchWriter, Build, Envelope, Frame, PROTOCOL_VERSION, Place as Where, Role, Secret,
    link_batch, nonce, read_batch,
};
use futures::{SinkExt, StreamExt};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::Message;

use super::{Finding, ill, note, well};
use crate::server::websocket_config;
use crate::trust::{self, TrustError};

/// Time for each step.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);

/// Where something listens.
pub(super) struct Place {
    /// For people.
    url: String,
    host: String,
    port: u16,
    encryption: Option<TlsConnector>,
}

/// An answer of the HTTP address, and when it was asked for and came.
pub(super) struct Reached {
    pub(super) date: Option<SystemTime>,
    pub(super) sent: SystemTime,
    pub(super) answered: SystemTime,
}

/// What a connection is read and written through.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Place {
    /// Reads an address; of the two schemes the first is encrypted.
    pub(super) fn read(
        url: &str,
        [safe, plain]: [&str; 2],
        authorities: Option<&Path>,
    ) -> Result<Self, Finding> {
        let wrong = || {
            let mend = format!("{safe}://HOST[:PORT] or {plain}://HOST:PORT is expected");
            ill("address", format!("`{url}`"), mend)
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
        let rest = rest.trim_end_matches('/');
        let default = match scheme {
            _ if scheme == safe => Some(443),
            _ if scheme == plain => None,
            _ => return Err(wrong()),
        };
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
            _ => (rest, default),
        };
        let port = port.filter(|_| !host.is_empty()).ok_or_else(wrong)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let encryption = match scheme == safe {
            true => Some(encryption(authorities)?),
            false => None,
        };
        Ok(Self { url: url.to_owned(), host, port, encryption })
    }

    /// Connects, and encrypts if it is to be.
    async fn connect(&self, tell: &mut impl FnMut(Finding)) -> Option<Box<dyn Stream>> {
        let Self { url, host, port, .. } = self;
        let found = timeout(STEP_TIMEOUT, lookup_host((host.as_str(), *port))).await;
        let addresses: Vec<SocketAddr> = match found.map_err(io::Error::from).flatten() {
            Ok(addresses) => addresses.collect(),
            Err(error) => {
                let mend = "is the name right, and does DNS know it?";
                tell(ill("name", format!("{host}: {error}"), mend));
                return None;
            }
        };
        let list: Vec<String> = addresses.iter().map(|one| one.ip().to_string()).collect();
        tell(well("name", format!("{host} is {}", list.join(", "))));
        let begun = Instant::now();
        let connected = timeout(STEP_TIMEOUT, TcpStream::connect(addresses.as_slice())).await;
        let stream = match connected.map_err(io::Error::from).flatten() {
            Ok(stream) => stream,
            Err(error) => {
                let mend = match error.kind() {
                    io::ErrorKind::ConnectionRefused => {
                        "nobody listens there: is the coordinator running, and with this port?"
                    }
                    _ => "does a firewall or security group let this port in?",
                };
                tell(ill("connection", format!("{url}: {error}"), mend));
                return None;
            }
        };
        tell(well("connection", format!("{url} in {:.1} ms", ms(begun))));
        let Some(encryption) = &self.encryption else {
            let is_here = addresses.iter().all(|address| address.ip().is_loopback());
            if !is_here {
                tell(note("encryption", "none: everybody on the way can read and write"));
            }
            return Some(Box::new(stream));
        };
        let name = match ServerName::try_from(host.clone()) {
            Ok(name) => name,
            Err(error) => {
                tell(ill("encryption", format!("{host}: {error}"), "is the name right?"));
                return None;
            }
        };
        let greeted = timeout(STEP_TIMEOUT, encryption.connect(name, stream)).await;
        match greeted.map_err(io::Error::from).flatten() {
            Ok(stream) => {
                tell(well("encryption", format!("TLS 1.3, and it is {host}")));
                Some(Box::new(stream))
            }
            Err(error) => {
                let mend = "does the certificate name this host, is it still good, and does --ca \
                            (FARSPAWN_CA) name who signed it?";
                tell(ill("encryption", error.to_string(), mend));
                None
            }
        }
    }
}

fn encryption(authorities: Option<&Path>) -> Result<TlsConnector, Finding> {
    trust::connector(authorities).map_err(|error| match error {
        TrustError::File { .. } => {
            ill("authorities", error.to_string(), "name the file that signed the certificate")
        }
        TrustError::Build(_) => ill("encryption", error.to_string(), "build this program anew"),
    })
}

/// Says hello as a client does, hears the welcome, and leaves.
pub(super) async fn say_hello(place: &Place, key: &Secret, tell: &mut impl FnMut(Finding)) {
    let Some(stream) = place.connect(tell).await else { return };
    let url = format!("ws://{}:{}", place.host, place.port);
    let config = Some(websocket_config());
    let opened = timeout(STEP_TIMEOUT, client_async_with_config(url, stream, config)).await;
    let mut socket = match opened {
        Ok(Ok((socket, _))) => socket,
        other => {
            let wrong = other.map_or_else(
                |late| late.to_string(),
                |answer| answer.map_or_else(|error| error.to_string(), |_| String::new()),
            );
            let mend = "is it the relay's address, --listen, and not that of HTTP? A load balancer \
                        in front must let WebSockets through";
            return tell(ill("relay", wrong, mend));
        }
    };
    let hello = Frame::Hello {
        version: PROTOCOL_VERSION,
        build: Build { release: env!("CARGO_PKG_VERSION").to_owned(), tasks: 0, hash: 0 },
        role: Role::Client { workers_max: 1, place: Where::Auto },
        secret: key.clone(),
        nonce: nonce(),
    };
    let begun = Instant::now();
    let asked = async {
        socket
            .send(Message::Binary(link_batch(&hello)))
            .await
            .map_err(|error| error.to_string())?;
        let answer = socket.next().await.ok_or("it hung up")?.map_err(|error| error.to_string())?;
        let (_, frames) = read_batch(answer.into_data()).map_err(|error| error.to_string())?;
        frames.into_iter().next().ok_or_else(|| "it says nothing".to_owned())
    };
    let answer = timeout(STEP_TIMEOUT, asked).await.map_err(|late| late.to_string()).flatten();
    match answer {
        Ok(Frame::Welcome { epoch, lease_ms, .. }) => {
            let took = ms(begun);
            tell(well("hello", format!("welcome in {took:.1} ms; the lease is {lease_ms} ms")));
            let mut goodbye = BatchWriter::default();
            goodbye.push(&Frame::Goodbye {});
            let envelope = Envelope { epoch, sequence: 1, acknowledged: 0 };
            // If this is lost, the lease ends it.
            socket.send(Message::Binary(goodbye.finish(envelope))).await.ok();
            socket.close(None).await.ok();
        }
        Ok(Frame::Turned { reason }) => {
            let mend = if reason.contains("secret") {
                "is this key that of an --app of this coordinator?"
            } else if reason.contains("version") {
                "build the program and `farspawn` from the same release"
            } else {
                "it is there and knows the key; try again when there is room"
            };
            tell(ill("hello", reason, mend));
        }
        Ok(other) => tell(ill("hello", format!("it answers {other}"), "is it a coordinator?")),
        Err(wrong) => tell(ill("hello", wrong, "is it a coordinator?")),
    }
}

/// Asks the HTTP address how it is.
pub(super) async fn ask_health(
    place: &Place,
    key: &Secret,
    tell: &mut impl FnMut(Finding),
) -> Option<Reached> {
    let stream = place.connect(tell).await?;
    let sent = now();
    let asked = async {
        let opened = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = opened.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        let request = Request::get("/health")
            .header(header::HOST, &place.host)
            .header(header::AUTHORIZATION, format!("Bearer {}", key.to_hex()))
            .body(axum::body::Body::empty())
            .map_err(|error| error.to_string())?;
        sender.send_request(request).await.map_err(|error| error.to_string())
    };
    let answer = timeout(STEP_TIMEOUT, asked).await.map_err(|late| late.to_string()).flatten();
    let answer = match answer {
        Ok(answer) => answer,
        Err(wrong) => {
            tell(ill("http", wrong, "is it the address that --http names?"));
            return None;
        }
    };
    tell(match answer.status() {
        StatusCode::OK => well("http", "tasks are taken"),
        StatusCode::UNAUTHORIZED => {
            ill("http", "the key is not known", "is it that of an --app of this coordinator?")
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            ill("http", "the coordinator is stopping", "wait until it has started again")
        }
        other => ill("http", format!("it answers {other}"), "is it a coordinator?"),
    });
    let date = answer.headers().get(header::DATE).and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
    Some(Reached { date, sent, answered: now() })
}

#[expect(clippy::disallowed_methods, reason = "the clock itself is looked at")]
fn now() -> SystemTime {
    SystemTime::now()
}

fn ms(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e3
}
