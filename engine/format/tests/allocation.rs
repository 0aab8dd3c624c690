//! Memory of the parser, counted: at most four times the bytes it was given and 1 MiB, whatever
//! they say. The counter is the global allocator, so this test is a binary of its own.
//!
//! Invariants that make the unsafe code safe: every call goes to the system allocator unchanged;
//! the counting around it touches only atomics.
#![allow(unsafe_code)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use ds4_format::gguf::Gguf;
use support::{ARRAY, Raw, STRING, U8, U64, good};

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grow(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(live, Ordering::Relaxed);
}

// SAFETY: the system allocator keeps the contract; nothing of its arguments or results is changed.
unsafe impl GlobalAlloc for Counting {
    // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller's layout, passed on.
        unsafe { System.alloc(layout) }
    }

    // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's pointer and layout, passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    // SAFETY: the caller keeps the contract of `GlobalAlloc::realloc`.
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Old and new may live at the same time while the allocator moves them.
        grow(size);
        // SAFETY: the caller's arguments, passed on.
        let moved = unsafe { System.realloc(pointer, layout, size) };
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        moved
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Most bytes that parsing allocates at any time.
fn peak(file: &[u8], file_bytes: u64) -> usize {
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let outcome = Gguf::parse(file, file_bytes);
    let peak = PEAK.load(Ordering::Relaxed);
    drop(outcome);
    peak - before
}

fn check(what: &str, file: &[u8], file_bytes: u64) {
    let (peak, given) = (peak(file, file_bytes), file.len());
    println!("{what}: {peak} bytes allocated for {given} given");
    assert!(peak <= 4 * given + (1 << 20), "{what}: {peak} bytes allocated for {given} given");
}

/// As many metadata entries as allowed, as small as possible.
fn many_keys() -> Raw {
    let keys = 10_000;
    (0..keys).fold(Raw::header(0, keys), |file, n| file.key(&format!("{n:x}"), U8).raw(&[0]))
}

/// As many tensors as allowed, as small as possible.
fn many_tensors() -> (Raw, u64) {
    let tensors = 100_000;
    let entry = |file: Raw, n: u64| file.tensor(&format!("{n:x}"), &[1], 0, n * 32);
    let file = (0..tensors).fold(Raw::header(tensors, 0), entry);
    let file_bytes = file.len() + 64 + tensors * 32;
    (file, file_bytes)
}

/// A vocabulary of empty strings, the largest expansion of an array.
fn many_strings() -> Raw {
    let count = 500_000;
    (0..count).fold(Raw::header(0, 1).array("k", STRING, count), |file, _| file.u64(0))
}

/// One test: the counter belongs to the whole process.
#[test]
fn memory_is_bounded_by_the_bytes_given() {
    // The counter counts: without this line nothing below could fail.
    let before = PEAK.load(Ordering::Relaxed);
    drop(std::hint::black_box(vec![0_u8; 64 << 20]));
    assert!(PEAK.load(Ordering::Relaxed) >= before.max(64 << 20));

    let (small, directory) = good();
    check("small file", &small, small.len() as u64);
    check("many keys", &many_keys().bytes, many_keys().len());
    let (tensors, file_bytes) = many_tensors();
    assert!(Gguf::parse(&tensors.bytes, file_bytes).is_ok());
    check("many tensors", &tensors.bytes, file_bytes);
    check("many strings", &many_strings().bytes, many_strings().len());
    let text = Raw::header(0, 1).key("k", STRING).string(&vec![b'x'; 8 << 20]);
    check("one long string", &text.bytes, text.len());

    // Counts and lengths that a large file would have room for, on the word of a few bytes.
    let large = 1 << 40;
    let declared = [
        ("keys", Raw::header(0, 10_000)),
        ("tensors", Raw::header(100_000, 0)),
        ("array of numbers", Raw::header(0, 1).array("k", U64, 1 << 24)),
        ("array of strings", Raw::header(0, 1).array("k", STRING, 1 << 24)),
        ("string", Raw::header(0, 1).key("k", STRING).u64(16 << 20)),
        ("nested arrays", Raw::header(0, 1).array("k", ARRAY, 1 << 24)),
    ];
    for (what, file) in declared {
        let allocated = peak(&file.bytes, large);
        assert!(allocated <= 1 << 20, "{what}: {allocated} bytes for {} given", file.len());
    }
    for bit in 0..directory * 8 {
        let mut flipped = small.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let allocated = peak(&flipped, large);
        assert!(allocated <= 4 * small.len() + (1 << 20), "bit {bit}: {allocated} bytes");
    }
}
