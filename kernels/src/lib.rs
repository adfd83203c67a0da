//! Arithmetic of the engine: what is computed ([`scalar`]), and the same thing fast.
//!
//! Read `layout`, then `scalar`, then one of the variants in `arch`.
#![expect(unsafe_code, reason = "SIMD and splitting one output over threads live here and nowhere else")]
