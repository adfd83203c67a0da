//! The one value that computes: an instruction set and a pool of threads.

use std::num::NonZeroUsize;

use crate::acts::{ActBlock, Acts, BUNCH, Grid, Precision};
use crate::aligned::lend_floats;
use crate::detect::Isa;
use crate::layout::Layout;
use crate::ops::lanes::run;
use crate::ops::prepare::{Prepare, Source};
use crate::pack::{TILE, pack_tiles, packed_len, tile_bytes};
use crate::shared::Parted;
use crate::threads::Pool;

/// Values below which a region of their own is not worth the wake-up.
const PREPARE_ALONE: usize = if cfg!(miri) { 512 } else { 16 * 1024 };

/// Does the arithmetic. Results depend on neither the instruction set nor the number of threads.
pub struct Compute {
    isa: Isa,
    pool: Pool,
}

impl Compute {
    /// Arithmetic with `isa` over `threads` threads, of which the caller is one.
    ///
    /// # Panics
    /// If this CPU does not have `isa`: only [`Isa::available`] ones may be asked for.
    pub fn new(isa: Isa, threads: NonZeroUsize) -> Self {
        assert!(isa.is_available(), "this CPU has no {isa}");
        Self { isa, pool: Pool::new(threads) }
    }

    /// The instruction set in use. This CPU has it.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// How many threads take part.
    pub fn threads(&self) -> NonZeroUsize {
        self.pool.threads()
    }

    /// Runs `f` for every number below `chunks`, each once, in any order, over the pool.
    ///
    /// Inside `f`, or while another thread is in here, the caller does all itself.
    ///
    /// # Panics
    /// If `f` does, with what it panicked with.
    pub fn for_each(&self, chunks: usize, f: &(dyn Fn(usize) + Sync)) {
        self.pool.for_each(chunks, f);
    }

    /// [`pack`](crate::pack) over the pool.
    pub fn pack(&self, layout: Layout, rows: usize, cols: usize, src: &[u8], dst: &mut [u8]) {
        assert_eq!(dst.len(), packed_len(layout, rows, cols));
        let tile_len = tile_bytes(layout, cols);
        let tiles = rows.div_ceil(TILE);
        let chunk = tiles.div_ceil(self.threads().get() * 4).max(1);
        let (dst, rest) = dst.split_at_mut(tiles * tile_len);
        rest.fill(0);
        let dst = Parted::new(dst);
        self.for_each(tiles.div_ceil(chunk), &|i| {
            let tiles = i * chunk..tiles.min((i + 1) * chunk);
            // SAFETY: chunks of tiles do not overlap, and each is given out once.
            let dst = unsafe { dst.part(tiles.start * tile_len, tiles.len() * tile_len) };
            pack_tiles(layout, rows, cols, src, tiles, dst);
        });
    }

    /// Makes `x`, rows of `cols` values, ready for [`matmul`](Self::matmul).
    ///
    /// # Panics
    /// If `x` is not whole rows.
    pub fn quantize(&self, x: &[f32], cols: usize, precision: Precision, out: &mut Acts) {
        self.prepare(x, cols, None, precision, &[], out);
    }

    /// The same, with the rows in `split` in two parts, which together are nearly exact.
    ///
    /// # Panics
    /// If `x` is not whole rows, `split` are not some of them in ascending order, or there are some and
    /// precision is single.
    pub fn quantize_split(&self, x: &[f32], cols: usize, precision: Precision, split: &[usize], out: &mut Acts) {
        self.prepare(x, cols, None, precision, split, out);
    }

    /// The same of the root-mean-square norm of each row: see [`rms_norm`](Self::rms_norm).
    ///
    /// # Panics
    /// As [`quantize_split`](Self::quantize_split).
    pub fn quantize_normed(
        &self,
        x: &[f32],
        (weight, eps): (&[f32], f32),
        precision: Precision,
        split: &[usize],
        out: &mut Acts,
    ) {
        self.prepare(x, weight.len(), Some((weight, eps)), precision, split, out);
    }

    fn prepare(
        &self,
        x: &[f32],
        cols: usize,
        norm: Option<(&[f32], f32)>,
        precision: Precision,
        split: &[usize],
        out: &mut Acts,
    ) {
        assert!(cols > 0 && x.len().is_multiple_of(cols), "{} values in rows of {cols}", x.len());
        out.shape(x.len() / cols, cols, precision, split);
        if precision == Precision::F32 {
            match norm {
                Some((weight, eps)) => self.rms_norm(x, weight, eps, &mut out.exact),
                None => out.exact.copy_from_slice(x),
            }
            return;
        }
        let source = Source { x, cols, norm, split, rests_at: out.rests_at() };
        let Grid { rows, row_blocks } = out.grid();
        let blocks = &mut out.blocks[..rows * row_blocks];
        let bunch = |first: usize, out: &mut [ActBlock]| {
            lend_floats(cols, |buffer| run(self.isa, Prepare { source, first, buffer, out }));
        };
        if x.len() < PREPARE_ALONE {
            let bunches = blocks.chunks_mut(BUNCH * row_blocks);
            bunches.enumerate().for_each(|(i, out)| bunch(i * BUNCH, out));
            return;
        }
        let blocks = Parted::new(blocks);
        self.for_each(rows.div_ceil(BUNCH), &|i| {
            let first = i * BUNCH;
            // SAFETY: bunches do not overlap, and each is given out once.
            bunch(first, unsafe { blocks.part(first * row_blocks, BUNCH.min(rows - first) * row_blocks) });
        });
    }
}
