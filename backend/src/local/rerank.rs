//! Rerank: how much more likely "yes" than "no" is as the answer to whether a document is what a
//! question looks for. The prompt is that of the Qwen3-Reranker models, which chat models understand:
//! `examples/relevance.rs` measures how well.

use std::sync::Arc;

use qwenda_engine::{ModelInfo, Pooling, Probe};
use qwenda_tokenizer::{Specials, Tokenizer};
use qwenda_types::{
    error::{Code, Invalid},
    rerank::RerankRequest,
};

use super::{
    Loaded, blocking,
    probe::{answer_begins, probe},
};
use crate::{BackendError, Ranked, RerankCall};

/// Most tokens of the question and of each document; what is longer is cut off.
const ITEM_TOKENS_MAX: usize = 4_000;
/// Most tokens of a request: the question's once for each document, and those of the documents.
const REQUEST_TOKENS_MAX: usize = 120_000;
/// Least room for question and document that is worth the name.
const ROOM_MIN: usize = 64;
/// What a question is for when the request does not say.
const INSTRUCT_DEFAULT: &str = "Given a web search query, retrieve relevant passages that answer the query.";
/// What stands before the instruction.
const BEFORE: &str = "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and \
    the Instruct provided. Note that the answer can only be \"yes\" or \"no\".<|im_end|>\n<|im_start|>user\n\
    <Instruct>:";
const QUERY: &str = "<Query>:";
const DOCUMENT: &str = "<Document>:";
/// The words that the score compares, as the first token spells them.
const ANSWERS: [&str; 4] = ["yes", "Yes", "no", "No"];

/// Whether the model is not for something else, and the context has room for questions and documents.
pub(super) fn able(info: &ModelInfo, tokenizer: &Tokenizer, thinks: bool, context: u32) -> bool {
    info.pooling != Some(Pooling::Last)
        && Form::of(tokenizer, reasoned(info, thinks), context, INSTRUCT_DEFAULT).is_some()
}

/// Whether the answer begins behind an empty reasoning: rerankers were trained so, whatever template
/// their files bring.
fn reasoned(info: &ModelInfo, thinks: bool) -> bool {
    thinks || info.pooling == Some(Pooling::Rank)
}

/// Says how relevant documents are to a question.
pub(super) async fn rerank(model: Arc<Loaded>, call: RerankCall) -> Result<Ranked, BackendError> {
    let RerankCall { request, whose, .. } = call;
    let reading = Arc::clone(&model);
    let (prompts, tokens) = blocking(move || read(&reading, &request)).await??;
    // A classifier of the model's own has the same two rows as the output matrix, and may be all there is.
    if model.engine.model().judges() {
        let found = probe(&model, prompts, Probe::Hidden, &whose).await?;
        let logits = found.iter().filter_map(|hidden| model.engine.model().judge(hidden));
        return Ok(Ranked {
            scores: logits.map(|[yes, no]| (1.0 + f64::from(no - yes).exp()).recip()).collect(),
            tokens,
        });
    }
    let tokenizer = model.engine.tokenizer();
    let answers = ANSWERS.map(|word| tokenizer.encode(word, Specials::Plain)[0]).to_vec();
    let logits = probe(&model, prompts, Probe::Logits(answers), &whose).await?;
    Ok(Ranked { scores: logits.iter().map(|logits| score(logits)).collect(), tokens })
}

/// The probability of "yes" beside "no", however they are spelled.
fn score(logits: &[f32]) -> f64 {
    let [yes, or_yes, no, or_no] = *logits else { return 0.0 };
    let either = |a: f32, b: f32| {
        let (a, b) = (f64::from(a), f64::from(b));
        a.max(b) + (-(a - b).abs()).exp().ln_1p()
    };
    (1.0 + (either(no, or_no) - either(yes, or_yes)).exp()).recip()
}

/// The prompts' tokens that are alike for all documents.
struct Form {
    before: Vec<u32>,
    after: Vec<u32>,
    /// Tokens that question and document may have together.
    room: usize,
}

impl Form {
    /// `None` if there is no room for anything in it.
    fn of(tokenizer: &Tokenizer, thinks: bool, context: u32, instruct: &str) -> Option<Self> {
        let plain = |text: &str| tokenizer.encode(text, Specials::Plain);
        // Cut where tokens end in the whole text: a space begins the next word, a newline ends a sentence.
        let before = [tokenizer.encode(BEFORE, Specials::Parse), plain(&format!(" {instruct}\n")), plain(QUERY)];
        let before = before.concat();
        let after = tokenizer.encode(&answer_begins(thinks), Specials::Parse);
        let fixed = before.len() + plain(DOCUMENT).len() + after.len();
        let room = (context as usize).checked_sub(fixed).filter(|room| *room >= ROOM_MIN)?;
        Some(Self { before, after, room })
    }
}

/// The prompt of each document, and what the request counts.
fn read(model: &Loaded, request: &RerankRequest) -> Result<(Vec<Vec<u32>>, u32), BackendError> {
    let tokenizer = model.engine.tokenizer();
    let plain = |text: &str| tokenizer.encode(text, Specials::Plain);
    let instruct = request.instruct.as_deref().filter(|text| !text.is_empty()).unwrap_or(INSTRUCT_DEFAULT);
    let context = model.card.context_tokens_max;
    let thinks = reasoned(model.engine.info(), model.template.thinking());
    let Some(form) = Form::of(tokenizer, thinks, context, instruct) else {
        let message = format!("the model {} has no room for documents in its {context} tokens", model.card.id);
        return Err(BackendError::Unsupported { field: "instruct".to_owned(), message });
    };
    if request.query.is_empty() {
        let message = format!("Range of input length should be [1, {ITEM_TOKENS_MAX}]; query has 0 tokens");
        return Err(Invalid::of(Code::ModelParameter, "query", message).into());
    }
    let asked = plain(&request.query).len().min(ITEM_TOKENS_MAX);
    let mut query = plain(&format!(" {}\n", request.query));
    // At least half of the room is the document's.
    query.truncate(ITEM_TOKENS_MAX.min(form.room / 2));
    let document_max = ITEM_TOKENS_MAX.min(form.room - query.len());
    let before = [form.before, query, plain(DOCUMENT)].concat();

    let mut tokens = 0;
    let mut prompts = Vec::with_capacity(request.documents.len());
    for document in &request.documents {
        tokens += asked + plain(document).len().min(ITEM_TOKENS_MAX);
        if tokens > REQUEST_TOKENS_MAX {
            let message = format!(
                "Range of input length should be [1, {REQUEST_TOKENS_MAX}]: tokens of the query for each document, \
                 and of the documents; the first {} of {} have {tokens}",
                prompts.len() + 1,
                request.documents.len()
            );
            return Err(Invalid::of(Code::ModelParameter, "documents", message).into());
        }
        let mut document = plain(&format!(" {document}"));
        document.truncate(document_max);
        prompts.push([&*before, &document, &form.after].concat());
    }
    Ok((prompts, tokens as u32))
}

#[cfg(test)]
mod tests {
    use super::score;

    #[test]
    fn a_score_is_the_probability_of_yes_beside_no() {
        assert!((score(&[1.0, 1.0, 1.0, 1.0]) - 0.5).abs() < 1e-12);
        let (yes, no) = (2f64.exp() + 1.0, 3f64.exp() + 1.0);
        assert!((score(&[2.0, 0.0, 3.0, 0.0]) - yes / (yes + no)).abs() < 1e-9);
        for far in [[1e4, -1e4, -1e4, -1e4], [-1e4, -1e4, 1e4, -1e4]] {
            assert!((0.0..=1.0).contains(&score(&far)), "{far:?}");
        }
    }
}
