//! Credits: free places of a channel's buffer that are kept for one session, so that its sends
//! return Ok without a round trip.
//!
//! One session at a time holds credits of a channel, so that no other can see that a send has
//! returned whose value is not here yet: whoever else would send, close, measure, or find the
//! channel empty, has the credits called back first, and waits (in the `gate`) until they are home.
//! The order of a channel stays what it is without credits.
//!
//! States: *nobody's* -> *held* (the holder may spend them: each value that comes costs one) ->
//! *called back* (nothing more is given; the holder repays what it has not spent, and what it has
//! spent comes before that, for its frames are in order) -> nobody's.
//!
//! The rule: credits out + values here (buffered, or on offer) <= capacity. A holder that dies or
//! gives its handles back takes its credits along: what it had spent and had not arrived never
//! happened (contract D4).

use channels::id::SessionId;
use channels::wire::{CHUNK_BYTES_MAX, WHOLE_BYTES_MAX};

/// No session holds more of one channel.
pub const CREDITS_MAX: usize = 16 << 10;
/// No session has credits of one channel for more bytes, if its values stay as large as they were.
pub const CREDIT_BYTES_MAX: usize = 4 << 20;
/// So many sends in a row, without another session in between, earn credits.
const PATIENCE: u32 = 2;
/// The same, for a session whose credits were called back again and again.
const PATIENCE_MAX: u32 = 256;

/// The credits of one channel.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Credits {
    /// Who sent last, and holds them if any are out.
    holder: SessionId,
    out: usize,
    called_back: bool,
    /// How often the holder has sent in a row.
    streak: u32,
    patience: u32,
    /// It had to ask for its last send: it has no credits left.
    asked: bool,
    /// How large its values are, in bytes: the largest of late.
    value_bytes: usize,
    /// What was granted when the holder had given back handles less often is not out any more.
    since: u64,
}

/// Whether credits stand in somebody's way.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum CallBack {
    /// None are out.
    Home,
    /// They have been called back already.
    Underway,
    /// Their holder is to be told.
    Tell(SessionId),
}

impl Credits {
    /// None are out; this session was the last to send.
    pub fn new(sender: SessionId) -> Self {
        let (out, streak, patience) = (0, 0, PATIENCE);
        let (called_back, asked) = (false, false);
        Self { holder: sender, out, called_back, streak, patience, asked, value_bytes: 0, since: 0 }
    }

    /// How many are out.
    pub fn out(&self) -> usize {
        self.out
    }

    /// Whether this session holds some.
    pub fn are_held_by(&self, session: SessionId) -> bool {
        self.out > 0 && self.holder == session
    }

    /// How large a value is that came.
    pub fn note_size(&mut self, bytes: usize) {
        self.value_bytes = bytes.max(self.value_bytes - self.value_bytes / 8);
    }

    /// A session sends without a credit. So often has it given handles back.
    pub fn on_send(&mut self, session: SessionId, detaches: u64) {
        if self.holder != session && self.out == 0 {
            (self.holder, self.streak, self.since) = (session, 0, detaches);
        }
        if self.holder == session {
            self.streak = self.streak.saturating_add(1);
            self.asked = true;
        }
    }

    /// Leases free places to the last sender if that pays. None while somebody waits for them.
    pub fn grant(&mut self, capacity: usize, length: usize) -> Option<(SessionId, u32)> {
        let is_too_large = self.value_bytes > WHOLE_BYTES_MAX;
        if self.called_back || self.streak < self.patience || is_too_large {
            return None;
        }
        // A bug on purpose, for the checks: one more than there is room for.
        let planted = usize::from(cfg!(planted = "credits"));
        let free = (capacity + planted).saturating_sub(length + self.out);
        let most = (CREDIT_BYTES_MAX / self.value_bytes.max(1)).clamp(1, CREDITS_MAX);
        let grant = free.min(most.saturating_sub(self.out));
        // A few are not worth a frame, unless the sender waits for each. Those that it did not ask
        // for may cross with its asking, so that its value comes twice: not if that is large.
        let enough = match self.asked {
            true => 1,
            false if self.value_bytes > CHUNK_BYTES_MAX => usize::MAX,
            false => (capacity.min(most) / 4).max(1),
        };
        if grant < enough {
            return None;
        }
        self.asked = false;
        self.out += grant;
        Some((self.holder, grant as u32))
    }

    /// Values came that were sent under credits. False if there were not as many.
    #[must_use]
    pub fn spend(&mut self, session: SessionId, count: usize) -> bool {
        let may = self.are_held_by(session) && self.out >= count;
        self.out -= if may { count } else { 0 };
        may
    }

    /// A session gives credits back, and has to earn new ones; more than it has is as many as it
    /// has. They were granted when it had given back handles so often.
    pub fn repay(&mut self, session: SessionId, credits: usize, detaches: u64) {
        if self.are_held_by(session) && detaches >= self.since {
            self.out -= credits.min(self.out);
            (self.streak, self.asked) = (0, false);
        }
    }

    /// Another needs the credits.
    pub fn call_back(&mut self) -> CallBack {
        self.streak = 0;
        if self.out == 0 {
            return CallBack::Home;
        }
        if std::mem::replace(&mut self.called_back, true) {
            return CallBack::Underway;
        }
        self.patience = (2 * self.patience).min(PATIENCE_MAX);
        CallBack::Tell(self.holder)
    }

    /// Whoever waited for the credits has had its turn.
    pub fn resume(&mut self) {
        self.called_back = false;
    }

    /// A session has no handle to send any more, or is dead. So often has it given handles back.
    pub fn leave(&mut self, session: SessionId, detaches: u64) {
        if self.holder == session {
            (self.out, self.streak, self.asked, self.since) = (0, 0, false, detaches);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: SessionId = SessionId(1);
    const OTHER: SessionId = SessionId(2);

    /// Credits of a session that has sent twice on a channel of so many places.
    fn earned(capacity: usize) -> Credits {
        let mut credits = Credits::new(ONE);
        for _ in 0..PATIENCE {
            assert_eq!(credits.grant(capacity, 0), None, "they are to be earned");
            credits.on_send(ONE, 0);
        }
        credits
    }

    #[test]
    fn no_more_are_out_than_there_is_room_for() {
        let mut credits = earned(8);
        assert_eq!(credits.grant(8, 3), Some((ONE, 5)));
        assert_eq!(credits.grant(8, 3), None);
        assert!(!credits.spend(OTHER, 1) && credits.spend(ONE, 1));
        assert_eq!((credits.out(), credits.grant(8, 4)), (4, None), "it is in the buffer now");
        assert_eq!(credits.grant(8, 2), Some((ONE, 2)), "two were taken");
    }

    #[test]
    fn what_is_called_back_is_told_once_and_to_be_earned_anew() {
        let mut credits = earned(4);
        assert_eq!(credits.grant(4, 0), Some((ONE, 4)));
        assert_eq!(credits.call_back(), CallBack::Tell(ONE));
        assert_eq!(credits.call_back(), CallBack::Underway);
        assert!(credits.spend(ONE, 1), "it was sent before");
        credits.repay(ONE, 100, 0);
        assert_eq!((credits.out(), credits.call_back()), (0, CallBack::Home));
        credits.resume();
        for _ in 0..2 * PATIENCE {
            assert_eq!(credits.grant(4, 0), None);
            credits.on_send(ONE, 0);
        }
        assert_eq!(credits.grant(4, 0), Some((ONE, 4)));
    }

    #[test]
    fn a_dead_holder_has_none() {
        let mut credits = earned(4);
        assert_eq!(credits.grant(4, 0), Some((ONE, 4)));
        credits.leave(OTHER, 0);
        assert_eq!(credits.out(), 4);
        credits.leave(ONE, 1);
        assert_eq!((credits.out(), credits.spend(ONE, 1)), (0, false));
    }

    /// Some were on their way to it when it gave its handles back, and go back when it has others.
    #[test]
    fn what_is_void_is_not_repaid() {
        let mut credits = earned(4);
        assert_eq!(credits.grant(4, 0), Some((ONE, 4)));
        credits.leave(ONE, 1);
        (0..PATIENCE).for_each(|_| credits.on_send(ONE, 1));
        assert_eq!(credits.grant(4, 0), Some((ONE, 4)));
        credits.repay(ONE, 4, 0);
        assert_eq!(credits.out(), 4, "those that it has now");
        credits.repay(ONE, 4, 1);
        assert_eq!(credits.out(), 0);
    }

    #[test]
    fn large_values_earn_few_and_none_that_may_cross() {
        let mut credits = earned(100);
        credits.note_size(CREDIT_BYTES_MAX / 3);
        assert_eq!(credits.grant(100, 0), Some((ONE, 3)));
        assert!(credits.spend(ONE, 1));
        assert_eq!(credits.grant(100, 1), None, "it has not asked");
        credits.on_send(ONE, 0);
        assert_eq!(credits.grant(100, 1), Some((ONE, 1)));
    }
}
