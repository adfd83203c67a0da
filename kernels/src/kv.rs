//! Keys and values of what was read so far: half precision, in pages of 32 positions.
//!
//! A page holds all layers. Inside it a head's keys are transposed (`[head_dim][32]`), so that
//! sixteen lanes of a score are sixteen positions, and its values are not (`[32][head_dim]`), so
//! that sixteen lanes of the output are sixteen dimensions. Which page belongs to whom is the
//! caller's business; a page's memory comes into being when it is first written.
//!
//! [`KvStore::exact`] keeps single precision in the same order instead, for checking a model.

use half::f16;

use crate::Compute;
use crate::ops::lanes::{self, Lanes, Op, WIDTH};

/// Positions of one page.
pub const PAGE_TOKENS: usize = 32;

/// One position in one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KvSlot {
    /// Index of the page in the store.
    pub page: u32,
    /// Position inside the page, below [`PAGE_TOKENS`].
    pub offset: u32,
}

/// The system has no memory for a page of keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory {
    /// What was asked for.
    pub bytes: usize,
}

impl std::fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no memory is left for {} bytes of keys and values", self.bytes)
    }
}

impl std::error::Error for OutOfMemory {}

/// 32 halves: one dimension of a page's keys, and a cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [u16; PAGE_TOKENS]);

/// The store of all pages.
pub struct KvStore {
    layers: usize,
    kv_heads: usize,
    head_dim: usize,
    /// Whether elements are `f32` rather than halves.
    exact: bool,
    pages: Vec<Option<Box<[Line]>>>,
}

impl KvStore {
    /// A store of up to `pages` pages, none of which takes memory yet.
    ///
    /// # Panics
    /// If `head_dim` is not a multiple of 16.
    #[must_use]
    pub fn new(layers: usize, kv_heads: usize, head_dim: usize, pages: usize) -> KvStore {
        assert!(
            head_dim > 0 && head_dim.is_multiple_of(WIDTH),
            "attention wants heads of a multiple of {WIDTH}, not {head_dim}"
        );
        KvStore { layers, kv_heads, head_dim, exact: false, pages: (0..pages).map(|_| None).collect() }
    }

    /// As [`KvStore::new`], but what is written is kept as it is; takes twice the memory.
    ///
    /// # Panics
    /// As [`KvStore::new`].
    #[must_use]
    pub fn exact(layers: usize, kv_heads: usize, head_dim: usize, pages: usize) -> KvStore {
        KvStore { exact: true, ..KvStore::new(layers, kv_heads, head_dim, pages) }
    }

    /// Memory of one page of a store of halves, in bytes.
    #[must_use]
    pub fn bytes_per_page(layers: usize, kv_heads: usize, head_dim: usize) -> usize {
        layers * 2 * kv_heads * head_dim * size_of::<Line>()
    }

    /// How many pages there can be.
    #[must_use]
    pub fn pages(&self) -> usize {
        self.pages.len()
    }

    /// How many pages have memory.
    #[must_use]
    pub fn pages_allocated(&self) -> usize {
        self.pages.iter().flatten().count()
    }

    /// Gives a page its memory, unless it has some.
    ///
    /// # Errors
    /// The system has none left.
    pub fn allocate(&mut self, page: u32) -> Result<(), OutOfMemory> {
        if self.pages[page as usize].is_none() {
            let lines = self.lines_per_page();
            let bytes = lines.saturating_mul(size_of::<Line>());
            let mut memory = Vec::new();
            memory.try_reserve_exact(lines).map_err(|_| OutOfMemory { bytes })?;
            memory.resize(lines, Line([f16::ZERO.to_bits(); PAGE_TOKENS]));
            self.pages[page as usize] = Some(memory.into_boxed_slice());
        }
        Ok(())
    }

    /// Gives the memory of a page back; what it held is lost.
    pub fn release(&mut self, page: u32) {
        self.pages[page as usize] = None;
    }

    /// Layers of the model.
    #[must_use]
    pub fn layers(&self) -> usize {
        self.layers
    }

    /// Heads of keys and values.
    #[must_use]
    pub fn kv_heads(&self) -> usize {
        self.kv_heads
    }

    /// Length of one head.
    #[must_use]
    pub fn head_dim(&self) -> usize {
        self.head_dim
    }

    /// Lines that 32 elements take.
    fn lines_per_32(&self) -> usize {
        if self.exact { 2 } else { 1 }
    }

    fn lines_per_page(&self) -> usize {
        self.layers * 2 * self.kv_heads * self.head_dim * self.lines_per_32()
    }

    /// Where a head's keys begin in its page; its values begin `kv_heads` heads later.
    fn line(&self, layer: usize, head: usize) -> usize {
        (layer * 2 * self.kv_heads + head) * self.head_dim * self.lines_per_32()
    }

    /// Whether elements are `f32`: then [`Self::head_exact`] reads them, otherwise [`Self::head`].
    pub(crate) fn is_exact(&self) -> bool {
        self.exact
    }

    /// Keys `[head_dim][32]` and values `[32][head_dim]` of one head in one page.
    pub(crate) fn head(&self, layer: usize, page: u32, head: usize) -> (&[u16], &[u16]) {
        assert!(!self.exact, "these elements are no halves");
        let (keys, values) = self.head_lines(layer, page, head);
        (flat(keys), flat(values))
    }

    /// The same of an exact store.
    pub(crate) fn head_exact(&self, layer: usize, page: u32, head: usize) -> (&[f32], &[f32]) {
        assert!(self.exact, "these elements are halves");
        let (keys, values) = self.head_lines(layer, page, head);
        (flat_exact(keys), flat_exact(values))
    }

    fn head_lines(&self, layer: usize, page: u32, head: usize) -> (&[Line], &[Line]) {
        let lines = self.pages[page as usize].as_deref().expect("only positions that were written are attended");
        let (k, v) = (self.line(layer, head), self.line(layer, head + self.kv_heads));
        let len = self.head_dim * self.lines_per_32();
        (&lines[k..k + len], &lines[v..v + len])
    }
}

impl std::fmt::Debug for KvStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let KvStore { layers, kv_heads, head_dim, .. } = self;
        write!(f, "KvStore({layers} layers, {kv_heads} heads of {head_dim}, {} pages)", self.pages.len())
    }
}

fn flat(lines: &[Line]) -> &[u16] {
    // SAFETY: a line is 32 halves and nothing else (`repr(C)`, 64 bytes, alignment 64).
    unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), lines.len() * PAGE_TOKENS) }
}

fn flat_exact(lines: &[Line]) -> &[f32] {
    // SAFETY: as in `flat`; two halves are as large as one `f32`, which takes any bits.
    unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), lines.len() * WIDTH) }
}

fn flat_exact_mut(lines: &mut [Line]) -> &mut [f32] {
    // SAFETY: as in `flat_exact`, and a half takes any bits too.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len() * WIDTH) }
}

fn flat_mut(lines: &mut [Line]) -> &mut [u16] {
    // SAFETY: as in `flat`.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len() * PAGE_TOKENS) }
}

impl Compute {
    /// Writes keys and values of one layer, rounded to half precision (beyond its range: the
    /// largest half).
    ///
    /// # Shapes
    /// `k` and `v` are `[rows, kv_heads, head_dim]`, `slots` one per row.
    ///
    /// # Panics
    /// If a shape or a slot is outside of the store.
    pub fn kv_write(&self, kv: &mut KvStore, layer: usize, k: &[f32], v: &[f32], slots: &[KvSlot]) {
        let cols = kv.kv_heads * kv.head_dim;
        assert!(layer < kv.layers, "layer {layer} of a store with {}", kv.layers);
        assert_eq!(k.len(), slots.len() * cols, "keys: rows × kv_heads × head_dim");
        assert_eq!(v.len(), slots.len() * cols, "values: rows × kv_heads × head_dim");
        lanes::run(self.isa(), Write { kv, layer, k, v, slots });
    }
}

struct Write<'a> {
    kv: &'a mut KvStore,
    layer: usize,
    k: &'a [f32],
    v: &'a [f32],
    slots: &'a [KvSlot],
}

impl Op for Write<'_> {
    type Out = ();
    #[inline(always)]
    fn run<V: Lanes>(self, v: V) {
        let (kv_heads, head_dim) = (self.kv.kv_heads, self.kv.head_dim);
        let cols = kv_heads * head_dim;
        let first = self.kv.line(self.layer, 0);
        for ((slot, keys), values) in self.slots.iter().zip(self.k.chunks_exact(cols)).zip(self.v.chunks_exact(cols)) {
            let offset = slot.offset as usize;
            assert!(offset < PAGE_TOKENS, "offset {offset} in a page of {PAGE_TOKENS}");
            self.kv.allocate(slot.page).unwrap_or_else(|error| panic!("{error}"));
            let page = self.kv.pages[slot.page as usize].as_deref_mut().expect("it has just got its memory");
            if self.kv.exact {
                let (page_keys, page_values) = page[first..first + 4 * cols].split_at_mut(2 * cols);
                for (at, key) in flat_exact_mut(page_keys).iter_mut().skip(offset).step_by(PAGE_TOKENS).zip(keys) {
                    *at = *key;
                }
                let heads = page_values.chunks_exact_mut(2 * head_dim).zip(values.chunks_exact(head_dim));
                for (lines, value) in heads {
                    flat_exact_mut(lines)[offset * head_dim..][..head_dim].copy_from_slice(value);
                }
                continue;
            }
            let (key_lines, value_lines) = page[first..first + 2 * cols].split_at_mut(cols);
            let mut halves = [0; WIDTH];
            for (lines, key) in key_lines.as_chunks_mut::<WIDTH>().0.iter_mut().zip(keys.as_chunks::<WIDTH>().0) {
                v.store_f16(v.load(key), &mut halves);
                for (line, half) in lines.iter_mut().zip(halves) {
                    line.0[offset] = half;
                }
            }
            for (lines, value) in value_lines.chunks_exact_mut(head_dim).zip(values.chunks_exact(head_dim)) {
                let row = &mut flat_mut(lines)[offset * head_dim..][..head_dim];
                for (to, x) in row.as_chunks_mut::<WIDTH>().0.iter_mut().zip(value.as_chunks::<WIDTH>().0) {
                    v.store_f16(v.load(x), to);
                }
            }
        }
    }
}
