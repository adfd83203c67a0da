//! The one value that computes: an instruction set and a pool of threads.

use std::num::NonZeroUsize;
use std::ops::Range;

use crate::acts::{ActBlock, Acts, BUNCH, Precision, quantize_bunch};
#[cfg(target_arch = "x86_64")]
use crate::arch::x86_64;
use crate::detect::Isa;
use crate::layout::Layout;
use crate::pack::{Matrix, TILE, pack_tiles, packed_len, tile_bytes};
use crate::scalar;
use crate::shared::Parted;
use crate::threads::Pool;

/// Values below which a region of their own is not worth the wake-up.
const QUANTIZE_ALONE: usize = if cfg!(miri) { 512 } else { 16 * 1024 };

/// Matrices that may share one region.
const JOBS_MAX: usize = 8;

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
        assert!(cols > 0 && x.len().is_multiple_of(cols), "{} values in rows of {cols}", x.len());
        out.rows = x.len() / cols;
        out.cols = cols;
        out.precision = precision;
        if precision == Precision::F32 {
            out.exact.clear();
            out.exact.extend_from_slice(x);
            return;
        }
        let row_blocks = out.row_blocks();
        let len = out.rows * row_blocks;
        if out.blocks.len() < len {
            out.blocks.resize(len, ActBlock::ZERO);
        }
        let bunch_len = BUNCH * row_blocks;
        let quantize = self.quantize_bunch();
        if x.len() < QUANTIZE_ALONE {
            let bunches = out.blocks[..len].chunks_mut(bunch_len);
            x.chunks(BUNCH * cols).zip(bunches).for_each(|(x, to)| quantize(x, cols, to));
            return;
        }
        let blocks = Parted::new(&mut out.blocks[..len]);
        self.for_each(out.rows.div_ceil(BUNCH), &|i| {
            let x = &x[i * BUNCH * cols..];
            let x = &x[..x.len().min(BUNCH * cols)];
            // SAFETY: bunches do not overlap, and each is given out once.
            let to = unsafe { blocks.part(i * bunch_len, x.len() / cols * row_blocks) };
            quantize(x, cols, to);
        });
    }

    fn quantize_bunch(&self) -> fn(&[f32], usize, &mut [ActBlock]) {
        match self.isa {
            Isa::Scalar => quantize_bunch,
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `new` saw that this CPU has what `isa` names.
            Isa::Avx2 => |x, cols, out| unsafe { x86_64::avx2::quantize_bunch(x, cols, out) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Isa::Avx512Vnni => |x, cols, out| unsafe { x86_64::avx512vnni::quantize_bunch(x, cols, out) },
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx2 | Isa::Avx512Vnni => unreachable!("`new` saw that it is not available"),
        }
    }

    /// Multiplies the same activations with each matrix: `out[m, rows] = x[m, cols] · Wᵀ`.
    ///
    /// All jobs share one region, so several small matrices keep every thread busy.
    ///
    /// # Panics
    /// If a matrix has not the columns of `x`, or its output is not `x.rows() * rows` long.
    pub fn matmul(&self, jobs: &mut [(Matrix<'_>, &mut [f32])], x: &Acts) {
        assert!(jobs.len() <= JOBS_MAX, "{} matrices at once", jobs.len());
        let mut work: [Option<(Matrix<'_>, Output<'_>)>; JOBS_MAX] = [const { None }; JOBS_MAX];
        let mut tiles = 0;
        for (slot, (weights, out)) in work.iter_mut().zip(jobs) {
            let (rows, cols) = (weights.rows(), weights.cols());
            assert_eq!(cols, x.cols, "columns of the weights and of the activations");
            assert_eq!(out.len(), x.rows * rows, "{} outputs of {rows} rows", x.rows);
            tiles += weights.tiles();
            *slot = Some((*weights, Output::new(rows, Parted::new(out))));
        }
        if x.rows == 0 {
            return;
        }
        let dealt = self.threads().get() * if x.rows <= 16 { 16 } else { 4 };
        let chunk = tiles.div_ceil(dealt).max(1);
        self.for_each(tiles.div_ceil(chunk), &|i| {
            let (from, to) = (i * chunk, tiles.min((i + 1) * chunk));
            let mut before = 0;
            for (weights, out) in work.iter().flatten() {
                let after = before + weights.tiles();
                if from < after && before < to {
                    let mine = from.max(before) - before..to.min(after) - before;
                    self.matmul_tiles(weights, x, mine, out);
                }
                before = after;
            }
        });
    }

    fn matmul_tiles(&self, weights: &Matrix<'_>, x: &Acts, tiles: Range<usize>, out: &Output<'_>) {
        match self.isa {
            Isa::Scalar => scalar::matmul_tiles(weights, x, tiles, out),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `new` saw that this CPU has what `isa` names.
            Isa::Avx2 => unsafe { x86_64::avx2::matmul_tiles(weights, x, tiles, out) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Isa::Avx512Vnni => unsafe { x86_64::avx512vnni::matmul_tiles(weights, x, tiles, out) },
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx2 | Isa::Avx512Vnni => unreachable!("`new` saw that it is not available"),
        }
    }
}

/// Where the tiles of one product go: `[columns of activations, rows of weights]`.
pub(crate) struct Output<'a> {
    rows: usize,
    to: Parted<'a, f32>,
}

impl<'a> Output<'a> {
    pub(crate) fn new(rows: usize, to: Parted<'a, f32>) -> Self {
        Self { rows, to }
    }

    /// The outputs of one tile for one row of activations; 16 except in a matrix's last tile.
    ///
    /// # Safety
    /// Only one thread at a time may hold outputs of this tile, and only one slice of them.
    #[expect(clippy::mut_from_ref, reason = "the caller promises to hold only one")]
    pub(crate) unsafe fn tile(&self, tile: usize, x_row: usize) -> &mut [f32] {
        let from = tile * TILE;
        // SAFETY: different tiles and rows do not overlap; the caller sees to the rest.
        unsafe { self.to.part(x_row * self.rows + from, TILE.min(self.rows - from)) }
    }
}
