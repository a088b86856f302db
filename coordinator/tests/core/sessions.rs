//! How long a session lasts, and what its end looks like.

use super::*;

const LEASE: Duration = Duration::from_secs(10);

fn admitted(commands: &[Command]) -> Vec<u64> {
    let epoch = |command: &Command| match command {
        Command::Admit { epoch, .. } => Some(*epoch),
        _ => None,
    };
    commands.iter().filter_map(epoch).collect()
}

/// D13: any word of a node, be it one that says nothing, keeps its session; silence ends it.
#[test]
fn a_session_lasts_as_long_as_it_is_heard() {
    let (mut bench, worker, channel, _) = with_worker(0, 0);
    bench.receive(CLIENT, channel, 1);
    bench.take();
    for _ in 0..10 {
        bench.now += LEASE;
        for session in [CLIENT, worker] {
            bench.event(Event::Heard { session });
        }
        bench.event(Event::Tick);
        assert!(bench.take().iter().all(|command| matches!(command, Command::Send { .. })));
    }
    bench.now += LEASE + Duration::from_millis(1);
    bench.event(Event::Heard { session: CLIENT });
    bench.event(Event::Tick);
    let commands = bench.take();
    assert!(commands.contains(&Command::Stop { launch: 1 }), "{commands:?}");
    bench.send(worker, channel, 1, value(5));
    assert_eq!(bench.take(), [], "nothing of it is seen any more");
}

/// A process that is dead will not come back: nobody waits for its lease.
#[test]
fn a_worker_known_to_be_dead_is_fenced_at_once() {
    let (mut bench, worker, channel, _) = with_worker(0, 0);
    bench.detach(CLIENT, channel);
    let (_, result) = bench.spawn(0, Vec::new());
    bench.receive(CLIENT, result, 1);
    bench.take();
    bench.event(Event::LaunchEnded { launch: 1, cause: "signal 9".to_owned() });
    let commands = bench.take();
    let closed = |command: &Command| {
        matches!(command, Command::Close { session, reason }
            if *session == worker && reason == "signal 9")
    };
    assert!(commands.iter().any(closed), "{commands:?}");
    assert_eq!(bench.core.channels(), 2, "its handles are gone; two outcomes are there");
    bench.event(Event::LaunchEnded { launch: 1, cause: "signal 9".to_owned() });
    assert_eq!(bench.take(), [], "once is enough");
}

/// Sessions after a fence are of a later epoch than the fenced one.
#[test]
fn a_fence_begins_an_epoch() {
    let (mut bench, worker, ..) = with_worker(0, 1);
    bench.die(worker);
    let second = bench.take();
    assert!(second.contains(&Command::Launch { launch: 2 }), "{second:?}");
    bench.worker(2);
    assert_eq!(admitted(&bench.take()), [2]);
    bench.frame(SessionId(102), Frame::Goodbye {});
    let mut other = Bench::new(1);
    other.spawn(0, Vec::new());
    other.worker(1);
    assert_eq!(admitted(&other.take()), [1]);
}
