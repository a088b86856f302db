//! The choice itself.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use smallvec::SmallVec;

use super::case::{Answer, Case, Whereabouts};
use super::random;
use crate::blocking::wait_for;
use crate::claim::{Claim, Claimed, Wakes};
use crate::lock::pause;
use crate::node::{Node, Surveyed};
use crate::waiting::{self, marked};
use crate::wire::{HANDLES_MAX, Passage};

/// The cases of one select, in the order in which they are written.
type Cases<'s, 'c> = [&'s mut (dyn Case + Send + 'c)];

/// Waits until one of the cases has happened, and says which. `select!` and
/// [`Select`](crate::Select) call it.
///
/// `first` was drawn to have the first word ([`first`](super::first)), and could not go by itself.
#[inline]
pub fn choose<'x, 's, 'c>(first: usize, cases: &'x mut Cases<'s, 'c>) -> Choosing<'x, 's, 'c> {
    Choosing { cases, stage: Stage::Drawn(first), name: 0 }
}

/// [`choose`] for code that is not async.
pub fn choose_blocking(first: usize, cases: &mut Cases<'_, '_>) -> usize {
    wait_for(choose(first, cases))
}

/// Does one of the cases if one is ready (C36), and says which. `first` is as in [`choose`].
pub async fn choose_now(first: usize, cases: &mut Cases<'_, '_>) -> Option<usize> {
    let mut attempted = attempt(cases, first);
    while let Attempted::Asks(case) = attempted {
        if poll_fn(|context| cases[case].poll_try_remote(context.waker())).await {
            return Some(case);
        }
        attempted = attempt(cases, random::first(cases.len()));
    }
    if let Attempted::Done(case) = attempted {
        return Some(case);
    }
    loop {
        if let Some(case) = locked(cases, None) {
            return Some(case);
        }
        let Some(away) = away(cases) else { continue };
        let at = match away.as_slice() {
            [] => return None,
            [(at, _)] => *at,
            // Asked one by one they could be ready in turn, and each the moment after (C37).
            all => match survey(all).await {
                Surveyed::Ready(at) => all[at].0,
                Surveyed::Moved => {
                    cases.iter().for_each(|case| case.land());
                    continue;
                }
                // Values offered ahead were on their way here, so they have come by now.
                Surveyed::None => {
                    match all.iter().find(|(_, (node, passage))| node.has_stock(passage)) {
                        Some((at, _)) => *at,
                        None => return locked(cases, None),
                    }
                }
            },
        };
        if poll_fn(|context| cases[at].poll_try_remote(context.waker())).await {
            return Some(at);
        }
        if away.len() == 1 {
            return None;
        }
    }
}

/// A case whose channel is at home elsewhere, and what is asked there.
type Away = (usize, (Arc<Node>, Passage));

/// All of them, in random order. `None` if one has come here since it was looked at.
fn away(cases: &Cases<'_, '_>) -> Option<Vec<Away>> {
    let mut away = Vec::new();
    for at in random::order(cases.len()) {
        match cases[at].whereabouts() {
            Whereabouts::Here => {}
            Whereabouts::Away(node, passage) => away.push((at, (node, passage))),
            Whereabouts::Landed => return None,
        }
    }
    Some(away)
}

/// Asks which could go. None if at one moment none could: of so many as fit into a question.
async fn survey(away: &[Away]) -> Surveyed {
    for (some, first) in away.chunks(HANDLES_MAX).zip((0..).step_by(HANDLES_MAX)) {
        let node = &some[0].1.0;
        let passages = some.iter().map(|(_, (_, passage))| *passage).collect();
        match node.survey(passages).await {
            Surveyed::Ready(at) if at < some.len() => return Surveyed::Ready(first + at),
            Surveyed::Ready(_) | Surveyed::None => {}
            Surveyed::Moved => return Surveyed::Moved,
        }
    }
    Surveyed::None
}

/// [`choose_now`] for code that is not async.
pub fn choose_now_blocking(first: usize, cases: &mut Cases<'_, '_>) -> Option<usize> {
    wait_for(choose_now(first, cases))
}

/// What came of looking at the cases one by one.
enum Attempted {
    /// None can go here, as it seems.
    Nothing,
    Done(usize),
    /// It is this one's turn, and its home is elsewhere.
    Asks(usize),
}

/// Tries one case after the other, in random order after the first.
#[inline]
fn attempt(cases: &mut Cases<'_, '_>, first: usize) -> Attempted {
    let count = cases.len();
    let mut asks = false;
    let mut ends = |case: usize| {
        cases[case].attempt() || {
            asks = is_asked(cases, case);
            asks
        }
    };
    let ended = match count {
        0 => None,
        _ if ends(first) => Some(first),
        _ => random::others(count, first, ends),
    };
    match ended {
        None => Attempted::Nothing,
        Some(case) if asks => Attempted::Asks(case),
        Some(case) => Attempted::Done(case),
    }
}

/// Whether a case that cannot go here is to be asked for elsewhere, before others here go.
#[inline]
fn is_asked(cases: &Cases<'_, '_>, case: usize) -> bool {
    cases[case].is_to_be_asked() && cases.iter().any(|case| case.looks_ready())
}

/// The outcomes of several cases, of which one is there.
pub enum Either<L, R> {
    /// Of the first.
    Left(L),
    /// Of one of the others.
    Right(R),
}

/// A select that waits; see [`choose`].
#[must_use = "a select happens when its future is awaited"]
pub struct Choosing<'x, 's, 'c> {
    cases: &'x mut Cases<'s, 'c>,
    stage: Stage,
    /// What this process calls the select where its cases are away; 0 before any is.
    name: u64,
}

/// What the homes of a select's cases have said.
enum Answered {
    Nothing,
    Case(usize),
    /// A channel has come home.
    Moved,
}

/// Names of selects.
static NAMES: AtomicU64 = AtomicU64::new(1);

enum Stage {
    /// One is drawn, to have the first word.
    Drawn(usize),
    /// It has it, and its home is elsewhere.
    Asking(usize),
    /// None could go by itself.
    New,
    /// The cases wait in their channels and at their homes.
    Waiting(Arc<Claim>),
    /// The case has happened; its outcome is to be fetched.
    Chosen(usize),
}

impl Future for Choosing<'_, '_, '_> {
    type Output = usize;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<usize> {
        let this = &mut *self;
        if let Stage::Drawn(first) = this.stage {
            match attempt(this.cases, first) {
                Attempted::Done(case) => return Poll::Ready(case),
                Attempted::Asks(case) => this.stage = Stage::Asking(case),
                Attempted::Nothing => this.stage = Stage::New,
            }
        }
        this.go_on(context.waker())
    }
}

impl Choosing<'_, '_, '_> {
    fn go_on(&mut self, waker: &Waker) -> Poll<usize> {
        marked!(waker, describe(self.cases));
        loop {
            match &self.stage {
                Stage::Drawn(first) => match attempt(self.cases, *first) {
                    Attempted::Done(case) => return Poll::Ready(case),
                    Attempted::Asks(case) => self.stage = Stage::Asking(case),
                    Attempted::Nothing => self.stage = Stage::New,
                },
                Stage::Asking(case) => match self.cases[*case].poll_try_remote(waker) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(true) => return Poll::Ready(*case),
                    Poll::Ready(false) => {
                        self.stage = Stage::Drawn(random::first(self.cases.len()));
                    }
                },
                Stage::New => {
                    let claim = Claim::new(waker.clone());
                    if let Some(case) = locked(self.cases, Some(&claim)) {
                        return Poll::Ready(case);
                    }
                    self.stage = Stage::Waiting(claim);
                }
                Stage::Waiting(claim) => match claim.poll(waker) {
                    Claimed::Chosen(case) => self.settle(case),
                    Claimed::Stirred => {
                        self.cases.iter_mut().for_each(|case| case.withdraw());
                        self.stage = Stage::New;
                    }
                    Claimed::Open => {
                        let claim = claim.clone();
                        match self.answered(waker) {
                            Answered::Case(case) if claim.choose(case) => self.settle(case),
                            Answered::Case(_) => {}
                            Answered::Moved => drop(claim.stir()),
                            Answered::Nothing => {
                                waiting::note();
                                return Poll::Pending;
                            }
                        }
                    }
                },
                Stage::Chosen(case) => {
                    let case = *case;
                    match self.cases[case].finish(waker) {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(true) => return Poll::Ready(case),
                        // The partner has gone elsewhere meanwhile: all cases are open again.
                        Poll::Ready(false) => self.stage = Stage::New,
                    }
                }
            }
        }
    }

    /// A case whose home has answered.
    fn answered(&mut self, waker: &Waker) -> Answered {
        if self.name == 0 {
            self.name = NAMES.fetch_add(1, Ordering::Relaxed);
        }
        let name = self.name;
        let mut answers: SmallVec<[Answer; 16]> =
            SmallVec::from_elem(Answer::None, self.cases.len());
        // In random order, for who is asked first answers first.
        random::find(self.cases.len(), |at| {
            answers[at] = self.cases[at].poll_remote(waker, name);
            false
        });
        if let Some(case) = random::find(answers.len(), |at| answers[at] == Answer::Come) {
            return Answered::Case(case);
        }
        if answers.contains(&Answer::Moved) { Answered::Moved } else { Answered::Nothing }
    }

    fn settle(&mut self, chosen: usize) {
        for (at, case) in self.cases.iter_mut().enumerate() {
            if at != chosen {
                case.withdraw();
            }
        }
        self.stage = Stage::Chosen(chosen);
    }
}

/// What the select waits for, in words.
fn describe(cases: &Cases<'_, '_>) -> String {
    let ready = cases.iter().map(|case| case.describe().unwrap_or_else(|| "none".to_owned()));
    format!("select of {}: {}", cases.len(), ready.collect::<Vec<_>>().join(", "))
}

/// Looks at all cases at one moment. If none is ready, all wait under `claim`, if there is one.
fn locked(cases: &mut Cases<'_, '_>, claim: Option<&Arc<Claim>>) -> Option<usize> {
    let holders = lock_all(cases);
    let mut wakes = Wakes::default();
    let order = random::order(cases.len());
    // A bug on purpose, for the checks: what became ready before the locks were had is not seen.
    let looked_at = if cfg!(planted = "window") && claim.is_some() { 0 } else { cases.len() };
    let chosen = order[..looked_at].iter().copied().find(|at| match holder(cases, &holders, *at) {
        Held::Nothing => false,
        Held::Own(case) => case.attempt_in(None, &mut wakes),
        Held::By(holder, case) => case.attempt_in(holder.locked(), &mut wakes),
    });
    if let (None, Some(claim)) = (chosen, claim) {
        // In random order too: of two cases of one channel the first in its line will happen.
        for at in order {
            match holder(cases, &holders, at) {
                Held::Nothing => {}
                Held::Own(case) => case.park_in(None, claim, at),
                Held::By(holder, case) => case.park_in(holder.locked(), claim, at),
            }
        }
    }
    cases.iter_mut().for_each(|case| case.unlock());
    wakes.wake();
    chosen
}

/// For each case the case that holds the lock of its channel; none for one that is never ready.
type Holders = SmallVec<[Option<u32>; 16]>;

/// Locks every channel once. Nothing is held while waiting: what cannot be had is tried again.
fn lock_all(cases: &mut Cases<'_, '_>) -> Holders {
    let mut tries = 0;
    loop {
        if let Some(holders) = try_lock_all(cases) {
            return holders;
        }
        tries += 1;
        pause(tries);
    }
}

/// Locks every channel, or none. A lock that is taken may be ours, for another case.
fn try_lock_all(cases: &mut Cases<'_, '_>) -> Option<Holders> {
    let mut holders = Holders::with_capacity(cases.len());
    for at in 0..cases.len() {
        if cases[at].try_lock() {
            holders.push(Some(at as u32));
            continue;
        }
        let address = cases[at].address();
        let earlier = (0..at).find(|earlier| cases[*earlier].address() == address);
        match (address, earlier) {
            (None, _) => holders.push(None),
            (Some(_), Some(earlier)) => holders.push(holders[earlier]),
            (Some(_), None) => {
                cases[..at].iter_mut().for_each(|case| case.unlock());
                return None;
            }
        }
    }
    Some(holders)
}

/// A case, and who holds its channel's lock.
enum Held<'x, 'c> {
    Nothing,
    Own(&'x mut (dyn Case + Send + 'c)),
    By(&'x mut (dyn Case + Send + 'c), &'x mut (dyn Case + Send + 'c)),
}

fn holder<'x, 'c>(cases: &'x mut Cases<'_, 'c>, holders: &Holders, at: usize) -> Held<'x, 'c> {
    match holders[at].map(|holder| holder as usize) {
        None => Held::Nothing,
        Some(holder) if holder == at => Held::Own(&mut *cases[at]),
        Some(holder) => {
            let both = cases.get_disjoint_mut([holder, at]).expect("two different cases");
            let [holder, case] = both;
            Held::By(&mut **holder, &mut **case)
        }
    }
}
