//! What happens to whom, operation by operation: Go's rules as tables. Here as at the coordinator;
//! `here` as in a process, `moves` on the way from the one to the other; `leases` at both, and
//! strict order.

use super::*;

mod here;
mod leases;
mod moves;

/// As at the coordinator.
impl Waiter for char {
    const TAKES: bool = false;
    type Kept = Self;

    fn keep(&self) -> Self {
        *self
    }

    fn kept(kept: &Self) -> Option<Self> {
        Some(*kept)
    }
}

/// A channel whose waiters are letters, and what happened to them since somebody last looked.
struct Bench {
    chan: Chan<u32, char>,
    happened: Vec<(char, Turn)>,
    places: BTreeMap<char, Place>,
}

impl Bench {
    fn new(capacity: usize) -> Self {
        Self { chan: Chan::new(capacity), happened: Vec::new(), places: BTreeMap::new() }
    }

    fn act<R>(&mut self, run: impl FnOnce(&mut Chan<u32, char>, &mut Vec<(char, Turn)>) -> R) -> R {
        run(&mut self.chan, &mut self.happened)
    }

    fn send(&mut self, who: char, value: u32) -> Sent<u32> {
        let sent = self.act(|chan, happened| {
            chan.send(value, || who, &mut |effect| happened.push((effect.waiter, effect.turn)))
        });
        if let Sent::Parked(place) = sent {
            self.places.insert(who, place);
        }
        sent
    }

    fn park(&mut self, who: char) {
        let place = self.act(|chan, happened| {
            chan.park_receive(who, &mut |effect| happened.push((effect.waiter, effect.turn)))
        });
        self.places.insert(who, place);
    }

    fn on<R>(
        &mut self,
        who: char,
        run: impl FnOnce(&mut Chan<u32, char>, Place, &mut dyn FnMut(Effect<char>)) -> R,
    ) -> R {
        let place = self.places[&who];
        let happened = &mut self.happened;
        run(&mut self.chan, place, &mut |effect| happened.push((effect.waiter, effect.turn)))
    }

    fn accept(&mut self, who: char) -> Option<u32> {
        self.on(who, |chan, place, mut effect| chan.accept(place, &mut effect))
    }

    fn decline(&mut self, who: char) -> Option<u32> {
        self.on(who, |chan, place, mut effect| chan.decline(place, &mut effect))
    }

    fn receive(&mut self) -> Received<u32> {
        self.act(|chan, happened| {
            chan.receive(&mut |effect| happened.push((effect.waiter, effect.turn)))
        })
    }

    fn finish(&mut self, end: End) -> bool {
        self.act(|chan, happened| {
            chan.finish(end, &mut |effect| happened.push((effect.waiter, effect.turn)))
        })
    }

    fn fence(&mut self, dead: char) -> Vec<u32> {
        self.act(|chan, happened| {
            let note = &mut |effect: Effect<char>| happened.push((effect.waiter, effect.turn));
            chan.fence(|who| *who == dead, note)
        })
    }

    fn happened(&mut self) -> Vec<(char, Turn)> {
        std::mem::take(&mut self.happened)
    }
}

#[test]
fn a_buffer_of_two_takes_two_and_parks_the_third() {
    let mut bench = Bench::new(2);
    assert_eq!(bench.send('a', 1), Sent::Done);
    assert_eq!(bench.send('b', 2), Sent::Done);
    assert!(matches!(bench.send('c', 3), Sent::Parked(_)));
    assert_eq!(bench.chan.len(), 2);
    assert_eq!(bench.receive(), Received::Message(1));
    assert_eq!(bench.happened(), [('c', Turn::Sent)], "freed room lets the third return");
    assert_eq!([bench.receive(), bench.receive()], [Received::Message(2), Received::Message(3)]);
    assert_eq!(bench.receive(), Received::Empty);
}

#[test]
fn a_rendezvous_ends_when_the_value_is_taken_and_not_before() {
    let mut bench = Bench::new(0);
    assert!(matches!(bench.send('s', 1), Sent::Parked(_)));
    bench.park('r');
    assert_eq!(bench.happened(), [('r', Turn::Offered)]);
    assert_eq!(bench.accept('r'), Some(1));
    assert_eq!(bench.happened(), [('s', Turn::Sent)]);
    assert_eq!(bench.chan.len(), 0);
}

#[test]
fn a_value_on_offer_counts_against_the_capacity() {
    let mut bench = Bench::new(1);
    bench.park('r');
    assert_eq!(bench.send('a', 1), Sent::Done);
    assert!(matches!(bench.send('b', 2), Sent::Parked(_)), "the first is not taken yet");
    bench.accept('r');
    assert_eq!(bench.happened(), [('r', Turn::Offered), ('b', Turn::Sent)]);
}

#[test]
fn a_declined_value_returns_to_its_old_place() {
    let mut bench = Bench::new(3);
    bench.park('r');
    (1..=3).for_each(|value| assert_eq!(bench.send('s', value), Sent::Done));
    assert_eq!(bench.decline('r'), None);
    let order = [bench.receive(), bench.receive(), bench.receive()];
    assert_eq!(order, [1, 2, 3].map(Received::Message));
}

#[test]
fn a_declined_value_goes_to_the_next_receive_in_line() {
    let mut bench = Bench::new(1);
    bench.park('p');
    bench.park('q');
    assert_eq!(bench.send('s', 1), Sent::Done);
    bench.decline('p');
    assert_eq!(bench.happened(), [('p', Turn::Offered), ('q', Turn::Offered)]);
    assert_eq!(bench.accept('q'), Some(1));
}

#[test]
fn close_refuses_those_who_wait_and_keeps_what_was_sent() {
    let mut bench = Bench::new(1);
    assert_eq!(bench.send('a', 1), Sent::Done);
    assert!(matches!(bench.send('b', 2), Sent::Parked(_)));
    assert!(bench.finish(End::Closed));
    assert!(!bench.finish(End::Closed), "a second close says so");
    assert_eq!(bench.happened(), [('b', Turn::Refused)]);
    let refused = bench.on('b', |chan, place, _| chan.take_refused(place));
    assert_eq!(refused, Some(2), "the value comes back");
    assert_eq!(bench.send('c', 3), Sent::Refused(3));
    assert_eq!(bench.receive(), Received::Message(1));
    assert_eq!(bench.receive(), Received::Ended(End::Closed));
}

#[test]
fn nobody_sees_closed_while_a_value_may_still_come_back() {
    let mut bench = Bench::new(1);
    bench.park('p');
    bench.park('q');
    assert_eq!(bench.send('s', 1), Sent::Done);
    bench.finish(End::Closed);
    assert_eq!(bench.happened(), [('p', Turn::Offered)]);
    bench.decline('p');
    assert_eq!(bench.happened(), [('q', Turn::Offered)], "q gets it, not Closed");
    bench.park('t');
    assert_eq!(bench.accept('q'), Some(1));
    assert_eq!(bench.happened(), [('t', Turn::Ended)]);
}

#[test]
fn a_dead_receiver_gives_its_offer_back_and_a_dead_sender_takes_its_own() {
    let mut bench = Bench::new(1);
    bench.park('r');
    assert_eq!(bench.send('s', 1), Sent::Done);
    assert!(matches!(bench.send('x', 2), Sent::Parked(_)));
    assert_eq!(bench.fence('r'), Vec::<u32>::new());
    assert_eq!(bench.fence('x'), [2], "a send that had not ended was never committed");
    assert_eq!([bench.receive(), bench.receive()], [Received::Message(1), Received::Empty]);
}

#[test]
fn a_dead_senders_rendezvous_may_be_taken_but_does_not_come_back() {
    let mut bench = Bench::new(0);
    bench.park('r');
    assert!(matches!(bench.send('s', 1), Sent::Parked(_)));
    bench.fence('s');
    assert_eq!(bench.decline('r'), Some(1));
    assert_eq!(bench.receive(), Received::Empty);

    bench.park('r');
    assert!(matches!(bench.send('s', 2), Sent::Parked(_)));
    bench.fence('s');
    assert_eq!(bench.accept('r'), Some(2));
    assert_eq!(bench.chan.len(), 0);
}

#[test]
fn a_deserted_channel_gives_its_values_out() {
    let mut bench = Bench::new(2);
    bench.send('a', 1).ignore();
    bench.send('a', 2).ignore();
    bench.send('b', 3).ignore();
    let unread = bench.act(|chan, happened| {
        let note = &mut |effect: Effect<char>| happened.push((effect.waiter, effect.turn));
        chan.desert(End::Closed, note)
    });
    assert_eq!(unread, [1, 2]);
    assert_eq!(bench.happened(), [('b', Turn::Refused)]);
}

/// Two values wait on offer behind a buffer of two that is on offer too.
#[test]
fn freed_room_ends_sends_whose_values_are_on_offer() {
    let mut bench = Bench::new(2);
    "pqrtu".chars().for_each(|who| bench.park(who));
    (1..=2).for_each(|value| assert_eq!(bench.send('s', value), Sent::Done));
    for (who, value) in [('a', 3), ('b', 4), ('c', 5)] {
        assert!(matches!(bench.send(who, value), Sent::Parked(_)));
    }
    bench.happened();
    assert_eq!(bench.accept('p'), Some(1));
    assert_eq!((bench.happened(), bench.chan.len()), (vec![('a', Turn::Sent)], 2));
    assert_eq!(bench.accept('q'), Some(2));
    assert_eq!((bench.happened(), bench.chan.len()), (vec![('b', Turn::Sent)], 2));
    assert!(matches!(bench.send('d', 6), Sent::Parked(_)), "two are on offer and none is taken");
    "tr".chars().for_each(|who| assert_eq!(bench.decline(who), None));
    assert_eq!(bench.accept('u'), Some(5));
    let rest = [bench.receive(), bench.receive(), bench.receive(), bench.receive()];
    assert_eq!(rest[..3], [3, 4, 6].map(Received::Message));
    assert_eq!(rest[3], Received::Empty);
}

/// Whether a send had ended before its value was on offer or only then, its value has its age.
#[test]
fn values_declined_by_several_return_in_the_order_of_their_sends() {
    for back in ["qr", "rq"] {
        let mut bench = Bench::new(2);
        "pqr".chars().for_each(|who| bench.park(who));
        (1..=2).for_each(|value| assert_eq!(bench.send('s', value), Sent::Done));
        assert!(matches!(bench.send('a', 3), Sent::Parked(_)));
        assert_eq!(bench.accept('p'), Some(1));
        back.chars().for_each(|who| assert_eq!(bench.decline(who), None));
        let rest = [bench.receive(), bench.receive()];
        assert_eq!(rest, [2, 3].map(Received::Message), "{back}");
    }
}

#[test]
fn a_declined_rendezvous_waits_again_at_its_old_place() {
    let mut bench = Bench::new(0);
    bench.park('r');
    for (who, value) in [('a', 1), ('b', 2)] {
        assert!(matches!(bench.send(who, value), Sent::Parked(_)));
    }
    assert_eq!(bench.decline('r'), None);
    assert_eq!([bench.receive(), bench.receive()], [1, 2].map(Received::Message));
    assert_eq!(bench.happened(), [('r', Turn::Offered), ('a', Turn::Sent), ('b', Turn::Sent)]);
}

#[test]
fn a_rendezvous_declined_after_the_close_is_refused() {
    let mut bench = Bench::new(0);
    bench.park('r');
    assert!(matches!(bench.send('s', 1), Sent::Parked(_)));
    bench.park('q');
    bench.finish(End::Closed);
    assert_eq!(bench.happened(), [('r', Turn::Offered)], "it may still be taken");
    bench.decline('r');
    assert_eq!(bench.happened(), [('s', Turn::Refused), ('q', Turn::Ended)]);
    assert_eq!(bench.on('s', |chan, place, _| chan.send_status(place)), SendStatus::Refused(1));
    assert_eq!(bench.receive(), Received::Ended(End::Closed));
}

#[test]
fn a_dead_receiver_does_not_wait_and_its_offer_goes_to_the_next() {
    let mut bench = Bench::new(1);
    "xqxr".chars().for_each(|who| bench.park(who));
    assert_eq!(bench.send('s', 1), Sent::Done);
    assert_eq!(bench.happened(), [('x', Turn::Offered)]);
    bench.fence('x');
    assert_eq!(bench.happened(), [('q', Turn::Offered)]);
    assert!(matches!(bench.send('s', 2), Sent::Parked(_)));
    assert_eq!(bench.happened(), [('r', Turn::Offered)]);
}

/// The dead sender's value was all that the others waited for.
#[test]
fn a_dead_senders_offer_keeps_nobody_from_seeing_the_end() {
    let mut bench = Bench::new(0);
    bench.park('x');
    assert!(matches!(bench.send('x', 1), Sent::Parked(_)));
    bench.park('q');
    bench.finish(End::Closed);
    bench.happened();
    assert_eq!(bench.fence('x'), [1]);
    assert_eq!(bench.happened(), [('q', Turn::Ended)]);
}

#[test]
fn what_can_be_seen_of_a_channel() {
    let mut bench = Bench::new(2);
    let seen = |bench: &Bench| {
        let chan = &bench.chan;
        (chan.capacity(), chan.len(), chan.is_empty(), chan.is_full(), chan.is_ready())
    };
    assert_eq!(seen(&bench), (2, 0, true, false, false));
    bench.send('s', 1).ignore();
    assert_eq!(seen(&bench), (2, 1, false, false, true));
    bench.send('s', 2).ignore();
    assert_eq!(seen(&bench), (2, 2, false, true, true));
    bench.finish(End::Closed);
    assert_eq!([bench.receive(), bench.receive()], [1, 2].map(Received::Message));
    assert_eq!(seen(&bench), (2, 0, true, false, true));

    let mut bench = Bench::new(0);
    bench.send('s', 1).ignore();
    assert_eq!(seen(&bench), (0, 0, true, true, true), "a send waits, so a receive need not");
    bench.park('r');
    assert_eq!(seen(&bench), (0, 0, true, true, false));
    assert!(!bench.chan.has_receive(|_| true), "it has an offer");
    bench.park('q');
    assert!(bench.chan.has_receive(|_| true));
    assert_eq!(bench.on('r', |chan, place, _| chan.offered(place).copied()), Some(1));
    assert_eq!(bench.on('q', |chan, place, _| chan.offered(place).copied()), None);
}

#[test]
fn a_value_restored_goes_to_whoever_waits() {
    let mut bench = Bench::new(1);
    bench.park('r');
    bench.act(|chan, happened| {
        chan.restore_sent(1, &mut |effect| happened.push((effect.waiter, effect.turn)));
    });
    assert_eq!((bench.happened(), bench.accept('r')), (vec![('r', Turn::Offered)], Some(1)));
}

impl<M> Sent<M> {
    fn ignore(self) {}
}
