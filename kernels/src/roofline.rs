//! What this machine could do at most: how fast all threads read memory, and how fast they multiply
//! int8. Benches set what a model reaches beside it.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(target_arch = "x86_64")]
use crate::arch::x86_64::{self, peak};
use crate::compute::Compute;
use crate::detect::Isa;

/// Bytes that one task reads.
const TASK: usize = 1 << 20;
/// Places from which one task reads at once: hardware that fetches ahead stops at the end of a page,
/// and another stream keeps memory busy meanwhile.
const STREAMS: usize = 4;
/// Rounds of multiplications that one task does: some milliseconds.
const ROUNDS: u64 = 1 << 16;

impl Compute {
    /// Reads every byte once with all threads, and does nothing else; returns the sum of what it read,
    /// in words of 8 bytes. What is left behind the last word is not read.
    pub fn read(&self, bytes: &[u8]) -> u64 {
        let sum = AtomicU64::new(0);
        self.for_each(bytes.len().div_ceil(TASK), &|task| {
            let bytes = &bytes[task * TASK..];
            let part = self.read_task(&bytes[..bytes.len().min(TASK)]);
            sum.fetch_add(part, Ordering::Relaxed);
        });
        sum.into_inner()
    }

    fn read_task(&self, bytes: &[u8]) -> u64 {
        match self.isa() {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 | Isa::AvxVnni => {
                // SAFETY: `Compute::new` saw that this CPU has what `isa` names.
                unsafe { peak::sum_avx2(bytes) }
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni | Isa::Amx => {
                // SAFETY: as above.
                unsafe { peak::sum_avx512(bytes) }
            }
            _ => sum(bytes),
        }
    }

    /// Multiplies and adds int8 with all threads as fast as the instructions allow, from registers and
    /// the first cache, `tasks` times for each thread; returns the number of multiplications. `None`
    /// where nothing is known to be fastest, as for [`Isa::Scalar`].
    pub fn multiply(&self, tasks: usize) -> Option<u64> {
        let task: fn(u64) -> u64 = match self.isa() {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Compute::new` saw that this CPU has what `isa` names.
            Isa::Avx2 => |rounds| unsafe { peak::multiply_avx2(rounds) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Isa::Avx512Vnni => |rounds| unsafe { peak::multiply_avx512vnni(rounds) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Isa::AvxVnni => |rounds| unsafe { peak::multiply_avxvnni(rounds) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Isa::Amx => |rounds| unsafe { x86_64::amx::multiply(rounds) },
            _ => return None,
        };
        let done = AtomicU64::new(0);
        self.for_each(tasks * self.threads().get(), &|_| {
            done.fetch_add(task(black_box(ROUNDS)), Ordering::Relaxed);
        });
        Some(done.into_inner())
    }
}

/// The sum of all whole words, modulo 2^64.
#[inline(always)]
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    /// Words of one cache line.
    const LINE: usize = 8;
    let (words, _) = bytes.as_chunks::<8>();
    let (lines, rest) = words.as_chunks::<LINE>();
    let stream = lines.len() / STREAMS;
    let mut sums = [[0_u64; LINE]; STREAMS];
    for line in 0..stream {
        for (at, sums) in sums.iter_mut().enumerate() {
            for (sum, word) in sums.iter_mut().zip(&lines[at * stream + line]) {
                *sum = sum.wrapping_add(u64::from_le_bytes(*word));
            }
        }
    }
    let rest = lines[stream * STREAMS..].iter().flatten().chain(rest).map(|word| u64::from_le_bytes(*word));
    sums.iter().flatten().copied().chain(rest).fold(0, u64::wrapping_add)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;

    #[test]
    fn every_word_is_read_once_by_every_instruction_set_at_any_length() {
        let bytes: Vec<u8> =
            (0..3 * TASK + 1000).map(|i| (i as u32).wrapping_mul(0x9e37_79b1).to_le_bytes()[2]).collect();
        for isa in Isa::available() {
            let compute = Compute::new(isa, NonZeroUsize::new(2).unwrap());
            for len in [0, 7, 8, 63, 64, 500, 4096 + 24, TASK, bytes.len()] {
                let words = bytes[..len].chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap()));
                let want = words.fold(0, u64::wrapping_add);
                assert_eq!(compute.read(&bytes[..len]), want, "{isa}, {len} bytes");
            }
        }
    }

    #[test]
    fn multiplications_are_counted_for_all_threads_together() {
        for isa in Isa::available() {
            let count = |threads, tasks| Compute::new(isa, NonZeroUsize::new(threads).unwrap()).multiply(tasks);
            let Some(one) = count(1, 1) else { continue };
            assert!(one >= ROUNDS * 32, "{isa}: {one}");
            assert_eq!(count(2, 3), Some(6 * one), "{isa}");
        }
    }
}
