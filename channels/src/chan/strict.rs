//! Strict order: no value is ever taken after a younger one, not even one whose receive was given
//! up (contract D6).
//!
//! In a process, whoever comes to take a value takes the oldest, be it laid ready for another: the
//! other gets the younger one instead. At a home that offers, one offer at a time is out. Either
//! way nobody takes anything while a value is on lease, for that might come back.

use super::{Chan, Effect, Offer, Source, Turn, Waiter};

impl<M, W: Waiter> Chan<M, W> {
    /// From now on no value is taken after a younger one. Before anything has happened.
    pub fn set_strict(&mut self) {
        self.aside().is_strict = true;
    }

    /// Whether nothing has happened here.
    pub fn is_untouched(&self) -> bool {
        let is_quiet = self.sends.is_empty() && self.receives.is_empty() && self.offers.is_empty();
        is_quiet && self.ended_sends == 0 && self.aside.is_none()
    }

    /// Whether no value is ever taken after a younger one.
    pub fn is_strict(&self) -> bool {
        self.aside.as_ref().is_some_and(|aside| aside.is_strict)
    }

    /// Whether nothing may be handed out until what is out has been answered.
    #[inline]
    pub(super) fn is_held_up(&self) -> bool {
        // A bug on purpose, for the checks; and most channels have nothing aside.
        !cfg!(planted = "strict")
            && self.aside.is_some()
            && self.is_strict()
            && self.has_younger_waiting()
    }

    fn has_younger_waiting(&self) -> bool {
        if W::TAKES { self.has_leases() } else { !self.offers.is_empty() }
    }

    /// The value for a receive that comes now.
    pub(super) fn next_to_take(
        &mut self,
        effect: &mut impl FnMut(Effect<W>),
    ) -> Option<(M, Source<W>)> {
        if self.is_held_up() {
            return None;
        }
        let (message, source) = self.next_value()?;
        if !W::TAKES || !self.is_strict() || self.offers.is_empty() {
            return Some((message, source));
        }
        let age = self.end_send(source, effect);
        // Whoever was told of an older one gets this instead.
        let others = self.offers.iter_mut().filter(|offer| offer.age().is_some());
        let Some(oldest) = others.min_by_key(|offer| offer.age()) else {
            return Some((message, Source::Ended(age)));
        };
        match &mut oldest.source {
            Source::Ended(at) if *at < age => {
                let older = std::mem::replace(at, age);
                Some((std::mem::replace(&mut oldest.message, message), Source::Ended(older)))
            }
            _ => Some((message, Source::Ended(age))),
        }
    }

    /// Ends the send of a value that is taken, if it waits. The value's age comes out.
    pub(super) fn end_send(
        &mut self,
        source: Source<W>,
        effect: &mut impl FnMut(Effect<W>),
    ) -> u64 {
        if let Source::Ended(age) = source {
            return age;
        }
        if let Source::Waits(place, waiter) = source {
            effect(Effect { waiter, place, turn: Turn::Sent });
        }
        self.ended_sends += 1;
        self.ended_sends - 1
    }

    /// Makes an offer that is about to be taken the oldest there is.
    pub(super) fn take_oldest(&mut self, own: &mut Offer<M, W::Kept>) {
        if !W::TAKES || !self.is_strict() {
            return;
        }
        let Source::Ended(age) = &mut own.source else { return };
        let others = self.offers.iter_mut().filter(|other| other.age().is_some());
        if let Some(oldest) = others.min_by_key(|other| other.age())
            && let Source::Ended(at) = &mut oldest.source
            && *at < *age
        {
            std::mem::swap(at, age);
            std::mem::swap(&mut oldest.message, &mut own.message);
        }
        let Some(aside) = self.aside.as_deref_mut() else { return };
        if let Some(entry) = aside.returned.first_entry()
            && *entry.key() < *age
        {
            let (oldest, message) = entry.remove_entry();
            let younger = std::mem::replace(&mut own.message, message);
            aside.returned.insert(std::mem::replace(age, oldest), younger);
        }
    }

    /// A value was lent: what lies ready returns, and those who were told wait again.
    pub(super) fn hold_up(&mut self) {
        if !W::TAKES || !self.is_strict() {
            return;
        }
        let ready: Vec<_> = self.offers.drain().collect();
        for (place, offer) in ready {
            if let Source::Ended(age) = offer.source {
                self.apart += 1;
                self.aside().returned.insert(age, offer.message);
            }
            if let Some(waiter) = W::told() {
                self.receives.restore(place, waiter);
            }
        }
    }

    /// Nothing is lent any more, and what there was has gone to those who wait: so have sends that
    /// came meanwhile. A case of a select looks itself, for two selects cannot be bound at one
    /// moment.
    pub(super) fn go_on(&mut self, effect: &mut impl FnMut(Effect<W>)) {
        if !W::TAKES || !self.is_strict() || self.is_held_up() {
            return;
        }
        while !self.receives.is_empty()
            && let Some((place, (message, waiter))) = self.sends.pop()
        {
            if waiter.stir() {
                self.pass_over(place, message);
                effect(Effect { waiter, place, turn: Turn::Refused });
            } else if !waiter.claim() {
                self.pass_over(place, message);
            } else if let Some((receive, taker)) = self.next_receive() {
                effect(Effect { waiter, place, turn: Turn::Sent });
                self.lay_ready(receive, taker.keep(), &mut Some(message));
                effect(Effect { waiter: taker, place: receive, turn: Turn::Offered });
            } else {
                self.sends.restore(place, (message, waiter));
                break;
            }
        }
    }
}

impl<M, K> Offer<M, K> {
    fn age(&self) -> Option<u64> {
        match self.source {
            Source::Ended(age) => Some(age),
            Source::Leased(_) | Source::Waits(..) | Source::Orphan => None,
        }
    }
}
