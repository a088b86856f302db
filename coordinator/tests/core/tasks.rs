//! Tasks that run again or are given up, and workers that do not come.

use super::*;

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
