//! The order of frames in a session: each is numbered, none is missing, none comes twice.
//!
//! One socket keeps order by itself. The numbers are there for the session that outlives a socket:
//! what is received is acknowledged, and a batch that does not continue the sequence is refused.

use crate::wire::Envelope;

/// One direction each, of one session, as one side sees it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sequence {
    epoch: u64,
    sent: u64,
    received: u64,
}

/// A batch that does not continue the sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "frame {came} of epoch {came_epoch} came where frame {expected} of epoch {epoch} was expected"
)]
pub struct OutOfSequence {
    came: u64,
    came_epoch: u64,
    expected: u64,
    epoch: u64,
}

impl Sequence {
    /// The head of the next batch to send.
    pub fn envelope(&self) -> Envelope {
        Envelope { epoch: self.epoch, sequence: self.sent + 1, acknowledged: self.received }
    }

    /// A batch of so many frames was sent.
    pub fn sent(&mut self, frames: u64) {
        self.sent += frames;
    }

    /// A batch of so many frames came.
    pub fn receive(&mut self, envelope: Envelope, frames: u64) -> Result<(), OutOfSequence> {
        let expected = self.received + 1;
        if envelope.epoch != self.epoch || envelope.sequence != expected {
            let (came, came_epoch) = (envelope.sequence, envelope.epoch);
            return Err(OutOfSequence { came, came_epoch, expected, epoch: self.epoch });
        }
        self.received += frames;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_continue_each_other_or_are_refused() {
        let (mut here, mut there) = (Sequence::default(), Sequence::default());
        let first = here.envelope();
        here.sent(3);
        assert_eq!(there.receive(first, 3), Ok(()));
        assert!(there.receive(first, 3).is_err(), "a repetition");
        let second = here.envelope();
        here.sent(1);
        let third = here.envelope();
        assert!(there.receive(third, 1).is_err(), "a gap");
        assert_eq!(there.receive(second, 1), Ok(()));
        assert_eq!(there.envelope().acknowledged, 4);
    }
}
