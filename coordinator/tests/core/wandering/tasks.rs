//! What the tasks do whose handles wander.

use std::pin::pin;

use channels::{RecvError, TryRecvError, TrySendError, select};

use super::*;

pub(super) async fn receive_letters(log: Rc<Log>, (ways, end): Start) {
    while let Ok((hops, sender, receiver)) = end.recv().await {
        if let Some(sender) = sender {
            let visit = host_sender(log.clone(), ways.clone(), hops, sender);
            log.new.borrow_mut().push(Box::pin(visit));
        }
        if let Some(receiver) = receiver {
            let visit = host_receiver(log.clone(), ways.clone(), hops, receiver);
            log.new.borrow_mut().push(Box::pin(visit));
        }
    }
}

/// A handle is here: it is used for a while, and goes on.
pub(super) async fn host_sender(
    log: Rc<Log>,
    ways: Vec<Sender<Letter>>,
    hops: u32,
    sender: Sender<Value>,
) {
    let me = log.senders.replace(log.senders.get() + 1);
    for n in 0..log.draw.below(120) {
        let value = (me, n);
        if log.gives_up && log.draw.below(4) == 0 {
            log.perhaps.borrow_mut().insert(value);
            if polled(sender.send(value), log.draw.below(4)).await == Some(Ok(())) {
                log.sent.borrow_mut().insert(value);
            }
        } else {
            send(&log, &sender, value).await;
            log.held.set(log.held.get() + 1);
            log.held_max.set(log.held_max.get().max(log.held.get()));
            log.sent.borrow_mut().insert(value);
        }
        polled(std::future::pending::<()>(), log.draw.below(log.rest[0])).await;
    }
    if hops == 0 {
        log.handles.set(log.handles.get() - 1);
        return;
    }
    if log.draw.below(4) == 0 {
        log.handles.set(log.handles.get() + 1);
        let way = &ways[log.draw.below(log.nodes) as usize];
        way.send((hops - 1, Some(sender.clone()), None)).await.expect("letters go to the end");
    }
    let way = &ways[log.draw.below(log.nodes) as usize];
    way.send((hops - 1, Some(sender), None)).await.expect("letters go to the end");
}

pub(super) async fn host_receiver(
    log: Rc<Log>,
    ways: Vec<Sender<Letter>>,
    hops: u32,
    receiver: Receiver<Value>,
) {
    let mut last: BTreeMap<u32, u32> = BTreeMap::new();
    let mut left = if hops == 0 { u32::MAX } else { log.draw.below(120) };
    while left > 0 {
        left -= 1;
        let got = if log.gives_up && log.draw.below(4) == 0 {
            match polled(receiver.recv(), log.draw.below(4)).await {
                Some(got) => got,
                None => continue,
            }
        } else {
            receive(&log, &receiver).await
        };
        let Ok(value) = got else { break };
        log.held.set(log.held.get() - 1);
        *log.received.borrow_mut().entry(value).or_default() += 1;
        if !log.gives_up {
            let before = last.insert(value.0, value.1);
            assert!(before < Some(value.1), "{before:?} of {} before {}", value.0, value.1);
        }
        polled(std::future::pending::<()>(), log.draw.below(log.rest[1])).await;
    }
    if hops == 0 {
        log.handles.set(log.handles.get() - 1);
        return;
    }
    let way = &ways[log.draw.below(log.nodes) as usize];
    way.send((hops - 1, None, Some(receiver))).await.expect("letters go to the end");
}

/// Sends, in one of the ways that there are.
async fn send(log: &Log, sender: &Sender<Value>, value: Value) {
    let (_never_in, never) = channel::<Value>(0);
    match log.draw.below(8) {
        0 => {
            while let Err(error) = sender.try_send(value).await {
                assert_eq!(error, TrySendError::Full(value), "receivers stay to the end");
                polled(std::future::pending::<()>(), log.draw.below(8)).await;
            }
        }
        1 => select! {
            sent = sender.send(value) => sent.expect("receivers stay to the end"),
            _ = never.recv() => unreachable!("nobody sends"),
        },
        _ => sender.send(value).await.expect("receivers stay to the end"),
    }
}

/// Receives, in one of the ways that there are.
async fn receive(log: &Log, receiver: &Receiver<Value>) -> Result<Value, RecvError> {
    let (_never_in, never) = channel::<Value>(0);
    loop {
        match log.draw.below(8) {
            0 => match receiver.try_recv().await {
                Ok(value) => return Ok(value),
                Err(TryRecvError::Empty) => {}
                Err(error) => {
                    assert_eq!(error, TryRecvError::Closed);
                    return Err(RecvError::Closed);
                }
            },
            1 => select! {
                got = receiver.recv() => return got,
                _ = never.recv() => unreachable!("nobody sends"),
            },
            2 => select! {
                got = receiver.recv() => return got,
                _ = never.recv() => unreachable!("nobody sends"),
                default => {}
            },
            _ => return receiver.recv().await,
        }
        polled(std::future::pending::<()>(), log.draw.below(8)).await;
    }
}

/// Polls a future so many times, then once more, and gives it up if it is still not ready.
async fn polled<F: Future>(future: F, mut times: u32) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if times == 0 => Poll::Ready(None),
        Poll::Pending => {
            times -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}
