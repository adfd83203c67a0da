//! Matrix products: how the work is dealt out, and what becomes of the sums.
//!
//! Tiles are dealt out in *groups* of one or more whose sums are needed together: one tile of a plain
//! product; of a gated MLP the tiles of gate and up that make one block of the next activations. A
//! variant computes all sums of a group for some rows ([`Share`]) and hands them on while they are
//! in the first caches, so that nothing that could be done to them takes a walk through memory.

use std::ops::Range;

use crate::Compute;
use crate::acts::{ActBlock, Acts, Grid, Precision};
#[cfg(target_arch = "x86_64")]
use crate::arch::x86_64;
use crate::detect::Isa;
use crate::ops::{exp::SiluMul, lanes::run, prepare::ToBlocks};
use crate::pack::{BLOCK, Matrix, TILE};
use crate::scalar;
use crate::shared::Parted;

/// Matrices that may share one region.
const JOBS_MAX: usize = 8;

/// Tiles that make a block of activations.
const TILES: usize = BLOCK / TILE;

/// Sums of one tile for some rows of activations.
pub(crate) type Sums = [[f32; TILE]];

/// One product with activations, and what becomes of it.
#[derive(Debug)]
pub struct Product<'a> {
    /// The matrix.
    pub weights: Matrix<'a>,
    /// `[rows of activations, rows of the matrix]`
    pub out: &'a mut [f32],
    /// What is done with `out`.
    pub then: Then<'a>,
}

/// What becomes of a product.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Then<'a> {
    /// `out = product`
    Write,
    /// `out = product + bias`, which is as long as the matrix has rows.
    AddBias(&'a [f32]),
    /// `out += product`
    Add,
}

/// Takes the sums of some groups for some rows.
type Finish<'s> = dyn FnMut(Range<usize>, Range<usize>, &mut Sums) + 's;

/// Groups of tiles that one thread computes.
pub(crate) struct Share<'s, 'w> {
    groups: Range<usize>,
    /// Each gives every group as many tiles.
    matrices: &'s [Matrix<'w>],
    run: usize,
    finish: &'s mut Finish<'s>,
}

/// One tile of a matrix.
#[derive(Clone, Copy)]
pub(crate) struct Tile<'a> {
    pub(crate) weights: Matrix<'a>,
    pub(crate) index: usize,
}

impl<'a> Tile<'a> {
    pub(crate) fn bytes(self) -> &'a [u8] {
        self.weights.tile(self.index)
    }
}

impl<'s, 'w> Share<'s, 'w> {
    /// `run` tiles of each matrix are a group.
    pub(crate) fn new(
        groups: Range<usize>,
        matrices: &'s [Matrix<'w>],
        run: usize,
        finish: &'s mut Finish<'s>,
    ) -> Self {
        Self { groups, matrices, run, finish }
    }

    pub(crate) fn groups(&self) -> Range<usize> {
        self.groups.clone()
    }

    pub(crate) fn matrices(&self) -> &'s [Matrix<'w>] {
        self.matrices
    }

    /// Tiles of one matrix in a group, which go on in the next group.
    pub(crate) fn run(&self) -> usize {
        self.run
    }

    /// Tiles in a group.
    pub(crate) fn width(&self) -> usize {
        self.run * self.matrices.len()
    }

    /// Tile `i` of a group; `None` if there is none, and its sums are zero.
    pub(crate) fn tile(&self, group: usize, i: usize) -> Option<Tile<'w>> {
        let weights = self.matrices[i / self.run];
        let index = group * self.run + i % self.run;
        (index < weights.tiles()).then_some(Tile { weights, index })
    }

    /// Takes the finished sums of some groups for some rows: `[group][tile][row]`. The last rows must
    /// come first, since rests are the last.
    pub(crate) fn finish(&mut self, groups: Range<usize>, rows: Range<usize>, sums: &mut Sums) {
        debug_assert_eq!(sums.len(), groups.len() * rows.len() * self.width());
        (self.finish)(groups, rows, sums);
    }
}

impl Compute {
    /// Multiplies the same activations with each matrix: `out[m, rows] = x[m, cols] · Wᵀ`.
    ///
    /// # Panics
    /// As [`products`](Self::products).
    pub fn matmul(&self, jobs: &mut [(Matrix<'_>, &mut [f32])], x: &Acts) {
        let mut jobs = jobs.iter_mut();
        let products: &mut [Option<Product<'_>>; JOBS_MAX] = &mut std::array::from_fn(|_| {
            jobs.next().map(|(weights, out)| Product { weights: *weights, out, then: Then::Write })
        });
        assert!(jobs.next().is_none(), "more than {JOBS_MAX} matrices at once");
        self.run_products(products.iter_mut().flatten(), x);
    }

    /// Multiplies the same activations with each matrix.
    ///
    /// All share one region, so several small matrices keep every thread busy.
    ///
    /// # Panics
    /// If a matrix has not the columns of `x`, its output is not `x.rows() * rows` long, or its bias
    /// not `rows`; and if there are more than eight.
    pub fn products(&self, products: &mut [Product<'_>], x: &Acts) {
        self.run_products(products.iter_mut(), x);
    }

    fn run_products<'p, 'a: 'p>(&self, products: impl Iterator<Item = &'p mut Product<'a>>, x: &Acts) {
        let mut work: [Option<Rows<'_>>; JOBS_MAX] = [const { None }; JOBS_MAX];
        let mut tiles = 0;
        for (i, product) in products.enumerate() {
            assert!(i < JOBS_MAX, "more than {JOBS_MAX} matrices at once");
            let weights = product.weights;
            assert_eq!(weights.cols(), x.cols, "columns of the weights and of the activations");
            assert_eq!(product.out.len(), x.rows * weights.rows(), "{} outputs of {} rows", x.rows, weights.rows());
            if let Then::AddBias(bias) = product.then {
                assert_eq!(bias.len(), weights.rows(), "a bias for each row");
            }
            tiles += weights.tiles();
            work[i] = Some(Rows { weights, out: Parted::new(product.out), then: product.then });
        }
        self.deal(tiles, x, &|share| {
            let mut before = 0;
            for rows in work.iter().flatten() {
                let after = before + rows.weights.tiles();
                if share.start < after && before < share.end {
                    let groups = share.start.max(before) - before..share.end.min(after) - before;
                    self.compute(groups, &[rows.weights], 1, x, &mut |tiles, range, sums| {
                        let by_tile = sums.chunks_exact(range.len());
                        tiles.zip(by_tile).for_each(|(tile, sums)| rows.put(tile, range.clone(), sums));
                    });
                }
                before = after;
            }
        });
    }

    /// The inner half of a gated MLP, as the activations of what follows:
    /// `out = silu(x · Wgateᵀ) ∘ (x · Wupᵀ)`.
    ///
    /// # Panics
    /// If the matrices differ in shape or have not the columns of `x`.
    pub fn gated(&self, gate: Matrix<'_>, up: Matrix<'_>, x: &Acts, out: &mut Acts) {
        assert_eq!((gate.rows(), gate.cols()), (up.rows(), up.cols()), "rows and columns of gate and up");
        assert_eq!(gate.cols(), x.cols, "columns of the weights and of the activations");
        out.shape(x.rows, gate.rows(), x.precision, &x.split);
        let gated = Gated {
            isa: self.isa(),
            grid: out.grid(),
            cols: gate.rows(),
            split: &x.split,
            rests_at: x.rests_at(),
            to: match x.precision {
                Precision::Int8 => To::Blocks(Parted::new(&mut out.blocks)),
                Precision::F32 => To::Floats(Parted::new(&mut out.exact)),
            },
        };
        self.deal(gate.tiles().div_ceil(TILES), x, &|groups| {
            self.compute(groups, &[gate, up], TILES, x, &mut |groups, rows, sums| {
                let by_group = sums.chunks_exact_mut(2 * TILES * rows.len());
                groups.zip(by_group).for_each(|(group, sums)| gated.put(group, rows.clone(), sums));
            });
        });
    }

    /// Deals out `groups` over the threads.
    fn deal(&self, groups: usize, x: &Acts, work: &(dyn Fn(Range<usize>) + Sync)) {
        if x.rows == 0 {
            return;
        }
        let dealt = self.threads().get() * if x.rows <= 16 { 8 } else { 4 };
        let chunk = groups.div_ceil(dealt).max(1);
        self.for_each(groups.div_ceil(chunk), &|i| work(i * chunk..groups.min((i + 1) * chunk)));
    }

    /// Computes groups of tiles; `put` gets sums in which rows that entered in two parts are whole.
    fn compute(&self, groups: Range<usize>, matrices: &[Matrix<'_>], run: usize, x: &Acts, put: &mut Finish<'_>) {
        let mut rests = Rests::new(&groups, matrices.len() * run, x);
        let mut finish = |groups: Range<usize>, rows: Range<usize>, sums: &mut Sums| {
            if x.split.is_empty() {
                return put(groups, rows, sums);
            }
            let of_group = sums.len() / groups.len();
            for (group, sums) in groups.zip(sums.chunks_exact_mut(of_group)) {
                let (whole, sums) = rests.add(group, rows.clone(), sums);
                if !whole.is_empty() {
                    put(group..group + 1, whole, sums);
                }
            }
        };
        let share = Share::new(groups, matrices, run, &mut finish);
        match self.isa() {
            Isa::Scalar => scalar::matmul(share, x),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `new` saw that this CPU has what `isa` names.
            Isa::Avx2 => unsafe { x86_64::avx2::matmul(share, x) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Isa::Avx512Vnni => unsafe { x86_64::avx512vnni::matmul(share, x) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Isa::AvxVnni => unsafe { x86_64::avxvnni::matmul(share, x) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Isa::Amx => unsafe { x86_64::amx::matmul(share, x) },
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx2 | Isa::AvxVnni | Isa::Avx512Vnni | Isa::Amx => unreachable!("`new` saw that it is not available"),
        }
    }
}

/// Where a plain product goes.
struct Rows<'a> {
    weights: Matrix<'a>,
    out: Parted<'a, f32>,
    then: Then<'a>,
}

impl Rows<'_> {
    fn put(&self, tile: usize, rows: Range<usize>, sums: &Sums) {
        let (width, from) = (self.weights.rows(), tile * TILE);
        let len = TILE.min(width - from);
        // SAFETY: a tile is given to one thread, which holds one of these slices at a time.
        let out = |row: usize| unsafe { self.out.part(row * width + from, len) };
        // All but the last tile of a matrix are whole. They have loops of their own, in which a row has
        // a known length and is an instruction or two.
        match self.then {
            Then::Write if len == TILE => each(rows, sums, |row, sums| *whole(out(row)) = *sums),
            Then::Write => each(rows, sums, |row, sums| out(row).copy_from_slice(&sums[..len])),
            Then::AddBias(bias) => {
                let mut addend = [0.0; TILE];
                addend[..len].copy_from_slice(&bias[from..from + len]);
                each(rows, sums, |row, sums| {
                    out(row).iter_mut().zip(sums).zip(&addend).for_each(|((to, sum), bias)| *to = sum + bias);
                });
            }
            Then::Add if len == TILE => each(rows, sums, |row, sums| {
                whole(out(row)).iter_mut().zip(sums).for_each(|(to, sum)| *to += sum);
            }),
            Then::Add => each(rows, sums, |row, sums| out(row).iter_mut().zip(sums).for_each(|(to, sum)| *to += sum)),
        }
    }
}

#[inline(always)]
fn each(rows: Range<usize>, sums: &Sums, mut f: impl FnMut(usize, &[f32; TILE])) {
    for (row, sums) in rows.zip(sums) {
        f(row, sums);
    }
}

#[inline(always)]
fn whole(out: &mut [f32]) -> &mut [f32; TILE] {
    out.as_chunks_mut().0.first_mut().expect("the tile is whole")
}

/// Where the inner half of a gated MLP goes.
struct Gated<'a> {
    isa: Isa,
    grid: Grid,
    cols: usize,
    split: &'a [usize],
    rests_at: usize,
    to: To<'a>,
}

enum To<'a> {
    Blocks(Parted<'a, ActBlock>),
    Floats(Parted<'a, f32>),
}

impl Gated<'_> {
    fn put(&self, group: usize, rows: Range<usize>, sums: &mut Sums) {
        let (gate, up) = sums.split_at_mut(TILES * rows.len());
        run(self.isa, SiluMul { gate: gate.as_flattened_mut(), up: up.as_flattened() });
        match &self.to {
            To::Blocks(to) => {
                let Self { grid, split, rests_at, .. } = *self;
                run(self.isa, ToBlocks { tiles: gate, rows, block: group, grid, split, rests_at, to });
            }
            To::Floats(to) => {
                let from = group * BLOCK;
                for (i, tile) in gate.chunks_exact(rows.len()).enumerate() {
                    let from = from + i * TILE;
                    let len = TILE.min(self.cols.saturating_sub(from));
                    for (row, values) in rows.clone().zip(tile) {
                        // SAFETY: a group is given to one thread, which holds one of these slices at a time.
                        let to = unsafe { to.part(row * self.cols + from.min(self.cols), len) };
                        to.copy_from_slice(&values[..len]);
                    }
                }
            }
        }
    }
}

/// Sums of rests, kept until their rows come.
struct Rests<'a> {
    x: &'a Acts,
    first_group: usize,
    /// `[group][tile][rest]`
    kept: Vec<[f32; TILE]>,
    /// Of one group.
    len: usize,
}

impl<'a> Rests<'a> {
    fn new(groups: &Range<usize>, width: usize, x: &'a Acts) -> Self {
        let len = width * x.split.len();
        Self { x, first_group: groups.start, kept: vec![[0.0; TILE]; len * groups.len()], len }
    }

    /// Keeps what is of rests, and adds what was kept to the rows that it belongs to; returns those
    /// rows that are none and their sums.
    fn add<'s>(&mut self, group: usize, rows: Range<usize>, sums: &'s mut Sums) -> (Range<usize>, &'s mut Sums) {
        let (split, at) = (&self.x.split, self.x.rests_at());
        let whole = rows.start..rows.end.min(self.x.rows).max(rows.start);
        let kept = &mut self.kept[(group - self.first_group) * self.len..][..self.len];
        for (sums, kept) in sums.chunks_exact_mut(rows.len()).zip(kept.chunks_exact_mut(split.len())) {
            for row in rows.start.max(at)..rows.end {
                kept[row - at] = sums[row - rows.start];
            }
            for (&row, kept) in split.iter().zip(kept).filter(|(row, _)| whole.contains(row)) {
                sums[row - rows.start].iter_mut().zip(kept).for_each(|(sum, rest)| *sum += *rest);
            }
        }
        let tiles = sums.len() / rows.len();
        for tile in 1..tiles {
            sums.copy_within(tile * rows.len()..tile * rows.len() + whole.len(), tile * whole.len());
        }
        let len = whole.len() * tiles;
        (whole, &mut sums[..len])
    }
}
