//! One session as one of its two sides sees it: frames in order, each exactly once, over links that
//! break. Pure: bytes, numbers and secrets go in and out; the shells have the sockets and clocks.
//!
//! # States
//!
//! A session is *linked* (a socket carries its batches) or *adrift* (the last one broke), in turns,
//! until it is *over*. In both, frames are numbered and kept encoded until the other side says that
//! it has them; only a linked one sends. A new link begins with each side saying the number of the
//! last frame that it has ([`Session::link`]), and each goes on after that: what was lost on the
//! way is sent again, what was not is not.
//!
//! ```text
//!            Hello, Welcome                  the link breaks
//!   (none) ------------------> linked ------------------------------> adrift
//!                                ^      Resume, Resumed                 |
//!                                +--------------------------------------+
//!   either -- goodbye, a broken rule, or the lease runs out (fenced) --> over
//! ```
//!
//! # Who dies when
//!
//! - A *link* is dropped by whoever sees it break, be silent, or leave a gap. Nothing else happens.
//! - The *session* ends when the coordinator fences it: silence for the lease, a broken rule, or a
//!   process known to be dead. A node that cannot be sure to be within its lease ends by itself,
//!   earlier.
//! - Over is final. What was not acknowledged is dropped with the session and never carried into
//!   another: the coordinator cannot know how much of it had come, and a part of it might happen
//!   twice, or the rest without its beginning.
//! - When the other side *does not acknowledge*, no new frames are taken at the [`Window`]. The
//!   coordinator, for which much may wait, cuts off a node that is too far behind.
//!
//! # Secrets
//!
//! Each link is opened by a secret and brings the next one ([`Keys`]). The old one is good until
//! something arrives under the new one: if the answer is lost on the way, the node is not locked
//! out, and asked again, gets the same answer. After that it opens nothing.
//!
//! # Invariants
//!
//! - `acknowledged <= given <= sent`: the other side has, is being sent, and there is.
//! - The old link is dropped before a new one is answered, so that a frame on it cannot come after
//!   the number that the answer gave.
//! - Acknowledgements alone are not numbered, so none is ever acknowledged.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::wire::{BatchWriter, Envelope, Frame, Secret};

/// A batch costs at least so many bytes of memory, however short it is.
const BATCH_COST_MIN: usize = 320;

/// What may be sent and not acknowledged. It is exceeded by one batch at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// In bytes of memory.
    pub bytes: usize,
    /// In frames.
    pub frames: u64,
}

impl Window {
    /// Of a node: enough for a fast link, and little beside the program's own memory. The other
    /// side acknowledges each quarter of it unasked.
    pub const NODE: Self = Self { bytes: 4 << 20, frames: 1 << 16 };

    /// Of the coordinator to each node. The same, for the node acknowledges as much unasked.
    pub const COORDINATOR: Self = Self::NODE;
}

/// One side of a session.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Session {
    epoch: u64,
    /// The last frame that has a number.
    sent: u64,
    /// The last frame that the other side has.
    acknowledged: u64,
    /// The last frame that came.
    received: u64,
    /// What the other side knows of that.
    told: u64,
    untold_bytes: usize,
    debt: Debt,
    kept: VecDeque<Kept>,
    kept_bytes: usize,
    /// How many of the kept batches the present link has been given.
    given: usize,
    linked: bool,
}

/// A batch that the other side may not have.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Kept {
    last: u64,
    bytes: Bytes,
}

impl Kept {
    fn cost(&self) -> usize {
        self.bytes.len().max(BATCH_COST_MIN)
    }
}

/// Whether an acknowledgement is due.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum Debt {
    Nothing,
    /// With the next batch, or at the next tick.
    Soon,
    /// Even if there is nothing else to say.
    Now,
}

/// What became of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Received {
    /// Its frames are to be handled.
    New,
    /// It came before.
    Repeated,
}

/// A batch that cannot be taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Something before it is missing: the link is dropped, and the next one begins with what is.
    #[error("frame {came} came where frame {expected} was expected")]
    Gap {
        /// Its first frame.
        came: u64,
        /// The one after the last that came.
        expected: u64,
    },
    /// No node that keeps the rules sends it: the session is over.
    #[error("{0}")]
    Rule(&'static str),
}

impl Session {
    /// A session without frames, linked.
    pub fn new(epoch: u64) -> Self {
        Self {
            epoch,
            sent: 0,
            acknowledged: 0,
            received: 0,
            told: 0,
            untold_bytes: 0,
            debt: Debt::Nothing,
            kept: VecDeque::new(),
            kept_bytes: 0,
            given: 0,
            linked: true,
        }
    }

    /// Which incarnation this is.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The number of the last frame that came.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The number of the last frame sent.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// The number of the last frame that the other side is known to have.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Memory of what is not acknowledged.
    pub fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// Whether a batch may be sealed within the window.
    pub fn has_room(&self, window: Window) -> bool {
        self.kept_bytes < window.bytes && self.sent - self.acknowledged < window.frames
    }

    /// Numbers the frames of a batch, and keeps it. It leaves by [`Session::next_batch`].
    pub fn seal(&mut self, batch: BatchWriter) {
        let frames = batch.frames();
        let bytes = batch.finish(self.envelope());
        self.sent += frames;
        let kept = Kept { last: self.sent, bytes };
        self.kept_bytes += kept.cost();
        self.kept.push_back(kept);
    }

    /// The next batch for the present link, in order. It is kept all the same.
    pub fn next_batch(&mut self) -> Option<Bytes> {
        if !self.linked {
            return None;
        }
        let next = self.kept.get(self.given)?;
        self.given += 1;
        Some(next.bytes.clone())
    }

    /// An acknowledgement that must go alone, now.
    pub fn acknowledgement(&mut self) -> Option<Bytes> {
        let due = self.linked && self.debt == Debt::Now;
        due.then(|| BatchWriter::default().finish(self.envelope()))
    }

    /// Whether a batch must go, though there is nothing new to say.
    pub fn is_due(&self) -> bool {
        self.linked && (self.debt == Debt::Now || self.given < self.kept.len())
    }

    /// Time has passed: what was not acknowledged on the way is now.
    pub fn tick(&mut self) {
        if self.debt == Debt::Soon {
            self.debt = Debt::Now;
        }
    }

    /// Takes a batch of so many bytes in. An error leaves all as it was.
    pub fn receive(
        &mut self,
        envelope: Envelope,
        frames: &[Frame],
        bytes: usize,
    ) -> Result<Received, Fault> {
        let Envelope { epoch, sequence: came, acknowledged } = envelope;
        if epoch != self.epoch {
            return Err(Fault::Rule("a batch of another epoch came"));
        }
        if acknowledged > self.sent {
            return Err(Fault::Rule("a frame was acknowledged that was never sent"));
        }
        if came == 0 {
            return Err(Fault::Rule("a frame about the link came in the middle of it"));
        }
        let (count, expected) = (frames.len() as u64, self.received + 1);
        if came > expected {
            return Err(Fault::Gap { came, expected });
        }
        if came < expected && came.saturating_add(count) > expected {
            return Err(Fault::Rule("a batch came again with more frames"));
        }
        self.acknowledge(acknowledged);
        if came < expected {
            if count > 0 {
                self.debt = Debt::Now;
            }
            return Ok(Received::Repeated);
        }
        self.received += count;
        self.untold_bytes += bytes.max(BATCH_COST_MIN);
        if count > 0 {
            let much = self.untold_bytes >= Window::NODE.bytes / 4
                || self.received - self.told >= Window::NODE.frames / 4;
            let asked = frames.iter().any(|frame| matches!(frame, Frame::Heartbeat {}));
            self.debt = self.debt.max(if much || asked { Debt::Now } else { Debt::Soon });
        }
        Ok(Received::New)
    }

    /// The link is gone.
    pub fn unlink(&mut self) {
        self.linked = false;
    }

    /// A new link is there, and the other side has every frame up to this one.
    pub fn link(&mut self, last: u64) -> Result<(), Fault> {
        let known = |kept: &Kept| kept.last == last;
        if last != self.acknowledged && !self.kept.iter().any(known) {
            return Err(Fault::Rule("a session was resumed at a frame that ends no batch"));
        }
        self.acknowledge(last);
        self.given = 0;
        self.linked = true;
        // It was told by the handshake; this confirms the new secret.
        self.debt = Debt::Now;
        Ok(())
    }

    fn acknowledge(&mut self, last: u64) {
        self.acknowledged = self.acknowledged.max(last);
        while let Some(kept) = self.kept.front().filter(|kept| kept.last <= last) {
            self.kept_bytes -= kept.cost();
            self.given = self.given.saturating_sub(1);
            self.kept.pop_front();
        }
    }

    /// The head of a batch that leaves now.
    fn envelope(&mut self) -> Envelope {
        (self.told, self.untold_bytes, self.debt) = (self.received, 0, Debt::Nothing);
        let (epoch, sequence) = (self.epoch, self.sent + 1);
        Envelope { epoch, sequence, acknowledged: self.received }
    }
}

/// The secrets that open links of one session, at the side that checks them.
#[derive(Debug)]
pub struct Keys {
    current: Secret,
    /// Told to the node, which may not have heard it.
    next: Option<Secret>,
}

impl Keys {
    /// The node has shown this one.
    pub fn new(first: Secret) -> Self {
        Self { current: first, next: None }
    }

    /// The one that was shown last.
    pub fn current(&self) -> &Secret {
        &self.current
    }

    /// A node shows a secret. If it is right, the answer is the one for the next link: the same as
    /// before as long as nothing came under it. Compares in constant time.
    pub fn open(&mut self, shown: &Secret, fresh: impl FnOnce() -> Secret) -> Option<Secret> {
        if let Some(next) = self.next.take_if(|next| next.matches(shown)) {
            self.current = next;
        } else if !self.current.matches(shown) {
            return None;
        }
        Some(self.next.get_or_insert_with(fresh).clone())
    }

    /// Something came on a link that was answered with the next one: the node has it.
    pub fn confirm(&mut self) {
        if let Some(next) = self.next.take() {
            self.current = next;
        }
    }
}

#[cfg(test)]
mod tests;
