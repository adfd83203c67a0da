//! Functions a model may call: how they are declared, chosen, called, and how calls are streamed.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::answer::null_default;

/// A function the model may call.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tool {
    /// Always `function`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The function.
    pub function: ToolFunction,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A function's declaration.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ToolFunction {
    /// Letters, digits, `_` and `-`, at most 64 characters.
    pub name: String,
    /// What it does, for the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema of the arguments; absent means no arguments. Some old clients send a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// Fields without a name here, such as `strict`, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Whether the model calls, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// It does not call.
    None,
    /// It calls one function or more. OpenAI's; the contract refuses it on chat.
    Required,
    /// It calls this function.
    Function(String),
}

impl Serialize for ToolChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::None => serializer.serialize_str("none"),
            Self::Required => serializer.serialize_str("required"),
            Self::Function(name) => json!({"type": "function", "function": {"name": name}}).serialize(serializer),
        }
    }
}

/// The form of the answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ResponseFormat {
    /// Any text.
    Text,
    /// A JSON object, whatever is in it.
    JsonObject,
    /// JSON that fits a schema.
    JsonSchema {
        /// The schema with its name.
        json_schema: JsonSchemaFormat,
    },
}

/// The schema of an answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JsonSchemaFormat {
    /// Letters, digits, `_` and `-`, at most 64 characters.
    pub name: String,
    /// What it is for, for the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema; absent means any object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// Whether the schema is a promise. It is one here in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// What a streamed answer adds to one of its calls. `id`, `type` and `name` come once, in the first
/// piece; `arguments` come in pieces whose concatenation is the JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCallDelta {
    /// Which call of the answer, from 0; in every piece.
    #[serde(default, deserialize_with = "null_default")]
    pub index: u32,
    /// The call's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `function`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The function.
    #[serde(default, deserialize_with = "null_default")]
    pub function: FunctionDelta,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// The function's part of a [`ToolCallDelta`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionDelta {
    /// The function's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// More of the arguments' JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}
