//! Frames in order, each once, over links that break (contract D1, D2, D4).
//!
//! Two sides push frames at any time. A link delivers in order and may be cut at any moment: what
//! is on the way is lost, and neither side knows how much was not. Then the node resumes; the
//! answer to that may be lost too. Once, the coordinator may fence the node: it drops what comes
//! under the old session, and the node, told so, begins a new one with new frames.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::hash::Hash;

use bytes::Bytes;
use channels::id::TaskId;
use channels::session::{Received, Session};
use channels::wire::{BatchWriter, Frame, read_batch};
use stateright::{Model, Property};

/// One side of a session: the machine that is checked.
pub trait Side: Clone + Debug + Hash + PartialEq + Send + Sync + 'static {
    /// What a link carries.
    type Batch: Clone + Debug + Hash + PartialEq + Send + Sync + 'static;

    /// Linked, without frames.
    fn new(bug: Option<Bug>) -> Self;
    /// A frame is numbered and kept.
    fn push(&mut self, frame: u8);
    /// What leaves next on the present link.
    fn next(&mut self) -> Option<Self::Batch>;
    /// A batch came: the frames to be handled, or nothing if the link must be dropped.
    fn take(&mut self, batch: &Self::Batch) -> Option<Vec<u8>>;
    /// The number of the last frame that came.
    fn received(&self) -> u64;
    /// The link is gone.
    fn unlink(&mut self);
    /// A new link is there; the other side has every frame up to this one.
    fn link(&mut self, last: u64);
    /// Frames that the other side is not known to have.
    fn unacknowledged(&self) -> Vec<u8>;
}

/// A rule that is broken on purpose.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub enum Bug {
    /// What comes twice is handled twice.
    NoDedup,
    /// After a new link it goes on behind the last frame that it sent, and gaps are not seen.
    GoesOn,
    /// A frame is kept until it is sent, not until it is acknowledged.
    Forgets,
    /// What was not acknowledged when the session was fenced is sent again in the next.
    CarriesOver,
}

/// A session's two sides, frames by numbers of their own.
#[derive(Clone, Copy, Debug)]
pub struct Sessions<S> {
    /// The rule that is broken.
    pub bug: Option<Bug>,
    /// How many frames each side pushes.
    pub frames: [u8; 2],
    /// How often a link is cut.
    pub cuts_max: u8,
    machine: std::marker::PhantomData<S>,
}

impl<S> Sessions<S> {
    /// Three frames from the node, two from the coordinator.
    pub fn new(bug: Option<Bug>) -> Self {
        Self { bug, frames: [3, 2], cuts_max: 2, machine: std::marker::PhantomData }
    }
}

const NODE: usize = 0;
const HOME: usize = 1;
/// Frames of the session that follows a fence.
const NEW: u8 = 100;

/// Both sides, the link, and what came.
#[derive(Clone, Debug, Hash, PartialEq)]
pub struct State<S: Side> {
    sides: [S; 2],
    linked: [bool; 2],
    /// On its way to each side.
    link: [VecDeque<S::Batch>; 2],
    /// The coordinator's answer to a resume: how many frames it has.
    answer: Option<u64>,
    pushed: [u8; 2],
    /// What each side has handled.
    log: [Vec<u8>; 2],
    cuts: u8,
    fence: Fence,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq)]
enum Fence {
    No,
    /// The node does not know.
    Fenced,
    /// The next session has begun.
    Told,
}

/// What happens next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A side has something to say.
    Push(usize),
    /// A side sends a batch.
    Send(usize),
    /// A side reads a batch.
    Read(usize),
    /// The link breaks.
    Cut,
    /// The node asks to resume, or hears that it is fenced.
    Resume,
    /// It hears the answer.
    Resumed,
    /// The coordinator gives the node up.
    Fence,
}

impl<S: Side> Model for Sessions<S> {
    type State = State<S>;
    type Action = Step;

    fn init_states(&self) -> Vec<State<S>> {
        vec![State {
            sides: [S::new(self.bug), S::new(self.bug)],
            linked: [true; 2],
            link: Default::default(),
            answer: None,
            pushed: [0; 2],
            log: Default::default(),
            cuts: 0,
            fence: Fence::No,
        }]
    }

    fn actions(&self, state: &State<S>, steps: &mut Vec<Step>) {
        for side in [NODE, HOME] {
            let is_over = state.fence == Fence::Fenced && side == HOME;
            if state.pushed[side] < self.frames[side] && !is_over {
                steps.push(Step::Push(side));
            }
            if state.linked[side] && !is_over {
                steps.push(Step::Send(side));
                if !state.link[side].is_empty() {
                    steps.push(Step::Read(side));
                }
            }
        }
        if state.cuts < self.cuts_max && state.linked != [false; 2] {
            steps.push(Step::Cut);
        }
        if !state.linked[NODE] {
            steps.push(if state.answer.is_some() { Step::Resumed } else { Step::Resume });
        }
        if state.fence == Fence::No {
            steps.push(Step::Fence);
        }
    }

    fn next_state(&self, last: &State<S>, step: Step) -> Option<State<S>> {
        let mut state = last.clone();
        match step {
            Step::Push(side) => {
                state.pushed[side] += 1;
                let base = if state.fence == Fence::Told { NEW } else { 0 };
                state.sides[side].push(base + state.pushed[side]);
            }
            Step::Send(side) => {
                let batch = state.sides[side].next()?;
                state.link[1 - side].push_back(batch);
            }
            Step::Read(side) => {
                let batch = state.link[side].pop_front()?;
                match state.sides[side].take(&batch) {
                    Some(frames) => state.log[side].extend(frames),
                    None => state.cut(),
                }
            }
            Step::Cut => {
                state.cuts += 1;
                state.cut();
            }
            Step::Resume if state.fence == Fence::Fenced => state.begin_anew(self.bug),
            Step::Resume => {
                let last = state.sides[NODE].received();
                state.sides[HOME].unlink();
                state.sides[HOME].link(last);
                state.linked[HOME] = true;
                state.link = Default::default();
                state.answer = Some(state.sides[HOME].received());
            }
            Step::Resumed => {
                let last = state.answer.take()?;
                state.sides[NODE].link(last);
                state.linked[NODE] = true;
            }
            Step::Fence => {
                state.fence = Fence::Fenced;
                state.cut();
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("in order, each once", |_, state: &State<S>| {
                state.log.iter().all(|log| {
                    let (old, new) = log.split_at(log.partition_point(|frame| *frame < NEW));
                    (1..).zip(old).all(|(n, frame)| n == *frame)
                        && new.windows(2).all(|pair| pair[0] + 1 == pair[1])
                })
            }),
            Property::always("at rest everything has come", |model: &Self, state: &State<S>| {
                let is_resting = state.linked == [true; 2]
                    && state.link.iter().all(VecDeque::is_empty)
                    && state.sides.iter().all(|side| side.clone().next().is_none());
                !is_resting || state.fence != Fence::No || state.all_came(model)
            }),
            Property::sometimes("all came over three links", |model: &Self, state: &State<S>| {
                state.fence == Fence::No
                    && state.cuts == model.cuts_max
                    && state.pushed == model.frames
                    && state.all_came(model)
            }),
            Property::sometimes("a session after the fence", |_, state: &State<S>| {
                state.log[HOME].iter().any(|frame| *frame > NEW)
            }),
        ]
    }
}

impl<S: Side> State<S> {
    fn cut(&mut self) {
        self.sides.iter_mut().for_each(S::unlink);
        self.linked = [false; 2];
        self.link = Default::default();
        self.answer = None;
    }

    fn begin_anew(&mut self, bug: Option<Bug>) {
        let unacknowledged = self.sides[NODE].unacknowledged();
        self.sides = [S::new(bug), S::new(bug)];
        if bug == Some(Bug::CarriesOver) {
            unacknowledged.into_iter().for_each(|frame| self.sides[NODE].push(frame));
        }
        self.linked = [true; 2];
        self.fence = Fence::Told;
    }

    fn all_came(&self, _model: &Sessions<S>) -> bool {
        [NODE, HOME].iter().all(|side| self.log[1 - side].len() == usize::from(self.pushed[*side]))
    }
}

/// The product's machine.
#[derive(Clone, Debug, Hash, PartialEq)]
pub struct Product(Session);

impl Side for Product {
    type Batch = Bytes;

    fn new(bug: Option<Bug>) -> Self {
        assert_eq!(bug, None, "it is as it is");
        Self(Session::new(1))
    }

    fn push(&mut self, frame: u8) {
        let mut batch = BatchWriter::default();
        batch.push(&Frame::Cancel { task: TaskId(frame.into()) });
        self.0.seal(batch);
    }

    fn next(&mut self) -> Option<Bytes> {
        let next = self.0.next_batch();
        next.or_else(|| {
            self.0.tick();
            self.0.acknowledgement()
        })
    }

    fn take(&mut self, batch: &Bytes) -> Option<Vec<u8>> {
        let (envelope, frames) = read_batch(batch.clone()).expect("it was written by the other");
        match self.0.receive(envelope, &frames, batch.len()) {
            Ok(Received::New) => {
                let number = |frame| match frame {
                    Frame::Cancel { task } => task.0 as u8,
                    other => panic!("nobody wrote {other}"),
                };
                Some(frames.into_iter().map(number).collect())
            }
            Ok(Received::Repeated) => Some(Vec::new()),
            Err(_) => None,
        }
    }

    fn received(&self) -> u64 {
        self.0.received()
    }

    fn unlink(&mut self) {
        self.0.unlink();
    }

    fn link(&mut self, last: u64) {
        self.0.link(last).expect("the other keeps the rules");
    }

    fn unacknowledged(&self) -> Vec<u8> {
        Vec::new()
    }
}

/// The rules at their shortest, for the bugs that the product's machine cannot be given.
#[derive(Clone, Debug, Hash, PartialEq)]
pub struct Rules {
    bug: Option<Bug>,
    kept: VecDeque<(u64, u8)>,
    sent: u64,
    given: u64,
    received: u64,
    told: u64,
    linked: bool,
}

/// The first frame's number, the frame, and the last number that came.
pub type Numbered = (u64, Option<u8>, u64);

impl Side for Rules {
    type Batch = Numbered;

    fn new(bug: Option<Bug>) -> Self {
        let (kept, sent, given, received, told) = (VecDeque::new(), 0, 0, 0, 0);
        Self { bug, kept, sent, given, received, told, linked: true }
    }

    fn push(&mut self, frame: u8) {
        self.sent += 1;
        self.kept.push_back((self.sent, frame));
    }

    fn next(&mut self) -> Option<Numbered> {
        let next = self.kept.iter().find(|(number, _)| *number > self.given).copied();
        if !self.linked || next.is_none() && self.told == self.received {
            return None;
        }
        self.told = self.received;
        let Some((number, frame)) = next else { return Some((0, None, self.received)) };
        self.given = number;
        if self.bug == Some(Bug::Forgets) {
            self.kept.retain(|(kept, _)| *kept > number);
        }
        Some((number, Some(frame), self.received))
    }

    fn take(&mut self, (number, frame, acknowledged): &Numbered) -> Option<Vec<u8>> {
        self.kept.retain(|(kept, _)| kept > acknowledged);
        let Some(frame) = frame else { return Some(Vec::new()) };
        let is_next = *number == self.received + 1;
        let is_wanted = match self.bug {
            Some(Bug::NoDedup) => *number <= self.received + 1,
            Some(Bug::GoesOn) => *number > self.received,
            _ => is_next,
        };
        if !is_wanted {
            return (*number <= self.received).then(Vec::new);
        }
        self.received = self.received.max(*number);
        Some(vec![*frame])
    }

    fn received(&self) -> u64 {
        self.received
    }

    fn unlink(&mut self) {
        self.linked = false;
    }

    fn link(&mut self, last: u64) {
        // Without deduplication one would send everything that was not acknowledged.
        if self.bug != Some(Bug::NoDedup) {
            self.kept.retain(|(kept, _)| *kept > last);
        }
        if self.bug != Some(Bug::GoesOn) {
            self.given = 0;
        }
        self.linked = true;
    }

    fn unacknowledged(&self) -> Vec<u8> {
        self.kept.iter().map(|(_, frame)| *frame).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{finds, holds, is_long};

    #[test]
    fn frames_of_the_product_come_in_order_and_once() {
        let sessions = Sessions::<Product>::new(None);
        let sessions = Sessions { frames: [2, 1], cuts_max: 1, ..sessions };
        holds(if is_long() { Sessions::new(None) } else { sessions }, 1_000);
    }

    #[test]
    fn frames_come_in_order_and_once() {
        holds(Sessions::<Rules>::new(None), 10_000);
    }

    #[test]
    fn without_deduplication_a_frame_comes_twice() {
        finds(Sessions::<Rules>::new(Some(Bug::NoDedup)), "in order, each once");
    }

    #[test]
    fn who_goes_on_after_a_cut_leaves_a_gap() {
        finds(Sessions::<Rules>::new(Some(Bug::GoesOn)), "in order, each once");
    }

    #[test]
    fn what_is_kept_only_until_it_is_sent_is_lost() {
        finds(Sessions::<Rules>::new(Some(Bug::Forgets)), "at rest everything has come");
    }

    #[test]
    fn what_is_carried_over_a_fence_may_come_twice() {
        finds(Sessions::<Rules>::new(Some(Bug::CarriesOver)), "in order, each once");
    }
}
