//! Short ways for a process: what most operations come to, of [`Chan::try_send`],
//! [`Chan::receive`] and [`Chan::accept`]. Each does its whole operation or nothing, and then the
//! long way is to be gone.
//!
//! A value is moved once, from where it is to where it goes: nothing that might touch either is
//! done in between, for the compiler would keep a copy.

use super::{Chan, Offer, Source, Waiter, owned};
use crate::line::Place;

impl<M, W: Waiter> Chan<M, W> {
    /// Puts a value into the buffer if there is room and nobody waits for it: all that most sends
    /// do in a process.
    #[inline]
    pub fn put(&mut self, message: &mut Option<M>) -> bool {
        // Nobody waits for a value where there is one.
        let done = W::TAKES
            && self.aside.is_none()
            && self.buffer.len() < self.capacity()
            && (!self.buffer.is_empty() || self.receives.is_empty());
        if done {
            self.append_with(|| owned(message));
        }
        done
    }

    /// Takes a value out of the buffer if nobody waits for the room: all that most receives do in a
    /// process.
    #[inline]
    pub fn pick(&mut self) -> Option<M> {
        // Nobody waits for room where there is some.
        let may = W::TAKES
            && self.aside.is_none()
            && (self.buffer.len() < self.capacity() || self.sends.is_empty());
        if may { self.buffer.pop_front() } else { None }
    }

    /// Lays a value ready for a receive that waits, past the buffer: what most sends do, in a
    /// process, that find a receive waiting. Whom to tell comes out.
    #[inline]
    pub fn give(&mut self, message: &mut Option<M>, told: &mut Option<W>) -> bool {
        if !W::TAKES || self.aside.is_some() {
            return false;
        }
        let Some((place, waiter)) = self.receives.front() else { return false };
        if !waiter.claim() {
            return false;
        }
        self.lay_ready(place, waiter.keep(), message);
        self.receives.leave_as(place, |waiter| {
            told.get_or_insert(waiter);
        });
        true
    }

    /// Takes the next value, and lets a send that waits have its room: what most receives do, in a
    /// process, that find one. Whom to tell comes out beside it.
    #[inline]
    pub fn take(&mut self, told: &mut Option<W>) -> Option<M> {
        if !W::TAKES || self.aside.is_some() {
            return None;
        }
        let Some((place, (_, waiter))) = self.sends.front() else {
            return self.buffer.pop_front();
        };
        if !waiter.claim() {
            return None;
        }
        if self.capacity == 0 {
            return self.sends.leave_as(place, |(message, waiter)| {
                told.get_or_insert(waiter);
                message
            });
        }
        let next = self.buffer.pop_front();
        self.ended_sends += 1;
        self.buffer.reserve(1);
        self.sends.leave_as(place, |(message, waiter)| {
            told.get_or_insert(waiter);
            self.buffer.push_back(message);
        });
        next
    }

    /// Whether there is no room, nothing aside, and no receive in line: the first may be a case
    /// whose select has chosen another, and one behind it may wait.
    #[inline]
    pub fn is_merely_full(&self) -> bool {
        self.buffer.len() >= self.capacity() && self.aside.is_none() && self.receives.is_empty()
    }

    /// Whether a parked send has returned Ok, if that is plain to see.
    #[inline]
    pub fn has_sent(&mut self, send: Place) -> bool {
        W::TAKES && self.aside.is_none() && self.sends.at(send).is_none()
    }

    /// Whether there is nothing to receive and nothing aside.
    #[inline]
    pub fn is_bare(&self) -> bool {
        self.buffer.is_empty() && self.sends.is_empty() && self.aside.is_none()
    }

    /// Takes the value that lies ready for a receive, if nothing is aside: what most receives do,
    /// in a process, once they are woken.
    #[inline]
    pub fn fetch(&mut self, receive: Place) -> Option<M> {
        if !W::TAKES || self.aside.is_some() {
            return None;
        }
        self.offers.leave_as(receive, |offer| offer.message)
    }

    #[inline]
    pub(super) fn lay_ready(&mut self, place: Place, receive: W::Kept, message: &mut Option<M>) {
        let source = Source::Ended(self.ended_sends);
        self.ended_sends += 1;
        let offer = || Offer { message: owned(message), source, receive };
        self.offers.restore_with(place, offer);
    }
}
