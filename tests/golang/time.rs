//! `after` and `ticker`: `time/tick_test.go`, and what `time/sleep_test.go` says of `After` (C59).
//!
//! Time stands still while anybody can do anything, and then jumps to the next timer: nothing here
//! takes long, and each figure is exact.

use std::future::Future;
use std::time::Duration;

use runtime::{TryRecvError, after, channel, select, ticker};
use tokio::time::{Instant, advance};

const STEP: Duration = Duration::from_millis(100);

/// Runs a test in time of its own.
fn in_time(body: impl Future<Output = ()>) {
    let mut thread = tokio::runtime::Builder::new_current_thread();
    thread.enable_time().start_paused(true).build().unwrap().block_on(body);
}

/// How many steps have passed, to the millisecond that a timer may be late.
fn steps_since(start: Instant) -> u128 {
    let passed = start.elapsed().as_millis();
    assert!(passed % STEP.as_millis() <= 1, "{passed} ms are no whole number of steps");
    passed / STEP.as_millis()
}

/// Lets the timers that are due run.
async fn pass(steps: u32) {
    for _ in 0..steps {
        advance(STEP).await;
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
}

/// `TestAfter`, `TestAfterTick`.
#[test]
fn after_comes_after() {
    in_time(async {
        let start = Instant::now();
        for n in 1..=10 {
            after(STEP).recv().await.unwrap();
            assert_eq!(steps_since(start), n);
        }
    });
}

/// It comes once, stays until somebody takes it, and has not come before its time.
#[test]
fn after_waits_to_be_taken() {
    in_time(async {
        let timer = after(STEP * 2);
        assert_eq!(timer.capacity(), 1);
        assert_eq!(timer.try_recv().await, Err(TryRecvError::Empty));
        pass(1).await;
        assert_eq!(timer.try_recv().await, Err(TryRecvError::Empty));
        pass(5).await;
        assert_eq!(timer.len().await, 1);
        timer.recv().await.unwrap();
        assert_eq!(timer.len().await, 0);
    });
}

/// `TestAfterQueuing`: timers end in the order of their ends, not of their beginnings.
#[test]
fn the_shorter_comes_first() {
    in_time(async {
        let slots = [5, 3, 6, 6, 6, 1, 1, 2, 7, 9, 4, 8, 0];
        let (ended_in, ended) = channel(slots.len());
        let start = Instant::now();
        for slot in slots {
            let (timer, ended_in) = (after(STEP * slot), ended_in.clone());
            tokio::spawn(async move {
                timer.recv().await.unwrap();
                ended_in.send((slot, start.elapsed())).await.unwrap();
            });
        }
        let mut sorted = slots;
        sorted.sort_unstable();
        for expected in sorted {
            let (slot, at) = ended.recv().await.unwrap();
            assert_eq!(slot, expected);
            assert!((STEP * slot..=STEP * slot + Duration::from_millis(2)).contains(&at));
        }
    });
}

/// `TestZeroTimer`.
#[test]
fn after_nothing_comes_at_once() {
    in_time(async {
        let start = Instant::now();
        for _ in 0..1000 {
            after(Duration::ZERO).recv().await.unwrap();
        }
        assert!(start.elapsed() <= Duration::from_millis(1000));
    });
}

/// `TestOverflowSleep`: an end beyond all clocks never comes.
#[test]
fn after_for_ever_is_never() {
    in_time(async {
        let never = after(Duration::MAX);
        pass(3).await;
        assert_eq!(never.try_recv().await, Err(TryRecvError::Empty));
        select! {
            never => panic!("for ever is over"),
            after(STEP) => {}
        }
    });
}

/// Go's way to give up: a receive, or a while.
#[test]
fn a_select_times_out() {
    in_time(async {
        let (values_in, values) = channel(0);
        let start = Instant::now();
        let word = select! {
            value = values.recv() => value.unwrap(),
            after(STEP * 3) => "too late".to_owned(),
        };
        assert_eq!((word.as_str(), steps_since(start)), ("too late", 3));
        tokio::spawn(async move {
            after(STEP).recv().await.unwrap();
            values_in.send("in time".to_owned()).await
        });
        let word = select! {
            value = values.recv() => value.unwrap(),
            after(STEP * 3) => "too late".to_owned(),
        };
        assert_eq!((word.as_str(), steps_since(start)), ("in time", 4));
    });
}

#[test]
fn the_default_does_not_wait_for_a_timer() {
    in_time(async {
        let start = Instant::now();
        let word = select! {
            after(STEP) => "timer",
            default => "default",
        };
        assert_eq!((word, steps_since(start)), ("default", 0));
    });
}

/// `TestTicker`, `TestTeardown`.
#[test]
fn a_ticker_ticks() {
    in_time(async {
        for _ in 0..3 {
            let (start, ticks) = (Instant::now(), ticker(STEP));
            assert_eq!(ticks.try_recv().await, Err(TryRecvError::Empty), "not at once");
            for n in 1..=10 {
                ticks.recv().await.unwrap();
                assert_eq!(steps_since(start), n);
            }
        }
    });
}

/// A tick that nobody takes is the last one until somebody does.
#[test]
fn ticks_do_not_pile_up() {
    in_time(async {
        let ticks = ticker(STEP);
        assert_eq!(ticks.capacity(), 1);
        pass(5).await;
        assert_eq!(ticks.len().await, 1);
        ticks.recv().await.unwrap();
        assert_eq!(ticks.try_recv().await, Err(TryRecvError::Empty));
        let start = Instant::now();
        ticks.recv().await.unwrap();
        assert_eq!(steps_since(start), 1, "and the next comes in its time");
    });
}

/// `TestAfterStress`: a ticker that is faster than the clock lets others run.
#[test]
fn a_fast_ticker_starves_nobody() {
    in_time(async {
        let ticks = ticker(Duration::from_micros(10));
        let other = tokio::spawn(async { after(STEP).recv().await });
        for _ in 0..100 {
            ticks.recv().await.unwrap();
        }
        other.await.unwrap().unwrap();
    });
}

/// `TestNewTickerLtZeroDuration`.
#[test]
#[should_panic]
fn a_ticker_without_a_period_is_refused() {
    in_time(async {
        ticker(Duration::ZERO);
    });
}

#[test]
fn several_timers_in_one_select() {
    in_time(async {
        let (start, fast, slow) = (Instant::now(), ticker(STEP * 2), ticker(STEP * 5));
        let mut words = Vec::new();
        while words.len() < 6 {
            select! {
                fast.recv() => words.push(("fast", steps_since(start))),
                slow.recv() => words.push(("slow", steps_since(start))),
            }
        }
        // Both come at 10: either may be first.
        let last = words.pop();
        assert_eq!(last.map(|(_, steps)| steps), Some(10));
        let others = [("fast", 2), ("fast", 4), ("slow", 5), ("fast", 6), ("fast", 8)];
        assert_eq!(words, others);
    });
}
