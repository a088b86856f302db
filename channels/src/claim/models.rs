//! The claim and the lock under every order of two or three threads, and under weak memory. Run it
//! with `RUSTFLAGS="--cfg loom" cargo test -p farspawn-channels --lib models`.

use std::future::poll_fn;
use std::task::{Poll, Waker};

use loom::future::block_on;
use loom::model::Builder;
use loom::sync::atomic::AtomicUsize;
use loom::thread::{self, JoinHandle};

use super::{Arc, Claim, Claimed, Ordering};
use crate::lock::Lock;

/// How often a thread that could go on is made to wait: most bugs need two.
const PREEMPTIONS: usize = 4;

fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.check(model);
}

/// Waits until something has happened.
fn wait(claim: &Claim) -> Claimed {
    block_on(poll_fn(|context| match claim.poll(context.waker()) {
        Claimed::Open => Poll::Pending,
        happened => Poll::Ready(happened),
    }))
}

fn step(claim: &Arc<Claim>, step: impl Fn(&Claim) -> bool + 'static) -> JoinHandle<bool> {
    let claim = claim.clone();
    thread::spawn(move || {
        let first = step(&claim);
        if first {
            claim.wake();
        }
        first
    })
}

#[test]
fn of_two_who_choose_one_does_and_whoever_waits_hears_of_it() {
    explore(|| {
        let claim = Claim::new(Waker::noop().clone());
        let threads =
            [step(&claim, |claim| claim.choose(0)), step(&claim, |claim| claim.choose(1))];
        let chosen = wait(&claim);
        let firsts = threads.map(|thread| thread.join().unwrap());
        assert!(firsts[0] != firsts[1], "one chooses: {firsts:?}");
        assert_eq!(chosen, Claimed::Chosen(usize::from(firsts[1])));
    });
}

#[test]
fn a_select_is_chosen_or_stirred_but_not_both() {
    explore(|| {
        let claim = Claim::new(Waker::noop().clone());
        let threads = [step(&claim, |claim| claim.choose(0)), step(&claim, Claim::stir)];
        let happened = wait(&claim);
        let [chosen, stirred] = threads.map(|thread| thread.join().unwrap());
        assert!(chosen != stirred);
        assert_eq!(happened, if chosen { Claimed::Chosen(0) } else { Claimed::Stirred });
    });
}

#[test]
fn a_select_that_was_handed_over_wakes_its_new_task() {
    explore(|| {
        let claim = Claim::new(Waker::noop().clone());
        let thread = step(&claim, |claim| claim.choose(0));
        let earlier = claim.poll(Waker::noop());
        let chosen = wait(&claim);
        assert!(thread.join().unwrap());
        assert!(earlier == Claimed::Open || earlier == chosen, "it is final");
    });
}

#[test]
fn what_was_done_before_a_choice_is_seen_after_it() {
    explore(|| {
        let claim = Claim::new(Waker::noop().clone());
        let done = Arc::new(AtomicUsize::new(0));
        let doer = done.clone();
        let thread = step(&claim, move |claim| {
            doer.store(1, Ordering::Relaxed);
            claim.choose(0)
        });
        assert_eq!(wait(&claim), Claimed::Chosen(0));
        assert_eq!(done.load(Ordering::Relaxed), 1);
        thread.join().unwrap();
    });
}

/// The lock as the models know it: what they say of channels rests on that.
#[test]
fn one_at_a_time_holds_the_lock() {
    explore(|| {
        let count = Arc::new(Lock::new(0));
        let other = count.clone();
        let thread = thread::spawn(move || {
            *other.lock() += 1;
            other.try_lock().map(|mut count| *count += 1).is_some()
        });
        *count.lock() += 1;
        let tried = thread.join().unwrap();
        assert_eq!(*count.lock(), 2 + i32::from(tried));
    });
}
