//! The server's loop, driven by hand: what comes from sockets goes in, and no socket is there.

use channels::id::OperationId;
use channels::session::Session;
use channels::wire::{Build, PROTOCOL_VERSION, Place, Role, SpawnOptions, read_batch};

use super::socket::{Outgoing, Waiting};
use super::*;

/// Launches nothing, and forgets nothing.
#[derive(Default)]
struct Nowhere(Vec<(Launch, Ended)>);

impl Platform for Nowhere {
    fn launch(&mut self, launch: Launch, ended: Ended) {
        self.0.push((launch, ended));
    }

    fn stop(&mut self, _: u64) {}
}

fn server() -> Server {
    let settings = Settings { lease: Duration::from_secs(3600), ..Settings::default() };
    let config = Config { settings, client_secrets: vec![Secret([1; 32])] };
    Server::new("ws://127.0.0.1:1".to_owned(), config, Box::new(Nowhere::default()))
}

fn build() -> Build {
    Build { release: "1".to_owned(), tasks: 1, hash: 7 }
}

/// What stands in the batches that wait for a socket.
fn heard(waiting: &mut Waiting) -> Vec<Frame> {
    let batches = std::iter::from_fn(|| waiting.batches.try_recv().ok());
    batches.flat_map(|bytes| read_batch(bytes).unwrap().1).collect()
}

impl Server {
    fn open(&mut self, frame: Frame) -> (Option<Name>, Waiting) {
        let (out, waiting) = Outgoing::new();
        let (name, mut named) = oneshot::channel();
        self.on_input(Input::Opening(Box::new(Opening { frame, out, name })));
        self.flush();
        (named.try_recv().unwrap(), waiting)
    }

    fn hello(&mut self, role: Role, secret: Secret) -> (Name, Waiting, Session, Secret) {
        let version = PROTOCOL_VERSION;
        let hello = Frame::Hello { version, build: build(), role, secret, nonce: 5 };
        let (name, mut waiting) = self.open(hello);
        match heard(&mut waiting).into_iter().next() {
            Some(Frame::Welcome { epoch, secret, .. }) => {
                (name.unwrap(), waiting, Session::new(epoch), secret)
            }
            other => panic!("{other:?}"),
        }
    }

    fn batch(&mut self, name: Name, session: &mut Session, frame: &Frame) {
        let mut batch = channels::wire::BatchWriter::default();
        batch.push(frame);
        session.seal(batch);
        let bytes = session.next_batch().unwrap();
        let size = bytes.len();
        let (envelope, frames) = read_batch(bytes).unwrap();
        self.on_input(Input::Batch { name, envelope, frames, size });
        self.flush();
    }

    fn client(&mut self) -> (Name, Waiting, Session, Secret) {
        let role = Role::Client { workers_max: 1, place: Place::Auto };
        self.hello(role, Secret([1; 32]))
    }
}

fn inspect(operation: u64) -> Frame {
    Frame::Inspect { operation: OperationId(operation) }
}

/// A batch may have been read from the old socket before the new one was answered, and come in
/// after: the answer has said that it did not come, so it must not.
#[test]
fn a_batch_of_a_link_that_was_replaced_is_not_looked_at() {
    let mut server = server();
    let (old, mut before, mut session, secret) = server.client();
    server.batch(old, &mut session, &inspect(1));
    assert!(matches!(heard(&mut before)[..], [Frame::Inspected { .. }]));
    let resume = Frame::Resume { session: old.session, epoch: session.epoch(), last: 0, secret };
    let (new, mut after) = server.open(resume);
    let answers = heard(&mut after);
    assert!(
        matches!(answers[..], [Frame::Resumed { last: 1, .. }, Frame::Inspected { .. }]),
        "the answer that was not acknowledged comes again: {answers:?}"
    );
    assert!(before.ended.try_recv().is_ok(), "the old socket is cut");
    server.batch(old, &mut session, &inspect(2));
    assert!(heard(&mut after).is_empty());
    session.unlink();
    session.link(1).unwrap();
    let bytes = session.next_batch().unwrap();
    let (envelope, frames) = read_batch(bytes).unwrap();
    let name = new.unwrap();
    server.on_input(Input::Batch { name, envelope, frames, size: 100 });
    server.flush();
    assert!(matches!(heard(&mut after)[..], [Frame::Inspected { .. }]));
    server.on_left(old, Leaving::Broke("late news".to_owned()));
    assert!(!server.links[&name.session].is_adrift(), "the end of the old link is none of it");
}

/// What a session is told while it is adrift waits for it.
#[test]
fn frames_wait_for_a_session_that_is_adrift() {
    let mut server = server();
    let (name, _before, session, secret) = server.client();
    server.on_left(name, Leaving::Broke("cut".to_owned()));
    for operation in 1..=3 {
        let frame = Frame::Ready { operation: OperationId(operation) };
        server.perform(Command::Send { session: name.session, frame });
        server.flush();
    }
    let resume = Frame::Resume { session: name.session, epoch: session.epoch(), last: 0, secret };
    let (_, mut after) = server.open(resume);
    let frames = heard(&mut after);
    assert!(matches!(frames[0], Frame::Resumed { .. }) && frames.len() == 4, "{frames:?}");
}

/// All that a dead process sent is handled before it is fenced; but nobody waits for ever for the
/// end of its link.
#[test]
fn a_dead_process_is_fenced_when_its_link_was_read_to_the_end() {
    for link_ends in [true, false] {
        let mut server = server();
        let (client, mut news, mut session, _) = server.client();
        let spawn = Frame::Spawn {
            task: channels::id::TaskId(1),
            name: "task".to_owned(),
            signature: 1,
            options: SpawnOptions::default(),
            result: channels::id::ChannelId(1),
            arguments: Default::default(),
        };
        server.batch(client, &mut session, &spawn);
        let secret = server.launches[&1].clone();
        let role = Role::Worker { launch: 1, threads: 1, memory_bytes: 1, process: 1 };
        let (worker, _waiting, ..) = server.hello(role, secret);
        server.on_ended(1, "signal 9".to_owned());
        assert!(server.links.contains_key(&worker.session), "its last words may be on the way");
        if link_ends {
            server.on_left(worker, Leaving::Broke("closed".to_owned()));
        } else {
            let (channel, operation) = (channels::id::ChannelId(1), OperationId(1));
            let receive = Frame::Receive { channel, operation, select: 0 };
            server.batch(client, &mut session, &receive);
            server.lease = Duration::ZERO;
            while server.links.contains_key(&worker.session) {
                server.on_tick();
            }
            server.flush();
            let offered = |frame: &Frame| matches!(frame, Frame::Offer { .. });
            assert!(heard(&mut news).iter().any(offered), "the task's outcome");
        }
        assert!(!server.links.contains_key(&worker.session));
    }
}

/// What a node does not read waits as frames, not as bytes; and a heartbeat passes all of it.
#[test]
fn a_node_that_does_not_read_costs_what_its_socket_was_given() {
    let mut server = server();
    let (name, mut waiting, ..) = server.client();
    let session = name.session;
    let parcel = channels::wire::Parcel { payload: vec![7; 1 << 20].into(), ..Default::default() };
    // Not alone, values go in pieces.
    let frame = Frame::Revoke { channel: channels::id::ChannelId(2) };
    server.perform(Command::Send { session, frame });
    for operation in 1..=50 {
        let (channel, operation) = (channels::id::ChannelId(1), OperationId(operation));
        let frame = Frame::Offer { channel, operation, attempt: 1, parcel: parcel.clone() };
        server.perform(Command::Send { session, frame });
        server.flush();
    }
    let mut came = 0;
    let mut first = Some(Frame::Heartbeat {});
    let mut inbox = channels::chunks::Inbox::default();
    let mut node = Session::new(server.links[&session].epoch());
    while came < 51 {
        let heartbeat = first.take();
        let is_first = heartbeat.is_some();
        if let Some(frame) = heartbeat {
            server.perform(Command::Send { session, frame });
        }
        server.flush();
        let batches: Vec<_> = std::iter::from_fn(|| waiting.batches.try_recv().ok()).collect();
        let bytes: usize = batches.iter().map(bytes::Bytes::len).sum();
        assert!((1..400 << 10).contains(&bytes), "{bytes} bytes at once");
        assert!(waiting.writing.wrote(bytes), "it waits for that");
        let mut heard = Vec::new();
        for batch in batches {
            let size = batch.len();
            let (envelope, frames) = read_batch(batch).unwrap();
            assert_eq!(node.receive(envelope, &frames, size), Ok(Received::New));
            heard.extend(frames);
        }
        assert!(!is_first || !heard.contains(&Frame::Heartbeat {}), "its socket has enough");
        came += heard.into_iter().filter_map(|frame| inbox.receive(frame).unwrap()).count();
        server.on_input(Input::Drained { name });
        if let Some(bytes) = node.acknowledgement() {
            let size = bytes.len();
            let (envelope, frames) = read_batch(bytes).unwrap();
            server.on_input(Input::Batch { name, envelope, frames, size });
        }
    }
}
