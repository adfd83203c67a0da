//! An upstream that is asked, and one that answers.

use futures_util::StreamExt;
use qwenda_backend::{
    Backend, BackendError, ChatCall, ChatEvent, ChatStream, Whose,
    upstream::{
        Upstream,
        config::{self, Written},
    },
};
use qwenda_testkit::{FakeUpstream, Reply};
use qwenda_types::error::ApiError;
use serde_json::{Value, json};

pub(super) const KEY: &str = "sk-very-secret";

/// The whole answer "你好": two pieces, the end, the usage, the mark.
pub(super) const ANSWER: [&str; 5] = [
    r#"{"id":"x","choices":[{"index":0,"delta":{"role":"assistant","content":"你"},"finish_reason":null}]}"#,
    r#"{"id":"x","choices":[{"index":0,"delta":{"content":"好"},"finish_reason":null}]}"#,
    r#"{"id":"x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
    r#"{"id":"x","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}"#,
    "[DONE]",
];

/// Asks `fake` under these settings.
pub(super) fn upstream(fake: &FakeUpstream, settings: &str) -> Upstream {
    at(&fake.base_url(), settings)
}

/// Asks whoever is there.
pub(super) fn at(base_url: &str, settings: &str) -> Upstream {
    let text = format!(
        "name = \"fake\"\nbase_url = \"{base_url}\"\napi_key = \"{KEY}\"\n{settings}\nmodels = [{{id = \"ours\", \
         upstream = \"theirs\"}}, {{id = \"vectors\", embed = true, rerank = true}}]"
    );
    let written: Written = toml::from_str(&text).expect("settings");
    let [config] = config::resolve(vec![written], &|_| None).expect("settings").try_into().expect("one");
    Upstream::new(config).expect("it needs no TLS")
}

pub(super) async fn start(upstream: &Upstream, fields: Value) -> Result<ChatStream, BackendError> {
    let mut request = json!({"model": "ours", "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in fields.as_object().expect("fields") {
        request[name] = value.clone();
    }
    let request = serde_json::from_value(request).expect("a request");
    upstream.chat(ChatCall { request, request_id: "request".to_owned(), whose: Whose::default() }).await
}

/// Everything that comes, and the error that ends it.
pub(super) async fn ask(upstream: &Upstream, fields: Value) -> (Vec<ChatEvent>, Option<ApiError>) {
    let mut events = Vec::new();
    let mut stream = match start(upstream, fields).await {
        Ok(stream) => stream,
        Err(error) => return (events, Some(refused(error))),
    };
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => events.push(event),
            Err(error) => {
                assert!(stream.next().await.is_none(), "an error is the last");
                return (events, Some(refused(error)));
            }
        }
    }
    (events, None)
}

/// The error at the edge; it never shows the key or the address.
pub(super) fn refused(error: BackendError) -> ApiError {
    let BackendError::Refused(error) = error else { panic!("{error:?}") };
    let shown = format!("{error:?}");
    assert!(!shown.contains(KEY) && !shown.contains("127.0.0.1"), "{shown}");
    *error
}

/// The text of these events.
pub(super) fn text(events: &[ChatEvent]) -> String {
    let texts = events.iter().filter_map(|event| match event {
        ChatEvent::Text { text, .. } => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

/// A fake that gives these replies, asked once without retries.
pub(super) async fn asked_once(reply: Reply) -> (Vec<ChatEvent>, Option<ApiError>) {
    let fake = FakeUpstream::start().await;
    fake.reply(reply);
    ask(&upstream(&fake, "retries = 0"), json!({})).await
}
