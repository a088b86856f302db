//! A `Receiver` as a `Stream`, a `Sender` as a `Sink`.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use futures::{Sink, Stream};

use crate::handle::{Message, Receiver, Sender};
use crate::location::Shared;
use crate::lock::Lock;
use crate::operation::{ReceiveOperation, SendError, SendOperation};

/// The receive of a stream that was polled and has not got its value. It lives in the handle, for
/// whoever polls a stream may stop at any time: nothing may be lost, and nothing may lie about. So
/// another receive through the same handle withdraws it first.
pub(crate) struct Streaming {
    receive: ReceiveOperation,
    withdrawn: AtomicBool,
}

impl Streaming {
    pub(crate) fn withdraw<T>(&self, shared: &Shared<T>) {
        if !self.withdrawn.swap(true, Ordering::Relaxed) {
            self.receive.withdraw(shared);
        }
    }
}

/// Yields values until the channel is closed and drained, or its senders are lost; which of the two
/// it was, [`Receiver::recv`] tells (C45: `for v := range ch`).
///
/// ```
/// use futures::StreamExt;
/// # futures::executor::block_on(async {
/// let (sender, receiver) = channels::channel(3);
/// for n in 1..=3 {
///     sender.send(n).await.unwrap();
/// }
/// drop(sender);
/// assert_eq!(receiver.collect::<Vec<_>>().await, [1, 2, 3]);
/// # })
/// ```
impl<T: Message> Stream for Receiver<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let this = &mut *self;
        let mut receive = ReceiveOperation::New;
        if let Some(streaming) = &mut this.stream
            && !streaming.withdrawn.load(Ordering::Relaxed)
        {
            receive = std::mem::replace(&mut streaming.receive, ReceiveOperation::New);
        }
        let polled = receive.poll(&this.shared, context.waker());
        match (&polled, &mut this.stream) {
            (Poll::Ready(_), None) => {}
            (_, Some(streaming)) => {
                **streaming = Streaming { receive, withdrawn: AtomicBool::new(polled.is_ready()) };
            }
            (Poll::Pending, slot) => {
                let withdrawn = AtomicBool::new(false);
                *slot = Some(Box::new(Streaming { receive, withdrawn }));
            }
        }
        polled.map(Result::ok)
    }
}

impl<T> Unpin for Receiver<T> {}

/// The send of a sink. It lives in the handle, and whoever flushes the handle drives it too.
pub(crate) struct Sinking<T> {
    pub(crate) send: SendOperation<T>,
    is_sent: bool,
    /// Who flushes: a send wakes only whoever asked last.
    others: Vec<Waker>,
}

impl<T: Message> Sinking<T> {
    fn new(value: T) -> Self {
        Self { send: SendOperation::new(value), is_sent: false, others: Vec::new() }
    }

    /// Drives the send, for whoever may not have the outcome. False if it cannot be: then it is as
    /// new.
    pub(crate) fn poll_through(&mut self, shared: &Shared<T>, waker: &Waker) -> Poll<bool> {
        if !self.is_sent {
            match self.send.poll(shared, waker) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => self.is_sent = true,
                Poll::Ready(Err(error)) => self.send = SendOperation::new(error.into_inner()),
            }
        }
        Poll::Ready(self.is_sent)
    }

    /// Another who flushes.
    pub(crate) fn note(&mut self, waker: &Waker) {
        if !self.others.iter().any(|other| other.will_wake(waker)) {
            self.others.push(waker.clone());
        }
    }

    /// All who flush, to be woken.
    pub(crate) fn take_others(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.others)
    }
}

/// Sends what it is fed, one value under way at a time. Flush it before dropping the handle: the
/// value under way is dropped with it. Closing the sink flushes; the channel is closed by its last
/// sender, or by [`Sender::close`].
///
/// ```
/// use futures::{SinkExt, StreamExt, stream};
/// # futures::executor::block_on(async {
/// let (mut sender, receiver) = channels::channel(3);
/// sender.send_all(&mut stream::iter([1, 2, 3]).map(Ok)).await.unwrap();
/// drop(sender);
/// assert_eq!(receiver.collect::<Vec<_>>().await, [1, 2, 3]);
/// # })
/// ```
impl<T: Message> Sink<T> for Sender<T> {
    type Error = SendError<T>;

    fn poll_ready(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        let this = &mut *self;
        let Some(sinking) = &mut this.sink else { return Poll::Ready(Ok(())) };
        let sinking = sinking.get_mut();
        let polled = match sinking.is_sent {
            true => Poll::Ready(Ok(())),
            false => sinking.send.poll(&this.shared, context.waker()),
        };
        if polled.is_ready() {
            this.sink = None;
        }
        polled
    }

    fn start_send(mut self: Pin<&mut Self>, value: T) -> Result<(), Self::Error> {
        assert!(self.sink.is_none(), "a sink is fed only when it is ready");
        self.sink = Some(Box::new(Lock::new(Sinking::new(value))));
        Ok(())
    }

    fn poll_flush(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        self.poll_ready(context)
    }

    fn poll_close(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        self.poll_ready(context)
    }
}

impl<T> Unpin for Sender<T> {}
