//! Every example runs, and says what it should.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

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
fn select_timeout() {
    check("select_timeout", &["answers after three ticks: [30]"]);
}

#[test]
fn ping_pong() {
    check("ping_pong", &["a round trip", "workers"]);
}

#[test]
fn map_reduce() {
    check("map_reduce", &["4 memory", "3 is", "2 by"]);
}

/// Cargo warns at each call of a file that two targets begin with, and hides what matters by it.
#[test]
fn no_file_is_the_root_of_two_targets() {
    let read = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .expect("cargo runs");
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let metadata: Value = serde_json::from_slice(&read.stdout).expect("cargo writes JSON");
    let packages = metadata["packages"].as_array().expect("this workspace has packages");
    let targets = packages.iter().flat_map(|package| package["targets"].as_array().unwrap());
    let mut roots = BTreeMap::new();
    for target in targets.clone() {
        *roots.entry(target["src_path"].as_str().unwrap()).or_insert(0) += 1;
    }
    assert!(roots.values().all(|targets| *targets == 1), "{roots:?}");
    let names: Vec<_> = targets.map(|target| target["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"thumbnails") && names.contains(&"thumbnails_units"), "{names:?}");
}
