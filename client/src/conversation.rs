//! A conversation that stays within a budget of tokens: [`Conversation`].

mod fit;
mod notes;
mod plan;
mod policy;
mod prepare;
mod summary;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use qwenda_types::chat::{Message, Role};

use crate::{ChatBuilder, Error, Reply, Result, error::Kind, history::History};
use fit::Cut;
use notes::Notes;
pub use plan::Plan;
pub use policy::Policy;
pub use summary::Summary;

/// A conversation. It grows by [`send`](Self::send); what is sent of it, its [`Policy`] says.
///
/// # Example
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> qwenda::Result<()> {
/// # let client = qwenda::Mock::new().reply("Hello, Ada.").reply("Ada.").client();
/// use qwenda::Policy;
///
/// let mut talk = client.chat("qwen-plus").system("Be brief.").conversation(Policy::tokens(8_000));
/// talk.send("I am Ada.").await?;
/// assert_eq!(talk.send("Who am I?").await?.text(), "Ada.");
/// println!("{}", talk.plan("And you?").explain(qwenda::Lang::En));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Conversation {
    chat: ChatBuilder,
    system: Vec<Message>,
    history: Vec<Message>,
    policy: Policy,
    /// Its name, for what is kept of it.
    id: String,
    store: Option<Arc<dyn History>>,
    /// How many of the messages are kept there.
    kept: usize,
    notes: Notes,
    /// How many of the messages the memory has, as far as this process knows.
    remembered: usize,
    failures: u32,
    before: Vec<Message>,
    /// What the service counts for a thousand tokens of our estimate.
    ratio: u64,
}

impl ChatBuilder {
    /// Begins a conversation: the messages so far are its system messages and its history, the rest of the request
    /// is that of every turn.
    pub fn conversation(mut self, policy: Policy) -> Conversation {
        let messages = std::mem::take(&mut self.request.messages);
        let (system, history) = messages.into_iter().partition(|message| message.role == Role::System);
        Conversation {
            chat: self,
            system,
            history,
            policy,
            id: uuid::Uuid::new_v4().to_string(),
            store: None,
            kept: 0,
            notes: Notes::default(),
            remembered: 0,
            failures: 0,
            before: Vec::new(),
            ratio: 1000,
        }
    }
}

impl Conversation {
    /// Gives it a name, by which its history and its memory are found again: 1 to
    /// [`ID_BYTES_MAX`](crate::history::ID_BYTES_MAX) bytes. It has a random one otherwise.
    #[must_use]
    pub fn open(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// Keeps the history here from now on, and goes on with what is kept under its name. If nothing is, what was
    /// said so far is put in.
    ///
    /// # Errors
    /// [`Kind::Storage`] if it cannot be read; [`Kind::Invalid`] if something was said here and something else is
    /// kept.
    pub async fn store(mut self, history: impl History) -> Result<Self> {
        let kept = history.load(&self.id).await?;
        if kept.messages.is_empty() {
            if !self.history.is_empty() {
                history.append(&self.id, 0, self.history.clone(), self.notes.to_map()).await?;
            }
        } else if self.history.is_empty() || self.history == kept.messages {
            self.history = kept.messages;
            self.notes = Notes::of(kept.notes)?;
        } else {
            let message = format!("conversation `{}` is kept already, and another was begun", self.id);
            return Err(Error::of(Kind::Invalid).say(message));
        }
        self.kept = self.history.len();
        self.store = Some(Arc::new(history));
        Ok(self)
    }

    /// Its name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// All that was said, whatever of it is sent; without the system messages.
    pub fn history(&self) -> &[Message] {
        &self.history
    }

    /// The summary of the turns that are no longer sent, where there is one.
    pub fn summary(&self) -> Option<&str> {
        self.notes.summary.as_deref()
    }

    /// What would be sent for these words, as far as it is known without asking anybody: what a memory will bring
    /// back is not in it, the room for it is kept free. Nothing is sent.
    pub fn plan(&self, text: &str) -> Plan {
        self.planned(&self.with(text), &self.chat.request).plan
    }

    /// What would be sent for these words, with what the memory brings back and counted as the policy says. The
    /// model is not asked, and no summary is made; what is left out is put into the memory.
    ///
    /// # Errors
    /// As of the memory, and of the counting.
    pub async fn prepare(&self, text: &str) -> Result<Plan> {
        let mut copy = self.clone();
        let said = self.with(text);
        Ok(copy.prepare_of(&said, &self.chat.request, false).await?.plan)
    }

    /// Says something and brings the answer. If that fails, the conversation is as before.
    ///
    /// # Errors
    /// As of the chat and of the memory; a summary that fails is none. [`Kind::Storage`] or [`Kind::Conflict`] if
    /// the answer could not be kept: it is in [`Error::partial`] then, whole, and in the history here, which is kept
    /// with the next answer.
    pub async fn send(&mut self, text: &str) -> Result<Reply> {
        let said = self.with(text);
        let request = self.chat.request.clone();
        let prepared = self.prepare_of(&said, &request, true).await?;
        let reply = self.chat.clone().messages(prepared.plan.messages.iter().cloned()).await?;
        self.learn(prepared.estimated, reply.usage().map_or(0, |usage| usage.input_tokens));
        let new = if self.chat.preserves_thinking() { reply.message_with_reasoning() } else { reply.message() };
        let kept = self.grow(said, vec![new], prepared.plan.messages, prepared.cut).await;
        match kept {
            Ok(()) => Ok(reply),
            Err(error) => Err(error.with(|facts| {
                facts.billed = crate::Billed::Yes;
                facts.partial = Some(reply);
            })),
        }
    }

    /// As [`send`](Self::send), where the model may call tools: `tools` adds them to the chat. Calls that wait for
    /// approval stay in the history, and are not sent before they have their results.
    ///
    /// # Errors
    /// As of the run; what it did before stays in the history.
    #[cfg(feature = "tools")]
    pub async fn run(
        &mut self,
        text: &str,
        tools: impl FnOnce(ChatBuilder) -> crate::tools::RunBuilder,
    ) -> std::result::Result<crate::tools::Run, Box<crate::tools::Interrupted>> {
        let said = self.with(text);
        let mut run = tools(self.chat.clone());
        let prepared = match self.prepare_of(&said, &run.request(), true).await {
            Ok(prepared) => prepared,
            Err(error) => return Err(crate::tools::Interrupted::at_once(error, said)),
        };
        let sent = prepared.plan.messages.len();
        run.begin(&prepared.plan.messages);
        let ended = run.await;
        let run = match &ended {
            Ok(run) => run,
            Err(interrupted) => &interrupted.run,
        };
        let counted = run.steps.first().and_then(|step| step.reply.as_ref()).and_then(Reply::usage);
        self.learn(prepared.estimated, counted.map_or(0, |usage| usage.input_tokens));
        let new = run.messages.get(sent..).unwrap_or_default().to_vec();
        if new.is_empty() {
            return ended;
        }
        match (self.grow(said, new, prepared.plan.messages, prepared.cut).await, ended) {
            (Ok(()), ended) => ended,
            (Err(error), Ok(run)) => Err(Box::new(crate::tools::Interrupted { error, run })),
            (Err(error), Err(interrupted)) => {
                tracing::warn!(kind = ?error.kind(), "what an interrupted run did is not kept");
                Err(interrupted)
            }
        }
    }

    fn with(&self, text: &str) -> Vec<Message> {
        let mut said = self.history.clone();
        said.push(Message::user(text));
        said
    }

    /// Takes up what was said and answered, and keeps it.
    async fn grow(&mut self, said: Vec<Message>, new: Vec<Message>, sent: Vec<Message>, cut: Cut) -> Result<()> {
        self.history = said;
        self.history.extend(new);
        self.before = sent;
        (self.notes.turns, self.notes.results) = (cut.turns, cut.results);
        if let Some(store) = &self.store {
            let new = self.history[self.kept..].to_vec();
            store.append(&self.id, self.kept, new, self.notes.to_map()).await?;
            self.kept = self.history.len();
        }
        Ok(())
    }
}

impl fmt::Debug for Conversation {
    /// Without the messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversation")
            .field("messages", &self.history.len())
            .field("policy", &self.policy)
            .field("has_summary", &self.notes.summary.is_some())
            .finish_non_exhaustive()
    }
}
