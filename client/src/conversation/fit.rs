//! What of a history is sent: pure, and right for any history.

use std::collections::HashSet;

use qwenda_types::chat::{Content, Message, Role};

use super::policy::Policy;

/// What stands for a result that is left out.
const LEFT_OUT: &str = "[left out]";

/// Up to where a history is left out: what was once is for good, so that the beginning of what is sent stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Turns at the beginning that are not sent.
    pub(crate) turns: usize,
    /// Results of tools, counted from the beginning of the history, whose texts are not sent.
    pub(crate) results: usize,
}

/// How a request is counted.
#[derive(Clone, Copy)]
pub(crate) struct Tokens<'a> {
    /// What everything but the history has.
    pub(crate) head: u64,
    /// What a message has.
    pub(crate) message: &'a dyn Fn(&Message) -> u64,
    /// Most that a request may have.
    pub(crate) most: Option<u64>,
    /// Of them kept free for what is recalled, once something is left out.
    pub(crate) reserved: u64,
}

/// What is sent of a history.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fitted {
    pub(crate) messages: Vec<Message>,
    /// What they and the head have.
    pub(crate) tokens: u64,
    pub(crate) cut: Cut,
    /// Results that are left out of turns which are sent.
    pub(crate) results_left_out: usize,
    pub(crate) fits: bool,
}

/// A turn without what may not be sent.
struct Turn {
    messages: Vec<Message>,
    /// What each of them has.
    tokens: Vec<u64>,
    /// Number of its first result, counted from the beginning of the history.
    results_before: usize,
}

impl Turn {
    /// Its tokens where the texts of the first `cleared` results are left out, each of which has `left_out` then.
    fn tokens(&self, cleared: usize, left_out: u64) -> u64 {
        let mut result = self.results_before;
        let each = self.messages.iter().zip(&self.tokens).map(|(message, tokens)| {
            let is_result = message.role == Role::Tool;
            result += usize::from(is_result);
            if is_result && result <= cleared { left_out.min(*tokens) } else { *tokens }
        });
        each.sum()
    }
}

/// The turns of a history: each begins with a person's message. What stands before the first is a turn too.
pub(crate) fn turns(history: &[Message]) -> Vec<&[Message]> {
    let mut begins: Vec<usize> = (0..history.len())
        .filter(|place| {
            // Several messages of the person in a row are one turn.
            history[*place].role == Role::User && (*place == 0 || history[place - 1].role != Role::User)
        })
        .collect();
    if begins.first() != Some(&0) && !history.is_empty() {
        begins.insert(0, 0);
    }
    let ends = begins.iter().skip(1).copied().chain([history.len()]);
    begins.iter().zip(ends).map(|(begin, end)| &history[*begin..end]).collect()
}

/// What is sent: of the turns after the cut as many of the last as the policy allows.
pub(crate) fn fit(policy: &Policy, history: &[Message], cut: Cut, tokens: Tokens<'_>) -> Fitted {
    let mut result = 0;
    let whole: Vec<Turn> = turns(history)
        .into_iter()
        .map(|turn| {
            let messages = answered(turn);
            let results_before = result;
            result += messages.iter().filter(|message| message.role == Role::Tool).count();
            Turn { tokens: messages.iter().map(tokens.message).collect(), messages, results_before }
        })
        .collect();
    let (results, last) = (result, whole.len().saturating_sub(1));
    let left_out = (tokens.message)(&Message::text(Role::Tool, LEFT_OUT));
    let mut first = cut.turns.min(last);
    if let Some(most) = policy.turns_max {
        first = first.max(whole.len().saturating_sub(most));
    }
    let mut cleared = cut.results.min(results);
    let total = |first: usize, cleared: usize| tokens.head + body(&whole[first..], cleared, left_out);
    let mut most = tokens.most;
    if first > 0 || cleared > 0 || most.is_some_and(|most| total(first, cleared) > most) {
        most = most.map(|most| most.saturating_sub(tokens.reserved));
    }
    let over = |total: u64| most.is_some_and(|most| total > most);
    if let Some(kept) = policy.tool_results_kept.filter(|_| over(total(first, cleared))) {
        cleared = cleared.max(results.saturating_sub(kept));
    }
    let mut sum = total(first, cleared);
    if over(sum) {
        // Down to less than is allowed, so that the next turns find room and the beginning stays as it is.
        let goal = most.map_or(0, |most| most.saturating_mul(policy.room_percent()) / 100);
        while sum > goal && first < last {
            sum -= body(&whole[first..=first], cleared, left_out);
            first += 1;
        }
    }
    let begin = whole.get(first).map_or(results, |turn| turn.results_before);
    let messages = sent(whole, first, cleared);
    let fits = !over(sum);
    let results_left_out = cleared.saturating_sub(begin);
    Fitted { messages, tokens: sum, cut: Cut { turns: first, results: cleared }, results_left_out, fits }
}

/// Tokens of these turns, from the first message of a person on.
fn body(turns: &[Turn], cleared: usize, left_out: u64) -> u64 {
    let all = turns.iter().map(|turn| turn.tokens(cleared, left_out)).sum::<u64>();
    let skipped = turns.first().filter(|turn| !speaks(turn));
    all - skipped.map_or(0, |turn| turn.tokens(cleared, left_out))
}

/// Whether a person speaks first in it. Only what stands before everything a person said is otherwise.
fn speaks(turn: &Turn) -> bool {
    turn.messages.first().is_some_and(|message| message.role == Role::User)
}

fn sent(whole: Vec<Turn>, first: usize, cleared: usize) -> Vec<Message> {
    let mut messages = Vec::new();
    for (place, turn) in whole.into_iter().enumerate().skip(first) {
        // A model is first spoken to by a person.
        if place == first && !speaks(&turn) {
            continue;
        }
        let mut result = turn.results_before;
        for mut message in turn.messages {
            if message.role == Role::Tool {
                result += 1;
                let is_short = message.plain_text().len() <= LEFT_OUT.len();
                if result <= cleared && !is_short {
                    message.content = Some(Content::Text(LEFT_OUT.to_owned()));
                }
            }
            messages.push(message);
        }
    }
    messages
}

/// The places in a history of what is not sent any more: turns before the cut, and the results of later ones that
/// are left out.
pub(crate) fn left(history: &[Message], cut: Cut) -> HashSet<usize> {
    let mut left = HashSet::new();
    let (mut result, mut begin) = (0, 0);
    for (number, turn) in turns(history).into_iter().enumerate() {
        if number >= cut.turns && result >= cut.results {
            break;
        }
        // Results are counted as they are when they are left out: without those that are never sent.
        let mut open = answered(turn).into_iter().filter(|message| message.role == Role::Tool).peekable();
        for (place, message) in (begin..).zip(turn) {
            let counts = open.next_if(|next| next == message).is_some();
            result += usize::from(counts);
            if number < cut.turns || counts && result <= cut.results {
                left.insert(place);
            }
        }
        begin += turn.len();
    }
    left
}

/// A turn without calls that have no result, and without results that have no call.
fn answered(turn: &[Message]) -> Vec<Message> {
    let mut kept = Vec::with_capacity(turn.len());
    let mut place = 0;
    while place < turn.len() {
        let message = &turn[place];
        place += 1;
        if message.role == Role::Tool {
            continue;
        }
        if message.tool_calls.is_empty() {
            kept.push(message.clone());
            continue;
        }
        let results: Vec<&Message> = turn[place..].iter().take_while(|message| message.role == Role::Tool).collect();
        place += results.len();
        let asked: HashSet<&str> = message.tool_calls.iter().map(|call| call.id.as_str()).collect();
        let mut open = asked.clone();
        let fitting: Vec<Message> = results
            .into_iter()
            .filter(|result| result.tool_call_id.as_deref().is_some_and(|id| open.remove(id)))
            .cloned()
            .collect();
        if open.is_empty() && asked.len() == message.tool_calls.len() {
            kept.push(message.clone());
            kept.extend(fitting);
        }
    }
    kept
}
