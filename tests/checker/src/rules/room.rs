//! The buffer holds no more than its capacity; with capacity 0, send and receive overlap (D5).

use crate::record::NEVER;
use crate::report::{Report, Rule};
use crate::view::{Value, View};

pub(crate) fn check(view: &View<'_>, report: &mut Report) {
    match view.channel.capacity {
        0 => rendezvous(view, report),
        capacity => buffer(view, capacity as usize, report),
    }
}

/// Surely inside from the end of the send to the beginning of the receive. At one instant receives
/// go first. A receive that was given up may have made room for a value that then came back.
fn buffer(view: &View<'_>, capacity: usize, report: &mut Report) {
    let mut steps: Vec<(u64, bool, &Value<'_>)> = Vec::new();
    for value in view.values.iter().filter(|value| view.must_be_there(value)) {
        if value.is_taken() {
            if value.send.returned < value.taken_from {
                steps.push((value.taken_from, false, value));
                steps.push((value.send.returned, true, value));
            }
        } else if view.consumers == 0 {
            steps.push((value.send.returned, true, value));
        }
    }
    steps.sort_unstable_by_key(|(at, enters, _)| (*at, *enters));
    let mut inside = 0;
    let channel = view.channel.id;
    for (position, (at, enters, value)) in steps.iter().enumerate() {
        if !enters {
            inside -= 1;
            continue;
        }
        inside += 1;
        if inside > capacity + view.returns.begun(*at) {
            let there = steps[..=position].iter().filter(|(_, enters, there)| {
                *enters && (view.gone_from(there) > *at || !there.is_taken())
            });
            let records: Vec<_> = there.map(|(_, _, there)| there.send).take(8).collect();
            report.add(Rule::Capacity, channel, records, || {
                let id = value.id;
                format!(
                    "channel {channel}: with {id} it held {inside} values; its capacity is \
                     {capacity}"
                )
            });
        }
    }
}

fn rendezvous(view: &View<'_>, report: &mut Report) {
    let channel = view.channel.id;
    for value in view.values.iter().filter(|value| value.is_sent() && !value.lost) {
        let returned = value.send.returned;
        if value.taken_from != NEVER
            && value.taken_from > returned
            && !view.returns.may_have(value.send.invoked, returned)
        {
            let records = value.takes.iter().copied().chain([value.send]);
            report.add(Rule::Rendezvous, channel, records, || {
                let id = value.id;
                format!("channel {channel}: the send of {id} returned before a receive began")
            });
        }
    }
}
