//! `WaitGroup`: whoever waits goes on when the counter is zero (C56).

use channels::WaitGroup;

use super::explore::{explore, glance, go, handed_over, join};

#[test]
fn all_who_wait_go_on_and_the_group_serves_again() {
    explore(|| {
        let group = WaitGroup::new();
        for _ in 0..2 {
            group.add(2);
            let workers = [0, 1].map(|_| {
                let group = group.clone();
                go(async move { group.done() })
            });
            let given_up = group.clone();
            let given_up = go(async move { glance(given_up.wait()).unwrap_or_default() });
            let waits = [go(group.wait()), go(handed_over(group.wait()))];
            join(workers.into_iter().chain(waits).chain([given_up]));
        }
    });
}
