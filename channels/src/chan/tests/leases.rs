//! Values on lease, and channels of strict order, at both homes.

use super::here::{Bench as HereBench, cases, task};
use super::*;

impl HereBench {
    fn strict(capacity: usize) -> Self {
        let mut bench = Self::new(capacity);
        bench.chan.set_strict();
        bench
    }

    fn lease(&mut self) -> Received<Lease<u32>> {
        self.act(|chan, mut effect| chan.receive_leased(&mut effect))
    }

    #[track_caller]
    fn leased(&mut self) -> Lease<u32> {
        match self.lease() {
            Received::Message(lease) => lease,
            other => panic!("{other:?}"),
        }
    }

    fn accept_leased(&mut self, place: Place) -> Option<Lease<u32>> {
        self.act(|chan, mut effect| chan.accept_leased(place, &mut effect))
    }

    fn acknowledge(&mut self, lease: Lease<u32>) {
        self.act(|chan, mut effect| chan.end_lease(lease.age, &mut effect));
    }

    fn give_back(&mut self, lease: Lease<u32>) {
        self.act(|chan, mut effect| chan.return_lease(lease.age, lease.message, &mut effect));
    }
}

#[test]
fn a_leased_value_returns_to_its_place_with_the_next_number() {
    let mut bench = HereBench::new(3);
    (1..=3).for_each(|value| bench.send(value));
    let (one, two) = (bench.leased(), bench.leased());
    assert_eq!([(one.message, one.attempt), (two.message, two.attempt)], [(1, 1), (2, 1)]);
    assert_eq!(bench.chan.len(), 3, "they are the channel's");
    bench.give_back(two);
    bench.give_back(one);
    let one = bench.leased();
    assert_eq!((one.message, one.attempt), (1, 2));
    bench.acknowledge(one);
    assert_eq!(bench.drain(), [2, 3]);
    (4..=6).for_each(|value| bench.send(value));
    assert_eq!(bench.leased().attempt, 1, "a value that was taken is forgotten");
}

#[test]
fn a_lease_keeps_its_place_in_the_buffer_until_it_ends() {
    let mut bench = HereBench::new(1);
    bench.send(1);
    let lease = bench.leased();
    bench.wait_send(2, task('s'));
    assert_eq!(bench.happened(), []);
    bench.acknowledge(lease);
    assert_eq!(bench.happened(), [('s', Turn::Sent)]);
    assert_eq!(bench.drain(), [2]);
}

#[test]
fn a_send_ends_when_its_value_is_leased() {
    let mut bench = HereBench::new(0);
    let send = bench.wait_send(1, task('s'));
    let lease = bench.leased();
    assert_eq!(bench.happened(), [('s', Turn::Sent)]);
    assert_eq!(bench.chan.send_status(send), SendStatus::Sent);
    bench.give_back(lease);
    assert_eq!(bench.drain(), [1]);

    let receive = bench.wait_receive(task('r'));
    bench.send(2);
    let lease = bench.accept_leased(receive).unwrap();
    assert_eq!((lease.message, bench.chan.len()), (2, 1));
    bench.acknowledge(lease);
    assert!(bench.chan.is_empty());
}

#[test]
fn a_closed_channel_is_drained_when_its_leases_have_ended() {
    let mut bench = HereBench::new(2);
    (1..=2).for_each(|value| bench.send(value));
    let (one, two) = (bench.leased(), bench.leased());
    bench.finish();
    bench.wait_receive(task('r'));
    bench.acknowledge(one);
    assert_eq!(bench.happened(), [], "two may come back");
    bench.acknowledge(two);
    assert_eq!(bench.happened(), [('r', Turn::Ended)]);
    assert_eq!(bench.lease(), Received::Ended(End::Closed));
}

#[test]
fn leases_go_along_at_their_places() {
    let mut bench = HereBench::new(4);
    (1..=4).for_each(|value| bench.send(value));
    let (one, two) = (bench.leased(), bench.leased());
    let age = two.age;
    bench.give_back(one);
    let contents = bench.chan.contents();
    let kept = |content: &Content<'_, u32, _>| match content {
        Content::Sent(value, attempts) => (Some(**value), *attempts),
        Content::Lent(at) => (None, u32::from(*at == age)),
        Content::Waits(..) => unreachable!(),
    };
    let kept: Vec<_> = contents.iter().map(kept).collect();
    assert_eq!(kept, [(Some(1), 1), (None, 1), (Some(3), 0), (Some(4), 0)]);

    // At the next home.
    let mut home = Bench::new(4);
    home.chan.restore_sent(1, &mut |_| {});
    let place = home.chan.restore_leased(0, 'l');
    home.chan.restore_sent(3, &mut |_| {});
    assert_eq!(home.chan.len(), 3);
    *home.chan.offered(place).unwrap() = 2;
    assert_eq!(home.chan.decline(place, &mut |_| {}), None);
    assert_eq!([home.receive(), home.receive(), home.receive()], [1, 2, 3].map(Received::Message));
    assert_eq!(home.receive(), Received::Empty);
    assert!(home.chan.is_empty());
}

#[test]
fn an_offer_that_is_leased_ends_its_send_and_may_come_back() {
    let mut bench = Bench::new(0);
    assert!(matches!(bench.send('s', 1), Sent::Done | Sent::Parked(_)));
    bench.park('r');
    bench.happened.clear();
    assert!(bench.on('r', |chan, place, mut effect| chan.lease(place, &mut effect)));
    assert_eq!(bench.happened, [('s', Turn::Sent)]);
    assert!(!bench.on('r', |chan, place, mut effect| chan.lease(place, &mut effect)), "once");
    assert!(bench.chan.has_leases() && bench.chan.len() == 1);
    bench.finish(End::Closed);
    bench.park('q');
    assert!(bench.fence('r').is_empty());
    assert_eq!(bench.happened[1..], [('q', Turn::Offered)]);
    assert!(!bench.chan.has_leases());
    assert_eq!(bench.accept('q'), Some(1));
    assert_eq!(bench.receive(), Received::Ended(End::Closed));
}

/// Two sends are on offer, and the younger is leased first: it comes back behind the older.
#[test]
fn leases_come_back_in_the_order_of_the_line() {
    let mut bench = Bench::new(0);
    for (who, value, by) in [('s', 1, 'p'), ('t', 2, 'q'), ('u', 3, 'r')] {
        assert!(matches!(bench.send(who, value), Sent::Parked(_)));
        bench.park(by);
    }
    for by in ['r', 'q', 'p'] {
        assert!(bench.on(by, |chan, place, mut effect| chan.lease(place, &mut effect)));
    }
    for by in ['q', 'r', 'p'] {
        assert_eq!(bench.decline(by), None);
    }
    assert_eq!([(); 3].map(|()| bench.receive()), [1, 2, 3].map(Received::Message));
}

#[test]
fn whoever_looks_first_takes_the_oldest_in_strict_order() {
    let mut bench = HereBench::strict(3);
    let [p, q] = ['p', 'q'].map(|who| bench.wait_receive(task(who)));
    (1..=3).for_each(|value| bench.send(value));
    assert_eq!(bench.accept(q), Some(1));
    bench.decline(p);
    assert_eq!(bench.drain(), [2, 3]);

    let [p, q] = ['p', 'q'].map(|who| bench.wait_receive(task(who)));
    (4..=6).for_each(|value| bench.send(value));
    assert_eq!(bench.receive(), Received::Message(4), "though others were told first");
    bench.decline(p);
    assert_eq!(bench.accept(q), Some(5));
    assert_eq!(bench.drain(), [6]);
}

#[test]
fn at_a_home_that_offers_one_is_out_at_a_time_in_strict_order() {
    let mut bench = Bench::new(2);
    bench.chan.set_strict();
    ('p'..='r').for_each(|who| bench.park(who));
    assert!(matches!(bench.send('s', 1), Sent::Done | Sent::Parked(_)));
    assert_eq!(bench.send('s', 2), Sent::Done);
    assert_eq!(bench.happened, [('p', Turn::Offered)]);
    bench.decline('p');
    assert_eq!(bench.happened[1..], [('q', Turn::Offered)]);
    assert_eq!(bench.accept('q'), Some(1));
    assert_eq!(bench.happened[2..], [('r', Turn::Offered)]);
    assert_eq!(bench.accept('r'), Some(2));
}

/// Two selects meet after a lease: the one that would send looks anew.
#[test]
fn a_send_of_a_select_that_was_held_up_looks_anew() {
    let mut bench = HereBench::strict(0);
    bench.wait_send(1, task('s'));
    let lease = bench.leased();
    let [send] = cases(['a']);
    bench.wait_send(2, send);
    let [receive] = cases(['b']);
    bench.wait_receive(receive);
    bench.wait_receive(task('r'));
    bench.wait_send(3, task('t'));
    bench.happened();
    bench.acknowledge(lease);
    let happened = [('a', Turn::Refused), ('t', Turn::Sent), ('b', Turn::Offered)];
    assert_eq!(bench.happened(), happened);
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// Whatever is given up, leased and given back: in strict order no value comes after a younger
/// one, each is taken once, and none stays behind.
#[test]
fn strict_order_holds_for_histories_at_random() {
    for seed in 1..=4000_u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut bench = HereBench::strict(random.below(4));
        let (mut sent, mut taken): (u32, Vec<u32>) = (0, Vec::new());
        let (mut parked, mut lease): (Vec<Place>, Option<Lease<u32>>) = (Vec::new(), None);
        for step in 0..200 {
            let choice = if step < 120 { random.below(9) } else { [3, 6, 2][random.below(3)] };
            match choice {
                0 | 1 => {
                    sent += 1;
                    let mut value = Some(sent);
                    let tried =
                        bench.act(|chan, mut effect| chan.try_send(&mut value, &mut effect));
                    if tried == Tried::Full {
                        bench.chan.wait_send(&mut value, || task('s'));
                    }
                }
                2 => match bench.receive() {
                    Received::Message(value) => taken.push(value),
                    _ if step < 120 => parked.push(bench.chan.wait_receive(|| task('r'))),
                    _ => {}
                },
                3 | 4 if !parked.is_empty() => {
                    let at = random.below(parked.len());
                    if let Some(value) = bench.accept(parked[at]) {
                        taken.push(value);
                        parked.remove(at);
                    }
                }
                5 if !parked.is_empty() => {
                    let place = parked.remove(random.below(parked.len()));
                    bench.decline(place);
                }
                6 => match lease.take() {
                    Some(held) => {
                        taken.push(held.message);
                        bench.acknowledge(held);
                    }
                    None if step >= 120 => {}
                    None => {
                        if let Received::Message(held) = bench.lease() {
                            lease = Some(held);
                        }
                    }
                },
                7 => lease.take().into_iter().for_each(|held| bench.give_back(held)),
                8 if lease.is_none() && !parked.is_empty() => {
                    let at = random.below(parked.len());
                    lease = bench.accept_leased(parked[at]);
                    if lease.is_some() {
                        parked.remove(at);
                    }
                }
                _ => {}
            }
        }
        for place in parked {
            bench.decline(place);
        }
        taken.extend(bench.drain());
        let all: Vec<u32> = (1..=sent).collect();
        assert_eq!(taken, all, "seed {seed}");
    }
}
