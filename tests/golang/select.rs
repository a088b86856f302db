//! `test/chan/select.go`: every value that a `select` might send is computed each time, whichever
//! case then happens (C33), also that of a case that is never ready because its channel is none
//! (C21); and with a `default` nothing waits (C36).

use std::cell::Cell;

use crate::go::program;
use runtime::{Sender, channel, select};

/// Sends a power of two on each of the channels, once, and tells on how many it did.
async fn send_to_each(
    mut first: Option<Sender<u32>>,
    mut second: Option<Sender<u32>>,
    computed: &Cell<u32>,
    shift: &Cell<u32>,
) -> u32 {
    let value = || {
        computed.set(computed.get() + 1);
        1 << shift.get()
    };
    let mut sends = 0;
    loop {
        select! {
            sent = first.send(value()) => {
                sent.unwrap();
                sends += 1;
                first = None;
            }
            sent = second.send(value()) => {
                sent.unwrap();
                sends += 1;
                second = None;
            }
            default => break,
        }
        shift.set(shift.get() + 1);
    }
    sends
}

#[test]
fn every_value_is_computed_each_time() {
    program(async {
        let (first_in, first) = channel(1);
        let (second_in, second) = channel(1);
        let (computed, shift) = (Cell::new(0), Cell::new(0));

        let sends = send_to_each(Some(first_in.clone()), Some(second_in), &computed, &shift).await;
        assert_eq!(sends, 2);
        let values = (first.recv().await.unwrap(), second.recv().await.unwrap());
        assert!(values == (1, 2) || values == (2, 1), "{values:?}");

        assert_eq!(send_to_each(Some(first_in), None, &computed, &shift).await, 1);
        assert_eq!(computed.get(), 10, "two for each of five selects");
    });
}
