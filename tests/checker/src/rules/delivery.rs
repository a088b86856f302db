//! Each value received was sent, none is received twice, none is lost (D2, D3, D4).

use std::collections::BTreeMap;

use crate::history::History;
use crate::record::{Outcome, Record};
use crate::report::{Report, Rule};
use crate::view::{Value, View};

/// For each fenced session, the beginning of its last send that somebody alive received. What it
/// took before was acknowledged before: the home had the acknowledgement first.
pub(crate) fn spoke_until(history: &History) -> BTreeMap<u32, u64> {
    let mut spoke = BTreeMap::new();
    if history.fenced.is_empty() {
        return spoke;
    }
    let alive = |record: &&Record| record.is_take() && !history.is_fenced(record.session);
    let heard = history.records.iter().filter(alive);
    let mut heard: Vec<_> = heard.map(|take| (take.channel, take.value)).collect();
    heard.sort_unstable();
    for send in history.records.iter().filter(|record| record.is_send()) {
        if history.is_fenced(send.session)
            && heard.binary_search(&(send.channel, send.value)).is_ok()
        {
            let until = spoke.entry(send.session).or_insert(0);
            *until = send.invoked.max(*until);
        }
    }
    spoke
}

pub(crate) fn check(view: &mut View<'_>, spoke: &BTreeMap<u32, u64>, report: &mut Report) {
    provenance(view, spoke, report);
    once(view, spoke, report);
    loss(view, report);
}

fn provenance(view: &View<'_>, spoke: &BTreeMap<u32, u64>, report: &mut Report) {
    let channel = view.channel.id;
    for stray in &view.strays {
        report.add(Rule::Provenance, channel, [*stray], || {
            format!("channel {channel}: a value was received that was never sent on it")
        });
    }
    for send in &view.repeated {
        report.add(Rule::Provenance, channel, [*send], || {
            format!("channel {channel}: two sends have a value of the same name: the test is wrong")
        });
    }
    for Value { id, send, takes, .. } in &view.values {
        let Some(first) = takes.iter().min_by_key(|take| take.returned) else { continue };
        let lost = send.outcome == Outcome::Lost && !view.is_dead(send);
        let refused = lost || matches!(send.outcome, Outcome::Closed | Outcome::WouldBlock);
        let seen = takes.iter().find(|take| counts(view, spoke, take));
        if let Some(seen) = seen.filter(|_| refused) {
            report.add(Rule::Provenance, channel, [*send, *seen], || {
                format!("channel {channel}: {id} was received though its send was refused")
            });
        } else if first.returned < send.invoked {
            report.add(Rule::Provenance, channel, [*send, *first], || {
                format!("channel {channel}: {id} was received before its send began")
            });
        }
    }
}

/// A take by the dead counts once something that the session did afterwards was seen. Until then it
/// may be undone: the value goes to another, or back to its sender.
fn counts(view: &View<'_>, spoke: &BTreeMap<u32, u64>, take: &Record) -> bool {
    match view.is_dead(take) {
        true => spoke.get(&take.session).is_some_and(|until| take.returned < *until),
        false => true,
    }
}

fn once(view: &View<'_>, spoke: &BTreeMap<u32, u64>, report: &mut Report) {
    let channel = view.channel.id;
    for value in view.values.iter().filter(|value| value.takes.len() > 1) {
        let count = value.takes.iter().filter(|take| counts(view, spoke, take)).count();
        if count > 1 {
            let records = value.takes.iter().copied().chain([value.send]);
            report.add(Rule::Duplicate, channel, records, || {
                format!("channel {channel}: {} was received {count} times", value.id)
            });
        }
    }
}

/// Values that must be received, once the channel is drained: those whose send returned, unless
/// the sender died; and of a dead sender those before one that was received. Each receive that died
/// without a word may have had one of them.
fn loss(view: &mut View<'_>, report: &mut Report) {
    let drained = view.is_drained();
    // A rendezvous has no place where a value could lie.
    let waits = |record: &Record| record.outcome == Outcome::Pending;
    let nowhere = view.channel.capacity == 0 && !view.receives.iter().any(|r| waits(r));
    let mut lost = Vec::new();
    let mut holes = Vec::new();
    // Backwards, for a hole is seen from a later value of the same task.
    let mut later: Option<&Value<'_>> = None;
    for (at, value) in view.values.iter().enumerate().rev() {
        if value.is_taken() {
            later = Some(value);
        }
        let gone = value.is_sent() && !value.is_taken();
        if gone && value.binding && (drained || nowhere) {
            lost.push(at);
        } else if gone
            && !value.binding
            && let Some(later) = later.filter(|later| later.id.task == value.id.task)
        {
            holes.push((at, later.takes[0], later.send));
        }
    }
    let channel = view.channel.id;
    if lost.len() + holes.len() > view.consumers {
        for &at in &lost {
            let value = &view.values[at];
            let ended = view.receives.iter().find(|receive| view.saw_end(receive));
            report.add(Rule::Loss, channel, ended.copied().into_iter().chain([value.send]), || {
                format!("channel {channel}: {} was sent and nobody received it", value.id)
            });
        }
        for (at, take, later) in &holes {
            let value = &view.values[*at];
            report.add(Rule::Prefix, channel, [value.send, *later, *take], || {
                format!(
                    "channel {channel}: of the fenced session {}, {} is missing and a later one \
                     was received",
                    value.send.session, value.id
                )
            });
        }
    }
    for at in lost.into_iter().chain(holes.into_iter().map(|(at, ..)| at)) {
        view.values[at].lost = true;
    }
    overtaken(view, report);
}

/// A value that nobody received, though one was received that is younger: lost as well, whether the
/// channel is drained or not.
fn overtaken(view: &mut View<'_>, report: &mut Report) {
    if view.consumers > 0 {
        return;
    }
    let waits = view.receives.iter().any(|receive| receive.outcome == Outcome::Pending);
    if waits || !view.returns.is_empty() {
        return;
    }
    let taken = view.values.iter().filter(|value| value.is_taken());
    let Some(youngest) = taken.max_by_key(|value| value.send.invoked) else { return };
    let (begun, send, take) = (youngest.send.invoked, youngest.send, youngest.takes[0]);
    let channel = view.channel.id;
    for value in &mut view.values {
        let gone = value.is_sent() && value.binding && !value.lost && !value.is_taken();
        if gone && value.send.returned < begun {
            value.lost = true;
            report.add(Rule::Loss, channel, [value.send, send, take], || {
                let id = value.id;
                format!("channel {channel}: {id} was never received, and a younger value was")
            });
        }
    }
}
