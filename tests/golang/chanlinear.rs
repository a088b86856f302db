//! `test/chanlinear.go`: leaving the line of a channel takes no longer when the line is long (C44).
//! Goroutines wait in a `select` on one channel of all and on one of their own; each is woken by
//! its own, so that it leaves the long line, and joins it again. Twice as many goroutines must take
//! less than three times as long.
//!
//! What is measured is the time that the processor spent on this thread, on which everything runs,
//! so that other tests do not count. As in Go, too short a run is repeated with more, and one of a
//! few long ones is enough.

use crate::go::{Placement, go, program_on_one_thread, rounds};
use runtime::{Receiver, Sender, channel, select, task};
use rustix::time::{ClockId, clock_gettime};

const GOROUTINES: usize = 1_000;
/// A ratio that is wrong is believed when the shorter run took this long.
const LONG_NANOSECONDS: i128 = 200_000_000;
const LONG_TRIES: usize = 5;
const WAKES: usize = 10;

#[task]
async fn wait_in_line(all: Receiver<bool>, own: Receiver<bool>, done: Sender<()>) {
    for _ in 0..WAKES {
        select! {
            _ = all.recv() => panic!("nobody sends to all"),
            woken = own.recv() => assert_eq!(woken, Ok(true)),
        }
    }
    done.send(()).await.unwrap();
}

/// Makes `goroutines` leave the line, and join it again, ten times each.
async fn wake_all(goroutines: usize) {
    let (_all_in, all) = channel(0);
    let (done_in, done) = channel(0);
    let mut own = Vec::new();
    for _ in 0..goroutines {
        let (wake, woken) = channel(0);
        own.push(wake);
        go(wait_in_line(all.clone(), woken, done_in.clone()));
    }
    for _ in 0..WAKES {
        for wake in &own {
            wake.send(true).await.unwrap();
        }
    }
    for _ in 0..goroutines {
        done.recv().await.unwrap();
    }
}

/// How long the processor was busy with this thread so far.
fn busy_nanoseconds() -> i128 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}

async fn busy_with(goroutines: usize) -> i128 {
    let before = busy_nanoseconds();
    wake_all(goroutines).await;
    busy_nanoseconds() - before
}

#[test]
fn leaving_a_long_line_is_as_cheap_as_leaving_a_short_one() {
    program_on_one_thread(async {
        if Placement::of_environment() != Placement::Local {
            // The line is the coordinator's, whose tests see to this; here all must be woken.
            return wake_all(rounds(GOROUTINES, GOROUTINES)).await;
        }
        let mut goroutines = GOROUTINES;
        let mut long_tries = 0;
        loop {
            let once = busy_with(goroutines).await;
            let twice = busy_with(2 * goroutines).await;
            if twice < 3 * once {
                return;
            }
            if once < LONG_NANOSECONDS {
                goroutines *= 2;
                continue;
            }
            long_tries += 1;
            assert!(
                long_tries < LONG_TRIES,
                "{goroutines} goroutines took {once} ns, twice as many {twice} ns"
            );
        }
    });
}
