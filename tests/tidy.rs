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

/// README's page on Go names tests, so that nobody has to believe it.
#[test]
fn every_test_that_the_readme_names_exists() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let page = readme.split("\n## ").find(|part| part.starts_with("What is the same as Go"));
    let page = page.expect("the page is there");
    let sources = all();
    let (mut faults, mut named) = (Vec::new(), 0);
    for line in page.lines() {
        let tests: Vec<&str> = line.split('`').skip(1).step_by(2).filter(is_test).collect();
        named += tests.len();
        let missing = tests.iter().filter(|test| !exists(test, &sources));
        faults.extend(missing.map(|test| format!("there is no test {test}")));
        let says_something = line.starts_with("| ") && !line.ends_with("| test |");
        if says_something && tests.is_empty() {
            faults.push(format!("no test proves: {line}"));
        }
    }
    assert!(named > 40, "only {named} tests are named");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Whether a word names a test: modules and a function.
fn is_test(word: &&str) -> bool {
    let is_name = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b == b'_' || b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    word.contains("::") && word.split("::").all(is_name)
}

/// Whether a test stands where its name says: `core::x` in `core/main.rs`, `golang::fifo::x` in
/// `golang/fifo.rs`, `chunks::x` in `chunks/tests.rs`; or among the programs of a deadlock.
fn exists(test: &str, sources: &[(PathBuf, String)]) -> bool {
    let (module, name) = test.rsplit_once("::").expect("it has both");
    let module = format!("/{}", module.replace("::", "/"));
    let files = [".rs", "/main.rs", "/tests.rs"].map(|end| format!("{module}{end}"));
    let is_there = |text: &str| {
        let begins = format!("fn {name}()");
        let mut parts = text.split(&begins);
        let before = parts.next().unwrap_or_default();
        let last = before.rsplit("\n\n").next().unwrap_or_default();
        let is_program = text.contains(&format!("(\"{name}\", {name})"));
        parts.next().is_some() && (last.contains("test]\n") || is_program)
    };
    sources.iter().any(|(path, text)| {
        let place = path.display().to_string();
        files.iter().any(|file| place.ends_with(file)) && is_there(text)
    })
}
