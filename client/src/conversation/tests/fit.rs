//! What is sent of any history.

use super::*;
use crate::conversation::fit;

fn length(message: &Message) -> u64 {
    4 + message.plain_text().len() as u64 / 4
}

/// What a policy makes of a history with these rules before it.
fn fit_after_rules(policy: &Policy, history: &[Message], cut: Cut, reserved: u64) -> fit::Fitted {
    let head = Message::system("the rules");
    let tokens = fit::Tokens { head: length(&head), message: &length, most: policy.tokens_max, reserved };
    let mut fitted = fit::fit(policy, history, cut, tokens);
    fitted.messages.insert(0, head);
    fitted
}

/// Thousands of conversations; `QWENDA_CONVERSATIONS` says how many else.
#[test]
fn under_any_policy_no_call_is_sent_without_its_result() {
    let conversations = std::env::var("QWENDA_CONVERSATIONS").map_or(4_000, |number| number.parse().unwrap());
    for seed in 0..conversations {
        let random = &mut Random(seed);
        let history = history(random);
        let most = 20 + random.below(600);
        let mut policy = match random.below(3) {
            0 => Policy::everything(),
            1 => Policy::tokens(most),
            _ => Policy::last_turns(random.below(6) as usize),
        };
        if random.below(2) == 0 {
            policy = policy.keep_tool_results(random.below(4) as usize);
        }
        policy = policy.room(1 + random.below(100) as u8);
        let cut = Cut { turns: random.below(3) as usize, results: random.below(4) as usize };
        let reserved = random.below(most / 2);
        let fitted = fit_after_rules(&policy, &history, cut, reserved);
        check(&fitted.messages, "the rules");
        let sum = fitted.messages.iter().map(length).sum::<u64>();
        assert_eq!(sum, fitted.tokens, "seed {seed}");
        if policy.tokens_max.is_some() && fitted.fits {
            let left_out = fitted.cut != Cut::default();
            assert!(sum <= if left_out { most - reserved } else { most }, "seed {seed}");
        }
        if policy.tokens_max.is_none() && policy.turns_max.is_none() && cut == Cut::default() {
            assert_eq!((fitted.cut, fitted.messages.len()), (Cut::default(), 1 + sent_of(&history)), "seed {seed}");
        }
        // What was left out stays left out, and what is sent again as it is leaves out nothing more.
        assert!(fitted.cut.turns >= cut.turns.min(fit::turns(&history).len() - 1));
        let again = fit_after_rules(&policy, &history, fitted.cut, reserved);
        assert_eq!((again.cut, again.messages), (fitted.cut, fitted.messages.clone()), "seed {seed}");
        accounted_for(&history, &fitted, seed);
    }
}

/// How many messages of a history can be sent at all.
fn sent_of(history: &[Message]) -> usize {
    fit::fit(
        &Policy::everything(),
        history,
        Cut::default(),
        fit::Tokens { head: 0, message: &length, most: None, reserved: 0 },
    )
    .messages
    .len()
}

/// Every message is sent as it is, or is among what has left.
fn accounted_for(history: &[Message], fitted: &fit::Fitted, seed: u64) {
    let left = fit::left(history, fitted.cut);
    let turns = fit::turns(history);
    let numbered = turns.iter().enumerate().flat_map(|(number, turn)| turn.iter().map(move |one| (number, one)));
    for (place, (number, message)) in numbered.enumerate() {
        let gone = left.contains(&place);
        // Calls without results are never sent, and neither is what comes before the person.
        let may_be = message.role == Role::User || !message.plain_text().is_empty() && message.role != Role::Tool;
        if may_be && number > 0 {
            assert!(gone || fitted.messages.contains(message), "seed {seed}: turn {number}, {}", message.role);
        }
        if number < fitted.cut.turns {
            assert!(gone, "seed {seed}: turn {number}");
        }
    }
}

#[test]
fn the_cheapest_goes_first() {
    let mut call = Message::assistant("");
    call.tool_calls = vec![ToolCall::new(0, "c1", "f", "{}")];
    let mut result = Message::text(Role::Tool, "r".repeat(400));
    result.tool_call_id = Some("c1".to_owned());
    let history = [
        Message::user("first"),
        call,
        result,
        Message::assistant("a"),
        Message::user("second"),
        Message::assistant("b"),
        Message::user("third"),
    ];
    let bytes = |message: &Message| message.plain_text().len() as u64;
    let fit = |policy: &Policy, reserved| {
        let tokens = fit::Tokens { head: 0, message: &bytes, most: policy.tokens_max, reserved };
        fit::fit(policy, &history, Cut::default(), tokens)
    };
    let cleared = fit(&Policy::tokens(100).keep_tool_results(0), 0);
    assert_eq!((cleared.cut, cleared.results_left_out, cleared.fits), (Cut { turns: 0, results: 1 }, 1, true));
    assert_eq!(cleared.messages[2].content, Some(Content::Text("[left out]".to_owned())));
    assert_eq!(fit::left(&history, cleared.cut), HashSet::from([2]));
    let shorter = fit(&Policy::tokens(15).keep_tool_results(0).room(100), 0);
    assert_eq!((shorter.cut.turns, shorter.messages[0].plain_text().as_ref()), (1, "second"));
    let plain = fit(&Policy::tokens(100), 0);
    assert_eq!((plain.cut, plain.results_left_out), (Cut { turns: 1, results: 0 }, 0));
    assert_eq!(fit::left(&history, plain.cut), HashSet::from([0, 1, 2, 3]));
    // Room for the next turns: of 13 bytes are 75 % fewer than the last two turns have.
    let roomy = fit(&Policy::tokens(13), 0);
    assert_eq!(roomy.cut.turns, 2);
    let kept_free = fit(&Policy::tokens(417), 50);
    assert_eq!((kept_free.cut.turns, kept_free.tokens), (1, 12));
    let tight = fit(&Policy::tokens(1), 0);
    assert_eq!((tight.messages.len(), tight.fits), (1, false));
}
