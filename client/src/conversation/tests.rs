mod fit;
mod kept;
mod memory;
mod summary;

use std::collections::HashSet;

use qwenda_types::chat::{ChatRequest, Content, ToolCall};
use serde_json::json;

use super::*;
use crate::{
    Mock, estimate,
    memory::{VectorMemory, WordVectors},
};

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

/// The contents of the messages of a request.
fn contents(body: &serde_json::Map<String, serde_json::Value>) -> Vec<String> {
    let messages = body["messages"].as_array().unwrap();
    messages.iter().map(|message| message["content"].as_str().unwrap().to_owned()).collect()
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
async fn what_the_service_counts_decides_and_corrects_the_estimate() {
    let tokens = |number: usize| {
        let ids: Vec<usize> = (0..number).collect();
        let texts: Vec<String> = ids.iter().map(ToString::to_string).collect();
        json!({"output": {"token_ids": ids, "tokens": texts}, "usage": {"input_tokens": number}, "request_id": "r"})
    };
    let text = "word ".repeat(40);
    let estimate = estimate::message(&Message::user(text.as_str())) as usize;
    // The service counts two times and then three times as much.
    let mock = Mock::new().json(tokens(2 * estimate)).reply("1").json(tokens(6 * estimate)).json(tokens(3 * estimate));
    let client = mock.builder().base_url("http://mock.invalid/compatible-mode/v1").build().unwrap();
    let policy = Policy::tokens(5 * estimate as u64).counted();
    let mut talk = client.chat("m").conversation(policy);
    talk.send(&text).await.unwrap();
    let plan = talk.prepare(&text).await.unwrap();
    assert_eq!((plan.counted, plan.turns_left_out, plan.fits), (true, 1, true));
    assert_eq!(plan.input_tokens, 3 * estimate as u64);
    assert_eq!(mock.bodies().len(), 4);
}

#[tokio::test]
async fn prompt_and_answer_stay_within_the_window() {
    let mock = Mock::new();
    let chat = || mock.client().chat("m").system("be brief");
    for seed in 0..300 {
        let random = &mut Random(seed);
        let window = 200 + random.below(2_000);
        let answer = 1 + random.below(150);
        let bounded = random.below(2) == 0;
        let chat = if bounded { chat().max_tokens(answer as u32) } else { chat() };
        let talk = chat.messages(history(random)).conversation(Policy::window(window));
        let plan = talk.plan("the last question");
        let answer = if bounded { answer } else { window / 4 };
        assert!(plan.input_tokens + answer <= window || !plan.fits, "seed {seed}: {plan:?}");
        let request = ChatRequest::new("m", plan.messages);
        request
            .validate(qwenda_types::chat::Strictness::default())
            .unwrap_or_else(|wrong| panic!("seed {seed}: {wrong:?}"));
    }
}

/// What of a conversation is sent with a memory and a summary, as the strictest services check it. Hundreds of
/// conversations; a hundredth of `QWENDA_CONVERSATIONS` else.
#[tokio::test]
async fn what_is_recalled_and_summarised_breaks_no_request_and_no_budget() {
    let conversations =
        std::env::var("QWENDA_CONVERSATIONS").map_or(300, |number| number.parse::<u64>().unwrap() / 100);
    let (mut recalled, mut summarised) = (0, 0);
    for seed in 0..conversations {
        let random = &mut Random(seed);
        let mock = Mock::new().reply("- what was said").reply("the answer");
        let mut said = history(random);
        said.pop();
        let most = 150 + random.below(600);
        let mut policy = match random.below(3) {
            0 => Policy::tokens(most),
            1 => Policy::window(most * 2),
            _ => Policy::last_turns(1 + random.below(4) as usize),
        };
        if random.below(2) == 0 {
            policy = policy.keep_tool_results(random.below(3) as usize);
        }
        if random.below(2) == 0 {
            policy = policy.summarise_with("small");
        }
        policy = policy.remember_in(VectorMemory::in_ram(WordVectors::new()).share(5 + random.below(40) as u8));
        let mut talk = mock.client().chat("m").system("the rules").messages(said).conversation(policy.clone());
        let limit = if policy.window.is_some() { most * 2 - most * 2 / 4 } else { most };
        let plan = talk.prepare("the last question").await.unwrap();
        assert!(talk.send("the last question").await.is_ok() || policy.summary_model.is_some(), "seed {seed}");
        summarised += usize::from(talk.summary().is_some());
        let body = mock.bodies().into_iter().rfind(|body| body["model"] == "m").unwrap();
        let sent: Vec<Message> = serde_json::from_value(body["messages"].clone()).unwrap();
        for messages in [&plan.messages, &sent] {
            check(messages, "the rules");
            let request = ChatRequest::new("m", messages.clone());
            request
                .validate(qwenda_types::chat::Strictness::default())
                .unwrap_or_else(|wrong| panic!("{seed}: {wrong:?}"));
            let tokens = messages.iter().map(estimate::message).sum::<u64>();
            let counts = policy.turns_max.is_none() && plan.fits;
            assert!(!counts || tokens <= limit, "seed {seed}: {tokens} of {limit}");
        }
        recalled += plan.recalled;
    }
    assert!(recalled > 100 && summarised > 30, "{recalled} {summarised}");
}

#[tokio::test]
async fn the_beginning_of_what_is_sent_seldom_changes() {
    let mut mock = Mock::new();
    for _ in 0..60 {
        mock = mock.reply("A rather long answer that says this and that about the question. ".repeat(3));
    }
    let mut talk = mock.client().chat("m").system("rules").conversation(Policy::tokens(1_500));
    for turn in 0..60 {
        talk.send(&format!("Question number {turn}, which has some words of its own.")).await.unwrap();
    }
    let bodies: Vec<Vec<String>> = mock.bodies().iter().map(contents).collect();
    let changed = bodies.windows(2).filter(|pair| !pair[1].starts_with(&pair[0])).count();
    assert!((1..=8).contains(&changed), "{changed} of 59");
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
