//! One question put through the SDK and its answer taken in, event by event, until it ends or the person has heard
//! enough. Knows nothing of terminals: what to do with the events is the caller's.

use std::{
    future::{Future, IntoFuture},
    pin::pin,
    time::{Duration, Instant},
};

use qwenda::{
    Currency, Event, Finish, Message, Nanos, ToolCall,
    tools::{Ended, Run, RunBuilder, RunEvent, ToolResult},
    types::chat::{FunctionCall, Role, ToolCall as WireCall},
};
use qwenda_backend::Timings;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use crate::{
    exit::CliError,
    lang::{Lang, chat as words, messages},
    who::Who,
};

/// How an answer ended.
#[derive(Debug)]
pub enum End {
    /// The model ended it, or a limit did.
    Whole(Ended, Finish),
    /// Ctrl-C.
    Stopped,
    /// What came of it is kept.
    Failed(Box<qwenda::Error>),
}

/// Tokens of all answers that one question took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    pub prompt: u64,
    pub completion: u64,
    pub cached: u64,
    pub reasoning: u64,
}

/// What came back, and what it took.
#[derive(Debug)]
pub struct Answer {
    /// The last text; before it there may have been others, between calls of tools.
    pub text: String,
    pub reasoning: String,
    /// Its text as JSON, where that was asked for.
    pub value: Option<Value>,
    pub end: End,
    /// `None` where nobody counted.
    pub tokens: Option<Tokens>,
    /// Tokens of the last prompt and its answer.
    pub context: u64,
    pub cost: Option<(Nanos, Currency)>,
    /// From the question to the first piece of text.
    pub first_text: Option<Duration>,
    /// From the first piece of anything to the end.
    pub decode: Duration,
    pub total: Duration,
    /// What the conversation goes on with: the answers, and the results of tools between them.
    pub messages: Vec<Message>,
    /// Of the answer that is not whole yet.
    part: String,
    calls: Vec<ToolCall>,
}

/// Asks, and gives `on` every event as it comes. When `stop` is done first the work is dropped and the answer so far
/// is the answer. `sent` is how many messages the request has.
///
/// # Errors
/// Only those of `on`.
pub async fn ask(
    run: RunBuilder,
    sent: usize,
    mut on: impl FnMut(&RunEvent) -> Result<(), CliError>,
    stop: impl Future<Output = ()>,
) -> Result<Answer, CliError> {
    let start = Instant::now();
    let mut answer = Answer::new();
    let mut first = None;
    // Its sender is polled with its reader: it never holds more than what one poll of the run brings.
    let (heard, mut events) = mpsc::unbounded_channel();
    let run = run.listen(move |event| {
        // Nobody reads on when the answer is given up, and then nobody misses it.
        let _ = heard.send(event.clone());
    });
    let (mut run, mut stop) = (pin!(run.into_future()), pin!(stop));
    let mut take = |event: RunEvent, answer: &mut Answer| {
        first.get_or_insert_with(Instant::now);
        on(&event)?;
        answer.take(event, start);
        Ok(())
    };
    let ended = loop {
        tokio::select! {
            // An answer that is whole wins over a Ctrl-C that came at the same moment.
            biased;
            Some(event) = events.recv() => take(event, &mut answer)?,
            ended = &mut run => {
                while let Ok(event) = events.try_recv() {
                    take(event, &mut answer)?;
                }
                break Some(ended);
            }
            () = &mut stop => break None,
        }
    };
    answer.total = start.elapsed();
    answer.decode = first.map_or(Duration::ZERO, |first| first.elapsed());
    match ended {
        None => answer.cut(),
        Some(Ok(run)) => {
            answer.count(&run);
            answer.text = run.text().to_owned();
            answer.end = End::Whole(run.ended, run.reply().map_or(Finish::Stop, |reply| reply.finish().clone()));
            answer.messages = run.messages.into_iter().skip(sent).collect();
        }
        Some(Err(interrupted)) => {
            answer.cut();
            answer.count(&interrupted.run);
            answer.end = End::Failed(Box::new(interrupted.error));
        }
    }
    Ok(answer)
}

impl Answer {
    fn new() -> Self {
        Self {
            text: String::new(),
            reasoning: String::new(),
            value: None,
            end: End::Stopped,
            tokens: None,
            context: 0,
            cost: None,
            first_text: None,
            decode: Duration::ZERO,
            total: Duration::ZERO,
            messages: Vec::new(),
            part: String::new(),
            calls: Vec::new(),
        }
    }

    fn take(&mut self, event: RunEvent, start: Instant) {
        match event {
            RunEvent::Answer(Event::Text(piece)) => {
                self.first_text.get_or_insert_with(|| start.elapsed());
                self.part.push_str(&piece);
            }
            RunEvent::Answer(Event::Reasoning(piece)) => self.reasoning.push_str(&piece),
            RunEvent::Answer(Event::ToolCall(call)) => self.calls.push(call),
            RunEvent::Answer(Event::Finished { .. }) => {
                let calls = std::mem::take(&mut self.calls);
                self.keep(calls.iter().map(wire).collect());
            }
            RunEvent::Called(result) => self.messages.push(result_of(&result)),
            _ => {}
        }
    }

    /// Makes a message of what has come of the present answer.
    fn keep(&mut self, calls: Vec<WireCall>) {
        self.text = std::mem::take(&mut self.part);
        self.messages.push(Message { tool_calls: calls, ..Message::assistant(self.text.as_str()) });
    }

    /// The answer ends where it is. A call that was asked for in it is not one of the conversation.
    fn cut(&mut self) {
        if !self.part.is_empty() {
            self.keep(Vec::new());
        }
    }

    fn count(&mut self, run: &Run) {
        for usage in run.steps.iter().filter_map(|step| step.reply.as_ref()?.usage()) {
            let tokens = self.tokens.get_or_insert_default();
            tokens.prompt += usage.input_tokens;
            tokens.completion += usage.output_tokens;
            tokens.cached += usage.cached_tokens;
            tokens.reasoning += usage.reasoning_tokens;
            self.context = usage.input_tokens + usage.output_tokens;
        }
        self.cost = run.currency.map(|currency| (run.cost, currency));
    }

    /// Tokens after the first per second of decode: the first comes with the prefill. `None` when there was none.
    fn tokens_per_second(&self, timings: Option<Timings>) -> Option<f64> {
        let decode_us = timings.map_or(self.decode.as_micros() as u64, |timings| timings.decode_us);
        rate(self.tokens?.completion.saturating_sub(1), decode_us)
    }

    /// The line under an answer; `None` where nobody counted.
    pub fn usage_line(&self, lang: Lang, timings: Option<Timings>) -> Option<String> {
        let tokens = self.tokens?;
        let mut line = messages::usage_tokens(lang, tokens.prompt, tokens.completion);
        if let Some(first) = self.first_text {
            line += &messages::usage_first_token(lang, first.as_secs_f64());
        }
        if let Some(rate) = self.tokens_per_second(timings) {
            line += &messages::usage_rate(lang, rate);
        }
        if let Some((cost, currency)) = self.cost {
            line += &words::usage_cost(lang, &format!("{cost} {currency}"));
        }
        Some(format!("[{line}]"))
    }

    /// The record that `--json` prints. Its shape is documented in `docs/cli.md`.
    pub fn record(&self, who: &Who, seed: u64) -> Value {
        let tokens = self.tokens.unwrap_or_default();
        let timings = who.timings();
        let of = |micros: fn(&Timings) -> u64| timings.as_ref().map(|t| ms(Duration::from_micros(micros(t))));
        let prefill = timings.and_then(|t| rate(tokens.prompt - tokens.cached, t.prefill_us)).map(tenths);
        let mut record = json!({
            "model": who.model,
            "text": self.text,
            "finish_reason": self.finish_reason(),
            "usage": {
                "prompt_tokens": tokens.prompt,
                "completion_tokens": tokens.completion,
                "total_tokens": tokens.prompt + tokens.completion,
                "cached_tokens": tokens.cached,
            },
            "timings": {
                "load_ms": ms(who.load_time()),
                "queued_ms": of(|t| t.queued_us),
                "prefill_ms": of(|t| t.prefill_us),
                "decode_ms": of(|t| t.decode_us),
                "ttft_ms": self.first_text.map(ms),
                "total_ms": ms(self.total),
                "prefill_tokens_per_second": prefill,
                "tokens_per_second": self.tokens_per_second(timings).map(tenths),
            },
            "seed": seed,
        });
        if let Some(value) = &self.value {
            record["value"] = value.clone();
        }
        if !self.reasoning.is_empty() {
            record["reasoning"] = self.reasoning.as_str().into();
            record["usage"]["reasoning_tokens"] = tokens.reasoning.into();
        }
        if let Some((cost, currency)) = self.cost {
            record["cost"] = json!({"amount": cost.to_string(), "currency": currency.to_string()});
        }
        record
    }

    fn finish_reason(&self) -> Option<&str> {
        match &self.end {
            End::Whole(_, Finish::Stop) => Some("stop"),
            End::Whole(_, Finish::Length) => Some("length"),
            End::Whole(_, Finish::ToolCalls) => Some("tool_calls"),
            End::Whole(_, Finish::Other(word)) => Some(word),
            _ => None,
        }
    }
}

fn wire(call: &ToolCall) -> WireCall {
    let function = FunctionCall { name: call.name.clone(), arguments: call.arguments.clone(), rest: Map::new() };
    WireCall { id: call.id.clone(), kind: "function".to_owned(), function, rest: Map::new() }
}

fn result_of(result: &ToolResult) -> Message {
    let text = result.output.as_ref().map_or_else(|error| format!("error: {error}"), Clone::clone);
    Message { tool_call_id: Some(result.call.id.clone()), ..Message::text(Role::Tool, text) }
}

fn rate(tokens: u64, micros: u64) -> Option<f64> {
    (tokens > 0 && micros > 0).then(|| tokens as f64 * 1e6 / micros as f64)
}

fn ms(duration: Duration) -> f64 {
    tenths(duration.as_secs_f64() * 1e3)
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
