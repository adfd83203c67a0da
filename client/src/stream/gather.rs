//! From chunks to events and to the whole answer. Pure: no IO, no time.

use std::collections::VecDeque;

use qwenda_types::chat::{AnswerMessage, ChatChunk, ChatResponse, ChunkChoice, Delta, Logprobs, ToolCallDelta};
use serde_json::Value;

use super::{Event, Piece};
use crate::{
    Error, Result,
    error::Kind,
    reply::{Choice, Finish, Reply, ToolCall, Usage},
};

/// More choices, and more calls of one, than any service gives.
const CHOICES_MAX: usize = 128;
const CALLS_MAX: usize = 256;
/// The cloud's word for an answer that failed on its way.
const ERROR_FINISH: &str = "error_finish";

/// The answer so far.
#[derive(Debug)]
pub(crate) struct Gather {
    reply: Reply,
    open: Vec<Open>,
    /// Texts are whole in every chunk, as some models give them.
    cumulative: bool,
}

/// What is not yet in the reply's choice of the same place.
#[derive(Debug, Default)]
struct Open {
    calls: Vec<Call>,
    finished: bool,
}

#[derive(Debug)]
struct Call {
    /// Its index to the service, which some give to several calls.
    index: u32,
    id: String,
    name: String,
    arguments: String,
}

impl Call {
    /// Whether a piece with this name and arguments begins another call, where neither has an id.
    fn is_over(&self, name: &str, arguments: &str) -> bool {
        !self.name.is_empty()
            && (self.name != name || (arguments.trim_start().starts_with('{') && is_json(&self.arguments)))
    }
}

impl Gather {
    pub(crate) fn new(cumulative: bool) -> Self {
        let reply = Reply {
            id: String::new(),
            model: String::new(),
            created: 0,
            choices: Vec::new(),
            request_id: None,
            usage: None,
            cost: None,
            attempts: Vec::new(),
        };
        Self { reply, open: Vec::new(), cumulative }
    }

    /// Takes one chunk; adds what happened to `events`.
    pub(crate) fn take(&mut self, chunk: ChatChunk, events: &mut VecDeque<Event>) -> Result<()> {
        let reply = &mut self.reply;
        if reply.id.is_empty() {
            reply.id = chunk.id;
        }
        if reply.model.is_empty() {
            reply.model = chunk.model;
        }
        if reply.created == 0 {
            reply.created = chunk.created;
        }
        if let Some(usage) = chunk.usage.filter(|usage| usage.prompt_tokens + usage.completion_tokens > 0) {
            reply.usage = Some(Usage::from(usage));
        }
        chunk.choices.into_iter().try_for_each(|choice| self.choice(choice, events))
    }

    /// Takes an answer that came whole.
    pub(crate) fn take_whole(&mut self, answer: ChatResponse, events: &mut VecDeque<Event>) -> Result<()> {
        let choices = answer.choices.into_iter().map(|choice| {
            let AnswerMessage { content, reasoning_content, tool_calls, rest, .. } = choice.message;
            let calls = tool_calls.into_iter().flatten().zip(0..).map(|(call, index)| ToolCallDelta {
                index,
                id: Some(call.id),
                kind: Some(call.kind),
                function: qwenda_types::chat::FunctionDelta {
                    name: Some(call.function.name),
                    arguments: Some(call.function.arguments),
                    rest: call.function.rest,
                },
                rest: call.rest,
            });
            let delta = Delta { role: None, content, reasoning_content, tool_calls: Some(calls.collect()), rest };
            let (logprobs, finish_reason) = (choice.logprobs, choice.finish_reason);
            ChunkChoice { index: choice.index, delta, logprobs, finish_reason, rest: choice.rest }
        });
        let chunk = ChatChunk {
            id: answer.id,
            model: answer.model,
            created: answer.created,
            choices: choices.collect(),
            usage: Some(answer.usage),
            ..ChatChunk::default()
        };
        self.take(chunk, events)
    }

    /// Nothing follows. `accept_open` takes an answer without a reason for its end as one that ended.
    pub(crate) fn end(&mut self, accept_open: bool, events: &mut VecDeque<Event>) -> Result<()> {
        let open: Vec<usize> = (0..self.open.len()).filter(|place| !self.open[*place].finished).collect();
        if self.open.is_empty() || (!open.is_empty() && !accept_open) {
            let message = match (self.open.len(), open.len()) {
                (0, _) => "the stream has no answer in it".to_owned(),
                (all, open) => format!("the stream ends with {open} of {all} answers open"),
            };
            return Err(Error::of(Kind::Truncated).say(message));
        }
        for place in open {
            self.finish(place, Finish::Stop, events);
        }
        Ok(())
    }

    /// Whether anything of the answer was seen.
    pub(crate) fn is_empty(&self) -> bool {
        self.reply.choices.iter().all(|choice| choice.text.is_empty() && choice.reasoning.is_empty())
            && self.open.iter().all(|open| open.calls.is_empty() && !open.finished)
    }

    /// What there is of the answer.
    pub(crate) fn reply(&self) -> Reply {
        self.reply.clone()
    }

    pub(crate) fn into_reply(self) -> Reply {
        self.reply
    }

    fn choice(&mut self, new: ChunkChoice, events: &mut VecDeque<Event>) -> Result<()> {
        let ChunkChoice { index, delta, logprobs, finish_reason, .. } = new;
        let place = self.place(index)?;
        if self.open[place].finished {
            // Some send an empty chunk, or the last one twice.
            return Ok(());
        }
        let Delta { content, reasoning_content, tool_calls, rest, .. } = delta;
        let other = |field: &str| rest.get(field).and_then(Value::as_str).map(str::to_owned);
        // Two names are in use for reasoning; a model that declines says so in a field of its own.
        let reasoning = reasoning_content.or_else(|| other("reasoning")).unwrap_or_default();
        let text = content.filter(|text| !text.is_empty()).or_else(|| other("refusal")).unwrap_or_default();
        let choice = &mut self.reply.choices[place];
        if let Some(text) = add(&mut choice.reasoning, reasoning, self.cumulative) {
            events.push_back(Event::Reasoning(Piece { choice: index, text }));
        }
        if let Some(text) = add(&mut choice.text, text, self.cumulative) {
            events.push_back(Event::Text(Piece { choice: index, text }));
        }
        if let Some(new) = logprobs.filter(|logprobs| !logprobs.content.is_empty()) {
            choice.logprobs.get_or_insert_with(Logprobs::default).content.extend(new.content);
        }
        choice.rest.extend(rest.into_iter().filter(|(name, value)| name != "reasoning" && !value.is_null()));
        for call in tool_calls.into_iter().flatten() {
            self.call(place, call)?;
        }
        // Some write "" or "null" while an answer goes on.
        match finish_reason.filter(|reason| !matches!(reason.as_str(), "" | "null")) {
            Some(reason) if reason.as_str() == ERROR_FINISH => {
                Err(Error::of(Kind::Service).say("the service says that its answer failed (`error_finish`)"))
            }
            Some(reason) => {
                self.finish(place, Finish::of(Some(reason)), events);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The place of the choice of this index; choices may come in any order.
    fn place(&mut self, index: u32) -> Result<usize> {
        let choices = &mut self.reply.choices;
        match choices.binary_search_by_key(&index, |choice| choice.index) {
            Ok(place) => Ok(place),
            Err(_) if choices.len() == CHOICES_MAX => {
                Err(Error::of(Kind::TooLarge).say(format!("more than {CHOICES_MAX} answers to one request")))
            }
            Err(place) => {
                choices.insert(place, Choice::new(index));
                self.open.insert(place, Open::default());
                Ok(place)
            }
        }
    }

    fn call(&mut self, place: usize, new: ToolCallDelta) -> Result<()> {
        let calls = &mut self.open[place].calls;
        let id = new.id.filter(|id| !id.is_empty());
        let name = new.function.name.filter(|name| !name.is_empty());
        let arguments = new.function.arguments.unwrap_or_default();
        let same_id = id.as_ref().and_then(|id| calls.iter().rposition(|call| call.id == *id));
        let known = same_id.or_else(|| {
            let place = calls.iter().rposition(|call| call.index == new.index)?;
            let call = &calls[place];
            // The same index with another id, or with another name, is another call.
            let other = match (&id, &name) {
                (Some(_), Some(name)) if call.id.is_empty() => call.is_over(name, &arguments),
                (Some(_), Some(_)) => true,
                (None, Some(name)) => call.is_over(name, &arguments),
                (_, None) => false,
            };
            (!other).then_some(place)
        });
        // Arguments of a call that was never named belong to the one before.
        let known = known.or_else(|| name.is_none().then(|| calls.len().checked_sub(1)).flatten());
        let call = match known {
            Some(place) => &mut calls[place],
            None if calls.len() == CALLS_MAX => {
                return Err(Error::of(Kind::TooLarge).say(format!("more than {CALLS_MAX} tool calls in one answer")));
            }
            None => {
                let (id, name) = (String::new(), String::new());
                calls.push(Call { index: new.index, id, name, arguments: String::new() });
                calls.last_mut().expect("one was just pushed")
            }
        };
        if let Some(id) = id.filter(|_| call.id.is_empty()) {
            call.id = id;
        }
        if let Some(name) = name.filter(|_| call.name.is_empty()) {
            call.name = name;
        }
        call.arguments.push_str(&arguments);
        Ok(())
    }

    fn finish(&mut self, place: usize, finish: Finish, events: &mut VecDeque<Event>) {
        let open = &mut self.open[place];
        open.finished = true;
        let choice = &mut self.reply.choices[place];
        for (call, number) in std::mem::take(&mut open.calls).into_iter().zip(0..) {
            // A call that the limit cut is none.
            if call.name.is_empty() || (finish == Finish::Length && !is_json(&call.arguments)) {
                continue;
            }
            let id =
                if call.id.is_empty() { format!("call_{}_{}_{number}", self.reply.id, choice.index) } else { call.id };
            let call = ToolCall {
                choice: choice.index,
                index: choice.tool_calls.len() as u32,
                id,
                name: call.name,
                arguments: call.arguments,
            };
            events.push_back(Event::ToolCall(call.clone()));
            choice.tool_calls.push(call);
        }
        choice.finish = finish.clone();
        events.push_back(Event::Finished { choice: choice.index, finish });
    }
}

/// Adds a text and returns what is new of it.
fn add(whole: &mut String, text: String, cumulative: bool) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    let new = match text.strip_prefix(whole.as_str()) {
        Some(new) if cumulative => new.to_owned(),
        _ => text,
    };
    whole.push_str(&new);
    (!new.is_empty()).then_some(new)
}

fn is_json(text: &str) -> bool {
    text.trim().is_empty() || serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}
