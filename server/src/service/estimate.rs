//! What a request may come to, before anything of it was read by a model.

use qwenda_backend::ModelCard;
use serde::Serialize;

/// Room for what a chat template puts around messages.
const TEMPLATE_TOKENS: u64 = 256;

/// At most so many tokens are read: no token has less than a byte, and no prompt more than the context.
///
/// A request's JSON has every byte of its texts, and of each message more than a template puts around it.
pub(crate) fn input(request: &impl Serialize, card: &ModelCard) -> u64 {
    let bytes = serde_json::to_vec(request).map_or(u64::MAX, |json| json.len() as u64);
    bytes.saturating_add(TEMPLATE_TOKENS).min(context(card))
}

/// At most so many tokens are written, of all choices together.
pub(crate) fn output(tokens_max: Option<u32>, choices: u32, card: &ModelCard) -> u64 {
    tokens_max.map_or(context(card), u64::from).min(context(card)).saturating_mul(choices.into())
}

/// Tokens of the context; of a model behind an upstream that says nothing, more than any has.
fn context(card: &ModelCard) -> u64 {
    match card.context_tokens_max {
        0 => 1 << 20,
        tokens => tokens.into(),
    }
}
