//! Go's own tests of its channels, written anew: the acceptance test of ours.
//!
//! One file a program; each says what it checks, and which lines of the checklist (C01-C60) it
//! pins. Goroutines start with [`go::go`] and channels are made with `channel`, so the programs do
//! not know where their tasks run. Where the rules differ on purpose (an error instead of a panic,
//! and the last handle closes its channel) the program says what it does instead.
//!
//! They run three times: here, with all channels relayed, and with goroutines and channels placed
//! by chance (`placements`; `FARSPAWN_GOLANG=random:SEED` runs one placement again). What does not
//! travel stays where it is made: wait groups, contexts, timers, and goroutines that are plain
//! futures because they hold such. A few programs measure the memory or the processor time of one
//! thread, which means something only here; elsewhere they run all the same.
//!
//! `FARSPAWN_LONG=1` runs Go's own numbers of rounds; elsewhere a part of them, for what took
//! nanoseconds takes a round trip there.

// What the programs need.
mod allocation;
mod go;
mod placements;
mod rational;

// Go's `test/chan`.
mod doubleselect;
mod fifo;
mod goroutines;
mod nonblock;
mod powser1;
mod powser2;
mod select;
mod select2;
mod select3;
mod select4;
mod select6;
mod select7;
mod select8;
mod sendstmt;
mod sieve1;
mod sieve2;
mod zerosize;

// Others of Go's `test`.
mod chancap;
mod chanlinear;
mod close;
mod closedchan;
mod hamming;
mod ken_chan;
mod ken_chan1;
mod range;
mod typeparam_chans;

// Go's `test/fixedbugs`.
mod bug225;
mod bug234;
mod issue16870;
mod issue4313;
mod issue8336;
mod issue8347;
mod issue9110;

// Go's `src/runtime` and `src/reflect`, and the generated part of `test/chan`.
mod causality;
mod choices;
mod runtime_chan;
mod runtime_race;
mod runtime_select;
mod select5;
mod select_model;

// Go's `sync`, `context`, `time`, and `golang.org/x/sync/errgroup`.
mod context;
mod group;
mod sync;
mod time;

// Beside Go itself, where it is installed.
mod differential;
