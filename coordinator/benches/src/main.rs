//! Relayed channels of this project beside relays that only forward, and beside a broker.
//!
//! Every contender is a few processes of this same program, started once: a sender, a receiver and
//! what is between them. In each round every contender runs one `lap` of the row, in a rotating
//! order, so that a machine that slows down slows all of them; the `report` shows medians, and
//! ours over each of the others. CPU time is that of all processes of a contender, the broker's
//! included.
//!
//! # Modules
//!
//! - `arguments`: the command line, which also says which role a process has. `row`: what is
//!   measured.
//! - `contender`: processes, and how they are asked for a lap. `ours`: the coordinator, a client
//!   and the tasks. `link`: the laps of the peers over a `Link`, and their relays; `framed`,
//!   `websocket` and `nats` are the links.
//! - `meter`: the clocks. `rounds`: calibration, order, medians. `report`: table and JSON.
//! - `stalled`: what one channel that nobody receives from does to many others.
//! - `tasks`: what an empty task costs.
//! - `memory`: what the coordinator keeps for a channel and for a connection.
//!
//! A process that dies ends the run with an error; the others go with it, for each ends with its
//! standard input.

mod arguments;
mod contender;
mod framed;
mod link;
mod memory;
mod meter;
mod nats;
mod ours;
mod report;
mod rounds;
mod row;
mod stalled;
mod tasks;
mod websocket;

use clap::Parser;

use crate::arguments::{Arguments, Instead};

fn main() -> anyhow::Result<()> {
    runtime::serve_if_worker();
    let arguments = Arguments::parse();
    match &arguments.instead {
        None => messages(&arguments),
        Some(Instead::Memory { channels, connections }) => {
            memory::report(*channels, *connections, arguments.json)
        }
        Some(Instead::Stalled { channels, rounds }) => stalled::report(*channels, *rounds),
        Some(Instead::Tasks { tasks, rounds }) => tasks::report(*tasks, *rounds),
        Some(Instead::Coordinator) => ours::coordinate(),
        Some(Instead::CoordinatorOf { workers }) => memory::coordinate(*workers),
        Some(Instead::Client { coordinator }) => ours::run_laps(coordinator),
        Some(Instead::Relay { name }) => link::relay(*name),
        Some(Instead::Receive { name, address }) => link::receive(*name, address),
        Some(Instead::Send { name, address }) => link::run_laps(*name, address),
    }
}

fn messages(arguments: &Arguments) -> anyhow::Result<()> {
    let report = report::Report::new(arguments);
    let mut contenders = contender::start_all(|name| arguments.admits(name))?;
    for row in row::all().into_iter().filter(|row| arguments.wants(*row)) {
        report.add(&rounds::run(row, &mut contenders, arguments)?);
    }
    Ok(())
}
