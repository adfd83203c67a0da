//! Memory that begins where vectors want it to.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// A buffer of bytes that begins at a multiple of 64.
#[derive(Clone, Debug)]
pub struct AlignedBytes {
    lines: Vec<Line>,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([u8; 64]);

impl AlignedBytes {
    /// `len` zeros.
    pub fn zeroed(len: usize) -> Self {
        Self { lines: vec![Line([0; 64]); len.div_ceil(64)], len }
    }
}

impl Deref for AlignedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the lines are that many bytes or more, next to each other and initialised.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for AlignedBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; the lines are borrowed as mutably as the bytes.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

/// Floats of one vector of the widest kind.
const WIDTH: usize = 16;

/// Sixteen floats on a cache line of their own.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Floats([f32; WIDTH]);

/// Lends the thread's own buffer; what it holds is left over from earlier.
///
/// # Panics
/// If called from inside `f`.
pub(crate) fn lend_floats<T>(floats: usize, f: impl FnOnce(&mut [f32]) -> T) -> T {
    thread_local! {
        static BUFFER: RefCell<Vec<Floats>> = const { RefCell::new(Vec::new()) };
    }
    BUFFER.with_borrow_mut(|buffer| {
        let lines = floats.div_ceil(WIDTH);
        if buffer.len() < lines {
            buffer.resize(lines, Floats([0.0; WIDTH]));
        }
        // SAFETY: a `Floats` is sixteen floats and nothing else (`repr(C)`, 64 bytes).
        let all = unsafe { std::slice::from_raw_parts_mut(buffer.as_mut_ptr().cast(), buffer.len() * WIDTH) };
        f(&mut all[..floats])
    })
}
