//! The same programs in Go and here: both must print the same lines.
//!
//! The Go programs are in `differential/*.go`, written for this comparison; the Rust ones beside
//! them have the same shape, goroutine by goroutine. Without a `go` program (in `PATH`, or named by
//! `GO`) the Rust programs run, and nothing is compared.

mod numbers;
mod rules;

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use crate::go::program;

const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golang/differential");

/// Where Go keeps what it has compiled: beside what cargo has.
const CACHE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/go");

/// The Go compiler, if there is one.
fn compiler() -> Option<OsString> {
    let go = env::var_os("GO").unwrap_or_else(|| "go".into());
    let version = Command::new(&go).arg("version").output();
    match version {
        Ok(version) if version.status.success() => Some(go),
        _ => None,
    }
}

/// What the Go program of this name prints.
fn go_lines(go: &OsString, name: &str) -> Vec<String> {
    let output = Command::new(go)
        .arg("run")
        .arg(Path::new(PROGRAMS).join(name).with_extension("go"))
        // No module, no network, and nothing outside of the target folder.
        .envs([("GO111MODULE", "off"), ("GOTOOLCHAIN", "local"), ("GOFLAGS", "")])
        .envs([("GOCACHE", CACHE), ("GOPATH", CACHE)])
        .output()
        .expect("a compiler that told its version runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}.go: {errors}");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// Runs a program here and in Go.
fn same(name: &str, lines: impl Future<Output = Vec<String>>) {
    let mut ours = Vec::new();
    program(async { ours = lines.await });
    assert!(!ours.is_empty(), "{name} prints something");
    let Some(go) = compiler() else {
        return println!("{name}: not compared: there is no `go` in PATH, and no GO names one");
    };
    let theirs = go_lines(&go, name);
    for (n, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        assert_eq!(ours, theirs, "{name}, line {}: ours, and Go's", n + 1);
    }
    assert_eq!(ours.len(), theirs.len(), "{name}: as many lines as Go's");
}

#[test]
fn primes() {
    same("sieve", numbers::sieve());
}

#[test]
fn hamming_numbers() {
    same("hamming", numbers::hamming());
}

#[test]
fn power_series() {
    same("series", numbers::series());
}

#[test]
fn ping_pong() {
    same("pingpong", rules::ping_pong());
}

#[test]
fn closed_and_nil_channels() {
    same("closed", rules::closed());
}

#[test]
fn len_and_cap() {
    same("lengths", rules::lengths());
}

#[test]
fn ranges() {
    same("ranges", rules::ranges());
}

#[test]
fn several_senders() {
    same("senders", rules::senders());
}
