//! Close takes effect at one point of the channel's order (D8).

use crate::record::{Kind, Outcome, Record};
use crate::report::{Report, Rule};
use crate::view::View;

pub(crate) fn check(view: &View<'_>, report: &mut Report) {
    twice(view, report);
    late_sends(view, report);
    early_ends(view, report);
    unread(view, report);
}

fn twice(view: &View<'_>, report: &mut Report) {
    let channel = view.channel.id;
    let ok = view.closes.iter().copied().filter(|close| close.outcome == Outcome::Ok);
    let ok: Vec<&Record> = ok.filter(|close| !view.is_dead(close)).collect();
    if ok.len() > 1 {
        report.add(Rule::Close, channel, ok.iter().copied(), || {
            format!("channel {channel}: {} closes say that they closed it", ok.len())
        });
    }
}

/// Whatever says that the channel has ended; a dead session only knows of its own end.
fn says_ended(view: &View<'_>, record: &Record) -> bool {
    let ended = match record.kind {
        Kind::Close => matches!(record.outcome, Outcome::Ok | Outcome::AlreadyClosed),
        _ => matches!(record.outcome, Outcome::Closed | Outcome::Lost),
    };
    ended && !view.is_dead(record)
}

/// No send that begins after somebody knew that the channel had ended is Ok.
fn late_sends(view: &View<'_>, report: &mut Report) {
    let sends = view.values.iter().map(|value| value.send);
    let all = view.closes.iter().chain(&view.receives).copied().chain(sends);
    let ended = all.filter(|record| says_ended(view, record)).min_by_key(|record| record.returned);
    let Some(ended) = ended else { return };
    let channel = view.channel.id;
    for value in view.values.iter().filter(|value| value.is_sent() && !view.is_dead(value.send)) {
        if value.send.invoked > ended.returned {
            report.add(Rule::Close, channel, [ended, value.send], || {
                format!("channel {channel}: {} was sent after the channel had ended", value.id)
            });
        }
    }
}

/// While the program holds both ends, only a close ends the channel, and nobody is lost.
fn early_ends(view: &View<'_>, report: &mut Report) {
    if !view.channel.held {
        return;
    }
    // What a dead session was told comes of its own end: its close may have come home before.
    let may_close =
        |close: &&&Record| close.outcome != Outcome::AlreadyClosed || view.is_dead(close);
    let closing = view.closes.iter().filter(may_close).map(|close| close.invoked).min();
    let sends = view.values.iter().map(|value| value.send);
    let channel = view.channel.id;
    for record in view.receives.iter().copied().chain(sends) {
        if record.outcome == Outcome::Lost && !view.is_dead(record) {
            report.add(Rule::Close, channel, [record], || {
                format!("channel {channel}: it counts as lost though both ends are held")
            });
        }
        let early = closing.is_none_or(|closing| record.returned < closing);
        if record.outcome == Outcome::Closed && early && !view.is_dead(record) {
            report.add(Rule::Close, channel, [record], || {
                format!("channel {channel}: it counts as closed before anybody closed it")
            });
        }
    }
}

/// Whoever sees the end sees it after the last value was received.
fn unread(view: &View<'_>, report: &mut Report) {
    let ended = view.receives.iter().filter(|receive| view.saw_end(receive));
    let Some(ended) = ended.min_by_key(|receive| receive.returned) else { return };
    let channel = view.channel.id;
    for value in view.values.iter().filter(|value| value.is_sent() && value.is_taken()) {
        if value.taken_from > ended.returned {
            let records = [*ended, value.send].into_iter().chain(value.takes.iter().copied());
            report.add(Rule::Close, channel, records, || {
                let id = value.id;
                format!("channel {channel}: a receive saw its end while {id} was still there")
            });
        }
    }
}
