//! A select whose number of cases is known only at run time (C42).

use std::fmt;
use std::sync::Arc;

use super::case::{Case, ReceiveCase, SendCase};
use super::choose::{choose, choose_now};
use super::random::first;
use crate::blocking::wait_for;
use crate::handle::{Message, Receiver, Sender};
use crate::operation::{RecvError, SendError, SendOperation};

/// A select over any number of cases; [`select!`](crate::select!) is shorter where they are known.
///
/// ```
/// # futures::executor::block_on(async {
/// let channels: Vec<_> = (0..100).map(|_| channels::channel(1)).collect();
/// channels[42].0.send(7).await.unwrap();
///
/// let mut select = channels::Select::new();
/// for (_, receiver) in &channels {
///     select.recv(receiver);
/// }
/// let mut chosen = select.wait().await;
/// assert_eq!(chosen.index(), 42);
/// assert_eq!(chosen.received(&channels[42].1), Ok(7));
/// # })
/// ```
#[derive(Default)]
pub struct Select<'a> {
    cases: Vec<Box<dyn Case + Send + 'a>>,
}

impl<'a> Select<'a> {
    /// A select without cases: waiting on it would last for ever.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a receive, and says which case it is, counted from 0. `None` is never ready.
    pub fn recv<T: Message>(&mut self, receiver: impl Into<Option<&'a Receiver<T>>>) -> usize {
        self.add(receiver.into().map(ReceiveCase::new))
    }

    /// Adds a send, and says which case it is, counted from 0. `None` is never ready. The value is
    /// dropped if another case happens.
    pub fn send<T: Message>(
        &mut self,
        sender: impl Into<Option<&'a Sender<T>>>,
        value: T,
    ) -> usize {
        let case = |sender| SendCase::<T, SendOperation<T>>::new(sender, SendOperation::new(value));
        self.add(sender.into().map(case))
    }

    /// Waits until one case has happened.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: no case has happened.
    pub async fn wait(mut self) -> Chosen<'a> {
        let index = choose(first(self.cases.len()), &mut self.borrowed()).await;
        self.chosen(index)
    }

    /// [`Select::wait`] for code that is not async.
    pub fn wait_blocking(self) -> Chosen<'a> {
        wait_for(self.wait())
    }

    /// Does one of the cases if one is ready, as Go's `default`.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let (sender, receiver) = channels::channel::<u8>(0);
    /// let mut select = channels::Select::new();
    /// select.recv(&receiver);
    /// select.send(&sender, 1);
    /// assert!(select.try_now().await.is_none(), "it never meets itself");
    /// # })
    /// ```
    pub async fn try_now(mut self) -> Option<Chosen<'a>> {
        let index = choose_now(first(self.cases.len()), &mut self.borrowed()).await?;
        Some(self.chosen(index))
    }

    /// [`Select::try_now`] for code that is not async.
    pub fn try_now_blocking(self) -> Option<Chosen<'a>> {
        wait_for(self.try_now())
    }

    fn add(&mut self, case: impl Case + Send + 'a) -> usize {
        self.cases.push(Box::new(case));
        self.cases.len() - 1
    }

    fn borrowed<'s>(&'s mut self) -> Vec<&'s mut (dyn Case + Send + 'a)> {
        self.cases.iter_mut().map(|case| &mut **case).collect()
    }

    fn chosen(mut self, index: usize) -> Chosen<'a> {
        Chosen { index, case: self.cases.swap_remove(index) }
    }
}

/// The case that happened.
pub struct Chosen<'a> {
    index: usize,
    case: Box<dyn Case + Send + 'a>,
}

impl Chosen<'_> {
    /// Which case it was, as [`Select::recv`] and [`Select::send`] said.
    pub fn index(&self) -> usize {
        self.index
    }

    /// What the receive yielded.
    ///
    /// # Panics
    ///
    /// If the case is not a receive from this channel, or its result was taken already.
    pub fn received<T: Message>(&mut self, receiver: &Receiver<T>) -> Result<T, RecvError> {
        self.take(Arc::as_ptr(&receiver.shared) as usize)
    }

    /// What became of the send.
    ///
    /// # Panics
    ///
    /// If the case is not a send to this channel, or its result was taken already.
    pub fn sent<T: Message>(&mut self, sender: &Sender<T>) -> Result<(), SendError<T>> {
        self.take(Arc::as_ptr(&sender.shared) as usize)
    }

    #[track_caller]
    fn take<R: 'static>(&mut self, channel: usize) -> R {
        let is_of = self.case.address() == Some(channel);
        let slot = self.case.slot().downcast_mut::<Option<R>>().filter(|_| is_of);
        slot.and_then(Option::take).expect("the chosen case is another, or its result was taken")
    }
}

impl fmt::Debug for Select<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Select({} cases)", self.cases.len())
    }
}

impl fmt::Debug for Chosen<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Chosen({})", self.index)
    }
}
