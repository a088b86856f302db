//! In a process: a value that meets a waiting receive is taken in that moment, and cases of a
//! select are passed over once another has happened.

use std::cell::Cell;
use std::rc::Rc;

use super::*;

/// A task, or a case of a select, which shares its choice with the others.
#[derive(Clone, Debug)]
pub(super) struct Here {
    who: char,
    is_chosen: Option<Rc<Cell<bool>>>,
}

impl Waiter for Here {
    const TAKES: bool = true;
    type Kept = ();

    fn keep(&self) {}

    fn kept((): &()) -> Option<Self> {
        None
    }

    fn claim(&self) -> bool {
        self.is_chosen.as_ref().is_none_or(|is_chosen| !is_chosen.replace(true))
    }

    fn stir(&self) -> bool {
        self.is_chosen.as_ref().is_some_and(|is_chosen| !is_chosen.replace(true))
    }

    fn told() -> Option<Self> {
        Some(task('?'))
    }
}

pub(super) fn task(who: char) -> Here {
    Here { who, is_chosen: None }
}

/// The cases of one select.
pub(super) fn cases<const N: usize>(names: [char; N]) -> [Here; N] {
    let is_chosen = Rc::new(Cell::new(false));
    names.map(|who| Here { who, is_chosen: Some(is_chosen.clone()) })
}

/// A channel, and what happened to whom since somebody last looked.
pub(super) struct Bench {
    pub(super) chan: Chan<u32, Here>,
    happened: Vec<(char, Turn)>,
}

impl Bench {
    pub(super) fn new(capacity: usize) -> Self {
        Self { chan: Chan::new(capacity), happened: Vec::new() }
    }

    pub(super) fn act<R>(
        &mut self,
        run: impl FnOnce(&mut Chan<u32, Here>, &mut dyn FnMut(Effect<Here>)) -> R,
    ) -> R {
        let happened = &mut self.happened;
        run(&mut self.chan, &mut |effect| happened.push((effect.waiter.who, effect.turn)))
    }

    /// A send that finds room or a receive.
    pub(super) fn send(&mut self, value: u32) {
        let mut value = Some(value);
        let tried = self.act(|chan, mut effect| chan.try_send(&mut value, &mut effect));
        assert_eq!((tried, value), (Tried::Done, None));
    }

    /// A send that has to wait.
    pub(super) fn wait_send(&mut self, value: u32, waiter: Here) -> Place {
        let mut kept = Some(value);
        let tried = self.act(|chan, mut effect| chan.try_send(&mut kept, &mut effect));
        assert_eq!((tried, kept), (Tried::Full, Some(value)));
        self.chan.wait_send(&mut Some(value), || waiter)
    }

    pub(super) fn receive(&mut self) -> Received<u32> {
        self.act(|chan, mut effect| chan.receive(&mut effect))
    }

    /// A receive that has to wait.
    pub(super) fn wait_receive(&mut self, waiter: Here) -> Place {
        assert_eq!(self.receive(), Received::Empty);
        self.chan.wait_receive(|| waiter)
    }

    pub(super) fn accept(&mut self, receive: Place) -> Option<u32> {
        self.act(|chan, mut effect| chan.accept(receive, &mut effect))
    }

    pub(super) fn decline(&mut self, receive: Place) {
        assert_eq!(self.act(|chan, mut effect| chan.decline(receive, &mut effect)), None);
    }

    pub(super) fn finish(&mut self) -> bool {
        self.act(|chan, mut effect| chan.finish(End::Closed, &mut effect))
    }

    pub(super) fn happened(&mut self) -> Vec<(char, Turn)> {
        std::mem::take(&mut self.happened)
    }

    /// Receives all that is there.
    pub(super) fn drain(&mut self) -> Vec<u32> {
        std::iter::from_fn(|| match self.receive() {
            Received::Message(value) => Some(value),
            Received::Empty | Received::Ended(_) => None,
        })
        .collect()
    }
}

#[test]
fn a_value_that_is_taken_makes_room_before_it_is_fetched() {
    let mut bench = Bench::new(1);
    let place = bench.wait_receive(task('r'));
    bench.send(1);
    assert_eq!(bench.happened(), [('r', Turn::Offered)]);
    assert_eq!((bench.chan.len(), bench.chan.offered(place).copied()), (0, Some(1)));
    bench.send(2);
    assert_eq!((bench.chan.len(), bench.chan.is_full()), (1, true));
    assert_eq!([bench.accept(place), bench.accept(place)], [Some(1), None]);
    assert_eq!(bench.drain(), [2]);
}

/// The third and fourth sends went into the buffer meanwhile: it holds more than its capacity.
#[test]
fn values_given_back_stand_in_front_in_the_order_of_their_sends() {
    for back in [[0, 1], [1, 0]] {
        let mut bench = Bench::new(2);
        let places = [bench.wait_receive(task('p')), bench.wait_receive(task('q'))];
        (1..=4).for_each(|value| bench.send(value));
        back.into_iter().for_each(|at| bench.decline(places[at]));
        assert_eq!(bench.chan.len(), 4);
        let send = bench.wait_send(5, task('s'));
        assert_eq!(bench.receive(), Received::Message(1));
        assert_eq!(bench.receive(), Received::Message(2));
        assert_eq!(bench.chan.send_status(send), SendStatus::Waiting, "it is still full");
        assert_eq!(bench.receive(), Received::Message(3));
        assert_eq!(bench.chan.send_status(send), SendStatus::Sent);
        assert_eq!(bench.drain(), [4, 5], "{back:?}");
    }
}

#[test]
fn a_value_given_back_keeps_its_age_when_younger_ones_come_and_go() {
    let mut bench = Bench::new(3);
    let places = ['p', 'q', 'r'].map(|who| bench.wait_receive(task(who)));
    (1..=6).for_each(|value| bench.send(value));
    bench.decline(places[1]);
    assert_eq!(bench.receive(), Received::Message(2));
    assert_eq!(bench.receive(), Received::Message(4));
    bench.decline(places[2]);
    bench.decline(places[0]);
    assert_eq!(bench.drain(), [1, 3, 5, 6]);
}

#[test]
fn a_value_given_back_goes_to_the_receive_that_waits() {
    let mut bench = Bench::new(1);
    let places = [bench.wait_receive(task('p')), bench.wait_receive(task('q'))];
    bench.send(1);
    bench.decline(places[0]);
    assert_eq!(bench.happened(), [('p', Turn::Offered), ('q', Turn::Offered)]);
    assert_eq!(bench.chan.len(), 0);
    assert_eq!(bench.accept(places[1]), Some(1));
    bench.send(2);
    assert_eq!(bench.drain(), [2]);
}

#[test]
fn a_receive_that_left_gets_nothing() {
    let mut bench = Bench::new(0);
    let place = bench.wait_receive(task('r'));
    assert!(bench.chan.has_receive(|_| true));
    bench.decline(place);
    assert!(!bench.chan.has_receive(|_| true));
    bench.wait_send(1, task('s'));
    assert_eq!(bench.receive(), Received::Message(1));
    assert_eq!(bench.happened(), [('s', Turn::Sent)]);
}

#[test]
fn a_send_that_left_is_not_received() {
    let mut bench = Bench::new(1);
    bench.send(1);
    let places = [bench.wait_send(2, task('s')), bench.wait_send(3, task('t'))];
    let cancelled = bench.act(|chan, mut effect| chan.cancel_send(places[0], &mut effect));
    assert_eq!(cancelled, Some(2));
    assert_eq!(bench.drain(), [1, 3]);
    let cancelled = bench.act(|chan, mut effect| chan.cancel_send(places[1], &mut effect));
    assert_eq!(cancelled, None, "it was sent");
}

#[test]
fn cases_of_a_select_that_has_chosen_are_passed_over() {
    let mut bench = Bench::new(0);
    let [one, other] = cases(['x', 'y']);
    let places = [bench.wait_receive(one), bench.wait_receive(other)];
    let last = bench.wait_receive(task('r'));
    [1, 2].into_iter().for_each(|value| bench.send(value));
    assert_eq!(bench.happened(), [('x', Turn::Offered), ('r', Turn::Offered)]);
    assert_eq!([bench.accept(places[0]), bench.accept(last)], [Some(1), Some(2)]);
    assert_eq!(bench.accept(places[1]), None);
}

#[test]
fn values_of_cases_that_were_passed_over_come_back() {
    let mut bench = Bench::new(0);
    let [one, other] = cases(['x', 'y']);
    let places = [bench.wait_send(1, one), bench.wait_send(2, other)];
    bench.wait_send(3, task('s'));
    assert_eq!(bench.drain(), [1, 3]);
    assert_eq!(bench.happened(), [('x', Turn::Sent), ('s', Turn::Sent)]);
    let cancelled = bench.act(|chan, mut effect| chan.cancel_send(places[1], &mut effect));
    assert_eq!(cancelled, Some(2));
    assert_eq!(bench.chan.take_refused(places[0]), None);
}

#[test]
fn cases_that_were_passed_over_do_not_fill_a_buffer() {
    let mut bench = Bench::new(1);
    bench.send(1);
    let [one, other] = cases(['x', 'y']);
    assert!(one.claim());
    let place = bench.wait_send(2, other);
    assert_eq!(bench.receive(), Received::Message(1));
    assert_eq!((bench.chan.len(), bench.happened()), (0, vec![]));
    assert_eq!(bench.chan.take_refused(place), Some(2));
    bench.send(3);
    assert_eq!(bench.drain(), [3]);
}

#[test]
fn a_select_that_sends_and_receives_does_not_meet_itself() {
    let mut bench = Bench::new(0);
    let [send, receive] = cases(['x', 'y']);
    bench.wait_send(1, send);
    let place = bench.chan.wait_receive(|| receive);
    bench.send(2);
    assert_eq!(bench.happened(), [('y', Turn::Offered)], "another sends to it");
    assert_eq!(bench.accept(place), Some(2));
    assert_eq!(bench.receive(), Received::Empty, "its own send is passed over");
}

#[test]
fn a_close_refuses_sends_but_says_nothing_to_cases_passed_over() {
    let mut bench = Bench::new(1);
    bench.send(1);
    let [one, other] = cases(['x', 'y']);
    assert!(one.claim());
    let places = [bench.wait_send(2, other), bench.wait_send(3, task('s'))];
    assert_eq!([bench.finish(), bench.finish()], [true, false]);
    assert_eq!(bench.happened(), [('s', Turn::Refused)]);
    let refused = places.map(|place| bench.chan.take_refused(place));
    assert_eq!(refused, [Some(2), Some(3)], "both values come back");
    let mut four = Some(4);
    let tried = bench.act(|chan, mut effect| chan.try_send(&mut four, &mut effect));
    assert_eq!((tried, four), (Tried::Refused, Some(4)));
    assert_eq!(bench.receive(), Received::Message(1));
    assert_eq!(bench.receive(), Received::Ended(End::Closed));
}

#[test]
fn a_close_ends_receives_but_says_nothing_to_cases_passed_over() {
    let mut bench = Bench::new(0);
    let [one, other] = cases(['x', 'y']);
    assert!(one.claim());
    let places = [bench.wait_receive(other), bench.wait_receive(task('r'))];
    bench.finish();
    assert_eq!(bench.happened(), [('r', Turn::Ended)]);
    assert!(places.map(|place| bench.chan.rewait_receive(place, task('r'))) == [false; 2]);
}

#[test]
fn nobody_sees_the_end_while_a_value_that_was_taken_may_come_back() {
    let mut bench = Bench::new(1);
    let first = bench.wait_receive(task('p'));
    bench.send(1);
    bench.finish();
    assert!(!bench.chan.is_ready());
    let second = bench.wait_receive(task('q'));
    bench.decline(first);
    assert_eq!(bench.happened(), [('p', Turn::Offered), ('q', Turn::Offered)]);
    let third = bench.wait_receive(task('t'));
    assert_eq!(bench.accept(second), Some(1));
    assert_eq!(bench.happened(), [('t', Turn::Ended)]);
    assert_eq!((bench.accept(third), bench.chan.is_ready()), (None, true));
    assert_eq!(bench.receive(), Received::Ended(End::Closed));
}

#[test]
fn a_callback_can_be_replaced_while_it_waits() {
    let mut bench = Bench::new(0);
    let place = bench.wait_receive(task('p'));
    assert!(bench.chan.rewait_receive(place, task('q')));
    bench.send(1);
    assert!(!bench.chan.rewait_receive(place, task('r')), "it has its value");
    let place = bench.wait_send(2, task('s'));
    bench.chan.rewait_send(place, task('t'));
    bench.finish();
    assert_eq!(bench.happened(), [('q', Turn::Offered), ('t', Turn::Refused)]);
}

#[test]
fn a_deserted_channel_gives_out_what_was_given_back_too() {
    let mut bench = Bench::new(1);
    let place = bench.wait_receive(task('r'));
    [1, 2].into_iter().for_each(|value| bench.send(value));
    bench.decline(place);
    let unread = bench.act(|chan, mut effect| chan.desert(End::Closed, &mut effect));
    assert_eq!(unread, [1, 2]);
    assert!(bench.chan.is_empty());
    assert_eq!(bench.receive(), Received::Ended(End::Closed));
}

#[test]
fn whoever_watches_hears_of_the_end_once() {
    let mut bench = Bench::new(0);
    bench.chan.watch(task('w'));
    bench.finish();
    bench.finish();
    assert_eq!(bench.happened(), [('w', Turn::Ended)]);
}

/// What is rarely there is gone as soon as it is empty: the short ways are open again.
#[test]
fn nothing_stays_aside_that_is_empty() {
    let mut bench = Bench::new(1);
    let place = bench.wait_receive(task('r'));
    bench.send(1);
    assert!(bench.chan.aside.is_none(), "a value that was taken is not aside");
    bench.decline(place);
    assert!(bench.chan.aside.is_some(), "it has returned");
    assert!(!bench.chan.put(&mut Some(2)) && bench.chan.pick().is_none());
    assert_eq!(bench.receive(), Received::Message(1));
    assert!(bench.chan.aside.is_none());
    let [one, other] = cases(['x', 'y']);
    bench.send(2);
    let places = [bench.wait_send(4, one), bench.wait_send(5, other)];
    assert_eq!(bench.drain(), [2, 4]);
    assert!(bench.chan.aside.is_some(), "the value of the other case is to be fetched");
    assert_eq!(places.map(|place| bench.chan.take_refused(place)), [None, Some(5)]);
    assert!(bench.chan.aside.is_none());
}

/// The short ways do what the long ones do, and leave the rest to them.
#[test]
fn short_ways_give_and_take_and_fetch() {
    let mut bench = Bench::new(1);
    let mut told = None;
    assert!(!bench.chan.give(&mut Some(1), &mut told), "nobody waits");
    let place = bench.wait_receive(task('r'));
    assert!(bench.chan.give(&mut Some(1), &mut told));
    assert_eq!(told.take().map(|task| task.who), Some('r'));
    assert_eq!((bench.chan.fetch(place), bench.chan.fetch(place)), (Some(1), None));

    bench.send(2);
    bench.wait_send(3, task('s'));
    assert_eq!((bench.chan.take(&mut told), bench.chan.len()), (Some(2), 1));
    assert_eq!(told.take().map(|task| task.who), Some('s'));
    assert_eq!(bench.chan.take(&mut told), Some(3));
    assert_eq!((told.is_none(), bench.chan.take(&mut told)), (true, None));

    bench.send(4);
    let [one, other] = cases(['x', 'y']);
    let places = [bench.wait_send(5, one), bench.wait_send(6, other)];
    assert_eq!((bench.chan.take(&mut told), bench.chan.take(&mut None)), (Some(4), None));
    assert_eq!(bench.drain(), [5]);
    assert_eq!(places.map(|place| bench.chan.take_refused(place)), [None, Some(6)]);

    let place = bench.wait_receive(task('r'));
    bench.finish();
    assert!(!bench.chan.give(&mut Some(7), &mut None), "it has ended");
    assert_eq!((bench.chan.take(&mut None), bench.chan.fetch(place)), (None, None));
}

#[test]
fn a_send_does_not_wait_while_a_receive_waits_behind_a_case_that_is_over() {
    let mut bench = Bench::new(0);
    let [one, other] = cases(['x', 'y']);
    assert!(one.claim(), "the select has chosen elsewhere");
    bench.wait_receive(other);
    let place = bench.wait_receive(task('r'));
    assert!(!bench.chan.give(&mut Some(1), &mut None) && !bench.chan.is_merely_full());
    bench.send(1);
    assert_eq!(bench.chan.fetch(place), Some(1));
    assert!(bench.chan.is_merely_full());
}

#[test]
fn a_rendezvous_is_taken_from_the_send_that_waits() {
    let mut bench = Bench::new(0);
    let mut told = None;
    let places = [8, 9].map(|value| bench.wait_send(value, task('s')));
    assert_eq!(bench.chan.take(&mut told), Some(8));
    assert_eq!(told.map(|task| task.who), Some('s'));
    assert_eq!(bench.chan.send_status(places[0]), SendStatus::Sent);
    assert_eq!(bench.chan.send_status(places[1]), SendStatus::Waiting);
}

#[test]
fn the_short_way_is_taken_only_while_nobody_waits() {
    let mut bench = Bench::new(1);
    assert_eq!(bench.chan.pick(), None);
    let mut value = Some(1);
    assert!(bench.chan.put(&mut value));
    assert_eq!((value, bench.chan.len()), (None, 1));
    let mut value = Some(2);
    assert!(!bench.chan.put(&mut value));
    assert_eq!((value, bench.chan.len()), (Some(2), 1));
    assert_eq!(bench.chan.pick(), Some(1));

    bench.wait_receive(task('r'));
    assert!(!bench.chan.put(&mut Some(3)), "it is for the receive");
    bench.send(3);
    bench.send(4);
    bench.wait_send(5, task('s'));
    assert_eq!(bench.chan.pick(), None, "a send waits for the room");
    assert_eq!(bench.drain(), [4, 5]);
}
