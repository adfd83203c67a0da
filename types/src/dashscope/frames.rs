//! Writes an answer in the native dialect, piece by piece or whole.
//!
//! Each frame has only what is new, or everything so far; both carry the usage so far. The frame
//! that ends the stream also carries the exact usage, so a last `finish_reason` waits for it.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{
    Endpoint, Finish, Form, NativeChoice, NativeContent, NativeMessage, NativeOutput, NativeResponse, NativeUsage,
    OutputTokensDetails, ResultFormat,
};
use crate::chat::{FinishReason, FunctionDelta, Logprobs, TokenLogprob, ToolCallDelta, Usage};

/// One thing an answer is made of.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// More text.
    Text {
        /// Which answer, from 0.
        choice: u32,
        /// The text.
        text: String,
        /// Log-probabilities of its tokens, when asked for.
        logprobs: Vec<TokenLogprob>,
    },
    /// More reasoning.
    Reasoning {
        /// Which answer, from 0.
        choice: u32,
        /// The text.
        text: String,
    },
    /// A call begins.
    ToolCall {
        /// Which answer, from 0.
        choice: u32,
        /// Which of its calls, from 0.
        index: u32,
        /// The call's id.
        id: String,
        /// The function's name.
        name: String,
    },
    /// More of a call's arguments.
    ToolArguments {
        /// Which answer, from 0.
        choice: u32,
        /// Which of its calls, from 0.
        index: u32,
        /// The pieces concatenate to JSON.
        text: String,
    },
    /// An answer ends.
    Finished {
        /// Which answer, from 0.
        choice: u32,
        /// Why.
        reason: FinishReason,
    },
}

/// Makes frames, or the whole answer, of pieces.
///
/// # Example
/// ```
/// use qwenda_types::{chat::{FinishReason, Usage}, dashscope::{Endpoint, Form, Frames, Piece, ResultFormat}};
/// let form = Form { endpoint: Endpoint::Text, result_format: ResultFormat::Text, incremental: false };
/// let mut frames = Frames::new(form, 1, "some-id");
/// frames.started(3, 0);
/// let text = |text: &str| Piece::Text { choice: 0, text: text.to_owned(), logprobs: Vec::new() };
/// assert_eq!(frames.push(text("I"), 1).unwrap().output.text.unwrap(), "I");
/// assert_eq!(frames.push(text(" am"), 2).unwrap().output.text.unwrap(), "I am");
/// assert!(frames.push(Piece::Finished { choice: 0, reason: FinishReason::Stop }, 2).is_none());
/// let last = frames.done(&Usage::new(3, 3, 0, 0));
/// assert_eq!((last.output.text.unwrap().as_str(), last.usage.output_tokens), ("I am", 3));
/// ```
#[derive(Debug, Clone)]
pub struct Frames {
    form: Form,
    request_id: String,
    prompt_tokens: u64,
    cached_tokens: u64,
    choices: Vec<State>,
    // The choice whose end waits for the exact usage.
    last: Option<usize>,
}

#[derive(Debug, Clone, Default)]
struct State {
    // Everything so far; only kept where a frame, or the whole answer, needs it.
    whole: Part,
    // Where in it the call of an index is.
    calls: HashMap<u32, usize>,
    reasoned: bool,
    completion_tokens: u64,
    reasoning_tokens: u64,
    finish: Option<FinishReason>,
}

/// What is new of a choice, or all of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Part {
    pub(super) text: String,
    pub(super) reasoning: String,
    pub(super) calls: Vec<ToolCallDelta>,
    pub(super) logprobs: Option<Logprobs>,
    pub(super) message_rest: Map<String, Value>,
    pub(super) choice_rest: Map<String, Value>,
}

impl Frames {
    /// Frames of an answer of so many choices.
    pub fn new(form: Form, choices: u32, request_id: impl Into<String>) -> Self {
        let choices = vec![State::default(); choices.max(1) as usize];
        Self { form, request_id: request_id.into(), prompt_tokens: 0, cached_tokens: 0, choices, last: None }
    }

    /// The prompt was accepted.
    pub fn started(&mut self, prompt_tokens: u64, cached_tokens: u64) {
        (self.prompt_tokens, self.cached_tokens) = (prompt_tokens, cached_tokens);
    }

    /// The request's id, where it is known only once the answer begins.
    pub(super) fn name(&mut self, request_id: &str) {
        if self.request_id.is_empty() {
            self.request_id = request_id.to_owned();
        }
    }

    /// What an upstream counted so far, if it says so before the end.
    pub(super) fn counted(&mut self, usage: &Usage) {
        self.started(usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens);
        if let [only] = self.choices.as_mut_slice() {
            only.completion_tokens = usage.completion_tokens;
            only.reasoning_tokens = usage.completion_tokens_details.reasoning_tokens;
        }
    }

    /// Takes a piece and makes the frame that shows it. `completion_tokens` is the count of the
    /// piece's choice so far. The end of the last open choice makes none: [`done`](Self::done) does.
    pub fn push(&mut self, piece: Piece, completion_tokens: u64) -> Option<NativeResponse> {
        self.count_piece(&piece, completion_tokens);
        let (choice, part, finish) = part_of(piece);
        self.add(choice, part, finish)
    }

    /// Takes a piece for [`whole`](Self::whole), without making a frame.
    pub fn keep(&mut self, piece: Piece, completion_tokens: u64) {
        self.count_piece(&piece, completion_tokens);
        let (choice, part, finish) = part_of(piece);
        if let Some(state) = self.choices.get_mut(choice as usize) {
            state.take(part);
            state.finish = finish.or(state.finish);
        }
    }

    /// The last frame.
    pub fn done(&mut self, usage: &Usage) -> NativeResponse {
        let place = self.last.take().unwrap_or(0);
        let mut exact = NativeUsage::from(usage);
        if self.choices.len() > 1 {
            // A frame counts its own choice; so together they count what was counted.
            let others = self.choices.iter().enumerate().filter(|(other, _)| *other != place);
            let others: u64 = others.map(|(_, state)| state.completion_tokens).sum();
            exact.output_tokens = usage.completion_tokens.saturating_sub(others);
            exact.total_tokens = exact.input_tokens.saturating_add(exact.output_tokens);
        }
        let part = if self.form.incremental { Part::default() } else { self.choices[place].whole.clone() };
        let output = self.output(place, part, self.choices[place].finish);
        self.response(output, exact.with_text_tokens())
    }

    /// The whole answer, of what was [kept](Self::keep).
    pub fn whole(mut self, usage: &Usage) -> NativeResponse {
        let usage = NativeUsage::from(usage).with_text_tokens();
        let mut output = NativeOutput::default();
        for place in 0..self.choices.len() {
            let part = std::mem::take(&mut self.choices[place].whole);
            let one = self.output(place, part, self.choices[place].finish);
            output.choices.extend(one.choices.iter().cloned());
            if one.text.is_some() {
                output = one;
            }
        }
        self.response(output, usage)
    }

    /// Takes what is new of a choice and makes its frame, unless it ends the last open one.
    pub(super) fn add(&mut self, choice: u32, part: Part, finish: Option<FinishReason>) -> Option<NativeResponse> {
        let place = choice as usize;
        let state = self.choices.get_mut(place)?;
        state.reasoned |= !part.reasoning.is_empty();
        let empty = part == Part::default();
        let shown = if self.form.incremental {
            part
        } else {
            state.take(part);
            state.whole.clone()
        };
        if finish.is_some() {
            state.finish = finish;
            if self.choices.iter().all(|state| state.finish.is_some()) {
                self.last = Some(place);
                // What came with the end is shown before it.
                return (!empty).then(|| self.frame(place, shown, None));
            }
        } else if empty {
            return None;
        }
        Some(self.frame(place, shown, finish))
    }

    fn count_piece(&mut self, piece: &Piece, completion_tokens: u64) {
        let (choice, reasoning) = match piece {
            Piece::Reasoning { choice, .. } => (choice, true),
            Piece::Text { choice, .. }
            | Piece::ToolCall { choice, .. }
            | Piece::ToolArguments { choice, .. }
            | Piece::Finished { choice, .. } => (choice, false),
        };
        self.count(*choice, completion_tokens, reasoning);
    }

    /// Counts the tokens of a choice so far; all of them are reasoning while it reasons.
    pub(super) fn count(&mut self, choice: u32, completion_tokens: u64, reasoning: bool) {
        let Some(state) = self.choices.get_mut(choice as usize) else { return };
        state.completion_tokens = state.completion_tokens.max(completion_tokens);
        if reasoning {
            state.reasoning_tokens = state.completion_tokens;
        }
    }

    fn frame(&self, place: usize, part: Part, finish: Option<FinishReason>) -> NativeResponse {
        let state = &self.choices[place];
        let mut usage = NativeUsage {
            input_tokens: self.prompt_tokens,
            output_tokens: state.completion_tokens,
            total_tokens: self.prompt_tokens.saturating_add(state.completion_tokens),
            ..NativeUsage::default()
        };
        usage.prompt_tokens_details.cached_tokens = self.cached_tokens;
        if state.reasoning_tokens > 0 {
            let reasoning_tokens = state.reasoning_tokens;
            usage.output_tokens_details = Some(OutputTokensDetails { reasoning_tokens, rest: Map::new() });
        }
        self.response(self.output(place, part, finish), usage.with_text_tokens())
    }

    fn response(&self, output: NativeOutput, usage: NativeUsage) -> NativeResponse {
        NativeResponse { output, usage, request_id: self.request_id.clone(), rest: Map::new() }
    }

    fn output(&self, place: usize, part: Part, finish: Option<FinishReason>) -> NativeOutput {
        let state = &self.choices[place];
        let reasoned = state.reasoned || !part.reasoning.is_empty();
        if self.form.result_format == ResultFormat::Text && part.calls.is_empty() && self.choices.len() == 1 {
            return text_output(part, finish);
        }
        let message = NativeMessage {
            role: "assistant".to_owned(),
            content: content(self.form.endpoint, part.text),
            reasoning_content: reasoned.then_some(part.reasoning),
            tool_calls: part.calls,
            rest: part.message_rest,
        };
        let choice = NativeChoice {
            index: (self.choices.len() > 1).then_some(place as u32),
            finish_reason: Finish(finish),
            message,
            logprobs: part.logprobs,
            rest: part.choice_rest,
        };
        NativeOutput { choices: vec![choice], ..NativeOutput::default() }
    }
}

impl State {
    fn take(&mut self, part: Part) {
        let whole = &mut self.whole;
        self.reasoned |= !part.reasoning.is_empty();
        whole.text.push_str(&part.text);
        whole.reasoning.push_str(&part.reasoning);
        for call in part.calls {
            take_call(&mut whole.calls, &mut self.calls, call);
        }
        if let Some(more) = part.logprobs {
            whole.logprobs.get_or_insert_with(Logprobs::default).content.extend(more.content);
        }
        whole.message_rest.extend(part.message_rest);
        whole.choice_rest.extend(part.choice_rest);
    }
}

/// Adds a piece of a call to the calls so far.
fn take_call(calls: &mut Vec<ToolCallDelta>, places: &mut HashMap<u32, usize>, piece: ToolCallDelta) {
    let place = *places.entry(piece.index).or_insert(calls.len());
    let Some(call) = calls.get_mut(place) else {
        calls.push(piece);
        return;
    };
    let given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    if given(&piece.id) {
        call.id = piece.id;
    }
    if given(&piece.kind) {
        call.kind = piece.kind;
    }
    if given(&piece.function.name) {
        call.function.name = piece.function.name;
    }
    if let Some(more) = piece.function.arguments {
        call.function.arguments.get_or_insert_default().push_str(&more);
    }
    call.rest.extend(piece.rest);
    call.function.rest.extend(piece.function.rest);
}

pub(super) fn content(endpoint: Endpoint, text: String) -> NativeContent {
    match endpoint {
        Endpoint::Text => NativeContent::Text(text),
        Endpoint::Multimodal => NativeContent::Parts(vec![Map::from_iter([("text".to_owned(), text.into())])]),
    }
}

/// `output.text`; what has no place in this format stands beside it.
pub(super) fn text_output(part: Part, finish: Option<FinishReason>) -> NativeOutput {
    let mut rest = Map::new();
    for (name, more) in [("message", part.message_rest), ("choice", part.choice_rest)] {
        if !more.is_empty() {
            rest.insert(name.to_owned(), more.into());
        }
    }
    if !part.reasoning.is_empty() {
        rest.insert("reasoning_content".to_owned(), part.reasoning.into());
    }
    if let Some(logprobs) = part.logprobs {
        rest.insert("logprobs".to_owned(), serde_json::to_value(logprobs).expect("numbers and texts are JSON"));
    }
    NativeOutput { text: Some(part.text), finish_reason: Some(Finish(finish)), choices: Vec::new(), rest }
}

fn part_of(piece: Piece) -> (u32, Part, Option<FinishReason>) {
    let function = |name, arguments| FunctionDelta { name, arguments, rest: Map::new() };
    let call = |index, id: String, function| ToolCallDelta {
        index,
        id: Some(id),
        kind: Some("function".to_owned()),
        function,
        rest: Map::new(),
    };
    match piece {
        Piece::Text { choice, text, logprobs } => {
            let logprobs = (!logprobs.is_empty()).then_some(Logprobs { content: logprobs, refusal: None });
            (choice, Part { text, logprobs, ..Part::default() }, None)
        }
        Piece::Reasoning { choice, text } => (choice, Part { reasoning: text, ..Part::default() }, None),
        Piece::ToolCall { choice, index, id, name } => {
            let calls = vec![call(index, id, function(Some(name), Some(String::new())))];
            (choice, Part { calls, ..Part::default() }, None)
        }
        Piece::ToolArguments { choice, index, text } => {
            // Readers that update their copy with each piece must not lose the id; an empty one does nothing.
            let calls = vec![call(index, String::new(), function(None, Some(text)))];
            (choice, Part { calls, ..Part::default() }, None)
        }
        Piece::Finished { choice, reason } => (choice, Part::default(), Some(reason)),
    }
}
