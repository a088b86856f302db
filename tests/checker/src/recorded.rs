//! Handles that write down what is done with them.
//!
//! [`Out`] and [`In`] are a sender and a receiver that know their channel's number; they travel in
//! messages and arguments as the bare handles do. A task does its operations through its
//! [`Recorded`]. What is sent is a [`Named`]: the value's name, and a load of the user's.

use std::sync::Arc;

use channels::{
    AlreadyClosed, Leased, Message, Receiver, RecvError, Select, SendError, Sender, TryRecvError,
    TrySendError,
};
use serde::{Deserialize, Serialize};

use crate::record::{Kind, Outcome, ValueId};
use crate::recorder::{Begun, TaskLog};

/// A message with a name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Named<L> {
    /// Which value it is.
    pub id: ValueId,
    /// What the program sends.
    pub load: L,
}

/// A sender, and the number of its channel in the records.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "L: Message")]
pub struct Out<L> {
    /// The number.
    pub channel: u32,
    /// The handle.
    pub sender: Sender<Named<L>>,
}

/// A receiver, and the number of its channel in the records.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "L: Message")]
pub struct In<L> {
    /// The number.
    pub channel: u32,
    /// The handle.
    pub receiver: Receiver<Named<L>>,
}

/// Makes a channel with a number.
pub fn channel<L: Message>(channel: u32, capacity: usize) -> (Out<L>, In<L>) {
    let (sender, receiver) = channels::channel(capacity);
    (Out { channel, sender }, In { channel, receiver })
}

/// A case of a select.
pub enum Case<'a, L> {
    /// Receive.
    Receive(&'a In<L>),
    /// Send this.
    Send(&'a Out<L>, L),
}

/// What a select came to.
#[derive(Debug)]
pub enum Chosen<L> {
    /// The receive of this index, and what it yielded.
    Received(usize, Result<Named<L>, RecvError>),
    /// The send of this index, and whether the value went.
    Sent(usize, Result<(), SendError<Named<L>>>),
}

/// A task's recording operations.
///
/// ```
/// use checker::{Channel, History, Recorded, Recorder, check, monotonic, recorded};
///
/// # futures::executor::block_on(async {
/// let recorder = Recorder::new(0, monotonic);
/// let task = Recorded::new(recorder.task(1));
/// let (out, here) = recorded::channel(1, 1);
/// task.send(&out, "hello".to_owned()).await.unwrap();
/// assert_eq!(task.recv(&here).await.unwrap().load, "hello");
///
/// let mut history = History::default();
/// history.channels.push(Channel { id: 1, capacity: 1, held: true });
/// history.merge(recorder.records());
/// assert!(check(&history).is_empty());
/// # })
/// ```
#[derive(Clone)]
pub struct Recorded {
    log: Arc<TaskLog>,
}

impl Recorded {
    /// Records into a task's log.
    pub fn new(log: Arc<TaskLog>) -> Self {
        Self { log }
    }

    fn begin(&self, channel: u32, kind: Kind) -> Begun {
        self.log.begin(channel, kind, None, 0)
    }

    fn begin_send<L>(&self, channel: u32, kind: Kind, load: L, select: u32) -> (Begun, Named<L>) {
        let id = self.log.value(channel);
        (self.log.begin(channel, kind, Some(id), select), Named { id, load })
    }

    /// As [`Sender::send`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there; the record then says that the send was given up.
    pub async fn send<L: Message>(&self, out: &Out<L>, load: L) -> Result<(), SendError<Named<L>>> {
        let (begun, named) = self.begin_send(out.channel, Kind::Send, load, 0);
        let sent = out.sender.send(named).await;
        begun.end(sent_outcome(&sent), None);
        sent
    }

    /// As [`Sender::try_send`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As [`Recorded::send`].
    pub async fn try_send<L: Message>(
        &self,
        out: &Out<L>,
        load: L,
    ) -> Result<(), TrySendError<Named<L>>> {
        let (begun, named) = self.begin_send(out.channel, Kind::TrySend, load, 0);
        let sent = out.sender.try_send(named).await;
        let outcome = match &sent {
            Ok(()) => Outcome::Ok,
            Err(TrySendError::Full(_)) => Outcome::WouldBlock,
            Err(TrySendError::Lost(..)) => Outcome::Lost,
            Err(TrySendError::Closed(_) | TrySendError::Unsendable(..)) => Outcome::Closed,
        };
        begun.end(outcome, None);
        sent
    }

    /// As [`Receiver::recv`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there; the record then says that the receive was given up.
    pub async fn recv<L: Message>(&self, here: &In<L>) -> Result<Named<L>, RecvError> {
        let begun = self.begin(here.channel, Kind::Receive);
        let received = here.receiver.recv().await;
        end_receive(begun, &received);
        received
    }

    /// As [`Receiver::recv_leased`]. It counts as a receive that ends when it is acknowledged.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As [`Recorded::recv`].
    pub async fn recv_leased<L: Message>(&self, here: &In<L>) -> Result<Held<L>, RecvError> {
        let begun = self.begin(here.channel, Kind::Receive);
        match here.receiver.recv_leased().await {
            Ok(lease) => Ok(Held { lease, begun }),
            Err(error) => {
                end_receive(begun, &Err::<Named<L>, _>(error.clone()));
                Err(error)
            }
        }
    }

    /// As [`Receiver::try_recv`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As [`Recorded::recv`].
    pub async fn try_recv<L: Message>(&self, here: &In<L>) -> Result<Named<L>, TryRecvError> {
        let begun = self.begin(here.channel, Kind::TryReceive);
        let received = here.receiver.try_recv().await;
        match &received {
            Ok(named) => begun.end(Outcome::Ok, Some(named.id)),
            Err(TryRecvError::Empty) => begun.end(Outcome::WouldBlock, None),
            Err(TryRecvError::Lost(_)) => begun.end(Outcome::Lost, None),
            Err(_) => begun.end(Outcome::Closed, None),
        }
        received
    }

    /// As [`Sender::close`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn close<L: Message>(&self, out: &Out<L>) -> Result<(), AlreadyClosed> {
        let begun = self.begin(out.channel, Kind::Close);
        let closed = out.sender.close().await;
        begun.end(closed.map_or(Outcome::AlreadyClosed, |()| Outcome::Ok), None);
        closed
    }

    /// A select that waits.
    ///
    /// # Cancel safety
    ///
    /// As [`Select::wait`]; each case then counts as given up.
    pub async fn select<L: Message>(&self, cases: Vec<Case<'_, L>>) -> Chosen<L> {
        let (select, begun, ends) = self.begin_select(cases, [Kind::Send, Kind::Receive]);
        let mut chosen = select.wait().await;
        conclude(&mut chosen, begun, &ends)
    }

    /// A select with a default; `None` is the default.
    ///
    /// # Cancel safety
    ///
    /// As [`Recorded::select`].
    pub async fn select_now<L: Message>(&self, cases: Vec<Case<'_, L>>) -> Option<Chosen<L>> {
        let (select, begun, ends) = self.begin_select(cases, [Kind::TrySend, Kind::TryReceive]);
        match select.try_now().await {
            Some(mut chosen) => Some(conclude(&mut chosen, begun, &ends)),
            None => {
                begun.into_iter().for_each(|case| case.end(Outcome::WouldBlock, None));
                None
            }
        }
    }

    fn begin_select<'a, L: Message>(
        &self,
        cases: Vec<Case<'a, L>>,
        [sends, receives]: [Kind; 2],
    ) -> (Select<'a>, Vec<Begun>, Vec<End<'a, L>>) {
        let name = self.log.select();
        let mut select = Select::new();
        let (mut begun, mut ends) = (Vec::new(), Vec::new());
        for case in cases {
            match case {
                Case::Receive(here) => {
                    begun.push(self.log.begin(here.channel, receives, None, name));
                    select.recv(&here.receiver);
                    ends.push(End::Receive(here));
                }
                Case::Send(out, load) => {
                    let (case, named) = self.begin_send(out.channel, sends, load, name);
                    begun.push(case);
                    select.send(&out.sender, named);
                    ends.push(End::Send(out));
                }
            }
        }
        (select, begun, ends)
    }
}

/// A value on lease. If it is dropped, its receive was given up.
pub struct Held<L: Message> {
    lease: Leased<Named<L>>,
    begun: Begun,
}

impl<L: Message> Held<L> {
    /// As [`Leased::ack`].
    pub fn ack(self) -> Named<L> {
        let Self { lease, begun } = self;
        let named = lease.ack();
        begun.end(Outcome::Ok, Some(named.id));
        named
    }
}

enum End<'a, L> {
    Receive(&'a In<L>),
    Send(&'a Out<L>),
}

/// Notes the case that happened first: the others end later.
fn conclude<L: Message>(
    chosen: &mut channels::Chosen<'_>,
    begun: Vec<Begun>,
    ends: &[End<'_, L>],
) -> Chosen<L> {
    let index = chosen.index();
    let result = match &ends[index] {
        End::Receive(here) => Chosen::Received(index, chosen.received(&here.receiver)),
        End::Send(out) => Chosen::Sent(index, chosen.sent(&out.sender)),
    };
    for (at, case) in begun.into_iter().enumerate() {
        match &result {
            Chosen::Received(_, received) if at == index => end_receive(case, received),
            Chosen::Sent(_, sent) if at == index => case.end(sent_outcome(sent), None),
            _ => case.end(Outcome::NotChosen, None),
        }
    }
    result
}

fn sent_outcome<T>(sent: &Result<(), SendError<T>>) -> Outcome {
    match sent {
        Ok(()) => Outcome::Ok,
        Err(SendError::Lost(..)) => Outcome::Lost,
        Err(SendError::Closed(_) | SendError::Unsendable(..)) => Outcome::Closed,
    }
}

fn end_receive<L>(begun: Begun, received: &Result<Named<L>, RecvError>) {
    match received {
        Ok(named) => begun.end(Outcome::Ok, Some(named.id)),
        Err(RecvError::Lost(_)) => begun.end(Outcome::Lost, None),
        Err(RecvError::Closed | RecvError::Malformed(_)) => begun.end(Outcome::Closed, None),
    }
}
