//! One WebSocket to the coordinator, and how it fails.

use std::io;

use channels::wire::{Envelope, Frame, Secret, link_batch, read_batch};
use coordinator::server::websocket_config;
use futures::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

pub(crate) type Socket = WebSocketStream<TcpStream>;

/// Why a link is of no use any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// Another may do.
    #[error("{0}")]
    Link(String),
    /// The session is over, and no other link will help.
    #[error("{0}")]
    Over(String),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Link(error.to_string())
    }
}

impl From<tungstenite::Error> for Broken {
    fn from(error: tungstenite::Error) -> Self {
        Self::Link(format!("the connection broke: {error}"))
    }
}

/// For one hello, however often it is said.
pub(crate) fn nonce() -> u64 {
    Secret::random().0.into_iter().fold(0, |nonce, byte| (nonce << 8) ^ u64::from(byte))
}

/// Makes a socket of a stream.
pub(crate) async fn shake_hands(stream: TcpStream, host: &str) -> Result<Socket, Broken> {
    stream.set_nodelay(true)?;
    let url = format!("ws://{host}");
    let (socket, _) = client_async_with_config(url, stream, Some(websocket_config())).await?;
    Ok(socket)
}

/// Says the first frame of a link, and hears the answer.
pub(crate) async fn ask(socket: &mut Socket, frame: &Frame) -> Result<Frame, Broken> {
    socket.send(Message::Binary(link_batch(frame))).await?;
    let hung_up = || Broken::Link("it hung up".to_owned());
    let answer = socket.next().await.ok_or_else(hung_up)??;
    let read = read_batch(answer.into_data());
    let (envelope, frames) = read.map_err(|error| Broken::Over(error.to_string()))?;
    let first = frames.into_iter().next().filter(|_| envelope == Envelope::LINK);
    first.ok_or_else(|| Broken::Over("it does not answer as a coordinator does".to_owned()))
}
