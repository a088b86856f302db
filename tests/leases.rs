//! Work that survives its worker: values on lease, strict order, what is flushed, and what a task
//! shows to those outside.

use runtime::{
    ChannelBuilder, FlushError, JoinError, Path, Receiver, RecvError, Sender, TryRecvError,
    channel, fence_token, spawn, task,
};
use rustix::process::{Pid, Signal, getpid, kill_process};

use crate::cluster::{with_processes, with_threads};

fn kill(process: u32) {
    let process = Pid::from_raw(process as i32).expect("a process id is above zero");
    kill_process(process, Signal::KILL).expect("the worker is there, and ours");
}

/// What a holder says of a value: its process, the value, and for which time it is held.
type Held = (u32, u32, u32);

/// Leases values, tells, and acknowledges some. The last it holds for ever.
#[task]
async fn hold(work: Receiver<u32>, held: Sender<Held>, done: u32) {
    let mut last = None;
    for _ in 0..=done {
        last.take().map(runtime::Leased::ack);
        let lease = work.recv_leased().await.unwrap();
        held.send((std::process::id(), *lease, lease.attempt())).await.unwrap();
        last = Some(lease);
    }
    std::future::pending::<()>().await;
}

/// D3: the holder is killed; what it had acknowledged is done, and what it held comes again, first.
#[test]
fn a_killed_holders_value_comes_again_in_its_place() {
    for capacity in [0, 1, 8] {
        with_processes(1, async move {
            let (work_in, work) = channel(capacity);
            let (held_in, held) = channel(0);
            let holder = spawn(hold(work.clone(), held_in, 2));
            let feeder = async {
                for value in 1..=5 {
                    work_in.send(value).await.unwrap();
                }
            };
            let reader = async {
                let mut process = 0;
                for expected in 1..=3 {
                    let (told, value, attempt) = held.recv().await.unwrap();
                    assert_eq!((value, attempt), (expected, 1));
                    process = told;
                }
                kill(process);
                assert!(matches!(holder.await, Err(JoinError::WorkerLost(_))));
                let lease = work.recv_leased().await.unwrap();
                assert_eq!((*lease, lease.attempt()), (3, 2), "capacity {capacity}");
                assert_eq!(lease.ack(), 3);
                assert_eq!([work.recv().await, work.recv().await], [Ok(4), Ok(5)]);
            };
            futures::join!(feeder, reader);
            drop(work_in);
            assert_eq!(work.recv().await, Err(RecvError::Closed));
        });
    }
}

/// D8: a channel that was closed is not drained while a value may come back.
#[test]
fn a_closed_channel_waits_for_the_lease_of_a_killed_holder() {
    with_processes(1, async {
        let (work_in, work) = channel(4);
        let (held_in, held) = channel(0);
        let holder = spawn(hold(work.clone(), held_in, 0));
        work_in.send(7).await.unwrap();
        let (process, ..) = held.recv().await.unwrap();
        drop(work_in);
        assert_eq!(work.try_recv().await, Err(TryRecvError::Empty));
        let waiting = async { work.recv().await };
        let killing = async {
            kill(process);
            holder.await.unwrap_err();
        };
        let (received, ()) = futures::join!(waiting, killing);
        assert_eq!(received, Ok(7));
        assert_eq!(work.recv().await, Err(RecvError::Closed));
    });
}

/// Gives values back until they have been held often enough.
#[task]
async fn give_up_twice(work: Receiver<String>, done: Sender<(String, u32)>) {
    while let Ok(lease) = work.recv_leased().await {
        if lease.attempt() > 2 {
            let attempt = lease.attempt();
            done.send((lease.ack(), attempt)).await.unwrap();
        }
    }
}

#[test]
fn a_lease_that_is_dropped_is_another_attempt_wherever_the_channel_is() {
    let values = ["a", "b", "c"].map(str::to_owned);
    with_threads(2, async {
        let (work_in, work) = channel(4);
        let (done_in, done) = channel(8);
        for value in &values {
            work_in.send(value.clone()).await.unwrap();
        }
        drop(work_in);
        let workers = [(); 2].map(|()| spawn(give_up_twice(work.clone(), done_in.clone())));
        drop((work, done_in));
        let mut all = Vec::new();
        while let Ok((value, attempt)) = done.recv().await {
            assert_eq!(attempt, 3);
            all.push(value);
        }
        all.sort();
        assert_eq!(all, values);
        for worker in workers {
            worker.await.unwrap();
        }
    });
}

/// The handles in a leased value are used while it is held, and go back with it.
#[task]
async fn answer_and_give_back(work: Receiver<Sender<u32>>, answers: u32) {
    for answer in 0..answers {
        let lease = work.recv_leased().await.unwrap();
        lease.send(answer).await.unwrap();
    }
    work.recv_leased().await.unwrap().ack().send(99).await.unwrap();
}

#[test]
fn a_leased_handle_works_and_comes_again() {
    with_processes(1, async {
        let (work_in, work) = channel(1);
        let (answer_in, answer) = channel(0);
        work_in.send(answer_in).await.unwrap();
        let worker = spawn(answer_and_give_back(work, 3));
        for expected in [0, 1, 2, 99] {
            assert_eq!(answer.recv().await, Ok(expected));
        }
        worker.await.unwrap();
        assert_eq!(answer.recv().await, Err(RecvError::Closed), "the last handle is gone");
    });
}

#[task]
async fn take_all(work: Receiver<u32>) -> Vec<u32> {
    let mut all = Vec::new();
    while let Ok(value) = work.recv().await {
        all.push(value);
    }
    all
}

/// A channel leaves while some of its values are on lease in the process that it leaves.
#[test]
fn a_lease_keeps_its_place_when_its_channel_leaves() {
    with_threads(1, async {
        let (work_in, work) = channel(8);
        for value in 1..=5 {
            work_in.send(value).await.unwrap();
        }
        let [one, two, three] =
            [work.recv_leased().await, work.recv_leased().await, work.recv_leased().await]
                .map(Result::unwrap);
        drop(two);
        let again = work.recv_leased().await.unwrap();
        assert_eq!((*again, again.attempt()), (2, 2));
        drop(again);
        let (out_in, out) = channel(1);
        out_in.send(work.clone()).await.unwrap();
        spawn(pass(out.clone())).await.unwrap();
        assert_eq!(work.path(), Path::Relayed);
        drop(three);
        one.ack();
        let lease = work.recv_leased().await.unwrap();
        assert_eq!((*lease, lease.attempt()), (2, 3));
        drop(lease);
        drop((work_in, out_in, out));
        assert_eq!(spawn(take_all(work)).await, Ok(vec![2, 3, 4, 5]));
    });
}

/// A handle that holds another is here, so that both leave.
#[task]
async fn pass(handle: Receiver<Receiver<u32>>) {
    drop(handle);
}

/// D6: in strict order nobody has a younger value while an older one may come back.
#[test]
fn in_strict_order_a_killed_holder_holds_the_others_up() {
    with_processes(1, async {
        let (work_in, work) = ChannelBuilder::new(4).strict_order().build();
        let (held_in, held) = channel(0);
        for value in 1..=3 {
            work_in.send(value).await.unwrap();
        }
        let holder = spawn(hold(work.clone(), held_in, 0));
        let (process, ..) = held.recv().await.unwrap();
        assert_eq!(work.try_recv().await, Err(TryRecvError::Empty));
        kill(process);
        holder.await.unwrap_err();
        drop(work_in);
        for expected in 1..=3 {
            assert_eq!(work.recv().await, Ok(expected));
        }
    });
}

/// Sends what there is room for, says that it is home, and dies.
#[task]
async fn send_flush_and_die(values: Sender<u32>, count: u32) {
    for value in 0..count {
        values.send(value).await.unwrap();
    }
    assert_eq!(values.flush().await, Ok(()));
    kill_process(getpid(), Signal::KILL).unwrap();
}

/// D4: what was flushed is there though its sender died at once.
#[test]
fn what_was_flushed_survives_its_sender() {
    with_processes(1, async {
        let (values_in, values) = channel(4096);
        let sender = spawn(send_flush_and_die(values_in, 4000));
        assert!(matches!(sender.await, Err(JoinError::WorkerLost(_))));
        for expected in 0..4000 {
            assert_eq!(values.recv().await, Ok(expected));
        }
        assert!(matches!(values.recv().await, Err(RecvError::Lost(_))));
    });
}

#[test]
fn a_flush_without_a_coordinator_says_so() {
    let runtime = runtime::Runtime::builder().workers(1).in_memory().build().unwrap();
    let sender = runtime.block_on(async {
        let (values_in, values) = channel::<Receiver<u32>>(1);
        let (sender, receiver) = channel::<u32>(1);
        values_in.send(receiver).await.unwrap();
        spawn(pass(values)).await.unwrap();
        assert_eq!(sender.flush().await, Ok(()));
        sender
    });
    drop(runtime);
    assert!(matches!(sender.flush_blocking(), Err(FlushError::Lost(_))));
}

#[task]
async fn tokens(told: Sender<(String, u32, u64)>, until: Receiver<()>) {
    for _ in 0..2 {
        let token = fence_token().expect("this is a task");
        told.send((token.key(), token.attempt(), token.epoch())).await.unwrap();
    }
    until.recv().await.ok();
}

/// D1, D10: the second attempt comes with the same keys, and can be told from the first.
#[test]
fn another_attempt_has_the_same_keys_and_a_higher_number() {
    with_processes(1, async {
        let (who_in, who) = channel(0);
        let (told_in, told) = channel(0);
        let (until_in, until) = channel(0);
        let task = spawn(tokens_of(who_in, told_in, until).retry(1));
        let process = who.recv().await.unwrap();
        let first = [told.recv().await.unwrap(), told.recv().await.unwrap()];
        kill(process);
        who.recv().await.unwrap();
        let second = [told.recv().await.unwrap(), told.recv().await.unwrap()];
        assert_eq!(first.each_ref().map(|at| &at.0), second.each_ref().map(|at| &at.0));
        assert_eq!([first[0].1, second[0].1], [1, 2]);
        assert!(first[0].2 < second[0].2, "another epoch: {first:?}, {second:?}");
        drop(until_in);
        task.await.unwrap();
        assert_eq!(fence_token(), None);
    });
}

#[task]
async fn tokens_of(who: Sender<u32>, told: Sender<(String, u32, u64)>, until: Receiver<()>) {
    who.send(std::process::id()).await.unwrap();
    tokens(told, until).await;
}
