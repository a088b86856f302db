//! What the thread of a test has allocated and not freed, for the programs that must not leak.
//!
//! The count is of one thread, so that tests beside it do not disturb it; with everything on that
//! thread (`program_on_one_thread`) it is exact.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use crate::go::Placement;

/// Blocks and bytes in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Live {
    pub(crate) blocks: isize,
    pub(crate) bytes: isize,
}

thread_local! {
    // Constant and without a destructor: reading it never allocates.
    static LIVE: Cell<Live> = const { Cell::new(Live { blocks: 0, bytes: 0 }) };
}

/// What this thread has in use; what it frees for another counts as negative.
pub(crate) fn live() -> Live {
    LIVE.get()
}

/// Whether the count means something. Elsewhere the threads of the connection free what this one
/// has allocated, and the other way round.
pub(crate) fn is_exact() -> bool {
    Placement::of_environment() == Placement::Local
}

fn count(blocks: isize, bytes: isize) {
    let live = LIVE.get();
    LIVE.set(Live { blocks: live.blocks + blocks, bytes: live.bytes + bytes });
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// # Safety
///
/// Every call goes to the system's allocator as it came.
#[expect(unsafe_code, reason = "there is no safe way to count allocations")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size().cast_signed());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-1, -layout.size().cast_signed());
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(0, size.cast_signed() - layout.size().cast_signed());
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[test]
fn what_is_allocated_is_counted_until_it_is_freed() {
    let before = live();
    let mut bytes = Vec::<u8>::with_capacity(1000);
    assert_eq!(live(), Live { blocks: before.blocks + 1, bytes: before.bytes + 1000 });
    bytes.reserve_exact(2000);
    assert_eq!(live(), Live { blocks: before.blocks + 1, bytes: before.bytes + 2000 });
    drop(bytes);
    assert_eq!(live(), before);
}
