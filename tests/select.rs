//! Select, and operations that do not wait, on channels whose ends are in different processes.

use futures::FutureExt;
use runtime::{
    Path, Receiver, RecvError, SendError, Sender, TryRecvError, TrySendError, channel, select,
    spawn, task,
};
use serde::{Serialize, Serializer};
use tokio::task::yield_now;

use crate::cluster::{with_processes, with_threads};

#[task]
async fn send_all(values: Vec<u32>, out: Sender<u32>) {
    for value in values {
        if out.send(value).await.is_err() {
            break;
        }
    }
}

#[task]
pub(crate) async fn take(numbers: Receiver<u32>, count: usize) -> Vec<u32> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let Ok(number) = numbers.recv().await else { break };
        taken.push(number);
    }
    taken
}

/// Holds a handle until it is told to let go.
#[task]
pub(crate) async fn hold(handle: Receiver<u32>, until: Receiver<()>) {
    until.recv().await.ok();
    drop(handle);
}

#[test]
fn each_value_of_local_and_relayed_channels_is_selected_once() {
    with_processes(1, async {
        let (near_in, near) = channel(1);
        let (far_in, far) = channel(1);
        let far_feeding = spawn(send_all((100..200).collect(), far_in));
        let feeding = tokio::spawn(async move {
            for value in 0..100 {
                near_in.send(value).await.unwrap();
            }
        });
        let mut taken = Vec::new();
        let (mut near, mut far) = (Some(near), Some(far));
        while near.is_some() || far.is_some() {
            select! {
                value = near.recv() => match value {
                    Ok(value) => taken.push(value),
                    Err(end) => { assert_eq!(end, RecvError::Closed); near = None; }
                },
                value = far.recv() => match value {
                    Ok(value) => taken.push(value),
                    Err(end) => { assert_eq!(end, RecvError::Closed); far = None; }
                },
            }
        }
        feeding.await.unwrap();
        far_feeding.await.unwrap();
        taken.sort_unstable();
        assert_eq!(taken, (0..200).collect::<Vec<_>>());
    });
}

#[test]
fn what_does_not_wait_tells_the_truth_about_a_relayed_channel() {
    with_processes(1, async {
        let (sender, receiver) = channel(2);
        let (release, until) = channel(0);
        let holding = spawn(hold(receiver.clone(), until));
        assert_eq!(sender.path(), Path::Relayed);
        assert_eq!(receiver.try_recv().await, Err(TryRecvError::Empty));
        assert_eq!((sender.try_send(1).await, sender.try_send(2).await), (Ok(()), Ok(())));
        assert_eq!(sender.try_send(3).await, Err(TrySendError::Full(3)));
        assert_eq!((sender.len().await, receiver.is_empty().await), (2, false));
        assert_eq!(receiver.try_recv().await, Ok(1));
        let mut nothing = false;
        select! {
            value = receiver.recv() => assert_eq!(value, Ok(2)),
            default => nothing = true,
        }
        assert!(!nothing, "a value was there");
        select! {
            _ = receiver.recv() => panic!("no value was there"),
            default => nothing = true,
        }
        assert!(nothing);
        sender.close().await.unwrap();
        assert_eq!(receiver.try_recv().await, Err(TryRecvError::Closed));
        assert_eq!(sender.try_send(4).await, Err(TrySendError::Closed(4)));
        drop(release);
        holding.await.unwrap();
    });
}

/// A send that does not wait meets a receive that waits in another process.
#[test]
fn a_rendezvous_is_tried_across_workers() {
    with_processes(1, async {
        let (sender, receiver) = channel(0);
        let taking = spawn(take(receiver, 1));
        let mut tries = 0;
        while let Err(error) = sender.try_send(7).await {
            assert_eq!(error, TrySendError::Full(7));
            tries += 1;
            assert!(tries < 1_000_000, "the other task never comes to receive");
        }
        assert_eq!(taking.await, Ok(vec![7]));
    });
}

/// A select that waits in this process goes on when one of its channels leaves.
#[test]
fn a_waiting_select_survives_the_departure_of_its_channel() {
    with_threads(1, async {
        let (sender, receiver) = channel::<u32>(0);
        let (_quiet_in, quiet) = channel::<u32>(0);
        let waiting = tokio::spawn(async move {
            select! {
                value = receiver.recv() => value,
                value = quiet.recv() => value,
            }
        });
        yield_now().await;
        let sending = spawn(send_all(vec![5], sender));
        assert_eq!(waiting.await.unwrap(), Ok(5));
        sending.await.unwrap();
    });
}

/// Sends its numbers and receives the other's, in whatever order they meet.
#[task]
async fn exchange(mine: Vec<u32>, out: Sender<u32>, back: Receiver<u32>, count: usize) -> Vec<u32> {
    let (mut taken, mut left) = (Vec::new(), mine.into_iter().peekable());
    let (mut out, mut back) = (Some(out), Some(back));
    while out.is_some() || back.is_some() {
        let next = left.peek().copied();
        if next.is_none() {
            out = None;
        }
        if taken.len() == count {
            back = None;
        }
        select! {
            sent = out.send(next.unwrap_or(0)) => {
                sent.unwrap();
                left.next();
            }
            value = back.recv() => taken.push(value.unwrap()),
            default => {
                if out.is_none() && back.is_none() {
                    break;
                }
                select! {
                    sent = out.send(next.unwrap_or(0)) => {
                        sent.unwrap();
                        left.next();
                    }
                    value = back.recv() => taken.push(value.unwrap()),
                }
            }
        }
    }
    taken
}

/// Two tasks in two processes that both would send to, or receive from, the other.
#[test]
fn crossing_selects_meet() {
    for capacity in [0, 0, 1, 2] {
        with_processes(2, async move {
            let (there, here) = (channel(capacity), channel(capacity));
            let one = spawn(exchange((0..50).collect(), there.0, here.1, 50));
            let other = spawn(exchange((100..150).collect(), here.0, there.1, 50));
            assert_eq!(one.await, Ok((100..150).collect()), "capacity {capacity}");
            assert_eq!(other.await, Ok((0..50).collect()), "capacity {capacity}");
        });
    }
}

/// Selects that send and receive on one channel, in one process and in another: each value is taken
/// once, and nobody takes its own.
#[task]
async fn meet_others(name: u32, meeting: (Sender<u32>, Receiver<u32>), times: u32) -> (u32, u32) {
    let (out, back) = meeting;
    let (mut sent, mut received) = (0, 0);
    while sent + received < times {
        select! {
            gone = out.send(name) => {
                gone.unwrap();
                sent += 1;
            }
            came = back.recv() => {
                assert_ne!(came.unwrap(), name, "it met itself");
                received += 1;
            }
        }
    }
    (sent, received)
}

#[test]
fn selects_meet_each_other_and_never_themselves() {
    with_processes(2, async {
        let (out, back) = channel(0);
        let meeting = || (out.clone(), back.clone());
        let one = spawn(meet_others(1, meeting(), 40));
        let other = spawn(meet_others(2, meeting(), 40));
        let ((sent, received), (sent_2, received_2)) = (one.await.unwrap(), other.await.unwrap());
        assert_eq!((sent, received), (received_2, sent_2));
    });
}

/// A select that offers to send hears of the close.
#[test]
fn a_select_that_would_send_hears_of_the_close() {
    with_processes(1, async {
        let (sender, receiver) = channel(0);
        let (release, until) = channel(0);
        let holding = spawn(hold(receiver, until));
        let closing = sender.clone();
        let waiting = tokio::spawn(async move {
            select! {
                sent = sender.send(3) => sent,
            }
        });
        yield_now().await;
        closing.close().await.unwrap();
        assert_eq!(waiting.await.unwrap(), Err(SendError::Closed(3)));
        drop(release);
        holding.await.unwrap();
    });
}

/// What was handed over and not fetched leaves with its channel, and comes to the same receive.
#[test]
fn a_value_on_its_way_leaves_with_its_channel() {
    with_threads(1, async {
        let (sender, receiver) = channel(0);
        let mut receiving = receiver.recv();
        assert!((&mut receiving).now_or_never().is_none());
        sender.send(1).now_or_never().expect("a receive waits").unwrap();
        let (release, until) = channel(0);
        let holding = spawn(hold(receiver.clone(), until));
        assert_eq!(receiver.path(), Path::Relayed);
        assert_eq!(receiving.await, Ok(1));
        drop(release);
        holding.await.unwrap();
    });
}

/// A message that looks at the handles it holds while it is being encoded.
struct Nosy(Sender<u32>);

impl Serialize for Nosy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let copy = self.0.clone();
        assert!(format!("{copy:?}").starts_with("Sender("));
        copy.serialize(serializer)
    }
}

impl<'de> serde::Deserialize<'de> for Nosy {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Sender::deserialize(deserializer).map(Nosy)
    }
}

#[task]
async fn answer(nosy: Vec<Nosy>) {
    for Nosy(sender) in nosy {
        sender.send(1).await.ok();
    }
}

#[test]
fn encoding_may_clone_and_print_the_handles_it_meets() {
    with_processes(1, async {
        let (sender, receiver) = channel(4);
        // The channel is in its own buffer, so it is encoded while it leaves.
        let (boxes_in, boxes) = channel::<Nosy>(1);
        boxes_in.send(Nosy(sender.clone())).await.unwrap();
        let nosy = vec![Nosy(sender.clone()), Nosy(sender)];
        spawn(answer(nosy)).await.unwrap();
        drop((boxes_in, boxes));
        assert_eq!((receiver.recv().await, receiver.recv().await), (Ok(1), Ok(1)));
        assert_eq!(receiver.recv().await, Err(RecvError::Closed));
    });
}

/// Of a message that is not `Sync` itself.
#[test]
fn a_task_that_waits_in_a_select_may_change_threads() {
    fn moved<T: Send>(_: &T) {}
    let (sender, receiver) = channel::<std::cell::Cell<u8>>(0);
    moved(&async {
        select! {
            _ = receiver.recv() => {}
            _ = sender.send(std::cell::Cell::new(1)) => {}
        }
    });
}
