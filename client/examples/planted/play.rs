//! Plays a script under a policy and asks for every fact, in the middle and at the end.

use std::sync::{Arc, Mutex, PoisonError};

use qwenda::{
    Client, Conversation, Message, Policy, Result,
    memory::{VectorMemory, WordVectors},
    tools::{Outcome, Tool},
    types,
};

use super::{
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

/// How well a subject does with a script.
pub(crate) async fn play(script: &Script, subject: Subject, budget: u64) -> Result<Score> {
    match subject {
        Subject::Ours(policy) => ours(script, policy(budget)).await,
        Subject::Other(rival) => Ok(other(script, rival, budget)),
    }
}

fn is_time_to_ask(script: &Script, turns: usize) -> bool {
    turns == script.turns.len() || turns == script.turns.len() / 2
}

async fn ours(script: &Script, policy: Policy) -> Result<Score> {
    let service = Service::default();
    let client = Client::builder().base_url("http://script.invalid/v1").transport(service.clone()).build()?;
    let mut talk = client.chat("qwen-plus").system(CANARY).conversation(policy);
    let (mut score, inventory) = (Score::default(), Inventory::default());
    let mut before = Vec::new();
    for (turns, turn) in (1..).zip(&script.turns) {
        say(&mut talk, &service, &inventory, turn).await?;
        let request = service.state().last.clone();
        score.next(&before, &request);
        before = request;
        if is_time_to_ask(script, turns) {
            for fact in &script.facts {
                let plan = talk.prepare(&fact.question).await?;
                score.question(fact, turns, &plan.messages, plan.input_tokens);
            }
        }
    }
    let state = service.state();
    (score.summaries, score.summary_tokens) = (state.summaries, state.summary_bytes as u64 / 4);
    Ok(score)
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

fn other(script: &Script, rival: Rival, budget: u64) -> Score {
    let client = qwenda::Mock::new().client();
    let count = |message: &Message| client.chat("m").message(message.clone()).estimate().input_tokens;
    let system = Message::system(CANARY);
    let (mut score, mut history, mut before) = (Score::default(), Vec::new(), Vec::new());
    for (turns, turn) in (1..).zip(&script.turns) {
        history.push(Message::user(turn.user.as_str()));
        let request = rival.sent(&system, &history, budget, &count);
        score.next(&before, &request);
        before = request;
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
            for fact in &script.facts {
                history.push(Message::user(fact.question.as_str()));
                let request = rival.sent(&system, &history, budget, &count);
                history.pop();
                let tokens = request.iter().map(count).sum();
                score.question(fact, turns, &request, tokens);
            }
        }
    }
    score
}
