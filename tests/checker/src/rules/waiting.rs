//! `try_send`, `try_recv` and `default` tell the truth (D7), and nobody waits who need not.

use crate::record::{Kind, Outcome, Record};
use crate::report::{Report, Rule};
use crate::rules::UNBOUNDED;
use crate::view::{Value, View};

pub(crate) fn check(view: &View<'_>, report: &mut Report) {
    empty(view, report);
    full(view, report);
    if view.history.settled {
        stuck(view, report);
    }
}

/// Of the answers "would block", those of one kind.
fn blocked<'h>(records: impl Iterator<Item = &'h Record>, kind: Kind) -> Vec<&'h Record> {
    let blocked = |r: &&Record| r.outcome == Outcome::WouldBlock && r.kind == kind;
    let mut found: Vec<&Record> = records.filter(blocked).collect();
    found.sort_unstable_by_key(|record| record.invoked);
    found
}

/// A receive found nothing, though a value was there all the while.
fn empty(view: &View<'_>, report: &mut Report) {
    let there = |value: &&Value<'_>| view.must_be_there(value) && !value.may_return;
    let mut there: Vec<&Value<'_>> = view.values.iter().filter(there).collect();
    there.sort_unstable_by_key(|value| value.send.returned);
    let mut there = there.into_iter().peekable();
    let mut latest: Option<&Value<'_>> = None;
    let channel = view.channel.id;
    for receive in blocked(view.receives.iter().copied(), Kind::TryReceive) {
        while let Some(next) = there.next_if(|next| next.send.returned < receive.invoked) {
            let later = |known: &Value<'_>| view.gone_from(known) < view.gone_from(next);
            if latest.is_none_or(later) {
                latest = Some(next);
            }
        }
        if let Some(value) = latest.filter(|value| view.gone_from(value) > receive.returned) {
            let records = [receive, value.send].into_iter().chain(value.takes.iter().copied());
            report.add(Rule::WouldBlock, channel, records, || {
                let id = value.id;
                format!("channel {channel}: a receive found nothing while {id} was there")
            });
        }
    }
}

/// A send found no room, though with all that may have been inside there was some. A receive makes
/// room when the home hears of it, so only those of the sender's own session surely came before.
fn full(view: &View<'_>, report: &mut Report) {
    let blocked = blocked(view.values.iter().map(|value| value.send), Kind::TrySend);
    if blocked.is_empty() || [0, UNBOUNDED].contains(&view.channel.capacity) {
        return;
    }
    let inside = || view.values.iter().filter(|value| value.may_be_there());
    let mut entered: Vec<u64> = inside().map(|value| value.send.invoked).collect();
    let takes = inside().flat_map(|value| value.takes.iter().take(1));
    let mut left: Vec<(u32, u64)> = takes.map(|take| (take.session, take.returned)).collect();
    entered.sort_unstable();
    left.sort_unstable();
    let channel = view.channel.id;
    for send in blocked {
        let most = entered.partition_point(|at| *at <= send.returned);
        let before = |at| left.partition_point(|take| *take < (send.session, at));
        let most = most.saturating_sub(before(send.invoked) - before(0));
        if most < view.channel.capacity as usize && !view.is_dead(send) {
            report.add(Rule::WouldBlock, channel, [send], || {
                let capacity = view.channel.capacity;
                format!("channel {channel}: a send found no room with {most} of {capacity} inside")
            });
        }
    }
}

/// At rest, who waits has nobody to meet.
fn stuck(view: &View<'_>, report: &mut Report) {
    let waits = |r: &&Record| r.outcome == Outcome::Pending && !view.is_dead(r);
    let receive = view.receives.iter().copied().find(|receive| waits(receive));
    let sends = || view.values.iter().filter(|value| !value.is_taken() && waits(&value.send));
    let there = |value: &&Value<'_>| view.must_be_there(value) && !value.is_taken();
    let there = view.values.iter().find(there).filter(|_| view.consumers == 0);
    let ended = view.closes.iter().find(|close| close.outcome == Outcome::Ok);
    let channel = view.channel.id;
    let mut add = |records: &[&Record], what: &str| {
        let records = records.iter().copied();
        report.add(Rule::Stuck, channel, records, || format!("channel {channel}: {what}"));
    };
    if let (Some(receive), Some(value)) = (receive, there) {
        add(&[receive, value.send], "a receive waits for ever while a value is there");
    }
    // A select never meets itself.
    let other = |send: &&Value<'_>, receive: &Record| {
        send.send.task != receive.task || send.send.select != receive.select
    };
    if let Some(receive) = receive
        && let Some(send) = sends().find(|send| other(send, receive))
    {
        add(&[receive, send.send], "a receive and a send wait for ever, and could meet");
    }
    let may_be_there = |value: &&Value<'_>| value.may_be_there() && !value.is_taken();
    let inside = view.values.iter().filter(may_be_there).count() - sends().count();
    if let Some(send) = sends().next()
        && inside < view.channel.capacity as usize
        && view.channel.capacity != UNBOUNDED
    {
        add(&[send.send], "a send waits for ever while there is room");
    }
    let waiting = receive.or_else(|| sends().next().map(|send| send.send));
    if let (Some(waiting), Some(ended)) = (waiting, ended) {
        add(&[waiting, ended], "somebody waits for ever though it is closed");
    }
}
