//! `GET /api/v1/models`: the models that answer here, page by page.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NativeModelList {
    /// Null when all went well.
    pub code: Option<String>,
    /// Null when all went well.
    pub message: Option<String>,
    /// Whether all went well.
    pub success: bool,
    /// The request's id.
    pub request_id: String,
    /// One page of the models.
    pub output: NativeModelPage,
}

/// One page of the models.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NativeModelPage {
    /// How many models all pages have.
    pub total: u64,
    /// Which page, from 1.
    pub page_no: u64,
    /// Most models of a page.
    pub page_size: u64,
    /// The models.
    pub models: Vec<NativeModel>,
}

/// One model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NativeModel {
    /// The name that requests use.
    pub model: String,
    /// A name for people.
    pub name: String,
    /// What it is.
    pub description: String,
    /// Who made it.
    pub provider: String,
    /// Who runs it.
    pub inference_provider: String,
    /// `TG` text, `Reasoning`, `ME` embeddings, `TR` rerank …
    pub capabilities: Vec<String>,
    /// `function-calling`, `structured-outputs`, `prefix-completion`, `cache` …
    pub features: Vec<String>,
    /// `yyyy-MM-dd HH:mm:ss`.
    pub published_time: Option<String>,
    /// What goes in and what comes out.
    pub inference_metadata: Modalities,
    /// Its bounds in tokens.
    pub model_info: ModelInfo,
    /// Prices by range; empty where nothing is charged.
    pub prices: Vec<Value>,
}

/// What goes in and what comes out: `Text`, `Image` …
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Modalities {
    /// What goes in.
    pub request_modality: Vec<String>,
    /// What comes out.
    pub response_modality: Vec<String>,
}

/// A model's bounds, in tokens; null where it has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Prompt and answer together.
    pub context_window: Option<u64>,
    /// The prompt.
    pub max_input_tokens: Option<u64>,
    /// The answer.
    pub max_output_tokens: Option<u64>,
    /// The reasoning.
    pub max_reasoning_tokens: Option<u64>,
    /// The prompt of a reasoned answer.
    pub reasoning_max_input_tokens: Option<u64>,
    /// The answer after reasoning.
    pub reasoning_max_output_tokens: Option<u64>,
}

impl NativeModelList {
    /// Page `page_no`, counted from 1, of these models.
    pub fn page(models: Vec<NativeModel>, page_no: u64, page_size: u64, request_id: impl Into<String>) -> Self {
        let total = models.len() as u64;
        let skipped = page_no.saturating_sub(1).saturating_mul(page_size);
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        let size = usize::try_from(page_size).unwrap_or(usize::MAX);
        let models = models.into_iter().skip(skipped).take(size).collect();
        let output = NativeModelPage { total, page_no, page_size, models };
        Self { code: None, message: None, success: true, request_id: request_id.into(), output }
    }
}
