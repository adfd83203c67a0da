//! Exact search over vectors that lie one behind the other.

use std::{cmp::Reverse, collections::BinaryHeap};

/// Sums that are added up side by side, so that the compiler makes vector instructions of them.
const LANES: usize = 16;

/// Vectors of one length, each divided by its own length.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flat {
    dimensions: usize,
    numbers: Vec<f32>,
}

/// A row and how near it is. The nearer is greater; of two that are as near, the later.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Near {
    pub(crate) row: usize,
    pub(crate) score: f32,
}

impl Eq for Near {}

impl Ord for Near {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.score.total_cmp(&other.score).then(self.row.cmp(&other.row))
    }
}

impl PartialOrd for Near {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Flat {
    pub(crate) fn dimensions(&self) -> Option<usize> {
        (self.dimensions > 0).then_some(self.dimensions)
    }

    #[cfg(any(test, feature = "memory"))]
    pub(crate) fn bytes(&self) -> usize {
        self.numbers.len() * size_of::<f32>()
    }

    /// Adds a row.
    ///
    /// # Panics
    /// If it has another length than those before it.
    pub(crate) fn push(&mut self, vector: &[f32]) {
        if self.dimensions == 0 {
            self.dimensions = vector.len();
        }
        assert_eq!(vector.len(), self.dimensions, "vectors of one space have one length");
        let begin = self.numbers.len();
        self.numbers.extend_from_slice(vector);
        normalise(&mut self.numbers[begin..]);
    }

    /// Takes rows out; those behind move up.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(usize) -> bool) {
        if self.dimensions == 0 {
            return;
        }
        let (rows, n) = (self.numbers.len() / self.dimensions, self.dimensions);
        let mut kept = 0;
        for row in 0..rows {
            if keep(row) {
                self.numbers.copy_within(row * n..(row + 1) * n, kept * n);
                kept += 1;
            }
        }
        self.numbers.truncate(kept * n);
        if kept == 0 {
            self.dimensions = 0;
        }
    }

    /// The `most` rows nearest to `query` among those that are wanted, nearest first; none if it has another length.
    pub(crate) fn search(&self, query: &[f32], most: usize, wanted: impl Fn(usize) -> bool) -> Vec<Near> {
        if query.len() != self.dimensions || self.dimensions == 0 || most == 0 {
            return Vec::new();
        }
        let mut query = query.to_vec();
        normalise(&mut query);
        let mut best: BinaryHeap<Reverse<Near>> = BinaryHeap::with_capacity(most.min(1 << 16) + 1);
        for (row, vector) in self.numbers.chunks_exact(self.dimensions).enumerate() {
            if !wanted(row) {
                continue;
            }
            let near = Near { row, score: dot(&query, vector) };
            if best.len() < most {
                best.push(Reverse(near));
            } else if best.peek().is_some_and(|least| near > least.0) {
                best.pop();
                best.push(Reverse(near));
            }
        }
        best.into_sorted_vec().into_iter().map(|near| near.0).collect()
    }
}

fn normalise(vector: &mut [f32]) {
    // Squares of large numbers would not be finite, and those of small ones nothing.
    let largest = vector.iter().fold(0.0_f32, |largest, number| largest.max(number.abs()));
    if largest == 0.0 {
        return;
    }
    vector.iter_mut().for_each(|number| *number /= largest);
    let length = dot(vector, vector).sqrt();
    vector.iter_mut().for_each(|number| *number /= length);
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a.zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random and are the same every time.
    fn vector(seed: u64, dimensions: usize) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
        };
        (0..dimensions).map(|_| next()).collect()
    }

    #[test]
    fn what_is_found_is_what_sorting_everything_finds() {
        for (dimensions, rows, most) in [(1, 5, 3), (7, 100, 10), (16, 50, 50), (33, 200, 1), (64, 10, 99)] {
            let mut flat = Flat::default();
            let vectors: Vec<Vec<f32>> = (0..rows).map(|row| vector(row, dimensions)).collect();
            vectors.iter().for_each(|vector| flat.push(vector));
            let query = vector(9_999, dimensions);
            let cosine = |other: &[f32]| {
                let dot =
                    |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum() };
                dot(&query, other) / (dot(&query, &query) * dot(other, other)).sqrt()
            };
            let mut all: Vec<f64> = vectors.iter().map(|vector| cosine(vector)).collect();
            let found = flat.search(&query, most, |_| true);
            assert_eq!(found.len(), most.min(rows as usize));
            for near in &found {
                assert!((f64::from(near.score) - all[near.row]).abs() < 1e-5, "{dimensions}: row {}", near.row);
            }
            all.sort_by(|a, b| b.total_cmp(a));
            for (near, want) in found.iter().zip(all) {
                assert!((f64::from(near.score) - want).abs() < 1e-5, "{dimensions} x {rows}");
            }
        }
    }

    #[test]
    fn extreme_vectors_have_finite_scores() {
        let mut flat = Flat::default();
        for vector in [[0.0; 3], [f32::MAX; 3], [f32::MIN_POSITIVE / 4.0; 3], [-1e-30, 0.0, 1e30]] {
            flat.push(&vector);
        }
        for near in flat.search(&[f32::MAX, 1.0, 0.0], 9, |_| true) {
            assert!(near.score.is_finite() && near.score.abs() <= 1.0001, "row {}: {}", near.row, near.score);
        }
        assert!(flat.search(&[1.0, 2.0], 9, |_| true).is_empty());
    }

    #[test]
    fn rows_that_are_taken_out_are_not_found_and_the_others_are() {
        let mut flat = Flat::default();
        (0..10).for_each(|row| flat.push(&vector(row, 5)));
        flat.retain(|row| row % 3 == 0);
        for (row, seed) in [0, 3, 6, 9].into_iter().enumerate() {
            assert_eq!(flat.search(&vector(seed, 5), 1, |_| true)[0].row, row);
        }
        assert_ne!(flat.search(&vector(3, 5), 1, |row| row != 1)[0].row, 1);
        flat.retain(|_| false);
        assert_eq!((flat.dimensions(), flat.bytes()), (None, 0));
    }
}
