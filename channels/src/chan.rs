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
//! - A receive waits only while there is no value, but for a select that sends and receives on one
//!   rendezvous (it never meets itself, C39) and for cases whose select has chosen another.
//! - A send waits only while the channel is full: the values here or on offer whose send has ended
//!   are at least `capacity`. No send ends that would make them more; values that returned, or came
//!   along when the home moved, may.
//! - Values leave in the order of their sends: first those that returned, then `buffer`, then those
//!   of `sends`.
//! - Once the channel has ended no send waits but those whose value is on offer, and no receive
//!   waits unless a value is on offer that might yet come back.

use std::collections::{BTreeMap, VecDeque};

use crate::line::{Line, Place, Places};
use crate::wire::End;

/// Whoever waits on a channel: an operation of its own, or a case of a select.
pub trait Waiter: Sized {
    /// Whether a value is taken at the moment when it meets a receive that waits.
    const TAKES: bool;

    /// What is kept of a waiter beside a value on offer: all of it, or, where offers are taken at
    /// once, nothing.
    type Kept;

    /// Keeps the waiter in mind.
    fn keep(&self) -> Self::Kept;

    /// The waiter that was kept.
    fn kept(kept: &Self::Kept) -> Option<Self>;

    /// Commits the waiter to this channel, before anything is done with it. False for a case whose
    /// select has chosen another: it is passed over.
    fn claim(&self) -> bool {
        true
    }

    /// Makes the select of a case start anew. False for anything else, and if it has chosen.
    fn stir(&self) -> bool {
        false
    }

    /// Somebody who was told of a value, has not looked, and is to wait again.
    fn told() -> Option<Self> {
        None
    }
}

/// A channel of messages `M` whose waiting operations are called back through `W`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Chan<M, W: Waiter> {
    capacity: u32,
    /// Values whose send has ended and that are not in `buffer`: returned, or on offer.
    apart: u32,
    /// Values whose send has ended, oldest first.
    buffer: VecDeque<M>,
    /// How many sends have ended with a value: the age of the next. The youngest are in `buffer`.
    ended_sends: u64,
    aside: Option<Box<Aside<M, W>>>,
    /// Where those who wait stand in the lines.
    places: Places,
    /// Receives that wait without an offer.
    receives: Line<W>,
    /// Sends that wait, with their values, less those on offer.
    sends: Line<(M, W)>,
    /// Values on offer, by the place of the receive.
    offers: Line<Offer<M, W::Kept>>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Offer<M, K> {
    message: M,
    source: Source<K>,
    receive: K,
}

/// Where a value on offer goes if it is declined.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Source<W> {
    /// Its send had ended: to those that returned, by its age.
    Ended(u64),
    /// The same, of one that is on lease.
    Leased(u64),
    /// Its send waits: to its place.
    Waits(Place, W),
    /// Its sender died: nowhere.
    Orphan,
}

impl<K> Source<K> {
    fn map<T>(self, waiter: impl FnOnce(K) -> Option<T>) -> Option<Source<T>> {
        Some(match self {
            Self::Ended(age) => Source::Ended(age),
            Self::Leased(age) => Source::Leased(age),
            Self::Waits(place, kept) => Source::Waits(place, waiter(kept)?),
            Self::Orphan => Source::Orphan,
        })
    }
}

/// What is rarely there.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Aside<M, W> {
    end: Option<End>,
    /// Values that returned, by age. They are older than all in the buffer.
    returned: BTreeMap<u64, M>,
    /// In a process, by age: values in somebody's hands under a lease, and for which time.
    leases: BTreeMap<u64, u32>,
    /// In a process, by age: how often values that returned were leased.
    attempts: BTreeMap<u64, u32>,
    /// At a home that offers: ages of values on offer whose sends wait, and which are older than
    /// one on lease; by the place of the send.
    reserved: BTreeMap<Place, u64>,
    /// At a home that offers: how many of the offers are leases.
    leased_offers: u32,
    /// At a home that offers: values on offer that are with whoever runs the home. See `passing`.
    passing: u32,
    /// At a home that offers: whether it counts as full, however few the values are.
    is_stuffed: bool,
    /// At a home that offers: places of the buffer that are kept for sends of selects.
    kept: u32,
    /// At a home that offers: sends that wait from here on let a select go first.
    barrier: Option<Place>,
    /// Whether no value is ever taken after a younger one.
    is_strict: bool,
    /// Values of sends that were refused or passed over, until their senders fetch them.
    refused: BTreeMap<Place, M>,
    /// Who wants to know when the channel ends: the last who asked.
    watcher: Option<W>,
}

impl<M, W: Waiter> Chan<M, W> {
    /// An open, empty channel. Capacity 0 is a rendezvous.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: u32::try_from(capacity).unwrap_or(u32::MAX),
            apart: 0,
            buffer: VecDeque::new(),
            ended_sends: 0,
            aside: None,
            places: Places::default(),
            receives: Line::default(),
            sends: Line::default(),
            offers: Line::default(),
        }
    }

    /// How many values the buffer holds at most.
    pub fn capacity(&self) -> usize {
        self.capacity as usize
    }

    /// How many values the buffer holds now, those on offer included (C08).
    pub fn len(&self) -> usize {
        self.buffer.len() + self.apart as usize
    }

    /// Whether the buffer holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a send would have to wait for room.
    pub fn is_full(&self) -> bool {
        self.len() + self.kept() >= self.capacity() || self.is_stuffed()
    }

    /// Whether a receive would not have to wait.
    pub fn is_ready(&self) -> bool {
        (self.has_values() && !self.is_held_up())
            || (self.ended().is_some() && self.has_nothing_out())
    }

    /// Whether a receive would get an answer before long, if not at once.
    pub fn is_ready_soon(&self) -> bool {
        (self.has_values() || self.ended().is_some()) && !self.has_leases() || self.is_ready()
    }

    /// Whether such a receive waits for a value.
    pub fn has_receive(&self, is_such: impl Fn(&W) -> bool) -> bool {
        !self.is_held_up() && self.receives.iter().any(|(_, waiter)| is_such(waiter))
    }

    /// How the channel ended, if it has.
    pub fn ended(&self) -> Option<&End> {
        self.aside.as_ref()?.end.as_ref()
    }

    /// Sends a value (C09, C10). `waiter` is called back if the send has to wait.
    pub fn send(
        &mut self,
        message: M,
        waiter: impl FnOnce() -> W,
        effect: &mut impl FnMut(Effect<W>),
    ) -> Sent<M> {
        let mut message = Some(message);
        match self.try_send(&mut message, effect) {
            Tried::Done => Sent::Done,
            Tried::Refused => Sent::Refused(owned(&mut message)),
            Tried::Full => {
                let place = self.wait_send(&mut message, waiter);
                self.match_up(effect);
                Sent::Parked(place)
            }
        }
    }

    /// Sends a value unless it would have to wait (C36): then it stays where it is.
    #[inline]
    pub fn try_send(
        &mut self,
        message: &mut Option<M>,
        effect: &mut impl FnMut(Effect<W>),
    ) -> Tried {
        if self.ended().is_some() {
            return Tried::Refused;
        }
        if W::TAKES
            && !self.is_held_up()
            && let Some((place, waiter)) = self.next_receive()
        {
            self.lay_ready(place, waiter.keep(), message);
            effect(Effect { waiter, place, turn: Turn::Offered });
            return Tried::Done;
        }
        if self.is_full() {
            return Tried::Full;
        }
        if let Some(message) = message.take() {
            self.restore_sent(message, effect);
        }
        Tried::Done
    }

    /// Joins the sends that wait (C13), after [`Chan::try_send`] found no room. In a process
    /// nothing can come of it at once.
    #[inline]
    pub fn wait_send(&mut self, message: &mut Option<M>, waiter: impl FnOnce() -> W) -> Place {
        let place = self.places.allot();
        self.sends.push_with(place, || (owned(message), waiter()));
        place
    }

    /// Puts a value into the buffer whose send returned before the channel came to this home.
    pub fn restore_sent(&mut self, message: M, effect: &mut impl FnMut(Effect<W>)) {
        self.append(message);
        self.match_up(effect);
    }

    /// Takes the next value if one is there (C11, C23, C24).
    pub fn receive(&mut self, effect: &mut impl FnMut(Effect<W>)) -> Received<M> {
        if let Some((message, source)) = self.next_to_take(effect) {
            self.forget_attempts(&source);
            self.leave(source, effect);
            self.rest();
            return Received::Message(message);
        }
        self.rest();
        match self.ended() {
            Some(end) if self.has_nothing_out() => Received::Ended(end.clone()),
            _ => Received::Empty,
        }
    }

    /// Joins the receives that wait (C13). The answer comes as an [`Effect`], possibly at once.
    pub fn park_receive(&mut self, waiter: W, effect: &mut impl FnMut(Effect<W>)) -> Place {
        let place = self.wait_receive(|| waiter);
        self.match_up(effect);
        place
    }

    /// The same in a process, after [`Chan::receive`] found nothing: nothing can come of it at
    /// once.
    #[inline]
    pub fn wait_receive(&mut self, waiter: impl FnOnce() -> W) -> Place {
        let place = self.places.allot();
        self.receives.push_with(place, waiter);
        place
    }

    /// Takes the value that was offered to a receive.
    #[inline]
    pub fn accept(&mut self, receive: Place, effect: &mut impl FnMut(Effect<W>)) -> Option<M> {
        let mut offer = self.offers.leave(receive)?;
        self.take_oldest(&mut offer);
        self.forget_attempts(&offer.source);
        if !W::TAKES {
            self.note_lease_end(&offer);
            let has_ended = matches!(offer.source, Source::Ended(_) | Source::Leased(_));
            self.apart -= u32::from(has_ended);
            if let Some(source) = offer.source.map(|kept| W::kept(&kept)) {
                self.leave(source, effect);
            }
        }
        if !W::TAKES || self.aside.is_some() {
            self.match_up(effect);
        }
        Some(offer.message)
    }

    /// Gives a receive up: its place in line, or the value that it was offered, which returns to
    /// its old place. A value comes out only if its sender is dead, so that nobody may have it.
    pub fn decline(&mut self, receive: Place, effect: &mut impl FnMut(Effect<W>)) -> Option<M> {
        if W::TAKES && self.receives.leave(receive).is_some() && self.aside.is_none() {
            // Most: it waited, and nobody waited for it to go.
            return None;
        }
        let dropped = match self.offers.leave(receive) {
            None => {
                self.receives.leave(receive);
                None
            }
            Some(offer) => {
                self.note_lease_end(&offer);
                self.put_back(offer, effect)
            }
        };
        self.match_up(effect);
        dropped
    }

    /// Takes a waiting send back. None if its value is on its way to a receiver, or gone.
    pub fn cancel_send(&mut self, send: Place, effect: &mut impl FnMut(Effect<W>)) -> Option<M> {
        let Some((message, _)) = self.sends.leave(send) else { return self.take_refused(send) };
        if !W::TAKES || self.aside.is_some() {
            self.match_up(effect);
        }
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
        let message = self.aside.as_mut()?.refused.remove(&send);
        self.rest();
        message
    }

    /// The value on offer to a receive.
    pub fn offered(&mut self, receive: Place) -> Option<&mut M> {
        Some(&mut self.offers.at(receive)?.message)
    }

    /// Replaces the callback of a waiting send.
    pub fn rewait_send(&mut self, send: Place, waiter: W) {
        if let Some((_, slot)) = self.sends.at(send) {
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
        if self.ended().is_some() {
            return false;
        }
        self.aside().end = Some(end);
        if let Some(waiter) = self.aside().watcher.take() {
            effect(Effect { waiter, place: Place::default(), turn: Turn::Ended });
        }
        let waiting: Vec<_> = self.sends.drain().collect();
        for (place, (message, waiter)) in waiting {
            self.refuse(place, message, waiter, effect);
        }
        self.match_up(effect);
        true
    }

    /// Calls back when the channel ends. One watcher at a time: the last who asked.
    pub fn watch(&mut self, waiter: W) {
        self.aside().watcher = Some(waiter);
    }

    /// Ends the channel because nobody will receive any more. The values that nobody will take
    /// come out.
    pub fn desert(&mut self, end: End, effect: &mut impl FnMut(Effect<W>)) -> Vec<M> {
        self.finish(end, effect);
        let returned = std::mem::take(&mut self.aside().returned);
        self.apart -= returned.len() as u32;
        let values = returned.into_values().chain(self.buffer.drain(..)).collect();
        self.rest();
        values
    }
}

/// The value of a send that has not happened.
#[inline]
fn owned<M>(message: &mut Option<M>) -> M {
    message.take().expect("a send that has not happened keeps its value")
}

impl<M, W> Aside<M, W> {
    fn is_bare(&self) -> bool {
        let Self { end, returned, leases, attempts, leased_offers, is_strict, .. } = self;
        let Self { refused, watcher, reserved, kept, barrier, passing, is_stuffed, .. } = self;
        let is_usual = end.is_none() && !*is_strict && *leased_offers == 0;
        let is_idle = *passing == 0 && !*is_stuffed;
        let has_selects = *kept > 0 || barrier.is_some();
        let has_leases = !(leases.is_empty() && attempts.is_empty() && reserved.is_empty());
        is_usual
            && is_idle
            && !has_leases
            && !has_selects
            && returned.is_empty()
            && refused.is_empty()
            && watcher.is_none()
    }
}

impl<M, W> Default for Aside<M, W> {
    fn default() -> Self {
        Self {
            end: None,
            returned: BTreeMap::new(),
            leases: BTreeMap::new(),
            attempts: BTreeMap::new(),
            reserved: BTreeMap::new(),
            leased_offers: 0,
            passing: 0,
            is_stuffed: false,
            kept: 0,
            barrier: None,
            is_strict: false,
            refused: BTreeMap::new(),
            watcher: None,
        }
    }
}

mod home;
mod landing;
mod lease;
mod matching;
mod outcome;
mod passing;
mod proposal;
mod short;
mod strict;
#[cfg(test)]
mod tests;

pub use home::{Content, Parts};
pub use landing::{Arrived, Survey};
pub use lease::Lease;
pub use outcome::{Effect, Received, SendStatus, Sent, Tried, Turn};
