//! The home's log explains legal histories, and a false step in either is found.

use checker::generate::{Mix, generate};
use checker::{Commit, History, Outcome, Rule, witness};

#[track_caller]
fn found(history: &History, log: &[Commit]) {
    let found = witness(history, log);
    assert!(!found.is_empty() && found.iter().all(|found| found.rule == Rule::Witness));
}

fn made() -> (History, Vec<Commit>) {
    generate(5, &Mix { closes: 0, whims: false, capacity_min: 1, ..Mix::default() })
}

#[test]
fn a_log_that_fits() {
    let (history, log) = made();
    assert!(witness(&history, &log).is_empty());
}

#[test]
fn a_step_that_is_left_out() {
    let (history, log) = made();
    for wanted in [true, false] {
        let is = |commit: &Commit| matches!(commit, Commit::Send { .. }) == wanted;
        let mut log = log.clone();
        log.remove(log.iter().position(is).unwrap());
        found(&history, &log);
    }
}

#[test]
fn two_steps_that_changed_places() {
    let (history, log) = made();
    // Two values of one channel that were inside together leave in the wrong order.
    let takes: Vec<usize> =
        (0..log.len()).filter(|at| matches!(log[*at], Commit::Take { channel: 1, .. })).collect();
    let mut wrong = 0;
    for pair in takes.windows(2) {
        let mut log = log.clone();
        log.swap(pair[0], pair[1]);
        wrong += usize::from(!witness(&history, &log).is_empty());
    }
    assert_eq!(wrong, takes.len() - 1);
}

#[test]
fn an_answer_that_the_log_does_not_know() {
    let (mut history, log) = made();
    let send = history.records.iter_mut().find(|r| r.is_send() && r.outcome == Outcome::Ok);
    send.unwrap().outcome = Outcome::Closed;
    found(&history, &log);
    let (mut history, log) = made();
    history.records.iter_mut().find(|record| record.is_take()).unwrap().session = 2;
    found(&history, &log);
}

#[test]
fn a_step_outside_of_its_operation() {
    let (mut history, log) = made();
    let take = history.records.iter_mut().filter(|record| record.is_take()).nth(100).unwrap();
    take.returned = take.invoked;
    take.invoked -= 20;
    take.returned -= 20;
    found(&history, &log);
}
