//! Values are taken in the order of their sends (D6).

use std::cmp::Reverse;

use crate::record::{Record, Redelivered};
use crate::report::{Report, Rule};
use crate::view::{Value, View};

pub(crate) fn check(view: &View<'_>, report: &mut Report) {
    across(view, report);
    one_receiver(view, report);
}

/// A value whose send had returned before another send began is taken no later: a walk over the
/// values by the beginning of their sends, with the latest take of all that were sent before.
fn across(view: &View<'_>, report: &mut Report) {
    let older = |value: &&Value<'_>| {
        view.must_be_there(value)
            && value.returned != Redelivered::Yes
            && (value.is_taken() || view.consumers > 0)
    };
    let mut older: Vec<&Value<'_>> = view.values.iter().filter(older).collect();
    older.sort_unstable_by_key(|value| value.send.returned);
    let mut younger: Vec<&Value<'_>> = view.values.iter().filter(|v| v.is_taken()).collect();
    younger.sort_unstable_by_key(|value| value.send.invoked);
    let channel = view.channel.id;
    let mut older = older.into_iter().peekable();
    // Of all, and of those that are known not to have returned.
    let (mut latest, mut latest_firm): (Option<&Value<'_>>, Option<&Value<'_>>) = (None, None);
    for value in younger {
        while let Some(next) = older.next_if(|next| next.send.returned < value.send.invoked) {
            let later = |known: &Value<'_>| view.gone_from(known) < view.gone_from(next);
            if latest.is_none_or(later) {
                latest = Some(next);
            }
            if next.returned == Redelivered::No && latest_firm.is_none_or(later) {
                latest_firm = Some(next);
            }
        }
        let late = if view.may_overtake(value) { latest_firm } else { latest };
        if let Some(late) = late.filter(|late| view.gone_from(late) > value.taken_by) {
            let takes = late.takes.iter().chain(&value.takes).copied();
            report.add(
                Rule::Order,
                channel,
                [late.send, value.send].into_iter().chain(takes),
                || {
                    let (id, other) = (late.id, value.id);
                    format!("channel {channel}: {id} was sent before {other} and received after it")
                },
            );
        }
    }
}

/// What one task receives of one sender comes in order, also where instants are equal.
fn one_receiver(view: &View<'_>, report: &mut Report) {
    type Taken<'v, 'h> = (u32, u32, u64, &'v Value<'h>, &'h Record);
    let mut all: Vec<Taken<'_, '_>> = Vec::with_capacity(view.values.len());
    let is_firm = |value: &&Value<'_>| value.returned != Redelivered::Yes && !value.lost;
    for value in view.values.iter().filter(is_firm) {
        for take in &value.takes {
            all.push((take.task, value.id.task, take.invoked, value, take));
        }
    }
    all.sort_unstable_by_key(|(receiver, sender, at, value, _)| {
        (*receiver, *sender, *at, Reverse(value.id.number))
    });
    let channel = view.channel.id;
    for pair in all.windows(2) {
        let [(receiver, sender, _, first, earlier), (receiver_too, sender_too, _, second, later)] =
            pair
        else {
            continue;
        };
        let sent = second.send.returned <= first.send.invoked && second.is_sent();
        let apart = earlier.returned <= later.invoked && earlier.returned < later.returned;
        let tie = second.send.returned == first.send.invoked || earlier.returned == later.invoked;
        if (receiver, sender) == (receiver_too, sender_too)
            && second.id.number < first.id.number
            && sent
            && apart
            && tie
            && (second.returned == Redelivered::No || !view.may_overtake(first))
        {
            report.add(Rule::Order, channel, [second.send, first.send, *earlier, *later], || {
                let (id, other) = (second.id, first.id);
                format!("channel {channel}: {id} was sent before {other} and received after it")
            });
        }
    }
}
