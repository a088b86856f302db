//! What was found, in words and with the operations that show it.

use std::fmt;

use crate::record::Record;

/// The rules, by what a violation of each is called.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Rule {
    /// A value was received that nobody had sent by then, or whose send had failed.
    Provenance,
    /// A value was received twice.
    Duplicate,
    /// A value whose send had returned was never received.
    Loss,
    /// A younger value was received before an older one.
    Order,
    /// The buffer held more than its capacity.
    Capacity,
    /// With capacity 0, a send returned before anybody received.
    Rendezvous,
    /// Close: twice, too early, too late, or mistaken for something else.
    Close,
    /// A receive found nothing where a value was, or a send found no room where room was.
    WouldBlock,
    /// More than one case of a select happened.
    Select,
    /// What is left of a fenced session is not a prefix of what it did.
    Prefix,
    /// Somebody waits for ever though he need not.
    Stuck,
    /// A task ended twice, or went on after it had ended.
    Task,
    /// A value was received, and not one that was sent before it (in the sense of cause).
    Causality,
    /// The home's own log does not explain what the tasks saw.
    Witness,
}

/// One violation.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Of which rule.
    pub rule: Rule,
    /// What is wrong, in a sentence.
    pub what: String,
    /// The operations that show it.
    pub records: Vec<Record>,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}: {}", self.rule, self.what)?;
        for record in &self.records {
            write!(out, "\n    {record}")?;
        }
        Ok(())
    }
}

/// Violations of one rule on one channel that are told in full; of more only the number.
const TOLD_MAX: usize = 3;

/// Collects violations.
#[derive(Debug, Default)]
pub(crate) struct Report {
    found: Vec<Violation>,
    /// How many of the last rule and channel there were.
    run: (Option<(Rule, u32)>, usize),
}

impl Report {
    pub(crate) fn add<'r>(
        &mut self,
        rule: Rule,
        channel: u32,
        records: impl IntoIterator<Item = &'r Record>,
        what: impl FnOnce() -> String,
    ) {
        if self.run.0 != Some((rule, channel)) {
            self.run = (Some((rule, channel)), 0);
        }
        self.run.1 += 1;
        match self.run.1 {
            count if count <= TOLD_MAX => {
                let records = records.into_iter().copied().collect();
                self.found.push(Violation { rule, what: what(), records });
            }
            count => {
                let more = format!("channel {channel}: and {} more", count - TOLD_MAX);
                match self.found.last_mut() {
                    Some(last) if count > TOLD_MAX + 1 => last.what = more,
                    _ => self.found.push(Violation { rule, what: more, records: Vec::new() }),
                }
            }
        }
    }

    pub(crate) fn into_found(self) -> Vec<Violation> {
        self.found
    }
}
