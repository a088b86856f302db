//! Links: what the two ends of a session say over them, and how they break and are found anew.
//!
//! The ends are real [`Session`]s. A link that breaks takes along what is under way on it; its
//! number tells what belongs to it. The host asks for another until it is answered or has no lease.

use bytes::Bytes;
use channels::session::{Fault, Received, Session};
use channels::wire::{BatchWriter, Frame, read_batch};
use coordinator::Event;

use crate::host::State;
use crate::network::Happening;
use crate::planted::Plant;
use crate::world::{LEASE, World};

/// One session's ends, and which link it is on.
pub(crate) struct Link {
    pub(crate) home: Session,
    pub(crate) host: Session,
    pub(crate) number: u64,
    /// The home has ended the session.
    pub(crate) is_over: bool,
}

impl Default for Link {
    fn default() -> Self {
        Self { home: Session::new(0), host: Session::new(0), number: 0, is_over: false }
    }
}

impl World {
    /// What a host has to say leaves it.
    pub(crate) fn flush(&mut self, host: usize) {
        match self.hosts[host].state {
            State::Down => return,
            State::Frozen(until) if until > self.shared.now() => {
                return self.network.at(until, Happening::Flush(host));
            }
            State::Frozen(_) | State::Up => {}
        }
        let mut batch = BatchWriter::default();
        if self.hosts[host].node.take_outgoing(&mut batch) {
            self.shared.ring(host);
        }
        if !batch.is_empty() {
            self.links[host].host.seal(batch);
        }
        self.pump_host(host);
    }

    fn pump_host(&mut self, host: usize) {
        let (now, number) = (self.shared.now(), self.links[host].number);
        let session = &mut self.links[host].host;
        while let Some(bytes) = session.next_batch().or_else(|| session.acknowledgement()) {
            let when = self.network.arrival(host, true, now, &mut self.random);
            self.network.at(when, Happening::ToHome(host, number, bytes));
        }
    }

    pub(crate) fn pump_home(&mut self, host: usize) {
        let (now, number) = (self.shared.now(), self.links[host].number);
        let session = &mut self.links[host].home;
        while let Some(bytes) = session.next_batch().or_else(|| session.acknowledgement()) {
            let when = self.network.arrival(host, false, now, &mut self.random);
            self.network.at(when, Happening::ToHost(host, number, bytes));
        }
    }

    /// The home sends.
    pub(crate) fn send(&mut self, host: usize, batch: BatchWriter) {
        self.links[host].home.seal(batch);
        self.pump_home(host);
    }

    /// A frame that the coordinator did not send.
    pub(crate) fn forge(&mut self, host: usize, frame: &Frame) {
        let mut batch = BatchWriter::default();
        batch.push(frame);
        self.send(host, batch);
    }

    /// A batch arrives at the coordinator. What comes after a fence is passed on all the same: it
    /// must not matter.
    pub(crate) fn at_home(&mut self, host: usize, number: u64, bytes: Bytes) {
        if number != self.links[host].number {
            return;
        }
        let size = bytes.len();
        let (envelope, frames) = read_batch(bytes).expect("it was written by us");
        match self.links[host].home.receive(envelope, &frames, size) {
            Ok(received)
                if !frames.is_empty()
                    && (received == Received::New || self.plant == Plant::Repetitions) =>
            {
                frames.into_iter().for_each(|frame| self.deliver(host, frame));
            }
            Ok(_) => self.handle(Event::Heard { session: self.hosts[host].session }),
            Err(Fault::Gap { .. }) => self.cut(host),
            Err(rule) => panic!("host {host}: {rule}"),
        }
        self.pump_home(host);
    }

    pub(crate) fn at_host(&mut self, host: usize, number: u64, bytes: Bytes) {
        let now = self.shared.now();
        match self.hosts[host].state {
            State::Frozen(until) if until > now => {
                return self.network.at(until, Happening::ToHost(host, number, bytes));
            }
            State::Down => return,
            State::Up | State::Frozen(_) if number != self.links[host].number => return,
            State::Up | State::Frozen(_) => {}
        }
        let size = bytes.len();
        let (envelope, frames) = read_batch(bytes).expect("it was written by us");
        match self.links[host].host.receive(envelope, &frames, size) {
            Ok(received) => {
                self.hosts[host].heard = now;
                let new = received == Received::New;
                for frame in frames.into_iter().filter(|_| new) {
                    self.note(&format_args!("{host} <- {frame}"));
                    if let Some(frame) = self.hosts[host].node.receive(frame) {
                        self.hosts[host].on_frame(frame);
                    }
                }
            }
            Err(Fault::Gap { .. }) => self.cut(host),
            Err(rule) => panic!("host {host}: {rule}"),
        }
        self.pump_host(host);
    }

    /// The link breaks, and the host looks for another.
    pub(crate) fn cut(&mut self, host: usize) {
        let link = &mut self.links[host];
        link.number += 1;
        link.home.unlink();
        link.host.unlink();
        let pause = u64::from(self.random.below(1500));
        self.network.at(self.shared.now() + pause, Happening::Retry(host));
    }

    /// The host shows what it has. On a link that breaks in the handshake it asks again.
    pub(crate) fn retry(&mut self, host: usize) {
        let now = self.shared.now();
        match self.hosts[host].state {
            State::Down => return,
            State::Frozen(until) if until > now => {
                return self.network.at(until, Happening::Retry(host));
            }
            State::Frozen(_) | State::Up => {}
        }
        let (last, number) = (self.links[host].host.received(), self.links[host].number);
        let when = self.network.arrival(host, true, now, &mut self.random);
        // Without its client a program has no end that could be looked at.
        let may_break = host != 0 || now - self.hosts[host].heard < LEASE / 2;
        if self.random.once_in(4) && may_break {
            // It breaks at once, before or after the coordinator has heard.
            self.cut(host);
        }
        self.network.at(when, Happening::Resume(host, number, last));
    }

    /// The coordinator hears it, unless the session is over.
    pub(crate) fn resume(&mut self, host: usize, number: u64, last: u64) {
        if number != self.links[host].number {
            return;
        }
        let now = self.shared.now();
        let when = self.network.arrival(host, false, now, &mut self.random);
        if self.links[host].is_over {
            return self.network.at(when, Happening::Closed(host, number));
        }
        let home = &mut self.links[host].home;
        home.unlink();
        home.link(last).expect("it has what it says");
        let last = match self.plant {
            Plant::Repetitions => self.links[host].host.acknowledged(),
            _ => home.received(),
        };
        self.network.at(when, Happening::Resumed(host, number, last));
        self.handle(Event::Heard { session: self.hosts[host].session });
        self.pump_home(host);
    }

    /// The host hears the answer, and goes on after what the coordinator has.
    pub(crate) fn resumed(&mut self, host: usize, number: u64, last: u64) {
        if number != self.links[host].number || self.hosts[host].state == State::Down {
            return;
        }
        self.links[host].host.link(last).expect("it has what it says");
        self.hosts[host].heard = self.shared.now();
        self.resumed += 1;
        self.pump_host(host);
    }
}
