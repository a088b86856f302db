//! Client, coordinator and workers in one thread and in virtual time: channel programs under
//! crashes, freezes, thaws, partitions, delays and broken links, each history checked.
//!
//! What runs is the product: the pure `Coordinator`, real `Node`s, real `Sender`s, `Receiver`s and
//! selects, and every frame goes through the real encoding. What is simulated are the shells around
//! them: threads, sockets, processes and clocks. One seed is one run, to the bit; a failure names
//! it:
//!
//! ```text
//! FARSPAWN_SEED=123 cargo test --test simulation of_many_seeds -- --nocapture
//! FARSPAWN_SEED=123 FARSPAWN_TRACE=1 cargo test …           every step, one a line
//! FARSPAWN_SEEDS=100000 cargo test --release …              a night's worth
//! ```
//!
//! # Why not turmoil
//!
//! Its network would carry the WebSockets, but the shells that use them have threads of their own
//! and blocking connects, so they would be simulated all the same; what is left is what is here,
//! without an executor, a codec and a socket in between. That is worth a factor of ten or more in
//! seeds a second, and every batch is at hand to be held, lost or forged, as the planted bugs do.
//! TCP's part is small: batches of one link keep their order and are late, or the link is no more.
//! The sessions over it are the real ones.
//!
//! # Modules
//!
//! - `world`: what happens next, and faults. `network`: the agenda. `links`: sessions over them.
//! - `host`: a process. `executor`: its tasks, and the clock. `program`: what they do.
//! - `home`: the coordinator, and the observer who writes its commits down for the witness check.
//! - `planted`: bugs on purpose; a simulation that does not find them is not one.

mod executor;
mod home;
mod host;
mod links;
mod network;
mod planted;
mod program;
mod world;

use std::collections::BTreeSet;
use std::env;
use std::panic::catch_unwind;

use checker::{Rule, check, witness};
use planted::Plant;
use world::{Ran, run};

/// The seeds of a test: so many, or those that the environment names.
fn seeds(usual: u64) -> Vec<u64> {
    let named = |name| env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    match (named("FARSPAWN_SEED"), named("FARSPAWN_SEEDS")) {
        (Some(seed), _) => vec![seed],
        (None, count) => (1..=count.unwrap_or(usual)).collect(),
    }
}

/// What is wrong with a run, in words, and the rules that it breaks.
fn wrong(ran: &Ran) -> (Vec<String>, BTreeSet<Rule>) {
    let mut found = check(&ran.history);
    found.extend(witness(&ran.history, &ran.log));
    let mut told: Vec<String> = found.iter().map(ToString::to_string).collect();
    if !ran.ended {
        told.push("the program did not come to its end".to_owned());
    } else if ran.left_over > 0 {
        told.push(format!("{} channels are left though nobody has a handle", ran.left_over));
    }
    (told, found.iter().map(|found| found.rule).collect())
}

#[test]
fn of_many_seeds_every_history_is_legal() {
    let (mut operations, mut faults, mut lost, mut moved) = (0, 0, 0, 0);
    let (mut resumed, mut landed) = (0, 0);
    for seed in seeds(400) {
        let ran = run(seed, Plant::Nothing);
        let (told, _) = wrong(&ran);
        let faulty = ran.faults.join("\n");
        assert!(told.is_empty(), "FARSPAWN_SEED={seed}\n{faulty}\n{}", told.join("\n"));
        operations += ran.history.records.len();
        faults += ran.faults.len();
        lost += ran.history.fenced.len();
        moved += ran.moved;
        resumed += ran.resumed;
        landed += ran.landed;
    }
    println!(
        "{operations} operations, {faults} faults, {lost} sessions fenced, {resumed} resumed, \
         {moved} values received where their channel had moved, {landed} channels came home"
    );
    let much = operations > 10_000 && faults > 100 && lost > 50 && moved > 20 && resumed > 20;
    let much = much && landed > 50;
    assert!(much || env::var_os("FARSPAWN_SEED").is_some(), "it is put to the test");
}

#[test]
fn a_seed_is_a_run() {
    let mut traces = BTreeSet::new();
    for seed in 1..=20 {
        let (one, other) = (run(seed, Plant::Nothing), run(seed, Plant::Nothing));
        assert_eq!(one.trace, other.trace, "seed {seed}");
        assert_eq!(one.history.records, other.history.records, "seed {seed}");
        traces.insert(one.trace);
    }
    assert_eq!(traces.len(), 20);
}

/// Runs seeds until a planted bug shows; by which rules, it says.
fn shows(plant: Plant, expected: &[Rule]) {
    let mut seen = BTreeSet::new();
    let mut hung = false;
    for seed in 1..=500 {
        // Of some the program itself notices; what the checker says of them is another seed's.
        let Ok(ran) = catch_unwind(|| run(seed, plant)) else { continue };
        let (told, rules) = wrong(&ran);
        hung |= !ran.ended;
        seen.extend(rules);
        let by_rule = !expected.is_empty() && expected.iter().all(|rule| seen.contains(rule));
        let by_end = expected.is_empty() && hung;
        if by_rule || by_end {
            println!("{plant:?}: seed {seed}: {}", told.join("\n"));
            return;
        }
    }
    panic!("{plant:?} was not found: {seen:?}, hung: {hung}");
}

#[test]
fn planted_zombies_are_found() {
    shows(Plant::Zombies, &[Rule::Duplicate]);
}

#[test]
fn planted_lost_accepts_are_found() {
    shows(Plant::LostAccepts, &[]);
}

#[test]
fn planted_hollow_answers_are_found() {
    shows(Plant::HollowAnswers, &[Rule::Loss, Rule::Witness]);
}

#[test]
fn planted_returns_to_the_wrong_end_are_found() {
    shows(Plant::ReturnsToTheEnd, &[Rule::Witness]);
}

#[test]
fn planted_doubles_are_found() {
    shows(Plant::Doubles, &[Rule::Duplicate]);
}

#[test]
fn planted_lost_declines_are_found() {
    shows(Plant::LostDeclines, &[]);
}

#[test]
fn planted_late_accepts_are_found() {
    shows(Plant::LateAccepts, &[Rule::Duplicate]);
}

#[test]
fn planted_repetitions_are_found() {
    shows(Plant::Repetitions, &[Rule::Duplicate]);
}

#[test]
fn a_planted_fence_that_never_comes_is_found() {
    shows(Plant::NoFence, &[]);
}

#[test]
fn planted_room_for_more_is_found() {
    shows(Plant::RoomForMore, &[Rule::Capacity]);
}
