//! Tasks that run again or are given up, and workers that do not come.

use channels::codec;
use channels::outcome::Outcome;

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
    bench.frame(worker, Frame::Finished { task, attempt: 1, outcome: value(9), elapsed_us: 1 });
    assert!(bench.sent(CLIENT).contains(&offer(1, 9)));
    bench.die(worker);
    assert_eq!(bench.core.totals().ended, 1);
}
