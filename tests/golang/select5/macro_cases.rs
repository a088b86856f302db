//! The templates through `select!`: the arms are put together by macros, so the dummies come in
//! groups, and there are fewer cases than of the builder.

use std::any::Any;
use std::cell::Cell;
use std::collections::BTreeMap;

use runtime::select;

use super::Bench;
use crate::go::program;

/// Writes a select for each place of a default (none, before, after the case) and each set of
/// groups of dummies, with what is done before and after each.
macro_rules! selects {
    ($count:ident $before:block $after:block { $($case:tt)+ } $($dummies:tt)*) => {
        selects!(@sets $count $before $after [ $($case)+ ] $($dummies)*);
        selects!(@sets $count $before $after
            [ default => panic!("it need not wait"), $($case)+ ] $($dummies)*);
        selects!(@sets $count $before $after
            [ $($case)+ default => panic!("it need not wait"), ] $($dummies)*);
    };
    (@sets $count:ident $before:block $after:block [ $($arms:tt)* ]) => {
        $count.set($count.get() + 1);
        $before
        select! { $($arms)* }
        $after
    };
    (@sets $count:ident $before:block $after:block [ $($arms:tt)* ]
        { $($dummy:tt)* } $($dummies:tt)*
    ) => {
        selects!(@sets $count $before $after [ $($arms)* ] $($dummies)*);
        selects!(@sets $count $before $after [ $($arms)* $($dummy)* ] $($dummies)*);
    };
}

/// How many selects stand in the calls of [`selects`]: 3 places of a default, 2 groups of dummies.
const OF_ONE_CASE: usize = 3 * 4;

fn place<T>(of: &mut T) -> &mut T {
    of
}

#[test]
fn receives() {
    program(async {
        let (bench, count) = (Bench::new(), Cell::new(0));
        let (c, dummy_in, dummy) = (&bench.c, &bench.dummy_in, &bench.dummy);
        let (nil_in, nil) = (&bench.nil_in, &bench.nil);
        let mut map = BTreeMap::new();
        let mut x;
        macro_rules! phrased {
            ($($case:tt)+) => {
                selects! {
                    count { bench.next_case_with_a_value().await; } { bench.received(x).await; }
                    { $($case)+ }
                    {
                        dummy_in.send(1) => panic!("dummy send"),
                        dummy.recv() => panic!("dummy receive"),
                    }
                    {
                        nil_in.send(1) => panic!("nil send"),
                        nil.recv() => panic!("nil receive"),
                    }
                }
            };
        }
        phrased!(value = c.recv() => x = value.unwrap(),);
        phrased!(value = c.recv() => { *place(&mut x) = value.unwrap(); });
        phrased!(y = c.clone().recv() => {
            let y = y.unwrap();
            x = y;
        });
        phrased!(value = Some(c).recv() => {
            let any: Box<dyn Any> = Box::new(value.unwrap());
            x = *any.downcast().unwrap();
        });
        phrased!(value = c.recv() => {
            map.insert(13, value.unwrap());
            x = map[&13];
        });
        assert_eq!(count.get(), 5 * OF_ONE_CASE);
    });
}

#[test]
fn sends() {
    program(async {
        let (bench, count) = (Bench::new(), Cell::new(0));
        let (c_in, dummy_in, dummy) = (&bench.c_in, &bench.dummy_in, &bench.dummy);
        let (nil_in, nil) = (&bench.nil_in, &bench.nil);
        macro_rules! phrased {
            ($($case:tt)+) => {
                selects! {
                    count { bench.next_case(); } { bench.sent().await; }
                    { $($case)+ }
                    {
                        dummy_in.send(1) => panic!("dummy send"),
                        dummy.recv() => panic!("dummy receive"),
                    }
                    {
                        nil_in.send(1) => panic!("nil send"),
                        nil.recv() => panic!("nil receive"),
                    }
                }
            };
        }
        phrased!(c_in.send(bench.n.get()) => {});
        phrased!(sent = c_in.send(bench.n.get()) => sent.unwrap(),);
        phrased!(sent = Some(c_in.clone()).send(bench.n.get()) => { sent.unwrap() });
        assert_eq!(count.get(), 3 * OF_ONE_CASE);
    });
}

/// All operands of all cases are evaluated, in the order in which they stand, whichever case
/// happens; and the place that an arm writes to only when its case has happened.
#[test]
fn receives_in_order() {
    program(async {
        let (bench, count) = (Bench::new(), Cell::new(0));
        let (order, c, dummy_in, dummy) = (&bench.order, &bench.c, &bench.dummy_in, &bench.dummy);
        let (nil_in, nil) = (&bench.nil_in, &bench.nil);
        let (mut x, mut map) = (0, BTreeMap::new());
        macro_rules! phrased {
            ($($case:tt)+) => {
                selects! {
                    count
                    { bench.next_case_with_a_value().await; }
                    { order.ended_at(100); bench.received(x).await; }
                    { $($case)+ }
                    {
                        order.at(2, dummy_in).send(order.at(3, 1)) => panic!("dummy send"),
                        order.at(4, dummy).recv() => panic!("dummy receive"),
                    }
                    {
                        order.at(5, nil_in).send(order.at(6, 1)) => panic!("nil send"),
                        order.at(7, nil).recv() => panic!("nil receive"),
                    }
                }
            };
        }
        phrased!(value = order.at(1, c).recv() => *order.at(100, &mut x) = value.unwrap(),);
        phrased!(value = order.at(1, c).recv() => { x = order.at(100, value.unwrap()); });
        phrased!(value = order.at(1, c).recv() => {
            let any: Box<dyn Any> = Box::new(order.at(100, value.unwrap()));
            x = *any.downcast().unwrap();
        });
        phrased!(value = order.at(1, c).recv() => {
            map.insert(order.at(100, 13), value.unwrap());
            x = map[&13];
        });
        assert_eq!(count.get(), 4 * OF_ONE_CASE);
    });
}

#[test]
fn sends_in_order() {
    program(async {
        let (bench, count) = (Bench::new(), Cell::new(0));
        let (order, c_in) = (&bench.order, &bench.c_in);
        let (dummy_in, dummy) = (&bench.dummy_in, &bench.dummy);
        let (nil_in, nil, n) = (&bench.nil_in, &bench.nil, &bench.n);
        selects! {
            count { bench.next_case(); } { order.ended_at(100); bench.sent().await; }
            { sent = order.at(1, c_in).send(order.at(2, n.get())) => order.at(100, sent).unwrap(), }
            {
                order.at(3, dummy_in).send(order.at(4, 1)) => panic!("dummy send"),
                order.at(5, dummy).recv() => panic!("dummy receive"),
            }
            {
                order.at(6, nil_in).send(order.at(7, 1)) => panic!("nil send"),
                order.at(8, nil).recv() => panic!("nil receive"),
            }
        }
        assert_eq!(count.get(), OF_ONE_CASE);
    });
}

/// Writes a select with the default first and last, for each set of groups of dummies.
macro_rules! defaults {
    (@sets $order:ident $count:ident $last:literal [ $($arms:tt)* ]) => {
        $count.set($count.get() + 1);
        $order.0.set(0);
        select! { default => {} $($arms)* }
        $order.ended_at($last);
        $order.0.set(0);
        select! { $($arms)* default => {} }
        $order.ended_at($last);
    };
    (@sets $order:ident $count:ident $last:literal [ $($arms:tt)* ]
        $at:literal { $($dummy:tt)* } $($dummies:tt)*
    ) => {
        defaults!(@sets $order $count $last [ $($arms)* ] $($dummies)*);
        defaults!(@sets $order $count $at [ $($arms)* $($dummy)* ] $($dummies)*);
    };
}

/// C34, C36: nothing can happen but the default; no pattern is bound, and all operands are
/// evaluated nevertheless.
#[test]
fn nothing_but_the_default() {
    program(async {
        let (bench, count) = (Bench::new(), Cell::new(0));
        let (order, dummy_in, dummy) = (&bench.order, &bench.dummy_in, &bench.dummy);
        let (nil_in, nil) = (&bench.nil_in, &bench.nil);
        defaults! {
            @sets order count 0 []
            4 {
                order.at(1, dummy_in).send(order.at(2, 1)) => panic!("dummy send"),
                order.at(3, nil_in).send(order.at(4, 1)) => panic!("nil send"),
            }
            6 {
                order.at(5, dummy).recv() => panic!("dummy receive"),
                _value = order.at(6, dummy).recv() => panic!("dummy receive"),
            }
            8 {
                order.at(7, nil).recv() => panic!("nil receive"),
                _value = order.at(8, nil).recv() => panic!("nil receive"),
            }
            10 {
                _sent = order.at(9, nil_in).send(order.at(10, 1)) => panic!("nil send"),
            }
        }
        assert_eq!((dummy_in.len().await, dummy.len().await), (0, 0));
        assert_eq!(count.get(), 16);
    });
}
