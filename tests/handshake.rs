//! Who is let in: the socket side of the coordinator, spoken to by hand.

use std::time::Duration;

use ::coordinator::platform::{Launch, Memory};
use ::coordinator::server::{Config, serve};
use ::coordinator::{Limits, Settings};
use channels::chunks::Inbox;
use channels::id::{ChannelId, OperationId};
use channels::session::{Received, Session};
use channels::wire::{
    BatchWriter, Build, Envelope, Frame, PROTOCOL_VERSION, Parcel, Place, Role, Secret, read_batch,
};
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

/// A coordinator without workers; its address, its key, and what stops it.
pub(crate) async fn coordinator() -> (String, Secret, oneshot::Sender<()>) {
    coordinator_with(Settings::default()).await
}

async fn coordinator_with(settings: Settings) -> (String, Secret, oneshot::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let key = Secret::random();
    let config = Config { settings, client_secrets: vec![key.clone()] };
    let (stop, stopped) = oneshot::channel();
    tokio::spawn(serve(listener, config, Box::new(Memory::new(|_: Launch| {})), stopped));
    (address, key, stop)
}

pub(crate) fn hello(version: u16, secret: Secret) -> Frame {
    let build = Build { release: "test".to_owned(), tasks: 1, hash: 1 };
    Frame::Hello {
        version,
        build,
        role: Role::Client { workers_max: 1, place: Place::Auto },
        secret,
        nonce: version.into(),
    }
}

/// A batch about the link.
fn batch(frames: &[Frame]) -> Message {
    let mut writer = BatchWriter::default();
    frames.iter().for_each(|frame| writer.push(frame));
    Message::Binary(writer.finish(Envelope::LINK))
}

/// Says something as the first word, and hears what comes until the link ends.
async fn answers(address: &str, first: Message) -> Vec<Frame> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut socket, _) =
        tokio_tungstenite::client_async(format!("ws://{address}"), stream).await.unwrap();
    socket.send(first).await.unwrap();
    let mut heard = Vec::new();
    while let Ok(Some(Ok(Message::Binary(bytes)))) =
        timeout(Duration::from_millis(300), socket.next()).await
    {
        heard.extend(read_batch(bytes).unwrap().1);
    }
    heard
}

#[tokio::test]
async fn the_right_key_is_welcome_and_only_it() {
    let (address, key, _stop) = coordinator().await;
    let welcome = answers(&address, batch(&[hello(PROTOCOL_VERSION, key.clone())])).await;
    assert!(matches!(welcome[..], [Frame::Welcome { .. }, ..]), "{welcome:?}");
    let (ours, theirs) = (PROTOCOL_VERSION, PROTOCOL_VERSION + 1);
    let differs = format!("version {theirs}, the coordinator {ours}");
    for (first, reason) in [
        (hello(ours, Secret([0; 32])), "secret"),
        (hello(theirs, key), &*differs),
        (Frame::Heartbeat {}, "a hello was expected"),
    ] {
        let turned = answers(&address, batch(std::slice::from_ref(&first))).await;
        match &turned[..] {
            [Frame::Turned { reason: given }] => assert!(given.contains(reason), "{given}"),
            other => panic!("{first} was answered by {other:?}"),
        }
    }
}

/// A node of another version cannot even be read; it is told why, in words that name both.
#[tokio::test]
async fn another_version_is_named() {
    let (address, key, _stop) = coordinator().await;
    let Message::Binary(hello) = batch(&[hello(PROTOCOL_VERSION, key)]) else { unreachable!() };
    let mut older = hello.to_vec();
    older[0] -= 1;
    let turned = answers(&address, Message::Binary(older.into())).await;
    let (ours, theirs) = (PROTOCOL_VERSION, PROTOCOL_VERSION - 1);
    let words = format!("version {theirs}, this program {ours}");
    assert!(matches!(&turned[..], [Frame::Turned { reason }] if reason.contains(&words)));
}

#[tokio::test]
async fn a_worker_needs_the_secret_of_its_launch() {
    let (address, key, _stop) = coordinator().await;
    let build = Build { release: "test".to_owned(), tasks: 1, hash: 1 };
    let role = Role::Worker { launch: 1, threads: 1, memory_bytes: 1, process: 1 };
    let hello = Frame::Hello { version: PROTOCOL_VERSION, build, role, secret: key, nonce: 5 };
    let turned = answers(&address, batch(&[hello])).await;
    assert!(matches!(&turned[..], [Frame::Turned { reason }] if reason.contains("secret")));
}

#[tokio::test]
async fn rubbish_ends_its_own_link_only() {
    let (address, key, _stop) = coordinator().await;
    for first in [
        Message::Text("hello".into()),
        Message::Binary(vec![0; 3].into()),
        Message::Binary(vec![0xff; 4096].into()),
    ] {
        let answers = answers(&address, first).await;
        assert!(matches!(&answers[..], [Frame::Turned { reason }] if reason.contains("malformed")));
    }
    for first in [batch(&[]), batch(&[Frame::Heartbeat {}, Frame::Heartbeat {}])] {
        assert_eq!(answers(&address, first).await, [], "no answer to who says nothing");
    }
    let mut silent = TcpStream::connect(&address).await.unwrap();
    silent.write_all(b"GET /nonsense HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    timeout(Duration::from_secs(20), silent.read_to_end(&mut answer)).await.unwrap().ok();
    let welcome = answers(&address, batch(&[hello(PROTOCOL_VERSION, key)])).await;
    assert!(matches!(welcome[..], [Frame::Welcome { .. }, ..]));
}

type Socket = tokio_tungstenite::WebSocketStream<TcpStream>;

async fn say(session: &mut Session, frame: Frame, socket: &mut Socket) {
    let mut writer = BatchWriter::default();
    writer.push(&frame);
    session.seal(writer);
    while let Some(bytes) = session.next_batch() {
        socket.send(Message::Binary(bytes)).await.unwrap();
    }
}

/// Offers come only to who asked for them: however many a node asked for, it gets them all, as fast
/// as it reads.
#[tokio::test]
async fn who_asks_for_much_gets_it_as_it_reads() {
    const VALUES: u64 = 32;
    let limits = Limits { queued_bytes_max: 1 << 20, ..Limits::default() };
    let settings = Settings { limits, ..Settings::default() };
    let (address, key, _stop) = coordinator_with(settings).await;
    let stream = TcpStream::connect(&address).await.unwrap();
    let (mut socket, _) =
        tokio_tungstenite::client_async(format!("ws://{address}"), stream).await.unwrap();
    let channel = ChannelId(1);
    let parcel = Parcel { payload: vec![0; 1 << 20].into(), ..Parcel::default() };
    socket.send(batch(&[hello(PROTOCOL_VERSION, key)])).await.unwrap();
    let Some(Ok(welcome)) = socket.next().await else { panic!("no welcome") };
    let mut session = match &read_batch(welcome.into_data()).unwrap().1[..] {
        [Frame::Welcome { epoch, .. }] => Session::new(*epoch),
        other => panic!("{other:?}"),
    };
    let mut frames =
        vec![Frame::Export { channel, capacity: VALUES as u32, senders: 1, receivers: 1 }];
    frames.extend((0..VALUES).map(|_| Frame::Restore { channel, parcel: parcel.clone() }));
    let receive =
        |operation| Frame::Receive { channel, operation: OperationId(operation), select: 0 };
    frames.extend((0..VALUES).map(receive));
    for frame in frames {
        say(&mut session, frame, &mut socket).await;
    }
    let (mut offers, mut inbox) = (0, Inbox::default());
    while offers < VALUES {
        let message = socket.next().await.expect("the link is whole").unwrap();
        let bytes = message.into_data();
        let size = bytes.len();
        let (envelope, heard) = read_batch(bytes).unwrap();
        assert_eq!(session.receive(envelope, &heard, size), Ok(Received::New));
        for frame in heard.into_iter().filter_map(|frame| inbox.receive(frame).unwrap()) {
            match frame {
                Frame::Offer { parcel: offered, .. } => {
                    assert_eq!(offered, parcel);
                    offers += 1;
                }
                Frame::Turned { reason } => panic!("after {offers} offers: {reason}"),
                _ => {}
            }
        }
        if let Some(acknowledgement) = session.acknowledgement() {
            socket.send(Message::Binary(acknowledgement)).await.unwrap();
        }
    }
    // The link is still there: its last words are the answer to these.
    say(&mut session, Frame::Goodbye {}, &mut socket).await;
    let mut last = Vec::new();
    while let Some(Ok(Message::Binary(bytes))) = socket.next().await {
        last = read_batch(bytes).unwrap().1;
    }
    assert!(matches!(&last[..], [Frame::Turned { reason }] if reason == "goodbye"), "{last:?}");
}
