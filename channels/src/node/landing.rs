//! What a node does for a channel that comes home to its process: [`Settling`], under the lock, and
//! the waking of whoever is concerned.

use std::task::{Poll, Waker};

use parking_lot::MutexGuard;

use super::{Conclusion, Node, Operation, State};
use crate::flow::{Flow, Name};
use crate::id::{ChannelId, OperationId};
use crate::line::Place;
use crate::settling::{Passed, Progress, Unbegun};
use crate::wire::{Contents, End, Frame, Parcel, Passage};

/// What an operation that is a case of a select has heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Heard {
    Nothing,
    /// It has its answer, or never will.
    Answer,
    /// It is to ask again.
    Again,
    /// The channel can be taken over.
    Landing,
    /// The channel is here, or was since. The operation is forgotten.
    Moved,
}

/// The operations of a channel that is here now.
#[derive(Debug)]
pub(crate) struct Ashore {
    /// Places of sends and receives that were given up meanwhile.
    pub(crate) sends_given_up: Vec<Place>,
    pub(crate) receives_given_up: Vec<Place>,
    /// Somebody closed it meanwhile, and did not wait for the answer.
    pub(crate) is_closed: bool,
    /// Who is to look again.
    pub(crate) woken: Vec<Waker>,
}

impl Node {
    /// The home asks for a channel. First all goes back that it has lent; but what an operation
    /// has got out of the stock, and not looked at, would not go back to its place in line.
    pub(super) fn approach(&self, channel: ChannelId, landings: u32) {
        let is_known = self.channels.get(&channel).is_some_and(|known| known.strong_count() > 0);
        let flow = self.flow(channel);
        let mut lent = flow.as_ref().map(|flow| flow.lock());
        self.push_in(self.state.lock(), |state| {
            let State { settling, outgoing, in_hand, .. } = state;
            let is_here = is_known && !in_hand.values().any(|of| *of == channel);
            let give_back = || match (&flow, &mut lent) {
                (Some(flow), Some(lent)) => flow.give_all_back(lent),
                _ => Vec::new(),
            };
            settling.on_approach(channel, landings, is_here, give_back, outgoing);
            false
        });
    }

    pub(super) fn land(&self, channel: ChannelId, landings: u32, contents: Contents) {
        let mut concerned = Vec::new();
        self.push_in(self.state.lock(), |state| {
            let State { settling, outgoing, operations, .. } = state;
            for operation in settling.on_land(channel, landings, contents, outgoing) {
                if let Some(Operation::Waiting(waker, _)) = operations.get(&operation) {
                    concerned.push(waker.clone());
                }
            }
            true
        });
        concerned.into_iter().for_each(Waker::wake);
    }

    pub(super) fn stay(&self, channel: ChannelId, landings: u32) {
        self.push_in(self.state.lock(), |state| {
            state.settling.on_stay(channel, landings, &mut state.outgoing);
            true
        });
    }

    /// A handle is in a value that is being encoded. The lock of its channel is held.
    pub(crate) fn depart(&self, channel: ChannelId) {
        self.state.lock().settling.depart(channel);
    }

    /// It will not leave after all.
    pub(crate) fn undo_departure(&self, passages: &[Passage]) {
        self.state.lock().settling.departed(passages);
    }

    /// A value that was encoded will not leave after all: its handles may come to rest again.
    pub fn keep(&self, parcel: &Parcel) {
        self.undo_departure(&parcel.passages);
    }

    /// Asks how an operation on a channel ended. A value on offer is taken by that, and the home is
    /// told, in one step.
    pub(crate) fn poll_on(
        &self,
        channel: ChannelId,
        operation: OperationId,
        waker: &Waker,
    ) -> Poll<Conclusion> {
        self.poll_with(channel, operation, waker, |_, name| name.taken(channel))
    }

    /// The same, with what the home is told.
    pub(super) fn poll_with(
        &self,
        channel: ChannelId,
        operation: OperationId,
        waker: &Waker,
        answer: impl FnOnce(&mut State, Name) -> Frame,
    ) -> Poll<Conclusion> {
        let mut state = self.state.lock();
        match state.progress(channel) {
            Progress::Away => {}
            Progress::Landing => return Poll::Ready(Conclusion::Landing),
            Progress::Approaching => {
                if state.is_proposed(operation) {
                    state.sleep(waker);
                    return Poll::Pending;
                }
            }
        }
        let concluded = state.conclusion(operation, waker);
        let Poll::Ready(Conclusion::Offered(stocked) | Conclusion::Stocked(stocked)) = &concluded
        else {
            return concluded;
        };
        let taken = answer(&mut state, stocked.name);
        self.push_in(state, |state| {
            let _is_away = state.pass(taken);
            false
        });
        if let Poll::Ready(Conclusion::Offered(_)) = concluded
            && let Some(flow) = self.flow(channel)
        {
            flow.lock().note_receive();
        }
        concluded
    }

    /// Asks what is new of an operation that takes nothing, and that the home keeps in mind until
    /// it is given up.
    pub(crate) fn poll_on_going(
        &self,
        channel: ChannelId,
        operation: OperationId,
        waker: &Waker,
    ) -> Poll<Conclusion> {
        let mut state = self.state.lock();
        if state.progress(channel) == Progress::Landing {
            return Poll::Ready(Conclusion::Landing);
        }
        let lost = state.lost.clone();
        let going_on = Operation::Waiting(waker.clone(), None);
        match (state.operations.insert(operation, going_on), lost) {
            (Some(Operation::Concluded(conclusion)), _) => Poll::Ready(conclusion),
            (_, Some(cause)) => Poll::Ready(Conclusion::Ended(End::Lost(cause))),
            _ => Poll::Pending,
        }
    }

    /// Whether an operation has something to say; if not, it will wake this waker.
    pub(crate) fn rewait(
        &self,
        channel: ChannelId,
        operation: OperationId,
        waker: &Waker,
    ) -> Heard {
        let mut state = self.state.lock();
        match state.progress(channel) {
            Progress::Away => {}
            Progress::Landing => return Heard::Landing,
            Progress::Approaching if state.is_proposed(operation) => {
                state.sleep(waker);
                return Heard::Nothing;
            }
            Progress::Approaching => {}
        }
        let is_lost = state.lost.is_some();
        match state.operations.get_mut(&operation) {
            Some(Operation::Concluded(Conclusion::Moved(_))) => {
                state.take_operation(operation);
                Heard::Moved
            }
            Some(Operation::Concluded(Conclusion::Again)) if !is_lost => {
                state.take_operation(operation);
                Heard::Again
            }
            Some(Operation::Waiting(known, _)) if !is_lost => {
                known.clone_from(waker);
                Heard::Nothing
            }
            _ => Heard::Answer,
        }
    }

    /// The first step of taking a channel over: its contents, if it can be, for one thread.
    pub(crate) fn begin_landing(&self, channel: ChannelId) -> Option<(u32, Contents)> {
        self.state.lock().settling.begin(channel)
    }

    /// The last step. The lock of the channel is held. `None` if it stays away.
    pub(crate) fn finish_landing(
        &self,
        flow: &Flow,
        landings: u32,
        [sends, receives]: [&[(OperationId, Place)]; 2],
        anew: &[OperationId],
    ) -> Option<Ashore> {
        let mut ashore = None;
        let channel = flow.channel();
        let mut lent = flow.lock();
        self.push_in(self.state.lock(), |state| {
            let held = state.settling.finish(channel, landings, &mut state.outgoing);
            let Some(Unbegun { closes, others }) = held else { return false };
            let mut woken = Vec::new();
            let mut is_given_up = |operation: &OperationId, place: Option<Place>| {
                let waker = state.move_on(*operation, place);
                let is_given_up = waker.is_none();
                woken.extend(waker);
                is_given_up
            };
            let mut given_up = |places: &[(OperationId, Place)]| {
                let all = places.iter().filter(|(name, place)| is_given_up(name, Some(*place)));
                all.map(|(_, place)| *place).collect()
            };
            let (sends_given_up, receives_given_up) = (given_up(sends), given_up(receives));
            for operation in anew.iter().chain(&others) {
                let _begins_anew_unless = is_given_up(operation, None);
            }
            let is_closed = closes.iter().filter(|close| is_given_up(close, None)).count() > 0;
            self.channels.remove(&channel);
            self.flows.remove(&channel);
            lent.end();
            state.has_landed = true;
            ashore = Some(Ashore { sends_given_up, receives_given_up, is_closed, woken });
            true
        });
        ashore
    }

    /// A channel that could have been taken over stays away.
    pub(crate) fn give_up_landing(&self, channel: ChannelId, landings: u32) {
        self.push_in(self.state.lock(), |state| {
            state.settling.give_up(channel, landings, &mut state.outgoing);
            true
        });
    }

    /// Whether a channel came home since somebody saw it away.
    pub(super) fn is_gone(&self, state: &State, channel: ChannelId) -> bool {
        state.has_landed && state.lost.is_none() && !self.channels.contains_key(&channel)
    }

    /// Queues a frame, unless the link is lost.
    pub(super) fn push_to_home(&self, state: MutexGuard<'_, State>, frame: Frame) {
        if state.lost.is_none() {
            self.push_in(state, |state| state.pass(frame) == Passed::Diverted);
        }
    }

    /// Queues frames, rings if they are the first, and wakes those who should look again if it is
    /// said that they should.
    pub(super) fn push_in(
        &self,
        mut state: MutexGuard<'_, State>,
        queue: impl FnOnce(&mut State) -> bool,
    ) {
        let is_news = queue(&mut state);
        let sleepers = if is_news { std::mem::take(&mut state.sleepers) } else { Vec::new() };
        let waits = state.outgoing.may_wait() && self.tells_later();
        let rings = !waits && state.rings();
        drop(state);
        sleepers.into_iter().for_each(Waker::wake);
        if rings {
            (self.doorbell)();
        }
    }
}

impl State {
    /// Whether the bell is to be rung, as it is from now on.
    pub(super) fn rings(&mut self) -> bool {
        !self.outgoing.is_empty() && !std::mem::replace(&mut self.is_rung, true)
    }

    pub(super) fn progress(&self, channel: ChannelId) -> Progress {
        if self.settling.is_idle() { Progress::Away } else { self.settling.progress(channel) }
    }

    /// Whether the home holds something for an operation, and waits for an answer.
    fn is_proposed(&self, operation: OperationId) -> bool {
        let operation = self.operations.get(&operation);
        let proposed = |conclusion: &Conclusion| {
            matches!(conclusion, Conclusion::Offered(_) | Conclusion::Ready)
        };
        matches!(operation, Some(Operation::Concluded(conclusion)) if proposed(conclusion))
    }

    /// The channel of an operation is here: whoever waits for it, unless it was given up. Whoever
    /// was woken already looks again by itself.
    fn move_on(&mut self, operation: OperationId, place: Option<Place>) -> Option<Waker> {
        self.abandoned.remove(&operation);
        let slot = self.operations.get_mut(&operation)?;
        match std::mem::replace(slot, Operation::Concluded(Conclusion::Moved(place))) {
            Operation::Waiting(waker, _) => Some(waker),
            Operation::Concluded(_) => Some(Waker::noop().clone()),
        }
    }
}
