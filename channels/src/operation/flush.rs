//! Waiting until what was sent is home.

use std::future::poll_fn;
use std::task::Waker;

use super::error::FlushError;
use crate::blocking::wait_for;
use crate::handle::{Message, Sender};
use crate::location::Location;

impl<T: Message> Sender<T> {
    /// Waits until every value that this handle has sent is at the channel's home: from then on it
    /// will be received even if this worker dies (contract D4). A send on a relayed channel may
    /// return before, when there is room kept for it.
    ///
    /// Immediate while the channel's home is here, a round trip when it is not. It covers whatever
    /// this process has sent before on any channel, and, if this handle is used as a `Sink`, waits
    /// for the value under way. (`SinkExt::flush` waits for that alone.)
    ///
    /// # Errors
    ///
    /// [`FlushError::Lost`] if the coordinator is gone, or this worker was fenced: then nobody here
    /// can know how much arrived. [`FlushError::Unsent`] if a value that the handle was fed as a
    /// `Sink` cannot be sent; the sink has it still, and says why.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost but the answer.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let (sender, receiver) = channels::channel(8);
    /// for n in 0..8 {
    ///     sender.send(n).await.unwrap();
    /// }
    /// assert_eq!(sender.flush().await, Ok(()));
    /// # drop(receiver);
    /// # })
    /// ```
    pub async fn flush(&self) -> Result<(), FlushError> {
        self.drive_sink().await?;
        let node = match &self.shared.lock().location {
            Location::Local(_) => return Ok(()),
            Location::Relayed(relayed) => relayed.node.clone(),
        };
        node.flush().await.map_err(FlushError::Lost)
    }

    /// [`Sender::flush`] for code that is not async. It blocks the thread.
    pub fn flush_blocking(&self) -> Result<(), FlushError> {
        wait_for(self.flush())
    }

    /// Waits for the send that this handle does as a sink.
    async fn drive_sink(&self) -> Result<(), FlushError> {
        let Some(sink) = &self.sink else { return Ok(()) };
        let leaving = Leaving(self);
        let driven = poll_fn(|context| {
            let mut sink = sink.lock();
            let polled = sink.poll_through(&self.shared, context.waker());
            if polled.is_pending() {
                sink.note(context.waker());
            }
            polled
        });
        let sent = driven.await;
        drop(leaving);
        if sent { Ok(()) } else { Err(FlushError::Unsent) }
    }
}

/// One of several that wait for a sink, of which the send wakes only the last that asked. Whoever
/// leaves wakes the others.
struct Leaving<'a, T: Message>(&'a Sender<T>);

impl<T: Message> Drop for Leaving<'_, T> {
    fn drop(&mut self) {
        let Some(sink) = &self.0.sink else { return };
        let others = sink.lock().take_others();
        others.into_iter().for_each(Waker::wake);
    }
}
