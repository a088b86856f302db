//! Go's own tests of its channels, written anew: the acceptance test of ours.
//!
//! One file a program; each says what it checks, and which lines of the checklist (C01-C60) it
//! pins. Goroutines start with [`go::go`] and channels are made with `channel`, so the programs do
//! not know where their tasks run. Where the rules differ on purpose (an error instead of a panic,
//! and the last handle closes its channel) the program says what it does instead.
//!
//! `FARSPAWN_LONG=1` runs Go's own numbers of rounds.

mod go;

mod fifo;
mod goroutines;
mod range;
mod zerosize;
