//! Whole answers, from one dialect to the other and back.
//!
//! The native dialect has no place for `created` and `model`, which whoever reads an answer knows
//! from the request; everything else is kept, what has no name in the members of the same level.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Endpoint, Finish, Form, NativeChoice, NativeContent, NativeMessage, NativeOutput, NativeResponse, NativeUsage,
    ResultFormat,
    frames::{Part, content, text_output},
    names::{self, take_object, take_text},
};
use crate::{
    Dialect,
    chat::{AnswerMessage, ChatResponse, Choice, FunctionCall, FunctionDelta, ToolCall, ToolCallDelta, Usage},
};

/// Members of an answer of the OpenAI-compatible dialect that stand in `rest` of a native one.
const ANSWER_FIELDS: [&str; 2] = ["service_tier", "system_fingerprint"];

/// The id a completion has in the OpenAI-compatible dialect.
pub fn completion_id(request_id: &str) -> String {
    if is_uuid(request_id) { format!("chatcmpl-{request_id}") } else { request_id.to_owned() }
}

/// The id of the request behind a completion.
pub fn request_id_of(completion_id: &str) -> &str {
    completion_id.strip_prefix("chatcmpl-").filter(|id| is_uuid(id)).unwrap_or(completion_id)
}

fn is_uuid(id: &str) -> bool {
    id.len() == 36
        && id.bytes().enumerate().all(|(i, byte)| match i {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

impl NativeResponse {
    /// The same answer in the native dialect.
    pub fn from_chat(response: ChatResponse, form: Form) -> Self {
        let mut rest = response.rest;
        let output_rest = names::ANSWER.to_native(&mut rest);
        let fields = [response.service_tier, response.system_fingerprint.map(Value::String)];
        put(&mut rest, ANSWER_FIELDS.into_iter().zip(fields));
        let mut choices = response.choices;
        let as_text = form.result_format == ResultFormat::Text
            && form.endpoint == Endpoint::Text
            && choices.len() == 1
            && choices.iter().all(|choice| choice.index == 0 && !has_calls(&choice.message));
        let mut output = match choices.pop() {
            Some(only) if as_text => {
                let (part, finish) = part_of_choice(only);
                text_output(part, finish.0)
            }
            last => {
                let several = !choices.is_empty();
                let choices = choices.into_iter().chain(last);
                let choices = choices.map(|choice| choice_to_native(choice, form.endpoint, several)).collect();
                NativeOutput { choices, ..NativeOutput::default() }
            }
        };
        output.rest.extend(output_rest);
        Self {
            output,
            usage: NativeUsage::from(&response.usage),
            request_id: request_id_of(&response.id).to_owned(),
            rest,
        }
    }

    /// The same answer in the OpenAI-compatible dialect; `created` and `model` are what the native one does not say.
    pub fn into_chat(self, created: u64, model: impl Into<String>) -> ChatResponse {
        let Self { output, usage, request_id, mut rest } = self;
        let [service_tier] = take(&mut rest, [ANSWER_FIELDS[0]]);
        let system_fingerprint = take_text(&mut rest, ANSWER_FIELDS[1]);
        let NativeOutput { text, finish_reason, choices, rest: mut output_rest } = output;
        let choices = match text {
            Some(text) if choices.is_empty() => {
                vec![choice_of_text(text, finish_reason.unwrap_or_default(), &mut output_rest)]
            }
            _ => choices.into_iter().zip(0..).map(|(choice, place)| choice_to_chat(choice, place)).collect(),
        };
        names::ANSWER.to_compat(&mut rest, output_rest);
        ChatResponse {
            id: completion_id(&request_id),
            object: "chat.completion".to_owned(),
            created,
            model: model.into(),
            choices,
            usage: Usage::from(&usage),
            service_tier,
            system_fingerprint,
            rest,
        }
    }
}

fn has_calls(message: &AnswerMessage) -> bool {
    message.tool_calls.as_ref().is_some_and(|calls| !calls.is_empty())
}

/// Puts fields that are set among those without a name.
fn put<'a>(rest: &mut Map<String, Value>, fields: impl IntoIterator<Item = (&'a str, Option<Value>)>) {
    for (name, value) in fields {
        if let Some(value) = value {
            rest.insert(name.to_owned(), value);
        }
    }
}

/// Takes them back.
fn take<const N: usize>(rest: &mut Map<String, Value>, names: [&str; N]) -> [Option<Value>; N] {
    names.map(|name| rest.shift_remove(name).filter(|value| !value.is_null()))
}

/// What a message of the OpenAI-compatible dialect has that the native one has no name for.
const MESSAGE_FIELDS: [&str; 3] = ["refusal", "audio", "function_call"];
/// Content that is more than text, which the OpenAI-compatible dialect has no place for.
const CONTENT_PARTS: &str = "content_parts";

/// The choice as the maker of frames takes it.
pub(super) fn part_of_choice(choice: Choice) -> (Part, Finish) {
    let AnswerMessage { role: _, content, reasoning_content, refusal, audio, function_call, tool_calls, rest } =
        choice.message;
    let mut message_rest = rest;
    names::MESSAGE.cross(&mut message_rest, Dialect::Native);
    put(&mut message_rest, MESSAGE_FIELDS.into_iter().zip([refusal.map(Value::String), audio, function_call]));
    let part = Part {
        text: content.unwrap_or_default(),
        reasoning: reasoning_content.unwrap_or_default(),
        calls: tool_calls
            .unwrap_or_default()
            .into_iter()
            .zip(0..)
            .map(|(call, place)| call_to_native(call, place))
            .collect(),
        logprobs: choice.logprobs,
        message_rest,
        choice_rest: choice.rest,
    };
    (part, Finish(choice.finish_reason))
}

fn choice_to_native(choice: Choice, endpoint: Endpoint, several: bool) -> NativeChoice {
    let index = (several || choice.index > 0).then_some(choice.index);
    let role = choice.message.role.clone();
    let reasoned = choice.message.reasoning_content.is_some();
    let (mut part, finish_reason) = part_of_choice(choice);
    let parts = part.message_rest.get(CONTENT_PARTS).map(Vec::deserialize);
    let content = match parts {
        Some(Ok(parts)) => {
            part.message_rest.shift_remove(CONTENT_PARTS);
            NativeContent::Parts(parts)
        }
        _ => content(endpoint, part.text),
    };
    let message = NativeMessage {
        role,
        content,
        reasoning_content: reasoned.then_some(part.reasoning),
        tool_calls: part.calls,
        rest: part.message_rest,
    };
    NativeChoice { index, finish_reason, message, logprobs: part.logprobs, rest: part.choice_rest }
}

fn choice_to_chat(choice: NativeChoice, place: u32) -> Choice {
    let NativeChoice { index, finish_reason, message, logprobs, rest } = choice;
    Choice {
        index: index.unwrap_or(place),
        finish_reason: finish_reason.0,
        logprobs,
        message: message_to_chat(message),
        rest,
    }
}

fn message_to_chat(message: NativeMessage) -> AnswerMessage {
    let NativeMessage { role, content, reasoning_content, tool_calls, mut rest } = message;
    let refusal = take_text(&mut rest, MESSAGE_FIELDS[0]);
    let [audio, function_call] = take(&mut rest, [MESSAGE_FIELDS[1], MESSAGE_FIELDS[2]]);
    names::MESSAGE.cross(&mut rest, Dialect::Compat);
    if content.has_media() {
        rest.insert(CONTENT_PARTS.to_owned(), serde_json::to_value(&content).expect("parts are JSON"));
    }
    let tool_calls: Vec<ToolCall> = tool_calls.into_iter().map(call_to_chat).collect();
    AnswerMessage {
        role,
        content: Some(content.text()),
        reasoning_content,
        refusal,
        audio,
        function_call,
        tool_calls: (!tool_calls.is_empty()).then_some(tool_calls),
        rest,
    }
}

/// The choice of an `output.text`.
fn choice_of_text(text: String, finish: Finish, output: &mut Map<String, Value>) -> Choice {
    let [logprobs] = take(output, ["logprobs"]);
    let (message_rest, choice_rest) = (take_object(output, "message"), take_object(output, "choice"));
    let message = NativeMessage {
        role: "assistant".to_owned(),
        content: content(Endpoint::Text, text),
        reasoning_content: take_text(output, "reasoning_content"),
        tool_calls: Vec::new(),
        rest: message_rest,
    };
    let logprobs = logprobs.and_then(|logprobs| serde_json::from_value(logprobs).ok());
    choice_to_chat(NativeChoice { index: None, finish_reason: finish, message, logprobs, rest: choice_rest }, 0)
}

fn call_to_native(call: ToolCall, place: u32) -> ToolCallDelta {
    let ToolCall { id, kind, function, mut rest } = call;
    let index = rest.get("index").and_then(Value::as_u64).and_then(|index| u32::try_from(index).ok());
    if index.is_some() {
        rest.shift_remove("index");
    }
    let FunctionCall { name, arguments, rest: function_rest } = function;
    let function = FunctionDelta { name: Some(name), arguments: Some(arguments), rest: function_rest };
    ToolCallDelta { index: index.unwrap_or(place), id: Some(id), kind: Some(kind), function, rest }
}

fn call_to_chat(call: ToolCallDelta) -> ToolCall {
    let ToolCallDelta { index, id, kind, function, rest } = call;
    let FunctionDelta { name, arguments, rest: function_rest } = function;
    let mut chat =
        ToolCall::new(index, id.unwrap_or_default(), name.unwrap_or_default(), arguments.unwrap_or_default());
    if let Some(kind) = kind {
        chat.kind = kind;
    }
    chat.function.rest = function_rest;
    chat.rest.extend(rest);
    chat
}
