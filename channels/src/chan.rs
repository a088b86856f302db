//! One channel: Go's rules for send, receive and close, without clock, lock, waker or socket.
//!
//! The same machine is the channel inside one process (`M` the user's type, `W` a task or a case of
//! a select) and at the coordinator (`M` bytes, `W` names an operation of a remote node). There is
//! no second one. The two homes differ in one thing, [`Waiter::TAKES`]:
//!
//! - At the coordinator a value that meets a waiting receive is *offered*: it stays the channel's,
//!   and counts against the capacity, until the receive accepts it.
//! - Inside a process the value is *taken* in that moment, as in Go, where the sender copies it to
//!   the receiver's stack and goes on. It lies ready under `offers` until the receive fetches it.
//!
//! Either way a receive that is given up (its future was dropped, its worker died) returns the
//! value to its old place, so nothing is lost and the order is kept. A value that returns after it
//! was taken stands in front of a buffer that may have been filled meanwhile: until the next
//! receive the channel then holds more than its capacity, and no send gets in.
//!
//! **Invariants** (checked after every operation in debug builds)
//! - At least one of `values` and `receives` is empty, but for a select that sends and receives on
//!   one rendezvous (it never meets itself, C39) and for cases whose select has chosen another.
//! - `settled` counts the values here or on offer whose send has ended. No send ends that would
//!   make it more than `capacity`; values that returned, or came along when the home moved, may.
//! - `settled < capacity` implies that no send waits.
//! - A send waits only while its value is in `values` or on offer.
//! - Once the channel has ended, no send waits but those whose value is on offer, and no receive
//!   waits unless a value is on offer that might yet come back.

use std::collections::{BTreeMap, BTreeSet};

use crate::line::{Line, Place};
use crate::wire::End;

/// Whoever waits on a channel: an operation of its own, or a case of a select.
pub trait Waiter: Clone {
    /// Whether a value is taken at the moment when it meets a receive that waits.
    const TAKES: bool;

    /// Commits the waiter to this channel, before anything is done with it. False for a case whose
    /// select has chosen another: it is passed over.
    fn claim(&self) -> bool {
        true
    }
}

/// A channel of messages `M` whose waiting operations are called back through `W`.
#[derive(Debug)]
pub struct Chan<M, W> {
    capacity: usize,
    settled: usize,
    /// Values in the order of their sends, less those on offer.
    values: Line<M>,
    /// Sends that wait, each at the place of its value.
    sends: Line<W>,
    /// Receives that wait without an offer.
    receives: Line<W>,
    /// Values on offer, by the place of the receive.
    offers: Line<Offer<M, W>>,
    aside: Option<Box<Aside<M>>>,
    end: Option<End>,
}

#[derive(Debug)]
struct Offer<M, W> {
    value: Place,
    message: M,
    /// None where offers are taken at once.
    receive: Option<W>,
}

/// What is rarely there.
#[derive(Debug)]
struct Aside<M> {
    /// Values on offer whose sender died: they may still be taken, but never come back.
    orphans: BTreeSet<Place>,
    /// Values of sends that were refused or passed over, until their senders fetch them.
    refused: BTreeMap<Place, M>,
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
    /// A value lies ready for the receive: [`Chan::accept`] or [`Chan::decline`] it.
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

/// The outcome of a send that does not wait.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Tried<M> {
    /// The value is in the buffer, or with a receive that waited.
    Done,
    /// It would have to wait. Here is the value back.
    Full(M),
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

impl<M, W: Waiter> Chan<M, W> {
    /// An open, empty channel. Capacity 0 is a rendezvous.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            settled: 0,
            values: Line::default(),
            sends: Line::default(),
            receives: Line::default(),
            offers: Line::default(),
            aside: None,
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

    /// Whether a send would have to wait for room.
    pub fn is_full(&self) -> bool {
        self.settled >= self.capacity
    }

    /// Whether a receive would not have to wait.
    pub fn is_ready(&self) -> bool {
        !self.values.is_empty() || (self.end.is_some() && self.offers.is_empty())
    }

    /// Whether receives wait.
    pub fn has_receives(&self) -> bool {
        !self.receives.is_empty()
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
        match self.try_send(message, effect) {
            Tried::Done => Sent::Done,
            Tried::Refused(message) => Sent::Refused(message),
            Tried::Full(message) => Sent::Parked(self.park_send(message, waiter(), effect)),
        }
    }

    /// Sends a value unless it would have to wait (C36).
    #[inline]
    pub fn try_send(&mut self, message: M, effect: &mut impl FnMut(Effect<W>)) -> Tried<M> {
        if self.end.is_some() {
            return Tried::Refused(message);
        }
        if W::TAKES
            && let Some((receive, waiter)) = self.next_receive()
        {
            // Found a waiting receiver: the value goes to it, past the buffer.
            let value = self.values.skip();
            self.hand(receive, waiter, value, message, effect);
            self.check();
            return Tried::Done;
        }
        if self.settled >= self.capacity {
            return Tried::Full(message);
        }
        self.settled += 1;
        self.values.push(message);
        if !W::TAKES {
            self.match_up(effect);
        }
        self.check();
        Tried::Done
    }

    /// Joins the sends that wait (C13), after [`Chan::try_send`] found no room.
    pub fn park_send(
        &mut self,
        message: M,
        waiter: W,
        effect: &mut impl FnMut(Effect<W>),
    ) -> Place {
        let place = self.wait_send(message, waiter);
        self.match_up(effect);
        place
    }

    /// The same in a process, where nothing can come of it at once.
    #[inline]
    pub fn wait_send(&mut self, message: M, waiter: W) -> Place {
        let place = self.values.push(message);
        self.sends.push_at(place, waiter);
        place
    }

    /// Puts a value into the buffer whose send returned before the channel came to this home.
    pub fn restore_sent(&mut self, message: M, effect: &mut impl FnMut(Effect<W>)) {
        self.values.push(message);
        self.settled += 1;
        self.match_up(effect);
    }

    /// Takes the next value if one is there (C11, C23, C24).
    #[inline]
    pub fn receive(&mut self, effect: &mut impl FnMut(Effect<W>)) -> Received<M> {
        if self.sends.is_empty()
            && self.aside.is_none()
            && let Some((_, message)) = self.values.pop()
        {
            // No send waits for the room: most receives end here.
            self.settled -= 1;
            self.check();
            return Received::Message(message);
        }
        self.receive_past(effect)
    }

    fn receive_past(&mut self, effect: &mut impl FnMut(Effect<W>)) -> Received<M> {
        while let Some((place, message)) = self.values.pop() {
            if self.take(place, effect) {
                self.check();
                return Received::Message(message);
            }
            self.aside().refused.insert(place, message);
        }
        match &self.end {
            Some(end) if self.offers.is_empty() => Received::Ended(end.clone()),
            _ => Received::Empty,
        }
    }

    /// Joins the receives that wait (C13). The answer comes as an [`Effect`], possibly at once.
    pub fn park_receive(&mut self, waiter: W, effect: &mut impl FnMut(Effect<W>)) -> Place {
        let place = self.wait_receive(waiter);
        self.match_up(effect);
        place
    }

    /// The same in a process, after [`Chan::receive`] found nothing: nothing can come of it at once.
    #[inline]
    pub fn wait_receive(&mut self, waiter: W) -> Place {
        self.receives.push(waiter)
    }

    /// Takes the value that was offered to a receive.
    #[inline]
    pub fn accept(&mut self, receive: Place, effect: &mut impl FnMut(Effect<W>)) -> Option<M> {
        let offer = self.offers.leave(receive)?;
        if !W::TAKES {
            self.take(offer.value, effect);
        }
        if !W::TAKES || self.end.is_some() {
            self.match_up(effect);
        }
        Some(offer.message)
    }

    /// Gives a receive up: its place in line, or the value that it was offered, which returns to
    /// its old place. A value comes out only if its sender is dead, so that nobody may have it.
    pub fn decline(&mut self, receive: Place, effect: &mut impl FnMut(Effect<W>)) -> Option<M> {
        let dropped = match self.offers.leave(receive) {
            None => {
                self.receives.leave(receive);
                None
            }
            Some(offer) => self.put_back(offer, effect),
        };
        self.match_up(effect);
        dropped
    }

    /// Takes a waiting send back. None if its value is on its way to a receiver, or gone.
    pub fn cancel_send(&mut self, send: Place, effect: &mut impl FnMut(Effect<W>)) -> Option<M> {
        let message = match self.sends.at(send) {
            Some(_) => self.values.leave(send)?,
            None => return self.take_refused(send),
        };
        self.sends.leave(send);
        self.match_up(effect);
        Some(message)
    }

    /// Where a parked send stands.
    pub fn send_status(&mut self, send: Place) -> SendStatus<M> {
        if let Some(message) = self.take_refused(send) {
            return SendStatus::Refused(message);
        }
        match self.sends.at(send) {
            Some(_) => SendStatus::Waiting,
            None => SendStatus::Sent,
        }
    }

    /// The value of a send that was refused or passed over.
    pub fn take_refused(&mut self, send: Place) -> Option<M> {
        self.aside.as_mut()?.refused.remove(&send)
    }

    /// The value on offer to a receive.
    pub fn offered(&mut self, receive: Place) -> Option<&M> {
        Some(&self.offers.at(receive)?.message)
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

    /// Values and receives meet, freed room lets sends return, and an ended channel lets go of
    /// receives that wait for nothing.
    fn match_up(&mut self, effect: &mut impl FnMut(Effect<W>)) {
        while !self.receives.is_empty()
            && let Some((value, _)) = self.values.front()
        {
            // In a process, a send that waits has nobody to go to but its own select.
            if W::TAKES && self.sends.front().is_some_and(|(place, _)| place == value) {
                break;
            }
            let Some((receive, waiter)) = self.next_receive() else { break };
            let (value, message) = self.values.pop().expect("there is one at the front");
            if W::TAKES {
                self.take(value, effect);
            }
            self.hand(receive, waiter, value, message, effect);
        }
        self.settle(effect);
        if self.end.is_some() && self.offers.is_empty() {
            for (place, waiter) in self.receives.drain() {
                if waiter.claim() {
                    effect(Effect { waiter, place, turn: Turn::Ended });
                }
            }
        }
        self.check();
    }

    /// The receive that has waited longest and still may.
    #[inline]
    fn next_receive(&mut self) -> Option<(Place, W)> {
        while let Some((place, waiter)) = self.receives.pop() {
            if waiter.claim() {
                return Some((place, waiter));
            }
        }
        None
    }

    /// Lays a value ready for a receive.
    #[inline]
    fn hand(
        &mut self,
        place: Place,
        waiter: W,
        value: Place,
        message: M,
        effect: &mut impl FnMut(Effect<W>),
    ) {
        let receive = (!W::TAKES).then(|| waiter.clone());
        self.offers.restore(place, Offer { value, message, receive });
        effect(Effect { waiter, place, turn: Turn::Offered });
    }

    /// A value leaves the channel into a receiver's hands. False if it may not, for its send is a
    /// case of a select that has chosen another.
    fn take(&mut self, value: Place, effect: &mut impl FnMut(Effect<W>)) -> bool {
        if let Some(waiter) = self.sends.leave(value) {
            if !waiter.claim() {
                return false;
            }
            effect(Effect { waiter, place: value, turn: Turn::Sent });
        } else if self.aside.as_mut().is_none_or(|aside| !aside.orphans.remove(&value)) {
            self.settled -= 1;
            self.settle(effect);
        }
        true
    }

    /// Sends that wait return as far as there is room.
    fn settle(&mut self, effect: &mut impl FnMut(Effect<W>)) {
        while self.settled < self.capacity
            && let Some((place, waiter)) = self.sends.pop()
        {
            if waiter.claim() {
                self.settled += 1;
                effect(Effect { waiter, place, turn: Turn::Sent });
            } else if let Some(message) = self.values.leave(place) {
                self.aside().refused.insert(place, message);
            }
        }
    }

    fn put_back(&mut self, offer: Offer<M, W>, effect: &mut impl FnMut(Effect<W>)) -> Option<M> {
        let value = offer.value;
        if self.aside.as_mut().is_some_and(|aside| aside.orphans.remove(&value)) {
            return Some(offer.message);
        }
        if self.end.is_some() && self.sends.at(value).is_some() {
            self.refuse(value, offer.message, effect);
        } else {
            self.values.restore(value, offer.message);
            self.settled += usize::from(W::TAKES);
        }
        None
    }

    fn refuse(&mut self, send: Place, message: M, effect: &mut impl FnMut(Effect<W>)) {
        let waiter = self.sends.leave(send).expect("only a send that waits is refused");
        self.aside().refused.insert(send, message);
        if waiter.claim() {
            effect(Effect { waiter, place: send, turn: Turn::Refused });
        }
    }

    fn aside(&mut self) -> &mut Aside<M> {
        let empty = || Box::new(Aside { orphans: BTreeSet::new(), refused: BTreeMap::new() });
        self.aside.get_or_insert_with(empty)
    }

    #[inline]
    fn check(&self) {
        debug_assert!(W::TAKES || self.values.is_empty() || self.receives.is_empty());
        debug_assert!(self.settled >= self.capacity || self.sends.is_empty());
        debug_assert!(self.end.is_none() || self.sends.len() <= self.offers.len());
        debug_assert!(self.end.is_none() || self.receives.is_empty() || !self.offers.is_empty());
    }
}

mod home;
#[cfg(test)]
mod tests;

pub use home::Parts;
