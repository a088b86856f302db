//! `test/fixedbugs/bug234.go`: a receive tells a value that was sent from the end of the channel
//! (C24, C25).

use crate::go::program;
use runtime::{RecvError, channel};

#[test]
fn a_value_is_told_from_the_end() {
    program(async {
        let (sender, receiver) = channel(1);
        sender.send(0).await.unwrap();
        assert_eq!(receiver.recv().await, Ok(0), "a zero that was sent is not the end");
        sender.close().await.unwrap();
        assert_eq!(receiver.recv().await, Err(RecvError::Closed));
    });
}
