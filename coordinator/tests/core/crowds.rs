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

/// A channel whose values nobody takes holds up none of the others of its sessions: they get the
/// same frames, one for one, as without it.
#[test]
fn one_stalled_channel_among_many_changes_nothing_for_the_others() {
    let frames = [false, true].map(|stalled| {
        let (mut bench, worker, channel, _) = with_worker(4, 0);
        // The worker has asked for more than it takes, and the client sends more than there is room
        // for.
        for operation in (1..100).filter(|_| stalled) {
            bench.frame(worker, Frame::Ahead { channel, window: 100, seen: 0 });
            bench.send(CLIENT, channel, operation, value(1));
        }
        let others: Vec<ChannelId> = (0..10_000).map(|_| bench.channel(4)).collect();
        bench.take();
        for (channel, operation) in others.iter().zip(1000..) {
            bench.receive(CLIENT, *channel, operation);
            bench.send(CLIENT, *channel, operation + 100_000, value(2));
            bench.accept(CLIENT, *channel, operation);
        }
        bench.take()
    });
    assert_eq!(frames[0], frames[1]);
    assert_eq!(frames[0].len(), 20_000, "an offer and a word that it was sent, each");
}
