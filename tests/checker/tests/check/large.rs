//! Histories of many operations are checked in little time: nothing is searched.
//!
//! The long run says how long each part took:
//!
//! ```text
//! FARSPAWN_CHECK_OPERATIONS=2000000 \
//!     cargo test --release -p farspawn-checker large -- --nocapture
//! ```

use std::env;

use checker::generate::{Mix, generate};
use checker::{Rule, broken, check, monotonic, witness};

fn operations() -> usize {
    let wished = env::var("FARSPAWN_CHECK_OPERATIONS").ok();
    wished.map_or(100_000, |wished| wished.parse().expect("a number of operations"))
}

fn mix() -> Mix {
    let (operations, closes) = (operations(), 100_000);
    Mix { operations, channels: 64, tasks: 512, sessions: 8, closes, ..Mix::default() }
}

#[test]
fn a_history_of_many_operations() {
    let made = monotonic();
    let (mut history, log) = generate(1, &mix());
    let begun = monotonic();
    let found = check(&history);
    let checked = monotonic();
    let witnessed = witness(&history, &log);
    let ended = monotonic();
    let ms = |from: u64, to: u64| (to - from) / 1_000_000;
    println!(
        "{} operations: made in {} ms, checked in {} ms, witnessed in {} ms",
        history.records.len(),
        ms(made, begun),
        ms(begun, checked),
        ms(checked, ended)
    );
    assert!(
        found.is_empty() && witnessed.is_empty(),
        "{:?} {:?}",
        found.first(),
        witnessed.first()
    );

    // One value in the middle is received once more: found among all of them.
    let takes = history.records.iter().filter(|record| record.is_take());
    let mut again = *takes.clone().nth(takes.count() / 2).expect("half of them");
    again.task = u32::MAX;
    history.records.push(again);
    assert_eq!(broken(&history).into_iter().collect::<Vec<_>>(), [Rule::Duplicate]);
}
