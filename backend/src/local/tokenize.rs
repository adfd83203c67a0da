//! The tokens of a text, or of the prompt that a conversation becomes.

use std::sync::Arc;

use qwenda_tokenizer::Specials;
use qwenda_types::completions::Prompt;

use super::{Loaded, blocking, prompt, sampling::not_a_token, think};
use crate::{BackendError, TokenizeCall, TokenizeInput, Tokenized};

pub(super) async fn tokenize(model: Arc<Loaded>, call: TokenizeCall) -> Result<Tokenized, BackendError> {
    // Long texts take long to encode.
    blocking(move || {
        let ids = ids(&model, call.input)?;
        let tokenizer = model.engine.tokenizer();
        let tokens = ids.iter().map(|id| String::from_utf8_lossy(tokenizer.token_bytes(*id)).into_owned());
        Ok(Tokenized { tokens: tokens.collect(), ids })
    })
    .await?
}

fn ids(model: &Loaded, input: TokenizeInput) -> Result<Vec<u32>, BackendError> {
    match input {
        TokenizeInput::Prompt(Prompt::Text(text)) => Ok(model.engine.tokenizer().encode(&text, Specials::Parse)),
        TokenizeInput::Prompt(Prompt::Tokens(ids)) => {
            let vocab = model.engine.info().vocab;
            match ids.iter().enumerate().find(|(_, id)| **id >= vocab) {
                Some((i, id)) => Err(not_a_token(format!("prompt[{i}]"), *id, vocab)),
                None => Ok(ids),
            }
        }
        TokenizeInput::Chat(request) => {
            prompt::supported(&request)?;
            Ok(prompt::prompt(model, &request, think::wanted(model, &request)?)?.ids)
        }
    }
}
