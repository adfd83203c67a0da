//! From a file's blocks to floats, exactly.

use half::{bf16, f16};

use crate::layout::{CODEBOOK, Layout, Parts};

/// Turns whole blocks into the floats they stand for.
///
/// All products are exact in `f32`; only the subtraction of a minimum rounds, once.
///
/// # Panics
/// If `src` is not exactly the blocks of `out.len()` elements.
pub fn dequantize(layout: Layout, src: &[u8], out: &mut [f32]) {
    let want = layout.row_bytes(out.len());
    assert_eq!(Some(src.len()), want, "{} elements of {layout}", out.len());
    match layout {
        Layout::F32 => {
            for (o, b) in out.iter_mut().zip(src.as_chunks::<4>().0) {
                *o = f32::from_le_bytes(*b);
            }
        }
        Layout::F16 => {
            for (o, b) in out.iter_mut().zip(src.as_chunks::<2>().0) {
                *o = f16::from_le_bytes(*b).to_f32();
            }
        }
        Layout::BF16 => {
            for (o, b) in out.iter_mut().zip(src.as_chunks::<2>().0) {
                *o = bf16::from_le_bytes(*b).to_f32();
            }
        }
        _ => {
            let mut parts = Parts::new();
            let blocks = src.chunks_exact(layout.block_bytes());
            for (block, out) in blocks.zip(out.chunks_exact_mut(layout.block_elems())) {
                parts.read(layout, block);
                parts.floats(layout, out);
            }
        }
    }
}

impl Parts {
    fn floats(&self, layout: Layout, out: &mut [f32]) {
        let (d, m) = (self.d.to_f32(), self.m.to_f32());
        match layout {
            Layout::F32 | Layout::F16 | Layout::BF16 => unreachable!("floats have no parts"),
            Layout::Q4_0 | Layout::Q5_0 => {
                let offset = if layout == Layout::Q4_0 { 8 } else { 16 };
                for (o, q) in out.iter_mut().zip(self.q) {
                    *o = d * (i32::from(q) - offset) as f32;
                }
            }
            Layout::Q4_1 | Layout::Q5_1 => {
                for (o, q) in out.iter_mut().zip(self.q) {
                    *o = d * f32::from(q) + m;
                }
            }
            Layout::Q8_0 => {
                for (o, q) in out.iter_mut().zip(self.q) {
                    *o = d * f32::from(q as i8);
                }
            }
            Layout::Q2K => {
                for (i, (o, q)) in out.iter_mut().zip(self.q).enumerate() {
                    let scale = d * f32::from(self.scales[i / 16]);
                    *o = scale * f32::from(q) - m * f32::from(self.mins[i / 16]);
                }
            }
            Layout::Q4K | Layout::Q5K => {
                for (i, (o, q)) in out.iter_mut().zip(self.q).enumerate() {
                    let scale = d * f32::from(self.scales[i / 32]);
                    *o = scale * f32::from(q) - m * f32::from(self.mins[i / 32]);
                }
            }
            Layout::Q3K | Layout::Q6K => {
                let offset = if layout == Layout::Q3K { 4 } else { 32 };
                for (i, (o, q)) in out.iter_mut().zip(self.q).enumerate() {
                    let scale = d * f32::from(self.scales[i / 16] as i8);
                    *o = scale * (i32::from(q) - offset) as f32;
                }
            }
            Layout::Iq4Nl => {
                for (o, q) in out.iter_mut().zip(self.q) {
                    *o = d * f32::from(CODEBOOK[usize::from(q)]);
                }
            }
            Layout::Iq4Xs => {
                for (i, (o, q)) in out.iter_mut().zip(self.q).enumerate() {
                    let scale = d * f32::from(self.scales[i / 32] as i8);
                    *o = scale * f32::from(CODEBOOK[usize::from(q)]);
                }
            }
        }
    }
}
