//! From what an upstream streams to what we know of an answer: chunks in, [`ChatEvent`]s out.

use qwenda_types::{
    chat::{ChatChunk, ChunkChoice, Delta, FinishReason, Logprobs, ToolCallDelta, Usage},
    completions::{CompletionChoice, CompletionLogprobs, CompletionResponse},
};
use serde_json::{Map, Value};

use super::{reader::malformed, refusal::Fault};
use crate::{ChatEvent, Counts, Timings, TokenLogprob, local::call_id};

/// Which endpoint's chunks come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Chat,
    Completion,
}

/// The answer so far.
#[derive(Debug)]
pub(super) struct Progress {
    kind: Kind,
    upstream: String,
    request_id: String,
    began: bool,
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

#[derive(Debug, Clone, Default)]
struct Choice {
    calls: Vec<Call>,
    finished: bool,
}

/// A call the model makes: its place is its index to us.
#[derive(Debug, Clone)]
struct Call {
    /// Its index to the upstream, which some give to several calls.
    index: u32,
    id: String,
}

impl Progress {
    /// Nothing yet of an answer of so many choices.
    pub(super) fn new(kind: Kind, upstream: &str, request_id: &str, choices: u32) -> Self {
        Self {
            kind,
            upstream: upstream.to_owned(),
            request_id: request_id.to_owned(),
            began: false,
            choices: vec![Choice::default(); choices as usize],
            usage: None,
        }
    }

    /// Takes one chunk; adds what happened to `events`.
    pub(super) fn take(&mut self, chunk: Map<String, Value>, events: &mut impl Extend<ChatEvent>) -> Result<(), Fault> {
        let read = match self.kind {
            Kind::Chat => serde_json::from_value::<ChatChunk>(chunk.into()).map(|chunk| (chunk.choices, chunk.usage)),
            Kind::Completion => serde_json::from_value::<CompletionResponse>(chunk.into())
                .map(|chunk| (chunk.choices.into_iter().map(as_chat).collect(), chunk.usage)),
        };
        let (choices, usage) = read.map_err(|error| malformed(&self.upstream, &error))?;
        self.usage = usage.or(self.usage.take());
        if !std::mem::replace(&mut self.began, true) {
            let counts = self.counts();
            let (prompt_tokens, cached_tokens) = (counts.prompt_tokens, counts.cached_tokens);
            events.extend([ChatEvent::Started { prompt_tokens, cached_tokens }]);
        }
        choices.into_iter().try_for_each(|choice| self.choice(choice, events))
    }

    /// Nothing follows; `marked` if the upstream said so. Without the mark, an answer is whole if its
    /// usage came, which is last.
    pub(super) fn end(&self, marked: bool) -> Result<ChatEvent, Fault> {
        let open = self.choices.iter().filter(|choice| !choice.finished).count();
        let upstream = &self.upstream;
        if open > 0 {
            let why = format!("upstream `{upstream}` ends with {open} of {} choices open", self.choices.len());
            return Err(Fault::cut(why));
        }
        if !marked && self.usage.is_none() {
            return Err(Fault::cut(format!("upstream `{upstream}` ends before its stream does")));
        }
        if self.usage.is_none() {
            tracing::warn!(upstream, "the upstream reports no usage: this request is counted as no tokens");
        }
        Ok(ChatEvent::Done { usage: self.counts(), timings: Timings::default() })
    }

    /// What the upstream has reported.
    fn counts(&self) -> Counts {
        let Some(usage) = &self.usage else { return Counts::default() };
        let count = |tokens: u64| u32::try_from(tokens).unwrap_or(u32::MAX);
        Counts {
            prompt_tokens: count(usage.prompt_tokens),
            completion_tokens: count(usage.completion_tokens),
            cached_tokens: count(usage.prompt_tokens_details.cached_tokens),
            reasoning_tokens: count(usage.completion_tokens_details.reasoning_tokens),
        }
    }

    /// Tokens of one choice so far, where the upstream tells them before the end.
    fn completion_tokens(&self) -> u32 {
        if self.choices.len() == 1 { self.counts().completion_tokens } else { 0 }
    }

    fn choice(&mut self, new: ChunkChoice, events: &mut impl Extend<ChatEvent>) -> Result<(), Fault> {
        let ChunkChoice { index: choice, delta, logprobs, finish_reason, .. } = new;
        let completion_tokens = self.completion_tokens();
        match self.choices.get(choice as usize) {
            // Some send an empty chunk after the last.
            Some(known) if known.finished => return Ok(()),
            Some(_) => {}
            None => {
                let count = self.choices.len();
                return Err(Fault::malformed(format!(
                    "upstream `{}` answers choice {choice} of {count}",
                    self.upstream
                )));
            }
        }
        let Delta { content, reasoning_content, tool_calls, rest, .. } = delta;
        let other = |field: &str| rest.get(field).and_then(Value::as_str).map(str::to_owned);
        // Two names are in use for reasoning; a model that declines says so in a field of its own.
        if let Some(text) = reasoning_content.or_else(|| other("reasoning")).filter(|text| !text.is_empty()) {
            events.extend([ChatEvent::Reasoning { choice, text, completion_tokens }]);
        }
        let text = content.filter(|text| !text.is_empty()).or_else(|| other("refusal")).unwrap_or_default();
        let logprobs: Vec<_> = logprobs.map(token_logprobs).unwrap_or_default();
        if !text.is_empty() || !logprobs.is_empty() {
            events.extend([ChatEvent::Text { choice, text, completion_tokens, logprobs }]);
        }
        for call in tool_calls.into_iter().flatten() {
            self.call(choice, call, completion_tokens, events)?;
        }
        // Some write "" or "null" while an answer goes on.
        if let Some(reason) = finish_reason.filter(|reason| !matches!(reason.as_str(), "" | "null")) {
            self.finish(choice, reason, events);
        }
        Ok(())
    }

    fn finish(&mut self, choice: u32, reason: FinishReason, events: &mut impl Extend<ChatEvent>) {
        self.choices[choice as usize].finished = true;
        events.extend([ChatEvent::Finished { choice, reason }]);
    }

    fn call(
        &mut self,
        choice: u32,
        new: ToolCallDelta,
        completion_tokens: u32,
        events: &mut impl Extend<ChatEvent>,
    ) -> Result<(), Fault> {
        let id = new.id.filter(|id| !id.is_empty());
        let name = new.function.name.filter(|name| !name.is_empty());
        let calls = &mut self.choices[choice as usize].calls;
        let known = calls.iter().rposition(|call| call.index == new.index);
        // The same index with a name and another id is another call.
        let same = |place: &usize| name.is_none() || id.is_none() || id.as_ref() == Some(&calls[*place].id);
        let place = match (known.filter(same), name) {
            (Some(place), _) => place,
            (None, Some(name)) => {
                let place = calls.len();
                let id = id.unwrap_or_else(|| call_id(&self.request_id, choice, place as u32));
                calls.push(Call { index: new.index, id: id.clone() });
                events.extend([ChatEvent::ToolCall { choice, index: place as u32, id, name, completion_tokens }]);
                place
            }
            (None, None) => {
                let why = format!("upstream `{}` gives arguments of a call it has not named", self.upstream);
                return Err(Fault::malformed(why));
            }
        };
        if let Some(text) = new.function.arguments.filter(|text| !text.is_empty()) {
            events.extend([ChatEvent::ToolArguments { choice, index: place as u32, text, completion_tokens }]);
        }
        Ok(())
    }
}

fn token_logprobs(logprobs: Logprobs) -> Vec<TokenLogprob> {
    let least = |logprob: Option<f32>| logprob.unwrap_or(f32::NEG_INFINITY);
    let bytes = |token: &str, bytes: Vec<u8>| if bytes.is_empty() { token.as_bytes().to_vec() } else { bytes };
    let tokens = logprobs.content.into_iter().map(|token| TokenLogprob {
        bytes: bytes(&token.token, token.bytes),
        token: token.token,
        logprob: least(token.logprob),
        top: token
            .top_logprobs
            .into_iter()
            .map(|rival| (rival.token.clone(), bytes(&rival.token, rival.bytes), least(rival.logprob)))
            .collect(),
    });
    tokens.collect()
}

/// A piece of a completion, as a chat would have it.
fn as_chat(choice: CompletionChoice) -> ChunkChoice {
    ChunkChoice {
        index: choice.index,
        delta: Delta { content: Some(choice.text), ..Delta::default() },
        logprobs: choice.logprobs.map(from_lists),
        finish_reason: choice.finish_reason,
        ..ChunkChoice::default()
    }
}

fn from_lists(lists: CompletionLogprobs) -> Logprobs {
    use qwenda_types::chat::{TokenLogprob, TopLogprob};
    let number = |value: &Value| value.as_f64().map(|number| number as f32);
    let mut tops = lists.top_logprobs.unwrap_or_default().into_iter();
    let mut logprobs = lists.token_logprobs.into_iter();
    let tokens = lists.tokens.into_iter().map(|token| TokenLogprob {
        token,
        bytes: Vec::new(),
        logprob: logprobs.next().flatten(),
        top_logprobs: tops
            .next()
            .flatten()
            .unwrap_or_default()
            .iter()
            .map(|(token, value)| TopLogprob { token: token.clone(), bytes: Vec::new(), logprob: number(value) })
            .collect(),
    });
    Logprobs { content: tokens.collect(), refusal: None }
}

#[cfg(test)]
mod tests;
