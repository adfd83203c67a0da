//! Tools: functions that a model may call. [`Tool`] is one, [`macro@tool`](crate::tool) makes one of an async
//! function, [`RunBuilder`] runs a conversation until the model needs no more.

#[cfg(feature = "mcp")]
mod mcp;
mod run;

use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;
#[cfg(feature = "mcp")]
pub use mcp::{Mcp, McpServer};
use qwenda_types::chat::ToolFunction;
pub use run::{Approval, Ended, Interrupted, Progress, Run, RunBuilder, RunEvent, Step, ToolResult};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

/// What a call brings: a text for the model, or an error, which is one too.
pub type Outcome = BoxFuture<'static, Result<String, ToolError>>;

/// A function that a model may call.
pub trait Tool: Send + Sync + 'static {
    /// Its name, its description and the JSON schema of its arguments.
    fn definition(&self) -> qwenda_types::chat::Tool;

    /// Calls it. Dropping the future gives the call up.
    fn call(&self, arguments: Value) -> Outcome;

    /// Whose it is, where it is somebody else's: put before its name where another tool has the same.
    fn origin(&self) -> Option<&str> {
        None
    }
}

/// Why a tool has no result. The model reads it, and may do better.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolError(String);

impl ToolError {
    /// What the model is told.
    pub fn new(message: impl fmt::Display) -> Self {
        Self(message.to_string())
    }

    /// What the model is told.
    pub fn message(&self) -> &str {
        &self.0
    }
}

impl<E: std::error::Error> From<E> for ToolError {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One tool or several: a tuple of up to eight, or a list.
pub trait IntoTools {
    /// The tools.
    fn into_tools(self) -> Vec<Arc<dyn Tool>>;
}

impl IntoTools for Vec<Arc<dyn Tool>> {
    fn into_tools(self) -> Vec<Arc<dyn Tool>> {
        self
    }
}

impl<T: Tool> IntoTools for T {
    fn into_tools(self) -> Vec<Arc<dyn Tool>> {
        vec![Arc::new(self)]
    }
}

macro_rules! tuples {
    ($(($($name:ident),+))+) => {
        $(impl<$($name: Tool),+> IntoTools for ($($name,)+) {
            fn into_tools(self) -> Vec<Arc<dyn Tool>> {
                #[expect(non_snake_case, reason = "each is called as its type is")]
                let ($($name,)+) = self;
                vec![$(Arc::new($name) as Arc<dyn Tool>),+]
            }
        })+
    };
}

tuples! { (A) (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) (A, B, C, D, E, F) (A, B, C, D, E, F, G) (A, B, C, D, E, F, G, H) }

/// The JSON schema of a type, with everything in one place and in one order: prompts that begin alike are cached.
pub(crate) fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Value::Object(map) = &mut schema {
        map.shift_remove("title");
    }
    schema
}

/// The definition of a tool with these arguments. For the code that [`macro@tool`](crate::tool) writes.
#[doc(hidden)]
pub fn definition<T: JsonSchema>(name: &str, description: &str) -> qwenda_types::chat::Tool {
    let function = ToolFunction {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        parameters: Some(schema_of::<T>()),
        rest: Map::new(),
    };
    qwenda_types::chat::Tool { kind: "function".to_owned(), function, rest: Map::new() }
}

/// Reads arguments. For the code that [`macro@tool`](crate::tool) writes.
#[doc(hidden)]
pub fn arguments<T: DeserializeOwned>(arguments: Value) -> Result<T, ToolError> {
    serde_json::from_value(arguments).map_err(|error| ToolError::new(format!("wrong arguments: {error}")))
}

/// What a function that cannot fail brings.
#[doc(hidden)]
pub fn plain<T: Serialize>(value: T) -> Result<String, ToolError> {
    match serde_json::to_value(value)? {
        // A text stands for itself, without quotes.
        Value::String(text) => Ok(text),
        Value::Null => Ok("done".to_owned()),
        other => Ok(other.to_string()),
    }
}

/// What a function that may fail brings.
#[doc(hidden)]
pub fn outcome<T: Serialize, E: Into<ToolError>>(result: Result<T, E>) -> Result<String, ToolError> {
    result.map_err(Into::into).and_then(plain)
}
