//! Tasks that run again or are given up, and workers that do not come.

use channels::codec;
use channels::outcome::Outcome;
use channels::wire::Place;

use super::*;

/// The outcomes that were offered to the client.
fn outcomes(commands: Vec<Command>) -> Vec<Outcome<()>> {
    let outcome = |command| match command {
        Command::Send { session: CLIENT, frame: Frame::Offer { parcel, .. } } => {
            codec::decode(parcel.codec, &parcel.payload).ok()
        }
        _ => None,
    };
    commands.into_iter().filter_map(outcome).collect()
}

/// Which tasks a worker was told to run, and as which attempt.
fn runs(frames: Vec<Frame>) -> Vec<(TaskId, u32)> {
    let run = |frame| match frame {
        Frame::Run { task, attempt, .. } => Some((task, attempt)),
        _ => None,
    };
    frames.into_iter().filter_map(run).collect()
}

/// A task whose worker died has waited longer than all that came after it.
#[test]
fn a_task_that_runs_again_is_first_in_line() {
    let mut bench = Bench::new(1);
    let [first, second] = [1, 0].map(|retries| bench.spawn(retries, Vec::new()).0);
    let worker = bench.worker(1);
    assert_eq!(runs(bench.sent(worker)), [(first, 1)]);
    bench.die(worker);
    let worker = bench.worker(2);
    assert_eq!(runs(bench.sent(worker)), [(first, 2)]);
    bench.frame(CLIENT, Frame::Abort { task: second });
    assert_eq!(bench.core.totals().ended, 1, "it waited behind");
}

/// An abort counts whatever becomes of the worker: a task given up does not run again.
#[test]
fn an_aborted_task_does_not_run_again() {
    for retries in [0, 3] {
        let mut bench = Bench::new(1);
        let (task, result) = bench.spawn(retries, Vec::new());
        let worker = bench.worker(1);
        bench.receive(CLIENT, result, 1);
        bench.frame(CLIENT, Frame::Abort { task });
        bench.frame(CLIENT, Frame::Abort { task });
        let cancels =
            bench.sent(worker).into_iter().filter(|frame| *frame == Frame::Cancel { task });
        assert_eq!(cancels.count(), 1, "asked twice, told once");
        bench.die(worker);
        assert_eq!(outcomes(bench.take()), [Outcome::Cancelled], "{retries} retries");
        assert_eq!(bench.core.totals().launches, 1, "no worker is wanted for it");
    }
}

/// A task that ended before the abort reached it has the outcome that it had.
#[test]
fn an_abort_that_comes_too_late_changes_nothing() {
    let mut bench = Bench::new(1);
    let (task, result) = bench.spawn(1, Vec::new());
    let worker = bench.worker(1);
    bench.receive(CLIENT, result, 1);
    bench.frame(CLIENT, Frame::Abort { task });
    bench.frame(
        worker,
        Frame::Finished { task, attempt: 1, outcome: value(9), usage: Usage::default() },
    );
    assert!(bench.sent(CLIENT).contains(&offer(result, 1, 9)));
    bench.die(worker);
    assert_eq!(bench.core.totals().ended, 1);
}

/// Time passes while the client is there; what was commanded after the last of these seconds.
fn wait(bench: &mut Bench, seconds: u64) -> Vec<Command> {
    for _ in 0..seconds {
        bench.now += Duration::from_secs(1);
        bench.frame(CLIENT, Frame::Heartbeat {});
        bench.event(Event::Tick);
    }
    let mut commands = bench.take();
    commands.retain(|command| !matches!(command, Command::Send { frame: Frame::Heartbeat {}, .. }));
    commands
}

/// A launch of which nothing is heard must not keep a task waiting for ever.
#[test]
fn a_launch_that_says_nothing_is_given_up() {
    let mut bench = Bench::new(1);
    let (_, result) = bench.spawn(0, Vec::new());
    bench.receive(CLIENT, result, 1);
    assert_eq!(bench.take(), [Command::Launch { launch: 1 }]);
    for launch in 1..=2 {
        assert_eq!(wait(&mut bench, 30), [], "launch {launch} has its time");
        let (stop, next) = (Command::Stop { launch }, Command::Launch { launch: launch + 1 });
        assert_eq!(wait(&mut bench, 1), [stop, next]);
    }
    assert_eq!(wait(&mut bench, 30), []);
    let commands = wait(&mut bench, 1);
    assert!(commands.contains(&Command::Stop { launch: 3 }), "{commands:?}");
    let said = outcomes(commands);
    let nothing = |why: &String| why.contains("said nothing for 30s");
    assert!(matches!(&said[..], [Outcome::NeverStarted(why)] if nothing(why)), "{said:?}");
}

/// A worker that was given up is nobody's: it gets no task, and is stopped.
#[test]
fn a_worker_that_comes_too_late_is_turned_away() {
    let mut bench = Bench::new(1);
    let (task, _) = bench.spawn(0, Vec::new());
    bench.take();
    let commands = wait(&mut bench, 31);
    assert_eq!(commands, [Command::Stop { launch: 1 }, Command::Launch { launch: 2 }]);
    let late = bench.worker(1);
    let commands = bench.take();
    assert!(
        matches!(&commands[..], [Command::Close { session, reason }]
            if *session == late && reason.contains("launch 1")),
        "{commands:?}"
    );
    bench.frame(late, Frame::Heartbeat {});
    bench.event(Event::LaunchEnded { launch: 1, cause: "killed".to_owned() });
    assert_eq!(bench.take(), [], "its end is no news");
    let worker = bench.worker(2);
    assert_eq!(runs(bench.sent(worker)), [(task, 1)]);
}

/// Each task is to have a worker of its own, but no second one starts: the first takes them all,
/// one after the other, though it still has those before.
#[test]
fn tasks_that_should_be_apart_run_where_they_can() {
    let policy = Policy { workers_max: 3, place: Place::Apart, ..Policy::default() };
    let mut bench = Bench::with(Settings { policy, ..Settings::default() });
    let [first, second, third] = [(); 3].map(|()| bench.spawn(0, Vec::new()).0);
    let worker = bench.worker(1);
    assert_eq!(runs(bench.sent(worker)), [(first, 1)]);
    let parked = |bench: &mut Bench, held| {
        let (cpu, memory, running) = (0.1, 0.1, 0);
        let runs_seen = u64::from(held);
        bench.frame(worker, Frame::Report { cpu, memory, running, held, runs_seen });
        runs(bench.sent(worker))
    };
    assert_eq!(parked(&mut bench, 1), [], "the others wait for workers of their own");
    let mut ran = Vec::new();
    for launch in 2.. {
        if launch > bench.core.totals().launches {
            break;
        }
        assert_eq!(ran, [], "launch {launch} may still succeed");
        bench.event(Event::LaunchEnded { launch, cause: "no room".to_owned() });
        ran.extend(runs(bench.sent(worker)));
    }
    assert_eq!(ran, [(second, 1)], "after {} launches", bench.core.totals().launches);
    assert_eq!(parked(&mut bench, 2), [(third, 1)]);
}
