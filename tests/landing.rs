//! The walk of a channel home: its ends have come together in one process again.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::cluster::{eventually, eventually_told, processes, run, with_processes, with_threads};
use runtime::{
    JoinError, Path, Receiver, RecvError, SendError, Sender, channel, select, spawn, task,
};
use serde::{Deserialize, Serialize};

static ENCODED: AtomicU32 = AtomicU32::new(0);

/// A value that counts how often it is encoded in this process.
#[derive(Debug, PartialEq, Deserialize)]
struct Counted(u32);

impl Serialize for Counted {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ENCODED.fetch_add(1, Ordering::Relaxed);
        self.0.serialize(serializer)
    }
}

#[task]
async fn bring_back(sender: Sender<Counted>) -> Sender<Counted> {
    sender.send(Counted(0)).await.unwrap();
    sender
}

/// C07, invariant 1: a channel that is used by one process alone is at home there, and nothing in
/// it is serialised any more.
#[test]
fn ends_that_come_together_are_local_again() {
    with_processes(1, async {
        let (sender, receiver) = channel(2);
        let sender = spawn(bring_back(sender)).await.unwrap();
        assert_eq!(sender.path(), Path::Relayed, "the coordinator has the value");
        assert_eq!(receiver.recv().await, Ok(Counted(0)));
        let mut relayed = 0;
        while sender.path() == Path::Relayed {
            relayed += 1;
            assert!(relayed < 1000, "it is used here, and nowhere else");
            sender.send(Counted(relayed)).await.unwrap();
            assert_eq!(receiver.recv().await, Ok(Counted(relayed)));
        }
        let encoded = ENCODED.load(Ordering::Relaxed);
        assert!(encoded >= relayed);
        for n in 0..1000 {
            sender.send(Counted(n)).await.unwrap();
            assert_eq!(receiver.recv().await, Ok(Counted(n)));
        }
        assert_eq!(ENCODED.load(Ordering::Relaxed), encoded, "nothing was encoded");
        assert_eq!(receiver.path(), Path::Local);
        let stats = runtime::stats().await.unwrap();
        assert_eq!(stats.channels, 0, "the coordinator has forgotten it");
        drop(sender);
        assert_eq!(receiver.recv().await, Err(RecvError::Closed));
    });
}

#[task]
async fn give_back(sender: Sender<u32>) -> Sender<u32> {
    sender
}

#[task]
async fn give_back_receiver(receiver: Receiver<u32>) -> Receiver<u32> {
    receiver
}

/// Waits until the ends have been together for a while.
async fn landed(sender: &Sender<u32>) {
    eventually("the channel is here", || sender.path() == Path::Local).await;
}

/// Values and sends that wait come home in order, and go on.
#[test]
fn values_and_waiting_sends_come_home_in_order() {
    run(processes(1).lease(Duration::from_secs(4)), async {
        let (sender, receiver) = channel(2);
        let receiver = spawn(give_back_receiver(receiver)).await.unwrap();
        sender.send(1).await.unwrap();
        sender.send(2).await.unwrap();
        let sends: Vec<_> = (3..6)
            .map(|n| {
                let sender = sender.clone();
                let mut send = Box::pin(async move { sender.send(n).await });
                assert!(futures::FutureExt::now_or_never(send.as_mut()).is_none());
                tokio::spawn(send)
            })
            .collect();
        landed(&sender).await;
        assert_eq!(sender.len().await, 2);
        for n in 1..6 {
            assert_eq!(receiver.recv().await, Ok(n));
        }
        for send in sends {
            assert_eq!(send.await.unwrap(), Ok(()));
        }
    });
}

/// Receives that wait come home, those of a select too, and so do those that are given up.
#[test]
fn waiting_receives_come_home() {
    run(processes(1).lease(Duration::from_secs(4)), async {
        let (sender, receiver) = channel(0);
        let sender = spawn(give_back(sender)).await.unwrap();
        let waiting = receiver.clone();
        let first = tokio::spawn(async move { waiting.recv().await });
        let mut given_up = Box::pin(receiver.recv());
        let waiting = receiver.clone();
        let (_never_in, never) = channel::<u32>(0);
        let third = tokio::spawn(async move {
            select! {
                n = waiting.recv() => n,
                n = never.recv() => n,
            }
        });
        assert!(futures::FutureExt::now_or_never(given_up.as_mut()).is_none());
        landed(&sender).await;
        drop(given_up);
        sender.send(1).await.unwrap();
        sender.send(2).await.unwrap();
        let mut got = [first.await.unwrap().unwrap(), third.await.unwrap().unwrap()];
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
    });
}

/// A select that would send comes home, and sends there.
#[test]
fn a_waiting_select_that_sends_comes_home() {
    run(processes(1).lease(Duration::from_secs(4)), async {
        let (sender, receiver) = channel(0);
        let sender = spawn(give_back(sender)).await.unwrap();
        let sending = sender.clone();
        let (_never_in, never) = channel::<u32>(0);
        let select = tokio::spawn(async move {
            select! {
                sent = sending.send(7) => sent,
                _ = never.recv() => unreachable!("nobody sends"),
            }
        });
        landed(&sender).await;
        assert_eq!(receiver.recv().await, Ok(7));
        assert_eq!(select.await.unwrap(), Ok(()));
    });
}

/// D8: how the channel ended comes home with what is left in it.
#[test]
fn a_close_comes_home() {
    run(processes(1).lease(Duration::from_secs(4)), async {
        let (sender, receiver) = channel(3);
        let sender = spawn(give_back(sender)).await.unwrap();
        sender.send(1).await.unwrap();
        sender.send(2).await.unwrap();
        sender.close().await.unwrap();
        landed(&sender).await;
        assert_eq!(sender.send(3).await, Err(SendError::Closed(3)));
        assert!(sender.close().await.is_err());
        assert_eq!([receiver.recv().await, receiver.recv().await], [Ok(1), Ok(2)]);
        assert_eq!(receiver.recv().await, Err(RecvError::Closed));
    });
}

/// Handles leave and come back while the channel lands, and while tasks use it.
#[test]
fn a_handle_leaves_while_its_channel_lands() {
    with_threads(2, async {
        for capacity in [0, 1, 3] {
            let (sender, receiver) = channel(capacity);
            let sending = {
                let sender = sender.clone();
                tokio::spawn(async move {
                    for n in 0..4000 {
                        sender.send(n).await.unwrap();
                    }
                })
            };
            let wandering = tokio::spawn(async move {
                let mut sender = sender;
                for _ in 0..60 {
                    sender = spawn(give_back(sender)).await.unwrap();
                    for _ in 0..20 {
                        tokio::task::yield_now().await;
                    }
                }
            });
            for n in 0..4000 {
                assert_eq!(receiver.recv().await, Ok(n));
            }
            sending.await.unwrap();
            wandering.await.unwrap();
            assert_eq!(receiver.recv().await, Err(RecvError::Closed));
        }
        eventually_no_channels().await;
    });
}

async fn eventually_no_channels() {
    let is_none = || async { runtime::stats().await.unwrap().channels == 0 };
    eventually_told("no channel is left", is_none).await;
}

#[task]
async fn land_and_die(sender: Sender<u32>, receiver: Receiver<u32>, until: u32) -> bool {
    for n in 0..until {
        sender.send(n).await.unwrap();
        assert_eq!(receiver.recv().await, Ok(n));
    }
    std::process::abort();
}

/// A worker that dies before, in the middle of, or after a landing takes the channel with it, for
/// nobody else has a handle; and only the channel.
#[test]
fn a_worker_dies_while_its_channel_lands() {
    with_processes(3, async {
        let dying = (12..24).map(|until| {
            let (sender, receiver) = channel(1);
            spawn(land_and_die(sender, receiver, until))
        });
        let dying: Vec<_> = dying.collect();
        for task in dying {
            let error = task.await.unwrap_err();
            assert!(matches!(error, JoinError::WorkerLost(_)), "{error:?}");
        }
        eventually_no_channels().await;
    });
}

/// Passes handles on. By how much this process, which does nothing else, has grown comes out.
#[task]
async fn pass_on(from: Receiver<Sender<u32>>, to: Sender<Sender<u32>>, warm: u32) -> u64 {
    let (mut passed, mut before) = (0, 0);
    while let Ok(handle) = from.recv().await {
        to.send(handle).await.unwrap();
        passed += 1;
        if passed == warm {
            before = resident();
        }
    }
    resident().saturating_sub(before)
}

/// How much memory this process uses, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// C07: handles are identities. However often they are passed on, nothing of it stays.
#[test]
fn passing_a_handle_on_leaves_nothing_behind() {
    let passings = if std::env::var_os("FARSPAWN_LONG").is_some() { 1_000_000 } else { 20_000 };
    with_processes(1, async {
        let (there_in, there) = channel(64);
        let (back_in, back) = channel(64);
        let passing = spawn(pass_on(there, back_in, passings / 10));
        let (subject, receiver) = channel(1);
        for _ in 0..100 {
            there_in.send(subject.clone()).await.unwrap();
        }
        for _ in 0..passings / 2 {
            there_in.send(back.recv().await.unwrap()).await.unwrap();
        }
        let stats = runtime::stats().await.unwrap();
        assert!(stats.channels <= 4, "the three, and the task's result: {stats:?}");
        drop(there_in);
        let mut handles = 0;
        while let Ok(handle) = back.recv().await {
            handle.send(handles).await.unwrap();
            assert_eq!(receiver.recv().await, Ok(handles));
            handles += 1;
        }
        assert_eq!(handles, 100);
        let grown = passing.await.unwrap();
        assert!(grown < 2048, "{grown} KiB more");
        drop((subject, back));
        assert_eq!(receiver.recv().await, Err(RecvError::Closed), "each handle was counted");
        drop(receiver);
        eventually_no_channels().await;
    });
}
