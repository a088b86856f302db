//! Early offers: values reserved for a session that keeps receiving, ahead of its receives, so that
//! the next receive takes one without a round trip.
//!
//! A session has asked for them: with one of its receives it said how many it would take besides
//! (`Ahead`), and each that it takes asks for one more. They are offers like any others: they count
//! against the capacity, and go back to their old places if the session dies. One session at a
//! time has them, and no value is offered ahead while a receive waits. So whoever else would
//! receive has them recalled first, and waits (in the `gate`) until each is answered: it cannot
//! get a younger value than one that nobody took.
//!
//! Most are values that passed through the channel in one piece, and are kept here in one piece;
//! answers may take any part out of it.
//!
//! States: *nobody's* -> *open* (an owner, and how many it may have at once) -> *recalled* (nothing
//! more is offered ahead; the owner answers for all that it has) -> nobody's. Numbers are never
//! used twice in a channel, so that an answer names what it means even if the window has had other
//! owners since.

use std::collections::BTreeMap;

use channels::id::SessionId;
use channels::line::Place;

use super::cargo::Passing;

/// No session has more early offers of one channel.
pub const WINDOW_MAX: usize = 4096;
/// No session has more bytes in early offers of one channel, but for the last.
pub const WINDOW_BYTES_MAX: usize = 4 << 20;

/// The early offers of one channel.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Window {
    owner: Option<SessionId>,
    size: usize,
    recalled: bool,
    /// Below this number the owner has seen all.
    seen: u64,
    /// The number of the next.
    next: u64,
    /// Those that are not answered, by the number of the first of each piece.
    out: BTreeMap<u64, Early>,
    unanswered: usize,
    bytes: usize,
}

/// A piece of the early offers, in the order of their numbers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Early {
    /// A value that the channel has on offer.
    One {
        /// Where.
        place: Place,
        /// What it costs.
        bytes: usize,
    },
    /// Values that passed through the channel.
    Passing(Passing),
}

impl Early {
    fn count(&self) -> usize {
        match self {
            Self::One { .. } => 1,
            Self::Passing(passing) => passing.parcels.len(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::One { bytes, .. } => *bytes,
            Self::Passing(passing) => passing.bytes(),
        }
    }

    /// Takes so many of its first out; not all.
    fn split_to(&mut self, count: usize) -> Self {
        match self {
            Self::One { place, bytes } => Self::One { place: *place, bytes: *bytes },
            Self::Passing(passing) => Self::Passing(passing.split_to(count)),
        }
    }
}

/// Whether early offers stand in somebody's way.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Recall {
    /// Nobody has any.
    Home,
    /// They have been recalled already.
    Underway,
    /// Their owner is to be told, and may have some.
    Tell(SessionId),
}

/// An answer to early offers that were not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unoffered;

impl Window {
    /// A session would take so many ahead. It has seen all early offers below a number. False if
    /// it gets none.
    #[must_use]
    pub fn ask(&mut self, session: SessionId, size: usize, seen: u64) -> bool {
        if self.owner.is_none() && size > 0 {
            (self.owner, self.seen) = (Some(session), 0);
        }
        if self.owner != Some(session) {
            return false;
        }
        self.seen = self.seen.max(seen);
        if !self.recalled && size > 0 {
            self.size = size.min(WINDOW_MAX);
        }
        !self.recalled
    }

    /// Whether the session asked before it saw what had been offered to it ahead.
    pub fn is_unseen_by(&self, session: SessionId) -> bool {
        let last = self.out.last_key_value();
        let is_unseen = last.is_some_and(|(first, early)| first + early.count() as u64 > self.seen);
        self.owner == Some(session) && is_unseen
    }

    /// Whose receives values may be offered ahead of, and how many.
    pub fn room(&self, capacity: usize) -> Option<(SessionId, usize)> {
        let room = self.size.min(capacity).saturating_sub(self.unanswered);
        let may = room > 0 && self.bytes < WINDOW_BYTES_MAX && !self.recalled;
        Some((self.owner.filter(|_| may)?, room))
    }

    /// Values are offered ahead, for which there is room. Says which number the first has.
    pub fn offer(&mut self, early: Early) -> u64 {
        let (first, count) = (self.next, early.count());
        self.next += count as u64;
        self.unanswered += count;
        self.bytes += early.bytes();
        self.out.insert(first, early);
        first
    }

    /// An answer to early offers in a row: what they are at the channel, in order.
    pub fn answer(
        &mut self,
        session: SessionId,
        first: u64,
        count: usize,
    ) -> Result<Vec<Early>, Unoffered> {
        let end = first.checked_add(count as u64).ok_or(Unoffered)?;
        if self.owner != Some(session) || count == 0 || !self.are_out(first, end) {
            return Err(Unoffered);
        }
        let mut answered = Vec::new();
        while let Some((at, mut early)) = self.pop_before(end) {
            if at < first {
                let rest = early.split_to((first - at) as usize);
                self.out.insert(at, rest);
                self.out.insert(first, early);
                continue;
            }
            let after = at + early.count() as u64;
            if after > end {
                let wanted = early.split_to((end - at) as usize);
                self.out.insert(end, std::mem::replace(&mut early, wanted));
            }
            self.bytes -= early.bytes();
            answered.push(early);
            if at == first {
                break;
            }
        }
        answered.reverse();
        self.unanswered -= count;
        self.rest();
        Ok(answered)
    }

    /// Takes the last piece out that begins below a number.
    fn pop_before(&mut self, end: u64) -> Option<(u64, Early)> {
        let at = *self.out.range(..end).next_back()?.0;
        Some((at, self.out.remove(&at)?))
    }

    /// Whether all from `first` to before `end` are out.
    fn are_out(&self, first: u64, end: u64) -> bool {
        let start = self.out.range(..=first).next_back().map_or(first, |(at, _)| *at);
        let mut reached = start;
        for (at, early) in self.out.range(start..end) {
            if *at != reached {
                return false;
            }
            reached += early.count() as u64;
        }
        reached >= end
    }

    /// Whether early offers of another session, or an end of them that is under way, stand in a
    /// session's way.
    pub fn stands_in_the_way_of(&self, session: SessionId) -> bool {
        self.owner.is_some_and(|owner| owner != session) || self.recalled
    }

    /// Whether a session has some that it has not answered.
    pub fn is_owed_by(&self, session: SessionId) -> bool {
        self.owner == Some(session) && self.unanswered > 0
    }

    /// Whether a session has some, or may have.
    pub fn is_owned_by(&self, session: SessionId) -> bool {
        self.owner == Some(session)
    }

    /// Whether no session has any.
    pub fn is_nobodys(&self) -> bool {
        self.owner.is_none()
    }

    /// Another needs the early offers, or the owner wants no more.
    pub fn recall(&mut self) -> Recall {
        let Some(owner) = self.owner else { return Recall::Home };
        if self.recalled {
            return Recall::Underway;
        }
        self.recalled = true;
        self.rest();
        Recall::Tell(owner)
    }

    /// A session has no handle to receive any more, or is dead: what it had goes back elsewhere.
    pub fn leave(&mut self, session: SessionId) -> Vec<Early> {
        if self.owner != Some(session) {
            return Vec::new();
        }
        self.unanswered = 0;
        self.bytes = 0;
        self.recalled = true;
        let left = std::mem::take(&mut self.out).into_values().collect();
        self.rest();
        left
    }

    /// A recalled window whose offers are all answered is nobody's.
    fn rest(&mut self) {
        if self.recalled && self.unanswered == 0 {
            (self.owner, self.size, self.recalled) = (None, 0, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use channels::line::Places;

    const ONE: SessionId = SessionId(1);
    const OTHER: SessionId = SessionId(2);

    /// A window of so many, with as many places.
    fn open(size: usize) -> (Window, Vec<Place>) {
        let (mut window, mut all) = (Window::default(), Places::default());
        assert!(window.ask(ONE, size, 0));
        let places: Vec<Place> = (0..size).map(|_| all.allot()).collect();
        for (number, place) in places.iter().enumerate() {
            assert_eq!(window.room(100), Some((ONE, size - number)));
            assert_eq!(window.offer(Early::One { place: *place, bytes: 1 }), number as u64);
        }
        (window, places)
    }

    fn ones(places: &[Place]) -> Vec<Early> {
        places.iter().map(|place| Early::One { place: *place, bytes: 1 }).collect()
    }

    #[test]
    fn each_is_answered_once_in_any_order() {
        let (mut window, places) = open(4);
        assert_eq!(window.room(100), None, "it is full");
        assert_eq!(window.answer(ONE, 1, 2), Ok(ones(&places[1..3])));
        for (session, first, count) in [(ONE, 1, 1), (ONE, 0, 2), (ONE, 3, 2), (OTHER, 0, 1)] {
            assert_eq!(window.answer(session, first, count), Err(Unoffered));
        }
        assert_eq!(window.answer(ONE, u64::MAX, 1), Err(Unoffered));
        assert_eq!(window.answer(ONE, 0, 1), Ok(ones(&places[..1])));
        assert_eq!(window.answer(ONE, 0, 1), Err(Unoffered), "numbers are not used again");
        assert_eq!(window.answer(ONE, 3, 1), Ok(ones(&places[3..])));
    }

    #[test]
    fn a_recalled_window_ends_with_its_last_answer() {
        let (mut window, _) = open(2);
        assert!(!window.ask(OTHER, 5, 0) && window.stands_in_the_way_of(OTHER));
        assert_eq!(window.recall(), Recall::Tell(ONE));
        assert_eq!((window.recall(), window.room(100)), (Recall::Underway, None));
        assert!(window.answer(ONE, 0, 1).is_ok() && !window.is_nobodys());
        assert!(window.answer(ONE, 1, 1).is_ok() && window.is_nobodys());
        assert!(window.ask(OTHER, 5, 0) && !window.stands_in_the_way_of(OTHER));
    }

    #[test]
    fn what_was_on_its_way_when_a_receive_asked_is_unseen() {
        let (mut window, _) = open(2);
        assert!(window.is_unseen_by(ONE) && !window.is_unseen_by(OTHER));
        assert!(window.ask(ONE, 2, 1) && window.is_unseen_by(ONE));
        assert!(window.ask(ONE, 2, 2) && !window.is_unseen_by(ONE));
    }

    #[test]
    fn a_dead_owner_leaves_all_of_it() {
        let (mut window, places) = open(3);
        assert!(window.answer(ONE, 1, 1).is_ok());
        assert_eq!(window.leave(OTHER), []);
        assert_eq!(window.leave(ONE), ones(&[places[0], places[2]]));
        assert!(window.is_nobodys() && window.answer(ONE, 0, 1).is_err());
    }

    #[test]
    fn neither_the_capacity_nor_bytes_are_exceeded() {
        let mut window = Window::default();
        assert!(window.ask(ONE, 100, 0));
        assert_eq!(window.room(0), None);
        window.offer(Early::One { place: Place::default(), bytes: WINDOW_BYTES_MAX });
        assert_eq!(window.room(100), None);
        assert!(window.answer(ONE, 0, 1).is_ok());
        assert_eq!(window.room(1), Some((ONE, 1)));
    }
}
