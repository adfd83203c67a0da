//! The same questions to a real model: whether it says what it was sent, and what its cache had of each request.

use qwenda::{ChatBuilder, Client, Message, Result, Usage, types::chat::Content};

use super::generate::Fact;

/// Most tokens of an answer. The values are a few words.
const ANSWER_TOKENS_MAX: u32 = 48;

/// A model at a service.
#[derive(Clone)]
pub(crate) struct Model {
    pub(crate) client: Client,
    pub(crate) name: String,
    /// How many of the facts are asked for, spread evenly.
    pub(crate) questions: usize,
    /// What all requests begin with, so that the service's cache has nothing of another conversation.
    pub(crate) mark: String,
}

/// What it said.
#[derive(Default, Clone)]
pub(crate) struct Asked {
    pub(crate) questions: usize,
    /// Those whose answer was in the request.
    pub(crate) answerable: usize,
    /// Those answered with the value that holds.
    pub(crate) right: usize,
    /// Tokens of the requests of all turns but the first, and those of them that the service's cache had.
    pub(crate) input_tokens: u64,
    pub(crate) cached_tokens: u64,
}

impl Model {
    pub(crate) fn asks(&self, fact: usize, facts: usize) -> bool {
        let every = facts.div_ceil(self.questions.max(1)).max(1);
        fact.is_multiple_of(every)
    }

    fn chat(&self, request: &[Message]) -> ChatBuilder {
        let mut messages = request.to_vec();
        if let Some(first) = messages.first_mut() {
            let text = format!("{}\n{}", self.mark, first.plain_text());
            first.content = Some(Content::Text(text));
        }
        self.client.chat(&self.name).messages(messages).temperature(0.0)
    }

    /// Sends the request of a turn, for its counts alone.
    pub(crate) async fn turn(&self, request: &[Message]) -> Result<Usage> {
        let reply = self.chat(request).max_tokens(1).await?;
        Ok(reply.usage().cloned().unwrap_or_default())
    }

    /// Whether the answer to a request has what holds after so many turns.
    pub(crate) async fn knows(&self, fact: &Fact, turns: usize, request: &[Message]) -> Result<bool> {
        let reply = self.chat(request).max_tokens(ANSWER_TOKENS_MAX).await?;
        let said = reply.text().to_lowercase();
        Ok(fact.at(turns).is_some_and(|(_, value)| said.contains(&value.to_lowercase())))
    }
}

impl Asked {
    pub(crate) fn add(&mut self, other: &Self) {
        self.questions += other.questions;
        self.answerable += other.answerable;
        self.right += other.right;
        self.input_tokens += other.input_tokens;
        self.cached_tokens += other.cached_tokens;
    }
}
