//! Which functions may be declared, and which choice among them.

use super::super::{ChatRequest, ToolChoice};
use super::Strictness;
use crate::error::Invalid;

/// Most functions of one request.
pub const TOOLS_MAX: usize = 128;

/// Longest name of a function or of a schema.
const NAME_CHARS_MAX: usize = 64;

/// Whether this names a function, or a schema, as both dialects have it.
pub(super) fn is_name(name: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

/// A name as an error may repeat it.
pub(super) fn shown(name: &str) -> String {
    name.chars().take(80).collect()
}

impl ChatRequest {
    pub(super) fn validate_tools(&self, strictness: Strictness) -> Result<(), Invalid> {
        if self.tools.len() > TOOLS_MAX {
            let message = format!("tools has {} elements, more than {TOOLS_MAX} - 'tools'", self.tools.len());
            return Err(Invalid::parameter("tools", message));
        }
        for (i, tool) in self.tools.iter().enumerate() {
            let name = &tool.function.name;
            let at = format!("tools[{i}].function.name");
            if !is_name(name) {
                let message = format!(
                    "the name of a tool is 1 to {NAME_CHARS_MAX} letters, digits, _ or -, not '{}' - '{at}'",
                    shown(name)
                );
                return Err(Invalid::parameter(at, message));
            }
            if strictness != Strictness::OpenAi && name == "search" {
                return Err(Invalid::parameter(at, "Tool names are not allowed to be [search]"));
            }
            if let Some(first) = self.tools[..i].iter().position(|other| other.function.name == *name) {
                let message = format!("tools[{first}] has the name '{name}' already - '{at}'");
                return Err(Invalid::parameter(at, message));
            }
        }
        if strictness != Strictness::OpenAi && !self.tools.is_empty() && self.choices() > 1 {
            let message = "Range of n should be [1, 1] when tools are set; this server accepts more with strictness = \
                           openai";
            return Err(Invalid::parameter("n", message));
        }
        self.validate_choice(strictness)
    }

    fn validate_choice(&self, strictness: Strictness) -> Result<(), Invalid> {
        let refuse = |message: String| Err(Invalid::parameter("tool_choice", message));
        match &self.tool_choice {
            None | Some(ToolChoice::Auto | ToolChoice::None) => return Ok(()),
            Some(ToolChoice::Required) if strictness == Strictness::Qwen => {
                return refuse(
                    "tool_choice is one of the strings that should be [\"none\", \"auto\"]; this server accepts \
                     \"required\" under /v1, or with strictness = openai"
                        .to_owned(),
                );
            }
            Some(_) if self.tools.is_empty() => {
                return refuse("tool_choice can only be set when tools are set".to_owned());
            }
            Some(ToolChoice::Function(name)) if !self.tools.iter().any(|tool| tool.function.name == *name) => {
                return refuse(format!("tool_choice names '{}', which tools do not declare", shown(name)));
            }
            Some(ToolChoice::Required | ToolChoice::Function(_)) => {}
        }
        if self.enable_thinking == Some(true) {
            return refuse("tool_choice should be \"auto\" or \"none\" when enable_thinking is true".to_owned());
        }
        Ok(())
    }

    /// Whether one answer may call several times. The contract says no where the request says
    /// nothing, OpenAI says yes.
    pub fn calls_in_parallel(&self, strictness: Strictness) -> bool {
        self.parallel_tool_calls.unwrap_or(strictness == Strictness::OpenAi)
    }
}
