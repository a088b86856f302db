//! When a select asks for a case whose channel is at home elsewhere although one that is here could
//! go at once.
//!
//! What is here is known at once, what is elsewhere only after a round trip. If that alone decided,
//! a case that is always ready here would win for ever, and a channel elsewhere that says "stop"
//! would never be heard. So the case that is drawn first has the first word wherever its channel
//! is: one elsewhere is asked, as [`Receiver::try_recv`](crate::Receiver::try_recv) asks. Both
//! being ready, each happens as often as the other (C35).
//!
//! A case that was asked in vain is asked more rarely, down to once in [`RAREST`] times that it is
//! drawn, and always again once it could go. What has a credit or a value in stock costs no
//! question. Where nothing here could go nobody is asked in this way: the select is to wait, and
//! all homes hear of that.
//!
//! While it asks no other case can happen. With a link that is broken that lasts until the link is
//! there again, or until the lease ends: then the home is lost.
//!
//! If this process dies while it asks, the home gives back what it offered; if the home is lost,
//! the case is ready, and says so.

use super::random;
use crate::handle::Message;
use crate::location::{Location, Shared};
use crate::wire::Side;

/// A case that never could go is asked once in so many times that it is drawn.
const RAREST: usize = 1 << 8;

/// What a refusal adds to the exponent.
const STEP: u8 = 2;

/// How rarely a channel is asked: once in two to the power of this many times.
#[derive(Default)]
pub(crate) struct Reserve(u8);

/// Whether a case is at home elsewhere and is to be asked now.
pub(super) fn is_worth_it<T: Message>(shared: &Shared<T>, side: Side) -> bool {
    let core = shared.lock();
    let Location::Relayed(relayed) = &core.location else { return false };
    let is_free = match side {
        Side::Send => relayed.flow.has_credit(),
        Side::Receive => relayed.flow.lock().has_stock(),
    };
    is_free || random::first(1 << relayed.reserve.0) == 0
}

/// A case was asked, and could go or not.
pub(super) fn note<T: Message>(shared: &Shared<T>, could: bool) {
    if let Location::Relayed(relayed) = &mut shared.lock().location {
        let rarer = (relayed.reserve.0 + STEP).min(RAREST.ilog2() as u8);
        relayed.reserve.0 = if could { 0 } else { rarer };
    }
}
