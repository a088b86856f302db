//! The policies with real workers: what programs do that wait for each other, in whatever number
//! and depth, ends under each of them.

use std::time::Duration;

use runtime::{Policy, Receiver, Runtime, Sender, channel, spawn, task};

use crate::cluster::{program, run};

fn under(policy: Policy, workers: usize) -> runtime::Builder {
    let builder = Runtime::builder().workers(workers).threads(2).worker_program(program());
    builder.policy(policy)
}

#[task]
async fn passes_on(from: Receiver<u32>, to: Sender<u32>) {
    while let Ok(n) = from.recv().await {
        if to.send(n + 1).await.is_err() {
            break;
        }
    }
}

/// More tasks than any worker has memory for, by what is expected of an unknown kind; each waits
/// for the one before it, and none ends before the last has begun.
#[test]
fn a_chain_of_hundreds_of_parked_tasks_runs() {
    const LENGTH: u32 = 300;
    let builder = under(Policy::Farspawn, 2).memory(2 << 30);
    run(builder, async {
        let (first, mut last) = channel(0);
        let mut tasks = Vec::new();
        for _ in 0..LENGTH {
            let (to, from) = channel(0);
            tasks.push(spawn(passes_on(last, to)));
            last = from;
        }
        first.send(0).await.unwrap();
        assert_eq!(last.recv().await, Ok(LENGTH));
        drop(first);
        for task in tasks {
            task.await.unwrap();
        }
    });
}

/// Each waits for its two children, and no worker has room for a whole level of them.
#[task]
async fn tree(depth: u32) -> u64 {
    if depth == 0 {
        return 1;
    }
    let [left, right] = [depth - 1, depth - 1].map(|depth| spawn(branch(depth)));
    left.await.unwrap() + right.await.unwrap()
}

/// The same with a thread of its own.
#[task]
fn branch(depth: u32) -> u64 {
    spawn(tree(depth)).join_blocking().unwrap()
}

#[test]
fn a_tree_of_tasks_that_wait_for_their_children_ends_under_each_policy() {
    // A conventional function that waits keeps its worker, so it needs as many as there are tasks.
    for (policy, workers, depth) in
        [(Policy::Farspawn, 2, 6), (Policy::Paper, 2, 6), (Policy::Conventional, 6, 1)]
    {
        let builder = under(policy, workers);
        let leaves = run(builder, async move { spawn(tree(depth)).await });
        assert_eq!(leaves, Ok(1 << depth), "{policy}");
    }
}

#[task]
async fn naps(milliseconds: u64) -> Option<u64> {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    runtime::current_worker()
}

#[test]
fn conventional_workers_run_one_task_each_and_ours_run_many() {
    let workers_of = |policy, workers| {
        run(under(policy, workers), async {
            let tasks: Vec<_> = (0..4).map(|_| spawn(naps(20))).collect();
            let ended = futures::future::join_all(tasks).await;
            let mut workers: Vec<_> = ended.into_iter().map(|worker| worker.unwrap()).collect();
            workers.sort_unstable();
            workers.dedup();
            workers.len()
        })
    };
    assert_eq!(workers_of(Policy::Conventional, 2), 4, "an invocation a task");
    assert!(workers_of(Policy::Farspawn, 2) <= 2);
}
