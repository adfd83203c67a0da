//! The prompt of a chat: what the model's own template makes of messages and tools, as token ids.

use qwenda_tokenizer::Specials;
use qwenda_types::chat::ChatRequest;
use serde_json::{Map, Value};

use super::{
    Loaded,
    template::{TemplateError, message_values},
    think, tools,
};
use crate::{BackendError, Thinking};

/// A prompt up to where the answer begins.
pub(super) struct Prompt {
    pub(super) ids: Vec<u32>,
    /// The template has begun the reasoning already.
    pub(super) reasoning_begun: bool,
}

/// Refuses what would otherwise be passed over in silence.
pub(super) fn supported(request: &ChatRequest) -> Result<(), BackendError> {
    match request.first_media_part() {
        Some((field, kind)) => {
            Err(BackendError::Unsupported { field, message: format!("this model reads text only, not `{kind}`") })
        }
        None => Ok(()),
    }
}

/// Renders and encodes; `thinking` is whether the model is to reason first.
pub(super) fn prompt(model: &Loaded, request: &ChatRequest, thinking: bool) -> Result<Prompt, BackendError> {
    let tokenizer = model.engine.tokenizer();
    let mut messages = message_values(&request.messages);
    // The beginning of the answer stands behind the template's words, where the model would have
    // written it, and is encoded by itself as the model would have.
    let begun = if request.is_partial() { messages.pop() } else { None };
    let mut extra = Map::new();
    if model.card.thinking != Thinking::Never {
        extra.insert("enable_thinking".to_owned(), thinking.into());
        if let Some(preserve) = request.rest.get("preserve_thinking").filter(|value| value.is_boolean()) {
            extra.insert("preserve_thinking".to_owned(), preserve.clone());
        }
    }
    let shown = tools::shown(request);
    let tools = (!shown.is_empty()).then_some(&*shown);
    let text = model.template.render(&messages, tools, true, &extra).map_err(unrenderable)?;
    let mut ids = begin(model, tokenizer.encode(&text, Specials::Parse));
    if let Some(begun) = begun.as_ref().and_then(|message| message.get("content")).and_then(Value::as_str) {
        ids.extend(tokenizer.encode(begun, Specials::Parse));
    }
    Ok(Prompt { ids, reasoning_begun: think::begun(&text) })
}

/// Puts the beginning-of-text token first where every text of the model has one. Most templates write it.
pub(super) fn begin(model: &Loaded, mut ids: Vec<u32>) -> Vec<u32> {
    let bos = model.engine.tokenizer().bos().filter(|_| model.engine.info().adds_bos);
    if bos.is_some_and(|bos| ids.first() != Some(&bos)) {
        ids.splice(0..0, bos);
    }
    ids
}

/// A conversation that the model's own template does not take is the caller's to change.
fn unrenderable(error: TemplateError) -> BackendError {
    match error {
        TemplateError::Refused { .. } | TemplateError::Exhausted { .. } | TemplateError::Failed { .. } => {
            BackendError::Unsupported { field: "messages".to_owned(), message: error.to_string() }
        }
        TemplateError::TooLong { .. } | TemplateError::Syntax { .. } => BackendError::Internal(error.to_string()),
    }
}
