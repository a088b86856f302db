//! The unit tests of the program, which are in its modules.
//!
//! Cargo builds an example either as the program or as its tests, and the tests of the main job
//! start the program. So the tests are another target, with a root of its own: one file as the
//! root of two targets is what cargo warns of at each call.

#[path = "main.rs"]
mod thumbnails;

/// Never called, as the tests have an entry of their own: it says that the program is in use.
fn main() -> std::process::ExitCode {
    thumbnails::main()
}
