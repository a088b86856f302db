//! Launches that come to nothing.

use super::*;

/// Launches that fail one after the other end the tasks that wait for them, or are spaced out.
#[test]
fn a_crash_loop_of_launches_ends_or_slows_down() {
    let failed = |launch| Event::LaunchEnded { launch, cause: "no".to_owned() };
    let launches = |commands: Vec<Command>| -> Vec<u64> {
        let launch = |command: &Command| match command {
            Command::Launch { launch } => Some(*launch),
            _ => None,
        };
        commands.iter().filter_map(launch).collect()
    };
    let mut bench = Bench::new(3);
    for _ in 0..3 {
        bench.spawn(0, Vec::new());
    }
    assert_eq!(launches(bench.take()), [1, 2, 3]);
    (1..=3).for_each(|launch| bench.event(failed(launch)));
    assert_eq!(launches(bench.take()), [4, 5], "asked for before the third failed");
    assert_eq!(bench.core.totals().ended, 0, "two workers may still come");
    (4..=5).for_each(|launch| bench.event(failed(launch)));
    assert!(launches(bench.take()).is_empty());
    assert_eq!(bench.core.totals().ended, 3);

    let mut bench = Bench::new(4);
    let tasks = [(); 4].map(|()| bench.spawn(0, Vec::new()).0);
    assert_eq!(launches(bench.take()), [1, 2, 3, 4]);
    (1..=3).for_each(|launch| bench.event(failed(launch)));
    let worker = bench.worker(4);
    let ran = bench.sent(worker).into_iter().find_map(|frame| match frame {
        Frame::Run { task, .. } => Some(task),
        _ => None,
    });
    assert_eq!(ran, Some(tasks[0]), "the fourth came");
    bench.take();

    let mut bench = Bench::new(2);
    bench.spawn(0, Vec::new());
    bench.worker(1);
    bench.take();
    bench.spawn(0, Vec::new());
    let mut tried = Vec::new();
    for _ in 0..100 {
        bench.now += Duration::from_millis(100);
        for node in [CLIENT, SessionId(101)] {
            bench.frame(node, Frame::Heartbeat {});
        }
        bench.event(Event::Tick);
        for launch in launches(bench.take()) {
            tried.push(launch);
            bench.event(failed(launch));
        }
    }
    assert!((4..=9).contains(&tried.len()), "in ten seconds: {tried:?}");
    assert_eq!(bench.core.totals().ended, 0, "the task waits for the worker that is there");
}
