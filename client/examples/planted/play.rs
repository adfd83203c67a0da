//! Plays a script under a policy and asks for every fact, in the middle and at the end.

use std::sync::{Arc, Mutex, PoisonError};

use qwenda::{
    Client, Conversation, Message, Policy, Result,
    memory::{VectorMemory, WordVectors},
    tools::{Outcome, Tool},
    types,
};

use super::{
    asked::Model,
    generate::{Script, Turn},
    rivals::Rival,
    score::{CANARY, Score},
    service::{SUMMARISER, Service},
};

pub(crate) const TOOL: &str = "inventory";

/// What is compared.
#[derive(Clone, Copy)]
pub(crate) enum Subject {
    /// A policy of the SDK within a budget.
    Ours(fn(u64) -> Policy),
    Other(Rival),
}

/// All that is compared, ours last.
pub(crate) const SUBJECTS: [(&str, Subject); 10] = [
    ("everything (no budget)", Subject::Ours(|_| Policy::everything())),
    ("last 20 messages", Subject::Other(Rival::Last20)),
    ("window of bytes / 4", Subject::Other(Rival::BytesWindow)),
    ("turns and steps", Subject::Other(Rival::TurnStep)),
    ("`last_turns(10)`", Subject::Ours(|_| Policy::last_turns(10))),
    ("`tokens`", Subject::Ours(Policy::tokens)),
    ("`tokens`, results cleared", Subject::Ours(|budget| Policy::tokens(budget).keep_tool_results(3))),
    ("+ summary", Subject::Ours(|budget| Policy::tokens(budget).keep_tool_results(3).summarise_with(SUMMARISER))),
    ("+ memory", Subject::Ours(|budget| Policy::tokens(budget).keep_tool_results(3).remember_in(memory()))),
    (
        "+ summary and memory",
        Subject::Ours(|budget| {
            Policy::tokens(budget).keep_tool_results(3).summarise_with(SUMMARISER).remember_in(memory())
        }),
    ),
];

fn memory() -> VectorMemory {
    VectorMemory::in_ram(WordVectors::new())
}

/// Brings what the script says.
#[derive(Clone, Default)]
struct Inventory(Arc<Mutex<String>>);

impl Inventory {
    fn bring(&self, text: &str) {
        text.clone_into(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Tool for Inventory {
    fn definition(&self) -> types::chat::Tool {
        qwenda::tools::definition::<()>(TOOL, "What is known of things.")
    }

    fn call(&self, _: serde_json::Value) -> Outcome {
        let text = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Box::pin(async move { Ok(text) })
    }
}

/// How well a subject does with a script; with a model, what it makes of the requests.
pub(crate) async fn play(script: &Script, subject: Subject, budget: u64, model: Option<&Model>) -> Result<Score> {
    let mut course = Course { score: Score::default(), before: Vec::new(), model };
    match subject {
        Subject::Ours(policy) => ours(script, policy(budget), &mut course).await?,
        Subject::Other(rival) => other(script, rival, budget, &mut course).await?,
    }
    Ok(course.score)
}

/// What has been seen of a conversation.
struct Course<'a> {
    score: Score,
    before: Vec<Message>,
    model: Option<&'a Model>,
}

impl Course<'_> {
    /// The request of the next turn.
    async fn turn(&mut self, request: Vec<Message>) -> Result<()> {
        self.score.next(&self.before, &request);
        if let Some(model) = self.model {
            let usage = model.turn(&request).await?;
            if !self.before.is_empty() {
                self.score.asked_of_model.input_tokens += usage.input_tokens;
                self.score.asked_of_model.cached_tokens += usage.cached_tokens;
            }
        }
        self.before = request;
        Ok(())
    }

    /// The request for the question about a fact, by its place.
    async fn question(
        &mut self,
        script: &Script,
        place: usize,
        turns: usize,
        request: &[Message],
        tokens: u64,
    ) -> Result<()> {
        let fact = &script.facts[place];
        let answerable = self.score.question(fact, turns, request, tokens);
        let is_last = turns == script.turns.len();
        let Some(model) = self.model.filter(|model| is_last && model.asks(place, script.facts.len())) else {
            return Ok(());
        };
        let right = model.knows(fact, turns, request).await?;
        let asked = &mut self.score.asked_of_model;
        asked.questions += 1;
        asked.answerable += usize::from(answerable);
        asked.right += usize::from(right);
        Ok(())
    }
}

fn is_time_to_ask(script: &Script, turns: usize) -> bool {
    turns == script.turns.len() || turns == script.turns.len() / 2
}

async fn ours(script: &Script, policy: Policy, course: &mut Course<'_>) -> Result<()> {
    let service = Service::default();
    let client = Client::builder().base_url("http://script.invalid/v1").transport(service.clone()).build()?;
    let mut talk = client.chat("qwen-plus").system(CANARY).conversation(policy);
    let inventory = Inventory::default();
    for (turns, turn) in (1..).zip(&script.turns) {
        say(&mut talk, &service, &inventory, turn).await?;
        let request = service.state().last.clone();
        course.turn(request).await?;
        if is_time_to_ask(script, turns) {
            for (place, fact) in script.facts.iter().enumerate() {
                let plan = talk.prepare(&fact.question).await?;
                course.question(script, place, turns, &plan.messages, plan.input_tokens).await?;
            }
        }
    }
    let state = service.state();
    (course.score.summaries, course.score.summary_tokens) = (state.summaries, state.summary_bytes as u64 / 4);
    Ok(())
}

async fn say(talk: &mut Conversation, service: &Service, inventory: &Inventory, turn: &Turn) -> Result<()> {
    match &turn.tool {
        None => {
            service.say(&turn.assistant);
            talk.send(&turn.user).await?;
        }
        Some(result) => {
            service.call(TOOL);
            service.say(&turn.assistant);
            inventory.bring(result);
            talk.run(&turn.user, |chat| chat.tools(inventory.clone())).await?;
        }
    }
    Ok(())
}

async fn other(script: &Script, rival: Rival, budget: u64, course: &mut Course<'_>) -> Result<()> {
    let client = qwenda::Mock::new().client();
    let count = |message: &Message| client.chat("m").message(message.clone()).estimate().input_tokens;
    let system = Message::system(CANARY);
    let mut history = Vec::new();
    for (turns, turn) in (1..).zip(&script.turns) {
        history.push(Message::user(turn.user.as_str()));
        course.turn(rival.sent(&system, &history, budget, &count)).await?;
        if let Some(result) = &turn.tool {
            let mut call = Message::assistant("");
            let id = format!("call_{turns}");
            call.tool_calls = vec![types::chat::ToolCall::new(0, &id, TOOL, "{}")];
            let mut result = Message::text(qwenda::Role::Tool, result.as_str());
            result.tool_call_id = Some(id);
            history.extend([call, result]);
        }
        history.push(Message::assistant(turn.assistant.as_str()));
        if is_time_to_ask(script, turns) {
            for (place, fact) in script.facts.iter().enumerate() {
                history.push(Message::user(fact.question.as_str()));
                let request = rival.sent(&system, &history, budget, &count);
                history.pop();
                let tokens = request.iter().map(count).sum();
                course.question(script, place, turns, &request, tokens).await?;
            }
        }
    }
    Ok(())
}
