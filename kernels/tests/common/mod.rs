//! Weights and activations made from a seed, shared by the tests and the bench.
#![allow(dead_code, reason = "each user takes what it needs")]

use qwenda_kernels::{AlignedBytes, Layout, Matrix, pack, packed_len};

/// A small generator of numbers (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// Between -1 and 1.
    pub(crate) fn float(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// Where a block's half floats are: (scale, another one).
fn halves(layout: Layout) -> (usize, Option<usize>) {
    match layout {
        Layout::Q4_1 | Layout::Q5_1 | Layout::Q4K | Layout::Q5K => (0, Some(2)),
        Layout::Q2K => (80, Some(82)),
        Layout::Q3K => (108, None),
        Layout::Q6K => (208, None),
        _ => (0, None),
    }
}

/// A matrix as a file holds it. `ints` makes the bytes that are not scales.
pub(crate) fn weights(
    layout: Layout,
    rows: usize,
    cols: usize,
    random: &mut Random,
    mut ints: impl FnMut(&mut Random) -> u8,
) -> Vec<u8> {
    let row_bytes = layout.row_bytes(cols).expect("whole blocks");
    let mut bytes = vec![0; rows * row_bytes];
    if layout.is_float() {
        for element in bytes.chunks_exact_mut(layout.block_bytes()) {
            let x = random.float();
            match layout {
                Layout::F32 => element.copy_from_slice(&x.to_le_bytes()),
                Layout::F16 => element.copy_from_slice(&half::f16::from_f32(x).to_le_bytes()),
                _ => element.copy_from_slice(&half::bf16::from_f32(x).to_le_bytes()),
            }
        }
        return bytes;
    }
    let (d, m) = halves(layout);
    for block in bytes.chunks_exact_mut(layout.block_bytes()) {
        block.fill_with(|| ints(random));
        for at in [Some(d), m].into_iter().flatten() {
            let scale = half::f16::from_f32(random.float() * 0.01);
            block[at..at + 2].copy_from_slice(&scale.to_le_bytes());
        }
    }
    bytes
}

pub(crate) fn packed(layout: Layout, rows: usize, cols: usize, file: &[u8]) -> AlignedBytes {
    let mut bytes = AlignedBytes::zeroed(packed_len(layout, rows, cols));
    pack(layout, rows, cols, file, &mut bytes);
    bytes
}

pub(crate) fn matrix(layout: Layout, rows: usize, cols: usize, bytes: &AlignedBytes) -> Matrix<'_> {
    Matrix::new(layout, rows, cols, bytes)
}
