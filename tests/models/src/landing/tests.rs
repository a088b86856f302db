//! What holds, and the bugs that are found.

use super::*;
use crate::{finds, holds, is_long};

/// Two values and a receiver that goes and comes back.
fn landings(bug: Option<Bug>, capacity: u32) -> Landings {
    let (passes, gives_up, ticks) = if is_long() { (3, 1, 4) } else { (2, 0, 1) };
    let asks_ahead = false;
    Landings { bug, capacity, values: 2, passes, gives_up, ticks, asks_ahead }
}

/// One value, and a receiver that goes, comes back and goes again.
fn leaves_again(bug: Option<Bug>) -> Landings {
    Landings { values: 1, passes: 3, ..landings(bug, 0) }
}

#[test]
fn a_channel_comes_home_and_leaves_again() {
    holds(leaves_again(None), 20_000);
}

#[test]
fn a_receive_that_is_given_up_comes_home() {
    holds(Landings { values: 1, gives_up: 1, ..landings(None, 0) }, 20_000);
}

#[test]
fn a_rendezvous_comes_home() {
    holds(landings(None, 0), 20_000);
}

#[test]
fn a_buffer_comes_home() {
    holds(landings(None, 1), 50_000);
}

/// Values are offered ahead to the receiver while it is with the sender; and if there are many,
/// the sender gets credits.
fn offers_ahead(bug: Option<Bug>) -> Landings {
    let values = if is_long() { 4 } else { 2 };
    Landings { asks_ahead: true, values, ..landings(bug, 2) }
}

#[test]
fn a_channel_that_offers_ahead_comes_home() {
    holds(offers_ahead(None), 50_000);
}

#[test]
fn early_offers_that_were_kept_come_twice() {
    finds(offers_ahead(Some(Bug::KeepsStock)), "in order, each once");
}

#[test]
fn what_a_node_goes_on_to_send_is_lost() {
    finds(landings(Some(Bug::HoldsNothing), 1), "in order, each once");
}

#[test]
fn a_value_taken_in_between_comes_twice() {
    finds(landings(Some(Bug::TakesWhileSettling), 1), "in order, each once");
}

#[test]
fn a_handle_that_leaves_unseen_breaks_a_link() {
    finds(leaves_again(Some(Bug::ForgetsDepartures)), "each has its rights");
}

#[test]
fn operations_left_behind_wait_for_ever() {
    finds(landings(Some(Bug::LeavesWaiting), 1), "nobody waits for ever");
}

#[test]
fn operations_that_were_held_and_forgotten_wait_for_ever() {
    finds(landings(Some(Bug::DropsHeld), 1), "nobody waits for ever");
}
