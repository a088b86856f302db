//! `test/chan/powser1.go`: McIlroy's power series. A series is a pair of channels: who wants the
//! next coefficient sends a request on one and receives it on the other; behind it is a goroutine
//! that computes the coefficient from those of other series, asked for in the same way. Hundreds of
//! goroutines are started as they are needed, with channels inside of their arguments (C07); two
//! series are asked at once by a `select` that switches its cases off and on (C21, C42).
//!
//! As in Go a series has both ends of its channels, so that none of them ever closes (C50), and its
//! goroutine waits for requests until the program ends. `powser2.rs` does otherwise.

use crate::go::{go, program};
use crate::rational::{END, ONE, Rational, ZERO, ratio, whole};
use runtime::{Receiver, Sender, channel, select, task};
use serde::{Deserialize, Serialize};

/// A demand channel: coefficients come when they are asked for.
#[derive(Clone, Serialize, Deserialize)]
struct Series {
    request: Sender<()>,
    requests: Receiver<()>,
    term: Sender<Rational>,
    terms: Receiver<Rational>,
}

impl Series {
    fn new() -> Self {
        let ((request, requests), (term, terms)) = (channel(0), channel(0));
        Self { request, requests, term, terms }
    }

    /// Asks for the next coefficient.
    async fn next(&self) -> Rational {
        self.request.send(()).await.unwrap();
        self.terms.recv().await.unwrap()
    }

    async fn requested(&self) {
        self.requests.recv().await.unwrap();
    }

    async fn give(&self, term: Rational) {
        self.term.send(term).await.unwrap();
    }

    /// Gives a coefficient when it is asked for.
    async fn put(&self, term: Rational) {
        self.requested().await;
        self.give(term).await;
    }

    /// From now on this series is that one.
    async fn copy(&self, from: &Self) {
        loop {
            self.requested().await;
            self.give(from.next().await).await;
        }
    }
}

/// Asks both at once, and takes what comes as it comes.
async fn next_of_both(left: &Series, right: &Series) -> (Rational, Rational) {
    let (mut ask_left, mut ask_right) = (Some(&left.request), Some(&right.request));
    let (mut from_left, mut from_right) = (None, None);
    let (mut left_term, mut right_term) = (ZERO, ZERO);
    for _ in 0..4 {
        select! {
            sent = ask_left.send(()) => {
                sent.unwrap();
                (ask_left, from_left) = (None, Some(&left.terms));
            }
            sent = ask_right.send(()) => {
                sent.unwrap();
                (ask_right, from_right) = (None, Some(&right.terms));
            }
            term = from_left.recv() => {
                left_term = term.unwrap();
                from_left = None;
            }
            term = from_right.recv() => {
                right_term = term.unwrap();
                from_right = None;
            }
        }
    }
    (left_term, right_term)
}

/// Gives each coefficient of `from` to both of `to`, which may be read at different speeds. Each
/// coefficient has a goroutine of its own, started when either first asks for it. The newest serves
/// the reader that is ahead; older ones keep, each, a coefficient for the reader that is behind,
/// and release the next newer one when it is taken.
#[task]
async fn serve_both(from: Series, to: (Series, Series), older: Receiver<()>) {
    let (mut ahead, mut behind) = to;
    let mut alone = false;
    select! {
        asked = ahead.requests.recv() => asked.unwrap(),
        released = older.recv() => {
            released.unwrap();
            alone = true;
            select! {
                asked = ahead.requests.recv() => asked.unwrap(),
                asked = behind.requests.recv() => {
                    asked.unwrap();
                    std::mem::swap(&mut ahead, &mut behind);
                }
            }
        }
    }
    from.request.send(()).await.unwrap();
    let (release, released) = channel(0);
    go(serve_both(from.clone(), (ahead.clone(), behind.clone()), released));
    let term = from.terms.recv().await.unwrap();
    ahead.give(term).await;
    if !alone {
        older.recv().await.unwrap();
    }
    behind.put(term).await;
    release.send(()).await.unwrap();
}

#[task]
async fn split_into(from: Series, left: Series, right: Series) {
    let (release, released) = channel(0);
    go(serve_both(from, (left, right), released));
    release.send(()).await.unwrap();
}

/// Two series that are both this one.
fn split(from: Series) -> (Series, Series) {
    let (left, right) = (Series::new(), Series::new());
    go(split_into(from, left.clone(), right.clone()));
    (left, right)
}

/// A series that a goroutine makes.
fn series(start: impl FnOnce(Series)) -> Series {
    let out = Series::new();
    start(out.clone());
    out
}

#[task]
async fn repeat_into(term: Rational, out: Series) {
    loop {
        out.put(term).await;
    }
}

fn repeat(term: Rational) -> Series {
    series(|out| go(repeat_into(term, out)))
}

#[task]
async fn add_into(left: Series, right: Series, out: Series) {
    loop {
        out.requested().await;
        match next_of_both(&left, &right).await {
            (END, END) => out.give(END).await,
            (END, term) => {
                out.give(term).await;
                out.copy(&right).await;
            }
            (term, END) => {
                out.give(term).await;
                out.copy(&left).await;
            }
            (left, right) => out.give(left + right).await,
        }
    }
}

fn add(left: Series, right: Series) -> Series {
    series(|out| go(add_into(left, right, out)))
}

#[task]
async fn scale_into(factor: Rational, of: Series, out: Series) {
    loop {
        out.requested().await;
        match of.next().await {
            END => return out.give(END).await,
            term => out.give(factor * term).await,
        }
    }
}

fn scale(factor: Rational, of: Series) -> Series {
    series(|out| go(scale_into(factor, of, out)))
}

fn subtract(left: Series, right: Series) -> Series {
    add(left, scale(-ONE, right))
}

/// `first`, and then that series: first + x * rest.
#[task]
async fn shift_into(first: Rational, rest: Series, out: Series) {
    out.put(first).await;
    out.copy(&rest).await;
}

fn shift(first: Rational, rest: Series) -> Series {
    series(|out| go(shift_into(first, rest, out)))
}

/// (u + x*U) * (v + x*V) = u*v + x*(u*V + v*U) + x*x*U*V
#[task]
async fn multiply_into(left: Series, right: Series, out: Series) {
    out.requested().await;
    let (u, v) = next_of_both(&left, &right).await;
    if u.is_end() || v.is_end() {
        return out.give(END).await;
    }
    out.give(u * v).await;
    let (left, right) = (split(left), split(right));
    let crossed = add(scale(u, right.0), scale(v, left.0));
    out.requested().await;
    out.give(crossed.next().await).await;
    out.copy(&add(crossed, multiply(left.1, right.1))).await;
}

fn multiply(left: Series, right: Series) -> Series {
    series(|out| go(multiply_into(left, right, out)))
}

#[task]
async fn differentiate_into(of: Series, out: Series) {
    out.requested().await;
    if !of.next().await.is_end() {
        for n in 1.. {
            match of.next().await {
                END => break,
                term => out.give(whole(n) * term).await,
            }
            out.requested().await;
        }
    }
    out.give(END).await;
}

fn differentiate(of: Series) -> Series {
    series(|out| go(differentiate_into(of, out)))
}

#[task]
async fn integrate_into(constant: Rational, of: Series, out: Series) {
    out.put(constant).await;
    for n in 1.. {
        out.requested().await;
        match of.next().await {
            END => return out.give(END).await,
            term => out.give(ratio(1, n) * term).await,
        }
    }
}

fn integrate(constant: Rational, of: Series) -> Series {
    series(|out| go(integrate_into(constant, of, out)))
}

/// The reciprocal Z = z + x*Y of U = u + x*V: z = 1/u, and Y = -V*Z/u, which needs Z itself.
#[task]
async fn reciprocal_into(of: Series, out: Series) {
    out.requested().await;
    let first = of.next().await.inverse();
    out.give(first).await;
    let (again, rest) = (Series::new(), Series::new());
    let product = multiply(scale(-first, of), shift(first, again.clone()));
    go(split_into(product, again, rest.clone()));
    out.copy(&rest).await;
}

fn reciprocal(of: Series) -> Series {
    series(|out| go(reciprocal_into(of, out)))
}

/// e to the power of a series without a constant: Z' = Z*U', which needs Z itself.
fn exponential(of: Series) -> Series {
    let (again, out) = (Series::new(), Series::new());
    let product = multiply(again.clone(), differentiate(of));
    go(split_into(integrate(ONE, product), again, out.clone()));
    out
}

/// U(V), where V has no constant: u + V/x * x*(U/x)(V)
#[task]
async fn substitute_into(of: Series, inner: Series, out: Series) {
    let (inner, again) = split(inner);
    out.requested().await;
    let first = of.next().await;
    out.give(first).await;
    if first.is_end() {
        return;
    }
    if inner.next().await.is_end() {
        return out.put(END).await;
    }
    out.copy(&multiply(inner, substitute(of, again))).await;
}

fn substitute(of: Series, inner: Series) -> Series {
    series(|out| go(substitute_into(of, inner, out)))
}

/// U(c * x^n)
#[task]
async fn substitute_monomial_into(of: Series, factor: Rational, power: usize, out: Series) {
    let mut scale = ONE;
    loop {
        out.requested().await;
        match of.next().await {
            END => return out.give(END).await,
            term => out.give(term * scale).await,
        }
        scale = scale * factor;
        for _ in 1..power {
            out.put(ZERO).await;
        }
    }
}

fn substitute_monomial(of: Series, factor: Rational, power: usize) -> Series {
    series(|out| go(substitute_monomial_into(of, factor, power, out)))
}

/// The arc tangent: the integral of 1/(1 + x^2).
fn arc_tangent() -> Series {
    integrate(ZERO, substitute_monomial(ones(), -ONE, 2))
}

/// The series R with U(R) = x, for U = x*V: R = x/V(R), which needs R itself. V is given.
fn reverse(of_rest: Series) -> Series {
    let (again, out) = (Series::new(), Series::new());
    let rest = reciprocal(substitute(of_rest, again.clone()));
    go(split_into(shift(ZERO, rest), again, out.clone()));
    out
}

/// 1/(1 - x)
fn ones() -> Series {
    repeat(ONE)
}

fn twos() -> Series {
    repeat(whole(2))
}

async fn assert_begins(series: Series, terms: impl IntoIterator<Item = Rational>) {
    for (n, expected) in terms.into_iter().enumerate() {
        assert_eq!(series.next().await, expected, "coefficient {n}");
    }
}

const TERMS: usize = 10;

#[test]
fn constant_series() {
    program(async {
        assert_begins(ones(), [ONE; 5]).await;
        assert_begins(scale(-ONE, twos()), [whole(-2); TERMS]).await;
    });
}

#[test]
fn sums_and_differences() {
    program(async {
        assert_begins(add(ones(), twos()), [whole(3); TERMS]).await;
        assert_begins(subtract(ones(), twos()), [-ONE; TERMS]).await;
        let one = ones();
        assert_begins(add(one.clone(), one), [whole(2); TERMS]).await;
    });
}

#[test]
fn derivatives_and_integrals() {
    program(async {
        assert_begins(differentiate(ones()), (1..=10).map(whole)).await;
        let terms = (0..10).map(|n| if n == 0 { ZERO } else { ratio(1, n) });
        assert_begins(integrate(ZERO, ones()), terms).await;
    });
}

#[test]
fn products() {
    program(async {
        assert_begins(multiply(ones(), ones()), (1..=10).map(whole)).await;
        let one = ones();
        assert_begins(multiply(one.clone(), one), (1..=10).map(whole)).await;
    });
}

#[test]
fn an_exponential() {
    program(async {
        let terms = [
            ONE,
            ONE,
            ratio(3, 2),
            ratio(13, 6),
            ratio(73, 24),
            ratio(167, 40),
            ratio(4_051, 720),
            ratio(37_633, 5_040),
            ratio(43_817, 4_480),
            ratio(4_596_553, 362_880),
        ];
        assert_begins(exponential(ones()), terms).await;
    });
}

#[test]
fn an_arc_tangent() {
    program(async {
        let terms = [0, 1, 0, -3, 0, 5, 0, -7, 0, 9];
        let terms = terms.map(|n| if n == 0 { ZERO } else { ratio(1, n) });
        assert_begins(arc_tangent(), terms).await;
    });
}

/// Go's program has this one written down, and does not run it.
#[test]
fn a_tangent_is_the_reverse_of_an_arc_tangent() {
    program(async {
        let arc_tangent = arc_tangent();
        assert_eq!(arc_tangent.next().await, ZERO);
        let (third, fifth, seventh) = (ratio(1, 3), ratio(2, 15), ratio(17, 315));
        let terms = [ZERO, ONE, ZERO, third, ZERO, fifth, ZERO, seventh];
        assert_begins(reverse(arc_tangent), terms).await;
    });
}
