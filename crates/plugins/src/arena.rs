//! Memory for a process that lives for a millisecond: cut from one static block, given back by the end of the process.
//!
//! musl's allocator maps and unmaps pages all along such a life, forty system calls and as many page faults: a quarter
//! of a VERSION. What does not fit into the block comes from there as before.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// More than any call but one with megabytes on stdin needs. Untouched pages cost nothing.
const SIZE: usize = 1 << 20;

#[repr(align(16))]
struct Block(UnsafeCell<[u8; SIZE]>);

// SAFETY: every byte is handed out at most once, by an atomic counter, and belongs to whoever asked.
unsafe impl Sync for Block {}

static BLOCK: Block = Block(UnsafeCell::new([0; SIZE]));
static USED: AtomicUsize = AtomicUsize::new(0);

/// The allocator.
pub struct Arena;

impl Arena {
    /// Takes the next free part of the block; `None` if it is too small.
    fn take(layout: Layout) -> Option<*mut u8> {
        let mut used = USED.load(Ordering::Relaxed);
        loop {
            let start = used.checked_add(layout.align() - 1)? & !(layout.align() - 1);
            let end = start.checked_add(layout.size()).filter(|end| *end <= SIZE)?;
            match USED.compare_exchange_weak(used, end, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(BLOCK.0.get().cast::<u8>().wrapping_add(start)),
                Err(now) => used = now,
            }
        }
    }

    /// Gives the last part that was taken another size, in its place; false if another came after it.
    fn resize(pointer: *mut u8, old: usize, new: usize) -> bool {
        let start = pointer.addr() - BLOCK.0.get().addr();
        start.checked_add(new).is_some_and(|end| {
            end <= SIZE && USED.compare_exchange(start + old, end, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        })
    }

    fn owns(pointer: *const u8) -> bool {
        let start = BLOCK.0.get().addr();
        (start..start + SIZE).contains(&pointer.addr())
    }
}

// SAFETY: parts of the block are aligned (16 at most, larger alignments are left to the system), disjoint and never
// reused; everything else is the system's.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let taken = if layout.align() <= align_of::<Block>() { Self::take(layout) } else { None };
        // SAFETY: the caller's contract is the system's.
        taken.unwrap_or_else(|| unsafe { System.alloc(layout) })
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if !Self::owns(pointer) {
            // SAFETY: what is not of the block came from the system, with this layout.
            unsafe { System.dealloc(pointer, layout) }
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !Self::owns(pointer) {
            // SAFETY: what is not of the block came from the system, with this layout.
            return unsafe { System.realloc(pointer, layout, size) };
        }
        // What grows is mostly what was made last.
        if Self::resize(pointer, layout.size(), size) {
            return pointer;
        }
        // SAFETY: the caller's contract: the size is not zero, and does not overflow when rounded up to the alignment.
        let moved = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !moved.is_null() {
            // SAFETY: both are of at least this size, and disjoint: the new one was taken just now.
            unsafe { std::ptr::copy_nonoverlapping(pointer, moved, layout.size().min(size)) };
        }
        moved
    }
}
