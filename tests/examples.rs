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

/// The three policies with real workers, and what the simulator says of them. How near the two come
/// depends on the machine; who is dearer, and how many workers there were, does not.
#[test]
fn evaluation() {
    let flags = ["--workload", "mix", "--tasks", "8", "--workers", "4", "--json"];
    let done = Command::new(example("evaluation")).args(flags).output().unwrap();
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{}: {errors}", done.status);
    let lines: Value = serde_json::from_slice(&done.stdout).unwrap();
    let lines = lines.as_array().unwrap();
    let names: Vec<_> = lines.iter().map(|line| line["policy"].as_str().unwrap()).collect();
    assert_eq!(names, ["conventional", "paper", "farspawn"]);
    let cost = |line: &Value| line["dollars_per_million"]["measured"].as_f64().unwrap();
    assert!(cost(&lines[0]) > cost(&lines[1]) && cost(&lines[0]) > cost(&lines[2]), "{lines:?}");
    for (line, most) in lines.iter().zip([8, 4, 4]) {
        assert_eq!(line["report"]["tasks"], 8, "{line}");
        assert!(line["report"]["invocations"].as_u64().unwrap() <= most, "{line}");
        assert!(line["seconds"]["predicted"].as_f64().unwrap() > 0.0, "{line}");
    }
    assert_eq!(lines[0]["report"]["invocations"], 8, "an invocation a task");
    let flags = ["--policy", "papre"];
    let done = Command::new(example("evaluation")).args(flags).output().unwrap();
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(errors.contains("conventional, paper and farspawn"), "{errors}");
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
