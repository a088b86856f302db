//! `test/chan/select5.go`: one real send or receive, phrased in all ways in which a select can say
//! it (C33, C34, C36, C40).
//!
//! Go's program writes a program: from five templates, one function for each combination of what a
//! template leaves open. [`the_builder_passes_all_cases`] walks through the same combinations with
//! [`Select`]; a macro cannot be called with what is only known at run time, so [`macro_cases`]
//! has those that `macro_rules` writes.

mod macro_cases;

use std::any::Any;
use std::cell::Cell;
use std::collections::BTreeMap;

use runtime::{Chosen, Receiver, Select, Sender, channel};

use crate::choices::Choices;
use crate::go::program;

/// What the templates share. The channel has room for one, so one goroutine does everything.
struct Bench {
    c_in: Sender<u64>,
    c: Receiver<u64>,
    /// Open, and nobody comes to its other end.
    dummy_in: Sender<u64>,
    dummy: Receiver<u64>,
    /// Go's nil channel.
    nil_in: Option<Sender<u64>>,
    nil: Option<Receiver<u64>>,
    order: Order,
    /// The value of this case, different from the last one's.
    n: Cell<u64>,
}

impl Bench {
    fn new() -> Self {
        let ((c_in, c), (dummy_in, dummy)) = (channel(1), channel(0));
        let order = Order(Cell::new(0));
        Self { c_in, c, dummy_in, dummy, nil_in: None, nil: None, order, n: Cell::new(0) }
    }

    fn next_case(&self) {
        self.order.0.set(0);
        self.n.set(self.n.get() + 1);
    }

    async fn next_case_with_a_value(&self) {
        self.next_case();
        self.c_in.send(self.n.get()).await.unwrap();
    }

    /// That this case's value was received, once, and nothing else came.
    async fn received(&self, x: u64) {
        assert_eq!(x, self.n.get());
        assert_eq!((self.c.len().await, self.dummy.len().await), (0, 0));
    }

    /// That this case's value was sent, once.
    async fn sent(&self) {
        assert_eq!(self.c.try_recv().await, Ok(self.n.get()));
        self.received(self.n.get()).await;
    }
}

/// Sees that operands are evaluated in the order of their numbers.
struct Order(Cell<u32>);

impl Order {
    fn at<T>(&self, place: u32, operand: T) -> T {
        let before = self.0.replace(place);
        assert!(place > before, "operand {place} was evaluated after operand {before}");
        operand
    }

    /// That the operand of this number was the last one.
    fn ended_at(&self, place: u32) {
        assert_eq!(self.0.get(), place);
    }
}

/// What a template leaves open, besides its case: a default before or after the case, and four
/// cases that cannot happen.
struct Around {
    default: bool,
    dummies: [bool; 4],
}

impl Around {
    /// Asks what stands after the case; whether a default stands before it was asked before the
    /// case's own questions. To the builder both are one.
    fn ask(choices: &mut Choices, default_before: bool) -> Self {
        let default = default_before || choices.maybe();
        Self { default, dummies: [(); 4].map(|()| choices.maybe()) }
    }

    /// Adds the dummies, their operands numbered from `place`, and selects.
    async fn select<'a>(&self, bench: &'a Bench, mut select: Select<'a>, place: u32) -> Chosen<'a> {
        let order = &bench.order;
        let mut last = place - 1;
        if self.dummies[0] {
            select.send(order.at(place, &bench.dummy_in), order.at(place + 1, 1));
            last = place + 1;
        }
        if self.dummies[1] {
            select.recv(order.at(place + 2, &bench.dummy));
            last = place + 2;
        }
        if self.dummies[2] {
            select.send(order.at(place + 3, bench.nil_in.as_ref()), order.at(place + 4, 1));
            last = place + 4;
        }
        if self.dummies[3] {
            select.recv(order.at(place + 5, bench.nil.as_ref()));
            last = place + 5;
        }
        let chosen = if self.default {
            select.try_now().await.expect("it need not wait")
        } else {
            select.wait().await
        };
        order.ended_at(last);
        assert_eq!(chosen.index(), 0, "only the first case can happen");
        chosen
    }
}

/// Where a received value goes: Go's five kinds of a receive case.
async fn store(form: usize, bench: &Bench, around: &Around) -> u64 {
    let spare = bench.c.clone();
    let some = Some(&spare);
    let mut select = Select::new();
    match form {
        0 | 1 => select.recv(bench.order.at(1, &bench.c)),
        2 | 3 => select.recv(bench.order.at(1, &spare)),
        _ => select.recv(bench.order.at(1, some)),
    };
    let value = around.select(bench, select, 2).await.received(&bench.c).unwrap();
    let mut x = 0;
    match form {
        0 => x = value,
        1 => *bench.order.at(100, &mut x) = value,
        2 => {
            let y = value;
            x = y;
        }
        3 => {
            let any: Box<dyn Any> = Box::new(value);
            x = *any.downcast().unwrap();
        }
        _ => {
            let mut map = BTreeMap::new();
            map.insert(bench.order.at(100, 13), value);
            x += map[&13];
        }
    }
    x
}

/// A value is sent, and received one way or another.
async fn recv(choices: &mut Choices, bench: &Bench) {
    bench.next_case_with_a_value().await;
    let x = if choices.maybe() {
        bench.c.recv().await.unwrap()
    } else {
        let before = choices.maybe();
        let form = choices.choose(5);
        let around = Around::ask(choices, before);
        store(form, bench, &around).await
    };
    bench.received(x).await;
}

/// A value is sent one way or another, and received.
async fn send(choices: &mut Choices, bench: &Bench) {
    bench.next_case();
    if choices.maybe() {
        bench.c_in.send(bench.n.get()).await.unwrap();
    } else {
        let before = choices.maybe();
        let around = Around::ask(choices, before);
        let mut select = Select::new();
        select.send(bench.order.at(1, &bench.c_in), bench.order.at(2, bench.n.get()));
        around.select(bench, select, 3).await.sent(&bench.c_in).unwrap();
    }
    bench.sent().await;
}

/// As [`recv`], with the order of evaluation. An assignment evaluates its right side first, other
/// than Go's.
async fn recv_order(choices: &mut Choices, bench: &Bench) {
    bench.next_case_with_a_value().await;
    let mut x = 0;
    if choices.maybe() {
        *bench.order.at(2, &mut x) = bench.order.at(1, &bench.c).recv().await.unwrap();
        bench.order.ended_at(2);
    } else if choices.maybe() {
        let mut map = BTreeMap::new();
        map.insert(bench.order.at(1, 13), bench.order.at(2, &bench.c).recv().await.unwrap());
        x = map[&13];
        bench.order.ended_at(2);
    } else {
        let before = choices.maybe();
        let form = [1, 2, 3, 4][choices.choose(4)];
        let around = Around::ask(choices, before);
        x = store(form, bench, &around).await;
    }
    bench.received(x).await;
}

/// As [`send`], with the order of evaluation.
async fn send_order(choices: &mut Choices, bench: &Bench) {
    bench.next_case();
    if choices.maybe() {
        bench.order.at(1, &bench.c_in).send(bench.order.at(2, bench.n.get())).await.unwrap();
        bench.order.ended_at(2);
    } else {
        let before = choices.maybe();
        let around = Around::ask(choices, before);
        let mut select = Select::new();
        select.send(bench.order.at(1, &bench.c_in), bench.order.at(2, bench.n.get()));
        around.select(bench, select, 3).await.sent(&bench.c_in).unwrap();
    }
    bench.sent().await;
}

/// Nothing can happen but the default, which stands first or last.
async fn nonblock(choices: &mut Choices, bench: &Bench) {
    bench.next_case();
    let _first_or_last = choices.maybe();
    let mut select = Select::new();
    let mut added = 0;
    for dummy in 0..8 {
        if choices.maybe() {
            let index = match dummy {
                0 => select.send(&bench.dummy_in, 1),
                1 => select.send(bench.nil_in.as_ref(), 1),
                2..=4 => select.recv(&bench.dummy),
                _ => select.recv(bench.nil.as_ref()),
            };
            assert_eq!(index, added);
            added += 1;
        }
    }
    assert!(select.try_now().await.is_none(), "there is nobody on the other side");
    bench.received(bench.n.get()).await;
}

#[test]
fn the_builder_passes_all_cases() {
    program(async {
        let bench = Bench::new();
        let mut counts = Vec::new();
        macro_rules! run {
            ($template:ident) => {{
                let (mut choices, mut count) = (Choices::default(), 0);
                while choices.next_path() {
                    $template(&mut choices, &bench).await;
                    count += 1;
                }
                counts.push(count);
            }};
        }
        run!(recv);
        run!(send);
        run!(recv_order);
        run!(send_order);
        run!(nonblock);
        // Go's last line of output: "1045 cases". A select of one case has 3 places for a default
        // (before, after, none) and 2^4 sets of dummies, 48 in all; a receive case has 5 forms, or
        // 4 if its order is looked at; and there are 1, 1, 2 and 1 ways without a select.
        assert_eq!(counts, [1 + 5 * 48, 1 + 48, 2 + 4 * 48, 1 + 48, 2 << 8]);
        assert_eq!(counts.iter().sum::<usize>(), 1045);
    });
}
