//! What happens before what: the `NoRace…` tests of Go's race detector, as tests of causality.
//!
//! The detector asks whether a write to a variable is ordered before what reads it. Tasks share no
//! variables here, so a variable is a [`Cell`], a channel with room for one value: to write is to
//! put a value there, to read is to take it out, and neither waits. An order that is missing shows
//! as a cell that is empty, or full, when it must not be. Values carry the logical time of their
//! writer, and whoever has learnt of a write by a message must read an earlier time than the
//! message's. Each test keeps handles of its channels, for the last one that is dropped closes.

use std::pin::pin;

use futures::StreamExt;
use runtime::{Receiver, RecvError, Sender, TryRecvError, channel, select, task};
use serde::{Deserialize, Serialize};

use crate::go::{blocks, go, program, rounds};

/// A logical time.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Moment(u64);

/// A variable.
#[derive(Serialize, Deserialize, Clone)]
struct Cell {
    put: Sender<Moment>,
    take: Receiver<Moment>,
}

impl Cell {
    fn new() -> Self {
        let (put, take) = channel(1);
        Self { put, take }
    }

    async fn write(&self, at: Moment) {
        assert_eq!(self.put.try_send(at).await, Ok(()), "a read was to be before this write");
    }

    async fn read(&self) -> Moment {
        self.take.try_recv().await.expect("a write was to be before this read")
    }
}

/// The ways in which a receive is written.
const WAYS: [Way; 3] = [Way::Plain, Way::Select, Way::Stream];

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Plain,
    Select,
    Stream,
}

impl Way {
    async fn receive(self, from: &mut Receiver<Moment>) -> Result<Moment, RecvError> {
        let (_never_in, never) = channel::<()>(0);
        match self {
            Self::Plain => from.recv().await,
            Self::Select => select! {
                never.recv() => panic!("nobody sends on it"),
                value = from.recv() => value,
            },
            Self::Stream => from.next().await.ok_or(RecvError::Closed),
        }
    }

    /// A stream has no sends: it is the plain one again.
    async fn send(self, to: &Sender<Moment>, value: Moment) {
        let (_never_in, never) = channel::<()>(0);
        match self {
            Self::Plain | Self::Stream => to.send(value).await.unwrap(),
            Self::Select => select! {
                sent = to.send(value) => sent.unwrap(),
                never.recv() => panic!("nobody sends on it"),
            },
        }
    }
}

#[task]
async fn write_then_send(way: Way, cell: Cell, c: Sender<Moment>) {
    cell.write(Moment(1)).await;
    way.send(&c, Moment(2)).await;
}

/// C51: `ChanSync`, `ChanAsync`.
#[test]
fn a_send_is_before_its_receive() {
    program(async {
        for _ in 0..rounds(20, 1000) {
            for (capacity, way) in [0, 10].into_iter().flat_map(|n| WAYS.map(|way| (n, way))) {
                let (cell, (c_in, mut c)) = (Cell::new(), channel(capacity));
                go(write_then_send(way, cell.clone(), c_in));
                let told = way.receive(&mut c).await.unwrap();
                assert!(cell.read().await < told);
                cell.write(Moment(3)).await;
            }
        }
    });
}

#[task]
async fn send_then_read(way: Way, cell: Cell, c: Sender<Moment>, seen: Sender<Moment>) {
    way.send(&c, Moment(0)).await;
    seen.send(cell.read().await).await.unwrap();
}

/// C52: `ChanSyncRev`. The end of a rendezvous send tells the sender what the receiver did before.
#[test]
fn a_receive_is_before_the_end_of_its_send() {
    program(async {
        for _ in 0..rounds(20, 1000) {
            for way in WAYS {
                let (cell, (c_in, mut c), (seen_in, seen)) = (Cell::new(), channel(0), channel(0));
                go(send_then_read(way, cell.clone(), c_in, seen_in));
                cell.write(Moment(1)).await;
                assert_eq!(way.receive(&mut c).await, Ok(Moment(0)));
                assert_eq!(seen.recv().await, Ok(Moment(1)));
            }
        }
    });
}

#[task]
async fn write_then_close(cell: Cell, c: Sender<Moment>) {
    cell.write(Moment(1)).await;
    c.close().await.unwrap();
}

/// C31: `ChanAsyncCloseRecv`, `ChanSyncCloseRecv`, each in three ways.
#[test]
fn a_close_is_before_the_receive_that_sees_it() {
    program(async {
        for _ in 0..rounds(20, 1000) {
            for (capacity, way) in [0, 10].into_iter().flat_map(|n| WAYS.map(|way| (n, way))) {
                let (cell, (c_in, mut c)) = (Cell::new(), channel(capacity));
                go(write_then_close(cell.clone(), c_in));
                assert_eq!(way.receive(&mut c).await, Err(RecvError::Closed));
                assert_eq!(cell.read().await, Moment(1));
            }
        }
    });
}

#[task]
async fn look(c: Receiver<Moment>, cell: Cell, looked: Sender<Moment>) {
    select! {
        end = c.recv() => {
            assert_eq!(end, Err(RecvError::Closed));
            cell.read().await;
        }
        default => {}
    }
    looked.close().await.unwrap();
}

/// C31: `CloseHappensBeforeRead`. Whoever only looks whether a channel is closed knows as much.
#[test]
fn a_close_is_before_the_glance_that_sees_it() {
    program(async {
        for _ in 0..rounds(100, 5000) {
            let (cell, (c_in, c), (looked_in, looked)) = (Cell::new(), channel(0), channel(0));
            go(look(c.clone(), cell.clone(), looked_in));
            go(write_then_close(cell, c_in));
            assert_eq!(looked.recv().await, Err(RecvError::Closed));
            assert_eq!(c.recv().await, Err(RecvError::Closed));
        }
    });
}

#[task]
async fn read_then_send(way: Way, cell: Cell, c: Sender<Moment>) {
    let seen = cell.read().await;
    way.send(&c, seen).await;
}

/// C51: `ChanReadWriteAsync`, `SelectReadWriteAsync`. A variable that was sent may be written.
#[test]
fn what_was_read_for_a_send_may_be_written_after_the_receive() {
    program(async {
        for _ in 0..rounds(20, 1000) {
            for (capacity, way) in [0, 10].into_iter().flat_map(|n| WAYS.map(|way| (n, way))) {
                let (cell, (c_in, mut c)) = (Cell::new(), channel(capacity));
                cell.write(Moment(1)).await;
                go(read_then_send(way, cell.clone(), c_in));
                assert_eq!(way.receive(&mut c).await, Ok(Moment(1)));
                cell.write(Moment(2)).await;
            }
        }
    });
}

/// What is to be done, and whom to tell.
#[derive(Serialize, Deserialize)]
struct Job {
    cell: Cell,
    done: Sender<Moment>,
}

#[task]
async fn work(queue: Receiver<Job>) {
    let job = queue.recv().await.unwrap();
    let seen = job.cell.read().await;
    job.cell.write(Moment(seen.0 + 1)).await;
    job.done.send(Moment(seen.0 + 2)).await.unwrap();
}

/// C07, C51: `ProducerConsumerUnbuffered`.
#[test]
fn what_a_worker_did_is_before_what_it_says_of_it() {
    program(async {
        for _ in 0..rounds(50, 2000) {
            let (queue_in, queue) = channel(0);
            go(work(queue));
            let (cell, (done_in, done)) = (Cell::new(), channel(1));
            cell.write(Moment(1)).await;
            queue_in.send(Job { cell: cell.clone(), done: done_in }).await.unwrap();
            let told = done.recv().await.unwrap();
            assert_eq!((cell.read().await, told), (Moment(2), Moment(3)));
        }
    });
}

#[task]
async fn measure(c: Receiver<Moment>, results: Sender<usize>) {
    results.send(c.len().await + c.capacity()).await.unwrap();
}

#[task]
async fn end(c: Sender<Moment>, results: Sender<usize>) {
    c.close().await.unwrap();
    results.send(10).await.unwrap();
}

/// `ChanCloseLen`, `ChanCloseCap`: one may ask while another closes.
#[test]
fn a_channel_is_measured_while_it_closes() {
    program(async {
        for _ in 0..rounds(50, 2000) {
            let ((c_in, c), (results_in, results)) = (channel(10), channel(10));
            go(measure(c.clone(), results_in.clone()));
            go(end(c_in, results_in));
            assert_eq!((results.recv().await, results.recv().await), (Ok(10), Ok(10)));
        }
    });
}

/// A lock: who has its one value in the channel holds it.
#[derive(Serialize, Deserialize, Clone)]
struct Lock {
    lock: Sender<Moment>,
    unlock: Receiver<Moment>,
}

#[task]
async fn add(times: usize, way: Way, mutex: Lock, cell: Cell, done: Sender<()>) {
    let Lock { lock, mut unlock } = mutex;
    for _ in 0..times {
        way.send(&lock, Moment(0)).await;
        let seen = cell.read().await;
        cell.write(Moment(seen.0 + 1)).await;
        way.receive(&mut unlock).await.unwrap();
    }
    done.send(()).await.unwrap();
}

/// C53 with capacity 1: `ChanMutex`, `SelectMutex`.
#[test]
fn a_channel_with_room_for_one_is_a_lock() {
    program(async {
        let times = rounds(100, 5000);
        let (cell, (lock, unlock), (done_in, done)) = (Cell::new(), channel(1), channel(0));
        cell.write(Moment(0)).await;
        for way in WAYS {
            let mutex = Lock { lock: lock.clone(), unlock: unlock.clone() };
            go(add(times, way, mutex, cell.clone(), done_in.clone()));
        }
        for _ in WAYS {
            done.recv().await.unwrap();
        }
        assert_eq!(cell.read().await, Moment(WAYS.len() as u64 * times as u64));
    });
}

#[task]
async fn hold_a_place(times: usize, limit: Lock, holders: Lock, done: Sender<()>) {
    for _ in 0..times {
        limit.lock.send(Moment(0)).await.unwrap();
        let entered = holders.lock.try_send(Moment(0)).await;
        assert_eq!(entered, Ok(()), "more are inside than the channel has room for");
        tokio::task::yield_now().await;
        holders.unlock.try_recv().await.expect("one at least is inside");
        limit.unlock.recv().await.unwrap();
    }
    done.send(()).await.unwrap();
}

/// C53: the memory model's `limit`. With room for three there are never four inside.
#[test]
fn a_channel_with_room_for_three_is_a_semaphore() {
    program(async {
        let new = || {
            let (lock, unlock) = channel(3);
            Lock { lock, unlock }
        };
        let (limit, holders, (done_in, done)) = (new(), new(), channel(0));
        for _ in 0..8 {
            go(hold_a_place(rounds(50, 2000), limit.clone(), holders.clone(), done_in.clone()));
        }
        for _ in 0..8 {
            done.recv().await.unwrap();
        }
    });
}

#[task]
async fn write_then_release(cell: Cell, places: Receiver<()>) {
    cell.write(Moment(1)).await;
    places.recv().await.unwrap();
}

/// C53: `ChanWaitGroup`. Who gets all places knows what all did that had one.
#[test]
fn a_channel_is_a_wait_group() {
    program(async {
        const TASKS: usize = 10;
        for _ in 0..rounds(20, 1000) {
            let (places_in, places) = channel(TASKS / 2);
            let cells: Vec<_> = (0..TASKS).map(|_| Cell::new()).collect();
            for cell in &cells {
                places_in.send(()).await.unwrap();
                go(write_then_release(cell.clone(), places.clone()));
            }
            for _ in 0..places.capacity() {
                places_in.send(()).await.unwrap();
            }
            for cell in &cells {
                assert_eq!(cell.read().await, Moment(1));
            }
        }
    });
}

/// C53: `ElemetSize0`. Values without content order as much.
#[test]
fn room_for_two_more_tells_of_two_receives() {
    program(async {
        for _ in 0..rounds(50, 2000) {
            let (x, y, (c_in, c)) = (Cell::new(), Cell::new(), channel(2));
            for _ in 0..2 {
                c_in.send(()).await.unwrap();
            }
            go(write_then_release(x.clone(), c.clone()));
            go(write_then_release(y.clone(), c.clone()));
            for _ in 0..2 {
                c_in.send(()).await.unwrap();
            }
            assert_eq!((x.read().await, y.read().await), (Moment(1), Moment(1)));
        }
    });
}

#[task]
async fn write_then_wait_to_send(cell: Cell, c: Sender<Moment>, waiting: Sender<()>) {
    cell.write(Moment(1)).await;
    let mut send = pin!(c.send(Moment(2)));
    assert!(blocks(send.as_mut()).await);
    waiting.send(()).await.unwrap();
    send.await.unwrap();
}

/// C51: `BlockedSendSync`, `BlockedSelectSendSync`. It makes no difference that the send had to
/// wait for room.
#[test]
fn a_send_that_waited_is_before_its_receive() {
    program(async {
        for _ in 0..rounds(20, 1000) {
            for way in WAYS {
                let (cell, (c_in, mut c), (waiting_in, waiting)) =
                    (Cell::new(), channel(1), channel(0));
                c_in.send(Moment(0)).await.unwrap();
                go(write_then_wait_to_send(cell.clone(), c_in, waiting_in));
                waiting.recv().await.unwrap();
                assert_eq!(c.recv().await, Ok(Moment(0)));
                let told = way.receive(&mut c).await.unwrap();
                assert!(cell.read().await < told);
            }
        }
    });
}

/// C38: and a select that chose another case leaves its send undone: the cell stays as it was.
#[test]
fn a_send_that_was_not_chosen_is_before_nothing() {
    program(async {
        for _ in 0..rounds(50, 2000) {
            let (cell, (c_in, c)) = (Cell::new(), channel::<()>(0));
            c_in.close().await.unwrap();
            cell.write(Moment(1)).await;
            select! {
                cell.put.send(Moment(2)) => panic!("the cell is full"),
                end = c.recv() => assert_eq!(end, Err(RecvError::Closed)),
            }
            assert_eq!(cell.read().await, Moment(1));
            assert_eq!(cell.take.try_recv().await, Err(TryRecvError::Empty));
        }
    });
}
