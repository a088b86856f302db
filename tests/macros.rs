//! What the compiler says of tasks that cannot be: the expected words are beside each case.

use std::process::Command;

/// The compiler whose words were recorded. Another words its own part of them differently.
const RECORDED_WITH: &str = "rustc 1.95.";

/// Set by the CI script: the cases build all dependencies once more, 100 CPU seconds.
const WANTED: &str = "FARSPAWN_COMPILE_FAIL";

/// Compiles each case; expected output is in `tests/macros/fail/*.stderr`.
#[test]
fn misuse_has_clear_errors() {
    if std::env::var_os(WANTED).is_none() {
        return println!("not compiled: {WANTED} is not set");
    }
    let version = Command::new("rustc").arg("--version").output().expect("cargo has a compiler");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    if version.starts_with(RECORDED_WITH) {
        trybuild::TestCases::new().compile_fail("tests/macros/fail/*.rs");
    } else {
        println!("not compared: the outputs are of {RECORDED_WITH}x, this is {version}");
    }
}
