//! The protocol between nodes and coordinator, checked in every order of its events (stateright).
//!
//! Each model has a few nodes, a home and links that deliver one frame at a time; a crash, a broken
//! link or a dropped future may come at any point. Where the product has a pure machine the model
//! runs that machine: what is checked is what ships.
//!
//! - `session`: exactly once and in order over links that break; fenced is final.
//! - `home`: the product's relay, as the models drive it.
//! - `landing`: channels that leave their node and come home (its `Relay`, `Settling` and `Chan`).
//! - `selects`: sends and receives of selects that cross (the product's `Relay`).
//! - `offers`: offer, accept and decline with crashes, fences and zombies (the product's `Relay`).
//!
//! Every rule that a model holds to is also broken once, by a variant that a test expects the
//! checker to find; and a model that holds must have seen a good number of states, so that it
//! cannot hold because nothing happens in it.

pub mod home;
pub mod landing;
pub mod offers;
pub mod selects;
pub mod session;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::Hash;

use stateright::{Checker, HasDiscoveries, Model};

/// Whether there is time for millions of states.
pub fn is_long() -> bool {
    std::env::var_os("FARSPAWN_LONG").is_some()
}

/// Checks that all properties hold in all states, of which there are at least so many.
///
/// # Panics
///
/// If one does not hold, with the steps that lead there; or if there are fewer states.
pub fn holds<M>(model: M, states_min: usize)
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + Debug + PartialEq,
{
    let checker = model.checker().threads(2).spawn_bfs().join();
    let states = checker.unique_state_count();
    println!("{states} states, depth {}", checker.max_depth());
    checker.assert_properties();
    assert!(states >= states_min, "only {states} states");
}

/// Checks that a property does not hold, and that the checker says how it is broken.
///
/// # Panics
///
/// If the property holds.
pub fn finds<M>(model: M, property: &'static str)
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + Debug + PartialEq,
{
    let wanted = HasDiscoveries::AnyOf(BTreeSet::from([property]));
    let checker = model.checker().threads(2).finish_when(wanted).spawn_bfs().join();
    let trace = checker.assert_any_discovery(property);
    println!("{property}: {:?}", trace.into_actions());
}
