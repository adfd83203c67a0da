//! Weight layouts as GGUF files hold them, and reading one block of each.
//!
//! A block is a run of consecutive elements of one row that share scales. Every layout is read
//! through [`Parts`]: what the bits mean is written once here, and both
//! [`dequantize`](crate::dequantize) and [`pack`](crate::pack) build on it.

use std::fmt;

use half::f16;

/// How the elements of a weight matrix are stored in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// 32-bit floats.
    F32,
    /// 16-bit IEEE floats.
    F16,
    /// The upper half of 32-bit floats.
    BF16,
    /// 32 elements: `d * (q - 8)`, q of 4 bits.
    Q4_0,
    /// 32 elements: `d * q + m`, q of 4 bits.
    Q4_1,
    /// 32 elements: `d * (q - 16)`, q of 5 bits.
    Q5_0,
    /// 32 elements: `d * q + m`, q of 5 bits.
    Q5_1,
    /// 32 elements: `d * q`, q a signed byte.
    Q8_0,
    /// 256 elements in 16 sub-blocks: `d * scale * q - dmin * min`, q of 2 bits.
    Q2K,
    /// 256 elements in 16 sub-blocks: `d * scale * (q - 4)`, q of 3 bits.
    Q3K,
    /// 256 elements in 8 sub-blocks: `d * scale * q - dmin * min`, q of 4 bits.
    Q4K,
    /// 256 elements in 8 sub-blocks: `d * scale * q - dmin * min`, q of 5 bits.
    Q5K,
    /// 256 elements in 16 sub-blocks: `d * scale * (q - 32)`, q of 6 bits.
    Q6K,
    /// 32 elements: `d * CODEBOOK[q]`, q of 4 bits.
    Iq4Nl,
    /// 256 elements in 8 sub-blocks: `d * scale * CODEBOOK[q]`, q of 4 bits.
    Iq4Xs,
}

/// What the 16 integers of `Iq4Nl` and `Iq4Xs` stand for.
pub(crate) const CODEBOOK: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

impl Layout {
    /// Every layout.
    pub const ALL: [Self; 15] = [
        Self::F32,
        Self::F16,
        Self::BF16,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q2K,
        Self::Q3K,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
        Self::Iq4Nl,
        Self::Iq4Xs,
    ];

    /// Elements in one block; 1 for plain floats.
    pub const fn block_elems(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 | Self::Iq4Nl => 32,
            Self::Q2K | Self::Q3K | Self::Q4K | Self::Q5K | Self::Q6K | Self::Iq4Xs => 256,
        }
    }

    /// Bytes of one block in a file.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Q4_0 => size_of::<BlockQ4_0>(),
            Self::Q4_1 => size_of::<BlockQ4_1>(),
            Self::Q5_0 => size_of::<BlockQ5_0>(),
            Self::Q5_1 => size_of::<BlockQ5_1>(),
            Self::Q8_0 => size_of::<BlockQ8_0>(),
            Self::Q2K => size_of::<BlockQ2K>(),
            Self::Q3K => size_of::<BlockQ3K>(),
            Self::Q4K => size_of::<BlockQ4K>(),
            Self::Q5K => size_of::<BlockQ5K>(),
            Self::Q6K => size_of::<BlockQ6K>(),
            Self::Iq4Nl => size_of::<BlockIq4Nl>(),
            Self::Iq4Xs => size_of::<BlockIq4Xs>(),
        }
    }

    /// Bytes of a row of `cols` elements in a file, or `None` if the row is not whole blocks.
    pub const fn row_bytes(self, cols: usize) -> Option<usize> {
        if !cols.is_multiple_of(self.block_elems()) {
            return None;
        }
        (cols / self.block_elems()).checked_mul(self.block_bytes())
    }

    /// Whether elements are plain floats rather than integers with scales.
    pub const fn is_float(self) -> bool {
        self.block_elems() == 1
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q5_0 => "Q5_0",
            Self::Q5_1 => "Q5_1",
            Self::Q8_0 => "Q8_0",
            Self::Q2K => "Q2_K",
            Self::Q3K => "Q3_K",
            Self::Q4K => "Q4_K",
            Self::Q5K => "Q5_K",
            Self::Q6K => "Q6_K",
            Self::Iq4Nl => "IQ4_NL",
            Self::Iq4Xs => "IQ4_XS",
        })
    }
}

/// A block of plain bytes: `repr(C)`, alignment 1, no padding, every bit pattern a value.
///
/// # Safety
/// Whoever implements this says that all of that holds.
unsafe trait Plain: Sized {}

macro_rules! block {
    ($name:ident, $bytes:literal, { $($field:ident: $kind:ty),* }) => {
        #[repr(C)]
        struct $name { $($field: $kind),* }
        const _: () = assert!(size_of::<$name>() == $bytes && align_of::<$name>() == 1);
        // SAFETY: all fields are arrays of bytes, so there is no padding (the size is asserted
        // above), the alignment is 1 and every bit pattern is a value.
        unsafe impl Plain for $name {}
    };
}

// The blocks as GGML publishes them. Halves of floats are two bytes, little-endian.
block!(BlockQ4_0, 18, { d: [u8; 2], qs: [u8; 16] });
block!(BlockQ4_1, 20, { d: [u8; 2], m: [u8; 2], qs: [u8; 16] });
block!(BlockQ5_0, 22, { d: [u8; 2], qh: [u8; 4], qs: [u8; 16] });
block!(BlockQ5_1, 24, { d: [u8; 2], m: [u8; 2], qh: [u8; 4], qs: [u8; 16] });
block!(BlockQ8_0, 34, { d: [u8; 2], qs: [u8; 32] });
block!(BlockQ2K, 84, { scales: [u8; 16], qs: [u8; 64], d: [u8; 2], dmin: [u8; 2] });
block!(BlockQ3K, 110, { hmask: [u8; 32], qs: [u8; 64], scales: [u8; 12], d: [u8; 2] });
block!(BlockQ4K, 144, { d: [u8; 2], dmin: [u8; 2], scales: [u8; 12], qs: [u8; 128] });
block!(BlockQ5K, 176, { d: [u8; 2], dmin: [u8; 2], scales: [u8; 12], qh: [u8; 32], qs: [u8; 128] });
block!(BlockQ6K, 210, { ql: [u8; 128], qh: [u8; 64], scales: [u8; 16], d: [u8; 2] });
block!(BlockIq4Nl, 18, { d: [u8; 2], qs: [u8; 16] });
block!(BlockIq4Xs, 136, { d: [u8; 2], scales_h: [u8; 2], scales_l: [u8; 4], qs: [u8; 128] });

fn view<T: Plain>(bytes: &[u8]) -> &T {
    assert_eq!(bytes.len(), size_of::<T>());
    // SAFETY: the length is that of `T`, whose alignment is 1 and which takes any bytes.
    unsafe { &*bytes.as_ptr().cast::<T>() }
}

/// One block taken apart. Fields a layout does not have keep what was there before.
pub(crate) struct Parts {
    /// The integers in element order, unsigned as stored; signed bytes for `Q8_0`.
    pub(crate) q: [u8; 256],
    /// The scale, and the scale of the minimum (or the minimum itself where there is one).
    pub(crate) d: f16,
    pub(crate) m: f16,
    /// Scale of each sub-block: 8 or, for `Q2K`, `Q3K` and `Q6K`, 16; signed for `Q3K`, `Q6K` and
    /// `Iq4Xs`.
    pub(crate) scales: [u8; 16],
    /// Minimum of each sub-block.
    pub(crate) mins: [u8; 16],
}

impl Parts {
    pub(crate) fn new() -> Self {
        Self { q: [0; 256], d: f16::ZERO, m: f16::ZERO, scales: [0; 16], mins: [0; 16] }
    }

    /// Reads one block of a quantized layout.
    pub(crate) fn read(&mut self, layout: Layout, bytes: &[u8]) {
        match layout {
            Layout::F32 | Layout::F16 | Layout::BF16 => unreachable!("floats have no parts"),
            Layout::Q4_0 => {
                let b: &BlockQ4_0 = view(bytes);
                self.d = f16::from_le_bytes(b.d);
                self.nibbles_32(&b.qs, 0);
            }
            Layout::Q4_1 => {
                let b: &BlockQ4_1 = view(bytes);
                self.d = f16::from_le_bytes(b.d);
                self.m = f16::from_le_bytes(b.m);
                self.nibbles_32(&b.qs, 0);
            }
            Layout::Q5_0 => {
                let b: &BlockQ5_0 = view(bytes);
                self.d = f16::from_le_bytes(b.d);
                self.nibbles_32(&b.qs, u32::from_le_bytes(b.qh));
            }
            Layout::Q5_1 => {
                let b: &BlockQ5_1 = view(bytes);
                self.d = f16::from_le_bytes(b.d);
                self.m = f16::from_le_bytes(b.m);
                self.nibbles_32(&b.qs, u32::from_le_bytes(b.qh));
            }
            Layout::Q8_0 => {
                let b: &BlockQ8_0 = view(bytes);
                self.d = f16::from_le_bytes(b.d);
                self.q[..32].copy_from_slice(&b.qs);
            }
            Layout::Q2K => {
                let b: &BlockQ2K = view(bytes);
                self.d = f16::from_le_bytes(b.d);
                self.m = f16::from_le_bytes(b.dmin);
                self.scales = b.scales.map(|both| both & 15);
                self.mins = b.scales.map(|both| both >> 4);
                self.pairs_256(&b.qs);
            }
            Layout::Q3K => {
                let b: &BlockQ3K = view(bytes);
                self.d = f16::from_le_bytes(b.d);
                for (j, scale) in self.scales.iter_mut().enumerate() {
                    let low = b.scales[j % 8] >> (j / 8 * 4) & 15;
                    let high = b.scales[8 + j % 4] >> (j / 4 * 2) & 3;
                    *scale = (low | high << 4).wrapping_sub(32);
                }
                self.pairs_256(&b.qs);
                for (s, sub) in self.q.as_chunks_mut::<32>().0.iter_mut().enumerate() {
                    for (q, h) in sub.iter_mut().zip(&b.hmask) {
                        *q |= (h >> s & 1) << 2;
                    }
                }
            }
            Layout::Q4K => {
                let b: &BlockQ4K = view(bytes);
                self.d = f16::from_le_bytes(b.d);
                self.m = f16::from_le_bytes(b.dmin);
                self.scales_6_bit(&b.scales);
                self.nibbles_256(&b.qs);
            }
            Layout::Q5K => {
                let b: &BlockQ5K = view(bytes);
                self.d = f16::from_le_bytes(b.d);
                self.m = f16::from_le_bytes(b.dmin);
                self.scales_6_bit(&b.scales);
                self.nibbles_256(&b.qs);
                for (s, sub) in self.q.as_chunks_mut::<32>().0.iter_mut().enumerate() {
                    for (q, h) in sub.iter_mut().zip(&b.qh) {
                        *q |= (h >> s & 1) << 4;
                    }
                }
            }
            Layout::Q6K => {
                let b: &BlockQ6K = view(bytes);
                self.d = f16::from_le_bytes(b.d);
                self.scales = b.scales;
                for (half, out) in self.q.as_chunks_mut::<128>().0.iter_mut().enumerate() {
                    let low = &b.ql[half * 64..][..64];
                    let high = &b.qh[half * 32..][..32];
                    for l in 0..32 {
                        out[l] = low[l] & 15 | (high[l] & 3) << 4;
                        out[l + 32] = low[l + 32] & 15 | (high[l] >> 2 & 3) << 4;
                        out[l + 64] = low[l] >> 4 | (high[l] >> 4 & 3) << 4;
                        out[l + 96] = low[l + 32] >> 4 | (high[l] >> 6) << 4;
                    }
                }
            }
            Layout::Iq4Nl => {
                let b: &BlockIq4Nl = view(bytes);
                self.d = f16::from_le_bytes(b.d);
                self.nibbles_32(&b.qs, 0);
            }
            Layout::Iq4Xs => {
                let b: &BlockIq4Xs = view(bytes);
                self.d = f16::from_le_bytes(b.d);
                let high = u16::from_le_bytes(b.scales_h);
                for (j, scale) in self.scales[..8].iter_mut().enumerate() {
                    let low = b.scales_l[j / 2] >> (j % 2 * 4) & 15;
                    *scale = (low | ((high >> (j * 2) & 3) as u8) << 4).wrapping_sub(32);
                }
                for (qs, out) in b.qs.as_chunks::<16>().0.iter().zip(self.q.as_chunks_mut::<32>().0) {
                    for (i, byte) in qs.iter().enumerate() {
                        out[i] = byte & 15;
                        out[i + 16] = byte >> 4;
                    }
                }
            }
        }
    }

    /// Byte `i` holds elements `i` (low nibble) and `i + 16`; `high` has the fifth bits in order.
    fn nibbles_32(&mut self, qs: &[u8; 16], high: u32) {
        for (i, byte) in qs.iter().enumerate() {
            self.q[i] = byte & 15 | ((high >> i & 1) as u8) << 4;
            self.q[i + 16] = byte >> 4 | ((high >> (i + 16) & 1) as u8) << 4;
        }
    }

    /// 32 bytes hold two sub-blocks of 32: the low nibbles, then the high ones.
    fn nibbles_256(&mut self, qs: &[u8; 128]) {
        for (pair, out) in qs.as_chunks::<32>().0.iter().zip(self.q.as_chunks_mut::<64>().0) {
            for (i, byte) in pair.iter().enumerate() {
                out[i] = byte & 15;
                out[i + 32] = byte >> 4;
            }
        }
    }

    /// 32 bytes hold four runs of 32, two bits each, lowest first.
    fn pairs_256(&mut self, qs: &[u8; 64]) {
        for (run, out) in self.q.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            let bytes = &qs[run / 4 * 32..][..32];
            for (q, byte) in out.iter_mut().zip(bytes) {
                *q = byte >> (run % 4 * 2) & 3;
            }
        }
    }

    /// Eight scales and eight minima of 6 bits in 12 bytes.
    fn scales_6_bit(&mut self, s: &[u8; 12]) {
        for j in 0..4 {
            self.scales[j] = s[j] & 63;
            self.mins[j] = s[j + 4] & 63;
            self.scales[j + 4] = s[j + 8] & 15 | s[j] >> 6 << 4;
            self.mins[j + 4] = s[j + 8] >> 4 | s[j + 4] >> 6 << 4;
        }
    }
}
