//! `test/closedchan.go`: what a closed channel does, by each way to use it: the operation, a
//! `select` of one case, and a `select` of two. What was sent before the close is received after it
//! (C23); then every receive gets the end at once, any number of times (C24, C25); a send gets its
//! value back, and the value shows up nowhere (C26, C30); a second close is refused (C29). What
//! panics in Go is an error here. That nil cannot be closed (C19) has no counterpart: what may be
//! none is an `Option`, which has no `close`.
//!
//! Go's program leaves out, and says so, what a close does to those who wait: that is in
//! `close.rs`.

use crate::go::program;
use runtime::{Receiver, RecvError, SendError, Sender, TryRecvError, TrySendError};
use runtime::{channel, select};

#[derive(Clone, Copy, Debug)]
enum Way {
    Operation,
    Select,
    WiderSelect,
}

const WAYS: [Way; 3] = [Way::Operation, Way::Select, Way::WiderSelect];

/// A channel and the way to use it; and another channel, on which nobody sends.
struct Chan {
    way: Way,
    sender: Sender<u32>,
    receiver: Receiver<u32>,
    _silent_in: Sender<()>,
    silent: Receiver<()>,
}

impl Chan {
    /// Closed, after `values` were sent.
    async fn closed(way: Way, values: &[u32]) -> Self {
        let (sender, receiver) = channel(if values.is_empty() { 0 } else { 2 });
        for value in values {
            sender.send(*value).await.unwrap();
        }
        sender.close().await.unwrap();
        let (silent_in, silent) = channel(0);
        Self { way, sender, receiver, _silent_in: silent_in, silent }
    }

    async fn send(&self, value: u32) -> Result<(), SendError<u32>> {
        match self.way {
            Way::Operation => self.sender.send(value).await,
            Way::Select => select! {
                sent = self.sender.send(value) => sent,
            },
            Way::WiderSelect => select! {
                sent = self.sender.send(value) => sent,
                _ = self.silent.recv() => panic!("nobody sends here"),
            },
        }
    }

    /// None if it would have to wait.
    async fn try_send(&self, value: u32) -> Option<Result<(), SendError<u32>>> {
        match self.way {
            Way::Operation => match self.sender.try_send(value).await {
                Ok(()) => Some(Ok(())),
                Err(TrySendError::Full(_)) => None,
                Err(TrySendError::Closed(value)) => Some(Err(SendError::Closed(value))),
                Err(error) => panic!("{error:?}"),
            },
            Way::Select => select! {
                default => None,
                sent = self.sender.send(value) => Some(sent),
            },
            Way::WiderSelect => select! {
                _ = self.silent.recv() => panic!("nobody sends here"),
                default => None,
                sent = self.sender.send(value) => Some(sent),
            },
        }
    }

    async fn recv(&self) -> Result<u32, RecvError> {
        match self.way {
            Way::Operation => self.receiver.recv().await,
            Way::Select => select! {
                received = self.receiver.recv() => received,
            },
            Way::WiderSelect => select! {
                _ = self.silent.recv() => panic!("nobody sends here"),
                received = self.receiver.recv() => received,
            },
        }
    }

    /// None if it would have to wait.
    async fn try_recv(&self) -> Option<Result<u32, RecvError>> {
        match self.way {
            Way::Operation => match self.receiver.try_recv().await {
                Ok(value) => Some(Ok(value)),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Closed) => Some(Err(RecvError::Closed)),
                Err(error) => panic!("{error}"),
            },
            Way::Select => select! {
                default => None,
                received = self.receiver.recv() => Some(received),
            },
            Way::WiderSelect => select! {
                _ = self.silent.recv() => panic!("nobody sends here"),
                default => None,
                received = self.receiver.recv() => Some(received),
            },
        }
    }

    /// What is true of every closed channel that is empty.
    async fn assert_ended(&self) {
        let way = self.way;
        for _ in 0..3 {
            assert_eq!(self.recv().await, Err(RecvError::Closed), "{way:?}");
            assert_eq!(self.try_recv().await, Some(Err(RecvError::Closed)), "{way:?}");
        }
        assert_eq!(self.try_send(1).await, Some(Err(SendError::Closed(1))), "{way:?}");
        assert_eq!(self.recv().await, Err(RecvError::Closed), "{way:?}: 1 was not sent");
        assert_eq!(self.send(2).await, Err(SendError::Closed(2)), "{way:?}");
        assert_eq!(self.recv().await, Err(RecvError::Closed), "{way:?}: 2 was not sent");
        assert!(self.sender.close().await.is_err(), "{way:?}: it is closed");
    }
}

#[test]
fn a_closed_rendezvous_has_ended() {
    program(async {
        for way in WAYS {
            Chan::closed(way, &[]).await.assert_ended().await;
        }
    });
}

#[test]
fn a_closed_buffer_ends_after_its_last_value() {
    program(async {
        for way in WAYS {
            let chan = Chan::closed(way, &[1]).await;
            assert_eq!(chan.recv().await, Ok(1), "{way:?}");
            chan.assert_ended().await;

            let chan = Chan::closed(way, &[1]).await;
            assert_eq!(chan.try_recv().await, Some(Ok(1)), "{way:?}");
            chan.assert_ended().await;
        }
    });
}

#[test]
fn a_closed_buffer_refuses_values_while_it_has_room() {
    program(async {
        for way in WAYS {
            let chan = Chan::closed(way, &[1]).await;
            assert_eq!(chan.send(5).await, Err(SendError::Closed(5)), "{way:?}");
            assert_eq!(chan.try_send(6).await, Some(Err(SendError::Closed(6))), "{way:?}");
            assert_eq!(chan.recv().await, Ok(1), "{way:?}");
            chan.assert_ended().await;
        }
    });
}
