//! The whole suite again, with its channels and goroutines elsewhere: this program, started with
//! another `FARSPAWN_GOLANG`.

use std::env;
use std::process::Command;

use runtime::Trial;

/// Runs all programs under a trial, one after the other if they share workers' threads.
fn run_all(trial: Trial) {
    // Under one already, or narrowed down to a few tests: then that is what is wanted.
    if env::var_os("FARSPAWN_GOLANG").is_some() {
        return;
    }
    let again = Command::new(env::current_exe().expect("a running program has a path"))
        .env("FARSPAWN_GOLANG", trial.to_string())
        .output()
        .expect("this program starts");
    let output = String::from_utf8_lossy(&again.stdout);
    let errors = String::from_utf8_lossy(&again.stderr);
    assert!(
        again.status.success(),
        "FARSPAWN_GOLANG={trial}: {}\n{output}\n{errors}",
        again.status
    );
    assert!(output.contains("test result: ok"), "it ran the tests:\n{output}");
}

#[test]
fn every_program_passes_with_all_channels_relayed() {
    run_all(Trial::Remote);
}

#[test]
fn every_program_passes_with_goroutines_placed_by_chance() {
    run_all("random".parse().expect("a trial with a seed of its own"));
}
