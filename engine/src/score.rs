//! Teacher forcing: how well a model predicts a given text.

use qwenda_kernels::{argmax, log_sum_exp};

/// One token of a scored text, seen from the token before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Natural-log loss of the token that follows.
    pub nll: f32,
    /// The token that the model found most probable instead, or as well.
    pub argmax: u32,
}

/// A scored text of n tokens.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScoredAll {
    /// Natural-log loss of tokens 1 to n - 1.
    pub nll: Vec<f32>,
    /// The most probable token after each of the n tokens.
    pub argmax: Vec<u32>,
    /// The logits after the last token; empty unless asked for.
    pub last_logits: Vec<f32>,
}

impl ScoredAll {
    /// Takes the logits of the next position, `next` being the token that follows. False if they
    /// are not finite.
    pub(crate) fn push(&mut self, logits: &[f32], next: Option<u32>, keep: bool) -> bool {
        let best = argmax(logits);
        if !logits[best].is_finite() {
            return false;
        }
        self.argmax.push(u32::try_from(best).expect("a vocabulary has fewer than 2^32 rows"));
        match next {
            Some(id) => self.nll.push(log_sum_exp(logits) - logits[id as usize]),
            None if keep => self.last_logits = logits.to_vec(),
            None => {}
        }
        true
    }
}
