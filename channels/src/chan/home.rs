//! What happens to a channel when its home moves, or when a node that used it dies.

use std::collections::BTreeMap;

use super::{Chan, Effect, Offer, Waiter};
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
        let receives: Vec<Place> =
            self.receives.iter().filter(|(_, waiter)| dead(waiter)).map(|(at, _)| at).collect();
        receives.into_iter().for_each(|place| drop(self.receives.leave(place)));
        let sends: Vec<Place> =
            self.sends.iter().filter(|(_, waiter)| dead(waiter)).map(|(at, _)| at).collect();
        for place in sends {
            self.sends.leave(place);
            match self.values.leave(place) {
                Some(message) => dropped.push(message),
                None => drop(self.aside().orphans.insert(place)),
            }
        }
        let is_dead = |offer: &Offer<M, W>| offer.receive.as_ref().is_some_and(&dead);
        let offers: Vec<Place> =
            self.offers.iter().filter(|(_, offer)| is_dead(offer)).map(|(at, _)| at).collect();
        for receive in offers {
            let offer = self.offers.leave(receive).expect("it was found there");
            dropped.extend(self.put_back(offer, effect));
        }
        self.match_up(effect);
        dropped
    }

    /// Everything that a home that moves takes along, in the order of the sends: the values, and
    /// who waits for each to go. Values that were taken and not fetched are among them.
    pub fn contents(&self) -> Vec<(&M, Option<&W>)> {
        let offered = self.offers.iter().map(|(_, offer)| (offer.value, &offer.message));
        let mut values: Vec<_> = offered.chain(self.values.iter()).collect();
        values.sort_by_key(|(place, _)| *place);
        values.into_iter().map(|(place, message)| (message, self.sends.get(place))).collect()
    }

    /// The values of all sends that were refused or passed over and have not fetched them.
    pub fn take_all_refused(&mut self) -> BTreeMap<Place, M> {
        self.aside.as_mut().map(|aside| std::mem::take(&mut aside.refused)).unwrap_or_default()
    }

    /// Takes everything out, for a home that moves, which knows that no offer has been seen yet.
    pub fn dismantle(&mut self) -> Parts<M, W> {
        let mut parts = Parts { sent: Vec::new(), sends: Vec::new(), receives: Vec::new() };
        for (receive, offer) in self.offers.drain().collect::<Vec<_>>() {
            self.values.restore(offer.value, offer.message);
            parts.receives.push((receive, offer.receive));
        }
        for (place, message) in self.values.drain() {
            match self.sends.leave(place) {
                None => parts.sent.push(message),
                Some(waiter) => parts.sends.push((place, message, waiter)),
            }
        }
        let waiting = self.receives.drain().map(|(place, waiter)| (place, Some(waiter)));
        parts.receives.extend(waiting);
        parts.receives.sort_by_key(|(place, _)| *place);
        self.settled = 0;
        parts
    }
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
