//! Whether a model reasons before it answers, for how long, and by which tokens one can tell.

use qwenda_engine::Reasoning;
use qwenda_tokenizer::{Specials, Tokenizer};
use qwenda_types::chat::ChatRequest;
use serde_json::{Map, json};

use super::{Loaded, template::ChatTemplate};
use crate::{BackendError, Thinking};

const BEGIN: &str = "<think>";
const END: &str = "</think>";

/// How a model ends its reasoning, written in its stead when the budget is used up.
const FORCED: &str = "\n</think>\n\n";

/// What a model's template lets a caller choose. Some leave no choice and begin the reasoning
/// themselves, or know that the model will.
pub(super) fn ability(template: &ChatTemplate) -> Thinking {
    if template.thinking() {
        return Thinking::Optional { default: true };
    }
    if template.reasons_unasked() {
        return Thinking::Always;
    }
    let asked = [json!({"role": "user", "content": "?"})];
    match template.render(&asked, None, true, &Map::new()) {
        Ok(text) if begun(&text) => Thinking::Always,
        // A template that fails on this fails on the caller's messages too, and is reported there.
        Ok(_) | Err(_) => Thinking::Never,
    }
}

/// Whether a prompt ends inside of the reasoning.
pub(super) fn begun(prompt: &str) -> bool {
    prompt.trim_end().ends_with(BEGIN)
}

/// Whether the model is to reason before it answers.
pub(super) fn wanted(model: &Loaded, request: &ChatRequest) -> Result<bool, BackendError> {
    let refuse =
        |message: &str| Err(BackendError::Unsupported { field: "enable_thinking".into(), message: message.to_owned() });
    let said = request.thinking();
    match (model.card.thinking, said) {
        (Thinking::Never, Some(true)) => refuse("this model has no thinking phase"),
        (Thinking::Never, _) => Ok(false),
        (_, Some(true)) if request.is_partial() => refuse("an answer can only be gone on with when thinking is off"),
        (Thinking::Optional { default }, said) => Ok(said.unwrap_or(default)),
        (Thinking::Always, _) if request.is_partial() => Ok(false),
        (Thinking::Always, _) => Ok(true),
    }
}

/// How the engine tells reasoning from answer; `None` for vocabularies without the marks.
pub(super) fn rules(tokenizer: &Tokenizer, request: &ChatRequest, begun: bool) -> Option<Reasoning> {
    Some(Reasoning {
        begun,
        begin: tokenizer.id(BEGIN)?,
        end: tokenizer.id(END)?,
        tokens_max: request.reasoning_tokens_max(),
        forced: tokenizer.encode(FORCED, Specials::Parse),
    })
}
