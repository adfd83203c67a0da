//! Models in this process, by the same calls.

use std::sync::Arc;

use qwenda::{Billed, Budget, Client, Kind, Retry, Throttle};
use qwenda_backend::{BackendError, ChatEvent, Counts, Timings};
use qwenda_testkit::{Act, Gate, Script, Scripted, scripted::Played};

fn client(backend: &Scripted) -> Client {
    let builder = Client::builder().embedded(Arc::new(backend.clone())).retry(Retry::none());
    // A budget is for what is paid for.
    builder.budget(Budget::total("0 CNY").unwrap()).build().unwrap()
}

#[tokio::test]
async fn all_calls_are_answered_without_a_network_and_cost_nothing() {
    let backend = Scripted::new(&["tiny"]);
    let client = client(&backend);
    backend.answer(Script::text(3, &["Hel", "lo"]));
    let reply = client.chat("tiny").user("hi").await.unwrap();
    assert_eq!((reply.text(), reply.usage().unwrap().output_tokens, reply.cost()), ("Hello", 2, None));
    assert_eq!(reply.request_id.as_deref(), Some(backend.calls()[0].request_id.as_str()));
    backend.answer(Script::text(1, &["a", "b"]));
    assert_eq!(client.complete("tiny", "x").max_tokens(2).await.unwrap().text, "ab");
    assert_eq!(client.embed("tiny", ["a", "b"]).dimensions(4).await.unwrap()[1].len(), 4);
    assert_eq!(client.rerank("tiny", "cat", ["a dog", "a cat"]).await.unwrap().hits[0].index, 1);
    assert_eq!(client.tokenize("tiny", "two words").await.unwrap().texts, ["two", "words"]);
    assert_eq!(client.models().await.unwrap()[0].id, "tiny");
}

#[tokio::test]
async fn a_stream_that_is_dropped_stops_the_backend() {
    let backend = Scripted::new(&["tiny"]);
    let gate = Gate::new();
    let played = backend.answer(Script::text(3, &["Hel", "lo"]).wait_before(2, &gate));
    let mut stream = client(&backend).chat("tiny").user("hi").stream().await.unwrap();
    stream.next().await.unwrap().unwrap();
    assert!(matches!(played.now(), Played::Streaming(_)), "{:?}", played.now());
    drop(stream);
    // Nothing had to be sent for it.
    assert_eq!(played.now(), Played::Dropped(2));
}

#[tokio::test]
async fn calls_of_tools_and_reasoning_come_through() {
    let call = |index, id: &str| {
        let (id, name) = (id.to_owned(), "f".to_owned());
        [
            ChatEvent::ToolCall { choice: 0, index, id, name, completion_tokens: 1 },
            ChatEvent::ToolArguments { choice: 0, index, text: "{\"a\":".to_owned(), completion_tokens: 2 },
            ChatEvent::ToolArguments { choice: 0, index, text: "1}".to_owned(), completion_tokens: 3 },
        ]
    };
    let reasoning = ChatEvent::Reasoning { choice: 0, text: "hm".to_owned(), completion_tokens: 1 };
    let finished = ChatEvent::Finished { choice: 0, reason: qwenda::types::chat::FinishReason::ToolCalls };
    let done = ChatEvent::Done { usage: Counts::default(), timings: Timings::default() };
    let events = [reasoning].into_iter().chain(call(0, "c1")).chain(call(1, "c2")).chain([finished, done]);
    let backend = Scripted::new(&["tiny"]);
    backend.answer(Script::new(events.map(Act::Event)));
    let reply = client(&backend).chat("tiny").user("hi").await.unwrap();
    let calls: Vec<(&str, &str)> = reply.tool_calls().iter().map(|c| (c.id.as_str(), c.arguments.as_str())).collect();
    assert_eq!((reply.reasoning(), calls), ("hm", vec![("c1", "{\"a\":1}"), ("c2", "{\"a\":1}")]));
}

#[tokio::test]
async fn refusals_are_the_same_errors_as_over_a_network() {
    let backend = Scripted::new(&["tiny"]);
    let client = client(&backend);
    let refused = async |error: BackendError| {
        backend.answer(Script::refuse(error));
        client.chat("tiny").user("hi").await.unwrap_err()
    };
    let long = refused(BackendError::PromptTooLong { prompt_tokens: 9, limit_tokens: 4 }).await;
    assert_eq!((long.kind(), long.billed()), (Kind::ContextOverflow, Billed::No));
    let unknown = refused(BackendError::UnknownModel { name: "x".to_owned(), near: vec!["tiny".to_owned()] }).await;
    assert_eq!(unknown.kind(), Kind::NotFound);
    let busy = refused(BackendError::Busy { retry_after_ms: 1500 }).await;
    assert_eq!(busy.retry_after().unwrap().as_millis(), 1500);
    assert!(matches!(busy.kind(), Kind::Throttled(Throttle::Requests | Throttle::Overloaded)), "{busy:?}");
    assert_eq!(refused(BackendError::Internal("broken".to_owned())).await.kind(), Kind::Service);
    assert_eq!(client.chat("tiny").user("hi").temperature(9.0).await.unwrap_err().kind(), Kind::Refused);
    backend.answer(Script::text(3, &["a", "b"]).fail_after(2, BackendError::Internal("broken".to_owned())));
    let cut = client.chat("tiny").user("hi").await.unwrap_err();
    assert_eq!((cut.kind(), cut.partial().unwrap().text()), (Kind::Service, "a"));
}

#[tokio::test]
async fn dropping_an_answer_stops_the_model() {
    let backend = Scripted::new(&["tiny"]);
    let gate = Gate::new();
    let played = backend.answer(Script::text(3, &["a", "b"]).wait_before(2, &gate));
    let mut stream = client(&backend).chat("tiny").user("hi").stream().await.unwrap();
    assert!(matches!(stream.next().await, Some(Ok(qwenda::Event::Text(_)))));
    drop(stream);
    played.over().await;
    assert!(played.dropped());
}

#[test]
fn a_model_that_is_not_here_is_told_of_before_any_call() {
    let error = Client::builder().embedded_model("no-such-model").unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
}

#[cfg(feature = "tools")]
#[tokio::test]
async fn a_counted_conversation_fills_the_window_and_never_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    const WINDOW: u32 = 1024;
    qwenda_testkit::TinyModel { context: WINDOW, ..qwenda_testkit::TinyModel::qwen2() }.write(&path).unwrap();
    let client = Client::builder().embedded_model(path.to_str().unwrap()).unwrap().build().unwrap();
    let model = client.models().await.unwrap()[0].id.clone();
    let tool = qwenda::tools::definition::<()>("weather", "The weather here.");
    let chat = client.chat(model).system("Be brief.").tool(tool).max_tokens(24).temperature(1.0).seed(1);
    let policy = qwenda::Policy::window(WINDOW.into()).counted().room(100);
    let mut talk = chat.conversation(policy);
    let mut fullest = 0;
    for text in ["What is the weather?", "今天天气怎么样？", "fn main() { println!(\"{}\", 1 + 2); }"].repeat(8)
    {
        let plan = talk.prepare(text).await.unwrap();
        assert!(plan.counted && plan.fits && plan.input_tokens + 24 <= u64::from(WINDOW), "{plan:?}");
        let reply = talk.send(text).await.unwrap();
        assert_eq!(reply.usage().unwrap().input_tokens, plan.input_tokens);
        fullest = fullest.max(plan.input_tokens);
    }
    let last = talk.prepare("and now?").await.unwrap();
    assert!(last.turns_left_out > 0 && fullest > 700, "{last:?}, {fullest}");
}
