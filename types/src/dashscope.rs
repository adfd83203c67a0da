//! The native dialect, DashScope's own: `{model, input, parameters}` in, `{output, usage, request_id}` out.
//!
//! A native chat is read into the one [`ChatRequest`] plus [`NativeOptions`], which hold what only
//! this dialect has, and written back from the two. Nothing that was given is lost on the way: what
//! has no name stays in `rest`. [`Form`] is how the answer is to be written, [`Frames`] writes it.

mod answer;
mod convert;
mod defaults;
pub mod embeddings;
mod frames;
pub mod models;
mod names;
mod parts;
mod request;
pub mod rerank;
mod streams;
pub mod tokenizer;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{chat::ChatRequest, error::Invalid};

pub use answer::{
    Finish, NativeChoice, NativeContent, NativeMessage, NativeOutput, NativeResponse, NativeUsage, OutputTokensDetails,
};
pub use convert::{completion_id, request_id_of};
pub use defaults::{Defaults, defaults};
pub use frames::{Frames, Piece};
pub use request::{chat_from_map, chat_to_map};
pub use streams::{ChunksToFrames, FramesToChunks};

/// Which of the two paths of generation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `services/aigc/text-generation/generation`: content is a string.
    #[default]
    Text,
    /// `services/aigc/multimodal-generation/generation`: content is a list of parts without a `type`.
    Multimodal,
}

/// Where an answer stands in `output`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResultFormat {
    /// In `output.text`.
    #[default]
    Text,
    /// In `output.choices[].message`.
    Message,
}

impl ResultFormat {
    /// The format as written on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Message => "message",
        }
    }
}

/// What a native request says that no [`ChatRequest`] can.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NativeOptions {
    /// Where the answer stands; by the model's name when absent.
    pub result_format: Option<ResultFormat>,
    /// Whether each frame of a stream has only what is new; by the model's name when absent.
    pub incremental_output: Option<bool>,
    /// Members of `input` without a name here.
    pub input: Map<String, Value>,
    /// Members of `parameters` whose names mean something else in the other dialect.
    pub parameters: Map<String, Value>,
    /// Members beside `model`, `input` and `parameters`.
    pub rest: Map<String, Value>,
}

/// How the answer to a native request is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// Whether content is a string or parts.
    pub endpoint: Endpoint,
    /// Where the answer stands.
    pub result_format: ResultFormat,
    /// Whether each frame has only what is new.
    pub incremental: bool,
}

impl NativeOptions {
    /// How the answer is written; `thinking` says whether the model will reason first.
    ///
    /// # Errors
    /// What was asked for cannot hold a reasoned answer, or this model never sends it.
    pub fn form(&self, request: &ChatRequest, endpoint: Endpoint, thinking: bool) -> Result<Form, Invalid> {
        let defaults = defaults(&request.model, endpoint);
        let mut incremental = self.incremental_output.unwrap_or(defaults.incremental_output || thinking);
        if request.stream && !incremental {
            let refuse = |message: &str| Err(Invalid::parameter("parameters.incremental_output", message));
            if thinking {
                return refuse("The incremental_output parameter must be \"true\" when enable_thinking is true");
            }
            if defaults.incremental_only {
                return refuse("The incremental_output parameter of this model cannot be set to False.");
            }
        }
        // Whole answers have no frames.
        incremental &= request.stream;
        let message_needed = thinking || endpoint == Endpoint::Multimodal;
        if thinking && endpoint == Endpoint::Text && self.result_format == Some(ResultFormat::Text) {
            let message = "The result_format parameter must be \"message\" when enable_thinking is true";
            return Err(Invalid::parameter("parameters.result_format", message));
        }
        // `output.text` has no place for a call, nor for a second choice.
        let result_format = if message_needed || !request.tools.is_empty() || request.choices() > 1 {
            ResultFormat::Message
        } else {
            self.result_format.unwrap_or(defaults.result_format)
        };
        Ok(Form { endpoint, result_format, incremental })
    }
}

#[cfg(test)]
mod tests;
