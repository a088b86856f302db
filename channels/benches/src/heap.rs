//! How many bytes are in use: an allocator that counts, and what the system says.
//!
//! # Safety
//!
//! Every call goes to [`System`] with the arguments it came with, so what [`GlobalAlloc`] asks of
//! an allocator, and of its callers, is what `System` gives and asks. Counting touches two atomics
//! only, and allocates nothing. Std has no safe way to learn what is in use.
#![expect(unsafe_code, reason = "an allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering::Relaxed};

#[global_allocator]
static HEAP: Counting = Counting;

/// Off while messages are timed: counting from two threads costs.
static ON: AtomicBool = AtomicBool::new(false);
static BYTES: AtomicIsize = AtomicIsize::new(0);

struct Counting;

/// Counts from here on.
pub(crate) fn count() {
    ON.store(true, Relaxed);
}

/// The bytes allocated since [`count`], without those freed. What the allocator itself needs beside
/// each piece is not in it.
pub(crate) fn bytes() -> isize {
    BYTES.load(Relaxed)
}

/// The bytes of memory that this process has, by Linux's account; elsewhere not a number.
pub(crate) fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok());
    kilobytes.map_or(f64::NAN, |kilobytes: f64| kilobytes * 1024.0)
}

fn note(bytes: isize) {
    if ON.load(Relaxed) {
        BYTES.fetch_add(bytes, Relaxed);
    }
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size().cast_signed());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size().cast_signed());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size.cast_signed() - layout.size().cast_signed());
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        note(-layout.size().cast_signed());
        unsafe { System.dealloc(old, layout) }
    }
}
