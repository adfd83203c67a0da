use std::collections::HashSet;

use qwenda_types::chat::{Content, ToolCall};
use serde_json::json;

use super::*;
use crate::Mock;

struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// A conversation of any shape, with calls that have too few, too many or no results.
fn history(random: &mut Random) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut calls = 0;
    for turn in 0..1 + random.below(8) {
        if turn > 0 || random.below(8) > 0 {
            messages.push(Message::user(format!("question {turn} {}", "x".repeat(random.below(200) as usize))));
        }
        for _ in 0..random.below(4) {
            let mut message = Message::assistant("");
            let ids: Vec<String> = (0..random.below(5)).map(|call| format!("c{}", calls + call)).collect();
            calls += ids.len() as u64;
            message.tool_calls = ids.iter().map(|id| ToolCall::new(0, id, "f", "{}")).collect();
            messages.push(message);
            for id in &ids {
                if random.below(12) > 0 {
                    let mut result = Message::text(Role::Tool, "r".repeat(random.below(300) as usize));
                    result.tool_call_id = Some(id.clone());
                    messages.push(result);
                }
            }
            if random.below(20) == 0 {
                let mut stray = Message::text(Role::Tool, "stray");
                stray.tool_call_id = Some("c0".to_owned());
                messages.push(stray);
            }
        }
        if random.below(4) > 0 {
            messages.push(Message::assistant("answer"));
        }
    }
    messages.push(Message::user("the last question"));
    messages
}

/// As the strictest services check it.
fn check(messages: &[Message], system: &str) {
    assert_eq!(messages.iter().filter(|message| message.plain_text() == system).count(), 1, "the system message once");
    assert_eq!(messages[0].plain_text(), system);
    let body: Vec<&Message> = messages.iter().skip_while(|message| message.role == Role::System).collect();
    assert_eq!(body[0].role, Role::User, "a person speaks first");
    assert_eq!(body[body.len() - 1].plain_text(), "the last question", "the last words stay as they are");
    let mut open: HashSet<String> = HashSet::new();
    for message in body {
        if message.role == Role::Tool {
            let id = message.tool_call_id.clone().unwrap();
            assert!(open.remove(&id), "a result without its call");
        } else {
            assert!(open.is_empty(), "a call without its result");
            open.extend(message.tool_calls.iter().map(|call| call.id.clone()));
        }
    }
    assert!(open.is_empty(), "a call without its result");
}

#[test]
fn under_any_policy_no_call_is_sent_without_its_result() {
    let tokens = |messages: &[Message]| messages.iter().map(|message| 4 + message.plain_text().len() as u64 / 4).sum();
    let head = [Message::system("the rules")];
    for seed in 0..20_000 {
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
        let summarised = random.below(3) as usize;
        let fitted = fit::fit(&policy, &head, &history, summarised, &tokens);
        check(&fitted.messages, "the rules");
        if policy.tokens_max.is_some() && fitted.fits {
            assert!(tokens(&fitted.messages) <= most, "seed {seed}");
        }
        if policy == Policy::everything() && summarised == 0 {
            assert_eq!(fitted.turns_left_out, 0);
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
    let tokens = |messages: &[Message]| messages.iter().map(|message| message.plain_text().len() as u64).sum();
    let fit = |policy: &Policy| fit::fit(policy, &[], &history, 0, &tokens);
    let cleared = fit(&Policy::tokens(100).keep_tool_results(0));
    assert_eq!((cleared.turns_left_out, cleared.results_left_out, cleared.fits), (0, 1, true));
    assert_eq!(cleared.messages[2].content, Some(Content::Text("[left out]".to_owned())));
    let shorter = fit(&Policy::tokens(15).keep_tool_results(0));
    assert_eq!((shorter.turns_left_out, shorter.messages[0].plain_text().as_ref()), (1, "second"));
    let plain = fit(&Policy::tokens(100));
    assert_eq!((plain.turns_left_out, plain.results_left_out), (1, 0));
    let tight = fit(&Policy::tokens(1));
    assert_eq!((tight.messages.len(), tight.fits), (1, false));
}

#[tokio::test]
async fn what_fails_changes_nothing_and_what_is_appended_keeps_its_beginning() {
    let mock = Mock::new().reply("one").error(400, "bad").reply("two");
    let mut talk = mock.client().chat("m").system("rules").conversation(Policy::everything());
    talk.send("a").await.unwrap();
    talk.send("b").await.unwrap_err();
    assert_eq!(talk.history().len(), 2);
    assert_eq!(talk.plan("c").messages_as_before, 2);
    talk.send("c").await.unwrap();
    let contents: Vec<Vec<String>> = mock
        .bodies()
        .iter()
        .map(|body| {
            body["messages"].as_array().unwrap().iter().map(|m| m["content"].as_str().unwrap().to_owned()).collect()
        })
        .collect();
    assert_eq!(contents[0], ["rules", "a"]);
    assert_eq!(contents[2], ["rules", "a", "one", "c"]);
}

#[tokio::test]
async fn turns_left_out_are_summarised_once_and_a_bad_summary_is_none() {
    let cut = json!({"choices": [{"delta": {"content": "half a"}, "finish_reason": "length"}]});
    let mock = Mock::new().reply("1").events([cut]).reply("2").reply("- a was said").reply("3");
    let mut talk = mock.client().chat("m").system("rules").conversation(Policy::last_turns(1).summarise_with("small"));
    talk.send("a").await.unwrap();
    talk.send("b").await.unwrap();
    assert_eq!(talk.summary(), None);
    talk.send("c").await.unwrap();
    assert_eq!(talk.summary(), Some("- a was said"));
    let bodies = mock.bodies();
    assert_eq!((&bodies[1]["model"], &bodies[3]["model"]), (&json!("small"), &json!("small")));
    let last = bodies[4]["messages"].as_array().unwrap();
    let contents: Vec<&str> = last.iter().map(|message| message["content"].as_str().unwrap()).collect();
    assert_eq!(contents, ["rules", "Summary of the conversation before:\n- a was said", "c"]);
    let asked = bodies[3]["messages"][1]["content"].as_str().unwrap();
    assert_eq!(asked, "user: a\nassistant: 1\nuser: b\nassistant: 2\n");
    assert_eq!(talk.history().len(), 6);
}

#[cfg(feature = "tools")]
#[tokio::test]
async fn a_run_in_a_conversation_becomes_its_history() {
    use crate::tools::{Outcome, Tool};

    struct Now;

    impl Tool for Now {
        fn definition(&self) -> qwenda_types::chat::Tool {
            crate::tools::definition::<()>("now", "The time.")
        }

        fn call(&self, _: serde_json::Value) -> Outcome {
            Box::pin(async { Ok("noon".to_owned()) })
        }
    }

    let mock = Mock::new().reply("hi").tool_calls([("now", json!({}))]).reply("It is noon.");
    let mut talk = mock.client().chat("m").conversation(Policy::everything());
    talk.send("hello").await.unwrap();
    let run = talk.run("what time is it?", |chat| chat.tools(Now)).await.unwrap();
    assert_eq!(run.text(), "It is noon.");
    let roles: Vec<Role> = talk.history().iter().map(|message| message.role).collect();
    use Role::{Assistant, Tool as Result, User};
    assert_eq!(roles, [User, Assistant, User, Assistant, Result, Assistant]);
}
