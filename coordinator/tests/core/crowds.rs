//! Many of everything: what must not cost the square of its number, nor the stack.

use super::*;

/// The only handle to a channel is in the buffer of another, whose only handle is in a third ….
#[test]
fn a_deep_chain_of_channels_goes_without_the_stack() {
    let mut bench = Bench::new(1);
    let mut outermost = bench.channel(1);
    for operation in 1..100_000 {
        let carrier = bench.channel(1);
        bench.send(CLIENT, carrier, operation, carrying(outermost, Side::Receive));
        bench.detach(CLIENT, outermost);
        outermost = carrier;
    }
    assert_eq!(bench.core.channels(), 100_000);
    bench.detach(CLIENT, outermost);
    assert_eq!(bench.core.channels(), 0);
}

/// A client that gives a large job up must not keep the coordinator so long that leases run out.
#[test]
fn a_crowd_of_aborts_is_not_quadratic() {
    let mut bench = Bench::new(1);
    let tasks: Vec<TaskId> = (0..100_000).map(|_| bench.spawn(0, Vec::new()).0).collect();
    bench.take();
    for task in tasks.into_iter().rev() {
        bench.frame(CLIENT, Frame::Abort { task });
    }
    assert_eq!(bench.core.totals().ended, 100_000);
}

/// The end of a session costs what it had, not what all others have.
#[test]
fn many_ends_of_sessions_do_not_walk_all_channels() {
    let mut bench = Bench::new(1);
    for _ in 0..200_000 {
        bench.channel(1);
    }
    for launch in 1..=500 {
        bench.spawn(0, Vec::new());
        let worker = bench.worker(launch);
        bench.die(worker);
    }
    assert_eq!(bench.core.totals().ended, 500);
    bench.die(CLIENT);
    assert_eq!(bench.core.channels(), 0);
}
