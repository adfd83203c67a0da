use std::{
    collections::HashSet,
    sync::atomic::{AtomicBool, Ordering},
};

use futures_util::future::BoxFuture;
use qwenda_types::chat::{ChatRequest, Content, ToolCall};
use serde_json::json;

use super::*;
use crate::{
    Mock, estimate,
    history::{Kept, KeptInfo, RamHistory},
    memory::{Embedder, VectorMemory, Wanted, WordVectors},
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
async fn a_summary_that_is_empty_refused_or_cut_changes_nothing_and_ends_after_three() {
    let cut = json!({"choices": [{"delta": {"content": "half a"}, "finish_reason": "length"}]});
    let reasoned = json!({"choices": [{"delta": {"reasoning_content": "let me think"}, "finish_reason": "stop"}]});
    let filtered = json!({"choices": [{"delta": {"content": "no"}, "finish_reason": "content_filter"}]});
    let mock =
        Mock::new().reply("0").events([cut]).reply("1").events([reasoned]).reply("2").events([filtered]).reply("3");
    let mock = mock.reply("4");
    let mut talk = mock.client().chat("m").conversation(Policy::last_turns(1).summarise_with("small"));
    for turn in 0..5_usize {
        assert_eq!(talk.send("something").await.unwrap().text(), turn.to_string());
        assert_eq!((talk.summary(), talk.history().len()), (None, 2 * turn + 2));
    }
    let models: Vec<String> = mock.bodies().iter().map(|body| body["model"].as_str().unwrap().to_owned()).collect();
    assert_eq!(models, ["m", "small", "m", "small", "m", "small", "m", "m"]);
    assert_eq!(contents(&mock.bodies()[7]), ["something"]);
}

#[tokio::test]
async fn however_often_it_is_made_anew_a_summary_has_its_bound() {
    let mut mock = Mock::new().reply("answer");
    for _ in 0..20 {
        mock = mock.reply("- a fact").reply("answer");
    }
    let mut talk = mock.client().chat("m").conversation(Policy::last_turns(1).summarise_with("small"));
    for _ in 0..21 {
        talk.send(&"x ".repeat(9_000)).await.unwrap();
    }
    let asked: Vec<_> = mock.bodies().into_iter().filter(|body| body["model"] == "small").collect();
    let sizes: Vec<usize> = asked.iter().map(|body| contents(body)[1].len()).collect();
    assert_eq!(asked.len(), 20);
    // A long message is told by its beginning and its end.
    assert!(sizes.iter().all(|size| *size < 9_000) && sizes[1] == sizes[19], "{sizes:?}");
    assert!(asked.iter().all(|body| body["max_tokens"] == 1024));
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

/// The contents of the messages of a request.
fn contents(body: &serde_json::Map<String, serde_json::Value>) -> Vec<String> {
    let messages = body["messages"].as_array().unwrap();
    messages.iter().map(|message| message["content"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn what_is_left_out_comes_back_where_it_is_asked_for_and_is_embedded_once() {
    let mock = Mock::new().reply("Noted.").reply("Indeed.").reply("Yes.").reply("8123.").reply("In May.");
    let client = mock.client();
    let counting = Counting::default();
    let memory = VectorMemory::in_ram(counting.clone());
    let policy = Policy::last_turns(1).remember_in(memory);
    let mut talk = client.chat("m").system("rules").conversation(policy);
    for text in ["My order number is 8123, placed in May.", "The sky is blue today.", "Order 8123 became order 9456."] {
        talk.send(text).await.unwrap();
    }
    let plan = talk.prepare("What is my order number?").await.unwrap();
    let documents = counting.documents();
    talk.send("What is my order number?").await.unwrap();
    assert_eq!(counting.documents(), documents, "what a plan has put into the memory is not embedded again");
    let sent = contents(&mock.bodies()[3]);
    assert_eq!((sent.len(), sent[0].as_str(), sent[2].as_str()), (3, "rules", "What is my order number?"));
    let lines: Vec<&str> = sent[1].lines().skip(1).collect();
    assert_eq!(
        lines,
        ["[turn 1, user] My order number is 8123, placed in May.", "[turn 3, user] Order 8123 became order 9456.",]
    );
    assert_eq!(plan.recalled, 2);
    assert_eq!(plan.messages.iter().map(|one| one.plain_text().into_owned()).collect::<Vec<_>>(), sent);
    talk.send("And when was it placed?").await.unwrap();
    let texts: Vec<String> = counting.0.lock().unwrap().clone();
    let mut once = texts.clone();
    once.sort();
    once.dedup();
    assert_eq!(texts.len(), once.len());
    // What is recalled is not said: the history has only what was.
    assert_eq!(talk.history().len(), 10);
}

/// Remembers what it has embedded.
#[derive(Clone, Default)]
struct Counting(Arc<std::sync::Mutex<Vec<String>>>);

impl Counting {
    fn documents(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl Embedder for Counting {
    fn space(&self) -> String {
        "counting".to_owned()
    }

    fn embed(&self, texts: Vec<String>, wanted: Wanted) -> BoxFuture<'static, Result<Vec<Vec<f32>>>> {
        if wanted == Wanted::Document {
            self.0.lock().unwrap().extend(texts.iter().cloned());
        }
        WordVectors::new().embed(texts, wanted)
    }
}

#[tokio::test]
async fn what_was_corrected_in_what_is_sent_anyway_is_repeated_behind_what_is_recalled() {
    let mock = Mock::new().reply("Noted.").reply("Indeed.").reply("Noted.");
    let policy = Policy::last_turns(2).remember_in(VectorMemory::in_ram(WordVectors::new()));
    let mut talk = mock.client().chat("m").conversation(policy);
    for text in ["My order number is 8123.", "The sky is blue today.", "Correction: my order number is 9456."] {
        talk.send(text).await.unwrap();
    }
    let plan = talk.prepare("What is my order number?").await.unwrap();
    let recalled = plan.messages[plan.messages.len() - 2].plain_text().into_owned();
    let lines: Vec<&str> = recalled.lines().skip(1).collect();
    assert_eq!(
        lines,
        ["[turn 1, user] My order number is 8123.", "[turn 3, user] Correction: my order number is 9456.",]
    );
    // Where nothing older comes back, nothing is repeated.
    let plan = talk.prepare("Which correction?").await.unwrap();
    assert_eq!(plan.recalled, 0);
}

#[tokio::test]
async fn a_memory_that_fails_is_an_error_and_changes_nothing() {
    struct Broken;
    impl Embedder for Broken {
        fn space(&self) -> String {
            "broken".to_owned()
        }

        fn embed(&self, _: Vec<String>, _: Wanted) -> BoxFuture<'static, Result<Vec<Vec<f32>>>> {
            Box::pin(async { Err(Error::of(Kind::Service)) })
        }
    }
    let mock = Mock::new().reply("1");
    let policy = Policy::last_turns(1).remember_in(VectorMemory::in_ram(Broken));
    let mut talk = mock.client().chat("m").conversation(policy);
    talk.send("a").await.unwrap();
    assert_eq!(talk.send("b").await.unwrap_err().kind(), Kind::Service);
    assert_eq!((talk.history().len(), mock.bodies().len()), (2, 1));
}

#[tokio::test]
async fn a_conversation_that_is_kept_goes_on_with_its_summary() {
    let chats = RamHistory::new();
    let mock = Mock::new().reply("1").reply("- a was said").reply("2").reply("3");
    let client = mock.client();
    let begin = async |id: &str| {
        let policy = Policy::last_turns(1).summarise_with("small");
        client.chat("m").system("rules").conversation(policy).open(id).store(chats.clone()).await
    };
    let mut talk = begin("x").await.unwrap();
    let mut other = begin("x").await.unwrap();
    talk.send("a").await.unwrap();
    talk.send("b").await.unwrap();
    drop(talk);
    let mut talk = begin("x").await.unwrap();
    assert_eq!((talk.history().len(), talk.summary()), (4, Some("- a was said")));
    assert_eq!(begin("y").await.unwrap().history().len(), 0);
    // Who began before and knows nothing of it is told, and has the answer all the same.
    let error = other.send("c").await.unwrap_err();
    assert_eq!((error.kind(), error.billed()), (Kind::Conflict, crate::Billed::Yes));
    assert_eq!(error.partial().unwrap().text(), "3");
    let begun = client.chat("m").user("something else").assistant("yes").conversation(Policy::everything());
    assert_eq!(begun.open("x").store(chats.clone()).await.unwrap_err().kind(), Kind::Invalid);
    assert!(talk.send("d").await.is_err(), "the script is over");
    assert_eq!(chats.load("x").await.unwrap().messages.len(), 4);
}

/// Fails once.
struct Full(RamHistory, AtomicBool);

impl History for Full {
    fn load<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Kept>> {
        self.0.load(id)
    }

    fn append<'a>(
        &'a self,
        id: &'a str,
        after: usize,
        messages: Vec<Message>,
        notes: serde_json::Map<String, serde_json::Value>,
    ) -> BoxFuture<'a, Result<()>> {
        if self.1.swap(false, Ordering::Relaxed) {
            return Box::pin(async { Err(Error::of(Kind::Storage).say("disk full")) });
        }
        self.0.append(id, after, messages, notes)
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<KeptInfo>>> {
        self.0.list()
    }

    fn delete<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<bool>> {
        self.0.delete(id)
    }
}

#[tokio::test]
async fn an_answer_that_could_not_be_kept_is_kept_with_the_next() {
    let chats = RamHistory::new();
    let mock = Mock::new().reply("1").reply("2");
    let talk = mock.client().chat("m").conversation(Policy::everything()).open("x");
    let mut talk = talk.store(Full(chats.clone(), true.into())).await.unwrap();
    let error = talk.send("a").await.unwrap_err();
    assert_eq!((error.kind(), error.partial().unwrap().text()), (Kind::Storage, "1"));
    talk.send("b").await.unwrap();
    let kept = chats.load("x").await.unwrap().messages;
    assert_eq!(kept, talk.history());
    assert_eq!(kept.len(), 4);
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
