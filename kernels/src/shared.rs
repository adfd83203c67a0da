//! One output, written by many threads in parts that do not overlap.

use std::marker::PhantomData;

/// A mutable slice that threads take disjoint parts of.
pub(crate) struct Parted<'a, T> {
    start: *mut T,
    len: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: this hands out `&mut T` to other threads and nothing else, so `T: Send` is what it
// takes; that parts do not overlap is what callers of `part` promise.
unsafe impl<T: Send> Sync for Parted<'_, T> {}

impl<'a, T> Parted<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), slice: PhantomData }
    }

    /// The part of `len` elements from `from` on.
    ///
    /// # Safety
    /// No two parts that live at the same time may overlap.
    ///
    /// # Panics
    /// If the part is not within the slice.
    #[expect(clippy::mut_from_ref, reason = "the caller promises that parts do not overlap")]
    pub(crate) unsafe fn part(&self, from: usize, len: usize) -> &mut [T] {
        assert!(from <= self.len && len <= self.len - from, "{from} + {len} of {}", self.len);
        // SAFETY: within the slice that is borrowed for `'a`; the caller sees to the rest.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), len) }
    }
}
