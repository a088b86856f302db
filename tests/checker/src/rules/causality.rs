//! Whoever has a value can find everything that was sent before it, on any channel (D4, D6).
//!
//! Where nobody dies this is implied by the other rules. Of a fenced session values may be missing,
//! so here is looked at what is: for each of its tasks the first value that is gone for good. Its
//! send's return is an instant in the vector clock of that task; the clocks are bits, one a task,
//! that travel with the values. A value with the bit that somebody alive received is a violation.

use std::collections::BTreeMap;

use crate::history::History;
use crate::record::{Outcome, Record, ValueId};
use crate::report::{Report, Rule};
use crate::view::View;

/// Tasks that are followed; others of a larger history are left out.
const FOLLOWED_MAX: usize = 64;

/// For each task of a fenced session the first value whose send returned and that is gone.
#[derive(Default)]
pub(crate) struct Missing<'h> {
    first: BTreeMap<u32, &'h Record>,
}

impl<'h> Missing<'h> {
    pub(crate) fn note(&mut self, view: &View<'h>) {
        if !view.is_drained() || view.consumers > 0 || view.history.fenced.is_empty() {
            return;
        }
        let gone = |send: &&Record| view.is_dead(send) && send.outcome == Outcome::Ok;
        let untaken = view.values.iter().filter(|v| !v.is_taken() && !v.lost);
        for send in untaken.map(|value| value.send).filter(gone) {
            let first = self.first.entry(send.task).or_insert(send);
            if send.returned < first.returned {
                *first = send;
            }
        }
    }
}

/// In the order of time; at one instant a value is sent before it is received.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Sends,
    Received,
    Returns,
}

pub(crate) fn check(history: &History, missing: &Missing<'_>, report: &mut Report) {
    let followed: Vec<&Record> = missing.first.values().take(FOLLOWED_MAX).copied().collect();
    if followed.is_empty() {
        return;
    }
    let mut steps: Vec<(u64, Step, &Record)> = Vec::new();
    for record in &history.records {
        if record.is_send() {
            steps.push((record.invoked, Step::Sends, record));
            if record.outcome == Outcome::Ok {
                steps.push((record.returned, Step::Returns, record));
            }
        } else if record.is_take() {
            steps.push((record.returned, Step::Received, record));
        }
    }
    steps.sort_by_key(|(at, step, _)| (*at, *step));
    let mut tasks: BTreeMap<u32, u64> = BTreeMap::new();
    let mut values: BTreeMap<(u32, Option<ValueId>), u64> = BTreeMap::new();
    for (_, step, record) in steps {
        let now = tasks.get(&record.task).copied().unwrap_or(0);
        match step {
            Step::Sends if now != 0 => {
                values.insert((record.channel, record.value), now);
            }
            Step::Returns => {
                let is = |gone: &&Record| std::ptr::eq(*gone, record);
                if let Some(bit) = followed.iter().position(is) {
                    tasks.insert(record.task, now | 1 << bit);
                }
            }
            Step::Received => {
                let Some(came) = values.get(&(record.channel, record.value)) else { continue };
                tasks.insert(record.task, now | came);
                if history.is_fenced(record.session) {
                    continue;
                }
                let gone = followed[came.trailing_zeros() as usize];
                report.add(Rule::Causality, gone.channel, [gone, record], || {
                    format!(
                        "channel {}: the send of {} came before all that led to a value of \
                         channel {}; that was received, this never",
                        gone.channel,
                        gone.value.unwrap_or(ValueId { task: 0, number: 0 }),
                        record.channel
                    )
                });
            }
            _ => {}
        }
    }
}
