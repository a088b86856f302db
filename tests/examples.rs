//! Every example runs, and says what it should.

use std::process::Command;

use crate::cluster::example;

#[track_caller]
fn check(name: &str, expected: &[&str]) {
    let done = Command::new(example(name)).output().expect("cargo test has built the examples");
    let output = String::from_utf8_lossy(&done.stdout);
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{name}: {}\n{output}\n{errors}", done.status);
    for text in expected {
        assert!(output.contains(text), "{name}: `{text}` is missing in\n{output}\n{errors}");
    }
}

#[test]
fn hello() {
    check("hello", &["1 squared is 1", "5 squared is 25"]);
}

#[test]
fn prime_sieve() {
    check("prime_sieve", &["2 3 5 7 11 13", "89 97"]);
}

#[test]
fn ping_pong() {
    check("ping_pong", &["a round trip", "workers"]);
}

#[test]
fn map_reduce() {
    check("map_reduce", &["4 memory", "3 is", "2 by"]);
}
