//! An answer as its events build it: the one place where [`ChatEvent`]s become what callers read, for
//! whole answers and streams of every dialect.

use qwenda_backend::ChatEvent;
use qwenda_types::{
    chat::{
        AnswerMessage, Choice, ChunkChoice, Delta, FinishReason, FunctionDelta, Logprobs, TokenLogprob, ToolCall,
        ToolCallDelta, TopLogprob,
    },
    error::{ApiError, Code},
};

/// The choices so far.
#[derive(Debug)]
pub(crate) struct Draft {
    choices: Vec<DraftChoice>,
    /// Whether the model reasons first: streams then begin with an empty piece of reasoning.
    thinks: bool,
    logprobs: bool,
}

#[derive(Debug, Clone, Default)]
struct DraftChoice {
    text: String,
    reasoning: String,
    calls: Vec<ToolCall>,
    logprobs: Vec<TokenLogprob>,
    finish_reason: Option<FinishReason>,
}

impl Draft {
    pub(crate) fn new(choices: u32, thinks: bool, logprobs: bool) -> Self {
        Self { choices: vec![DraftChoice::default(); choices as usize], thinks, logprobs }
    }

    /// Takes an event and says what it adds to which choice; nothing when it shows nothing.
    ///
    /// # Errors
    /// The backend speaks of a choice or a call that there is not.
    pub(crate) fn take(&mut self, event: ChatEvent) -> Result<Vec<ChunkChoice>, ApiError> {
        let (index, delta, tokens, finish_reason) = match event {
            ChatEvent::Started { .. } => return Ok(self.began()),
            ChatEvent::Done { .. } => return Ok(Vec::new()),
            ChatEvent::Text { choice, text, logprobs, .. } => {
                let tokens: Vec<_> = logprobs.into_iter().map(token_logprob).collect();
                if text.is_empty() && tokens.is_empty() {
                    return Ok(Vec::new());
                }
                let draft = self.choice(choice)?;
                draft.text.push_str(&text);
                draft.logprobs.extend_from_slice(&tokens);
                (choice, Delta { content: Some(text), ..Delta::default() }, tokens, None)
            }
            ChatEvent::Reasoning { choice, text, .. } => {
                if text.is_empty() {
                    return Ok(Vec::new());
                }
                self.choice(choice)?.reasoning.push_str(&text);
                (choice, Delta { reasoning_content: Some(text), ..Delta::default() }, Vec::new(), None)
            }
            ChatEvent::ToolCall { choice, index, id, name, .. } => {
                let calls = &mut self.choice(choice)?.calls;
                if index as usize != calls.len() {
                    return Err(broken(format!("the backend makes call {index} after {} calls", calls.len())));
                }
                calls.push(ToolCall::new(index, &id, &name, ""));
                let function =
                    FunctionDelta { name: Some(name), arguments: Some(String::new()), ..FunctionDelta::default() };
                let first = ToolCallDelta { id: Some(id), kind: Some("function".to_owned()), ..call_delta(index) };
                (choice, calling(ToolCallDelta { function, ..first }), Vec::new(), None)
            }
            ChatEvent::ToolArguments { choice, index, text, .. } => {
                if text.is_empty() {
                    return Ok(Vec::new());
                }
                let call = self.choice(choice)?.calls.get_mut(index as usize);
                let call = call.ok_or_else(|| broken(format!("the backend gives arguments of no call, {index}")))?;
                call.function.arguments.push_str(&text);
                let function = FunctionDelta { arguments: Some(text), ..FunctionDelta::default() };
                (choice, calling(ToolCallDelta { function, ..call_delta(index) }), Vec::new(), None)
            }
            ChatEvent::Finished { choice, reason } => {
                self.choice(choice)?.finish_reason = Some(reason);
                (choice, Delta { content: Some(String::new()), ..Delta::default() }, Vec::new(), Some(reason))
            }
        };
        let logprobs = (!tokens.is_empty()).then(|| Logprobs { content: tokens, refusal: None });
        Ok(vec![ChunkChoice { index, delta, logprobs, finish_reason, ..ChunkChoice::default() }])
    }

    /// The choices of a whole answer.
    pub(crate) fn into_choices(self) -> Vec<Choice> {
        let Self { choices, thinks, logprobs } = self;
        let whole = |(draft, index): (DraftChoice, u32)| {
            let reasoned = thinks || !draft.reasoning.is_empty();
            let message = AnswerMessage {
                reasoning_content: reasoned.then_some(draft.reasoning),
                tool_calls: (!draft.calls.is_empty()).then_some(draft.calls),
                ..AnswerMessage::text(draft.text)
            };
            let logprobs = logprobs.then(|| Logprobs { content: draft.logprobs, refusal: None });
            Choice { index, finish_reason: draft.finish_reason, logprobs, message, ..Choice::default() }
        };
        choices.into_iter().zip(0..).map(whole).collect()
    }

    fn began(&self) -> Vec<ChunkChoice> {
        let role = Some("assistant".to_owned());
        let delta = if self.thinks {
            Delta { role, reasoning_content: Some(String::new()), ..Delta::default() }
        } else {
            Delta { role, content: Some(String::new()), ..Delta::default() }
        };
        let first = |(index, _)| ChunkChoice { index, delta: delta.clone(), ..ChunkChoice::default() };
        (0..).zip(&self.choices).map(first).collect()
    }

    fn choice(&mut self, choice: u32) -> Result<&mut DraftChoice, ApiError> {
        let count = self.choices.len();
        let missing = || broken(format!("the backend answers choice {choice} of {count}"));
        self.choices.get_mut(choice as usize).ok_or_else(missing)
    }
}

fn broken(why: String) -> ApiError {
    ApiError::of(Code::Internal).log(why)
}

fn call_delta(index: u32) -> ToolCallDelta {
    ToolCallDelta { index, ..ToolCallDelta::default() }
}

fn calling(call: ToolCallDelta) -> Delta {
    Delta { tool_calls: Some(vec![call]), ..Delta::default() }
}

fn token_logprob(token: qwenda_backend::TokenLogprob) -> TokenLogprob {
    let finite = |logprob: f32| logprob.is_finite().then_some(logprob);
    TokenLogprob {
        token: token.token,
        bytes: token.bytes,
        logprob: finite(token.logprob),
        top_logprobs: token
            .top
            .into_iter()
            .map(|(token, bytes, logprob)| TopLogprob { token, bytes, logprob: finite(logprob) })
            .collect(),
    }
}
