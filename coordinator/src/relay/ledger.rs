//! What each session has here, by session: its end costs what it had, not what all others have.

use std::collections::BTreeMap;

use channels::id::{ChannelId, OperationId, SessionId};
use channels::line::Place;
use channels::wire::Side;

use super::Violation;

/// The accounts of all sessions that have anything here.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    accounts: BTreeMap<SessionId, Account>,
}

/// What a session has, by channel.
#[derive(Debug, Default)]
struct Account {
    holdings: BTreeMap<ChannelId, Holding>,
}

/// What a session has of one channel.
#[derive(Debug, Default)]
pub(super) struct Holding {
    /// Handles, by side.
    pub(super) handles: [u64; 2],
    /// Operations that wait, or whose offer is out.
    pub(super) parked: BTreeMap<OperationId, Parked>,
}

/// An operation that waits, and its place in the channel. Sends and receives stand in lines of
/// their own, so that a place alone could be taken for one in the other line.
#[derive(Clone, Copy, Debug)]
pub(super) enum Parked {
    Send(Place),
    Receive(Place),
}

impl Parked {
    pub(super) fn side(self) -> Side {
        match self {
            Self::Send(_) => Side::Send,
            Self::Receive(_) => Side::Receive,
        }
    }
}

impl Ledger {
    /// Whether a session has any handle.
    pub(super) fn has_handles(&self, session: SessionId) -> bool {
        self.accounts.get(&session).is_some_and(|account| !account.holdings.is_empty())
    }

    /// How many handles of a side a session has.
    pub(super) fn handles(&self, session: SessionId, channel: ChannelId, side: Side) -> u64 {
        self.holding(session, channel).map_or(0, |holding| holding.handles[side as usize])
    }

    /// A session has one more handle.
    pub(super) fn attach(&mut self, session: SessionId, channel: ChannelId, side: Side) {
        let account = self.accounts.entry(session).or_default();
        account.holdings.entry(channel).or_default().handles[side as usize] += 1;
    }

    /// A session gives handles back.
    pub(super) fn detach(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        side: Side,
        count: u32,
    ) -> Result<(), Violation> {
        let holding = self.holding_mut(session, channel);
        let holding = holding.ok_or(Violation::NotAttached(channel))?;
        let left = holding.handles[side as usize].checked_sub(u64::from(count));
        holding.handles[side as usize] = left.ok_or(Violation::Count(count, channel))?;
        self.tidy(session, channel);
        Ok(())
    }

    /// An operation waits.
    pub(super) fn park(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        operation: OperationId,
        parked: Parked,
    ) {
        let account = self.accounts.entry(session).or_default();
        account.holdings.entry(channel).or_default().parked.insert(operation, parked);
    }

    /// How an operation waits.
    pub(super) fn parked(
        &self,
        session: SessionId,
        channel: ChannelId,
        operation: OperationId,
    ) -> Option<Parked> {
        self.holding(session, channel)?.parked.get(&operation).copied()
    }

    /// An operation waits no longer.
    pub(super) fn unpark(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        operation: OperationId,
    ) {
        if let Some(holding) = self.holding_mut(session, channel) {
            holding.parked.remove(&operation);
            self.tidy(session, channel);
        }
    }

    /// The operations of a session that wait on a side of a channel to which it has no handle.
    pub(super) fn stranded(
        &self,
        session: SessionId,
        channel: ChannelId,
        side: Side,
    ) -> Vec<OperationId> {
        let holding = self.holding(session, channel);
        let Some(holding) = holding.filter(|holding| holding.handles[side as usize] == 0) else {
            return Vec::new();
        };
        let parked = holding.parked.iter().filter(|(_, parked)| parked.side() == side);
        parked.map(|(operation, _)| *operation).collect()
    }

    /// A session has ended. What it had comes out.
    pub(super) fn close(&mut self, session: SessionId) -> BTreeMap<ChannelId, Holding> {
        self.accounts.remove(&session).unwrap_or_default().holdings
    }

    fn holding(&self, session: SessionId, channel: ChannelId) -> Option<&Holding> {
        self.accounts.get(&session)?.holdings.get(&channel)
    }

    fn holding_mut(&mut self, session: SessionId, channel: ChannelId) -> Option<&mut Holding> {
        self.accounts.get_mut(&session)?.holdings.get_mut(&channel)
    }

    /// Forgets a channel of which a session has nothing any more.
    fn tidy(&mut self, session: SessionId, channel: ChannelId) {
        let Some(account) = self.accounts.get_mut(&session) else { return };
        let nothing = |holding: &Holding| holding.handles == [0, 0] && holding.parked.is_empty();
        if account.holdings.get(&channel).is_some_and(nothing) {
            account.holdings.remove(&channel);
        }
    }
}
