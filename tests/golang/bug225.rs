//! `test/fixedbugs/bug225.go`: a receive whose value is thrown away waits for one all the same:
//! with `default`, an empty channel does not give one, and a channel that holds one does (C36).

use crate::go::program;
use runtime::{channel, select};

#[test]
fn a_value_that_is_thrown_away_must_be_there() {
    program(async {
        let (sender, receiver) = channel(1);
        select! {
            _ = receiver.recv() => panic!("there is nothing to receive"),
            default => {}
        }
        sender.send(true).await.unwrap();
        select! {
            _ = receiver.recv() => {}
            default => panic!("there is something to receive"),
        }
        assert!(receiver.is_empty().await);
    });
}
