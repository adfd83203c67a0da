//! Which values a request may carry, with the contract's own sentences.

use super::{ChatRequest, Content, Message, Role, Stop};
use crate::error::{Code, Invalid};

/// The seed of a request that names none.
pub const SEED_DEFAULT: u64 = 1234;
/// Largest seed.
pub const SEED_MAX: u64 = (1 << 31) - 1;
/// Most answers to one request.
pub const N_MAX: u32 = 4;
/// Most rivals reported for a token.
pub const TOP_LOGPROBS_MAX: u8 = 5;
/// Most stops of one request: each is looked for after every token.
pub const STOP_COUNT_MAX: usize = 64;
/// Longest stop string in bytes, and longest run of stop tokens.
pub const STOP_BYTES_MAX: usize = 1024;
/// Most entries of `logit_bias`: each is added at every token.
pub const LOGIT_BIAS_MAX: usize = 1024;

/// What the model that will answer allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most tokens of one answer.
    pub output_tokens_max: u32,
}

impl ChatRequest {
    /// Checks every value that needs no model to be judged.
    ///
    /// # Errors
    /// The first value out of range, or message out of place, with the contract's sentence.
    pub fn validate(&self) -> Result<(), Invalid> {
        self.validate_sampling()?;
        self.validate_stop()?;
        validate_order(&self.messages)
    }

    /// Checks the values that only the model can bound.
    ///
    /// # Errors
    /// `Range of max_tokens should be [1, xxx]` with the model's number.
    pub fn validate_limits(&self, limits: Limits) -> Result<(), Invalid> {
        for (field, value) in [("max_tokens", self.max_tokens), ("max_completion_tokens", self.max_completion_tokens)] {
            if value.is_some_and(|v| v == 0 || v > limits.output_tokens_max) {
                let message = format!("Range of {field} should be [1, {}]", limits.output_tokens_max);
                return Err(Invalid::of(Code::ModelParameter, field, message));
            }
        }
        Ok(())
    }

    fn validate_sampling(&self) -> Result<(), Invalid> {
        let within = |value: Option<f64>, ok: fn(f64) -> bool, field, message: &str| match value {
            Some(v) if !ok(v) => Err(Invalid::parameter(field, message)),
            _ => Ok(()),
        };
        within(self.temperature, |v| (0.0..2.0).contains(&v), "temperature", "Temperature should be in [0.0, 2.0)")?;
        within(self.top_p, |v| v > 0.0 && v <= 1.0, "top_p", "Range of top_p should be (0.0, 1.0]")?;
        within(self.min_p, |v| (0.0..=1.0).contains(&v), "min_p", "Range of min_p should be [0.0, 1.0]")?;
        within(
            self.presence_penalty,
            |v| (-2.0..=2.0).contains(&v),
            "presence_penalty",
            "Presence_penalty should be in [-2.0, 2.0]",
        )?;
        within(
            self.frequency_penalty,
            |v| (-2.0..=2.0).contains(&v),
            "frequency_penalty",
            "Frequency_penalty should be in [-2.0, 2.0]",
        )?;
        within(
            self.repetition_penalty,
            |v| v > 0.0 && v.is_finite(),
            "repetition_penalty",
            "Repetition_penalty should be greater than 0.0",
        )?;
        if self.n.is_some_and(|n| n == 0 || n > N_MAX) {
            return Err(Invalid::parameter("n", format!("Range of n should be [1, {N_MAX}]")));
        }
        if let Some(seed) = self.seed.filter(|seed| *seed > SEED_MAX) {
            let message = format!("{seed} is greater than the maximum of {SEED_MAX} - 'seed'");
            return Err(Invalid::of(Code::InvalidValue, "seed", message));
        }
        if let Some(top) = self.top_logprobs {
            if top > TOP_LOGPROBS_MAX {
                let message = format!("Range of top_logprobs should be [0, {TOP_LOGPROBS_MAX}]");
                return Err(Invalid::parameter("top_logprobs", message));
            }
            if top > 0 && !self.logprobs {
                let message = "top_logprobs can only be set when logprobs is true";
                return Err(Invalid::parameter("top_logprobs", message));
            }
        }
        if self.logit_bias.len() > LOGIT_BIAS_MAX {
            let message = format!("logit_bias has {} entries, more than {LOGIT_BIAS_MAX}", self.logit_bias.len());
            return Err(Invalid::parameter("logit_bias", message));
        }
        if self.logit_bias.values().any(|bias| !(-100.0..=100.0).contains(bias)) {
            return Err(Invalid::parameter("logit_bias", "Values of logit_bias should be in [-100, 100]"));
        }
        Ok(())
    }

    fn validate_stop(&self) -> Result<(), Invalid> {
        let (count, longest, shortest) = match &self.stop {
            None => return Ok(()),
            Some(Stop::One(text)) => (1, text.len(), text.len()),
            Some(Stop::Strings(texts)) => bounds(texts.iter().map(String::len)),
            Some(Stop::Tokens(ids)) => (ids.len(), 1, 1),
            Some(Stop::TokenLists(lists)) => bounds(lists.iter().map(Vec::len)),
        };
        if count > STOP_COUNT_MAX {
            let message = format!("stop has {count} elements, more than {STOP_COUNT_MAX}");
            return Err(Invalid::parameter("stop", message));
        }
        if count > 0 && shortest == 0 {
            return Err(Invalid::parameter("stop", "stop must not have an empty element"));
        }
        if longest > STOP_BYTES_MAX {
            let message = format!("an element of stop is {longest} long, more than {STOP_BYTES_MAX}");
            return Err(Invalid::parameter("stop", message));
        }
        Ok(())
    }
}

fn bounds(lengths: impl Iterator<Item = usize>) -> (usize, usize, usize) {
    lengths.fold((0, 0, usize::MAX), |(count, longest, shortest), length| {
        (count + 1, longest.max(length), shortest.min(length))
    })
}

fn validate_order(messages: &[Message]) -> Result<(), Invalid> {
    let Some((last, before)) = messages.split_last() else {
        return Err(Invalid::parameter("messages", "[] is too short - 'messages'"));
    };
    let mut open: Vec<&str> = Vec::new();
    // Whether the messages since the last call-making turn are all tool messages.
    let mut answering = false;
    for (i, message) in messages.iter().enumerate() {
        if message.role == Role::Tool {
            let answered = open.iter().position(|id| Some(*id) == message.tool_call_id.as_deref());
            match answered {
                Some(place) if answering => {
                    open.swap_remove(place);
                }
                _ => {
                    return Err(Invalid::parameter(
                        format!("messages[{i}].role"),
                        format!(
                            "messages with role \"tool\" must be a response to a preceeding message with \
                             \"tool_calls\" - 'messages[{i}]'"
                        ),
                    ));
                }
            }
            continue;
        }
        unanswered(&open, i)?;
        answering = !message.tool_calls.is_empty();
        open = message.tool_calls.iter().map(|call| call.id.as_str()).collect();
    }
    unanswered(&open, messages.len())?;

    if !messages.iter().any(|m| m.role == Role::User) {
        let message = "The input messages do not contain elements with the role of user.";
        return Err(Invalid::parameter("messages", message));
    }
    if let Some(i) = before.iter().position(|m| m.partial) {
        let message = format!("partial can only be set in the last message - 'messages[{i}].partial'");
        return Err(Invalid::parameter(format!("messages[{i}].partial"), message));
    }
    match last.role {
        Role::User | Role::Tool => Ok(()),
        Role::Assistant if last.partial && last.tool_calls.is_empty() => Ok(()),
        role => Err(Invalid::parameter(
            format!("messages[{}].role", before.len()),
            format!(
                "The last message must have the role user or tool, or be an assistant message with \
                 \"partial\": true; it has the role {role} - 'messages[{}]'",
                before.len()
            ),
        )),
    }
}

fn unanswered(open: &[&str], before: usize) -> Result<(), Invalid> {
    match open.first() {
        None => Ok(()),
        Some(id) => Err(Invalid::parameter(
            "messages",
            format!(
                "An assistant message with \"tool_calls\" must be followed by tool messages responding to each \
                 \"tool_call_id\". \"{}\" has no answer before 'messages[{before}]'",
                id.chars().take(80).collect::<String>()
            ),
        )),
    }
}

impl ChatRequest {
    /// The first part of a message that is not text, as `(path, kind)`.
    ///
    /// Models that read text only refuse it by this name.
    pub fn first_media_part(&self) -> Option<(String, &str)> {
        self.messages.iter().enumerate().find_map(|(i, message)| match &message.content {
            Some(Content::Parts(parts)) => parts
                .iter()
                .enumerate()
                .find(|(_, part)| part.kind != "text")
                .map(|(k, part)| (format!("messages[{i}].content[{k}]"), part.kind.as_str())),
            _ => None,
        })
    }
}
