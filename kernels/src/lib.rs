//! Arithmetic of the engine: what is computed (`scalar`), and the same thing fast.
//!
//! What it is not: it knows no model, no file and no token.
//! Read `layout`, then `scalar`, then one of the variants in `arch`.
#![warn(missing_docs, clippy::undocumented_unsafe_blocks)]
#![expect(unsafe_code, reason = "SIMD and splitting one output over threads live here and nowhere else")]

mod aligned;
mod layout;

mod dequantize;
mod pack;

mod delta;
mod kv;
mod ops;

mod acts;
mod arch;
mod compute;
mod detect;
mod matmul;
mod roofline;
mod scalar;
mod shared;
mod threads;

pub use acts::{Acts, Precision};
pub use aligned::AlignedBytes;
pub use compute::Compute;
pub use delta::{CONV_KERNEL, DeltaShape, DeltaStates, HeadOrder};
pub use dequantize::dequantize;
pub use detect::{Isa, UnknownIsa};
pub use kv::{KvSlot, KvStore, OutOfMemory, PAGE_TOKENS};
pub use layout::Layout;
pub use matmul::{Product, Then};
pub use ops::{
    AttendRow, DeltaInputs, DeltaRun, DeltaWeights, Rope, RopeScaling, argmax, argmax_on, exp, exp_on, log_sum_exp,
    log_sum_exp_on, softmax, softmax_on,
};
pub use pack::{Matrix, pack, packed_len};
