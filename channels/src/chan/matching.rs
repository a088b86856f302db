//! How values and receives meet, and what follows from that.

use super::{Aside, Chan, Effect, Offer, Source, Turn, Waiter};
use crate::line::Place;

impl<M, W: Waiter> Chan<M, W> {
    /// Values and receives meet, freed room lets sends return, and an ended channel lets go of
    /// receives that wait for nothing.
    pub(super) fn match_up(&mut self, effect: &mut impl FnMut(Effect<W>)) {
        // In a process, a send that waits has nobody to go to but its own select.
        while !self.receives.is_empty()
            && !self.is_held_up()
            && (self.has_ended_values() || !W::TAKES && !self.sends.is_empty())
        {
            let Some((place, waiter)) = self.next_receive() else { break };
            let (message, source) = self.next_value().expect("it was seen");
            match source {
                Source::Ended(_) if W::TAKES => self.settle(effect),
                Source::Ended(_) => self.apart += 1,
                Source::Leased(_) | Source::Waits(..) | Source::Orphan => {}
            }
            self.hand(place, waiter, message, source, effect);
        }
        self.settle(effect);
        if self.has_nothing_out() && self.ended().is_some() {
            for (place, waiter) in self.receives.drain() {
                if waiter.claim() {
                    effect(Effect { waiter, place, turn: Turn::Ended });
                }
            }
        }
        self.rest();
    }

    pub(super) fn has_values(&self) -> bool {
        self.has_ended_values() || !self.sends.is_empty()
    }

    /// Whether a value is here whose send has ended, and that is not on offer.
    pub(super) fn has_ended_values(&self) -> bool {
        !self.buffer.is_empty()
            || self.aside.as_ref().is_some_and(|aside| !aside.returned.is_empty())
    }

    /// The value whose turn it is, if one is here whose send has ended, and that is not on offer.
    pub fn next_ended(&self) -> Option<&M> {
        let returned = self.aside.as_ref().and_then(|aside| aside.returned.values().next());
        returned.or_else(|| self.buffer.front())
    }

    /// Takes out the value whose turn it is.
    pub(super) fn next_value(&mut self) -> Option<(M, Source<W>)> {
        let returned = self.aside.as_mut().and_then(|aside| aside.returned.pop_first());
        if let Some((age, message)) = returned {
            self.apart -= 1;
            return Some((message, Source::Ended(age)));
        }
        if let Some(message) = self.buffer.pop_front() {
            let age = self.ended_sends - 1 - self.buffer.len() as u64;
            return Some((message, Source::Ended(age)));
        }
        while let Some((place, (message, waiter))) = self.sends.pop() {
            if waiter.claim() {
                return Some((message, Source::Waits(place, waiter)));
            }
            self.pass_over(place, message);
        }
        None
    }

    /// Keeps the value of a case whose select has chosen another, until its sender fetches it.
    #[cold]
    pub(super) fn pass_over(&mut self, place: Place, message: M) {
        self.aside().refused.insert(place, message);
    }

    /// The receive that has waited longest and still may.
    #[inline]
    pub(super) fn next_receive(&mut self) -> Option<(Place, W)> {
        while let Some((place, waiter)) = self.receives.pop() {
            if waiter.claim() {
                return Some((place, waiter));
            }
        }
        None
    }

    /// Lays a value ready for a receive.
    #[inline]
    pub(super) fn hand(
        &mut self,
        place: Place,
        waiter: W,
        message: M,
        source: Source<W>,
        effect: &mut impl FnMut(Effect<W>),
    ) {
        let receive = waiter.keep();
        let source = source.map(|waiter| Some(waiter.keep())).unwrap_or(Source::Orphan);
        self.offers.restore(place, Offer { message, source, receive });
        effect(Effect { waiter, place, turn: Turn::Offered });
    }

    /// A value has left the channel into a receiver's hands.
    pub(super) fn leave(&mut self, source: Source<W>, effect: &mut impl FnMut(Effect<W>)) {
        match source {
            Source::Ended(_) | Source::Leased(_) => self.settle(effect),
            Source::Waits(place, waiter) => effect(Effect { waiter, place, turn: Turn::Sent }),
            Source::Orphan => {}
        }
    }

    /// Sends that wait return as far as there is room: first those whose value is on offer, for
    /// they have waited longest.
    #[inline]
    pub(super) fn settle(&mut self, effect: &mut impl FnMut(Effect<W>)) {
        while !W::TAKES && !self.is_full() && self.offers.len() > self.ended_offers() {
            let waits = self.offers.iter().find_map(|(receive, offer)| match &offer.source {
                Source::Waits(place, kept) => Some((receive, *place, W::kept(kept))),
                _ => None,
            });
            let Some((receive, place, waiter)) = waits else { break };
            let age = self.ended_age(place);
            if let Some(offer) = self.offers.at(receive) {
                offer.source = Source::Ended(age);
            }
            self.apart += 1;
            if let Some(waiter) = waiter {
                effect(Effect { waiter, place, turn: Turn::Sent });
            }
        }
        while !self.is_full()
            && self.is_next_before_barrier()
            && let Some((place, (message, waiter))) = self.sends.pop()
        {
            if waiter.claim() {
                self.append(message);
                effect(Effect { waiter, place, turn: Turn::Sent });
            } else {
                self.pass_over(place, message);
            }
        }
    }

    /// How many values on offer are of sends that have ended.
    pub(super) fn ended_offers(&self) -> usize {
        let elsewhere = |aside: &Aside<M, W>| aside.returned.len() + aside.passing as usize;
        self.apart as usize - self.aside.as_deref().map_or(0, elsewhere)
    }

    pub(super) fn put_back(
        &mut self,
        offer: Offer<M, W::Kept>,
        effect: &mut impl FnMut(Effect<W>),
    ) -> Option<M> {
        match offer.source {
            Source::Orphan => return Some(offer.message),
            // A bug on purpose, for the checks: it returns behind the younger.
            Source::Ended(_) if cfg!(planted = "unrecv") && W::TAKES => self.append(offer.message),
            Source::Ended(age) | Source::Leased(age) => {
                self.apart += u32::from(W::TAKES);
                self.aside().returned.insert(age, offer.message);
            }
            Source::Waits(place, kept) => {
                if let Some(aside) = &mut self.aside {
                    aside.reserved.remove(&place);
                }
                let waiter = W::kept(&kept)?;
                if self.ended().is_some() {
                    self.refuse(place, offer.message, waiter, effect);
                } else {
                    self.sends.restore(place, (offer.message, waiter));
                }
            }
        }
        None
    }

    pub(super) fn refuse(
        &mut self,
        place: Place,
        message: M,
        waiter: W,
        effect: &mut impl FnMut(Effect<W>),
    ) {
        self.pass_over(place, message);
        if waiter.claim() {
            effect(Effect { waiter, place, turn: Turn::Refused });
        }
    }

    /// Puts a value into the buffer whose send ends with that.
    #[inline]
    pub(super) fn append(&mut self, message: M) {
        self.append_with(|| message);
    }

    /// The same with a value that is moved there once there is room.
    #[inline]
    pub(super) fn append_with(&mut self, message: impl FnOnce() -> M) {
        self.ended_sends += 1;
        self.buffer.reserve(1);
        self.buffer.push_back(message());
    }

    pub(super) fn aside(&mut self) -> &mut Aside<M, W> {
        self.aside.get_or_insert_with(Box::default)
    }

    /// Every operation that may have emptied what is aside ends here.
    #[inline]
    pub(super) fn rest(&mut self) {
        if self.aside.as_deref().is_some_and(Aside::is_bare) {
            self.aside = None;
        }
        debug_assert!(
            W::TAKES || self.receives.is_empty() || !self.has_values() || self.is_held_up()
        );
        debug_assert!(self.is_full() || self.sends.is_empty() || self.has_barrier());
        debug_assert!(self.ended().is_none() || self.sends.is_empty());
        debug_assert!(
            self.ended().is_none() || self.receives.is_empty() || !self.has_nothing_out()
        );
    }
}
