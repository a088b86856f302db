//! Programs that show a rule: whose turn it is, what is closed, how much is buffered, in which
//! order it comes.

use futures::StreamExt;
use runtime::{Receiver, Sender, channel, select, task};
use serde::{Deserialize, Serialize};

use crate::go::go;

#[derive(Serialize, Deserialize, Default)]
struct Ball {
    hits: u32,
    struck: Vec<String>,
}

#[task]
async fn play(
    name: String,
    table: Receiver<Ball>,
    other: Sender<Ball>,
    over: Sender<Ball>,
    lines: Sender<String>,
) {
    while let Ok(mut ball) = table.recv().await {
        ball.hits += 1;
        ball.struck.push(name.clone());
        lines.send(format!("{name} {}", ball.hits)).await.unwrap();
        if ball.hits == 20 {
            return over.send(ball).await.unwrap();
        }
        other.send(ball).await.unwrap();
    }
}

pub(super) async fn ping_pong() -> Vec<String> {
    let ((left_in, left), (right_in, right)) = (channel(0), channel(0));
    let ((over_in, over), (lines_in, lines)) = (channel(0), channel(100));
    let line = lines_in.clone();
    go(play("ping".into(), left, right_in, over_in.clone(), line.clone()));
    go(play("pong".into(), right, left_in.clone(), over_in, line));
    left_in.send(Ball::default()).await.unwrap();
    let Ball { hits, struck } = over.recv().await.unwrap();
    lines_in.send(format!("{hits} [{}]", struck.join(" "))).await.unwrap();
    lines_in.close().await.unwrap();
    lines.collect().await
}

async fn send(to: Option<&Sender<u32>>, n: u32) -> &'static str {
    select! {
        sent = to.send(n) => if sent.is_ok() { "sent" } else { "refused" },
        default => "full",
    }
}

async fn receive(from: Option<&Receiver<u32>>) -> String {
    select! {
        value = from.recv() => match value {
            Ok(n) => format!("got {n}"),
            Err(_) => "closed".to_owned(),
        },
        default => "empty".to_owned(),
    }
}

async fn close(channel: &Sender<u32>) -> String {
    if channel.close().await.is_ok() { "done".to_owned() } else { "refused".to_owned() }
}

async fn merge(
    lines: &mut Vec<String>,
    mut a: Option<Receiver<u32>>,
    mut b: Option<Receiver<u32>>,
) {
    while a.is_some() || b.is_some() {
        select! {
            value = a.recv() => match value {
                Ok(n) => lines.push(format!("a {n}")),
                Err(_) => {
                    lines.push("a ends".to_owned());
                    a = None;
                }
            },
            value = b.recv() => match value {
                Ok(n) => lines.push(format!("b {n}")),
                Err(_) => {
                    lines.push("b ends".to_owned());
                    b = None;
                }
            },
        }
    }
}

pub(super) async fn closed() -> Vec<String> {
    let mut lines = Vec::new();
    for capacity in 0..4 {
        let (c_in, c) = channel(capacity);
        lines.push(format!("capacity {capacity}"));
        lines.push(receive(Some(&c)).await);
        for n in 0..3 {
            lines.push(send(Some(&c_in), n).await.to_owned());
        }
        lines.push(close(&c_in).await);
        lines.push(send(Some(&c_in), 3).await.to_owned());
        for _ in 0..4 {
            lines.push(receive(Some(&c)).await);
        }
        lines.push(close(&c_in).await);
        lines.push(format!("{} {}", send(Some(&c_in), 4).await, receive(Some(&c)).await));
    }
    lines.push(format!("{} {}", send(None, 1).await, receive(None).await));
    let ((a_in, a), (b_in, b)) = (channel(3), channel(3));
    for n in 0..3 {
        b_in.send(n).await.unwrap();
    }
    b_in.close().await.unwrap();
    merge(&mut lines, None, Some(b)).await;
    a_in.send(7).await.unwrap();
    a_in.close().await.unwrap();
    merge(&mut lines, Some(a), None).await;
    merge(&mut lines, None, None).await;
    lines.push("end".to_owned());
    lines
}

pub(super) async fn lengths() -> Vec<String> {
    let mut lines = Vec::new();
    for capacity in 0..=5 {
        let (c_in, c) = channel::<String>(capacity);
        macro_rules! show {
            ($($before:expr)?) => {{
                let length = format!("{} {}", c.len().await, c_in.capacity());
                lines.push([$($before,)? length].join(" "));
            }};
        }
        show!();
        for n in 0..capacity {
            c_in.send(format!("value {n}")).await.unwrap();
            show!();
        }
        select! {
            c_in.send("one too many".to_owned()) => lines.push("sent".to_owned()),
            default => show!("full".to_owned()),
        }
        if capacity > 2 {
            // As in Go, the value is taken before the length is asked for.
            let taken = c.recv().await.unwrap();
            show!(taken);
            c_in.send("again".to_owned()).await.unwrap();
            show!();
        }
        c_in.close().await.unwrap();
        show!();
        while let Ok(value) = c.recv().await {
            show!(value);
        }
        show!();
    }
    lines
}

#[task]
async fn letters(from: char, to: char, out: Sender<char>, closes: bool) {
    for letter in from..=to {
        out.send(letter).await.unwrap();
    }
    if closes {
        out.close().await.unwrap();
    }
}

async fn all(c: &Receiver<char>) -> String {
    c.clone().collect().await
}

async fn first(c: &Receiver<char>) -> char {
    c.clone().next().await.unwrap_or('-')
}

pub(super) async fn ranges() -> Vec<String> {
    let mut lines = Vec::new();
    for capacity in [0, 1, 26] {
        let (c_in, c) = channel(capacity);
        go(letters('a', 'z', c_in, true));
        lines.push(all(&c).await);
        lines.push(format!("{:?}", all(&c).await));
        lines.push(first(&c).await.to_string());
    }
    let (c_in, c) = channel(26);
    letters('m', 'r', c_in, true).await;
    lines.push(format!("{} {}", first(&c).await, first(&c).await));
    lines.push(format!("{} {}", all(&c).await, c.len().await));

    let (c_in, c) = channel(0);
    go(letters('a', 'e', c_in.clone(), false));
    for _ in 0..5 {
        lines.push(first(&c).await.to_string());
    }
    go(letters('v', 'z', c_in, true));
    lines.push(all(&c).await);
    lines
}

#[derive(Serialize, Deserialize)]
struct Value {
    sender: usize,
    number: u32,
}

/// Go's has a `WaitGroup`; a goroutine that may be anywhere says that it is done with a message.
#[task]
async fn send_own(sender: usize, count: u32, out: Sender<Value>, done: Sender<()>) {
    for number in 0..count {
        out.send(Value { sender, number }).await.unwrap();
    }
    done.send(()).await.unwrap();
}

#[task]
async fn close_when_done(senders: usize, done: Receiver<()>, out: Sender<Value>) {
    for _ in 0..senders {
        done.recv().await.unwrap();
    }
    out.close().await.unwrap();
}

pub(super) async fn senders() -> Vec<String> {
    const SENDERS: usize = 5;
    const COUNT: u32 = 12;
    let mut lines = Vec::new();
    for capacity in [0, 1, 7, SENDERS * COUNT as usize] {
        let ((out, c), (done_in, done)) = (channel(capacity), channel(0));
        for sender in 0..SENDERS {
            go(send_own(sender, COUNT, out.clone(), done_in.clone()));
        }
        go(close_when_done(SENDERS, done, out));
        let (mut numbers, mut total) = (vec![Vec::new(); SENDERS], 0);
        while let Ok(Value { sender, number }) = c.recv().await {
            numbers[sender].push(number.to_string());
            total += 1;
        }
        lines.push(format!("capacity {capacity} total {total}"));
        for (sender, own) in numbers.into_iter().enumerate() {
            lines.push(format!("{sender} [{}]", own.join(" ")));
        }
    }
    let ((out, c), (done_in, done)) = (channel(SENDERS * 2), channel(0));
    for sender in 0..SENDERS {
        go(send_own(sender, 2, out.clone(), done_in.clone()));
        done.recv().await.unwrap();
    }
    out.close().await.unwrap();
    while let Ok(Value { sender, number }) = c.recv().await {
        lines.push(format!("{sender} {number}"));
    }
    lines
}
