//! Selects that cross: sends and receives of several channels, of each select exactly one happens
//! (contract D7, PROTOCOL 4).
//!
//! A few selects, one a node, on two channels that all nodes have. Frames are delivered one at a
//! time, a timer of each select may fire, and one node may be fenced, at any point. The home is the
//! product's; a node is what `select/choose.rs` and `operation/watch.rs` come to: it is *open*, or
//! *locked* for a send whose value is on its way, or one case has happened.

use std::collections::VecDeque;

use channels::id::{ChannelId, OperationId, SessionId};
use channels::wire::{Frame, Passage, Side};
use stateright::{Model, Property};

use crate::home::{Answers, Flying, Home, number, parcel};

#[cfg(test)]
mod tests;

/// A rule that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Values leave with the select, and are called back when another case is chosen.
    NoPrepare,
    /// A select whose value is on its way takes what else it is offered, or its timer.
    NoLock,
    /// A select that has chosen does not give its other cases up.
    NoWithdrawal,
    /// A select whose send was aborted waits for that send alone.
    StaysLocked,
}

/// To send on a channel, or to receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// Sends.
    S(usize),
    /// Receives.
    R(usize),
}
use Case::{R, S};

/// Selects of several nodes.
#[derive(Clone, Copy, Debug)]
pub struct Selects {
    /// The cases of each.
    pub selects: &'static [&'static [Case]],
    /// Of both channels.
    pub capacity: u32,
    /// Whether each has a timer beside its cases.
    pub timers: bool,
    /// Whether one node may be fenced.
    pub fence: bool,
    /// The rule that is broken.
    pub bug: Option<Bug>,
}

const CHANNELS: [ChannelId; 2] = [ChannelId(1), ChannelId(2)];

/// The home and the nodes.
#[derive(Clone, Debug, Hash, PartialEq)]
pub struct State {
    home: Home,
    nodes: Vec<Node>,
    fenced: Option<usize>,
    /// Something that the home would cut a session off for.
    violation: bool,
    /// Whether a send was ever aborted.
    aborted: bool,
}

#[derive(Clone, Copy, Debug, Default, Hash, PartialEq)]
enum Token {
    #[default]
    Open,
    /// The value of this case is on its way.
    Locked(usize),
    Sent(usize),
    Took(u8),
    TimedOut,
}

#[derive(Clone, Debug, Default, Hash, PartialEq)]
struct Node {
    token: Token,
    /// What each case is called at the home.
    operations: Vec<u64>,
    last: u64,
    up: VecDeque<Flying>,
    down: VecDeque<Flying>,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// The home reads from a node.
    Read(usize),
    /// A node reads from the home.
    Hear(usize),
    /// Its timer fires.
    Timer(usize),
    /// The home fences it.
    Fence(usize),
}

impl Model for Selects {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let sessions: Vec<SessionId> = (0..self.selects.len()).map(session).collect();
        let mut home = Home::new(sessions.iter().copied());
        let capacity = self.capacity;
        for channel in CHANNELS {
            let export = Frame::Export { channel, capacity, senders: 1, receivers: 1 };
            home.take(sessions[0], export).expect("a new channel");
            for side in [Side::Send, Side::Receive] {
                let passage = Passage { channel, side, capacity };
                sessions[1..].iter().for_each(|other| home.pass(sessions[0], *other, passage));
            }
        }
        let mut nodes = vec![Node::default(); self.selects.len()];
        for (at, node) in nodes.iter_mut().enumerate() {
            node.operations = vec![0; self.selects[at].len()];
            self.register(at, node, None);
        }
        vec![State { home, nodes, fenced: None, violation: false, aborted: false }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        for (at, node) in state.nodes.iter().enumerate() {
            if state.fenced == Some(at) {
                continue;
            }
            if !node.up.is_empty() {
                steps.push(Step::Read(at));
            }
            if !node.down.is_empty() {
                steps.push(Step::Hear(at));
            }
            let may_time_out = match node.token {
                Token::Open => true,
                Token::Locked(_) => self.bug == Some(Bug::NoLock),
                Token::Sent(_) | Token::Took(_) | Token::TimedOut => false,
            };
            if self.timers && may_time_out {
                steps.push(Step::Timer(at));
            }
            if self.fence && state.fenced.is_none() {
                steps.push(Step::Fence(at));
            }
        }
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut state = last.clone();
        match step {
            Step::Read(at) => {
                let Flying(frame) = state.nodes[at].up.pop_front()?;
                match state.home.take(session(at), frame) {
                    Ok(answers) => state.post(answers),
                    Err(_) => state.violation = true,
                }
            }
            Step::Hear(at) => {
                let Flying(frame) = state.nodes[at].down.pop_front()?;
                state.aborted |= matches!(frame, Frame::Aborted { .. });
                self.hear(at, &mut state.nodes[at], &frame);
            }
            Step::Timer(at) => {
                self.withdraw(at, &mut state.nodes[at], None);
                state.nodes[at].token = Token::TimedOut;
            }
            Step::Fence(at) => {
                state.fenced = Some(at);
                let answers = state.home.fence(session(at));
                state.post(answers);
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("each has its rights", |_, state: &State| !state.violation),
            Property::always("one case each", |model: &Self, state: &State| {
                state.taken().all(|value| model.may_be_taken(state, value))
            }),
            Property::always("taken once", |_, state: &State| {
                let mut taken: Vec<u8> = state.taken().collect();
                taken.sort_unstable();
                taken.windows(2).all(|pair| pair[0] != pair[1])
            }),
            Property::always("nothing is lost", |model: &Self, state: &State| {
                // What is in a buffer may stay there, and what a fenced node took is gone with it.
                !state.is_quiet()
                    || model.capacity > 0
                    || state.alive().all(|(at, node)| match node.token {
                        Token::Sent(case) => state.was_taken(value_of(at, case)),
                        _ => true,
                    })
            }),
            Property::always("nobody is locked for ever", |_, state: &State| {
                let is_locked = |(_, node): (usize, &Node)| matches!(node.token, Token::Locked(_));
                !state.is_quiet() || !state.alive().any(is_locked)
            }),
            Property::always("who can meet does", |model: &Self, state: &State| {
                !state.is_quiet() || !model.could_meet(state)
            }),
            Property::sometimes("one sends and one takes", |_, state: &State| {
                state.nodes.iter().any(|node| matches!(node.token, Token::Sent(_)))
                    && state.taken().next().is_some()
            }),
        ]
    }
}

impl Selects {
    /// Starts all cases but one.
    fn register(&self, at: usize, node: &mut Node, but: Option<usize>) {
        for (case, what) in self.selects[at].iter().enumerate() {
            if Some(case) == but {
                continue;
            }
            node.last += 1;
            node.operations[case] = node.last;
            let operation = OperationId(node.last);
            node.say(match *what {
                R(on) => Frame::Receive { channel: CHANNELS[on], operation, select: 1 },
                S(on) if self.bug == Some(Bug::NoPrepare) => {
                    let (channel, parcel) = (CHANNELS[on], parcel(value_of(at, case)));
                    Frame::Send { channel, operation, parcel }
                }
                S(on) => Frame::Watch { channel: CHANNELS[on], operation, select: 1 },
            });
        }
    }

    /// Gives all cases up but one.
    fn withdraw(&self, at: usize, node: &mut Node, but: Option<usize>) {
        if but.is_some() && self.bug == Some(Bug::NoWithdrawal) {
            return;
        }
        for (case, what) in self.selects[at].iter().enumerate() {
            if Some(case) == but {
                continue;
            }
            let operation = OperationId(node.operations[case]);
            node.say(match *what {
                R(on) => Frame::Decline { channel: CHANNELS[on], operation },
                S(on) => Frame::CancelSend { channel: CHANNELS[on], operation },
            });
        }
    }

    fn hear(&self, at: usize, node: &mut Node, frame: &Frame) {
        let Some((operation, case)) = node.case_of(frame) else { return };
        let (S(on) | R(on)) = self.selects[at][case];
        let channel = CHANNELS[on];
        let has_no_lock = self.bug == Some(Bug::NoLock);
        let is_open = match node.token {
            Token::Open => true,
            Token::Locked(other) => has_no_lock && other != case,
            Token::Sent(_) | Token::Took(_) | Token::TimedOut => false,
        };
        match frame {
            Frame::Ready { .. } if node.token == Token::Open => {
                if !has_no_lock {
                    self.withdraw(at, node, Some(case));
                }
                let parcel = parcel(value_of(at, case));
                node.say(Frame::Prepared { channel, operation, parcel });
                node.token = Token::Locked(case);
            }
            Frame::Sent { .. } if node.token == Token::Locked(case) => {
                node.token = Token::Sent(case);
            }
            // Without a prepare it only learns of it.
            Frame::Sent { .. } if node.token == Token::Open => {
                self.withdraw(at, node, Some(case));
                node.token = Token::Sent(case);
            }
            Frame::Aborted { .. } if node.token == Token::Locked(case) => {
                node.token = Token::Open;
                if !has_no_lock && self.bug != Some(Bug::StaysLocked) {
                    self.register(at, node, Some(case));
                }
            }
            Frame::Offer { parcel, .. } if is_open => {
                self.withdraw(at, node, Some(case));
                node.say(Frame::Accept { channel, operation });
                node.token = Token::Took(number(parcel));
            }
            _ => {}
        }
    }

    /// Whether the select of a value has chosen to send it, as far as anybody can know.
    fn may_be_taken(&self, state: &State, value: u8) -> bool {
        let (at, case) = (usize::from(value / 10), usize::from(value % 10));
        let token = state.nodes[at].token;
        let chose = [Token::Locked(case), Token::Sent(case)].contains(&token);
        // The word of it is under way, if values leave before the select has chosen.
        let may = self.bug == Some(Bug::NoPrepare) && token == Token::Open;
        chose || may || state.fenced == Some(at)
    }

    /// Whether two who wait, and have not given up, could serve each other.
    fn could_meet(&self, state: &State) -> bool {
        let open = || state.alive().filter(|(_, node)| node.token == Token::Open);
        open().any(|(one, _)| {
            open().filter(|(other, _)| *other != one).any(|(other, _)| {
                self.selects[one].iter().any(|case| match case {
                    S(on) => self.selects[other].contains(&R(*on)),
                    R(_) => false,
                })
            })
        })
    }
}

impl State {
    fn post(&mut self, answers: Answers) {
        for (session, frame) in answers {
            self.nodes[session.0 as usize].down.push_back(Flying(frame));
        }
    }

    fn alive(&self) -> impl Iterator<Item = (usize, &Node)> {
        self.nodes.iter().enumerate().filter(|(at, _)| self.fenced != Some(*at))
    }

    /// What nodes took whose word is heard.
    fn taken(&self) -> impl Iterator<Item = u8> {
        self.alive().filter_map(|(_, node)| node.took())
    }

    fn was_taken(&self, value: u8) -> bool {
        self.nodes.iter().any(|node| node.took() == Some(value))
    }

    /// Whether nothing is under way.
    fn is_quiet(&self) -> bool {
        self.alive().all(|(_, node)| node.up.is_empty() && node.down.is_empty())
    }
}

impl Node {
    fn say(&mut self, frame: Frame) {
        self.up.push_back(Flying(frame));
    }

    fn took(&self) -> Option<u8> {
        match self.token {
            Token::Took(value) => Some(value),
            _ => None,
        }
    }

    fn case_of(&self, frame: &Frame) -> Option<(OperationId, usize)> {
        let (Frame::Ready { operation }
        | Frame::Sent { operation }
        | Frame::Aborted { operation }
        | Frame::Offer { operation, .. }) = frame
        else {
            return None;
        };
        let case = self.operations.iter().position(|name| *name == operation.0)?;
        Some((*operation, case))
    }
}

fn session(at: usize) -> SessionId {
    SessionId(at as u64)
}

fn value_of(at: usize, case: usize) -> u8 {
    (10 * at + case) as u8
}
