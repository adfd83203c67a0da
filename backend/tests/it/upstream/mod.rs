//! The upstream backend against a scripted upstream.

mod asking;
mod breaks;
mod refusals;
mod whole;

use futures_util::StreamExt;
use qwenda_backend::{Backend, ChatEvent, CompletionCall, Counts, TokenizeCall, TokenizeInput, Whose};
use qwenda_testkit::{FakeUpstream, Framing, Reply};
use qwenda_types::completions::{CompletionRequest, Prompt};
use serde_json::json;

use asking::{ANSWER, KEY, ask, start, text, upstream};

#[tokio::test]
async fn a_chat_is_asked_for_as_a_stream_and_comes_back_as_events() {
    for framing in [Framing::Chunked, Framing::Length, Framing::Close] {
        let fake = FakeUpstream::start().await;
        fake.reply(Reply::events(&ANSWER).framed(framing));
        let upstream = upstream(&fake, "");
        let (events, error) = ask(&upstream, json!({"enable_search": true, "made_up": {"a": 1}})).await;
        assert_eq!((text(&events).as_str(), error), ("你好", None), "{framing:?}");
        assert_eq!(events[0], ChatEvent::Started { prompt_tokens: 0, cached_tokens: 0 });
        let Some(ChatEvent::Done { usage, .. }) = events.last() else { panic!("{events:?}") };
        assert_eq!(*usage, Counts { prompt_tokens: 7, completion_tokens: 2, ..Counts::default() });

        let [asked] = fake.asked().try_into().unwrap();
        assert!(asked.head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{}", asked.head);
        assert!(asked.head.contains(&format!("authorization: Bearer {KEY}\r\n")), "{}", asked.head);
        let want = json!({"model": "theirs", "messages": [{"role": "user", "content": "hi"}], "stream": true,
            "stream_options": {"include_usage": true}, "enable_search": true, "made_up": {"a": 1}});
        assert_eq!(asked.body, want);
    }
}

#[tokio::test]
async fn a_text_is_continued_choice_by_choice() {
    let fake = FakeUpstream::start().await;
    let piece = |index: u32, text: &str| {
        json!({"choices": [{"index": index, "text": text, "finish_reason": "length", "logprobs": null}]}).to_string()
    };
    fake.reply(Reply::events(&[&piece(1, "b"), &piece(0, "a"), "[DONE]"]));
    let request = CompletionRequest {
        model: "ours".to_owned(),
        prompts: vec![Prompt::Text("x".to_owned()), Prompt::Text("y".to_owned())],
        suffix: Some("z".to_owned()),
        ..CompletionRequest::default()
    };
    let call = CompletionCall { request, request_id: String::new(), whose: Whose::default() };
    let events: Vec<_> = upstream(&fake, "").complete(call).await.unwrap().map(Result::unwrap).collect().await;
    assert_eq!(text(&events), "ba");
    let ends = events.iter().filter(|event| matches!(event, ChatEvent::Finished { .. })).count();
    assert_eq!(ends, 2);
    let [asked] = fake.asked().try_into().unwrap();
    assert!(asked.head.starts_with("POST /v1/completions "));
    assert_eq!((&asked.body["prompt"], &asked.body["suffix"]), (&json!(["x", "y"]), &json!("z")));
}

#[tokio::test]
async fn who_drops_an_answer_closes_the_connection() {
    let fake = FakeUpstream::start().await;
    fake.reply(Reply::events(&ANSWER[..1]).framed(Framing::Close).hanging());
    fake.reply(Reply::events(&[]).framed(Framing::Close).hanging());
    let upstream = upstream(&fake, "");
    let mut stream = start(&upstream, json!({})).await.unwrap();
    assert!(matches!(stream.next().await, Some(Ok(ChatEvent::Started { .. }))));
    assert!(matches!(stream.next().await, Some(Ok(ChatEvent::Text { .. }))));
    drop(stream);
    fake.left(1).await;
    // Before anything has come, too.
    drop(start(&upstream, json!({})).await.unwrap());
    fake.left(2).await;
}

#[tokio::test]
async fn models_are_those_of_the_settings_and_count_no_tokens() {
    let fake = FakeUpstream::start().await;
    let upstream = upstream(&fake, "");
    let cards = upstream.models();
    let told: Vec<_> = cards.iter().map(|card| (card.id.as_str(), card.owned_by.as_str())).collect();
    assert_eq!(told, [("ours", "fake"), ("vectors", "fake")]);
    assert!(cards.iter().all(|card| card.abilities.forwards) && upstream.ready());
    let input = TokenizeInput::Prompt(Prompt::Text("a".to_owned()));
    let error = upstream.tokenize(TokenizeCall { model: "ours".to_owned(), input }).await.unwrap_err();
    assert_eq!(error.to_string(), "Counting tokens is not supported by this model, ours.");
    assert!(start(&upstream, json!({"model": "our"})).await.err().unwrap().to_string().contains("`our`"));
    assert!(fake.asked().is_empty());
}
