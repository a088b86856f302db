//! What goes along when a channel leaves its process.

use super::here::{Bench, task};
use super::*;

/// 1 to 3 are taken, of which 2 was given back; 4 and 5 are in the buffer, and 6 waits.
fn full() -> (Bench, [Place; 3]) {
    let mut bench = Bench::new(2);
    let receives = ['p', 'q', 'r'].map(|who| bench.wait_receive(task(who)));
    (1..=5).for_each(|value| bench.send(value));
    bench.decline(receives[1]);
    bench.wait_send(6, task('s'));
    (bench, receives)
}

fn sent<W: std::fmt::Debug>(content: &Content<'_, u32, W>) -> u32 {
    match content {
        Content::Sent(value, 0) => **value,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_contents_are_all_that_was_sent_and_nobody_has_in_that_order() {
    let (bench, _) = full();
    let contents = bench.chan.contents();
    let sent: Vec<u32> = contents[..5].iter().map(sent).collect();
    assert_eq!(sent, [1, 2, 3, 4, 5]);
    assert!(matches!(contents[5..], [Content::Waits(6, _)]), "{contents:?}");
}

#[test]
fn a_channel_is_taken_apart_in_the_order_of_its_contents() {
    let (mut bench, receives) = full();
    let parts = bench.chan.dismantle();
    assert_eq!(parts.sent, [1, 2, 3, 4, 5]);
    let sends: Vec<u32> = parts.sends.into_iter().map(|(_, value, _)| value).collect();
    assert_eq!(sends, [6]);
    let places: Vec<Place> = parts.receives.iter().map(|(place, _)| *place).collect();
    assert_eq!(places, [receives[0], receives[2]], "they have not fetched their values");
    assert!(parts.receives.iter().all(|(_, waiter)| waiter.is_none()), "they were woken");
    assert_eq!(bench.chan.len(), 0);
}

#[test]
fn receives_that_wait_go_along_at_their_places() {
    let mut bench = Bench::new(0);
    let receives = ['p', 'q', 'r'].map(|who| bench.wait_receive(task(who)));
    bench.send(1);
    bench.decline(receives[1]);
    let parts = bench.chan.dismantle();
    let places: Vec<(Place, bool)> =
        parts.receives.iter().map(|(place, waiter)| (*place, waiter.is_some())).collect();
    assert_eq!(places, [(receives[0], false), (receives[2], true)]);
    assert_eq!(parts.sent, [1]);
}

/// A value that was given back is older than that of a receive which has waited longer.
#[test]
fn the_order_of_receives_is_not_that_of_values() {
    let mut bench = Bench::new(1);
    let receives = ['p', 'q', 'r'].map(|who| bench.wait_receive(task(who)));
    [1, 2].into_iter().for_each(|value| bench.send(value));
    bench.decline(receives[0]);
    let contents: Vec<u32> = bench.chan.contents().iter().map(sent).collect();
    assert_eq!(contents, [1, 2]);
    let parts = bench.chan.dismantle();
    let places: Vec<Place> = parts.receives.iter().map(|(place, _)| *place).collect();
    assert_eq!((parts.sent, places), (vec![1, 2], vec![receives[1], receives[2]]));
}

#[test]
fn values_that_were_refused_go_along() {
    let mut bench = Bench::new(0);
    let place = bench.wait_send(1, task('s'));
    assert!(bench.chan.take_all_refused().is_empty());
    assert!(bench.chan.finish(End::Closed, &mut |_| {}));
    assert_eq!(bench.chan.take_all_refused(), BTreeMap::from([(place, 1)]));
    assert!(bench.chan.take_all_refused().is_empty());
}
