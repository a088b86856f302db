//! The walk of a handle: out of its process in a message, and into another.

use crate::cluster::{with_processes, with_threads};
use runtime::{Path, Receiver, RecvError, SendError, Sender, channel, spawn, task};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value that must never be encoded.
#[derive(Debug, PartialEq)]
struct Homebody(u32);

impl Serialize for Homebody {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("a channel inside one process does not serialise");
    }
}

impl<'de> Deserialize<'de> for Homebody {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("a channel inside one process does not deserialise"))
    }
}

#[test]
fn inside_one_process_nothing_is_serialised() {
    with_threads(1, async {
        for capacity in [0, 1] {
            let (sender, receiver) = channel(capacity);
            let sending = tokio::spawn(async move {
                for n in 0..100 {
                    sender.send(Homebody(n)).await.unwrap();
                }
                assert_eq!(sender.path(), Path::Local);
            });
            for n in 0..100 {
                assert_eq!(receiver.recv().await, Ok(Homebody(n)));
            }
            sending.await.unwrap();
            assert_eq!(receiver.recv().await, Err(RecvError::Closed));
        }
    });
}

#[derive(Serialize, Deserialize)]
struct Request {
    question: u64,
    answer: Sender<u64>,
}

#[task]
async fn answer(requests: Receiver<Request>) -> u64 {
    let mut answered = 0;
    while let Ok(Request { question, answer }) = requests.recv().await {
        answer.send(question * 10).await.unwrap();
        answered += 1;
    }
    answered
}

#[task]
async fn ask(requests: Sender<Request>, question: u64) -> u64 {
    let (answer, answers) = channel(0);
    requests.send(Request { question, answer }).await.unwrap();
    answers.recv().await.unwrap()
}

/// C07: a handle in a struct in a message, made in one worker and used in another.
#[test]
fn a_handle_passed_over_a_channel_works_where_it_arrives() {
    with_processes(3, async {
        let (requests_in, requests) = channel(0);
        let answering = spawn(answer(requests));
        let asking: Vec<_> = (1..=4).map(|n| spawn(ask(requests_in.clone(), n))).collect();
        drop(requests_in);
        let mut answers = Vec::new();
        for asked in asking {
            answers.push(asked.await.unwrap());
        }
        assert_eq!(answers, [10, 20, 30, 40]);
        assert_eq!(answering.await, Ok(4));
    });
}

#[task]
async fn drain(receiver: Receiver<u32>) -> Vec<u32> {
    let mut drained = Vec::new();
    while let Ok(n) = receiver.recv().await {
        drained.push(n);
    }
    drained
}

/// Values in the buffer and sends that wait leave with their channel, in order.
#[test]
fn a_channel_leaves_with_what_is_in_it() {
    with_processes(1, async {
        let (sender, receiver) = channel(2);
        sender.send(1).await.unwrap();
        sender.send(2).await.unwrap();
        let waiting = sender.clone();
        let blocked = tokio::spawn(async move { waiting.send(3).await });
        while !futures_are_parked(&sender).await {
            tokio::task::yield_now().await;
        }
        let draining = spawn(drain(receiver));
        assert_eq!(sender.path(), Path::Relayed);
        assert_eq!(blocked.await.unwrap(), Ok(()));
        sender.send(4).await.unwrap();
        drop(sender);
        assert_eq!(draining.await, Ok(vec![1, 2, 3, 4]));
    });
}

/// Lets the runtime's other threads come to their first wait: a third value cannot have been sent.
async fn futures_are_parked(sender: &Sender<u32>) -> bool {
    let limit = std::time::Duration::from_millis(20);
    tokio::time::timeout(limit, sender.send(0)).await.is_err()
}

/// A receive that waited in this process goes on when the channel leaves it.
#[test]
fn a_waiting_receive_survives_the_departure_of_its_channel() {
    with_processes(1, async {
        let (sender, receiver) = channel(0);
        let waiting = receiver.clone();
        let blocked = tokio::spawn(async move { waiting.recv().await });
        let limit = std::time::Duration::from_millis(20);
        assert!(tokio::time::timeout(limit, receiver.recv()).await.is_err());
        spawn(send_one(sender, 7)).await.unwrap();
        assert_eq!(blocked.await.unwrap(), Ok(7));
        assert_eq!(receiver.recv().await, Err(RecvError::Closed));
    });
}

/// A channel leaves while tasks of this process send, receive and give up on it.
#[test]
fn a_channel_leaves_under_fire() {
    with_threads(1, async {
        for round in 0..40 {
            let (sender, receiver) = channel(round % 3);
            let senders: Vec<_> = (0..4)
                .map(|from| {
                    let sender = sender.clone();
                    tokio::spawn(async move {
                        for n in 0..50 {
                            sender.send(from * 100 + n).await.unwrap();
                        }
                    })
                })
                .collect();
            let here: Vec<_> = (0..2).map(|_| tokio::spawn(take_here(receiver.clone()))).collect();
            for _ in 0..round * 3 {
                tokio::task::yield_now().await;
            }
            let there = spawn(drain(receiver));
            drop(sender);
            for sending in senders {
                sending.await.unwrap();
            }
            let mut taken = there.await.unwrap();
            for taking in here {
                taken.extend(taking.await.unwrap());
            }
            taken.sort_unstable();
            let all: Vec<u32> =
                (0..4).flat_map(|from| (0..50).map(move |n| from * 100 + n)).collect();
            assert_eq!(taken, all, "round {round}");
        }
    });
}

/// Receives to the end; every other receive is given up after its first poll.
async fn take_here(receiver: Receiver<u32>) -> Vec<u32> {
    let mut taken = Vec::new();
    loop {
        if let Some(Ok(n)) = futures::FutureExt::now_or_never(receiver.recv()) {
            taken.push(n);
        }
        match receiver.recv().await {
            Ok(n) => taken.push(n),
            Err(end) => {
                assert_eq!(end, RecvError::Closed);
                return taken;
            }
        }
    }
}

#[task]
async fn send_one(sender: Sender<u32>, value: u32) {
    sender.send(value).await.unwrap();
}

#[task]
async fn give_back(sender: Sender<u32>) -> Sender<u32> {
    sender
}

/// A handle is an identity: what comes back is the same channel, however often it went.
#[test]
fn a_handle_that_comes_back_is_the_same() {
    with_threads(2, async {
        let (mut sender, receiver) = channel(1);
        for _ in 0..20 {
            let spare = sender.clone();
            sender = spawn(give_back(sender)).await.unwrap();
            assert!(sender.same_channel(&spare));
        }
        sender.send(5).await.unwrap();
        assert_eq!(receiver.recv().await, Ok(5));
        drop(sender);
        assert_eq!(receiver.recv().await, Err(RecvError::Closed), "no handle was forgotten");
    });
}

#[derive(Serialize, Deserialize)]
struct Nested {
    inner: Receiver<Sender<u32>>,
    name: String,
}

#[task]
async fn unnest(nested: Receiver<Nested>) -> String {
    let Nested { inner, name } = nested.recv().await.unwrap();
    inner.recv().await.unwrap().send(name.len() as u32).await.unwrap();
    name
}

/// C07: channels in channels in structs, all still in buffers when the outermost leaves.
#[test]
fn channels_in_channels_leave_together() {
    with_processes(1, async {
        let (number_in, number) = channel(1);
        let (inner_in, inner) = channel(1);
        let (nested_in, nested) = channel(1);
        inner_in.send(number_in).await.unwrap();
        nested_in.send(Nested { inner, name: "depth".to_owned() }).await.unwrap();
        assert_eq!(nested_in.path(), Path::Local, "nothing has left yet");
        assert_eq!(spawn(unnest(nested)).await.unwrap(), "depth");
        assert_eq!(number.recv().await, Ok(5));
        assert_eq!(number.recv().await, Err(RecvError::Closed));
    });
}

#[derive(Serialize, Deserialize)]
struct Loop(Option<Sender<Self>>);

#[task]
async fn follow(start: Receiver<Loop>) -> bool {
    let Loop(to_itself) = start.recv().await.unwrap();
    to_itself.unwrap().send(Loop(None)).await.unwrap();
    matches!(start.recv().await, Ok(Loop(None)))
}

/// A channel whose own buffer holds a handle to it.
#[test]
fn a_channel_that_holds_itself_can_leave() {
    with_threads(1, async {
        let (sender, receiver) = channel(1);
        sender.send(Loop(Some(sender.clone()))).await.unwrap();
        assert_eq!(spawn(follow(receiver)).await, Ok(true));
    });
}

/// A handle in a message that nobody took counts as dropped when the message is.
#[test]
fn a_handle_in_an_undelivered_message_is_not_forgotten() {
    with_threads(1, async {
        let (carried, receiver) = channel(1);
        let (carrier_in, carrier) = channel(1);
        carrier_in.send(carried).await.unwrap();
        let (kept_in, kept) = channel(1);
        spawn(pass_on(carrier, kept_in)).await.unwrap();
        drop(kept);
        assert_eq!(receiver.recv().await, Err::<u32, _>(RecvError::Closed));
    });
}

#[task]
async fn pass_on(carrier: Receiver<Sender<u32>>, to: Sender<Receiver<Sender<u32>>>) {
    to.send(carrier).await.unwrap();
}

#[test]
fn a_handle_travels_nowhere_else() {
    let (sender, _receiver) = channel::<u8>(1);
    let error = channels::codec::encode(&sender).unwrap_err().to_string();
    assert!(error.contains("only in a message"), "{error}");
}

#[test]
fn a_value_that_cannot_be_encoded_comes_back() {
    with_threads(1, async {
        let (sender, receiver) = channel(1);
        let draining = spawn(drain_stubborn(receiver));
        let error = sender.send(Stubborn).await.unwrap_err();
        assert!(matches!(error, SendError::Unsendable(Stubborn, _)), "{error:?}");
        drop(sender);
        assert_eq!(draining.await, Ok(0));
    });
}

#[derive(Debug)]
struct Stubborn;

impl Serialize for Stubborn {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("I stay here"))
    }
}

impl<'de> Deserialize<'de> for Stubborn {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Ok(Self)
    }
}

#[task]
async fn drain_stubborn(receiver: Receiver<Stubborn>) -> u32 {
    let mut count = 0;
    while receiver.recv().await.is_ok() {
        count += 1;
    }
    count
}

/// Two channels whose buffers hold handles to each other.
#[test]
fn channels_that_hold_each_other_can_leave() {
    with_threads(1, async {
        let (one, receiver) = channel(2);
        let (other, _kept) = channel(2);
        one.send(Loop(Some(other.clone()))).await.unwrap();
        other.send(Loop(Some(one.clone()))).await.unwrap();
        assert!(spawn(take_one(receiver)).await.unwrap());
    });
}

#[task]
async fn take_one(start: Receiver<Loop>) -> bool {
    matches!(start.recv().await, Ok(Loop(Some(_))))
}

#[derive(Serialize, Deserialize)]
struct Nest(Option<Receiver<Self>>);

#[task]
async fn depth_of(nests: Receiver<Nest>) -> usize {
    let (mut depth, mut inner) = (0, nests);
    while let Ok(Nest(Some(next))) = inner.recv().await {
        (depth, inner) = (depth + 1, next);
    }
    depth
}

/// A channel in the buffer of a channel, and so on: there is an end to it, and it is told.
#[test]
fn channels_nest_as_deep_as_they_may() {
    with_threads(1, async {
        for (deep, may) in [(63, true), (64, false)] {
            let (first, nests) = channel(1);
            let depth = spawn(depth_of(nests));
            let (_, mut inner) = channel(1);
            for _ in 0..deep {
                let (sender, outer) = channel(1);
                sender.send(Nest(Some(inner))).await.unwrap();
                inner = outer;
            }
            match first.send(Nest(Some(inner))).await {
                Ok(()) => assert!(may),
                Err(error) => {
                    let expected = "a value in the channel's buffer cannot be encoded";
                    assert!(!may && error.to_string().contains(expected), "{error}");
                }
            }
            drop(first);
            assert_eq!(depth.await, Ok(if may { deep + 1 } else { 0 }));
        }
    });
}
