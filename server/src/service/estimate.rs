//! What a request may come to, before anything of it was read by a model.

mod media;

use std::io;

use qwenda_backend::ModelCard;
use qwenda_types::chat::ChatRequest;
use serde::Serialize;

/// Room for what a chat template puts around messages.
const TEMPLATE_TOKENS: u64 = 256;

/// At most so many tokens of one prompt are read: no token has less than a byte, and no prompt more than the
/// context. 0 where nobody counts them: a body may be long.
///
/// A request's JSON has every byte of its texts, and of each message more than a template puts around it.
pub(crate) fn prompt(counts: bool, request: &impl Serialize, card: &ModelCard) -> u64 {
    if counts { bytes(request).saturating_add(TEMPLATE_TOKENS).min(context(card)) } else { 0 }
}

/// As [`prompt`], of a chat, which may have more than text in it.
pub(crate) fn chat(counts: bool, request: &ChatRequest, card: &ModelCard) -> u64 {
    let media = if counts { media::of(request) } else { media::Media::default() };
    if media.tokens == 0 {
        return prompt(counts, request, card);
    }
    let text = bytes(request).saturating_sub(media.bytes).saturating_add(TEMPLATE_TOKENS);
    text.saturating_add(media.tokens).min(context(card))
}

/// At most so many tokens of several texts are read, each for itself and with as many bytes that are repeated
/// before it. 0 where nobody counts them.
pub(crate) fn texts(counts: bool, request: &impl Serialize, texts: usize, repeated_bytes: usize) -> u64 {
    let each = TEMPLATE_TOKENS.saturating_add(repeated_bytes as u64);
    if counts { bytes(request).saturating_add(each.saturating_mul(texts as u64)) } else { 0 }
}

/// Bytes of a request's JSON, without writing it anywhere.
fn bytes(request: &impl Serialize) -> u64 {
    struct Counter(u64);

    impl io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.saturating_add(bytes.len() as u64);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut counter = Counter(0);
    serde_json::to_writer(&mut counter, request).map_or(u64::MAX, |()| counter.0)
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
