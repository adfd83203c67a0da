//! Grouped-query attention over the pages of a [`KvStore`].
//!
//! One row's result is a function of its own query and pages. Positions are taken in spans of
//! [`SPAN_PAGES`] pages; inside a span page by page with a running maximum (online softmax);
//! spans are then merged in ascending order. That order is the same whether rows come alone or
//! in a block and whether spans are computed one after the other or by several threads.

use std::ops::Range;

use super::exp::exp;
use super::lanes::{Lanes, Op, WIDTH, run};
use super::product::{Element, Product};
use crate::Compute;
use crate::aligned::lend_floats;
use crate::kv::{KvStore, PAGE_TOKENS};
use crate::shared::Parted;

/// Pages after which a fresh running maximum begins, so that a long context can be shared out.
const SPAN_PAGES: usize = 8;

/// Query rows times heads that share what was loaded of one page.
const BLOCK: usize = 64;

/// One query row: it attends positions 0 to `len` of its sequence.
#[derive(Clone, Copy, Debug)]
pub struct AttendRow<'a> {
    /// The sequence's pages in the order of positions; at least `len` / 32 of them, rounded up.
    pub pages: &'a [u32],
    /// Positions attended, the row's own included; at least one.
    pub len: u32,
}

impl<'a> AttendRow<'a> {
    fn len(&self) -> usize {
        self.len as usize
    }

    fn used(&self) -> &'a [u32] {
        &self.pages[..self.len().div_ceil(PAGE_TOKENS)]
    }
}

/// What one call is about.
#[derive(Clone, Copy)]
struct Call<'a> {
    kv: &'a KvStore,
    layer: usize,
    q: &'a [f32],
    rows: &'a [AttendRow<'a>],
    n_heads: usize,
    group: usize,
    dim: usize,
}

/// Consecutive rows of one sequence and one key head.
#[derive(Clone, Copy)]
struct Part<'a> {
    call: Call<'a>,
    first: usize,
    count: usize,
    head: usize,
}

impl Compute {
    /// Attention of each row over its sequence's positions, scaled by 1 / √head_dim.
    ///
    /// # Shapes
    /// `q` and `out` are `[rows, n_heads, head_dim]`; `n_heads` is a multiple of the store's
    /// heads, and query head h reads key head h / (n_heads / kv_heads). Rows of one sequence
    /// are fastest next to each other in ascending order.
    ///
    /// # Panics
    /// If a shape does not fit or a page was never written.
    pub fn attend(
        &self,
        kv: &KvStore,
        layer: usize,
        q: &[f32],
        n_heads: usize,
        rows: &[AttendRow<'_>],
        out: &mut [f32],
    ) {
        let (kv_heads, dim) = (kv.kv_heads(), kv.head_dim());
        assert!(layer < kv.layers(), "layer {layer} of a store with {}", kv.layers());
        assert!(n_heads > 0 && n_heads.is_multiple_of(kv_heads), "{n_heads} query heads over {kv_heads} key heads");
        assert_eq!(q.len(), rows.len() * n_heads * dim, "queries: rows × heads × head_dim");
        assert_eq!(out.len(), q.len(), "as many results as queries");
        for row in rows {
            assert!(row.len > 0, "a row attends at least itself");
            assert!(row.len() <= row.pages.len() * PAGE_TOKENS, "{} positions in {} pages", row.len, row.pages.len());
        }
        if rows.is_empty() {
            return;
        }
        let call = Call { kv, layer, q, rows, n_heads, group: n_heads / kv_heads, dim };
        let blocks = blocks(rows, call.group);
        let parts: Vec<Part<'_>> = blocks
            .iter()
            .flat_map(|b| (0..kv_heads).map(|head| Part { call, first: b.start, count: b.len(), head }))
            .collect();
        let out = Parted::new(out);
        let isa = self.isa();
        // The last rows have the most to read; they come first, so that none is left at the end.
        let spans: Vec<(usize, usize)> =
            parts.iter().enumerate().rev().flat_map(|(i, p)| (0..p.spans()).map(move |s| (i, s))).collect();
        if parts.len() >= 4 * self.threads().get() || spans.len() == parts.len() {
            self.for_each(parts.len(), &|i| {
                let part = parts[parts.len() - 1 - i];
                lend_floats(part.work_floats() + part.partial_floats(), |floats| {
                    let (work, partial) = floats.split_at_mut(part.work_floats());
                    let mut total = Total::new(part);
                    for span in 0..part.spans() {
                        run(isa, Span { part, span, work, partial });
                        total.add(isa, partial, span);
                    }
                    total.finish(&out);
                });
            });
        } else {
            let stride = parts.iter().map(Part::partial_floats).max().unwrap_or(0);
            let mut partials = vec![0.0; stride * spans.len()];
            let shared = Parted::new(&mut partials);
            self.for_each(spans.len(), &|i| {
                let (part, span) = (parts[spans[i].0], spans[i].1);
                // SAFETY: chunk i of the region is this call's alone.
                let partial = unsafe { shared.part(i * stride, part.partial_floats()) };
                lend_floats(part.work_floats(), |work| run(isa, Span { part, span, work, partial }));
            });
            for (i, part) in parts.iter().enumerate() {
                let mut total = Total::new(*part);
                for (at, &(_, span)) in spans.iter().enumerate().filter(|(_, s)| s.0 == i) {
                    total.add(isa, &partials[at * stride..][..part.partial_floats()], span);
                }
                total.finish(&out);
            }
        }
    }
}

/// Runs of consecutive rows that read the same pages, each row at least as far as the one before.
fn blocks(rows: &[AttendRow<'_>], group: usize) -> Vec<Range<usize>> {
    let rows_max = (BLOCK / group).max(1);
    let mut blocks: Vec<Range<usize>> = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        if let Some(block) = blocks.last_mut() {
            let before = rows[i - 1];
            let same = || std::ptr::eq(before.pages, row.pages) || row.used().starts_with(before.used());
            if block.len() < rows_max && before.len <= row.len && same() {
                block.end = i + 1;
                continue;
            }
        }
        blocks.push(i..i + 1);
    }
    blocks
}

impl<'a> Part<'a> {
    fn rows(&self) -> &'a [AttendRow<'a>] {
        &self.call.rows[self.first..self.first + self.count]
    }

    /// Rows times heads.
    fn queries(&self) -> usize {
        self.count * self.call.group
    }

    fn longest(&self) -> AttendRow<'a> {
        self.rows()[self.count - 1]
    }

    fn spans(&self) -> usize {
        self.longest().len().div_ceil(SPAN_PAGES * PAGE_TOKENS)
    }

    /// The first row that reads beyond position `start`.
    fn first_beyond(&self, start: usize) -> usize {
        self.rows().partition_point(|row| row.len() <= start)
    }

    /// Queries, scores, lane sums, and a page of keys and values as `f32`.
    fn work_floats(&self) -> usize {
        self.queries() * (self.call.dim + PAGE_TOKENS + WIDTH) + 2 * PAGE_TOKENS * self.call.dim
    }

    /// Outputs, and one vector that holds maximum and sum, for each query.
    fn partial_floats(&self) -> usize {
        self.queries() * (self.call.dim + WIDTH)
    }

    /// Where the heads of row `row` of this part begin in `q` and `out`.
    fn offset(&self, row: usize) -> usize {
        ((self.first + row) * self.call.n_heads + self.head * self.call.group) * self.call.dim
    }
}

/// Attention over one span, not yet divided by its sum: outputs `[queries, dim]`, then for each
/// query a vector of which the first lane is the maximum and the second the sum.
struct Span<'a, 'w> {
    part: Part<'a>,
    span: usize,
    work: &'w mut [f32],
    partial: &'w mut [f32],
}

impl Op for Span<'_, '_> {
    type Out = ();
    #[inline(always)]
    fn run<V: Lanes>(self, v: V) {
        let Span { part, span, work, partial } = self;
        let Call { kv, layer, dim, group, .. } = part.call;
        let queries = part.queries();
        let (q, work) = work.split_at_mut(queries * dim);
        let (scores, work) = work.split_at_mut(queries * PAGE_TOKENS);
        let (sums, work) = work.split_at_mut(queries * WIDTH);
        let (wide_keys, work) = work.split_at_mut(PAGE_TOKENS * dim);
        let wide_values = &mut work[..PAGE_TOKENS * dim];
        let (out, stats) = partial.split_at_mut(queries * dim);
        scaled_queries(v, &part, q);
        out.fill(0.0);
        sums.fill(0.0);
        stats.fill(f32::NEG_INFINITY);

        let longest = part.longest().used();
        let pages = span * SPAN_PAGES..longest.len().min((span + 1) * SPAN_PAGES);
        for page in pages {
            let start = page * PAGE_TOKENS;
            let first_row = part.first_beyond(start);
            let first = first_row * group;
            let m = queries - first;
            let at = Page { start, first_row, group, rows: part.rows() };
            let (q, scores) = (&q[first * dim..], &mut scores[first * PAGE_TOKENS..]);
            let (out, sums) = (&mut out[first * dim..], &mut sums[first * WIDTH..]);
            let stats = &mut stats[first * WIDTH..];
            if kv.is_exact() {
                let exact = kv.head_exact(layer, longest[page], part.head);
                at.attend(v, m, dim, q, exact, exact, scores, sums, stats, out);
                continue;
            }
            let (keys, values) = kv.head(layer, longest[page], part.head);
            let next = kv.head(layer, *longest.get(page + 1).unwrap_or(&longest[page]), part.head);
            if m > V::TILE_ROWS {
                // Several tiles will read the page: convert it once.
                widen(v, keys, next.0, wide_keys);
                widen(v, values, next.1, wide_values);
                let wide: Halves<'_, f32> = (wide_keys, wide_values);
                at.attend(v, m, dim, q, wide, wide, scores, sums, stats, out);
            } else {
                at.attend(v, m, dim, q, (keys, values), next, scores, sums, stats, out);
            }
        }
        for (stats, sums) in stats.as_chunks_mut::<WIDTH>().0.iter_mut().zip(sums.as_chunks::<WIDTH>().0) {
            stats[1] = v.sum(v.load(sums));
        }
    }
}

#[inline(always)]
fn scaled_queries<V: Lanes>(v: V, part: &Part<'_>, q: &mut [f32]) {
    let Call { dim, group, .. } = part.call;
    let scale = v.splat(1.0 / (dim as f32).sqrt());
    for (row, to) in q.chunks_exact_mut(group * dim).enumerate() {
        let from = &part.call.q[part.offset(row)..][..group * dim];
        for (to, x) in to.as_chunks_mut::<WIDTH>().0.iter_mut().zip(from.as_chunks::<WIDTH>().0) {
            v.store(v.mul(v.load(x), scale), to);
        }
    }
}

#[inline(always)]
fn widen<V: Lanes>(v: V, from: &[u16], next: &[u16], to: &mut [f32]) {
    let next = next.as_chunks::<WIDTH>().0;
    for ((to, x), next) in to.as_chunks_mut::<WIDTH>().0.iter_mut().zip(from.as_chunks::<WIDTH>().0).zip(next) {
        v.prefetch(next);
        v.store(v.load_f16(x), to);
    }
}

/// Keys and values of one head in one page.
type Halves<'a, B> = (&'a [B], &'a [B]);

/// One page as the active rows of a part see it.
struct Page<'a> {
    start: usize,
    first_row: usize,
    group: usize,
    rows: &'a [AttendRow<'a>],
}

impl Page<'_> {
    /// Positions of this page that `row` attends.
    #[inline(always)]
    fn valid(&self, row: usize) -> usize {
        (self.rows[row].len() - self.start).min(PAGE_TOKENS)
    }

    #[expect(clippy::too_many_arguments, reason = "buffers carved from one region; a struct would name them twice")]
    #[inline(always)]
    fn attend<V: Lanes, B: Element>(
        &self,
        v: V,
        m: usize,
        dim: usize,
        q: &[f32],
        (keys, values): Halves<'_, B>,
        next: Halves<'_, B>,
        scores: &mut [f32],
        sums: &mut [f32],
        stats: &mut [f32],
        out: &mut [f32],
    ) {
        v.call(Product {
            a: q,
            a_stride: dim,
            b: keys,
            c: scores,
            m,
            n: PAGE_TOKENS,
            k: dim,
            add: false,
            next: next.0,
        });
        for i in 0..m {
            let valid = self.valid(self.first_row + i / self.group);
            let scores = &mut scores[i * PAGE_TOKENS..][..PAGE_TOKENS];
            // What lies beyond may be another sequence's leavings, NaN included.
            scores[valid..].fill(f32::NEG_INFINITY);
            let [low, high] = scores.as_chunks_mut::<WIDTH>().0 else { unreachable!("a page is two vectors") };
            let (a, b) = (v.load(low), v.load(high));
            let stats = &mut stats[i * WIDTH];
            let before = *stats;
            let largest = v.largest(v.max(a, b));
            let max = if before > largest { before } else { largest };
            *stats = max;
            let shift = v.splat(max);
            let (a, b) = (exp(v, v.sub(a, shift)), exp(v, v.sub(b, shift)));
            v.store(a, low);
            v.store(b, high);
            let sums = &mut sums.as_chunks_mut::<WIDTH>().0[i];
            if max == before {
                v.store(v.add(v.load(sums), v.add(a, b)), sums);
                continue;
            }
            let shrink = exp(v, v.sub(v.splat(before), shift));
            v.store(v.mul_add(v.load(sums), shrink, v.add(a, b)), sums);
            for out in out[i * dim..][..dim].as_chunks_mut::<WIDTH>().0 {
                v.store(v.mul(v.load(out), shrink), out);
            }
        }
        let (least, most) = (self.valid(self.first_row), self.valid(self.rows.len() - 1));
        if least == most {
            v.call(weighed(scores, (values, next.1), out, m, dim, most));
        } else {
            for row in 0..m / self.group {
                let first = row * self.group;
                let k = self.valid(self.first_row + row);
                let (scores, out) = (&scores[first * PAGE_TOKENS..], &mut out[first * dim..]);
                v.call(weighed(scores, (values, next.1), out, self.group, dim, k));
            }
        }
    }
}

/// out += weights · values over the first `k` positions.
#[inline(always)]
fn weighed<'a, B>(
    a: &'a [f32],
    (b, next): Halves<'a, B>,
    c: &'a mut [f32],
    m: usize,
    n: usize,
    k: usize,
) -> Product<'a, B> {
    Product { a, a_stride: PAGE_TOKENS, b, c, m, n, k, add: true, next }
}

/// The merged spans of one part.
struct Total<'a> {
    part: Part<'a>,
    out: Vec<f32>,
    max: Vec<f32>,
    sum: Vec<f32>,
}

impl<'a> Total<'a> {
    fn new(part: Part<'a>) -> Total<'a> {
        let queries = part.queries();
        Total {
            part,
            out: vec![0.0; queries * part.call.dim],
            max: vec![f32::NEG_INFINITY; queries],
            sum: vec![0.0; queries],
        }
    }

    fn add(&mut self, isa: crate::Isa, partial: &[f32], span: usize) {
        run(isa, Merge { total: self, partial, span });
    }

    fn finish(self, to: &Parted<'_, f32>) {
        let Call { dim, group, .. } = self.part.call;
        for (i, (from, sum)) in self.out.chunks_exact(dim).zip(self.sum).enumerate() {
            let at = self.part.offset(i / group) + i % group * dim;
            // SAFETY: each query's place in the output belongs to one part.
            let to = unsafe { to.part(at, dim) };
            let scale = 1.0 / sum;
            for (to, x) in to.iter_mut().zip(from) {
                *to = x * scale;
            }
        }
    }
}

struct Merge<'a, 'b> {
    total: &'a mut Total<'b>,
    partial: &'a [f32],
    span: usize,
}

impl Op for Merge<'_, '_> {
    type Out = ();
    #[inline(always)]
    fn run<V: Lanes>(self, v: V) {
        let Total { part, out, max, sum } = self.total;
        let dim = part.call.dim;
        let (partial, stats) = self.partial.split_at(part.queries() * dim);
        // Rows that end before this span have nothing in it.
        let first = part.first_beyond(self.span * SPAN_PAGES * PAGE_TOKENS) * part.call.group;
        for i in first..part.queries() {
            let (span_max, span_sum) = (stats[i * WIDTH], stats[i * WIDTH + 1]);
            let new = if max[i] > span_max { max[i] } else { span_max };
            let old_scale = exp(v, v.splat(max[i] - new));
            let span_scale = exp(v, v.splat(span_max - new));
            (max[i], sum[i]) =
                (new, v.largest(v.mul_add(v.splat(span_sum), span_scale, v.mul(v.splat(sum[i]), old_scale))));
            let to = out[i * dim..][..dim].as_chunks_mut::<WIDTH>().0;
            for (to, x) in to.iter_mut().zip(partial[i * dim..][..dim].as_chunks::<WIDTH>().0) {
                v.store(v.mul_add(v.load(x), span_scale, v.mul(v.load(to), old_scale)), to);
            }
        }
    }
}
