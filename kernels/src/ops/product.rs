//! A small matrix product in registers: what attention is made of.

use super::lanes::{Lanes, Op, WIDTH};

/// Elements of the right-hand matrix.
pub(crate) trait Element: Copy {
    /// Sixteen of them from `at`.
    ///
    /// # Safety
    /// Sixteen elements are readable at `at`.
    unsafe fn load<V: Lanes>(v: V, at: *const Self) -> V::F;
}

impl Element for f32 {
    #[inline(always)]
    unsafe fn load<V: Lanes>(v: V, at: *const f32) -> V::F {
        // SAFETY: the caller's promise.
        v.load(unsafe { &*at.cast() })
    }
}

/// A half, by its bits.
impl Element for u16 {
    #[inline(always)]
    unsafe fn load<V: Lanes>(v: V, at: *const u16) -> V::F {
        // SAFETY: the caller's promise.
        v.load_f16(unsafe { &*at.cast() })
    }
}

/// c = a · b, or c += a · b: each element of `c` is one chain of `mul_add` in ascending k.
///
/// # Shapes
/// `a` is `[m, k]` in rows of `a_stride`; `b` is `[k, n]`; `c` is `[m, n]`, and `n` a multiple
/// of sixteen.
pub(crate) struct Product<'a, B> {
    pub(crate) a: &'a [f32],
    pub(crate) a_stride: usize,
    pub(crate) b: &'a [B],
    pub(crate) c: &'a mut [f32],
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
    pub(crate) add: bool,
    /// What will be the next `b`: it is fetched on the way.
    pub(crate) next: &'a [B],
}

impl<B: Element> Op for Product<'_, B> {
    type Out = ();
    #[inline(always)]
    fn run<V: Lanes>(self, v: V) {
        let Product { m, n, k, .. } = self;
        if m == 0 {
            return;
        }
        assert!(n.is_multiple_of(WIDTH), "{n} columns are no whole vectors");
        assert!(k <= self.a_stride && (m - 1) * self.a_stride + k <= self.a.len(), "a: [{m}, {k}]");
        assert!(k * n <= self.b.len(), "b: [{k}, {n}]");
        assert!(m * n <= self.c.len(), "c: [{m}, {n}]");
        assert!(k * n <= self.next.len(), "next b: [{k}, {n}]");
        let tiles = m.div_ceil(V::TILE_ROWS);
        let wide = V::TILE_VECTORS * WIDTH;
        let mut row = 0;
        for left in (1..=tiles).rev() {
            let rows = (m - row).div_ceil(left);
            let tile = Tile {
                a: self.a[row * self.a_stride..].as_ptr(),
                a_stride: self.a_stride,
                b: self.b.as_ptr(),
                c: self.c[row * n..].as_mut_ptr(),
                n,
                k,
                add: self.add,
                next: self.next.as_ptr(),
            };
            let mut col = 0;
            // SAFETY: the asserts above: rows row..row + rows and columns up to n exist.
            unsafe {
                while col + wide <= n {
                    tile.rows(v, rows, col, V::TILE_VECTORS);
                    col += wide;
                }
                while col < n {
                    tile.rows(v, rows, col, 1);
                    col += WIDTH;
                }
            }
            row += rows;
        }
    }
}

struct Tile<B> {
    a: *const f32,
    a_stride: usize,
    b: *const B,
    c: *mut f32,
    n: usize,
    k: usize,
    add: bool,
    next: *const B,
}

impl<B: Element> Tile<B> {
    /// # Safety
    /// `rows` (1 to 8) rows of `a` and `c` and `vectors` (1 or 2) vectors from `col` exist.
    #[inline(always)]
    unsafe fn rows<V: Lanes>(&self, v: V, rows: usize, col: usize, vectors: usize) {
        // SAFETY: the caller's promise, with the numbers made constants.
        unsafe {
            if vectors == 2 && V::TILE_VECTORS == 2 {
                self.sized::<V, 2>(v, rows, col);
            } else {
                self.sized::<V, 1>(v, rows, col);
            }
        }
    }

    /// # Safety
    /// As `rows`, with `C` vectors.
    #[inline(always)]
    unsafe fn sized<V: Lanes, const C: usize>(&self, v: V, rows: usize, col: usize) {
        // SAFETY: the caller's promise, with the numbers made constants.
        unsafe {
            match rows {
                1 => self.compute::<V, 1, C>(v, col),
                2 => self.compute::<V, 2, C>(v, col),
                3 => self.compute::<V, 3, C>(v, col),
                4 => self.compute::<V, 4, C>(v, col),
                5 if V::TILE_ROWS >= 5 => self.compute::<V, 5, C>(v, col),
                6 if V::TILE_ROWS >= 6 => self.compute::<V, 6, C>(v, col),
                7 if V::TILE_ROWS >= 7 => self.compute::<V, 7, C>(v, col),
                8 if V::TILE_ROWS >= 8 => self.compute::<V, 8, C>(v, col),
                _ => unreachable!("tiles have 1 to {} rows", V::TILE_ROWS),
            }
        }
    }

    /// # Safety
    /// As `rows`, with `R` rows and `C` vectors.
    #[inline(always)]
    unsafe fn compute<V: Lanes, const R: usize, const C: usize>(&self, v: V, col: usize) {
        let mut sums = [[v.splat(0.0); C]; R];
        // SAFETY: the caller's promise: every index is below [R or k, n].
        unsafe {
            if self.add {
                for (r, sums) in sums.iter_mut().enumerate() {
                    for (c, sum) in sums.iter_mut().enumerate() {
                        *sum = v.load(&*self.c.add(r * self.n + col + c * WIDTH).cast());
                    }
                }
            }
            for k in 0..self.k {
                v.prefetch(self.next.add(k * self.n + col));
                let mut b = [v.splat(0.0); C];
                for (c, b) in b.iter_mut().enumerate() {
                    *b = B::load(v, self.b.add(k * self.n + col + c * WIDTH));
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let a = v.splat(*self.a.add(r * self.a_stride + k));
                    for (sum, b) in sums.iter_mut().zip(b) {
                        *sum = v.mul_add(a, b, *sum);
                    }
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                for (c, sum) in sums.iter().enumerate() {
                    v.store(*sum, &mut *self.c.add(r * self.n + col + c * WIDTH).cast());
                }
            }
        }
    }
}
