//! Channels of this project beside those of others: what a message costs, in one run.
//!
//! A `cell` is a pattern, a capacity and a kind of value. Every `contender` of a cell runs one
//! `lap` in each round, in a rotating order, so that a machine that slows down slows all of them;
//! the `report` shows medians, and ours over the best of the others.
//!
//! # Modules
//!
//! - `arguments`: the command line. `cell`: what is measured. `value`: what is sent.
//! - `contender`: the one interface of all channels; `ours`, `peers`: those that implement it;
//!   `go`: Go's, in a process beside this one.
//! - `lap`: the patterns, written once for all contenders. `select`: theirs of a select.
//! - `meter`: the clocks. `rounds`: calibration, order, medians. `report`: table, summary, JSON.
//! - `memory`: parked tasks. `heap`: an allocator that counts.

mod arguments;
mod cell;
mod contender;
mod go;
mod heap;
mod lap;
mod memory;
mod meter;
mod ours;
mod peers;
mod report;
mod rounds;
mod select;
mod value;

use clap::Parser;

use crate::arguments::{Arguments, Instead, MILLION};

fn main() {
    let arguments = Arguments::parse();
    crossfire::detect_backoff_cfg();
    match &arguments.instead {
        None => messages(&arguments),
        Some(Instead::Memory { tasks }) => {
            memory::report(*tasks, &arguments, |name| arguments.admits(name));
        }
        Some(Instead::Million) => {
            memory::report(MILLION, &arguments, |name| name == contender::OURS);
        }
        Some(Instead::Crowd { name, tasks }) => memory::report_crowd(name, *tasks),
    }
}

fn messages(arguments: &Arguments) {
    let mut report = report::Report::new(arguments);
    let go = if arguments.admits(contender::GO) { go::Go::start() } else { None };
    let mut course = rounds::Course::new(arguments.rounds, go);
    for cell in cell::all().into_iter().filter(|cell| arguments.wants(*cell)) {
        let contestants = contender::of(cell);
        let chosen = contestants.into_iter().filter(|one| arguments.admits(one.name));
        report.add(course.run(cell, chosen.collect()));
    }
    report.finish();
}
