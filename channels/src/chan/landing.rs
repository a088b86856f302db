//! A channel on its way from a home that offers to one that takes.

use std::collections::BTreeMap;

use super::{Chan, Effect, Source, Turn, Waiter};
use crate::line::Place;
use crate::wire::End;

/// What is in a channel, as it would be if nothing were on offer.
#[derive(Debug)]
pub struct Survey<'a, M, W> {
    /// Values whose send has ended, in order.
    pub sent: Vec<&'a M>,
    /// Sends that wait, in order, with their values.
    pub sends: Vec<(W, &'a M)>,
    /// Receives that wait, in order.
    pub receives: Vec<W>,
}

/// The places of operations that came along, in order.
#[derive(Debug, Default)]
pub struct Arrived {
    /// Of the sends.
    pub sends: Vec<Place>,
    /// Of the receives.
    pub receives: Vec<Place>,
}

impl<M, W: Waiter> Chan<M, W> {
    /// Looks at everything that a home takes along that offers. A value on offer is at its old
    /// place, and so is the receive; a value whose sender died while it was on offer is not there.
    pub fn survey(&self) -> Survey<'_, M, W> {
        let returned = self.aside.iter().flat_map(|aside| &aside.returned);
        let mut old: BTreeMap<u64, &M> = returned.map(|(age, message)| (*age, message)).collect();
        let mut sends: BTreeMap<Place, (W, &M)> = BTreeMap::new();
        let mut receives: BTreeMap<Place, W> = BTreeMap::new();
        let copy = |waiter: &W| W::kept(&waiter.keep());
        for (place, (message, waiter)) in self.sends.iter() {
            sends.extend(copy(waiter).map(|waiter| (place, (waiter, message))));
        }
        for (place, waiter) in self.receives.iter() {
            receives.extend(copy(waiter).map(|waiter| (place, waiter)));
        }
        for (place, offer) in self.offers.iter() {
            receives.extend(W::kept(&offer.receive).map(|waiter| (place, waiter)));
            match &offer.source {
                Source::Ended(age) => drop(old.insert(*age, &offer.message)),
                Source::Waits(place, kept) => {
                    sends.extend(W::kept(kept).map(|waiter| (*place, (waiter, &offer.message))));
                }
                Source::Leased(_) | Source::Orphan => {}
            }
        }
        let sent = old.into_values().chain(&self.buffer).collect();
        let (sends, receives) = (sends.into_values().collect(), receives.into_values().collect());
        Survey { sent, sends, receives }
    }

    /// Takes all values out of a channel that has landed elsewhere.
    pub fn empty(&mut self) -> Vec<M> {
        let returned = self.aside().returned.split_off(&0).into_values();
        let ended = returned.chain(self.buffer.drain(..));
        let sends = self.sends.drain().map(|(_, (message, _))| message);
        let offers = self.offers.drain().map(|(_, offer)| offer.message);
        self.apart = 0;
        ended.chain(sends).chain(offers).collect()
    }

    /// An empty channel that gives no place that this one has given.
    pub fn successor(&self) -> Self {
        Self { places: self.places.clone(), ..Self::new(self.capacity()) }
    }

    /// Fills an empty channel with what came along from its last home.
    pub fn arrive(
        &mut self,
        sent: Vec<M>,
        sends: Vec<(M, W)>,
        receives: Vec<W>,
        end: Option<End>,
        effect: &mut impl FnMut(Effect<W>),
    ) -> Arrived {
        sent.into_iter().for_each(|message| self.append(message));
        let sends = sends.into_iter();
        let sends = sends.map(|(message, waiter)| self.wait_send(&mut Some(message), || waiter));
        let sends = sends.collect();
        let receives = receives.into_iter().map(|waiter| self.wait_receive(|| waiter)).collect();
        while !self.receives.is_empty() && self.has_values() {
            let Some((place, waiter)) = self.next_receive() else { break };
            let Some((message, source)) = self.next_value() else { break };
            let age = match source {
                Source::Ended(age) => age,
                Source::Waits(..) | Source::Leased(_) | Source::Orphan => {
                    self.ended_sends += 1;
                    self.ended_sends - 1
                }
            };
            if let Source::Waits(place, waiter) = source {
                effect(Effect { waiter, place, turn: Turn::Sent });
            }
            self.hand(place, waiter, message, Source::Ended(age), effect);
        }
        match end {
            Some(end) => drop(self.finish(end, effect)),
            None => self.match_up(effect),
        }
        Arrived { sends, receives }
    }
}
