//! A task ends once, in one session, and does nothing afterwards (D10).

use std::collections::BTreeMap;

use crate::history::{History, TaskEnd};
use crate::record::{Outcome, Record};
use crate::report::{Report, Rule};

pub(crate) fn check(history: &History, report: &mut Report) {
    let mut ends: BTreeMap<u32, TaskEnd> = BTreeMap::new();
    for (task, end) in &history.ends {
        if let Some(other) = ends.insert(*task, *end) {
            report.add(Rule::Task, 0, [], || {
                format!("task {task} ended twice: {other:?}, and {end:?}")
            });
        }
    }
    let mut seen: BTreeMap<u32, &Record> = BTreeMap::new();
    for record in &history.records {
        let task = record.task;
        let first = *seen.entry(task).or_insert(record);
        if first.session != record.session {
            report.add(Rule::Task, 0, [first, record], || {
                format!("task {task} ran in two sessions under one name")
            });
        }
        let Some(end) = ends.get(&task) else { continue };
        if *end == TaskEnd::NeverStarted {
            report.add(Rule::Task, 0, [record], || {
                format!("task {task} did something, and its spawner heard that it never started")
            });
        }
        if *end == TaskEnd::Returned && record.outcome == Outcome::Pending {
            report.add(Rule::Task, 0, [record], || {
                format!("task {task} has returned, and an operation of it has not")
            });
        }
    }
}
