//! What completions go on from: the token ids of each prompt, and whether a gap in it is to be filled.
//!
//! A gap is filled the way the coder models were taught: `<|fim_prefix|>`, what stands before it,
//! `<|fim_suffix|>`, what stands after it, `<|fim_middle|>`, and then the model writes what is missing.

use qwenda_engine::Stop;
use qwenda_tokenizer::{Specials, Tokenizer};
use qwenda_types::{
    completions::{CompletionRequest, FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX, Prompt},
    error::{Code, Invalid},
};

use super::super::{Loaded, prompt::begin, sampling::not_a_token};
use crate::BackendError;

/// Tokens that have no place inside of a gap: behind them the model goes on to another file. Not all
/// vocabularies have all.
const FIM_ENDS: [&str; 6] = [FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE, "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"];

/// The tokens that mark a gap.
#[derive(Debug, Clone, Copy)]
pub(in crate::local) struct Markers {
    prefix: u32,
    suffix: u32,
    middle: u32,
}

/// One prompt, ready for the engine.
pub(super) struct Begun {
    pub(super) ids: Vec<u32>,
    /// Whether a gap is filled, so that more tokens than usual end the completion.
    pub(super) infill: bool,
    /// What the caller wrote, if the completion is to begin with it.
    pub(super) echo: Option<String>,
}

impl Markers {
    /// Those of a vocabulary, if it has them all.
    pub(in crate::local) fn of(tokenizer: &Tokenizer) -> Option<Self> {
        let id = |text| tokenizer.id(text);
        Some(Self { prefix: id(FIM_PREFIX)?, suffix: id(FIM_SUFFIX)?, middle: id(FIM_MIDDLE)? })
    }

    fn in_ids(self, ids: &[u32]) -> bool {
        ids.iter().any(|id| [self.prefix, self.suffix, self.middle].contains(id))
    }
}

/// Lets everything that ends the filling of a gap end a completion.
pub(super) fn end_at_gap(stop: &mut Stop, tokenizer: &Tokenizer) {
    stop.tokens.extend(FIM_ENDS.iter().filter_map(|text| tokenizer.id(text)).map(|id| vec![id]));
}

/// The prompts of a request, each short enough to leave room for a token.
pub(super) fn read(model: &Loaded, request: &mut CompletionRequest) -> Result<Vec<Begun>, BackendError> {
    let tokenizer = model.engine.tokenizer();
    let markers = Markers::of(tokenizer);
    // Some callers always write the field; nothing after the gap is no gap.
    let suffix = request.suffix.take().filter(|suffix| !suffix.is_empty());
    let around = match (&suffix, markers) {
        (None, _) => None,
        (Some(suffix), Some(markers)) => Some((markers, tokenizer.encode(suffix, Specials::Plain))),
        (Some(_), None) => {
            let message = format!("the model {} cannot fill a gap; leave suffix out", model.card.id);
            return Err(BackendError::Unsupported { field: "suffix".to_owned(), message });
        }
    };
    let several = request.prompts.len() > 1;
    let prompts = std::mem::take(&mut request.prompts).into_iter().enumerate();
    prompts
        .map(|(i, prompt)| {
            let at = if several { format!("prompt[{i}]") } else { "prompt".to_owned() };
            let echo = request.echo.then(|| spelled(tokenizer, &prompt));
            let ids = match (&around, prompt) {
                (Some((markers, suffix)), Prompt::Text(prompt)) => {
                    // Both are pieces of a file, in which nothing is special, whatever it spells.
                    let prompt = tokenizer.encode(&prompt, Specials::Plain);
                    [&[markers.prefix], &*prompt, &[markers.suffix], suffix, &[markers.middle]].concat()
                }
                (None, Prompt::Text(prompt)) if prompt.is_empty() => Vec::new(),
                (None, Prompt::Text(prompt)) => begin(model, tokenizer.encode(&prompt, Specials::Parse)),
                (None, Prompt::Tokens(ids)) => ids,
                (Some(_), Prompt::Tokens(_)) => {
                    let message = "suffix needs prompts of text, not of token ids".to_owned();
                    return Err(BackendError::Unsupported { field: "suffix".to_owned(), message });
                }
            };
            check(model, &ids, at)?;
            let infill = markers.is_some_and(|markers| markers.in_ids(&ids));
            Ok(Begun { ids, infill, echo })
        })
        .collect()
}

fn spelled(tokenizer: &Tokenizer, prompt: &Prompt) -> String {
    match prompt {
        Prompt::Text(text) => text.clone(),
        Prompt::Tokens(ids) => tokenizer.decode(ids),
    }
}

/// Whether the model can go on from these tokens; `at` is where the request has them.
fn check(model: &Loaded, ids: &[u32], at: String) -> Result<(), BackendError> {
    let vocab = model.engine.info().vocab;
    if let Some((i, id)) = ids.iter().enumerate().find(|(_, id)| **id >= vocab) {
        return Err(not_a_token(format!("{at}[{i}]"), *id, vocab));
    }
    // One place must be left for the completion.
    let limit_tokens = model.card.context_tokens_max - 1;
    let prompt_tokens = u32::try_from(ids.len()).unwrap_or(u32::MAX);
    if (1..=limit_tokens).contains(&prompt_tokens) {
        return Ok(());
    }
    let message = format!("Range of input length should be [1, {limit_tokens}]; {at} has {prompt_tokens} tokens");
    Err(Invalid::of(Code::ModelParameter, at, message).into())
}
