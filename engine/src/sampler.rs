//! From logits to the next token.
//!
//! In this order:
//! 1. logits that are not finite fail the sequence; rows that are no tokens are masked, and tokens
//!    that the completion's grammar does not allow;
//! 2. `logit_bias` is added;
//! 3. `repetition_penalty` over tokens of prompt and completion;
//! 4. `presence_penalty` and `frequency_penalty` over tokens of the completion;
//! 5. temperature 0: the largest logit, the lowest id among equals. Otherwise
//! 6. `top_k`, then softmax of logit / temperature over what is left,
//! 7. `top_p`: the most probable tokens until their mass reaches it, the one that crosses included,
//! 8. `min_p`: tokens below this fraction of the best one's probability go,
//! 9. one draw from the rest.
//!
//! The draw is a function of (seed, position in the completion) alone, and every sum has one order,
//! so a sequence's tokens do not depend on what else runs. No step sorts the vocabulary.

use std::collections::HashMap;

use qwenda_kernels::{argmax, exp, log_sum_exp};

use crate::{event::TokenLogprob, grammar::Mask, request::Sampling};

/// Logits that are NaN or infinite: the weights or the arithmetic are broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotFinite;

/// Which tokens may be chosen.
#[derive(Debug)]
pub(crate) enum Allowed<'a> {
    All,
    AllBut(&'a [u32]),
    Only(Mask),
}

/// One sequence's rules and what they need to remember.
#[derive(Debug)]
pub(crate) struct Sampler {
    rules: Sampling,
    /// Tokens that have occurred, with their number in the completion.
    seen: HashMap<u32, u32>,
    /// Tokens drawn so far.
    position: u64,
}

/// Buffers that all sequences of one engine share.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    weights: Vec<f32>,
    candidates: Vec<Candidate>,
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    id: u32,
    logit: f32,
    weight: f32,
}

/// Weights are summed in blocks of this many, so that a draw skips whole blocks.
const BLOCK: usize = 1024;

/// Tokens this many temperatures below the best are looked at first for `top_p`: what lies lower
/// has less than e^-8 of the best one's weight.
const DEPTH_FIRST: f32 = 8.0;

impl Sampler {
    /// Rules for a completion of `prompt`.
    pub(crate) fn new(rules: Sampling, prompt: &[u32]) -> Self {
        let mut seen = HashMap::new();
        if rules.repetition_penalty != 1.0 {
            seen.extend(prompt.iter().map(|&id| (id, 0)));
        }
        Self { rules, seen, position: 0 }
    }

    /// Chooses the next token; whether it is taken is said by [`Self::accept`]. `logits` is used
    /// up. `masked` are rows that are no tokens.
    pub(crate) fn sample(
        &self,
        logits: &mut [f32],
        masked: &[std::ops::Range<u32>],
        allowed: &Allowed<'_>,
        scratch: &mut Scratch,
    ) -> Result<u32, NotFinite> {
        check_finite(logits)?;
        for range in masked {
            logits[range.start as usize..range.end as usize].fill(f32::NEG_INFINITY);
        }
        match allowed {
            Allowed::All => {}
            Allowed::AllBut(ids) => ids.iter().for_each(|&id| logits[id as usize] = f32::NEG_INFINITY),
            Allowed::Only(mask) => mask.apply(logits),
        }
        self.adjust(logits);
        Ok(if self.rules.temperature == 0.0 {
            best_of(logits).0
        } else {
            let draw = uniform(self.rules.seed, self.position);
            self.choose(logits, draw, scratch)
        })
    }

    /// Remembers the next token of the completion, sampled or not.
    pub(crate) fn accept(&mut self, id: u32) {
        self.position += 1;
        if self.remembers() {
            *self.seen.entry(id).or_default() += 1;
        }
    }

    fn remembers(&self) -> bool {
        let Sampling { repetition_penalty, presence_penalty, frequency_penalty, .. } = self.rules;
        repetition_penalty != 1.0 || presence_penalty != 0.0 || frequency_penalty != 0.0
    }

    /// Bias and penalties. Each token is touched by itself, so the map's order does not matter.
    fn adjust(&self, logits: &mut [f32]) {
        for &(id, bias) in &self.rules.logit_bias {
            logits[id as usize] += bias;
        }
        for (&id, &count) in &self.seen {
            let logit = &mut logits[id as usize];
            if *logit > 0.0 {
                // The least penalty makes an infinity of it, and no token could be told from the best.
                *logit = (*logit / self.rules.repetition_penalty).min(f32::MAX);
            } else {
                *logit *= self.rules.repetition_penalty;
            }
            if count > 0 {
                *logit -= self.rules.presence_penalty + self.rules.frequency_penalty * count as f32;
            }
        }
    }

    /// Steps 6 to 9, with `draw` uniform in [0, 1).
    fn choose(&self, logits: &[f32], draw: f64, scratch: &mut Scratch) -> u32 {
        let (best, best_logit) = best_of(logits);
        // Of the least temperatures the inverse is no number: 0 times infinity is none either.
        let per_temperature = (1.0 / self.rules.temperature).min(f32::MAX);
        let top_k = match self.rules.top_k as usize {
            0 => logits.len(),
            k => k.min(logits.len()),
        };
        if top_k == 1 || !per_temperature.is_finite() {
            return best;
        }
        let rules = Rules { top_p: f64::from(self.rules.top_p), min_p: self.rules.min_p, best_logit, per_temperature };
        if top_k < logits.len() {
            largest(logits, top_k, &mut scratch.candidates);
            let mass = rules.weigh(scratch);
            return rules.draw_sorted(&scratch.candidates, mass, draw);
        }

        // The whole vocabulary: weigh it once, in blocks.
        scratch.weights.clear();
        scratch.weights.extend(logits.iter().map(|&logit| (logit - best_logit) * per_temperature));
        exp(&mut scratch.weights);
        let mass: f64 = scratch.weights.chunks(BLOCK).map(sum).sum();
        let last = if rules.top_p < 1.0 { Some(rules.last_kept(logits, mass, scratch)) } else { None };
        if last.is_some() || rules.min_p > 0.0 {
            for ((id, weight), &logit) in (0u32..).zip(&mut scratch.weights).zip(logits) {
                let beyond = last.is_some_and(|last| logit < last.logit || (logit == last.logit && id > last.id));
                if beyond || *weight < rules.min_p {
                    *weight = 0.0;
                }
            }
        }
        draw_weighted(&scratch.weights, draw).unwrap_or(best)
    }
}

/// The rules that follow softmax, with what they are relative to.
struct Rules {
    top_p: f64,
    min_p: f32,
    best_logit: f32,
    per_temperature: f32,
}

impl Rules {
    /// Sets each candidate's weight, relative to the best token's; returns their sum.
    fn weigh(&self, scratch: &mut Scratch) -> f64 {
        let Scratch { weights, candidates } = scratch;
        weights.clear();
        weights.extend(candidates.iter().map(|candidate| (candidate.logit - self.best_logit) * self.per_temperature));
        exp(weights);
        for (candidate, &weight) in candidates.iter_mut().zip(&*weights) {
            candidate.weight = weight;
        }
        sum(weights)
    }

    /// The least probable token that `top_p` keeps, `scratch.weights` being those of all `logits`.
    fn last_kept(&self, logits: &[f32], mass: f64, scratch: &mut Scratch) -> Candidate {
        let Scratch { weights, candidates } = scratch;
        let wanted = self.top_p * mass;
        let mut depth = DEPTH_FIRST;
        loop {
            let floor = (-depth).exp();
            candidates.clear();
            candidates.extend(
                (0u32..)
                    .zip(logits)
                    .zip(&*weights)
                    .filter_map(|((id, &logit), &weight)| (weight > floor).then_some(Candidate { id, logit, weight })),
            );
            let covered: f64 = candidates.iter().map(|candidate| f64::from(candidate.weight)).sum();
            // A floor of 0 has taken in all that weighs anything.
            if covered >= wanted || floor == 0.0 {
                return reach(candidates, wanted);
            }
            depth *= 2.0;
        }
    }

    /// Draws from sorted candidates after `top_p` of `mass` and `min_p`.
    fn draw_sorted(&self, candidates: &[Candidate], mass: f64, draw: f64) -> u32 {
        let mut kept = 0.0;
        let mut count = 0;
        for candidate in candidates {
            // What weighs nothing may be a masked token, and must not be left for rounding to pick.
            let beyond = kept >= self.top_p * mass || candidate.weight < self.min_p || candidate.weight == 0.0;
            if count > 0 && beyond {
                break;
            }
            kept += f64::from(candidate.weight);
            count += 1;
        }
        let mut left = draw * kept;
        for candidate in &candidates[..count] {
            left -= f64::from(candidate.weight);
            if left < 0.0 {
                return candidate.id;
            }
        }
        candidates[count - 1].id
    }
}

/// Log-probabilities under the unmodified logits: `id` and the `top` best.
pub(crate) fn logprobs(logits: &[f32], id: u32, top: u8) -> TokenLogprob {
    let log_sum_exp = log_sum_exp(logits);
    let mut best = Vec::new();
    if top > 0 {
        largest(logits, usize::from(top).min(logits.len()), &mut best);
    }
    TokenLogprob {
        id,
        logprob: logits[id as usize] - log_sum_exp,
        top: best.iter().map(|candidate| (candidate.id, candidate.logit - log_sum_exp)).collect(),
    }
}

/// A number in [0, 1) that depends on nothing but its arguments.
fn uniform(seed: u64, position: u64) -> f64 {
    // Two rounds of the splitmix64 finaliser: the second so that neighbouring seeds and
    // neighbouring positions share no pattern.
    let mixed = mix(mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15)) ^ position.wrapping_mul(0xd134_2543_de82_ef95));
    (mixed >> 11) as f64 / (1u64 << 53) as f64
}

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

fn check_finite(logits: &[f32]) -> Result<(), NotFinite> {
    // One pass without branches, which compiles to vectors.
    let finite = logits.iter().fold(true, |finite, logit| finite & (logit.abs() < f32::INFINITY));
    if finite { Ok(()) } else { Err(NotFinite) }
}

/// Id and value of the largest logit; the first among equals.
fn best_of(logits: &[f32]) -> (u32, f32) {
    let index = argmax(logits);
    (u32::try_from(index).expect("a vocabulary has fewer than 2^32 rows"), logits[index])
}

/// The `k` largest logits into `out`, best first, the lower id among equals.
fn largest(logits: &[f32], k: usize, out: &mut Vec<Candidate>) {
    // Collect what beats the k-th best seen so far; cut back to k whenever the buffer is full.
    let room = (4 * k).max(256);
    let mut floor = f32::NEG_INFINITY;
    let mut full = false;
    out.clear();
    for (id, &logit) in (0u32..).zip(logits) {
        // Ids rise, so an equal one behind k better or equal ones cannot win.
        if full && logit <= floor {
            continue;
        }
        out.push(Candidate { id, logit, weight: 0.0 });
        if out.len() == room {
            out.select_nth_unstable_by(k - 1, order);
            out.truncate(k);
            floor = out[k - 1].logit;
            full = true;
        }
    }
    sort(out);
    out.truncate(k);
}

/// The candidate with which, from the most probable on, the mass reaches `wanted`.
fn reach(mut candidates: &mut [Candidate], mut wanted: f64) -> Candidate {
    const FEW: usize = 64;
    while candidates.len() > FEW {
        let middle = candidates.len() / 2;
        candidates.select_nth_unstable_by(middle, order);
        let (upper, lower) = candidates.split_at_mut(middle);
        let mass: f64 = upper.iter().map(|candidate| f64::from(candidate.weight)).sum();
        if mass >= wanted {
            candidates = upper;
        } else {
            wanted -= mass;
            candidates = lower;
        }
    }
    sort(candidates);
    for candidate in &*candidates {
        wanted -= f64::from(candidate.weight);
        if wanted <= 0.0 {
            return *candidate;
        }
    }
    *candidates.last().expect("the best token weighs 1")
}

fn sort(candidates: &mut [Candidate]) {
    candidates.sort_unstable_by(order);
}

fn order(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    b.logit.total_cmp(&a.logit).then(a.id.cmp(&b.id))
}

/// The index that `draw` falls on when each has its weight's share; nothing if all weigh 0.
fn draw_weighted(weights: &[f32], draw: f64) -> Option<u32> {
    let mass: f64 = weights.chunks(BLOCK).map(sum).sum();
    let mut left = draw * mass;
    let mut last = None;
    for (block, chunk) in weights.chunks(BLOCK).enumerate() {
        let block_mass = sum(chunk);
        if left >= block_mass {
            left -= block_mass;
            continue;
        }
        for (at, &weight) in chunk.iter().enumerate() {
            if weight > 0.0 {
                last = u32::try_from(block * BLOCK + at).ok();
                left -= f64::from(weight);
                if left < 0.0 {
                    return last;
                }
            }
        }
    }
    // Rounding can leave a hair over: then it is the last that weighs anything.
    last.or_else(|| weights.iter().rposition(|&weight| weight > 0.0).and_then(|at| u32::try_from(at).ok()))
}

/// Sum in an order that does not depend on the CPU.
fn sum(weights: &[f32]) -> f64 {
    let mut lanes = [0.0f32; 16];
    let (chunks, rest) = weights.as_chunks::<16>();
    for chunk in chunks {
        for (lane, &weight) in lanes.iter_mut().zip(chunk) {
            *lane += weight;
        }
    }
    lanes.iter().chain(rest).map(|&weight| f64::from(weight)).sum()
}

#[cfg(test)]
mod tests;
