//! Whether the channels hold, and whether these checks would notice if they did not.
//!
//! `cargo run --manifest-path channels/checks/Cargo.toml` runs the checks, then plants one bug
//! after the other, each of which a check must find. With the argument `checks` or `planted` it
//! does one of the two.
//!
//! - `tests/sequential`: random histories on one thread, beside a model (proptest).
//! - `tests/schedules`: scenarios of several threads in random orders (shuttle).
//! - `tests/orders`: small scenarios in every order (loom).
//! - `coordinator/tests/core/flow.rs`, `selects.rs`: credits, early offers and selects, at random.
//!   They run with all other tests; here only their planted bugs do.
//! - `channels/src/claim/models.rs`: the claim and the lock in every order (loom).
//!
//! A bug is planted where `channels/src` says `cfg!(planted = …)`: a claim that is not atomic, a
//! state that is looked at before the waker is stored, a select that joins the queues without
//! looking again, a value that returns at the wrong end. And in `coordinator/src/relay`: a close
//! that does not wait for credits, a credit without room, early offers that die with their session,
//! a value that stays on offer though its select is open again.

use std::process::{Command, ExitCode, Stdio};

/// One way to check.
struct Check {
    name: &'static str,
    /// Which model checker's locks and atomics `channels` uses.
    checker: Option<&'static str>,
    target: &'static [&'static str],
    /// What the names of its tests contain.
    tests: &'static str,
}

const SEQUENTIAL: Check =
    Check { name: "sequential", checker: None, target: &[HERE, "--test", "sequential"], tests: "" };
const SCHEDULES: Check = Check {
    name: "schedules",
    checker: Some("shuttle"),
    target: &[HERE, "--test", "schedules"],
    tests: "",
};
const ORDERS: Check =
    Check { name: "orders", checker: Some("loom"), target: &[HERE, "--test", "orders"], tests: "" };
const MODELS: Check = Check {
    name: "models",
    checker: Some("loom"),
    target: &[CHANNELS, "--release", "--lib"],
    tests: "claim::models",
};

const FLOW: Check = Check {
    name: "flow",
    checker: None,
    target: &[COORDINATOR, "--release", "--test", "core"],
    tests: "flow",
};

const SELECTS: Check = Check { name: "selects", tests: "selects", ..FLOW };
const PASSING: Check = Check { name: "passing", tests: "passing", ..FLOW };

const HERE: &str = concat!("--manifest-path=", env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
const CHANNELS: &str = concat!("--manifest-path=", env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");

const COORDINATOR: &str =
    concat!("--manifest-path=", env!("CARGO_MANIFEST_DIR"), "/../../coordinator/Cargo.toml");

/// The bugs, and the tests that must find them.
const PLANTED: [(&str, Check, &str); 13] = [
    ("claim", MODELS, "of_two_who_choose_one_does"),
    ("claim", SCHEDULES, "selecting::crossing_selects_meet_in_pairs"),
    ("wakeup", MODELS, "a_select_that_was_handed_over"),
    ("wakeup", SCHEDULES, "selecting::a_select_that_is_handed_over"),
    ("window", ORDERS, "of_two_cases_one_happens"),
    ("window", SCHEDULES, "selecting::two_channels_at_a_rendezvous"),
    ("unrecv", SEQUENTIAL, "channels_do_what_the_model_does"),
    ("unrecv", SCHEDULES, "giving_up::receives_given_up_before_a_buffer"),
    ("close", FLOW, "flow::"),
    ("credits", FLOW, "flow::"),
    ("early", FLOW, "flow::"),
    ("lock", SELECTS, "selects::"),
    ("passing", PASSING, "passing::"),
];

fn main() -> ExitCode {
    let part = std::env::args().nth(1);
    let mut is_well = true;
    if part.as_deref() != Some("planted") {
        for check in [SEQUENTIAL, SCHEDULES, ORDERS, MODELS] {
            let holds = succeeds(check.cargo(None).arg(check.tests));
            println!("{}: {}", check.name, if holds { "holds" } else { "FAILS" });
            is_well &= holds;
        }
    }
    if part.as_deref() != Some("checks") {
        for (bug, check, test) in PLANTED {
            let is_built = succeeds(check.cargo(Some(bug)).arg("--no-run"));
            let mut run = check.cargo(Some(bug));
            run.arg(test).stdout(Stdio::null()).stderr(Stdio::null());
            let is_found = is_built && !succeeds(&mut run);
            let verdict = if is_found { "found" } else { "NOT FOUND" };
            println!("planted {bug}: {verdict} by {} ({test})", check.name);
            is_well &= is_found;
        }
    }
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Check {
    /// Cargo, to test with a bug planted or without.
    fn cargo(&self, bug: Option<&str>) -> Command {
        let checker = self.checker.map(|checker| format!("--cfg {checker}"));
        let bug = bug.map(|bug| format!("--cfg planted=\"{bug}\""));
        let flags: Vec<String> = checker.into_iter().chain(bug).collect();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["test", "--quiet"]).args(self.target).env("RUSTFLAGS", flags.join(" "));
        cargo
    }
}

fn succeeds(command: &mut Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}
