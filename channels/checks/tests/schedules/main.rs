//! Channels under many random orders of their threads. Run it with
//! `RUSTFLAGS="--cfg shuttle" cargo test --test schedules`: the locks and atomics of `channels` are
//! then those of shuttle, which decides at each of them who goes on.
//!
//! A deadlock, which is what a lost wake-up looks like, fails with the schedule that led to it.

#![cfg(shuttle)]

mod closing;
mod delivery;
mod explore;
mod giving_up;
mod selecting;
mod waiting;
