//! What others do, written from what is known of them: the baselines.

use qwenda::{Message, Role, types::chat::Content};

/// Which one.
#[derive(Clone, Copy)]
pub(crate) enum Rival {
    /// The last twenty messages, whatever they are.
    Last20,
    /// The last messages whose bytes are four times the budget at most; not beginning with a result of a tool.
    BytesWindow,
    /// Old results of tools are shortened, then the answers of old turns go, then old turns.
    TurnStep,
}

impl Rival {
    /// What is sent of a history that ends with a question.
    pub(crate) fn sent(
        self,
        system: &Message,
        history: &[Message],
        budget: u64,
        count: &dyn Fn(&Message) -> u64,
    ) -> Vec<Message> {
        let body = match self {
            Self::Last20 => history[history.len().saturating_sub(20)..].to_vec(),
            Self::BytesWindow => bytes_window(history, budget),
            Self::TurnStep => turn_step(history, budget.saturating_sub(count(system)), count),
        };
        std::iter::once(system.clone()).chain(body).collect()
    }
}

fn bytes_window(history: &[Message], budget: u64) -> Vec<Message> {
    let mut bytes = 0;
    let fits = |message: &&Message| {
        bytes += message.plain_text().len() as u64;
        bytes / 4 <= budget
    };
    let mut kept: Vec<Message> = history.iter().rev().take_while(fits).cloned().collect();
    kept.reverse();
    if kept.first().is_some_and(|message| message.role == Role::Tool) {
        kept.remove(0);
    }
    kept
}

fn turn_step(history: &[Message], budget: u64, count: &dyn Fn(&Message) -> u64) -> Vec<Message> {
    let mut turns: Vec<Vec<Message>> = Vec::new();
    for message in history {
        if message.role == Role::User || turns.is_empty() {
            turns.push(Vec::new());
        }
        turns.last_mut().expect("there is one").push(message.clone());
    }
    let mut size: u64 = history.iter().map(count).sum();
    let last = turns.len().saturating_sub(1);
    for message in turns[..last].iter_mut().flatten().filter(|message| message.role == Role::Tool) {
        if size <= budget {
            break;
        }
        let before = count(message);
        message.content = Some(Content::Text("[omitted]".to_owned()));
        size = size - before + count(message);
    }
    for turn in &mut turns[..last] {
        if size <= budget {
            break;
        }
        size -= turn[1..].iter().map(count).sum::<u64>();
        turn.truncate(1);
    }
    let mut first = 0;
    while size > budget && first < last {
        size -= turns[first].iter().map(count).sum::<u64>();
        first += 1;
    }
    turns.split_off(first).into_iter().flatten().collect()
}
