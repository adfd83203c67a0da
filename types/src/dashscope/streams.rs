//! Streams, from one dialect to the other, event by event.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{Finish, Form, Frames, NativeResponse, convert::part_of_choice, frames::Part, names, request_id_of};
use crate::{
    Dialect,
    chat::{ChatChunk, ChunkChoice, Delta, ToolCallDelta, Usage},
};

/// Turns chunks of the OpenAI-compatible dialect into native frames.
#[derive(Debug)]
pub struct ChunksToFrames {
    frames: Frames,
    usage: Usage,
    rest: Map<String, Value>,
}

impl ChunksToFrames {
    /// Frames of an answer of so many choices; the request's id is the one in the chunks'.
    pub fn new(form: Form, choices: u32) -> Self {
        Self { frames: Frames::new(form, choices, String::new()), usage: Usage::default(), rest: Map::new() }
    }

    /// The frames that show what the chunk adds.
    pub fn push(&mut self, chunk: ChatChunk) -> Vec<NativeResponse> {
        self.frames.name(request_id_of(&chunk.id));
        if let Some(usage) = chunk.usage {
            self.frames.counted(&usage);
            self.usage = usage;
        }
        self.rest.extend(chunk.rest);
        if let Some(fingerprint) = chunk.system_fingerprint {
            self.rest.insert("system_fingerprint".to_owned(), fingerprint.into());
        }
        let mut frames = Vec::new();
        for choice in chunk.choices {
            let (index, finish) = (choice.index, choice.finish_reason);
            frames.extend(self.frames.add(index, part_of_chunk(choice), finish));
        }
        if let Some(first) = frames.first_mut() {
            first.output.rest.extend(names::ANSWER.to_native(&mut self.rest));
            first.rest = std::mem::take(&mut self.rest);
        }
        frames
    }

    /// The last frame, with the usage the chunks told.
    pub fn done(mut self) -> NativeResponse {
        let mut last = self.frames.done(&self.usage);
        last.output.rest.extend(names::ANSWER.to_native(&mut self.rest));
        last.rest = self.rest;
        last
    }
}

impl Frames {
    /// As [`push`](Self::push), of what a chunk adds to one choice.
    pub fn push_choice(&mut self, choice: ChunkChoice, completion_tokens: u64) -> Option<NativeResponse> {
        let (index, finish) = (choice.index, choice.finish_reason);
        let part = part_of_chunk(choice);
        self.count(index, completion_tokens, !part.reasoning.is_empty());
        self.add(index, part, finish)
    }
}

fn part_of_chunk(choice: ChunkChoice) -> Part {
    let Delta { role: _, content, reasoning_content, tool_calls, mut rest } = choice.delta;
    names::MESSAGE.cross(&mut rest, Dialect::Native);
    let calls = tool_calls.unwrap_or_default().into_iter().map(|mut call| {
        // Readers of this dialect look for an id, and for the kind, in every piece.
        call.id.get_or_insert_default();
        call.kind.get_or_insert_with(|| "function".to_owned());
        call
    });
    Part {
        text: content.unwrap_or_default(),
        reasoning: reasoning_content.unwrap_or_default(),
        calls: calls.collect(),
        logprobs: choice.logprobs.filter(|logprobs| !logprobs.content.is_empty()),
        message_rest: rest,
        choice_rest: choice.rest,
    }
}

/// Turns native frames into chunks of the OpenAI-compatible dialect.
#[derive(Debug)]
pub struct FramesToChunks {
    incremental: bool,
    created: u64,
    model: String,
    id: String,
    choices: Vec<Seen>,
    // What the last frame counted.
    usage: Usage,
    // Whether frames tell of several choices at once, and so count them together.
    together: bool,
}

/// Most choices whose frames are followed; more than any service gives.
const CHOICES_MAX: usize = 128;

/// What was shown of a choice already.
#[derive(Debug, Default)]
struct Seen {
    begun: bool,
    ended: bool,
    text: String,
    reasoning: String,
    // The arguments of the call of an index.
    calls: HashMap<u32, String>,
    logprobs: usize,
    usage: Usage,
}

impl FramesToChunks {
    /// Chunks of an answer whose frames have only what is new, or everything so far.
    /// `created` and `model` are what the native dialect does not say.
    pub fn new(incremental: bool, created: u64, model: impl Into<String>) -> Self {
        Self {
            incremental,
            created,
            model: model.into(),
            id: String::new(),
            choices: Vec::new(),
            usage: Usage::default(),
            together: false,
        }
    }

    /// The chunks that say what the frame does.
    pub fn push(&mut self, frame: NativeResponse) -> Vec<ChatChunk> {
        let answer = frame.into_chat(self.created, "");
        if !answer.id.is_empty() {
            self.id = answer.id;
        }
        if answer.usage.total_tokens > 0 {
            self.usage = answer.usage.clone();
        }
        self.together |= answer.choices.len() > 1;
        let mut chunks = Vec::new();
        for choice in answer.choices {
            let place = choice.index as usize;
            if place >= CHOICES_MAX {
                continue;
            }
            if self.choices.len() <= place {
                self.choices.resize_with(place + 1, Seen::default);
            }
            let seen = &mut self.choices[place];
            seen.usage = answer.usage.clone();
            let new = if self.incremental { part_of_choice(choice) } else { seen.beyond(part_of_choice(choice)) };
            let deltas = seen.deltas(new, choice_index(place));
            chunks.extend(deltas.into_iter().map(|delta| self.chunk(vec![delta])));
        }
        let mut rest = answer.rest;
        if let Some(tier) = answer.service_tier {
            rest.insert("service_tier".to_owned(), tier);
        }
        if chunks.is_empty() && !rest.is_empty() {
            chunks.push(self.chunk(Vec::new()));
        }
        if let Some(first) = chunks.first_mut() {
            first.rest = rest;
            first.system_fingerprint = answer.system_fingerprint;
        }
        chunks
    }

    /// The chunk that tells the usage. Where there are several choices, frames that tell of one count its own.
    /// What the last frame says of the prompt is exact.
    pub fn done(mut self) -> ChatChunk {
        let mut usage = std::mem::take(&mut self.usage);
        if self.choices.len() > 1 && !self.together {
            let sum = |count: fn(&Usage) -> u64| {
                self.choices.iter().fold(0_u64, |sum, seen| sum.saturating_add(count(&seen.usage)))
            };
            usage.completion_tokens = sum(|usage| usage.completion_tokens);
            usage.completion_tokens_details.reasoning_tokens =
                sum(|usage| usage.completion_tokens_details.reasoning_tokens);
            usage.total_tokens = usage.prompt_tokens.saturating_add(usage.completion_tokens);
        }
        ChatChunk { usage: Some(usage), ..self.chunk(Vec::new()) }
    }

    fn chunk(&self, choices: Vec<ChunkChoice>) -> ChatChunk {
        ChatChunk {
            id: self.id.clone(),
            object: "chat.completion.chunk".to_owned(),
            created: self.created,
            model: self.model.clone(),
            choices,
            ..ChatChunk::default()
        }
    }
}

impl Seen {
    /// What the frame has beyond what was shown; frames of this kind repeat everything.
    fn beyond(&mut self, whole: (Part, Finish)) -> (Part, Finish) {
        let (mut part, finish) = whole;
        part.text = beyond(&mut self.text, part.text);
        part.reasoning = beyond(&mut self.reasoning, part.reasoning);
        part.calls = std::mem::take(&mut part.calls).into_iter().filter_map(|call| self.beyond_call(call)).collect();
        if let Some(logprobs) = &mut part.logprobs {
            let shown = self.logprobs.min(logprobs.content.len());
            self.logprobs = logprobs.content.len();
            logprobs.content.drain(..shown);
        }
        (part, finish)
    }

    fn beyond_call(&mut self, mut call: ToolCallDelta) -> Option<ToolCallDelta> {
        let Some(shown) = self.calls.get_mut(&call.index) else {
            self.calls.insert(call.index, call.function.arguments.clone().unwrap_or_default());
            return Some(call);
        };
        let more = beyond(shown, call.function.arguments.unwrap_or_default());
        (call.id, call.kind, call.function.name) = (None, None, None);
        call.function.arguments = Some(more.clone());
        (!more.is_empty()).then_some(call)
    }

    fn deltas(&mut self, new: (Part, Finish), index: u32) -> Vec<ChunkChoice> {
        let (part, Finish(finish)) = new;
        let mut deltas = Vec::new();
        let mut delta = |delta, logprobs| {
            deltas.push(ChunkChoice { index, delta, logprobs, ..ChunkChoice::default() });
        };
        if !std::mem::replace(&mut self.begun, true) {
            let role = Some("assistant".to_owned());
            let reasons = !part.reasoning.is_empty();
            let (content, reasoning_content) =
                if reasons { (None, Some(String::new())) } else { (Some(String::new()), None) };
            delta(Delta { role, content, reasoning_content, ..Delta::default() }, None);
        }
        if !part.reasoning.is_empty() {
            delta(Delta { reasoning_content: Some(part.reasoning), ..Delta::default() }, None);
        }
        let logprobs = part.logprobs.filter(|logprobs| !logprobs.content.is_empty());
        if !part.text.is_empty() || logprobs.is_some() {
            delta(Delta { content: Some(part.text), ..Delta::default() }, logprobs);
        }
        if !part.calls.is_empty() {
            let calls = part.calls.into_iter().map(piece_of_call).collect();
            delta(Delta { tool_calls: Some(calls), ..Delta::default() }, None);
        }
        if finish.is_some() && !std::mem::replace(&mut self.ended, true) {
            delta(Delta { content: Some(String::new()), ..Delta::default() }, None);
            if let Some(last) = deltas.last_mut() {
                last.finish_reason = finish;
            }
        }
        let nameless = !part.message_rest.is_empty() || !part.choice_rest.is_empty();
        if deltas.is_empty() && nameless {
            let delta = Delta { content: Some(String::new()), ..Delta::default() };
            deltas.push(ChunkChoice { index, delta, ..ChunkChoice::default() });
        }
        if let Some(first) = deltas.first_mut() {
            first.delta.rest = part.message_rest;
            first.rest = part.choice_rest;
        }
        deltas
    }
}

fn choice_index(place: usize) -> u32 {
    u32::try_from(place).expect("a place is below CHOICES_MAX")
}

/// What `whole` has beyond `shown`, which becomes it. An answer that was written anew is shown whole.
fn beyond(shown: &mut String, whole: String) -> String {
    let more = whole.strip_prefix(shown.as_str()).map(str::to_owned);
    *shown = whole;
    more.unwrap_or_else(|| shown.clone())
}

/// Later pieces say neither id nor name; natively they say empty ones.
fn piece_of_call(mut call: ToolCallDelta) -> ToolCallDelta {
    let given = |text: &String| !text.is_empty();
    call.id = call.id.filter(given);
    call.function.name = call.function.name.filter(given);
    if call.id.is_none() && call.function.name.is_none() {
        call.kind = None;
    }
    call
}
