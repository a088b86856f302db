//! A ring of tasks around which one token goes: at any time all wait on channels, but for the one
//! that has it, which first does something of chance that no channel sees. While that lasts there
//! must be no report, though nothing else moves. If the token is lost there must be one.

use std::env;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use runtime::{Context, Receiver, Runtime, Sender, TaskGroup, after, channel, select, spawn, task};
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

use crate::{Program, run};

pub(crate) const PROGRAMS: &[Program] = &[("token_goes_round", token_goes_round)];

/// Programs of each kind, and passes of the token in each.
const SEEDS: u64 = 5;
const PASSES: u32 = 8;
/// The longest that the one with the token does something else, in milliseconds.
const BUSY_MS_MAX: u64 = 1500;

pub(crate) fn checks() -> impl Iterator<Item = (&'static str, Box<dyn FnOnce() + Send>)> {
    let first = env::var("FARSPAWN_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    (first..first + 2 * SEEDS).map(|seed| {
        let check: Box<dyn FnOnce() + Send> = Box::new(move || ends_as_it_should(seed));
        (PROGRAMS[0].0, check)
    })
}

/// Odd seeds lose the token at some time.
fn ends_as_it_should(seed: u64) {
    let (status, errors) = run(PROGRAMS[0].0, seed);
    let expected = if seed.is_multiple_of(2) { 0 } else { 2 };
    assert_eq!(status, Some(expected), "FARSPAWN_SEED={seed}: {errors}");
}

/// Goes round, and brings its luck along.
#[derive(Serialize, Deserialize, Debug)]
struct Token {
    passes_left: u32,
    luck: u64,
    /// Whether it is lost in the end.
    is_lost: bool,
}

impl Token {
    fn draw(&mut self, below: u64) -> u64 {
        self.luck = self.luck.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.luck >> 33) % below
    }

    /// A time; often none at all, so that all else is quick.
    fn draw_time(&mut self) -> Duration {
        let ms = if self.draw(3) == 0 { self.draw(BUSY_MS_MAX) } else { self.draw(20) };
        Duration::from_millis(ms)
    }
}

fn token_goes_round() {
    let seed: u64 = env::var("FARSPAWN_SEED").unwrap().parse().unwrap();
    Runtime::builder().from_environment().enter(async {
        let (mut first_in, first) = channel(0);
        let to_first = first_in.clone();
        let mut tasks = Vec::new();
        for capacity in [0, 1, 0] {
            let (to, from) = channel(capacity);
            tasks.push(spawn(station(from, first_in)));
            let (to_thread, from_thread) = channel(capacity);
            tasks.push(spawn(station_on_a_thread(from_thread, to)));
            first_in = to_thread;
        }
        let token = Token { passes_left: PASSES, luck: seed, is_lost: !seed.is_multiple_of(2) };
        first_in.send(token).await.unwrap();
        while let Ok(mut token) = first.recv().await {
            if token.passes_left == 0 && !token.is_lost {
                break;
            }
            do_something(&mut token).await;
            first_in.send(token).await.unwrap();
        }
        drop((first_in, to_first));
    });
}

#[task]
async fn station(from: Receiver<Token>, to: Sender<Token>) {
    while let Ok(mut token) = from.recv().await {
        if token.passes_left > 0 {
            token.passes_left -= 1;
            do_something(&mut token).await;
        } else if token.is_lost {
            continue;
        }
        to.send(token).await.unwrap();
    }
}

#[task]
fn station_on_a_thread(from: Receiver<Token>, to: Sender<Token>) {
    while let Ok(mut token) = from.recv_blocking() {
        let time = token.draw_time();
        match token.draw(3) {
            0 => be_busy(time),
            1 => thread::spawn(move || be_busy(time)).join().unwrap(),
            _ => {}
        }
        to.send_blocking(token).unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "a thread that is busy with something else")]
fn be_busy(time: Duration) {
    thread::sleep(time);
}

#[task]
fn nap(ms: u64) {
    be_busy(Duration::from_millis(ms));
}

#[task]
async fn doze(ms: u64) -> Result<(), String> {
    sleep(Duration::from_millis(ms)).await;
    Ok(())
}

/// One of many ways to wait for something else than a channel, or for a channel that only something
/// else will use.
async fn do_something(token: &mut Token) {
    let time = token.draw_time();
    let (told_in, told) = channel::<()>(0);
    match token.draw(13) {
        0 => sleep(time).await,
        1 => tokio::task::spawn_blocking(move || be_busy(time)).await.unwrap(),
        2 => drop(after(time).recv().await),
        3 => select! {
            told.recv() => panic!("nobody tells"),
            after(time) => {}
        },
        4 => assert!(timeout(time, told.recv()).await.is_err()),
        5 => drop(Context::background().with_timeout(time).0.done().recv().await),
        6 => spawn(nap(time.as_millis() as u64)).await.unwrap(),
        7 => {
            thread::spawn(move || {
                be_busy(time);
                told_in.send_blocking(()).unwrap();
            });
            told.recv().await.unwrap();
        }
        8 => {
            tokio::spawn(async move {
                sleep(time).await;
                told_in.send(()).await.unwrap();
            });
            told.recv().await.unwrap();
        }
        9 => {
            drop(tokio::task::spawn_blocking(move || {
                be_busy(time);
                told_in.send_blocking(()).unwrap();
            }));
            told.recv().await.unwrap();
        }
        10 => {
            let mut all = FuturesUnordered::new();
            all.push(futures::future::Either::Left(Box::pin(sleep(time))));
            all.push(futures::future::Either::Right(Box::pin(async { drop(told.recv().await) })));
            all.next().await;
        }
        11 => wait_carelessly(time).await,
        _ => {
            let group = TaskGroup::new();
            group.spawn(doze(time.as_millis() as u64)).await;
            group.wait().await.unwrap();
        }
    }
}

/// Keeps the first waker that it is given, and only that, as many a future written by hand.
async fn wait_carelessly(time: Duration) {
    let state = Arc::new(Mutex::new((false, None::<Waker>)));
    let mut wait = pin!(std::future::poll_fn(|context| {
        let mut own = state.lock().unwrap();
        if own.0 {
            return Poll::Ready(());
        }
        if own.1.is_none() {
            own.1 = Some(context.waker().clone());
            let state = state.clone();
            tokio::spawn(async move {
                sleep(time).await;
                let mut state = state.lock().unwrap();
                state.0 = true;
                state.1.take().unwrap().wake();
            });
        }
        Poll::Pending
    }));
    wait.as_mut().await;
}
