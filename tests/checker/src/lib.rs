//! Checks what a program saw of its channels against the delivery contract.
//!
//! A test records every operation ([`Recorder`], or the handles of [`Recorded`] that do it), in
//! one process or many, brings the records together in a [`History`], and asks [`check`] what is
//! wrong. Nothing is searched: values have unique names, so each rule is a sort and a walk, and a
//! million operations take seconds. Where the home's own log is at hand, [`witness()`] closes what
//! the black-box checks leave open.
//!
//! A checker must not cry wolf: wherever the dead or the impatient leave something uncertain, a
//! rule excuses what that may explain. And it must be heard: each violation comes in words, with
//! the operations that show it.
//!
//! # Modules
//!
//! - [`record`]: one operation. [`history`]: all of a run. [`report`]: what was found.
//! - [`recorder`]: writes operations down; [`recorded`]: handles that call it; [`text`]: as lines.
//! - `view`: one channel's operations, sorted. `rules`: the checks. [`mod@witness`]: the home's
//!   log.
//! - [`generate`]: legal histories, from a sequential channel under a random schedule.
//!
//! # Failures
//!
//! A process that is killed leaves the records that it wrote to its file; its session goes into
//! [`History::fenced`], and the rules for the dead apply to it.

pub mod generate;
pub mod history;
pub mod record;
pub mod recorded;
pub mod recorder;
pub mod report;
mod rules;
pub mod text;
mod view;
pub mod witness;

pub use history::{Channel, History, TaskEnd};
pub use record::{Kind, NEVER, Outcome, Record, Redelivered, ValueId};
pub use recorded::Recorded;
pub use recorder::{Begun, Recorder, TaskLog, monotonic};
pub use report::{Rule, Violation};
pub use rules::{broken, check};
pub use witness::{Commit, witness};
