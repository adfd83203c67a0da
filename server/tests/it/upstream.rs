//! A server in front of a server: what the one behind says, the one in front says.

use std::sync::Arc;

use qwenda_backend::{
    Abilities, BackendError, EmbedAbility, ModelCard, Thinking,
    routing::Routing,
    upstream::{
        Upstream,
        config::{self, Written},
    },
};
use qwenda_testkit::{Gate, Script, Scripted};
use serde_json::{Value, json};

use crate::{
    chat_whole::two_choices,
    logs::logged,
    native::TEXT,
    service::{CHAT, Reply, Service, request},
    tools::{calls, reasoned, tools},
};

const MULTIMODAL: &str = "/api/v1/services/aigc/multimodal-generation/generation";
const SSE: &str = "X-DashScope-SSE: enable\r\n";

/// Two servers, of which only the one in front is called.
struct Pair {
    front: Service,
    behind: Service,
}

impl Pair {
    /// Behind, a model that takes media or none; in front, an upstream beside a text model of its own.
    async fn new(media: bool) -> Self {
        let card = ModelCard {
            id: "qwen-behind".to_owned(),
            created: 1,
            owned_by: "testkit".to_owned(),
            context_tokens_max: 4096,
            thinking: Thinking::Optional { default: false },
            abilities: Abilities {
                chat: true,
                infill: true,
                media,
                search: media,
                embed: Some(EmbedAbility { dimensions_default: 8, text_tokens_max: 64, tells_questions: false }),
                rerank: true,
                ..Abilities::default()
            },
        };
        let behind = Service::serving(Scripted::with_models(vec![card]), |_| {}).await;
        let front = Self::front(&behind, &behind.key).await;
        Self { front, behind }
    }

    async fn front(behind: &Service, key: &str) -> Service {
        let text = format!(
            "name = \"behind\"\nbase_url = \"http://{}/v1\"\napi_key = \"{key}\"\nretries = 0\n\
             models = [{{ id = \"qwen-scripted\", upstream = \"qwen-behind\", embed = true, rerank = true, chat = true, \
             thinking = \"off\" }}]",
            behind.addr
        );
        let written: Written = toml::from_str(&text).unwrap();
        let configs = config::resolve(vec![written], &|_| None).unwrap();
        let upstream = Upstream::new(configs.into_iter().next().unwrap()).unwrap();
        let local = Scripted::new(&["qwen-local"]);
        let both = Routing::new(vec![Arc::new(local.clone()), Arc::new(upstream)]).unwrap();
        Service::answering(Arc::new(both), local, |_| {}).await
    }

    /// The same asked of both, answered by the same script, must come back alike but for ids and times.
    async fn alike(&self, script: fn() -> Script, path: &str, headers: &str, body: Value) -> String {
        let mut shown = Vec::new();
        for (service, model) in [(&self.behind, "qwen-behind"), (&self.front, "qwen-scripted")] {
            let mut body = body.clone();
            body["model"] = model.into();
            self.behind.backend.answer(script());
            let reply = service.native(path, headers, &body).await;
            shown.push(comparable(&reply).replace(model, "<model>"));
        }
        let [behind, front] = shown.try_into().unwrap();
        assert_eq!(front, behind, "{path} {body}");
        front
    }
}

/// The bodies of answers of the two ends, without what tells them apart: their ids, and that only the one
/// behind knows the counts before the end.
fn comparable(reply: &Reply) -> String {
    let text = reply.body.replace(reply.request_id(), "<id>");
    let mut lines: Vec<String> = Vec::new();
    let mut usages = 0;
    for line in text.lines().rev() {
        let payload = line.strip_prefix("data:").unwrap_or(line).trim_start();
        match serde_json::from_str::<Value>(payload) {
            Ok(mut value) => {
                // Only the last usage is exact at both.
                if value.get("usage").is_some_and(|usage| !usage.is_null()) {
                    usages += 1;
                    if usages > 1 {
                        value["usage"] = "<usage>".into();
                    }
                }
                lines.push(value.to_string());
            }
            Err(_) => lines.push(line.to_owned()),
        }
    }
    lines.reverse();
    format!("{} {}\n{}", reply.status, reply.headers["content-type"], lines.join("\n"))
}

fn generation(fields: Value) -> Value {
    json!({"input": {"messages": [{"role": "user", "content": "hi"}]}, "parameters": fields})
}

#[tokio::test]
async fn every_kind_of_answer_is_alike_in_front_and_behind() {
    let pair = Pair::new(false).await;
    let hello = || Script::text(3, &["Hel", "lo"]);
    let usage = json!({"include_usage": true});
    for stream in [false, true] {
        let with = |fields: Value| {
            let mut request = request(fields);
            if stream {
                request["stream"] = true.into();
                request["stream_options"] = usage.clone();
            }
            request
        };
        let shown = pair.alike(hello, CHAT, "", with(json!({}))).await;
        assert!(shown.contains("lo") && shown.contains("\"total_tokens\":5"), "{shown}");
        let shown = pair.alike(calls, CHAT, "", with(json!({"tools": tools(), "parallel_tool_calls": true}))).await;
        assert!(shown.contains("call_2") && shown.contains("\"cached_tokens\":16"), "{shown}");
        pair.alike(reasoned, CHAT, "", with(json!({"enable_thinking": true}))).await;
        let shown = pair.alike(two_choices, CHAT, "", with(json!({"n": 2, "logprobs": true}))).await;
        assert!(shown.contains("\"logprob\":"), "{shown}");
        let mut completion = json!({"prompt": "def f(", "n": 2, "logprobs": 1, "stream": stream});
        if stream {
            completion["stream_options"] = usage.clone();
        }
        pair.alike(two_choices, "/v1/completions", "", completion).await;

        let sse = if stream { SSE } else { "" };
        pair.alike(hello, TEXT, sse, generation(json!({}))).await;
        pair.alike(hello, TEXT, sse, generation(json!({"incremental_output": true, "result_format": "message"}))).await;
        pair.alike(calls, TEXT, sse, generation(json!({"tools": tools(), "result_format": "message"}))).await;
    }
    let embed = json!({"input": ["ab", "c"], "dimensions": 4});
    pair.alike(hello, "/v1/embeddings", "", embed.clone()).await;
    pair.alike(hello, "/v1/embeddings", "", json!({"input": "ab", "encoding_format": "base64"})).await;
    let rerank = json!({"query": "a b", "documents": ["a", "b a", "c"], "top_n": 2, "return_documents": true});
    pair.alike(hello, "/v1/rerank", "", rerank).await;
    assert_eq!(pair.front.totals.completion_tokens() * 2, pair.behind.totals.completion_tokens());
    assert_eq!(pair.front.totals.prompt_tokens() * 2, pair.behind.totals.prompt_tokens());
}

#[tokio::test]
async fn an_image_reaches_the_upstream_byte_for_byte_in_both_dialects() {
    let pair = Pair::new(true).await;
    let url = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAA+/==";
    let part = json!({"type": "image_url", "image_url": {"url": url, "detail": "low"}, "min_pixels": 3136});
    let content = json!([part, {"type": "text", "text": "what is it?"}]);
    pair.behind.backend.answer(Script::text(3, &["a cat"]));
    let fields = json!({"messages": [{"role": "user", "content": content}], "enable_search": true,
        "search_options": {"forced_search": true}, "vl_high_resolution_images": true, "made_up": {"a": [1.5]}});
    let reply = pair.front.chat(fields.clone()).await;
    assert_eq!((reply.status, &reply.json()["choices"][0]["message"]["content"]), (200, &json!("a cat")));
    assert_eq!(reply.headers.get("x-qwenda-ignored-fields"), None);
    let reached = serde_json::to_value(&pair.behind.backend.calls()[0].request).unwrap();
    assert_eq!(reached["messages"], fields["messages"]);
    for field in ["enable_search", "search_options", "vl_high_resolution_images", "made_up"] {
        assert_eq!(reached[field], fields[field], "{field}");
    }

    pair.behind.backend.answer(Script::text(3, &["a cat"]));
    let content = json!([{"image": url}, {"text": "what is it?"}]);
    let body = json!({"model": "qwen-scripted", "input": {"messages": [{"role": "user", "content": content}]}});
    let reply = pair.front.native(MULTIMODAL, "", &body).await;
    assert_eq!(reply.json()["output"]["choices"][0]["message"]["content"], json!([{"text": "a cat"}]));
    let reached = serde_json::to_value(&pair.behind.backend.calls()[1].request).unwrap();
    assert_eq!(reached["messages"][0]["content"][0], json!({"type": "image_url", "image_url": {"url": url}}));
}

#[tokio::test]
async fn a_text_model_answers_an_image_with_the_part_it_cannot_take() {
    let pair = Pair::new(false).await;
    let content = json!([{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "data:,"}}]);
    // Our own, and the one behind in the same words.
    for model in ["qwen-local", "qwen-scripted"] {
        for stream in [false, true] {
            let fields = json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": content}]});
            let reply = pair.front.chat(fields).await;
            reply.refuses(400, "invalid_parameter_error", "text only, not 'image_url' - 'messages[0].content[1]'");
        }
    }
    assert!(pair.front.backend.calls().is_empty() && pair.behind.backend.calls().is_empty());
}

#[tokio::test]
async fn a_refusal_behind_is_one_in_front() {
    let pair = Pair::new(false).await;
    let reply = pair.front.chat(json!({"max_tokens": 5000})).await;
    reply.refuses(400, "invalid_parameter_error", "Range of max_tokens should be [1, 4096]");
    let mut body = generation(json!({"max_tokens": 5000}));
    body["model"] = "qwen-scripted".into();
    let reply = pair.front.native(TEXT, "", &body).await;
    reply.refuses_natively(400, "InvalidParameter", "Range of max_tokens should be [1, 4096]");

    pair.behind.backend.answer(Script::refuse(BackendError::Busy { retry_after_ms: 7000 }));
    let reply = pair.front.chat(json!({"stream": true})).await;
    reply.refuses(429, "limit_requests", "throttled");
    assert_eq!((reply.headers["retry-after"].as_str(), reply.headers["x-should-retry"].as_str()), ("7", "true"));

    pair.behind.backend.answer(Script::refuse(BackendError::Internal("secret trouble".to_owned())));
    let reply = pair.front.chat(json!({})).await;
    reply.refuses(503, "ServiceUnavailable", "");
    assert!(!reply.body.contains("secret"), "{}", reply.body);

    let tokens = json!({"model": "qwen-scripted", "input": {"prompt": "a b"}}).to_string();
    pair.front.post("/api/v1/tokenizer", tokens).await.refuses_natively(400, "InvalidParameter", "not supported");
    // Nothing was made, so nothing is counted.
    assert_eq!(pair.front.totals.requests(), 0);
}

#[tokio::test]
async fn a_key_that_the_upstream_refuses_is_the_operator_s_to_know() {
    let behind = Service::start().await;
    let front = Pair::front(&behind, "sk-wrong-key").await;
    let reply = front.chat(json!({})).await;
    reply.refuses(502, "bad_gateway", "does not admit this server");
    let address = behind.addr.to_string();
    assert!(!reply.body.contains("sk-wrong") && !reply.body.contains(&address), "{}", reply.body);
    let log = logged();
    assert!(log.contains("upstream `behind` answers 401 invalid_api_key: see our key"), "{log}");
    assert!(!log.contains("sk-wrong"), "{log}");
}

#[tokio::test]
async fn a_stream_that_breaks_behind_ends_in_front_with_an_error() {
    let pair = Pair::new(false).await;
    let broken = Script::text(3, &["Hel", "lo"]).fail_after(2, BackendError::Internal("trouble".to_owned()));
    pair.behind.backend.answer(broken);
    let events = pair.front.chat(json!({"stream": true})).await.events();
    let last: Value = serde_json::from_str(events.last().unwrap()).unwrap();
    assert_eq!(last["error"]["code"], "ServiceUnavailable");
    assert!(events.iter().any(|event| event.contains("Hel")), "{events:?}");
}

#[tokio::test]
async fn who_leaves_in_front_has_left_behind() {
    let pair = Pair::new(false).await;
    let gate = Gate::new();
    let played = pair.behind.backend.answer(Script::text(3, &["Hel", "lo"]).wait_before(2, &gate));
    let body = request(json!({"stream": true})).to_string();
    let mut caller = pair.front.connect().await;
    caller.write(pair.front.head("POST", CHAT, Some(body.len())).as_bytes()).await;
    caller.write(body.as_bytes()).await;
    caller.read_until("Hel").await;
    drop(caller);
    played.over().await;
    assert!(played.dropped());
}
