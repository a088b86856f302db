//! `test/chan/powser2.go`: power series again, over channels of a type with variants, where Go's
//! program has channels of an interface (C07, C21).
//!
//! `powser1.rs` is written as in Go: no channel ever closes. This one is written as in Rust: who
//! wants a series has one half of its channels, its goroutine has the other, and when nobody wants
//! the series any more its goroutine ends, and with it those that it asked (C50). So each test here
//! ends with all goroutines gone, except where a series needs itself: such a ring never ends.

use crate::go::{go, program};
use crate::rational::{ONE, Rational, ZERO, ratio, whole};
use runtime::{Receiver, Sender, channel, select, task};
use serde::{Deserialize, Serialize};

use Item::{End, Term};

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Item {
    Term(Rational),
    /// Of a finite series, whose goroutine then ends.
    End,
}

/// A series, for who wants its items.
#[derive(Clone, Serialize, Deserialize)]
struct Series {
    requests: Sender<()>,
    items: Receiver<Item>,
    alive: Sender<()>,
}

/// A series, for the goroutine that makes it.
#[derive(Clone, Serialize, Deserialize)]
struct Maker {
    requests: Receiver<()>,
    items: Sender<Item>,
    /// Every goroutine has one: when all are gone so are the goroutines.
    alive: Sender<()>,
}

impl Series {
    async fn next(&self) -> Option<Item> {
        self.requests.send(()).await.ok()?;
        self.items.recv().await.ok()
    }
}

/// Its operations give none when nobody wants the series any more, and its goroutine then ends.
impl Maker {
    fn new(alive: &Sender<()>) -> (Self, Series) {
        let ((request, requests), (items_in, items)) = (channel(0), channel(0));
        let maker = Self { requests, items: items_in, alive: alive.clone() };
        (maker, Series { requests: request, items, alive: alive.clone() })
    }

    async fn requested(&self) -> Option<()> {
        self.requests.recv().await.ok()
    }

    async fn give(&self, item: Item) -> Option<()> {
        self.items.send(item).await.ok()
    }

    async fn put(&self, item: Item) -> Option<()> {
        self.requested().await?;
        self.give(item).await
    }

    async fn copy(&self, from: &Series) -> Option<()> {
        loop {
            self.requested().await?;
            self.give(from.next().await?).await?;
        }
    }
}

/// A series made by the goroutine that `start` starts.
fn series(alive: &Sender<()>, start: impl FnOnce(Maker)) -> Series {
    let (maker, series) = Maker::new(alive);
    start(maker);
    series
}

/// The next item of both, asked for at once.
async fn next_of_both(left: &Series, right: &Series) -> Option<(Item, Item)> {
    let (mut ask_left, mut ask_right) = (Some(&left.requests), Some(&right.requests));
    let (mut from_left, mut from_right) = (None, None);
    let (mut left_item, mut right_item) = (None, None);
    while left_item.is_none() || right_item.is_none() {
        select! {
            sent = ask_left.send(()) => {
                sent.ok()?;
                (ask_left, from_left) = (None, Some(&left.items));
            }
            sent = ask_right.send(()) => {
                sent.ok()?;
                (ask_right, from_right) = (None, Some(&right.items));
            }
            item = from_left.recv() => {
                left_item = Some(item.ok()?);
                from_left = None;
            }
            item = from_right.recv() => {
                right_item = Some(item.ok()?);
                from_right = None;
            }
        }
    }
    left_item.zip(right_item)
}

/// Waits until someone asks for an item: the reader that is ahead, or, once the older goroutines
/// have given the other all that they had for it, that one as well, which is then ahead. None if
/// both readers are gone.
async fn first_to_ask(ahead: &Maker, behind: &Maker, older: &Receiver<()>) -> Option<First> {
    let (mut of_ahead, mut of_behind) = (Some(&ahead.requests), None);
    let mut of_older = Some(older);
    while of_ahead.is_some() || of_behind.is_some() || of_older.is_some() {
        select! {
            asked = of_ahead.recv() => match asked {
                Ok(()) => return Some(First::Ahead { alone: of_older.is_none() }),
                Err(_) => of_ahead = None, // that reader is gone
            },
            asked = of_behind.recv() => match asked {
                Ok(()) => return Some(First::Behind),
                Err(_) => of_behind = None,
            },
            released = of_older.recv() => {
                released.ok()?;
                (of_older, of_behind) = (None, Some(&behind.requests));
            }
        }
    }
    None
}

enum First {
    /// The reader that was ahead before; `alone` if there are no older goroutines any more.
    Ahead {
        alone: bool,
    },
    Behind,
}

/// One item for both readers; see `powser1.rs`. A reader that is gone is passed over.
#[task]
async fn serve_both(from: Series, to: (Maker, Maker), older: Receiver<()>) -> Option<()> {
    let (mut ahead, mut behind) = to;
    let alone = match first_to_ask(&ahead, &behind, &older).await? {
        First::Ahead { alone } => alone,
        First::Behind => {
            std::mem::swap(&mut ahead, &mut behind);
            true
        }
    };
    from.requests.send(()).await.ok()?;
    let (release, released) = channel(0);
    go(serve_both(from.clone(), (ahead.clone(), behind.clone()), released));
    let item = from.items.recv().await.ok()?;
    drop(from);
    let _ = ahead.give(item).await;
    drop(ahead);
    if !alone {
        older.recv().await.ok()?;
    }
    let _ = behind.put(item).await;
    drop(behind);
    release.send(()).await.ok()
}

#[task]
async fn split_into(from: Series, left: Maker, right: Maker) -> Option<()> {
    let (release, released) = channel(0);
    go(serve_both(from, (left, right), released));
    release.send(()).await.ok()
}

fn split(from: Series) -> (Series, Series) {
    let ((left, left_series), (right, right_series)) =
        (Maker::new(&from.alive), Maker::new(&from.alive));
    go(split_into(from, left, right));
    (left_series, right_series)
}

#[task]
async fn repeat_into(term: Rational, out: Maker) -> Option<()> {
    loop {
        out.put(Term(term)).await?;
    }
}

fn repeat(term: Rational, alive: &Sender<()>) -> Series {
    series(alive, |out| go(repeat_into(term, out)))
}

#[task]
async fn list_into(terms: Vec<Rational>, out: Maker) -> Option<()> {
    for term in terms {
        out.put(Term(term)).await?;
    }
    out.put(End).await
}

/// A finite series.
fn list(terms: &[Rational], alive: &Sender<()>) -> Series {
    series(alive, |out| go(list_into(terms.to_vec(), out)))
}

#[task]
async fn add_into(left: Series, right: Series, out: Maker) -> Option<()> {
    loop {
        out.requested().await?;
        match next_of_both(&left, &right).await? {
            (Term(left), Term(right)) => out.give(Term(left + right)).await?,
            (End, End) => return out.give(End).await,
            (End, term) => {
                out.give(term).await?;
                return out.copy(&right).await;
            }
            (term, End) => {
                out.give(term).await?;
                return out.copy(&left).await;
            }
        }
    }
}

fn add(left: Series, right: Series) -> Series {
    series(&left.alive.clone(), |out| go(add_into(left, right, out)))
}

#[task]
async fn scale_into(factor: Rational, of: Series, out: Maker) -> Option<()> {
    loop {
        out.requested().await?;
        match of.next().await? {
            Term(term) => out.give(Term(factor * term)).await?,
            End => return out.give(End).await,
        }
    }
}

fn scale(factor: Rational, of: Series) -> Series {
    series(&of.alive.clone(), |out| go(scale_into(factor, of, out)))
}

#[task]
async fn multiply_into(left: Series, right: Series, out: Maker) -> Option<()> {
    out.requested().await?;
    let (Term(u), Term(v)) = next_of_both(&left, &right).await? else {
        return out.give(End).await;
    };
    out.give(Term(u * v)).await?;
    let (left, right) = (split(left), split(right));
    let crossed = add(scale(u, right.0), scale(v, left.0));
    out.requested().await?;
    out.give(crossed.next().await?).await?;
    out.copy(&add(crossed, multiply(left.1, right.1))).await
}

fn multiply(left: Series, right: Series) -> Series {
    series(&left.alive.clone(), |out| go(multiply_into(left, right, out)))
}

#[task]
async fn differentiate_into(of: Series, out: Maker) -> Option<()> {
    out.requested().await?;
    if let Term(_) = of.next().await? {
        let mut n = 1;
        while let Term(term) = of.next().await? {
            out.give(Term(whole(n) * term)).await?;
            out.requested().await?;
            n += 1;
        }
    }
    out.give(End).await
}

fn differentiate(of: Series) -> Series {
    series(&of.alive.clone(), |out| go(differentiate_into(of, out)))
}

#[task]
async fn integrate_into(constant: Rational, of: Series, out: Maker) -> Option<()> {
    out.put(Term(constant)).await?;
    out.requested().await?;
    let mut n = 1;
    while let Term(term) = of.next().await? {
        out.give(Term(ratio(1, n) * term)).await?;
        out.requested().await?;
        n += 1;
    }
    out.give(End).await
}

fn integrate(constant: Rational, of: Series) -> Series {
    series(&of.alive.clone(), |out| go(integrate_into(constant, of, out)))
}

/// U(-x^2)
#[task]
async fn alternate_into(of: Series, out: Maker) -> Option<()> {
    let mut sign = ONE;
    loop {
        out.requested().await?;
        let Term(term) = of.next().await? else {
            return out.give(End).await;
        };
        out.give(Term(sign * term)).await?;
        out.put(Term(ZERO)).await?;
        sign = -sign;
    }
}

fn alternate(of: Series) -> Series {
    series(&of.alive.clone(), |out| go(alternate_into(of, out)))
}

/// e to the power of a series: it needs itself.
fn exponential(of: Series) -> Series {
    let alive = of.alive.clone();
    let ((maker, out), (again_maker, again)) = (Maker::new(&alive), Maker::new(&alive));
    let integral = integrate(ONE, multiply(again, differentiate(of)));
    go(split_into(integral, again_maker, maker));
    out
}

async fn assert_begins(series: Series, terms: impl IntoIterator<Item = Rational>) {
    for (n, term) in terms.into_iter().enumerate() {
        assert_eq!(series.next().await, Some(Term(term)), "coefficient {n}");
    }
}

async fn assert_is(series: Series, terms: &[i64]) {
    for n in terms {
        assert_eq!(series.next().await, Some(Term(whole(*n))));
    }
    assert_eq!(series.next().await, Some(End));
    assert_eq!(series.next().await, None, "its goroutine has ended");
}

/// Waits until every goroutine of a test has ended.
async fn all_end(alive: Sender<()>, ended: Receiver<()>) {
    drop(alive);
    assert!(ended.recv().await.is_err());
}

const TERMS: usize = 10;

#[test]
fn sums_and_multiples() {
    program(async {
        let (alive, ended) = channel(0);
        let (ones, twos) = (|| repeat(ONE, &alive), || repeat(whole(2), &alive));
        assert_begins(ones(), [ONE; TERMS]).await;
        assert_begins(add(ones(), twos()), [whole(3); TERMS]).await;
        assert_begins(scale(-ONE, twos()), [whole(-2); TERMS]).await;
        assert_begins(add(ones(), scale(-ONE, twos())), [-ONE; TERMS]).await;
        all_end(alive, ended).await;
    });
}

#[test]
fn derivatives_and_integrals() {
    program(async {
        let (alive, ended) = channel(0);
        let ones = || repeat(ONE, &alive);
        assert_begins(differentiate(ones()), (1..=10).map(whole)).await;
        let harmonic = (0..10).map(|n| if n == 0 { ZERO } else { ratio(1, n) });
        assert_begins(integrate(ZERO, ones()), harmonic).await;
        let terms = [0, 1, 0, -3, 0, 5, 0, -7, 0, 9];
        let terms = terms.map(|n| if n == 0 { ZERO } else { ratio(1, n) });
        assert_begins(integrate(ZERO, alternate(ones())), terms).await;
        all_end(alive, ended).await;
    });
}

#[test]
fn products() {
    program(async {
        let (alive, ended) = channel(0);
        let ones = || repeat(ONE, &alive);
        assert_begins(multiply(ones(), ones()), (1..=10).map(whole)).await;
        let square = multiply(ones(), ones());
        let squares = [1, 4, 10, 20, 35, 56, 84].map(whole);
        assert_begins(multiply(square, multiply(ones(), ones())), squares).await;
        all_end(alive, ended).await;
    });
}

/// A reader of a split series may stop at any time, and the other goes on.
#[test]
fn a_reader_may_leave_a_split_series() {
    program(async {
        let (alive, ended) = channel(0);
        for taken in 0..4 {
            for leaves_first in [true, false] {
                let counted = differentiate(repeat(ONE, &alive));
                let (left, right) = split(counted);
                let (leaves, stays) = if leaves_first { (left, right) } else { (right, left) };
                assert_begins(stays.clone(), (1..=2).map(whole)).await;
                assert_begins(leaves, (1..=taken).map(whole)).await;
                assert_begins(stays, (3..=8).map(whole)).await;
            }
        }
        all_end(alive, ended).await;
    });
}

/// Go's program has the operations for finite series, and does not run them.
#[test]
fn finite_series() {
    program(async {
        let (alive, ended) = channel(0);
        let list =
            |terms: &[i64]| list(&terms.iter().copied().map(whole).collect::<Vec<_>>(), &alive);
        assert_is(add(list(&[1, 2]), list(&[3, 4, 5])), &[4, 6, 5]).await;
        assert_is(add(list(&[1, 2, 3]), list(&[])), &[1, 2, 3]).await;
        assert_is(scale(whole(2), list(&[1, 2])), &[2, 4]).await;
        assert_is(differentiate(list(&[7, 1, 3])), &[1, 6]).await;
        assert_is(differentiate(list(&[])), &[]).await;
        assert_is(integrate(ONE, list(&[2, 4])), &[1, 2, 2]).await;
        all_end(alive, ended).await;
    });
}

#[test]
fn an_exponential() {
    program(async {
        let (alive, _ended) = channel(0);
        let ones = repeat(ONE, &alive);
        let [third, fourth, fifth] = [ratio(3, 2), ratio(13, 6), ratio(73, 24)];
        let [sixth, seventh, eighth] = [ratio(167, 40), ratio(4_051, 720), ratio(37_633, 5_040)];
        let [ninth, tenth] = [ratio(43_817, 4_480), ratio(4_596_553, 362_880)];
        let terms = [ONE, ONE, third, fourth, fifth, sixth, seventh, eighth, ninth, tenth];
        assert_begins(exponential(ones), terms).await;
    });
}
