//! Sessions that go on with another link: the socket side of the coordinator, spoken to by hand.

use channels::id::{OperationId, SessionId};
use channels::session::{Received, Session};
use channels::wire::{BatchWriter, Frame, PROTOCOL_VERSION, Secret, link_batch, read_batch};
use futures::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::handshake::{coordinator, hello};

/// A node's side of a session, and its link.
pub(crate) struct Peer {
    address: String,
    name: SessionId,
    session: Session,
    secret: Secret,
    socket: WebSocketStream<TcpStream>,
}

/// A new link, and what is answered to the first frame on it.
async fn ask(address: &str, frame: &Frame) -> (WebSocketStream<TcpStream>, Frame) {
    let stream = TcpStream::connect(address).await.unwrap();
    let url = format!("ws://{address}");
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    socket.send(Message::Binary(link_batch(frame))).await.unwrap();
    let answer = socket.next().await.expect("an answer").unwrap();
    let frame = read_batch(answer.into_data()).unwrap().1.remove(0);
    (socket, frame)
}

impl Peer {
    async fn welcome(address: String, key: Secret) -> Self {
        let (socket, welcome) = ask(&address, &hello(PROTOCOL_VERSION, key)).await;
        let Frame::Welcome { session: name, epoch, secret, .. } = welcome else {
            panic!("{welcome}")
        };
        Self { address, name, session: Session::new(epoch), secret, socket }
    }

    /// Says these to a coordinator of its own, and hears why it is sent away.
    pub(crate) async fn turned_for(frames: Vec<Frame>) -> String {
        let (address, key, _stop) = coordinator().await;
        let mut peer = Self::welcome(address, key).await;
        let mut batch = BatchWriter::default();
        frames.iter().for_each(|frame| batch.push(frame));
        peer.session.seal(batch);
        peer.flush().await;
        while let Some(Ok(Message::Binary(bytes))) = peer.socket.next().await {
            if let Some(Frame::Turned { reason }) = read_batch(bytes).unwrap().1.pop() {
                return reason;
            }
        }
        panic!("it was not sent away")
    }

    fn resume(&self) -> Frame {
        let (session, epoch) = (self.name, self.session.epoch());
        let (last, secret) = (self.session.received(), self.secret.clone());
        Frame::Resume { session, epoch, last, secret }
    }

    /// Goes on with a new link.
    async fn relink(&mut self) {
        let (socket, answer) = ask(&self.address, &self.resume()).await;
        let Frame::Resumed { last, secret } = answer else { panic!("{answer}") };
        self.session.unlink();
        self.session.link(last).unwrap();
        (self.socket, self.secret) = (socket, secret);
    }

    async fn flush(&mut self) {
        while let Some(bytes) = self.session.next_batch().or_else(|| self.session.acknowledgement())
        {
            // A link that the other side has dropped takes nothing more.
            self.socket.send(Message::Binary(bytes)).await.ok();
        }
    }

    /// Asks a question; its answer is a frame with this number.
    fn inspect(&mut self, operation: u64) {
        let mut batch = BatchWriter::default();
        batch.push(&Frame::Inspect { operation: OperationId(operation) });
        self.session.seal(batch);
    }

    /// Whatever comes until the link ends, or until so many answers have come.
    async fn answers(&mut self, count: usize) -> Vec<u64> {
        let mut numbers = Vec::new();
        while numbers.len() < count {
            let Some(Ok(Message::Binary(bytes))) = self.socket.next().await else { break };
            let size = bytes.len();
            let (envelope, frames) = read_batch(bytes).unwrap();
            assert_eq!(self.session.receive(envelope, &frames, size), Ok(Received::New));
            numbers.extend(frames.iter().filter_map(|frame| match frame {
                Frame::Inspected { operation, .. } => Some(operation.0),
                _ => None,
            }));
        }
        numbers
    }
}

fn assert_fenced(answer: &Frame) {
    let fenced = matches!(answer, Frame::Fenced { reason } if reason.contains("not its own"));
    assert!(fenced, "{answer}");
}

/// D2: what was said on a link that broke is heard once, and so are the answers.
#[tokio::test]
async fn a_session_goes_on_where_it_was() {
    let (address, key, _stop) = coordinator().await;
    let mut peer = Peer::welcome(address, key).await;
    peer.inspect(1);
    peer.flush().await;
    assert_eq!(peer.answers(1).await, [1]);
    // The second is sent and its answer not read; the third is never sent on the first link.
    peer.inspect(2);
    peer.flush().await;
    peer.inspect(3);
    peer.relink().await;
    peer.flush().await;
    assert_eq!(peer.answers(2).await, [2, 3]);
    for number in 4..20 {
        peer.inspect(number);
        peer.relink().await;
        peer.flush().await;
        assert_eq!(peer.answers(1).await, [number]);
    }
}

/// The link that was replaced is closed, and what comes on it is not looked at.
#[tokio::test]
async fn an_old_link_is_dropped_before_the_new_one_is_answered() {
    let (address, key, _stop) = coordinator().await;
    let mut peer = Peer::welcome(address, key).await;
    let (socket, answer) = ask(&peer.address, &peer.resume()).await;
    let Frame::Resumed { secret, .. } = answer else { panic!("{answer}") };
    peer.inspect(1);
    peer.flush().await;
    assert_eq!(peer.answers(1).await, [] as [u64; 0], "the old link has ended");
    peer.session.unlink();
    peer.session.link(0).expect("nothing was received on the old link");
    (peer.socket, peer.secret) = (socket, secret);
    peer.flush().await;
    assert_eq!(peer.answers(1).await, [1]);
}

/// A hello whose answer was lost is said again, and the answer is the same. Later it is used up.
#[tokio::test]
async fn a_hello_may_be_said_again_until_something_came_of_it() {
    let (address, key, _stop) = coordinator().await;
    let hello = hello(PROTOCOL_VERSION, key.clone());
    let (_lost, first) = ask(&address, &hello).await;
    let mut peer = Peer::welcome(address, key).await;
    let Frame::Welcome { session, secret, .. } = first else { panic!("{first}") };
    assert_eq!((session, secret), (peer.name, peer.secret.clone()));
    peer.inspect(1);
    peer.flush().await;
    assert_eq!(peer.answers(1).await, [1]);
    let (_, turned) = ask(&peer.address, &hello).await;
    assert!(matches!(&turned, Frame::Turned { reason } if reason.contains("used before")));
    peer.inspect(2);
    peer.flush().await;
    assert_eq!(peer.answers(1).await, [2], "its link is whole");
}

/// A secret opens one link. Stolen or replayed later it opens none, and harms nobody.
#[tokio::test]
async fn a_secret_that_was_used_is_refused() {
    let (address, key, _stop) = coordinator().await;
    let mut peer = Peer::welcome(address, key).await;
    let first = peer.resume();
    let (_, answer) = ask(&peer.address, &first).await;
    let (_, again) = ask(&peer.address, &first).await;
    assert_eq!(answer, again, "the answer may have been lost");
    peer.relink().await;
    peer.flush().await;
    peer.inspect(1);
    peer.flush().await;
    assert_eq!(peer.answers(1).await, [1]);
    assert_fenced(&ask(&peer.address, &first).await.1);
    peer.inspect(2);
    peer.flush().await;
    assert_eq!(peer.answers(1).await, [2], "the link is whole");
}

/// Whoever has no right learns nothing: a session that is not there and one that is not his are the
/// same to him.
#[tokio::test]
async fn a_session_opens_to_its_own_secret_only() {
    let (address, key, _stop) = coordinator().await;
    let mut peer = Peer::welcome(address, key.clone()).await;
    let right = peer.resume();
    let Frame::Resume { session, epoch, last, secret } = right.clone() else { unreachable!() };
    let mut near = secret.clone();
    near.0[31] ^= 1;
    for wrong in [
        Frame::Resume { session, epoch, last, secret: near },
        Frame::Resume { session, epoch: epoch + 1, last, secret: secret.clone() },
        Frame::Resume { session: SessionId(4711), epoch, last, secret: secret.clone() },
        Frame::Resume { session, epoch, last: 7, secret: Secret([0; 32]) },
    ] {
        assert_fenced(&ask(&peer.address, &wrong).await.1);
    }
    peer.inspect(1);
    peer.flush().await;
    assert_eq!(peer.answers(1).await, [1], "its link is whole");
    peer.relink().await;
    // It has the secret, and claims what it cannot have: it is out, and stays out.
    let mut liar = peer.resume();
    if let Frame::Resume { last, .. } = &mut liar {
        *last = 1000;
    }
    let stream = TcpStream::connect(&peer.address).await.unwrap();
    let url = format!("ws://{}", peer.address);
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    socket.send(Message::Binary(link_batch(&liar))).await.unwrap();
    assert!(!matches!(socket.next().await, Some(Ok(Message::Binary(_)))));
    assert_fenced(&ask(&peer.address, &peer.resume()).await.1);
}

/// A gap costs the link, and the next one begins before it; a broken rule costs the session.
#[tokio::test]
async fn a_gap_ends_the_link_and_a_lie_the_session() {
    let (address, key, _stop) = coordinator().await;
    let mut peer = Peer::welcome(address, key).await;
    peer.inspect(1);
    drop(peer.session.next_batch());
    peer.inspect(2);
    peer.flush().await;
    assert_eq!(peer.answers(2).await, [] as [u64; 0]);
    peer.relink().await;
    peer.flush().await;
    assert_eq!(peer.answers(2).await, [1, 2]);
    let lie = channels::wire::Envelope {
        epoch: peer.session.epoch(),
        sequence: peer.session.sent() + 1,
        acknowledged: 1 << 40,
    };
    let lie = BatchWriter::default().finish(lie);
    peer.socket.send(Message::Binary(lie)).await.unwrap();
    let Some(Ok(Message::Binary(bytes))) = peer.socket.next().await else { panic!("no words") };
    let frames = read_batch(bytes).unwrap().1;
    assert!(matches!(&frames[..], [Frame::Turned { reason }] if reason.contains("never sent")));
    assert_fenced(&ask(&peer.address, &peer.resume()).await.1);
}
