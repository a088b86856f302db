//! What the home lends to the node, by the rules of the product's `flow.rs`.

use std::collections::VecDeque;

use channels::id::ChannelId;
use channels::wire::{Frame, Parcel};

use super::Bug;
use super::node::{Home, Node};
use crate::home::number;

/// What the home has lent, by the rules of the product's `flow.rs`.
#[derive(Clone, Debug, Default, Hash, PartialEq)]
pub(super) struct Lent {
    /// Whether values are asked for ahead of receives.
    pub(super) asks_ahead: bool,
    pub(super) credits: u32,
    /// Early offers, by their numbers.
    pub(super) stock: VecDeque<(u64, u8)>,
    pub(super) seen: u64,
    /// `Detach` that had left when the receive handle arrived.
    pub(super) since: u64,
}

impl Node {
    pub(super) fn is_at(&self, at: ChannelId) -> bool {
        matches!(self.home, Home::Away { channel, .. } if channel == at)
    }

    pub(super) fn approach(&mut self, channel: ChannelId, landings: u32) {
        let mut lent = Vec::new();
        if self.is_at(channel) {
            lent.extend(self.repay(channel));
        }
        if self.is_at(channel) && self.bug != Some(Bug::KeepsStock) {
            lent.extend(self.untaken(channel));
        }
        // Early offers keep nothing away here: nobody but the receiver itself has one in hand.
        let give_back = || std::mem::take(&mut lent);
        self.settling.on_approach(channel, landings, true, give_back, &mut self.out);
        // The home has refused nothing yet: what was not given back for that leaves after it.
        lent.into_iter().for_each(|frame| self.push(frame));
    }

    pub(super) fn on_early(
        &mut self,
        channel: ChannelId,
        first: u64,
        detaches: u64,
        parcels: &[Parcel],
    ) {
        let is_for_us = match self.home {
            Home::Away { channel: at, arrivals } => at == channel && arrivals > 0,
            Home::Here(_) => false,
        };
        if is_for_us && detaches >= self.lent.since {
            self.lent.seen = first + parcels.len() as u64;
            self.lent.stock.extend((first..).zip(parcels.iter().map(number)));
        } else {
            self.push(Frame::Untaken { channel, first, count: parcels.len() as u32 });
        }
    }

    pub(super) fn repay(&mut self, channel: ChannelId) -> Option<Frame> {
        let credits = std::mem::take(&mut self.lent.credits);
        let detaches = u64::MAX;
        (credits > 0).then_some(Frame::Repay { channel, credits, detaches })
    }

    pub(super) fn untaken(&mut self, channel: ChannelId) -> Vec<Frame> {
        let stock = self.lent.stock.drain(..);
        stock.map(|(first, _)| Frame::Untaken { channel, first, count: 1 }).collect()
    }

    pub(super) fn untake(&mut self, channel: ChannelId) {
        let untaken = self.untaken(channel);
        untaken.into_iter().for_each(|frame| self.push(frame));
    }
}
