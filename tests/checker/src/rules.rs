//! The black-box checks: what must hold of any run, whatever the home did in between.
//!
//! Each is necessary; together they are complete for a queue without bounds. The witness check
//! closes the gap where the home's log is at hand. Instants that are equal count as overlapping.

mod causality;
mod close;
mod delivery;
mod order;
mod room;
mod select;
mod task;
mod waiting;

use std::collections::BTreeSet;

use crate::history::{Channel, History};
use crate::report::{Report, Violation};
use crate::view::View;

/// The capacity of a channel that nobody described.
const UNBOUNDED: u32 = u32::MAX;

/// Checks a history; what is wrong comes out, nothing if nothing is.
///
/// ```
/// use checker::{Channel, History, Kind, Outcome, Record, Rule, ValueId, check};
///
/// let mut history = History::default();
/// history.channels.push(Channel { id: 1, capacity: 1, held: true });
/// let value = Some(ValueId { task: 1, number: 1 });
/// let operation = |task, kind, invoked, returned| Record {
///     value, returned, outcome: Outcome::Ok, ..Record::begun(1, task, 0, kind, invoked)
/// };
/// history.merge([operation(1, Kind::Send, 0, 5), operation(2, Kind::Receive, 3, 9)]);
/// assert!(check(&history).is_empty());
///
/// history.merge([operation(3, Kind::Receive, 6, 12)]);
/// assert_eq!(check(&history)[0].rule, Rule::Duplicate);
/// ```
pub fn check(history: &History) -> Vec<Violation> {
    let mut report = Report::default();
    let returned = history.returned();
    let spoke = delivery::spoke_until(history);
    let mut missing = causality::Missing::default();
    for (id, records) in history.by_channel() {
        let described = history.channels.iter().find(|channel| channel.id == id).copied();
        // A channel that nobody described has no bound that could be broken.
        let channel = described.unwrap_or(Channel { id, capacity: UNBOUNDED, held: false });
        let binding = |record: &crate::Record| {
            !history.is_fenced(record.session) || returned.contains(&record.task)
        };
        let mut view = View::new(history, channel, &records, binding);
        delivery::check(&mut view, &spoke, &mut report);
        order::check(&view, &mut report);
        room::check(&view, &mut report);
        close::check(&view, &mut report);
        waiting::check(&view, &mut report);
        missing.note(&view);
    }
    select::check(history, &mut report);
    task::check(history, &mut report);
    causality::check(history, &missing, &mut report);
    report.into_found()
}

/// The rules that a history breaks.
pub fn broken(history: &History) -> BTreeSet<crate::Rule> {
    check(history).iter().map(|violation| violation.rule).collect()
}
