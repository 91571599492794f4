//! An object in a review to decisions in both phases, whose work is bounded by the length of the review.
#![no_main]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/it/properties/invariants.rs"]
mod invariants;
#[path = "../../tests/it/properties/objects.rs"]
mod objects;

/// The system's allocator, and how many bytes it was asked for. Allocations are the work that can be counted
/// the same on every machine; time is bounded by libFuzzer's `-timeout`.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The bytes that deciding may allocate for each byte of the input, and beside that: 12 decisions and their
/// answers, each read again.
const EACH: usize = 256;
const BESIDE: usize = 2 << 20;

fuzz_target!(|text: &str| {
    std::sync::LazyLock::force(&invariants::WORLDS);
    let before = ALLOCATED.load(Relaxed);
    objects::check_object(text);
    let allocated = ALLOCATED.load(Relaxed) - before;
    let bound = EACH * text.len() + BESIDE;
    assert!(allocated <= bound, "{allocated} bytes were allocated for {} bytes", text.len());
});
