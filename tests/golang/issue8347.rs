//! `test/fixedbugs/issue8347.go`: what a receive would give is given only if its case happens
//! (C25, C34): a `select` that takes `default` changes nothing, and after the close the end is told
//! once the case happens.

use crate::go::program;
use runtime::{RecvError, channel, select};

#[test]
fn default_changes_nothing() {
    program(async {
        let (sender, receiver) = channel::<bool>(1);
        let mut last = None;
        for _ in 0..10 {
            select! {
                received = receiver.recv() => last = Some(received),
                default => {}
            }
            assert_eq!(last, None, "nothing was received");
        }
        sender.close().await.unwrap();
        for _ in 0..2 {
            select! {
                received = receiver.recv() => last = Some(received),
                default => panic!("a closed channel is ready"),
            }
            assert_eq!(last.take(), Some(Err(RecvError::Closed)));
        }
    });
}
