//! A client in the coordinator's own process: it has a node and no link.
//!
//! Its frames are handled in the order in which the node gives them, as those of a session are, and
//! what is for it reaches the node at once: there is nothing to be numbered, acknowledged or
//! resumed. It is heard as long as the server runs. When the coordinator ends its session the node
//! is lost, as a node whose session is fenced; the server goes on without.

#![cfg_attr(
    not(feature = "service"),
    expect(dead_code, reason = "only the service has a client inside")
)]

use std::sync::Arc;

use channels::id::SessionId;
use channels::node::Node;
use channels::wire::{BatchWriter, Envelope, Frame, read_batch};
use tokio::sync::Notify;

use super::Server;
use crate::{Command, Event};

/// The client inside.
pub(super) struct Inside {
    node: Arc<Node>,
    rung: Arc<Notify>,
    pub(super) session: SessionId,
}

impl Inside {
    /// Waits until the node has something to say; without a node, for ever.
    pub(super) async fn rung(inside: Option<&Self>) {
        match inside {
            Some(inside) => inside.rung.notified().await,
            None => std::future::pending().await,
        }
    }
}

impl Server {
    /// Lets in a node of this process, as the client, whose doorbell this is.
    pub(crate) fn attach(&mut self, node: Arc<Node>, rung: Arc<Notify>) {
        let session = self.register.name_session();
        self.inside = Some(Inside { node, rung, session });
        self.handle(Event::Attached { session });
    }

    /// The node inside has something to say.
    pub(super) fn on_rung(&mut self) {
        let Some(Inside { node, session, .. }) = &self.inside else { return };
        let (node, session) = (node.clone(), *session);
        loop {
            let mut batch = BatchWriter::default();
            let more = node.take_outgoing(&mut batch);
            match read_batch(batch.finish(Envelope::LINK)) {
                Ok((_, frames)) => {
                    let events = frames.into_iter();
                    events.for_each(|frame| self.handle(Event::Received { session, frame }));
                }
                Err(error) => {
                    let cause = format!("what it says cannot be read: {error}");
                    return self.handle(Event::Lost { session, cause });
                }
            }
            if !more {
                return;
            }
        }
    }

    /// It is there as long as this process is.
    pub(super) fn hear_inside(&mut self) {
        if let Some(Inside { session, .. }) = self.inside {
            self.handle(Event::Heard { session });
        }
    }

    /// What is for the node inside; anything else comes back.
    pub(super) fn perform_inside(&mut self, command: Command) -> Option<Command> {
        let Some(Inside { node, session, .. }) = &self.inside else { return Some(command) };
        match command {
            Command::Admit { session: to, epoch, .. } if to == *session => node.set_epoch(epoch),
            Command::Send { session: to, frame } if to == *session => {
                if let Some(Frame::Deadlock { report }) = node.receive(frame) {
                    tracing::warn!("all tasks sleep, and nothing will wake them:\n{report}");
                }
            }
            Command::Close { session: to, reason } if to == *session => {
                tracing::warn!("the client inside is cut off: {reason}");
                node.lose(&reason);
                self.register.on_over(*session);
                self.inside = None;
            }
            other => return Some(other),
        }
        None
    }
}
