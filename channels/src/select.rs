//! Select: of several sends and receives exactly one happens, chosen at random among those that
//! can (C33 to C42).
//!
//! First each case is tried by itself, in random order: most selects end there (and in its turn a
//! case elsewhere is asked for, see `select/asking.rs`). If none could go,
//! the channels are locked together, so that "nothing is ready" is true of all of them at one
//! moment (C37): then the default runs, or every case joins its channel's queue with the select's
//! claim (`claim.rs`). Whoever meets one of them there claims the select first, and passes a case
//! over whose select has chosen another. Woken, the select withdraws the other cases.
//!
//! Rejected: taking the locks in the order of their addresses, as Go does. An export holds the lock
//! of a channel while it locks those inside; so a select lets go of all when it cannot have one.
//!
//! Relayed channels: a receive is asked of the home, and the answer counts only if the select can
//! still be claimed. A send stands in line at the home without its value (`operation/watch.rs`).
//! When it is its turn the home keeps a partner for it and asks; then the select is claimed, its
//! other cases are withdrawn, and the value goes. If the partner has gone elsewhere meanwhile, the
//! select starts anew, and the send stands where it stood. So a value never leaves before the
//! select is its own to decide; the price is a second round trip.

mod asking;
mod builder;
mod case;
mod choose;
mod macros;
mod nil;
mod operand;
mod random;

pub(crate) use asking::Reserve;
pub use builder::{Chosen, Select};
pub use case::{Answer, Case, Outcome, ReceiveCase, SendCase, Steps};
pub use choose::{Choosing, Either, choose, choose_blocking, choose_now, choose_now_blocking};
pub use nil::{OptionalReceiver, OptionalSender};
pub use operand::Operand;
pub use random::first;
#[cfg(all(feature = "simulation", not(any(loom, shuttle))))]
pub(crate) use random::reseed;
pub use std::option::Option;
