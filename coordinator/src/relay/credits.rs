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

/// No session holds more of one channel.
pub const CREDITS_MAX: usize = 16 << 10;
/// So many sends in a row, without another session in between, earn credits.
const PATIENCE: u32 = 2;
/// The same, for a session whose credits were called back again and again.
const PATIENCE_MAX: u32 = 256;

/// The credits of one channel.
#[derive(Debug)]
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
        Self { holder: sender, out, called_back: false, streak, patience, asked: false }
    }

    /// How many are out.
    pub fn out(&self) -> usize {
        self.out
    }

    /// Whether this session holds some.
    pub fn are_held_by(&self, session: SessionId) -> bool {
        self.out > 0 && self.holder == session
    }

    /// A session sends without a credit.
    pub fn on_send(&mut self, session: SessionId) {
        if self.holder != session && self.out == 0 {
            (self.holder, self.streak) = (session, 0);
        }
        if self.holder == session {
            self.streak = self.streak.saturating_add(1);
            self.asked = true;
        }
    }

    /// Leases free places to the last sender if that pays. None while somebody waits for them.
    pub fn grant(&mut self, capacity: usize, length: usize) -> Option<(SessionId, u32)> {
        if self.called_back || self.streak < self.patience {
            return None;
        }
        // A bug on purpose, for the checks: one more than there is room for.
        let planted = usize::from(cfg!(planted = "credits"));
        let free = (capacity + planted).saturating_sub(length + self.out);
        let grant = free.min(CREDITS_MAX.saturating_sub(self.out));
        // A few are not worth a frame, unless the sender waits for each.
        let enough = if self.asked { 1 } else { (capacity / 4).max(1) };
        if grant < enough {
            return None;
        }
        self.asked = false;
        self.out += grant;
        Some((self.holder, grant as u32))
    }

    /// A value came that was sent under a credit. False if there was none.
    #[must_use]
    pub fn spend(&mut self, session: SessionId) -> bool {
        let may = self.are_held_by(session);
        self.out -= usize::from(may);
        may
    }

    /// A session gives credits back, and has to earn new ones; more than it has is as many as it
    /// has.
    pub fn repay(&mut self, session: SessionId, credits: usize) {
        if self.are_held_by(session) {
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

    /// A session has no handle to send any more, or is dead.
    pub fn leave(&mut self, session: SessionId) {
        if self.holder == session {
            (self.out, self.streak, self.asked) = (0, 0, false);
        }
    }
}
