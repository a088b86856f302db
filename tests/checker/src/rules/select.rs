//! Of a select exactly one case happens (D7).

use crate::history::History;
use crate::record::{Outcome, Record};
use crate::report::{Report, Rule};

pub(crate) fn check(history: &History, report: &mut Report) {
    let mut cases: Vec<&Record> = history.records.iter().filter(|r| r.select != 0).collect();
    if cases.is_empty() {
        return;
    }
    cases.sort_unstable_by_key(|case| (case.session, case.task, case.select));
    // What the dead took may have gone back to its sender, unseen by anybody.
    let alive = |record: &&Record| record.is_take() && !history.is_fenced(record.session);
    let takes = history.records.iter().filter(alive);
    let mut takes: Vec<&Record> = takes.collect();
    takes.sort_unstable_by_key(|take| (take.channel, take.value));
    let same = |one: &&Record, other: &&Record| {
        (one.session, one.task, one.select) == (other.session, other.task, other.select)
    };
    for select in cases.chunk_by(same) {
        let happened =
            |case: &&&Record| matches!(case.outcome, Outcome::Ok | Outcome::Closed | Outcome::Lost);
        let happened: Vec<&Record> = select.iter().filter(happened).copied().collect();
        if happened.len() > 1 {
            report.add(Rule::Select, happened[0].channel, happened.iter().copied(), || {
                format!("{} cases of one select happened", happened.len())
            });
        }
        let mut may_be = happened.is_empty();
        for case in select.iter().filter(|case| case.is_send()) {
            let open = match case.outcome {
                Outcome::NotChosen => false,
                Outcome::Pending | Outcome::Cancelled => true,
                _ => continue,
            };
            let key = (case.channel, case.value);
            let Ok(at) = takes.binary_search_by_key(&key, |take| (take.channel, take.value)) else {
                continue;
            };
            if open && may_be {
                may_be = false;
                continue;
            }
            report.add(Rule::Select, case.channel, [*case, takes[at]], || {
                format!("channel {}: a value of a case not chosen was received", case.channel)
            });
        }
    }
}
