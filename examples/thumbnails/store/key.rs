//! Which keys are accepted: the same for a folder and for S3, so that a job can move between them.

use std::path::{Component, Path};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What S3 allows; it also bounds the depth of folders.
pub(super) const KEY_BYTES_MAX: usize = 1024;

const PARTIAL_START: &str = ".farspawn-";
const PARTIAL_END: &str = ".partial";

/// What is wrong with a key.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub(crate) enum KeyFault {
    /// A key names something.
    #[error("it is empty")]
    Empty,
    /// See `KEY_BYTES_MAX`.
    #[error("it has {bytes} bytes, and {KEY_BYTES_MAX} are the most")]
    TooLong {
        /// The length of the key.
        bytes: usize,
    },
    /// No file name can hold one.
    #[error("it has a NUL character")]
    Nul,
    /// Keys are relative to their location.
    #[error("it starts with a '/'")]
    Absolute,
    /// Such as `..`, or the nothing between two slashes.
    #[error("its part {part:?} is not a plain name")]
    Part {
        /// The text between two slashes.
        part: String,
    },
    /// Names kept for files that are being written.
    #[error("names {PARTIAL_START}*{PARTIAL_END} are kept for files being written")]
    Reserved,
    /// By a symbolic link.
    #[error("it leads out of the folder through a symbolic link")]
    Leaves,
    /// In a folder `a` and `a/b` cannot both be objects; in S3 they can.
    #[error("a file is where it needs a folder, or a folder where it needs a file")]
    Conflict,
    /// For instance a part that is longer than the file system allows.
    #[error("the file system does not accept it as a file name")]
    FileName,
}

/// Refuses a key that could mean something else than a file below its location.
pub(super) fn check(key: &str) -> Result<(), KeyFault> {
    if key.is_empty() {
        return Err(KeyFault::Empty);
    }
    if key.len() > KEY_BYTES_MAX {
        return Err(KeyFault::TooLong { bytes: key.len() });
    }
    if key.contains('\0') {
        return Err(KeyFault::Nul);
    }
    if key.starts_with('/') {
        return Err(KeyFault::Absolute);
    }
    for part in key.split('/') {
        if !is_plain(part) {
            return Err(KeyFault::Part { part: part.to_owned() });
        }
        if is_partial(part) {
            return Err(KeyFault::Reserved);
        }
    }
    Ok(())
}

/// The platform decides what a plain name is: `C:` is one on Linux and none on Windows.
fn is_plain(part: &str) -> bool {
    let mut components = Path::new(part).components();
    let first = components.next();
    first == Some(Component::Normal(part.as_ref())) && components.next().is_none()
}

/// The name of a file that is being written. `number` tells concurrent writers apart.
pub(super) fn partial(number: u64) -> String {
    format!("{PARTIAL_START}{number:016x}{PARTIAL_END}")
}

/// Whether [`partial`] made this name.
pub(super) fn is_partial(name: &str) -> bool {
    name.starts_with(PARTIAL_START) && name.ends_with(PARTIAL_END)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_keys_are_accepted() {
        for key in
            ["a", "a/b.png", "été/ü 1.jpg", "...", ".hidden", "a/..b", "~", &"k".repeat(1024)]
        {
            assert_eq!(check(key), Ok(()), "{key:?}");
        }
    }

    #[test]
    fn keys_with_another_meaning_are_refused() {
        let part = |part: &str| KeyFault::Part { part: part.to_owned() };
        let rows = [
            ("", KeyFault::Empty),
            ("/etc/passwd", KeyFault::Absolute),
            ("a\0b", KeyFault::Nul),
            ("..", part("..")),
            ("a/../../b", part("..")),
            ("./a", part(".")),
            ("a//b", part("")),
            ("a/", part("")),
            ("a/.farspawn-7.partial", KeyFault::Reserved),
            (".farspawn-7.partial/a", KeyFault::Reserved),
            (&"k".repeat(1025), KeyFault::TooLong { bytes: 1025 }),
        ];
        for (key, fault) in rows {
            assert_eq!(check(key), Err(fault), "{key:?}");
        }
    }

    #[test]
    fn partial_names_are_recognised() {
        assert!(is_partial(&partial(0)));
        assert!(is_partial(&partial(u64::MAX)));
        assert!(!is_partial("photo.partial"));
    }
}
