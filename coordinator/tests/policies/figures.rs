//! The paper's evaluation, reproduced: the figures that `farspawn sim` prints, within tolerances.

use coordinator::placement::choice::Policy;
use coordinator::sim::evaluation::{Plan, Row, Summary};
use coordinator::sim::model::{Faults, Model};
use coordinator::sim::run;
use coordinator::sim::workload::Load;

fn row(load: Load, plan: &Plan) -> Row {
    plan.row("", &Policy::ALL, load).unwrap()
}

#[track_caller]
fn near(what: &str, found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{what}: {found}, not {expected}");
}

/// Test A is eight requests in flight, test B is eight instances.
fn test_a(memory_mb: u32) -> Row {
    let plan = Plan { model: Model { memory_mb, ..Model::default() }, ..Plan::default() };
    row(Load::Window(8), &plan)
}

fn test_b(memory_mb: u32) -> Row {
    let model = Model { memory_mb, ..Model::default() };
    row(Load::Burst, &Plan { model, workers_max: 8, ..Plan::default() })
}

fn parts(row: &Row) -> [&Summary; 4] {
    row.summaries.iter().collect::<Vec<_>>().try_into().unwrap()
}

#[test]
fn the_baseline_costs_what_table_1_makes_of_it() {
    for (memory_mb, dollars) in
        [(2048, 27.9), (4096, 55.7), (6144, 83.4), (8192, 111.1), (10240, 138.9)]
    {
        let row = test_a(memory_mb);
        let baseline = &row.summaries[0];
        near("dollars", baseline.dollars_per_million, dollars, 0.01 * dollars);
        near("time", baseline.makespan, 11.2, 0.2);
        near("invocations", baseline.invocations, 100.0, 0.0);
    }
}

#[test]
fn the_papers_cost_cut_is_reproduced() {
    let best = [test_a(10240), test_b(10240)];
    for row in &best {
        near("cost cut", row.summaries[1].cost_cut, 72.9, 2.0);
    }
    // "gains for any configuration that provides three or more vCPUs", and 1/N otherwise.
    for (memory_mb, slots) in [(2048, 1.0), (4096, 2.0), (6144, 3.0), (8192, 4.0)] {
        let row = test_b(memory_mb);
        near("1/N", row.summaries[1].cost_cut, 100.0 * (1.0 - 1.0 / slots), 6.0);
    }
    assert!(test_b(2048).summaries[1].cost_cut < 0.0, "the paper's policy loses at 2048 MB");
}

#[test]
fn the_papers_invocations_are_reproduced() {
    let from_2048_to_10240 = [2048, 4096, 6144, 8192, 10240].map(test_a);
    let invocations = from_2048_to_10240.map(|row| row.summaries[1].invocations);
    near("2048 MB", invocations[0], 10.0, 4.0);
    for (found, expected) in invocations[1..].iter().zip([4.0, 3.0, 2.0, 2.0]) {
        near("8 requests in N slots each", *found, expected, 1e-9);
    }
}

/// With 24 slots at most, the reading under which the trend stops at 8192 MB.
#[test]
fn the_papers_time_cut_is_reproduced() {
    let plan = Plan { workers_max: 8, slots_max: Some(24), ..Plan::default() };
    let row = row(Load::Burst, &plan);
    near("time cut", row.summaries[1].time_cut, 61.2, 2.0);
    near("24 slots, 5 each", row.summaries[1].invocations, 5.0, 1e-9);
}

#[test]
fn ours_goes_further_in_test_b() {
    let row = test_b(10240);
    let [_, paper, ours, bound] = parts(&row);
    near("cost cut", ours.cost_cut, 82.3, 1.0);
    near("time cut", ours.time_cut, 81.0, 1.0);
    near("bound", bound.cost_cut, 87.9, 0.3);
    near("bound in time", bound.time_cut, 87.2, 0.3);
    assert!(ours.cost_cut > paper.cost_cut + 5.0 && ours.time_cut > paper.time_cut + 5.0);
    for (memory_mb, cost, time) in [(4096, 58.0, 56.0), (6144, 70.0, 68.0), (8192, 76.0, 74.0)] {
        let row = test_b(memory_mb);
        let ours = &row.summaries[2];
        assert!(ours.cost_cut >= cost && ours.time_cut >= time, "{ours:?}");
    }
}

#[test]
fn ours_goes_further_in_test_a() {
    let row = test_a(10240);
    let [_, _, ours, bound] = parts(&row);
    near("cost cut", ours.cost_cut, 85.7, 1.0);
    assert!(ours.time_cut >= -10.0, "{ours:?}");
    near("bound", bound.cost_cut, 87.7, 0.3);
}

#[test]
fn ours_is_never_dearer_than_the_baseline() {
    for memory_mb in [2048, 4096, 6144, 8192, 10240] {
        for row in [test_a(memory_mb), test_b(memory_mb)] {
            let [baseline, _, ours, bound] = parts(&row);
            assert!(ours.dollars_per_million < baseline.dollars_per_million, "{memory_mb} MB");
            assert!(ours.dollars_per_million > bound.dollars_per_million, "{memory_mb} MB");
            assert!(ours.makespan > bound.makespan, "{memory_mb} MB");
        }
    }
}

/// Debug builds take their time: fewer tasks than `farspawn sim` runs.
#[test]
fn ours_on_other_workloads() {
    let plan = |tasks| Plan { tasks, seeds: (1, 1), ..Plan::default() };
    let poisson = row(Load::Poisson(100.0), &plan(4000));
    let [baseline, _, ours, _] = parts(&poisson);
    assert!(ours.cost_cut >= 82.0, "{ours:?}");
    assert!(ours.latency_mean <= 1.15 * baseline.latency_mean, "{ours:?}");
    let burst = row(Load::Burst, &Plan { workers_max: 200, ..plan(2000) });
    let [_, _, ours, _] = parts(&burst);
    assert!(ours.cost_cut >= 77.0 && ours.time_cut >= 72.0, "{ours:?}");
    let pipeline = row(Load::Pipeline(20.0), &plan(1000));
    let [baseline, _, ours, _] = parts(&pipeline);
    assert!(ours.cost_cut >= 85.0, "{ours:?}");
    assert!(ours.latency_mean <= 0.9 * baseline.latency_mean, "{ours:?}");
    assert!(ours.local_messages >= 95.0, "{ours:?}");
}

/// Kinds that compute and kinds that wait: with few workers, sharing them saves most.
#[test]
fn kinds_share_workers() {
    let plan = Plan { tasks: 1500, seeds: (1, 1), ..Plan::default() };
    let row = row(Load::Mix(10.0), &plan);
    let policies: Vec<&str> = row.summaries.iter().map(|summary| &*summary.policy).collect();
    assert_eq!(policies, ["conventional", "paper", "farspawn", "kinds apart", "bound"]);
    let (ours, apart) = (&row.summaries[2], &row.summaries[3]);
    assert!(ours.cost_cut >= apart.cost_cut + 8.0, "{ours:?}, {apart:?}");
}

#[test]
fn one_seed_is_one_history() {
    let plan = Plan { seeds: (7, 1), tasks: 300, ..Plan::default() };
    let load = Load::Mix(50.0);
    let (first, second) = (row(load, &plan), row(load, &plan));
    assert_eq!(first, second);
    let other = row(load, &Plan { seeds: (8, 1), ..plan });
    for (ours, theirs) in first.summaries.iter().zip(&other.summaries).take(3) {
        assert_ne!(ours.trace, theirs.trace);
    }
}

#[test]
fn the_bill_is_the_sum_of_its_parts() {
    let faults = Faults { worker_life: 20.0, slow_part: 0.1, slow_speed: 0.3 };
    let plan = Plan { model: Model { faults, ..Model::default() }, ..Plan::default() };
    let workload = Load::Poisson(30.0).generate(5, 1500, 0.6);
    for policy in Policy::ALL {
        let outcome = run(&plan.model, &workload, &plan.choice(policy), 5).unwrap();
        assert_eq!(outcome.done, 1500, "{policy}: every task, whatever dies");
        assert!(outcome.lost_attempts > 0, "{policy}: something died");
        let parts = outcome.account.total();
        near("billed time", parts, outcome.billed_ms as f64 / 1000.0, 1e-3);
        let time = outcome.billed_ms as f64
            * plan.model.prices.per_ms(plan.model.architecture, plan.model.memory_mb);
        near("dollars", outcome.dollars, time + outcome.invocations as f64 * 0.2e-6, 1e-9);
        // Every second of CPU that the tasks took was somewhere.
        let cpu: f64 = workload.jobs.iter().map(|job| f64::from(job.work.cpu)).sum();
        assert!(outcome.account.busy * plan.model.shape().cores >= 0.99 * cpu, "{policy}");
    }
}
