//! A channel that leaves its node and comes home, while values go through it, receives are given up
//! and it is closed: migration, offers and close in one (contract D2, D6, D8).
//!
//! One node has the sender and, at first, the receiver and the channel. The receiver goes to
//! another node and back, in letters on channels of their own. The coordinator may try to land the
//! channel whenever it may; before, it may lend credits and offer values ahead. Relay, `Settling`
//! and `Chan` are the product's.

mod lent;
mod node;
mod there;

use std::collections::VecDeque;

use channels::id::{ChannelId, OperationId, SessionId};
use channels::wire::{Frame, Parcel, Passage, Side};
use stateright::{Model, Property};

use crate::home::{Answers, Flying, Home, number};
use node::{Came, Home as Place, Node};
use there::There;

/// A rule that is broken on purpose.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub enum Bug {
    /// The node sends on after it has said that it will not.
    HoldsNothing,
    /// A value that is on offer may be taken in between.
    TakesWhileSettling,
    /// A handle that is being encoded does not keep the channel away.
    ForgetsDepartures,
    /// What waits in the channel does not come along.
    LeavesWaiting,
    /// What was held back is forgotten.
    DropsHeld,
    /// Early offers are not given back before the channel comes.
    KeepsStock,
}

/// A channel between two nodes.
#[derive(Clone, Copy, Debug)]
pub struct Landings {
    /// The rule that is broken.
    pub bug: Option<Bug>,
    /// Of the channel.
    pub capacity: u32,
    /// Values that are sent.
    pub values: u8,
    /// How often the receiver goes on.
    pub passes: u8,
    /// How often a receive is given up.
    pub gives_up: u8,
    /// How often the coordinator looks whether the channel could land.
    pub ticks: u8,
    /// Whether the node asks for values ahead of its receives.
    pub asks_ahead: bool,
}

const HERE: SessionId = SessionId(0);
const THERE: SessionId = SessionId(1);
/// Letters to the other node, and back.
const OUT: ChannelId = ChannelId(1000);
const BACK: ChannelId = ChannelId(1001);

/// The home, the nodes, and what came.
#[derive(Clone, Debug, Hash, PartialEq)]
pub struct State {
    home: Home,
    here: Node,
    there: There,
    down: [VecDeque<Flying>; 2],
    up_there: VecDeque<Flying>,
    sender: Sender,
    sent: u8,
    receiver: Receiver,
    received: Vec<u8>,
    /// The node waits for letters.
    letters: u64,
    passes: u8,
    gives_up: u8,
    ticks: u8,
    landed: u8,
    violation: bool,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq)]
enum Sender {
    Idle,
    Sends,
    Closes,
    Done,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq)]
enum Receiver {
    /// Idle, or with a receive under way, in the one node or the other.
    At(SessionId),
    Receives(SessionId),
    /// It is being encoded.
    Leaves(ChannelId),
    Travels,
    Ended,
}

/// What happens next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// The sender starts a send, or the close.
    Send,
    /// It looks.
    PollSend,
    /// The receiver starts a receive.
    Receive,
    /// It looks.
    PollReceive,
    /// It gives up.
    GiveUp,
    /// Its handle is encoded.
    Encode,
    /// And leaves.
    Post,
    /// The coordinator reads from a node.
    Read(usize),
    /// A node reads.
    Hear(usize),
    /// Time passes at the coordinator.
    Tick,
    /// The node decodes what is in the channel.
    Begin,
    /// And takes it over.
    Finish,
}

impl Model for Landings {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let mut home = Home::new([HERE, THERE]);
        for (from, to, channel) in [(HERE, THERE, OUT), (THERE, HERE, BACK)] {
            let export = Frame::Export { channel, capacity: 1, senders: 1, receivers: 1 };
            home.take(from, export).expect("a new channel");
            home.pass(from, to, Passage { channel, side: Side::Receive, capacity: 1 });
            let detach = Frame::Detach { channel, side: Side::Receive, arrivals: 1 };
            home.take(from, detach).expect("it has one");
            let receive = Frame::Receive { channel, operation: OperationId(1), select: 0 };
            home.take(to, receive).expect("it has a handle");
        }
        vec![State {
            home,
            here: Node::new(self.bug, self.capacity, self.asks_ahead),
            there: There { next: 1, ..There::default() },
            down: Default::default(),
            up_there: VecDeque::new(),
            sender: Sender::Idle,
            sent: 0,
            receiver: Receiver::At(HERE),
            received: Vec::new(),
            letters: 1,
            passes: 0,
            gives_up: 0,
            ticks: 0,
            landed: 0,
            violation: false,
        }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        state.progress(self, steps);
        if state.ticks < self.ticks {
            steps.push(Step::Tick);
        }
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut state = last.clone();
        match step {
            Step::Send => state.start_send(self),
            Step::PollSend => state.poll_send(),
            Step::Receive => state.start_receive(),
            Step::PollReceive => state.poll_receive(),
            Step::GiveUp => state.give_up(),
            Step::Encode => state.encode(),
            Step::Post => state.post(),
            Step::Read(at) => state.read(at)?,
            Step::Hear(at) => state.hear(at)?,
            Step::Tick => {
                state.ticks += 1;
                let answers = state.home.tick();
                state.deliver(answers);
            }
            Step::Begin => drop(state.here.begin_landing()),
            Step::Finish => state.landed += u8::from(state.here.finish_landing()),
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("in order, each once", |_, state: &State| {
                (1..).zip(&state.received).all(|(n, value)| n == *value)
            }),
            Property::always("closed after the last", |model: &Self, state: &State| {
                state.receiver != Receiver::Ended
                    || state.received.len() == usize::from(model.values)
            }),
            Property::always("capacity", |model: &Self, state: &State| {
                let returned = state.sent - u8::from(state.sender == Sender::Sends);
                let held = usize::from(returned).saturating_sub(state.received.len());
                // A receive that has begun may have a value that its task has not seen; and one
                // that was given up may have left one too many, for a while.
                let under_way = u32::from(matches!(state.receiver, Receiver::Receives(_)));
                held <= (model.capacity + under_way + u32::from(state.gives_up)) as usize
            }),
            Property::always("each has its rights", |_, state: &State| !state.violation),
            Property::always("nobody waits for ever", |model: &Self, state: &State| {
                let mut steps = Vec::new();
                state.progress(model, &mut steps);
                steps.retain(|step| model.next_state(state, step.clone()).is_some());
                !steps.is_empty() || state.is_over()
            }),
            Property::sometimes("it ends at home", |_, state: &State| {
                state.is_over() && state.landed > 0 && matches!(state.here.home, Place::Here(_))
            }),
            Property::sometimes("it ends away, having landed", |model: &Self, state: &State| {
                let is_away = matches!(state.here.home, Place::Away { .. });
                model.passes < 3 || state.is_over() && state.landed > 0 && is_away
            }),
        ]
    }
}

impl State {
    fn is_over(&self) -> bool {
        self.sender == Sender::Done && self.receiver == Receiver::Ended
    }

    /// What can happen without time passing.
    fn progress(&self, model: &Landings, steps: &mut Vec<Step>) {
        match self.sender {
            Sender::Idle => steps.push(Step::Send),
            Sender::Sends | Sender::Closes => steps.push(Step::PollSend),
            Sender::Done => {}
        }
        match self.receiver {
            Receiver::At(_) => {
                steps.push(Step::Receive);
                if self.passes < model.passes {
                    steps.push(Step::Encode);
                }
            }
            Receiver::Receives(_) => {
                steps.push(Step::PollReceive);
                if self.gives_up < model.gives_up {
                    steps.push(Step::GiveUp);
                }
            }
            Receiver::Leaves(_) => steps.push(Step::Post),
            Receiver::Travels | Receiver::Ended => {}
        }
        let ups = [!self.here.out.is_empty(), !self.up_there.is_empty()];
        for (at, has_said) in ups.into_iter().enumerate() {
            if has_said {
                steps.push(Step::Read(at));
            }
            if !self.down[at].is_empty() {
                steps.push(Step::Hear(at));
            }
        }
        steps.push(if self.here.is_deciding() { Step::Finish } else { Step::Begin });
    }

    fn start_send(&mut self, model: &Landings) {
        if self.sent == model.values {
            self.here.close();
            self.sender = Sender::Closes;
        } else {
            self.sent += 1;
            self.here.start_send(self.sent);
            self.sender = Sender::Sends;
        }
        self.poll_send();
    }

    fn poll_send(&mut self) {
        match self.sender {
            Sender::Sends if self.here.poll_send(self.sent) => self.sender = Sender::Idle,
            Sender::Closes if self.here.poll_close() => self.sender = Sender::Done,
            _ => {}
        }
    }

    fn start_receive(&mut self) {
        if self.receiver == Receiver::At(HERE) {
            self.receiver = Receiver::Receives(HERE);
            let came = self.here.start_receive();
            self.take(came, HERE);
        } else if let Some(channel) = self.there.passage {
            self.receiver = Receiver::Receives(THERE);
            let operation = self.there.name();
            self.there.receive = operation.0;
            self.say(Frame::Receive { channel, operation, select: 0 });
        }
    }

    fn poll_receive(&mut self) {
        if self.receiver == Receiver::Receives(HERE) {
            let came = self.here.poll_receive();
            return self.take(came, HERE);
        }
        let Some(channel) = self.there.passage else { return };
        let operation = OperationId(self.there.receive);
        if let Some(value) = self.there.offered.take() {
            self.say(Frame::Accept { channel, operation });
            self.take(Some(Came::Value(value)), THERE);
        } else if self.there.ended {
            self.take(Some(Came::Ended), THERE);
        }
    }

    fn take(&mut self, came: Option<Came>, at: SessionId) {
        match came {
            None => return,
            Some(Came::Value(value)) => self.received.push(value),
            Some(Came::Ended) => {
                self.receiver = Receiver::Ended;
                return;
            }
        }
        self.receiver = Receiver::At(at);
    }

    fn give_up(&mut self) {
        self.gives_up += 1;
        if self.receiver == Receiver::Receives(HERE) {
            self.here.give_up();
            self.receiver = Receiver::At(HERE);
        } else if let Some(channel) = self.there.passage {
            let operation = OperationId(std::mem::take(&mut self.there.receive));
            self.there.offered = None;
            self.there.ended = false;
            self.say(Frame::Decline { channel, operation });
            self.receiver = Receiver::At(THERE);
        }
    }

    fn encode(&mut self) {
        self.passes += 1;
        if self.receiver == Receiver::At(HERE) {
            let passage = self.here.encode();
            self.receiver = Receiver::Leaves(passage.channel);
        } else if let Some(channel) = self.there.passage.take() {
            let passages = vec![Passage { channel, side: Side::Receive, capacity: 0 }];
            let parcel = Parcel { passages, ..Parcel::default() };
            let operation = self.there.name();
            self.say(Frame::Send { channel: BACK, operation, parcel });
            self.say(Frame::Detach { channel, side: Side::Receive, arrivals: 1 });
            self.receiver = Receiver::Travels;
        }
    }

    fn post(&mut self) {
        let Receiver::Leaves(channel) = self.receiver else { return };
        self.here.post(OUT, Passage { channel, side: Side::Receive, capacity: 0 });
        self.receiver = Receiver::Travels;
    }

    fn say(&mut self, frame: Frame) {
        self.up_there.push_back(Flying(frame));
    }

    fn read(&mut self, at: usize) -> Option<()> {
        let (session, frame) = match at {
            0 => (HERE, self.here.out.pop_front()?),
            _ => (THERE, self.up_there.pop_front()?.0),
        };
        match self.home.take(session, frame) {
            Ok(answers) => self.deliver(answers),
            Err(_) => self.violation = true,
        }
        Some(())
    }

    fn deliver(&mut self, answers: Answers) {
        for (session, frame) in answers {
            self.down[session.0 as usize].push_back(Flying(frame));
        }
    }

    fn hear(&mut self, at: usize) -> Option<()> {
        let Flying(frame) = self.down[at].pop_front()?;
        if at == 0 {
            self.hear_here(frame);
        } else {
            self.hear_there(frame);
        }
        Some(())
    }

    fn hear_here(&mut self, frame: Frame) {
        match frame {
            Frame::Offer { operation, parcel, .. } if !parcel.passages.is_empty() => {
                self.here.arrive();
                self.here.out.push_back(Frame::Accept { channel: BACK, operation });
                self.letters += 1;
                let operation = OperationId(self.letters);
                let receive = Frame::Receive { channel: BACK, operation, select: 0 };
                self.here.out.push_back(receive);
                self.receiver = Receiver::At(HERE);
            }
            frame => self.here.hear(frame),
        }
    }

    fn hear_there(&mut self, frame: Frame) {
        match frame {
            Frame::Offer { operation, parcel, .. } if !parcel.passages.is_empty() => {
                self.there.passage = Some(parcel.passages[0].channel);
                self.say(Frame::Accept { channel: OUT, operation });
                let operation = self.there.name();
                self.say(Frame::Receive { channel: OUT, operation, select: 0 });
                self.receiver = Receiver::At(THERE);
            }
            Frame::Offer { operation, parcel, .. } if operation.0 == self.there.receive => {
                self.there.offered = Some(number(&parcel));
            }
            Frame::Ended { operation, .. } if operation.0 == self.there.receive => {
                self.there.ended = true;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
