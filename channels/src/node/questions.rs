//! What a node asks the home that is no operation of a task: nothing is lost with the answer.

use std::future::poll_fn;
use std::task::{Poll, Waker};

use bytes::Bytes;

use super::{Conclusion, Node};
use crate::id::{ChannelId, OperationId};
use crate::settling::Progress;
use crate::wire::{End, Frame, Passage, Stats};

/// Which of several operations could go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Surveyed {
    /// None, at one moment.
    None,
    /// This one, a moment ago.
    Ready(usize),
    /// A channel is on its way to this process, or here: it is to be asked again.
    Moved,
}

impl Node {
    /// Asks the coordinator how the whole is. None when the link is lost.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost but the answer.
    pub async fn inspect(&self) -> Option<Stats> {
        let begin = |waker: &Waker| {
            let inspect = |operation| [Frame::Inspect { operation }];
            Poll::Ready(Ok(self.begin_in(self.state.lock(), waker.clone(), None, inspect)))
        };
        match self.ask(None, begin).await {
            Conclusion::Inspected(stats) => Some(stats),
            _ => None,
        }
    }

    /// Asks the coordinator what it has cost: a report as JSON. None when the link is lost.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost but the answer.
    pub async fn bill(&self) -> Option<Bytes> {
        let begin = |waker: &Waker| {
            let bill = |operation| [Frame::Bill { operation }];
            Poll::Ready(Ok(self.begin_in(self.state.lock(), waker.clone(), None, bill)))
        };
        match self.ask(None, begin).await {
            Conclusion::Billed(report) => Some(report),
            _ => None,
        }
    }

    /// How many values a channel holds that is at home at the coordinator; none if that is lost.
    /// `None` if the channel is here, or can be taken over.
    pub(crate) async fn measure(&self, channel: ChannelId) -> Option<usize> {
        let measure = |operation| Frame::Measure { channel, operation };
        let begin = |waker: &Waker| Poll::Ready(Ok(self.begin(channel, waker.clone(), measure)));
        match self.ask(Some(channel), begin).await {
            Conclusion::Measured(length) => Some(length as usize),
            Conclusion::Moved(_) | Conclusion::Landing => None,
            _ => Some(0),
        }
    }

    /// Waits until all that was sent before is home. If the link is lost, says why.
    pub(crate) async fn flush(&self) -> Result<(), String> {
        let begin = |waker: &Waker| {
            let flush = |operation| [Frame::Flush { operation }];
            Poll::Ready(Ok(self.begin_in(self.state.lock(), waker.clone(), None, flush)))
        };
        match self.ask(None, begin).await {
            Conclusion::Ended(End::Lost(cause)) => Err(cause),
            _ => Ok(()),
        }
    }

    /// Which of several operations could go now. When the link is lost every one can, and yields
    /// that.
    pub(crate) async fn survey(&self, cases: Vec<Passage>) -> Surveyed {
        let begin = |waker: &Waker| {
            let mut state = self.state.lock();
            // The home must not hear of a channel that is on its way here.
            for Passage { channel, .. } in &cases {
                match state.progress(*channel) {
                    Progress::Away if self.is_gone(&state, *channel) => {
                        return Poll::Ready(Err(Conclusion::Moved(None)));
                    }
                    Progress::Away => {}
                    Progress::Landing => return Poll::Ready(Err(Conclusion::Landing)),
                    Progress::Approaching => {
                        state.sleep(waker);
                        return Poll::Pending;
                    }
                }
            }
            let survey = |operation| [Frame::Survey { operation, cases: cases.clone() }];
            Poll::Ready(Ok(self.begin_in(state, waker.clone(), None, survey)))
        };
        match self.ask(None, begin).await {
            Conclusion::Surveyed(0) if self.are_away(&cases) => Surveyed::None,
            Conclusion::Surveyed(0) | Conclusion::Moved(_) | Conclusion::Landing => Surveyed::Moved,
            Conclusion::Surveyed(ready) => Surveyed::Ready(ready as usize - 1),
            _ => Surveyed::Ready(0),
        }
    }

    /// Whether channels are away, and nothing of them was given back for them to come here.
    fn are_away(&self, cases: &[Passage]) -> bool {
        let state = self.state.lock();
        let is_away =
            |channel| state.progress(channel) == Progress::Away && !self.is_gone(&state, channel);
        cases.iter().all(|passage| is_away(passage.channel))
    }

    async fn ask(
        &self,
        channel: Option<ChannelId>,
        begin: impl Fn(&Waker) -> Poll<Result<OperationId, Conclusion>>,
    ) -> Conclusion {
        let mut asked = Asked { node: self, operation: None };
        let answer = poll_fn(|context| {
            let waker = context.waker();
            let operation = match asked.operation {
                Some(operation) => operation,
                None => match begin(waker) {
                    Poll::Ready(Ok(operation)) => operation,
                    Poll::Ready(Err(conclusion)) => return Poll::Ready(conclusion),
                    Poll::Pending => return Poll::Pending,
                },
            };
            asked.operation = Some(operation);
            match channel {
                Some(channel) => self.poll_on(channel, operation, waker),
                None => self.state.lock().conclusion(operation, waker),
            }
        });
        answer.await
    }
}

/// A question under way.
struct Asked<'a> {
    node: &'a Node,
    operation: Option<OperationId>,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if let Some(operation) = self.operation {
            self.node.abandon(operation);
        }
    }
}
