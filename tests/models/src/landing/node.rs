//! The node to which the channel comes home: [`Settling`] and [`Chan`] are the product's. What the
//! home lends is in `lent.rs`.

use std::collections::{BTreeMap, VecDeque};

use channels::chan::{Arrived, Chan, Effect, Received, SendStatus, Sent, Waiter};
use channels::id::{ChannelId, OperationId};
use channels::line::Place;
use channels::settling::{Progress, Settling};
use channels::wire::{Contents, End, Frame, Parcel, Passage, Side};

use super::Bug;
use super::lent::Lent;
use crate::home::{number, parcel};

/// Whoever waits in the channel while it is here. There is one sender and one receiver, so that
/// nothing needs to be known of them.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) struct Here;

impl Waiter for Here {
    const TAKES: bool = true;
    type Kept = ();

    fn keep(&self) {}

    fn kept((): &()) -> Option<Self> {
        None
    }
}

/// Where the channel is, as this node sees it.
#[derive(Clone, Debug, Hash, PartialEq)]
pub(super) enum Home {
    /// In this process.
    Here(Chan<u8, Here>),
    /// At the coordinator.
    Away {
        /// Its name there.
        channel: ChannelId,
        /// Receive handles that arrived and were not given back.
        arrivals: u64,
    },
}

/// How an operation stands.
#[derive(Clone, Copy, Debug, Default, Hash, PartialEq)]
pub(super) enum Operation {
    /// None.
    #[default]
    Idle,
    /// It has a place in the channel here.
    Parked(Place),
    /// The coordinator knows it by this name.
    Remote(OperationId),
}

/// What came of an operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Came {
    /// The send returned, or the receive with this value.
    Value(u8),
    /// The channel has ended and is empty.
    Ended,
}

/// A node with a sender, and a receiver that comes and goes.
#[derive(Clone, Debug, Hash, PartialEq)]
pub(super) struct Node {
    pub(super) bug: Option<Bug>,
    /// The channel.
    pub(super) home: Home,
    /// Frames for the coordinator.
    pub(super) out: VecDeque<Frame>,
    pub(super) settling: Settling,
    /// Answers that nobody has looked at.
    concluded: BTreeMap<OperationId, Answer>,
    next: u64,
    /// The send under way.
    pub(super) send: Operation,
    /// The receive under way.
    pub(super) receive: Operation,
    deciding: Option<(u32, Contents)>,
    landings: u32,
    exports: u128,
    capacity: u32,
    /// Operations that waited when the channel left, until they look.
    moved: BTreeMap<Place, OperationId>,
    successor: Chan<u8, Here>,
    pub(super) lent: Lent,
}

#[derive(Clone, Debug, Hash, PartialEq)]
enum Answer {
    Sent,
    Offered(u8),
    Ended,
    Moved(Option<Place>),
}

fn nothing(_: Effect<Here>) {}

impl Node {
    /// A node where the channel is.
    pub(super) fn new(bug: Option<Bug>, capacity: u32, asks_ahead: bool) -> Self {
        Self {
            bug,
            home: Home::Here(Chan::new(capacity as usize)),
            out: VecDeque::new(),
            settling: Settling::default(),
            concluded: BTreeMap::new(),
            next: 100,
            send: Operation::Idle,
            receive: Operation::Idle,
            deciding: None,
            landings: 0,
            exports: 0,
            capacity,
            moved: BTreeMap::new(),
            successor: Chan::new(capacity as usize),
            lent: Lent { asks_ahead, ..Lent::default() },
        }
    }

    pub(super) fn push(&mut self, frame: Frame) {
        let is_value = matches!(&frame, Frame::Send { parcel, .. } if parcel.passages.is_empty());
        if is_value && self.bug == Some(Bug::HoldsNothing) {
            self.out.push_back(frame);
        } else {
            let _all_look_all_the_time = self.settling.pass(frame, &mut self.out);
        }
    }

    fn name(&mut self) -> OperationId {
        self.next += 1;
        OperationId(self.next)
    }

    /// The sender starts a send.
    pub(super) fn start_send(&mut self, value: u8) {
        self.send = match &mut self.home {
            Home::Here(chan) => match chan.send(value, || Here, &mut nothing) {
                Sent::Done | Sent::Refused(_) => Operation::Idle,
                Sent::Parked(place) => Operation::Parked(place),
            },
            Home::Away { channel, .. } if self.lent.credits > 0 => {
                let channel = *channel;
                self.lent.credits -= 1;
                self.push(Frame::Prepaid { channel, parcels: vec![parcel(value)].into() });
                Operation::Idle
            }
            Home::Away { channel, .. } => {
                let channel = *channel;
                let operation = self.name();
                self.push(Frame::Send { channel, operation, parcel: parcel(value) });
                Operation::Remote(operation)
            }
        };
    }

    /// The sender looks whether its send has returned. It keeps the value until then.
    pub(super) fn poll_send(&mut self, value: u8) -> bool {
        match self.send {
            Operation::Idle => return true,
            Operation::Parked(place) => {
                if let Some(operation) = self.moved.remove(&place) {
                    self.send = Operation::Remote(operation);
                    return self.poll_send(value);
                }
                if let Home::Here(chan) = &mut self.home
                    && chan.send_status(place) == SendStatus::Waiting
                {
                    return false;
                }
                self.send = Operation::Idle;
            }
            Operation::Remote(operation) => match self.concluded.remove(&operation) {
                None => return false,
                Some(Answer::Moved(Some(place))) => {
                    self.send = Operation::Parked(place);
                    return self.poll_send(value);
                }
                Some(Answer::Moved(None)) => {
                    self.start_send(value);
                    return self.send == Operation::Idle;
                }
                Some(_) => self.send = Operation::Idle,
            },
        }
        true
    }

    /// The sender closes the channel.
    pub(super) fn close(&mut self) {
        match &mut self.home {
            Home::Here(chan) => drop(chan.finish(End::Closed, &mut nothing)),
            Home::Away { channel, .. } => {
                let channel = *channel;
                let operation = self.name();
                self.push(Frame::Close { channel, operation });
                // Whether it was the first is told to nobody here; but it must not be forgotten.
                self.send = Operation::Remote(operation);
            }
        }
    }

    /// Whether the close has happened; if the channel came home in between, it happens now.
    pub(super) fn poll_close(&mut self) -> bool {
        let Operation::Remote(operation) = self.send else { return true };
        match self.concluded.remove(&operation) {
            None => false,
            Some(Answer::Moved(_)) => {
                self.send = Operation::Idle;
                self.close();
                self.send == Operation::Idle
            }
            Some(_) => {
                self.send = Operation::Idle;
                true
            }
        }
    }

    /// The receiver starts a receive.
    pub(super) fn start_receive(&mut self) -> Option<Came> {
        match &mut self.home {
            Home::Here(chan) => match chan.receive(&mut nothing) {
                Received::Message(value) => return Some(Came::Value(value)),
                Received::Ended(_) => return Some(Came::Ended),
                Received::Empty => self.receive = Operation::Parked(chan.wait_receive(|| Here)),
            },
            Home::Away { channel, .. } => {
                let channel = *channel;
                if let Some((first, value)) = self.lent.stock.pop_front() {
                    self.push(Frame::Took { channel, first, count: 1 });
                    return Some(Came::Value(value));
                }
                if self.lent.asks_ahead {
                    let seen = self.lent.seen;
                    self.push(Frame::Ahead { channel, window: 1, seen });
                }
                let operation = self.name();
                self.push(Frame::Receive { channel, operation, select: 0 });
                self.receive = Operation::Remote(operation);
            }
        }
        None
    }

    /// The receiver looks whether it has something.
    pub(super) fn poll_receive(&mut self) -> Option<Came> {
        let operation = match self.receive {
            Operation::Idle => return None,
            Operation::Parked(place) => {
                let Home::Here(chan) = &mut self.home else { return None };
                let came = match chan.accept(place, &mut nothing) {
                    Some(value) => Came::Value(value),
                    None if chan.rewait_receive(place, Here) => return None,
                    None => Came::Ended,
                };
                self.receive = Operation::Idle;
                return Some(came);
            }
            Operation::Remote(operation) => operation,
        };
        let Home::Away { channel, .. } = self.home else { return self.look_here(operation) };
        if self.settling.progress(channel) != Progress::Away
            && matches!(self.concluded.get(&operation), Some(Answer::Offered(_)))
            && self.bug != Some(Bug::TakesWhileSettling)
        {
            return None;
        }
        match self.concluded.remove(&operation)? {
            Answer::Offered(value) => {
                self.receive = Operation::Idle;
                self.push(Frame::Accept { channel, operation });
                Some(Came::Value(value))
            }
            Answer::Moved(_) => self.start_receive(),
            Answer::Sent => None,
            Answer::Ended => {
                self.receive = Operation::Idle;
                Some(Came::Ended)
            }
        }
    }

    fn look_here(&mut self, operation: OperationId) -> Option<Came> {
        match self.concluded.remove(&operation)? {
            Answer::Moved(Some(place)) => {
                self.receive = Operation::Parked(place);
                self.poll_receive()
            }
            _ => self.start_receive(),
        }
    }

    /// The receiver gives its receive up.
    pub(super) fn give_up(&mut self) {
        match std::mem::take(&mut self.receive) {
            Operation::Idle => {}
            Operation::Parked(place) => {
                if let Home::Here(chan) = &mut self.home {
                    chan.decline(place, &mut nothing);
                }
            }
            Operation::Remote(operation) => match (self.concluded.remove(&operation), &self.home) {
                (Some(Answer::Moved(Some(place))), _) => {
                    self.receive = Operation::Parked(place);
                    self.give_up();
                }
                (None | Some(Answer::Offered(_)), Home::Away { channel, .. }) => {
                    let channel = *channel;
                    self.push(Frame::Decline { channel, operation });
                }
                _ => {}
            },
        }
    }

    /// The receive handle is being encoded: the channel leaves if it is here.
    pub(super) fn encode(&mut self) -> Passage {
        if let Home::Here(_) = self.home {
            self.export();
        }
        let Home::Away { channel, .. } = self.home else { unreachable!("it has left") };
        if self.bug != Some(Bug::ForgetsDepartures) {
            self.settling.depart(channel);
        }
        Passage { channel, side: Side::Receive, capacity: self.capacity }
    }

    /// It leaves in a value on another channel, and is no longer here.
    pub(super) fn post(&mut self, letters: ChannelId, passage: Passage) {
        let parcel = Parcel { passages: vec![passage], ..Parcel::default() };
        let operation = self.name();
        let Passage { channel, side, .. } = passage;
        let letter = Frame::Send { channel: letters, operation, parcel };
        let Home::Away { arrivals, .. } = &mut self.home else {
            // Only with a bug: it came home under the eyes of a handle that leaves.
            self.push(letter);
            return;
        };
        let arrivals = std::mem::take(arrivals) as u32;
        if self.bug == Some(Bug::ForgetsDepartures) {
            self.out.push_back(letter);
        } else {
            self.push(letter);
        }
        self.untake(channel);
        self.push(Frame::Detach { channel, side, arrivals });
    }

    fn export(&mut self) {
        let Home::Here(chan) = &mut self.home else { return };
        self.exports += 1;
        let channel = ChannelId(self.exports);
        let end = chan.ended().cloned();
        self.successor = chan.successor();
        let mut parts = chan.dismantle();
        self.home = Home::Away { channel, arrivals: 1 };
        self.lent = Lent { asks_ahead: self.lent.asks_ahead, ..Lent::default() };
        let capacity = self.capacity;
        self.push(Frame::Export { channel, capacity, senders: 1, receivers: 1 });
        if self.landings > 0 {
            self.push(Frame::Keep { channel, landings: self.landings });
        }
        for value in parts.sent.drain(..) {
            self.push(Frame::Restore { channel, parcel: parcel(value) });
        }
        for (place, value, _) in parts.sends {
            let (operation, parcel) = (self.name(), parcel(value));
            self.push(Frame::Send { channel, operation, parcel });
            self.moved.insert(place, operation);
        }
        if end.is_some() {
            self.push(Frame::Close { channel, operation: OperationId(0) });
        }
    }

    /// A frame came.
    pub(super) fn hear(&mut self, frame: Frame) {
        match frame {
            Frame::Sent { operation } | Frame::Closed { operation, .. } => {
                self.conclude(operation, Answer::Sent);
            }
            Frame::Refused { operation, .. } => self.conclude(operation, Answer::Ended),
            Frame::Offer { operation, parcel, .. } => {
                self.conclude(operation, Answer::Offered(number(&parcel)));
            }
            Frame::Ended { operation, .. } => self.conclude(operation, Answer::Ended),
            Frame::Approach { channel, landings } => self.approach(channel, landings),
            Frame::Again { operation, .. } => self.conclude(operation, Answer::Moved(None)),
            Frame::Credit { channel, credits, detaches } => {
                // The sender is always here; but the channel may have come and gone.
                if self.is_at(channel) {
                    self.lent.credits += credits;
                } else {
                    self.push(Frame::Repay { channel, credits, detaches });
                }
            }
            Frame::Revoke { channel } if self.is_at(channel) => {
                let repaid = self.repay(channel);
                repaid.into_iter().for_each(|frame| self.push(frame));
            }
            Frame::Early { channel, first, detaches, parcels, .. } => {
                self.on_early(channel, first, detaches, &parcels.iter().collect::<Vec<_>>());
            }
            Frame::Recall { channel } if self.is_at(channel) => self.untake(channel),
            Frame::Revoke { .. } | Frame::Recall { .. } => {}
            Frame::Land { channel, landings, contents } => {
                let _all_look_all_the_time =
                    self.settling.on_land(channel, landings, contents, &mut self.out);
            }
            Frame::Stay { channel, landings } => {
                self.settling.on_stay(channel, landings, &mut self.out);
            }
            other => panic!("a node is sent no {other}"),
        }
    }

    fn conclude(&mut self, operation: OperationId, answer: Answer) {
        let waits = [self.send, self.receive].contains(&Operation::Remote(operation));
        if waits || self.moved.values().any(|moved| *moved == operation) {
            self.concluded.insert(operation, answer);
        }
    }

    /// A receive handle arrived.
    pub(super) fn arrive(&mut self) {
        if let Home::Away { arrivals, .. } = &mut self.home {
            *arrivals += 1;
            self.lent.since = self.settling.detaches();
        }
    }

    /// Begins to take the channel over, if it can be.
    pub(super) fn begin_landing(&mut self) -> bool {
        let Home::Away { channel, .. } = self.home else { return false };
        if self.deciding.is_none() {
            self.deciding = self.settling.begin(channel);
            return self.deciding.is_some();
        }
        false
    }

    /// Whether a landing is to be decided.
    pub(super) fn is_deciding(&self) -> bool {
        self.deciding.is_some()
    }

    /// Takes the channel over, or not. True if it is here now.
    pub(super) fn finish_landing(&mut self) -> bool {
        let Some((landings, contents)) = self.deciding.take() else { return false };
        let Home::Away { channel, arrivals } = self.home else { return false };
        if contents.receivers != arrivals || !self.moved.is_empty() {
            self.settling.give_up(channel, landings, &mut self.out);
            return false;
        }
        let Some(held) = self.settling.finish(channel, landings, &mut self.out) else {
            self.settling.give_up(channel, landings, &mut self.out);
            return false;
        };
        self.landings = landings;
        let mut chan = self.successor.clone();
        let mut values: Vec<u8> = contents.values.iter().map(number).collect();
        let sending = values.split_off(values.len() - contents.sends.len());
        let is_awaited = |operation: &OperationId| {
            [self.send, self.receive].contains(&Operation::Remote(*operation))
        };
        let sends = contents.sends.iter().zip(sending).filter(|(name, _)| is_awaited(name));
        let (send_names, sends): (Vec<OperationId>, Vec<(u8, Here)>) =
            sends.map(|(name, value)| (*name, (value, Here))).unzip();
        let receives: Vec<OperationId> =
            contents.receives.iter().copied().filter(is_awaited).collect();
        let waiting = receives.iter().map(|_| Here).collect();
        let Arrived { sends, receives: places } =
            chan.arrive(values, sends, waiting, contents.end, &mut nothing);
        self.home = Home::Here(chan);
        let along = send_names.into_iter().zip(sends).chain(receives.into_iter().zip(places));
        if self.bug != Some(Bug::LeavesWaiting) {
            for (operation, place) in along {
                self.conclude(operation, Answer::Moved(Some(place)));
            }
        }
        if self.bug != Some(Bug::DropsHeld) {
            let held = held.closes.into_iter().chain(held.others);
            held.for_each(|operation| self.conclude(operation, Answer::Moved(None)));
        }
        true
    }
}
