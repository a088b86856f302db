//! Records as lines of text, so that those of a process that was killed can be read.
//!
//! An operation is two lines, `begin …` and `end …`, tied by a number. One without the second has
//! not returned. The last line may be cut short by a kill; it is left out.

use std::collections::BTreeMap;

use crate::record::{Kind, Outcome, Record, ValueId};

const KINDS: [(&str, Kind); 5] = [
    ("send", Kind::Send),
    ("try-send", Kind::TrySend),
    ("receive", Kind::Receive),
    ("try-receive", Kind::TryReceive),
    ("close", Kind::Close),
];

const OUTCOMES: [(&str, Outcome); 8] = [
    ("pending", Outcome::Pending),
    ("ok", Outcome::Ok),
    ("closed", Outcome::Closed),
    ("lost", Outcome::Lost),
    ("would-block", Outcome::WouldBlock),
    ("already-closed", Outcome::AlreadyClosed),
    ("cancelled", Outcome::Cancelled),
    ("not-chosen", Outcome::NotChosen),
];

fn word<T: PartialEq>(words: &[(&'static str, T)], of: &T) -> &'static str {
    words.iter().find(|(_, known)| known == of).map_or("?", |(word, _)| word)
}

fn meaning<T: Copy>(words: &[(&str, T)], word: &str) -> Option<T> {
    words.iter().find(|(known, _)| *known == word).map(|(_, meaning)| *meaning)
}

fn value(value: Option<ValueId>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{}.{}", value.task, value.number))
}

fn read_value(text: &str) -> Option<Option<ValueId>> {
    if text == "-" {
        return Some(None);
    }
    let (task, number) = text.split_once('.')?;
    Some(Some(ValueId { task: task.parse().ok()?, number: number.parse().ok()? }))
}

pub(crate) fn begun(entry: u64, record: &Record) -> String {
    let Record { channel, task, session, invoked, select, .. } = record;
    let (kind, value) = (word(&KINDS, &record.kind), value(record.value));
    format!("begin {entry} {channel} {task} {session} {kind} {invoked} {value} {select} .\n")
}

pub(crate) fn ended(entry: u64, record: &Record) -> String {
    let (outcome, value) = (word(&OUTCOMES, &record.outcome), value(record.value));
    format!("end {entry} {} {outcome} {value} .\n", record.returned)
}

/// Reads what a recorder wrote.
///
/// # Errors
///
/// A line that is none of a recorder's, other than a last one that was cut short.
pub fn read(text: &str) -> Result<Vec<Record>, String> {
    let mut records = BTreeMap::new();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    for line in whole.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        line_of(&words, &mut records).ok_or_else(|| format!("not a record: `{line}`"))?;
    }
    Ok(records.into_values().collect())
}

fn line_of(words: &[&str], records: &mut BTreeMap<u64, Record>) -> Option<()> {
    match words {
        ["begin", entry, channel, task, session, kind, invoked, value, select, "."] => {
            let kind = meaning(&KINDS, kind)?;
            let (channel, task) = (channel.parse().ok()?, task.parse().ok()?);
            let (session, invoked) = (session.parse().ok()?, invoked.parse().ok()?);
            let mut record = Record::begun(channel, task, session, kind, invoked);
            record.value = read_value(value)?;
            record.select = select.parse().ok()?;
            records.insert(entry.parse().ok()?, record);
        }
        ["end", entry, returned, outcome, value, "."] => {
            let record = records.get_mut(&entry.parse().ok()?)?;
            record.returned = returned.parse().ok()?;
            record.outcome = meaning(&OUTCOMES, outcome)?;
            record.value = read_value(value)?;
        }
        _ => return None,
    }
    Some(())
}
