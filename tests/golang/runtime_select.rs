//! `select` under load: the select tests of Go's `runtime/chan_test.go`.

use std::pin::pin;

use futures::join;
use runtime::{Call, Receiver, RecvError, Sender, channel, select, task};
use serde::{Deserialize, Serialize};
use tokio::task::yield_now;

use crate::go::{Placement, blocks, go, program, rounds};

/// Waits until so many goroutines have said that they are through.
async fn all_end(count: usize, ended: &Receiver<()>) {
    for _ in 0..count {
        ended.recv().await.expect("a goroutine that ends says so");
    }
}

fn not_mine(value: Result<u64, RecvError>, mine: u64, capacity: usize) {
    let value = value.expect("nobody closes it");
    assert!(capacity > 0 || value != mine, "it met itself");
}

#[task]
async fn send_or_receive(
    me: u64,
    times: u64,
    out: Sender<u64>,
    back: Receiver<u64>,
    end: Sender<()>,
) {
    let capacity = out.capacity();
    for n in 0..times {
        if me == 0 || n % 2 == 0 {
            select! {
                sent = out.send(me) => sent.unwrap(),
                value = back.recv() => not_mine(value, me, capacity),
            }
        } else {
            select! {
                value = back.recv() => not_mine(value, me, capacity),
                sent = out.send(me) => sent.unwrap(),
            }
        }
    }
    end.send(()).await.unwrap();
}

/// C39: both directions of one channel in one select, in two goroutines, which meet each other and
/// never themselves.
#[test]
fn nobody_meets_itself() {
    program(async {
        for capacity in [0, 10] {
            let (out, back) = channel(capacity);
            let (end, ended) = channel(0);
            for me in 0..2 {
                go(send_or_receive(
                    me,
                    rounds(1000, 1000) as u64,
                    out.clone(),
                    back.clone(),
                    end.clone(),
                ));
            }
            all_end(2, &ended).await;
        }
    });
}

#[task]
async fn send_times(times: usize, out: Sender<u64>, end: Sender<()>) {
    for n in 0..times {
        out.send(n as u64).await.unwrap();
    }
    end.send(()).await.unwrap();
}

#[task]
async fn receive_times(times: usize, values: Receiver<u64>, end: Sender<()>) {
    for _ in 0..times {
        values.recv().await.unwrap();
    }
    end.send(()).await.unwrap();
}

/// Counts one operation on a channel, and takes the channel out after the last.
fn count_down<H>(left: &mut usize, handle: &mut Option<H>) {
    *left -= 1;
    if *left == 0 {
        *handle = None;
    }
}

#[task]
async fn select_sends(times: usize, out: Vec<Sender<u64>>, end: Sender<()>) {
    let mut out: Vec<_> = out.into_iter().map(Some).collect();
    let mut left = [times; 4];
    for n in 0..4 * times as u64 {
        select! {
            out[3].send(n) => count_down(&mut left[3], &mut out[3]),
            out[2].send(n) => count_down(&mut left[2], &mut out[2]),
            out[0].send(n) => count_down(&mut left[0], &mut out[0]),
            out[1].send(n) => count_down(&mut left[1], &mut out[1]),
        }
    }
    end.send(()).await.unwrap();
}

#[task]
async fn select_receives(times: usize, values: Vec<Receiver<u64>>, end: Sender<()>) {
    let mut values: Vec<_> = values.into_iter().map(Some).collect();
    let mut left = [times; 4];
    for _ in 0..4 * times {
        select! {
            values[0].recv() => count_down(&mut left[0], &mut values[0]),
            values[1].recv() => count_down(&mut left[1], &mut values[1]),
            values[2].recv() => count_down(&mut left[2], &mut values[2]),
            values[3].recv() => count_down(&mut left[3], &mut values[3]),
        }
    }
    end.send(()).await.unwrap();
}

/// C14, C21, C38, C42: four channels; each has a sender and a receiver of its own, and all four
/// share one goroutine that selects among sends and one that selects among receives. As many values
/// are sent on each as are received, so all goroutines end, unless one is lost or doubled.
#[test]
fn selects_and_plain_operations_come_out_even() {
    program(async {
        let times = rounds(1000, 100_000);
        let (out, values): (Vec<_>, Vec<_>) = [0, 0, 2, 3].into_iter().map(channel).unzip();
        let (end, ended) = channel(0);
        for (out, values) in out.iter().zip(&values) {
            go(send_times(times, out.clone(), end.clone()));
            go(receive_times(times, values.clone(), end.clone()));
        }
        go(select_sends(times, out.clone(), end.clone()));
        go(select_receives(times, values.clone(), end.clone()));
        all_end(10, &ended).await;
        for values in &values {
            assert_eq!(values.len().await, 0, "nothing is left over");
        }
    });
}

fn trials() -> usize {
    rounds(10_000, 10_000)
}

/// Passes on values of four channels, of which two always have some, until it is told to end. Go's
/// hears of that only while it sends; a send that is near and always ready would never let it, if
/// the end is far (contract D7), and it would wait for more values for ever.
#[task]
async fn choose(values: Vec<Receiver<u8>>, out: Sender<u8>, end: Receiver<()>) {
    loop {
        let value = select! {
            value = values[2].recv() => value,
            value = values[3].recv() => value,
            value = values[0].recv() => value,
            value = values[1].recv() => value,
            end.recv() => return,
        };
        select! {
            sent = out.send(value.unwrap()) => sent.unwrap(),
            end.recv() => return,
        }
    }
}

/// As [`choose`], with one of the two channels its own and never seen by another process.
#[task]
async fn choose_mine_or(theirs: Receiver<u8>, out: Sender<u8>, end: Receiver<()>) {
    let (mine_in, mine) = channel(trials() + 1);
    fill(&mine_in, 1).await;
    loop {
        let value = select! {
            value = mine.recv() => value,
            value = theirs.recv() => value,
            end.recv() => return,
        };
        select! {
            sent = out.send(value.unwrap()) => sent.unwrap(),
            end.recv() => return,
        }
    }
}

async fn fill(values: &Sender<u8>, value: u8) {
    for _ in 0..=trials() {
        values.send(value).await.unwrap();
    }
}

/// The share of ones among what a goroutine passes on.
async fn share_of_ones(chooser: impl FnOnce(Sender<u8>, Receiver<()>) -> Call<()>) -> f64 {
    let (out, chosen) = channel(0);
    let (end_in, end) = channel(0);
    go(chooser(out, end));
    let mut ones = 0;
    for _ in 0..trials() {
        match chosen.recv().await.unwrap() {
            1 => ones += 1,
            other => assert_eq!(other, 2),
        }
    }
    end_in.close().await.unwrap();
    // It may choose to pass one more on before it chooses to end.
    while chosen.recv().await.is_ok() {}
    f64::from(ones) / trials() as f64
}

/// Whether so uneven a choice is allowed for where the channels are. What is ready here never waits
/// for the network (contract D7). A near channel that is always ready always wins over a far one;
/// of two far ones that wins whose values have come ahead, until those of the other come too.
fn is_skewed(share: f64) -> bool {
    match Placement::of_environment() {
        Placement::Local => false,
        Placement::Relayed => 0.0 < share && share < 1.0,
        Placement::Random(_) => true,
    }
}

/// C35: of two channels that are always ready each is chosen half of the time, with the error that
/// a fair coin exceeds once in a million runs.
#[test]
fn a_select_is_fair() {
    program(async {
        let (ends_in, ends): (Vec<_>, Vec<_>) =
            [trials() + 1, trials() + 1, 0, 0].into_iter().map(channel).unzip();
        fill(&ends_in[0], 1).await;
        fill(&ends_in[1], 2).await;
        let share = share_of_ones(|out, end| choose(ends.clone(), out, end)).await;
        let error_max = 4.891_676 / (2.0 * (trials() as f64).sqrt());
        let is_fair = (share - 0.5).abs() <= error_max;
        assert!(is_fair || is_skewed(share), "unfair: {share} of the values were ones");
    });
}

/// C35 across processes: neither the channel at home nor the one that is away starves the other.
/// How even they are is not promised.
#[test]
fn a_select_between_near_and_far_starves_neither() {
    program(async {
        let (theirs_in, theirs) = channel(trials() + 1);
        fill(&theirs_in, 2).await;
        let share = share_of_ones(|out, end| choose_mine_or(theirs.clone(), out, end)).await;
        let both = (0.1..=0.9).contains(&share);
        assert!(both || is_skewed(share), "{share} of the values were ones");
    });
}

/// What Go's test sends as `any`.
#[derive(Serialize, Deserialize, PartialEq, Eq, Debug)]
enum Anything {
    Nothing,
    Boxed(Box<Self>),
}

#[task]
async fn send_anything(out: Sender<Anything>, values: Receiver<Anything>, end: Sender<()>) {
    let boxed = || Anything::Boxed(Box::new(Anything::Nothing));
    out.send(boxed()).await.unwrap();
    let sent = select! {
        out.send(boxed()) => true,
        default => false,
    };
    assert!(!sent, "there is room for one");
    let sent = select! {
        out.send(boxed()) => true,
        out.send(Anything::Nothing) => true,
        default => false,
    };
    assert!(!sent, "there is still room for one");
    assert_eq!(values.recv().await, Ok(boxed()));
    let sent = select! {
        default => false,
        out.send(Anything::Nothing) => true,
    };
    assert!(sent, "now there is room");
    assert_eq!(values.recv().await, Ok(Anything::Nothing));
    end.send(()).await.unwrap();
}

#[test]
fn sends_of_enums_to_a_full_channel_take_the_default() {
    program(async {
        let (out, values) = channel(1);
        let (end, ended) = channel(0);
        go(send_anything(out, values, end));
        all_end(1, &ended).await;
    });
}

#[task]
async fn collect(count: usize, values: Receiver<u8>, all: Sender<Vec<u8>>) {
    let mut taken = Vec::new();
    for _ in 0..count {
        yield_now().await;
        taken.push(values.recv().await.unwrap());
    }
    all.send(taken).await.unwrap();
}

/// C35, C39: two sends on one channel are chosen alike.
#[test]
fn two_sends_on_one_channel_are_both_chosen() {
    program(async {
        const COUNT: usize = 100;
        for capacity in [0, COUNT] {
            let (out, values) = channel(capacity);
            let (all_in, all) = channel(0);
            go(collect(COUNT, values, all_in));
            for _ in 0..COUNT {
                select! {
                    sent = out.send(1) => sent.unwrap(),
                    sent = out.send(0) => sent.unwrap(),
                }
            }
            let taken = all.recv().await.unwrap();
            let ones = taken.iter().filter(|value| **value == 1).count();
            let both = COUNT / 10 + 1..COUNT - COUNT / 10;
            assert!(both.contains(&ones), "capacity {capacity}: {ones} ones of {COUNT}");
        }
    });
}

/// C35: and so are they when the select has to wait first, though its peer finds both in the queue.
#[test]
fn two_cases_that_wait_on_one_channel_are_both_chosen() {
    program(async {
        const COUNT: usize = 100;
        let both = COUNT / 10 + 1..COUNT - COUNT / 10;
        let (out, values) = channel(0);
        let (mut sent, mut received) = (0, 0);
        for _ in 0..COUNT {
            let send = async {
                select! {
                    out.send(1) => {}
                    out.send(0) => {}
                }
            };
            // The first is polled first, and waits.
            sent += join!(send, values.recv()).1.unwrap();
            let receive = async {
                select! {
                    values.recv() => 1,
                    values.recv() => 0,
                }
            };
            received += join!(receive, out.send(9)).0;
        }
        assert!(both.contains(&sent), "the first of two sends was chosen {sent} times of {COUNT}");
        assert!(both.contains(&received), "and of two receives {received} times");
    });
}

const NUMBERS: [u64; 10] = [2, 3, 7, 11, 13, 17, 19, 23, 27, 31];

#[task]
async fn pass_on(me: usize, queue: Receiver<u64>, results: Sender<u64>, end: Sender<()>) {
    while let Ok(number) = queue.recv().await {
        // So that workers overtake each other.
        if NUMBERS[me % NUMBERS.len()] == number {
            yield_now().await;
        }
        results.send(number).await.unwrap();
    }
    end.send(()).await.unwrap();
}

#[task]
async fn feed(
    count: usize,
    workers: usize,
    queue: Sender<u64>,
    ended: Receiver<()>,
    results: Sender<u64>,
) {
    for number in NUMBERS.into_iter().cycle().take(count) {
        queue.send(number).await.unwrap();
    }
    queue.close().await.unwrap();
    all_end(workers, &ended).await;
    results.close().await.unwrap();
}

/// C04, C14, C45: all values pass through 23 workers, and the sum comes out.
#[test]
fn many_consumers_take_each_value_once() {
    program(async {
        const WORKERS: usize = 23;
        let count = rounds(2718, 271_828);
        let (queue_in, queue) = channel(WORKERS * 3);
        let (results_in, results) = channel(WORKERS * 3);
        let (end, ended) = channel(0);
        for me in 0..WORKERS {
            go(pass_on(me, queue.clone(), results_in.clone(), end.clone()));
        }
        go(feed(count, WORKERS, queue_in, ended, results_in));
        let mut taken = (0, 0);
        while let Ok(number) = results.recv().await {
            taken = (taken.0 + 1, taken.1 + number);
        }
        let sum: u64 = NUMBERS.into_iter().cycle().take(count).sum();
        assert_eq!(taken, (count, sum));
    });
}

#[task]
async fn wait_twice_on_one(
    c: Receiver<u64>,
    d: Receiver<u64>,
    waiting: Sender<()>,
    e: Sender<u64>,
) {
    let mut select = pin!(async {
        select! {
            c.recv() => panic!("nothing was sent on it yet"),
            c.recv() => panic!("nothing was sent on it yet"),
            value = d.recv() => value,
        }
    });
    assert!(blocks(select.as_mut()).await);
    waiting.send(()).await.unwrap();
    assert_eq!(select.await, Ok(7));
    e.send(9).await.unwrap();
}

#[task]
async fn wait_on_one(c: Receiver<u64>, waiting: Sender<()>, e: Sender<u64>) {
    let mut receive = pin!(c.recv());
    assert!(blocks(receive.as_mut()).await);
    waiting.send(()).await.unwrap();
    e.send(receive.await.unwrap()).await.unwrap();
}

/// C38, C39: a select that stood twice in a channel's queue leaves it whole when it goes.
#[test]
fn a_select_twice_on_one_channel_leaves_no_trace() {
    program(async {
        for _ in 0..rounds(10, 100) {
            let ((c_in, c), (d_in, d), (e_in, e)) = (channel(0), channel(0), channel(0));
            let (waiting_in, waiting) = channel(0);
            go(wait_twice_on_one(c.clone(), d, waiting_in.clone(), e_in.clone()));
            waiting.recv().await.unwrap();
            go(wait_on_one(c, waiting_in, e_in));
            waiting.recv().await.unwrap();
            d_in.send(7).await.unwrap();
            assert_eq!(e.recv().await, Ok(9));
            c_in.send(8).await.unwrap();
            assert_eq!(e.recv().await, Ok(8));
        }
    });
}
