//! `test/fixedbugs/issue4313.go`: the operands of a `select`, channels and values, are evaluated in
//! the order in which they are written (C16, C33): a value is computed before the channel of a
//! later case, which changes what it is computed from.

use std::cell::{Cell, RefCell};

use crate::go::program;
use runtime::{Receiver, channel, select};

#[test]
fn a_value_is_computed_before_the_channel_of_a_later_case() {
    program(async {
        let (sender, receiver) = channel(1);
        let x = Cell::new(0);
        let (_silent_in, silent) = channel::<bool>(0);
        let change = || -> &Receiver<bool> {
            x.set(42);
            &silent
        };
        select! {
            sent = sender.send(x.get()) => sent.unwrap(),
            _ = change().recv() => panic!("nobody sends here"),
        }
        assert_eq!(receiver.recv().await, Ok(0));
        assert_eq!(x.get(), 42);
    });
}

#[test]
fn operands_are_evaluated_in_order_and_before_anything_is_received() {
    program(async {
        let order = RefCell::new(Vec::new());
        let (sender, receiver) = channel(1);
        let (_silent_in, silent) = channel::<u32>(0);
        let to = || {
            order.borrow_mut().push("the channel of the send");
            &sender
        };
        let value = || {
            order.borrow_mut().push("its value");
            7
        };
        let from = || {
            order.borrow_mut().push("the channel of the receive");
            &silent
        };
        let written = ["the channel of the send", "its value", "the channel of the receive"];
        select! {
            sent = to().send(value()) => {
                assert_eq!(*order.borrow(), written);
                sent.unwrap();
            }
            _ = from().recv() => panic!("nobody sends here"),
        }
        order.borrow_mut().clear();
        select! {
            _ = from().recv() => panic!("nobody sends here"),
            _ = to().send(value()) => panic!("the buffer is full"),
            default => {}
        }
        assert_eq!(*order.borrow(), [written[2], written[0], written[1]]);
        assert_eq!(receiver.recv().await, Ok(7));
    });
}
