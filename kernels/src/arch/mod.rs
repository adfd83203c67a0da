//! The fast variants, one file for each instruction set.

#[cfg(target_arch = "x86_64")]
pub(crate) mod x86_64;
