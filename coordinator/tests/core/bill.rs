//! What the coordinator says that a run has cost, told by what workers say, which may be anything.

use channels::wire::{Place, Vitals};
use coordinator::bill::{Report, Tariff};

use super::*;

fn bench() -> Bench {
    let tariff = Tariff { memory_mb: Some(2048), ..Tariff::default() };
    Bench::with(Settings { tariff, ..Settings::default() })
}

fn run(bench: &mut Bench, worker: SessionId, seconds: f64, usage: Usage) {
    let (task, _) = bench.spawn(0, Vec::new());
    bench.now += Duration::from_secs_f64(seconds);
    bench.frame(worker, Frame::Finished { task, attempt: 1, outcome: value(1), usage });
}

fn report(bench: &Bench) -> Report {
    bench.core.report(bench.now)
}

#[test]
fn a_run_is_billed_from_its_launches_to_its_ends() {
    let mut bench = bench();
    let (task, _) = bench.spawn(0, Vec::new());
    bench.now += Duration::from_millis(300);
    let worker = bench.worker(1);
    bench.now += Duration::from_secs(2);
    let usage =
        Usage { wall_us: 2_000_000, cpu_us: 1_000_000, queued_us: 500_000, ..Usage::default() };
    bench.frame(worker, Frame::Finished { task, attempt: 1, outcome: value(1), usage });
    bench.now += Duration::from_millis(700);
    let before = report(&bench);
    assert_eq!((before.billed_ms, before.tasks, before.invocations), (3000, 1, 1));
    let account = before.account;
    assert!((account.starting - 0.3).abs() < 1e-6, "{account:?}");
    assert!((account.busy - 0.5).abs() < 1e-6, "a second of CPU of two cores: {account:?}");
    assert!((account.queued - 0.75).abs() < 1e-6, "half a second of one waiting: {account:?}");
    assert!((account.waiting - 0.75).abs() < 1e-6, "{account:?}");
    assert!((account.idle - 0.7).abs() < 1e-6, "{account:?}");
    assert_eq!(before.conventional.billed_ms, 1500 + 300, "less its wait for a CPU, and a start");
    bench.die(worker);
    let ended = report(&bench);
    assert_eq!(ended, before, "it ended at this very moment");
    bench.now += Duration::from_secs(9);
    let later = report(&bench);
    assert_eq!(later.workers, before.workers, "nobody is billed after the end");
    assert!(later.coordinator_dollars > before.coordinator_dollars);
}

#[test]
fn tasks_that_wait_on_channels_are_told_from_those_that_wait_for_others() {
    let mut bench = bench();
    let channel = bench.channel(0);
    bench.spawn(0, passages(channel));
    let worker = bench.worker(1);
    let (cpu, memory, held) = (0.0, 0.1, 1);
    bench.frame(worker, Frame::Report { cpu, memory, running: 0, held, runs_seen: 1 });
    bench.now += Duration::from_secs(2);
    bench.frame(worker, Frame::Report { cpu, memory, running: 1, held, runs_seen: 1 });
    bench.now += Duration::from_secs(1);
    let account = report(&bench).account;
    assert!((account.parked - 2.0).abs() < 1e-9, "{account:?}");
    assert!((account.waiting - 1.0).abs() < 1e-9 && account.busy == 0.0, "{account:?}");
}

#[test]
fn a_new_client_begins_with_an_empty_bill() {
    let mut bench = bench();
    bench.spawn(0, Vec::new());
    let worker = bench.worker(1);
    run(&mut bench, worker, 1.0, Usage::default());
    assert!(report(&bench).dollars > 0.0);
    bench.frame(CLIENT, Frame::Goodbye {});
    bench.connect(CLIENT, Role::Client { workers_max: 0, place: Place::Auto });
    let report = report(&bench);
    assert_eq!((report.tasks, report.invocations, report.dollars), (0, 0, 0.0));
}

/// Nothing that a worker says makes a figure that is none, or one beyond what can be.
#[test]
fn a_worker_may_say_anything() {
    for cores in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0, 0.0, 1e30] {
        for number in [0, 1, u64::MAX] {
            let mut bench = bench();
            bench.spawn(0, Vec::new());
            let worker = bench.worker(1);
            bench.take();
            let vitals = Vitals {
                cpu_us: number,
                cores,
                queue: number as u32,
                memory_bytes: number,
                memory_max_bytes: number,
                poll_age_us: number,
            };
            bench.frame(worker, Frame::Measures { vitals });
            let usage = Usage {
                wall_us: number,
                cpu_us: number,
                queued_us: number,
                bytes: number,
                channel_bytes: number,
                memory: number,
            };
            run(&mut bench, worker, 1.0, usage);
            bench.frame(worker, Frame::Measures { vitals });
            let health = bench.core.health(bench.now);
            assert!(health[0].cores > 0.0 && health[0].cores <= 2.0, "{health:?}");
            assert!(health[0].cpu_seconds <= 2.0, "{health:?}");
            assert!(health[0].memory_bytes <= 1 << 30, "{health:?}");
            assert!(serde_json::to_string(&health).is_ok_and(|json| !json.contains("null")));
            let report = report(&bench);
            let account = report.account;
            assert_eq!(report.billed_ms, 1000, "{vitals:?}");
            assert!((account.total() - 1.0).abs() < 1e-9, "{vitals:?}: {account:?}");
            assert!(account.busy <= 1.0 && account.waiting >= 0.0, "{vitals:?}: {account:?}");
            assert!(report.conventional.billed_ms <= 1001, "{vitals:?}: {report}");
            assert!(bench.core.totals().tasks <= Duration::from_secs(1));
            assert!(!bench.take().iter().any(|command| matches!(command, Command::Close { .. })));
        }
    }
}

#[test]
fn the_bill_comes_as_json() {
    let mut bench = bench();
    bench.spawn(0, Vec::new());
    let worker = bench.worker(1);
    run(&mut bench, worker, 1.0, Usage::default());
    bench.take();
    let operation = OperationId(5);
    bench.frame(CLIENT, Frame::Bill { operation });
    let sent = bench.sent(CLIENT);
    let [Frame::Billed { operation: answered, report: json }] = &sent[..] else {
        panic!("{sent:?}")
    };
    assert_eq!(*answered, operation);
    let report: Report = serde_json::from_slice(json).unwrap();
    assert_eq!(report, bench.core.report(bench.now));
    let table = report.to_string();
    for expected in ["eu-west-3", "2025-08-01", "conventional", "coordinator", "parked %"] {
        assert!(table.contains(expected), "{table}");
    }
}
