//! That the model holds, and that each planted bug is found.

use super::*;
use crate::{finds, holds, is_long};

const PLAIN: Selects =
    Selects { selects: &[], capacity: 0, timers: false, fence: false, bug: None };

/// Each would serve the other, in two ways.
const CROSSING: &[&[Case]] = &[&[S(0), R(1)], &[R(0), S(1)]];
const WITH_A_THIRD: &[&[Case]] = &[&[S(0), R(1)], &[R(0), S(1)], &[R(0)]];
const TWO_RECEIVERS: &[&[Case]] = &[&[S(0), S(1)], &[R(0)], &[R(1)]];
const ONE_PARTNER_EACH: &[&[Case]] = &[&[S(0), R(1)], &[R(0)], &[S(1)]];
/// None may be matched with itself.
const BOTH_ENDS: &[&[Case]] = &[&[S(0), R(0)], &[S(0), R(0)]];
const THREE_ON_BOTH_ENDS: &[&[Case]] = &[&[S(0), R(0)], &[S(0), R(0)], &[S(0), R(0)]];

#[test]
fn two_crossing_selects_hold() {
    let selects = CROSSING;
    holds(Selects { selects, timers: true, fence: true, ..PLAIN }, 1000);
    holds(Selects { selects, capacity: 1, timers: true, fence: true, ..PLAIN }, 1000);
}

#[test]
fn a_third_who_takes_one_side_holds() {
    let selects = WITH_A_THIRD;
    holds(Selects { selects, timers: is_long(), fence: true, ..PLAIN }, 1000);
    let selects = ONE_PARTNER_EACH;
    holds(Selects { selects, timers: true, fence: true, ..PLAIN }, 1000);
}

#[test]
fn one_who_sends_and_two_who_receive_hold() {
    let selects = TWO_RECEIVERS;
    holds(Selects { selects, timers: true, fence: true, ..PLAIN }, 1000);
}

#[test]
fn selects_on_both_ends_of_one_channel_hold() {
    holds(Selects { selects: BOTH_ENDS, timers: true, fence: true, ..PLAIN }, 1000);
    holds(Selects { selects: THREE_ON_BOTH_ENDS, fence: is_long(), ..PLAIN }, 1000);
}

#[test]
fn a_value_that_leaves_with_its_select_is_taken_though_that_chose_otherwise() {
    let selects = TWO_RECEIVERS;
    finds(Selects { selects, timers: true, bug: Some(Bug::NoPrepare), ..PLAIN }, "one case each");
}

#[test]
fn a_select_without_a_lock_does_two_things() {
    let selects = WITH_A_THIRD;
    finds(Selects { selects, timers: true, bug: Some(Bug::NoLock), ..PLAIN }, "one case each");
}

#[test]
fn cases_that_are_not_given_up_hold_others_up() {
    let selects = WITH_A_THIRD;
    finds(Selects { selects, bug: Some(Bug::NoWithdrawal), ..PLAIN }, "nobody is locked for ever");
}

#[test]
fn an_aborted_select_that_stays_locked_misses_others() {
    let selects = ONE_PARTNER_EACH;
    finds(
        Selects { selects, timers: true, bug: Some(Bug::StaysLocked), ..PLAIN },
        "who can meet does",
    );
}
