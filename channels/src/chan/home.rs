//! What happens to a channel when its home moves, or when a node that used it dies.

use std::collections::BTreeMap;

use super::{Chan, Effect, Source, Waiter};
use crate::line::Place;

impl<M, W: Waiter> Chan<M, W> {
    /// Forgets the waiting operations of a dead node: its offers return to their places, its sends
    /// that have not ended are gone, for they were never committed. Their values come out.
    pub fn fence(
        &mut self,
        dead: impl Fn(&W) -> bool,
        effect: &mut impl FnMut(Effect<W>),
    ) -> Vec<M> {
        let mut dropped = Vec::new();
        let receives = self.receives.iter().filter(|(_, waiter)| dead(waiter));
        let receives: Vec<Place> = receives.map(|(place, _)| place).collect();
        receives.into_iter().for_each(|place| drop(self.receives.leave(place)));
        let sends = self.sends.iter().filter(|(_, (_, waiter))| dead(waiter));
        let sends: Vec<Place> = sends.map(|(place, _)| place).collect();
        for place in sends {
            dropped.extend(self.sends.leave(place).map(|(message, _)| message));
        }
        for offer in self.offers.iter_mut() {
            if let Source::Waits(place, kept) = &offer.source
                && W::kept(kept).as_ref().is_some_and(&dead)
            {
                if let Some(aside) = &mut self.aside {
                    aside.reserved.remove(place);
                }
                offer.source = Source::Orphan;
            }
        }
        let offers = self
            .offers
            .iter()
            .filter(|(_, offer)| W::kept(&offer.receive).as_ref().is_some_and(&dead));
        let offers: Vec<Place> = offers.map(|(place, _)| place).collect();
        for receive in offers {
            let offer = self.offers.leave(receive).expect("it was found there");
            self.note_lease_end(&offer);
            dropped.extend(self.put_back(offer, effect));
        }
        self.match_up(effect);
        dropped
    }

    /// Everything that a home that moves takes along, in the order of the sends: the values, and
    /// who waits for each to go. Values that were taken and not fetched are among them. For a home
    /// in a process.
    pub fn contents(&self) -> Vec<Content<'_, M, W>> {
        let attempts = |age| self.aside.as_ref()?.attempts.get(&age).copied();
        let sent = |age, message| Content::Sent(message, attempts(age).unwrap_or(0));
        let fetched = self.offers.iter().filter_map(|(_, offer)| match &offer.source {
            Source::Ended(age) => Some((*age, sent(*age, &offer.message))),
            Source::Leased(_) | Source::Waits(..) | Source::Orphan => None,
        });
        let returned = self.aside.iter().flat_map(|aside| &aside.returned);
        let leases = self.aside.iter().flat_map(|aside| &aside.leases);
        let leases = leases.map(|(age, _)| (*age, Content::Lent(*age)));
        let returned = returned.map(|(age, message)| (*age, sent(*age, message)));
        let mut old: Vec<(u64, Content<'_, M, W>)> =
            fetched.chain(returned).chain(leases).collect();
        old.sort_by_key(|(age, _)| *age);
        let old = old.into_iter().map(|(_, content)| content);
        let buffer = self.buffer.iter().map(|message| Content::Sent(message, 0));
        let sends = self.sends.iter();
        let sends = sends.map(|(_, (message, waiter))| Content::Waits(message, waiter));
        old.chain(buffer).chain(sends).collect()
    }

    /// The values of all sends that were refused or passed over and have not fetched them.
    pub fn take_all_refused(&mut self) -> BTreeMap<Place, M> {
        self.aside.as_mut().map(|aside| std::mem::take(&mut aside.refused)).unwrap_or_default()
    }

    /// Takes everything out, in the order of [`Chan::contents`]. What was taken and not fetched has
    /// not been seen yet, so its receive waits again, at its old place.
    pub fn dismantle(&mut self) -> Parts<M, W> {
        self.aside().leases.clear();
        self.aside().attempts.clear();
        let mut old = self.aside().returned.split_off(&0);
        let mut receives = Vec::new();
        for (place, offer) in self.offers.drain() {
            receives.push((place, W::kept(&offer.receive)));
            if let Source::Ended(age) = offer.source {
                old.insert(age, offer.message);
            }
        }
        receives.extend(self.receives.drain().map(|(place, waiter)| (place, Some(waiter))));
        receives.sort_by_key(|(place, _)| *place);
        let sent = old.into_values().chain(self.buffer.drain(..)).collect();
        let sends = self.sends.drain().map(|(place, (message, waiter))| (place, message, waiter));
        let parts = Parts { sent, sends: sends.collect(), receives };
        self.apart = 0;
        parts
    }
}

/// A part of what [`Chan::contents`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Content<'a, M, W> {
    /// A value whose send has ended, and how often it was leased.
    Sent(&'a M, u32),
    /// One in somebody's hands under a lease, by its age.
    Lent(u64),
    /// A send that waits.
    Waits(&'a M, &'a W),
}

/// What [`Chan::dismantle`] found.
#[derive(Debug)]
pub struct Parts<M, W> {
    /// Values whose send has ended.
    pub sent: Vec<M>,
    /// Sends that wait, with their values.
    pub sends: Vec<(Place, M, W)>,
    /// Receives that have not got their value; without a waiter, those that had been woken.
    pub receives: Vec<(Place, Option<W>)>,
}
