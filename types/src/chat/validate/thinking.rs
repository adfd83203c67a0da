//! Whether, and how long, the model reasons.

use super::super::{ChatRequest, ResponseFormat, ToolChoice};
use crate::error::Invalid;

impl ChatRequest {
    /// What the request says of reasoning, by either of its two fields or because of what it wants of
    /// the answer; the model decides on `None`.
    pub fn thinking(&self) -> Option<bool> {
        match self.reasoning_effort.as_deref() {
            Some("none") => Some(false),
            _ => self.enable_thinking.or_else(|| self.excludes_thinking().then_some(false)),
        }
    }

    /// Whether the contract refuses reasoning beside what is asked for.
    fn excludes_thinking(&self) -> bool {
        let called = matches!(self.tool_choice, Some(ToolChoice::Required | ToolChoice::Function(_)));
        let formed = self.response_format.as_ref().is_some_and(|format| *format != ResponseFormat::Text);
        called || formed || self.is_partial()
    }

    /// Most tokens of reasoning, by either of the two fields; the model's most on `None`.
    ///
    /// `reasoning_effort` counts as the contract has it: `minimal` and `low` 4,096, `medium` 16,384,
    /// `high`, `xhigh` and `max` 262,144.
    pub fn reasoning_tokens_max(&self) -> Option<u32> {
        let effort = || match self.reasoning_effort.as_deref()? {
            "minimal" | "low" => Some(4_096),
            "medium" => Some(16_384),
            "high" | "xhigh" | "max" => Some(262_144),
            _ => None,
        };
        self.thinking_budget.or_else(effort)
    }

    pub(super) fn validate_thinking(&self) -> Result<(), Invalid> {
        if self.thinking_budget == Some(0) {
            let message = "The thinking_budget parameter must be a positive integer and not greater than the most \
                           the model reasons";
            return Err(Invalid::parameter("thinking_budget", message));
        }
        if let Some(effort) = self.reasoning_effort.as_deref() {
            let refuse = |message: &str| Err(Invalid::parameter("reasoning_effort", message));
            if !matches!(effort, "none" | "minimal" | "low" | "medium" | "high" | "xhigh" | "max") {
                return refuse(
                    "reasoning_effort is one of the strings that should be [\"none\", \"minimal\", \"low\", \
                     \"medium\", \"high\", \"xhigh\", \"max\"]",
                );
            }
            if self.thinking_budget.is_some() {
                return refuse("reasoning_effort and thinking_budget cannot both be set");
            }
            if effort == "none" && self.enable_thinking == Some(true) {
                return refuse("reasoning_effort cannot be \"none\" when enable_thinking is true");
            }
        }
        if self.enable_thinking == Some(true) && self.is_partial() {
            let at = format!("messages[{}].partial", self.messages.len() - 1);
            let message = format!("partial is not supported when enable_thinking is true - '{at}'");
            return Err(Invalid::parameter(at, message));
        }
        Ok(())
    }
}
