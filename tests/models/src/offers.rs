//! Offer, accept and decline, with workers that are fenced and run on (contract D1, D3, D5, D6).
//!
//! One node sends a few values, two workers receive. A receive may be given up at any time, also
//! when its offer is on the way. Whoever has taken a value acts on it, visibly for all. At any time
//! one of the workers may be fenced; it does not know, and goes on. The home is the product's.

use channels::id::{OperationId, SessionId};
use channels::wire::{Frame, Passage, Side};
use stateright::{Model, Property};
use std::collections::VecDeque;

use crate::home::{Answers, CHANNEL, Flying, Home, number, parcel};

/// A rule that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// What a fenced worker does is seen.
    NoFence,
    /// A worker acts on a value before it has said that it took it.
    EffectFirst,
    /// A worker says that it took a value when it comes, not when a task has it.
    AcceptsOnArrival,
    /// A value on offer to a worker that is fenced counts as taken.
    DropsOffers,
}

/// Two workers that receive from one channel.
#[derive(Clone, Copy, Debug)]
pub struct Offers {
    /// The rule that is broken.
    pub bug: Option<Bug>,
    /// Of the channel.
    pub capacity: u32,
    /// How many values are sent.
    pub values: u8,
    /// How many receives each worker starts.
    pub receives: u64,
}

const SENDER: SessionId = SessionId(9);
const WORKERS: [SessionId; 2] = [SessionId(0), SessionId(1)];

/// The home, the nodes, and what is seen of them.
#[derive(Clone, Debug, Hash, PartialEq)]
pub struct State {
    home: Home,
    workers: [Worker; 2],
    /// Values that the sender has sent, and those whose send has returned.
    sent: u8,
    returned: u8,
    /// To the home, from the sender and from each worker.
    sending: VecDeque<Flying>,
    fenced: Option<usize>,
    /// Whether a receive was given up, so that the order may have an exception.
    given_up: bool,
    /// Values that have come to the home.
    came: u8,
    /// Whose takes the home knows, in order.
    committed: Vec<(u8, usize)>,
    /// Values that were acted on, as all can see.
    effects: Vec<u8>,
    /// Something that the home would cut a session off for.
    violation: bool,
}

#[derive(Clone, Debug, Default, Hash, PartialEq)]
struct Worker {
    started: u64,
    receive: Receive,
    up: VecDeque<Said>,
    down: VecDeque<Flying>,
}

/// What a worker says to the home.
#[derive(Clone, Debug, Hash, PartialEq)]
enum Said {
    Frame(Flying),
    /// Its task took a value.
    Took(OperationId, u8),
    /// It acts on a value.
    Effect(u8),
}

#[derive(Clone, Copy, Debug, Default, Hash, PartialEq)]
enum Receive {
    #[default]
    None,
    Waits,
    Offered(u8),
}

/// What happens next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// The sender starts a send.
    Send,
    /// The home reads from the sender.
    ReadSender,
    /// A worker starts a receive.
    Receive(usize),
    /// Its task takes the value.
    Take(usize),
    /// Its task gives up.
    GiveUp(usize),
    /// The home reads from it.
    ReadWorker(usize),
    /// It reads from the home.
    Hear(usize),
    /// The home fences it.
    Fence(usize),
}

impl Model for Offers {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let mut home = Home::new([SENDER, WORKERS[0], WORKERS[1]]);
        let (channel, capacity) = (CHANNEL, self.capacity);
        let export = Frame::Export { channel, capacity, senders: 1, receivers: 1 };
        home.take(SENDER, export).expect("a new channel");
        let passage = Passage { channel, side: Side::Receive, capacity };
        WORKERS.iter().for_each(|worker| home.pass(SENDER, *worker, passage));
        vec![State {
            home,
            workers: Default::default(),
            sent: 0,
            returned: 0,
            sending: VecDeque::new(),
            fenced: None,
            given_up: false,
            came: 0,
            committed: Vec::new(),
            effects: Vec::new(),
            violation: false,
        }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        // One send at a time, as one task does it.
        if state.sent < self.values && state.sent == state.returned {
            steps.push(Step::Send);
        }
        if !state.sending.is_empty() {
            steps.push(Step::ReadSender);
        }
        for (at, worker) in state.workers.iter().enumerate() {
            match worker.receive {
                Receive::None if worker.started < self.receives => steps.push(Step::Receive(at)),
                Receive::None => {}
                Receive::Waits => steps.push(Step::GiveUp(at)),
                Receive::Offered(_) => steps.extend([Step::GiveUp(at), Step::Take(at)]),
            }
            if !worker.up.is_empty() {
                steps.push(Step::ReadWorker(at));
            }
            if !worker.down.is_empty() {
                steps.push(Step::Hear(at));
            }
            if state.fenced.is_none() {
                steps.push(Step::Fence(at));
            }
        }
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut state = last.clone();
        match step {
            Step::Send => {
                state.sent += 1;
                let (channel, operation) = (CHANNEL, OperationId(state.sent.into()));
                let parcel = parcel(state.sent);
                state.sending.push_back(Flying(Frame::Send { channel, operation, parcel }));
            }
            Step::ReadSender => {
                let Flying(frame) = state.sending.pop_front()?;
                state.came += 1;
                let answers = state.home.take(SENDER, frame);
                state.post(answers.ok()?);
            }
            Step::Receive(at) => state.workers[at].start(),
            Step::Take(at) => state.workers[at].take(self.bug),
            Step::GiveUp(at) => {
                state.given_up = true;
                state.workers[at].give_up(self.bug);
            }
            Step::ReadWorker(at) => self.read_worker(&mut state, at)?,
            Step::Hear(at) => state.workers[at].hear(self.bug)?,
            Step::Fence(at) => {
                state.fenced = Some(at);
                if self.bug == Some(Bug::DropsOffers) {
                    let operation = OperationId(state.workers[at].started);
                    let accept = Frame::Accept { channel: CHANNEL, operation };
                    let answers = state.home.take(WORKERS[at], accept);
                    state.post(answers.unwrap_or_default());
                }
                let answers = state.home.fence(WORKERS[at]);
                state.post(answers);
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("one effect each", |_, state: &State| {
                let mut effects = state.effects.clone();
                effects.sort_unstable();
                effects.windows(2).all(|pair| pair[0] != pair[1])
            }),
            Property::always("each has its rights", |_, state: &State| !state.violation),
            Property::always("nothing is lost", |model: &Self, state: &State| {
                // When all is quiet and a worker waits, whatever came was taken.
                let is_waiting = |at: usize| {
                    state.fenced != Some(at) && state.workers[at].receive == Receive::Waits
                };
                let is_quiet = |at: usize| {
                    state.fenced == Some(at)
                        || state.workers[at].up.is_empty() && state.workers[at].down.is_empty()
                };
                let is_resting = state.sending.is_empty()
                    && (0..2).all(is_quiet)
                    && (0..2).any(is_waiting)
                    && !(0..2).any(|at| {
                        matches!(state.workers[at].receive, Receive::Offered(_))
                            && state.fenced != Some(at)
                    });
                !is_resting || (1..=state.came).all(|value| state.is_settled(model, value))
            }),
            Property::always("rendezvous", |model: &Self, state: &State| {
                model.capacity > 0 || usize::from(state.returned) <= state.committed.len()
            }),
            Property::always("capacity", |model: &Self, state: &State| {
                let taken = state.committed.len() as u32;
                u32::from(state.returned).saturating_sub(taken) <= model.capacity
            }),
            Property::always("order", |_, state: &State| {
                // What two workers take at the same time is in no order.
                let taken = |at| state.committed.iter().filter(move |(_, by)| *by == at);
                let in_order =
                    |at| taken(at).zip(taken(at).skip(1)).all(|(one, next)| one.0 < next.0);
                state.given_up || state.fenced.is_some() || in_order(0) && in_order(1)
            }),
            Property::sometimes("a zombie takes what another took", |_, state: &State| {
                let fenced = state.fenced.map(|at| &state.workers[at]);
                fenced.is_some_and(|zombie| {
                    zombie.up.iter().any(|said| match said {
                        Said::Effect(value) => state.effects.contains(value),
                        _ => false,
                    })
                })
            }),
            Property::sometimes("all are taken", |model: &Self, state: &State| {
                state.effects.len() == usize::from(model.values)
            }),
        ]
    }
}

impl Offers {
    fn read_worker(&self, state: &mut State, at: usize) -> Option<()> {
        let said = state.workers[at].up.pop_front()?;
        let is_heard = state.fenced != Some(at) || self.bug == Some(Bug::NoFence);
        if !is_heard {
            return Some(());
        }
        let (frame, taken) = match said {
            Said::Effect(value) => {
                state.effects.push(value);
                return Some(());
            }
            Said::Frame(Flying(frame)) => (frame, None),
            Said::Took(operation, value) => {
                (Frame::Accept { channel: CHANNEL, operation }, Some(value))
            }
        };
        match state.home.take(WORKERS[at], frame) {
            Ok(answers) => {
                state.committed.extend(taken.map(|value| (value, at)));
                state.post(answers);
            }
            Err(_) => state.violation |= state.fenced != Some(at),
        }
        Some(())
    }
}

impl State {
    fn post(&mut self, answers: Answers) {
        for (session, frame) in answers {
            if session != SENDER {
                self.workers[session.0 as usize].down.push_back(Flying(frame));
            } else if let Frame::Sent { .. } = frame {
                self.returned += 1;
            }
        }
    }

    /// Whether a value has been acted on, or went with a worker that had taken it.
    fn is_settled(&self, _model: &Offers, value: u8) -> bool {
        let gone = |(taken, by): &(u8, usize)| *taken == value && self.fenced == Some(*by);
        self.effects.contains(&value) || self.committed.iter().any(gone)
    }
}

impl Worker {
    fn operation(&self) -> OperationId {
        OperationId(self.started)
    }

    fn say(&mut self, frame: Frame) {
        self.up.push_back(Said::Frame(Flying(frame)));
    }

    fn start(&mut self) {
        self.started += 1;
        self.receive = Receive::Waits;
        let operation = self.operation();
        self.say(Frame::Receive { channel: CHANNEL, operation, select: 0 });
    }

    fn take(&mut self, bug: Option<Bug>) {
        let Receive::Offered(value) = self.receive else { return };
        self.receive = Receive::None;
        let took = Said::Took(self.operation(), value);
        match bug {
            Some(Bug::AcceptsOnArrival) => self.up.push_back(Said::Effect(value)),
            Some(Bug::EffectFirst) => {
                self.up.push_back(Said::Effect(value));
                self.up.push_back(took);
            }
            _ => {
                self.up.push_back(took);
                self.up.push_back(Said::Effect(value));
            }
        }
    }

    fn give_up(&mut self, bug: Option<Bug>) {
        let had_accepted =
            bug == Some(Bug::AcceptsOnArrival) && matches!(self.receive, Receive::Offered(_));
        self.receive = Receive::None;
        if !had_accepted {
            let operation = self.operation();
            self.say(Frame::Decline { channel: CHANNEL, operation });
        }
    }

    fn hear(&mut self, bug: Option<Bug>) -> Option<()> {
        let Flying(frame) = self.down.pop_front()?;
        if let Frame::Offer { operation, parcel, .. } = frame
            && operation == self.operation()
            && self.receive == Receive::Waits
        {
            let value = number(&parcel);
            self.receive = Receive::Offered(value);
            if bug == Some(Bug::AcceptsOnArrival) {
                self.up.push_back(Said::Took(operation, value));
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{finds, holds, is_long};

    fn offers(bug: Option<Bug>, capacity: u32) -> Offers {
        let (receives, values) = if is_long() { (3, 3) } else { (2, 2) };
        Offers { bug, capacity, values, receives }
    }

    #[test]
    fn a_rendezvous_with_two_workers_holds() {
        holds(offers(None, 0), 50_000);
    }

    #[test]
    fn a_buffer_with_two_workers_holds() {
        holds(offers(None, 1), 50_000);
    }

    #[test]
    fn a_buffer_of_two_with_two_workers_holds() {
        holds(offers(None, 2), 100_000);
    }

    #[test]
    fn without_a_fence_an_effect_is_seen_twice() {
        finds(offers(Some(Bug::NoFence), 1), "one effect each");
    }

    #[test]
    fn an_effect_before_the_accept_is_seen_twice() {
        finds(offers(Some(Bug::EffectFirst), 1), "one effect each");
    }

    #[test]
    fn an_accept_on_arrival_loses_a_value() {
        finds(offers(Some(Bug::AcceptsOnArrival), 1), "nothing is lost");
    }

    #[test]
    fn dropping_offers_at_a_fence_loses_a_value() {
        finds(offers(Some(Bug::DropsOffers), 1), "nothing is lost");
    }
}
