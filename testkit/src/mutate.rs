//! A seeded mutator: the fuzzer of ordinary tests.
//!
//! [`rounds`] runs a check on many mutants of some samples. Every mutant depends on the seed, the
//! sample and the round alone; when a check panics, these three are printed, and
//! [`mutant`] makes the same bytes again.

mod json;

use crate::rng::Rng;

pub use json::json_mutant;

/// A mutant of `sample`; `others` are what it may be spliced with.
pub fn mutant(seed: u64, round: u64, sample: &[u8], others: &[&[u8]]) -> Vec<u8> {
    let mut rng = Rng::round(seed, round);
    let mut bytes = sample.to_vec();
    // Mostly one change, sometimes many.
    let changes = 1 + rng.below(4) * rng.below(3);
    for _ in 0..changes {
        change(&mut bytes, others, &mut rng);
    }
    bytes
}

/// Runs `check` on `count` mutants of each sample, after the samples themselves.
///
/// # Panics
/// If `check` does; the seed, the sample and the round are printed then.
pub fn rounds(seed: u64, count: u64, samples: &[&[u8]], mut check: impl FnMut(&[u8])) {
    for (index, sample) in samples.iter().enumerate() {
        check(sample);
        let seed = seed.wrapping_add(index as u64);
        for round in 0..count {
            let _told = TellIfPanicking { seed, round, index };
            check(&mutant(seed, round, sample, samples));
        }
    }
}

struct TellIfPanicking {
    seed: u64,
    round: u64,
    index: usize,
}

impl Drop for TellIfPanicking {
    #[expect(clippy::print_stderr, reason = "a failing test says how to repeat it")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { seed, round, index } = self;
            eprintln!("the check failed for mutant(seed {seed}, round {round}) of sample {index}");
        }
    }
}

/// Integers at which lengths, counts and offsets go wrong.
const EXTREMES: [u64; 14] = [
    0,
    1,
    2,
    31,
    0x7f,
    0xff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    1 << 63,
    u64::MAX - 7,
    u64::MAX,
];

/// Pieces of text that parsers stumble over.
const PIECES: [&[u8]; 24] = [
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"\0",
    b"\xff",
    b"\xe2\x82",
    b"\xf0\x9f\x98\x80",
    b"e\xcc\x81",
    b"[[[[[[[[",
    b"{\"a\":",
    b"}",
    b",",
    b"null",
    b"-1",
    b"1e999",
    b"99999999999999999999",
    b"{{",
    b"}}",
    b"{%",
    b"%}",
    b"<|im_end|>",
    b"\r\n",
    b"                ",
];

fn change(bytes: &mut Vec<u8>, others: &[&[u8]], rng: &mut Rng) {
    if bytes.is_empty() {
        bytes.extend_from_slice(rng.pick::<&[u8]>(&PIECES));
        return;
    }
    let at = rng.below(bytes.len());
    match rng.below(10) {
        0 => bytes[at] ^= 1 << rng.below(8),
        1 => bytes[at] = rng.next() as u8,
        2 => bytes.truncate(at),
        3 => overwrite(bytes, at, rng),
        4 => {
            let piece = *rng.pick::<&[u8]>(&PIECES);
            bytes.splice(at..at, piece.iter().copied());
        }
        5 => {
            let end = (at + 1 + rng.below(64)).min(bytes.len());
            bytes.drain(at..end);
        }
        6 => {
            let end = (at + 1 + rng.below(64)).min(bytes.len());
            let span = bytes[at..end].repeat(1 + rng.below(8));
            bytes.splice(at..at, span);
        }
        7 => {
            let (from, len) = (rng.below(bytes.len()), 1 + rng.below(64));
            let span = bytes[from..(from + len).min(bytes.len())].to_vec();
            let end = (at + span.len()).min(bytes.len());
            bytes.splice(at..end, span);
        }
        8 if !others.is_empty() => {
            let other = *rng.pick(others);
            let from = rng.below(other.len() + 1);
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
        _ => {
            let to = rng.below(bytes.len());
            bytes.swap(at, to);
        }
    }
}

/// Writes an extreme integer of 1, 2, 4 or 8 bytes over what is there, in either byte order.
fn overwrite(bytes: &mut [u8], at: usize, rng: &mut Rng) {
    let mut value = *rng.pick(&EXTREMES);
    if rng.below(4) == 0 {
        value = bytes.len() as u64;
    }
    let width = 1 << rng.below(4);
    let mut raw = value.to_le_bytes();
    if rng.below(8) == 0 {
        raw[..width].reverse();
    }
    for (to, from) in bytes[at..].iter_mut().zip(&raw[..width]) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_mutant_depends_on_seed_and_round_alone() {
        let sample = b"{\"model\": \"qwen\", \"messages\": []}".as_slice();
        let mutants: Vec<_> = (0..200).map(|round| mutant(7, round, sample, &[sample])).collect();
        assert_eq!(mutants, (0..200).map(|round| mutant(7, round, sample, &[sample])).collect::<Vec<_>>());
        let distinct: HashSet<_> = mutants.iter().collect();
        assert!(distinct.len() > 150, "only {} of 200 mutants differ", distinct.len());
        assert_ne!(mutants, (0..200).map(|round| mutant(8, round, sample, &[sample])).collect::<Vec<_>>());
    }

    #[test]
    fn every_sample_is_checked_as_it_is_and_mutated() {
        let mut seen = Vec::new();
        rounds(1, 3, &[b"one", b""], |bytes| seen.push(bytes.to_vec()));
        assert_eq!(seen.len(), 8);
        assert_eq!((seen[0].as_slice(), seen[4].as_slice()), (b"one".as_slice(), b"".as_slice()));
    }
}
