//! A session as the server has it: what was said and heard, and the socket, while there is one.
//!
//! It is *linked* or *adrift*; what is said to it while it is adrift, or while it does not read,
//! waits here, within the bounds of `backlog.rs`. It goes with the session, by fence or goodbye.
//!
//! What waits are frames, whose values are the channels' own, not copies: a batch is written only
//! when the socket is about to need it and the session's window is open. So large values take turns
//! ([`channels::chunks`]) up to the last moment, and a node that does not read costs a window.

use std::time::Duration;

use bytes::Bytes;
use channels::chunks::Outbox;
use channels::id::{ChannelId, OperationId, SessionId};
use channels::session::{Fault, Keys, Received, Session, Window};
use channels::wire::{BATCH_BYTES_TARGET, BatchWriter, Envelope, Frame, Secret, link_batch};

use super::backlog::Backlog;
use super::socket::Outgoing;

pub(super) struct Link {
    session: Session,
    keys: Keys,
    socket: Option<Socket>,
    batch: Option<BatchWriter>,
    /// What has no room in a batch yet.
    outbox: Outbox,
    backlog: Backlog,
    /// Of its hello.
    nonce: u64,
    /// Whether it is on the list of those with something to send.
    pub(super) is_listed: bool,
    /// Which launch its worker answers.
    pub(super) launch: Option<u64>,
    /// Its process is dead, since when and how; what it sent before may still be on the way.
    pub(super) dead: Option<(Duration, String)>,
}

struct Socket {
    number: u64,
    out: Outgoing,
}

impl Link {
    /// A session that has shown a secret on a link.
    pub(super) fn new(
        shown: Secret,
        nonce: u64,
        number: u64,
        out: Outgoing,
        backlog: Backlog,
    ) -> Self {
        Self {
            session: Session::new(0),
            keys: Keys::new(shown),
            socket: Some(Socket { number, out }),
            batch: None,
            outbox: Outbox::default(),
            backlog,
            nonce,
            is_listed: false,
            launch: None,
            dead: None,
        }
    }

    /// The session is let in.
    pub(super) fn welcome(&mut self, session: SessionId, epoch: u64, lease: Duration) {
        self.session = Session::new(epoch);
        let shown = self.keys.current().clone();
        let Some(secret) = self.keys.open(&shown, Secret::random) else { return };
        let lease_ms = lease.as_millis() as u64;
        self.say(&Frame::Welcome { session, epoch, lease_ms, secret });
    }

    /// A secret is shown on a new connection: the one for the next, if it is right.
    pub(super) fn open(&mut self, epoch: u64, shown: &Secret) -> Option<Secret> {
        (epoch == self.session.epoch()).then(|| self.keys.open(shown, Secret::random))?
    }

    /// The old link is dropped before the new one is answered.
    pub(super) fn relink(
        &mut self,
        number: u64,
        out: Outgoing,
        last: u64,
        answer: &Frame,
    ) -> Result<(), Fault> {
        self.detach();
        self.session.link(last)?;
        self.socket = Some(Socket { number, out });
        self.say(answer);
        Ok(())
    }

    pub(super) fn is_born_of(&self, nonce: u64) -> bool {
        self.nonce == nonce
    }

    pub(super) fn epoch(&self) -> u64 {
        self.session.epoch()
    }

    pub(super) fn received(&self) -> u64 {
        self.session.received()
    }

    /// Whether this link is the session's own.
    pub(super) fn is_on(&self, number: u64) -> bool {
        self.socket.as_ref().is_some_and(|socket| socket.number == number)
    }

    pub(super) fn is_adrift(&self) -> bool {
        self.socket.is_none()
    }

    /// The link is of no use any more.
    pub(super) fn detach(&mut self) {
        self.session.unlink();
        if let Some(socket) = self.socket.take() {
            socket.out.cut();
        }
    }

    /// A batch came on the session's own link.
    pub(super) fn receive(
        &mut self,
        envelope: Envelope,
        frames: &[Frame],
        size: usize,
    ) -> Result<Received, Fault> {
        self.keys.confirm();
        self.session.receive(envelope, frames, size)
    }

    /// Queues a frame.
    pub(super) fn push(&mut self, frame: Frame) {
        if !self.has_room() || !self.outbox.may_be_passed(&frame) {
            return self.outbox.push_back(frame);
        }
        let batch = self.batch.get_or_insert_default();
        batch.push(&frame);
        if batch.len() >= BATCH_BYTES_TARGET {
            self.flush();
        }
    }

    /// The node does not want what was offered to a receive, which may be on its way in pieces.
    pub(super) fn give_up_offer(&mut self, channel: ChannelId, operation: OperationId) {
        self.outbox.give_up(channel, operation);
    }

    /// Sends what was queued as far as there is room, and acknowledges what it must.
    pub(super) fn flush(&mut self) {
        if let Some(batch) = self.batch.take() {
            self.session.seal(batch);
        }
        while !self.outbox.is_empty() && self.has_room() {
            let mut batch = BatchWriter::default();
            self.outbox.fill(&mut batch);
            self.session.seal(batch);
            self.send_sealed();
        }
        self.send_sealed();
    }

    fn send_sealed(&mut self) {
        let Some(socket) = &self.socket else { return };
        let next = || self.session.next_batch().or_else(|| self.session.acknowledgement());
        std::iter::from_fn(next).for_each(|batch: Bytes| socket.out.send(batch));
    }

    /// Whether another batch is of use now. If not, the writer says when it is.
    fn has_room(&self) -> bool {
        let is_open = self.session.has_room(Window::COORDINATOR);
        is_open && self.socket.as_ref().is_some_and(|socket| socket.out.has_room())
    }

    /// Time has passed. Says what is wrong, if the node does not take what it is sent.
    pub(super) fn tick(&mut self, now: Duration) -> Option<String> {
        self.session.tick();
        self.flush();
        self.backlog.look(now, self.waiting() as u64, self.session.acknowledged())
    }

    /// What waits to be read, in bytes.
    pub(super) fn waiting(&self) -> usize {
        self.session.kept_bytes() + self.outbox.bytes()
    }

    /// The session is over.
    pub(super) fn part(mut self, reason: String) {
        self.flush();
        // Its last words are few, for nobody waits for values any more.
        while !self.outbox.is_empty() {
            let mut batch = BatchWriter::default();
            self.outbox.fill(&mut batch);
            self.session.seal(batch);
        }
        self.send_sealed();
        self.say(&Frame::Turned { reason });
    }

    /// Says something about the link.
    fn say(&self, frame: &Frame) {
        if let Some(socket) = &self.socket {
            socket.out.send(link_batch(frame));
        }
    }
}
