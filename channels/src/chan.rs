//! One channel: Go's rules for send, receive and close, without clock, lock, waker or socket.
//!
//! The same machine is the channel inside one process (`M` the user's type, `W` a waker) and at the
//! coordinator (`M` bytes, `W` names an operation of a remote node). There is no second one.
//!
//! A value that meets a receive is *offered*: it stays the channel's until the receive accepts it,
//! and goes back to its old place when the receive declines (its future was dropped, its worker
//! died). So a cancelled receive loses nothing, and keeps the order.
//!
//! **Invariants** (checked after every operation in debug builds)
//! - At least one of `values` and `receives` is empty.
//! - `settled`, the values here or on offer whose send has ended, is at most `capacity` (apart from
//!   values on offer whose sender died).
//! - `settled < capacity` implies that no send waits.
//! - A send waits only while its value is in `values` or on offer.
//! - Once the channel has ended, no send waits but those whose value is on offer, and no receive
//!   waits unless a value is on offer that might yet come back.

use std::collections::{BTreeMap, BTreeSet};

use crate::line::{Line, Place};
use crate::wire::End;

/// A channel of messages `M` whose waiting operations are called back through `W`.
#[derive(Debug)]
pub struct Chan<M, W> {
    capacity: usize,
    /// Values in the order of their sends, less those on offer.
    values: Line<M>,
    /// Sends that wait, each at the place of its value.
    sends: Line<W>,
    /// Receives that wait without an offer.
    receives: Line<W>,
    /// Values on offer, by the place of the receive.
    offers: BTreeMap<Place, Offer<M, W>>,
    /// Values on offer whose sender died: they may still be taken, but never come back.
    orphans: BTreeSet<Place>,
    /// Values of refused sends, until their senders fetch them.
    refused: BTreeMap<Place, M>,
    settled: usize,
    end: Option<End>,
}

#[derive(Debug)]
struct Offer<M, W> {
    value: Place,
    message: M,
    receive: W,
}

/// An operation that ended, or got an offer, because of another.
#[derive(Debug, PartialEq, Eq)]
pub struct Effect<W> {
    /// Whom it concerns.
    pub waiter: W,
    /// The place that the operation was given when it parked.
    pub place: Place,
    /// What happened to it.
    pub turn: Turn,
}

/// What happened to a parked operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The send's value is in the buffer or was taken: the send returns Ok.
    Sent,
    /// The channel ended first; the value is at [`Chan::take_refused`].
    Refused,
    /// A value is reserved for the receive: [`Chan::accept`] or [`Chan::decline`] it.
    Offered,
    /// The channel ended and is drained.
    Ended,
}

/// The outcome of a send at once.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Sent<M> {
    /// The value is in the buffer.
    Done,
    /// The send waits; an [`Effect`] will tell.
    Parked(Place),
    /// The channel has ended. Here is the value back.
    Refused(M),
}

/// The outcome of a receive at once.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Received<M> {
    /// The value, taken.
    Message(M),
    /// Nothing there now.
    Empty,
    /// Nothing there and nothing will come.
    Ended(End),
}

/// Where a parked send stands.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum SendStatus<M> {
    /// It waits.
    Waiting,
    /// It has returned Ok.
    Sent,
    /// The channel ended first. Here is the value back.
    Refused(M),
}

impl<M, W: Clone> Chan<M, W> {
    /// An open, empty channel. Capacity 0 is a rendezvous.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            values: Line::default(),
            sends: Line::default(),
            receives: Line::default(),
            offers: BTreeMap::new(),
            orphans: BTreeSet::new(),
            refused: BTreeMap::new(),
            settled: 0,
            end: None,
        }
    }

    /// How many values the buffer holds at most.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many values the buffer holds now, those on offer included (C08).
    pub fn len(&self) -> usize {
        self.settled
    }

    /// Whether the buffer holds nothing.
    pub fn is_empty(&self) -> bool {
        self.settled == 0
    }

    /// How the channel ended, if it has.
    pub fn ended(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Sends a value (C09, C10). `waiter` is called back if the send has to wait.
    pub fn send(
        &mut self,
        message: M,
        waiter: impl FnOnce() -> W,
        effect: &mut impl FnMut(Effect<W>),
    ) -> Sent<M> {
        if self.end.is_some() {
            return Sent::Refused(message);
        }
        let place = self.values.push(message);
        let sent = if self.settled < self.capacity {
            self.settled += 1;
            Sent::Done
        } else {
            self.sends.push_at(place, waiter());
            Sent::Parked(place)
        };
        self.match_up(effect);
        sent
    }

    /// Puts a value into the buffer whose send returned before the channel came to this home.
    pub fn restore_sent(&mut self, message: M, effect: &mut impl FnMut(Effect<W>)) {
        self.values.push(message);
        self.settled += 1;
        self.match_up(effect);
    }

    /// Takes the next value if one is there (C11, C23, C24).
    pub fn receive(&mut self, effect: &mut impl FnMut(Effect<W>)) -> Received<M> {
        if let Some((place, message)) = self.values.pop() {
            self.taken(place, effect);
            self.check();
            return Received::Message(message);
        }
        match &self.end {
            Some(end) if self.offers.is_empty() => Received::Ended(end.clone()),
            _ => Received::Empty,
        }
    }

    /// Joins the receives that wait (C13). The answer comes as an [`Effect`], possibly at once.
    pub fn park_receive(&mut self, waiter: W, effect: &mut impl FnMut(Effect<W>)) -> Place {
        let place = self.receives.push(waiter);
        self.match_up(effect);
        place
    }

    /// Takes the value that was offered to a receive.
    pub fn accept(&mut self, receive: Place, effect: &mut impl FnMut(Effect<W>)) -> Option<M> {
        let offer = self.offers.remove(&receive)?;
        self.taken(offer.value, effect);
        self.match_up(effect);
        Some(offer.message)
    }

    /// Gives a receive up: its place in line, or the value that it was offered, which returns to
    /// its old place. A value comes out only if its sender is dead, so that nobody may have it.
    pub fn decline(&mut self, receive: Place, effect: &mut impl FnMut(Effect<W>)) -> Option<M> {
        let dropped = match self.offers.remove(&receive) {
            None => {
                self.receives.leave(receive);
                None
            }
            Some(offer) => self.put_back(offer, effect),
        };
        self.match_up(effect);
        dropped
    }

    /// Withdraws every offer: values return to their places, receives to theirs. For a home that
    /// moves, which knows that no offer has been seen yet.
    pub fn withdraw_offers(&mut self) {
        for (receive, offer) in std::mem::take(&mut self.offers) {
            self.receives.restore(receive, offer.receive);
            self.values.restore(offer.value, offer.message);
        }
    }

    /// Makes the offers again that were withdrawn, when the home stays after all.
    pub fn rematch(&mut self, effect: &mut impl FnMut(Effect<W>)) {
        self.match_up(effect);
    }

    /// Takes a waiting send back. None if its value is on its way to a receiver, or gone.
    pub fn cancel_send(&mut self, send: Place, effect: &mut impl FnMut(Effect<W>)) -> Option<M> {
        let message = match self.sends.at(send) {
            Some(_) => self.values.leave(send)?,
            None => return self.refused.remove(&send),
        };
        self.sends.leave(send);
        self.match_up(effect);
        Some(message)
    }

    /// Takes a waiting send back even if its value is on offer: the receive that it was offered to
    /// waits on. For a home whose offers are seen only when they are accepted.
    pub fn retract_send(&mut self, send: Place, effect: &mut impl FnMut(Effect<W>)) -> Option<M> {
        let on_offer = self.offers.iter().find(|(_, offer)| offer.value == send).map(|(at, _)| *at);
        if let Some(receive) = on_offer.filter(|_| self.sends.at(send).is_some()) {
            let offer = self.offers.remove(&receive).expect("it was found there");
            self.receives.restore(receive, offer.receive);
            self.values.restore(offer.value, offer.message);
        }
        self.cancel_send(send, effect)
    }

    /// Where a parked send stands.
    pub fn send_status(&mut self, send: Place) -> SendStatus<M> {
        if let Some(message) = self.refused.remove(&send) {
            return SendStatus::Refused(message);
        }
        match self.sends.at(send) {
            Some(_) => SendStatus::Waiting,
            None => SendStatus::Sent,
        }
    }

    /// The value of a send that was refused.
    pub fn take_refused(&mut self, send: Place) -> Option<M> {
        self.refused.remove(&send)
    }

    /// The value on offer to a receive.
    pub fn offered(&self, receive: Place) -> Option<&M> {
        Some(&self.offers.get(&receive)?.message)
    }

    /// Replaces the callback of a waiting send.
    pub fn rewait_send(&mut self, send: Place, waiter: W) {
        if let Some(slot) = self.sends.at(send) {
            *slot = waiter;
        }
    }

    /// Replaces the callback of a waiting receive. False if the channel ended meanwhile.
    pub fn rewait_receive(&mut self, receive: Place, waiter: W) -> bool {
        match self.receives.at(receive) {
            Some(slot) => *slot = waiter,
            None => return false,
        }
        true
    }

    /// Ends the channel for senders: those that wait are refused, values already sent stay for the
    /// receivers (C23, C27, C28). False if it had ended before (C29).
    pub fn finish(&mut self, end: End, effect: &mut impl FnMut(Effect<W>)) -> bool {
        if self.end.is_some() {
            return false;
        }
        self.end = Some(end);
        let waiting: Vec<Place> = self.sends.iter().map(|(place, _)| place).collect();
        for place in waiting {
            if let Some(message) = self.values.leave(place) {
                self.refuse(place, message, effect);
            }
        }
        self.match_up(effect);
        true
    }

    /// Ends the channel because nobody will receive any more. The values that nobody will take
    /// come out.
    pub fn desert(&mut self, end: End, effect: &mut impl FnMut(Effect<W>)) -> Vec<M> {
        self.finish(end, effect);
        let values: Vec<M> = self.values.drain().map(|(_, message)| message).collect();
        self.settled -= values.len();
        self.check();
        values
    }

    /// Forgets the waiting operations of a dead node: its offers return to their places, its sends
    /// that have not ended are gone, for they were never committed. Their values come out.
    pub fn fence(
        &mut self,
        dead: impl Fn(&W) -> bool,
        effect: &mut impl FnMut(Effect<W>),
    ) -> Vec<M> {
        let mut dropped = Vec::new();
        let receives: Vec<Place> =
            self.receives.iter().filter(|(_, waiter)| dead(waiter)).map(|(at, _)| at).collect();
        receives.into_iter().for_each(|place| drop(self.receives.leave(place)));
        let sends: Vec<Place> =
            self.sends.iter().filter(|(_, waiter)| dead(waiter)).map(|(at, _)| at).collect();
        for place in sends {
            self.sends.leave(place);
            match self.values.leave(place) {
                Some(message) => dropped.push(message),
                None => drop(self.orphans.insert(place)),
            }
        }
        let offers: Vec<Place> = self
            .offers
            .iter()
            .filter(|(_, offer)| dead(&offer.receive))
            .map(|(at, _)| *at)
            .collect();
        for receive in offers {
            let offer = self.offers.remove(&receive).expect("it was found there");
            dropped.extend(self.put_back(offer, effect));
        }
        self.match_up(effect);
        dropped
    }

    /// The values in order, and whether the send of each still waits.
    pub fn values(&self) -> impl Iterator<Item = (&M, bool)> {
        let waiting = |place| self.sends.contains(place);
        self.values.iter().map(move |(place, message)| (message, waiting(place)))
    }

    /// The values of all refused sends that have not fetched them.
    pub fn take_all_refused(&mut self) -> BTreeMap<Place, M> {
        std::mem::take(&mut self.refused)
    }

    /// Everything inside, for a home that moves: sent values in order, sends that wait, receives
    /// that wait. Offers must have been withdrawn.
    pub fn dismantle(&mut self) -> Parts<M, W> {
        debug_assert!(self.offers.is_empty(), "offers are withdrawn first");
        let mut parts = Parts { sent: Vec::new(), sends: Vec::new(), receives: Vec::new() };
        for (place, message) in self.values.drain() {
            match self.sends.leave(place) {
                None => parts.sent.push(message),
                Some(waiter) => parts.sends.push((place, message, waiter)),
            }
        }
        parts.receives = self.receives.drain().collect();
        self.settled = 0;
        parts
    }

    /// Values and receives meet, freed room lets sends return, and an ended channel lets go of
    /// receives that wait for nothing.
    fn match_up(&mut self, effect: &mut impl FnMut(Effect<W>)) {
        while !self.values.is_empty() && !self.receives.is_empty() {
            let (value, message) = self.values.pop().expect("there is a value");
            let (place, waiter) = self.receives.pop().expect("there is a receive");
            self.offers.insert(place, Offer { value, message, receive: waiter.clone() });
            effect(Effect { waiter, place, turn: Turn::Offered });
        }
        while self.settled < self.capacity {
            let Some((place, waiter)) = self.sends.pop() else { break };
            self.settled += 1;
            effect(Effect { waiter, place, turn: Turn::Sent });
        }
        if self.end.is_some() && self.offers.is_empty() {
            for (place, waiter) in self.receives.drain() {
                effect(Effect { waiter, place, turn: Turn::Ended });
            }
        }
        self.check();
    }

    /// A value has left the channel into a receiver's hands.
    fn taken(&mut self, value: Place, effect: &mut impl FnMut(Effect<W>)) {
        if let Some(waiter) = self.sends.leave(value) {
            effect(Effect { waiter, place: value, turn: Turn::Sent });
        } else if !self.orphans.remove(&value) {
            self.settled -= 1;
            if let Some((place, waiter)) = self.sends.pop() {
                self.settled += 1;
                effect(Effect { waiter, place, turn: Turn::Sent });
            }
        }
    }

    fn put_back(&mut self, offer: Offer<M, W>, effect: &mut impl FnMut(Effect<W>)) -> Option<M> {
        if self.orphans.remove(&offer.value) {
            return Some(offer.message);
        }
        if self.end.is_some() && self.sends.at(offer.value).is_some() {
            self.refuse(offer.value, offer.message, effect);
        } else {
            self.values.restore(offer.value, offer.message);
        }
        None
    }

    fn refuse(&mut self, send: Place, message: M, effect: &mut impl FnMut(Effect<W>)) {
        let waiter = self.sends.leave(send).expect("only a send that waits is refused");
        self.refused.insert(send, message);
        effect(Effect { waiter, place: send, turn: Turn::Refused });
    }

    fn check(&self) {
        debug_assert!(self.values.is_empty() || self.receives.is_empty());
        debug_assert!(self.settled <= self.capacity, "{} of {}", self.settled, self.capacity);
        debug_assert!(self.settled == self.capacity || self.sends.is_empty());
        debug_assert!(self.end.is_none() || self.sends.len() <= self.offers.len());
        debug_assert!(self.end.is_none() || self.receives.is_empty() || !self.offers.is_empty());
        debug_assert!(self.orphans.len() <= self.offers.len());
    }
}

/// What [`Chan::dismantle`] found.
#[derive(Debug)]
pub struct Parts<M, W> {
    /// Values whose send has ended.
    pub sent: Vec<M>,
    /// Sends that wait, with their values.
    pub sends: Vec<(Place, M, W)>,
    /// Receives that wait.
    pub receives: Vec<(Place, W)>,
}

#[cfg(test)]
mod tests;
