//! Rules of the house that a compiler does not check.

use std::fs;
use std::path::{Path, PathBuf};

const COLUMNS_MAX: usize = 100;
const LINES_MAX: usize = 500;

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The files of this repository, and their text.
fn all() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    sources(Path::new(env!("CARGO_MANIFEST_DIR")), &mut found);
    assert!(found.len() > 40, "the sources are found");
    found.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn files_are_short_and_narrow_and_say_what_they_are() {
    let mut faults = Vec::new();
    for (path, text) in all() {
        let place = path.display();
        let case = path.parent().is_some_and(|folder| folder.ends_with("macros/fail"));
        if !case && !text.starts_with("//!") {
            faults.push(format!("{place}: does not begin with `//!`"));
        }
        if text.lines().count() > LINES_MAX {
            faults.push(format!("{place}: {} lines", text.lines().count()));
        }
        for (at, line) in text.lines().enumerate() {
            if line.chars().count() > COLUMNS_MAX {
                faults.push(format!("{place}:{}: wider than {COLUMNS_MAX} columns", at + 1));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_file_is_a_grab_bag_and_nothing_is_left_for_later() {
    let grab_bags = ["utils", "util", "common", "shared", "helpers", "types", "manager", "misc"];
    let later =
        ["todo".to_owned() + "!(", "unimplemented".to_owned() + "!(", "FIX".to_owned() + "ME"];
    let mut faults = Vec::new();
    for (path, text) in all() {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if grab_bags.contains(&stem.as_str()) {
            faults.push(format!("{}: the name says nothing", path.display()));
        }
        for word in later.iter().filter(|word| text.contains(*word)) {
            faults.push(format!("{}: {word}", path.display()));
        }
        if text.contains(&("#[igno".to_owned() + "re")) {
            faults.push(format!("{}: a test that does not run", path.display()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// `channels` has no clock, no socket and no executor; nothing but `platform` starts workers.
#[test]
fn the_architecture_invariants_hold() {
    for (path, text) in all() {
        let place = path.display().to_string();
        let in_channels = place.contains("/channels/src/");
        assert!(!in_channels || !text.contains("tokio::"), "{place} uses tokio");
        // A thread that finds a lock taken naps; that is no clock.
        let naps = place.ends_with("/lock.rs");
        assert!(!in_channels || naps || !text.contains("std::time"), "{place} uses time");
        let pure = ["/placement.rs", "/scheduler.rs", "/relay.rs", "coordinator/src/lib.rs"];
        if pure.iter().any(|name| place.ends_with(name)) && place.contains("/coordinator/") {
            assert!(!text.contains("tokio::"), "{place} is pure");
        }
    }
}
