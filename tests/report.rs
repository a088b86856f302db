//! What a run says that it has cost, with real workers: who computed, who waited, who was parked.

use std::hint::black_box;
use std::process::Command;
use std::time::Duration;

use futures::FutureExt;
use runtime::{Receiver, Runtime, channel, spawn, task};
use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;

use crate::cluster::{example, with_processes};

const CPU: Duration = Duration::from_millis(60);

fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Takes `CPU` of its thread, however busy the machine is.
fn burn() {
    let until = thread_cpu() + CPU;
    while thread_cpu() < until {
        black_box(0);
    }
}

#[task]
fn computes() {
    burn();
}

#[task]
async fn computes_in_its_polls() {
    for _ in 0..4 {
        burn();
        tokio::task::yield_now().await;
    }
}

#[task]
async fn waits() {
    tokio::time::sleep(5 * CPU).await;
}

#[task]
async fn is_parked(gate: Receiver<()>) {
    gate.recv().await.ok();
}

#[test]
fn kinds_of_tasks_are_told_apart_by_their_cpu() {
    let report = with_processes(1, async {
        let (opens, gate) = channel(0);
        let parked = spawn(is_parked(gate));
        // The first of its kind is measured by the wall clock, the others by its CPU's.
        spawn(computes_in_its_polls()).await.unwrap();
        spawn(computes_in_its_polls()).await.unwrap();
        spawn(computes()).await.unwrap();
        spawn(waits()).await.unwrap();
        opens.send(()).await.unwrap();
        parked.await.unwrap();
        runtime::report().await.unwrap()
    });
    let cpu = |name: &str| {
        let kind = report.kinds.iter().find(|kind| kind.name.ends_with(name));
        let kind = kind.unwrap_or_else(|| panic!("{name} is missing in {:?}", report.kinds));
        assert!(kind.seconds >= kind.cpu_seconds, "{kind:?}");
        kind.cpu_seconds
    };
    let least = 0.9 * CPU.as_secs_f64();
    assert!(cpu("::computes") >= least, "{:?}", report.kinds);
    assert!(cpu("::computes_in_its_polls") >= 8.0 * least, "{:?}", report.kinds);
    assert!(cpu("::waits") < 0.5 * least && cpu("::is_parked") < 0.5 * least, "{report}");
    let account = report.account;
    assert!(account.busy > 0.0 && account.parked > 0.0 && account.waiting > 0.0, "{report}");
    let whole = report.billed_ms as f64 / 1000.0;
    assert!((account.total() - whole).abs() < 1e-6, "{report}");
    assert_eq!((report.tasks, report.invocations), (5, 1), "{report}");
    assert!(report.conventional.billed_ms >= 300 + 9 * 60 - 50, "{report}");
}

#[test]
fn the_environment_asks_for_a_report_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    let run = |name: &str, value: &str| {
        let done = Command::new(example("hello")).env(name, value).output().unwrap();
        (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    assert_eq!(run("FARSPAWN_REPORT", file.to_str().unwrap()), (Some(0), String::new()));
    let report: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!((&report["tasks"], &report["invocations"]), (&1.into(), &1.into()), "{report}");
    assert!(report["conventional"]["dollars"].as_f64().unwrap() > 0.0, "{report}");
    let (status, table) = run("FARSPAWN_REPORT", "text");
    assert!(status == Some(0) && table.contains("saved by sharing workers"), "{table}");
    let (status, fault) = run("FARSPAWN_PRICES", "/nowhere.json");
    assert!(status == Some(70) && fault.contains("FARSPAWN_PRICES=/nowhere.json"), "{fault}");
}

#[test]
fn without_a_runtime_there_is_no_report() {
    let runtime = Runtime::builder().in_memory().build().unwrap();
    assert!(runtime.block_on(runtime::report()).is_some());
    drop(runtime);
    assert_eq!(runtime::report().now_or_never(), Some(None));
}
