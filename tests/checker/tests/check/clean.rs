//! Legal histories of many kinds raise no alarm, neither of the rules nor of the home's log.

use checker::generate::{Mix, generate};
use checker::{check, witness};

fn no_alarm(kind: &str, seeds: u64, mix: &Mix) {
    for seed in 0..seeds {
        let (history, log) = generate(seed, mix);
        let mut found = check(&history);
        found.extend(witness(&history, &log));
        let first = found.first().map(ToString::to_string).unwrap_or_default();
        assert!(found.is_empty(), "{kind}, seed {seed}: {} alarms: {first}", found.len());
    }
}

#[test]
fn of_plain_sends_and_receives() {
    no_alarm("plain", 100, &Mix { whims: false, closes: 0, ..Mix::default() });
}

#[test]
fn of_rendezvous() {
    no_alarm("rendezvous", 100, &Mix { capacity_max: 0, ..Mix::default() });
}

#[test]
fn of_capacity_one() {
    no_alarm("one", 100, &Mix { capacity_min: 1, capacity_max: 1, ..Mix::default() });
}

#[test]
fn of_large_buffers() {
    no_alarm("many", 50, &Mix { capacity_min: 8, capacity_max: 200, ..Mix::default() });
}

#[test]
fn of_operations_given_up_and_selects_and_closes() {
    no_alarm("whims", 100, &Mix::default());
}

#[test]
fn of_sessions_that_are_fenced() {
    no_alarm("fenced", 200, &Mix { fences: 60, ..Mix::default() });
    no_alarm("fenced, plain", 100, &Mix { fences: 60, whims: false, ..Mix::default() });
}

#[test]
fn of_a_few_tasks_that_meet_often() {
    no_alarm("few", 100, &Mix { channels: 1, tasks: 3, operations: 300, ..Mix::default() });
}

/// The same seed gives the same history, so that what it shows can be looked at again.
#[test]
fn and_a_seed_is_a_history() {
    let mix = Mix { fences: 60, ..Mix::default() };
    assert_eq!(generate(7, &mix).0.records, generate(7, &mix).0.records);
    assert_ne!(generate(7, &mix).0.records, generate(8, &mix).0.records);
}
