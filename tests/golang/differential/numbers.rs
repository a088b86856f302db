//! Programs that compute: primes, Hamming numbers, power series.

use runtime::{Receiver, Sender, channel, task};
use serde::{Deserialize, Serialize};

use crate::go::go;

#[task]
async fn count(out: Sender<u64>) {
    for n in 2.. {
        if out.send(n).await.is_err() {
            return;
        }
    }
}

#[task]
async fn without(prime: u64, numbers: Receiver<u64>, out: Sender<u64>) {
    while let Ok(n) = numbers.recv().await {
        if n % prime != 0 && out.send(n).await.is_err() {
            return;
        }
    }
}

pub(super) async fn sieve() -> Vec<String> {
    let mut lines = Vec::new();
    let (numbers_in, mut numbers) = channel(0);
    go(count(numbers_in));
    for _ in 0..30 {
        let prime = numbers.recv().await.unwrap();
        lines.push(prime.to_string());
        let (rest_in, rest) = channel(0);
        go(without(prime, numbers, rest_in));
        numbers = rest;
    }
    lines
}

#[task]
async fn times(factor: u64, numbers: Receiver<u64>, out: Sender<u64>) {
    while let Ok(n) = numbers.recv().await {
        if out.send(factor * n).await.is_err() {
            return;
        }
    }
}

pub(super) async fn hamming() -> Vec<String> {
    const FACTORS: [u64; 3] = [2, 3, 5];
    let (mut lines, mut ins, mut outs) = (Vec::new(), Vec::new(), Vec::new());
    for factor in FACTORS {
        let ((number_in, number), (out_in, out)) = (channel(100), channel(100));
        go(times(factor, number, out_in));
        ins.push(number_in);
        outs.push(out);
    }
    let (mut heads, mut least) = ([0; 3], 1);
    for _ in 0..60 {
        lines.push(least.to_string());
        for number_in in &ins {
            number_in.send(least).await.unwrap();
        }
        for (head, out) in heads.iter_mut().zip(&outs) {
            if *head <= least {
                *head = out.recv().await.unwrap();
            }
        }
        least = heads.into_iter().min().unwrap();
    }
    for (k, factor) in FACTORS.into_iter().enumerate() {
        let left = outs[k].len().await + ins[k].len().await > 0;
        lines.push(format!("{factor} {} {left}", heads[k]));
    }
    lines
}

#[derive(Serialize, Deserialize, Clone, Copy)]
struct Fraction {
    num: i64,
    den: i64,
}

const ZERO: Fraction = Fraction { num: 0, den: 1 };
const ONE: Fraction = Fraction { num: 1, den: 1 };
const MINUS_ONE: Fraction = Fraction { num: -1, den: 1 };

impl Fraction {
    fn reduced(num: i64, den: i64) -> Self {
        let (mut a, mut b) = (num, den);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        Self { num: num / a.abs(), den: den / a.abs() }
    }

    fn plus(self, other: Self) -> Self {
        Self::reduced(self.num * other.den + other.num * self.den, self.den * other.den)
    }

    fn times(self, other: Self) -> Self {
        Self::reduced(self.num * other.num, self.den * other.den)
    }
}

/// The goroutines run until nobody wants their coefficients, or nobody has any for them.
macro_rules! or_end {
    ($operation:expr) => {
        match $operation.await {
            Ok(value) => value,
            Err(_) => return,
        }
    };
}

#[task]
async fn ones(out: Sender<Fraction>) {
    loop {
        or_end!(out.send(ONE));
    }
}

#[task]
async fn add(a: Receiver<Fraction>, b: Receiver<Fraction>, out: Sender<Fraction>) {
    loop {
        let sum = or_end!(a.recv()).plus(or_end!(b.recv()));
        or_end!(out.send(sum));
    }
}

#[task]
async fn multiply(a: Receiver<Fraction>, b: Receiver<Fraction>, out: Sender<Fraction>) {
    let (mut of, mut by) = (Vec::new(), Vec::new());
    loop {
        of.push(or_end!(a.recv()));
        by.push(or_end!(b.recv()));
        let products = of.iter().zip(by.iter().rev()).map(|(a, b)| a.times(*b));
        let sum = products.fold(ZERO, Fraction::plus);
        or_end!(out.send(sum));
    }
}

#[task]
async fn integrate(constant: Fraction, series: Receiver<Fraction>, out: Sender<Fraction>) {
    or_end!(out.send(constant));
    for n in 1.. {
        let next = or_end!(series.recv()).times(Fraction { num: 1, den: n });
        or_end!(out.send(next));
    }
}

#[task]
async fn negate(series: Receiver<Fraction>, out: Sender<Fraction>) {
    loop {
        let next = or_end!(series.recv()).times(MINUS_ONE);
        or_end!(out.send(next));
    }
}

#[task]
async fn split(series: Receiver<Fraction>, one: Sender<Fraction>, other: Sender<Fraction>) {
    loop {
        let next = or_end!(series.recv());
        or_end!(one.send(next));
        or_end!(other.send(next));
    }
}

fn one_over_one_minus_x() -> Receiver<Fraction> {
    let (out, series) = channel(0);
    go(ones(out));
    series
}

fn exponential() -> Receiver<Fraction> {
    let ((whole_in, whole), (out_in, out), (back_in, back)) = (channel(0), channel(0), channel(0));
    go(integrate(ONE, back, whole_in));
    go(split(whole, out_in, back_in));
    out
}

fn sine() -> Receiver<Fraction> {
    let ((whole_in, whole), (out_in, out), (back_in, back)) = (channel(0), channel(0), channel(0));
    let ((minus_in, minus), (cosine_in, cosine)) = (channel(0), channel(0));
    go(negate(back, minus_in));
    go(integrate(ONE, minus, cosine_in));
    go(integrate(ZERO, cosine, whole_in));
    go(split(whole, out_in, back_in));
    out
}

async fn show(lines: &mut Vec<String>, name: &str, series: Receiver<Fraction>) {
    let mut line = format!("{name}:");
    for _ in 0..9 {
        match series.recv().await.unwrap() {
            Fraction { num, den: 1 } => line += &format!(" {num}"),
            Fraction { num, den } => line += &format!(" {num}/{den}"),
        }
    }
    lines.push(line);
}

pub(super) async fn series() -> Vec<String> {
    let mut lines = Vec::new();
    show(&mut lines, "1/(1-x)", one_over_one_minus_x()).await;
    let ((square_in, square), (both_in, both), (sum_in, sum)) =
        (channel(0), channel(0), channel(0));
    go(multiply(one_over_one_minus_x(), one_over_one_minus_x(), square_in));
    show(&mut lines, "1/(1-x)^2", square).await;
    show(&mut lines, "exp", exponential()).await;
    show(&mut lines, "sin", sine()).await;
    go(multiply(exponential(), exponential(), both_in));
    show(&mut lines, "exp^2", both).await;
    go(add(exponential(), sine(), sum_in));
    show(&mut lines, "exp + sin", sum).await;
    lines
}
