//! Random histories on one thread, beside a model: operations are begun, polled, given up; handles
//! are cloned and dropped; selects offer several cases. After each step the channels must be as the
//! model is, whoever has something to hear must have been woken, and nobody else.
//!
//! `PROPTEST_CASES` says how many histories; a failure is shrunk to a short one.

#![cfg(not(any(loom, shuttle)))]

mod bench;
mod model;
mod step;

use bench::Bench;
use proptest::prelude::*;

/// Histories of one run.
const CASES: u32 = 20_000;

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().map_or(CASES, |text| text.parse().expect("a number"))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn channels_do_what_the_model_does(capacities in step::capacities(), steps in step::steps()) {
        let mut bench = Bench::new(&capacities);
        steps.iter().for_each(|step| bench.run(step));
        bench.wind_up();
    }
}
