//! What of a history is sent: pure, and right for any history.

use std::collections::HashSet;

use qwenda_types::chat::{Content, Message, Role};

use super::Policy;

/// What stands for a result that is left out.
const LEFT_OUT: &str = "[left out]";

/// What is sent of a history.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fitted {
    pub(crate) messages: Vec<Message>,
    pub(crate) turns_left_out: usize,
    pub(crate) results_left_out: usize,
    pub(crate) fits: bool,
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

/// What is sent: the head, then of the turns after the first `summarised` as many of the last as the policy
/// allows. `tokens` counts a request.
pub(crate) fn fit(
    policy: &Policy,
    head: &[Message],
    history: &[Message],
    summarised: usize,
    tokens: &dyn Fn(&[Message]) -> u64,
) -> Fitted {
    let whole: Vec<Vec<Message>> = turns(history).into_iter().map(answered).collect();
    let last = whole.len().saturating_sub(1);
    let mut first = summarised.min(last);
    if let Some(most) = policy.turns_max {
        first = first.max(whole.len().saturating_sub(most));
    }
    let within = |messages: &[Message]| policy.tokens_max.is_none_or(|most| tokens(messages) <= most);
    let request = |first: usize, kept: Option<usize>| {
        let mut messages = head.to_vec();
        // A model is first spoken to by a person.
        let body = whole[first.min(whole.len())..].iter().flatten();
        let body = body.skip_while(|message| message.role != Role::User).cloned();
        let begin = messages.len();
        messages.extend(body);
        let results_left_out = kept.map_or(0, |kept| clear(&mut messages[begin..], kept));
        (messages, results_left_out)
    };
    let mut kept = None;
    let (mut messages, mut results_left_out) = request(first, kept);
    if !within(&messages) && policy.tool_results_kept.is_some() {
        kept = policy.tool_results_kept;
        (messages, results_left_out) = request(first, kept);
    }
    while !within(&messages) && first < last {
        first += 1;
        (messages, results_left_out) = request(first, kept);
    }
    let fits = within(&messages);
    Fitted { messages, turns_left_out: first, results_left_out, fits }
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

/// Leaves the texts of results out, but for the last `kept`; says how many.
fn clear(messages: &mut [Message], kept: usize) -> usize {
    let results: Vec<usize> = (0..messages.len()).filter(|place| messages[*place].role == Role::Tool).collect();
    let old = results.len().saturating_sub(kept);
    for place in &results[..old] {
        messages[*place].content = Some(Content::Text(LEFT_OUT.to_owned()));
    }
    old
}
