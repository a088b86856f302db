//! `test/fixedbugs/issue8336.go`: when an operand of a `select` panics, the operands after it are
//! not evaluated (C33), and nothing has happened to any channel.

use std::cell::Cell;
use std::panic::AssertUnwindSafe;

use crate::go::program;
use futures::FutureExt;
use runtime::{Receiver, channel, select};

struct Holder {
    channel: Receiver<u32>,
}

fn no_holder() -> Option<Holder> {
    None
}

#[test]
fn what_comes_after_an_operand_that_panics_is_not_evaluated() {
    program(async {
        let (sender, receiver) = channel(1);
        sender.send(1).await.unwrap();
        let evaluated = Cell::new(0);
        let mark = || {
            evaluated.set(evaluated.get() + 1);
            &receiver
        };
        let selecting = async {
            select! {
                _ = mark().recv() => panic!("received before all operands were evaluated"),
                _ = no_holder().expect("a holder").channel.recv() => panic!("no holder"),
                _ = mark().recv() => panic!("received after the panic"),
            }
        };
        let panic = AssertUnwindSafe(selecting).catch_unwind().await.unwrap_err();
        assert_eq!(panic.downcast_ref::<String>().map(String::as_str), Some("a holder"));
        assert_eq!(evaluated.get(), 1, "the operand before it, and none after it");
        assert_eq!(receiver.recv().await, Ok(1), "the value is still there");
    });
}
