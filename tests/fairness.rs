//! Select between a channel that is here and one at home elsewhere, when the one that is here is
//! always ready (C35).

use runtime::{Path, Receiver, Select, Sender, channel, select, spawn, task};

use crate::cluster::with_processes;
use crate::select::{hold, take};

/// Says a word once it has heard one.
#[task]
async fn stop(heard: Receiver<u32>, out: Sender<u32>) {
    heard.recv().await.ok();
    out.send(0).await.ok();
}

/// So many selects are more than it takes, by far.
const MANY: u32 = 1_000_000;

/// A channel of this process with so many values in it.
async fn full(count: u32) -> (Sender<u32>, Receiver<u32>) {
    let (near_in, near) = channel(count as usize);
    for value in 0..count {
        near_in.send(value).await.unwrap();
    }
    assert_eq!(near.path(), Path::Local);
    (near_in, near)
}

#[test]
fn of_two_ready_receives_the_one_elsewhere_happens_as_often() {
    with_processes(1, async {
        let rounds = 400;
        let (_near_in, near) = full(rounds).await;
        let (far_in, far) = full(rounds).await;
        let (release, until) = channel(0);
        let holding = spawn(hold(far.clone(), until));
        assert_eq!(far_in.path(), Path::Relayed);
        let mut from_far = [0; 3];
        for round in 0..rounds {
            let way = round as usize % 3;
            from_far[way] += match way {
                0 => select! {
                    value = near.recv() => value.map(|_| 0).unwrap(),
                    value = far.recv() => value.map(|_| 1).unwrap(),
                },
                1 => select! {
                    value = near.recv() => value.map(|_| 0).unwrap(),
                    value = far.recv() => value.map(|_| 1).unwrap(),
                    default => panic!("both are ready"),
                },
                _ => {
                    let mut select = Select::new();
                    select.recv(&near);
                    let of_far = select.recv(&far);
                    u32::from(select.wait().await.index() == of_far)
                }
            };
        }
        // Of 133 the half, within six standard deviations.
        assert!(from_far.iter().all(|count| (32..=101).contains(count)), "{from_far:?}");
        drop(release);
        holding.await.unwrap();
    });
}

#[test]
fn a_stop_from_elsewhere_is_heard_beside_a_case_that_is_always_ready() {
    with_processes(1, async {
        let (near_in, near) = full(1).await;
        let (stop_in, stopped) = channel(0);
        let (say, heard) = channel(1);
        let stopping = spawn(stop(heard, stop_in));
        for round in 0..MANY {
            if round == 1000 {
                say.send(0).await.unwrap();
            }
            select! {
                value = near.recv() => near_in.send(value.unwrap()).await.unwrap(),
                _ = stopped.recv() => {
                    assert!(round >= 1000, "nothing had been said");
                    return stopping.await.unwrap();
                }
            }
        }
        panic!("the stop was not heard");
    });
}

#[test]
fn a_send_elsewhere_happens_beside_a_case_that_is_always_ready() {
    for capacity in [0, 1, 8] {
        with_processes(1, async move {
            let (near_in, near) = full(1).await;
            let (far_in, far) = channel(capacity);
            let taking = spawn(take(far, 50));
            let (mut next, mut rounds) = (0, 0);
            while next < 50 {
                select! {
                    value = near.recv() => near_in.send(value.unwrap()).await.unwrap(),
                    sent = far_in.send(next) => {
                        sent.unwrap();
                        next += 1;
                    }
                }
                rounds += 1;
                assert!(rounds < MANY, "{next} of 50 were sent, capacity {capacity}");
            }
            assert_eq!(taking.await, Ok((0..50).collect()), "capacity {capacity}");
        });
    }
}
