//! "Not ready" must be known, not assumed: Go's `TestNonblock…Race`, and the hand-off of boxed
//! values under pressure (`chanbarrier_test.go`).

use runtime::{Receiver, RecvError, Select, Sender, TryRecvError, channel, select, task};
use serde::{Deserialize, Serialize};

use crate::go::{go, program, rounds};

#[task]
async fn take_now(values: Receiver<u32>, ready: Sender<bool>) {
    let taken = select! {
        value = values.recv() => {
            assert!(matches!(value, Ok(1) | Err(RecvError::Closed)), "{value:?}");
            true
        }
        default => false,
    };
    ready.send(taken).await.unwrap();
}

/// C36: a channel that holds a value and is then closed is ready at every instant.
#[test]
fn a_closing_channel_is_never_not_ready() {
    program(async {
        for round in 0..rounds(100, 10_000) {
            let (values_in, values) = channel(1);
            let (ready_in, ready) = channel(1);
            values_in.send(1).await.unwrap();
            go(take_now(values.clone(), ready_in));
            values_in.close().await.unwrap();
            let mine = values.recv().await;
            assert!(matches!(mine, Ok(1) | Err(RecvError::Closed)), "round {round}: {mine:?}");
            assert_eq!(ready.recv().await, Ok(true), "round {round}: the channel was not ready");
        }
    });
}

#[task]
async fn take_one_of_two(one: Receiver<u32>, other: Receiver<u32>, ready: Sender<bool>) {
    let taken = select! {
        one.recv() => true,
        other.recv() => true,
        default => false,
    };
    ready.send(taken).await.unwrap();
}

/// How the second channel becomes ready.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Second {
    HasValue,
    IsClosed,
}

/// C37: the first channel is ready until after the second is, so at no instant is neither. A select
/// that asks one after the other can miss both.
async fn never_neither(second: Second) {
    for round in 0..rounds(200, 100_000) {
        let (one_in, one) = channel(1);
        let (other_in, other) = channel(usize::from(second == Second::HasValue));
        let (ready_in, ready) = channel(1);
        one_in.send(1).await.unwrap();
        go(take_one_of_two(one.clone(), other.clone(), ready_in));
        match second {
            Second::HasValue => other_in.send(1).await.unwrap(),
            Second::IsClosed => other_in.close().await.unwrap(),
        }
        select! {
            one.recv() => {}
            default => {}
        }
        assert_eq!(ready.recv().await, Ok(true), "round {round}: neither was ready");
        // Dropping the senders would make both channels ready by closing them.
        drop((one_in, other_in));
    }
}

#[test]
fn a_select_sees_one_instant_when_a_value_comes() {
    program(never_neither(Second::HasValue));
}

#[test]
fn a_select_sees_one_instant_when_a_channel_closes() {
    program(never_neither(Second::IsClosed));
}

/// Puts a value into the next of some channels before it takes the last one's, round and round.
#[task]
async fn move_round(ring: Vec<(Sender<u32>, Receiver<u32>)>, end: Receiver<()>) {
    let mut at = 0;
    while end.try_recv().await == Err(TryRecvError::Empty) {
        let next = (at + 1) % ring.len();
        // It may be full, for what the select took comes back.
        let _ = ring[next].0.try_send(1).await;
        let _ = ring[at].1.try_recv().await;
        at = next;
    }
}

/// C37 once more, with one goroutine for all rounds and more channels, so that one who looks at
/// them one by one is soon overtaken: whenever the select looks, one of the channels holds a value.
#[test]
fn a_select_sees_one_instant_while_a_value_moves() {
    program(async {
        let ring: Vec<_> = (0..8).map(|_| channel(1)).collect();
        let (end_in, end) = channel(0);
        ring[0].0.send(1).await.unwrap();
        go(move_round(ring.clone(), end));
        for round in 0..rounds(50_000, 1_000_000) {
            let mut select = Select::new();
            for (_, receiver) in &ring {
                select.recv(receiver);
            }
            let Some(chosen) = select.try_now().await else {
                panic!("round {round}: none was ready");
            };
            // It is full if the other goroutine has come round meanwhile: as good.
            let _ = ring[chosen.index()].0.try_send(1).await;
        }
        end_in.close().await.unwrap();
    });
}

/// An answer on the heap, as Go's pointer to one.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq)]
enum Answer {
    Refused(Box<Reason>),
}

#[derive(Serialize, Deserialize, Debug, PartialEq, Eq)]
struct Reason {
    asked: u64,
    words: Vec<String>,
}

impl Reason {
    fn of(asked: u64) -> Box<Self> {
        let words = (0..asked % 8).map(|n| format!("because of {n}")).collect();
        Box::new(Self { asked, words })
    }
}

#[task]
async fn refuse(asked: u64, answers: Sender<Answer>) {
    answers.send(Answer::Refused(Reason::of(asked))).await.unwrap();
}

#[task]
async fn refuse_or_give_up(asked: u64, answers: Sender<Answer>, never: Receiver<()>) {
    select! {
        sent = answers.send(Answer::Refused(Reason::of(asked))) => sent.unwrap(),
        never.recv() => panic!("nobody told it to give up"),
    }
}

#[task]
async fn ask_and_ask(from: u64, requests: u64, selects: bool, ended: Sender<()>) {
    for asked in from..from + requests {
        let (answers_in, answers) = channel(0);
        let (_never_in, never) = channel(0);
        if selects {
            go(refuse_or_give_up(asked, answers_in, never));
        } else {
            go(refuse(asked, answers_in));
        }
        let answer = answers.recv().await.unwrap();
        // What the next request allocates must not be what this answer points to.
        tokio::task::yield_now().await;
        let pressure = vec![0xa5_u8; 1 << 10];
        assert_eq!(answer, Answer::Refused(Reason::of(asked)), "{}", pressure.len());
    }
    ended.send(()).await.unwrap();
}

async fn boxes_arrive_whole(selects: bool) {
    let askers = rounds(10, 100) as u64;
    let requests = rounds(50, 2000) as u64;
    let (ended_in, ended) = channel(0);
    for asker in 0..askers {
        go(ask_and_ask(asker * requests, requests, selects, ended_in.clone()));
    }
    for _ in 0..askers {
        ended.recv().await.unwrap();
    }
}

#[test]
fn a_rendezvous_hands_boxes_over() {
    program(boxes_arrive_whole(false));
}

#[test]
fn a_select_hands_boxes_over() {
    program(boxes_arrive_whole(true));
}
