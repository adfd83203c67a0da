//! Questions about a text that need the model file but no answer: how many tokens, which, what the
//! prompt looks like, how well the model predicts it.

use std::path::Path;

use qwenda_engine::{Engine, Model, ModelInfo, load_tokenizer};
use qwenda_tokenizer::{Specials, Tokenizer};
use serde_json::{Map, Value};

use super::{
    LocalModel, LocalOptions, OpenError, load_options,
    template::{ChatTemplate, TemplateError, message_value},
    template_of,
};

/// A model file's tokenizer and chat template; its weights are not read.
#[derive(Debug)]
pub struct Inspector {
    tokenizer: Tokenizer,
    template: ChatTemplate,
    info: ModelInfo,
}

/// How well a model predicts a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// The text's tokens in order.
    pub tokens: Vec<ScoredToken>,
    /// Mean natural-log loss over all tokens but the first; `None` with fewer than two.
    pub mean_nll: Option<f64>,
    /// Its exponential.
    pub perplexity: Option<f64>,
}

/// One token of a scored text.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredToken {
    pub id: u32,
    /// Its text as far as it is valid UTF-8.
    pub text: String,
    /// Natural-log loss; `None` for the first, which nothing predicts.
    pub nll: Option<f32>,
    /// What the model found most probable in its place; `None` for the first.
    pub argmax: Option<u32>,
}

/// Why a text cannot be scored.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// The model cannot be run.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The text does not fit.
    #[error("the text has {tokens} tokens, the model takes {limit}")]
    TooLong { tokens: u32, limit: u32 },
    /// The model failed.
    #[error(transparent)]
    Engine(#[from] qwenda_engine::Error),
}

impl Inspector {
    /// Reads the vocabulary and the template of a model file.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let (tokenizer, info) = load_tokenizer(path)?;
        let template = template_of(path, &info)?;
        Ok(Self { tokenizer, template, info })
    }

    /// The ids of a text; special tokens spelled in it are special, as in a prompt.
    pub fn ids(&self, text: &str) -> Vec<u32> {
        self.tokenizer.encode(text, Specials::Parse)
    }

    /// How many tokens a text has.
    pub fn count(&self, text: &str) -> usize {
        self.ids(text).len()
    }

    /// The text of one token as far as it is valid UTF-8.
    pub fn token_text(&self, id: u32) -> String {
        String::from_utf8_lossy(self.tokenizer.token_bytes(id)).into_owned()
    }

    /// The prompt for these messages, in the form of the API, up to where the answer begins.
    pub fn render(&self, messages: &[Value], tools: Option<&[Value]>) -> Result<String, TemplateError> {
        let messages: Vec<Value> = messages.iter().cloned().map(message_value).collect();
        self.template.render(&messages, tools, true, &Map::new())
    }

    /// Most tokens of prompt and answer together.
    pub fn context_tokens_max(&self) -> u32 {
        self.info.context_tokens_max
    }

    /// What the file says of the model.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }
}

/// Loads the model and scores a text. Blocks for as long as that takes.
pub fn score(model: &LocalModel, options: &LocalOptions, text: &str) -> Result<Score, ScoreError> {
    let loaded = Model::load(&model.path, &load_options(options)).map_err(OpenError::from)?;
    let ids = loaded.tokenizer().encode(text, Specials::Parse);
    // The room for keys and values is that of the model; a text is scored as one sequence.
    let kv_tokens_max = options.engine.kv_tokens_max.unwrap_or(loaded.info().context_tokens_max);
    let engine = Engine::start(
        loaded,
        qwenda_engine::EngineOptions { kv_tokens_max: Some(kv_tokens_max), ..options.engine.clone() },
    );
    score_ids(&engine, &ids)
}

fn score_ids(engine: &Engine, ids: &[u32]) -> Result<Score, ScoreError> {
    let scored = if ids.len() < 2 {
        Vec::new()
    } else {
        engine.score(ids).map_err(|error| match error {
            qwenda_engine::Error::Submit(qwenda_engine::SubmitError::TooLong { prompt, limit }) => {
                ScoreError::TooLong { tokens: prompt, limit }
            }
            error => ScoreError::Engine(error),
        })?
    };
    let tokenizer = engine.tokenizer();
    let tokens = ids.iter().enumerate().map(|(position, id)| {
        let of = position.checked_sub(1).map(|before| scored[before]);
        ScoredToken {
            id: *id,
            text: String::from_utf8_lossy(tokenizer.token_bytes(*id)).into_owned(),
            nll: of.map(|one| one.nll),
            argmax: of.map(|one| one.argmax),
        }
    });
    let tokens = tokens.collect();
    let mean_nll =
        (!scored.is_empty()).then(|| scored.iter().map(|one| f64::from(one.nll)).sum::<f64>() / scored.len() as f64);
    Ok(Score { tokens, mean_nll, perplexity: mean_nll.map(f64::exp) })
}
