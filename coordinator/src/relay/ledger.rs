//! What each session has here, by session: its end costs what it had, not what all others have.
//! Counted against the limits; whoever goes beyond one is noted, and cut off by the coordinator.

use std::collections::BTreeMap;

use channels::id::{ChannelId, OperationId, SessionId};
use channels::line::Place;
use channels::wire::Side;

use super::Violation;
use crate::limits::Limits;

/// What a channel takes, about, and its handles in one session.
pub(super) const CHANNEL_BYTES: usize = 512;

/// The accounts of all sessions.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Ledger {
    limits: Limits,
    accounts: BTreeMap<SessionId, Account>,
    /// What is under way, on whose account it may be, in bytes.
    bytes: usize,
    /// Who went beyond a limit, and beyond which.
    excesses: Vec<(SessionId, String)>,
}

/// What a session has.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Account {
    holdings: BTreeMap<ChannelId, Holding>,
    /// Operations that wait, on all channels.
    operations: usize,
    /// What it pays for that is under way, in bytes.
    bytes: usize,
    /// How often it has given handles back.
    detaches: u64,
}

/// What a session has of one channel.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Holding {
    /// Handles, by side.
    pub(super) handles: [u64; 2],
    /// Operations that wait, or whose offer is out.
    pub(super) parked: BTreeMap<OperationId, Parked>,
}

/// An operation that waits, and its place in the channel. Sends and receives stand in lines of
/// their own, so that a place alone could be taken for one in the other line.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Parked {
    Send(Place),
    Receive(Place),
    /// A value on lease, that was offered to a receive of this place.
    Lease(Place),
    /// A select that would send.
    Watch(Place),
    /// It waits at a gate. With the side whose handles it needs; a close and a question, once
    /// asked, need none.
    Held(Option<Side>),
}

impl Parked {
    /// The side whose handles it needs.
    pub(super) fn side(self) -> Option<Side> {
        match self {
            Self::Send(_) | Self::Watch(_) => Some(Side::Send),
            Self::Receive(_) | Self::Lease(_) => Some(Side::Receive),
            Self::Held(side) => side,
        }
    }
}

impl Ledger {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, accounts: BTreeMap::new(), bytes: 0, excesses: Vec::new() }
    }

    /// What one channel may hold, in bytes.
    pub(super) fn channel_bytes_max(&self) -> usize {
        self.limits.channel_bytes_max
    }

    /// A session begins.
    pub(super) fn open(&mut self, session: SessionId) {
        self.accounts.insert(session, Account::default());
    }

    /// A session that went beyond a limit, and which.
    pub(super) fn take_excess(&mut self) -> Option<(SessionId, String)> {
        self.excesses.pop()
    }

    /// What is under way, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Who has the most here.
    pub(super) fn heaviest(&self) -> Option<SessionId> {
        let weight = |account: &Account| account.bytes + CHANNEL_BYTES * account.holdings.len();
        let heaviest = self.accounts.iter().max_by_key(|(_, account)| weight(account));
        heaviest.map(|(session, _)| *session)
    }

    /// Nothing is under way any more.
    pub(super) fn clear(&mut self) {
        self.bytes = 0;
    }

    /// Whether a session is there.
    pub(super) fn is_open(&self, session: SessionId) -> bool {
        self.accounts.contains_key(&session)
    }

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
        let Some(account) = self.accounts.get_mut(&session) else { return };
        account.holdings.entry(channel).or_default().handles[side as usize] += 1;
        let channels_max = self.limits.channels_max;
        if account.holdings.len() > channels_max {
            let excess = format!("it has handles to more than {channels_max} channels");
            self.excesses.push((session, excess));
        }
    }

    /// A session gives handles back.
    pub(super) fn detach(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        side: Side,
        count: u32,
    ) -> Result<(), Violation> {
        let account = self.accounts.get_mut(&session);
        let account = account.ok_or(Violation::NotAttached(channel))?;
        account.detaches += 1;
        let holding = account.holdings.get_mut(&channel).ok_or(Violation::NotAttached(channel))?;
        let left = holding.handles[side as usize].checked_sub(u64::from(count));
        holding.handles[side as usize] = left.ok_or(Violation::Count(count, channel))?;
        self.tidy(session, channel);
        Ok(())
    }

    /// How often a session has given handles back.
    pub(super) fn detaches(&self, session: SessionId) -> u64 {
        self.accounts.get(&session).map_or(0, |account| account.detaches)
    }

    /// An operation waits.
    pub(super) fn park(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        operation: OperationId,
        parked: Parked,
    ) {
        let Some(account) = self.accounts.get_mut(&session) else { return };
        account.holdings.entry(channel).or_default().parked.insert(operation, parked);
        account.operations += 1;
        let operations_max = self.limits.operations_max;
        if account.operations > operations_max {
            let excess = format!("more than {operations_max} sends and receives of it wait");
            self.excesses.push((session, excess));
        }
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
        let Some(account) = self.accounts.get_mut(&session) else { return };
        let Some(holding) = account.holdings.get_mut(&channel) else { return };
        if holding.parked.remove(&operation).is_some() {
            account.operations -= 1;
        }
        self.tidy(session, channel);
    }

    /// A session pays for something that is under way.
    pub(super) fn charge(&mut self, session: SessionId, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
        let Some(account) = self.accounts.get_mut(&session) else { return };
        account.bytes = account.bytes.saturating_add(bytes);
        let bytes_max = self.limits.undelivered_bytes_max;
        if account.bytes > bytes_max {
            let excess = format!(
                "more than {bytes_max} bytes that it sent, or that its tasks returned, wait to be \
                 taken"
            );
            self.excesses.push((session, excess));
        }
    }

    /// It is under way no longer.
    pub(super) fn discharge(&mut self, session: SessionId, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
        if let Some(account) = self.accounts.get_mut(&session) {
            account.bytes = account.bytes.saturating_sub(bytes);
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
        let parked = holding.parked.iter().filter(|(_, parked)| parked.side() == Some(side));
        parked.map(|(operation, _)| *operation).collect()
    }

    /// A channel is none of a session's any more: its handles, and the operations that wait on it.
    pub(super) fn forget(&mut self, session: SessionId, channel: ChannelId) {
        let Some(account) = self.accounts.get_mut(&session) else { return };
        if let Some(holding) = account.holdings.remove(&channel) {
            account.operations -= holding.parked.len();
        }
    }

    /// A session has ended. What it had comes out.
    pub(super) fn close(&mut self, session: SessionId) -> BTreeMap<ChannelId, Holding> {
        self.accounts.remove(&session).unwrap_or_default().holdings
    }

    fn holding(&self, session: SessionId, channel: ChannelId) -> Option<&Holding> {
        self.accounts.get(&session)?.holdings.get(&channel)
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
