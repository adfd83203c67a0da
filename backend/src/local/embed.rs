//! Embeddings: the vector at the end of a text.
//!
//! An embedding model (its file names the pooling `last`) was trained for it: the vector is the hidden
//! state at the end-of-text token behind the text, and its beginning is a vector too. A question is told
//! from a document by the words before it.
//!
//! Of a chat model it is what the model would sum a text up with, as the vector behind its next word: the
//! hidden state at the last position of a prompt that asks for the meaning of the text in one word.
//! Such states all point much the same way, whatever the text, so the mean of some
//! texts about this and that is taken off. That was measured with `examples/relevance.rs`, as was that
//! an instruction for the search makes the vectors worse: `text_type` and `instruct` change nothing.

mod length;

use std::sync::Arc;

use qwenda_engine::{ModelInfo, Pooling, Probe};
use qwenda_tokenizer::{Specials, Tokenizer};
use qwenda_types::{
    completions::Prompt,
    embeddings::{EmbeddingRequest, TextType},
    error::{Code, Invalid},
};

use self::length::{begun, normalise, of_length};
use super::{
    Loaded, blocking,
    probe::{answer_begins, probe},
    sampling::not_a_token,
};
use crate::{BackendError, EmbedAbility, EmbedCall, Embedded, Whose};

/// Most tokens of a text, as the contract has it.
const TEXT_TOKENS_MAX: u32 = 8_192;
/// What a question is for when the request does not say, as embedding models were told.
const TASK_DEFAULT: &str = "Given a web search query, retrieve relevant passages that answer the query";
/// What stands before a text for a chat model.
const BEFORE: &str = "<|im_start|>user\nSummarize the meaning of the following text in one English word.\n";
/// Texts about this and that, short and long, in prose and not; their mean is what all texts have in
/// common. Other texts make other vectors: those stored from before no longer fit.
const THIS_AND_THAT: [&str; 16] = [
    "今天",
    "天气",
    "The weather is fine.",
    "A list of numbers.",
    "她在看书。",
    "How does it work?",
    "怎么办？",
    "error: file not found",
    "price",
    "公司",
    "The committee met on Tuesday to discuss the budget.",
    "这是一段关于历史的文字。",
    "fn main() {}",
    "Hello",
    "谢谢",
    "music",
];

/// The tokens around a text.
struct Around {
    before: Vec<u32>,
    after: Vec<u32>,
}

impl Around {
    fn of(info: &ModelInfo, tokenizer: &Tokenizer, thinks: bool) -> Self {
        if info.pooling == Some(Pooling::Last) {
            let before = tokenizer.bos().filter(|_| info.adds_bos);
            // The models were trained on texts that end so; files that do not say are early ones.
            let after = tokenizer.eos().filter(|_| info.adds_eos != Some(false));
            return Self { before: before.into_iter().collect(), after: after.into_iter().collect() };
        }
        let after = answer_begins(thinks);
        Self { before: tokenizer.encode(BEFORE, Specials::Parse), after: tokenizer.encode(&after, Specials::Parse) }
    }

    fn len(&self) -> u32 {
        (self.before.len() + self.after.len()) as u32
    }

    /// What a text spells is never special.
    fn prompt(&self, tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
        [&*self.before, &tokenizer.encode(text, Specials::Plain), &self.after].concat()
    }
}

/// What a model's vectors are like; `None` if it was made for something else, or its context has no
/// room for a text.
pub(super) fn ability(info: &ModelInfo, tokenizer: &Tokenizer, thinks: bool, context: u32) -> Option<EmbedAbility> {
    if info.pooling == Some(Pooling::Rank) {
        return None;
    }
    let room = context.saturating_sub(Around::of(info, tokenizer, thinks).len());
    let text_tokens_max = room.min(TEXT_TOKENS_MAX);
    (text_tokens_max > 0).then_some(EmbedAbility {
        dimensions_default: info.embedding_dim,
        text_tokens_max,
        tells_questions: info.pooling == Some(Pooling::Last),
    })
}

/// Makes vectors of texts.
pub(super) async fn embed(model: Arc<Loaded>, call: EmbedCall) -> Result<Embedded, BackendError> {
    let EmbedCall { request, whose, .. } = call;
    let Some(ability) = model.card.abilities.embed else {
        let message = format!("the model {} makes no vectors", model.card.id);
        return Err(BackendError::Unsupported { field: "model".to_owned(), message });
    };
    let reading = Arc::clone(&model);
    let length = request.dimensions.unwrap_or(ability.dimensions_default) as usize;
    let task = if ability.tells_questions { task(&request) } else { None };
    let inputs = request.inputs;
    let (prompts, text_tokens) =
        blocking(move || read(&reading, inputs, task.as_deref(), ability.text_tokens_max)).await??;
    if model.engine.info().pooling == Some(Pooling::Last) {
        let vectors = probe(&model, prompts, Probe::Hidden, &whose).await?;
        let vectors = vectors.into_iter().map(|vector| begun(vector, length)).collect();
        return Ok(Embedded { vectors, text_tokens });
    }
    let centre = model.centre.get_or_try_init(|| centre(&model)).await?;
    let mut vectors = probe(&model, prompts, Probe::Hidden, &whose).await?;
    for vector in &mut vectors {
        *vector = of_length(centred(std::mem::take(vector), centre), length);
    }
    Ok(Embedded { vectors, text_tokens })
}

/// The words before a question; `None` if the texts are documents.
fn task(request: &EmbeddingRequest) -> Option<String> {
    let task = request.instruct.as_deref().filter(|text| !text.is_empty()).unwrap_or(TASK_DEFAULT);
    (request.text_type == Some(TextType::Query)).then(|| format!("Instruct: {task}\nQuery:"))
}

/// The prompt and the own length of each text. `task` stands before each.
fn read(
    model: &Loaded,
    inputs: Vec<Prompt>,
    task: Option<&str>,
    most: u32,
) -> Result<(Vec<Vec<u32>>, Vec<u32>), BackendError> {
    let tokenizer = model.engine.tokenizer();
    let vocab = model.engine.info().vocab;
    let mut around = Around::of(model.engine.info(), tokenizer, model.template.thinking());
    if let Some(task) = task {
        // Cut where tokens end in the whole text: no word goes on behind a colon.
        around.before.extend(tokenizer.encode(task, Specials::Plain));
    }
    let room = model.card.context_tokens_max.saturating_sub(around.len());
    if room == 0 {
        let message = format!("the model {} has no room for texts behind this instruction", model.card.id);
        return Err(BackendError::Unsupported { field: "instruct".to_owned(), message });
    }
    let most = most.min(room);
    let mut prompts = Vec::with_capacity(inputs.len());
    let mut counts = Vec::with_capacity(inputs.len());
    for (i, input) in inputs.into_iter().enumerate() {
        let (prompt, count) = match input {
            Prompt::Text(text) => {
                let prompt = around.prompt(tokenizer, &text);
                let count = prompt.len() as u32 - around.len();
                (prompt, count)
            }
            Prompt::Tokens(ids) => {
                if let Some((j, id)) = ids.iter().enumerate().find(|(_, id)| **id >= vocab) {
                    return Err(not_a_token(format!("input[{i}][{j}]"), *id, vocab));
                }
                (around.prompt(tokenizer, &tokenizer.decode(&ids)), ids.len() as u32)
            }
        };
        // The text of ids may have other tokens than they are.
        let tokens = count.max(prompt.len() as u32 - around.len());
        if count == 0 || tokens > most {
            let at = format!("input[{i}]");
            let message = format!("Range of input length should be [1, {most}]; {at} has {tokens} tokens");
            return Err(Invalid::of(Code::ModelParameter, at, message).into());
        }
        prompts.push(prompt);
        counts.push(count);
    }
    Ok((prompts, counts))
}

/// What this model's states have in common: the mean of some, each of length 1.
async fn centre(model: &Loaded) -> Result<Vec<f32>, BackendError> {
    let tokenizer = model.engine.tokenizer();
    let around = Around::of(model.engine.info(), tokenizer, model.template.thinking());
    let texts = THIS_AND_THAT.map(|text| around.prompt(tokenizer, text)).to_vec();
    let mut mean = vec![0.0; model.engine.info().embedding_dim as usize];
    for mut state in probe(model, texts, Probe::Hidden, &Whose::default()).await? {
        normalise(&mut state);
        mean.iter_mut().zip(&state).for_each(|(sum, value)| *sum += value / THIS_AND_THAT.len() as f32);
    }
    Ok(mean)
}

fn centred(mut state: Vec<f32>, centre: &[f32]) -> Vec<f32> {
    normalise(&mut state);
    state.iter_mut().zip(centre).for_each(|(value, mean)| *value -= mean);
    state
}
